//! Random histories (shuffled, late, duplicated, corrected, expiring, restarted) through the whole
//! pipeline on 1 to 4 workers; every table must equal its SQL row for row, and the deltas must be
//! minimal and replayable.

use crate::support::{self, CLOCK_MS, HOUR_MS, MINUTE_MS, MONDAY_MS};
use dataflows::table::TableId;
use deltamart::delta::Delta;
use deltamart::engine::Resume;
use deltamart::instant;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::source::script::{Script, Step};
use deltamart::stats::Stats;
use proptest::prelude::*;
use std::sync::Arc;

/// One thing that happens, in small domains so that it happens again.
#[derive(Clone, Debug)]
enum Happening {
    /// user, minute, age
    Registers(u8, u16, u8),
    /// user, minute
    ChecksOut(u8, u16),
    /// user, minute
    Purchases(u8, u16),
    /// user, minute
    SignsIn(u8, u16),
    /// item, minute, title, has a price
    Catalog(u8, u16, u8, bool),
    /// Nothing that can be accepted.
    Garbage(u8),
    /// The epoch closes.
    Cut,
}

fn happening() -> impl Strategy<Value = Happening> {
    // Twenty hours of minutes, lateness is two: much of it comes too late.
    let minute = 0u16..1200;
    prop_oneof![
        8 => (1u8..8, minute.clone(), 0u8..3).prop_map(|(user, minute, age)| Happening::Registers(user, minute, age)),
        3 => (1u8..8, minute.clone()).prop_map(|(user, minute)| Happening::ChecksOut(user, minute)),
        2 => (1u8..8, minute.clone()).prop_map(|(user, minute)| Happening::Purchases(user, minute)),
        1 => (1u8..8, minute.clone()).prop_map(|(user, minute)| Happening::SignsIn(user, minute)),
        3 => (1u8..4, minute, 0u8..3, any::<bool>()).prop_map(|(i, m, t, p)| Happening::Catalog(i, m, t, p)),
        1 => (0u8..5).prop_map(Happening::Garbage),
        4 => Just(Happening::Cut),
    ]
}

/// Puts a history roughly in the order of time, as far as `disorder` minutes off.
fn roughly_ordered(mut history: Vec<Happening>, disorder: u16) -> Vec<Happening> {
    let mut last = 0;
    let mut keyed: Vec<_> = history
        .drain(..)
        .enumerate()
        .map(|(n, happening)| {
            let at = match &happening {
                Happening::Registers(_, at, _) | Happening::ChecksOut(_, at) | Happening::Purchases(_, at) => *at,
                Happening::SignsIn(_, at) | Happening::Catalog(_, at, ..) => *at,
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
    let at = |minute: &u16| instant::show(MONDAY_MS + i64::from(*minute) * MINUTE_MS);
    let text = match happening {
        Happening::Registers(user, minute, age) => format!(
            r#"{{"event_name":"consumer_registration","timestamp":"{}","user_id":{user},"age":{},"masked_email":"****@{age}.ge","preferred_language":"eng"}}"#,
            at(minute),
            20 + age
        ),
        Happening::ChecksOut(user, minute) => format!(
            r#"{{"event_name":"checkout_to_cart","timestamp":"{}","user_id":{user},"cart_id":"00000000-0000-0000-0000-0000000000{user:02}","payment_method":"Card"}}"#,
            at(minute)
        ),
        Happening::Purchases(user, minute) => format!(
            r#"{{"event_name":"purchase","timestamp":"{}","user_id":{user},"movie_id":"1","purchase_amount":1.5}}"#,
            at(minute)
        ),
        Happening::SignsIn(user, minute) => {
            format!(r#"{{"event_name":"sign_in","timestamp":"{}","user_id":{user}}}"#, at(minute))
        }
        Happening::Catalog(item, minute, title, priced) => format!(
            r#"{{"event_name":"movies_catalog_enriched","timestamp":"{}","item_id":"{item}","title":"{title}","price":{}}}"#,
            at(minute),
            if *priced { "9.99" } else { "null" }
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
fn steps(history: &[Happening], partitions: u32, again: usize) -> Vec<Step> {
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
            assert!(deltas.windows(2).all(|pair| pair[0].key(*table) < pair[1].key(*table)), "sorted, each key once");
            for delta in deltas {
                match delta {
                    Delta::Upsert(row) => {
                        assert_ne!(rows.get(delta.key(*table)), Some(row), "an upsert changes nothing")
                    }
                    Delta::Delete(key) => assert!(rows.contains_key(key), "a delete of what is not there"),
                }
            }
        }
        replayed.write(commit);
        let once = replayed.tables.clone();
        replayed.write(commit);
        assert_eq!(once, replayed.tables, "a commit applied twice changes something");
    }
    let nonempty = |tables: &std::collections::BTreeMap<_, std::collections::BTreeMap<_, _>>| {
        tables.clone().into_iter().filter(|(_, rows)| !rows.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(nonempty(&replayed.tables), nonempty(&contents.tables));
}

/// The tables without what is outside the promise: when something was judged.
fn tables(contents: &Contents) -> Vec<Vec<Vec<dataflows::table::Value>>> {
    dataflows::flow::METRICS.iter().map(|(table, _)| contents.rows(*table)).collect()
}

fn every_record_is_somewhere(contents: &Contents, steps: &[Step]) {
    let records = steps.iter().filter(|step| matches!(step, Step::Record(..))).count();
    let tables = [TableId::ConsumerEvents, TableId::CartEvents, TableId::CatalogEvents, TableId::RejectedEvents];
    assert_eq!(tables.iter().map(|table| contents.rows(*table).len()).sum::<usize>(), records);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn tables_equal_their_sql(
        history in prop::collection::vec(happening(), 1..120),
        disorder in prop_oneof![Just(0u16), Just(30), Just(200), Just(2000)],
        workers in 1usize..=4,
        partitions in 1u32..=3,
        again in prop_oneof![Just(0usize), Just(1), Just(5)],
        epoch_events in prop_oneof![Just(1usize), Just(7), Just(1000)],
        unlimited in prop::bool::weighted(0.2),
    ) {
        let history = roughly_ordered(history, disorder);
        let mut steps = steps(&history, partitions, again);
        steps.push(Step::End);
        let mut options = support::options(workers);
        options.epoch_events = epoch_events;
        if unlimited {
            (options.settings.lateness_ms, options.settings.catalog_lateness_ms) = (None, None);
        }
        let settings = options.settings.clone();
        let (sink, _) = support::run_script(partitions as usize, steps.clone(), options);
        let contents = sink.contents().clone();
        every_record_is_somewhere(&contents, &steps);
        support::assert_matches_sql(&contents, &settings);
        prop_assert!(!unlimited || contents.rows(TableId::LateEvents).is_empty());
    }

    #[test]
    fn deltas_are_minimal_and_forgetting_changes_nothing(
        history in prop::collection::vec(happening(), 1..100),
        disorder in prop_oneof![Just(0u16), Just(100), Just(2000)],
    ) {
        let history = roughly_ordered(history, disorder);
        let mut steps = steps(&history, 2, 6);
        steps.push(Step::End);
        let forgetful = support::one_commit_per_epoch(support::options(1));
        let mut faithful = forgetful.clone();
        faithful.settings.forget = false;
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
        history in prop::collection::vec(happening(), 2..100),
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
        let ended = support::run(source, &sink, support::options(before), Resume::default(), &stats).expect("stops");
        let progress = sink.contents().progress.clone().expect("claimed");
        let resume = Resume {
            epoch: progress.epoch.max(ended.epoch),
            watermark: progress.watermark,
            positions: progress.positions.clone(),
            ..ended
        };
        sink.contents().progress.as_mut().expect("claimed").epoch = resume.epoch;
        let source = Script::new(support::partitions(2), whole);
        let options = support::options(after);
        support::run(source, &sink, options.clone(), resume, &stats).expect("runs to its end");
        let contents = sink.contents().clone();
        every_record_is_somewhere(&contents, &steps);
        support::assert_matches_sql(&contents, &options.settings);
    }
}

/// How many histories: more in release, as many as asked for in a sweep.
fn cases() -> u32 {
    let asked = std::env::var("DELTAMART_SWEEP").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 48 } else { 150 })
}

#[test]
fn workers_and_chopping_do_not_matter() {
    let history: Vec<_> = (0..600u16)
        .map(|n| match n % 5 {
            0 | 1 => Happening::Registers((n % 7) as u8 + 1, n * 2, (n % 3) as u8),
            2 => Happening::ChecksOut((n % 6) as u8 + 1, n * 2),
            3 => Happening::Catalog((n % 3) as u8 + 1, n * 2, (n % 11 / 4) as u8, n % 2 == 0),
            _ => Happening::SignsIn(1, n * 2),
        })
        .collect();
    let steps: Vec<_> = steps(&history, 1, 4).into_iter().chain([Step::End]).collect();
    let run = |workers: usize, epoch_events: usize| {
        let mut options = support::options(workers);
        options.epoch_events = epoch_events;
        let (sink, _) = support::run_script(1, steps.clone(), options);
        let contents = sink.contents().clone();
        (tables(&contents), contents.rows(TableId::LateEvents).len(), contents.progress.expect("claimed").watermark)
    };
    let reference = run(1, 1000);
    assert_eq!(reference.1, 0);
    assert_eq!(reference.2, MONDAY_MS + 599 * 2 * MINUTE_MS);
    assert!(CLOCK_MS > reference.2 + HOUR_MS);
    for (workers, epoch_events) in [(1, 1), (1, 13), (2, 100), (3, 7), (4, 64)] {
        assert_eq!(run(workers, epoch_events), reference, "{workers} workers, epochs of {epoch_events}");
    }
}
