//! What programs that call it see: exit codes, the last line as JSON; and what may be given to be read.

use crate::cli::{data, deltamart, said};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn register(user_id: u32, language: &str) -> String {
    json!({
        "event_name": "consumer_registration", "timestamp": "2026-01-05T09:58:12Z", "user_id": user_id, "age": 34,
        "masked_email": "****@mail.example", "preferred_language": language,
    })
    .to_string()
        + "\n"
}

/// Ten records, so many of which are rejected.
fn ten(rejected: u32) -> String {
    (1..=10).map(|user| register(user, if user <= rejected { "???" } else { "eng" })).collect()
}

/// The exit code, and the one line of standard output, which is JSON.
fn last_line(output: &Output) -> (Option<i32>, Value) {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    let last = text.lines().last().unwrap_or_default();
    let line = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}\n{:?}", said(output)));
    (output.status.code(), line)
}

fn json_of(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    last_line(&deltamart(folder, &[arguments, &["--json"]].concat()))
}

/// With something on standard input.
fn fed(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_deltamart"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // One that refuses reads nothing of it.
    child.stdin.take().expect("a pipe").write_all(input).ok();
    child.wait_with_output().expect("ends")
}

#[test]
fn the_last_line_says_what_was_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("events.jsonl"), ten(2)).expect("writes");
    let (code, line) = json_of(folder, &["run", "events.jsonl"]);
    assert_eq!(code, Some(0));
    for (fact, value) in [
        ("command", json!("run")),
        ("exit_code", json!(0)),
        ("news", json!(true)),
        ("records", json!(10)),
        ("rejected", json!(2)),
        ("rejected_by_reason", json!({ "unknown_language": 2 })),
        ("files", json!(1)),
        ("late", json!(0)),
        ("stopped", json!(false)),
    ] {
        assert_eq!(line[fact], value, "{fact}: {line}");
    }
    assert!(line["epoch"].as_u64() > Some(0) && line["seconds"].as_f64() > Some(0.0), "{line}");
    // Again there is nothing new, which a scheduler may ask to be told by a code.
    let output = deltamart(folder, &["run", "events.jsonl", "--json", "--nothing-new-code", "99"]);
    let (code, line) = last_line(&output);
    assert_eq!((code, &line["news"], &line["exit_code"]), (Some(99), &json!(false), &json!(99)), "{line}");
    assert!(said(&output).1.contains("nothing new"), "{output:?}");
    assert_eq!(deltamart(folder, &["run", "events.jsonl"]).status.code(), Some(0));
    let (code, line) = json_of(folder, &["verify"]);
    assert_eq!((code, &line["differ"]), (Some(0), &json!(0)), "{line}");
    assert_eq!(line["tables"]["users"]["rows"], json!(8), "{line}");
    let (code, line) = json_of(folder, &["replay-rejected", "--out", "again.jsonl"]);
    assert_eq!((code, &line["written"], &line["news"]), (Some(0), &json!(2), &json!(true)), "{line}");
    let (code, line) = json_of(folder, &["forget", "3"]);
    assert_eq!((code, &line["news"]), (Some(0), &json!(true)), "{line}");
    assert!(line["rows"].as_u64() > Some(0), "{line}");
    let (code, line) = json_of(folder, &["simulate", "--out", "shop", "--events", "50", "--items", "5"]);
    assert_eq!((code, &line["records"], &line["items"]), (Some(0), &json!(50), &json!(5)), "{line}");
    let batch = ["batch", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", "b.db"];
    let (code, line) = json_of(folder, &batch);
    assert_eq!((code, &line["news"], &line["files"]), (Some(0), &json!(true), &json!(2)), "{line}");
    let (code, line) = json_of(folder, &[&batch[..], &["--nothing-new-code", "7"]].concat());
    assert_eq!((code, &line["news"]), (Some(7), &json!(false)), "{line}");
}

#[test]
fn what_fails_and_what_is_refused_is_said_in_the_last_line_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("noise"), [0x9b, 0xff, 0x01, 0xfe].repeat(500)).expect("writes");
    std::fs::write(folder.join("words.txt"), "\n\nno item\nat all\n").expect("writes");
    std::fs::write(folder.join("empty.jsonl"), "\n\n").expect("writes");
    std::fs::write(folder.join("bad.jsonl"), ten(10)).expect("writes");
    for (arguments, code, said) in [
        (&["run", "gone.jsonl"][..], 1, "gone.jsonl"),
        (&["batch"], 2, "nothing to compute from"),
        (&["run", "bad.jsonl"], 3, "none of the first 10 records"),
        (&["catalog", "words.txt"], 3, "does not begin an item"),
        (&["verify"], 1, "deltamart.db"),
    ] {
        let (is, line) = json_of(folder, arguments);
        assert_eq!((is, &line["exit_code"], &line["news"]), (Some(code), &json!(code), &json!(false)), "{line}");
        assert!(line["error"].as_str().is_some_and(|error| error.contains(said)), "{arguments:?}: {line}");
    }
    let (code, line) = json_of(folder, &["run", "--wrong"]);
    assert!(code == Some(2) && line["error"].as_str().is_some_and(|why| why.contains("no flag `--wrong`")), "{line}");
    let (_, text) = self::said(&deltamart(folder, &["run", "--kafka", "a:1"]));
    assert_eq!(
        text,
        "deltamart: `deltamart run` has no flag `--kafka`; did you mean `--brokers`?\nMore: `deltamart run --help`\n"
    );
    let (code, text) = self::said(&deltamart(folder, &["catalog", "noise"]));
    assert!(matches!(code, Some(2 | 3)), "{code:?} {text}");
    // An empty log is no mistake.
    std::fs::write(folder.join("none.jsonl"), "").expect("writes");
    std::fs::write(folder.join("cut.jsonl"), register(1, "eng").trim_end()).expect("writes");
    for (name, said) in [
        ("none.jsonl", "`none.jsonl` is empty\n"),
        ("cut.jsonl", "the first line of `cut.jsonl` has no line end yet"),
        ("empty.jsonl", "nothing new: 0 records were read\n"),
    ] {
        let (code, text) = self::said(&deltamart(folder, &["run", name, "--warehouse", "e.db"]));
        assert!(code == Some(0) && text.contains(said) && !text.contains("what it says"), "{text}");
    }
    let (code, line) = json_of(folder, &["run", "empty.jsonl"]);
    assert_eq!((code, &line["news"], &line["records"]), (Some(0), &json!(false), &json!(0)), "{line}");
    assert_eq!(json_of(folder, &["run", "bad.jsonl", "--accept-rejects", "--warehouse", "x.db"]).0, Some(0));
}

#[test]
fn more_rejected_than_may_be_is_a_code_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("events.jsonl"), ten(2)).expect("writes");
    for (command, limit, code) in
        [("run", "1", 3), ("run", "2", 0), ("batch", "19.9%", 3), ("batch", "20%", 0), ("run", "0", 3)]
    {
        let warehouse = format!("{command}-{limit}.db");
        let output = deltamart(folder, &[command, "events.jsonl", "--max-rejected", limit, "--warehouse", &warehouse]);
        let (is, text) = said(&output);
        assert_eq!(is, Some(code), "{command} {limit}: {text}");
        let see = format!(
            "2 of 10 records were rejected, and `--max-rejected` is {limit}. What was accepted is committed; see "
        );
        assert_eq!(code == 3, text.contains(&see), "{text}");
        assert_eq!(code == 3, text.contains(&format!("show rejected_events --warehouse {warehouse}`")), "{text}");
        // What was accepted is there all the same.
        assert_eq!(json_of(folder, &["verify", "--warehouse", &warehouse]).1["tables"]["users"]["rows"], json!(8));
    }
}

#[test]
fn thresholds_of_status_are_a_code_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("events.jsonl"), ten(0)).expect("writes");
    assert_eq!(deltamart(folder, &["run", "events.jsonl"]).status.code(), Some(0));
    assert_eq!(deltamart(folder, &["status", "--max-freshness", "1s"]).status.code(), Some(0));
    let (code, text) = said(&deltamart(folder, &["status", "--max-unheard", "1h"]));
    assert!(code == Some(4) && text.contains("the run ended at"), "{code:?} {text}");
    let output = deltamart(folder, &["status", "--json", "--max-unheard", "1h"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["pipeline_id"].is_string());
    for (position, why) in [
        ("ev.jsonl=6", "expected a position such as `ev.jsonl/0=6`"),
        ("evnts.jsonl/0=3001", "nothing is read from a partition `evnts.jsonl/0`; did you mean `events.jsonl/0`?"),
    ] {
        let (code, text) = said(&deltamart(folder, &["status", "--wait-for", position]));
        assert!(code == Some(2) && text.contains(why), "{code:?} {text}");
    }
    let (code, text) = said(&deltamart(folder, &["status", "--wait-for", "events.jsonl/0=11"]));
    assert!(code == Some(0) && text.contains("events.jsonl/0: next line 11\n"), "{code:?} {text}");
    // Of several positions all are waited for.
    for (last, is, said_so) in
        [("2", 0, "next line 11\n"), ("12", 1, "has not come to events.jsonl/0=2,events.jsonl/0=12")]
    {
        let positions = format!("events.jsonl/0=2,events.jsonl/0={last}");
        let (code, text) = said(&deltamart(folder, &["status", "--wait-for", &positions, "--timeout", "0"]));
        assert!(code == Some(is) && text.contains(said_so), "{code:?} {text}");
    }
    let (code, text) = said(&deltamart(folder, &["status", "--wait-for", "events.jsonl/0=12", "--timeout", "0"]));
    assert!(code == Some(1) && text.contains("has not come to events.jsonl/0=12 within 0 s"), "{code:?} {text}");
    let (code, text) = said(&deltamart(folder, &["status", "--max-unheard", "soon"]));
    assert!(code == Some(2) && text.contains("`--max-unheard soon`"), "{code:?} {text}");
}

/// Five of ten lines are nonsense: what is asked for is said by the log once, and by `status` for as long as it is so.
#[test]
fn too_few_valid_records_are_a_warning_and_a_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("events.jsonl"), ten(5)).expect("writes");
    for (min_valid, is_crossed) in [("0", false), ("0.5", false), ("0.51", true)] {
        let (warehouse, set) = (format!("w{min_valid}.db"), format!("quality.min_valid={min_valid}"));
        let said_of = |command: &[&str]| {
            let arguments = [command, &["--warehouse", &warehouse, "--set", &set]].concat();
            said(&deltamart(folder, &arguments))
        };
        let (code, text) = said_of(&["run", "events.jsonl"]);
        let complaint = "`events.jsonl`: 5 of 10 records of the hour from ";
        assert_eq!((code, text.matches(complaint).count()), (Some(0), usize::from(is_crossed)), "{text}");
        let (code, text) = said_of(&["status", "quality"]);
        assert_eq!(code, Some(if is_crossed { 4 } else { 0 }), "{text}");
        assert_eq!(text.contains(complaint), is_crossed, "{text}");
        assert!(
            text.contains("           events.jsonl: 5 of 10 records rejected, 0 late, in the hour from "),
            "{text}"
        );
    }
    // A batch knows no hour in which its records came.
    assert_eq!(deltamart(folder, &["batch", "events.jsonl", "--warehouse", "b.db"]).status.code(), Some(0));
    let rows = |warehouse: &str| {
        let sql = "SELECT topic, accepted, rejected, late, share_valid FROM quality";
        String::from_utf8(deltamart(folder, &["sql", sql, "--warehouse", warehouse, "--format", "csv"]).stdout)
    };
    assert_eq!(rows("w0.db").expect("text"), "topic,accepted,rejected,late,share_valid\nevents.jsonl,5,5,0,0.5000\n");
    assert_eq!(rows("b.db").expect("text"), "topic,accepted,rejected,late,share_valid\n");
}

#[test]
fn folders_and_patterns_stand_for_their_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::create_dir(folder.join("logs")).expect("makes it");
    for (n, name) in ["b.jsonl", "a.ndjson", "notes.md"].iter().enumerate() {
        let text = if n == 2 { "# nothing\n".to_owned() } else { register(n as u32 + 1, "eng") };
        std::fs::write(folder.join("logs").join(name), text).expect("writes");
    }
    let output = deltamart(folder, &["run", "logs", "--json"]);
    let (code, line) = last_line(&output);
    assert_eq!((code, &line["records"], &line["files"]), (Some(0), &json!(2), &json!(2)), "{line}");
    assert!(said(&output).1.contains("`notes.md` is not read"), "{output:?}");
    let (code, line) = json_of(folder, &["batch", "logs/*.*j*", "--warehouse", "b.db"]);
    assert_eq!((code, &line["records"]), (Some(0), &json!(2)), "{line}");
    let (code, text) = said(&deltamart(folder, &["batch", "logs/*.csv"]));
    assert!(code == Some(2) && text.contains("no file matches this pattern"), "{text}");
}

#[test]
fn standard_input_is_read_where_it_need_not_be_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (code, line) = last_line(&fed(folder, &["batch", "-", "--warehouse", "b.db", "--json"], ten(1).as_bytes()));
    assert_eq!((code, &line["records"], &line["rejected"]), (Some(0), &json!(10), &json!(1)), "{line}");
    let shown = deltamart(folder, &["show", "rejected_events", "--warehouse", "b.db"]);
    assert!(said(&shown).1.contains("stdin"), "{shown:?}");
    let movies = std::fs::read(data("Movies.txt")).expect("it is shipped");
    let (code, line) = last_line(&fed(folder, &["catalog", "-", "--warehouse", "c.db", "--json"], &movies));
    assert_eq!((code, &line["news"]), (Some(0), &json!(true)), "{line}");
    let (code, line) = last_line(&fed(folder, &["run", "-", "--warehouse", ":memory:", "--json"], ten(0).as_bytes()));
    assert_eq!((code, &line["records"]), (Some(0), &json!(10)), "{line}");
    let (code, text) = said(&fed(folder, &["run", "-"], ten(0).as_bytes()));
    assert!(code == Some(2) && text.contains("cannot be read again after a crash"), "{text}");
    assert!(!folder.join("deltamart.db").exists(), "nothing was made");
}

#[test]
fn completions_know_each_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, text) = said(&deltamart(folder.path(), &["completions", shell]));
        assert_eq!(code, Some(0), "{text}");
        for word in ["replay-rejected", "snowflake-key", "max-rejected"] {
            assert!(text.contains(word), "{shell} does not know `{word}`");
        }
    }
}
