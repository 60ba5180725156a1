//! The movie shop's events under the names of who sends them: whatever they are called, the tables are the same.

/// What is written as Avro.
mod avro;
/// The program, as it is used.
mod program;
/// Rules that are wider, one by one or all at once.
mod wider;

use crate::oracle;
use crate::support::{self, table};
use dataflows::shop::events::Naming;
use dataflows::table::{Kind, Value};
use deltamart::accept::{Accepted, accept};
use deltamart::config::Config;
use deltamart::decode::{Format, Rejection};
use deltamart::engine::Resume;
use deltamart::families::all;
use deltamart::rules::Rules;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::source::script::{Script, Step};
use deltamart::spoken::spoken;
use proptest::prelude::*;
use std::sync::Arc;

/// Another name for most, also one that is another event's with us, and paths; the rest is as we call it.
const THEIRS: &[&str] = &[
    "events.consumer_registration.name=signup",
    r#"events.consumer_registration.fields={user_id = "account.id", masked_email = "account.mail", preferred_language = "lang"}"#,
    "events.sign_in.name=sign_out",
    r#"events.sign_in.fields={user_id = "uid", timestamp = "meta.at", event_name = "meta.kind"}"#,
    "events.sign_out.name=sign_in",
    r#"events.sign_out.fields={user_id = "uid", timestamp = "meta.at", event_name = "meta.kind"}"#,
    r#"events.item_view.fields={item_id = "product.sku", user_id = "item_id"}"#,
    r#"events.added_to_cart.fields={cart_id = "basket"}"#,
    "events.checkout_to_cart.name=order",
    r#"events.purchase.fields={purchase_amount = "amount", movie_id = "product.sku", user_id = "account.id"}"#,
    "events.item_rating.name=stars",
    "events.movies_catalog_enriched.fields.price=offer.price",
    "events.movies_catalog_enriched.fields.title=name",
];

/// The configuration of settings.
fn configured(sets: &[&str]) -> Result<Config, String> {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    Config::load(None, &sets, &[]).map(|loaded| loaded.config).map_err(|error| error.to_string())
}

fn rules(sets: &[&str]) -> Rules {
    configured(sets).expect("good").rules
}

fn line(text: &str, rules: &Rules) -> Result<Accepted, Rejection> {
    accept(&Format::Json(None), text.as_bytes(), rules, i64::MAX)
}

/// A history as those write it whose names these are.
fn in_their_names(steps: &[Step], naming: Naming) -> Vec<Step> {
    let theirs = |step: &Step| match step {
        Step::Record(partition, payload) => {
            let text = std::str::from_utf8(payload).expect("text");
            Step::Record(*partition, spoken(naming, text).into_bytes())
        }
        other => other.clone(),
    };
    steps.iter().map(theirs).collect()
}

/// The metrics, and the raw rows.
fn tables(contents: &Contents) -> Vec<Vec<Vec<Value>>> {
    let metrics = all().metrics().iter().map(|(id, _)| *id);
    metrics.chain(all().raw()).map(|id| contents.rows(id)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: support::histories(24), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_history_in_other_names_makes_the_same_tables(
        (span, history) in oracle::history(1..80),
        disorder in prop_oneof![Just(0u16), Just(200)],
        workers in 1usize..=3,
    ) {
        let mut steps = oracle::steps(&oracle::roughly_ordered(history, disorder), 2, 5);
        steps.push(Step::End);
        let run = |steps: Vec<Step>, rules: Rules| {
            let mut options = support::options(workers);
            options.settings = span.settings(options.settings);
            options.rules = rules;
            let (sink, _) = support::run_script(2, steps, options.clone());
            let contents = sink.contents().clone();
            support::assert_matches_sql(&contents, &options.settings);
            contents
        };
        let theirs = rules(THEIRS);
        let ours = run(steps.clone(), Rules::default());
        let theirs = run(in_their_names(&steps, theirs.shop.naming), theirs);
        prop_assert_eq!(tables(&ours), tables(&theirs));
        let rejected = table("rejected_events");
        prop_assert_eq!(ours.rows(rejected).len(), theirs.rows(rejected).len());
    }

    /// Events that are equal in every column count once, as SQL says it over rows that are distinct.
    #[test]
    fn what_counts_once_equals_its_sql_from_start_to_start(
        (span, history) in oracle::history(2..80),
        disorder in prop_oneof![Just(0u16), Just(200)],
        again in prop_oneof![Just(1usize), Just(2), Just(5)],
        at in 0.0f64..1.0,
        (before, after) in (1usize..=3, 1usize..=3),
        (once, unlimited) in (prop::bool::weighted(0.8), prop::bool::weighted(0.2)),
    ) {
        let steps = oracle::steps(&oracle::roughly_ordered(history, disorder), 2, again);
        let at = (at * steps.len() as f64) as usize;
        let interrupted: Vec<_> = steps[..at].iter().cloned().chain([Step::Stop]).collect();
        let options = |workers| {
            let mut options = support::options(workers);
            options.settings = span.settings(options.settings);
            options.settings.once = once;
            if unlimited {
                (options.settings.lane.lateness_ms, options.settings.catalog_lateness_ms) = (None, None);
            }
            options
        };
        let (sink, stats) = (Memory::default(), Arc::default());
        let source = Script::new(support::partitions(2), interrupted);
        let ended = support::run(source, &sink, options(before), Resume::default(), &stats).expect("stops");
        let progress = sink.contents().progress.clone().expect("claimed");
        let resume = Resume { epoch: progress.epoch.max(ended.epoch), positions: progress.positions.clone(), ..ended };
        sink.contents().progress.as_mut().expect("claimed").epoch = resume.epoch;
        let whole = Script::new(support::partitions(2), steps.iter().cloned().chain([Step::End]));
        let options = options(after);
        support::run(whole, &sink, options.clone(), resume, &stats).expect("runs to its end");
        let contents = sink.contents().clone();
        oracle::every_record_is_somewhere(&contents, &steps);
        support::assert_matches_sql(&contents, &options.settings);
    }
}

/// Views that are repeated count as often as they are said, or once; everything else is as it was.
#[test]
fn a_repeated_view_counts_once_where_that_is_said() {
    let view = |user: u64, minute: u64| {
        let record = format!(
            r#"{{"event_name":"item_view","timestamp":"2026-01-05T10:{minute:02}:00Z","user_id":{user},"item_id":"7"}}"#
        );
        Step::Record(0, record.into_bytes())
    };
    let steps = [view(1, 0), view(1, 0), Step::Cut, view(1, 0), view(1, 1), view(2, 0), Step::End];
    let views = |once: bool| {
        let mut options = support::options(2);
        options.settings.once = once;
        let (sink, _) = support::run_script(1, steps.to_vec(), options);
        let contents = sink.contents().clone();
        assert_eq!(contents.rows(table("item_view_events")).len(), 5);
        assert_eq!(table("item_view_events").table().kind(), Kind::Append);
        let views = |id: &str| contents.rows(table(id)).iter().map(|row| row[1].clone()).collect::<Vec<_>>();
        [views("movie_statistics"), views("user_activity")].concat()
    };
    let number = |numbers: [i64; 3]| numbers.map(Value::Integer).to_vec();
    assert_eq!((views(false), views(true)), (number([5, 4, 1]), number([3, 2, 1])));
}

/// Where an event is told by its topic, a field by which another event is named is any other field.
#[test]
fn a_field_that_names_other_events_says_nothing_of_the_event_of_a_topic() {
    let theirs = rules(&["events.sign_in.name=login", "events.sign_in.fields.event_name=type"]);
    let of_topic = |topic: &'static str, text: &str| {
        let accepted = accept(&Format::Json(Some(topic)), text.as_bytes(), &theirs, i64::MAX);
        accepted.map(drop).map_err(|rejection| rejection.reason.code())
    };
    let rest = r#""timestamp":"2026-01-05T10:00:00Z","user_id":1,"item_id":"7"}"#;
    for kind in [r#""mobile""#, "5", "null", r#"{"of":"view"}"#] {
        assert_eq!(of_topic("item_view", &format!(r#"{{"type":{kind},{rest}"#)), Ok(()), "{kind}");
    }
    // What names itself is what it says, in any topic.
    assert_eq!(of_topic("item_view", &format!(r#"{{"type":"login",{rest}"#)), Ok(()));
    assert_eq!(of_topic("item_view", &format!(r#"{{"event_name":"item_veiw",{rest}"#)), Err("unknown_event"));
    assert_eq!(of_topic("sign_in", &format!(r#"{{"type":"mobile",{rest}"#)), Err("unknown_event"));
}

/// What is wrong is said in the names of who sent it.
#[test]
fn what_is_rejected_is_told_in_their_names() {
    let theirs = rules(THEIRS);
    let said = |text: &str| line(text, &theirs).expect_err(text).detail;
    let at = r#""timestamp":"2026-01-05T10:00:00Z""#;
    for (record, detail) in [
        (
            format!(r#"{{"event_name":"signup",{at},"account":{{"id":0}},"age":30}}"#),
            "`account.id` is the number 0; expected 1 to",
        ),
        (format!(r#"{{"event_name":"signup",{at},"account":{{}},"age":30}}"#), "`account.id` is missing"),
        (
            format!(r#"{{"event_name":"signup",{at},"account":{{"id":1,"mail":"x"}},"age":30,"lang":"xx"}}"#),
            "`lang` is the text \"xx\"; expected eng, geo or empty",
        ),
        (format!(r#"{{"event_name":"item_view",{at},"item_id":1,"product":{{"sku":" "}}}}"#), "`product.sku` is empty"),
        (
            format!(r#"{{"event_name":"added_to_cart",{at},"user_id":1,"basket":"b"}}"#),
            "`basket` is the text \"b\"; expected a UUID",
        ),
        (r#"{"meta":{"kind":"sign_in","at":"soon"},"uid":1}"#.to_owned(), "`meta.at` is the text \"soon\""),
        (
            r#"{"meta":{"kind":"sing_in"},"uid":1}"#.to_owned(),
            "`meta.kind` is the text \"sing_in\"; did you mean `sign_in`?",
        ),
        (
            format!(r#"{{"event_name":"consumer_registration",{at}}}"#),
            "`event_name` is the text \"consumer_registration\"; expected one",
        ),
    ] {
        let found = said(&record);
        assert!(found.starts_with(detail), "{record}: {found}");
    }
}

/// Every mistake, where it stands, with the nearest name.
#[test]
fn names_that_are_none_or_say_two_things_are_refused() {
    for (sets, said) in [
        (
            &["events.sign_inn.name=login"][..],
            "unknown setting `events.sign_inn.name`; did you mean `events.sign_in.name`?",
        ),
        (
            &["events.sign_in.fields.userid=uid"],
            "setting `events.sign_in.fields.userid`: is not a field of `sign_in`; did you mean `user_id`?",
        ),
        (
            &["events.sign_in.fields.age=years"],
            "setting `events.sign_in.fields.age`: is not a field of `sign_in`; expected one of event_name, timestamp, user_id",
        ),
        (
            &["events.item_view.fields={item_id=\"id\", user_id=\"id\"}"],
            "setting `events.item_view.fields.item_id`: is `id`, and so is `user_id`: which of the two it is cannot be told",
        ),
        (
            &["events.sign_in.fields.user_id=timestamp"],
            "setting `events.sign_in.fields.user_id`: is `timestamp`, and so is `timestamp`",
        ),
        (
            &["events.sign_in.name=item_view"],
            "setting `events.sign_in.name`: is called `item_view`, and so is `item_view`: which of the two a record is",
        ),
        (
            &["events.sign_in.name=in", "events.sign_out.name=in"],
            "setting `events.sign_out.name`: is called `in`, and so is `sign_in`",
        ),
        (&["events.sign_in.fields.user_id=user..id"], "setting `events.sign_in.fields.user_id`: is no name of a field"),
        (
            &["events.sign_in.fields.user_id=user", "events.sign_out.fields.user_id=user.id"],
            "setting `events.sign_out.fields.user_id`: `user.id` is read in another way already",
        ),
        (
            &["events.sign_in.fields.user_id=masked_email"],
            "setting `events.sign_in.fields.user_id`: `masked_email` is read in another way already",
        ),
        (&["events.once=sometimes"], "setting `events.once`: is none of what it can be: `nothing`, `everything`"),
        (&["events.sign_in.fields.user_id=5"], "setting `events.sign_in.fields.user_id`: is a number; expected text"),
    ] {
        let error = configured(sets).expect_err(said);
        assert!(error.contains(said), "{sets:?}: {error}");
    }
    // Two may change places, and a name may be that of an event that has another one now.
    for sets in [
        &["events.sign_in.name=sign_out", "events.sign_out.name=sign_in"][..],
        &["events.sign_in.name=item_view", "events.item_view.name=view"],
        &["events.sign_in.name=sign_in"],
    ] {
        configured(sets).expect("good");
    }
    let same = configured(&["events.sign_in.name=sign_in", "events.sign_in.fields.user_id=user_id"]).expect("good");
    assert_eq!(same.rules.shop.naming, Naming::default(), "what is called as we do changes nothing");
}
