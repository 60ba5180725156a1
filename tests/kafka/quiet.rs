use super::stack::{Stack, await_that, schema_of, sign_in};
use crate::support::MONDAY_MS;
use deltamart::decode::avro::header;

/// A partition that has nothing is left out of the watermark, though others always have something; but not
/// before its time.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn an_idle_partition_holds_the_watermark_for_a_while_only() {
    let stack = Stack::reading("idle", |event| event == "sign_in");
    stack.creates("sign_in", 3, "delete");
    let schema = stack.registers("sign_in", schema_of("sign_in"));
    let quick = ["run", "-w", "1", "--set", "epoch_interval=10ms"];
    stack.sends("sign_in", 0, (0..10).map(|n| Some(sign_in(schema, n + 1, n * 600))));
    let running = stack.starts(&[&quick[..], &["--set", "idle_timeout=1h"]].concat());
    stack.awaits(&format!("{}/0=10", stack.topic("sign_in")));
    running.ends();
    let watermark = || stack.watermark().unwrap_or(i64::MIN);
    assert!(watermark() < MONDAY_MS, "an empty partition was left out at once");
    let running = stack.starts(&[&quick[..], &["--set", "idle_timeout=1s"]].concat());
    await_that("that it stands is said", || {
        let status = stack.says(&["status"]).1;
        status.contains("look at: watermark") && status.contains("begin it")
    });
    let mut second = 10_000;
    await_that("the watermark goes on", || {
        // Never a moment without.
        stack.sends("sign_in", 0, (0..200).map(|n| Some(sign_in(schema, n + 1, second + n))));
        second += 200;
        watermark() > MONDAY_MS + 10_000_000
    });
    await_that("that it stands is said, and what moves it", || stack.says(&["status"]).1.contains("move it"));
    running.ends();
    stack.verify(&[]);
}

/// JSON behind the header of the wire format, and JSON alone; the catalog's topic is missing in both.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn payloads_may_be_json() {
    let stack = Stack::reading("json", |event| matches!(event, "sign_in" | "movies_catalog_enriched"));
    stack.creates("sign_in", 2, "delete");
    let event = |n: i64| format!(r#"{{"timestamp":{},"event_name":"sign_in","user_id":{}}}"#, MONDAY_MS + n, n + 1);
    let bare = (0..30).map(|n| Some(event(n).into_bytes()));
    let behind = (30..50).map(|n| Some([&header(77)[..], event(n).as_bytes()].concat()));
    stack.sends("sign_in", 0, bare);
    stack.sends("sign_in", 1, behind);
    let run = |format: &str, warehouse: &str| {
        stack.succeeds(&["run", "--to-end", "--set", &format!("kafka.format={format}"), "--warehouse", warehouse]);
        let count = |sql: &str| stack.value::<i64>(warehouse, sql);
        (count("SELECT COUNT(*) FROM consumer_events"), count("SELECT COUNT(*) FROM rejected_events"))
    };
    assert_eq!(run("json", "json.db"), (30, 20));
    assert_eq!(run("json_schema", "schema.db"), (20, 30));
    stack.verify(&["--warehouse", "json.db"]);
}
