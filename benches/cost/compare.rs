//! Whether the rows are those of a warehouse that `deltamart` wrote.

use crate::{Tables, sales, sessions, windows};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;

type Row = Vec<String>;

/// How many rows stand on one side only, or differ. Says which table, and shows the first of them.
pub fn with(tables: &Tables, warehouse: &Path) -> usize {
    let warehouse =
        Connection::open_with_flags(warehouse, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a warehouse that can be read");
    let Tables { registrations, checkouts, minutes, open, lines, totals } = tables;
    [
        ("user_registration_metrics", registrations.iter().map(window).collect::<Vec<_>>()),
        ("checkout_metrics", checkouts.iter().map(window).collect()),
        ("session_metrics", minutes.iter().map(minute).collect()),
        ("active_sessions", open.iter().map(|open| vec![open.user.to_string(), instant(open.since)]).collect()),
        ("movie_sale_lines", lines.iter().map(line).collect()),
        ("movie_sales_metrics", totals.iter().map(total).collect()),
    ]
    .into_iter()
    .map(|(table, rows)| differing(&warehouse, table, rows))
    .sum()
}

fn differing(warehouse: &Connection, table: &str, ours: Vec<Row>) -> usize {
    let mut statement = warehouse.prepare(&format!("SELECT * FROM {table}")).expect("a table of the run");
    // The last two say when the row was written.
    let columns = statement.column_count() - 2;
    let theirs = statement.query_map([], |row| (0..columns).map(|at| Ok(shown(row.get(at)?))).collect());
    let theirs: Vec<Row> = theirs.and_then(Iterator::collect).expect("rows");
    assert!(!theirs.is_empty() && !ours.is_empty(), "`{table}` has no rows: there is nothing to compare");
    let mut counts = BTreeMap::<Row, i64>::new();
    ours.into_iter().for_each(|row| *counts.entry(row).or_default() += 1);
    theirs.into_iter().for_each(|row| *counts.entry(row).or_default() -= 1);
    counts.retain(|_, count| *count != 0);
    if let Some((row, count)) = counts.first_key_value() {
        let whose = if *count > 0 { "computed here" } else { "in the warehouse" };
        eprintln!("{table}: {} rows differ; the first, {whose}: {row:?}", counts.len());
    }
    counts.len()
}

/// Decimals are stored as the shortest number.
fn shown(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Text(value) => value,
        Value::Blob(_) => "bytes".to_owned(),
    }
}

fn thousandths(value: Option<i64>) -> String {
    value.map(|value| shown(Value::Real(value as f64 / 1000.0))).unwrap_or_default()
}

fn dollars(cents: i64) -> String {
    shown(Value::Real(cents as f64 / 100.0))
}

fn instant(ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(ms).expect("an instant of this age");
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn window(row: &windows::Row) -> Row {
    let is_final = i64::from(row.is_final).to_string();
    vec![row.window_type.to_owned(), instant(row.start), instant(row.end), row.users.to_string(), is_final]
}

fn minute(row: &sessions::Minute) -> Row {
    let counts = [row.active, row.completed, row.completed_ms].map(|count| count.to_string());
    let means = [row.average_completed_ms, row.average_age_ms].map(thousandths);
    [instant(row.at)].into_iter().chain(counts).chain(means).collect()
}

fn line(row: &sales::Line) -> Row {
    vec![
        uuid::Uuid::from_u128(row.cart).to_string(),
        row.item.to_string(),
        instant(row.added_at),
        row.user.to_string(),
        instant(row.sold_at),
        row.cents.map(dollars).unwrap_or_default(),
    ]
}

fn total(row: &sales::Total) -> Row {
    vec![
        row.item.to_string(),
        row.window_type.to_owned(),
        instant(row.start),
        dollars(row.cents),
        row.units.to_string(),
        row.unpriced.to_string(),
    ]
}
