//! A source is known by its content: files grow, are renamed, packed, copied, moved, rotated, mended and cut, the
//! process is killed in between, and no line counts twice or is lost without an error.
//!
//! Every line has a user of its own, so that what was counted can be told line by line.

use crate::support;
use crate::support::table;
use dataflows::table::Value;
use deltamart::engine::{self, Job, Keep};
use deltamart::families::all;
use deltamart::recovery::{self, Past};
use deltamart::sink::memory::Memory;
use deltamart::sink::{Sink, Warehouse};
use deltamart::source::Source;
use deltamart::source::content::Tail;
use deltamart::source::files::Files;
use deltamart::source::recognise::{Before, KnownSource, recognise};
use deltamart::state_dir::StateDir;
use deltamart::store::Store;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What outlives a process.
struct World {
    folder: tempfile::TempDir,
    disk: SimulatedDisk,
    sink: Memory,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Well,
    Refused(String),
    Killed,
}

impl World {
    fn new() -> World {
        World { folder: tempfile::tempdir().expect("a folder"), disk: SimulatedDisk::new(), sink: Memory::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One run over these files, as the program does it.
    fn run(&self, files: &[PathBuf], another: &[PathBuf], workers: usize, epoch_events: usize) -> Ended {
        let told = |error: &dyn std::fmt::Display| {
            let why = error.to_string();
            let killed = self.disk.is_gone() || why.contains("went away");
            if killed { Ended::Killed } else { Ended::Refused(why) }
        };
        match self.try_run(files, another, workers, epoch_events) {
            Ok(()) => Ended::Well,
            Err(why) => told(&why),
        }
    }

    fn try_run(
        &self,
        files: &[PathBuf],
        another: &[PathBuf],
        workers: usize,
        epoch_events: usize,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let store: Arc<dyn Store> = Arc::new(Local::on(self.disk.clone(), "/state")?);
        let dir = StateDir::open(store, None)?;
        let past = Past::read(&dir)?;
        let known = KnownSource::of(&past.identities, &past.sums);
        let source = Files::found(recognise(files, &known, another, Before::Counts, Tail::Wait)?, Tail::Wait);
        let named = source.partitions().into_iter().enumerate();
        let found: BTreeMap<String, String> = named
            .filter_map(|(n, partition)| Some((engine::partition_name(&partition), source.identity(n as u32)?)))
            .collect();
        let mut identities = past.identities;
        identities.extend(found.clone());
        let mut options = support::options(workers);
        (options.epoch_events, options.take_state) = (epoch_events, false);
        let facts = support::start_of(workers.to_string(), &options, identities.clone());
        let mut sinks: Vec<Box<dyn Warehouse>> = vec![Box::new(self.sink.clone())];
        let start = recovery::start(all(), &dir, &mut sinks, &facts, &found, 1)?;
        let there: Vec<String> = source.partitions().iter().map(engine::partition_name).collect();
        recovery::check_partitions(&dir, &start.resume, &there)?;
        let keep = Keep { dir, generation: start.generation, fingerprint: facts.fingerprint, identities };
        let job = Job {
            sources: vec![Box::new(source)],
            sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
            keep: Some(keep),
            options: options.engine(),
            resume: start.resume,
            stop: Arc::default(),
            stats: Arc::default(),
        };
        engine::run(job)?;
        Ok(())
    }

    /// The users of the rows that were added, and how often each.
    fn counted(&self) -> BTreeMap<i64, usize> {
        let mut counted = BTreeMap::new();
        let contents = self.sink.contents();
        let views = table("item_view_events");
        let place = views.table().columns.iter().position(|column| column.name == "user_id").expect("a column");
        for row in contents.rows(views) {
            let Value::Integer(user) = row[place] else { panic!("a user") };
            *counted.entry(user).or_default() += 1;
        }
        counted
    }
}

fn line(user: i64) -> String {
    format!(r#"{{"event_name":"item_view","timestamp":"2026-01-05T10:00:00Z","user_id":{user},"item_id":"7"}}"#)
}

/// Writes lines in some packing; the last without its end if it is half-written.
fn write(path: &Path, lines: &[i64], packing: Packing, half: Option<i64>) {
    let end = if packing == Packing::Crlf { "\r\n" } else { "\n" };
    let mut text: String = lines.iter().map(|user| line(*user) + end).collect();
    text.extend(half.map(|user| line(user)[..40].to_owned()));
    let bytes = match packing {
        Packing::Gzip => {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).expect("packed");
            packed.finish().expect("packed")
        }
        _ => text.into_bytes(),
    };
    std::fs::write(path, bytes).expect("written");
}

#[derive(Clone, Copy, PartialEq)]
enum Packing {
    Lf,
    Crlf,
    Gzip,
}

/// A file as its owner sees it.
#[derive(Clone)]
struct File {
    name: String,
    lines: Vec<i64>,
    half: Option<i64>,
    packing: Packing,
    /// What was read of it stands in it unchanged.
    intact: bool,
    /// It is a copy of another file, or was one.
    copied: bool,
}

impl File {
    fn write(&self, world: &World) {
        let path = world.path(&self.name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        write(&path, &self.lines, self.packing, self.half);
    }
}

fn one(seed: u64) -> (usize, usize, usize) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::new();
    let (mut users, mut names) = (0, 0);
    let mut files: Vec<File> = Vec::new();
    // By a file's own name: the first lines of all that were ever given under it.
    let mut called = BTreeMap::<String, BTreeSet<i64>>::new();
    let (mut well, mut refused, mut killed) = (0, 0, 0);
    let mut fresh = |count: usize| -> Vec<i64> {
        (0..count)
            .map(|_| {
                users += 1;
                users
            })
            .collect()
    };
    for _ in 0..dice.random_range(3..9) {
        // Something happens to a file.
        for _ in 0..dice.random_range(1..=2) {
            let place = if files.is_empty() { 0 } else { dice.random_range(0..files.len()) };
            match if files.is_empty() { 0 } else { dice.random_range(0..13) } {
                0 => {
                    names += 1;
                    let lines = fresh(dice.random_range(1..12));
                    let folder = ["", "a/", "b/"][dice.random_range(0..3)];
                    let name = format!("{folder}{}.jsonl", if dice.random_bool(0.3) { 0 } else { names });
                    if files.iter().all(|file| file.name != name) {
                        let file = File { name, lines, half: None, packing: Packing::Lf, intact: true, copied: false };
                        files.push(file);
                    }
                }
                1..=3 => {
                    let file = &mut files[place];
                    let half = file.half.take();
                    file.lines.extend(half);
                    file.lines.extend(fresh(dice.random_range(1..8)));
                    if file.packing != Packing::Gzip && dice.random_bool(0.3) {
                        file.half = fresh(1).first().copied();
                    }
                }
                4 => {
                    names += 1;
                    let old = std::mem::replace(&mut files[place].name, format!("{names}.renamed"));
                    std::fs::remove_file(world.path(&old)).ok();
                }
                5 => files[place].packing = [Packing::Gzip, Packing::Crlf, Packing::Lf][dice.random_range(0..3)],
                6 => {
                    // Moved into another folder, under its own name.
                    let own = files[place].name.rsplit('/').next().expect("a name").to_owned();
                    let moved = format!("{}/{own}", ["c", "d"][dice.random_range(0..2)]);
                    if files.iter().all(|file| file.name != moved) {
                        let old = std::mem::replace(&mut files[place].name, moved);
                        std::fs::remove_file(world.path(&old)).ok();
                    }
                }
                7 | 8 => {
                    // Rotated: the old content under a new name, the name begins again.
                    names += 1;
                    let mut old = files[place].clone();
                    old.name = format!("{}.{names}", old.name);
                    old.lines.extend(old.half.take());
                    files[place].lines = fresh(dice.random_range(1..6));
                    files[place].half = None;
                    // A name that began again without the old content cannot be told apart from other changes.
                    files[place].copied = old.copied;
                    files[place].intact = old.intact;
                    files.push(old);
                }
                // With one line in common only, two files may be two logs that begin alike.
                9 if files[place].lines.len() > 1 => {
                    names += 1;
                    let mut copy = files[place].clone();
                    copy.name = format!("{names}.copy");
                    copy.copied = true;
                    files[place].copied = true;
                    if dice.random() && copy.lines.len() > 2 {
                        copy.lines.truncate(dice.random_range(2..copy.lines.len()));
                    }
                    files.push(copy);
                }
                10 if files[place].lines.len() > 2 && world.is_read(&files[place]) => {
                    let at = dice.random_range(2..files[place].lines.len());
                    files[place].lines[at] = fresh(1)[0];
                    files[place].intact = false;
                }
                11 if files[place].lines.len() > 2 && world.is_read(&files[place]) => {
                    let file = &mut files[place];
                    file.lines.pop();
                    file.half = None;
                    file.intact = false;
                }
                _ => {}
            }
        }
        // Some of them are given, in some order, perhaps one twice.
        files.iter().for_each(|file| file.write(&world));
        let mut given: Vec<File> = files.iter().filter(|_| dice.random_bool(0.8)).cloned().collect();
        if dice.random_bool(0.05)
            && let Some(first) = given.first().cloned()
        {
            given.push(File { copied: true, ..first });
        }
        let paths: Vec<PathBuf> = given.iter().map(|file| world.path(&file.name)).collect();
        for file in &given {
            called.entry(own(&file.name)).or_default().extend(file.lines.first());
        }
        let before = world.counted();
        if dice.random_bool(0.3) {
            world.disk.fail_after(dice.random_range(0..40));
        }
        let mut ended = world.run(&paths, &[], dice.random_range(1..=3), dice.random_range(1..=6));
        if ended == Ended::Killed || world.disk.is_gone() {
            killed += 1;
            world.disk =
                if dice.random() { world.disk.crash(dice.random()) } else { world.disk.restart(dice.random()) };
            ended = world.run(&paths, &[], dice.random_range(1..=3), dice.random_range(1..=6));
        }
        world.disk = world.disk.restart(0);
        let after = world.counted();
        assert!(after.values().all(|count| *count == 1), "seed {seed}: a line counts twice: {after:?}");
        match ended {
            Ended::Well => {
                well += 1;
                let lines: BTreeSet<i64> = given.iter().flat_map(|file| file.lines.iter().copied()).collect();
                let all: BTreeSet<i64> = before.keys().copied().chain(lines).collect();
                assert!(
                    all.iter().eq(after.keys()),
                    "seed {seed}: every whole line that was given counts, and no other"
                );
            }
            Ended::Refused(why) => {
                refused += 1;
                let names_of: Vec<&str> = given.iter().map(|file| file.name.as_str()).collect();
                // Refused for a reason: something was mended or cut, is a copy, or the old content is not given.
                let suspicious = given.iter().any(|file| !file.intact || file.copied)
                    || why.contains("If it was rotated") && given.iter().any(|file| called[&own(&file.name)].len() > 1)
                    || why.contains("interrupted while it read");
                assert!(suspicious, "seed {seed}: {names_of:?} refused without need: {why}");
            }
            Ended::Killed => panic!("seed {seed}: nothing kills the second attempt"),
        }
    }
    (well, refused, killed)
}

impl World {
    /// Whether all lines of a file were counted.
    fn is_read(&self, file: &File) -> bool {
        let counted = self.counted();
        file.lines.iter().all(|user| counted.contains_key(user))
    }
}

/// The name of a file without its folder.
fn own(name: &str) -> String {
    name.rsplit('/').next().expect("a name").to_owned()
}

#[test]
fn no_line_counts_twice_and_none_is_lost_without_an_error() {
    let sums = (0..u64::from(support::histories(30))).map(one);
    let (well, refused, killed) = sums.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    println!("{well} runs ended well, {refused} were refused, {killed} were killed");
    assert!(well > 30 && refused > 5 && killed > 10, "{well} {refused} {killed}");
}

/// Writes files, and runs over them one after the other; the texts of those that were refused.
fn runs(files: &[(&str, &[i64])], given: &[&[&str]]) -> (World, Vec<Ended>) {
    let world = World::new();
    for (name, lines) in files {
        let path = world.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        write(&path, lines, if name.ends_with(".gz") { Packing::Gzip } else { Packing::Lf }, None);
    }
    let ended = given.iter().map(|names| {
        let paths: Vec<PathBuf> = names.iter().map(|name| world.path(name)).collect();
        world.run(&paths, &[], 1, 100)
    });
    let ended = ended.collect();
    (world, ended)
}

fn users(world: &World) -> Vec<i64> {
    world.counted().into_iter().flat_map(|(user, count)| std::iter::repeat_n(user, count)).collect()
}

#[test]
fn a_file_that_is_packed_after_it_was_read_is_the_same() {
    let (world, ended) =
        runs(&[("e.jsonl", &[1, 2, 3]), ("e.jsonl.gz", &[1, 2, 3, 4])], &[&["e.jsonl"], &["e.jsonl.gz"]]);
    assert_eq!(ended, [Ended::Well, Ended::Well]);
    assert_eq!(users(&world), [1, 2, 3, 4]);
}

#[test]
fn two_files_of_one_name_are_two_sources_however_they_are_given() {
    let files: [(&str, &[i64]); 2] = [("a/e.jsonl", &[1, 2]), ("b/e.jsonl", &[3])];
    let given: [&[&str]; 3] = [&["a/e.jsonl"], &["a/e.jsonl", "b/e.jsonl"], &["b/e.jsonl", "a/e.jsonl"]];
    let (world, ended) = runs(&files, &given);
    assert_eq!(ended, [Ended::Well, Ended::Well, Ended::Well]);
    assert_eq!(users(&world), [1, 2, 3]);
}

#[test]
fn another_file_with_the_same_first_line_is_refused_until_the_old_one_is_given_too() {
    let files: [(&str, &[i64]); 2] = [("e.jsonl", &[1, 2, 3]), ("new/e.jsonl", &[1, 12, 13, 14])];
    let (world, ended) = runs(&files, &[&["e.jsonl"], &["new/e.jsonl"], &["e.jsonl", "new/e.jsonl"]]);
    assert!(matches!(&ended[1], Ended::Refused(why) if why.contains("If it was rotated")), "{ended:?}");
    assert_eq!(ended[2], Ended::Well);
    assert_eq!(users(&world), [1, 1, 2, 3, 12, 13, 14]);
}

#[test]
fn what_was_mended_or_cut_is_refused_with_the_lines() {
    let files: [(&str, &[i64]); 3] = [("e.jsonl", &[1, 2, 3, 4]), ("m/e.jsonl", &[1, 2, 9, 4]), ("c/e.jsonl", &[1, 2])];
    let (world, ended) = runs(&files, &[&["e.jsonl"], &["m/e.jsonl"], &["c/e.jsonl"]]);
    assert!(matches!(&ended[1], Ended::Refused(why) if why.contains("between line 3 and line 4")), "{ended:?}");
    assert!(
        matches!(&ended[2], Ended::Refused(why) if why.contains("it has 2 lines, and 4 of `e.jsonl` were read")),
        "{ended:?}"
    );
    let another = world.run(&[world.path("m/e.jsonl")], &[world.path("m/e.jsonl")], 1, 100);
    assert_eq!(another, Ended::Well);
    assert_eq!(users(&world), [1, 1, 2, 2, 3, 4, 4, 9]);
    // From now on it is known.
    assert_eq!(world.run(&[world.path("m/e.jsonl")], &[], 1, 100), Ended::Well);
    assert_eq!(users(&world), [1, 1, 2, 2, 3, 4, 4, 9]);
}

#[test]
fn copies_that_are_given_together_are_refused_and_the_shorter_one_is_named() {
    let files: [(&str, &[i64]); 3] = [("e.jsonl", &[1, 2, 3]), ("short.jsonl", &[1, 2]), ("same.jsonl.gz", &[1, 2, 3])];
    let (world, ended) =
        runs(&files, &[&["e.jsonl", "short.jsonl"], &["e.jsonl", "same.jsonl.gz"], &["e.jsonl", "e.jsonl"]]);
    assert!(matches!(&ended[0], Ended::Refused(why) if why.contains("short.jsonl` out")), "{ended:?}");
    assert!(
        ended[1..].iter().all(|end| matches!(end, Ended::Refused(why) if why.contains("the same content"))),
        "{ended:?}"
    );
    assert_eq!(users(&world), Vec::<i64>::new());
}

#[test]
fn a_half_written_last_line_waits_for_its_end() {
    let world = World::new();
    let path = world.path("e.jsonl");
    for (lines, half, read) in [
        (&[][..], Some(1), &[][..]),
        (&[1, 2], Some(3), &[1, 2]),
        (&[1, 2], Some(3), &[1, 2]),
        (&[1, 2, 3], None, &[1, 2, 3]),
        (&[1, 2, 3, 4], Some(5), &[1, 2, 3, 4]),
    ] {
        write(&path, lines, Packing::Lf, half);
        assert_eq!(world.run(std::slice::from_ref(&path), &[], 1, 100), Ended::Well);
        assert_eq!(users(&world), read);
    }
}
