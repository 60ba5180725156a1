//! What the version left whose formats later ones change: taken over without `--rebuild`, and gone on with.
//!
//! `tests/formats/start/` was made by [`make`] in that version. It is not made again: what a later version would make
//! there says nothing about what it takes over. In `files/` the program read files:
//!
//! | | |
//! |---|---|
//! | `deltamart.toml` | the settings of all runs |
//! | `sunday.jsonl`, `monday.jsonl` | what was read, in this order |
//! | `tuesday.jsonl` | what comes next |
//! | `ended/` | after a run that ended in order when `monday.jsonl` had its first lines alone: a record of every kind is in the snapshot |
//! | `killed/` | after one that went on from there when it had all of them, and was killed |
//!
//! In `log/` two partitions of a log were read, records of which were rejected for what their bytes do not say: one by
//! one, as a run of them, and as what could not be read. What was read is [`steps`].

use super::{copy, kept, unpack};
use crate::cli::{deltamart, said};
use crate::formats;
use crate::support::{self, Hooked};
use dataflows::shop::Settings;
use deltamart::decode::Reason;
use deltamart::engine::{self, EngineError, Job, Keep};
use deltamart::families::all;
use deltamart::recovery;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Sink, SinkError, Warehouse};
use deltamart::source::script::{Script, Step};
use deltamart::state_dir::StateDir;
use deltamart::state_dir::journal::Entry;
use deltamart::state_dir::snapshot::Manifest;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use deltamart::store::{self, Store};
use flate2::Compression;
use flate2::read::GzEncoder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const WAREHOUSE: [&str; 2] = ["--warehouse", "left.db"];
const READ: [&str; 3] = ["run", "sunday.jsonl", "monday.jsonl"];
/// How many lines `monday.jsonl` had when the first run ended.
const LINES_AT_FIRST: usize = 15;

/// What stands in a folder of state: the snapshot that is gone on from, the epochs that are replayed, and the last
/// epoch that the warehouse has.
struct Found {
    dir: StateDir,
    snapshot: Manifest,
    replayed: Vec<Entry>,
    committed: u64,
}

fn found(folder: &Path, warehouse: &str) -> Option<Found> {
    let place = folder.join(format!("{warehouse}.state")).display().to_string();
    let dir = StateDir::open_to_read(store::open_to_read(&place).ok()?).expect("readable")?;
    let chain = dir.chain().expect("readable");
    let committed = Sqlite::open_to_read(all(), &folder.join(warehouse)).ok()?.position().expect("readable")?.epoch;
    let snapshot = dir.newest_snapshot(&chain, committed).expect("readable")?;
    let replayed = chain.entries.range(snapshot.epoch + 1..).map(|(_, (_, entry))| entry.clone()).collect();
    Some(Found { dir, snapshot, replayed, committed })
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

#[test]
fn what_the_program_left_of_files_is_taken_over() {
    if !kept("start/files").exists() {
        let made = tempfile::tempdir().expect("a folder");
        make(made.path());
        copy(made.path(), &kept("start/files"));
        panic!("tests/formats/start/files was not there, and is now what this version leaves: look at it, and keep it");
    }
    for (left, workers) in [("ended", "1"), ("ended", "3"), ("killed", "1"), ("killed", "3")] {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = temporary.path();
        copy(&kept("start/files"), folder);
        copy(&folder.join(left).join("state"), &folder.join("left.db.state"));
        unpack(&folder.join(left).join("warehouse.gz"), &folder.join("left.db"));
        for name in ["sunday", "monday", "tuesday"] {
            unpack(&folder.join(format!("{name}.jsonl.gz")), &folder.join(format!("{name}.jsonl")));
        }
        let before = found(folder, "left.db").expect("state and warehouse");
        assert_eq!(before.replayed.is_empty(), left == "ended");

        // It goes on from the snapshot, and reads nothing that came before it.
        let text = succeed(folder, &[&READ[..], &WAREHOUSE, &["-w", workers]].concat());
        let lines = |name: &str| std::fs::read_to_string(folder.join(name)).expect("text").lines().count() as i64;
        let unread = lines("sunday.jsonl") + lines("monday.jsonl")
            - before.snapshot.positions.values().map(|next| next - 1).sum::<i64>();
        assert!(text.starts_with(&format!("{unread} records")), "{left}, {workers} workers: {text}");
        succeed(folder, &[&["verify"], &WAREHOUSE[..]].concat());
        succeed(folder, &[&READ[..], &["tuesday.jsonl"], &WAREHOUSE, &["-w", workers]].concat());
        succeed(folder, &[&["verify"], &WAREHOUSE[..]].concat());
        succeed(folder, &[&READ[..], &["tuesday.jsonl", "--warehouse", "whole.db"]].concat());
        support::assert_same_but_for_words(&folder.join("left.db"), &folder.join("whole.db"));
    }
}

#[test]
fn what_was_left_of_a_log_is_taken_over() {
    if !kept("start/log").exists() {
        let made = tempfile::tempdir().expect("a folder");
        make_log(made.path());
        copy(made.path(), &kept("start/log"));
        panic!("tests/formats/start/log was not there, and is now what this version leaves: look at it, and keep it");
    }
    let more = || [sign_in(0, 50), sign_in(1, 51), Step::Cut, sign_in(0, 52), Step::End];
    for workers in [1, 3] {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = temporary.path();
        copy(&kept("start/log/state"), &folder.join("left.db.state"));
        unpack(&kept("start/log/warehouse.gz"), &folder.join("left.db"));
        let before = found(folder, "left.db").expect("state and warehouse");
        let rejected: Vec<_> = before.replayed.iter().flat_map(|entry| &entry.rejected).collect();
        assert!(rejected.iter().any(|rejected| rejected.first.is_some()));
        assert!(rejected.iter().any(|rejected| rejected.from.is_some()));
        for (name, workers) in [("left.db", workers), ("whole.db", 2)] {
            let store = store::open(&folder.join(format!("{name}.state")).display().to_string()).expect("opens");
            let sink = Box::new(Sqlite::open(all(), &folder.join(name)).expect("opens"));
            let script = Script::new(support::partitions(2), steps().into_iter().chain(more())).crashing(1, || ());
            read_log(store, sink, workers, script).expect("reads all of it");
        }
        support::assert_same_but_for_words(&folder.join("left.db"), &folder.join("whole.db"));
        succeed(folder, &[&["verify"], &WAREHOUSE[..]].concat());
    }
}

/// Somebody signs in, in this minute.
fn sign_in(partition: u32, minute: u32) -> Step {
    let at = format!("2026-01-05T10:{minute:02}:00Z");
    let json = format!(r#"{{"event_name":"sign_in","timestamp":"{at}","user_id":{}}}"#, partition + minute % 7 + 1);
    Step::Record(partition, json.into_bytes())
}

/// What was read of the log, and where it was killed.
fn steps() -> Vec<Step> {
    let refused = |partition| Step::Refused(partition, Reason::UNKNOWN_SCHEMA);
    vec![
        sign_in(0, 1),
        sign_in(1, 2),
        refused(0),
        Step::Cut,
        // Here a snapshot was taken, since the run was stopped.
        sign_in(0, 4),
        refused(0),
        refused(0),
        refused(0),
        sign_in(1, 5),
        Step::Cut,
        sign_in(1, 6),
        Step::Unreadable(1, 20),
        refused(1),
        sign_in(0, 7),
        Step::Cut,
        sign_in(0, 8),
        Step::Cut,
        Step::Crash,
    ]
}

/// How many of the steps were read when the run was stopped.
const STEPS_AT_FIRST: usize = 4;

/// Reads a log into a warehouse, and goes on from what is there.
fn read_log(
    store: Arc<dyn Store>,
    sink: Box<dyn Warehouse>,
    workers: usize,
    script: Script,
) -> Result<(), EngineError> {
    let dir = StateDir::open(store, None).expect("state");
    let mut options = support::one_commit_per_epoch(support::options(workers));
    options.settings = Settings::default();
    (options.take_state, options.snapshot_interval) = (false, Duration::from_secs(3600));
    let facts = support::start_of(format!("{workers} workers"), &options, BTreeMap::new());
    let mut sinks = vec![sink];
    let start = recovery::start(all(), &dir, &mut sinks, &facts, &BTreeMap::new(), 1).expect("taken over");
    let (generation, fingerprint, stop) = (start.generation, facts.fingerprint, Arc::default());
    let job = Job {
        sources: vec![Box::new(script.stopping(&stop))],
        sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
        keep: Some(Keep { dir, generation, fingerprint, identities: BTreeMap::new() }),
        options: options.engine(),
        resume: start.resume,
        stop,
        stats: Arc::default(),
    };
    engine::run(job).map(drop)
}

/// Makes what is kept of a log.
fn make_log(kept: &Path) {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    let disk = SimulatedDisk::new();
    let store = |disk: &SimulatedDisk| Arc::new(Local::on(disk.clone(), "/state").expect("a folder"));
    let sqlite = || Box::new(Sqlite::open(all(), &folder.join("left.db")).expect("opens"));
    let first = steps().into_iter().take(STEPS_AT_FIRST).chain([Step::Stop]);
    read_log(store(&disk), sqlite(), 2, Script::new(support::partitions(2), first)).expect("stops");
    let (dies, watched) = (disk.clone(), disk.clone());
    let mortal = Hooked::before(sqlite(), move |_| match watched.is_gone() {
        true => Err(SinkError::Failed("gone".to_owned())),
        false => Ok(()),
    });
    let script = Script::new(support::partitions(2), steps()).crashing(0, move || dies.fail_after(0));
    read_log(store(&disk), Box::new(mortal), 2, script).expect_err("killed");

    let store = store(&disk.restart(0));
    for prefix in ["pipeline", "generations/", "journal/", "snapshots/"] {
        for key in store.list(prefix).expect("readable") {
            let path = kept.join("state").join(&key);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, store.get(&key).expect("readable").expect("there")).expect("written");
        }
    }
    pack(&folder.join("left.db"), &kept.join("warehouse"));
}

/// So many events of a simulated shop, from an instant on, that come late, twice and damaged now and then.
fn shop(folder: &Path, events: u32, start: &str) -> Vec<String> {
    let events = events.to_string();
    let mut arguments = vec!["simulate", "--out", "shop", "--items", "12", "--events", &events, "--start", start];
    arguments.extend([
        "--days",
        "1",
        "--set",
        "simulate.too_late_permille=20",
        "--set",
        "simulate.malformed_permille=10",
    ]);
    arguments.extend(["--set", "simulate.duplicate_permille=20"]);
    succeed(folder, &arguments);
    let text = std::fs::read_to_string(folder.join("shop/events.jsonl")).expect("text");
    text.lines().map(str::to_owned).collect()
}

/// Makes what is kept.
fn make(kept: &Path) {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    std::fs::write(folder.join("deltamart.toml"), SETTINGS).expect("written");
    let write = |name: &str, lines: &[String]| {
        std::fs::write(folder.join(name), lines.join("\n") + "\n").expect("written");
    };
    let of_step = |step: Step| match step {
        Step::Record(_, payload) => Some(String::from_utf8(payload).expect("text").replace('\n', " ")),
        _ => None,
    };
    let day: Vec<_> = formats::a_day().into_iter().filter_map(of_step).collect();
    assert_eq!(day.len(), LINES_AT_FIRST);
    // Rejected by the clock of the journal.
    let mut rest = vec![r#"{"event_name":"sign_in","timestamp":"2090-01-01T00:00:00Z","user_id":1}"#.to_owned(); 3];
    rest.extend(shop(folder, 700, "2026-01-05T12:00:00Z"));
    write("sunday.jsonl", &shop(folder, 150, "2026-01-04T00:00:00Z"));
    write("tuesday.jsonl", &shop(folder, 150, "2026-01-06T06:00:00Z"));
    for name in ["sunday.jsonl", "tuesday.jsonl"] {
        pack(&folder.join(name), &kept.join(name));
    }
    std::fs::copy(folder.join("deltamart.toml"), kept.join("deltamart.toml")).expect("copied");

    // Where it is killed is chance: until it is in between.
    for _ in 0..100 {
        std::fs::remove_file(folder.join("left.db")).ok();
        std::fs::remove_dir_all(folder.join("left.db.state")).ok();
        write("monday.jsonl", &day);
        succeed(folder, &[&READ[..], &WAREHOUSE].concat());
        let ended = found(folder, "left.db").expect("state and warehouse");
        let sections = ended.dir.read_snapshot(all(), &ended.snapshot, 1).expect("readable");
        let names: BTreeSet<_> = sections.iter().map(|section| section.name.as_str()).collect();
        let every = formats::kept_names().into_iter().filter(|name| !formats::OF_SETTINGS.contains(name)).collect();
        assert_eq!(names, every, "a record of every kind");
        keep(folder, &kept.join("ended"));

        write("monday.jsonl", &[&day[..], &rest[..]].concat());
        let mut run = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        run.current_dir(folder).args(READ).args(WAREHOUSE).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = run.spawn().expect("starts");
        let journaled = |folder: &Path| found(folder, "left.db").map_or(0, |found| found.replayed.len());
        while journaled(folder) < 12 && child.try_wait().expect("asks").is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().expect("kills");
        child.wait().expect("is gone");
        let Found { snapshot, replayed, committed, .. } = found(folder, "left.db").expect("state and warehouse");
        let is_between = snapshot.epoch < committed && replayed.last().is_some_and(|last| committed < last.epoch);
        if is_between {
            assert!(
                replayed
                    .iter()
                    .any(|entry| entry.lanes.0.values().any(|times| !times.lines.is_empty()) && !entry.sums.is_empty())
            );
            keep(folder, &kept.join("killed"));
            return pack(&folder.join("monday.jsonl"), &kept.join("monday.jsonl"));
        }
    }
    panic!("it was never killed between two commits");
}

/// What a run left, without what says that it goes on.
fn keep(folder: &Path, kept: &Path) {
    std::fs::remove_dir_all(kept).ok();
    copy(&folder.join("left.db.state"), &kept.join("state"));
    for name in ["heartbeat", ".running"] {
        std::fs::remove_file(kept.join("state").join(name)).ok();
    }
    // Whatever is not in the file yet goes there.
    drop(Sqlite::open(all(), &folder.join("left.db")).expect("opens"));
    pack(&folder.join("left.db"), &kept.join("warehouse"));
}

fn pack(from: &Path, to: &Path) {
    let mut packed = std::fs::File::create(to.with_added_extension("gz")).expect("made");
    let file = std::fs::File::open(from).expect("opens");
    std::io::copy(&mut GzEncoder::new(file, Compression::best()), &mut packed).expect("packed");
}

const SETTINGS: &str = r#"# Small, so that a day leaves a record of every kind.
epoch_events = 20
epoch_interval = "1h"
snapshot_interval = "1h"
commit_interval = "20ms"
lateness = "2h"
catalog_lateness = "1h"
session_timeout = "4h"
cart_ttl = "3h"
price_backfill = "1h"

[segments]
high_value_cents = 400
high_value_within = "5h"
abandoned_carts = 2
abandoned_after = "1h"
abandoned_within = "6h"
frequent_views = 3
frequent_within = "4h"
new_within = "3h"
inactive_after = "5h"
"#;
