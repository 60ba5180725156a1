use super::{any_line, avro, of_fields, record};
use apache_avro::types::Value as Avro;
use dataflows::events::Event;
use dataflows::shop::events::purchase::BAD_AMOUNT;
use deltamart::accept::Accepted;
use deltamart::decode::{Reason, Rejection};
use proptest::prelude::*;
use serde_json::json;

/// What was paid, in cents.
fn paid(read: Result<Accepted, Rejection>) -> Result<i64, (Reason, String)> {
    match read {
        Ok(Accepted { event: Event::Purchase(purchase), .. }) => Ok(purchase.purchase_amount_cents),
        Ok(other) => panic!("{other:?}"),
        Err(why) => Err((why.reason, why.detail)),
    }
}

fn in_json(written: &str) -> Result<i64, (Reason, String)> {
    let event = r#""event_name":"purchase","timestamp":"2026-01-05","user_id":1,"movie_id":1"#;
    paid(any_line(&format!(r#"{{{event},"purchase_amount":{written}}}"#)))
}

/// The price of a catalog's version, which has the same reader.
fn price(written: &str) -> Option<i64> {
    let event = r#""event_name":"movies_catalog_enriched","timestamp":"2026-01-05","item_id":1"#;
    match any_line(&format!(r#"{{{event},"price":{written}}}"#)).expect("an item").event {
        Event::Catalog(item) => item.content.price_cents,
        other => panic!("{other:?}"),
    }
}

fn in_avro(ty: serde_json::Value, value: Avro) -> Result<i64, (Reason, String)> {
    let (text, long) = (json!("string"), json!("long"));
    let fields = [("timestamp", text), ("user_id", long.clone()), ("movie_id", long), ("purchase_amount", ty)];
    let value = of_fields(vec![
        ("timestamp", Avro::String("2026-01-05".into())),
        ("user_id", Avro::Long(1)),
        ("movie_id", Avro::Long(1)),
        ("purchase_amount", value),
    ]);
    paid(avro("purchase", &record("Purchase", &fields), value))
}

/// Cents as people write them, with a sign for thousands and one for the point.
fn grouped(cents: i64, thousands: &str, point: &str) -> String {
    let digits = (cents / 100).to_string();
    let places = digits.len();
    let group = |(place, digit): (usize, char)| {
        let begins = place > 0 && (places - place).is_multiple_of(3);
        format!("{}{digit}", if begins { thousands } else { "" })
    };
    format!("{}{point}{:02}", digits.chars().enumerate().map(group).collect::<String>(), cents % 100)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]
    #[test]
    fn an_amount_is_the_same_in_every_writing(
        cents in prop_oneof![0i64..=100_000_000_000, 0i64..2_000_000, Just(100_000_000_000)],
        scale in 2u32..7,
    ) {
        let text = grouped(cents, "", ".");
        let dollars: f64 = text.parse().expect("a number");
        for written in [text.clone(), format!("{dollars:e}"), json!({"amount": dollars, "currency": "USD"}).to_string()] {
            prop_assert_eq!(in_json(&written), Ok(cents), "{}", written);
        }
        for written in [
            text.clone(),
            grouped(cents, ",", "."),
            grouped(cents, ".", ","),
            grouped(cents, "", ","),
            format!("${}", grouped(cents, ",", ".")),
            format!(" {text} USD\n"),
            format!("USD {text}"),
        ] {
            prop_assert_eq!(in_json(&json!(written).to_string()), Ok(cents), "{}", written);
            prop_assert_eq!(in_avro(json!("string"), Avro::String(written.clone())), Ok(cents), "{}", written);
        }
        prop_assert_eq!(in_avro(json!("double"), Avro::Double(dollars)), Ok(cents));
        // One more or less in the last place, as sums have it.
        for noisy in [dollars.next_up(), dollars.next_down().max(0.0)] {
            prop_assert_eq!(in_json(&format!("{noisy:?}")), Ok(cents), "{:?}", noisy);
        }
        let unscaled = (i128::from(cents) * 10i128.pow(scale - 2)).to_be_bytes()[4..].to_vec();
        let ty = json!({"type": "bytes", "logicalType": "decimal", "precision": 24, "scale": scale});
        prop_assert_eq!(in_avro(ty, Avro::Bytes(unscaled)), Ok(cents));
        prop_assert_eq!(price(&text), (cents > 0).then_some(cents));
        if cents % 100 == 0 {
            prop_assert_eq!(in_avro(json!("long"), Avro::Long(cents / 100)), Ok(cents));
        }
    }

    /// Up to 131,072 dollars each amount has a 32-bit float of its own: it comes back from it, however it is written.
    #[test]
    fn an_amount_comes_back_from_a_float(cents in 0i64..13_107_200) {
        let float: f32 = grouped(cents, "", ".").parse().expect("a number");
        prop_assert_eq!(in_avro(json!("float"), Avro::Float(float)), Ok(cents));
        let widened = f64::from(float);
        prop_assert_eq!(in_avro(json!("double"), Avro::Double(widened)), Ok(cents));
        for written in [format!("{widened:?}"), format!("{widened:.10}"), format!("{widened:.7}")] {
            prop_assert_eq!(in_json(&written), Ok(cents), "{}", written);
            prop_assert_eq!(price(&written), (cents > 0).then_some(cents), "{}", written);
        }
    }

    /// An amount of three or four decimals is none, and is not rounded to one.
    #[test]
    fn parts_of_a_cent_are_not_rounded_away(cents in 0i64..100_000_000, part in 1i64..100) {
        let written = format!("{}.{:02}{part:02}", cents / 100, cents % 100);
        let dollars: f64 = written.parse().expect("a number");
        // 74489.5625 is all that a 32-bit float makes of 74489.56.
        prop_assume!(f64::from(dollars as f32) != dollars);
        for written in [written.clone(), json!(written).to_string()] {
            let (reason, detail) = in_json(&written).expect_err("no money");
            prop_assert_eq!(reason, BAD_AMOUNT);
            prop_assert!(detail.starts_with("`purchase_amount` is ") && detail.contains("whole cents"), "{}", detail);
            prop_assert_eq!(price(&written), None);
        }
    }
}
