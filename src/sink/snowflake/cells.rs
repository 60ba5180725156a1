//! What Snowflake answers, as values.

use crate::sink::SinkError;
use dataflows::table::{Column, Type, Value};
use snowflake_connector_rs::CellValue;

/// A stored value, as its column declares it.
pub(super) fn value(column: &Column, cell: CellValue) -> Result<Value, SinkError> {
    let wrong = |cell: &CellValue| {
        SinkError::Failed(format!("column `{}` holds {cell:?}, which is no {:?}", column.name, column.ty))
    };
    Ok(match (column.ty, cell) {
        (_, CellValue::Null) => Value::Null,
        (Type::Boolean, CellValue::Boolean(truth)) => Value::Boolean(truth),
        (Type::Instant, CellValue::TimestampNtz(at)) => Value::Instant(at.and_utc().timestamp_millis()),
        (Type::Text | Type::Json, CellValue::String(text)) => Value::Text(text),
        (Type::Bytes, CellValue::Binary(bytes)) => Value::Bytes(bytes.as_bytes().into()),
        (Type::Integer, cell) => Value::Integer(scaled(&cell, 0).ok_or_else(|| wrong(&cell))?),
        (Type::Money, cell) => Value::Cents(scaled(&cell, 2).ok_or_else(|| wrong(&cell))?),
        (Type::Milli, cell) => Value::Milli(scaled(&cell, 3).ok_or_else(|| wrong(&cell))?),
        (_, cell) => return Err(wrong(&cell)),
    })
}

/// A number in units of its last decimal.
#[expect(clippy::wildcard_enum_match_arm, reason = "a cell that is no number is refused, whatever else it is")]
pub(super) fn scaled(cell: &CellValue, scale: usize) -> Option<i64> {
    let text = match cell {
        CellValue::Integer(number) => number.to_string(),
        CellValue::Decimal(number) => number.raw().to_owned(),
        _ => return None,
    };
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let (rest, beyond) = rest.split_at(rest.len().min(scale));
    let digits = format!("{whole}{rest:0<scale$}");
    beyond.bytes().all(|digit| digit == b'0').then(|| digits.parse().ok())?
}

/// Text.
pub(super) fn text(cell: &CellValue) -> Option<&str> {
    if let CellValue::String(text) = cell { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_exactly() {
        let decimal = |text: &str, scale| {
            let whole = text.parse().map(CellValue::Integer);
            whole.ok().and_then(|cell| scaled(&cell, scale))
        };
        assert_eq!(decimal("12", 2), Some(1_200));
        assert_eq!(decimal("-7", 0), Some(-7));
        assert_eq!(decimal("170141183460469231731687303715884105727", 0), None);
        assert_eq!(scaled(&CellValue::Null, 0), None);
    }
}
