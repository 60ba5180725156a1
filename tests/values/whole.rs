use super::{any_line, avro, of_fields, record};
use apache_avro::types::Value as Avro;
use dataflows::events::Event;
use deltamart::accept::Accepted;
use deltamart::decode::{Reason, Rejection};
use proptest::prelude::*;
use serde_json::json;

fn user(read: Result<Accepted, Rejection>) -> Result<u64, (Reason, String)> {
    match read {
        Ok(Accepted { event: Event::SignIn(sign), .. }) => Ok(sign.user_id),
        Ok(other) => panic!("{other:?}"),
        Err(why) => Err((why.reason, why.detail)),
    }
}

fn in_json(written: &str) -> Result<u64, (Reason, String)> {
    user(any_line(&format!(r#"{{"event_name":"sign_in","timestamp":"2026-01-05","user_id":{written}}}"#)))
}

fn in_avro(ty: serde_json::Value, value: Avro) -> Result<u64, (Reason, String)> {
    let fields = [("timestamp", json!("string")), ("user_id", json!(["null", ty]))];
    let value =
        of_fields(vec![("timestamp", Avro::String("2026-01-05".into())), ("user_id", Avro::Union(1, Box::new(value)))]);
    user(avro("sign_in", &record("SignIn", &fields), value))
}

fn decimal(size: Option<usize>, scale: u32) -> serde_json::Value {
    let mut ty = json!({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": scale});
    if let Some(size) = size {
        ty["type"] = "fixed".into();
        ty["name"] = "Decimal".into();
        ty["size"] = size.into();
    }
    ty
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn a_number_is_the_same_in_every_type(
        shift in 0u32..63,
        number in 0u64..i64::MAX as u64,
        (zeros, before, behind) in (0usize..4, "[ \t\u{a0}]{0,2}", "[ \t]{0,2}"),
        scale in 0u32..6,
    ) {
        let number = number >> shift;
        let text = format!("{before}{}{number}{behind}", "0".repeat(zeros));
        prop_assert_eq!(in_json(&number.to_string()), Ok(number));
        prop_assert_eq!(in_json(&json!(text).to_string()), Ok(number));
        prop_assert_eq!(in_avro(json!("long"), Avro::Long(number as i64)), Ok(number));
        prop_assert_eq!(in_avro(json!("string"), Avro::String(text.clone())), Ok(number));
        prop_assert_eq!(in_avro(json!("bytes"), Avro::Bytes(text.into_bytes())), Ok(number));
        let unscaled = i128::from(number) * 10i128.pow(scale);
        let bytes = unscaled.to_be_bytes().to_vec();
        prop_assert_eq!(in_avro(decimal(None, scale), Avro::Bytes(bytes[3..].to_vec())), Ok(number));
        prop_assert_eq!(in_avro(decimal(Some(16), scale), Avro::Fixed(16, bytes)), Ok(number));
        if let Ok(int) = i32::try_from(number) {
            prop_assert_eq!(in_avro(json!("int"), Avro::Int(int)), Ok(number));
        }
        let (double, float) = (number as f64, number as f32);
        let exact = number < 1 << 53;
        for read in [in_json(&format!("{double:.1}")), in_avro(json!("double"), Avro::Double(double))] {
            prop_assert_eq!(read.is_ok(), exact);
            prop_assert!(!exact || read == Ok(number));
        }
        let read = in_avro(json!("float"), Avro::Float(float));
        prop_assert_eq!(read.is_ok(), float < 16_777_216.0);
        prop_assert!(number >= 1 << 24 || read == Ok(number));
    }

    #[test]
    fn a_fraction_is_not_rounded_away(number in 0u64..1 << 40, part in 1u64..8) {
        let double = number as f64 + part as f64 / 8.0;
        for read in [in_json(&double.to_string()), in_avro(json!("double"), Avro::Double(double))] {
            let (reason, detail) = read.expect_err("no whole number");
            prop_assert_eq!(reason, Reason::WRONG_TYPE);
            let expected = format!("`user_id` is the number {double}; expected a whole number such as 6");
            prop_assert!(detail.ends_with(&expected), "{}", detail);
        }
    }
}

/// A field that is read may have a type that nobody can read it from: that is said of each record, by field and type.
#[test]
fn other_types_are_named() {
    let array = json!({"type": "array", "items": "long"});
    let nested = record("Nested", &[("id", json!("long"))]);
    for (ty, value, called) in [
        (json!("boolean"), Avro::Boolean(true), "true"),
        (array, Avro::Array(vec![Avro::Long(1)]), "a list"),
        (json!({"type": "map", "values": "long"}), Avro::Map([("a".to_owned(), Avro::Long(1))].into()), "an object"),
        (nested, of_fields(vec![("id", Avro::Long(1))]), "an object"),
        (json!("bytes"), Avro::Bytes(vec![0xff, 0xfe]), "2 bytes that are not text"),
        (json!({"type": "enum", "name": "E", "symbols": ["one"]}), Avro::Enum(0, "one".to_owned()), "the text \"one\""),
    ] {
        let (reason, detail) = in_avro(ty, value).expect_err("no number");
        assert_eq!(reason, Reason::WRONG_TYPE);
        assert_eq!(detail, format!("`user_id` is {called}; expected a whole number such as 6"));
    }
}
