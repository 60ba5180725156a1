//! Our own cases, in `tests/cases/<table>/`, are played by the program itself: `deltamart test --cases tests/cases`. What
//! stands in such a file: `docs/your-metrics.md`.
//!
//! `UPDATE_CASES=1` writes what was found into the files, to be read and reviewed.

use crate::cli::{deltamart, said};
use crate::dice::Dice;
use crate::late::orders;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

fn folder_of_cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[test]
fn every_case_commits_what_it_says() {
    // Where no settings lie about.
    let folder = tempfile::tempdir().expect("a folder");
    let cases = folder_of_cases();
    let mut arguments = vec!["test", "--json", "--cases", cases.to_str().expect("text")];
    if std::env::var_os("UPDATE_CASES").is_some() {
        arguments.push("--update");
    }
    let output = deltamart(folder.path(), &arguments);
    let (code, text) = said(&output);
    let facts = json(&output);
    let played = facts["cases"].as_array().map_or(0, Vec::len);
    assert!(code == Some(0) && facts["written"] == 0, "{text}");
    let files = std::fs::read_dir(&cases).expect("tests/cases");
    let files = files.flat_map(|table| std::fs::read_dir(table.expect("entry").path()).expect("a folder per table"));
    assert_eq!((played, played > 70), (files.count(), true));
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output).1))
}

/// A folder with the model that `init` writes.
fn model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = said(&deltamart(folder.path(), &["init"]));
    assert!(code == Some(0) && text.contains("orders_by_day.case"), "{text}");
    folder
}

#[test]
fn the_case_that_is_shipped_is_right_and_a_wrong_one_is_shown_and_written() {
    let folder = model();
    let (code, text) = said(&deltamart(folder.path(), &["test"]));
    assert!(code == Some(0) && text.contains("1 case: each gave what it says"), "{text}");
    let path = folder.path().join("model/orders_by_day.case");
    let right = std::fs::read_to_string(&path).expect("reads");
    let wrong = right.replace("| 11.50   | 2         | false", "| 11.00   | 2         | false");
    std::fs::write(&path, &wrong).expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["test", "orders_by_day"]));
    for expected in [
        "model/orders_by_day.case:13: the events before it gave something else",
        "    orders_by_day: day              | country | order_count | revenue | customers | is_final\n",
        "  - upsert         2026-01-05T00:00 | DE      | 3           | 11.00   | 2         | false\n",
        "  + upsert         2026-01-05T00:00 | DE      | 3           | 11.50   | 2         | false\n",
        "1 of 1 case did not give what it says",
        "test orders_by_day --update",
    ] {
        assert!(code == Some(1) && text.contains(expected), "`{expected}` is missing: {text}");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), wrong, "nothing is written that nobody asked for");
    let output = deltamart(folder.path(), &["test", "--json"]);
    let facts = json(&output);
    assert_eq!((output.status.code(), &facts["exit_code"], &facts["failed"]), (Some(1), &1.into(), &1.into()));
    let difference = &facts["cases"][0]["differences"][0];
    assert_eq!(difference["line"], 13);
    assert!(difference["expected"][0].as_str().is_some_and(|text| text.contains("11.00")), "{facts}");
    assert!(difference["found"][0].as_str().is_some_and(|text| text.contains("11.50")), "{facts}");
    let (code, text) = said(&deltamart(folder.path(), &["test", "--update"]));
    assert!(code == Some(0) && text.contains("written: model/orders_by_day.case"), "{text}");
    // What was right stays as it was, and what was wrong is what was found.
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), right);
    assert_eq!(said(&deltamart(folder.path(), &["test"])).0, Some(0));
}

#[test]
fn a_case_is_made_of_a_sample() {
    let folder = model();
    let path = folder.path().join("model/orders_by_day.case");
    let case = std::fs::read_to_string(&path).expect("reads");
    let records: Vec<_> = case.lines().filter(|line| line.starts_with('{')).collect();
    std::fs::write(folder.path().join("orders.jsonl"), records.join("\n") + "\nno order\n").expect("writes");
    let output = deltamart(folder.path(), &["try", "model/orders_by_day.sql", "orders.jsonl", "--case"]);
    let made = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && made.starts_with("# What each event of orders.jsonl changes.\n"), "{made}");
    for expected in ["\n0: no order\n=> rejected undecodable | ", "\n=> late 2026-01-05T12:00 | ", "\n=> nothing\n"] {
        assert!(made.contains(expected), "`{expected}` is missing: {made}");
    }
    std::fs::write(&path, &made).expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["test"]));
    assert!(code == Some(0) && text.contains("1 case: each gave"), "{text}");
    std::fs::write(folder.path().join("many.jsonl"), (records[0].to_owned() + "\n").repeat(201)).expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["try", "model/orders_by_day.sql", "many.jsonl", "--case"]));
    assert!(code == Some(2) && text.contains("give 200 records of `many.jsonl` at the most"), "{text}");
}

#[test]
fn what_cannot_be_played_is_refused_with_its_place() {
    let folder = model();
    let model = folder.path().join("model");
    let case = std::fs::read_to_string(model.join("orders_by_day.case")).expect("reads");
    std::fs::create_dir(model.join("orders_by_day")).expect("a folder");
    let of_shop =
        "{\"event_name\":\"item_view\",\"timestamp\":\"2026-01-05T10:00:00Z\",\"item_id\":\"1\",\"user_id\":1}\n=> ?\n";
    for (name, text) in [
        ("orders_by_day/a_setting.case", case.replace("set lateness=48h", "set latness=48h")),
        ("orders_by_day/another_setting.case", case.replace("set lateness=48h", "set kafka.brokers=b:1")),
        ("orders_by_day/no_value.case", case.replace("set lateness=48h", "set lateness=long")),
        ("orders_by_day/not_said.case", case.replace("=> orders_by_day:", "=> orders:")),
        ("orders_by_days.case", case.clone()),
        ("movie_statistics.case", of_shop.to_owned()),
    ] {
        std::fs::write(model.join(name), text).expect("writes");
    }
    let (code, text) = said(&deltamart(folder.path(), &["test"]));
    for expected in [
        "a_setting.case:2:1: there is no setting `latness`.\n",
        "Did you mean `lateness`?",
        "another_setting.case:2:1: `kafka.brokers` decides nothing that rows say.",
        "no_value.case:2:1: setting `lateness`: ",
        "not_said.case:5:4: `orders` is no table of this case, which has `orders_by_day`.",
        "model/orders_by_days.case: belongs to no metric, because there is none called `orders_by_days`; did you mean \
         `orders_by_day`?",
    ] {
        assert!(code == Some(2) && text.contains(expected), "`{expected}` is missing: {text}");
    }
    let (code, text) = said(&deltamart(folder.path(), &["check"]));
    assert!(code == Some(0) && text.contains("case model/orders_by_days.case: belongs to no metric"), "{text}");
    // The shop's tables have cases too, and what an epoch does not say yet is said to be missing.
    let (code, text) = said(&deltamart(folder.path(), &["test", "movie_statistics"]));
    for expected in [
        "model/movie_statistics.case:2: it does not say what the events before it give",
        "  + upsert            1        | 1",
    ] {
        assert!(code == Some(1) && text.contains(expected), "`{expected}` is missing: {text}");
    }
    let (code, text) = said(&deltamart(folder.path(), &["test", "--cases", "nowhere"]));
    assert!(code == Some(2) && text.contains("there is no folder `nowhere`"), "{text}");
    for (name, expected) in [
        ("users", "`users` has no case: write `model/users.case`"),
        ("orders_by_dya", "no case is of `orders_by_dya`; did you mean `orders_by_day`?"),
        ("nothing_like_it", "there is no metric `nothing_like_it`"),
    ] {
        let (code, text) = said(&deltamart(folder.path(), &["test", name]));
        assert!(code == Some(2) && text.contains(expected), "`{expected}` is missing: {text}");
    }
}

/// What a case says, epoch by epoch, makes the rows that a run of the same file makes; and it is the same when it is played
/// again.
#[test]
fn a_case_of_a_random_sample_says_what_a_run_of_it_does() {
    let folder = model();
    let (mut rows, mut late) = (0, 0);
    for seed in 1..=6 {
        std::fs::write(folder.path().join("orders.jsonl"), orders(&mut Dice::of_seed(seed))).expect("writes");
        let output = deltamart(folder.path(), &["try", "model/orders_by_day.sql", "orders.jsonl", "--case"]);
        let made = String::from_utf8_lossy(&output.stdout).into_owned();
        std::fs::write(folder.path().join("model/orders_by_day.case"), &made).expect("writes");
        let (code, text) = said(&deltamart(folder.path(), &["test"]));
        assert_eq!(code, Some(0), "seed {seed}: {text}");
        let mut of_case = BTreeMap::new();
        for line in made.lines() {
            let Some((word, cells)) = line.strip_prefix("=> ").and_then(|line| line.split_once(' ')) else { continue };
            let cells: Vec<_> = cells.split('|').map(str::trim).collect();
            match (word, &cells[..]) {
                ("upsert", [day, country, rest @ ..]) => {
                    drop(of_case.insert(format!("{day},{country}"), rest.join(",")))
                }
                ("delete", [day, country]) => drop(of_case.remove(&format!("{day},{country}"))),
                ("late", _) => late += 1,
                _ => {}
            }
        }
        let warehouse = format!("{seed}.db");
        let (code, text) = said(&deltamart(folder.path(), &["run", "orders.jsonl", "--warehouse", &warehouse]));
        assert_eq!(code, Some(0), "seed {seed}: {text}");
        let sql = "SELECT substr(day, 1, 16) || ',' || country, order_count || ',' || printf('%.2f', revenue) || ',' || \
                   customers || ',' || iif(is_final, 'true', 'false') FROM orders_by_day";
        let connection = rusqlite::Connection::open(folder.path().join(&warehouse)).expect("opens");
        let mut statement = connection.prepare(sql).expect("SQL");
        let of_run =
            statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).expect("SQL");
        let of_run: BTreeMap<_, _> = of_run.map(|row| row.expect("a row")).collect();
        assert_eq!(of_case, of_run, "seed {seed}");
        rows += of_run.len();
    }
    assert!(rows > 30 && late > 0, "{rows} rows, {late} late");
}
