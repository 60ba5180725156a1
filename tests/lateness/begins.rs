//! What is said of files that are given in the wrong order, and of clocks.

use super::rule::event;
use crate::support::{HOUR_MS, MONDAY_MS};
use deltamart::instant;
use deltamart::state_dir::StateDir;
use deltamart::state_dir::journal::{Entry, Group};
use std::path::Path;
use std::process::{Command, Output};

const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

fn deltamart(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.env("RUST_LOG", "info").current_dir(folder).args(arguments).output().expect("runs")
}

/// Writes a file of so many events, an hour apart.
fn write(folder: &Path, name: &str, from: i64, lines: usize) {
    let lines = (0..lines).map(|n| String::from_utf8(event(0, n, from + n as i64 * HOUR_MS)).expect("text") + "\n");
    std::fs::write(folder.join(name), lines.collect::<String>()).expect("writable");
}

#[test]
fn a_file_that_begins_too_late_is_named_once() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "june.jsonl", MONDAY_MS + 4 * WEEK_MS, 10);
    write(folder.path(), "may.jsonl", MONDAY_MS, 10);
    let said = |files: &[&str], settings: &[&str]| {
        let output = deltamart(folder.path(), &[&["run", "--warehouse", ":memory:"], files, settings].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        text.lines().filter(|line| line.contains("begins with an event")).map(str::to_owned).collect::<Vec<_>>()
    };
    for workers in ["1", "4"] {
        let lines = said(&["june.jsonl", "may.jsonl"], &["-w", workers]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        for expected in [
            "`may.jsonl`",
            "2026-01-05T00:00:00",
            "2026-02-02T09:00:00",
            "in the order of time",
            "`lateness`",
            "`batch`",
        ] {
            assert!(lines[0].contains(expected), "`{expected}` in: {}", lines[0]);
        }
    }
    assert!(said(&["may.jsonl", "june.jsonl"], &[]).is_empty(), "in order");
    assert!(said(&["june.jsonl", "may.jsonl"], &["--set", "lateness=40d"]).is_empty(), "late, and not too late");
}

/// Writes another clock into the last entry of the journal.
fn set_last_clock(state: &Path, clock_ms: i64) {
    let store = deltamart::store::open(&state.display().to_string()).expect("a folder");
    let dir = StateDir::open_to_read(store).expect("readable").expect("state");
    let chain = dir.chain().expect("readable");
    let (epoch, (generation, last)) = chain.entries.last_key_value().expect("entries");
    let follows = chain.entries.range(..epoch).next_back().map_or(chain.follows, |(before, _)| *before);
    let entries = vec![Entry { clock_ms, ..last.clone() }];
    dir.journal(*generation, &Group { follows, follows_generation: None, entries }).expect("written");
}

#[test]
fn a_clock_behind_the_last_runs_is_refused_unless_it_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "events.jsonl", MONDAY_MS, 10);
    let run = |more: &[&str]| {
        let output = deltamart(folder.path(), &[&["run", "events.jsonl", "--warehouse", "w.db"], more].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&[]).0, Some(0));
    let state = folder.path().join("w.db.state");
    set_last_clock(&state, instant::parse("2090-01-01T00:00:00Z").expect("an instant"));
    let (code, why) = run(&[]);
    assert_eq!(code, Some(2), "{why}");
    for expected in ["the clock says 20", "2090-01-01T00:00:00", "behind", "--accept-clock", "--rebuild"] {
        assert!(why.contains(expected), "`{expected}` in: {why}");
    }
    assert_eq!(run(&["--accept-clock"]).0, Some(0));
    // What the next one finds is the clock that was accepted.
    write(folder.path(), "events.jsonl", MONDAY_MS, 11);
    let (code, why) = run(&["--accept-clock"]);
    assert_eq!(code, Some(0), "{why}");
    assert_eq!(run(&[]).0, Some(0));

    set_last_clock(&state, instant::parse("2020-01-01T00:00:00Z").expect("an instant"));
    let (code, said) = run(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2020-01-01T00:00:00") && said.contains("ago by the clock"), "{said}");
}
