//! Every text of every event, those too that only a writer has, times every writing: the local part is nowhere in
//! what is stored or said, and a record that is kept decodes to the same but for it.

use super::ATS;
use crate::cli::{deltamart, said};
use crate::support;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::RecordSchema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use dataflows::shop::events::shared::ADDRESS_IN_KEY;
use dataflows::table::Value;
use dataflows::wire::Topic;
use deltamart::accept::accept;
use deltamart::decode::avro::{Schemas, Writer, header};
use deltamart::decode::{Format, Reason, mask};
use deltamart::families::TOPICS;
use deltamart::kept::{is_whole, row};
use deltamart::rules::Rules;
use deltamart::source::Batch;
use deltamart::source::script::Step;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// Of no word and no domain.
const LOCAL: &str = "zqxvk.kvxqz";

fn address(at: &str) -> String {
    format!("{LOCAL}{at}mail.example")
}

/// An event of JSON in which everything is right, and every text that may be any is this.
fn event(topic: &Topic, text: &str) -> Json {
    let schema: Json = serde_json::from_str(topic.schema).expect("JSON");
    let value = |field: &str| match field {
        "event_name" => json!(topic.event),
        "timestamp" => json!("2026-01-05T10:00:00Z"),
        "user_id" => json!(7),
        "age" => json!(30),
        "rating" => json!(4),
        "cart_id" => json!("6d1b5b9e-7a43-4b38-9f0e-0123456789ab"),
        "purchase_amount" | "price" => json!(9.99),
        "item_id" | "movie_id" => json!("12"),
        "preferred_language" => json!("eng"),
        "payment_method" => json!("Card"),
        "directors" | "actors" | "languages" => json!([text, "somebody"]),
        "attributes" => json!({text: [text]}),
        _ => json!(text),
    };
    let names = schema["fields"].as_array().expect("a record").iter().filter_map(|field| field["name"].as_str());
    Json::Object(names.map(|name| (name.to_owned(), value(name))).collect())
}

/// An event for each of its fields in which that is this text, be that right or not, and some with fields of their own.
fn with_each(topic: &Topic, text: &str) -> Vec<Json> {
    let right = event(topic, "a text");
    let with = |field: &str| {
        let mut event = right.clone();
        event[field] = json!(text);
        event
    };
    let mut all: Vec<Json> = right.as_object().expect("an object").keys().map(|field| with(field)).collect();
    all.extend([
        with("a_note"),
        with("maskedEmail"),
        event(topic, text),
        json!({text: text}),
        json!([text]),
        json!(text),
    ]);
    all
}

fn no_local_part(folder: &Path, but: &[&str]) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files += no_local_part(&path, but);
        } else if !but.iter().any(|but| path.ends_with(but)) {
            let bytes = std::fs::read(&path).expect("readable");
            if let Some(at) = memchr::memmem::find(&bytes, LOCAL.as_bytes()) {
                let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
                panic!("{} holds it: {}", path.display(), String::from_utf8_lossy(around));
            }
            files += 1;
        }
    }
    files
}

#[test]
fn no_file_that_a_run_writes_holds_a_local_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let sign_in = |at: &str| json!({"event_name":"sign_in","timestamp":at,"user_id":1});
    let mut lines = vec![sign_in("2026-01-05T10:00:00Z").to_string()];
    let mut items = String::new();
    for (number, at) in ATS.iter().enumerate() {
        let address = address(at);
        for topic in TOPICS.iter().filter(|topic| topic.event != "movies_catalog_enriched") {
            for text in [format!("to {address} it went"), address.clone()] {
                lines.extend(with_each(topic, &text).iter().map(Json::to_string));
            }
        }
        let broken =
            [address.clone(), format!("{{\"event_name\": \"sign_in {address}"), format!("{{\"{address}\": NaN}}")];
        lines.extend(broken);
        let keys = [format!("Title=by {address}"), format!("Actor={address}"), format!("By {address}={address}")];
        items += &format!("ITEM {number}\n{}\n\nITEM {address}\nTitle=x\n\n", keys.join("\n"));
    }
    // What is late is kept as it came.
    lines.extend(["2026-03-05T10:00:00Z", "2026-03-05T10:00:01Z"].map(|at| sign_in(at).to_string()));
    for at in ATS {
        let mut late = sign_in("2026-01-05T10:00:00Z");
        (late["note"], late["masked_email"]) = (json!(address(at)), json!(LOCAL));
        lines.push(late.to_string());
    }
    std::fs::write(folder.path().join("events.jsonl"), lines.join("\n") + "\n").expect("written");
    std::fs::write(folder.path().join("items.txt"), items).expect("written");
    let arguments = ["run", "events.jsonl", "--catalog", "items.txt", "--raw", "on", "--set", "lateness=2h"];
    let (code, text) = said(&deltamart(folder.path(), &arguments));
    assert!(code == Some(0) && text.contains(&format!("{} late", ATS.len())), "{text}");
    assert!(!text.contains(LOCAL), "{text}");
    assert!(no_local_part(folder.path(), &["events.jsonl", "items.txt"]) > 5);
    for table in ["rejected_events", "late_events", "movies_catalog", "users"] {
        let (code, text) = said(&deltamart(folder.path(), &["show", table, "--limit", "100000"]));
        assert!(code == Some(0) && !text.contains(LOCAL), "{table}: {text}");
    }
}

/// A writer's schema of the topic, with fields before, between and behind those that an event has.
fn evolved(topic: &Topic) -> Json {
    let mut schema: Json = serde_json::from_str(topic.schema).expect("JSON");
    let fields = schema["fields"].as_array_mut().expect("a record");
    let inner = json!({"type": "record", "name": "Inner", "fields": [{"name": "of", "type": ["null", "string"]}]});
    fields.insert(0, json!({"name": "first", "type": "string"}));
    fields.insert(2, json!({"name": "maybe", "type": ["null", "long", "string"]}));
    fields.extend([
        json!({"name": "listed", "type": {"type": "array", "items": "string"}}),
        json!({"name": "mapped", "type": {"type": "map", "values": ["null", "string"]}}),
        json!({"name": "raw_bytes", "type": "bytes"}),
        json!({"name": "inner", "type": inner}),
        json!({"name": "maskedEmail", "type": "string"}),
        json!({"name": "last", "type": "string"}),
    ]);
    schema
}

/// A value of a schema in which every text that may be any is this.
fn value(schema: &Schema, name: &str, topic: &Topic, text: &str) -> Avro {
    match schema {
        Schema::Record(RecordSchema { fields, .. }) => Avro::Record(
            fields.iter().map(|field| (field.name.clone(), value(&field.schema, &field.name, topic, text))).collect(),
        ),
        Schema::Union(union) => {
            let last = union.variants().len() - 1;
            Avro::Union(last as u32, Box::new(value(&union.variants()[last], name, topic, text)))
        }
        Schema::Array(items) => Avro::Array(vec![value(&items.items, name, topic, text); 2]),
        Schema::Map(entries) => Avro::Map([(text.to_owned(), value(&entries.types, name, topic, text))].into()),
        Schema::Bytes => Avro::Bytes(text.as_bytes().to_vec()),
        Schema::Int => Avro::Int(if name == "rating" { 4 } else { 30 }),
        Schema::Long => Avro::Long(7),
        Schema::Double => Avro::Double(9.99),
        Schema::Decimal(_) => Avro::Decimal(Decimal::from([3, 231])),
        Schema::Uuid(_) => Avro::Uuid(uuid::Uuid::nil()),
        _ => Avro::String(event(topic, text)[name].as_str().unwrap_or(text).to_owned()),
    }
}

/// The same with the local part masked in every text, and one that is to be an address masked as a whole.
fn masked(value: Avro, name: &str, plain: bool) -> Avro {
    let stars = |text: String| match name {
        "masked_email" | "maskedEmail" if !plain => "*".repeat(text.len()),
        _ => text.replace(LOCAL, &"*".repeat(LOCAL.len())),
    };
    match value {
        Avro::String(text) => Avro::String(stars(text)),
        Avro::Bytes(bytes) => Avro::Bytes(stars(String::from_utf8(bytes).expect("text")).into_bytes()),
        Avro::Array(items) => Avro::Array(items.into_iter().map(|item| masked(item, name, plain)).collect()),
        Avro::Map(entries) => {
            Avro::Map(entries.into_iter().map(|(key, value)| (stars(key), masked(value, name, plain))).collect())
        }
        Avro::Union(branch, value) => Avro::Union(branch, Box::new(masked(*value, name, plain))),
        Avro::Record(fields) => {
            Avro::Record(fields.into_iter().map(|(name, value)| (name.clone(), masked(value, &name, plain))).collect())
        }
        other => other,
    }
}

#[test]
fn a_masked_record_decodes_to_the_same() {
    for topic in &TOPICS {
        let shipped = serde_json::from_str(topic.schema).expect("JSON");
        for schema in [shipped, evolved(topic)] {
            let parsed = Schema::parse(&schema).expect("a schema");
            let schemas = Schemas::default();
            schemas.insert(7, Writer::parse(&schema.to_string()));
            let format = Format::Avro(topic.event, schemas);
            let writer = GenericDatumWriter::builder(&parsed).build().expect("a writer");
            let reader = GenericDatumReader::builder(&parsed).build().expect("a reader");
            for at in ATS {
                let came = value(&parsed, "", topic, &address(at));
                let datum = writer.write_value_to_vec(came.clone()).expect("written");
                let payload = [&header(7)[..], &datum].concat();
                let event = accept(&format, &payload, &Rules::default(), i64::MAX).expect("an event").event;
                assert!(!format!("{event:?}").contains(LOCAL), "{event:?}");
                let stored = mask::record(&format, &payload).bytes;
                assert_eq!(stored.len(), payload.len());
                let stored = reader.read_value(&mut &stored[5..]).expect("it still follows its schema");
                assert_eq!(stored, masked(came, "", at == "@"), "{}", topic.name);
            }
        }
    }
}

/// What could not be decoded is scanned, and says that it is not what came; what held no address is what came.
#[test]
fn what_is_kept_says_whether_it_is_what_came() {
    let unknown = Format::Avro("sign_in", Schemas::default());
    // The length of a long one is wrong: it is not decoded anyway.
    let text = |text: &str| [&[(text.len() as u8).wrapping_mul(2)][..], text.as_bytes()].concat();
    for length in 3..40 {
        for before in ["eng", "geo", "", "sign_in"] {
            for email in [format!("{}@mail.example", "j".repeat(length)), "nobody".repeat(length)] {
                let email = text(&email);
                let datum = [text("2026-01-05T10:00:00Z"), text(before), email].concat();
                let payload = [&header(4711)[..], &datum, &[14]].concat();
                let rejection = accept(&unknown, &payload, &Rules::default(), 0).expect_err("no schema");
                assert_eq!(rejection.reason, Reason::UNKNOWN_SCHEMA);
                let mut batch = Batch::default();
                batch.push(0, 5, b"7", &payload);
                let mut counts = BTreeMap::new();
                let row = row(("t", 0), &unknown, (&batch, &batch.records[0]), rejection, 7, &mut counts);
                let [Value::Text(detail), Value::Bytes(raw)] = &row.values[6..8] else { panic!("{row:?}") };
                assert_eq!(is_whole(detail), **raw == *payload);
                assert_eq!(is_whole(detail), !payload.contains(&b'@'), "{row:?}");
                assert_eq!(memchr::memmem::find(raw, b"jjj"), None);
            }
        }
    }
}

/// An address in what events are counted by is a rejection: masked, two items might become one.
#[test]
fn an_address_in_a_key_is_rejected() {
    let view = |item: &str| {
        let view = json!({"event_name":"item_view","timestamp":"2026-01-05T10:00:00Z","user_id":1,"item_id":item});
        accept(&Format::Json(None), view.to_string().as_bytes(), &Rules::default(), i64::MAX)
    };
    for at in ATS {
        let rejection = view(&address(at)).expect_err("an address");
        assert_eq!(rejection.reason, ADDRESS_IN_KEY);
        assert!(rejection.detail.contains("`item_id`") && !rejection.detail.contains(LOCAL), "{}", rejection.detail);
    }
    view("SKU@7").expect("an id");
}

/// The dataflow sees no local part, so no sink and no state does.
#[test]
fn no_table_holds_a_local_part() {
    let each = |topic| ATS.iter().flat_map(move |at| with_each(topic, &address(at)));
    let records: Vec<Json> = TOPICS.iter().flat_map(each).collect();
    let steps = records.iter().map(|event| Step::Record(0, event.to_string().into_bytes())).chain([Step::End]);
    let (sink, stats) = support::run_script(1, steps.collect(), support::options(2));
    assert!(!format!("{:?}", sink.contents()).contains(LOCAL));
    assert_eq!(stats.records.load(Relaxed), records.len() as u64);
}
