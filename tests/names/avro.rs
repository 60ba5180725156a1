use super::{THEIRS, line, rules};
use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use deltamart::accept::accept;
use deltamart::decode::Format;
use deltamart::decode::avro::{Schemas, Writer, header};
use deltamart::families::TOPICS;
use deltamart::rules::Rules;
use serde_json::json;

/// A payload by a schema, and what knows the schema.
fn payload(schema: &serde_json::Value, value: Avro) -> (Vec<u8>, Schemas) {
    let writers = Schema::parse(schema).expect("a schema");
    let writer = GenericDatumWriter::builder(&writers).build().expect("a writer");
    let datum = writer.write_value_to_vec(value).expect("a value of the schema");
    let schemas = Schemas::default();
    schemas.insert(7, Writer::parse(&schema.to_string()));
    ([&header(7)[..], &datum].concat(), schemas)
}

fn record(name: &str, fields: serde_json::Value) -> serde_json::Value {
    json!({"type": "record", "name": name, "fields": fields})
}

/// What a path leads to has the meaning that the writer's schema gives it, deep in unions and records.
#[test]
fn a_record_in_a_record_is_read_by_its_path() {
    let meta = record(
        "Meta",
        json!([
            {"name": "kind", "type": "string"},
            {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}
        ]),
    );
    let schema = record("Login", json!([{"name": "uid", "type": "long"}, {"name": "meta", "type": ["null", meta]}]));
    let value = |kind: &str, uid: i64| {
        let at = Avro::Union(1, Avro::TimestampMicros(1_767_607_200_000_000).into());
        let meta = vec![("kind".to_owned(), Avro::String(kind.to_owned())), ("at".to_owned(), at)];
        let meta = Avro::Union(1, Avro::Record(meta).into());
        Avro::Record(vec![("uid".to_owned(), Avro::Long(uid)), ("meta".to_owned(), meta)])
    };
    let read = |kind: &str, uid: i64, rules: &Rules| {
        let (payload, schemas) = payload(&schema, value(kind, uid));
        accept(&Format::Avro("sign_in", schemas), &payload, rules, i64::MAX)
    };
    let theirs = rules(THEIRS);
    let expected = r#"{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":5}"#;
    let expected = line(expected, &Rules::default()).expect("ours").event;
    assert_eq!(read("sign_out", 5, &theirs).expect("theirs").event, expected, "their `sign_out` is our `sign_in`");
    assert!(
        read("sign_out", 0, &theirs).expect_err("no user").detail.starts_with("`uid` is the number 0; expected 1 to")
    );
    let why = read("sign_out", 5, &Rules::default()).expect_err("not ours").detail;
    assert!(why.starts_with("`timestamp` is missing"), "{why}");
}

/// One schema, read by two namings in one process: whichever came first, each finds its own fields in it.
#[test]
fn a_schema_that_is_known_is_read_by_names_that_come_later() {
    let schema = record(
        "Login",
        json!([{"name": "at", "type": "string"}, {"name": "who", "type": "long"}, {"name": "by", "type": "long"}]),
    );
    let value = Avro::Record(vec![
        ("at".to_owned(), Avro::String("2026-01-05T10:00:00Z".to_owned())),
        ("who".to_owned(), Avro::Long(5)),
        ("by".to_owned(), Avro::Long(6)),
    ]);
    let (payload, schemas) = payload(&schema, value);
    let read = |rules: &Rules| accept(&Format::Avro("sign_out", schemas.clone()), &payload, rules, i64::MAX);
    assert!(read(&Rules::default()).expect_err("not ours").detail.contains("`timestamp` is missing"));
    for (field, user) in [("who", 5), ("by", 6), ("who", 5)] {
        let fields = format!("events.sign_out.fields={{timestamp=\"at\", user_id=\"{field}\"}}");
        let event = read(&rules(&[&fields])).expect("theirs").event;
        let text = format!(r#"{{"event_name":"sign_out","timestamp":"2026-01-05T10:00:00Z","user_id":{user}}}"#);
        assert_eq!(event, line(&text, &Rules::default()).expect("ours").event);
    }
}

/// A shipped schema with other names in it, for each event: its topic says which event it is.
#[test]
fn every_field_of_every_event_may_have_another_name() {
    for topic in &TOPICS {
        let mut schema: serde_json::Value = serde_json::from_str(topic.schema).expect("JSON");
        let mut sets = Vec::new();
        for field in schema["fields"].as_array_mut().expect("fields") {
            let ours = field["name"].as_str().expect("a name").to_owned();
            field["name"] = format!("their_{ours}").into();
            sets.push(format!("events.{}.fields.{ours}=their_{ours}", topic.event));
        }
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let sample = sample(topic.event);
        let event = line(&sample, &Rules::default()).expect("ours").event;
        let mut bytes = Vec::new();
        deltamart::simulate::wire::Encoder::with_ids(vec![7; TOPICS.len()]).avro(&event, None, &mut bytes);
        let schemas = Schemas::default();
        schemas.insert(7, Writer::parse(&schema.to_string()));
        let format = Format::Avro(topic.event, schemas);
        assert_eq!(accept(&format, &bytes, &rules(&sets), i64::MAX).expect(topic.event).event, event);
        accept(&format, &bytes, &Rules::default(), i64::MAX).expect_err("not by our names");
        let theirs = deltamart::spoken::spoken(rules(&sets).shop.naming, &sample);
        assert!(theirs.contains("their_timestamp") && !theirs.contains("\"timestamp\""), "{theirs}");
        assert_eq!(line(&theirs, &rules(&sets)).expect(topic.event).event, event);
    }
}

/// The sample of an event's page.
fn sample(event: &str) -> String {
    let page = dataflows::shop::events::FAMILY.pages().find(|page| page.topic.event == event).expect("an event");
    page.sample.to_owned()
}
