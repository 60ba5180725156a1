//! The view of every minute gives back what `session_metrics` was when every minute had a row: its specification of
//! then is `minutes/every_minute.sql`.

use crate::oracle::{history, roughly_ordered, steps};
use crate::support::table;
use crate::support::{self, MINUTE_MS, MONDAY_MS, every_minute};
use dataflows::table::Value;
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::script::Step;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: support::histories(24), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_view_is_what_the_table_was(
        (span, history) in history(1..80),
        disorder in prop_oneof![Just(0u16), Just(200), Just(2000)],
        whole_input in prop::bool::weighted(0.3),
    ) {
        let history = roughly_ordered(history, disorder);
        let steps = steps(&history, 1, 6).into_iter().chain([Step::End]).collect();
        let mut options = support::options(1);
        options.settings = span.settings(options.settings);
        options.settings.lane.whole_input = whole_input;
        options.settings.lane.tables = [table("session_metrics")].into_iter().collect();
        let settings = options.settings.clone();
        let (sink, _) = support::run_script(1, steps, options);
        let contents = sink.contents().clone();
        let mut expected = every_minute::specified(&contents, &settings);
        // Before its first row a table says nothing; that of then said that there was nothing.
        let first = contents.rows(table("session_metrics")).first().map(|row| row[0].clone());
        expected.retain(|row| first.as_ref().is_some_and(|first| row[0] >= *first));
        let made_by = if whole_input { MadeBy::Batch } else { MadeBy::Run };
        let found = every_minute::of(&contents, made_by);
        if whole_input {
            // Behind its last row a batch knows nothing: a session may go on there. Nothing was news up to its end.
            let last = found.last().cloned();
            let behind = expected.split_off(found.len());
            for row in behind {
                prop_assert_eq!(Some(&row[1..]), last.as_ref().map(|last| &last[1..]));
            }
        }
        prop_assert_eq!(found, expected);
    }
}

/// A warehouse of before has no view, or another one: a start makes it as it must be.
#[test]
fn a_warehouse_that_is_there_is_given_the_view() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let mut sink = Sqlite::open(all(), &path).expect("opens");
    let view = "session_metrics_by_minute";
    for before in ["", "CREATE VIEW session_metrics_by_minute AS SELECT 1 AS wrong"] {
        let claim = sink.claim(MadeBy::Run, None).expect("claims");
        let follows = sink.position().expect("readable").expect("claimed").epoch;
        sink.apply(&claim, &every_minute::commit(follows)).expect("applies");
        assert_eq!(every_minute::rows(&sink), every_minute::wanted());
        sink.connection().execute_batch(&format!("DROP VIEW {view}; {before}")).expect("SQL");
    }
    sink.claim(MadeBy::Run, None).expect("claims");
    assert_eq!(every_minute::rows(&sink), every_minute::wanted());
}

#[test]
fn between_rows_nobody_is_there_and_the_rest_stands() {
    let row = |minute: i64, values: [i64; 3], mean: Value, age: Value| {
        let mut row = vec![Value::Instant(MONDAY_MS + minute * MINUTE_MS)];
        row.extend(values.map(Value::Integer));
        row.extend([mean, age]);
        row
    };
    let half = || Value::Milli(30_001);
    let rows = [
        row(0, [1, 0, 0], Value::Null, Value::Milli(500)),
        row(1, [0, 1, 30_001], half(), Value::Null),
        row(2, [0, 1, 30_001], half(), Value::Null),
        row(3, [0, 1, 30_001], half(), Value::Null),
        row(4, [1, 1, 30_001], half(), Value::Milli(0)),
        row(5, [0, 1, 30_001], half(), Value::Null),
        row(6, [0, 1, 30_001], half(), Value::Null),
        row(7, [0, 1, 30_001], half(), Value::Null),
    ];
    assert_eq!(every_minute::wanted(), rows);
}
