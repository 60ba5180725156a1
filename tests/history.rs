//! `replay`: history in the order of event time, so many rows of each day, each once however often it is killed.

use crate::cli::{deltamart, said};
use crate::kills::journaled;
use crate::support;
use deltamart::instant;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const HOUR_MS: i64 = support::HOUR_MS;

/// Views at these instants.
pub fn views(times: &[i64]) -> String {
    let view = |at: &i64| {
        let at = instant::show(*at);
        format!("{{\"event_name\":\"item_view\",\"timestamp\":\"{at}\",\"user_id\":5,\"item_id\":\"7\"}}\n")
    };
    times.iter().map(view).collect()
}

/// So many instants of so many days, in disorder.
pub fn disordered(seed: u64, days: i64, of_each: i64) -> Vec<i64> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut times: Vec<i64> = (0..days * of_each)
        .map(|n| support::MONDAY_MS + n / of_each * 24 * HOUR_MS + dice.random_range(0..24 * HOUR_MS))
        .collect();
    times.shuffle(&mut dice);
    times
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

fn csv(folder: &Path, sql: &str, warehouse: &str) -> Vec<String> {
    let output = deltamart(folder, &["sql", sql, "--format", "csv", "--warehouse", warehouse]);
    String::from_utf8(output.stdout).expect("text").lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn the_first_rows_of_each_day_come_in_order_and_what_is_no_event_stays_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let times = disordered(1, 3, 40);
    let (one, other) = times.split_at(50);
    // Their time cannot be read, or is none that an event can have: they go with the line before them, and nobody waits.
    let mut text = views(one);
    text.push_str("nonsense\n");
    text.push_str(&views(&[support::MONDAY_MS + 64 * 365 * 24 * HOUR_MS]));
    std::fs::write(folder.join("one.jsonl"), text).expect("writes");
    std::fs::write(folder.join("other.jsonl"), views(other)).expect("writes");
    let files = ["replay", "other.jsonl", "one.jsonl"];
    let text = succeeds(folder, &[&files[..], &["--warehouse", "all.db"]].concat());
    assert!(text.contains("122 records"), "{text}");
    let rows = |warehouse: &str| csv(folder, "SELECT timestamp FROM item_view_events ORDER BY _offset", warehouse);
    let mut sorted = times.clone();
    sorted.sort_unstable();
    let shown = |times: &[i64]| times.iter().map(|at| instant::show(*at)).collect::<Vec<_>>();
    assert_eq!(rows("all.db"), shown(&sorted));
    let last = one.last().expect("a view");
    let before = sorted.iter().position(|at| at == last).expect("it is there") + 2;
    let rejected = [format!("{before},undecodable"), format!("{},timestamp_in_future", before + 1)];
    assert_eq!(csv(folder, "SELECT _offset, reason FROM rejected_events ORDER BY 1", "all.db"), rejected);
    assert_eq!(csv(folder, "SELECT COUNT(*) FROM late_events", "all.db"), ["0"]);
    succeeds(folder, &["verify", "--warehouse", "all.db"]);

    succeeds(folder, &["replay", "other.jsonl", "--per-day", "5", "--warehouse", "five.db"]);
    let mut others = other.to_vec();
    others.sort_unstable();
    let five: Vec<i64> =
        others.chunk_by(|a, b| a / (24 * HOUR_MS) == b / (24 * HOUR_MS)).flat_map(|day| &day[..5]).copied().collect();
    assert_eq!(rows("five.db"), shown(&five));
    // Nothing of it is left, and told again it is nothing new.
    assert!(!folder.join("five.db.replay").exists());
    let text = succeeds(folder, &["replay", "other.jsonl", "--per-day", "5", "--warehouse", "five.db"]);
    assert!(text.contains("0 records") && rows("five.db") == shown(&five), "{text}");
    // Of another number of rows it is another history.
    let (code, text) = said(&deltamart(folder, &["replay", "other.jsonl", "--per-day", "6", "--warehouse", "five.db"]));
    assert!(code == Some(2) && text.contains("shop.jsonl"), "{code:?} {text}");
    let (code, text) = said(&deltamart(folder, &["replay", "other.jsonl", "--speed", "fast"]));
    assert!(code == Some(2) && text.contains("such as 600x"), "{text}");
}

fn paced(folder: &Path, warehouse: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped());
    command.args(["replay", "views.jsonl", "--speed", "100000x", "--warehouse", warehouse]);
    for set in ["epoch_interval=2ms", "commit_interval=3ms", "snapshot_interval=50ms"] {
        command.args(["--set", set]);
    }
    command.spawn().expect("starts")
}

#[test]
fn killed_while_it_is_told_it_goes_on_and_doubles_no_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("views.jsonl"), views(&disordered(2, 3, 400))).expect("writes");
    let mut kills = 0;
    loop {
        let until = journaled(folder) + 20;
        let mut child = paced(folder, "killed.db");
        let ended = loop {
            if let Some(status) = child.try_wait().expect("asks") {
                break Some(status);
            }
            if kills < 5 && journaled(folder) >= until {
                break None;
            }
            std::thread::yield_now();
        };
        if let Some(status) = ended {
            let mut why = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().expect("piped"), &mut why).expect("text");
            assert!(status.success(), "{why}");
            break;
        }
        child.kill().expect("kills");
        child.wait().expect("is gone");
        kills += 1;
    }
    assert_eq!(kills, 5, "it came to its end before");
    succeeds(folder, &["replay", "views.jsonl", "--warehouse", "whole.db"]);
    support::assert_same(&folder.join("killed.db"), &folder.join("whole.db"));
    assert_eq!(csv(folder, "SELECT COUNT(*) FROM item_view_events", "killed.db"), ["1200"]);
}
