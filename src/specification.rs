//! The metrics' SQL, executed: what the tables must be, by the raw events.

use dataflows::flow::{METRICS, PIECES};
use dataflows::table::{Column, Role, TableId, Type};
use rusqlite::Connection;

/// The tables that the metrics' SQL reads: the raw ones, with instants in milliseconds, money in cents, and a column
/// `late` besides their own.
pub fn read() -> impl Iterator<Item = TableId> + Clone {
    TableId::ALL.iter().copied().filter(|id| matches!(id.table().role, Role::Raw { .. }))
}

/// Makes a temporary table of what each piece and each metric must be, under its own name: pieces
/// first, and each may read those before it. The tables of [`read`] must be there.
///
/// # Errors
/// If the SQL is wrong.
pub fn execute(connection: &Connection, parameters: &[(&str, i64)]) -> rusqlite::Result<()> {
    let metrics = METRICS.iter().map(|(id, sql)| (id.table().name, *sql));
    for (name, sql) in PIECES.into_iter().chain(metrics) {
        let mut statement = connection.prepare(&format!("CREATE TEMP TABLE {name} AS\n{sql}"))?;
        for (parameter, value) in parameters {
            if let Some(place) = statement.parameter_index(parameter)? {
                statement.raw_bind_parameter(place, value)?;
            }
        }
        statement.raw_execute()?;
    }
    Ok(())
}

/// Removes what [`execute`] made, and those of [`read`] where it is temporary: the names mean the live tables again.
///
/// # Errors
/// If the connection fails.
pub fn forget(connection: &Connection) -> rusqlite::Result<()> {
    let made = PIECES.iter().map(|(name, _)| *name).chain(METRICS.iter().map(|(id, _)| id.table().name));
    for name in made.chain(read().map(|id| id.table().name)) {
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
        Type::Integer | Type::Boolean | Type::Milli | Type::Text | Type::Json | Type::Bytes => quoted.to_owned(),
    }
}
