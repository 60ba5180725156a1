//! One record, millions of rows: gaps of minutes to decades between what happens. Rows and work go by what happens,
//! not by how much time passes between it.

use crate::support::table;
use crate::support::{self, CLOCK_MS, HOUR_MS, MINUTE_MS, Options};
use dataflows::table::Value;
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::engine::Resume;
use deltamart::instant;
use deltamart::sink::memory::Memory;
use deltamart::source::script::{Script, Step};
use deltamart::stats::Stats;
use proptest::prelude::*;
use std::sync::Arc;

const DAY_MS: i64 = 24 * HOUR_MS;
/// 2000-01-01, the earliest that is accepted.
const FIRST_MS: i64 = 946_684_800_000;

/// How much time passes: of every order of magnitude as often.
fn gap() -> impl Strategy<Value = i64> {
    let of = |unit: i64, most: i64| (1..=most).prop_map(move |n| n * unit);
    prop_oneof![
        2 => Just(0),
        2 => of(500, 240),
        4 => of(MINUTE_MS, 90),
        2 => of(HOUR_MS + 7, 30),
        2 => of(DAY_MS - 1, 40),
        1 => of(31 * DAY_MS, 12),
        1 => of(366 * DAY_MS, 25),
    ]
}

/// What somebody does: signs in, signs out, or looks at something.
#[derive(Clone, Debug)]
struct Deed {
    after_ms: i64,
    /// How long before that it really was.
    ago_ms: i64,
    user: u8,
    what: u8,
    cut: bool,
}

fn deed() -> impl Strategy<Value = Deed> {
    let ago = prop_oneof![4 => Just(0i64), 1 => (0..150i64).prop_map(|n| n * MINUTE_MS + n % 3 * 20_500)];
    (gap(), ago, 1u8..4, 0u8..5, prop::bool::weighted(0.3)).prop_map(|(after_ms, ago_ms, user, what, cut)| Deed {
        after_ms,
        ago_ms,
        user,
        what,
        cut,
    })
}

fn event(name: &str, at: i64, user: u8) -> Step {
    let at = instant::show(at);
    let item = if name == "item_view" { r#","item_id":"1""# } else { "" };
    Step::Record(0, format!(r#"{{"event_name":"{name}","timestamp":"{at}","user_id":{user}{item}}}"#).into_bytes())
}

/// The steps, and how many sign events are among them.
fn steps(deeds: &[Deed]) -> (Vec<Step>, usize) {
    let (mut at, mut steps, mut signs) = (FIRST_MS, Vec::new(), 0);
    for deed in deeds {
        at = (at + deed.after_ms).min(CLOCK_MS);
        let name = ["sign_in", "sign_in", "sign_out", "item_view", "item_view"][usize::from(deed.what)];
        signs += usize::from(deed.what < 3);
        steps.push(event(name, (at - deed.ago_ms).max(FIRST_MS), deed.user));
        if deed.cut {
            steps.push(Step::Cut);
        }
    }
    (steps, signs)
}

fn options(workers: usize, timeout_ms: i64) -> Options {
    let mut options = support::options(workers);
    options.settings.session_timeout_ms = Some(timeout_ms);
    // As by default: a decade is crossed in a hundred steps.
    options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
    options
}

proptest! {
    #![proptest_config(ProptestConfig { cases: support::histories(32), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn rows_go_by_what_happens_not_by_the_time_between(
        deeds in prop::collection::vec(deed(), 1..24),
        workers in 1usize..=4,
        timeout_ms in prop_oneof![Just(90 * MINUTE_MS), Just(4 * HOUR_MS + 1), Just(DAY_MS)],
        whole_input in prop::bool::weighted(0.2),
        stopped in prop::option::weighted(0.4, 0.0f64..1.0),
    ) {
        let (steps, signs) = steps(&deeds);
        let whole: Vec<_> = steps.iter().cloned().chain([Step::End]).collect();
        let mut options = options(workers, timeout_ms);
        options.settings.lane.whole_input = whole_input;
        if whole_input {
            (options.settings.lane.lateness_ms, options.settings.catalog_lateness_ms) = (None, None);
        }
        let settings = options.settings.clone();
        let (sink, stats) = (Memory::default(), Arc::new(Stats::default()));
        let mut resume = Resume::default();
        if let Some(at) = stopped {
            let at = (at * steps.len() as f64) as usize;
            let interrupted: Vec<_> = steps[..at].iter().cloned().chain([Step::Stop]).collect();
            let source = Script::new(support::partitions(1), interrupted);
            let ended = support::run(source, &sink, options.clone(), resume, &stats).expect("stops");
            let progress = sink.contents().progress.clone().expect("claimed");
            resume = Resume {
                epoch: progress.epoch.max(ended.epoch),
                positions: progress.positions.clone(),
                ..ended
            };
            sink.contents().progress.as_mut().expect("claimed").epoch = resume.epoch;
        }
        let source = Script::new(support::partitions(1), whole);
        support::run(source, &sink, options, resume, &stats).expect("runs to its end");
        let contents = sink.contents().clone();
        support::assert_matches_sql(&contents, &settings);
        // A session has a row for each of its minutes, and one at its end; a sign event begins no more than one.
        let most = signs * (timeout_ms / MINUTE_MS + 2) as usize;
        let rows = contents.rows(table("session_metrics")).len();
        prop_assert!(rows <= most, "{} rows of {} sign events", rows, signs);
    }
}

/// Its day, and the boundary at which it is over; of the years that follow none.
#[test]
fn one_sign_in_of_2000_makes_a_row_for_each_minute_of_its_session() {
    let now = support::MONDAY_MS + 10 * HOUR_MS;
    let views = [now, now + MINUTE_MS].map(|at| event("item_view", at, 2));
    let steps = [event("sign_in", FIRST_MS, 1)].into_iter().chain(views).chain([Step::End]).collect();
    let options = options(2, DAY_MS);
    let settings = options.settings.clone();
    let (sink, _) = support::run_script(1, steps, options);
    let contents = sink.contents().clone();
    support::assert_matches_sql(&contents, &settings);
    let rows = contents.rows(table("session_metrics"));
    assert_eq!(rows.len(), 1_441);
    let row = |at, active, age| {
        let [none, completed] = [0; 2].map(Value::Integer);
        vec![Value::Instant(at), Value::Integer(active), completed, none, Value::Null, age]
    };
    assert_eq!(rows[1_439], row(FIRST_MS + 1_439 * MINUTE_MS, 1, Value::Milli(1_439 * MINUTE_MS)));
    assert_eq!(rows[1_440], row(FIRST_MS + DAY_MS, 0, Value::Null));
    let watermark = contents.progress.as_ref().expect("claimed").watermarks.least();
    assert!(watermark >= now - 2 * MINUTE_MS, "{}", instant::show(watermark));
}

/// Said a day late, a sign-out takes back the rows of a day, whatever else has passed since.
#[test]
fn a_sign_out_a_day_late_changes_1_440_rows() {
    let at = support::MONDAY_MS + 10 * HOUR_MS;
    let steps = vec![
        event("sign_in", at, 1),
        event("item_view", at + DAY_MS + HOUR_MS, 2),
        event("item_view", at + DAY_MS + HOUR_MS, 3),
        Step::Cut,
        event("sign_out", at + 30_000, 1),
        Step::Cut,
        Step::End,
    ];
    let mut options = support::one_commit_per_epoch(options(1, DAY_MS));
    options.settings.lane.lateness_ms = Some(2 * DAY_MS);
    let (sink, _) = support::run_script(1, steps, options);
    let log = sink.contents().log.clone();
    let changed: Vec<_> = log.iter().filter_map(|commit| commit.deltas.get(&table("session_metrics"))).collect();
    assert_eq!(changed.iter().map(|deltas| deltas.len()).collect::<Vec<_>>(), [1_441, 1_440]);
    assert_eq!(changed[1].counts().0, 1, "10:01, at which it is completed");
    assert_eq!(sink.contents().rows(table("session_metrics")).len(), 2);
}
