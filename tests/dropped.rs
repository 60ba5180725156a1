//! A folder that is watched: whatever is done to it meanwhile, and wherever the process is killed, each row counts once.
//!
//! Everything runs in this process, one thread at a time, over a state that a simulated disk holds. Before each change in the
//! folder, each call of a sink and each operation on the state there is a step: at a step the process goes away, or somebody
//! else does something to the folder. No clock is asked but the one that is given.

/// As it is used.
mod program;

use crate::support::{self, CLOCK_MS, Call, Hooked};
use dataflows::operators::Status;
use dataflows::table::Value;
use deltamart::engine::{self, Job, Keep};
use deltamart::families::{SHOP, all};
use deltamart::recovery;
use deltamart::rules::Rules;
use deltamart::sink::memory::Memory;
use deltamart::sink::{Sink, SinkError, Warehouse};
use deltamart::source::dropped::{Dropped, Folder, Judges, LINES_MAX, Mode, Ways};
use deltamart::source::{Partition, Poll, Source, SourceError};
use deltamart::state_dir::StateDir;
use deltamart::store::Store;
use deltamart::store::disk::Disk;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use deltamart::turns::Turns;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What somebody does to the folder at a step.
type Deed = Arc<dyn Fn(&Path) + Send + Sync>;

/// What outlives a process.
struct World {
    _folder: TempDir,
    inbox: PathBuf,
    disk: SimulatedDisk,
    sinks: Vec<Memory>,
    /// At which step what is done.
    deed: Option<(u64, Deed)>,
    steps: Arc<Mutex<u64>>,
}

/// Lines of sign-ins of these users.
fn lines(users: std::ops::Range<u32>) -> String {
    let line = |user: u32| {
        let (hour, minute) = (user / 60 % 24, user % 60);
        format!(
            "{{\"event_name\":\"sign_in\",\"timestamp\":\"2026-01-05T{hour:02}:{minute:02}:00Z\",\"user_id\":{}}}\n",
            user + 1
        )
    };
    users.map(line).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).expect("packs");
    packed.finish().expect("packs")
}

impl World {
    fn new(files: &[(&str, &[u8])]) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let inbox = folder.path().join("inbox");
        fs::create_dir(&inbox).expect("makes it");
        files.iter().for_each(|(name, bytes)| fs::write(inbox.join(name), bytes).expect("writes"));
        let sinks = vec![Memory::default(), Memory::default()];
        World { _folder: folder, inbox, disk: SimulatedDisk::new(), sinks, deed: None, steps: Arc::default() }
    }

    /// Somebody may do something now.
    fn act(&self) -> impl Fn() + Send + Sync + 'static {
        let (deed, steps, inbox) = (self.deed.clone(), Arc::clone(&self.steps), self.inbox.clone());
        move || {
            let mut step = steps.lock();
            if let Some((at, deed)) = &deed
                && at == &*step
            {
                deed(&inbox);
            }
            *step += 1;
        }
    }

    /// The same, and the process may be gone.
    fn step(&self) -> impl Fn() -> Result<(), std::io::Error> + Send + Sync + 'static {
        let (act, disk) = (self.act(), self.disk.clone());
        move || {
            act();
            disk.is_dir(Path::new("/")).map(drop)
        }
    }

    /// One life of a run that ends when nothing is left to be taken.
    fn live(&self, workers: usize, seed: u64) -> Result<(), Box<dyn Error>> {
        let store: Arc<dyn Store> = Arc::new(Local::on(self.disk.clone(), "/state")?);
        let dir = StateDir::open(store, None)?;
        let (step, checks) = (self.step(), self.checks(&dir));
        let ways = Ways {
            settle_ms: 0,
            every: std::time::Duration::ZERO,
            clock: Arc::new(|| i64::MAX),
            before: Box::new(move |path| {
                step()?;
                checks(path);
                Ok(())
            }),
            mode: Mode::ToEnd,
        };
        let judges = Judges { rules: Rules::default(), whose: None, families: vec![SHOP], accept_rejects: false };
        let folder = Arc::new(Mutex::new(Folder::open(&self.inbox, dir.clone(), judges, ways)?));
        let mut options = support::options(workers);
        (options.epoch_events, options.take_state) = (4, false);
        options.turns = Turns::one_at_a_time(workers + 3 + self.sinks.len(), seed);
        let source = Dropped::new(&folder, SHOP);
        let source: Box<dyn Source> = Box::new(Mortal { source, disk: self.disk.clone(), act: Box::new(self.act()) });
        let identities: BTreeMap<_, _> = [("inbox/0".to_owned(), source.identity(0).expect("one"))].into();
        let facts = support::start_of(format!("{seed}"), &options, identities.clone());
        let hooked = |sink: &Memory| -> Box<dyn Warehouse> {
            let step = self.step();
            Box::new(Hooked::before(Box::new(sink.clone()), move |call| match call {
                Call::Position | Call::Scrub => Ok(()),
                _ => step().map_err(|error| SinkError::Failed(error.to_string())),
            }))
        };
        let mut sinks: Vec<_> = self.sinks.iter().map(hooked).collect();
        let start = recovery::start(all(), &dir, &mut sinks, &facts, &identities, 3)?;
        let keep = Keep { dir, generation: start.generation, fingerprint: facts.fingerprint, identities };
        let job = Job {
            sources: vec![source],
            sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
            keep: Some(keep),
            options: options.engine(),
            resume: start.resume,
            stop: Arc::default(),
            stats: Arc::default(),
        };
        Ok(engine::run(job).map(drop)?)
    }

    /// Nothing goes into the archive that a start could need: a snapshot has it, and every sink is past that.
    fn checks(&self, dir: &StateDir) -> impl Fn(&Path) + Send + 'static {
        let (dir, sinks) = (dir.clone(), self.sinks.clone());
        move |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let number = name.split('-').next().and_then(|number| number.parse::<i64>().ok());
            let listed = dir.dropped("inbox", false).unwrap_or_default();
            let Some(listed) = listed.iter().find(|listed| Some(listed.number) == number) else { return };
            if !path.parent().is_some_and(|parent| parent.ends_with("reading")) || !name.ends_with(&listed.name) {
                return;
            }
            let end = listed.number * LINES_MAX + listed.lines;
            let progress = sinks.iter().map(|sink| sink.contents().progress.clone().expect("claimed"));
            let least = progress.map(|progress| progress.epoch).min().expect("sinks");
            let snapshot = dir.newest_snapshot(&dir.chain().expect("a journal"), least).expect("readable");
            let snapshot = snapshot.unwrap_or_else(|| panic!("{name} is put away, and there is no snapshot"));
            assert!(snapshot.positions["inbox/0"] > end, "{name} is put away: {:?}", snapshot.positions);
        }
    }

    /// Lives until nothing is left, killed at a step.
    fn live_on(&mut self, killed_at: u64) -> bool {
        self.disk.fail_after(killed_at);
        let killed = match self.live(1 + killed_at as usize % 2, killed_at) {
            Ok(()) => false,
            Err(why) if self.disk.is_gone() => {
                let why = why.to_string();
                assert!(why.contains("gone") || why.contains("went away"), "step {killed_at}: {why}");
                true
            }
            Err(why) => panic!("step {killed_at}: {why}"),
        };
        // A power cut loses nothing that was answered, a kill nothing at all.
        let seed = killed_at.wrapping_mul(7);
        self.disk = if killed_at.is_multiple_of(2) { self.disk.crash(seed) } else { self.disk.restart(seed) };
        self.live_well(killed_at);
        killed
    }

    fn live_well(&self, at: u64) {
        self.live(2, at + 1).unwrap_or_else(|why| panic!("the life after step {at}: {why}"));
    }

    /// The users whose sign-ins are stored; all sinks have the same rows.
    fn users(&self) -> Vec<i64> {
        let users = |sink: &Memory| {
            let rows = sink.contents().rows(support::table("consumer_events"));
            let column = support::table("consumer_events").table().columns.iter().position(|it| it.name == "user_id");
            let user = |row: &Vec<Value>| match row[column.expect("a column")] {
                Value::Integer(user) => user - 1,
                ref other => panic!("{other:?}"),
            };
            let mut users: Vec<_> = rows.iter().map(user).collect();
            users.sort_unstable();
            users
        };
        let first = users(&self.sinks[0]);
        assert_eq!(first, users(&self.sinks[1]));
        first
    }

    /// The names in a folder.
    fn names(&self, inner: &str) -> Vec<String> {
        let entries = fs::read_dir(self.inbox.join(inner)).expect("a folder").map(|entry| entry.expect("entry"));
        let files = entries.filter(|entry| entry.path().is_file());
        let names: BTreeSet<_> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.into_iter().collect()
    }
}

/// A source that goes away with its process, and is not tried again.
struct Mortal {
    source: Dropped,
    disk: SimulatedDisk,
    act: Box<dyn Fn() + Send>,
}

impl Source for Mortal {
    fn partitions(&self) -> Vec<Partition> {
        let partitions = self.source.partitions();
        assert!(partitions.iter().all(|partition| partition.status == Status::Live));
        partitions
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        (self.act)();
        match self.source.poll(max_records) {
            _ if self.disk.is_gone() => Err(SourceError::Failed("gone".to_owned())),
            polled => polled,
        }
    }

    fn identity(&self, partition: u32) -> Option<String> {
        self.source.identity(partition)
    }

    fn unread(&self) -> Vec<String> {
        self.source.unread()
    }

    fn spares(&mut self, partition: u32, next: i64) {
        self.source.spares(partition, next);
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.source.seek(next_offsets)
    }
}

fn range(users: std::ops::Range<i64>) -> Vec<i64> {
    users.collect()
}

#[test]
fn killed_at_every_step_each_row_counts_once_and_each_file_is_somewhere() {
    let (first, second, third) = (lines(0..5), lines(5..7), lines(7..9));
    let mut killed_at = 0;
    loop {
        let mut world = World::new(&[
            ("a.jsonl", first.as_bytes()),
            ("b.jsonl.gz", &packed(&second)),
            ("c.jsonl", third.as_bytes()),
            // The content of one that comes before it, whatever it is packed in.
            ("copy.jsonl", second.as_bytes()),
            ("page.csv", b"<!DOCTYPE html><html>Sign in</html>\n"),
            (".hidden.jsonl", b"{}\n"),
            ("d.jsonl.tmp", b"{\"event_name\":"),
        ]);
        let killed = world.live_on(killed_at);
        assert_eq!(world.users(), range(0..9), "step {killed_at}");
        assert_eq!(world.names(""), [".deltamart", ".hidden.jsonl", "d.jsonl.tmp"], "step {killed_at}");
        assert_eq!(world.names("reading"), [""; 0], "step {killed_at}");
        let archived = world.names("archive");
        let own: Vec<_> = archived.iter().map(|name| name.split_once('-').expect("a number").1).collect();
        assert_eq!(own, ["a.jsonl", "b.jsonl.gz", "c.jsonl"], "step {killed_at}");
        let aside = ["copy.jsonl", "copy.jsonl.why.txt", "page.csv", "page.csv.why.txt"];
        assert_eq!(world.names("rejected"), aside, "step {killed_at}");
        let why = |name| fs::read_to_string(world.inbox.join("rejected").join(name)).expect("a report");
        assert!(why("copy.jsonl.why.txt").contains("has the content of file 2, `b.jsonl.gz`"));
        assert!(why("page.csv.why.txt").contains("HTML page"));
        if !killed {
            break;
        }
        killed_at += 1;
    }
    println!("dropped: killed at each of {killed_at} steps");
    assert!(killed_at > 100, "{killed_at} steps");
}

/// Does something at every step there is, and then lets it end; tells of each the world that came of it.
fn at_every_step(files: &[(&str, &[u8])], deed: &Deed, check: impl Fn(u64, &World)) -> u64 {
    let mut at = 0;
    loop {
        let mut world = World::new(files);
        world.deed = Some((at, Arc::clone(deed)));
        world.live_well(at);
        let is_done = *world.steps.lock() > at;
        // What came too late for that life comes in the next.
        world.live_well(at);
        check(at, &world);
        if !is_done {
            return at;
        }
        at += 1;
    }
}

#[test]
fn a_file_that_is_renamed_meanwhile_counts_once() {
    let (first, second) = (lines(0..7), lines(7..12));
    let deed: Deed = Arc::new(|inbox| drop(fs::rename(inbox.join("b.jsonl"), inbox.join("z.jsonl"))));
    let steps = at_every_step(&[("a.jsonl", first.as_bytes()), ("b.jsonl", second.as_bytes())], &deed, |at, world| {
        assert_eq!(world.users(), range(0..12), "step {at}");
        assert_eq!(world.names("archive").len(), 2, "step {at}");
    });
    assert!(steps > 20, "{steps} steps");
}

#[test]
fn a_file_that_is_replaced_meanwhile_is_another_one() {
    let (first, second) = (lines(0..7), lines(7..12));
    let deed: Deed = Arc::new(|inbox| {
        fs::write(inbox.join(".new"), lines(30..33)).expect("writes");
        fs::rename(inbox.join(".new"), inbox.join("b.jsonl")).expect("moves");
    });
    let seen = Mutex::new(BTreeSet::new());
    at_every_step(&[("a.jsonl", first.as_bytes()), ("b.jsonl", second.as_bytes())], &deed, |at, world| {
        let users = world.users();
        // It was taken, or it was gone before.
        let with = [range(0..12), range(30..33)].concat();
        let without = [range(0..7), range(30..33)].concat();
        assert!([&with, &without].contains(&&users), "step {at}: {users:?}");
        seen.lock().insert(users);
    });
    assert_eq!(seen.lock().len(), 2, "before it was taken, and behind it");
}

#[test]
fn a_file_that_grows_meanwhile_goes_on() {
    let (first, second) = (lines(0..7), lines(7..12));
    let grown = Arc::new(Mutex::new(0));
    let count = Arc::clone(&grown);
    let deed: Deed = Arc::new(move |inbox| {
        // By whoever still has it open, wherever it lies by now.
        let folders = [inbox.to_owned(), inbox.join("reading")].map(fs::read_dir);
        let mut files = folders.into_iter().flatten().flatten().map(|entry| entry.expect("entry").path());
        let Some(file) = files.find(|path| path.to_string_lossy().ends_with("a.jsonl")) else { return };
        let mut file = fs::OpenOptions::new().append(true).open(file).expect("opens");
        file.write_all(lines(20..24).as_bytes()).expect("writes");
        *count.lock() += 1;
    });
    at_every_step(&[("a.jsonl", first.as_bytes()), ("b.jsonl", second.as_bytes())], &deed, |at, world| {
        let users = world.users();
        let with = [range(0..12), range(20..24)].concat();
        let is_grown = fs::read_dir(world.inbox.join("archive"))
            .expect("a folder")
            .any(|entry| fs::read_to_string(entry.expect("entry").path()).expect("text").contains("\"user_id\":21}"));
        assert_eq!(users, if is_grown { with } else { range(0..12) }, "step {at}");
        assert_eq!(world.names("reading"), [""; 0], "step {at}");
    });
    assert!(*grown.lock() > 20, "{} times", grown.lock());
}

#[test]
fn a_file_dropped_again_with_more_lines_counts_only_those() {
    let world = World::new(&[("a.jsonl", lines(0..7).as_bytes())]);
    world.live_well(1);
    fs::write(world.inbox.join("a.jsonl"), lines(0..9)).expect("writes");
    world.live_well(2);
    fs::write(world.inbox.join("a.jsonl"), lines(0..9)).expect("writes");
    world.live_well(3);
    assert_eq!(world.users(), range(0..9));
    assert_eq!(world.names("archive"), ["0000000001-a.jsonl", "0000000002-a.jsonl"]);
    assert_eq!(world.names("rejected"), ["a.jsonl", "a.jsonl.why.txt"]);
}

/// A folder that is watched by a clock of ours, without a run.
fn watched(world: &World, settle_ms: i64, now_ms: &Arc<Mutex<i64>>) -> Dropped {
    let store: Arc<dyn Store> = Arc::new(Local::on(world.disk.clone(), "/state").expect("a store"));
    let dir = StateDir::open(store, None).expect("a state");
    let judges = Judges { rules: Rules::default(), whose: None, families: vec![SHOP], accept_rejects: false };
    let now_ms = Arc::clone(now_ms);
    let ways = Ways {
        settle_ms,
        every: std::time::Duration::ZERO,
        clock: Arc::new(move || *now_ms.lock()),
        before: Box::new(|_| Ok(())),
        mode: Mode::Watches,
    };
    let folder = Folder::open(&world.inbox, dir, judges, ways).expect("opens");
    let mut source = Dropped::new(&Arc::new(Mutex::new(folder)), SHOP);
    source.seek(&[]).expect("the beginning");
    source
}

/// The offsets of what there is to read until there is nothing.
fn offsets(source: &mut Dropped) -> Vec<i64> {
    let mut offsets = Vec::new();
    loop {
        match source.poll(100).expect("readable") {
            Poll::Records(batch) => offsets.extend(batch.records.iter().map(|record| record.offset)),
            Poll::Skipped => {}
            Poll::Idle => return offsets,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_is_taken_when_it_has_not_changed_for_long_enough() {
    let world = World::new(&[("a.jsonl", lines(0..2).as_bytes())]);
    let changed_ms = |name: &str| {
        let found = world.inbox.join(name).metadata().expect("it is there");
        found.ctime() * 1000 + found.ctime_nsec() / 1_000_000
    };
    let now_ms = Arc::new(Mutex::new(changed_ms("a.jsonl") + 4_999));
    let mut source = watched(&world, 5_000, &now_ms);
    assert_eq!(offsets(&mut source), [0; 0]);
    assert!(source.unread().concat().contains("waiting until unchanged for 5s"), "{:?}", source.unread());
    *now_ms.lock() += 1;
    assert_eq!(offsets(&mut source), [LINES_MAX + 1, LINES_MAX + 2]);
    // A server whose clock is ahead: it is waited for as long as we have seen it so.
    fs::write(world.inbox.join("b.jsonl"), lines(2..3)).expect("writes");
    *now_ms.lock() = CLOCK_MS.min(changed_ms("b.jsonl") - 1_000_000);
    assert_eq!(offsets(&mut source), [0; 0]);
    *now_ms.lock() += 4_999;
    assert_eq!(offsets(&mut source), [0; 0]);
    *now_ms.lock() += 1;
    assert_eq!(offsets(&mut source), [2 * LINES_MAX + 1]);
}
