//! `quality` is what the stored rows say, counted anew: by topic, and what was rejected also by hour.

use crate::support::{self, CLOCK_MS, HOUR_MS, MINUTE_MS};
use dataflows::Instant;
use dataflows::family::Catalogue;
use dataflows::quality::QUALITY;
use dataflows::raw::{LATE_EVENTS, REJECTED_EVENTS};
use dataflows::table::{TableId, Value};
use deltamart::engine::{self, Clock};
use deltamart::sink::memory::{Contents, Memory};
use deltamart::source::script::{Script, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// A clock that goes on by some minutes each time it is asked, so that hours are crossed at any place.
pub fn moving_clock(seed: u64) -> Clock {
    let now = AtomicI64::new(CLOCK_MS);
    Arc::new(move || {
        let before = now.load(Relaxed);
        let minutes = (before / MINUTE_MS).wrapping_mul(7_919).wrapping_add(seed as i64).rem_euclid(41);
        now.store(before + minutes * MINUTE_MS + 1, Relaxed);
        before
    })
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Integer(number) | Value::Instant(number) | Value::Share(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// How many rows of some tables are of each topic.
fn rows_of(contents: &Contents, tables: impl Iterator<Item = TableId>) -> BTreeMap<Value, i64> {
    let mut counts = BTreeMap::new();
    for row in tables.flat_map(|id| contents.rows(id)) {
        *counts.entry(row[0].clone()).or_default() += 1;
    }
    counts
}

/// Fails if `quality` does not say what the other tables say. Nothing of those may have been removed. Tells in how many
/// hours something was read.
pub fn check(catalogue: Catalogue, contents: &Contents) -> usize {
    let place = |name: &str| {
        let columns = &REJECTED_EVENTS.table().columns;
        columns.iter().position(|column| column.name == name).expect("a column")
    };
    let rejected_at = place("rejected_at");
    let mut rejected = BTreeMap::<(Value, Instant), i64>::new();
    for row in contents.rows(REJECTED_EVENTS) {
        let at = number(&row[rejected_at]);
        *rejected.entry((row[0].clone(), at - at.rem_euclid(HOUR_MS))).or_default() += 1;
    }
    let (mut sums, mut hours) = ([(); 3].map(|()| BTreeMap::<Value, i64>::new()), BTreeSet::new());
    let mut in_hours = BTreeMap::new();
    for row in contents.rows(QUALITY) {
        let (topic, hour, counts) = (&row[0], number(&row[1]), [2, 3, 4].map(|place| number(&row[place])));
        let [accepted, of_rejected, late] = counts;
        assert!(accepted + of_rejected > 0 && late <= accepted, "{row:?}");
        let share = (accepted as f64 / (accepted + of_rejected) as f64 * 10_000.0).round() as i64;
        assert_eq!(number(&row[5]), share, "{row:?}");
        hours.insert(hour);
        for (sum, count) in sums.iter_mut().zip(counts).filter(|(_, count)| *count > 0) {
            *sum.entry(topic.clone()).or_default() += count;
        }
        if of_rejected > 0 {
            in_hours.insert((topic.clone(), hour), of_rejected);
        }
    }
    let of = |id: TableId| rows_of(contents, [id].into_iter());
    let stored = [rows_of(contents, catalogue.raw()), of(REJECTED_EVENTS), of(LATE_EVENTS)];
    assert_eq!(sums, stored, "accepted, rejected and late, of each topic");
    assert_eq!(in_hours, rejected, "rejected, of each topic and hour");
    hours.len()
}

/// Lives one after the other, each by a clock that stands: an hour goes on after a start, and what is read after it is of
/// the next, whoever reads it.
#[test]
fn hours_are_those_of_the_clock_by_which_records_are_judged() {
    let view = |partition: u32, at: &str| {
        let json = format!(r#"{{"event_name":"item_view","timestamp":"{at}","user_id":1,"item_id":"7"}}"#);
        Step::Record(partition, json.into_bytes())
    };
    let nonsense = |partition: u32| Step::Record(partition, b"nonsense".to_vec());
    let lives = [
        (0, vec![view(0, "2026-01-05T10:00:01Z"), nonsense(1)], vec![[0, 1, 1, 0, 5_000]]),
        (
            59,
            vec![view(1, "2026-01-05T10:00:02Z"), view(0, "2026-01-01T10:00:00Z"), view(0, "2026-01-05T10:00:03Z")],
            vec![[0, 4, 1, 1, 8_000]],
        ),
        // The hour begins with its first millisecond; and the clock that goes back opens none again.
        (60, vec![nonsense(0)], vec![[0, 4, 1, 1, 8_000], [1, 0, 1, 0, 0]]),
        (58, vec![view(1, "2026-01-05T10:00:04Z")], vec![[0, 4, 1, 1, 8_000], [1, 1, 1, 0, 5_000]]),
    ];
    for workers in 1..=3 {
        let (sink, mut resume, mut steps) = (Memory::default(), engine::Resume::default(), Vec::new());
        for (minute, new, expected) in lives.clone() {
            steps.extend(new);
            let source = Script::new(support::partitions(2), steps.iter().cloned().chain([Step::End]));
            let mut options = support::options(workers);
            options.clock = Arc::new(move || CLOCK_MS + minute * MINUTE_MS);
            let ended = support::run(source, &sink, options, resume, &Arc::default()).expect("runs to its end");
            let progress = sink.contents().progress.clone().expect("claimed");
            resume = engine::Resume { epoch: ended.epoch.max(progress.epoch), ..ended };
            sink.contents().progress.as_mut().expect("claimed").epoch = resume.epoch;
            let of = |row: &Vec<Value>| {
                let [hour, accepted, rejected, late, share] = [1, 2, 3, 4, 5].map(|at| number(&row[at]));
                [(hour - CLOCK_MS) / HOUR_MS, accepted, rejected, late, share]
            };
            let rows: Vec<_> = sink.contents().rows(QUALITY).iter().map(of).collect();
            assert_eq!(rows, expected, "by {workers} at minute {minute}");
        }
    }
}
