//! Raw tables as the metrics' SQL reads them.

use crate::instant;
use crate::sink::sqlite::{quoted, read_value};
use crate::specification::reads;
use dataflows::family::Catalogue;
use dataflows::raw::LATE_EVENTS;
use dataflows::table::{Column, TableId, Type, Value};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};
use std::collections::BTreeSet;

/// Makes a temporary table of the rows of a raw table of a warehouse, under its name, with the columns that are
/// needed, by their places, in the order of keys: instants and money as integers; and `late`.
///
/// # Errors
/// If the warehouse cannot be read, or the disk is full.
pub fn copy(connection: &Connection, id: TableId, needed: &[bool]) -> rusqlite::Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("_milliseconds", 1, pure, |call| milliseconds(call.get_raw(0)))?;
    let table = id.table();
    let name = quoted(table.name);
    let late_events = quoted(LATE_EVENTS.name());
    let any_late = format!("SELECT EXISTS (SELECT 1 FROM main.{late_events})");
    let late = if connection.query_row(&any_late, [], |row| row.get(0))? {
        let key = table.columns[..table.key_columns].iter().map(|column| quoted(column.name));
        let is_same: Vec<_> = key.map(|column| format!("late.{column} = {name}.{column}")).collect();
        format!("EXISTS (SELECT 1 FROM main.{late_events} AS late WHERE {})", is_same.join(" AND "))
    } else {
        // Where none is late, none is looked for.
        "0".to_owned()
    };
    let columns = columns(id, needed).map(|column| plain(column, &quoted(column.name)));
    let columns = columns.chain([format!("{late} AS late")]).collect::<Vec<_>>().join(", ");
    // Rows lie in the order of keys.
    connection.execute_batch(&format!("CREATE TEMP TABLE {name} AS SELECT {columns} FROM main.{name}"))
}

/// The columns of a table that are needed, by their places.
pub fn columns(id: TableId, needed: &[bool]) -> impl Iterator<Item = &'static Column> {
    id.table().columns.iter().zip(needed).filter_map(|(column, is_needed)| is_needed.then_some(column))
}

/// The words of the texts of some tables, and of what these read: no column is read that is none of them. All are meant if
/// one of them reads whatever there is.
pub fn named(catalogue: Catalogue, tables: impl IntoIterator<Item = TableId>) -> Option<BTreeSet<String>> {
    let read: BTreeSet<_> = tables.into_iter().flat_map(|id| reads(catalogue, id)).collect();
    let metrics = catalogue.metrics().iter().map(|(id, sql)| (id.name(), *sql));
    let texts = catalogue.pieces().iter().copied().chain(metrics).filter(|(name, _)| read.contains(name));
    let mut named = BTreeSet::new();
    for (_, text) in texts {
        let text = without_comments(text);
        let is_everything = ["SELECT *", "DISTINCT *", ".*"].iter().any(|all| text.to_uppercase().contains(all));
        if is_everything {
            return None;
        }
        named.extend(words(&text).map(str::to_owned));
    }
    Some(named)
}

/// The words of a text of SQL: whatever stands there for a name.
pub fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

/// A text of SQL without its comments, and without what is blank around its lines. What is quoted stays as it is.
pub fn without_comments(sql: &str) -> String {
    let is_blank = |letter: char| letter != '\n' && letter.is_whitespace();
    let sql = sql.strip_suffix('\n').unwrap_or(sql);
    let (mut text, mut quote, mut rest) = (String::with_capacity(sql.len()), None, sql.trim_start_matches(is_blank));
    while let Some(letter) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("--") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match quote {
            // A quote that is doubled closes and opens again.
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            None if letter == '\n' => {
                text.truncate(text.trim_end_matches(is_blank).len());
                rest = rest.trim_start_matches(is_blank);
            }
            _ => {}
        }
        text.push(letter);
    }
    text.truncate(text.trim_end_matches(is_blank).len());
    text
}

/// How a stored column is read as the metrics' SQL wants it: instants and money as integers.
fn plain(column: &Column, quoted: &str) -> String {
    match column.ty {
        Type::Instant => format!("_milliseconds({quoted}) AS {quoted}"),
        Type::Money => format!("CAST(ROUND({quoted} * 100) AS INTEGER) AS {quoted}"),
        Type::Milli => format!("CAST(ROUND({quoted} * 1000) AS INTEGER) AS {quoted}"),
        Type::Share => format!("CAST(ROUND({quoted} * 10000) AS INTEGER) AS {quoted}"),
        Type::Integer | Type::Boolean | Type::Text | Type::Json | Type::Bytes => quoted.to_owned(),
    }
}

/// An instant as it is stored, in milliseconds since 1970. SQLite's own function costs ten times as much.
fn milliseconds(stored: ValueRef<'_>) -> rusqlite::Result<Option<i64>> {
    let wrong =
        |what: &str| Error::UserFunctionError(format!("an instant is stored as `{what}`, which is none").into());
    match stored {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            instant::parse(&text).map(Some).ok_or_else(|| wrong(&text))
        }
        ValueRef::Integer(number) => Err(wrong(&number.to_string())),
        ValueRef::Real(number) => Err(wrong(&number.to_string())),
        ValueRef::Blob(_) => Err(wrong("bytes")),
    }
}

/// A value of a column, as the metrics' SQL has it, in the place of another, of which a text's memory is used again.
///
/// # Errors
/// If the column holds no such value.
pub fn read_plain(column: &Column, stored: ValueRef<'_>, into: &mut Value) -> rusqlite::Result<()> {
    match (column.ty, stored) {
        (Type::Instant, ValueRef::Integer(at)) => *into = Value::Instant(at),
        (Type::Money, ValueRef::Integer(cents)) => *into = Value::Cents(cents),
        (Type::Milli, ValueRef::Integer(milli)) => *into = Value::Milli(milli),
        (Type::Share, ValueRef::Integer(share)) => *into = Value::Share(share),
        (Type::Text, ValueRef::Text(text)) => match (std::str::from_utf8(text), &mut *into) {
            (Ok(text), Value::Text(spare)) => {
                spare.clear();
                spare.push_str(text);
            }
            _ => *into = read_value(column, stored)?,
        },
        (_, stored) => *into = read_value(column, stored)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::without_comments;

    #[test]
    fn what_is_quoted_is_no_comment() {
        let cases = [
            ("SELECT 'a--b' AS a, c -- 'it''s\nFROM d", "SELECT 'a--b' AS a, c\nFROM d"),
            ("SELECT 'it''s -- \n  so' , \"a--\" --", "SELECT 'it''s -- \n  so' , \"a--\""),
        ];
        for (sql, without) in cases {
            assert_eq!(without_comments(sql), without, "{sql}");
        }
    }

    #[test]
    fn where_nothing_is_quoted_each_line_ends_where_its_comment_begins() {
        let parts = ["SELECT a", " ", "\n", "-- b", "\r\n", "\t", "- c", "--"];
        let mut dice = 1_u64;
        for length in 0..2_000 {
            let mut drawn = || {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                parts[(dice >> 60) as usize % parts.len()]
            };
            let sql: String = (0..length % 12).map(|_| drawn()).collect();
            let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default().trim());
            assert_eq!(without_comments(&sql), lines.collect::<Vec<_>>().join("\n"), "{sql:?}");
        }
    }
}
