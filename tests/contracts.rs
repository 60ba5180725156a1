//! One suite for every sink, one for every source.

use crate::support::table;
use crate::support::{self, needed};
use dataflows::delta::Delta;
use dataflows::deltas::{Deltas, Page};
use dataflows::packed;
use dataflows::table::{Column, Kind, Table, TableId, Type, Value};
use deltamart::config::Config;
use deltamart::config::feed::Feed;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::reconcile::{Differ, differences};
use deltamart::simulate::{SAMPLE, Simulator, items_of};
use deltamart::sink::kafka::Kafka;
use deltamart::sink::memory::Memory;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::purge::{Purge, Purged};
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Claim, Commit, MadeBy, SinkError, Warehouse};
use deltamart::source::chain::Chain;
use deltamart::source::files::Files;
use deltamart::source::movies::Movies;
use deltamart::source::script::{Script, Step};
use deltamart::source::{Poll, Source};
use std::collections::BTreeMap;

type Check = fn(Box<dyn Warehouse>, Box<dyn Warehouse>);

/// Over each sink that needs no server. Two handles on one store: the second is another process.
fn here(check: Check) {
    let memory = Memory::default();
    check(Box::new(memory.clone()), Box::new(memory));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("contract.db");
    let open = || Box::new(Sqlite::open(all(), &path).expect("opens"));
    check(open(), open());
    // Files so small, and merged so often, that nothing fits into one.
    for (rows_per_file, merge_runs) in [(1_000_000, 8), (2, 2)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("feed").display().to_string();
        let settings = Feed { path, rows_per_file, merge_runs, ..Feed::default() };
        let open = || Box::new(Parquet::open(all(), &settings).expect("opens"));
        check(open(), open());
    }
}

fn in_kafka(check: Check) {
    let mut config = Config::default();
    config.publish.prefix = format!("contract-{}.", uuid::Uuid::new_v4());
    (config.publish.brokers, config.registry.url) = (needed("DELTAMART_BROKERS"), needed("DELTAMART_REGISTRY"));
    let open = || Box::new(Kafka::open(all(), &config).expect("opens"));
    check(open(), open());
}

#[cfg(feature = "snowflake")]
fn in_snowflake(check: Check) {
    let config = crate::snowflake::configured();
    let open = || Box::new(crate::snowflake::open(&config));
    check(open(), open());
}

/// A contract by each sink: a test of those that need no server, and one of each that does.
macro_rules! contracts {
    ($($name:ident,)*) => {$(
        mod $name {
            #[test]
            fn here() {
                super::here(super::$name);
            }

            #[test]
            #[ignore = "needs Kafka (scripts/with-stack)"]
            fn in_kafka() {
                super::in_kafka(super::$name);
            }

            #[cfg(feature = "snowflake")]
            #[test]
            #[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
            fn in_snowflake() {
                super::in_snowflake(super::$name);
            }
        }
    )*};
}

contracts! {
    rows_and_progress_go_together_and_again_changes_nothing,
    a_run_that_was_superseded_or_skips_an_epoch_writes_nothing,
    deltas_change_also_what_is_otherwise_only_added_to,
    every_type_comes_back_as_it_went,
    what_is_deleted_can_come_again_and_what_is_added_twice_is_there_once,
    what_is_left_of_deleted_rows_is_removed_and_nothing_else,
    many_commits_leave_the_last_of_each_row,
    every_table_takes_its_own_types_and_nulls,
    pages_follow_each_other_and_a_store_does_not_differ_from_itself,
}

/// Kafka leaves it to its brokers.
mod what_is_old_is_removed_and_nothing_else {
    #[test]
    fn here() {
        super::here(super::what_is_old_is_removed_and_nothing_else);
    }

    #[cfg(feature = "snowflake")]
    #[test]
    #[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
    fn in_snowflake() {
        super::in_snowflake(super::what_is_old_is_removed_and_nothing_else);
    }
}

fn user(id: i64, email: &str) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.into());
    vec![Value::Integer(id), Value::Instant(1_767_571_200_123), Value::Integer(30), text(email), text("")]
}

fn movie(id: &str, title: &str, price: Value) -> Vec<Value> {
    let mut row = vec![Value::Text(id.into()), Value::Instant(5), Value::Text(title.into()), price];
    row.resize(table("movies_catalog").table().columns.len(), Value::Null);
    for (column, value) in table("movies_catalog").table().columns.iter().zip(&mut row) {
        if !column.nullable && *value == Value::Null {
            *value = Value::Text("[]".into());
        }
    }
    row
}

fn rejected(offset: i64, raw: &[u8]) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.into());
    let place = [text("topic"), Value::Integer(0), Value::Integer(offset)];
    let rest =
        [Value::Null, Value::Integer(7), text("undecodable"), text("why"), Value::Bytes(raw.into()), Value::Instant(9)];
    place.into_iter().chain(rest).collect()
}

fn commit(follows: u64, epoch: u64) -> Commit {
    Commit {
        follows,
        epoch,
        clock_ms: 1_000 + epoch as i64,
        // Of several families the least stands beside them.
        watermarks: Watermarks(
            [("shop", 100), ("toys", 0)].map(|(of, more)| (of.to_owned(), epoch as i64 + more)).into(),
        ),
        positions: BTreeMap::from([("topic/0".to_owned(), epoch as i64)]),
        deltas: BTreeMap::new(),
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

fn rows(sink: &mut dyn Warehouse, table: TableId) -> Vec<Vec<Value>> {
    sink.page(table, None, 1_000).expect("readable")
}

fn rows_and_progress_go_together_and_again_changes_nothing(
    mut sink: Box<dyn Warehouse>,
    mut reader: Box<dyn Warehouse>,
) {
    assert_eq!(sink.position().expect("asks"), None);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    assert_eq!(claim.generation, 1);
    let mut first = commit(0, 4);
    first.deltas.insert(table("users"), vec![Delta::Upsert(user(1, "a")), Delta::Upsert(user(2, "b"))].into());
    first.appends.insert(table("rejected_events"), vec![rejected(1, b"x"), rejected(2, b"y")]);
    sink.apply(&claim, &first).expect("applies");
    sink.apply(&claim, &first).expect("again is no error");
    let mut second = commit(4, 6);
    second
        .deltas
        .insert(table("users"), vec![Delta::Delete(vec![Value::Integer(1)]), Delta::Upsert(user(2, "c"))].into());
    second.appends.insert(table("rejected_events"), vec![rejected(2, b"y")]);
    sink.apply(&claim, &second).expect("applies");
    sink.apply(&claim, &first).expect("an old one is no error and no change");
    assert_eq!(rows(&mut *reader, table("users")), [user(2, "c")]);
    let kept = rows(&mut *reader, table("rejected_events"));
    assert_eq!(kept, [rejected(1, b"x"), rejected(2, b"y")], "added again as they were, rows do not change");
    let progress = reader.position().expect("asks").expect("claimed");
    assert_eq!((progress.epoch, &progress.watermarks, progress.committed_at), (6, &commit(4, 6).watermarks, 1_006));
    assert_eq!(progress.positions, second.positions);
}

fn a_run_that_was_superseded_or_skips_an_epoch_writes_nothing(
    mut zombie: Box<dyn Warehouse>,
    mut sink: Box<dyn Warehouse>,
) {
    let old = zombie.claim(MadeBy::Run, None).expect("claims");
    let claim = sink.claim(MadeBy::Run, None).expect("claims again");
    assert_eq!((claim.generation, &claim.pipeline_id), (old.generation + 1, &old.pipeline_id));
    let mut late = commit(0, 2);
    late.deltas.insert(table("users"), vec![Delta::Upsert(user(1, "zombie"))].into());
    assert!(matches!(zombie.apply(&old, &late), Err(SinkError::Fenced { .. })));
    let stranger = Claim { pipeline_id: "other".into(), ..claim.clone() };
    assert!(matches!(sink.apply(&stranger, &late), Err(SinkError::Fenced { .. })));
    assert!(matches!(sink.apply(&claim, &commit(8, 10)), Err(SinkError::Fenced { .. })), "a gap");
    assert_eq!(rows(&mut *sink, table("users")), Vec::<Vec<Value>>::new());
    sink.apply(&claim, &commit(0, 2)).expect("the right one applies");
    // What made a store is what first committed to it.
    sink.claim(MadeBy::Batch, None).expect("claims");
    assert_eq!(sink.position().expect("asks").expect("claimed").made_by, MadeBy::Run);
}

fn deltas_change_also_what_is_otherwise_only_added_to(mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut first = commit(0, 2);
    first.appends.insert(table("rejected_events"), vec![rejected(1, b"x"), rejected(2, b"y")]);
    sink.apply(&claim, &first).expect("applies");
    let mut second = commit(2, 4);
    let gone = Delta::Delete(rejected(1, b"x")[..3].to_vec());
    second.deltas.insert(table("rejected_events"), vec![gone, Delta::Upsert(rejected(2, b"z"))].into());
    second.appends.insert(table("rejected_events"), vec![rejected(2, b"y"), rejected(3, b"w")]);
    sink.apply(&claim, &second).expect("applies");
    assert_eq!(rows(&mut *reader, table("rejected_events")), [rejected(2, b"z"), rejected(3, b"w")]);
}

fn every_type_comes_back_as_it_went(mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let long = "x".repeat(1 << 20);
    let texts = ["", "it's \"quoted\"", "snow ☃ 🦀 ქართული", "tab\tline\nend", "nul\0inside", &long];
    let made_by = |sink: &mut dyn Warehouse| sink.position().expect("asks").expect("claimed").made_by;
    for by in [MadeBy::Simulator, MadeBy::Run] {
        sink.claim(by, None).expect("claims");
        assert_eq!(made_by(&mut *reader), by);
    }
    let claim = sink.claim(MadeBy::Batch, None).expect("claims");
    let mut whole = commit(0, 2);
    let users: Vec<_> = texts.iter().enumerate().map(|(n, text)| user(n as i64, text)).collect();
    let cents = [
        Value::Null,
        Value::Cents(0),
        Value::Cents(1),
        Value::Cents(129_999),
        Value::Cents(-5),
        Value::Cents(999_999_999_999_999),
    ];
    let mut movies: Vec<_> =
        cents.iter().enumerate().map(|(n, price)| movie(&n.to_string(), "t", price.clone())).collect();
    movies.sort();
    whole.deltas.insert(table("users"), users.iter().cloned().map(Delta::Upsert).collect());
    whole.deltas.insert(table("movies_catalog"), movies.iter().cloned().map(Delta::Upsert).collect());
    whole.appends.insert(table("rejected_events"), vec![rejected(1, &[0, 255, 128])]);
    sink.apply(&claim, &whole).expect("applies");
    assert_eq!(rows(&mut *reader, table("users")), users);
    assert_eq!(rows(&mut *reader, table("movies_catalog")), movies);
    assert_eq!(rows(&mut *reader, table("rejected_events")), [rejected(1, &[0, 255, 128])]);
    assert_eq!(made_by(&mut *reader), MadeBy::Batch);
}

fn what_is_deleted_can_come_again_and_what_is_added_twice_is_there_once(
    mut sink: Box<dyn Warehouse>,
    mut reader: Box<dyn Warehouse>,
) {
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let key = |offset| rejected(offset, b"")[..3].to_vec();
    let mut first = commit(0, 2);
    first.appends.insert(table("rejected_events"), vec![rejected(3, b"b"), rejected(9, b"a")]);
    sink.apply(&claim, &first).expect("applies");
    assert_eq!(rows(&mut *reader, table("rejected_events")), [rejected(3, b"b"), rejected(9, b"a")]);
    // As a rebuild does: rows that were added are changed and deleted.
    let mut second = commit(2, 4);
    second.deltas.insert(
        table("rejected_events"),
        vec![Delta::Upsert(rejected(3, b"changed")), Delta::Delete(key(9)), Delta::Delete(key(99))].into(),
    );
    sink.apply(&claim, &second).expect("applies");
    assert_eq!(rows(&mut *reader, table("rejected_events")), [rejected(3, b"changed")]);
    let mut third = commit(4, 6);
    third
        .deltas
        .insert(table("rejected_events"), vec![Delta::Delete(key(3)), Delta::Upsert(rejected(4, b"up"))].into());
    let added = [(3, b"again"), (4, b"no..."), (9, b"again")].map(|(o, r)| rejected(o, r));
    third.appends.insert(table("rejected_events"), added.into());
    sink.apply(&claim, &third).expect("applies");
    let expected = [rejected(3, b"again"), rejected(4, b"up"), rejected(9, b"again")];
    assert_eq!(rows(&mut *reader, table("rejected_events")), expected);
}

fn what_is_left_of_deleted_rows_is_removed_and_nothing_else(
    mut sink: Box<dyn Warehouse>,
    mut reader: Box<dyn Warehouse>,
) {
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut first = commit(0, 2);
    first.deltas.insert(table("users"), vec![Delta::Upsert(user(1, "a")), Delta::Upsert(user(2, "b"))].into());
    first.appends.insert(table("rejected_events"), vec![rejected(1, b"x"), rejected(2, b"y")]);
    sink.apply(&claim, &first).expect("applies");
    let mut second = commit(2, 4);
    second.deltas.insert(table("users"), vec![Delta::Upsert(user(1, "later"))].into());
    sink.apply(&claim, &second).expect("applies");
    let mut last = commit(4, 6);
    last.deltas.insert(table("users"), vec![Delta::Delete(user(1, "")[..1].to_vec())].into());
    last.deltas.insert(table("rejected_events"), vec![Delta::Delete(rejected(1, b"")[..3].to_vec())].into());
    sink.apply(&claim, &last).expect("applies");
    let was = |id: TableId, row: &[Value]| match id.name() {
        "users" => row[0] == Value::Integer(1),
        "rejected_events" => row[2] == Value::Integer(1),
        _ => false,
    };
    sink.scrub(&claim, &was).expect("removes");
    sink.scrub(&claim, &was).expect("again is no error");
    assert_eq!(rows(&mut *reader, table("users")), [user(2, "b")]);
    assert_eq!(rows(&mut *reader, table("rejected_events")), [rejected(2, b"y")]);
    let mut next = commit(6, 8);
    next.deltas.insert(table("users"), vec![Delta::Upsert(user(1, "again"))].into());
    next.appends.insert(table("rejected_events"), vec![rejected(3, b"z")]);
    sink.apply(&claim, &next).expect("goes on");
    assert_eq!(rows(&mut *reader, table("users")), [user(1, "again"), user(2, "b")]);
    assert_eq!(rows(&mut *reader, table("rejected_events")), [rejected(2, b"y"), rejected(3, b"z")]);
}

/// The same rows, written down, in the order of keys.
fn written_down(deltas: &Deltas, key_columns: usize) -> Deltas {
    let mut page = Page::default();
    for delta in deltas {
        page.push(matches!(*delta, Delta::Upsert(_)), |out| {
            delta.values()[..key_columns].iter().for_each(|value| packed::push(value, out));
            let key = out.len();
            delta.values()[key_columns..].iter().for_each(|value| packed::push(value, out));
            key
        });
    }
    Deltas::of(page).last_of_each_key(key_columns)
}

fn many_commits_leave_the_last_of_each_row(mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut model = BTreeMap::new();
    for number in 1..=40_u64 {
        let mut next = commit(2 * number - 2, 2 * number);
        let ids = [number as i64 % 7, 7 + number as i64 % 5, 100 + number as i64];
        let deltas =
            ids.map(|id| if (id + number as i64) % 4 == 0 { Err(id) } else { Ok(user(id, &number.to_string())) });
        for delta in &deltas {
            match delta {
                Ok(row) => drop(model.insert(row[0].clone(), row.clone())),
                Err(id) => drop(model.remove(&Value::Integer(*id))),
            }
        }
        let deltas = deltas.map(|delta| match delta {
            Ok(row) => Delta::Upsert(row),
            Err(id) => Delta::Delete(vec![Value::Integer(id)]),
        });
        let deltas: Deltas = deltas.into_iter().collect();
        // However they are there.
        let deltas = if number % 2 == 0 { written_down(&deltas, 1) } else { deltas.last_of_each_key(1) };
        next.deltas.insert(table("users"), deltas);
        sink.apply(&claim, &next).expect("applies");
        assert_eq!(rows(&mut *reader, table("users")), model.values().cloned().collect::<Vec<_>>(), "{number}");
    }
}

fn every_table_takes_its_own_types_and_nulls(mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let value = |column: &Column, n: i64| match column.ty {
        Type::Integer => Value::Integer(n - 1),
        Type::Boolean => Value::Boolean(n % 2 == 0),
        Type::Instant => Value::Instant(1_767_571_200_000 + n),
        Type::Money => Value::Cents(-n),
        Type::Milli => Value::Milli(n * 1_001),
        Type::Share => Value::Share(n * 101),
        Type::Text => Value::Text(format!("text {n}")),
        Type::Json => Value::Text(format!("[{n}]")),
        Type::Bytes => Value::Bytes(n.to_le_bytes().into()),
    };
    let row = |table: &Table, n: i64| -> Vec<Value> {
        let columns = table.columns.iter();
        columns.map(|column| if column.nullable && n == 2 { Value::Null } else { value(column, n) }).collect()
    };
    let mut whole = commit(0, 2);
    for id in all().tables() {
        let mut of_table: Vec<_> = (1..=3).map(|n| row(id.table(), n)).collect();
        of_table.sort();
        of_table.dedup_by(|a, b| a[..id.table().key_columns] == b[..id.table().key_columns]);
        match id.table().kind() {
            Kind::Append => drop(whole.appends.insert(*id, of_table)),
            Kind::Upsert => drop(whole.deltas.insert(*id, of_table.into_iter().map(Delta::Upsert).collect())),
        }
    }
    sink.apply(&claim, &whole).expect("applies");
    for (id, expected) in &whole.appends {
        assert_eq!(rows(&mut *reader, *id), *expected, "{}", id.table().name);
    }
    for (id, deltas) in &whole.deltas {
        let stored = rows(&mut *reader, *id).into_iter().map(Delta::Upsert).collect::<Deltas>();
        assert_eq!(stored, *deltas, "{}", id.table().name);
    }
}

fn pages_follow_each_other_and_a_store_does_not_differ_from_itself(
    mut sink: Box<dyn Warehouse>,
    mut reader: Box<dyn Warehouse>,
) {
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut all = commit(0, 2);
    let many: Vec<_> = (-3..40).map(|id| user(id, "x")).collect();
    all.deltas.insert(table("users"), many.iter().cloned().map(Delta::Upsert).collect());
    sink.apply(&claim, &all).expect("applies");
    let (mut seen, mut after) = (Vec::new(), None::<Vec<Value>>);
    loop {
        let page = reader.page(table("users"), after.as_deref(), 7).expect("readable");
        let Some(last) = page.last() else { break };
        after = Some(last[..1].to_vec());
        seen.extend(page);
    }
    assert_eq!(seen, many);
    assert_eq!(differences(&mut *reader, &mut *sink, table("users"), Differ::InAnything).expect("readable"), []);
}

/// A row that is added, of this age, where it grows old.
fn aged(id: TableId, partition: i64, offset: i64, at: i64) -> Vec<Value> {
    let value = |column: &Column| match (column.name, column.ty) {
        ("_partition", _) => Value::Integer(partition),
        ("_offset", _) => Value::Integer(offset),
        (_, Type::Instant) => Value::Instant(at),
        _ if column.nullable => Value::Null,
        (_, Type::Integer) => Value::Integer(1),
        (_, Type::Bytes) => Value::Bytes([7].into()),
        _ => Value::Text("[]".into()),
    };
    id.table().columns.iter().map(value).collect()
}

/// Removes to its end, and tells how many rows.
fn purge(sink: &mut dyn Warehouse, claim: &Claim, tables: &[TableId], before: i64) -> Result<u64, SinkError> {
    let purge = Purge { before: tables.iter().map(|id| (*id, before)).collect() };
    let mut rows = 0;
    loop {
        let Purged { rows: removed, is_done } = sink.purge(claim, &purge)?;
        rows += removed;
        if is_done {
            return Ok(rows);
        }
    }
}

fn what_is_old_is_removed_and_nothing_else(mut sink: Box<dyn Warehouse>, mut reader: Box<dyn Warehouse>) {
    let added = || all().tables().iter().copied().filter(|id| id.table().kind() == Kind::Append);
    let aging: Vec<_> = added().filter(|id| id.table().age().is_some()).collect();
    assert_eq!(aging.len(), 6);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let commits = [
        (commit(0, 2), vec![(0, 1, 1_000), (0, 2, 2_000), (0, 3, 3_000), (1, 9, 1_500)]),
        (commit(2, 4), vec![(0, 4, 10_000), (0, 5, 11_000), (1, 10, 12_000)]),
        (commit(4, 6), vec![(0, 6, 20_000), (1, 11, 21_000)]),
    ];
    let of = |id: TableId, rows: &[(i64, i64, i64)]| -> Vec<_> {
        rows.iter().map(|(partition, offset, at)| aged(id, *partition, *offset, *at)).collect()
    };
    let commits = commits.map(|(mut commit, rows)| {
        commit.appends = added().map(|id| (id, of(id, &rows))).collect();
        commit.deltas.insert(table("users"), vec![Delta::Upsert(user(commit.epoch as i64, "a"))].into());
        commit
    });
    sink.apply(&claim, &commits[0]).expect("applies");
    sink.apply(&claim, &commits[1]).expect("applies");
    let progress = reader.position().expect("asks");
    assert_eq!(purge(&mut *sink, &claim, &aging, 1_000).expect("removes"), 0, "nothing is older than that");
    assert_eq!(purge(&mut *sink, &claim, &aging, 5_000).expect("removes"), 6 * 4);
    assert_eq!(purge(&mut *sink, &claim, &aging, 5_000).expect("again is no error"), 0);
    sink.apply(&claim, &commits[0]).expect("an old one is no error and no change");
    assert_eq!(reader.position().expect("asks"), progress);
    sink.apply(&claim, &commits[2]).expect("applies");
    let left = |rows: &[&[(i64, i64, i64)]], id| {
        let mut left = of(id, &rows.concat());
        left.sort();
        left
    };
    let (old, middle, young): (&[_], &[_], &[_]) = (
        &[(0, 1, 1_000), (0, 2, 2_000), (0, 3, 3_000), (1, 9, 1_500)],
        &[(0, 4, 10_000), (0, 5, 11_000), (1, 10, 12_000)],
        &[(0, 6, 20_000), (1, 11, 21_000)],
    );
    for id in added() {
        let expected = match id.table().age() {
            Some(_) => left(&[middle, young], id),
            None => left(&[old, middle, young], id),
        };
        assert_eq!(rows(&mut *reader, id), expected, "{}", id.table().name);
    }
    assert_eq!(rows(&mut *reader, table("users")).len(), 3);
    // Only the tables that are named; and of a run that was superseded, nothing.
    let next = reader.claim(MadeBy::Run, None).expect("claims");
    for before in [5_000, 15_000, 50_000] {
        assert!(matches!(purge(&mut *sink, &claim, &aging, before), Err(SinkError::Fenced { .. })));
    }
    assert_eq!(purge(&mut *reader, &next, &[table("late_events")], 15_000).expect("removes"), 3);
    assert_eq!(rows(&mut *sink, table("late_events")), left(&[young], table("late_events")));
    assert_eq!(rows(&mut *sink, table("rejected_events")), left(&[middle, young], table("rejected_events")));
    assert_eq!(purge(&mut *reader, &next, &aging, 50_000).expect("removes"), 2 + 5 * 5);
    for id in added() {
        assert_eq!(rows(&mut *sink, id).is_empty(), id.table().age().is_some(), "{}", id.table().name);
    }
    // What is added again is there again: nobody remembers it.
    let mut again = commit(6, 8);
    again.appends.insert(table("late_events"), of(table("late_events"), old));
    reader.apply(&next, &again).expect("applies");
    assert_eq!(rows(&mut *sink, table("late_events")), left(&[old], table("late_events")));
}

/// A record as `(topic, partition, offset, payload)`.
type Seen = (String, i32, i64, Vec<u8>);

/// Reads a source to its end.
fn read(mut source: Box<dyn Source>, max_records: usize) -> Vec<Seen> {
    let partitions = source.partitions();
    let mut seen = Vec::new();
    loop {
        match source.poll(max_records).expect("readable") {
            Poll::Records(batch) => {
                assert!(!batch.records.is_empty() && batch.records.len() <= max_records);
                seen.extend(batch.records.iter().map(|record| {
                    let partition = &partitions[record.partition as usize];
                    (
                        partition.topic.clone(),
                        partition.partition,
                        record.offset,
                        batch.bytes[record.payload.clone()].to_vec(),
                    )
                }));
            }
            Poll::End => {
                assert!(matches!(source.poll(1), Ok(Poll::End)), "the end is the end");
                return seen;
            }
            Poll::Status(partition, _) => assert!((partition as usize) < partitions.len()),
            Poll::Cut | Poll::Skipped | Poll::Idle => {}
        }
    }
}

#[test]
fn a_source_that_seeks_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["a.jsonl", "b.jsonl"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], "one\n\n  \ntwo\r\nthree").expect("writes");
    std::fs::write(&paths[1], "four\nfive\n").expect("writes");
    let catalog = || Box::new(Movies::text("Movies.txt", SAMPLE, 0));
    let mut config = Config::default();
    (config.simulate.events, config.simulate.rate) = (500, 0);
    let step = |n: u32| Step::Record(n % 2, n.to_string().into_bytes());
    type Make = Box<dyn Fn() -> Box<dyn Source>>;
    let sources: Vec<(&str, Make)> = vec![
        (
            "script",
            Box::new(move || {
                let steps = (0..20).map(step).chain([Step::Idle, Step::Cut, Step::End, Step::End]);
                Box::new(Script::new(support::partitions(2), steps))
            }),
        ),
        (
            "files",
            Box::new({
                let paths = paths.clone();
                move || Box::new(Files::new(&paths).expect("opens"))
            }),
        ),
        ("movies", Box::new(move || catalog())),
        (
            "chain",
            Box::new({
                let paths = paths.clone();
                move || Box::new(Chain::new(vec![catalog(), Box::new(Files::new(&paths).expect("opens"))]))
            }),
        ),
        ("simulator", Box::new(move || Box::new(Simulator::new(&config, items_of(*catalog()).expect("items"))))),
    ];
    for (name, make) in sources {
        let whole = read(make(), 3);
        assert!(whole.len() >= 5, "{name}");
        assert_eq!(read(make(), 1_000), whole, "{name}: the size of a poll does not matter");
        for at in [0, 1, whole.len() / 2, whole.len()] {
            let mut source = make();
            let partitions = source.partitions();
            let number = |seen: &Seen| {
                let found = partitions.iter().position(|p| (&p.topic, p.partition) == (&seen.0, seen.1));
                found.expect("a known partition") as u32
            };
            let next: BTreeMap<u32, i64> = whole[..at].iter().map(|seen| (number(seen), seen.2 + 1)).collect();
            source.seek(&next.into_iter().collect::<Vec<_>>()).expect("seeks");
            assert_eq!(read(source, 7), whole[at..], "{name} from {at}");
        }
    }
}

#[test]
fn lines_are_numbered_as_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "one\n\n  \ntwo\r\nthree").expect("writes");
    let seen = read(Box::new(Files::new(&[path]).expect("opens")), 10);
    let lines: Vec<_> =
        seen.iter().map(|(_, _, line, text)| (*line, String::from_utf8_lossy(text).into_owned())).collect();
    assert_eq!(lines, [(1, "one".to_owned()), (4, "two".to_owned()), (5, "three".to_owned())]);
}
