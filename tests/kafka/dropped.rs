//! Files that are dropped into a folder, as records of topics.

use super::stack::{Stack, await_that};
use crate::csv::real_events;
use crate::shipped::real::{has_the_figures, rows, selected};
use std::fs;

const SETS: [&str; 6] = ["--set", "kafka.format=json", "--set", "watch.settle=0s", "--set", "kafka.partitions=2"];
const TABLES: [(&str, &str); 2] = [
    ("product_sales", include_str!("../../model/store/product_sales.sql")),
    ("daily_revenue", include_str!("../../model/store/daily_revenue.sql")),
];

/// The store's model, with topics of its own.
fn model(stack: &Stack) {
    fs::create_dir_all(stack.path("model/views")).expect("makes it");
    let (own, theirs) = (format!("[\"{}\"]", stack.topic("store_events")), "[\"store_events\", \"raw_events\"]");
    for (file, text) in deltamart::model::shipped::named("store").expect("it is shipped").files {
        fs::write(stack.path(&format!("model/{file}")), text.replace(theirs, &own)).expect("writes");
    }
}

/// The real events, dropped as a file and read from the topic.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn the_real_events_of_a_store_are_the_same_through_kafka() {
    let Some(csv) = real_events() else { return };
    let stack = Stack::reading("real", |_| false);
    model(&stack);
    fs::create_dir(stack.path("inbox")).expect("makes it");
    fs::copy(&csv, stack.path("inbox/2019-Oct_head.csv")).expect("copies");
    stack.succeeds(&[&["watch", "inbox", "--to-kafka", "--to-end"][..], &SETS].concat());
    stack.succeeds(&["run", "--to-end", "--warehouse", "kafka.db", "--set", "kafka.format=json", "-w", "2"]);
    has_the_figures(&stack.path(""), "kafka.db");
}

/// Two pipelines may call their folders alike.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn folders_of_one_name_are_two() {
    for prefix in ["one", "two"] {
        let stack = Stack::reading(prefix, |_| false);
        model(&stack);
        fs::create_dir(stack.path("inbox")).expect("makes it");
        let text = "event_time,event_type,product_id,price,user_id\n2019-10-01 10:00:00 UTC,view,7,1.00,1\n";
        fs::write(stack.path("inbox/a.csv"), text).expect("writes");
        let said = stack.succeeds(&[&["watch", "inbox", "--to-kafka", "--to-end"][..], &SETS].concat());
        assert!(said.contains("1 line sent"), "{prefix}: {said}");
    }
}

/// Whoever reads what was committed reads each line once, however often it was killed.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn each_line_is_sent_once_however_often_it_is_killed() {
    let stack = Stack::reading("dropped", |_| false);
    fs::create_dir_all(stack.path("model")).expect("makes it");
    let toml = include_str!("../../model/store/store_events.toml");
    let (own, theirs) = (format!("[\"{}\"]", stack.topic("store_events")), "[\"store_events\", \"raw_events\"]");
    assert!(toml.contains(theirs));
    fs::write(stack.path("model/store_events.toml"), toml.replace(theirs, &own)).expect("writes");
    for (name, sql) in TABLES {
        fs::write(stack.path(&format!("model/{name}.sql")), sql).expect("writes");
    }
    fs::create_dir(stack.path("inbox")).expect("makes it");
    for (seed, form, ending) in [("1", "csv", "csv"), ("2", "json", "jsonl"), ("3", "csv", "csv")] {
        let made = ["simulate", "--model", "model", "--out", "made", "--events", "30000", "--seed", seed, "--format"];
        let quiet = ["--set", "kafka.brokers="];
        stack.succeeds(&[&made[..], &[form], &quiet].concat());
        let file = stack.path(&format!("made/store_events.{ending}"));
        fs::copy(&file, stack.path(&format!("{seed}.{ending}"))).expect("copies");
        fs::rename(&file, stack.path(&format!("inbox/{seed}.{ending}"))).expect("moves");
    }
    let watch = [&["watch", "inbox", "--to-kafka"][..], &SETS].concat();
    let sent = || (0..2).filter_map(|partition| stack.end_of("store_events", partition)).sum::<i64>();
    for kill in 1..=5 {
        let before = sent();
        let running = stack.starts(&watch);
        await_that("more is sent", || sent() > before + 1000 * kill);
        running.dies();
    }
    stack.succeeds(&[&watch[..], &["--to-end"]].concat());
    let again = stack.succeeds(&[&watch[..], &["--to-end"]].concat());
    assert!(again.contains("0 lines sent"), "{again}");
    assert_eq!(fs::read_dir(stack.path("inbox/archive")).expect("a folder").count(), 3);
    let all = ["--set", "lateness=unlimited", "--set", "kafka.format=json", "-w", "2"];
    stack.succeeds(&[&["run", "--to-end", "--warehouse", "kafka.db"][..], &all].concat());
    let files = ["run", "1.csv", "2.jsonl", "3.csv", "--warehouse", "files.db", "--set", "kafka.brokers="];
    stack.succeeds(&[&files[..], &all].concat());
    let at = stack.path("");
    for counted in ["store_events", "rejected_events"] {
        let sql = format!("SELECT count(*) || '' FROM {counted}");
        assert_eq!(selected(&at, "kafka.db", &sql), selected(&at, "files.db", &sql), "{counted}");
    }
    for (table, _) in TABLES {
        assert!(rows(&at, "kafka.db", table) == rows(&at, "files.db", table), "{table} differs");
    }
    stack.refuses(&["watch", "inbox", "--to-kafka"], &["`--set kafka.format=json`"]);
}
