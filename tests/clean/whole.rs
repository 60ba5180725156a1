//! The program with clean events: what it writes of the store and of the movie shop; and somebody is forgotten.

use super::{Rows, rows};
use crate::cli::deltamart;
use crate::model::{has, put, says};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

const STORE: [&str; 4] = ["--model", "store", "--set", "lateness=2h"];
const CLEAN: [&str; 4] = ["--set", "clean.path=clean", "--set", "clean.rows=300"];

/// The files below a folder, by their names in it.
fn read(folder: &Path) -> Rows {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let key = path.strip_prefix(folder).expect("below it").display().to_string();
            match path.is_dir() {
                true => folders.push(path),
                false if key.ends_with(".parquet") => drop(files.insert(key, std::fs::read(&path).expect("readable"))),
                false => {}
            }
        }
    }
    rows(&files)
}

/// What files have of these columns of a table, sorted; each in the folder of its day, by `at`.
fn there(all: &Rows, table: &str, at: &str, columns: &[&str]) -> Vec<String> {
    let of = |(day, row): &(String, BTreeMap<String, String>)| {
        assert!(row[at].starts_with(day.as_str()), "{row:?} is in the folder of {day}");
        columns.iter().chain(&["_late"]).map(|name| row[*name].clone()).collect::<Vec<_>>().join("|")
    };
    let mut rows: Vec<_> = all.get(table).into_iter().flatten().map(of).collect();
    rows.sort();
    rows
}

/// The same of a raw table: of events in time that are equal one, and each that is late.
fn in_raw(warehouse: &Path, table: &str, columns: &[&str], once: bool) -> Vec<String> {
    let of = columns.iter().map(|name| match *name {
        "price" | "purchase_amount" => format!("IIF({name} IS NULL, '', PRINTF('%.2f', {name}))"),
        name => format!("IFNULL({name}, '')"),
    });
    let (of, distinct) = (of.collect::<Vec<_>>().join(" || '|' || "), if once { "DISTINCT" } else { "" });
    let late = "EXISTS (SELECT 1 FROM late_events l WHERE (l._topic, l._partition, l._offset) = (e._topic, e._partition, e._offset))";
    let sql = format!(
        "SELECT {distinct} {of} || '|0' FROM {table} e WHERE NOT {late} UNION ALL SELECT {of} || '|1' FROM {table} e WHERE {late}"
    );
    let connection = Connection::open(warehouse).expect("opens");
    let mut statement = connection.prepare(&sql).expect("SQL");
    let mut rows: Vec<String> =
        statement.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("text")).collect();
    rows.sort();
    rows
}

const STORE_COLUMNS: [&str; 9] = [
    "event_type",
    "event_time",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
];

const SHOP: [(&str, &[&str]); 4] = [
    ("consumer_events", &["event_name", "timestamp", "user_id", "age", "masked_email", "preferred_language"]),
    ("item_view_events", &["event_name", "timestamp", "user_id", "item_id"]),
    ("cart_events", &["event_name", "timestamp", "user_id", "cart_id", "item_id", "payment_method", "purchase_amount"]),
    ("rating_events", &["event_name", "timestamp", "user_id", "item_id", "rating"]),
];

fn late(rows: &[String]) -> usize {
    rows.iter().filter(|row| row.ends_with("|1")).count()
}

#[test]
fn each_event_of_the_store_is_there_once_and_who_is_forgotten_leaves() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let more = ["simulate.duplicate_permille=60", "simulate.too_late_permille=30", "simulate.malformed_permille=20"];
    let mut simulate = vec!["simulate", "--out", "sample", "--events", "3000"];
    more.iter().for_each(|set| simulate.extend(["--set", set]));
    says(at, 0, &[&simulate[..], &STORE].concat());
    let made = std::fs::read_to_string(at.join("sample/store_events.jsonl")).expect("text");
    // In two parts, by two starts.
    let half = made.char_indices().filter(|(_, letter)| *letter == '\n').nth(1_500).expect("so many lines").0 + 1;
    put(at, "store_events.jsonl", &made[..half]);
    let run = [&["run", "store_events.jsonl", "-w", "2"][..], &STORE, &CLEAN].concat();
    says(at, 0, &run);
    put(at, "store_events.jsonl", &made);
    says(at, 0, &run);
    let warehouse = at.join("deltamart.db");
    let compare = || {
        let (clean, raw) = (
            there(&read(&at.join("clean")), "store_events", "event_time", &STORE_COLUMNS),
            in_raw(&warehouse, "store_events", &STORE_COLUMNS, true),
        );
        (clean, raw)
    };
    let (clean, raw) = compare();
    assert_eq!(clean, raw);
    let all = in_raw(&warehouse, "store_events", &STORE_COLUMNS, false).len();
    assert!(late(&clean) > 20 && clean.len() + 50 < all, "{} late, {} of {all}", late(&clean), clean.len());
    has(&says(at, 0, &[&["status", "sinks"][..], &CLEAN, &STORE].concat()), &["clean events `clean`"]);
    // A rebuild brings nothing, and says so; what comes after it is there.
    put(at, "store_events.jsonl", &format!("{made}{}", line(1)));
    let said = says(at, 0, &[&run[..], &["--rebuild"]].concat());
    has(&said, &["a rebuild brings no clean events", "missing in `clean`"]);
    assert_eq!(compare().0, clean);
    put(at, "store_events.jsonl", &format!("{made}{}{}", line(1), line(2)));
    says(at, 0, &run);
    assert_eq!(compare().0.len(), clean.len() + 1);
    let user = clean.iter().find_map(|row| row.split('|').nth(7)).expect("a user").to_owned();
    let of_user = |rows: &[String]| rows.iter().filter(|row| row.split('|').nth(7) == Some(&user)).count();
    let before = compare().0;
    says(at, 0, &[&["forget", &user, "--yes"][..2], &CLEAN, &STORE].concat());
    let after = compare().0;
    assert_eq!((of_user(&after), after.len()), (0, before.len() - of_user(&before)));
    assert!(after.len() > before.len() / 2);
}

/// An event of the store that nothing else is like, after all others.
fn line(product: u32) -> String {
    format!(
        "{{\"event_name\":\"store_events\",\"event_type\":\"view\",\"event_time\":\"2026-02-01T10:00:00Z\",\"product_id\":{product},\
         \"price\":1,\"user_id\":999999,\"user_session\":\"z\"}}\n"
    )
}

#[test]
fn events_of_the_movie_shop_are_there_with_those_that_are_late() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let sample = ["simulate", "--out", "sample", "--events", "3000", "--set", "simulate.duplicate_permille=60"];
    says(at, 0, &[&sample[..], &["--set", "simulate.too_late_permille=30"]].concat());
    for once in ["nothing", "everything"] {
        let (warehouse, place) = (format!("{once}.db"), format!("clean.path={once}"));
        let once_set = format!("events.once={once}");
        let mut run = vec!["run", "-w", "2", "--warehouse", &warehouse, "--set", &place, "--set", "lateness=2h"];
        run.extend(["--set", &once_set, "sample/events.jsonl", "--catalog", "sample/Movies.txt"]);
        let output = deltamart(at, &run);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let all = read(&at.join(once));
        let (mut events, mut late_ones) = (0, 0);
        for (table, columns) in SHOP {
            let clean = there(&all, table, "timestamp", columns);
            assert_eq!(clean, in_raw(&at.join(&warehouse), table, columns, once == "everything"), "{table}, {once}");
            (events, late_ones) = (events + clean.len(), late_ones + late(&clean));
        }
        let versions = there(&all, "catalog_events", "effective_at", &["item_id", "title"]);
        assert_eq!(versions, in_raw(&at.join(&warehouse), "catalog_events", &["item_id", "title"], false), "{once}");
        assert!(!versions.is_empty() && late(&versions) == 0);
        assert!(events > 2_000 && late_ones > 20, "{events} events, {late_ones} late");
    }
}
