//! What Snowflake answers, as values.

use crate::instant;
use crate::sink::SinkError;
use crate::sink::progress::Found;
use dataflows::table::{Column, Type, Value};
use serde_json::Value as Json;
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
        (Type::Share, cell) => Value::Share(scaled(&cell, 4).ok_or_else(|| wrong(&cell))?),
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

/// The row of `_progress`, its columns in their order.
pub(super) fn found(row: &[CellValue]) -> Found {
    let at = |at: usize| row.get(at).map_or(Json::Null, as_json);
    Found {
        pipeline_id: at(0),
        generation: at(1),
        made_by: at(2),
        epoch: at(3),
        positions: at(4),
        watermark: at(5),
        committed_at: at(6),
        watermarks: at(7),
    }
}

/// What is none of ours is a list, which no field is.
#[expect(clippy::wildcard_enum_match_arm, reason = "columns of other types are none of ours, whatever they are")]
fn as_json(cell: &CellValue) -> Json {
    match cell {
        CellValue::Null => Json::Null,
        CellValue::Boolean(truth) => (*truth).into(),
        CellValue::Float(number) => (*number).into(),
        CellValue::Integer(number) => scaled(cell, 0).map_or_else(|| vec![number.to_string()].into(), Json::from),
        CellValue::Decimal(number) => scaled(cell, 0).map_or_else(|| vec![number.raw()].into(), Json::from),
        CellValue::String(text) => text.as_str().into(),
        CellValue::TimestampNtz(at) => instant::show(at.and_utc().timestamp_millis()).into(),
        _ => Json::from(vec!["a value of another type"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_progress_is_read_or_refused_by_the_name_of_its_column() {
        let text = |text: &str| CellValue::String(text.to_owned());
        let at = CellValue::TimestampNtz(Default::default());
        let row = [
            text("7b0f"),
            CellValue::Integer(2),
            text("batch"),
            CellValue::Integer(8),
            text("{\"shop/0\":5}"),
            at.clone(),
            at,
        ];
        let read = |row: &[CellValue]| found(row).read("W.M._progress", "Put it back.");
        let progress = read(&row).expect("ours");
        assert_eq!((progress.made_by, progress.epoch, progress.watermarks.least()), (crate::sink::MadeBy::Batch, 8, 0));
        let columns = ["pipeline_id", "generation", "made_by", "epoch", "positions", "watermark", "committed_at"];
        // The eighth: the watermark of each family, of which the least stands beside.
        let of = |watermarks: &str| read(&[&row[..], &[text(watermarks)]].concat());
        let two = of(r#"{"shop":"1970-01-01T00:00:00.000Z","toys":"1970-01-02T00:00:00.000Z"}"#).expect("ours");
        assert_eq!(two.watermarks.of("toys"), 86_400_000);
        let error = of(r#"{"toys":"1970-01-02T00:00:00.000Z"}"#).expect_err("the least is another");
        assert!(error.to_string().contains("`watermarks` is"), "{error}");
        for (at, column) in columns.into_iter().enumerate() {
            for wrong in [CellValue::Null, CellValue::Boolean(true), CellValue::Integer(i128::MAX)] {
                let mut row = row.clone();
                row[at] = wrong;
                let error = read(&row).expect_err(column);
                assert!(error.to_string().contains(&format!("W.M._progress: `{column}` is")), "{error}");
            }
        }
    }

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
