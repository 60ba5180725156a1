//! Values as JSON, exactly: money with two decimals, integers that a double does not hold as text.

use dataflows::table::{Type, Value};
use rusqlite::types::ValueRef;
use std::fmt::Write as _;

/// The first whole number that a double does not tell from its neighbour.
const EXACT: i64 = 1 << 53;

/// Writes a value.
pub(super) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Integer(number) => integer(out, *number),
        Value::Instant(at) => text(out, &crate::instant::show(*at)),
        Value::Cents(number) => decimals(out, *number, 2),
        Value::Milli(number) => decimals(out, *number, 3),
        Value::Share(number) => decimals(out, *number, 4),
        Value::Text(own) => text(out, own),
        Value::Bytes(own) => bytes(out, own),
    }
}

/// Writes a value as SQLite holds it, of a column that holds this, where that is known.
pub(super) fn write_stored(out: &mut String, ty: Option<Type>, value: ValueRef<'_>) {
    let places = match ty {
        Some(Type::Money) => Some(2),
        Some(Type::Milli) => Some(3),
        Some(Type::Share) => Some(4),
        Some(Type::Integer | Type::Boolean | Type::Instant | Type::Text | Type::Json | Type::Bytes) | None => None,
    };
    match (value, places) {
        (ValueRef::Null, _) => write(out, &Value::Null),
        (ValueRef::Integer(truth), _) if ty == Some(Type::Boolean) => write(out, &Value::Boolean(truth != 0)),
        (ValueRef::Integer(number), Some(places)) => {
            write!(out, "{number}.{}", "0".repeat(places)).expect("a String takes everything");
        }
        (ValueRef::Integer(number), None) => write(out, &Value::Integer(number)),
        // The double next to it stands in the file: it is read back to what it was.
        (ValueRef::Real(number), Some(places)) if (number * 10_f64.powi(places as i32)).abs() < EXACT as f64 => {
            decimals(out, (number * 10_f64.powi(places as i32)).round() as i64, places);
        }
        (ValueRef::Real(number), _) => match serde_json::Number::from_f64(number) {
            Some(number) => out.push_str(&number.to_string()),
            // No number of JSON is infinite.
            None => text(out, if number > 0.0 { "Infinity" } else { "-Infinity" }),
        },
        (ValueRef::Text(own), _) => text(out, &String::from_utf8_lossy(own)),
        (ValueRef::Blob(own), _) => bytes(out, own),
    }
}

/// Writes a text.
pub(super) fn text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn integer(out: &mut String, number: i64) {
    let quote = if (-EXACT + 1..EXACT).contains(&number) { "" } else { "\"" };
    write!(out, "{quote}{number}{quote}").expect("a String takes everything");
}

fn decimals(out: &mut String, number: i64, places: usize) {
    let (sign, digits) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    let unit = 10_u64.pow(places as u32);
    write!(out, "{sign}{}.{:0places$}", digits / unit, digits % unit).expect("a String takes everything");
}

/// Text, or as SQL writes bytes.
fn bytes(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(own) => text(out, own),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            text(out, &format!("x'{digits}'"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value) -> String {
        let mut out = String::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn values_are_exact() {
        for (value, expected) in [
            (Value::Null, "null"),
            (Value::Boolean(true), "true"),
            (Value::Integer(EXACT - 1), "9007199254740991"),
            (Value::Integer(EXACT), "\"9007199254740992\""),
            (Value::Integer(-EXACT), "\"-9007199254740992\""),
            (Value::Integer(i64::MIN), "\"-9223372036854775808\""),
            (Value::Cents(1250), "12.50"),
            (Value::Cents(-5), "-0.05"),
            (Value::Cents(i64::MIN), "-92233720368547758.08"),
            (Value::Milli(-1234), "-1.234"),
            (Value::Share(10_000), "1.0000"),
            (Value::Instant(1_767_607_200_000), "\"2026-01-05T10:00:00.000Z\""),
            (Value::Text("a\"\n\u{1b}".to_owned()), r#""a\"\n\u001b""#),
            (Value::Bytes(b"{\"a\":1}"[..].into()), r#""{\"a\":1}""#),
            (Value::Bytes([0, 255][..].into()), "\"x'00ff'\""),
        ] {
            assert_eq!(written(&value), expected);
            assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok(), "{expected}");
        }
    }

    /// What is read from the file and what is told of a commit is written alike.
    #[test]
    fn a_stored_value_is_written_as_it_was() {
        for (ty, stored, value) in [
            (Type::Money, ValueRef::Real(0.1), Value::Cents(10)),
            (Type::Money, ValueRef::Real(22_517_998_136_852.47), Value::Cents(2_251_799_813_685_247)),
            (Type::Money, ValueRef::Real(-0.05), Value::Cents(-5)),
            (Type::Money, ValueRef::Integer(3), Value::Cents(300)),
            (Type::Milli, ValueRef::Real(12.345), Value::Milli(12_345)),
            (Type::Share, ValueRef::Real(0.3333), Value::Share(3_333)),
            (Type::Boolean, ValueRef::Integer(1), Value::Boolean(true)),
            (Type::Integer, ValueRef::Integer(-7), Value::Integer(-7)),
            (Type::Text, ValueRef::Text("é".as_bytes()), Value::Text("é".to_owned())),
            (Type::Bytes, ValueRef::Blob(&[1, 200]), Value::Bytes([1, 200][..].into())),
            (Type::Text, ValueRef::Null, Value::Null),
        ] {
            let mut out = String::new();
            write_stored(&mut out, Some(ty), stored);
            assert_eq!(out, written(&value));
        }
        let mut out = String::new();
        write_stored(&mut out, None, ValueRef::Real(f64::NEG_INFINITY));
        write_stored(&mut out, None, ValueRef::Real(0.5));
        assert_eq!(out, "\"-Infinity\"0.5");
    }
}
