//! Nothing that arrives stops the run: what the simulated shop sends, flaws and all, is accepted or
//! rejected with its reason, and its bytes are what others would write and read.

use crate::support;
use crate::support::table;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use dataflows::table::Value;
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::accept::accept;
use deltamart::config::Config;
use deltamart::decode::Format;
use deltamart::decode::Reason;
use deltamart::decode::avro::{Schemas, Writer, header};
use deltamart::families::TOPICS;
use deltamart::rules::Rules;
use deltamart::simulate::shop::{Flaw, Shop};
use deltamart::simulate::wire::{Encoder, json_produced, topic_of};
use deltamart::simulate::{SAMPLE, Simulator, items_of};
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::Source;
use deltamart::source::movies::Movies;
use deltamart::source::script::Step;
use deltamart::stats::Stats;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn config(events: u64) -> Config {
    let mut config = Config::default();
    config.simulate.events = events;
    config.simulate.rate = 0;
    config.simulate.malformed_permille = 50.0;
    config.simulate.too_late_permille = 20.0;
    config.simulate.late_permille = 50.0;
    config
}

fn sample() -> Movies {
    Movies::text("Movies.txt", SAMPLE, 1_767_571_199_999)
}

#[test]
fn the_simulated_shop_equals_its_sql_and_every_record_is_somewhere() {
    let config = config(20_000);
    let simulator = Simulator::new(&config, items_of(sample()).expect("the sample"));
    let (mut sink, stats) = (Memory::default(), Arc::new(Stats::default()));
    let mut options = support::options(3);
    options.epoch_events = 1_000;
    options.settings.lane.lateness_ms = Some(6 * support::HOUR_MS);
    options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
    let settings = options.settings.clone();
    let claim = sink.claim(MadeBy::Run, None).expect("memory");
    let sources: Vec<Box<dyn Source>> = vec![Box::new(simulator)];
    support::run_into(sources, Box::new(sink.clone()), claim, options, &stats).expect("runs");
    let contents = sink.contents().clone();
    support::assert_matches_sql(&contents, &settings);
    let raw = [
        table("consumer_events"),
        table("item_view_events"),
        table("cart_events"),
        table("rating_events"),
        table("catalog_events"),
        table("rejected_events"),
    ];
    let kept: usize = raw.iter().map(|table| contents.rows(*table).len()).sum();
    let items = items_of(sample()).expect("the sample").len();
    assert_eq!(kept, 20_000 + items, "a record is lost, or doubled");
    assert!(contents.rows(table("late_events")).len() > 100, "nothing was late");
    let reasons: BTreeSet<_> = contents.rows(table("rejected_events")).iter().map(|row| row[5].clone()).collect();
    assert!(reasons.len() >= 12, "the shop knows too few ways to be wrong: {reasons:?}");
    let address =
        |row: &Vec<Value>| matches!(&row[7], Value::Bytes(raw) if String::from_utf8_lossy(raw).contains("user"));
    let registration = |row: &&Vec<Value>| row[0] == Value::Text("consumer_registration_topic".into());
    let rejected = contents.rows(table("rejected_events"));
    let late = contents.rows(table("late_events"));
    assert!(!rejected.iter().filter(registration).any(address), "an address in clear");
    // Masking spoils nothing: what broke a rule breaks the same rule again, what was late decodes.
    let again = |raw: &Value| {
        let Value::Bytes(raw) = raw else { panic!("no bytes") };
        accept(&Format::shipped("consumer_registration"), raw, &Rules::default(), support::CLOCK_MS)
    };
    assert!(late.iter().filter(registration).count() > 10);
    assert!(late.iter().filter(registration).all(|row| again(&row[5]).is_ok_and(|accepted| !accepted.masked)));
    for row in rejected.iter().filter(registration) {
        let reason = again(&row[7]).expect_err("rejected again").reason.code();
        assert_eq!(Value::Text(reason.into()), row[5]);
    }
}

#[test]
fn other_implementations_read_what_the_shop_writes() {
    let schemas: Vec<_> =
        TOPICS.iter().map(|topic| apache_avro::Schema::parse_str(topic.schema).expect("a valid schema")).collect();
    let mut encoder = Encoder::default();
    let mut bytes = Vec::new();
    let mut seen = BTreeSet::new();
    let items = items_of(sample()).expect("the sample");
    let ids = items.iter().map(|item| item.item_id.clone()).collect();
    let catalog = items.into_iter().map(|item| dataflows::events::Event::Catalog(Box::new(item)));
    for event in catalog.chain(Shop::new(&config(5_000), ids).map(|produced| produced.event)) {
        let topic = encoder.avro(&event, None, &mut bytes);
        assert_eq!(bytes[..5], header(topic as u32 + 1));
        let mut datum = &bytes[5..];
        let reader = GenericDatumReader::builder(&schemas[topic]).build().expect("a valid schema");
        let record = reader.read_value(&mut datum).expect("apache-avro reads it");
        assert!(datum.is_empty(), "apache-avro leaves bytes over");
        let Avro::Record(fields) = record else { panic!("no record") };
        let fields: BTreeMap<_, _> = fields.into_iter().collect();
        assert_eq!(fields["event_name"], Avro::String(event.name().into()));
        seen.insert(topic);
    }
    assert_eq!(seen.len(), TOPICS.len(), "a topic was never written");
}

#[test]
fn what_is_written_is_read_back_in_both_formats() {
    let mut rules = Rules::default();
    (rules.time.min_event_time, rules.time.max_future) = (i64::MIN, 0);
    let mut encoder = Encoder::default();
    let mut bytes = Vec::new();
    let mut good = 0;
    for produced in Shop::new(&config(5_000), vec!["1".into(), "2".into()]) {
        encoder.avro_produced(&produced, &mut bytes);
        let format = Format::shipped(TOPICS[topic_of(&produced.event)].event);
        let avro = accept(&format, &bytes, &rules, i64::MAX);
        let json = accept(&Format::Json(None), json_produced(&produced).as_bytes(), &rules, i64::MAX);
        assert_eq!(avro.is_ok(), json.is_ok(), "{produced:?}: {avro:?} {json:?}");
        if let (Ok(avro), Ok(json)) = (avro, json) {
            assert_eq!((&avro.event, avro.masked), (&json.event, json.masked));
            assert!(
                produced.flaw.is_none_or(|flaw| flaw == Flaw::Truncated)
                    && (avro.masked || avro.event == produced.event)
            );
            good += 1;
        }
    }
    assert!(good > 4_000);
}

#[test]
fn no_address_is_stored_wherever_it_stands() {
    let lines = [
        r#"{"event_name":"sign_in","timestamp":"2026-01-05T20:00:00Z","user_id":9}"#,
        r#"{"event_name":"sign_in","timestamp":"2026-01-05T20:00:00Z","user_id":8}"#,
        "cut",
        r#"{"event_name":"sign_in","timestamp":"2026-01-05T01:00:00Z","user_id":9,"masked_email":"john@mail.ge"}"#,
        r#"{"event_name":"consumer_registration","timestamp":"2026-01-05T01:00:00Z","user_id":9,"age":30,"masked_email":"jane@mail.ge","preferred_language":"","backup":"jane@mail.ge"}"#,
        r#"{"event_name":"consumer_registration","timestamp":"2026-01-05T20:00:00Z","user_id":9,"age":3,"masked_email":"john@mail.ge","backup":"jane@mail.ge"}"#,
        r#"{"event_name":"john@mail.ge","timestamp":"2026-01-05T20:00:00Z"}"#,
        r#"{"event_name":"sign_in","masked_email":"john@mail.ge"#,
    ];
    let step = |line: &&str| if *line == "cut" { Step::Cut } else { Step::Record(0, line.as_bytes().to_vec()) };
    let steps = lines.iter().map(step).chain([Step::End]).collect();
    let (sink, _) = support::run_script(1, steps, support::options(2));
    let contents = sink.contents();
    assert_eq!(contents.rows(table("late_events")).len(), 2);
    assert_eq!(contents.rows(table("rejected_events")).len(), 3);
    for table in contents.tables.keys() {
        for value in contents.rows(*table).iter().flatten() {
            let text = match value {
                Value::Text(text) => text.clone(),
                Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => continue,
            };
            assert!(!text.contains("john") && !text.contains("jane"), "`{}`: {text}", table.table().name);
        }
    }
}

#[test]
fn later_writers_and_other_types_are_read() {
    let read = |text: &str| accept(&Format::Json(None), text.as_bytes(), &Rules::default(), i64::MAX - 3_600_001);
    let same = [
        r#"{"event_name":"purchase","timestamp":"2026-01-05T10:00:00Z","user_id":1,"movie_id":"7","purchase_amount":9.99}"#,
        r#"{"purchase_amount":"9.99","movie_id":7,"user_id":1,"timestamp":1767607200000,"event_name":"purchase","channel":{"new":[1]}}"#,
        r#"{"event_name":"purchase","timestamp":"2026-01-05T14:00:00.0009+04:00","user_id":1,"movie_id":"7","purchase_amount":9.990}"#,
    ];
    let events: Vec<_> = same.iter().map(|text| read(text).expect("an event").event).collect();
    assert!(events.iter().all(|event| *event == events[0]));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), id in 0u32..12, at in 0usize..40) {
        let rules = Rules::default();
        for format in [Format::Json(None), Format::shipped("sign_in"), Format::MoviesTxt(0)] {
            accept(&format, &bytes, &rules, 0).ok();
        }
        // Behind a good header, and inside a good record.
        let framed: Vec<u8> = header(id).into_iter().chain(bytes.iter().copied()).collect();
        accept(&Format::shipped("sign_in"), &framed, &rules, 0).ok();
        let mut record = Vec::new();
        let item = items_of(sample()).expect("the sample").swap_remove(1);
        Encoder::default().avro(&dataflows::events::Event::Catalog(Box::new(item)), None, &mut record);
        let end = (at + bytes.len()).min(record.len());
        record.splice(at.min(end)..end, bytes);
        accept(&Format::shipped("movies_catalog_enriched"), &record, &rules, 0).ok();
    }
}

/// Schemas as writers change them, from the shipped one of an event: fields added, reordered, widened from
/// `int`, nullable, and an instant as a number.
fn evolved(schema: &str) -> Vec<String> {
    let changed = |change: &dyn Fn(&mut Vec<serde_json::Value>)| {
        let mut schema: serde_json::Value = serde_json::from_str(schema).expect("JSON");
        change(schema["fields"].as_array_mut().expect("fields"));
        schema.to_string()
    };
    let typed = |name: &'static str, ty: serde_json::Value| {
        changed(&move |fields| {
            for field in fields.iter_mut().filter(|field| field["name"] == name) {
                field["type"] = ty.clone();
                field.as_object_mut().expect("a field").remove("default");
            }
        })
    };
    let many = serde_json::json!({"type": "array", "items": {"type": "map", "values": ["null", "bytes", "string"]}});
    vec![
        schema.to_owned(),
        changed(&|fields| fields.reverse()),
        changed(&|fields| fields.insert(0, serde_json::json!({"name": "many", "type": many, "default": []}))),
        changed(&|fields| {
            fields.push(serde_json::json!({"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 16}}))
        }),
        typed("user_id", serde_json::json!("int")),
        typed("user_id", serde_json::json!(["null", "long"])),
        typed("timestamp", serde_json::json!({"type": "long", "logicalType": "timestamp-millis"})),
        typed("timestamp", serde_json::json!(["null", {"type": "long", "logicalType": "timestamp-micros"}])),
        typed("timestamp", serde_json::json!("bytes")),
        typed("event_name", serde_json::json!({"type": "enum", "name": "E", "symbols": ["sign_in", "else"]})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// Whatever a writer's schema is, and whatever is in the place of its datum: an event, or a rejection that
    /// names the schema. Lengths that a header claims are not believed: nothing is made room for before it is there.
    #[test]
    fn any_bytes_under_any_schema_are_an_event_or_a_rejection(
        topic in 0..TOPICS.len(),
        evolution in 0usize..10,
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        (huge, seed) in (prop::option::of(0usize..60), 0u64..50),
    ) {
        let schemas = Schemas::default();
        let text = evolved(TOPICS[topic].schema).swap_remove(evolution);
        schemas.insert(7, Writer::parse(&text));
        let format = Format::Avro(TOPICS[topic].event, schemas.clone());
        let mut config = config(300);
        config.simulate.seed = seed;
        let mut payload = Vec::new();
        // A good event of this topic, by the shipped schema, and so by this one or by none; then changed.
        let shop = Shop::new(&config, vec![dataflows::item::ItemId::of(Ok(7))]);
        let found = shop.into_iter().find(|produced| topic_of(&produced.event) == topic);
        if let Some(produced) = &found {
            Encoder::with_ids(vec![7; TOPICS.len()]).avro(&produced.event, None, &mut payload);
        }
        let framed = [&header(7)[..], &bytes].concat();
        let mut long = header(7).to_vec();
        long.extend_from_slice(&bytes[..bytes.len().min(huge.unwrap_or_default())]);
        // As a length: 2^62.
        long.extend_from_slice(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        let mut changed = payload.clone();
        for (at, byte) in &changes {
            if !changed.is_empty() {
                let at = at.index(changed.len());
                changed[at] = *byte;
            }
        }
        for payload in [&bytes, &framed, &long, &changed, &payload] {
            match accept(&format, payload, &Rules::default(), i64::MAX / 2) {
                Ok(_) => {}
                Err(rejection) if rejection.reason == Reason::BAD_MAGIC_BYTE => prop_assert!(payload[0] != 0),
                Err(rejection) => {
                    let id = deltamart::decode::avro::schema_id(payload);
                    prop_assert_eq!(rejection.schema_id, id, "{}", rejection.detail);
                    prop_assert!(rejection.detail.len() < 4_096, "{} bytes of detail", rejection.detail.len());
                }
            }
        }
    }
}

/// A few bytes that claim to be a list of thousands of millions of entries make no room for them.
#[test]
fn lengths_that_are_claimed_are_not_believed() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let schemas = Schemas::default();
    for ty in [r#""string""#, r#""bytes""#, r#"{"type":"array","items":"null"}"#, r#"{"type":"map","values":"null"}"#] {
        for field in ["directors", "attributes", "title", "event_name", "unknown"] {
            let schema = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"{field}","type":{ty}}}]}}"#);
            schemas.insert(1, Writer::parse(&schema));
            let format = Format::Avro("movies_catalog_enriched", schemas.clone());
            let payload = [&header(1)[..], &huge].concat();
            accept(&format, &payload, &Rules::default(), 0).expect_err("no event");
        }
    }
}
