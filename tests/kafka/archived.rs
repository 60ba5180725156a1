//! After fifty kills what DuckDB reads of the archive is what Python decodes of the topic, and each clean event is once in
//! their topic and in their files.

use super::stack::{Stack, await_that, framed, long, text};
use crate::support::{MONDAY_MS, needed};
use deltamart::state_dir::StateDir;
use deltamart::store::open_to_read;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::process::Command;

const KILLS: usize = 50;

/// A play, nested; the second schema has a field more.
fn schema(more: &str) -> String {
    format!(
        r#"{{"type":"record","name":"Play","fields":[
        {{"name":"at","type":{{"type":"long","logicalType":"timestamp-micros"}}}},
        {{"name":"listener","type":"long"}},
        {{"name":"mail","type":["null","string"]}},
        {{"name":"device","type":["null",{{"type":"record","name":"Device","fields":[
            {{"name":"kind","type":"string"}},
            {{"name":"price","type":{{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}}}]}}]}},
        {{"name":"tags","type":{{"type":"array","items":"string"}}}},
        {{"name":"counts","type":{{"type":"map","values":["null","int"]}}}}{more}]}}"#
    )
}

const MODEL: &str = r#"doc = "One row per play."
time = "played_at"
person = "listener"
once = "everything"
[columns]
played_at = { type = "instant", from = "at", doc = "When it began, UTC." }
listener = { type = "integer", min = 1, doc = "Who listened." }
kind = { type = "text", from = "device.kind", empty = "unknown", doc = "On what." }
"#;

/// One of many; some are rejected.
fn play(dice: &mut ChaCha8Rng, schemas: &[u32; 2], minute: i64) -> Option<Vec<u8>> {
    if dice.random_range(0..20) == 0 {
        return Some(b"no play".to_vec());
    }
    let second = minute / 300 % 2 == 1;
    let list = |entries: Vec<Vec<u8>>| match entries.len() {
        0 => long(0),
        count => [long(count as i64), entries.concat(), long(0)].concat(),
    };
    let tags = (0..dice.random_range(0..3)).map(|tag| text(["new", "é", ""][tag])).collect();
    let counts = (0..dice.random_range(0..3)).map(|at| {
        let count = if at == 0 { long(0) } else { [long(1), long(dice.random_range(-5..5))].concat() };
        [text(&format!("k{at}")), count].concat()
    });
    let counts = counts.collect();
    let mail = if dice.random() { long(0) } else { [long(1), text("jane@mail.example")].concat() };
    // "A" is 65 cents.
    let device = if dice.random() { long(0) } else { [long(1), text("tv"), text("A")].concat() };
    // Some are too late.
    let ago_ms = if dice.random_range(0..30) == 0 { 10 * 3_600_000 } else { 0 };
    let at = long((MONDAY_MS + minute * 1_000 - ago_ms) * 1_000);
    let mut fields = vec![at, long(dice.random_range(0..9)), mail, device, list(tags), list(counts)];
    if second {
        fields.push(text("more"));
    }
    Some(framed(schemas[usize::from(second)], &fields))
}

/// The last journaled epoch.
fn journaled(stack: &Stack) -> u64 {
    let store = open_to_read(&stack.path("deltamart.db.state").display().to_string()).expect("a folder");
    let Ok(Some(dir)) = StateDir::open_to_read(store) else { return 0 };
    dir.chain().map_or(0, |chain| chain.end())
}

/// Compares the topic of clean events, their files and the raw table; tells how many events each has.
fn published_once(stack: &Stack) -> usize {
    let folder = stack.path("clean").display().to_string();
    counted(stack, "clean_rows.py", &stack.topic("clean"), &stack.path("deltamart.db"), &[&folder])
}

/// Compares topic and archive; tells how many rows both have.
fn compared(stack: &Stack, forgotten: &str) -> usize {
    counted(stack, "archive_rows.py", &stack.topic("plays"), &stack.path("archive"), &[forgotten])
}

/// The number that a script prints of a topic and a place.
fn counted(stack: &Stack, script: &str, topic: &str, place: &Path, more: &[&str]) -> usize {
    let output = Command::new(needed("DELTAMART_PYTHON"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script))
        .args([&stack.brokers, &stack.registry, topic])
        .arg(place)
        .args(more)
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

#[test]
#[ignore = "needs Kafka and a Python with DuckDB (scripts/with-stack, scripts/venv)"]
fn after_fifty_kills_the_archive_is_the_topic_and_clean_events_are_published_once() {
    let stack = Stack::reading("archived", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    stack.creates("plays", 2, "delete");
    std::fs::create_dir(stack.path("model")).expect("makes it");
    let topics = format!("topics = [\"{}\"]\n", stack.topic("plays"));
    let model = MODEL.replacen("time =", &format!("{topics}time ="), 1);
    std::fs::write(stack.path("model/plays.toml"), model).expect("writes");
    let schemas = [schema(""), schema(r#",{"name":"more","type":"string","default":""}"#)];
    let schemas = schemas.map(|schema| stack.registers("plays-value", &schema));
    let sets = [
        "archive.path=archive",
        "archive.rows=40",
        "archive.archive_interval=1s",
        "archive.commit_interval=20ms",
        "clean.path=clean",
        "clean.rows=50",
        "clean.interval=1s",
        "clean.commit_interval=20ms",
    ];
    let more = ["epoch_interval=10ms", "commit_interval=20ms", "snapshot_interval=200ms", "lateness=2h"];
    let publish = [
        format!("publish.prefix={}.", stack.topic("mart")),
        format!("publish.clean={}", stack.topic("clean")),
        "publish.commit_interval=20ms".to_owned(),
        "publish.partitions=2".to_owned(),
    ];
    let mut run = vec!["run", "-w", "2"];
    publish.iter().for_each(|set| run.extend(["--set", set]));
    sets.iter().chain(&more).for_each(|set| run.extend(["--set", set]));
    let (mut dice, mut minute) = (ChaCha8Rng::seed_from_u64(11), 0);
    for _ in 0..KILLS {
        let running = stack.starts(&run);
        let until = journaled(&stack) + dice.random_range(2..40);
        await_that("it goes on", || {
            for partition in 0..2 {
                let plays = (0..dice.random_range(1..60)).map(|_| {
                    // Some are repeated.
                    minute += i64::from(dice.random_range(0..9) > 0);
                    play(&mut ChaCha8Rng::seed_from_u64(minute as u64), &schemas, minute)
                });
                let plays = plays.collect::<Vec<_>>();
                stack.sends("plays", partition, plays);
            }
            journaled(&stack) >= until
        });
        running.dies();
    }
    stack.succeeds(&[&run[..], &["--to-end"]].concat());
    stack.verify(&[]);
    let rows = compared(&stack, "0");
    let clean = published_once(&stack);
    assert!(rows > 1_000 && clean < rows && clean > rows / 2, "{rows} rows, {clean} clean events");
    stack.succeeds(&["forget", "3", "--set", "archive.path=archive"]);
    let others = compared(&stack, "3");
    assert!(others < rows && others > rows / 2, "{others} of {rows}");
}
