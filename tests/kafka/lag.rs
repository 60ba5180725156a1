use super::stack::{Stack, await_that, framed, sign_in};
use super::unreadable::{GOOD, POISON, registry_saying};
use crate::support::MONDAY_MS;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// A record whose schema the registry does not answer for holds its partition: what is behind it is not read, and the page, the
/// metrics and `status` say how many records that are, and for how long.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn what_is_not_read_is_said_in_events_and_in_time() {
    let stack = Stack::reading("lag", |event| event == "sign_in");
    stack.creates("sign_in", 1, "delete");
    let status = Arc::new(AtomicU16::new(500));
    let server = registry_saying(&status);
    stack.configure(&server.url, |event| event == "sign_in");
    let appended_ms = MONDAY_MS + 3_600_000;
    let events = |users: std::ops::Range<i64>| users.map(|user| sign_in(GOOD, user + 1, user)).collect::<Vec<_>>();
    let records = [events(0..20), vec![framed(POISON, &[b"junk".to_vec()])], events(20..30)].concat();
    stack.sends_at("sign_in", 0, records.into_iter().map(|payload| (appended_ms, payload)));
    let topic = stack.topic("sign_in");
    let running = stack.starts(&["run", "-w", "1", "--set", "epoch_interval=20ms", "--serve", "127.0.0.1:0"]);
    let metric = |name: &str| {
        let metrics = running.answers("/metrics")?;
        let series = format!("deltamart_source_{name}{{topic=\"{topic}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok())
    };
    await_that("ten records and the one that holds them are not read", || metric("lag_records") == Some(11.0));
    assert_eq!(metric("records_total"), Some(20.0));
    // What was read last was appended then, by its log.
    let hours_ago = |ms: i64| (deltamart::instant::now() - ms) as f64 / 3_600_000.0;
    let behind = metric("lag_seconds").expect("it is known") / 3_600.0;
    assert!((behind - hours_ago(appended_ms)).abs() < 0.1, "{behind} hours");
    let api = running.answers("/api/v1/status").expect("an answer");
    let api: serde_json::Value = serde_json::from_str(&api).expect("JSON");
    let lag = &api["lag"][0];
    assert!(lag["topic"] == topic.as_str() && lag["events"] == 11, "{lag}");
    assert!(lag["ms"].as_f64().is_some_and(|ms| (ms / 3_600_000.0 - hours_ago(appended_ms)).abs() < 0.1), "{lag}");
    let hours = hours_ago(appended_ms) as i64;
    await_that("status says it too", || {
        let said = stack.says(&["status"]).1;
        said.contains("look at: sources") && said.contains(&format!("  lag      {topic}: 11 not read yet, "))
    });
    let json = stack.says(&["status", "--json"]).1;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let lag = &json["run"]["lag"][0];
    assert!(lag["events"] == 11 && lag["ms"].as_i64().is_some_and(|ms| ms / 3_600_000 >= hours), "{lag}");
    // It is answered, and nothing is behind.
    status.store(404, Ordering::SeqCst);
    await_that("all is read", || (metric("lag_records"), metric("lag_seconds")) == (Some(0.0), Some(0.0)));
    await_that("status says it too", || stack.says(&["status"]).1.contains("; read to the end"));
    running.ends();
}
