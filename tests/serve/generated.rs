//! Requests that are made of what the OpenAPI file says there is: each parameter gets values that are within what it says, at its
//! bounds, beyond them, and of another kind. No answer is a bug, none stays away, and the run goes on.

use super::Serving;
use crate::support::MONDAY_MS;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer that has not begun after so long is a stall.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is no text, no number, no name and no path, and what looks like one.
const HOSTILE: [&str; 16] = [
    "",
    "-1",
    "1e400",
    "NaN",
    "99999999999999999999999999",
    "null",
    "true",
    "2026-02-30",
    "+275760-09-13",
    "users;--",
    "'",
    "猫",
    "../../etc/passwd",
    "a,b,,c",
    "\u{0}",
    "%ff",
];
const COLUMNS: [&str; 6] = ["timestamp", "window_type", "user_id", "registration_count", "is_final", "segment"];
const INSTANTS: [&str; 4] = ["2026-01-05", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.000Z", "1970-01-01T00:00:00Z"];
const TRICKS: [&str; 8] = ["/", "//", "/..", "/%2e%2e/", "/.", "?", "#x", "/%00"];

/// A value of a schema, or one that is none.
fn value(schema: &Value, tables: &[String], dice: &mut ChaCha8Rng) -> String {
    let one_of = |all: &[&str], dice: &mut ChaCha8Rng| (*all.choose(dice).expect("some")).to_owned();
    if dice.random_ratio(1, 4) {
        return one_of(&HOSTILE, dice);
    }
    if let Some(members) = schema["enum"].as_array() {
        return members.choose(dice).and_then(Value::as_str).unwrap_or_default().to_owned();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), _) => {
            let bounds = ["minimum", "maximum"].map(|bound| schema[bound].as_i64());
            let near = bounds.into_iter().flatten().flat_map(|bound| [bound - 1, bound, bound + 1]);
            let all: Vec<_> = near.chain([dice.random_range(0..1_000)]).collect();
            all.choose(dice).expect("some").to_string()
        }
        (Some("array"), _) => value(&schema["items"], tables, dice),
        (Some("string"), Some("date-time")) => one_of(&INSTANTS, dice),
        _ if dice.random_ratio(1, 2) => one_of(&COLUMNS, dice),
        _ => tables.choose(dice).expect("some").clone(),
    }
}

/// Text for a path or a query: what must be escaped is, but now and then.
fn escaped(text: &str, dice: &mut ChaCha8Rng) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => out.push(char::from(byte)),
            b'%' | b'/' | b',' if dice.random_ratio(1, 2) => out.push(char::from(byte)),
            other => write!(out, "%{other:02x}").expect("text"),
        }
    }
    out
}

/// A request as the file describes it, and the path that it is of.
fn request(file: &Value, tables: &[String], dice: &mut ChaCha8Rng) -> (String, String) {
    let paths: Vec<_> = file["paths"].as_object().expect("paths").iter().collect();
    let (path, of) = *paths.choose(dice).expect("some");
    let (mut target, mut query, mut headers) = (path.clone(), String::new(), String::new());
    for parameter in of["get"]["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a name");
        let times =
            if parameter["schema"]["type"] == "array" { dice.random_range(0..4) } else { dice.random_range(0..2) };
        match parameter["in"].as_str() {
            Some("path") => {
                let table = if dice.random_ratio(3, 4) { tables.choose(dice).cloned() } else { None };
                let table = table.unwrap_or_else(|| value(&parameter["schema"], tables, dice));
                target = target.replace(&format!("{{{name}}}"), &escaped(&table, dice));
            }
            Some("header") if times > 0 => {
                let said = value(&parameter["schema"], tables, dice).replace(['\0', '\r', '\n'], "");
                write!(headers, "{name}: {said}\r\n").expect("text");
            }
            Some("query") => (0..times).for_each(|_| {
                let said = value(&parameter["schema"], tables, dice);
                write!(query, "&{name}={}", escaped(&said, dice)).expect("text");
            }),
            other => assert_eq!(other, Some("header"), "{path}: {name}"),
        }
    }
    if !query.is_empty() {
        target += &query.replacen('&', "?", 1);
    }
    if dice.random_ratio(1, 10) {
        target += TRICKS.choose(dice).expect("some");
    }
    (path.clone(), format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n"))
}

/// The status of the answer, and what else of it is there at once.
fn answer(serving: &Serving, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(&serving.at).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("takes it");
    let mut bytes = vec![0; 4096];
    let read = stream.read(&mut bytes).unwrap_or_else(|error| panic!("no answer to {request}: {error}"));
    let said = String::from_utf8_lossy(&bytes[..read]).into_owned();
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, said)
}

#[test]
fn what_the_file_describes_is_answered_as_it_says_or_refused() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (requests, seed) =
        (asked("DELTAMART_FUZZ_REQUESTS").unwrap_or(1_500), asked("DELTAMART_FUZZ_SEED").unwrap_or(1));
    let folder = tempfile::tempdir().expect("a folder");
    let event = |user: u64| {
        let at = MONDAY_MS + 1_000 * i64::try_from(user).expect("small");
        format!("{{\"event_name\":\"sign_in\",\"timestamp\":{at},\"user_id\":{user}}}\n")
    };
    let log = folder.path().join("events.jsonl");
    std::fs::write(&log, (1..=50).map(event).collect::<String>()).expect("writes");
    let serving = Serving::start(folder.path(), &["run", "events.jsonl", "--follow", "--serve", "127.0.0.1:0"]);
    serving.events("/api/v1/live", "", |told| told.data["records"] == 50 && told.data["epoch"] != 0);
    let file: Value = serde_json::from_str(include_str!("../../src/serve/openapi.json")).expect("JSON");
    let tables = serving.json("/api/v1/tables")["tables"].as_array().expect("tables").clone();
    let tables: Vec<_> = tables.iter().map(|table| table["name"].as_str().expect("a name").to_owned()).collect();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (mut good, mut refused) = (0, 0);
    for _ in 0..requests {
        let (path, mut request) = request(&file, &tables, &mut dice);
        if dice.random_ratio(1, 20) {
            // It ends in the middle, and whoever said it goes away.
            let end = (0..request.len()).filter(|end| request.is_char_boundary(*end)).collect::<Vec<_>>();
            request.truncate(*end.choose(&mut dice).expect("some"));
            TcpStream::connect(&serving.at)
                .and_then(|mut stream| stream.write_all(request.as_bytes()))
                .expect("takes it");
            continue;
        }
        let (status, said) = answer(&serving, &request);
        let described = &file["paths"][&path]["get"]["responses"][status.to_string()];
        // What a trick made of a path is another one.
        assert!(described.is_object() || [400, 404].contains(&status), "{status} is not described: {request}{said}");
        assert!(status < 400 || path == "/readyz" || said.contains(r#"{"error":"#), "{request}{said}");
        if status == 200 { good += 1 } else { refused += 1 }
    }
    assert!(good > requests / 5 && refused > requests / 10, "{good} answered, {refused} refused of {requests}");
    // It still computes.
    let more =
        std::fs::OpenOptions::new().append(true).open(&log).and_then(|mut log| log.write_all(event(51).as_bytes()));
    more.expect("writes");
    serving.events("/api/v1/live", "", |told| told.data["records"] == 51);
    assert_eq!(serving.end(), Some(0));
}
