//! Events of a model from a topic of Avro: nested records, logical types, and what is none of them.

use super::stack::{Stack, framed, long, text};
use crate::support::MONDAY_MS;

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
