//! The views of clean events have what the raw tables have: each event once, and each that is late.

use super::commits::asked;
use super::{configured, flags};
use crate::model::says;
use rusqlite::Connection;
use std::path::Path;

/// How many there are, and sums that differ wherever an event does: of those in time, and of those that are late.
const TOLD: &str = "COUNT(*), CAST(COALESCE(SUM(user_id), 0) AS INTEGER)";

/// The same of a raw table in SQLite: of events in time that are equal in these columns one, and each that is late.
fn in_sqlite(warehouse: &Path, table: &str, distinct: &str, is_late: bool) -> String {
    let late = "EXISTS (SELECT 1 FROM late_events l WHERE (l._topic, l._partition, l._offset) = (e._topic, e._partition, e._offset))";
    let of = match is_late {
        true => format!("SELECT * FROM {table} e WHERE {late}"),
        false => format!("SELECT {distinct} FROM {table} e WHERE NOT {late}"),
    };
    let sql = format!("SELECT '[[' || COUNT(*) || ',' || COALESCE(SUM(user_id), 0) || ']]' FROM ({of})");
    Connection::open(warehouse).expect("opens").query_row(&sql, [], |row| row.get(0)).expect("a row")
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn clean_events_are_in_their_schema_once_and_late_ones_say_so() {
    let config = configured();
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let dirt = ["simulate.duplicate_permille=60", "simulate.too_late_permille=30"].map(|set| ["--set", set]).concat();
    says(at, 0, &[&["simulate", "--model", "store", "--out", ".", "--events", "2000"], &dirt[..]].concat());
    says(at, 0, &[&["simulate", "--out", "shop", "--events", "2000"], &dirt[..]].concat());
    let settings = flags(&config);
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(["--model", "store"]).collect();
    let run = ["run", "store_events.jsonl", "shop/events.jsonl", "--warehouse", "s.db", "--set", "lateness=2h"];
    says(at, 0, &[&run[..], &settings].concat());
    let warehouse = at.join("s.db");
    let store =
        "DISTINCT event_type, event_time, product_id, category_id, category_code, brand, price, user_id, user_session";
    for (table, distinct) in [("store_events", store), ("cart_events", "*"), ("item_view_events", "*")] {
        for is_late in [false, true] {
            let rows = asked(&config, &format!("SELECT {TOLD} FROM CLEAN.{table} WHERE _late = {is_late}"));
            let expected = in_sqlite(&warehouse, table, distinct, is_late);
            assert_eq!(rows.replace(' ', ""), expected, "{table}, late: {is_late}");
            assert!(!rows.starts_with("[[0"), "{table}, late: {is_late}: none");
        }
        let each = asked(&config, &format!("SELECT COUNT(*) FROM CLEAN.{table}"));
        let raw = asked(&config, &format!("SELECT COUNT(*) FROM RAW.{table}"));
        assert_eq!(each == raw, distinct == "*", "{table}: {each} of {raw}");
    }
    // Where all events count once, the shop's views are others.
    let in_time = format!("SELECT {TOLD} FROM CLEAN.cart_events WHERE NOT _late");
    let before = asked(&config, &in_time);
    says(at, 0, &[&run[..], &["--rebuild", "--set", "events.once=everything"], &settings].concat());
    let columns = "DISTINCT event_name, timestamp, user_id, cart_id, item_id, payment_method, purchase_amount";
    let after = asked(&config, &in_time);
    assert_eq!(after.replace(' ', ""), in_sqlite(&warehouse, "cart_events", columns, false));
    assert_ne!(after, before);
}
