//! Random metrics over random histories: what the dataflow keeps is what plain loops over all accepted events find.

mod asking;
mod endings;
mod harness;
/// Each law broken once.
mod mutants;
mod naive;
mod outer;
mod pool;

use super::*;
use crate::declared::encode;
use crate::declared::plan::{Compare, Expr, Literal, Node, Once, Output, Type};
use crate::declared::row::Datum;
use crate::declared::said::{begin, keys, number};
use crate::delta::Delta;
use crate::persons::{Id, Renaming};
use crate::table::{Person, Value};
use crate::time::DAY_MS;
use harness::{History, MONDAY_MS, Moment, Segment, made, play};
use naive::{Contents, expected, in_time};
use pool::{Ev, Spec, event, spec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

/// What a case is: metrics, and how their events come.
#[derive(Clone, Debug)]
struct Case {
    specs: Vec<Spec>,
    once: bool,
    lateness_ms: Option<i64>,
    forget: bool,
    moments: Vec<Moment>,
    /// How many workers, and after how many moments others go on.
    segments: Vec<(usize, usize)>,
    ahead: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let lateness = prop_oneof![3 => (0..30i64).prop_map(|hours| Some(hours * HOUR_MS)), 1 => Just(None)];
    let moment = (prop::collection::vec((event(), 0..4usize), 0..12), 0..20i64);
    let moments = prop::collection::vec(moment, 1..9);
    let segments = prop::collection::vec((1..4usize, 1..5usize), 1..4);
    let settings = (any::<bool>(), lateness, any::<bool>(), any::<bool>());
    (prop::collection::vec(spec(), 1..4), settings, moments, segments).prop_map(
        |(specs, (once, lateness_ms, forget, ahead), moments, segments)| {
            let mut watermark = MONDAY_MS;
            let mut seen = Vec::<Ev>::new();
            let moments = moments.into_iter().map(|(drawn, hours)| {
                let mut events = Vec::new();
                for (mut event, repeats) in drawn {
                    // Before the watermark and after it; or one that was there before, whole.
                    event.at += watermark;
                    if repeats == 0 && !seen.is_empty() {
                        event = seen[event.at as usize % seen.len()].clone();
                    }
                    seen.push(event.clone());
                    events.push(event);
                }
                watermark += hours * HOUR_MS / 2;
                Moment { events, watermark }
            });
            Case { specs, once, lateness_ms, forget, moments: moments.collect(), segments, ahead }
        },
    )
}

impl Case {
    fn settings(&self) -> Settings {
        Settings { lateness_ms: self.lateness_ms, forget: self.forget, ..Settings::default() }
    }

    /// With an end at which everything has passed.
    fn history(&self) -> History {
        let mut moments = self.moments.clone();
        moments.push(Moment { events: Vec::new(), watermark: MONDAY_MS + 200 * DAY_MS });
        let mut segments = Vec::new();
        let mut from = 0;
        for (n, (workers, length)) in self.segments.iter().enumerate() {
            let is_last = n + 1 == self.segments.len();
            let to = if is_last { moments.len() } else { (from + length).min(moments.len()) };
            segments.push(Segment { workers: *workers, moments: from..to, ahead: self.ahead });
            from = to;
        }
        History { moments, segments }
    }
}

/// Applies what an epoch changed; each change changes something.
fn apply(deltas: &[(TableId, Vec<Delta>)], contents: &mut Contents) -> Result<(), TestCaseError> {
    for (id, deltas) in deltas {
        for delta in deltas {
            let key = (id.name(), delta.key(*id).to_vec());
            match delta {
                Delta::Upsert(row) => {
                    let had = contents.insert(key, row.clone());
                    prop_assert_ne!(had.as_ref(), Some(row), "a change that changes nothing");
                }
                Delta::Delete(_) => {
                    prop_assert!(contents.remove(&key).is_some(), "a change that changes nothing: {key:?} is not there")
                }
            }
        }
    }
    Ok(())
}

/// Plays a case, and compares after each epoch. `note` is told what was met.
fn compare(case: &Case, note: &dyn Fn(&str, usize)) -> Result<(), TestCaseError> {
    let made = made(&case.specs, case.once.then(|| Once { of: (0..pool::COLUMNS).collect() }));
    let history = case.history();
    let played = play(made, &case.settings(), &history);
    let (mut contents, mut events) = (Contents::new(), Vec::new());
    for (n, moment) in history.moments.iter().enumerate() {
        let before = n.checked_sub(1).map_or(0, |n| history.moments[n].watermark);
        let (accepted, late) = in_time(&moment.events, before, case.lateness_ms);
        events.extend(accepted);
        note("late events", late);
        apply(&played.deltas[n], &mut contents)?;
        let at = (moment.watermark, case.lateness_ms.unwrap_or(0));
        let should = expected(&case.specs, &events, case.once, at);
        prop_assert_eq!(&contents, &should, "rows after moment {}", n);
        note("changes", played.deltas[n].iter().map(|(_, deltas)| deltas.len()).sum());
        let deletes = played.deltas[n].iter().flat_map(|(_, deltas)| deltas);
        note("deletes", deletes.filter(|delta| matches!(delta, Delta::Delete(_))).count());
    }
    prop_assert_eq!(played.raw, history.moments.iter().map(|moment| moment.events.len()).sum::<usize>());
    // What is still in memory at the end: what has no window, if anything is forgotten.
    let forgets = case.forget && case.lateness_ms.is_some();
    let end = history.moments.last().map_or(0, |moment| moment.watermark);
    let stays = |spec: &Spec| !forgets || !spec.has_window();
    let groups = |asks: bool| {
        naive::groups(&case.specs, &events, (case.once, end), |spec| stays(spec) && spec.asking.is_some() == asks)
    };
    let prints = if case.once && !forgets { naive::once(&events).len() } else { 0 };
    prop_assert_eq!(played.live("groups"), groups(false), "groups in memory");
    if forgets {
        let of_rows = contents.keys().filter(|(name, key)| name.starts_with("outer") && key.len() == 1).count();
        // Of those with a window of rows that are kept for ever, some may be kept.
        let all = contents.keys().filter(|(name, _)| name.starts_with("outer")).count();
        let live = played.live("groups_of_rows").checked_sub(groups(true));
        prop_assert!(live.is_some(), "groups in memory: {} are missing", groups(true));
        let live = live.unwrap_or_default();
        prop_assert_eq!(played.live("asked"), 0, "events in memory");
        let is_least = live >= of_rows && (live == of_rows || case.specs.iter().any(|spec| !spec.has_window()));
        prop_assert!(is_least && live <= all, "groups in memory: {} of rows, {} to {}", live, of_rows, all);
        note("groups of rows that left", all - live);
    }
    prop_assert_eq!(played.live("once"), prints, "hashes in memory");
    note("of rows", contents.keys().filter(|(name, _)| name.starts_with("outer")).count());
    case.specs.iter().flat_map(Spec::words).for_each(|word| note(word, 1));
    note("rows", contents.len());
    note("restarts", history.segments.iter().filter(|segment| segment.moments.start > 0).count());
    note("metrics", case.specs.len());
    Ok(())
}

/// How many cases: as many as are asked for in a sweep.
fn cases() -> u32 {
    std::env::var("DELTAMART_SWEEP").ok().and_then(|cases| cases.parse().ok()).unwrap_or(600)
}

#[test]
fn what_is_kept_is_what_plain_loops_over_all_accepted_events_find() {
    let cases = cases();
    let met = RefCell::new(BTreeMap::<String, usize>::new());
    let note = |what: &str, times: usize| *met.borrow_mut().entry(what.to_owned()).or_default() += times;
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&case(), |case| compare(&case, &note));
    outcome.unwrap_or_else(|why| panic!("{why}"));
    let met = met.into_inner();
    println!("{met:#?}");
    for what in pool::all_words().into_iter().chain(["late events", "deletes", "restarts", "rows", "of rows"]) {
        let times = met.get(what).copied().unwrap_or(0);
        assert!(times * 40 > cases as usize, "{what}: {times} in {cases}");
    }
}

/// A plan of metrics in another order, with one more and one less: what was kept goes to the metric that has its print.
#[test]
fn what_was_kept_is_of_what_is_computed_and_not_of_a_number() {
    let moment = |user: i64, kind: &str| Moment {
        events: vec![Ev { at: MONDAY_MS, user, kind: kind.to_owned(), ..Ev::default() }],
        watermark: MONDAY_MS,
    };
    let (by_user, by_kind) = (Spec::one(pool::USER, "count(*)", 0), Spec::one(pool::KIND, "count(*)", 0));
    let before = harness::made_of(vec![("users", &by_user, 11), ("kinds", &by_kind, 22)], None);
    let after = harness::made_of(vec![("kinds", &by_kind, 22), ("other", &by_user, 33)], None);
    let settings = Settings::default();
    let segment = |moments| Segment { workers: 2, moments, ahead: false };
    let history = History { moments: vec![moment(1, "view"), moment(1, "view")], segments: vec![segment(0..1)] };
    let first = play(before, &settings, &history);
    let second = harness::play_from(after, &settings, &history, &segment(1..2), &first.sections, MONDAY_MS);
    let mut rows: Vec<_> = second.deltas.into_iter().flatten().collect();
    rows.sort();
    let upsert = |key, count| vec![Delta::Upsert(vec![key, Value::Integer(count)])];
    let (kinds, other) = (upsert(Value::Text("view".to_owned()), 2), upsert(Value::Integer(1), 1));
    assert_eq!(rows, [(after.tables()[0], kinds), (after.tables()[1], other)]);
}

#[test]
fn a_person_who_is_forgotten_is_nobody_and_sums_stay() {
    let by_user = Spec::one(pool::USER, "count(*)", 0);
    let buyers = Spec::one(pool::KIND, "count distinct", pool::USER_VALUE);
    let made = harness::made_of(vec![("users", &by_user, 1), ("buyers", &buyers, 2)], None);
    let of = |user: i64| Ev { at: MONDAY_MS, user, kind: "buy".to_owned(), ..Ev::default() };
    let moments = vec![
        Moment { events: vec![of(7), of(8)], watermark: MONDAY_MS },
        Moment { events: vec![of(7), of(7)], watermark: MONDAY_MS },
    ];
    let segment = |moments| Segment { workers: 1, moments, ahead: false };
    let history = History { moments, segments: vec![segment(0..1)] };
    let mut first = play(made, &Settings::default(), &history);
    let groups = made.kept().into_iter().find(|kept| kept.name().ends_with("groups")).expect("it is kept");
    let seven = Renaming::new(Id::Number(7), Id::Number(7).nobody(1));
    let forgotten = first.sections.iter_mut().map(|section| groups.forget(section, &seven).expect("ours"));
    assert_eq!(forgotten.sum::<u64>(), 2, "the person's group, and the group that counts the person");
    let second = harness::play_from(made, &Settings::default(), &history, &segment(1..2), &first.sections, MONDAY_MS);
    let mut rows: Vec<_> = second.deltas.into_iter().flatten().collect();
    rows.sort();
    let upsert = |key, count| vec![Delta::Upsert(vec![key, Value::Integer(count)])];
    // Whoever comes again is another.
    let (kinds, users) = (upsert(Value::Text("buy".to_owned()), 3), upsert(Value::Integer(7), 2));
    assert_eq!(rows, [(made.tables()[1], kinds), (made.tables()[0], users)]);
}

/// Forgets a person in everything that was kept; tells how many records named the person.
fn forgotten(made: &Made, sections: &mut [crate::state::Section], person: &Renaming) -> u64 {
    let of_section = |section: &mut crate::state::Section| {
        let kept = made.kept().into_iter().find(|kept| kept.name() == section.name).expect("ours");
        kept.forget(section, person).expect("ours")
    };
    sections.iter_mut().map(of_section).sum()
}

/// Of rows, each value stands with how often it is there.
#[test]
fn a_person_who_is_forgotten_is_nobody_where_rows_are_counted() {
    let by_user = Spec::with_outer(pool::USER);
    let inner = by_user.metric("users");
    let (mut outer, _) = by_user.outer("kinds_of_users", &inner).expect("it has one");
    // Which users, instead of which groups.
    let user = Expr { node: Node::Column(0), ty: Type::Number(0), nullable: false };
    outer.aggregates =
        vec![crate::declared::plan::Aggregate { what: crate::declared::plan::What::CountDistinct(user), filter: None }];
    outer.outputs.truncate(2);
    let made = harness::made_with_known(vec![outer, inner], &[(2, Some(1)), (1, None)]);
    let of = |user: i64| Ev { at: MONDAY_MS, user, kind: "buy".to_owned(), ..Ev::default() };
    let moment = |events| Moment { events, watermark: MONDAY_MS };
    let segment = |moments| Segment { workers: 1, moments, ahead: false };
    let moments = vec![moment(vec![of(7), of(8)]), moment(vec![of(7)])];
    let history = History { moments, segments: vec![segment(0..1)] };
    let mut first = play(made, &Settings::default(), &history);
    let seven = Renaming::new(Id::Number(7), Id::Number(7).nobody(1));
    let found = forgotten(made, &mut first.sections, &seven);
    assert_eq!(found, 2, "the person's group, and the group that counts the person");
    let second = harness::play_from(made, &Settings::default(), &history, &segment(1..2), &first.sections, MONDAY_MS);
    let changed: Vec<_> = second.deltas.into_iter().flatten().filter(|(id, _)| *id == made.tables()[0]).collect();
    // Whoever comes again is another: three users with one event each.
    let row = Delta::Upsert(vec![Value::Integer(1), Value::Integer(3)]);
    assert_eq!(changed, [(made.tables()[0], vec![row])]);
}

/// What asked before answers to nobody who comes after, and to others as before.
#[test]
fn a_person_who_is_forgotten_is_nobody_where_events_ask() {
    let mut by_kind = Spec::one(pool::KIND, "count(*)", 0);
    by_kind.asking = Some(asking::follows_within_an_hour());
    let made = harness::made_of(vec![("kinds", &by_kind, 1)], None);
    let of = |user: i64, kind: &str, at: i64| Ev { at: MONDAY_MS + at, user, kind: kind.to_owned(), ..Ev::default() };
    let moment = |events| Moment { events, watermark: MONDAY_MS };
    let segment = |moments| Segment { workers: 2, moments, ahead: false };
    let moments =
        vec![moment(vec![of(7, "view", 0), of(8, "view", 0)]), moment(vec![of(7, "buy", 5), of(8, "buy", 5)])];
    let history = History { moments, segments: vec![segment(0..1)] };
    let mut first = play(made, &Settings::default(), &history);
    let seven = Renaming::new(Id::Number(7), Id::Number(7).nobody(1));
    let found = forgotten(made, &mut first.sections, &seven);
    assert_eq!(found, 2, "the event that asks, and the same as one that answers");
    let second = harness::play_from(made, &Settings::default(), &history, &segment(1..2), &first.sections, MONDAY_MS);
    let mut rows: Vec<_> = second.deltas.into_iter().flatten().flat_map(|(_, deltas)| deltas).collect();
    rows.sort();
    let row = |kind: &str, counts: [i64; 2]| {
        let counts = counts.into_iter().map(Value::Integer);
        Delta::Upsert(std::iter::once(Value::Text(kind.to_owned())).chain(counts).collect())
    };
    assert_eq!(rows, [row("buy", [2, 0]), row("view", [2, 1])]);
}

#[test]
fn a_group_of_many_values_is_written_down_in_parts() {
    let users = Spec::one(pool::KIND, "count distinct", pool::USER_VALUE);
    let made = harness::made_of(vec![("buyers", &users, 2)], Some(Once { of: (0..pool::COLUMNS).collect() }));
    let of = |user: i64| Ev { at: MONDAY_MS, user, kind: "buy".to_owned(), ..Ev::default() };
    let moments = vec![
        Moment { events: (1..=5000).map(of).collect(), watermark: MONDAY_MS },
        Moment { events: (4001..=6000).map(of).collect(), watermark: MONDAY_MS },
    ];
    let segments =
        vec![Segment { workers: 3, moments: 0..1, ahead: false }, Segment { workers: 2, moments: 1..2, ahead: false }];
    let played = play(made, &Settings::default(), &History { moments, segments });
    let count = |count| vec![Delta::Upsert(vec![Value::Text("buy".to_owned()), Value::Integer(count)])];
    assert_eq!(played.deltas, [vec![(made.tables()[0], count(5000))], vec![(made.tables()[0], count(6000))]]);
    assert_eq!((played.live("groups"), played.live("once")), (1, 6000));
}

/// Equal in time and user is enough here: of an epoch the least row counts, and later ones do not.
#[test]
fn of_events_that_are_equal_in_some_columns_the_first_epochs_least_counts() {
    let least = Spec::one(pool::USER, "max", pool::PRICE_VALUE);
    let made = harness::made_of(vec![("prices", &least, 1)], Some(Once { of: vec![0, 2] }));
    let of = |price: i64| Ev { at: MONDAY_MS, user: 1, price: Some(price), ..Ev::default() };
    let prices = [-5, 700, 3, 256, 0];
    let least = prices.iter().min_by_key(|price| of(**price).declared().row).expect("one");
    let another = Ev { at: MONDAY_MS + 1, ..of(9000) };
    for (workers, reversed) in [(1, false), (2, true), (3, false)] {
        let mut first: Vec<_> = prices.map(of).to_vec();
        if reversed {
            first.reverse();
        }
        let moment = |events| Moment { events, watermark: MONDAY_MS };
        let moments = vec![moment(first), moment(prices.map(of).to_vec()), moment(vec![of(8000), another.clone()])];
        let segment = |moments| Segment { workers, moments, ahead: false };
        let segments = vec![segment(0..1), segment(1..2), segment(2..3)];
        let played = play(made, &Settings::default(), &History { moments, segments });
        let row = |price| vec![(made.tables()[0], vec![Delta::Upsert(vec![Value::Integer(1), Value::Cents(price)])])];
        assert_eq!(played.deltas, [row(*least), vec![], row(9000)]);
    }
}

#[test]
fn tables_are_as_the_plan_says_and_persons_are_known() {
    let by_user = Spec::one(pool::USER, "count(*)", 0);
    let made = harness::made_of(vec![("users", &by_user, 1)], None);
    let person = |id: TableId| {
        let persons = id.table().columns.iter().filter(|column| column.person == Some(Person::Number));
        persons.map(|column| column.name).collect::<Vec<_>>()
    };
    assert_eq!((person(made.raw_table()), person(made.tables()[0])), (vec!["user"], vec!["key_0"]));
    let raw = made.raw_table().table();
    assert_eq!((raw.key_columns, raw.columns.len(), raw.role), (3, 3 + pool::COLUMNS, Role::Raw { at: Some("at") }));
    assert_eq!(made.tables()[0].table().key_columns, 1);
    let mut key = Vec::new();
    begin(3, &mut key);
    encode::push(&Datum::Number(5), true, &mut key);
    assert_eq!((number(&key), encode::at(keys(&key), 0)), (3, Datum::Number(5)));
}

/// A key may stand among the other columns too: a row that is gone is told by its keys alone.
#[test]
fn of_a_row_that_is_gone_only_the_key_is_said() {
    let by_kind = Spec::one(pool::KIND, "count(*)", 0);
    let mut metric = by_kind.metric("kinds");
    let again = Output { name: "again".to_owned(), ..metric.outputs[0].clone() };
    metric.outputs.insert(1, again);
    let number = |node| Expr { node, ty: Type::Number(0), nullable: false };
    let (count, two) = (number(Node::Slot(0)), number(Node::Literal(Literal::Number(2))));
    let few = Node::Compare(Compare::Less, Box::new(count), Box::new(two));
    metric.having = Some(Expr { node: few, ty: Type::Boolean, nullable: false });
    let made = harness::made_with(vec![metric]);
    let of = |user: i64| Ev { at: MONDAY_MS, user, kind: "buy".to_owned(), ..Ev::default() };
    let moment = |event| Moment { events: vec![event], watermark: MONDAY_MS };
    let segments = vec![Segment { workers: 1, moments: 0..2, ahead: false }];
    let history = History { moments: vec![moment(of(1)), moment(of(2))], segments };
    let played = play(made, &Settings::default(), &history);
    let (key, table) = (Value::Text("buy".to_owned()), made.tables()[0]);
    let first = Delta::Upsert(vec![key.clone(), key.clone(), Value::Integer(1)]);
    assert_eq!(played.deltas, [vec![(table, vec![first])], vec![(table, vec![Delta::Delete(vec![key])])]]);
}

#[test]
fn two_hundred_metrics_have_as_many_operators_as_two() {
    let by_user = Spec::one(pool::USER, "count(*)", 0);
    let of_rows = |metrics: usize| {
        let specs = vec![Spec::with_outer(pool::USER); metrics];
        harness::operators(made(&specs, None))
    };
    assert_eq!(of_rows(100), of_rows(1));
    let operators = |metrics: usize, once: bool| {
        let once = once.then(|| Once { of: (0..pool::COLUMNS).collect() });
        harness::operators(made(&vec![by_user.clone(); metrics], once))
    };
    for once in [false, true] {
        let of_none = operators(0, once);
        assert_eq!(operators(200, once), operators(2, once));
        assert!(operators(2, once) > of_none, "operators are counted: {of_none} without a metric");
    }
}
