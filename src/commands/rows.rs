//! Rows on their way out: a table for people, lines for programs.

mod cells;
mod grid;
mod lines;

pub(super) use cells::prose;
pub(super) use grid::{Grid, Head, render};

use crate::cli::Format;
use crate::shown;
use crate::sink::sqlite::guarded::Column;
use anyhow::Result;
use dataflows::table::Type;
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

/// How many cells a line may have; nothing where there is no end to it.
pub(super) type Width = Option<usize>;

/// So much text is printed at once.
const PRINTED_BYTES: usize = 64 << 10;

/// How rows are written, if nobody says so: a table for a terminal, JSON for what is no terminal.
pub(super) fn format_of(asked: Option<Format>) -> Format {
    asked.unwrap_or(if shown::width().is_some() { Format::Table } else { Format::Json })
}

/// The values of a row.
///
/// # Errors
/// If there are not so many.
pub(super) fn values(row: &Row<'_>, columns: &[Column]) -> Result<Vec<Value>> {
    let value = |place| Ok(own(row.get_ref(place)?));
    (0..columns.len()).map(value).collect()
}

fn own(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Where rows come from, one after the other.
pub(super) type Next<'a> = dyn FnMut() -> Result<Option<Vec<Value>>> + 'a;

/// Prints rows in a form that is no table, each as soon as it is there. Nothing is shortened. Says how many there were.
pub(super) fn print_lines(format: Format, columns: &[Column], next: &mut Next<'_>) -> Result<u64> {
    let mut lines = lines::Lines::new(format, columns);
    let (mut text, mut count) = (lines.head()?, 0);
    while let Some(row) = next()? {
        text.push_str(&lines.line(&row)?);
        count += 1;
        if text.len() >= PRINTED_BYTES {
            say_as_is!("{}", text.trim_end_matches('\n'));
            text.clear();
        }
    }
    if !text.is_empty() {
        say_as_is!("{}", text.trim_end_matches('\n'));
    }
    Ok(count)
}

/// A value as a person reads it: on one line, nothing in it that a terminal acts on.
fn for_people(ty: Option<Type>, value: &Value) -> String {
    match (ty, value) {
        (_, Value::Null) => String::new(),
        (Some(Type::Boolean), Value::Integer(truth)) => if *truth == 0 { "no" } else { "yes" }.to_owned(),
        (_, Value::Text(text)) if is_instant(text) => shorter(text),
        (_, Value::Text(text)) => shown::value(text).into_owned(),
        (_, Value::Blob(bytes)) => shown::value(&String::from_utf8_lossy(bytes)).into_owned(),
        (Some(Type::Money), Value::Integer(_) | Value::Real(_)) => decimals(value, 2),
        (Some(Type::Milli), Value::Integer(_) | Value::Real(_)) => decimals(value, 3),
        (Some(Type::Share), Value::Integer(_) | Value::Real(_)) => decimals(value, 4),
        (_, Value::Integer(number)) => number.to_string(),
        (_, Value::Real(number)) => real(*number),
    }
}

/// A number with so many decimals: of money and thousandths the double next to it stands in the file.
fn decimals(value: &Value, places: usize) -> String {
    match value {
        Value::Real(number) if number.is_finite() => format!("{number:.places$}"),
        Value::Real(number) => real(*number),
        Value::Integer(number) => format!("{number}.{}", "0".repeat(places)),
        Value::Null | Value::Text(_) | Value::Blob(_) => String::new(),
    }
}

/// A number as JSON writes it, to the last digit.
fn real(number: f64) -> String {
    let infinite = || if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    serde_json::Number::from_f64(number).map_or_else(infinite, |number| number.to_string())
}

/// Whether a text is an instant as warehouses have it: `2026-01-05T10:00:00.000Z`.
fn is_instant(text: &str) -> bool {
    let like = b"0000-00-00T00:00:00.000Z";
    text.len() == like.len()
        && text.bytes().zip(like).all(|(byte, like)| if *like == b'0' { byte.is_ascii_digit() } else { byte == *like })
}

/// An instant without what is zero at its end.
fn shorter(text: &str) -> String {
    text.trim_end_matches('Z').trim_end_matches(".000").replace('T', " ")
}

/// Whether a value is of one length, more or less: a number, or an instant.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => true,
        Value::Text(text) => is_instant(text),
        Value::Blob(_) => false,
    }
}

/// Whether a value is a number.
fn is_number(ty: Option<Type>, value: &Value) -> bool {
    ty != Some(Type::Boolean) && matches!(value, Value::Integer(_) | Value::Real(_))
}

/// A value as a program reads it.
enum Exact {
    Null,
    /// A number or a truth value, as JSON writes it.
    Bare(String),
    Text(String),
}

fn exact(ty: Option<Type>, value: &Value) -> Exact {
    match (ty, value) {
        (_, Value::Null) => Exact::Null,
        (Some(Type::Boolean), Value::Integer(truth)) => Exact::Bare((*truth != 0).to_string()),
        (Some(Type::Money), Value::Integer(_)) => Exact::Bare(decimals(value, 2)),
        (Some(Type::Milli), Value::Integer(_)) => Exact::Bare(decimals(value, 3)),
        (Some(Type::Share), Value::Integer(_)) => Exact::Bare(decimals(value, 4)),
        (_, Value::Integer(number)) => Exact::Bare(number.to_string()),
        // No number of JSON is infinite.
        (_, Value::Real(number)) if !number.is_finite() => Exact::Text(real(*number)),
        (Some(Type::Money), Value::Real(_)) => Exact::Bare(decimals(value, 2)),
        (Some(Type::Milli), Value::Real(_)) => Exact::Bare(decimals(value, 3)),
        (Some(Type::Share), Value::Real(_)) => Exact::Bare(decimals(value, 4)),
        (_, Value::Real(number)) => Exact::Bare(real(*number)),
        (_, Value::Text(text)) => Exact::Text(text.clone()),
        (_, Value::Blob(bytes)) => Exact::Text(match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            // As SQL writes it.
            Err(_) => format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_people_read_them() {
        for (ty, value, expected) in [
            (Some(Type::Money), Value::Real(12.5), "12.50"),
            (Some(Type::Money), Value::Integer(3), "3.00"),
            (Some(Type::Milli), Value::Real(-0.25), "-0.250"),
            (Some(Type::Share), Value::Real(0.9975), "0.9975"),
            (Some(Type::Boolean), Value::Integer(1), "yes"),
            (None, Value::Real(1e300), "1e+300"),
            (None, Value::Text("2026-01-05T10:00:00.000Z".into()), "2026-01-05 10:00:00"),
            (None, Value::Text("2026-01-05T10:00:00.250Z".into()), "2026-01-05 10:00:00.250"),
            (None, Value::Text("2026-01-05T10:00:00".into()), "2026-01-05T10:00:00"),
            (None, Value::Text("a\u{1b}\nb".into()), "a\\u001b\\u000ab"),
            (Some(Type::Bytes), Value::Blob(b"a\xff".to_vec()), "a\u{fffd}"),
            (None, Value::Null, ""),
        ] {
            assert_eq!(for_people(ty, &value), expected, "{value:?}");
        }
    }

    #[test]
    fn values_are_exact_for_programs() {
        let written = |ty, value| match exact(ty, &value) {
            Exact::Null => "null".to_owned(),
            Exact::Bare(bare) => bare,
            Exact::Text(text) => format!("{text:?}"),
        };
        for (ty, value, expected) in [
            (Some(Type::Money), Value::Real(22_517_998_136_852.47), "22517998136852.47"),
            (Some(Type::Money), Value::Real(0.1), "0.10"),
            (Some(Type::Milli), Value::Integer(2), "2.000"),
            (Some(Type::Share), Value::Integer(1), "1.0000"),
            (Some(Type::Boolean), Value::Integer(0), "false"),
            (None, Value::Integer(i64::MIN), "-9223372036854775808"),
            (None, Value::Real(0.1 + 0.2), "0.30000000000000004"),
            (None, Value::Real(f64::NEG_INFINITY), "\"-Infinity\""),
            (None, Value::Null, "null"),
            (Some(Type::Bytes), Value::Blob(b"{\"a\":1}".to_vec()), "\"{\\\"a\\\":1}\""),
            (Some(Type::Bytes), Value::Blob(b"\x00\xff".to_vec()), "\"x'00ff'\""),
        ] {
            assert_eq!(written(ty, value), expected);
        }
    }
}
