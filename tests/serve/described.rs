use super::{Serving, warehouse};
use deltamart::serve::metrics::list::METRICS;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The file, as the program has it.
fn described() -> Value {
    serde_json::from_str(include_str!("../../src/serve/openapi.json")).expect("JSON")
}

/// Judges answers by the file, and notes which of its properties were in any.
struct Judge {
    file: Value,
    seen: BTreeSet<String>,
}

impl Judge {
    /// The schema of an answer.
    fn of_answer(&self, path: &str, status: &str) -> Value {
        let content = &self.file["paths"][path]["get"]["responses"][status]["content"];
        let kinds = content.as_object().unwrap_or_else(|| panic!("{path} {status} is not described"));
        kinds.values().next().expect("a kind")["schema"].clone()
    }

    fn schema(&self, name: &str) -> Value {
        self.file["components"]["schemas"][name].clone()
    }

    /// Fails if a value is not as described, or has what is not described.
    fn check(&mut self, place: &str, schema: &Value, value: &Value) {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
            return self.check(name, &self.schema(name), value);
        }
        let types: Vec<_> = match &schema["type"] {
            Value::Null => return,
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = types.contains(&is) || is == "integer" && types.contains(&"number");
        assert!(fits, "{place}: {value} is {is}, not {types:?}");
        if let Some(allowed) = schema["enum"].as_array() {
            assert!(allowed.contains(value), "{place}: {value} is none of {allowed:?}");
        }
        if let Value::Array(items) = value {
            items.iter().for_each(|item| self.check(place, &schema["items"], item));
        }
        let Value::Object(members) = value else { return };
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(members.contains_key(required), "{place}: `{required}` is missing in {value}");
        }
        for (name, member) in members {
            let place = format!("{place}.{name}");
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(true)) => {}
                (Value::Null, more @ Value::Object(_)) => self.check(&place, more, member),
                (Value::Null, _) => panic!("{place} is not described"),
                (own, _) => {
                    self.seen.insert(place.clone());
                    self.check(&place, own, member);
                }
            }
        }
    }
}

/// What an event was, and the events after it that make every part of an answer.
fn events() -> String {
    let at = |user: u32, at: &str| {
        format!(
            r#"{{"event_name":"consumer_registration","timestamp":"2026-01-05T{at}Z","user_id":{user},"age":34,"masked_email":"****@mail.example","preferred_language":"eng"}}"#
        ) + "\n"
    };
    // In order; a line that is none; three days later; one that restates an hour; one that is too late.
    let later = at(3, "16:00:00").replace("01-05", "01-08");
    let restates = at(4, "10:20:00").replace("01-05", "01-07");
    let hour = at(5, "10:10:00").replace("01-05", "01-07");
    [&at(1, "10:00:00"), "nonsense\n", &hour, &later, &restates, &at(6, "10:00:00").replace("01-05", "01-02")].concat()
}

#[test]
fn every_answer_is_as_the_file_says_and_the_file_says_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("events.jsonl"), events()).expect("writes");
    let serving = Serving::start(folder.path(), &["run", "events.jsonl", "--follow", "--serve", "127.0.0.1:0"]);
    let mut judge = Judge { file: described(), seen: BTreeSet::new() };
    let status = judge.schema("Status");
    // Until all of it is committed, and a snapshot or two were taken or not.
    let told = serving.events("/api/v1/live", "", |told| {
        told.data["records"] == 6 && told.data["late"] == 1 && told.data["workers"][0]["busy_share"].is_number()
    });
    told.iter().for_each(|told| judge.check("Status", &status, &told.data));
    let (commit, gap) = (judge.schema("Commit"), judge.schema("Gap"));
    let last = told.last().expect("a status").data["epoch"].as_u64().expect("an epoch");
    for told in serving.events("/api/v1/deltas?from=0", "", |told| told.id.parse::<u64>().expect("an epoch") >= last) {
        judge.check("Commit", &commit, &told.data);
    }
    let ahead = serving.events("/api/v1/deltas?from=999999", "", |_| true);
    assert_eq!(ahead[0].event, "gap");
    judge.check("Gap", &gap, &ahead[0].data);
    let paths: Vec<_> = judge.file["paths"].as_object().expect("paths").keys().cloned().collect();
    let tables: Vec<_> = serving.json("/api/v1/tables")["tables"].as_array().expect("tables").clone();
    for path in &paths {
        if ["/api/v1/live", "/api/v1/deltas"].contains(&path.as_str()) {
            continue;
        }
        let schema = judge.of_answer(path, "200");
        for table in &tables {
            let name = table["name"].as_str().expect("a name");
            let answer = serving.get(&path.replace("{name}", name));
            assert_eq!(answer.status(), 200, "{path}: {}", answer.0);
            match answer.header("content-type") {
                Some("application/json") => {
                    judge.check(path, &schema, &serde_json::from_str(answer.body()).expect("JSON"));
                }
                other => assert!(other.is_some_and(|kind| kind.starts_with("text/plain")), "{path}: {other:?}"),
            }
            if !path.contains("{name}") {
                break;
            }
        }
    }
    // What parameters are named are there, and no others.
    for (path, of) in judge.file["paths"].as_object().expect("paths").clone() {
        let path = path.replace("{name}", "user_registration_metrics");
        for parameter in of["get"]["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            let value = match name {
                "from" if path.ends_with("deltas") => "0",
                "from" | "to" => "2026-01-05",
                "order" => "desc",
                "by" => "registration_count",
                "limit" => "1",
                "within" => "1h",
                "columns" => "timestamp,registration_count",
                "group" => "window_type",
                "sum" => "registration_count&group=window_type",
                "table" => "users",
                _ => continue,
            };
            let answer = match path.ends_with("deltas") {
                true => {
                    u16::from(!serving.events(&format!("{path}?{name}={value}&from=0"), "", |_| true).is_empty()) * 200
                }
                false => serving.get(&format!("{path}?{name}={value}")).status(),
            };
            assert_eq!(answer, 200, "{path}?{name}={value}");
        }
        if of["get"]["parameters"].is_array() {
            let answer = serving.get(&format!("{path}?nothing=1"));
            assert_eq!(answer.status(), 400, "{path}");
            judge.check("Error", &judge.schema("Error"), &serde_json::from_str(answer.body()).expect("JSON"));
        }
    }
    assert_eq!(serving.get("/api/v1/other").status(), 404);
    let seen = |name: &str| judge.seen.contains(name);
    for (name, schema) in judge.file["components"]["schemas"].as_object().expect("schemas") {
        for property in schema["properties"].as_object().into_iter().flatten().map(|(property, _)| property) {
            let path = format!("{name}.{property}");
            assert!(seen(&path), "{path} is in no answer");
        }
    }
    assert_eq!(serving.end(), Some(0));
    // And of a warehouse without a run.
    let serving = Serving::start(folder.path(), &["serve", "127.0.0.1:0"]);
    judge.check("Status", &status, &serving.json("/api/v1/status"));
    judge.check("Ready", &judge.schema("Ready"), &serving.json("/readyz"));
    let answer = serving.get("/api/v1/deltas");
    assert_eq!(answer.status(), 503);
    judge.check("Error", &judge.schema("Error"), &serde_json::from_str(answer.body()).expect("JSON"));
}

/// The lines of the text format: the metrics with their labels and values.
fn parsed(text: &str) -> BTreeMap<String, Vec<(BTreeSet<String>, f64)>> {
    let mut metrics = BTreeMap::<String, Vec<_>>::new();
    let mut described = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (what, rest) = rest.split_once(' ').expect("a word");
            let (name, rest) = rest.split_once(' ').expect("a name");
            assert!(["HELP", "TYPE"].contains(&what) && !rest.is_empty(), "{line}");
            assert!(!metrics.contains_key(name), "{line}: all of a metric stands together");
            described.insert(format!("{what} {name}"));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
        let labels: BTreeSet<_> = labels.map(|label| label.split('=').next().unwrap_or_default().to_owned()).collect();
        assert!(described.contains(&format!("HELP {name}")) && described.contains(&format!("TYPE {name}")), "{line}");
        metrics.entry(name.to_owned()).or_default().push((labels, value.parse().expect("a number")));
    }
    metrics
}

#[test]
fn metrics_are_those_of_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("events.jsonl"), events()).expect("writes");
    let run = ["run", "events.jsonl", "--follow", "--serve", "127.0.0.1:0", "--set", "snapshot_interval=0"];
    let serving = Serving::start(folder.path(), &run);
    serving.events("/api/v1/live", "", |told| told.data["late"] == 1 && told.data["snapshot"].is_object());
    let metrics = parsed(serving.get("/metrics").body());
    for metric in METRICS {
        let found = metrics.get(metric.name);
        // Of a file there is no lag, and one process has no others.
        let may_miss = ["deltamart_source_lag_", "deltamart_peer_"].iter().any(|start| metric.name.starts_with(start));
        assert!(found.is_some() || may_miss, "{}", metric.name);
        for (labels, value) in found.into_iter().flatten() {
            assert_eq!(labels, &metric.labels.iter().map(|label| (*label).to_owned()).collect(), "{}", metric.name);
            assert!(value.is_finite() && *value >= 0.0, "{} {value}", metric.name);
        }
    }
    assert!(metrics.keys().all(|name| METRICS.iter().any(|metric| metric.name == name)));
    let value = |name: &str| metrics[name].iter().map(|(_, value)| value).sum::<f64>();
    assert_eq!((value("deltamart_records_total"), value("deltamart_rejected_records_total")), (6.0, 1.0));
    assert_eq!(value("deltamart_source_records_total"), 6.0);
    assert_eq!((value("deltamart_running"), value("deltamart_late_events_total")), (1.0, 1.0));
    assert_eq!(serving.end(), Some(0));
    let other = tempfile::tempdir().expect("a folder");
    warehouse(other.path());
    let serving = Serving::start(other.path(), &["serve", "127.0.0.1:0"]);
    let metrics = parsed(serving.get("/metrics").body());
    assert!(metrics["deltamart_epoch"][0].1 > 0.0 && !metrics.contains_key("deltamart_records_total"));
}
