//! What is not kept forever goes, when it is time, and no metric knows.

use crate::bounded::event;
use crate::support::table;
use crate::support::{self, CLOCK_MS, Call, HOUR_MS, Hooked, Options};
use dataflows::shop::Settings;
use dataflows::table::{Kind, TableId, Value};
use deltamart::config::feed::Feed;
use deltamart::config::retention::Retention;
use deltamart::engine::{self, Job, Resume};
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::memory::Memory;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::purge::{Purge, Purged};
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Claim, Commit, MadeBy, Sink, SinkError, Stored, Warehouse};
use deltamart::source::script::{Script, Step};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const DAY_MS: i64 = 24 * HOUR_MS;

/// So long every epoch lasts, and longer: its clock is asked at least once.
fn options(retention: Retention, epoch_ms: i64) -> Options {
    let clock = AtomicI64::new(CLOCK_MS);
    let mut options = support::one_commit_per_epoch(support::options(2));
    options.settings = Settings { segments: support::segments(HOUR_MS), ..Settings::default() };
    options.clock = Arc::new(move || clock.fetch_add(epoch_ms, Ordering::Relaxed));
    options.commit.retention = retention;
    options
}

/// Twelve days of a shop in one partition; some of it comes six days too late, some of it is nonsense.
fn days() -> Vec<Step> {
    let mut steps = Vec::new();
    for day in 0..12 {
        for n in 0..480 {
            steps.push(Step::Record(0, event(day, n).into_bytes()));
            match n % 60 {
                7 if day >= 6 => steps.push(Step::Record(0, event(day - 6, n).into_bytes())),
                8 => steps.push(Step::Record(0, b"nonsense".to_vec())),
                59 => steps.push(Step::Cut),
                _ => {}
            }
        }
    }
    steps.push(Step::End);
    steps
}

/// Every sink keeps what it must, and the metrics are what they are without any of it.
#[test]
fn metrics_do_not_depend_on_what_is_kept() {
    let retention = Retention { raw: Some(3 * DAY_MS), rejected: Some(20 * HOUR_MS), late: Some(2 * DAY_MS) };
    let mut kept = Memory::default();
    let claim = kept.claim(MadeBy::Run, None).expect("claims");
    let run = |sink: Box<dyn Sink>, claim: Claim, retention: &Retention| {
        let source = Box::new(Script::new(support::partitions(1), days()));
        let options = options(retention.clone(), HOUR_MS);
        support::run_into(vec![source], sink, claim, options, &Arc::default()).expect("runs");
    };
    run(Box::new(kept.clone()), claim, &Retention::default());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.db");
    let feed = folder.path().join("feed").display().to_string();
    let feed = Feed { path: feed, commit_interval: 0, ..Feed::default() };
    let memory = Memory::default();
    type Open<'a> = Box<dyn Fn() -> Box<dyn Warehouse> + 'a>;
    let open: [(&str, Open<'_>); 3] = [
        ("memory", Box::new(move || Box::new(memory.clone()))),
        ("SQLite", Box::new(|| Box::new(Sqlite::open(all(), &path).expect("opens")))),
        ("the feed", Box::new(|| Box::new(Parquet::open(all(), &feed).expect("opens").keeping(&retention)))),
    ];
    for (name, open) in open {
        let commits = Arc::<Mutex<Vec<Commit>>>::default();
        let noted = Arc::clone(&commits);
        let mut noting = Hooked::before(open(), move |call| {
            if let Call::Apply(_, commit) = call {
                noted.lock().expect("no panic").push(commit.clone());
            }
            Ok(())
        });
        let claim = noting.claim(MadeBy::Run, None).expect("claims");
        run(Box::new(noting), claim, &retention);
        let (commits, mut sink) = (commits.lock().expect("no panic"), open());
        let mut page = |id: TableId| sink.page(id, None, 100_000).expect("readable");
        for (id, _) in all().metrics() {
            assert!(page(*id) == kept.contents().rows(*id), "{name}: `{}` is another one", id.table().name);
        }
        let purge = Purge::after(commits.last().expect("some"), all(), &retention);
        assert_eq!(purge.before.len(), 6);
        for id in all().tables().iter().copied().filter(|id| id.table().kind() == Kind::Append) {
            let mut added: Vec<_> = commits.iter().filter_map(|commit| commit.appends.get(&id)).flatten().collect();
            added.sort();
            let (found, before) = (page(id), purge.before.get(&id).copied().unwrap_or(i64::MIN));
            let is_old = |row: &&Vec<Value>| id.table().age().is_some_and(|(at, _)| row[at] < Value::Instant(before));
            let (young, old): (Vec<_>, Vec<_>) = added.into_iter().partition(|row| !is_old(row));
            let (found_old, found_young): (Vec<_>, Vec<_>) = found.iter().partition(is_old);
            let (table, was, is) = (id.table().name, old.len(), found_old.len());
            assert!(!young.is_empty() && found_young == young, "{name}: `{table}` lacks what is young");
            assert_eq!(was > 30, id.table().age().is_some(), "{name}: `{table}` had {was} old rows");
            // Exactly, or also what came out of order, or also what one run holds.
            let may_stay = match name {
                "memory" => 0,
                "SQLite" => was / 4,
                _ => was / 2,
            };
            assert!(is <= may_stay, "{name}: of {was} old rows of `{table}` {is} stay");
        }
    }
}

/// The clock of a commit, and of what was to be removed after it.
type Told = (i64, Vec<i64>);

/// A sink that notes when it is asked, and answers purges with these answers, the last one first.
fn reluctant(sink: Memory, mut answers: Vec<Result<Purged, SinkError>>, told: &Arc<Mutex<Vec<Told>>>) -> Hooked {
    let (commits, purges) = (Arc::clone(told), Arc::clone(told));
    let hooked = Hooked::before(Box::new(sink), move |call| {
        if let Call::Apply(_, commit) = call {
            commits.lock().expect("no panic").push((commit.clock_ms, Vec::new()));
        }
        Ok(())
    });
    hooked.purging(move |purge| {
        let mut told = purges.lock().expect("no panic");
        let (_, removed) = told.last_mut().expect("a commit came before");
        removed.push(purge.before[&table("rejected_events")]);
        answers.pop().unwrap_or(Ok(Purged { rows: 0, is_done: true }))
    })
}

#[test]
fn rows_go_at_first_once_an_hour_and_at_the_end_and_no_run_ends_because_they_cannot() {
    let told = Arc::<Mutex<Vec<_>>>::default();
    let away = || SinkError::Unavailable("the table is locked".to_owned());
    let answers = vec![
        Err(SinkError::Failed("not allowed".to_owned())),
        Ok(Purged { rows: 10, is_done: false }),
        Err(away()),
        Err(away()),
    ];
    let mut sink = reluctant(Memory::default(), answers, &told);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let source = Box::new(Script::new(support::partitions(1), days()));
    let retention = Retention { rejected: Some(HOUR_MS), ..Retention::default() };
    let options = options(retention, 7 * 60_000);
    support::run_into(vec![source], Box::new(sink), claim, options, &Arc::default()).expect("runs");
    let told = told.lock().expect("no panic");
    // In the first hour nothing; then twice it was away, once it was not done to its end, and then it failed, which
    // counts for an hour.
    let (mut last, mut times, mut in_vain) = (None, 0, 3);
    for (n, (clock_ms, removed)) in told.iter().enumerate() {
        let is_old = clock_ms - told[0].0 >= HOUR_MS;
        let is_due = is_old && last.is_none_or(|last| clock_ms - last >= HOUR_MS);
        let is_last = n + 1 == told.len();
        let expected = vec![clock_ms - HOUR_MS; usize::from(is_due) + usize::from(is_last)];
        assert_eq!(*removed, expected, "after commit {n}");
        if is_due && in_vain > 0 {
            in_vain -= 1;
        } else if is_due {
            (last, times) = (Some(clock_ms), times + 1);
        }
    }
    assert!(times > 8 && times < told.len(), "{times} times in {} commits", told.len());
}

/// The clock of a machine without a battery says 2090 when it boots, or 1970: for an hour nobody is harmed by it.
#[test]
fn a_start_goes_by_the_last_commit_before_it() {
    let before_ms = CLOCK_MS;
    for boot_ms in [CLOCK_MS + 60 * 365 * DAY_MS, CLOCK_MS - 60 * 365 * DAY_MS, CLOCK_MS + HOUR_MS] {
        let told = Arc::<Mutex<Vec<_>>>::default();
        let mut memory = Memory::default();
        let claim = memory.claim(MadeBy::Run, None).expect("claims");
        let last = Commit {
            follows: 0,
            epoch: 2,
            clock_ms: before_ms,
            watermarks: Watermarks::of_shop(10),
            positions: BTreeMap::new(),
            deltas: BTreeMap::new(),
            appends: BTreeMap::new(),
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        };
        memory.apply(&claim, &last).expect("applies");
        let sink = reluctant(memory, Vec::new(), &told);
        let retention = Retention { rejected: Some(HOUR_MS), ..Retention::default() };
        let mut options = options(retention, 0);
        let clock = AtomicI64::new(boot_ms);
        options.clock = Arc::new(move || clock.fetch_add(7 * 60_000, Ordering::Relaxed));
        let job = Job {
            sources: vec![Box::new(Script::new(support::partitions(1), days()))],
            sinks: vec![(Box::new(sink), claim)],
            keep: None,
            options: options.engine(),
            resume: Resume { epoch: 2, ..Resume::default() },
            stop: Arc::default(),
            stats: Arc::default(),
        };
        engine::run(job).expect("runs");
        let told = told.lock().expect("no panic");
        let (first_ms, first) = &told[0];
        assert_eq!(*first, [before_ms - HOUR_MS], "at once, and by the last commit");
        let mut later = 0;
        for (clock_ms, removed) in &told[1..] {
            let is_early = clock_ms - first_ms < HOUR_MS;
            let by_itself = removed.iter().all(|before| *before == clock_ms - HOUR_MS);
            assert!(if is_early { removed.is_empty() } else { by_itself }, "at {clock_ms}: {removed:?}");
            later += usize::from(!removed.is_empty());
        }
        assert!(later > 8, "then by its own clock: {later} times");
    }
}

/// A batch of rows that were late, by this watermark.
fn late(partition: i64, offsets: std::ops::Range<i64>, watermark: i64) -> impl Iterator<Item = Vec<Value>> {
    offsets.map(move |offset| {
        vec![
            Value::Text("topic".to_owned()),
            Value::Integer(partition),
            Value::Integer(offset),
            Value::Instant(5),
            Value::Instant(watermark),
            Value::Bytes([1].into()),
        ]
    })
}

/// However much there is, others get their turn; and what may be missing is written down with what is removed.
#[test]
fn sqlite_removes_the_beginnings_of_partitions_in_steps_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sqlite::open(all(), &folder.path().join("w.db")).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let rows = late(0, 0..95_000, 1_000).chain(late(0, 95_000..95_010, 5_000)).chain(late(0, 95_010..95_015, 1_000));
    let rows = rows.chain(late(1, 0..7, 1_000)).chain(late(2, 0..3, 5_000)).chain(late(3, 0..25_000, 1_000));
    let commit = Commit {
        follows: 0,
        epoch: 2,
        clock_ms: 10_000,
        watermarks: Watermarks::of_shop(10_000),
        positions: BTreeMap::new(),
        deltas: BTreeMap::new(),
        appends: BTreeMap::from([(table("late_events"), rows.collect())]),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    sink.apply(&claim, &commit).expect("applies");
    assert_eq!(sink.purged().expect("readable"), []);
    let purge = |before| Purge { before: BTreeMap::from([(table("late_events"), before)]) };
    let mut remove = |before| {
        let Purged { rows, is_done } = sink.purge(&claim, &purge(before)).expect("removes");
        (rows, is_done, sink.purged().expect("readable"))
    };
    assert_eq!(remove(1_000), (0, true, vec![]), "nothing is missing yet");
    let said = vec![(table("late_events"), 2_000)];
    assert_eq!(remove(2_000), (95_000, false, said.clone()));
    assert_eq!(remove(1_500), (25_007, true, said.clone()), "what is missing stays missing");
    assert_eq!(remove(2_000), (0, true, said));
    let left: Vec<_> = sink.page(table("late_events"), None, 1_000).expect("readable");
    let expected = late(0, 95_000..95_010, 5_000).chain(late(0, 95_010..95_015, 1_000)).chain(late(2, 0..3, 5_000));
    assert_eq!(left, expected.collect::<Vec<_>>(), "what came out of order goes with what it came after");
    sink.forget_purged(&claim).expect("writable");
    assert_eq!(sink.purged().expect("readable"), []);
}
