//! Over sixty days of event time, what is held levels off while the store grows.

use crate::support::{self, HOUR_MS, MINUTE_MS, MONDAY_MS};
use dataflows::shop::Settings;
use deltamart::families::all;
use deltamart::instant;
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::{Batch, Partition, Poll, Source, SourceError};
use deltamart::stats::Stats;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

const DAYS: i64 = 60;
const EVENTS_A_DAY: i64 = 480;

/// A day is an epoch: every three minutes one of a thousand users does something. At the end of
/// each day it notes what is held.
struct Days {
    day: i64,
    cut: bool,
    stats: Arc<Stats>,
    held: Arc<Mutex<Vec<Held>>>,
    sink: Memory,
}

/// At the end of a day: live records per operator, and rows in the store.
#[derive(Clone, Debug)]
struct Held {
    live: BTreeMap<&'static str, usize>,
    rows: usize,
}

/// What is kept forever, one record per user, item, or user and item rated, and says so.
const FOR_EVER: [&str; 7] = [
    "shop/users/profiles",
    "shop/versions",
    "shop/prices/points",
    "shop/movie_statistics/sums",
    "shop/user_activity/sums",
    "shop/segments/known",
    "shop/movie_statistics/ratings",
];

impl Source for Days {
    fn partitions(&self) -> Vec<Partition> {
        support::partitions(1)
    }

    fn poll(&mut self, _max_records: usize) -> Result<Poll, SourceError> {
        if std::mem::replace(&mut self.cut, true) {
            self.cut = false;
            return Ok(Poll::Cut);
        }
        let rows = all().metrics().iter().map(|(id, _)| self.sink.contents().rows(*id).len()).sum();
        let live = self.stats.live().into_iter().collect();
        self.held.lock().expect("not poisoned").push(Held { live, rows });
        if self.day == DAYS {
            return Ok(Poll::End);
        }
        let mut batch = Batch::default();
        for n in 0..EVENTS_A_DAY {
            let line = event(self.day, n);
            batch.push(0, self.day * EVENTS_A_DAY + n, b"", line.as_bytes());
        }
        self.day += 1;
        Ok(Poll::Records(batch))
    }

    fn seek(&mut self, _next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Visits of six events each: registration, sign-in, an add, another, a checkout (mostly), sign-out
/// (mostly); now and then a new version of an item instead.
pub fn event(day: i64, n: i64) -> String {
    let at = instant::show(MONDAY_MS + day * 24 * HOUR_MS + n * 3 * MINUTE_MS);
    let visit = day * EVENTS_A_DAY / 6 + n / 6;
    let (user, cart, item) = (visit * 7919 % 1000 + 1, visit, visit * 31 % 200);
    let named = |name: &str, rest: String| format!(r#"{{"event_name":"{name}","timestamp":"{at}",{rest}}}"#);
    let cart_id = format!("00000000-0000-0000-0000-{cart:012}");
    match n % 6 {
        0 if visit % 5 == 0 => {
            named("movies_catalog_enriched", format!(r#""item_id":"{item}","title":"T","price":{}.99"#, visit % 7 + 1))
        }
        0 => named(
            "consumer_registration",
            format!(r#""user_id":{user},"age":30,"masked_email":"","preferred_language":"""#),
        ),
        1 => named("sign_in", format!(r#""user_id":{user}"#)),
        2 | 3 => {
            named("added_to_cart", format!(r#""user_id":{user},"item_id":"{}","cart_id":"{cart_id}""#, item + n % 6))
        }
        4 if visit % 4 == 0 => named("item_view", format!(r#""user_id":{user},"item_id":"{item}""#)),
        4 => named("checkout_to_cart", format!(r#""user_id":{user},"cart_id":"{cart_id}","payment_method":"Card""#)),
        _ if visit % 9 == 0 => named("item_rating", format!(r#""user_id":{user},"item_id":"{item}","rating":4"#)),
        _ => named("sign_out", format!(r#""user_id":{user}"#)),
    }
}

fn held_over_sixty_days(forget: bool) -> Vec<Held> {
    let (mut sink, stats, held) = (Memory::default(), Arc::new(Stats::default()), Arc::new(Mutex::new(Vec::new())));
    let source = Days { day: 0, cut: false, stats: Arc::clone(&stats), held: Arc::clone(&held), sink: sink.clone() };
    let mut options = support::one_commit_per_epoch(support::options(2));
    // The defaults, but for carts and segments: what is kept for a month would level off after two.
    let (cart_ttl_ms, segments) = (10 * 24 * HOUR_MS, support::segments(36 * HOUR_MS));
    let lane = dataflows::Settings { raw: false, forget, ..Default::default() };
    options.settings = Settings { cart_ttl_ms, segments, lane, ..Settings::default() };
    let claim = sink.claim(MadeBy::Run, None).expect("memory");
    support::run_into(vec![Box::new(source)], Box::new(sink), claim, options, &stats).expect("runs");
    held.lock().map(|held| held.clone()).expect("not poisoned")
}

#[test]
fn what_is_held_levels_off_while_the_store_grows() {
    let held = held_over_sixty_days(true);
    write_csv(&held);
    // When in its epoch a worker counts depends on the scheduler: compare what fifteen days hold together.
    let over = |days: Range<usize>, held: &[Held], name: &str| -> usize {
        held[days].iter().map(|held| held.live.get(name).copied().unwrap_or_default()).sum()
    };
    // What nothing is held by, because a setting asks for it, says nothing.
    let is_held = |name: &&str| over(0..60, &held, name) > 0;
    let all = held[59].live.keys().copied();
    let passing: Vec<_> = all.filter(|name| !FOR_EVER.contains(name)).filter(is_held).collect();
    assert!(passing.len() >= 8, "{passing:?}");
    for name in &passing {
        let (early, late) = (over(25..40, &held, name), over(45..60, &held, name));
        // Of the sums of sales the cumulative ones stay, one per item: there are two hundred.
        // What holds ten records or twenty may be caught at either moment of its day.
        assert!(late <= early * 5 / 4 + 100, "`{name}` grows: {early} over days 25 to 40, {late} over 45 to 60");
    }
    assert!(held[59].rows > held[29].rows * 17 / 10, "the store does not grow");

    // The check can fail: without forgetting all but what is open (two kinds of windows, and sessions) grows without end.
    let held = held_over_sixty_days(false);
    let grow = passing.iter().filter(|name| over(45..60, &held, name) > over(25..40, &held, name) * 5 / 4).count();
    assert!(grow + 3 >= passing.len(), "only {grow} of {passing:?} grow without forgetting");
}

/// For the plot in `docs/`: see `scripts/plot-live-records`.
fn write_csv(held: &[Held]) {
    let Some(path) = std::env::var_os("DELTAMART_LIVE_CSV") else { return };
    let names: Vec<_> = held[59].live.keys().copied().collect();
    let mut csv = format!("day,rows,{}\n", names.join(","));
    for (day, held) in held.iter().enumerate() {
        let live = names.iter().map(|name| held.live.get(name).copied().unwrap_or_default().to_string());
        csv.push_str(&format!("{day},{},{}\n", held.rows, live.collect::<Vec<_>>().join(",")));
    }
    std::fs::write(path, csv).expect("writable");
}
