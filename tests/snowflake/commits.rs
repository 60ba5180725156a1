//! What a commit sends, and what stands afterwards.

use super::{commit, configured, key_path, open, python, rows, user};
use crate::support::every_minute;
use crate::support::table;
use dataflows::delta::Delta;
use dataflows::deltas::Deltas;
use dataflows::table::Value;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::reconcile::{Differ, differences, reconcile};
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{MadeBy, Sink, SinkError, Stored};
use std::fmt::Write;

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn statements_and_bytes_of_a_commit_are_bounded() {
    let config = configured();
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut small = commit(0, 0..500);
    sink.apply(&claim, &small).expect("applies");
    // BEGIN, UPDATE, two MERGEs, COMMIT, SELECT.
    let (statements, rows_bytes) = (sink.traffic().statements, 500 * 160);
    eprintln!("a commit of 500 users and 500 late events: {:?}", sink.traffic());
    assert_eq!(statements, 6);
    assert!(sink.traffic().bytes < rows_bytes, "{:?}", sink.traffic());
    // Applied again: BEGIN, UPDATE, ROLLBACK, SELECT.
    sink.apply(&claim, &small).expect("again is no error");
    assert_eq!(sink.traffic().statements, 4);
    // Nothing but progress: BEGIN, UPDATE, COMMIT, SELECT.
    (small.follows, small.epoch) = (2, 4);
    small.deltas.clear();
    small.appends.clear();
    sink.apply(&claim, &small).expect("applies");
    assert_eq!(sink.traffic().statements, 4);
    assert!(sink.traffic().bytes < 2_000, "{:?}", sink.traffic());
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_large_commit_is_staged_and_leaves_nothing_behind() {
    let mut config = configured();
    config.statement_bytes = 20_000;
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    sink.apply(&claim, &commit(0, 0..1_000)).expect("applies");
    let traffic = sink.traffic();
    // As a small one, the parts of both tables, and COMMIT and DELETE for them.
    let parts = traffic.statements - 6 - 2;
    assert!((8..=16).contains(&parts), "{traffic:?}");
    let mut second = commit(2, 500..1_500);
    let deltas = second.deltas.get_mut(&table("users")).expect("users");
    let gone = (0..500).map(|id| Delta::Delete(vec![Value::Integer(id)]));
    *deltas = gone.chain(std::mem::take(deltas)).collect();
    sink.apply(&claim, &second).expect("applies");
    let wanted: Vec<_> = (500..1_500).map(|id| user(id, "as of 4")).collect();
    assert!(rows(&mut sink, table("users")) == wanted, "users differ");
    assert_eq!(rows(&mut sink, table("late_events")).len(), 2_000);
    assert_eq!(asked(&config, "SELECT COUNT(*) FROM RAW._STAGING"), "[[0]]");
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn two_rows_of_a_key_are_refused_before_anything_is_sent() {
    let config = configured();
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut twice = commit(0, 0..1);
    let added = twice.appends.get_mut(&table("late_events")).expect("added");
    added.push(added[0].clone());
    assert!(matches!(sink.apply(&claim, &twice), Err(SinkError::Failed(_))));
    assert_eq!(sink.traffic().statements, 0);
}

/// What Snowflake's own client answers to a statement, as JSON.
pub(super) fn asked(config: &deltamart::config::snowflake::Snowflake, sql: &str) -> String {
    let at = config.url.trim_start_matches("http://");
    let (host, port) = at.split_once(':').expect("host:port");
    let script = format!(
        "import json, sys, snowflake.connector as s\n\
         c = s.connect(user='u', password='p', account='a', host='{host}', port={port}, protocol='http',\n\
             database='{}', session_parameters={{'CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED': False}})\n\
         def shown(v):\n\
         \x20   if isinstance(v, (bytes, bytearray)): return v.hex()\n\
         \x20   return v if v is None or isinstance(v, (int, bool)) else str(v)\n\
         rows = c.cursor().execute(sys.stdin.read()).fetchall()\n\
         print(json.dumps([[shown(v) for v in row] for row in rows], ensure_ascii=False, separators=(',', ':')))\n",
        config.database
    );
    python(&script, sql).trim().to_owned()
}

/// Found without quotes and in any case, as analysts write; each value as they get it.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn snowflakes_own_client_reads_what_we_read() {
    let config = configured();
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut all = commit(0, 0..50);
    let users = all.deltas.get_mut(&table("users")).expect("users");
    let mut changed = users.as_values().into_owned();
    changed[7] = Delta::Upsert(user(7, "it's \"quoted\" ☃ 🦀 \\n"));
    *users = changed.into();
    let sale = |cart: &str, cents: Value| {
        let text = |text: &str| Value::Text(text.into());
        vec![text(cart), text("m"), Value::Instant(-1), Value::Integer(7), Value::Instant(1_767_571_200_001), cents]
    };
    let columns = &table("movie_sale_lines").table().columns;
    assert_eq!(columns.len(), 6, "{columns:?}");
    let sales = vec![sale("a", Value::Cents(-129_999)), sale("b", Value::Null)];
    all.deltas.insert(table("movie_sale_lines"), sales.into_iter().map(Delta::Upsert).collect());
    sink.apply(&claim, &all).expect("applies");
    for (schema, name) in [("clean", "users"), ("marts", "movie_sale_lines"), ("raw", "late_events")] {
        let id = table(name);
        let table = id.table();
        let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        let (names, key) = (names.join(", "), names[..table.key_columns].join(", "));
        let theirs = asked(&config, &format!("select {names} from {schema}.{} order by {key}", table.name));
        assert_eq!(theirs, shown(&rows(&mut sink, id)), "{}", table.name);
    }
    assert_eq!(asked(&config, "select epoch, generation from marts._progress"), "[[2,1]]");
    assert_eq!(
        asked(&config, "select distinct _epoch, _updated_at from clean.users"),
        "[[2,\"2026-01-05 00:00:00.002000\"]]"
    );
}

/// Rows as the script above shows them.
fn shown(rows: &[Vec<Value>]) -> String {
    let at = |ms: i64| {
        let text = deltamart::instant::show(ms).replace('T', " ").replace('Z', "");
        let text = text.strip_suffix(".000").map_or_else(|| format!("{text}000"), str::to_owned);
        serde_json::Value::String(text)
    };
    let value = |value: &Value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(truth) => (*truth).into(),
        Value::Integer(number) => (*number).into(),
        Value::Instant(ms) => at(*ms),
        Value::Cents(cents) => {
            let sign = if *cents < 0 { "-" } else { "" };
            format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100).into()
        }
        Value::Milli(milli) => format!("{}.{:03}", milli / 1000, milli % 1000).into(),
        Value::Share(share) => format!("{}.{:04}", share / 10_000, share % 10_000).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => bytes
            .iter()
            .fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("text");
                hex
            })
            .into(),
    };
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(value).collect()).collect();
    serde_json::to_string(&rows).expect("JSON")
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_column_that_is_missing_is_added_and_a_table_too() {
    let config = configured();
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    sink.apply(&claim, &commit(0, 0..2)).expect("applies");
    asked(&config, "alter table clean.users drop column age");
    asked(&config, "drop table marts.session_metrics");
    asked(&config, "drop view marts.session_metrics_by_minute");
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    // Three statements that make, the three questions, those of a claim, and the views of clean events: the stand-in keeps no
    // comments of views, by which they are known to be as they must be.
    assert_eq!(sink.traffic().statements, 3 + 3 + 4 + all().raw().count() as u64);
    let mut row = user(0, "as of 2");
    row[2] = Value::Null;
    assert_eq!(rows(&mut sink, table("users"))[0], row);
    sink.apply(&claim, &commit(2, 0..1)).expect("applies");
    assert_eq!(rows(&mut sink, table("users"))[0], user(0, "as of 4"));
    assert_eq!(rows(&mut sink, table("session_metrics")), Vec::<Vec<Value>>::new());
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_place_that_is_not_there_is_unavailable_and_a_key_that_is_not_says_what_to_do() {
    let mut config = configured();
    config.url = "http://127.0.0.1:1".to_owned();
    assert!(matches!(open(&config).position(), Err(SinkError::Unavailable(_))));
    config.private_key = format!("file:{}", key_path().join("none").display());
    let error = deltamart::sink::snowflake::Snowflake::open(all(), &config).err().expect("refused").to_string();
    assert!(error.contains("`snowflake.private_key`") && error.contains("deltamart snowflake-key"), "{error}");
}

/// Snowflake carries minutes forward as SQLite does, also over more than a day.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn snowflake_has_every_minute() {
    let config = configured();
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut commit = every_minute::commit(0);
    sink.apply(&claim, &commit).expect("applies");
    let columns: Vec<_> = table("session_metrics").table().columns.iter().map(|column| column.name).collect();
    let select = format!("select {} from marts.session_metrics_by_minute order by timestamp", columns.join(", "));
    assert_eq!(asked(&config, &select), shown(&every_minute::wanted()));
    (commit.follows, commit.epoch) = (2, 4);
    commit.deltas.clear();
    commit.watermarks = Watermarks::of_shop(commit.watermarks.of("shop") + 3 * 24 * 3_600_000);
    sink.apply(&claim, &commit).expect("applies");
    let count = "select count(*), count(distinct timestamp), datediff('minute', min(timestamp), max(timestamp)), \
                 max(completed_sessions_count) from marts.session_metrics_by_minute";
    assert_eq!(asked(&config, count), "[[4328,4328,4327,1]]");
}

/// What an administrator is given to run makes what a claim would: then it makes nothing.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn the_printed_script_makes_all_that_a_claim_needs() {
    let config = configured();
    let script = deltamart::sink::snowflake::ddl::script(all(), &config);
    for statement in
        script.iter().filter(|sql| ["CREATE SCHEMA", "CREATE T", "CREATE V"].iter().any(|made| sql.starts_with(made)))
    {
        asked(&config, statement);
    }
    let mut sink = open(&config);
    sink.claim(MadeBy::Run, None).expect("claims");
    // The columns, both kinds of views, `_progress`, UPDATE, COMMIT, and DELETE of what is staged; and the views of clean
    // events, of which the stand-in keeps no comments.
    assert_eq!(sink.traffic().statements, 7 + all().raw().count() as u64);
}

/// Every table, with rows of a simulated shop: what SQLite has, Snowflake has after one commit, and then nothing differs.
#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_new_sink_is_given_what_another_has() {
    let config = configured();
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_deltamart"));
    run.current_dir(folder.path()).args(["--events", "4000", "--rate", "0", "--days", "1", "--warehouse", "shop.db"]);
    assert!(run.output().expect("runs").status.success());
    let mut shop = Sqlite::open(all(), &folder.path().join("shop.db")).expect("opens");
    let mut sink = open(&config);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let started = std::time::Instant::now();
    let given = reconcile(&mut shop, &mut sink, &claim, Differ::InAnything, |epoch| epoch + 2).expect("reconciles");
    let (traffic, took) = (sink.traffic(), started.elapsed());
    let rows: usize = given.deltas.values().map(Deltas::len).sum();
    eprintln!("{rows} rows of {} tables: {traffic:?} in {took:?}", given.deltas.len());
    assert!(given.deltas.len() >= 17, "{:?}", given.deltas.keys());
    assert!(
        traffic.statements as usize <= 4 + 2 + 2 * given.deltas.len() + traffic.bytes as usize / 500_000,
        "{traffic:?}"
    );
    for id in all().tables() {
        assert_eq!(
            differences(&mut shop, &mut sink, *id, Differ::InAnything).expect("readable"),
            [],
            "{}",
            id.table().name
        );
    }
    // Keys of two and three columns, page by page.
    for id in [table("user_registration_metrics"), table("movie_sale_lines"), table("rating_events")] {
        let (mut seen, mut after) = (Vec::new(), None::<Vec<Value>>);
        loop {
            let page = sink.page(id, after.as_deref(), 7).expect("readable");
            let Some(last) = page.last() else { break };
            after = Some(last[..id.table().key_columns].to_vec());
            seen.extend(page);
        }
        assert!(seen.len() > 14 && seen == shop.page(id, None, 1_000_000).expect("readable"), "{}", id.table().name);
    }
}
