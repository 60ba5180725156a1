//! Cases as text, in `tests/cases/<table>/`: events as JSON lines, an epoch's end as `=>` lines with
//! what it committed to that table. `end` is the end of the input. Settings (`lateness 2h`, `segments
//! new_within=3h`) and the `tables` that are shown, if they are others, come first; `1:` before an
//! event is its partition.
//! `UPDATE_CASES=1` writes what was found into the files, to be read and reviewed.

use crate::support::table;
use crate::support::{self, one_commit_per_epoch, options};
use dataflows::delta::Delta;
use dataflows::shop::settings::Thresholds;
use dataflows::table::Value;
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::families::all;
use deltamart::instant;
use deltamart::sink::Commit;
use deltamart::source::script::Step;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[test]
fn every_case_commits_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = Vec::new();
    for table in std::fs::read_dir(folder).expect("tests/cases") {
        let table = table.expect("entry").path();
        let files = std::fs::read_dir(table).expect("a folder per table");
        cases.extend(files.map(|file| file.expect("entry").path()));
    }
    assert!(cases.len() >= 12, "the cases are gone");
    cases.sort();
    let mut wrong = Vec::new();
    for path in cases {
        let expected = std::fs::read_to_string(&path).expect("readable");
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a table");
        let actual = play(&expected, folder);
        if actual != expected {
            if std::env::var_os("UPDATE_CASES").is_some() {
                std::fs::write(&path, &actual).expect("writable");
            }
            wrong.push(format!("{}\n--- expected\n{expected}\n--- found\n{actual}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Plays a case and writes it again, with what its epochs committed.
fn play(case: &str, table: &str) -> String {
    let mut options = one_commit_per_epoch(options(1));
    options.settings.lane.raw = false;
    let ids = |names: &str| names.split(' ').map(|name| all().by_name(name).expect(name)).collect();
    options.settings.lane.tables = ids(table);
    options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
    let mut partitions = 1;
    let mut steps = Vec::new();
    let mut epochs: Vec<Vec<&str>> = vec![Vec::new()];
    let mut in_outcome = false;
    for line in case.lines() {
        if line.starts_with("=>") {
            if !in_outcome {
                steps.push(Step::Cut);
                epochs.push(Vec::new());
            }
            in_outcome = true;
            continue;
        }
        in_outcome = false;
        epochs.last_mut().expect("one").push(line);
        let duration = |text: &str| humantime::parse_duration(text).expect("a duration").as_millis() as i64;
        let unlimited = |text: &str| (text != "unlimited").then(|| duration(text));
        match line.split_once(' ') {
            Some(("tables", names)) => options.settings.lane.tables = ids(names),
            Some(("session_timeout", text)) => options.settings.session_timeout_ms = Some(duration(text)),
            Some(("cart_ttl", text)) => options.settings.cart_ttl_ms = duration(text),
            Some(("price_backfill", text)) => options.settings.price_backfill_ms = duration(text),
            Some(("1:", event)) => {
                partitions = 2;
                steps.push(Step::Record(1, event.as_bytes().to_vec()));
            }
            Some(("lateness", text)) => options.settings.lane.lateness_ms = unlimited(text),
            Some(("segments", thresholds)) => set(&mut options.settings.segments, thresholds),
            Some(("catalog_lateness", text)) => options.settings.catalog_lateness_ms = unlimited(text),
            _ if line == "end" => steps.push(Step::End),
            _ if line == "whole_input" => options.settings.lane.whole_input = true,
            _ if line.starts_with('#') || line.is_empty() => {}
            _ => steps.push(Step::Record(0, line.as_bytes().to_vec())),
        }
    }
    // After `end` there is nothing to close.
    if steps.iter().any(|step| matches!(step, Step::End)) {
        steps.retain(|step| !matches!(step, Step::End));
        steps.pop();
        steps.push(Step::End);
    } else {
        steps.push(Step::Stop);
    }
    let (sink, _) = support::run_script(partitions, steps, options);
    let log = sink.contents().log.clone();
    let mut out = String::new();
    for (number, lines) in epochs.iter().enumerate() {
        lines.iter().for_each(|line| writeln!(out, "{line}").expect("text"));
        if number + 1 < epochs.len() || !lines.is_empty() {
            let epoch = 2 * (number as u64 + 1);
            let said = log.iter().find(|commit| commit.epoch == epoch).map(told).unwrap_or_default();
            out.push_str(if said.is_empty() { "=> nothing\n" } else { &said });
        }
    }
    out
}

/// Sets thresholds of segments as in the configuration: `frequent_views=3 frequent_within=4h`.
fn set(thresholds: &mut Thresholds, text: &str) {
    for (name, value) in text.split(' ').map(|pair| pair.split_once('=').expect("name=value")) {
        let number = || value.parse().expect("a number");
        let duration = || humantime::parse_duration(value).expect("a duration").as_millis() as i64;
        match name {
            "high_value_cents" => thresholds.high_value_cents = number(),
            "high_value_within" => thresholds.high_value_within_ms = duration(),
            "abandoned_carts" => thresholds.abandoned_carts = number(),
            "abandoned_after" => thresholds.abandoned_after_ms = duration(),
            "abandoned_within" => thresholds.abandoned_within_ms = duration(),
            "frequent_views" => thresholds.frequent_views = number(),
            "frequent_within" => thresholds.frequent_within_ms = duration(),
            "new_within" => thresholds.new_within_ms = duration(),
            "inactive_after" => thresholds.inactive_after_ms = duration(),
            _ => panic!("{name} is no threshold of segments"),
        }
    }
}

/// More rows of a table than this are not shown whole.
const SHOWN_WHOLE: usize = 12;

fn told(commit: &Commit) -> String {
    let mut out = String::new();
    let changed = all().tables().iter().filter_map(|id| commit.deltas.get_key_value(id));
    for (table, deltas) in changed {
        for (number, delta) in deltas.iter().enumerate() {
            // Of very many the first and the last.
            if deltas.len() > SHOWN_WHOLE && (3..deltas.len() - 3).contains(&number) {
                if number == 3 {
                    writeln!(out, "=> ... {} more of {}", deltas.len() - 6, table.table().name).expect("text");
                }
                continue;
            }
            let (what, values) = match delta {
                Delta::Upsert(row) => ("upsert", row),
                Delta::Delete(key) => ("delete", key),
            };
            writeln!(out, "=> {what} {} {}", table.table().name, shown(values)).expect("text");
        }
    }
    for row in commit.appends.get(&table("rejected_events")).into_iter().flatten() {
        writeln!(out, "=> rejected {}", shown(&row[5..7])).expect("text");
    }
    for row in commit.appends.get(&table("late_events")).into_iter().flatten() {
        writeln!(out, "=> late {}", shown(&row[3..5])).expect("text");
    }
    out
}

fn shown(values: &[Value]) -> String {
    let texts: Vec<_> = values
        .iter()
        .map(|value| match value {
            Value::Null => "-".to_owned(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Instant(at) => instant::show(*at).replace(":00.000Z", ""),
            Value::Cents(cents) => format!("${}.{:02}", cents / 100, cents % 100),
            Value::Milli(milli) => format!("{}.{:03}", milli / 1000, milli % 1000),
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        })
        .collect();
    texts.join(" | ")
}
