//! Records that nobody means well with: each is rejected for what it is, and those before and after it are accepted.

use super::{registration, rejected, sign_in};
use crate::cli::{deltamart, said};
use crate::lines::signed_in;
use deltamart::bounds::KEPT_BYTES_MAX;
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;

const MIB: usize = 1 << 20;

/// What it is, the line, and the reason that it is rejected for; none if it is an event all the same.
fn lines() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let event = |rest: String| {
        format!(r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":999,{rest}}}"#).into_bytes()
    };
    let keys = |count: usize| (0..count).map(|n| format!(r#""{n}":1"#)).collect::<Vec<_>>().join(",");
    let item = |rest: String| {
        format!(r#"{{"event_name":"movies_catalog_enriched","timestamp":"2026-01-05T10:00:00Z","item_id":"7",{rest}}}"#)
            .into_bytes()
    };
    let closed = |open: &str, close: &str, depth: usize| [open.repeat(depth), close.repeat(depth)].concat();
    vec![
        ("open brackets", b"[".repeat(100_000), Some("undecodable")),
        ("open brackets in an object", [&b"{\"a\":"[..], &b"[".repeat(100_000)].concat(), Some("undecodable")),
        ("open braces", br#"{"a":"#.repeat(100_000), Some("undecodable")),
        ("nested lists", event(format!(r#""a":{}"#, closed("[", "]", 100_000))), None),
        ("nested objects", event(format!(r#""a":{}0{}"#, r#"{"a":"#.repeat(50_000), "}".repeat(50_000))), None),
        (
            "nested where a value is read",
            event(format!(r#""timestamp":{}"#, closed("[", "]", 100_000))),
            Some("duplicate_field"),
        ),
        (
            "a nested id",
            format!(
                r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":{}}}"#,
                closed("[", "]", 100_000)
            )
            .into_bytes(),
            Some("wrong_type"),
        ),
        ("a million keys", format!("{{{}}}", keys(1_000_000)).into_bytes(), Some("too_long")),
        ("300,000 keys", format!("{{{}}}", keys(300_000)).into_bytes(), Some("missing_field")),
        ("an event among 300,000 keys", event(keys(300_000)), None),
        ("a huge name", event(format!(r#""{}":1"#, "k".repeat(2 * MIB))), None),
        ("a huge text", registration(998, &"a".repeat(3 * MIB)).into_bytes(), Some("too_long")),
        ("a huge text of escapes", registration(998, &r"\u0061".repeat(500_000)).into_bytes(), Some("too_long")),
        (
            "a huge number",
            format!(
                r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":{}}}"#,
                "9".repeat(3 * MIB)
            )
            .into_bytes(),
            Some("undecodable"),
        ),
        (
            "a huge name of an event",
            format!(r#"{{"event_name":"{}"}}"#, "x".repeat(3 * MIB)).into_bytes(),
            Some("too_long"),
        ),
        (
            "a huge time",
            format!(r#"{{"event_name":"sign_in","timestamp":"{}","user_id":1}}"#, "1".repeat(3 * MIB)).into_bytes(),
            Some("too_long"),
        ),
        ("at signs", b"@".repeat(4 * MIB), Some("undecodable")),
        ("quotes", [&b"{"[..], &b"\"".repeat(4 * MIB - 1)].concat(), Some("undecodable")),
        (
            "a list of a million empty texts",
            item(format!(r#""actors":[{}]"#, vec![r#""""#; 1_000_000].join(","))),
            Some("too_long"),
        ),
        (
            "200,000 attributes",
            item(format!(
                r#""attributes":{{{}}}"#,
                (0..200_000).map(|n| format!(r#""{n}":[]"#)).collect::<Vec<_>>().join(",")
            )),
            Some("too_long"),
        ),
        ("zeros", vec![0; 5 * MIB], Some("too_long")),
        ("blanks, and something behind", [vec![b' '; 5 * MIB], b"{}x".to_vec()].concat(), Some("too_long")),
        ("a long event", event(format!(r#""a":"{}""#, "x".repeat(5 * MIB))), Some("too_long")),
        ("half of a long event", event(format!(r#""a":"{}"#, "x".repeat(5 * MIB))), Some("too_long")),
    ]
}

#[test]
fn hostile_records_are_rejected_and_their_neighbours_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines();
    let mut text = Vec::new();
    for (n, (_, hostile, _)) in (0..).zip(&lines) {
        text.extend([sign_in(n + 1).as_bytes(), b"\n", hostile, b"\n"].concat());
    }
    text.extend([sign_in(lines.len() as u64 + 1).as_bytes(), b"\n"].concat());
    std::fs::write(folder.path().join("x.jsonl.gz"), crate::lines::gzip(&text)).expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["run", "x.jsonl.gz", "--warehouse", "w.db"]));
    assert_eq!(code, Some(0), "{text}");
    let warehouse = folder.path().join("w.db");
    let rejected = rejected(&warehouse);
    for (n, (what, hostile, reason)) in (0_i64..).zip(&lines) {
        let row = rejected.iter().find(|(offset, ..)| *offset == 2 * n + 2);
        assert_eq!(row.map(|(_, reason, ..)| reason.as_str()), *reason, "{what}: {row:?}");
        let Some((offset, _, detail, kept)) = row else { continue };
        assert_eq!(*kept, KEPT_BYTES_MAX, "{what}");
        let elsewhere = format!("; {} bytes; the whole is in x.jsonl.gz/0 at {offset}", hostile.len());
        assert!(detail.ends_with(&elsewhere) && detail.len() < 1_000, "{what}: {detail}");
    }
    let good: Vec<_> = (1..=lines.len() + 1).map(|n| n.to_string()).collect();
    let users = signed_in(&warehouse);
    let users: Vec<_> = users.split(',').filter(|user| *user != "999").collect();
    assert_eq!(users, good);
}

#[test]
fn hostile_items_are_rejected_and_their_neighbours_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let items: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a million items on a line", "ITEM 1 Title=A ".repeat(1_000_000).into_bytes(), "too_long"),
        ("a long value", format!("ITEM 2\nTitle={}", "x".repeat(70_000)).into_bytes(), "too_long"),
        ("a long name", format!("ITEM 3\n{}=x", "x".repeat(70_000)).into_bytes(), "too_long"),
        ("many values", format!("ITEM 4\n{}", "Actor=A\n".repeat(100_000)).into_bytes(), "too_long"),
        (
            "many names",
            format!("ITEM 5\n{}", (0..100_000).map(|n| format!("{n}=A\n")).collect::<String>()).into_bytes(),
            "too_long",
        ),
        ("a long line", [&b"ITEM 6\nTitle="[..], &vec![b'x'; 9 * MIB], b"\nListPrice=1USD$0.01"].concat(), "too_long"),
        ("zeros", [&b"ITEM 7\n"[..], &vec![0; 9 * MIB]].concat(), "too_long"),
    ];
    let mut text = b"ITEM 1000\nTitle=first\n".to_vec();
    for (n, (_, hostile, _)) in items.iter().enumerate() {
        text.extend([hostile, format!("\nITEM {}\nTitle=good\n", 1001 + n).as_bytes()].concat());
    }
    std::fs::write(folder.path().join("Movies.txt.gz"), crate::lines::gzip(&text)).expect("writes");
    let (code, said) = said(&deltamart(folder.path(), &["catalog", "Movies.txt.gz", "--warehouse", "w.db"]));
    assert_eq!(code, Some(0), "{said}");
    let warehouse = folder.path().join("w.db");
    let reasons: Vec<_> =
        rejected(&warehouse).into_iter().map(|(_, reason, detail, kept)| (reason, detail, kept)).collect();
    assert_eq!(reasons.len(), items.len(), "{reasons:?}");
    for ((what, hostile, reason), (found, detail, kept)) in items.iter().zip(&reasons) {
        assert_eq!((found.as_str(), *kept), (*reason, KEPT_BYTES_MAX), "{what}: {detail}");
        // Whether the last line end belongs to it is nobody's business here.
        let sizes = [hostile.len(), hostile.len() + 1].map(|bytes| format!("; {bytes} bytes; the whole is in"));
        assert!(sizes.iter().any(|size| detail.contains(size)), "{what}: {detail}");
    }
    let sink = Sqlite::open_to_read(all(), &warehouse).expect("opens");
    let sql =
        "SELECT group_concat(item_id) FROM (SELECT item_id FROM movies_catalog ORDER BY CAST(item_id AS INTEGER))";
    let found: String = sink.connection().query_row(sql, [], |row| row.get(0)).expect("one value");
    let good: Vec<_> = (1000..=1000 + items.len()).map(|n| n.to_string()).collect();
    assert_eq!(found, good.join(","));
}
