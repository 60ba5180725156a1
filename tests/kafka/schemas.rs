use super::stack::{Stack, await_that, framed, instant, long, schema_of, sign_in, text};
use crate::support::MONDAY_MS;
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use schema_registry_converter::blocking::schema_registry::{SrSettings, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn record(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, more)| format!(r#"{{"name":"{name}",{more}}}"#)).collect();
    format!(r#"{{"type":"record","name":"SignIn","namespace":"of.somebody","fields":[{}]}}"#, fields.join(","))
}

const TEXT: &str = r#""type":"string""#;

/// What is not an event is rejected, each with its reason, its schema and its place; everything else is accepted.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn poison_among_many_is_rejected_and_nothing_else() {
    let stack = Stack::reading("poison", |event| event == "sign_in");
    stack.creates("sign_in", 3, "delete");
    let good = stack.registers("sign_in", schema_of("sign_in"));
    let wrong = stack.registers("wrong", &record(&[("timestamp", TEXT), ("event_name", TEXT), ("user_id", TEXT)]));
    let nullable = r#""type":["null","long"],"default":null"#;
    let union = stack.registers("union", &record(&[("timestamp", TEXT), ("event_name", TEXT), ("user_id", nullable)]));
    let settings = SrSettings::new(stack.registry.clone());
    let json = SuppliedSchema::new(
        None,
        SchemaType::Json,
        r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"#.to_owned(),
    );
    let json = post_schema(&settings, format!("{}-json", stack.topic("json")), json).expect("registers").id;
    let event = |second: i64| sign_in(good, second % 50 + 1, second);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut payload = event(7);
        change(&mut payload);
        Some(payload)
    };
    let start = || [text(&instant(3)), text("sign_in")].concat();
    let poison = [
        (with(&|bytes| bytes[0] = b'{'), "bad_magic_byte", None),
        (with(&|bytes| bytes[1..5].copy_from_slice(&999_999_u32.to_be_bytes())), "unknown_schema", Some(999_999)),
        (with(&|bytes| bytes[1..5].copy_from_slice(&u32::MAX.to_be_bytes())), "unknown_schema", Some(u32::MAX)),
        (with(&|bytes| bytes[1..5].fill(0)), "unknown_schema", Some(0)),
        (with(&|bytes| bytes[1..5].copy_from_slice(&json.to_be_bytes())), "unknown_schema", Some(json)),
        (with(&|bytes| bytes.truncate(20)), "undecodable", Some(good)),
        (with(&|bytes| bytes.truncate(5)), "undecodable", Some(good)),
        (with(&|bytes| bytes.truncate(3)), "undecodable", None),
        (with(&|bytes| bytes.push(0)), "undecodable", Some(good)),
        (Some(framed(wrong, &[start(), text("nobody")])), "wrong_type", Some(wrong)),
        (Some(framed(union, &[start(), long(0)])), "missing_field", Some(union)),
        (Some(Vec::new()), "undecodable", None),
        (None, "undecodable", None),
    ];
    let mut expected = Vec::new();
    for (number, (payload, reason, schema)) in poison.into_iter().enumerate() {
        let partition = number as i32 % 3;
        let before = (number as i64 / 3) * 21 + 20;
        let events = (0..20).map(|n| Some(event(number as i64 * 20 + n)));
        stack.sends("sign_in", partition, events.chain([payload]));
        expected.push((i64::from(partition), before, reason.to_owned(), schema.map(i64::from)));
    }
    stack.sends("sign_in", 0, [Some(framed(union, &[start(), long(1), long(77)]))]);
    stack.succeeds(&["run", "--to-end", "-w", "2"]);
    stack.verify(&[]);
    let sink = Sqlite::open_to_read(all(), &stack.path("deltamart.db")).expect("opens");
    let sql = "SELECT _partition, _offset, reason, schema_id FROM rejected_events ORDER BY 1, 2";
    let mut statement = sink.connection().prepare(sql).expect("SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).expect("rows");
    let found: Vec<(i64, i64, String, Option<i64>)> = rows.map(|row| row.expect("a row")).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT COUNT(*) FROM consumer_events"), 13 * 20 + 1);
}

/// Writers change their schema while we read: fields come, move and widen, and instants become numbers.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_schema_that_changes_in_the_middle_is_followed() {
    let stack = Stack::reading("evolved", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    let running = stack.starts(&["run", "-w", "2", "--set", "epoch_interval=20ms"]);
    let numeric = |unit: &str| format!(r#""type":{{"type":"long","logicalType":"timestamp-{unit}"}}"#);
    let maybe = r#""type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null"#;
    let (id, whole) = (r#""type":"long""#, r#""type":"int""#);
    let name = text("sign_in");
    let at = MONDAY_MS + 5_000;
    let changed: [(String, Vec<Vec<u8>>); 6] = [
        (schema_of("sign_in").to_owned(), vec![text(&instant(5)), name.clone(), long(1)]),
        (
            record(&[
                ("timestamp", TEXT),
                ("event_name", TEXT),
                ("user_id", id),
                ("device", r#""type":"string","default":"?""#),
            ]),
            vec![text(&instant(5)), name.clone(), long(1), text("a telephone")],
        ),
        (
            record(&[("device", TEXT), ("user_id", id), ("event_name", TEXT), ("timestamp", TEXT)]),
            vec![text("a telephone"), long(1), name.clone(), text(&instant(5))],
        ),
        (record(&[("timestamp", &numeric("millis")), ("user_id", whole)]), vec![long(at), long(1)]),
        (
            record(&[("user_id", whole), ("timestamp", &numeric("micros")), ("event_name", TEXT)]),
            vec![long(1), long(at * 1_000 + 999), name.clone()],
        ),
        (record(&[("timestamp", maybe), ("user_id", id)]), vec![long(1), long(at * 1_000), long(1)]),
    ];
    for (number, (schema, fields)) in changed.iter().enumerate() {
        let written_by = stack.registers(&format!("changed-{number}"), schema);
        stack.sends("sign_in", 0, (0..10).map(|_| Some(framed(written_by, fields))));
        stack.awaits(&format!("{}/0={}", stack.topic("sign_in"), (number + 1) * 10));
    }
    running.ends();
    let value = |sql: &str| stack.value::<i64>("deltamart.db", sql);
    assert_eq!(value("SELECT COUNT(*) FROM rejected_events"), 0);
    assert_eq!(value("SELECT COUNT(*) FROM consumer_events"), 60);
    assert_eq!(value(r#"SELECT COUNT(DISTINCT "timestamp") FROM consumer_events"#), 1, "instants differ by schema");
    assert!(stack.succeeds(&["status"]).contains("start 1\n"), "it was started again");
    stack.verify(&[]);
}

/// A registry that is unavailable is waited for, `status` says so, and nothing overtakes what waits.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_registry_that_is_away_is_waited_for() {
    let stack = Stack::reading("away", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    let schema = stack.registers("sign_in", schema_of("sign_in"));
    let at = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (host, path) = stack.registry.trim_start_matches("http://").split_once('/').expect("host and path");
    stack.configure(&format!("http://{at}/{path}"), |event| event == "sign_in");
    stack.sends("sign_in", 0, (0..100).map(|n| Some(sign_in(schema, n + 1, n))));
    let running = stack.starts(&["run", "--set", "epoch_interval=20ms"]);
    await_that("status says what it waits for", || {
        let (_, said) = stack.says(&["status"]);
        said.contains("waits") && said.contains(&at.to_string())
    });
    // It ends in order, though it waits.
    running.ends();
    let running = stack.starts(&["run", "--set", "epoch_interval=20ms"]);
    await_that("status says it again", || stack.says(&["status"]).1.contains("waits"));
    let listener = TcpListener::bind(at).expect("the port is free");
    let host = host.to_owned();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|client| pass_on(client, &host)));
    stack.awaits(&format!("{}/0=100", stack.topic("sign_in")));
    running.ends();
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT COUNT(*) FROM consumer_events"), 100);
}

/// Passes on what two sides say to each other.
fn pass_on(client: TcpStream, to: &str) {
    let Ok(server) = TcpStream::connect(to) else { return };
    let sides = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
    for (from, to) in sides {
        let (Ok(mut from), Ok(mut to)) = (from, to) else { return };
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = from.read(&mut buffer) {
                if count == 0 || to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        });
    }
}
