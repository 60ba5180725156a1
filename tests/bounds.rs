//! Everything has a bound: what is too long is rejected with its size and takes nothing with it, however small it
//! is packed; and whatever comes, every record is somewhere.

mod declared;
mod fuzz;
mod hostile;
mod memory;

use crate::cli::{deltamart, said};
use crate::support::table;
use dataflows::table::Value;
use deltamart::accept::accept;
use deltamart::bounds::{KEPT_BYTES_MAX, KEPT_RECORDS_MAX, TEXT_BYTES_MAX, TOGETHER_BYTES_MAX};
use deltamart::decode::Format;
use deltamart::decode::Reason;
use deltamart::decode::avro::{Schemas, Writer, header};
use deltamart::families::all;
use deltamart::rules::Rules;
use deltamart::sink::Stored;
use deltamart::sink::sqlite::Sqlite;
use std::path::Path;

/// A registration as a line; `domain` is that of its address.
pub fn registration(user: u64, domain: &str) -> String {
    format!(
        r#"{{"event_name":"consumer_registration","timestamp":"2026-01-05T10:00:00Z","user_id":{user},"age":30,"masked_email":"****@{domain}","preferred_language":""}}"#
    )
}

/// A sign-in as a line.
pub fn sign_in(user: u64) -> String {
    format!(r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":{user}}}"#)
}

/// Rejected rows of a warehouse: offset, reason, detail, and how many bytes were kept.
pub fn rejected(warehouse: &Path) -> Vec<(i64, String, String, usize)> {
    let mut sink = Sqlite::open_to_read(all(), warehouse).expect("opens");
    let rows = sink.page(table("rejected_events"), None, usize::MAX >> 1).expect("readable");
    let rows = rows.into_iter().map(|row| match &row[..] {
        [_, _, Value::Integer(offset), _, _, Value::Text(reason), Value::Text(detail), Value::Bytes(raw), _] => {
            (*offset, reason.clone(), detail.clone(), raw.len())
        }
        other => panic!("{other:?}"),
    });
    rows.collect()
}

fn catalog_line(fields: &str) -> Vec<u8> {
    format!(r#"{{"event_name":"movies_catalog_enriched","timestamp":"2026-01-05T10:00:00Z","item_id":"7",{fields}}}"#)
        .into_bytes()
}

/// A text as long as may be is taken as it is; one byte more, and the field is named with its size.
#[test]
fn a_text_is_taken_whole_or_not_at_all() {
    let judged = |payload: &[u8]| accept(&Format::Json(None), payload, &Rules::default(), i64::MAX);
    let text = |bytes: usize| "x".repeat(bytes);
    let domain = |bytes: usize| registration(1, &format!("{}.ge", text(bytes - 8))).into_bytes();
    assert!(judged(&domain(TEXT_BYTES_MAX)).is_ok());
    let refused = judged(&domain(TEXT_BYTES_MAX + 1)).expect_err("too long");
    assert_eq!(refused.reason, Reason::TOO_LONG);
    assert_eq!(refused.detail, "`masked_email` has 65537 bytes; expected at most 65536");
    let title = |bytes: usize| judged(&catalog_line(&format!(r#""title":"{}""#, text(bytes))));
    assert!(title(TEXT_BYTES_MAX).is_ok());
    assert_eq!(
        title(TEXT_BYTES_MAX + 1).expect_err("too long").detail,
        "`title` has 65537 bytes; expected at most 65536"
    );
    // Texts that are each short enough, and together are not.
    let actors = |count: usize, bytes: usize| {
        judged(&catalog_line(&format!(r#""actors":[{}]"#, vec![format!(r#""{}""#, text(bytes)); count].join(","))))
    };
    assert!(actors(3, TEXT_BYTES_MAX).is_ok());
    let refused = actors(5, TEXT_BYTES_MAX).expect_err("too long");
    assert_eq!(refused.reason, Reason::TOO_LONG);
    assert!(refused.detail.ends_with(&format!("bytes; expected at most {TOGETHER_BYTES_MAX}")), "{}", refused.detail);
    let refused = actors(1, TEXT_BYTES_MAX + 1).expect_err("too long");
    assert_eq!(refused.detail, "a text in `actors` has 65537 bytes; expected at most 65536");
    // A million of nothing.
    assert_eq!(actors(1_000_000, 0).expect_err("too long").reason, Reason::TOO_LONG);
}

/// Schemas and records that are made of themselves, and lengths that nothing can have: no stack overflows.
#[test]
fn recursion_has_an_end() {
    let schemas = Schemas::default();
    let format = Format::Avro("sign_in", schemas.clone());
    let judged = |schema: &str, datum: &[u8]| {
        schemas.insert(9, Writer::parse(schema));
        accept(&format, &[&header(9)[..], datum].concat(), &Rules::default(), 0).expect_err("no event").reason
    };
    let within = r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#;
    assert_eq!(judged(within, &[]), Reason::UNKNOWN_SCHEMA);
    let deep = r#"{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}"#;
    assert_eq!(judged(deep, &vec![2; 1 << 20]), Reason::UNDECODABLE);
    let lists = r#"{"type":"record","name":"R","fields":[{"name":"r","type":{"type":"array","items":"R"}}]}"#;
    assert_eq!(judged(lists, &vec![2; 1 << 20]), Reason::UNDECODABLE);
    let nested = format!("{}\"null\"{}", r#"{"type":"array","items":"#.repeat(100_000), "}".repeat(100_000));
    let nested = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"r","type":{nested}}}]}}"#);
    assert_eq!(judged(&nested, &[0]), Reason::UNKNOWN_SCHEMA);
}

/// Nor in what an operator writes.
#[test]
fn a_deep_configuration_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for deep in [
        "a=".to_owned() + &"[".repeat(100_000),
        format!("{}b=1", "a.".repeat(100_000)),
        "a=".to_owned() + &"{b=".repeat(100_000),
    ] {
        std::fs::write(folder.path().join("deep.toml"), deep).expect("writes");
        let (code, text) = said(&deltamart(folder.path(), &["check", "--config", "deep.toml"]));
        assert!(code == Some(2) && text.contains("deep.toml"), "{code:?}");
    }
}

/// Of very many rejected records of an epoch bytes are kept of the first ones, and each has its row. What is not kept is
/// not sent through again as if it were the record.
#[test]
fn of_a_flood_every_row_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = 3 * KEPT_RECORDS_MAX;
    let lines: Vec<_> = (1..=count).map(|n| if n == 7 { sign_in(1) } else { format!("nonsense {n}") }).collect();
    std::fs::write(folder.path().join("x.jsonl"), lines.join("\n") + "\n").expect("writes");
    let run = ["batch", "x.jsonl", "--warehouse", "w.db", "-w", "3"];
    assert_eq!(said(&deltamart(folder.path(), &run)).0, Some(0));
    let rows = rejected(&folder.path().join("w.db"));
    assert_eq!(rows.len(), count - 1);
    for (place, (offset, _, detail, kept)) in rows.iter().enumerate() {
        let bytes = format!("nonsense {offset}").len();
        let elsewhere = format!("; {bytes} bytes; the whole is in x.jsonl/0 at {offset}");
        assert_eq!(
            (*kept, detail.ends_with(&elsewhere)),
            if place < KEPT_RECORDS_MAX { (bytes, false) } else { (0, true) }
        );
        assert!(*kept <= KEPT_BYTES_MAX);
    }
    let replay = ["replay-rejected", "--out", "again.jsonl", "--warehouse", "w.db"];
    let (code, text) = said(&deltamart(folder.path(), &replay));
    assert!(code == Some(0) && text.contains("1,999 records are left: not kept as it came"), "{text}");
    let again = std::fs::read_to_string(folder.path().join("again.jsonl")).expect("written");
    assert_eq!(again.lines().count(), KEPT_RECORDS_MAX);
}
