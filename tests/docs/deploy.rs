//! The dashboard and the alerts in `deploy/` are made of the list of metrics.

use super::{assert_is_made, read};
use crate::cli::{deltamart, said};
use deltamart::serve::metrics::list::{Kind, METRICS, Metric, Unit};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is worth waking somebody, or telling in the morning.
struct Alert {
    name: &'static str,
    /// When it is so, in Prometheus' language.
    expr: &'static str,
    lasts: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
}

const ALERTS: &[Alert] = &[
    Alert {
        name: "DeltamartStuck",
        expr: "deltamart_freshness_seconds > 120",
        lasts: "2m",
        severity: "critical",
        summary: "Records were read and are not in the tables",
        description: "For {{ $value | humanizeDuration }} nothing was committed. `deltamart status` says what is waited for.",
    },
    Alert {
        name: "DeltamartWatermarkStands",
        expr: "deltamart_watermark_stands == 1",
        lasts: "15m",
        severity: "warning",
        summary: "The watermark of {{ $labels.family }} stands",
        description: "No partition has anything new. Windows do not become final. Is the producer there?",
    },
    Alert {
        name: "DeltamartLagging",
        expr: "deltamart_source_lag_records > 10000 and deriv(deltamart_source_lag_records[10m]) > 0",
        lasts: "10m",
        severity: "warning",
        summary: "{{ $labels.topic }} is written faster than it is read",
        description: "{{ $value | humanize }} records are not read yet, and they become more. More workers (`-w`) help if the machine has idle cores.",
    },
    Alert {
        name: "DeltamartRejecting",
        expr: "sum without (reason) (rate(deltamart_rejected_records_total[5m])) / rate(deltamart_records_total[5m]) > 0.01",
        lasts: "5m",
        severity: "warning",
        summary: "{{ $value | humanizePercentage }} of the records are rejected",
        description: "`deltamart show rejected_events --last` says why. When it is mended, `deltamart replay-rejected` sends them again.",
    },
    Alert {
        name: "DeltamartSinkAway",
        expr: "deltamart_sink_away == 1",
        lasts: "2m",
        severity: "critical",
        summary: "{{ $labels.sink }} is unavailable",
        description: "Its rows wait. When they reach `pending_bytes`, reading stops; nothing is lost.",
    },
    Alert {
        name: "DeltamartPeerSlow",
        expr: "deltamart_peer_waited_for_seconds > 30",
        lasts: "1m",
        severity: "warning",
        summary: "The other processes wait for process {{ $labels.process }} ({{ $labels.host }})",
        description: "For {{ $value | humanizeDuration }}. `deltamart status workers` says why.",
    },
    Alert {
        name: "DeltamartDiskFull",
        expr: "deltamart_disk_free_bytes / deltamart_disk_bytes < 0.1",
        lasts: "5m",
        severity: "critical",
        summary: "The disk of the warehouse is nearly full",
        description: "{{ $value | humanizePercentage }} is free. When nothing is, commits wait until there is room; nothing is lost.",
    },
];

#[test]
fn the_alerts_are_of_metrics_that_there_are() {
    let mut made = "# Made of the code: UPDATE_DOCS=1 cargo test docs. What each alert means: docs/operating.md.\ngroups:\n  - name: \
                    deltamart\n    rules:\n"
        .to_owned();
    let page = read("docs/operating.md");
    for Alert { name, expr, lasts, severity, summary, description } in ALERTS {
        let named: Vec<_> = expr
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("deltamart_"))
            .collect();
        assert!(
            !named.is_empty() && named.iter().all(|word| METRICS.iter().any(|metric| metric.name == *word)),
            "{expr}"
        );
        assert!(page.contains(name), "docs/operating.md does not say what {name} means");
        let text = |text: &str| Value::from(text).to_string();
        write!(
            made,
            "      - alert: {name}\n        expr: {}\n        for: {lasts}\n        labels:\n          severity: {severity}\n        \
             annotations:\n          summary: {}\n          description: {}\n",
            text(expr),
            text(summary),
            text(description)
        )
        .expect("text");
    }
    assert_is_made("deploy/alerts.yml", &made);
}

/// A metric as a panel.
fn panel(metric: &Metric, place: usize, top: usize) -> Value {
    let Metric { name, kind, unit, help, labels, .. } = metric;
    let expr = match (kind, unit) {
        (Kind::Counter, _) => format!("rate({name}{{instance=~\"$instance\"}}[$__rate_interval])"),
        (Kind::Gauge, Unit::Time) => format!("time() - {name}{{instance=~\"$instance\"}}"),
        (Kind::Gauge, _) => format!("{name}{{instance=~\"$instance\"}}"),
    };
    let shown = match (kind, unit) {
        (Kind::Counter, Unit::Seconds) => "percentunit",
        (Kind::Counter, _) => "cps",
        (Kind::Gauge, Unit::Seconds | Unit::Time) => "s",
        (Kind::Gauge, Unit::Bytes) => "bytes",
        (Kind::Gauge, Unit::Share) => "percentunit",
        (Kind::Gauge, Unit::Truth) => "bool_yes_no",
        (Kind::Gauge, Unit::Count) => "short",
    };
    let title = name.trim_start_matches("deltamart_").trim_end_matches("_total").trim_end_matches("_seconds");
    let title = title.trim_end_matches("_time").trim_end_matches("_bytes").replace('_', " ");
    let title = if *unit == Unit::Time { format!("{title}: how long ago") } else { title };
    let legend: Vec<_> = labels.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    json!({
        "type": "timeseries",
        "title": title,
        "description": help,
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "gridPos": { "h": 8, "w": 12, "x": 12 * (place % 2), "y": top + 8 * (place / 2) },
        "fieldConfig": { "defaults": { "unit": shown, "min": 0 }, "overrides": [] },
        "targets": [{ "expr": expr, "legendFormat": if legend.is_empty() { title.clone() } else { legend.join(" ") }, "refId": "A" }],
    })
}

#[test]
fn the_dashboard_is_of_the_list() {
    let mut headings: Vec<&str> = METRICS.iter().filter_map(|metric| metric.shown).collect();
    headings.dedup();
    headings.sort_unstable();
    headings.dedup();
    // In the order in which they are listed.
    headings.sort_by_key(|heading| METRICS.iter().position(|metric| metric.shown == Some(*heading)));
    let (mut panels, mut top) = (Vec::new(), 0);
    for heading in headings {
        panels.push(json!({ "type": "row", "title": heading, "collapsed": false, "gridPos": { "h": 1, "w": 24, "x": 0, "y": top } }));
        let own: Vec<_> = METRICS.iter().filter(|metric| metric.shown == Some(heading)).collect();
        panels.extend(own.iter().enumerate().map(|(place, metric)| panel(metric, place, top + 1)));
        top += 1 + 8 * own.len().div_ceil(2);
    }
    assert!(panels.len() > 12);
    let dashboard = json!({
        "title": "deltamart",
        "uid": "deltamart",
        "tags": ["deltamart"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            {
                "name": "instance",
                "type": "query",
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "query": "label_values(deltamart_info, instance)",
                "multi": true,
                "includeAll": true,
            },
        ] },
        "panels": panels,
    });
    let made = serde_json::to_string_pretty(&dashboard).expect("JSON") + "\n";
    assert_is_made("deploy/grafana.json", &made);
}

/// What the unit of systemd, the image and the containers start, and how they ask for its health.
#[test]
fn what_is_started_is_understood() {
    let unit = read("deploy/deltamart.service");
    let started = unit.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/"));
    let image = read("deploy/Dockerfile");
    let list = |line: &str| serde_json::from_str::<Vec<String>>(line).expect("a list").join(" ");
    let entry = image.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).map(list).expect("an entry");
    let of_image =
        image.lines().filter_map(|line| line.strip_prefix("CMD ")).map(|cmd| format!("{entry} {}", list(cmd)));
    let compose = read("docker-compose.yml");
    let commands = compose.lines().filter_map(|line| line.trim().strip_prefix("command: "));
    let commands = commands.map(|command| format!("{entry} {command}"));
    let checks = compose.lines().filter_map(|line| line.trim().strip_prefix(r#"test: ["CMD", "deltamart", "#));
    let checks = checks.map(|rest| format!("deltamart {}", list(&format!("[{rest}"))));
    let pods = read("deploy/kubernetes/deltamart.yaml");
    let of_pods = pods.lines().filter_map(|line| line.trim().strip_prefix("args: "));
    let of_pods = of_pods.map(|args| format!("{entry} {}", list(args)));
    let calls = started.map(str::to_owned).chain(of_image).chain(commands).chain(checks).chain(of_pods);
    let calls: Vec<_> = calls.collect();
    assert_eq!(calls.len(), 6, "{calls:?}");
    for call in &calls {
        let words = shlex::split(call).unwrap_or_else(|| panic!("{call}"));
        if let Err(error) = deltamart::cli::parse(words.into_iter().map(Into::into)) {
            panic!("`{call}`: {error}");
        }
    }
    let stays = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).expect("it is said");
    assert_eq!(stays, "2 3");
    assert!(read("docs/operating.md").contains("not restart it after exit code 2 or 3"), "as the page says");
}

/// The settings that pods are given are good, and there is a place for each.
#[test]
fn as_many_pods_are_started_as_processes_are_waited_for() {
    let pods = read("deploy/kubernetes/deltamart.yaml");
    let (_, settings) = pods.split_once("  deltamart.toml: |\n").expect("settings");
    let settings = settings.split("---\n").next().expect("an end");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("pods.toml"), settings).expect("written");
    // What is elsewhere is not asked for.
    let elsewhere = ["cluster.secret=", "state_dir=", "warehouse=a.db", "kafka.brokers=", "registry.url="];
    let elsewhere = elsewhere.iter().flat_map(|set| ["--set", *set]);
    let check: Vec<_> = ["check", "--config", "pods.toml"].into_iter().chain(elsewhere).collect();
    let (code, text) = said(&deltamart(folder.path(), &check));
    assert_eq!(code, Some(0), "{text}");
    let cluster = &settings.parse::<toml::Table>().expect("TOML")["cluster"];
    let replicas = pods.lines().find_map(|line| line.trim().strip_prefix("replicas: ")).expect("how many");
    assert_eq!(replicas, cluster["processes"].to_string());
    let name = |at: &str| format!("name: {at}\n");
    assert!(pods.contains(&name("DELTAMART__CLUSTER__PROCESS")) && pods.contains("podManagementPolicy: Parallel\n"));
}
