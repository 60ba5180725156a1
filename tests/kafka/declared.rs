//! Events of a model from a topic of Avro: nested records, logical types, and what is none of them.

use super::stack::{Stack, framed, long, text};
use crate::shipped::real::rows;
use crate::support::MONDAY_MS;
use deltamart::decode::avro::header;
use schema_registry_converter::blocking::schema_registry::{SrSettings, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

const SCHEMA: &str = r#"{"type":"record","name":"Play","fields":[
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"listener","type":"long"},
    {"name":"device","type":["null",{"type":"record","name":"Device","fields":[
        {"name":"kind","type":"string"},
        {"name":"built","type":{"type":"int","logicalType":"date"}},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}]}]}"#;

const SQL: &str = "-- One row per hour and kind of device: what was played on it.
SELECT date_trunc('hour', played_at) AS hour, -- The hour's first instant, UTC.
       kind,                                  -- The kind of device.
       count(*) AS plays,                     -- How many plays.
       count(DISTINCT listener) AS listeners, -- How many listeners.
       sum(price) AS prices,                  -- What the devices cost together.
       min(built) AS oldest                   -- When the oldest device was built, UTC.
FROM plays GROUP BY hour, kind";

#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn nested_avro_of_a_model_is_read_beside_the_shop() {
    let stack = Stack::reading("declared", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    stack.creates("plays", 2, "delete");
    let toml = format!(
        "doc = \"One row per play.\"\ntopics = [\"{}\"]\ntime = \"played_at\"\nperson = \"listener\"\n[columns]\n\
         played_at = {{ type = \"instant\", from = \"at\", doc = \"When it began, UTC.\" }}\n\
         listener = {{ type = \"integer\", min = 1, doc = \"Who listened.\" }}\n\
         kind = {{ type = \"text\", from = \"device.kind\", one_of = [\"tv\", \"phone\"], empty = \"unknown\", doc = \"On what.\" }}\n\
         built = {{ type = \"instant\", from = \"device.built\", null = true, doc = \"When it was built, UTC.\" }}\n\
         price = {{ type = \"money\", from = \"device.price\", null = true, doc = \"What it cost, in dollars.\" }}\n",
        stack.topic("plays")
    );
    std::fs::create_dir(stack.path("model")).expect("makes it");
    std::fs::write(stack.path("model/plays.toml"), toml).expect("writes");
    std::fs::write(stack.path("model/plays_per_hour.sql"), SQL).expect("writes");
    let schema = stack.registers("plays", SCHEMA);
    let play = |minute: i64, listener: i64, kind: Option<&str>| {
        // Of a union the place; 2026-01-05 is day 20,458; "A" is 65 cents.
        let device = match kind {
            Some(kind) => [long(1), text(kind), long(20_458), text("A")].concat(),
            None => long(0),
        };
        Some(framed(schema, &[long((MONDAY_MS + minute * 60_000) * 1_000), long(listener), device]))
    };
    stack.sends(
        "plays",
        0,
        [play(0, 1, Some("tv")), play(10, 2, Some("tv")), play(20, 2, Some("tv")), play(70, 3, None)],
    );
    stack.sends("plays", 1, [play(5, 4, Some("radio")), play(6, 0, Some("phone")), Some(b"no play".to_vec())]);
    stack.succeeds(&["run", "--to-end", "-w", "2"]);
    stack.verify(&[]);
    let rows: String = stack.value(
        "deltamart.db",
        "SELECT group_concat(substr(hour, 12, 5) || ' ' || kind || ' ' || plays || ' ' || listeners || ' ' || \
         coalesce(prices, '-') || ' ' || coalesce(substr(oldest, 1, 10), '-'), ', ') FROM plays_per_hour",
    );
    assert_eq!(rows, "00:00 tv 3 2 1.95 2026-01-05, 01:00 unknown 1 1 - -");
    let reasons: String = stack
        .value("deltamart.db", "SELECT group_concat(reason, ' ') FROM (SELECT reason FROM rejected_events ORDER BY 1)");
    assert_eq!(reasons, "bad_magic_byte not_one_of out_of_range");
    // What comes later is added, in another process.
    stack.sends("plays", 1, [play(30, 9, Some("tv"))]);
    stack.succeeds(&["run", "--to-end"]);
    stack.verify(&[]);
    let plays: i64 = stack.value("deltamart.db", "SELECT plays FROM plays_per_hour WHERE kind = 'tv'");
    assert_eq!(plays, 4);
}

const OF_JSON: &str = r#"{"type":"object","required":["at","listener"],"properties":{
    "at":{"type":"string","format":"date-time","description":"When it began, UTC."},
    "listener":{"type":"integer","minimum":1},
    "device":{"type":"object","properties":{"kind":{"enum":["tv","phone"]},"price":{"type":"number"}}}}}"#;

/// Objects of JSON, bare and in the wire format; what is neither is rejected.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn json_of_a_model_is_read_bare_and_with_a_schema() {
    let stack = Stack::reading("declared-json", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    stack.creates("plays", 1, "delete");
    let settings = SrSettings::new(stack.registry.clone());
    let supplied = SuppliedSchema::new(None, SchemaType::Json, OF_JSON.to_owned());
    let subject = format!("{}-value", stack.topic("plays"));
    let id = post_schema(&settings, subject.clone(), supplied).expect("registers").id;
    // The model is what is made of the schema.
    let model = stack.succeeds(&["declare", &subject, "--name", "plays"]);
    std::fs::create_dir(stack.path("model")).expect("makes it");
    let person = model.replace("# person = \"...\"", "person = \"none\" #");
    std::fs::write(stack.path("model/plays.toml"), person).expect("writes");
    let play = |listener: &str, device: &str| {
        format!(r#"{{"at":"2026-01-05T10:00:00Z","listener":{listener},"device":{device}}}"#).into_bytes()
    };
    let plays = [
        play("1", r#"{"kind":"tv","price":1.5}"#),
        play("\"2\"", "null"),
        play("3", r#"{"kind":"radio"}"#),
        play("null", "{}"),
        b"no play".to_vec(),
    ];
    let wired = plays.clone().map(|play| Some([&header(id)[..], &play].concat()));
    stack.sends("plays", 0, plays.into_iter().map(Some).chain(wired));
    let rejected = |warehouse: &str| -> String {
        let sql = "SELECT group_concat(n || ' ' || reason, ', ') FROM \
                   (SELECT reason, count(*) AS n FROM rejected_events GROUP BY reason ORDER BY reason)";
        stack.value(warehouse, sql)
    };
    for (format, warehouse, reasons) in [
        ("json", "json.db", "1 missing_field, 1 not_one_of, 6 undecodable"),
        ("json_schema", "schema.db", "5 bad_magic_byte, 1 missing_field, 1 not_one_of, 1 undecodable"),
    ] {
        let format = format!("kafka.format={format}");
        stack.succeeds(&["run", "--to-end", "--set", &format, "--warehouse", warehouse]);
        let rows: String = stack.value(
            warehouse,
            "SELECT group_concat(listener || ' ' || coalesce(device_kind, '-') || ' ' || coalesce(device_price, '-'), ', ') \
             FROM (SELECT * FROM plays ORDER BY _offset)",
        );
        assert_eq!(rows, "1 tv 1.5, 2 - -", "{format}");
        assert_eq!(rejected(warehouse), reasons, "{format}");
    }
}

/// What is made of a schema of Avro is a model that reads the records of its writers.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_subject_becomes_a_model() {
    let stack = Stack::reading("declared-subject", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    stack.creates("songs", 1, "delete");
    let schema = stack.registers("songs-value", SCHEMA);
    let subject = format!("{}-value", stack.topic("songs"));
    let model = stack.succeeds(&["declare", &subject, "--name", "songs"]);
    for said in [
        "at_value = { type = \"instant\", from = \"at\"",
        "device_kind = { type = \"text\", from = \"device.kind\", null = true",
        "device_built = { type = \"instant\", from = \"device.built\", null = true",
        "device_price = { type = \"money\", from = \"device.price\", null = true",
    ] {
        assert!(model.contains(said), "`{said}` is missing:\n{model}");
    }
    std::fs::create_dir(stack.path("model")).expect("makes it");
    let model = model.replace("# person = \"...\"", "person = \"none\" #");
    std::fs::write(stack.path("model/songs.toml"), model).expect("writes");
    stack.succeeds(&["check"]);
    let device = [long(1), text("tv"), long(20_458), text("A")].concat();
    stack.sends("songs", 0, [Some(framed(schema, &[long(MONDAY_MS * 1_000), long(5), device]))]);
    stack.succeeds(&["run", "--to-end"]);
    let song: String =
        stack.value("deltamart.db", "SELECT listener || ' ' || device_kind || ' ' || device_price FROM songs");
    assert_eq!(song, "5 tv 0.65");
    stack.refuses(&["declare", "nobody-value"], &["the subject `nobody-value` is not there"]);
}

/// The events of a shipped model, made into a topic and read from there; the shop's are sent as before beside it.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn simulated_events_of_a_model_are_sent_and_read() {
    let stack = Stack::reading("simulated", |event| event == "sign_in");
    let events = deltamart::model::shipped::named("store").expect("it is shipped").files;
    std::fs::create_dir(stack.path("model")).expect("makes it");
    let topics = format!("topics = [\"{}\"]", stack.topic("store"));
    for (file, text) in events.iter().filter(|(file, _)| !file.contains('/')) {
        let text = text.replace("topics = [\"store_events\", \"raw_events\"]", &topics);
        std::fs::write(stack.path(&format!("model/{file}")), text).expect("writes");
    }
    let json = ["--set", "kafka.format=json", "--rate", "0", "--events", "3000"];
    let dirt = ["--set", "simulate.malformed_permille=20", "--set", "simulate.too_late_permille=0"];
    stack.succeeds(&[&["simulate", "--model", "model"][..], &json, &dirt].concat());
    stack.succeeds(&[&["simulate"][..], &json].concat());
    stack.succeeds(&["run", "--to-end", "--set", "kafka.format=json"]);
    stack.verify(&["--set", "kafka.format=json"]);
    let count = |sql: &str| -> i64 { stack.value("deltamart.db", sql) };
    let rejected = count(&format!("SELECT count(*) FROM rejected_events WHERE _topic = '{}'", stack.topic("store")));
    assert!((30..100).contains(&rejected), "{rejected}");
    assert_eq!(count("SELECT count(*) FROM store_events"), 3_000 - rejected);
    assert!(count("SELECT count(*) FROM consumer_events") > 0, "the shop's sign-ins");
}

/// The media service's nested Avro by the registry: the same tables as of the same events as JSON.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn nested_avro_of_the_media_service_gives_the_tables_that_json_gives() {
    let stack = Stack::reading("media", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    std::fs::create_dir(stack.path("model")).expect("makes it");
    let topics = format!("topics = [\"{}\"]", stack.topic("media"));
    let shipped = deltamart::model::shipped::named("media").expect("it is shipped").files;
    for (file, text) in shipped.iter().filter(|(file, _)| !file.contains('/')) {
        let text = text.replace("topics = [\"customer_events\"]", &topics);
        std::fs::write(stack.path(&format!("model/{file}")), text).expect("writes");
    }
    let events = ["--rate", "0", "--events", "3000", "--set", "simulate.malformed_permille=20"];
    let simulate =
        [&["simulate", "--model", "model"][..], &events, &["--set", "simulate.too_late_permille=0"]].concat();
    stack.succeeds(&simulate);
    stack.succeeds(&["run", "--to-end"]);
    stack.verify(&[]);
    stack.succeeds(&[&simulate[..], &["--out", "json"]].concat());
    let read = ["run", "json/customer_events.jsonl", "--brokers", "", "--warehouse", "json.db", "--accept-rejects"];
    stack.succeeds(&read);
    for table in ["content_metrics", "platform_metrics", "customer_events"] {
        let of = |warehouse: &str| rows(&stack.path(""), warehouse, table);
        let (avro, json) = (of("deltamart.db"), of("json.db"));
        assert!(avro == json && avro.lines().count() > 100, "`{table}`: {} rows", avro.lines().count());
    }
    let rejected = "SELECT count(*) FROM rejected_events";
    let (avro, json): (i64, i64) = (stack.value("deltamart.db", rejected), stack.value("json.db", rejected));
    assert_eq!(avro, json);
    assert!((30..100).contains(&avro), "{avro}");
    let subject = format!("{}-value", stack.topic("media"));
    let declared = stack.succeeds(&["declare", &subject]);
    assert!(declared.contains("user_subscription.user_id"), "{declared}");
}
