//! What `status` takes for wrong, and which section says it.

use super::said::{Asks, Section};
use super::sections::sections;
use super::{Journaled, Snapshot, Status};
use crate::cli::Subject;
use crate::config::Config;
use crate::instant;
use crate::sink::sqlite::quality::OfHour;
use crate::state_dir::Lost;
use dataflows::quality::Counts;
use serde_json::{Value, json};

const CLOCK: &str = "2026-01-05T10:00:00.000Z";

/// Of a run that reported a moment ago.
fn status(changed: Value) -> Status {
    let mut beat = json!({
        "at": instant::show(instant::now()), "process": 7, "generation": 1, "ended": false, "workers": 2,
        "records": 1000, "late": 0, "rejected": {}, "fresh_ms": 250, "live": { "shop/users": 12 },
    });
    let (Value::Object(beat_), Value::Object(changed)) = (&mut beat, changed) else { panic!("objects") };
    beat_.extend(changed);
    Status {
        pipeline_id: "a".to_owned(),
        generation: 1,
        state: "a.state".to_owned(),
        journal: Some(Journaled {
            epoch: 8,
            watermark: CLOCK.to_owned(),
            watermarks: Default::default(),
            at: CLOCK.to_owned(),
            since_snapshot: 2,
        }),
        snapshot: Some(Snapshot { epoch: 4, at: CLOCK.to_owned(), age_ms: 0, records: 3, bytes: 9 }),
        lost: Vec::new(),
        sinks: Vec::new(),
        unheard: Vec::new(),
        whole_since: Default::default(),
        left: Vec::new(),
        quality: Vec::new(),
        lines: Default::default(),
        folders: Default::default(),
        run_is_gone: false,
        run: serde_json::from_value(beat).expect("a heartbeat"),
    }
}

fn asked(status: &Status) -> Vec<(Subject, Asks)> {
    let sections = sections(&Config::default(), status, &[]);
    let asked = sections.iter().filter(|section| section.asks != Asks::Nothing);
    asked.map(|section| (section.subject, section.asks)).collect()
}

/// A process of a run, and why the others wait for it.
fn process(slow: Option<&str>) -> serde_json::Value {
    json!({
        "process": 1, "host": "b:2101", "heard_ms": 400, "epoch": 6, "live_records": 1_234, "resident_bytes": 5 << 20,
        "busy_share": 0.5, "slow": slow, "slow_ms": slow.map(|_| 4_000),
    })
}

#[test]
fn a_process_that_is_waited_for_is_named() {
    let processes = json!({ "processes": [process(None), process(Some("it says nothing"))] });
    let all = sections(&Config::default(), &status(processes), &[]);
    let section: &Section = all.iter().find(|section| section.subject == Subject::Workers).expect("there is one");
    assert!(section.said.starts_with("2 processes of ") && section.said.ends_with(", 1 process waited for"));
    let slow = "  slow     process 1 (b:2101): it says nothing; waited for since 4s";
    assert_eq!(section.more.last().map(String::as_str), Some(slow));
    let one = "process 1 (b:2101): busy 50 %, 1,234 records in memory, 5 MB, heard of 400ms ago";
    assert!(section.more[0].ends_with(one), "{}", section.more[0]);
}

#[test]
fn what_is_wrong_is_said_by_the_section_that_it_is_of() {
    let since = "2026-01-05T09:00:00.000Z";
    let waits = "`out`: the disk is full";
    let sink = json!({ "name": "out", "epoch": 4, "waits_for": waits, "waits_since": since, "pending_bytes": 5 });
    let trouble = |of: &str| json!([{ "of": of, "said": "connection refused", "since": since }]);
    for (changed, of) in [
        (json!({}), None),
        // What an earlier run waited for, or the last one before it ended.
        (json!({ "ended": true, "waits_for": [waits], "silent": { "shop": since } }), None),
        (json!({ "at": since }), Some(Subject::Run)),
        (json!({ "troubles": trouble("start") }), Some(Subject::Run)),
        (json!({ "troubles": trouble("Kafka") }), Some(Subject::Sources)),
        (json!({ "waits_for": ["a schema"] }), Some(Subject::Sources)),
        (json!({ "unread": ["a.csv"], "ended": true }), Some(Subject::Sources)),
        (json!({ "silent": { "shop": since } }), Some(Subject::Watermark)),
        (json!({ "waits_for": [waits], "sinks": [sink] }), Some(Subject::Sinks)),
        (json!({ "waits_for": ["no space"], "journal_waits_for": "no space" }), Some(Subject::State)),
        (json!({ "stuck_ms": { "0": 12_000 } }), Some(Subject::Workers)),
        (json!({ "processes": [process(None), process(None)] }), None),
        (json!({ "processes": [process(None), process(Some("it says nothing"))] }), Some(Subject::Workers)),
    ] {
        let asked = asked(&status(changed.clone()));
        assert_eq!(asked, of.map(|of| (of, Asks::Help)).into_iter().collect::<Vec<_>>(), "{changed}");
    }
    let gone = Status { run_is_gone: true, ..status(json!({ "silent": { "shop": since } })) };
    assert_eq!(asked(&gone), [(Subject::Run, Asks::Help)]);
    let mut overdue = status(json!({}));
    overdue.journal.as_mut().expect("there is one").at = "2026-01-05T10:20:00.000Z".to_owned();
    assert_eq!(asked(&overdue), [(Subject::State, Asks::Help)]);
    let counts = |rejected| Counts { accepted: 1000 - rejected, rejected, late: 0 };
    for (rejected, is_asked) in [(10, false), (11, true)] {
        let of_hour = OfHour { topic: "a".to_owned(), hour: CLOCK.to_owned(), counts: counts(rejected) };
        let status = Status { quality: vec![of_hour], ..status(json!({})) };
        assert_eq!(!asked(&status).is_empty(), is_asked, "{rejected}");
    }
    let lost = Lost { partition: "a/0".to_owned(), from: 3, to: 5, noticed_at: CLOCK.to_owned() };
    let status = Status { lost: vec![lost], ..status(json!({})) };
    assert_eq!(asked(&status), [(Subject::Sources, Asks::Knowing)]);
}

#[test]
fn what_is_not_read_is_in_the_line_of_the_sources() {
    let lag = json!([{ "topic": "a", "events": 1200, "ms": 61_000 }, { "topic": "b", "events": 34, "ms": null }]);
    let all = sections(&Config::default(), &status(json!({ "lag": lag })), &[]);
    let section: &Section = all.iter().find(|section| section.subject == Subject::Sources).expect("there is one");
    assert!(section.said.ends_with("; 1,234 not read yet, 1m behind"), "{}", section.said);
    assert_eq!(section.more, ["  lag      a: 1,200 not read yet, 1m behind", "  lag      b: 34 not read yet"]);
    assert_eq!(section.asks, Asks::Nothing);
}
