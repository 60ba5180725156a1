use super::server::{Server, Time, registry, settled};
use crate::kafka::stack::{framed, instant, long, schema_of, sign_in, text};
use crate::support::CLOCK_MS;
use deltamart::accept::accept;
use deltamart::decode::Format;
use deltamart::decode::Reason;
use deltamart::decode::avro::{Schemas, Writer};
use deltamart::kafka::registry::Resolved;
use deltamart::rules::Rules;
use deltamart::state_dir::StateDir;
use deltamart::store::local::Local;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// What is read of a payload: a user, or why nobody.
fn user(schemas: &Schemas, payload: &[u8]) -> Result<String, Reason> {
    let format = Format::Avro("sign_in", schemas.clone());
    let decoded = accept(&format, payload, &Rules::default(), CLOCK_MS);
    decoded.map(|accepted| format!("{:?}", accepted.event)).map_err(|rejection| rejection.reason)
}

fn state() -> (tempfile::TempDir, StateDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Local::open(folder.path().join("state")).expect("a store");
    let dir = StateDir::open(Arc::new(store), Some("a pipeline")).expect("a state");
    (folder, dir)
}

/// A registry that knows these by path, and nothing else.
fn knowing(known: Vec<(&'static str, serde_json::Value)>) -> Server {
    Server::at_paths(move |path| {
        let path = path.split('?').next().unwrap_or(path);
        match known.iter().find(|(known, _)| *known == path) {
            Some((_, answer)) => Some((200, answer.to_string())),
            None => Some((404, r#"{"error_code":40403,"message":"not found"}"#.to_owned())),
        }
    })
}

/// A schema whose types others define, one by the other: it is read, kept with them, and read again by nobody's help.
#[test]
fn schemas_that_refer_to_others_are_read_and_kept() {
    let number = json!({"type": "record", "name": "Number", "namespace": "of.numbers",
        "fields": [{"name": "of", "type": "long"}]});
    let device = json!({"type": "record", "name": "Device", "namespace": "of.devices",
        "fields": [{"name": "serial", "type": "of.numbers.Number"}, {"name": "kind", "type": "string"}]});
    let event = json!({"type": "record", "name": "SignIn", "namespace": "of.us", "fields": [
        {"name": "timestamp", "type": "string"}, {"name": "event_name", "type": "string"},
        {"name": "device", "type": "of.devices.Device"}, {"name": "again", "type": "of.numbers.Number"},
        {"name": "user_id", "type": "long"}]});
    let refers = |name: &str, subject: &str| json!([{"name": name, "subject": subject, "version": 3}]);
    let server = knowing(vec![
        ("/schemas/ids/5", json!({"schema": event.to_string(), "references": refers("of.devices.Device", "devices")})),
        (
            "/subjects/devices/versions/3",
            json!({"id": 6, "schema": device.to_string(), "references": refers("of.numbers.Number", "numbers")}),
        ),
        ("/subjects/numbers/versions/3", json!({"id": 7, "schema": number.to_string()})),
        ("/schemas/ids/8", json!({"schema": event.to_string(), "references": refers("of.devices.Device", "lost")})),
    ]);
    let (_folder, dir) = state();
    let time = Time::default();
    let payload = framed(5, &[text(&instant(5)), text("sign_in"), long(77), text("a telephone"), long(78), long(42)]);
    let first = registry(&server.url, Some(&dir), false, time.clock(PATIENCE));
    assert_eq!(settled(&first, 5, "t/0", false, &time, Duration::MAX), Resolved::Yes);
    let read = user(first.schemas(), &payload).expect("it is read");
    assert!(read.contains("42"), "{read}");
    // One that refers to what is not there is known to be useless.
    assert_eq!(settled(&first, 8, "t/0", false, &time, Duration::MAX), Resolved::Yes);
    let mut lost = payload.clone();
    lost[4] = 8;
    assert_eq!(user(first.schemas(), &lost), Err(Reason::UNKNOWN_SCHEMA));
    drop(first);
    // Nobody answers at that port.
    let again = registry("http://127.0.0.1:1", Some(&dir), false, time.clock(PATIENCE));
    assert_eq!(again.resolve(5, "t/0", true), Resolved::Yes);
    assert_eq!(user(again.schemas(), &payload).as_ref(), Ok(&read));
    // A run that reads everything again asks again.
    let anew = registry("http://127.0.0.1:1", Some(&dir), true, time.clock(PATIENCE));
    assert!(matches!(anew.resolve(5, "t/0", false), Resolved::Asked(_)));
}

/// What cannot be kept is not used: a restart would not know it.
#[test]
fn a_schema_that_cannot_be_kept_is_waited_for() {
    let server = Server::start(schema_of("sign_in"), |_| super::server::Says::Good);
    let (folder, dir) = state();
    let time = Time::default();
    let registry = registry(&server.url, Some(&dir), false, time.clock(PATIENCE));
    // A file where the folder of the schemas would be.
    let blocked = folder.path().join("state/schemas");
    std::fs::remove_dir_all(&blocked).ok();
    std::fs::write(&blocked, b"in the way").expect("written");
    let waits = settled(&registry, 5, "t/0", false, &time, Duration::from_secs(200));
    assert!(matches!(&waits, Resolved::Asked(Some(why)) if why.contains("schema 5 could not be kept")), "{waits:?}");
    assert!(!registry.schemas().knows(5));
    std::fs::remove_file(&blocked).expect("removed");
    let later = time.now() + Duration::from_secs(100);
    assert_eq!(settled(&registry, 5, "t/0", false, &time, later), Resolved::Yes);
    assert_eq!(dir.kept_schemas().expect("read").len(), 1);
}

/// A logical type that breaks the rules is ignored, as the specification of Avro says, for every field.
#[test]
fn a_decimal_without_precision_is_its_bytes() {
    let decimals = [
        json!({"type": "bytes", "logicalType": "decimal"}),
        json!({"type": "bytes", "logicalType": "decimal", "scale": 2}),
        json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 5}),
        json!({"type": "bytes", "logicalType": "decimal", "precision": "four"}),
        json!({"type": "fixed", "name": "F", "size": 3, "logicalType": "decimal"}),
        json!(["null", {"type": "bytes", "logicalType": "decimal"}]),
    ];
    for (number, decimal) in decimals.into_iter().enumerate() {
        let schema = json!({"type": "record", "name": "SignIn", "fields": [
            {"name": "timestamp", "type": "string"}, {"name": "event_name", "type": "string"},
            {"name": "fee", "type": decimal}, {"name": "user_id", "type": "long"}]});
        let schemas = Schemas::default();
        schemas.insert(9, Writer::parse(&schema.to_string()));
        let fee = match number {
            4 => vec![1, 2, 3],
            5 => [long(1), text("abc")].concat(),
            _ => text("abc"),
        };
        let read = user(&schemas, &framed(9, &[text(&instant(5)), text("sign_in"), fee, long(42)]));
        assert!(
            read.as_ref().is_ok_and(|read| read.contains("42")),
            "{decimal_of}: {read:?}",
            decimal_of = schema["fields"][2]
        );
    }
}

/// What names its schema in another way says so, and what to do.
#[test]
fn eight_bytes_of_id_are_named() {
    let payload = [&[0, 0, 0, 0, 0, 0, 0, 0, 7][..], &sign_in(7, 1, 1)[5..]].concat();
    let format = Format::Avro("sign_in", Schemas::default());
    let rejection = accept(&format, &payload, &Rules::default(), CLOCK_MS).expect_err("it is not read");
    assert_eq!((rejection.reason, rejection.schema_id), (Reason::UNKNOWN_SCHEMA, Some(0)));
    assert!(
        rejection.detail.contains("schema 7 in 8 bytes") && rejection.detail.contains("Legacy4ByteIdHandler"),
        "{}",
        rejection.detail
    );
}
