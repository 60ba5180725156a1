use super::line;
use dataflows::events::Event;
use dataflows::shop::events::purchase::BAD_AMOUNT;
use dataflows::shop::events::shared::BAD_ITEM_ID;
use deltamart::accept::accept;
use deltamart::decode::{Clock, Format, Reason, movies_txt};
use deltamart::instant;
use deltamart::rules::Rules;

/// Each line as it was read, or why it was rejected.
fn read(lines: &str) -> Vec<Result<Event, (Reason, String)>> {
    let read = |text: &str| line(text).map(|accepted| accepted.event).map_err(|why| (why.reason, why.detail));
    lines.lines().map(read).collect()
}

/// Whether a rejection has this reason, and says all of this.
fn says(found: &Result<Event, (Reason, String)>, reason: Reason, words: &[&str]) {
    let (found, detail) = found.as_ref().expect_err("rejected");
    assert_eq!(*found, reason, "{detail}");
    assert!(words.iter().all(|word| detail.contains(word)), "{words:?} are not all in: {detail}");
    // Nobody but us knows what an `i64` is, or where in a line of one line a column lies.
    for ours in ["i64", "u64", "f64", "struct", "visitor", " at line ", "invalid type"] {
        assert!(!detail.contains(ours), "`{ours}` is in: {detail}");
    }
}

#[test]
fn instants_of_other_systems() {
    let expected: Vec<(String, String)> = serde_json::from_str(include_str!("instants.json")).expect("pairs");
    let read = read(include_str!("instants.jsonl"));
    assert_eq!(read.len(), expected.len());
    for (event, (written, shown)) in read.iter().zip(&expected) {
        assert_eq!(instant::parse(written).map(instant::show).as_ref(), Some(shown), "{written}");
        let event = event.as_ref().expect("an event");
        assert_eq!(instant::show(event.timestamp()), *shown, "{written}");
    }
}

#[test]
fn whole_numbers_of_data_frames() {
    let read = read(include_str!("whole-numbers.jsonl"));
    let at = instant::parse("2026-01-05T10:00:00Z").expect("an instant");
    assert!(read[..6].iter().all(|event| event.as_ref().is_ok_and(|event| event.timestamp() == at)), "{read:?}");
    let Ok(Event::Registration(first)) = &read[0] else { panic!("no registration") };
    let Ok(Event::Registration(second)) = &read[1] else { panic!("no registration") };
    assert_eq!((first.user_id, second.age), (1001, 34));
    assert!(matches!(&read[2], Ok(Event::ItemRating(rating)) if rating.rating == 5));
    assert!(matches!(&read[3], Ok(Event::ItemView(view)) if view.item_id == "12".into()));
    says(&read[6], Reason::WRONG_TYPE, &["`user_id` is the number 1007.5", "a whole number"]);
}

#[test]
fn units_are_guessed_aloud_and_not_read() {
    let read = read(include_str!("units.jsonl"));
    assert!(read[2].is_ok());
    for (number, unit) in [(0, "seconds"), (1, "seconds"), (3, "microseconds"), (4, "nanoseconds"), (5, "seconds")] {
        says(&read[number], Reason::BAD_TIMESTAMP, &["`timestamp` is ", "looks like ", unit, "2026-01-05T10:00:00Z"]);
    }
}

#[test]
fn what_is_no_json_is_named() {
    let read = read(include_str!("no-json.jsonl"));
    says(&read[0], Reason::UNDECODABLE, &["`scroll_depth` is NaN", "JSON does not have"]);
    says(&read[1], Reason::UNDECODABLE, &["`latency_ms` is Infinity"]);
    says(&read[2], Reason::UNDECODABLE, &["`purchase_amount` is NaN"]);
    says(&read[3], BAD_AMOUNT, &["`purchase_amount`", "NaN"]);
    assert!(read[4].is_ok() && read[5].is_ok(), "nobody reads these: {:?}", &read[4..6]);
    says(&read[6], Reason::UNDECODABLE, &["single quotes"]);
    says(&read[7], Reason::UNDECODABLE, &["a comma"]);
}

#[test]
fn a_key_twice_is_named_where_it_matters() {
    let read = read(include_str!("a-key-twice.jsonl"));
    says(&read[0], Reason::DUPLICATE_FIELD, &["`user_id` is there twice", "write it once"]);
    says(&read[1], Reason::DUPLICATE_FIELD, &["`user_id` is there twice"]);
    assert!(read[2].is_ok());
    let unread = r#"{"event_name":"sign_in","timestamp":"2026-01-05","user_id":1,"age":true,"age":null}"#;
    assert!(line(unread).is_ok(), "a sign-in has no age");
    let title =
        r#"{"event_name":"movies_catalog_enriched","timestamp":"2026-01-05","item_id":1,"title":"a","title":"b"}"#;
    assert_eq!(line(title).map_err(|why| why.reason), Err(Reason::DUPLICATE_FIELD));
}

#[test]
fn money_of_other_systems() {
    let expected: Vec<Option<f64>> = serde_json::from_str(include_str!("money.json")).expect("a list");
    let read = read(include_str!("money.jsonl"));
    assert_eq!(read.len(), expected.len());
    for (number, (event, dollars)) in read.iter().zip(&expected).enumerate() {
        match (event, dollars) {
            (Ok(Event::Purchase(purchase)), Some(dollars)) => {
                assert_eq!(purchase.purchase_amount_cents, (dollars * 100.0).round() as i64, "line {}", number + 1);
            }
            (rejected, None) => says(rejected, BAD_AMOUNT, &["`purchase_amount` is ", "US dollars"]),
            other => panic!("line {}: {other:?}", number + 1),
        }
    }
    let prices = self::read(include_str!("prices.jsonl")).into_iter().map(|event| match event {
        Ok(Event::Catalog(item)) => item.content.price_cents,
        other => panic!("{other:?}"),
    });
    assert_eq!(prices.collect::<Vec<_>>(), [899, 12_999, 50_969, 129_999].map(Some));
}

#[test]
fn an_id_is_the_same_in_events_and_catalogs() {
    let block = include_bytes!("Movies.txt");
    let item = movies_txt::parse(block, 0).expect("an item").item_id;
    let read = read(include_str!("item-ids.jsonl"));
    let added: Vec<_> = read.iter().step_by(2).collect();
    let ids: Vec<String> = added[..10]
        .iter()
        .map(|event| match event {
            Ok(Event::AddedToCart(added)) => added.item_id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["12", "12", "12", "12", "012", "12", "12.0", "12", "１２", "12"]);
    assert_eq!(ids[0], item.to_string());
    for empty in &added[10..] {
        says(empty, BAD_ITEM_ID, &["`item_id`", "is empty", "expected"]);
    }
}

#[test]
fn envelopes_are_told_from_events() {
    let read = read(include_str!("envelopes.jsonl"));
    says(&read[0], Reason::MISSING_FIELD, &["Debezium", "`after`", "ExtractNewRecordState"]);
    says(&read[1], Reason::MISSING_FIELD, &["`payload`", "schemas.enable=false"]);
    says(&read[2], Reason::MISSING_FIELD, &["CloudEvent", "`data`"]);
    says(&read[3], Reason::UNDECODABLE, &["encoded twice"]);
    says(&read[4], Reason::MISSING_FIELD, &["`Event_Name` is not read", "did you mean `event_name`?"]);
    says(&read[5], Reason::MISSING_FIELD, &["`eventName` is not read", "did you mean `event_name`?"]);
    says(
        &read[6],
        Reason::UNKNOWN_EVENT,
        &["`event_name` is the text \"Sign_In\"; did you mean", "did you mean `sign_in`?"],
    );
    let user = r#"{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","userId":4}"#;
    says(&self::read(user)[0], Reason::MISSING_FIELD, &["`userId` is not read", "did you mean `user_id`?"]);
}

#[test]
fn the_future_begins_by_the_clock_that_is_named() {
    let text = br#"{"event_name":"sign_in","timestamp":"2026-01-05T11:00:00.001Z","user_id":1}"#;
    let ten = instant::parse("2026-01-05T10:00:00Z").expect("an instant");
    let said = |clock: Clock| {
        let why = accept(&Format::Json(None), text, &Rules::default(), clock).expect_err("the future");
        assert_eq!(why.reason, Reason::TIMESTAMP_IN_FUTURE);
        why.detail
    };
    let of_reader = "no later than 1h after the clock (`rejected_at`)";
    let of_log = "no later than 1h after the time that its log gives the record, 2026-01-05T10:00:00.000Z";
    assert!(said(Clock::from(ten)).ends_with(of_reader));
    // Whether its epoch opened before it was appended, at the same time or later: the same words.
    for reader_ms in [ten - 700, ten, ten + 700] {
        assert!(said(Clock { reader_ms, log_ms: Some(ten) }).ends_with(of_log), "read at {reader_ms}");
    }
    // A log that gives a time of the far future says nothing.
    assert!(said(Clock { reader_ms: ten, log_ms: Some(ten + 86_400_000) }).ends_with(of_reader));
}
