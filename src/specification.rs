//! The metrics' SQL, executed: what the tables must be, by the raw events.

pub mod raw;

use crate::sink::sqlite::quoted;
use dataflows::family::{Catalogue, FamilyId, ONCE};
use dataflows::table::{Role, TableId, Value};
use raw::{read_plain, without_comments, words};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// Makes a temporary table of what each piece and each metric must be, under its own name: pieces
/// first, and each may read those before it. The raw tables must be there, with instants in milliseconds, money in
/// cents, and a column `late` in addition to their own. What is nobody's is left out, as it is in the live tables.
///
/// # Errors
/// If the SQL is wrong.
pub fn execute(catalogue: Catalogue, connection: &Connection, parameters: &Parameters<'_>) -> rusqlite::Result<()> {
    execute_of(catalogue.families(), connection, parameters)
}

/// The same of some families.
///
/// # Errors
/// If the SQL is wrong.
pub fn execute_of(families: &[FamilyId], connection: &Connection, parameters: &Parameters<'_>) -> rusqlite::Result<()> {
    execute_named(families, connection, parameters, &|_| true)
}

/// The same, of pieces and metrics of some names; of the raw tables only those must be there that have one.
///
/// # Errors
/// If the SQL is wrong.
pub fn execute_named(
    families: &[FamilyId],
    connection: &Connection,
    parameters: &Parameters<'_>,
    is_named: &dyn Fn(&str) -> bool,
) -> rusqlite::Result<()> {
    let is_metric = |(id, _): &(TableId, _)| is_named(id.name());
    for family in families {
        let parameters = parameters(*family);
        if parameters.contains(&(ONCE, 1)) {
            repeated_once(*family, connection, is_named)?;
        }
        let metrics = family.metrics().into_iter().map(|(id, sql)| (id.name(), sql));
        for (name, sql) in family.pieces().into_iter().chain(metrics).filter(|(name, _)| is_named(name)) {
            let mut statement = connection.prepare(&format!("CREATE TEMP TABLE {name} AS\n{sql}"))?;
            for (parameter, value) in &parameters {
                if let Some(place) = statement.parameter_index(parameter)? {
                    statement.raw_bind_parameter(place, value)?;
                }
            }
            statement.raw_execute()?;
        }
    }
    // Only now: what is computed of the rows of those who were forgotten counts in metrics that read them.
    let metrics = families.iter().flat_map(|family| family.metrics()).filter(is_metric);
    metrics.into_iter().try_for_each(|(id, _)| hide_nobody(id, connection))
}

/// Rows of nobody are not shown.
fn hide_nobody(id: TableId, connection: &Connection) -> rusqlite::Result<()> {
    let persons = id.table().columns.iter().filter_map(|column| {
        let quoted = format!("\"{}\"", column.name);
        column.person.map(|person| person.is_nobody_in_sql(&quoted))
    });
    let persons: Vec<_> = persons.collect();
    if persons.is_empty() {
        return Ok(());
    }
    connection.execute_batch(&format!("DELETE FROM temp.{} WHERE {}", id.name(), persons.join(" OR ")))
}

/// Raw tables in which events that are equal in every column are one row, in the place of those that are there. Where
/// they came from is no column of an event. One that is late is another: it came after the metrics had counted.
fn repeated_once(family: FamilyId, connection: &Connection, is_named: &dyn Fn(&str) -> bool) -> rusqlite::Result<()> {
    let raw = family.raw().into_iter().map(TableId::table).filter(|table| is_named(table.name));
    for table in raw.filter(|table| matches!(table.role, Role::Raw { at: Some(_) })) {
        let columns: Vec<_> = table.columns[table.key_columns..].iter().map(|column| column.name).collect();
        let (name, columns) = (table.name, columns.join(", "));
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE once AS SELECT DISTINCT {columns}, late FROM {name};
             DROP TABLE IF EXISTS temp.{name};
             ALTER TABLE temp.once RENAME TO {name}"
        ))?;
    }
    Ok(())
}

/// What a metric reads, and what that reads, and so on: names of pieces, metrics and raw tables, its own among them.
pub fn reads(catalogue: Catalogue, id: TableId) -> BTreeSet<&'static str> {
    let metrics = catalogue.metrics().iter().map(|(id, sql)| (id.name(), *sql));
    let raw = catalogue.raw().map(|id| (id.name(), ""));
    // Each reads those before it: behind it, a word is no name of theirs.
    let all: Vec<(&str, &str)> = raw.chain(catalogue.pieces().iter().copied()).chain(metrics).collect();
    let (mut read, mut open) = (BTreeSet::from([id.name()]), vec![id.name()]);
    while let Some(name) = open.pop() {
        let Some(place) = all.iter().position(|(known, _)| *known == name) else { continue };
        let sql = without_comments(all[place].1);
        let others: BTreeSet<&str> = words(&sql).collect();
        let before = all[..place].iter().map(|(known, _)| *known);
        open.extend(before.filter(|known| others.contains(known) && read.insert(known)));
    }
    read
}

/// What the SQL of a metric says, once it was executed.
///
/// # Errors
/// If the connection fails.
pub fn rows(connection: &Connection, id: TableId, mut each: impl FnMut(Vec<Value>)) -> rusqlite::Result<()> {
    let table = id.table();
    let mut statement = connection.prepare(&format!("SELECT * FROM temp.{}", quoted(table.name)))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = vec![Value::Null; table.columns.len()];
        let mut columns = table.columns.iter().zip(&mut values).enumerate();
        columns.try_for_each(|(n, (column, value))| read_plain(column, row.get_ref(n)?, value))?;
        each(values);
    }
    Ok(())
}

/// The named parameters of a family's SQL.
pub type Parameters<'p> = dyn Fn(FamilyId) -> Vec<(&'static str, i64)> + 'p;

/// Removes what [`execute`] made, and the raw tables where they are temporary: the names mean the live tables again.
///
/// # Errors
/// If the connection fails.
pub fn forget(catalogue: Catalogue, connection: &Connection) -> rusqlite::Result<()> {
    let metrics = catalogue.metrics().iter().map(|(id, _)| id.name());
    let made = catalogue.pieces().iter().map(|(name, _)| *name).chain(metrics);
    for name in made.chain(catalogue.raw().map(TableId::name)) {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS temp.{name}"))?;
    }
    Ok(())
}

/// The columns that a metric's SQL must have: those of its table.
///
/// # Errors
/// If the connection fails.
pub fn columns(connection: &Connection, id: TableId) -> rusqlite::Result<Vec<String>> {
    let statement = connection.prepare(&format!("SELECT * FROM temp.{}", id.table().name))?;
    Ok(statement.column_names().map(str::to_owned).collect())
}
