//! Who looks on at what is committed has the tables: random histories, the real warehouse, and a client that applies what it is
//! told to an empty map.

use crate::oracle::{history, roughly_ordered, steps};
use crate::support::{self, table};
use dataflows::delta::Delta;
use dataflows::table::{Kind, TableId, Value};
use deltamart::engine::{self, Job, Resume};
use deltamart::families::{SHOP, all};
use deltamart::lanes::Watermarks;
use deltamart::sink::memory::Memory;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Claim, MadeBy, Sink, Stored};
use deltamart::source::script::{Script, Step};
use deltamart::stats::Stats;
use deltamart::tap::tapped::Tapped;
use deltamart::tap::told::{Restated, Told};
use deltamart::tap::{Next, Tap};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type Tables = BTreeMap<TableId, BTreeMap<Vec<Value>, Vec<Value>>>;

/// What a client has that applied everything, and what of it the last commit restated.
#[derive(Default)]
struct Client {
    tables: Tables,
    epoch: u64,
}

impl Client {
    /// Applies a commit that follows the last one, and checks what was seen before it.
    fn apply(&mut self, told: &Told) {
        assert_eq!(told.follows, self.epoch, "none is left out, and none comes twice");
        self.epoch = told.epoch;
        for restated in &told.seen.restated {
            self.check(restated, told);
        }
        for (table, deltas) in &told.deltas {
            let rows = self.tables.entry(*table).or_default();
            for delta in deltas {
                let key = delta.key(*table).to_vec();
                if let Some(before) = told.seen.before.get(table).and_then(|before| before.get(&key)) {
                    assert_eq!(before.as_ref(), rows.get(&key), "{} before epoch {}", table.name(), told.epoch);
                }
                match &*delta {
                    Delta::Upsert(row) => drop(rows.insert(key, row.clone())),
                    Delta::Delete(_) => drop(rows.remove(&key)),
                }
            }
        }
    }

    /// What was restated was there, and is what the commit says.
    fn check(&self, restated: &Restated, told: &Told) {
        let Restated { table, key, before, after, late_ms } = restated;
        assert_eq!(before.as_ref(), self.tables.get(table).and_then(|rows| rows.get(key)));
        let delta = told.deltas[table].iter().find(|delta| delta.key(*table) == key.as_slice()).expect("it changed");
        assert_eq!(after.as_deref(), if let Delta::Upsert(row) = &*delta { Some(&row[..]) } else { None });
        assert!(*late_ms >= 0 && before != after && !restated.columns().is_empty(), "{restated:?}");
    }

    /// The rows of windows whose end stands in the row: those that a commit restated, by plain looking.
    fn restated(&self, told: &Told, watermarks: &Watermarks) -> Vec<(TableId, Vec<Value>)> {
        let watermark = watermarks.of(SHOP.name());
        let mut found = Vec::new();
        for name in ["user_registration_metrics", "checkout_metrics"] {
            let table = table(name);
            for delta in told.deltas.get(&table).into_iter().flatten() {
                let key = delta.key(table).to_vec();
                let before = self.tables.get(&table).and_then(|rows| rows.get(&key));
                let after = if let Delta::Upsert(row) = &*delta { Some(row) } else { None };
                let row = before.or(after).expect("one of them");
                let has_ended = matches!(row[2], Value::Instant(end) if end <= watermark);
                // Without `is_final`, which the watermark makes true.
                if has_ended && before.map(|row| &row[..4]) != after.map(|row| &row[..4]) {
                    found.push((table, key));
                }
            }
        }
        found
    }
}

/// Runs a script into a warehouse in a file, beside which a log of commits is kept.
fn run(tap: &Arc<Tap>, steps: Vec<Step>, options: support::Options) -> (tempfile::TempDir, Sqlite, Memory) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.db");
    let mut sink = Sqlite::open(all(), &path).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claimed");
    let (memory, stats) = (Memory::default(), Arc::new(Stats::default()));
    let beside: Claim = memory.clone().claim(MadeBy::Run, Some(&claim)).expect("claimed");
    stats.set_tap(Arc::clone(tap));
    let tapped = Tapped::new(all(), Box::new(sink), Arc::clone(tap));
    let sinks: Vec<(Box<dyn Sink>, _)> = vec![(Box::new(tapped), claim), (Box::new(memory.clone()), beside)];
    let source = Script::new(support::partitions(2), steps);
    engine::run(Job {
        sources: vec![Box::new(source)],
        sinks,
        keep: None,
        options: options.engine(),
        resume: Resume::default(),
        stop: Arc::default(),
        stats,
    })
    .expect("runs to its end");
    let sink = Sqlite::open_to_read(all(), &path).expect("opens");
    (folder, sink, memory)
}

/// The rows of the tables whose rows are upserted.
fn stored(sink: &mut Sqlite) -> Tables {
    let upserted = all().tables().iter().filter(|table| table.table().kind() == Kind::Upsert);
    let of = |table: &TableId| {
        let rows = sink.page(*table, None, usize::MAX >> 1).expect("readable");
        let keyed = rows.into_iter().map(|row| (row[..table.table().key_columns].to_vec(), row));
        (*table, keyed.collect::<BTreeMap<_, _>>())
    };
    upserted.map(of).filter(|(_, rows)| !rows.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: support::histories(12).min(24), max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_makes_the_tables(
        (span, history) in history(1..120),
        disorder in prop_oneof![Just(0u16), Just(200), Just(2000)],
        workers in 1usize..=2,
        is_seen in any::<bool>(),
        bytes in prop_oneof![Just(1usize << 24), Just(6_000)],
    ) {
        let mut steps = steps(&roughly_ordered(history, disorder), 2, 5);
        steps.push(Step::End);
        let mut options = support::one_commit_per_epoch(support::options(workers));
        options.settings = span.settings(options.settings);
        let tap = Arc::new(Tap::keeping(bytes));
        let looking = is_seen.then(|| tap.look());
        let (_folder, mut sink, memory) = run(&tap, steps, options);
        let stored = stored(&mut sink);
        let log = memory.contents().log.clone();
        let before = |epoch| log.iter().rev().find(|commit| commit.epoch < epoch).map(|commit| commit.watermarks.clone());
        let (mut client, mut gaps) = (Client::default(), 0);
        loop {
            match tap.after(client.epoch) {
                Next::Nothing => break,
                Next::Gap(from, to) => {
                    // It reads the tables again; here, what they were then.
                    prop_assert_eq!((from, gaps), (0, 0), "of what is kept nothing is left out");
                    gaps += 1;
                    for commit in log.iter().filter(|commit| commit.epoch <= to) {
                        let (follows, epoch, deltas) = (client.epoch, commit.epoch, commit.deltas.clone());
                        client.apply(&Told { follows, epoch, clock_ms: 0, deltas, seen: Default::default(), bytes: 0 });
                    }
                }
                Next::Commit(told) => {
                    prop_assert!(!is_seen || told.seen.before.values().map(BTreeMap::len).sum::<usize>()
                        == told.deltas.iter().filter(|(table, _)| table.table().kind() == Kind::Upsert)
                            .map(|(_, deltas)| deltas.len()).sum::<usize>());
                    let expected = client.restated(&told, &before(told.epoch).unwrap_or_default());
                    let names = [table("user_registration_metrics"), table("checkout_metrics")];
                    let said: Vec<_> = told.seen.restated.iter().filter(|restated| names.contains(&restated.table))
                        .map(|restated| (restated.table, restated.key.clone())).collect();
                    prop_assert_eq!(said.len(), expected.len(), "{:?} {:?}", said, expected);
                    prop_assert!(expected.iter().all(|one| said.contains(one)), "{:?} {:?}", said, expected);
                    client.apply(&told);
                }
            }
        }
        client.tables.retain(|_, rows| !rows.is_empty());
        prop_assert_eq!(client.tables, stored);
        prop_assert!(gaps == 0 || bytes < 1 << 20);
        drop(looking);
        prop_assert!(!tap.is_seen());
    }
}

fn commit(tap: &Tap, follows: u64, rows: usize) {
    let row = |n: usize| Delta::Upsert(vec![Value::Integer(n as i64)]);
    let deltas = BTreeMap::from([(table("users"), (0..rows).map(row).collect())]);
    tap.take(deltamart::sink::Commit {
        follows,
        epoch: follows + 2,
        clock_ms: 0,
        watermarks: Watermarks::NONE,
        positions: BTreeMap::new(),
        deltas,
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    });
}

#[test]
fn who_comes_back_misses_nothing_or_is_told_what() {
    let tap = Tap::keeping(1 << 20);
    let of = |next: Next| match next {
        Next::Nothing => "nothing".to_owned(),
        Next::Commit(told) => format!("{} after {}", told.epoch, told.follows),
        Next::Gap(from, to) => format!("gap {from} to {to}"),
    };
    let after = |epoch| of(tap.after(epoch));
    // A client is back before the run has begun: it waits.
    assert_eq!(after(40), "nothing");
    tap.begins_at(40, &Watermarks::NONE);
    assert_eq!([after(40), after(38), after(42)], ["nothing", "gap 38 to 40", "gap 42 to 40"]);
    commit(&tap, 40, 1);
    commit(&tap, 42, 1);
    assert_eq!([after(40), after(42), after(44), after(0)], ["42 after 40", "44 after 42", "nothing", "gap 0 to 40"]);
    assert!(tap.is_same(table("movies_catalog"), 40, 44) && !tap.is_same(table("users"), 42, 44));
    assert!(tap.is_same(table("users"), 44, 44) && !tap.is_same(table("users"), 44, 46), "nobody knows yet");
    assert!(!tap.is_same(table("movies_catalog"), 38, 44), "it was before this run");
    // The same run goes on with more partitions: nothing is lost. Tables were changed at rest: something is.
    tap.begins_at(44, &Watermarks::NONE);
    assert_eq!(after(40), "42 after 40");
    tap.begins_at(46, &Watermarks::NONE);
    assert_eq!([after(44), after(46)], ["gap 44 to 46", "nothing"]);
    // One that is too large is told as what it is.
    commit(&tap, 46, 10_001);
    assert_eq!([after(46), after(48)], ["gap 46 to 48", "nothing"]);
    commit(&tap, 48, 1);
    assert_eq!(after(48), "50 after 48");
    let small = Tap::keeping(0);
    small.begins_at(0, &Watermarks::NONE);
    commit(&small, 0, 1);
    assert_eq!(of(small.after(0)), "gap 0 to 2");
}
