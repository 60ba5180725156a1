use super::{avro, line, of_fields, record};
use apache_avro::types::Value as Avro;
use dataflows::events::Event;
use deltamart::accept::Accepted;
use deltamart::decode::Rejection;
use deltamart::instant;
use serde_json::{Value as Json, json};

fn code(cell: &str) -> &str {
    cell.trim().trim_start_matches('`').trim_end_matches('`')
}

fn dollars(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// What an event says in the field that a table is about.
fn shown(field: &str, accepted: &Accepted) -> String {
    match &accepted.event {
        Event::SignIn(sign) if field == "timestamp" => instant::show(sign.timestamp),
        Event::SignIn(sign) => sign.user_id.to_string(),
        Event::Purchase(purchase) => dollars(purchase.purchase_amount_cents),
        Event::ItemView(view) => view.item_id.to_string(),
        Event::Catalog(item) => match item.content.price_cents {
            Some(cents) => dollars(cents),
            None => item.content.price_reason.clone().expect("a reason"),
        },
        other => panic!("{other:?}"),
    }
}

/// An event in which this stands in a field.
fn with(field: &str, written: &str) -> String {
    let (event, mut rest) = match field {
        "timestamp" | "user_id" => ("sign_in", json!({"timestamp": "2026-01-05", "user_id": 1})),
        "purchase_amount" => ("purchase", json!({"timestamp": "2026-01-05", "user_id": 1, "movie_id": 1})),
        "price" => ("movies_catalog_enriched", json!({"timestamp": "2026-01-05", "item_id": 1})),
        "item_id" => ("item_view", json!({"timestamp": "2026-01-05", "user_id": 1})),
        other => panic!("no event has a `{other}` to try"),
    };
    rest.as_object_mut().expect("an object").remove(field);
    let rest = rest.to_string();
    format!(r#"{{"event_name":"{event}","{field}":{written},{}"#, &rest[1..])
}

/// A value of JSON as one of a type of Avro.
fn of_type(ty: &Json, value: &Json) -> Avro {
    if let Some(branches) = ty.as_array() {
        return Avro::Union(1, Box::new(of_type(&branches[1], value)));
    }
    match ty.as_str().or(ty["type"].as_str()).expect("a type") {
        "int" => Avro::Int(value.as_i64().and_then(|number| number.try_into().ok()).expect("an int")),
        "long" => Avro::Long(value.as_i64().expect("a long")),
        "double" => Avro::Double(value.as_f64().expect("a double")),
        "bytes" => Avro::Bytes(value.as_str().expect("text").into()),
        "string" => Avro::String(value.as_str().expect("text").to_owned()),
        "array" => Avro::Array(vec![Avro::Long(1)]),
        other => panic!("no `{other}` is tried"),
    }
}

fn avro_of(ty: &str, written: &str) -> Result<Accepted, Rejection> {
    let (ty, value): (Json, Json) =
        (serde_json::from_str(ty).expect("a type"), serde_json::from_str(written).expect("a value"));
    let fields = [("timestamp", ty.clone()), ("user_id", json!("long"))];
    let value = of_fields(vec![("timestamp", of_type(&ty, &value)), ("user_id", Avro::Long(1))]);
    avro("sign_in", &record("SignIn", &fields), value)
}

/// Whether what was read is what the page says: a value, or a reason and words of its detail.
fn is_so(row: &str, says: &str, field: &str, read: &Result<Accepted, Rejection>) {
    match (says.split_once("`: "), read) {
        (None, Ok(accepted)) => assert_eq!(shown(field, accepted), code(says), "{row}"),
        (Some((reason, words)), Err(why)) => {
            assert_eq!(why.reason.code(), reason.trim_start_matches('`'), "{row}: {}", why.detail);
            assert!(why.detail.contains(words), "{row}: {}", why.detail);
        }
        (_, other) => panic!("{row}: {other:?}"),
    }
}

#[test]
fn every_line_of_the_page_is_so() {
    let page = include_str!("../../docs/writings.md");
    let (mut header, mut tried) = (Vec::new(), 0);
    let mut before = "";
    for row in page.lines() {
        let cells: Vec<&str> = row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        if row.starts_with("|---") {
            header = before.split(" | ").map(|cell| code(cell.trim_matches(['|', ' '])).to_owned()).collect();
        } else if row.starts_with('|') && !header.is_empty() {
            tried += 1;
            match (header[0].as_str(), cells.as_slice()) {
                ("line", [text, says]) => is_so(row, says, "", &line(code(text))),
                ("type of `timestamp", [ty, written, says]) => {
                    is_so(row, says, "timestamp", &avro_of(code(ty), code(written)));
                }
                (field, [written, says]) => is_so(row, says, field, &line(&with(field, code(written)))),
                other => panic!("no such table: {other:?}"),
            }
        } else {
            header = Vec::new();
        }
        before = row;
    }
    assert!(tried > 140, "only {tried} lines were found");
}
