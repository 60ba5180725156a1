use super::stack::{Stack, send};
use crate::support;
use dataflows::events::Event;
use deltamart::config::Config;
use deltamart::instant;
use deltamart::simulate::shop::{Produced, Shop};
use deltamart::simulate::wire::{json, json_produced};
use deltamart::simulate::{SAMPLE, items_of};
use deltamart::source::movies::Movies;
use std::collections::BTreeMap;

const EVENTS: u64 = 8_000;
const HOUR_MS: i64 = 3_600_000;

/// When it was appended, and its payload.
type Sent = (Option<i64>, Option<Vec<u8>>);

/// Files up to an instant and Kafka from there, though both hold what is around it: each event counts once,
/// also if it is killed on the way.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn history_in_files_and_then_kafka_count_each_event_once() {
    let stack = Stack::of("backfill");
    let mut config = Config::default();
    config.simulate.events = EVENTS;
    config.simulate.malformed_permille = 0.0;
    config.simulate.too_late_permille = 0.0;
    let start = config.simulate.start;
    let items = items_of(Movies::text("Movies.txt", SAMPLE, start - 1)).expect("items");
    let events: Vec<Produced> = Shop::new(&config, items.iter().map(|item| item.item_id.clone()).collect()).collect();
    let until = start + 30 * HOUR_MS;
    let history = |produced: &&Produced| produced.event.timestamp() < until + 5 * HOUR_MS;
    let lines: Vec<String> = events.iter().filter(history).map(json_produced).collect();
    std::fs::write(stack.path("history.jsonl"), lines.join("\n") + "\n").expect("writable");
    let mut topics: BTreeMap<&str, Vec<Sent>> = BTreeMap::new();
    let catalog = items.into_iter().map(|item| Event::Catalog(Box::new(item)));
    let items = catalog.map(|event| (start, event.name(), json(&event))).collect::<Vec<_>>();
    let since = events.iter().filter(|produced| produced.event.timestamp() >= until - 5 * HOUR_MS);
    let since = since.map(|produced| (produced.event.timestamp(), produced.event.name(), json_produced(produced)));
    for (at, name, payload) in items.into_iter().chain(since) {
        topics.entry(name).or_default().push((Some(at), Some(payload.into_bytes())));
    }
    let producer = stack.producer(false);
    for (event, records) in topics {
        stack.creates(event, 1, "delete");
        send(&producer, &stack.topic(event), 0, records);
    }
    let until = instant::show(until);
    let given = ["--backfill", "history.jsonl", "--until", &until, "--set", "kafka.format=json"];
    let small = ["--set", "epoch_events=300", "--set", "epoch_interval=20ms", "--set", "commit_interval=1ms"];
    let run = [&["run", "-w", "2"], &given[..], &small].concat();
    stack.succeeds(&[&run[..], &["--to-end", "--warehouse", "whole.db"]].concat());
    let expected = EVENTS as i64 + 298;
    assert_eq!(stack.accounted("whole.db"), expected, "a record is lost, or doubled");
    stack.verify(&["--warehouse", "whole.db"]);
    for position in [lines.len() as i64 / 3, lines.len() as i64] {
        let running = stack.starts(&run);
        stack.awaits(&format!("history.jsonl/0={position}"));
        running.dies();
    }
    stack.succeeds(&[&run[..], &["--to-end"]].concat());
    assert_eq!(stack.accounted("deltamart.db"), expected, "a record is lost, or doubled");
    stack.verify(&[]);
    support::assert_same(&stack.path("deltamart.db"), &stack.path("whole.db"));
    stack.refuses(
        &["run", "--to-end", "--backfill", "history.jsonl", "--until", "2026-01-05", "--set", "kafka.format=json"],
        &["backfill until"],
    );
}
