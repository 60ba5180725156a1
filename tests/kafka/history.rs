//! History that is sent to Kafka: each line once, in order, whoever is killed when.

use super::stack::{Stack, await_that};
use crate::history::{disordered, views};
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

const VIEWS: i64 = 1_500;

/// The lines that are committed in each partition, as their headers say.
fn lines(stack: &Stack) -> Vec<Vec<i64>> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &stack.brokers).set("group.id", "history").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.set("isolation.level", "read_committed").create().expect("a client");
    let mut places = TopicPartitionList::new();
    for number in 0..3 {
        places.add_partition_offset(&stack.topic("item_view"), number, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&places).expect("assigns");
    let (mut lines, mut ended) = (vec![Vec::new(); 3], 0);
    while ended < 3 {
        match consumer.poll(Duration::from_secs(30)).expect("an answer") {
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
            Ok(record) => {
                let headers = record.headers().expect("headers");
                let header = headers.iter().find(|header| header.key == "deltamart-replay").expect("a line");
                let text = std::str::from_utf8(header.value.expect("text")).expect("text");
                let line = text.split(' ').nth(1).and_then(|line| line.parse().ok()).expect("a number");
                lines[record.partition() as usize].push(line);
            }
        }
    }
    lines
}

#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn each_line_is_sent_once_however_often_it_is_killed() {
    let stack = Stack::reading("history", |event| event == "item_view");
    stack.creates("item_view", 3, "delete");
    let times = disordered(3, 3, VIEWS / 3);
    std::fs::write(stack.path("views.jsonl"), views(&times)).expect("writes");
    let replay = ["replay", "views.jsonl", "--speed", "50000x"];
    let sent = || (0..3).map(|number| stack.end_of("item_view", number).unwrap_or(0)).sum::<i64>();
    for _ in 0..5 {
        let before = sent();
        let running = stack.starts(&replay);
        await_that("something is sent", || sent() > before + 30);
        running.dies();
    }
    let said = stack.succeeds(&replay);
    assert!(said.contains("lines had been sent before"), "{said}");
    let committed = lines(&stack);
    assert!(committed.iter().all(|lines| lines.is_sorted()), "in their order");
    let mut all = committed.concat();
    all.sort_unstable();
    assert_eq!(all, (1..=VIEWS).collect::<Vec<_>>());
    // Once more it is nothing new; and what is sent is read.
    let said = stack.succeeds(&["replay", "views.jsonl"]);
    assert!(said.contains("0 records sent"), "{said}");
    stack.succeeds(&["run", "--to-end"]);
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT COUNT(*) FROM item_view_events"), VIEWS);
    // Of other rows of a day it is another history: it is sent behind this one.
    let said = stack.succeeds(&["replay", "views.jsonl", "--per-day", "10"]);
    assert!(said.contains("30 records sent"), "{said}");
}
