//! Separated values as events of a model, by the program as it is used.

use crate::cli::{deltamart, said};
use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::Connection;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PLAYS: &str = "doc = \"One row per play.\"
time = \"at_time\"
person = \"listener\"
[columns]
at_time = { type = \"instant\", from = [\"at\", \"ts\"], doc = \"When it began, UTC.\" }
listener = { type = \"integer\", min = 1, doc = \"Who listened.\" }
title = { type = \"text\", empty = \"?\", doc = \"What was played.\" }
device = { type = \"text\", from = \"device.type\", case = \"lower\", null = true, doc = \"On what.\" }
paid = { type = \"money\", null = true, doc = \"What was paid, in dollars.\" }
is_trial = { type = \"boolean\", empty = false, doc = \"Whether it was a trial.\" }
";

const SQL: &str = "-- One row per title. Kept for ever.
SELECT title,            -- What was played.
       count(*) AS plays -- How often.
FROM plays GROUP BY title";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("model")).expect("makes it");
    put(folder.path(), "model/plays.toml", PLAYS);
    put(folder.path(), "model/plays_by_title.sql", SQL);
    folder
}

fn put(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), text).expect(name);
}

fn says(folder: &Path, expected: i32, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(expected), "{arguments:?}:\n{text}");
    text
}

/// The rows of a query, each as its values behind each other.
fn rows(folder: &Path, warehouse: &str, sql: &str) -> Vec<String> {
    let connection = Connection::open(folder.join(warehouse)).expect("opens");
    let mut statement = connection.prepare(sql).expect(sql);
    let rows = statement.query_map([], |row| row.get(0)).expect("reads");
    rows.collect::<Result<_, _>>().expect("rows")
}

const ALL: &str = "SELECT concat_ws('|', _offset, substr(at_time, 12, 5), listener, title, coalesce(device, '-'), \
                   coalesce(paid, '-'), is_trial) FROM plays ORDER BY _topic, _offset";

/// The same values, in whatever they stand: commas, tabs or semicolons, a mark before them, packed, with other line ends.
#[test]
fn values_are_read_by_the_names_of_the_header() {
    let lines = [
        "paid,at,listener,extra,title,device.type,is_trial",
        "3.99,2026-01-05T10:00:00Z,1,x,\"Metropolis, restored\",TV,",
        "",
        ",1767607260000,2,,\"two\nlines of \"\"text\"\"\",,true",
        ",2026-01-05 10:02:00,\"3\",,,web,0",
    ];
    let text = lines.join("\n") + "\n";
    let expected = [
        "2|10:00|1|Metropolis, restored|tv|3.99|0",
        "4|10:01|2|two\nlines of \"text\"|-|-|1",
        // The record before it has two lines.
        "6|10:02|3|?|web|-|0",
    ];
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("packs");
    let tabs =
        text.replace("\"Metropolis, restored\"", "Metropolis\u{1}restored").replace(',', "\t").replace('\u{1}', ", ");
    let wide: Vec<u8> = format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let crlf = text.replace("two\nlines", "two\u{1}lines").replace('\n', "\r\n").replace('\u{1}', "\n");
    for (name, bytes) in [
        ("plays.csv", text.clone().into_bytes()),
        ("PLAYS.CSV.gz", packed.finish().expect("packs")),
        ("plays.tsv", tabs.into_bytes()),
        ("crlf.csv", crlf.into_bytes()),
        (
            "semicolons.csv",
            text.replace("\"Metropolis, restored\"", "\"Metropolis\u{1} restored\"")
                .replace(',', ";")
                .replace('\u{1}', ",")
                .into_bytes(),
        ),
        ("marked.csv", format!("\u{FEFF}{text}").into_bytes()),
        ("wide.csv", wide),
    ] {
        let folder = folder();
        put(folder.path(), name, bytes);
        let text = says(folder.path(), 0, &["run", name]);
        assert!(text.contains("3 records") && text.contains("0 rejected"), "{name}: {text}");
        assert_eq!(rows(folder.path(), "deltamart.db", ALL), expected, "{name}");
        says(folder.path(), 0, &["verify"]);
    }
}

/// What cannot be read is rejected, with its line, and what is around it is not.
#[test]
fn records_that_do_not_fit_the_header_are_rejected() {
    let folder = folder();
    let at = folder.path();
    let text = "at,listener,title\n\
                2026-01-05,1,a\n\
                2026-01-05,1\n\
                2026-01-05,1,a,b\n\
                2026-01-05,x,a\n\
                2026-01-05,,a\n\
                2026-01-05,0,jane@mail.example\n\
                2026-01-05,2,5\" record\n\
                2026-01-05,2,\"a\"b\n\
                2026-01-05,3,\"never closed\n\
                2026-01-05,4,a\n";
    put(at, "plays.csv", [text.as_bytes()].concat());
    let text = says(at, 0, &["run", "plays=plays.csv"]);
    // Its end may still come; a file that is whole has none.
    assert!(text.contains("line 10 of `plays.csv` has no line end yet"), "{text}");
    says(at, 0, &["batch", "plays=plays.csv", "--warehouse", "batch.db"]);
    let said = [
        "3 undecodable no event as separated values: it has 2 values, and the header has 3",
        "4 undecodable no event as separated values: it has 4 values, and the header has 3",
        "5 bad_number `listener` is the text \"x\"; expected a whole number",
        "6 missing_field `listener` is missing: its value is empty",
        "7 out_of_range `listener` is the text \"0\"; expected 1 or more",
        "10 undecodable no event as separated values: the text of `title` begins with a quote and has no quote at its end",
    ];
    for (warehouse, count) in [("deltamart.db", 5), ("batch.db", 6)] {
        let accepted = rows(at, warehouse, "SELECT listener || ' ' || title FROM plays ORDER BY _offset");
        assert_eq!(accepted, ["1 a", "2 5\" record", "2 ab"]);
        let sql = "SELECT _offset || ' ' || reason || ' ' || detail FROM rejected_events ORDER BY _offset";
        let rejected = rows(at, warehouse, sql);
        assert_eq!(rejected.len(), count, "{rejected:?}");
        for (rejected, said) in rejected.iter().zip(said) {
            assert!(rejected.starts_with(said), "{rejected}");
        }
    }
    // What is kept can be read without the header, and no address is kept.
    let raw = rows(
        at,
        "deltamart.db",
        "SELECT CAST(raw AS TEXT) FROM rejected_events WHERE _offset IN (3, 5, 7) ORDER BY _offset",
    );
    assert_eq!(
        raw,
        [
            "2026-01-05,1",
            r#"{"at":"2026-01-05","listener":"x","title":"a"}"#,
            r#"{"at":"2026-01-05","listener":"0","title":"****@mail.example"}"#
        ]
    );
    // Sent through again, it is a line of JSON.
    says(at, 0, &["replay-rejected", "--reason", "bad_number", "--out", "again.jsonl"]);
    let again = std::fs::read_to_string(at.join("again.jsonl")).expect("written").replace("\"x\"", "\"9\"");
    put(at, "again.jsonl", again);
    says(at, 0, &["run", "plays=plays.csv", "plays=again.jsonl"]);
    assert_eq!(rows(at, "deltamart.db", "SELECT title FROM plays WHERE listener = 9"), ["a"]);
    says(at, 0, &["verify"]);
}

/// A header that says too little is refused before anything is read.
#[test]
fn a_header_must_name_what_the_events_need() {
    let folder = folder();
    let at = folder.path();
    for (name, text, whys) in [
        (
            "near.csv",
            "at,listner,title\n2026-01-05,1,a\n",
            &[
                "file `near.csv`: its header does not name the field `listener`",
                "did you mean `listner`?",
                "at, listner, title",
            ][..],
        ),
        ("none.csv", "listener,title\n1,a\n", &["the field `at` or `ts`, which column `at_time` of `plays` needs"]),
        ("no-header.csv", "2026-01-05,1,a\n2026-01-06,1,b\n", &["does not name the field `at` or `ts`"]),
        ("twice.csv", "at,listener,at\n2026-01-05,1,2026-01-05\n", &["names `at` twice"]),
        ("open.csv", "at,\"listener\n2026-01-05,1\n", &["its name 2 has no quote at its end"]),
    ] {
        put(at, name, text);
        for command in ["run", "batch"] {
            let text = says(at, 2, &[command, name]);
            assert!(whys.iter().all(|why| text.contains(why)), "{command} {name}: {text}");
        }
    }
    assert!(!at.join("deltamart.db").exists(), "nothing was made");
    // A shop reads no separated values, and of two families one must be said.
    put(at, "good.csv", "at,listener\n2026-01-05,1\n");
    let text = says(at, 2, &["run", "shop=good.csv"]);
    assert!(text.contains("reads lines of JSON"), "{text}");
    put(at, "model/other.toml", PLAYS);
    let text = says(at, 2, &["run", "good.csv"]);
    assert!(
        text.contains("name it with the file, such as `other=good.csv`") && text.contains("other, plays"),
        "{text}"
    );
    says(at, 0, &["run", "plays=good.csv"]);
    // A header alone is no record yet.
    put(at, "empty.csv", "at,listener\n");
    let text = says(at, 0, &["run", "plays=good.csv", "plays=empty.csv"]);
    assert!(text.contains("`empty.csv` has a header and no record"), "{text}");
    put(at, "bad.csv", "at,listener\nx,1\ny,1\n");
    let text = says(at, 3, &["run", "plays=good.csv", "plays=bad.csv"]);
    assert!(text.contains("none of the first 2 records of file `bad.csv` is valid"), "{text}");
    assert!(text.contains("`deltamart explain plays`"), "{text}");
}

/// A file that grows goes on where it was, and files of one header are not copies of each other.
#[test]
fn a_file_goes_on_where_it_was() {
    let folder = folder();
    let at = folder.path();
    let day = |day: u32, listeners: std::ops::Range<u32>| -> String {
        listeners.map(|who| format!("2026-01-{day:02},{who},\"of day {day},\nand {who}\"\n")).collect()
    };
    let header = "at,listener,title\n";
    put(at, "a.csv", format!("{header}{}2026-01-05,99,cut", day(5, 1..4)));
    let text = says(at, 0, &["run", "a.csv"]);
    assert!(text.contains("line 8 of `a.csv` has no line end yet"), "{text}");
    put(at, "a.csv", format!("{header}{}2026-01-05,99,cut off\n{}", day(5, 1..4), day(5, 4..6)));
    put(at, "b.csv", format!("{header}{}", day(6, 1..3)));
    says(at, 0, &["run", "a.csv", "b.csv", "-w", "2"]);
    assert_eq!(rows(at, "deltamart.db", "SELECT count(*) || ' ' || max(_offset) FROM plays"), ["8 11"]);
    says(at, 0, &["run", "a.csv", "b.csv"]);
    says(at, 0, &["verify"]);
    assert_eq!(rows(at, "deltamart.db", "SELECT count(*) || '' FROM plays"), ["8"]);
    says(at, 0, &["run", "a.csv", "b.csv", "--rebuild"]);
    assert_eq!(rows(at, "deltamart.db", "SELECT count(*) || '' FROM plays"), ["8"]);
    // A line that was read and is another now is another file.
    put(at, "b.csv", format!("{header}{}", day(7, 1..3)));
    says(at, 2, &["run", "a.csv", "b.csv"]);
}

/// The real head of a month, where it is.
pub fn real_events() -> Option<PathBuf> {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/rees46_multi/2019-Oct_head.csv");
    if !csv.exists() {
        // Not `println!`: the harness keeps what a passing test prints to itself.
        writeln!(std::io::stderr(), "skipped: the events of the store are not at `{}`", csv.display()).expect("stderr");
        return None;
    }
    Some(csv)
}

/// The real head of a month: what is read of separated values is what is read of lines of JSON.
#[test]
fn the_real_events_of_a_store_are_the_same_from_both() {
    let Some(csv) = real_events() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::create_dir(at.join("model")).expect("makes it");
    put(at, "model/store_events.toml", include_str!("../model/store/store_events.toml"));
    put(at, "model/daily_revenue.sql", include_str!("../model/store/daily_revenue.sql"));
    let (mut lines, mut records) =
        (Vec::new(), ::csv::ReaderBuilder::new().flexible(true).from_path(&csv).expect("opens"));
    let header = records.headers().expect("a header").clone();
    for record in records.records() {
        let record = record.expect("a record");
        // The last one is cut.
        if record.len() < header.len() {
            lines.extend(record.iter().next().expect("a value").bytes());
        } else {
            let fields = header.iter().zip(record.iter()).map(|(name, value)| (name.to_owned(), value.into()));
            let object: serde_json::Map<String, serde_json::Value> = fields.collect();
            serde_json::to_writer(&mut lines, &object).expect("an object");
        }
        lines.push(b'\n');
    }
    put(at, "head.jsonl", lines);
    let csv = csv.to_str().expect("a name");
    for (file, warehouse) in [(csv, "csv.db"), ("head.jsonl", "json.db")] {
        let text = says(at, 0, &["batch", &format!("store_events={file}"), "--warehouse", warehouse]);
        assert!(text.contains("1 rejected"), "{text}");
        assert_eq!(rows(at, warehouse, "SELECT count(*) || '' FROM store_events"), ["17434"], "{file}");
        says(at, 0, &["verify", "--warehouse", warehouse]);
    }
    let all = "SELECT concat_ws('|', event_type, event_time, product_id, category_id, category_code, brand, price, user_id, \
               user_session) FROM store_events ORDER BY _offset";
    assert!(rows(at, "csv.db", all) == rows(at, "json.db", all), "the same rows");
    let revenue = "SELECT concat_ws('|', day, revenue, units, buyers) FROM daily_revenue";
    assert_eq!(rows(at, "csv.db", revenue), rows(at, "json.db", revenue));
    assert_eq!(rows(at, "csv.db", "SELECT printf('%.2f', sum(revenue)) FROM daily_revenue"), ["59442.63"]);
    let rejected = "SELECT _offset || ' ' || reason FROM rejected_events";
    assert_eq!(rows(at, "csv.db", rejected), ["17436 undecodable"]);
}

/// What `declare` prints of separated values is a model that reads them.
#[test]
fn separated_values_are_declared_by_a_sample() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::create_dir(at.join("model")).expect("makes it");
    let text = "event_time,kind,user_id,zip,price,score,device.type,is_new,note\n\
                2026-01-05 10:00:00,view,7,0012,1.50,1.250,tv,true,\"a, b\"\n\
                2026-01-05 10:01:00,cart,8,0013,2,2,web,false,\n\
                2026-01-05 10:02:00,view\n\
                2026-01-05 10:02:00,view,8,0013,-1.00,1.5,tv,true,c\n";
    put(at, "clicks.csv", text);
    let text = says(at, 0, &["declare", "clicks.csv"]);
    for said in [
        "event_time = { type = \"instant\"",
        "kind = { type = \"text\"",
        "user_id = { type = \"integer\", min = 1",
        "zip = { type = \"text\"",
        "price = { type = \"money\", doc = \"Field price.\" }   # -1.00 to 2.00",
        "score = { type = \"decimal\"",
        "device_type = { type = \"text\", from = \"device.type\"",
        "is_new = { type = \"boolean\"",
        "note = { type = \"text\", null = true",
        "time = \"event_time\"",
        "person = \"user_id\"",
        "1 line is no record",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
    put(
        at,
        "model/clicks.toml",
        text.lines().filter(|line| !line.contains("no record")).collect::<Vec<_>>().join("\n"),
    );
    says(at, 0, &["check"]);
    let text = says(at, 0, &["run", "clicks.csv"]);
    assert!(text.contains("4 records") && text.contains("1 rejected"), "{text}");
}
