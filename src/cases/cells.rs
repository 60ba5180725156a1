//! Values as a case writes them: `-` is null, an instant ends with its last part that is not zero, text stands in quotes
//! only where it would be taken for something else.

use crate::instant;
use dataflows::declared::reading::shown as decimal;
use dataflows::table::{Column, Type, Value};
use rust_decimal::Decimal;
use std::str::FromStr;

/// Null.
const NULL: &str = "-";

/// Stands between values.
pub const BETWEEN: char = '|';

/// A value as it is written.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => NULL.to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Instant(at) => instant::show(*at).replace(":00.000Z", "").replace(".000Z", "Z"),
        Value::Cents(cents) => decimal(*cents, 2),
        Value::Milli(milli) => decimal(*milli, 3),
        Value::Share(share) => decimal(*share, 4),
        Value::Text(text) => written(text),
        Value::Bytes(bytes) => written(&String::from_utf8_lossy(bytes)),
    }
}

/// What stands in a cell of a column, as [`shown`] writes it.
///
/// # Errors
/// If it is no value of the column: what was expected.
pub fn normal(column: &Column, cell: &str) -> Result<String, &'static str> {
    if cell == NULL {
        return Ok(cell.to_owned());
    }
    let (value, expected) = match column.ty {
        Type::Boolean => (cell.parse().ok().map(Value::Boolean), "`true` or `false`"),
        Type::Integer => (cell.parse().ok().map(Value::Integer), "a whole number such as 7"),
        Type::Instant => (instant::parse(cell).map(Value::Instant), "an instant such as 2026-01-05T10:00, UTC"),
        Type::Money => (scaled(cell, 2).map(Value::Cents), "an amount such as 4.99"),
        Type::Milli => (scaled(cell, 3).map(Value::Milli), "a number with up to three decimals, such as 0.125"),
        Type::Share => (scaled(cell, 4).map(Value::Share), "a share with up to four decimals, such as 0.9975"),
        Type::Text | Type::Json | Type::Bytes => (text(cell).map(Value::Text), "text; what begins with `\"` is JSON's"),
    };
    value.map(|value| shown(&value)).ok_or(expected)
}

/// A number in units of its last decimal.
fn scaled(cell: &str, decimals: u32) -> Option<i64> {
    let number = Decimal::from_str(cell).ok()?.checked_mul(Decimal::from(10_u64.pow(decimals)))?;
    number.is_integer().then(|| i64::try_from(number.trunc().mantissa() / 10_i128.pow(number.trunc().scale())).ok())?
}

/// Text in quotes if it would be taken for something else.
pub fn written(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text != NULL
        && text.trim() == text
        && !text.starts_with('"')
        && !text.contains(|letter: char| letter == BETWEEN || letter.is_control());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// What [`written`] wrote.
pub fn text(cell: &str) -> Option<String> {
    if cell.starts_with('"') { serde_json::from_str(cell).ok() } else { Some(cell.to_owned()) }
}

/// The cells of a line, each with its place in it, in letters from 0.
pub fn split(line: &str) -> Vec<(usize, String)> {
    let (mut cells, mut cell, mut from) = (Vec::new(), String::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (place, letter) in line.chars().enumerate() {
        if letter == BETWEEN && !is_quoted {
            cells.push((from, std::mem::take(&mut cell)));
            from = place + 1;
            continue;
        }
        if letter == '"' && !is_escaped {
            is_quoted = !is_quoted && cell.trim().is_empty();
        }
        is_escaped = is_quoted && letter == '\\' && !is_escaped;
        cell.push(letter);
    }
    cells.push((from, cell));
    let trimmed = |(from, cell): (usize, String)| {
        let blanks = cell.chars().take_while(|letter| letter.is_whitespace()).count();
        (from + blanks, cell.trim().to_owned())
    };
    cells.into_iter().map(trimmed).collect()
}
