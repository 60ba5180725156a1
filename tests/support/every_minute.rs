//! The view of every minute, and what it is made of.

use super::{MINUTE_MS, MONDAY_MS, Oracle, typed};
use crate::support::table;
use dataflows::delta::Delta;
use dataflows::shop::Settings;
use dataflows::table::Value;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::memory::Contents;
use deltamart::sink::sqlite::{Sqlite, read_value};
use deltamart::sink::{Commit, MadeBy, Sink};
use std::collections::BTreeMap;

/// What the specification of before says: a row for every boundary from the first sign event on.
pub fn specified(contents: &Contents, settings: &Settings) -> Vec<Vec<Value>> {
    let watermark = contents.progress.as_ref().expect("claimed").watermarks.least();
    let oracle = Oracle::over(contents, watermark, settings);
    let sql = include_str!("../minutes/every_minute.sql");
    let mut statement = oracle.connection.prepare(sql).expect("SQL");
    for (parameter, value) in settings.parameters(watermark) {
        if let Some(place) = statement.parameter_index(parameter).expect("SQL") {
            statement.raw_bind_parameter(place, value).expect("SQL");
        }
    }
    let columns = &table("session_metrics").table().columns;
    let (mut rows, mut out) = (statement.raw_query(), Vec::new());
    while let Some(row) = rows.next().expect("SQL") {
        let values = columns.iter().enumerate().map(|(n, column)| typed(column.ty, row.get_ref(n).expect("column")));
        out.push(values.collect::<Vec<_>>());
    }
    out.sort();
    out
}

/// The rows of the view in a warehouse.
pub fn rows(sink: &Sqlite) -> Vec<Vec<Value>> {
    let columns = &table("session_metrics").table().columns;
    let sql = "SELECT * FROM session_metrics_by_minute ORDER BY timestamp";
    let mut statement = sink.connection().prepare(sql).expect("SQL");
    let names: Vec<_> = statement.column_names().map(str::to_owned).collect();
    assert_eq!(names, columns.iter().map(|column| column.name).collect::<Vec<_>>());
    let found = statement.query_map([], |row| {
        columns.iter().enumerate().map(|(n, column)| read_value(column, row.get_ref(n)?)).collect()
    });
    found.expect("SQL").collect::<Result<_, _>>().expect("as the columns say")
}

/// A warehouse that has the table and the watermark of a sink, and is asked for something.
fn with<T>(contents: &Contents, made_by: MadeBy, ask: impl FnOnce(&Sqlite) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sqlite::open(all(), &folder.path().join("shop.db")).expect("opens");
    let claim = sink.claim(made_by, None).expect("claims");
    let progress = contents.progress.as_ref().expect("claimed");
    let deltas = contents.rows(table("session_metrics")).into_iter().map(Delta::Upsert).collect();
    let commit = Commit {
        follows: 0,
        epoch: 2,
        clock_ms: MONDAY_MS,
        watermarks: progress.watermarks.clone(),
        positions: BTreeMap::new(),
        deltas: BTreeMap::from([(table("session_metrics"), deltas)]),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    sink.apply(&claim, &commit).expect("applies");
    ask(&sink)
}

/// What the view makes of a table.
pub fn of(contents: &Contents, made_by: MadeBy) -> Vec<Vec<Value>> {
    with(contents, made_by, rows)
}

fn row(minute: i64, active: i64, age_ms: i64, completed: i64) -> Vec<Value> {
    let duration_ms = completed * 30_001;
    vec![
        Value::Instant(MONDAY_MS + minute * MINUTE_MS),
        Value::Integer(active),
        Value::Integer(completed),
        Value::Integer(duration_ms),
        Value::mean_or_null(duration_ms, completed),
        Value::mean_or_null(age_ms, active),
    ]
}

/// Rows with gaps between and behind them; the watermark is within the eighth minute.
pub fn commit(follows: u64) -> Commit {
    let rows = [row(0, 1, 500, 0), row(1, 0, 0, 1), row(4, 1, 0, 1), row(5, 0, 0, 1)];
    Commit {
        follows,
        epoch: follows + 2,
        clock_ms: MONDAY_MS,
        // Another family is behind: the view is none of its.
        watermarks: Watermarks(
            [("shop", MONDAY_MS + 7 * MINUTE_MS + 59_999), ("toys", MONDAY_MS)]
                .map(|(of, at)| (of.to_owned(), at))
                .into(),
        ),
        positions: BTreeMap::new(),
        deltas: BTreeMap::from([(table("session_metrics"), rows.map(Delta::Upsert).into_iter().collect())]),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

/// What the view makes of them.
pub fn wanted() -> Vec<Vec<Value>> {
    let minutes = [(1, 500, 0), (0, 0, 1), (0, 0, 1), (0, 0, 1), (1, 0, 1), (0, 0, 1), (0, 0, 1), (0, 0, 1)];
    (0..).zip(minutes).map(|(minute, (active, age_ms, completed))| row(minute, active, age_ms, completed)).collect()
}
