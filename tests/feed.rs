//! The Parquet feed against the sink in memory: row for row, wherever it is crashed or superseded.

use crate::support::table;
use dataflows::delta::Delta;
use dataflows::table::{TableId, Value};
use deltamart::config::feed::Feed;
use deltamart::config::retention::Retention;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::memory::Memory;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::purge::Purge;
use deltamart::sink::{Claim, Commit, MadeBy, Sink, SinkError, Stored};
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use deltamart::store::{Store, StoreError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Reading the feed as analysts do.
mod duckdb;
/// Written by every process of a run.
mod pieces;

const ROOT: &str = "/feed";
const HOUR_MS: i64 = 3_600_000;
/// One that is rewritten, one that is only added to.
fn tables() -> [TableId; 2] {
    [table("users"), table("rejected_events")]
}

pub fn user(id: i64, age: i64) -> Vec<Value> {
    vec![Value::Integer(id), Value::Instant(id), Value::Integer(age), Value::Text("é".into()), Value::Text("".into())]
}

fn rejected(partition: i64, offset: i64, raw: u64) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.into());
    let place = [text("topic"), Value::Integer(partition), Value::Integer(offset)];
    let raw = Value::Bytes(raw.to_le_bytes().into());
    let rest = [Value::Null, Value::Integer(7), text("undecodable"), text("why"), raw, Value::Instant(9)];
    place.into_iter().chain(rest).collect()
}

/// The commits of a history: upserts, deletes, additions, sometimes of what is there, hours apart.
fn commits(random: &mut ChaCha8Rng, count: u64) -> Vec<Commit> {
    let (mut clock_ms, mut offset) = (1_767_571_200_000, 0);
    let mut next = |number: u64| {
        clock_ms += random.random_range(0..12 * HOUR_MS);
        let mut deltas = BTreeMap::new();
        let users: BTreeMap<i64, Delta> = (0..random.random_range(0..6))
            .map(|_| {
                let id = random.random_range(0..12);
                match random.random_range(0..3) {
                    0 => (id, Delta::Delete(vec![Value::Integer(id)])),
                    _ => (id, Delta::Upsert(user(id, number as i64))),
                }
            })
            .collect();
        if !users.is_empty() {
            deltas.insert(table("users"), users.into_values().collect());
        }
        let added: Vec<_> = (0..random.random_range(0..4))
            .map(|_| {
                offset += 1;
                let again = random.random_range(0..6) == 0;
                let offset = if again { random.random_range(0..=offset) } else { offset };
                rejected(random.random_range(0..2), offset, number)
            })
            .collect();
        if random.random_range(0..8) == 0 {
            let row = rejected(0, random.random_range(0..=offset), 1_000 + number);
            let delta = if random.random() { Delta::Delete(row[..3].to_vec()) } else { Delta::Upsert(row) };
            deltas.insert(table("rejected_events"), vec![delta].into());
        }
        Commit {
            follows: 2 * number - 2,
            epoch: 2 * number,
            clock_ms,
            watermarks: Watermarks::of_shop(number as i64),
            positions: BTreeMap::from([("topic/0".to_owned(), offset)]),
            deltas,
            appends: BTreeMap::from([(table("rejected_events"), added)]),
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        }
    };
    (1..=count).map(&mut next).collect()
}

/// What the tables hold.
fn rows(sink: &mut dyn Stored) -> Vec<Vec<Vec<Value>>> {
    tables().iter().map(|table| sink.page(*table, None, 1_000).expect("readable")).collect()
}

/// What the tables hold after each of so many commits, and once old rows are removed after it.
fn states(commits: &[Commit], purges: fn(u64) -> bool) -> Vec<[Vec<Vec<Vec<Value>>>; 2]> {
    let mut memory = Memory::default();
    let claim = memory.claim(MadeBy::Run, None).expect("claims");
    let nothing = rows(&mut memory);
    let mut states = vec![[nothing.clone(), nothing]];
    for commit in commits {
        memory.apply(&claim, commit).expect("applies");
        let before = rows(&mut memory);
        if purges(commit.epoch) {
            memory.purge(&claim, &all_rejected()).expect("removes");
        }
        states.push([before, rows(&mut memory)]);
    }
    states
}

/// After these epochs what was rejected is old.
fn sometimes(epoch: u64) -> bool {
    epoch > 0 && epoch.is_multiple_of(6)
}

fn never(_: u64) -> bool {
    false
}

fn all_rejected() -> Purge {
    Purge { before: BTreeMap::from([(table("rejected_events"), 10)]) }
}

fn settings(random: &mut ChaCha8Rng) -> Feed {
    Feed {
        rows_per_file: random.random_range(1..6),
        merge_runs: random.random_range(2..5),
        grace: random.random_range(0..24) * HOUR_MS,
        retention: random.random::<bool>().then(|| random.random_range(0..4) * 24 * HOUR_MS),
        ..Feed::default()
    }
}

fn on(disk: &SimulatedDisk, settings: &Feed) -> Result<Parquet, StoreError> {
    Ok(Parquet::on(all(), Arc::new(Local::on(disk.clone(), ROOT)?), settings))
}

fn claim(sink: &mut Parquet) -> Result<Claim, SinkError> {
    sink.claim(MadeBy::Run, None)
}

#[test]
fn random_histories_hold_what_memory_holds() {
    for seed in 0..60 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let settings = settings(&mut random);
        let commits = commits(&mut random, 30);
        let states = states(&commits, sometimes);
        let disk = SimulatedDisk::new();
        let mut sink = on(&disk, &settings).expect("opens");
        let mut by = claim(&mut sink).expect("claims");
        let mut reader = on(&disk, &settings).expect("opens");
        for (commit, state) in commits.iter().zip(&states[1..]) {
            if random.random_range(0..5) == 0 {
                sink = on(&disk, &settings).expect("opens");
                by = claim(&mut sink).expect("claims");
            }
            sink.apply(&by, commit).expect("applies");
            let progress = reader.position().expect("asks").expect("claimed");
            assert_eq!((progress.epoch, progress.watermarks), (commit.epoch, commit.watermarks.clone()));
            assert_eq!(rows(&mut reader), state[0], "seed {seed}, epoch {}", commit.epoch);
            if sometimes(commit.epoch) {
                sink.purge(&by, &all_rejected()).expect("removes");
                assert_eq!(rows(&mut reader), state[1], "seed {seed}, after epoch {}", commit.epoch);
            }
        }
        let files = |part: &str| disk.files().iter().filter(|path| path.display().to_string().contains(part)).count();
        assert!(files("_progress") <= 18, "objects nobody reads are tidied away");
        assert!(files(".unfinished") == 0);
    }
}

/// Runs a history on a disk until it fails, and tells how many commits were answered.
fn run(disk: &SimulatedDisk, settings: &Feed, commits: &[Commit]) -> Result<(), u64> {
    let mut answered = 0;
    let mut go = || -> Result<(), SinkError> {
        let unusable = |error: StoreError| SinkError::Unavailable(error.to_string());
        let mut sink = on(disk, settings).map_err(unusable)?;
        let by = claim(&mut sink)?;
        let position = sink.position()?.map_or(0, |progress| progress.epoch);
        let purge = |sink: &mut Parquet, epoch| match sometimes(epoch) {
            true => sink.purge(&by, &all_rejected()).map(drop),
            false => Ok(()),
        };
        // Perhaps again: that is for the next start too.
        purge(&mut sink, position)?;
        for commit in commits.iter().filter(|commit| commit.epoch > position) {
            sink.apply(&by, commit)?;
            answered = commit.epoch;
            purge(&mut sink, commit.epoch)?;
        }
        Ok(())
    };
    go().map_err(|_| answered)
}

#[test]
fn crashed_at_any_step_it_holds_a_whole_commit_and_goes_on() {
    for seed in 0..4 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let settings = settings(&mut random);
        let commits = commits(&mut random, 7);
        let states = states(&commits, sometimes);
        // One history at every step, the others here and there.
        for after in (seed..).step_by(if seed == 0 { 1 } else { 7 }) {
            let disk = SimulatedDisk::new();
            disk.fail_after(after);
            let ran = run(&disk, &settings, &commits);
            let answered = ran.err().unwrap_or(14);
            let disk = if random.random() { disk.crash(after) } else { disk.restart(after) };
            let mut sink = on(&disk, &settings).expect("opens");
            let position = sink.position().expect("asks").map_or(0, |progress| progress.epoch);
            assert!(position >= answered, "seed {seed}, step {after}: {answered} was answered, {position} is there");
            assert!(states[position as usize / 2].contains(&rows(&mut sink)), "seed {seed}, step {after}");
            // It crashes a second time, at some step of going on.
            disk.fail_after(random.random_range(0..400));
            let second = run(&disk, &settings, &commits);
            let disk = disk.crash(after + 1);
            let ended = run(&disk, &settings, &commits);
            assert_eq!(ended, Ok(()), "seed {seed}, step {after}, {second:?}");
            let mut sink = on(&disk, &settings).expect("opens");
            assert_eq!(rows(&mut sink), states[7][1], "seed {seed}, step {after}");
            if ran.is_ok() {
                assert!(after > 100, "that were all steps");
                break;
            }
        }
    }
}

/// A store that does something else before one of its operations.
struct Interrupted {
    store: Arc<dyn Store>,
    left: Mutex<Option<u64>>,
    meanwhile: Box<dyn Fn() + Send + Sync>,
}

impl Interrupted {
    fn step(&self) {
        let mut left = self.left.lock().expect("not poisoned");
        match *left {
            Some(0) => {
                *left = None;
                drop(left);
                (self.meanwhile)();
            }
            Some(more) => *left = Some(more - 1),
            None => {}
        }
    }
}

impl Store for Interrupted {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        self.step();
        self.store.create(key, bytes)
    }
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.step();
        self.store.put(key, bytes)
    }
    fn put_lightly(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_lightly(key, bytes)
    }
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.step();
        self.store.get(key)
    }
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.step();
        self.store.list(prefix)
    }
    fn settle(&self) -> Result<(), StoreError> {
        self.store.settle()
    }
    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.step();
        self.store.delete(key)
    }
    fn place(&self) -> String {
        self.store.place()
    }
}

/// The one that was superseded wakes up again, between any two steps of a commit.
#[test]
fn a_run_superseded_at_any_step_commits_wholly_before_or_not_at_all() {
    // The other one commits a little, or so much that numbers of the log are free again.
    for others in [0, 2, 20] {
        for at in 0..200 {
            let mut random = ChaCha8Rng::seed_from_u64(others);
            let settings = Feed { merge_runs: 2, grace: 0, ..settings(&mut random) };
            let history = commits(&mut random, 4 + others);
            let disk = SimulatedDisk::new();
            let seen = Arc::new(Mutex::new(None));
            let meanwhile = {
                let (disk, settings, history, seen) =
                    (disk.clone(), settings.clone(), history.clone(), Arc::clone(&seen));
                move || {
                    let mut other = on(&disk, &settings).expect("opens");
                    let by = claim(&mut other).expect("claims");
                    let position = other.position().expect("asks").map_or(0, |progress| progress.epoch);
                    *seen.lock().expect("not poisoned") = Some(position);
                    for commit in history.iter().filter(|commit| commit.epoch > position) {
                        other.apply(&by, commit).expect("applies");
                    }
                }
            };
            let store = Arc::new(Interrupted {
                store: Arc::new(Local::on(disk.clone(), ROOT).expect("opens")),
                left: Mutex::new(None),
                meanwhile: Box::new(meanwhile),
            });
            let mut zombie = Parquet::on(all(), Arc::clone(&store) as Arc<dyn Store>, &settings);
            let by = claim(&mut zombie).expect("claims");
            for commit in &history[..2] {
                zombie.apply(&by, commit).expect("applies");
            }
            *store.left.lock().expect("not poisoned") = Some(at);
            // Its rows are its own: none of the history has them.
            let mut own = history[2].clone();
            own.deltas.insert(table("users"), vec![Delta::Upsert(user(99, -1))].into());
            let applied = zombie.apply(&by, &own);
            let Some(seen) = *seen.lock().expect("not poisoned") else {
                assert!(at > 3, "the commit has more steps");
                applied.expect("nobody came between");
                break;
            };
            match applied {
                Ok(()) => assert_eq!(seen, own.epoch, "others {others}, step {at}: answered, and not there"),
                Err(SinkError::Fenced { .. }) => assert_eq!(seen, own.follows, "others {others}, step {at}"),
                Err(error) => panic!("others {others}, step {at}: {error}"),
            }
            let model: Vec<_> = match seen == own.epoch {
                true => history[..2].iter().chain([&own]).chain(&history[3..]).cloned().collect(),
                false => history.clone(),
            };
            let mut reader = on(&disk, &settings).expect("opens");
            assert_eq!(
                Some(rows(&mut reader)),
                states(&model, never).last().map(|state| state[1].clone()),
                "others {others}, step {at}"
            );
            let later = Commit { follows: own.epoch, epoch: own.epoch + 2, ..own.clone() };
            assert!(matches!(zombie.apply(&by, &later), Err(SinkError::Fenced { .. })));
            assert_eq!(
                Some(rows(&mut reader)),
                states(&model, never).last().map(|state| state[1].clone()),
                "others {others}, step {at}"
            );
            // The next start removes what it left.
            let mut next = on(&disk, &settings).expect("opens");
            let next_by = claim(&mut next).expect("claims");
            let last = model.last().expect("some");
            next.apply(&next_by, &Commit { follows: last.epoch, epoch: last.epoch + 2, ..own.clone() })
                .expect("applies");
            let left = format!("{:012}-{:06}-", own.epoch, by.generation);
            let left = disk.files().iter().any(|path| path.display().to_string().contains(&left));
            assert!(!left || seen == own.epoch, "others {others}, step {at}: a file is left");
        }
    }
}

fn message<T>(result: Result<T, SinkError>) -> String {
    match result {
        Err(SinkError::Failed(detail)) => detail,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it succeeded"),
    }
}

#[test]
fn what_is_not_as_it_was_written_is_named_and_left_alone() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (settings, commits) = (settings(&mut random), commits(&mut random, 3));
    let made = || {
        let disk = SimulatedDisk::new();
        run(&disk, &settings, &commits).expect("runs");
        let store: Arc<dyn Store> = Arc::new(Local::on(disk.clone(), ROOT).expect("opens"));
        (disk, Arc::clone(&store), Parquet::on(all(), store, &settings))
    };
    let newest = |store: &Arc<dyn Store>| store.list("_progress/").expect("listed").pop().expect("some");

    let (_, store, mut sink) = made();
    store.put(&newest(&store), b"{\"format\": 1, \"pipel").expect("put");
    let said = message(sink.position());
    assert!(said.contains(&newest(&store)) && said.contains("feed.path"), "{said}");
    assert_eq!(message(claim(&mut sink)), said);

    let (_, store, mut sink) = made();
    store.put(&newest(&store), b"{\"format\": 2, \"news\": true}").expect("put");
    let said = message(sink.position());
    assert!(said.contains("has format 2") && said.contains("use the version that made it"), "{said}");

    // Every byte of a file, and a file that is not there.
    let (disk, store, mut sink) = made();
    let read = |sink: &mut Parquet| tables().map(|table| sink.page(table, None, 1_000));
    let paths: Vec<_> = disk.files().into_iter().map(|path| path.display().to_string()).collect();
    let data = paths.iter().filter(|path| path.ends_with(".parquet") && !path.ends_with("_schema.parquet"));
    let mut wrong = 0;
    for path in data {
        let key = path.strip_prefix("/feed/").expect("below the root");
        let bytes = store.get(key).expect("readable").expect("there");
        for byte in (0..bytes.len()).step_by(7) {
            disk.corrupt(path, byte);
            for page in read(&mut on(&disk, &settings).expect("opens")) {
                wrong += usize::from(page.is_err_and(|error| error.to_string().contains(key)));
            }
            disk.corrupt(path, byte);
        }
        store.delete(key).expect("deleted");
        for page in read(&mut on(&disk, &settings).expect("opens")) {
            wrong += usize::from(page.is_err_and(|error| error.to_string().contains("it is missing")));
        }
        store.put(key, &bytes).expect("put");
    }
    assert!(wrong > 20, "{wrong}");
    assert!(read(&mut sink).iter().all(Result::is_ok));

    let disk = SimulatedDisk::new();
    let store: Arc<dyn Store> = Arc::new(Local::on(disk.clone(), ROOT).expect("opens"));
    store.put("thesis.txt", b"the only copy").expect("put");
    let said = message(claim(&mut on(&disk, &settings).expect("opens")));
    assert!(said.contains("`thesis.txt`") && said.contains("was left as it is"), "{said}");
    assert_eq!(store.list("").expect("listed"), ["thesis.txt"]);
}

/// Of a feed that was removed under a run, or put back as it was before, no commit follows.
#[test]
fn a_feed_that_is_not_there_any_more_is_not_written_on() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (settings, commits) = (settings(&mut random), commits(&mut random, 4));
    for left in [0, 1] {
        let store: Arc<dyn Store> = Arc::new(Local::on(SimulatedDisk::new(), ROOT).expect("opens"));
        let mut sink = Parquet::on(all(), Arc::clone(&store), &settings);
        let claim = claim(&mut sink).expect("claims");
        let (last, before) = commits.split_last().expect("some");
        before.iter().for_each(|commit| sink.apply(&claim, commit).expect("applies"));
        let objects = store.list("_progress/").expect("listed");
        assert!(objects.len() > 1, "{objects:?}");
        objects.iter().skip(left).for_each(|key| store.delete(key).expect("deleted"));
        assert!(sink.apply(&claim, last).is_err(), "{left} of {objects:?} were left");
        assert_eq!(store.list("_progress/").expect("listed"), objects[..left]);
    }
}

#[test]
fn files_go_when_their_time_is_over_and_not_before() {
    let hour = |hour: i64| 1_767_571_200_000 + hour * HOUR_MS;
    let settings = Feed { merge_runs: 2, grace: 2 * HOUR_MS, retention: Some(48 * HOUR_MS), ..Feed::default() };
    let disk = SimulatedDisk::new();
    let mut sink = on(&disk, &settings).expect("opens");
    let by = claim(&mut sink).expect("claims");
    let files = |part: &str| -> Vec<String> {
        let paths = disk.files().into_iter().map(|path| path.display().to_string());
        paths.filter(|path| path.contains(part) && !path.ends_with("_schema.parquet")).collect()
    };
    let mut at = |number: u64, clock_ms: i64| {
        let mut deltas = BTreeMap::new();
        deltas.insert(table("users"), vec![Delta::Upsert(user(number as i64, 1))].into());
        let commit = Commit {
            follows: 2 * number - 2,
            epoch: 2 * number,
            clock_ms,
            watermarks: Watermarks::of_shop(0),
            positions: BTreeMap::new(),
            deltas,
            appends: BTreeMap::new(),
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        };
        sink.apply(&by, &commit).expect("applies");
    };
    at(1, hour(0));
    at(2, hour(1));
    assert_eq!((files("deltas/").len(), files("merged/").len()), (2, 1), "{:?}", files("/"));
    at(3, hour(2));
    at(4, hour(2));
    assert_eq!(files("merged/").len(), 2, "who came an hour ago may still be reading the first: {:?}", files("/"));
    at(5, hour(5));
    assert!(files("merged/").len() < 3 && !files("merged/")[0].contains("0000000004-"), "{:?}", files("merged/"));
    assert_eq!(files("deltas/date=2026-01-05/").len(), 5, "deltas stay");
    // Three days later they are garbage, and a grace later they are gone.
    let begin_anew = || -> serde_json::Value {
        let store = Local::on(disk.clone(), ROOT).expect("opens");
        let newest = store.list("_progress/").expect("listed").pop().expect("some");
        let manifest = store.get(&newest).expect("readable").expect("there");
        serde_json::from_slice::<serde_json::Value>(&manifest).expect("JSON")["begin_anew_before"]["users"].clone()
    };
    assert!(begin_anew().is_null(), "who follows deltas has all of them: {}", begin_anew());
    at(6, hour(72));
    assert_eq!(files("deltas/date=2026-01-05/").len(), 5);
    assert_eq!(begin_anew(), 10, "who has not come to the last of them by now must begin anew");
    at(7, hour(75));
    assert_eq!(files("deltas/date=2026-01-05/").len(), 0, "{:?}", files("deltas/"));
    assert_eq!(sink.page(table("users"), None, 100).expect("readable").len(), 7);
}

/// A commit a quarter of an hour after the one before, with one record that was rejected then.
fn rejecting(number: u64) -> Commit {
    let clock_ms = 1_767_571_200_000 + number as i64 * HOUR_MS / 4;
    let mut row = rejected(0, number as i64, number);
    row[8] = Value::Instant(clock_ms);
    Commit {
        follows: 2 * number - 2,
        epoch: 2 * number,
        clock_ms,
        watermarks: Watermarks::of_shop(clock_ms),
        positions: BTreeMap::new(),
        deltas: BTreeMap::from([(table("users"), vec![Delta::Upsert(user(number as i64, 1))].into())]),
        appends: BTreeMap::from([(table("rejected_events"), vec![row])]),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

/// However few rows there are, they go; with the deltas they came in, and after the grace for those who read them.
#[test]
fn old_rows_go_as_whole_runs_with_their_deltas_and_soon() {
    let kept = Retention { rejected: Some(16 * HOUR_MS), ..Retention::default() };
    let settings = Feed { merge_runs: 2, grace: 2 * HOUR_MS, ..Feed::default() };
    let disk = SimulatedDisk::new();
    let mut sink = on(&disk, &settings).expect("opens").keeping(&kept);
    let by = claim(&mut sink).expect("claims");
    let files = |part: &str| -> Vec<String> {
        let paths = disk.files().into_iter().map(|path| path.display().to_string());
        paths.filter(|path| path.contains(part) && !path.ends_with("_schema.parquet")).collect()
    };
    (1..=120).for_each(|number| sink.apply(&by, &rejecting(number)).expect("applies"));
    let purge = Purge::after(&rejecting(120), all(), &kept);
    let (all, reader) = (files("rejected_events/"), on(&disk, &settings));
    let mut reader = reader.expect("opens");
    let mut before = reader.page(table("rejected_events"), None, 60).expect("readable");
    assert!(sink.purge(&by, &purge).expect("removes").is_done);
    // Those of 14 hours are to go: 56 rows. Of an hour, which is a sixteenth, some may stay.
    let left = on(&disk, &settings).expect("opens").page(table("rejected_events"), None, 1_000).expect("readable");
    assert!((64..=68).contains(&left.len()) && left.last() == rejected_at(120).as_ref(), "{} rows", left.len());
    // A reader that came before goes on reading.
    assert_eq!(files("rejected_events/"), all);
    let gone = 120 - left.len() as u64;
    (121..=126).for_each(|number| sink.apply(&by, &rejecting(number)).expect("applies"));
    assert!(all.iter().all(|path| files("rejected_events/").contains(path) || path.contains("/merged/")));
    (127..=130).for_each(|number| sink.apply(&by, &rejecting(number)).expect("applies"));
    let oldest = files("rejected_events/deltas/");
    assert!(oldest[0].contains(&format!("/{:012}-", 2 * gone + 2)), "{oldest:?}");
    assert_eq!(files("users/deltas/").len(), 130, "what is kept forever is");
    before.extend(reader.page(table("rejected_events"), None, 1_000).expect("readable"));
    assert_eq!(before.len(), 60 + left.len() + 10);
    assert_eq!(sink.page(table("users"), None, 1_000).expect("readable").len(), 130);
    assert!(files("_progress").len() <= 18, "objects nobody reads are tidied away");
}

fn rejected_at(number: u64) -> Option<Vec<Value>> {
    rejecting(number).appends[&table("rejected_events")].first().cloned()
}
