use super::{Serving, walk};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

fn registers(user: u32, at: &str) -> String {
    format!(
        r#"{{"event_name":"consumer_registration","timestamp":"2026-01-05T{at}Z","user_id":{user},"age":34,"masked_email":"****@mail.example","preferred_language":"eng"}}"#
    ) + "\n"
}

fn append(folder: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(folder.join("events.jsonl"));
    file.expect("opens").write_all(text.as_bytes()).expect("writes");
}

const RUN: [&str; 5] = ["run", "events.jsonl", "--follow", "--serve", "127.0.0.1:0"];

/// A client of the stream: what it was told, applied to nothing.
#[derive(Default)]
struct Client {
    epoch: Option<u64>,
    tables: BTreeMap<String, BTreeMap<String, Value>>,
    gaps: Vec<(u64, u64)>,
    restated: Vec<Value>,
}

impl Client {
    /// Reads on from where it was, until a row of a table is this.
    fn until(&mut self, serving: &Serving, path: &str, table: &str, is_row: impl Fn(&Value) -> bool) {
        let last = self.epoch.map_or(String::new(), |epoch| format!("Last-Event-ID: {epoch}\r\n"));
        serving.events(path, &last, |told| {
            let epoch = told.id.parse().expect("an epoch");
            assert!(
                self.epoch.is_none_or(|before| before < epoch),
                "once, in order: {} after {:?}",
                told.id,
                self.epoch
            );
            self.epoch = Some(epoch);
            if told.event == "gap" {
                self.gaps
                    .push((told.data["from"].as_u64().expect("an epoch"), told.data["to"].as_u64().expect("an epoch")));
                return true;
            }
            assert_eq!((told.event.as_str(), told.data["epoch"].as_u64()), ("commit", Some(epoch)));
            for delta in told.data["deltas"].as_array().expect("deltas") {
                let (name, key) = (delta["table"].as_str().expect("a name"), delta["key"].to_string());
                let rows = self.tables.entry(name.to_owned()).or_default();
                if let Some(before) = delta.get("before") {
                    assert_eq!(before, rows.get(&key).unwrap_or(&Value::Null), "{delta}");
                }
                match delta["op"].as_str() {
                    Some("upsert") => drop(rows.insert(key, delta["after"].clone())),
                    Some("delete") => drop(rows.remove(&key)),
                    other => panic!("{other:?}"),
                }
            }
            self.restated.extend(told.data["restated"].as_array().expect("restated").iter().cloned());
            self.tables.get(table).is_some_and(|rows| rows.values().any(&is_row))
        });
    }

    fn rows(&self, table: &str) -> Vec<String> {
        sorted(self.tables.get(table).into_iter().flat_map(BTreeMap::values))
    }
}

fn sorted<'a>(rows: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut rows: Vec<_> = rows.map(Value::to_string).collect();
    rows.sort();
    rows
}

#[test]
fn a_client_has_the_tables_and_goes_on_after_the_run_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    append(folder.path(), &(registers(1, "10:00:00") + &registers(2, "10:10:00")));
    let serving = Serving::start(folder.path(), &RUN);
    let mut client = Client { epoch: Some(0), ..Client::default() };
    client.until(&serving, "/api/v1/deltas", "users", |row| row["user_id"] == 2);
    append(folder.path(), &registers(3, "10:20:00"));
    client.until(&serving, "/api/v1/deltas", "users", |row| row["user_id"] == 3);
    let mut of_one = Client::default();
    append(folder.path(), &registers(4, "10:30:00"));
    client.until(&serving, "/api/v1/deltas", "users", |row| row["user_id"] == 4);
    of_one.until(&serving, "/api/v1/deltas?table=users&from=0", "users", |row| row["user_id"] == 4);
    assert_eq!(of_one.tables.keys().collect::<Vec<_>>(), ["users"]);
    assert_eq!(of_one.rows("users"), client.rows("users"));
    let mut of_two = Client::default();
    let two = "/api/v1/deltas?table=users&table=user_segments&from=0";
    of_two.until(&serving, two, "users", |row| row["user_id"] == 4);
    assert!(of_two.tables.keys().all(|table| ["users", "user_segments"].contains(&table.as_str())));
    // `kill -9`: dropped.
    drop(serving);
    append(folder.path(), &(registers(5, "10:40:00") + &registers(6, "12:40:00")));
    let serving = Serving::start(folder.path(), &RUN);
    client.until(&serving, "/api/v1/deltas", "users", |row| row["user_id"] == 6);
    // What was committed between what it heard last and the kill nobody kept: at most one gap, and then nothing is missing.
    assert!(client.gaps.len() <= 1, "{:?}", client.gaps);
    if !client.gaps.is_empty() {
        client.until(&serving, "/api/v1/deltas", "users", |row| row["user_id"] == 6);
    }
    let tables = serving.json("/api/v1/tables");
    for table in tables["tables"].as_array().expect("tables").iter().filter(|table| table["kind"] == "upsert") {
        let name = table["name"].as_str().expect("a name");
        if client.gaps.is_empty() {
            assert_eq!(client.rows(name), sorted(walk(&serving, name, "limit=1000").iter()), "{name}");
        }
    }
    assert_eq!(serving.end(), Some(0));
}

#[test]
fn a_late_event_gives_one_sentence_with_both_numbers_and_one_that_changes_nothing_gives_none() {
    let folder = tempfile::tempdir().expect("a folder");
    append(folder.path(), &(registers(1, "14:10:00") + &registers(2, "14:50:00")));
    let serving = Serving::start(folder.path(), &RUN);
    let mut client = Client { epoch: Some(0), ..Client::default() };
    let path = "/api/v1/deltas?table=user_registration_metrics";
    let is = |kind: &str, start: &str, count: u32| {
        let (kind, start) = (kind.to_owned(), format!("2026-01-05T{start}:00.000Z"));
        move |row: &Value| {
            row["window_type"] == kind.as_str()
                && row["timestamp"] == start.as_str()
                && row["registration_count"] == count
        }
    };
    client.until(&serving, path, "user_registration_metrics", is("tumbling", "14:00", 2));
    append(folder.path(), &registers(3, "16:03:00"));
    client.until(&serving, path, "user_registration_metrics", is("tumbling", "16:00", 1));
    assert_eq!((serving.json("/api/v1/corrections"), client.restated.len()), (Value::Array(Vec::new()), 0));
    // Of a user who registered before in that hour: the row stays as it was. And then of one who did not.
    append(folder.path(), &(registers(1, "14:20:00") + &registers(4, "14:30:00")));
    client.until(&serving, path, "user_registration_metrics", is("tumbling", "14:00", 3));
    append(folder.path(), &registers(5, "16:04:00"));
    client.until(&serving, path, "user_registration_metrics", is("tumbling", "16:00", 2));
    let corrections = serving.json("/api/v1/corrections");
    let corrections = corrections.as_array().expect("corrections");
    let hour: Vec<_> = corrections
        .iter()
        .filter(|one| one["table"] == "user_registration_metrics" && one["key"]["window_type"] == "tumbling")
        .collect();
    assert_eq!(hour.len(), 1, "{corrections:?}");
    assert_eq!(hour[0]["key"]["timestamp"], "2026-01-05T14:00:00.000Z");
    assert_eq!(hour[0]["columns"], serde_json::json!({ "registration_count": { "before": 2, "after": 3 } }));
    // The watermark was near 16:03, the hour ended at 15:00.
    let late_ms = hour[0]["late_ms"].as_i64().expect("milliseconds");
    assert!((60 * 60_000..=63 * 60_000).contains(&late_ms), "{late_ms}");
    let told = client.restated.iter().filter(|one| one["key"]["window_type"] == "tumbling").count();
    assert_eq!(told, 1, "{:?}", client.restated);
    for (path, why) in [
        ("/api/v1/deltas?from=x", "`from`: expected an epoch"),
        ("/api/v1/deltas?table=nothing", "`table`: expected a table"),
        ("/api/v1/deltas?table=late_events", "`table`: expected a table"),
        ("/api/v1/deltas?limit=1", "there are from, table"),
    ] {
        let answer = serving.get(path);
        assert!(answer.status() == 400 && answer.body().contains(why), "{}", answer.0);
    }
    assert_eq!(serving.end(), Some(0));
}

#[test]
fn a_warehouse_in_memory_tells_its_deltas_and_serves_no_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    // More than it makes while it is looked at.
    let run = ["run", "--events", "10000000", "--rate", "2000", "--warehouse", ":memory:", "--serve", "127.0.0.1:0"];
    let serving = Serving::start(folder.path(), &run);
    let mut client = Client { epoch: Some(0), ..Client::default() };
    client.until(&serving, "/api/v1/deltas", "users", |_| true);
    let answer = serving.get("/api/v1/tables/users");
    assert!(answer.status() == 503 && answer.body().contains("`--warehouse :memory:` are not served"), "{}", answer.0);
    assert_eq!(serving.end(), Some(0));
    let path = folder.path().join("deltamart.db");
    assert!(fs::metadata(path).is_err(), "nothing was made");
}
