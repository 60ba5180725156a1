use super::stack::{Stack, await_that, schema_of, send, sign_in};
use crate::support::MONDAY_MS;
use rdkafka::producer::Producer;
use std::time::Duration;

const ROWS: &str = "SELECT COUNT(*) FROM consumer_events";

fn events(schema: u32, users: std::ops::Range<i64>) -> impl Iterator<Item = Option<Vec<u8>>> {
    users.map(move |user| Some(sign_in(schema, user + 1, user)))
}

fn only_sign_ins(test: &str, partitions: i32) -> (Stack, u32) {
    let stack = Stack::reading(test, |event| event == "sign_in");
    stack.creates("sign_in", partitions, "delete");
    let schema = stack.registers("sign_in", schema_of("sign_in"));
    (stack, schema)
}

/// Partitions that come to be while we read are read from their beginning.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn partitions_added_in_the_middle_are_read() {
    let stack = Stack::of("added");
    let simulate = |seed: &str| {
        stack.succeeds(&["simulate", "--events", "5000", "--rate", "0", "--seed", seed]);
    };
    simulate("1");
    let often = ["--set", "kafka.metadata_interval=200ms", "--set", "epoch_interval=20ms"];
    let running = stack.starts(&[&["run", "-w", "2"], &often[..]].concat());
    stack.awaits_all();
    stack.grows("sign_in", 6);
    stack.grows("item_view", 5);
    simulate("2");
    stack.awaits_all();
    running.ends();
    stack.verify(&[]);
    assert_eq!(stack.accounted("deltamart.db"), 2 * (5_000 + 298), "a record is lost, or doubled");
    let new = "SELECT COUNT(DISTINCT _topic || _partition) FROM (SELECT _topic, _partition FROM consumer_events
        UNION ALL SELECT _topic, _partition FROM item_view_events) WHERE _partition >= 3";
    assert_eq!(stack.value::<i64>("deltamart.db", new), 5, "not all new partitions were written to");
}

/// `latest` is where the log ended at the first start ever, whatever happened to that.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn latest_means_the_first_start() {
    let (stack, schema) = only_sign_ins("latest", 2);
    stack.configure(&stack.registry, |event| matches!(event, "sign_in" | "sign_out"));
    stack.sends("sign_in", 0, events(schema, 0..100));
    let latest = ["--set", "kafka.start=latest"];
    let running = stack.starts(&[&["run"], &latest[..]].concat());
    await_that("it has written down where it begins", || stack.says(&["status"]).1.contains("start 1\n"));
    running.dies();
    stack.sends("sign_in", 0, events(schema, 100..150));
    stack.sends("sign_in", 1, events(schema, 150..160));
    // What was not there then is read whole.
    stack.creates("sign_out", 1, "delete");
    let outs = stack.registers("sign_out", schema_of("sign_out"));
    let out = |user: i64| {
        super::stack::framed(
            outs,
            &[
                super::stack::text(&super::stack::instant(user)),
                super::stack::text("sign_out"),
                super::stack::long(user + 1),
            ],
        )
    };
    stack.sends("sign_out", 0, (0..5).map(|user| Some(out(user))));
    stack.succeeds(&[&["run", "--to-end"], &latest[..]].concat());
    assert_eq!(stack.value::<i64>("deltamart.db", ROWS), 65);
    // From there on, a rebuild begins where the first start did.
    let said = stack.succeeds(&[&["run", "--rebuild"], &latest[..]].concat());
    assert!(said.contains("0 rows upserted, 0 deleted"), "{said}");
    stack.truncates("sign_in", 0, 120);
    stack.refuses(
        &[&["run", "--rebuild"], &latest[..]].concat(),
        &["20 records were deleted", "--rebuild --accept-loss"],
    );
    stack.succeeds(&[&["run", "--rebuild", "--accept-loss"], &latest[..]].concat());
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT SUM(sessions) FROM user_activity"), 40);
    stack.verify(&[]);
}

/// An instant is one of the log, not of the events.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn reading_begins_at_an_instant_or_with_the_first_record() {
    let (stack, schema) = only_sign_ins("instant", 2);
    let at = |partition: i32, hour: i64, users: std::ops::Range<i64>| {
        let appended = MONDAY_MS + hour * 3_600_000;
        stack.sends_at("sign_in", partition, users.map(|user| (appended, sign_in(schema, user + 1, user))));
    };
    at(0, 1, 0..10);
    at(0, 3, 10..17);
    at(1, 1, 20..25);
    let run = |start: &str, warehouse: &str| {
        stack.succeeds(&["run", "--to-end", "--set", &format!("kafka.start={start}"), "--warehouse", warehouse]);
        stack.value::<i64>(warehouse, ROWS)
    };
    assert_eq!(run("2026-01-05T02:00:00Z", "since.db"), 7);
    assert_eq!(run("earliest", "all.db"), 22);
    assert_eq!(run("2027-01-05", "none.db"), 0);
    at(1, 4, 30..31);
    assert_eq!(run("2026-01-05T02:00:00Z", "since.db"), 8);
    assert_eq!(run("2027-01-05", "none.db"), 1, "it goes on from where it began");
}

/// What was deleted before it was read is not passed over in silence.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_truncated_log_is_refused() {
    let (stack, schema) = only_sign_ins("truncated", 1);
    let topic = stack.topic("sign_in");
    stack.sends("sign_in", 0, events(schema, 0..100));
    stack.succeeds(&["run", "--to-end"]);
    let said = stack.succeeds(&["run", "--rebuild"]);
    assert!(said.contains("0 rows upserted, 0 deleted"), "{said}");
    stack.sends("sign_in", 0, events(schema, 100..200));
    stack.truncates("sign_in", 0, 150);
    let expected = [topic.as_str(), "50 records were deleted", "run --rebuild --accept-loss"];
    stack.refuses(&["run", "--to-end"], &expected);
    stack.refuses(&["run", "--rebuild"], &[&topic, "--accept-loss"]);
    stack.succeeds(&["run", "--rebuild", "--accept-loss"]);
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT SUM(sessions) FROM user_activity"), 50);
    stack.verify(&[]);
    let said = stack.succeeds(&["run", "--to-end"]);
    assert!(said.starts_with("nothing new"), "{said}");
    // What was read may age away.
    stack.sends("sign_in", 0, events(schema, 200..210));
    stack.succeeds(&["run", "--to-end"]);
    stack.truncates("sign_in", 0, 205);
    stack.sends("sign_in", 0, events(schema, 210..215));
    stack.succeeds(&["run", "--to-end"]);
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT SUM(sessions) FROM user_activity"), 65);
}

/// Told to, it goes on with what is left; what is missing is written down, and said.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn what_was_deleted_unread_is_passed_if_it_is_said() {
    let (stack, schema) = only_sign_ins("passed", 1);
    let topic = stack.topic("sign_in");
    let sessions = || stack.value::<i64>("deltamart.db", "SELECT SUM(sessions) FROM user_activity");
    stack.sends("sign_in", 0, events(schema, 0..200));
    stack.truncates("sign_in", 0, 20);
    // What was gone before anybody came is not missed.
    stack.succeeds(&["run", "--to-end", "--accept-loss"]);
    assert_eq!((sessions(), stack.says(&["status"]).1.contains("lost ")), (180, false));
    stack.sends("sign_in", 0, events(schema, 200..300));
    stack.truncates("sign_in", 0, 250);
    stack.refuses(&["run", "--to-end"], &[&topic, "50 records were deleted", "status", "`run --accept-loss`"]);
    stack.succeeds(&["run", "--to-end", "--accept-loss"]);
    assert_eq!(sessions(), 230, "what was read before stays, what is left is read");
    let detail = "SELECT detail FROM rejected_events WHERE reason = 'deleted' AND _offset = 249";
    let detail = stack.value::<String>("deltamart.db", detail);
    assert!(detail.starts_with(&format!("offsets 200 to 249 of `{topic}/0` were deleted")), "{detail}");
    let said = stack.succeeds(&["run", "--to-end"]);
    assert!(said.starts_with("nothing new"), "{said}");
    let lost = format!("{topic}/0: 50 records, offsets 200 to 249, deleted before they were read");
    let says_lost = |lost: &str| {
        let status = stack.succeeds(&["status"]);
        assert!(status.contains(lost), "{status}");
    };
    says_lost(&lost);
    let verified = stack.succeeds(&["verify"]);
    assert!(verified.contains(" 0 differ") && verified.contains("in no table: offsets 200 to 249"), "{verified}");
    // What was passed and is not in a snapshot yet is passed again, though nobody says so any more.
    stack.sends("sign_in", 0, events(schema, 300..310));
    stack.truncates("sign_in", 0, 305);
    let running = stack.starts(&["run", "--accept-loss", "--set", "snapshot_interval=1h"]);
    stack.awaits(&format!("{topic}/0=310"));
    running.dies();
    stack.succeeds(&["run", "--to-end"]);
    assert_eq!((sessions(), stack.accounted("deltamart.db")), (235, 237));
    says_lost(&lost);
    says_lost("5 records, offsets 300 to 304");
    stack.verify(&[]);
    // What was read and is not in a snapshot yet must be there.
    let running = stack.starts(&["run", "--set", "snapshot_interval=1h"]);
    stack.sends("sign_in", 0, events(schema, 310..320));
    stack.awaits(&format!("{topic}/0=320"));
    running.dies();
    stack.truncates("sign_in", 0, 315);
    for arguments in [&["run", "--to-end"][..], &["run", "--to-end", "--accept-loss"]] {
        stack.refuses(arguments, &["must be read again", "offsets 310 to 314 are deleted", "--rebuild --accept-loss"]);
    }
    assert!(!stack.succeeds(&["status"]).contains("310 to"), "it was refused, not passed");
    stack.succeeds(&["run", "--rebuild", "--accept-loss"]);
    assert_eq!((sessions(), stack.says(&["status"]).1.contains("lost ")), (5, false));
    stack.verify(&[]);
}

/// Offsets into a log that was deleted and made again mean nothing, however long it is by now, and though
/// nothing was in it when it was first read.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_log_that_was_made_again_is_refused() {
    let (stack, schema) = only_sign_ins("again", 1);
    let topic = stack.topic("sign_in");
    let running = stack.starts(&["run", "--set", "epoch_interval=20ms"]);
    await_that("it has begun", || stack.says(&["status"]).1.contains("start 1\n"));
    stack.sends("sign_in", 0, events(schema, 0..100));
    stack.awaits(&format!("{topic}/0=100"));
    running.ends();
    let made_again = |count: i64| {
        stack.deletes("sign_in");
        stack.creates("sign_in", 1, "delete");
        stack.sends("sign_in", 0, events(schema, 1_000..1_000 + count));
    };
    made_again(300);
    stack.refuses(&["run", "--to-end"], &[&topic, "not the log that was read before", "--rebuild"]);
    stack.succeeds(&["run", "--rebuild", "--accept-loss"]);
    assert_eq!(stack.value::<i64>("deltamart.db", "SELECT SUM(sessions) FROM user_activity"), 300);
    stack.verify(&[]);
    made_again(20);
    stack.refuses(&["run", "--to-end"], &[&topic, "--rebuild"]);
    stack.succeeds(&["run", "--rebuild", "--accept-loss"]);
    stack.verify(&[]);
    assert!(stack.succeeds(&["run", "--to-end"]).starts_with("nothing new"));
}

#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn a_compacted_topic_is_refused_unless_it_is_meant() {
    let stack = Stack::reading("compacted", |event| event == "sign_in");
    stack.refuses(&["run", "--to-end"], &["none of the topics is there", &stack.topic("sign_in")]);
    stack.creates("sign_in", 1, "compact");
    let schema = stack.registers("sign_in", schema_of("sign_in"));
    stack.sends("sign_in", 0, events(schema, 0..10));
    stack.refuses(&["run", "--to-end"], &[&stack.topic("sign_in"), "compacted", "cleanup.policy", "accept_compacted"]);
    stack.succeeds(&["run", "--to-end", "--set", "kafka.accept_compacted=true"]);
    assert_eq!(stack.value::<i64>("deltamart.db", ROWS), 10);
}

/// The last offsets of a log hold no records but marks of transactions; what was aborted is not read.
#[test]
#[ignore = "needs Kafka (scripts/with-stack)"]
fn transactions_are_read_once_committed() {
    let (stack, schema) = only_sign_ins("transactions", 2);
    let (producer, topic) = (stack.producer(true), stack.topic("sign_in"));
    let patience = Duration::from_secs(30);
    producer.init_transactions(patience).expect("begins");
    for (partition, users, commit) in [(0, 0..40, true), (1, 40..60, false), (0, 60..70, false), (1, 70..75, true)] {
        producer.begin_transaction().expect("begins");
        send(&producer, &topic, partition, events(schema, users).map(|payload| (None, payload)));
        if commit { producer.commit_transaction(patience) } else { producer.abort_transaction(patience) }
            .expect("ends");
    }
    stack.succeeds(&["run", "--to-end", "-w", "2"]);
    assert_eq!(stack.value::<i64>("deltamart.db", ROWS), 45);
    stack.verify(&[]);
    assert!(stack.succeeds(&["run", "--to-end"]).starts_with("nothing new"));
}
