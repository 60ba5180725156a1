//! Whether the rows are those of a warehouse that `deltamart` wrote.

use crate::rows::Table;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;

/// How many rows stand on one side only, or differ. Says which table, and shows the first of them.
pub fn with(tables: Vec<Table<'_>>, warehouse: &Path) -> usize {
    let warehouse =
        Connection::open_with_flags(warehouse, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a warehouse that can be read");
    tables.into_iter().map(|table| differing(&warehouse, table)).sum()
}

fn differing(warehouse: &Connection, Table { name, rows, each }: Table<'_>) -> usize {
    let mut statement = warehouse.prepare(&format!("SELECT * FROM {name}")).expect("a table of the run");
    // The last two say when the row was written.
    let columns = statement.column_count() - 2;
    let theirs = statement.query_map([], |row| (0..columns).map(|at| Ok(shown(row.get(at)?))).collect());
    let theirs: Vec<Vec<String>> = theirs.and_then(Iterator::collect).expect("rows");
    assert!(!theirs.is_empty() && rows > 0, "`{name}` has no rows: there is nothing to compare");
    let mut counts = BTreeMap::<Vec<String>, i64>::new();
    each.for_each(|row| *counts.entry(row.into_iter().map(shown).collect()).or_default() += 1);
    theirs.into_iter().for_each(|row| *counts.entry(row).or_default() -= 1);
    counts.retain(|_, count| *count != 0);
    if let Some((row, count)) = counts.first_key_value() {
        let whose = if *count > 0 { "computed here" } else { "in the warehouse" };
        eprintln!("{name}: {} rows differ; the first, {whose}: {row:?}", counts.len());
    }
    counts.len()
}

/// A whole number that is stored as an integer is the same number.
fn shown(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Text(value) => value,
        Value::Blob(_) => "bytes".to_owned(),
    }
}
