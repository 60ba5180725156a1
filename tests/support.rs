//! What the tests have in common: a pipeline over a script, and the SQL that judges it.

/// The view of every minute.
pub mod every_minute;
/// Random histories, one of each seed.
pub mod histories;
/// A sink that looks on at what another one is asked.
pub mod hooked;
/// A process that goes away, with all that it holds.
pub mod mortal;

pub use hooked::{Call, Hooked};

use dataflows::Instant;
use dataflows::family::{Catalogue, Configured};
use dataflows::quality::QUALITY;
use dataflows::shop::Settings;
use dataflows::shop::settings::Thresholds;
use dataflows::table::{TableId, Type, Value};
use deltamart::commit;
use deltamart::decode::Format;
use deltamart::engine::{self, Ended, EngineError, Job, Resume};
use deltamart::families::{SHOP, all};
use deltamart::fingerprint;
use deltamart::recovery::DECODER;
use deltamart::rules::Rules;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::sink::sqlite::{Sqlite, quoted};
use deltamart::sink::{Claim, MadeBy, Sink};
use deltamart::source::script::{Script, Step};
use deltamart::source::{Partition, Source};
use deltamart::specification::{self, Parameters};
use deltamart::state_dir::Generation;
use deltamart::stats::Stats;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::time::Duration;

/// The clock of all tests: 2030-01-01. Nothing in them depends on the real one.
pub const CLOCK_MS: Instant = 1_893_456_000_000;
/// 2026-01-05T00:00:00Z, a Monday.
pub const MONDAY_MS: Instant = 1_767_571_200_000;
/// An hour.
pub const HOUR_MS: i64 = 3_600_000;
/// A minute.
pub const MINUTE_MS: i64 = 60_000;

/// How many random histories: more in release, as many as asked for in a sweep.
pub fn histories(in_debug: u32) -> u32 {
    let asked = std::env::var("DELTAMART_SWEEP").ok().and_then(|histories| histories.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { in_debug } else { 150 })
}

/// Whether so many were asked for.
pub fn is_sweep() -> bool {
    std::env::var_os("DELTAMART_SWEEP").is_some()
}

/// What a start of a test writes down, given what makes its partitions the logs they are.
pub fn start_of(nonce: String, options: &Options, identities: BTreeMap<String, String>) -> Generation {
    let families: Vec<_> = options.engine().lanes.into_iter().map(|lane| lane.family).collect();
    Generation {
        nonce,
        started_at: String::new(),
        program: "test".to_owned(),
        decoder: DECODER,
        rules: options.rules.clone(),
        model: BTreeMap::new(),
        fingerprint: fingerprint::of(options.commit.catalogue, &families),
        identities,
        families: BTreeMap::new(),
        begins: BTreeMap::new(),
        lost: Vec::new(),
        rebuilt_after: None,
    }
}

/// How a pipeline of the movie shop runs. What is not said here is the engine's.
#[derive(Clone)]
pub struct Options {
    /// The shop's settings.
    pub settings: Settings,
    /// For how long a partition must be at its end to be left out of the watermark.
    pub idle_timeout_ms: i64,
    /// The other families that are kept.
    pub others: Vec<engine::Lane>,
    engine: engine::Options,
}

impl Options {
    fn shop(&self) -> Arc<dyn Configured> {
        Arc::new(self.settings.clone())
    }

    /// As the engine is told.
    pub fn engine(&self) -> engine::Options {
        let shop = engine::Lane { family: self.shop(), idle_timeout_ms: self.idle_timeout_ms };
        let lanes = std::iter::once(shop).chain(self.others.iter().cloned()).collect();
        engine::Options { lanes, ..self.engine.clone() }
    }
}

impl Deref for Options {
    type Target = engine::Options;

    fn deref(&self) -> &engine::Options {
        &self.engine
    }
}

impl DerefMut for Options {
    fn deref_mut(&mut self) -> &mut engine::Options {
        &mut self.engine
    }
}

/// A pipeline for tests: epochs close by size, by `Step::Cut` and at the end, never by the clock.
pub fn options(workers: usize) -> Options {
    static EXIT: Once = Once::new();
    EXIT.call_once(engine::exit_on_panic_of_workers);
    let engine = engine::Options {
        workers,
        epoch_interval: Duration::from_secs(3600),
        epoch_events: 1 << 16,
        epoch_bytes: 64 << 20,
        epochs_in_flight: 8,
        archive: Default::default(),
        commit: commit::Options {
            commit_interval: Duration::ZERO,
            journal_interval: Duration::ZERO,
            pending_bytes: 64 << 20,
            stop_grace: Duration::from_secs(1),
            catalogue: all(),
            retention: Default::default(),
            quality: Some(Default::default()),
        },
        lanes: Vec::new(),
        rules: Rules::default(),
        clock: Arc::new(|| CLOCK_MS),
        as_bytes: false,
        take_state: true,
        snapshot_interval: Duration::ZERO,
        turns: Default::default(),
    };
    let lane = dataflows::Settings {
        lateness_ms: Some(2 * HOUR_MS),
        // Small, so that a history crosses it again and again.
        watermark_step_ms: 3 * HOUR_MS,
        ..Default::default()
    };
    let settings = Settings {
        lane,
        catalog_lateness_ms: Some(HOUR_MS),
        session_timeout_ms: Some(4 * HOUR_MS),
        cart_ttl_ms: 3 * HOUR_MS,
        price_backfill_ms: HOUR_MS,
        segments: segments(HOUR_MS),
        once: false,
    };
    Options { settings, idle_timeout_ms: 30_000, others: Vec::new(), engine }
}

/// Segments that a user comes into and out of within hours, or whatever stands for an hour.
pub fn segments(hour_ms: i64) -> Thresholds {
    Thresholds {
        high_value_cents: 400,
        high_value_within_ms: 5 * hour_ms,
        abandoned_carts: 2,
        abandoned_after_ms: hour_ms,
        abandoned_within_ms: 6 * hour_ms,
        frequent_views: 3,
        frequent_within_ms: 4 * hour_ms,
        new_within_ms: 3 * hour_ms,
        inactive_after_ms: 5 * hour_ms,
    }
}

/// Every epoch is committed before the next one closes: the log of commits is the log of epochs.
pub fn one_commit_per_epoch(mut options: Options) -> Options {
    options.epochs_in_flight = 1;
    options.commit.pending_bytes = 0;
    options
}

/// JSON partitions for a script.
pub fn partitions(count: usize) -> Vec<Partition> {
    let partition = |partition| Partition {
        topic: "script".to_owned(),
        partition,
        family: SHOP,
        format: Format::Json(None),
        status: dataflows::operators::Status::Live,
    };
    (0..count as i32).map(partition).collect()
}

/// Runs a pipeline into a sink, and tells how it ended.
pub fn run(
    source: Script,
    sink: &Memory,
    options: Options,
    resume: Resume,
    stats: &Arc<Stats>,
) -> Result<Ended, EngineError> {
    let mut claimed = sink.clone();
    let claim = claimed.claim(MadeBy::Run, None).expect("memory can be claimed");
    let stop = Arc::new(AtomicBool::new(false));
    let source: Box<dyn Source> = Box::new(source.stopping(&stop));
    let sinks: Vec<(Box<dyn Sink>, _)> = vec![(Box::new(claimed), claim)];
    engine::run(Job {
        sources: vec![source],
        sinks,
        keep: None,
        options: options.engine(),
        resume,
        stop,
        stats: Arc::clone(stats),
    })
}

/// Runs sources into one sink, from the beginning, without state.
pub fn run_into(
    sources: Vec<Box<dyn Source>>,
    sink: Box<dyn Sink>,
    claim: Claim,
    options: Options,
    stats: &Arc<Stats>,
) -> Result<Ended, EngineError> {
    let (resume, stats) = (Resume::default(), Arc::clone(stats));
    engine::run(Job {
        sources,
        sinks: vec![(sink, claim)],
        keep: None,
        options: options.engine(),
        resume,
        stop: Arc::default(),
        stats,
    })
}

/// Runs a script of JSON records over some partitions to its end.
pub fn run_script(count: usize, steps: Vec<Step>, options: Options) -> (Memory, Arc<Stats>) {
    let (sink, stats) = (Memory::default(), Arc::new(Stats::default()));
    let source = Script::new(partitions(count), steps);
    run(source, &sink, options, Resume::default(), &stats).expect("the script runs to its end");
    (sink, stats)
}

/// Fails if any table differs from what its SQL says over the accepted events.
pub fn assert_matches_sql(contents: &Contents, settings: &Settings) {
    let watermark = contents.progress.as_ref().expect("claimed").watermarks.of(SHOP.name());
    let oracle = Oracle::over(contents, watermark, settings);
    for (table, _) in all().metrics().iter().filter(|(table, _)| settings.lane.tables.contains(*table)) {
        let (actual, expected) = (contents.rows(*table), oracle.rows(*table));
        assert_eq!(actual, expected, "`{}` differs from its SQL (left: table, right: SQL)", table.table().name);
    }
}

/// SQLite with the raw tables as the metrics' SQL reads them: instants and money as integers, and
/// `late` on each row.
pub struct Oracle {
    connection: Connection,
}

impl Oracle {
    /// Over the raw tables of a sink, at a watermark.
    pub fn over(contents: &Contents, watermark: Instant, settings: &Settings) -> Oracle {
        Oracle::over_all(all(), contents, &|_| settings.parameters(watermark))
    }

    /// Over the raw tables of a sink, of these families.
    pub fn over_all(catalogue: Catalogue, contents: &Contents, parameters: &Parameters<'_>) -> Oracle {
        let connection = Connection::open_in_memory().expect("SQLite in memory");
        let late: BTreeSet<_> = contents.rows(table("late_events")).into_iter().map(|row| row[..3].to_vec()).collect();
        for id in catalogue.raw() {
            let table = id.table();
            let columns: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            let places = vec!["?"; columns.len() + 1].join(", ");
            let create = format!("CREATE TABLE {} ({}, late)", table.name, columns.join(", "));
            connection.execute(&create, []).expect("create");
            let mut insert =
                connection.prepare(&format!("INSERT INTO {} VALUES ({places})", table.name)).expect("prepare");
            for row in contents.rows(id) {
                let is_late = SqlValue::Integer(late.contains(&row[..3]).into());
                let values = row.iter().map(plain).chain([is_late]);
                insert.execute(params_from_iter(values)).expect("insert");
            }
        }
        specification::execute(catalogue, &connection, parameters).expect("the metrics' SQL is valid");
        Oracle { connection }
    }

    /// What a metric's SQL says, in the order of the table's key.
    pub fn rows(&self, id: TableId) -> Vec<Vec<Value>> {
        let columns = &id.table().columns;
        let names = specification::columns(&self.connection, id).expect("columns");
        let declared: Vec<_> = columns.iter().map(|column| column.name).collect();
        assert_eq!(names, declared, "columns of `{}`", id.table().name);
        let mut statement = self.connection.prepare(&format!("SELECT * FROM temp.{}", id.table().name)).expect("SQL");
        let mut rows = statement.query([]).expect("SQL");
        let mut out = Vec::new();
        while let Some(row) = rows.next().expect("SQL") {
            out.push((0..columns.len()).map(|n| typed(columns[n].ty, row.get_ref(n).expect("column"))).collect());
        }
        out.sort();
        out
    }
}

/// Every row of a warehouse, without when it was judged and written: with the name of its table.
pub fn stored(path: &Path) -> Vec<String> {
    stored_without(path, &["rejected_at", "watermark"])
}

/// The same, without these columns.
fn stored_without(path: &Path, left_out: &[&str]) -> Vec<String> {
    let sink = Sqlite::open_to_read(all(), path).expect("opens");
    let mut rows = Vec::new();
    for id in all().tables().iter().filter(|id| **id != QUALITY) {
        let table = id.table();
        let columns = table.columns.iter().filter(|column| !left_out.contains(&column.name));
        let columns: Vec<_> = columns.map(|column| format!("quote({})", quoted(column.name))).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY 1", columns.join(" || ', ' || "), quoted(table.name));
        let mut statement = sink.connection().prepare(&sql).expect("SQL");
        let found = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.extend(found.map(|row| format!("{}: {}", table.name, row.expect("text"))));
    }
    rows.extend(quality(&sink));
    rows
}

/// What is in `quality`, as text. In which hour a record came depends on the clock, and not how many came.
pub fn quality(sink: &Sqlite) -> Vec<String> {
    let sums = "SELECT topic || ', ' || SUM(accepted) || ', ' || SUM(rejected) || ', ' || SUM(late) FROM quality GROUP BY topic";
    let mut statement = sink.connection().prepare(sums).expect("SQL");
    let found = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    found.map(|row| format!("quality: {}", row.expect("text"))).collect()
}

/// Two warehouses hold the same rows, except for what depends on the clock; what differs is said.
pub fn assert_same(one: &Path, other: &Path) {
    assert_equal(&stored(one), &stored(other));
}

/// The same of one that an earlier version began: it may have said in other words why it rejected a record, and it did not
/// count what it read.
pub fn assert_same_but_for_words(one: &Path, other: &Path) {
    let is_counted = |row: &String| row.starts_with("quality: ");
    let stored = |path| -> Vec<String> {
        let rows = stored_without(path, &["rejected_at", "watermark", "detail"]);
        rows.into_iter().filter(|row| !is_counted(row)).collect()
    };
    assert_equal(&stored(one), &stored(other));
}

fn assert_equal(one: &[String], other: &[String]) {
    let only =
        |a: &[String], b: &[String]| a.iter().filter(|row| !b.contains(row)).take(20).cloned().collect::<Vec<_>>();
    if one != other {
        panic!(
            "{} and {} rows; only in one: {:#?}; only in the other: {:#?}",
            one.len(),
            other.len(),
            only(one, other),
            only(other, one)
        );
    }
}

fn plain(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Boolean(truth) => SqlValue::Integer((*truth).into()),
        Value::Integer(n) | Value::Instant(n) | Value::Cents(n) | Value::Milli(n) | Value::Share(n) => {
            SqlValue::Integer(*n)
        }
        Value::Text(text) => SqlValue::Text(text.clone()),
        Value::Bytes(bytes) => SqlValue::Blob(bytes.to_vec()),
    }
}

fn typed(ty: Type, value: ValueRef<'_>) -> Value {
    match (ty, value) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Boolean, ValueRef::Integer(number)) => Value::Boolean(number != 0),
        (Type::Integer, ValueRef::Integer(number)) => Value::Integer(number),
        (Type::Instant, ValueRef::Integer(number)) => Value::Instant(number),
        (Type::Money, ValueRef::Integer(number)) => Value::Cents(number),
        (Type::Milli, ValueRef::Integer(number)) => Value::Milli(number),
        (Type::Share, ValueRef::Integer(number)) => Value::Share(number),
        (Type::Text | Type::Json, ValueRef::Text(text)) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        (Type::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(bytes.into()),
        (ty, value) => panic!("{value:?} is no {ty:?}"),
    }
}

/// What a test needs that runs only where it is asked for (`--ignored`): there it must be.
pub fn needed(variable: &str) -> String {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    value.unwrap_or_else(|| panic!("{variable} is not set: run this test by scripts/test, or by scripts/with-stack"))
}

/// A table of ours.
pub fn table(name: &str) -> TableId {
    deltamart::families::all().by_name(name).unwrap_or_else(|| panic!("there is no table `{name}`"))
}
