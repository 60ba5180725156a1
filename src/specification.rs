//! The metrics' SQL, executed: what the tables must be, by the raw events.

use dataflows::family::{Catalogue, FamilyId, ONCE};
use dataflows::table::{Column, Role, TableId, Type};
use rusqlite::Connection;

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
    for family in families {
        let parameters = parameters(*family);
        if parameters.contains(&(ONCE, 1)) {
            repeated_once(*family, connection)?;
        }
        let metrics = family.metrics().into_iter().map(|(id, sql)| (id.name(), sql));
        for (name, sql) in family.pieces().into_iter().chain(metrics) {
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
    families.iter().flat_map(|family| family.metrics()).try_for_each(|(id, _)| hide_nobody(id, connection))
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
fn repeated_once(family: FamilyId, connection: &Connection) -> rusqlite::Result<()> {
    let raw = family.raw().into_iter().map(TableId::table);
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

/// How a stored column is read as the metrics' SQL wants it: instants and money as integers.
pub fn plain(column: &Column, quoted: &str) -> String {
    match column.ty {
        Type::Instant => format!("CAST(ROUND(unixepoch({quoted}, 'subsec') * 1000) AS INTEGER) AS {quoted}"),
        Type::Money => format!("CAST(ROUND({quoted} * 100) AS INTEGER) AS {quoted}"),
        Type::Milli => format!("CAST(ROUND({quoted} * 1000) AS INTEGER) AS {quoted}"),
        Type::Integer | Type::Boolean | Type::Text | Type::Json | Type::Bytes => quoted.to_owned(),
    }
}
