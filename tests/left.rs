//! `drop`: a table that nobody keeps any more is named by `status` and `check`, and goes where that is asked for.

use crate::cli::{deltamart, said};
use crate::second::while_it_beats;
use deltamart::state_dir::StateDir;
use std::path::Path;

const ORDER: &str = r#"{"ordered_at":"2026-01-05T10:00:00Z","order_id":"a","customer_id":1,"country":"DE","amount":5}"#;

fn run(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

fn refused(folder: &Path, arguments: &[&str], expected: &str) {
    let (code, text) = said(&deltamart(folder, arguments));
    assert!(code == Some(2) && text.contains(expected), "{arguments:?}: `{expected}` is missing: {text}");
}

fn tables(folder: &Path) -> String {
    run(folder, &["sql", "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", "--format", "csv"])
}

#[test]
fn a_table_of_a_metric_that_was_removed_is_named_and_goes_when_nobody_keeps_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    run(folder, &["init"]);
    std::fs::write(folder.join("orders.jsonl"), format!("{ORDER}\n")).expect("writes");
    let feed = ["--set", "feed.path=feed"];
    run(folder, &[&["run", "orders.jsonl"], &feed[..]].concat());
    assert_eq!(run(folder, &["drop"]), "every table of `deltamart.db` is kept\n");
    refused(folder, &["drop", "orders_by_day"], "is in the model: remove `model/orders_by_day.sql`");
    refused(folder, &["drop", "orders"], "is in the model: remove `model/orders.toml`");
    refused(folder, &["drop", "users"], "`users` is a table of deltamart itself");
    refused(folder, &["drop", "orders_by_week"], "there is no table `orders_by_week`, and none that nobody keeps");
    // The metric has another name now.
    let file = |name: &str| folder.join("model").join(name);
    std::fs::rename(file("orders_by_day.sql"), file("orders_daily.sql")).expect("renames");
    std::fs::remove_file(file("orders_by_day.case")).expect("removes");
    let left = "table `orders_by_day` is kept by nobody any more: 1 row, last written in epoch ";
    let text = run(folder, &["check"]);
    assert!(text.contains(left), "{text}");
    refused(folder, &["drop", "orders_by_day"], "the last run kept `orders_by_day`: let `run` begin once without it");
    run(folder, &[&["run", "orders.jsonl", "--rebuild"], &feed[..]].concat());
    for command in ["check", "status", "drop"] {
        let text = run(folder, &[command]);
        assert!(text.contains(left) && text.contains("drop orders_by_day"), "{command}: {text}");
        assert!(!text.contains("table `orders_daily`"), "{command}: {text}");
    }
    let output = deltamart(folder, &["status", "--json"]);
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&facts["left"][0]["table"], &facts["left"][0]["rows"]), (&"orders_by_day".into(), &1.into()));
    refused(folder, &["drop", "orders_by_dya"], "did you mean `orders_by_day`?");
    // Not while a run is active.
    let store = deltamart::store::open(&folder.join("deltamart.db.state").display().to_string()).expect("a folder");
    let dir = StateDir::open_to_read(store).expect("readable").expect("there is one");
    let ended: serde_json::Value = dir.heartbeat().expect("readable").expect("said");
    let mut beat = ended.clone();
    (beat["ended"], beat["process"]) = (false.into(), 4711.into());
    beat["who"] = serde_json::json!({"host": "elsewhere", "boot": "b", "namespace": "", "process": 4711, "started": 1});
    while_it_beats(&dir, beat, || refused(folder, &["drop", "orders_by_day"], "a run is active on state"));
    dir.beat(&ended).expect("written");
    assert!(tables(folder).contains("orders_by_day\n"));
    let text = run(folder, &[&["drop", "orders_by_day"], &feed[..]].concat());
    assert!(text.contains("`orders_by_day` is gone from `deltamart.db`: it had 1 row"), "{text}");
    assert!(text.contains("it is gone from the feed `feed`: the next commits remove its 2 files, "), "{text}");
    let now = tables(folder);
    assert!(!now.contains("orders_by_day\n") && now.contains("orders_daily\n") && now.contains("orders\n"), "{now}");
    assert_eq!(run(folder, &["drop"]), "every table of `deltamart.db` is kept\n");
    // All else goes on, and is right; what is left of the feed goes when its grace is over.
    std::fs::write(folder.join("orders.jsonl"), format!("{ORDER}\n{}\n", ORDER.replace("\"a\"", "\"b\"")))
        .expect("writes");
    run(folder, &[&["run", "orders.jsonl", "--set", "feed.grace=0s"], &feed[..]].concat());
    run(folder, &["verify"]);
    let files = folder.join("feed/orders_by_day");
    let mut folders = vec![files];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("entry").path();
            assert!(path.is_dir(), "{} is left", path.display());
            folders.push(path);
        }
    }
    let text = run(folder, &["show", "orders_daily", "--format", "csv"]);
    assert!(text.lines().count() == 2 && text.contains(",2,10.00,"), "{text}");
}

#[test]
fn a_batch_leaves_tables_too_and_what_others_made_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    run(folder, &["init"]);
    std::fs::write(folder.join("orders.jsonl"), format!("{ORDER}\n")).expect("writes");
    run(folder, &["batch", "orders.jsonl"]);
    let connection = rusqlite::Connection::open(folder.join("deltamart.db")).expect("opens");
    connection.execute_batch("CREATE TABLE mine AS SELECT * FROM orders_by_day").expect("copies");
    drop(connection);
    refused(folder, &["drop", "mine"], "`mine` was not made by deltamart, which leaves it as it is");
    std::fs::remove_dir_all(folder.join("model")).expect("removes");
    let text = run(folder, &["drop"]);
    assert!(text.contains("table `orders` is kept by nobody") && text.contains("table `orders_by_day` is"), "{text}");
    let output = deltamart(folder, &["drop", "orders_by_day", "--json"]);
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&facts["table"], &facts["rows"], &facts["news"]), (&"orders_by_day".into(), &1.into(), &true.into()));
    let text = tables(folder);
    assert!(text.contains("orders\n") && text.contains("mine\n") && !text.contains("orders_by_day\n"), "{text}");
}
