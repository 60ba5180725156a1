//! The statements by which rows of a table are written and found.

use super::{all_columns, quoted};
use dataflows::table::Table;

fn insert_into(table: &Table) -> String {
    let columns: Vec<_> = all_columns(table).iter().map(|column| quoted(column.name)).collect();
    let places = vec!["?"; columns.len()].join(", ");
    format!("INSERT INTO {} ({}) VALUES ({places})", quoted(table.name), columns.join(", "))
}

pub(super) fn insert_sql(table: &Table) -> String {
    format!("{} ON CONFLICT DO NOTHING", insert_into(table))
}

pub(super) fn upsert_sql(table: &Table) -> String {
    let rest: Vec<_> = all_columns(table)[table.key_columns..]
        .iter()
        .map(|column| format!("{0} = excluded.{0}", quoted(column.name)))
        .collect();
    format!("{} ON CONFLICT DO UPDATE SET {}", insert_into(table), rest.join(", "))
}

pub(super) fn delete_sql(table: &Table) -> String {
    format!("DELETE FROM {} WHERE {}", quoted(table.name), of_key(table))
}

pub(super) fn row_sql(table: &Table) -> String {
    let columns: Vec<_> = table.columns.iter().map(|column| quoted(column.name)).collect();
    format!("SELECT {} FROM {} WHERE {}", columns.join(", "), quoted(table.name), of_key(table))
}

/// That a row has a key.
fn of_key(table: &Table) -> String {
    let key = table.columns[..table.key_columns].iter().map(|column| format!("{} = ?", quoted(column.name)));
    key.collect::<Vec<_>>().join(" AND ")
}
