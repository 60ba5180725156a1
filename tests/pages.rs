//! The page of each event says what is so: its sample is accepted, and each of its flaws rejected for its reason.

use crate::cli::{deltamart, said};
use dataflows::shop::events::{EventName, FAMILY, reasons};
use deltamart::accept::accept;
use deltamart::decode::Format;
use deltamart::families;
use deltamart::rules::Rules;
use serde_json::{Map, Value as Json};

/// Half an hour after the samples.
const CLOCK_MS: i64 = 1_767_609_000_000;

fn sample(text: &str) -> Map<String, Json> {
    serde_json::from_str(text).expect("an object of JSON")
}

/// The sample with something else in a field, or nothing. Written by hand: a flaw may write a field twice.
fn spoiled(text: &str, field: &str, value: &str) -> String {
    let fields = sample(text);
    assert!(fields.contains_key(field), "no `{field}` in {text}");
    let written = fields.iter().filter_map(|(name, own)| match (name == field, value) {
        (false, _) => Some(format!("\"{name}\": {own}")),
        (true, "") => None,
        (true, value) => Some(format!("\"{name}\": {value}")),
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(", "))
}

#[test]
fn each_sample_is_accepted_and_each_flaw_rejected_for_its_reason() {
    let mut given = Vec::new();
    for (page, event) in FAMILY.pages().zip(EventName::ALL) {
        let name = page.topic.event;
        let read = |text: &str| accept(&Format::Json(None), text.as_bytes(), &Rules::default(), CLOCK_MS);
        let accepted = read(page.sample).unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!((accepted.event.which(), accepted.event.name()), (*event, name));
        for flaw in page.flaws {
            let text = spoiled(page.sample, flaw.field, flaw.value);
            let why = read(&text).map(|accepted| panic!("{text}: {accepted:?}")).unwrap_err();
            assert_eq!(why.reason, flaw.reason, "{text}: {}", why.detail);
            assert!(why.detail.contains(flaw.field) || flaw.field == "event_name", "{text}: {}", why.detail);
            given.push(why.reason);
        }
        assert!(page.reasons.iter().all(|reason| given.contains(reason)), "{name}: a reason that no flaw gives");
    }
}

#[test]
fn the_command_shows_each_event_with_a_line_that_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = said(&deltamart(folder.path(), &["schema", "--events"]));
    assert_eq!(code, Some(0), "{text}");
    let mut lines = text.lines().filter(|line| line.starts_with('{'));
    for page in FAMILY.pages() {
        let head = format!("\n{}: topic `{}`, key `{}`\n", page.topic.event, page.topic.name, page.key);
        assert!(text.contains(&head), "{head} is missing: {text}");
        let line = lines.next().expect("a line for each");
        let accepted = accept(&Format::Json(None), line.as_bytes(), &Rules::default(), CLOCK_MS);
        assert_eq!(accepted.expect(line).event.name(), page.topic.event);
    }
    assert!(lines.next().is_none() && text.contains("  user_id "), "{text}");
}

/// Who comes with files of another program is told what an event needs.
#[test]
fn a_file_with_other_names_is_told_what_an_event_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("e.jsonl"), "{\"event\":\"sign_in\",\"ts\":1767607200000,\"user_id\":1}\n")
        .expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["run", "e.jsonl"]));
    assert_eq!(code, Some(3), "{text}");
    for said in [
        "`event_name` is missing; `event` is not read: did you mean `event_name`?",
        "An event needs `event_name` (one of `movies_catalog_enriched`, `consumer_registration`, `sign_in`, ",
        "`deltamart schema --events`",
        "What to do: correct the file; or have all of it rejected",
    ] {
        assert!(text.contains(said), "`{said}` is missing: {text}");
    }
}

#[test]
fn what_a_schema_has_is_read_and_what_is_read_a_schema_has() {
    let names = FAMILY.names();
    let mut written = Vec::new();
    for page in FAMILY.pages() {
        let schema: Json = serde_json::from_str(page.topic.schema).expect("JSON");
        let key = format!("Key: {}.", page.key);
        assert!(schema["doc"].as_str().is_some_and(|doc| doc.contains(&key)), "{:?}: {key}", page.topic.name);
        let fields = schema["fields"].as_array().expect("fields");
        let fields: Vec<_> = fields.iter().map(|field| field["name"].as_str().expect("a name").to_owned()).collect();
        for field in &fields {
            assert!(names.sets().any(|set| names.find(set, field).is_some()), "`{field}` of {:?}", page.topic.name);
        }
        for field in sample(page.sample).keys() {
            assert!(fields.contains(field), "`{field}` is not in the schema of {:?}", page.topic.name);
        }
        written.extend(fields);
    }
    for name in names.all() {
        assert!(written.iter().any(|field| field == name), "`{name}` is in no schema");
    }
}

#[test]
fn a_reason_is_known_by_its_code_and_declared_once() {
    let all: Vec<_> = families::reasons().collect();
    assert!(all.len() >= 24 && reasons().count() >= 10);
    for reason in &all {
        assert_eq!(families::all().reason_of(reason.code()), Some(*reason));
        assert_eq!(all.iter().filter(|other| other.code() == reason.code()).count(), 1, "{reason:?}");
    }
    assert_eq!(families::all().reason_of("moonlight"), None);
}
