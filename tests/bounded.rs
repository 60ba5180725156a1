//! Over sixty days of event time, what is held levels off while the store grows.

use crate::support::{self, HOUR_MS, MINUTE_MS, MONDAY_MS};
use dataflows::table::TableId;
use deltamart::engine::{self, Resume};
use deltamart::instant;
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::{Batch, Partition, Poll, Source, SourceError};
use deltamart::stats::Stats;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const DAYS: i64 = 60;
const EVENTS_A_DAY: i64 = 400;

/// A day is an epoch: every few minutes somebody of a thousand users registers or checks out. At
/// the end of each day it notes what is held.
struct Days {
    day: i64,
    cut: bool,
    stats: Arc<Stats>,
    held: Arc<Mutex<Vec<Held>>>,
    sink: Memory,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    live: usize,
    arranged: i64,
    rows: usize,
}

fn passing(name: &str) -> bool {
    // Users and catalog are kept for ever, one record each, and say so.
    name != "users/profiles" && name != "movies_catalog/versions"
}

impl Source for Days {
    fn partitions(&self) -> Vec<Partition> {
        support::partitions(1)
    }

    fn poll(&mut self, _max_records: usize) -> Result<Poll, SourceError> {
        if std::mem::replace(&mut self.cut, true) {
            self.cut = false;
            return Ok(Poll::Cut);
        }
        let live = self.stats.live().into_iter().filter(|(name, _)| passing(name)).map(|(_, count)| count).sum();
        let rows = self.sink.contents().rows(TableId::UserRegistrationMetrics).len();
        let arranged = self.stats.arranged.load(Relaxed);
        self.held.lock().expect("not poisoned").push(Held { live, arranged, rows });
        if self.day == DAYS {
            return Ok(Poll::End);
        }
        let mut batch = Batch::default();
        for n in 0..EVENTS_A_DAY {
            let at = instant::show(MONDAY_MS + (self.day * 24 * HOUR_MS) + n * 3 * MINUTE_MS);
            let user = (self.day * 7919 + n * 104_729) % 1000 + 1;
            let line = if n % 3 == 0 {
                format!(
                    r#"{{"event_name":"purchase","timestamp":"{at}","user_id":{user},"movie_id":"1","purchase_amount":1}}"#
                )
            } else {
                format!(
                    r#"{{"event_name":"consumer_registration","timestamp":"{at}","user_id":{user},"age":30,"masked_email":"","preferred_language":""}}"#
                )
            };
            batch.push(0, self.day * EVENTS_A_DAY + n, b"", line.as_bytes());
        }
        self.day += 1;
        Ok(Poll::Records(batch))
    }

    fn seek(&mut self, _next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        Ok(())
    }
}

fn held_over_sixty_days(forget: bool) -> Vec<Held> {
    let (mut sink, stats, held) = (Memory::default(), Arc::new(Stats::default()), Arc::new(Mutex::new(Vec::new())));
    let source = Days { day: 0, cut: false, stats: Arc::clone(&stats), held: Arc::clone(&held), sink: sink.clone() };
    let mut options = support::one_commit_per_epoch(support::options(2));
    options.settings.lateness_ms = Some(48 * HOUR_MS);
    options.settings.raw = false;
    options.settings.forget = forget;
    let claim = sink.claim(MadeBy::Run).expect("memory");
    let stop = Arc::new(AtomicBool::new(false));
    engine::run(vec![Box::new(source)], Box::new(sink), claim, options, Resume::default(), stop, stats).expect("runs");
    held.lock().map(|held| held.clone()).expect("not poisoned")
}

#[test]
fn what_is_held_levels_off_while_the_store_grows() {
    let held = held_over_sixty_days(true);
    // When in its epoch a worker counts depends on the scheduler: compare what fifteen days hold together.
    let sum = |days: std::ops::Range<usize>, of: fn(&Held) -> i64| held[days].iter().map(of).sum::<i64>();
    let live = |held: &Held| held.live as i64;
    let arranged = |held: &Held| held.arranged;
    assert!(sum(5..20, live) > 0);
    assert!(sum(45..60, live) <= sum(5..20, live) * 5 / 4, "live records grow: {held:?}");
    assert!(sum(45..60, arranged) <= sum(5..20, arranged) * 5 / 4, "arrangements grow: {held:?}");
    assert!(held[59].rows > held[20].rows * 5 / 2, "the store does not grow: {held:?}");

    // The check can fail: without forgetting both grow without end.
    let held = held_over_sixty_days(false);
    assert!(held[59].live > held[20].live * 5 / 2);
    assert!(held[59].arranged > held[20].arranged * 5 / 2);
}
