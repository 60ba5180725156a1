//! `late`: applied to a table that was computed without the late events, what it shows gives the table that has them. That
//! one is computed by `batch`, which knows no late events.

use crate::cli::{deltamart, said};
use crate::dice::Dice;
use crate::support::{HOUR_MS, MONDAY_MS};
use deltamart::families::all;
use deltamart::instant;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

type Rows = BTreeMap<String, Value>;

/// Columns that say how far time has gone, which is another thing where nothing is late.
const OF_TIME: &[&str] = &["is_final", "_epoch", "_updated_at"];

fn run(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

fn rows(folder: &Path, warehouse: &str, table: &str, key: &[&str]) -> Rows {
    let sql = format!("SELECT * FROM {table}");
    let lines = run(folder, &["sql", &sql, "--format", "json", "--warehouse", warehouse]);
    let row = |line: &str| {
        let row: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let (key, rest): (Map<_, _>, Map<_, _>) = row.into_iter().partition(|(name, _)| key.contains(&name.as_str()));
        (keyed(key), without_time(rest))
    };
    lines.lines().filter(|line| line.starts_with('{')).map(row).collect()
}

fn keyed(key: Map<String, Value>) -> String {
    let sorted: BTreeMap<_, _> = key.into_iter().collect();
    json!(sorted).to_string()
}

fn without_time(row: Map<String, Value>) -> Value {
    row.into_iter().filter(|(name, _)| !OF_TIME.contains(&name.as_str())).collect()
}

/// Applies what `late` shows of a table to its rows; says how many late events there were, and how many rows differ.
fn applied(folder: &Path, warehouse: &str, table: &str, rows: &mut Rows) -> (u64, usize) {
    let output = deltamart(folder, &["late", table, "--json", "--limit", "1000000", "--warehouse", warehouse]);
    assert!(output.status.success(), "{table}: {}", said(&output).1);
    let facts: Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    let differs = facts["rows"].as_array().expect("rows");
    assert_eq!(facts["differ"], differs.len());
    for differ in differs {
        let of = |name: &str| differ[name].as_object().cloned();
        let key = keyed(of("key").expect("a key"));
        assert_eq!(rows.get(&key), of("without").map(without_time).as_ref(), "{table}: what stands there is said");
        match of("with") {
            Some(with) => drop(rows.insert(key, without_time(with))),
            None => drop(rows.remove(&key)),
        }
    }
    (facts["late_events"].as_u64().expect("a number"), differs.len())
}

fn key_of(table: &str) -> Vec<&'static str> {
    let table = crate::support::table(table).table();
    table.columns[..table.key_columns].iter().map(|column| column.name).collect()
}

#[test]
fn what_the_late_events_of_a_shop_would_have_changed_makes_its_tables_those_of_a_batch() {
    let (mut late, mut differ) = (0, BTreeMap::<&str, usize>::new());
    for seed in ["1", "2", "3"] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let often = ["simulate.too_late_permille=60", "simulate.late_permille=60", "simulate.duplicate_permille=60"];
        let mut arguments = vec!["simulate", "--out", "shop", "--items", "20", "--events", "1500", "--seed", seed];
        often.iter().for_each(|often| arguments.extend(["--set", often]));
        run(folder, &arguments);
        let read = ["shop/events.jsonl", "--catalog", "shop/Movies.txt"];
        let warehouse = |name: &'static str| ["--warehouse", name];
        run(folder, &[&["run"], &read[..], &warehouse("live.db")[..]].concat());
        run(folder, &[&["batch"], &read[..], &warehouse("batch.db")[..]].concat());
        // Of sessions a batch shows the minutes to its end, and a segment is one at a watermark.
        let tables = all().metrics().iter().map(|(id, _)| id.name());
        for table in tables.filter(|table| !["session_metrics", "active_sessions", "user_segments"].contains(table)) {
            let key = key_of(table);
            let mut live = rows(folder, "live.db", table, &key);
            let (events, rows_that_differ) = applied(folder, "live.db", table, &mut live);
            assert_eq!(live, rows(folder, "batch.db", table, &key), "seed {seed}, `{table}`");
            *differ.entry(table).or_default() += rows_that_differ;
            late = events.max(late);
        }
    }
    println!("{late} late events at the most; rows that differ: {differ:?}");
    let changed =
        ["user_registration_metrics", "checkout_metrics", "movie_sales_metrics", "movie_statistics", "user_activity"];
    assert!(late > 0 && changed.iter().all(|table| differ[table] > 0), "{late} late: {differ:?}");
}

/// Orders of a few days, some of them late, some said twice, now and then nothing that is one.
pub fn orders(dice: &mut Dice) -> String {
    let (mut now, mut lines) = (MONDAY_MS, Vec::<String>::new());
    for n in 0..60 + dice.of(60) {
        now += dice.of(2 * HOUR_MS as u64) as i64;
        let ago = if dice.of(4) == 0 { dice.of(60 * HOUR_MS as u64) as i64 } else { 0 };
        let country = ["DE", "FR", "GE"][dice.of(3) as usize];
        let line = match dice.of(10) {
            0 if !lines.is_empty() => lines[dice.of(lines.len() as u64) as usize].clone(),
            1 if n > 0 => "no order".to_owned(),
            _ => format!(
                r#"{{"ordered_at":"{}","order_id":"{n}","customer_id":{},"country":"{country}","amount":{}.{:02}}}"#,
                instant::show(now - ago),
                1 + dice.of(5),
                dice.of(50),
                dice.of(100)
            ),
        };
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

#[test]
fn what_the_late_events_of_a_model_would_have_changed_makes_its_table_that_of_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    run(folder, &["init"]);
    let (mut late, mut differ, mut new) = (0, 0, 0);
    for seed in 1..=8 {
        let mut dice = Dice::of_seed(seed);
        std::fs::write(folder.join("orders.jsonl"), orders(&mut dice)).expect("writes");
        let (live, batch) = (format!("live{seed}.db"), format!("batch{seed}.db"));
        run(folder, &["run", "orders.jsonl", "--warehouse", &live, "--set", "lateness=10h"]);
        run(folder, &["batch", "orders.jsonl", "--warehouse", &batch]);
        let key = ["day", "country"];
        let mut rows_live = rows(folder, &live, "orders_by_day", &key);
        let before = rows_live.len();
        // What is set for the run is set here too, as for `verify`.
        std::fs::write(folder.join("deltamart.toml"), "lateness = \"10h\"\n").expect("writes");
        let (events, rows_that_differ) = applied(folder, &live, "orders_by_day", &mut rows_live);
        std::fs::remove_file(folder.join("deltamart.toml")).expect("removes");
        assert_eq!(rows_live, rows(folder, &batch, "orders_by_day", &key), "seed {seed}");
        (late, differ, new) = (late + events, differ + rows_that_differ, new + rows_live.len() - before);
    }
    println!("{late} late events, {differ} rows differ, {new} of them new");
    assert!(late > 20 && differ > 10, "{late} late events, {differ} rows differ");
}

#[test]
fn both_values_are_shown_and_what_cannot_be_told_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    run(folder, &["init", "other.toml"]);
    let order = |at: &str, id: &str, country: &str, amount: &str| {
        format!(r#"{{"ordered_at":"{at}","order_id":"{id}","customer_id":1,"country":"{country}","amount":{amount}}}"#)
    };
    let in_time = [
        order("2026-01-05T10:00:00Z", "a", "DE", "5.00"),
        order("2026-01-06T10:00:00Z", "b", "DE", "1.00"),
        order("2026-01-06T10:00:01Z", "c", "DE", "1.00"),
    ];
    let too_late = [order("2026-01-05T09:00:00Z", "d", "DE", "2.50"), order("2026-01-05T09:00:00Z", "e", "FR", "4.00")];
    std::fs::write(folder.join("orders.jsonl"), in_time.join("\n") + "\n").expect("writes");
    let hour = ["--set", "lateness=2h"];
    run(folder, &[&["run", "orders.jsonl"], &hour[..]].concat());
    let late = |more: &[&str]| said(&deltamart(folder, &[&["late", "orders_by_day"], &hour[..], more].concat()));
    let (code, text) = late(&[]);
    assert!(
        code == Some(0) && text.contains("no event of `orders` was late: `orders_by_day` has all of them"),
        "{text}"
    );
    std::fs::write(folder.join("orders.jsonl"), [&in_time[..], &too_late[..]].concat().join("\n") + "\n")
        .expect("writes");
    run(folder, &[&["run", "orders.jsonl"], &hour[..]].concat());
    let (code, text) = late(&[]);
    for expected in [
        "2 late events: 2 in `orders`",
        "5.00 → 7.50 (+2.50)",
        "1 → 2 (+1)",
        "no row → 4.00",
        "2 rows of `orders_by_day` would be different with the late events: 1 with other values, 1 new",
        "watermark 2026-01-06T10:00:01.000Z",
    ] {
        assert!(code == Some(0) && text.contains(expected), "`{expected}` is missing: {text}");
    }
    assert!(!text.contains("2026-01-06 "), "what does not differ is not shown: {text}");
    let (code, text) = late(&["--limit", "1"]);
    assert!(code == Some(0) && text.contains("1 of 2 rows are shown") && !text.contains("no row → 4.00"), "{text}");
    for (table, expected) in [
        ("orders", "`orders` is no metric"),
        ("orders_by_dya", "did you mean `orders_by_day`?"),
        ("users", "no event of `shop` was late"),
    ] {
        let (_, text) = said(&deltamart(folder, &[&["late", table], &hour[..]].concat()));
        assert!(text.contains(expected), "`{expected}` is missing: {text}");
    }
    let (code, text) = said(&deltamart(folder, &["late", "orders_by_day", "--set", "lateness=24h"]));
    assert!(code == Some(1) && text.contains("`orders_by_day` is not what its SQL says even without"), "{text}");
    run(folder, &[&["run", "orders.jsonl", "--raw", "off", "--warehouse", "bare.db"], &hour[..]].concat());
    let (code, text) = late(&["--warehouse", "bare.db"]);
    assert!(code == Some(2) && text.contains("it was written with `--raw off`"), "{text}");
    run(folder, &["forget", "1", "--family", "orders", "--delete-raw"]);
    let (code, text) = late(&[]);
    assert!(code == Some(2) && text.contains("users were forgotten"), "{text}");
}
