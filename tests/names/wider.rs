use super::{configured, line, rules};
use crate::oracle;
use crate::support::{self, table};
use dataflows::shop::events::rules::{CartIds, Profile, Words};
use dataflows::shop::events::{Event, Rules as Shop};
use deltamart::engine::Resume;
use deltamart::rules::Rules;
use deltamart::sink::memory::Memory;
use deltamart::source::script::{Script, Step};
use proptest::prelude::*;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What `strict` refuses, in the place of what it takes: of every second record, so that both stand beside each other.
fn widened(steps: &[Step]) -> Vec<Step> {
    let wide = |(n, step): (usize, &Step)| {
        let Step::Record(partition, payload) = step else { return step.clone() };
        let Ok(mut record) = serde_json::from_slice::<Map<String, Json>>(payload) else { return step.clone() };
        let number = |record: &Map<String, Json>, field: &str| record.get(field).and_then(Json::as_u64);
        if let Some(user) = number(&record, "user_id").filter(|user| *user > 2) {
            record.insert("user_id".to_owned(), (i64::MAX as u64 - user).into());
        }
        if let Some(age) = number(&record, "age") {
            record.insert("age".to_owned(), [0, age, i32::MAX as u64][n % 3].into());
            record.insert("preferred_language".to_owned(), ["", "Klingon", "of jane@mail.example"][n % 3].into());
        }
        if record.contains_key("payment_method") {
            record.insert("payment_method".to_owned(), ["Card", "Shells", ""][n % 3].into());
        }
        // One and the same cart, however its UUID is written; and carts whose ids differ in case alone.
        let cart = record.get("cart_id").and_then(Json::as_str).map(str::to_owned);
        if let Some(cart) = cart {
            let id = match cart.as_bytes()[cart.len() - 1] {
                b'0' => cart,
                b'1' => {
                    if n % 2 == 0 {
                        cart.to_uppercase()
                    } else {
                        cart.replace('-', "")
                    }
                }
                b'2' => "Basket".to_owned(),
                _ => "basket".to_owned(),
            };
            record.insert("cart_id".to_owned(), id.into());
        }
        for item in ["item_id", "movie_id"] {
            if record.get(item).and_then(Json::as_str) == Some("3") {
                record.insert(item.to_owned(), "B00003CXCT".into());
            }
        }
        Step::Record(*partition, Json::Object(record).to_string().into_bytes())
    };
    steps.iter().enumerate().map(wide).collect()
}

fn open() -> Rules {
    Rules { shop: Shop::of(Profile::Open), ..Rules::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: support::histories(24), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn by_open_rules_tables_equal_their_sql_from_start_to_start(
        (span, history) in oracle::history(2..100),
        disorder in prop_oneof![Just(0u16), Just(200)],
        at in 0.0f64..1.0,
        (before, after) in (1usize..=3, 1usize..=3),
    ) {
        let plain = oracle::steps(&oracle::roughly_ordered(history, disorder), 2, 6);
        let steps = widened(&plain);
        let at = (at * steps.len() as f64) as usize;
        let options = |workers| {
            let mut options = support::options(workers);
            options.settings = span.settings(options.settings);
            options.rules = open();
            options
        };
        let (sink, stats) = (Memory::default(), Arc::default());
        let source = Script::new(support::partitions(2), steps[..at].iter().cloned().chain([Step::Stop]));
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
        // Nothing is rejected that a wider rule takes: what is left is no event at all, or of a user of its own.
        let strange = |record: &[u8]| {
            let zero = serde_json::from_slice::<Json>(record).is_ok_and(|record| record["user_id"] == 0);
            !zero && line(std::str::from_utf8(record).expect("text"), &Rules::default()).is_err()
        };
        let records = plain.iter().filter_map(|step| match step {
            Step::Record(_, payload) => Some(payload),
            _ => None,
        });
        let garbage = records.filter(|record| strange(record) || is_in_the_future(record)).count();
        prop_assert_eq!(contents.rows(table("rejected_events")).len(), garbage);
    }
}

/// The history's own: beyond the clock of the tests.
fn is_in_the_future(record: &[u8]) -> bool {
    record.windows(4).any(|word| word == b"2090")
}

#[test]
fn a_rule_that_is_set_wins_over_the_profile() {
    let profile = |sets: &[&str]| rules(sets).shop;
    assert_eq!(profile(&[]), Shop::of(Profile::Strict));
    assert_eq!(profile(&["rules.profile=strict"]), Shop::of(Profile::Strict));
    let open = Shop::of(Profile::Open);
    assert_eq!(profile(&["rules.profile=open"]), open);
    assert_eq!(open.user_id, (0, i64::MAX as u64));
    // In any order, and also back to what is the default without a profile.
    for sets in [
        ["rules.age=[18, 95]", "rules.profile=open", r#"rules.payment_method=["Cash"]"#],
        ["rules.profile=open", r#"rules.payment_method=["Cash"]"#, "rules.age=[18, 95]"],
    ] {
        let of = Shop { age: (18, 95), payment_method: Words::of(&["Cash"]), ..open.clone() };
        assert_eq!(profile(&sets), of);
    }
    let one = Shop { cart_id: CartIds::Text, ..Shop::of(Profile::Strict) };
    assert_eq!(profile(&["rules.cart_id=text"]), one);
    let one = Shop { preferred_language: Words::Any, ..Shop::of(Profile::Strict) };
    assert_eq!(profile(&["rules.preferred_language=any"]), one);
    for (set, said) in [
        ("rules.profile=loose", "setting `rules.profile`: is none of what it can be: `strict`, `open`"),
        ("rules.cart_id=number", "setting `rules.cart_id`: is none of what it can be: `uuid`, `text`"),
        (
            "rules.payment_method=hunter2",
            "setting `rules.payment_method`: is a text that means nothing here; expected `any`",
        ),
        ("rules.payment_method=5", "setting `rules.payment_method`: is a number; expected `any`, or a list of texts"),
    ] {
        let error = configured(&[set]).expect_err(said);
        assert!(error.contains(said) && !error.contains("hunter2"), "{set}: {error}");
    }
}

#[test]
fn what_any_text_may_be_has_bounds_and_is_masked() {
    let (strict, open) = (Rules::default(), open());
    let checkout = |cart: &str, paid: &str| {
        format!(
            r#"{{"event_name":"checkout_to_cart","timestamp":"2026-01-05T10:00:00Z","user_id":1,"cart_id":{cart},"payment_method":{paid}}}"#
        )
    };
    let long = format!("\"{}\"", "x".repeat(257));
    for (cart, paid, reason, detail) in [
        ("\" \"", "\"Card\"", "bad_cart_id", "`cart_id` is empty, or white space; expected the id of a cart"),
        (long.as_str(), "\"Card\"", "bad_cart_id", "`cart_id` has 257 bytes"),
        ("\"USER:7\"", "\"Card\"", "bad_cart_id", "`cart_id` begins with `user:`, as purchases do"),
        ("\"a\\u0000b\"", "\"Card\"", "bad_cart_id", "`cart_id` holds the character U+0000"),
        ("\"jane@mail.example\"", "\"Card\"", "address_in_key", "`cart_id` holds an e-mail address"),
        ("[1]", "\"Card\"", "wrong_type", "`cart_id` is the list [1]; expected a text"),
        ("1", long.as_str(), "unknown_payment_method", "`payment_method` is"),
        ("1", "\"a\\u0000b\"", "unknown_payment_method", "`payment_method` is"),
    ] {
        let rejection = line(&checkout(cart, paid), &open).expect_err(detail);
        assert!(rejection.reason.code() == reason && rejection.detail.starts_with(detail), "{rejection:?}");
        line(&checkout(cart, paid), &strict).expect_err(detail);
    }
    let taken = line(&checkout("\" user-7 \"", "\"by jane@mail.example\""), &open).expect("a text");
    let Event::Checkout(event) = taken.event else { panic!("{:?}", taken.event) };
    assert_eq!((event.cart_id.to_string().as_str(), event.payment_method.as_str()), ("user-7", "by ****@mail.example"));
    assert!(taken.masked);
    // What strict rules take is the same event by open ones.
    let uuid = "\"3F0C2A4E-9A51-4C53-8A0E-6D1C5F6A7B01\"";
    let both = [&strict, &open].map(|rules| line(&checkout(uuid, "\"Cash\""), rules).expect("good").event);
    assert_eq!(both[0], both[1]);
}
