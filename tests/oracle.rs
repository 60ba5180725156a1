//! Random histories (shuffled, late, duplicated, corrected, expiring, restarted) through the whole
//! pipeline on 1 to 4 workers; every table must equal its SQL row for row, and the deltas must be
//! minimal and replayable.

use crate::quality;
use crate::support::table;
use crate::support::{self, CLOCK_MS, HOUR_MS, MINUTE_MS, MONDAY_MS};
use dataflows::delta::Delta;
use dataflows::deltas::Deltas;
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::engine::Resume;
use deltamart::families::all;
use deltamart::instant;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::source::script::{Script, Step};
use deltamart::stats::Stats;
use proptest::prelude::*;
use std::sync::Arc;

/// One thing that happens, in small domains so that it happens again.
#[derive(Clone, Debug)]
pub enum Happening {
    /// user, minute, age
    Registers(u8, u16, u8),
    /// user, minute, in (or out)
    Signs(u8, u16, bool),
    /// user, minute, item
    Views(u8, u16, u8),
    /// user, minute, item, cart
    Adds(u8, u16, u8, u8),
    /// user, minute, cart
    ChecksOut(u8, u16, u8),
    /// user, minute, item, dollars and as many cents
    Purchases(u8, u16, u8, u8),
    /// user, minute, item, rating
    Rates(u8, u16, u8, u8),
    /// item, minute, title, price in dollars; 0 is none
    Catalog(u8, u16, u8, u8),
    /// Nothing that can be accepted.
    Garbage(u8),
    /// The epoch closes.
    Cut,
}

/// How far a history reaches: hours in which lateness, sessions and carts end again and again, or
/// weeks in which weeks of sales do.
#[derive(Clone, Copy, Debug)]
pub enum Span {
    Hours,
    Weeks,
}

impl Span {
    fn minutes(self) -> u16 {
        match self {
            // Twenty hours, lateness is two: much of it comes too late.
            Span::Hours => 1200,
            Span::Weeks => 30 * 1440,
        }
    }

    pub fn settings(self, mut settings: dataflows::shop::Settings) -> dataflows::shop::Settings {
        if let Span::Weeks = self {
            settings.lane.lateness_ms = Some(20 * HOUR_MS);
            settings.catalog_lateness_ms = Some(12 * HOUR_MS);
            settings.cart_ttl_ms = 60 * HOUR_MS;
            settings.price_backfill_ms = 48 * HOUR_MS;
            settings.segments = support::segments(18 * HOUR_MS);
        }
        settings
    }
}

fn happening(span: Span) -> impl Strategy<Value = Happening> {
    let minute = 0..span.minutes();
    let user = 1u8..6;
    let (at, who) = (move || minute.clone(), move || user.clone());
    prop_oneof![
        6 => (who(), at(), 0u8..3).prop_map(|(user, minute, age)| Happening::Registers(user, minute, age)),
        6 => (1u8..4, at(), any::<bool>()).prop_map(|(user, minute, is_in)| Happening::Signs(user, minute, is_in)),
        6 => (1u8..4, at(), 1u8..4).prop_map(|(user, minute, item)| Happening::Views(user, minute, item)),
        7 => (who(), at(), 1u8..4, 0u8..4).prop_map(|(u, m, item, cart)| Happening::Adds(u, m, item, cart)),
        4 => (who(), at(), 0u8..4).prop_map(|(user, minute, cart)| Happening::ChecksOut(user, minute, cart)),
        2 => (1u8..3, at(), 1u8..4, 1u8..4).prop_map(|(u, m, item, cents)| Happening::Purchases(u, m, item, cents)),
        2 => (1u8..3, at(), 1u8..4, 1u8..6).prop_map(|(u, m, item, rating)| Happening::Rates(u, m, item, rating)),
        4 => (1u8..4, at(), 0u8..3, 0u8..3).prop_map(|(i, m, t, p)| Happening::Catalog(i, m, t, p)),
        1 => (0u8..5).prop_map(Happening::Garbage),
        5 => Just(Happening::Cut),
    ]
}

pub fn history(length: std::ops::Range<usize>) -> impl Strategy<Value = (Span, Vec<Happening>)> {
    prop_oneof![4 => Just(Span::Hours), 1 => Just(Span::Weeks)]
        .prop_flat_map(move |span| (Just(span), prop::collection::vec(happening(span), length.clone())))
}

/// Puts a history roughly in the order of time, as far as `disorder` minutes off.
pub fn roughly_ordered(mut history: Vec<Happening>, disorder: u16) -> Vec<Happening> {
    let mut last = 0;
    let mut keyed: Vec<_> = history
        .drain(..)
        .enumerate()
        .map(|(n, happening)| {
            let at = match &happening {
                Happening::Registers(_, at, _) | Happening::Signs(_, at, _) | Happening::Views(_, at, _) => *at,
                Happening::Adds(_, at, ..) | Happening::ChecksOut(_, at, _) | Happening::Purchases(_, at, ..) => *at,
                Happening::Rates(_, at, ..) | Happening::Catalog(_, at, ..) => *at,
                Happening::Garbage(_) | Happening::Cut => last,
            };
            last = at;
            (i32::from(at) + (n as i32 * 7919) % (i32::from(disorder) + 1), happening)
        })
        .collect();
    keyed.sort_by_key(|(at, _)| *at);
    keyed.into_iter().map(|(_, happening)| happening).collect()
}

fn json(happening: &Happening) -> Option<Vec<u8>> {
    // Some lie on a minute boundary, some between two.
    let at = |minute: &u16| instant::show(MONDAY_MS + i64::from(*minute) * MINUTE_MS + i64::from(*minute % 3) * 20_500);
    let text = match happening {
        Happening::Registers(user, minute, age) => format!(
            r#"{{"event_name":"consumer_registration","timestamp":"{}","user_id":{user},"age":{},"masked_email":"****@{age}.ge","preferred_language":"eng"}}"#,
            at(minute),
            20 + age
        ),
        Happening::Signs(user, minute, is_in) => format!(
            r#"{{"event_name":"{}","timestamp":"{}","user_id":{user}}}"#,
            if *is_in { "sign_in" } else { "sign_out" },
            at(minute)
        ),
        Happening::Views(user, minute, item) => {
            format!(r#"{{"event_name":"item_view","timestamp":"{}","user_id":{user},"item_id":"{item}"}}"#, at(minute))
        }
        Happening::Adds(user, minute, item, cart) => format!(
            r#"{{"event_name":"added_to_cart","timestamp":"{}","user_id":{user},"item_id":"{item}","cart_id":"00000000-0000-0000-0000-0000000000{cart:02}"}}"#,
            at(minute)
        ),
        Happening::ChecksOut(user, minute, cart) => format!(
            r#"{{"event_name":"checkout_to_cart","timestamp":"{}","user_id":{user},"cart_id":"00000000-0000-0000-0000-0000000000{cart:02}","payment_method":"Card"}}"#,
            at(minute)
        ),
        Happening::Purchases(user, minute, item, cents) => format!(
            r#"{{"event_name":"purchase","timestamp":"{}","user_id":{user},"movie_id":"{item}","purchase_amount":{cents}.0{cents}}}"#,
            at(minute)
        ),
        Happening::Rates(user, minute, item, rating) => format!(
            r#"{{"event_name":"item_rating","timestamp":"{}","user_id":{user},"item_id":"{item}","rating":{rating}}}"#,
            at(minute)
        ),
        Happening::Catalog(item, minute, title, dollars) => format!(
            r#"{{"event_name":"movies_catalog_enriched","timestamp":"{}","item_id":"{item}","title":"{title}","price":{}}}"#,
            at(minute),
            if *dollars > 0 { format!("{dollars}.99") } else { "null".to_owned() }
        ),
        Happening::Garbage(0) => "{".to_owned(),
        Happening::Garbage(1) => {
            r#"{"event_name":"sign_in","timestamp":"1970-01-01T00:00:00Z","user_id":1}"#.to_owned()
        }
        Happening::Garbage(2) => {
            r#"{"event_name":"sign_in","timestamp":"2090-01-01T00:00:00Z","user_id":1}"#.to_owned()
        }
        Happening::Garbage(3) => r#"{"event_name":"sign_in","timestamp":"2026-01-05","user_id":0}"#.to_owned(),
        Happening::Garbage(_) => r#"{"event_name":"dance","timestamp":"2026-01-05"}"#.to_owned(),
        Happening::Cut => return None,
    };
    Some(text.into_bytes())
}

/// The steps of a history over some partitions; every `again`-th record comes twice.
pub fn steps(history: &[Happening], partitions: u32, again: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for (n, happening) in history.iter().enumerate() {
        match json(happening) {
            None => steps.push(Step::Cut),
            Some(payload) => {
                let partition = n as u32 % partitions;
                if again > 0 && n % again == 0 {
                    steps.push(Step::Record(partition, payload.clone()));
                }
                steps.push(Step::Record(partition, payload));
            }
        }
    }
    steps
}

/// Every delta changes something, a key comes once per commit, and the log makes the tables.
fn assert_log_is_minimal_and_complete(contents: &Contents) {
    let mut replayed = Contents::default();
    for commit in &contents.log {
        assert!(commit.epoch % 2 == 0, "odd epochs are silent");
        for (table, deltas) in &commit.deltas {
            let rows = replayed.tables.entry(*table).or_default();
            let deltas = deltas.as_values();
            assert!(deltas.windows(2).all(|pair| pair[0].key(*table) < pair[1].key(*table)), "sorted, each key once");
            for delta in &*deltas {
                match delta {
                    Delta::Upsert(row) => {
                        assert_ne!(rows.get(delta.key(*table)).as_ref(), Some(row), "an upsert changes nothing")
                    }
                    Delta::Delete(key) => assert!(rows.get(key).is_some(), "a delete of what is not there"),
                }
            }
        }
        replayed.write(commit);
        let once = replayed.tables.clone();
        replayed.write(commit);
        assert_eq!(once, replayed.tables, "a commit applied twice changes something");
    }
    let nonempty = |contents: &Contents| {
        contents.tables.clone().into_iter().filter(|(_, rows)| !rows.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(nonempty(&replayed), nonempty(contents));
}

/// The tables without what is outside the promise: when something was judged.
fn tables(contents: &Contents) -> Vec<Vec<Vec<dataflows::table::Value>>> {
    all().metrics().iter().map(|(table, _)| contents.rows(*table)).collect()
}

pub fn every_record_is_somewhere(contents: &Contents, steps: &[Step]) {
    let records = steps.iter().filter(|step| matches!(step, Step::Record(..))).count();
    let tables = all().raw().chain([table("rejected_events")]);
    assert_eq!(tables.map(|table| contents.rows(table).len()).sum::<usize>(), records);
    quality::check(all(), contents);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: support::histories(48), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn tables_equal_their_sql(
        (span, history) in history(1..120),
        disorder in prop_oneof![Just(0u16), Just(30), Just(200), Just(2000)],
        workers in 1usize..=4,
        partitions in 1u32..=3,
        again in prop_oneof![Just(0usize), Just(1), Just(5)],
        epoch_events in prop_oneof![Just(1usize), Just(7), Just(1000)],
        unlimited in prop::bool::weighted(0.2),
        in_sequence in any::<bool>(),
        as_bytes in any::<bool>(),
    ) {
        let history = roughly_ordered(history, disorder);
        let mut steps = steps(&history, partitions, again);
        steps.push(Step::End);
        let mut options = support::options(workers);
        (options.epoch_events, options.as_bytes) = (epoch_events, as_bytes);
        options.settings = span.settings(options.settings);
        options.settings.lane.whole_input = unlimited;
        if unlimited {
            (options.settings.lane.lateness_ms, options.settings.catalog_lateness_ms) = (None, None);
        }
        let settings = options.settings.clone();
        let source = Script::new(support::partitions(partitions as usize), steps.clone());
        let source = if in_sequence { source.in_sequence() } else { source };
        let sink = Memory::default();
        support::run(source, &sink, options, Resume::default(), &Arc::default()).expect("runs to its end");
        let contents = sink.contents().clone();
        every_record_is_somewhere(&contents, &steps);
        support::assert_matches_sql(&contents, &settings);
        prop_assert!(!unlimited || contents.rows(table("late_events")).is_empty());
    }

    #[test]
    fn deltas_are_minimal_and_forgetting_changes_nothing(
        (span, history) in history(1..100),
        disorder in prop_oneof![Just(0u16), Just(100), Just(2000)],
    ) {
        let history = roughly_ordered(history, disorder);
        let mut steps = steps(&history, 2, 6);
        steps.push(Step::End);
        let mut forgetful = support::one_commit_per_epoch(support::options(1));
        forgetful.settings = span.settings(forgetful.settings);
        // Epochs that only move the watermark close when they may, not where the script says.
        forgetful.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
        let mut faithful = forgetful.clone();
        faithful.settings.lane.forget = false;
        let (sink, _) = support::run_script(2, steps.clone(), forgetful);
        let (other, _) = support::run_script(2, steps, faithful);
        let (contents, other) = (sink.contents().clone(), other.contents().clone());
        assert_log_is_minimal_and_complete(&contents);
        prop_assert_eq!(contents.log.len(), other.log.len());
        for (commit, unforgotten) in contents.log.iter().zip(&other.log) {
            prop_assert_eq!(commit, unforgotten, "with and without forgetting, commit by commit");
        }
    }

    #[test]
    fn a_run_that_stops_and_goes_on_elsewhere_is_one_run(
        (span, history) in history(2..100),
        disorder in prop_oneof![Just(0u16), Just(100)],
        at in 0.0f64..1.0,
        before in 1usize..=3,
        after in 1usize..=3,
    ) {
        let history = roughly_ordered(history, disorder);
        let steps = steps(&history, 2, 6);
        let at = (at * steps.len() as f64) as usize;
        let whole: Vec<_> = steps.iter().cloned().chain([Step::End]).collect();
        let interrupted: Vec<_> = steps[..at].iter().cloned().chain([Step::Stop]).collect();

        let (sink, stats) = (Memory::default(), Arc::new(Stats::default()));
        let source = Script::new(support::partitions(2), interrupted);
        let options = |workers| {
            let mut options = support::options(workers);
            options.settings = span.settings(options.settings);
            options
        };
        let ended = support::run(source, &sink, options(before), Resume::default(), &stats).expect("stops");
        let progress = sink.contents().progress.clone().expect("claimed");
        let resume = Resume {
            epoch: progress.epoch.max(ended.epoch),
            positions: progress.positions.clone(),
            ..ended
        };
        sink.contents().progress.as_mut().expect("claimed").epoch = resume.epoch;
        let source = Script::new(support::partitions(2), whole);
        let options = options(after);
        support::run(source, &sink, options.clone(), resume, &stats).expect("runs to its end");
        let contents = sink.contents().clone();
        every_record_is_somewhere(&contents, &steps);
        support::assert_matches_sql(&contents, &options.settings);
    }
}

#[test]
fn workers_and_chopping_do_not_matter() {
    let history: Vec<_> = (0..600u16)
        .map(|n| match n % 8 {
            0 => Happening::Registers((n % 7) as u8 + 1, n * 2, (n % 3) as u8),
            1 => Happening::ChecksOut((n % 6) as u8 + 1, n * 2, (n % 5) as u8),
            2 => Happening::Catalog((n % 3) as u8 + 1, n * 2, (n % 11 / 4) as u8, (n % 3) as u8),
            3 | 4 => Happening::Adds((n % 6) as u8 + 1, n * 2, (n % 3) as u8 + 1, (n % 5) as u8),
            5 => Happening::Views((n % 6) as u8 + 1, n * 2, (n % 3) as u8 + 1),
            _ => Happening::Signs((n % 5) as u8 + 1, n * 2, n % 3 == 0),
        })
        .collect();
    let steps: Vec<_> = steps(&history, 1, 4).into_iter().chain([Step::End]).collect();
    let run = |workers: usize, epoch_events: usize| {
        let mut options = support::options(workers);
        options.epoch_events = epoch_events;
        let (sink, _) = support::run_script(1, steps.clone(), options);
        let contents = sink.contents().clone();
        (
            tables(&contents),
            contents.rows(table("late_events")).len(),
            contents.progress.expect("claimed").watermarks.least(),
        )
    };
    let reference = run(1, 1000);
    assert_eq!(reference.1, 0);
    assert_eq!(reference.2, MONDAY_MS + 599 * 2 * MINUTE_MS + 20_500);
    assert!(CLOCK_MS > reference.2 + HOUR_MS);
    for (workers, epoch_events) in [(1, 1), (1, 13), (2, 100), (3, 7), (4, 64)] {
        assert_eq!(run(workers, epoch_events), reference, "{workers} workers, epochs of {epoch_events}");
    }
}

#[test]
fn a_gap_in_time_is_said_in_bounded_slices() {
    const DAY_MINUTES: u16 = 24 * 60;
    // Twenty days of nothing, in one epoch; then the end, which two records witness, and nothing after it.
    let history = [
        Happening::Signs(1, 5, true),
        Happening::Signs(1, 20 * DAY_MINUTES, false),
        Happening::Views(1, 20 * DAY_MINUTES, 1),
        Happening::Cut,
    ];
    let steps = steps(&history, 1, 0).into_iter().chain([Step::End]).collect();
    let mut options = support::one_commit_per_epoch(support::options(2));
    options.settings.lane.watermark_step_ms = i64::from(DAY_MINUTES) * MINUTE_MS;
    // The session lasts as long: each of its minutes has a row.
    options.settings.session_timeout_ms = None;
    let settings = options.settings.clone();
    let (sink, _) = support::run_script(1, steps, options);
    let contents = sink.contents().clone();
    support::assert_matches_sql(&contents, &settings);
    let minutes: Vec<_> =
        contents.log.iter().map(|commit| commit.deltas.get(&table("session_metrics")).map_or(0, Deltas::len)).collect();
    assert_eq!(minutes.iter().sum::<usize>(), 20 * usize::from(DAY_MINUTES) - 5);
    assert!(minutes.iter().all(|rows| *rows <= usize::from(DAY_MINUTES)) && minutes.len() >= 20, "{minutes:?}");
}
