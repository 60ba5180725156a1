//! What is late in files is a function of the files: not of where they were chopped, by how many workers they
//! were read, where a run was killed or stopped, nor how far the files had grown when it began.
//!
//! `DELTAMART_SWEEP=300` runs so many histories; `DELTAMART_LATENESS_SEED=7` repeats one.

mod begins;
mod order;
mod rule;

use crate::support::table;
use crate::support::{self, CLOCK_MS, HOUR_MS, Options};
use dataflows::operators::Status;
use dataflows::table::{Tables, Value};
use dataflows::time::WATERMARK_STEP_MS;
use deltamart::engine::{self, Ended, Job, Keep, Resume};
use deltamart::families::all;
use deltamart::recovery;
use deltamart::sink::memory::{Contents, Memory};
use deltamart::sink::{MadeBy, Sink, Warehouse};
use deltamart::source::script::{Script, Step};
use deltamart::source::{Partition, Poll, Source, SourceError};
use deltamart::state_dir::StateDir;
use deltamart::store::local::Local;
use deltamart::store::simulated::SimulatedDisk;
use deltamart::store::{Store, StoreError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rule::{Lines, event, judged, lines};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Fifty years.
const FAR_MS: i64 = 50 * 365 * 24 * HOUR_MS;

/// Deals a source out in batches of any size: as many workers may hold one at a time.
struct Chopped {
    source: Script,
    dice: ChaCha8Rng,
    most: usize,
}

impl Source for Chopped {
    fn partitions(&self) -> Vec<Partition> {
        self.source.partitions()
    }
    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        self.source.poll(self.dice.random_range(1..=self.most).min(max_records))
    }
    fn is_sequence(&self) -> bool {
        self.source.is_sequence()
    }
    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.source.seek(next_offsets)
    }
}

/// How a history is read.
#[derive(Clone, Copy, Debug)]
struct Way {
    workers: usize,
    epoch_ms: u64,
    epoch_events: usize,
    /// The most records of a batch.
    batch: usize,
    seed: u64,
}

impl Way {
    fn any(dice: &mut ChaCha8Rng) -> Way {
        Way {
            workers: [1, 2, 4][dice.random_range(0..3)],
            epoch_ms: [1, 3_600_000][dice.random_range(0..2)],
            epoch_events: [1, 5, 40, 1000][dice.random_range(0..4)],
            batch: [1, 3, 20][dice.random_range(0..3)],
            seed: dice.random(),
        }
    }

    fn options(&self) -> Options {
        let mut options = support::options(self.workers);
        options.epoch_interval = Duration::from_millis(self.epoch_ms);
        options.epoch_events = self.epoch_events;
        options.settings.lane.lateness_ms = Some(rule::LATENESS_MS);
        options.settings.lane.watermark_step_ms = WATERMARK_STEP_MS;
        // A leap of years has millions of minutes.
        options.settings.lane.tables =
            all().metrics().iter().map(|(id, _)| *id).filter(|id| *id != table("session_metrics")).collect::<Tables>();
        // Fifty years later is accepted.
        options.clock = Arc::new(|| CLOCK_MS + 2 * FAR_MS);
        options
    }

    fn source(&self, files: usize, steps: Vec<Step>, stop: &Arc<AtomicBool>) -> Box<dyn Source> {
        let mut partitions = support::partitions(files);
        partitions.iter_mut().skip(1).for_each(|partition| partition.status = Status::Waiting);
        let source = Script::new(partitions, steps).stopping(stop).in_sequence();
        Box::new(Chopped { source, dice: ChaCha8Rng::seed_from_u64(self.seed), most: self.batch })
    }
}

/// The first so many lines of the files, one file after the other; what follows is not there yet.
fn steps(files: &[Lines], total: usize) -> Vec<Step> {
    let (mut steps, mut left) = (Vec::new(), total);
    for (number, lines) in (0..).zip(files) {
        steps.push(Step::Status(number, Status::Live));
        steps.extend(lines.iter().take(left).enumerate().map(|(n, at)| Step::Record(number, event(number, n, *at))));
        left = left.saturating_sub(lines.len());
        steps.push(Step::Status(number, Status::Ended));
    }
    steps
}

fn whole(files: &[Lines]) -> Vec<Step> {
    steps(files, usize::MAX).into_iter().chain([Step::End]).collect()
}

/// A run from where another ended, into the same sink.
fn go_on(sink: &Memory, way: &Way, options: Options, files: usize, steps: Vec<Step>, resume: Resume) -> Ended {
    let mut claimed = sink.clone();
    let claim = claimed.claim(MadeBy::Run, None).expect("memory can be claimed");
    // Of an epoch that changed nothing there is no commit.
    let behind = sink.contents().progress.clone().map_or(0, |progress| progress.epoch);
    let resume = Resume { epoch: resume.epoch.max(behind), ..resume };
    sink.contents().progress.as_mut().expect("claimed").epoch = resume.epoch;
    let stop = Arc::default();
    let sources = vec![way.source(files, steps, &stop)];
    let sinks: Vec<(Box<dyn Sink>, _)> = vec![(Box::new(claimed), claim)];
    engine::run(Job { sources, sinks, keep: None, options: options.engine(), resume, stop, stats: Arc::default() })
        .expect("runs")
}

fn run(way: &Way, options: Options, files: &[Lines]) -> Contents {
    let sink = Memory::default();
    go_on(&sink, way, options, files.len(), whole(files), Resume::default());
    sink.contents().clone()
}

/// A run for each of these lengths, or stopped there; and one to the end.
fn in_pieces(dice: &mut ChaCha8Rng, files: &[Lines], lengths: &[usize], grows: bool) -> Contents {
    let (sink, mut resume) = (Memory::default(), Resume::default());
    for length in lengths.iter().copied().chain([usize::MAX]) {
        let way = Way::any(dice);
        let (mut steps, mut given) = (steps(files, length), files.len());
        if length == usize::MAX {
            steps.push(Step::End);
        } else if grows {
            // Files that are not there yet are not given.
            let ends = files.iter().scan(0, |sum, lines| (*sum < length).then(|| *sum += lines.len()));
            given = ends.count().max(1);
            steps.retain(|step| !matches!(step, Step::Status(file, _) if *file as usize >= given));
            steps.push(Step::End);
        } else {
            let stopped = steps.iter().scan(0, |read, step| {
                *read += usize::from(matches!(step, Step::Record(..)));
                Some(*read)
            });
            let at = stopped.take_while(|read| *read < length).count() + 1;
            steps.truncate(at);
            steps.push(Step::Stop);
        }
        resume = go_on(&sink, &way, way.options(), given, steps, resume);
    }
    sink.contents().clone()
}

/// After so many kills a history is left to come to its end: a life that dies before it has written more than was
/// there would be followed by another forever.
const KILLS: usize = 20;

/// A store whose process goes away at its second write of the journal, before or after it was done.
struct Mortal {
    store: Local<SimulatedDisk>,
    disk: SimulatedDisk,
    writes: AtomicUsize,
    done: bool,
}

impl Store for Mortal {
    fn place(&self) -> String {
        self.store.place()
    }
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        self.store.create(key, bytes)
    }
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let dies = key.starts_with("journal/") && self.writes.fetch_add(1, Ordering::AcqRel) == 1;
        if dies && self.done {
            self.store.put(key, bytes)?;
        }
        if dies {
            self.disk.fail_after(0);
        }
        self.store.put(key, bytes)
    }
    fn put_lightly(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_lightly(key, bytes)
    }
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.store.list(prefix)
    }
    fn settle(&self) -> Result<(), StoreError> {
        self.store.settle()
    }
    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.store.delete(key)
    }
}

/// Killed at every write of the journal, one after the other, until it comes to its end; tells how often.
fn killed(dice: &mut ChaCha8Rng, files: &[Lines]) -> (Contents, usize) {
    let (sink, mut disk, mut kills) = (Memory::default(), SimulatedDisk::new(), 0);
    loop {
        let way = Way { epoch_ms: 3_600_000, ..Way::any(dice) };
        let mut options = way.options();
        options.take_state = false;
        options.epochs_in_flight = dice.random_range(1..=3);
        let store = Local::on(disk.clone(), "/state").expect("a folder");
        let done = dice.random();
        let store =
            Mortal { store, disk: disk.clone(), writes: AtomicUsize::new(if kills < KILLS { 0 } else { 2 }), done };
        let dir = StateDir::open(Arc::new(store), None).expect("opens");
        let facts = support::start_of(format!("{kills}"), &options, BTreeMap::new());
        let mut sinks: Vec<Box<dyn Warehouse>> = vec![Box::new(sink.clone())];
        let start = recovery::start(all(), &dir, &mut sinks, &facts, &BTreeMap::new(), 1).expect("starts");
        let stop = Arc::default();
        let job = Job {
            sources: vec![way.source(files.len(), whole(files), &stop)],
            sinks: sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect(),
            keep: Some(Keep {
                dir,
                generation: start.generation,
                fingerprint: facts.fingerprint,
                identities: BTreeMap::new(),
            }),
            options: options.engine(),
            resume: start.resume,
            stop,
            stats: Arc::default(),
        };
        match engine::run(job) {
            Ok(_) => return (sink.contents().clone(), kills),
            Err(why) => {
                assert!(["gone", "went away"].iter().any(|expected| why.to_string().contains(expected)), "{why}")
            }
        }
        kills += 1;
        disk = disk.restart(dice.random());
    }
}

/// All tables that do not depend on when an epoch was closed: late events, and the metrics.
fn made(contents: &Contents) -> BTreeMap<&'static str, Vec<Vec<Value>>> {
    let ids = all().metrics().iter().map(|(id, _)| *id).chain([table("late_events")]);
    ids.map(|id| (id.table().name, contents.rows(id))).collect()
}

/// The rows of `late_events` that the rule says.
fn late_rows(files: &[Lines]) -> Vec<Vec<Value>> {
    let late = judged(files).into_iter().filter(|(.., at, by)| *at < by - rule::LATENESS_MS);
    let row = |(file, line, at, by): (u32, usize, i64, i64)| {
        vec![
            Value::Text("script".to_owned()),
            Value::Integer(file.into()),
            Value::Integer(line as i64),
            Value::Instant(at),
            Value::Instant(by),
            Value::Bytes(event(file, line, at).into()),
        ]
    };
    late.map(row).collect()
}

#[derive(Default)]
struct Tally {
    lines: usize,
    late: usize,
    runs: usize,
    kills: usize,
}

fn one(seed: u64, tally: &mut Tally) {
    let files = lines(seed);
    let mut dice = ChaCha8Rng::seed_from_u64(!seed);
    let total: usize = files.iter().map(Vec::len).sum();
    let plain = Way { workers: 1, epoch_ms: 3_600_000, epoch_events: 1 << 16, batch: 1 << 16, seed };
    let one = run(&plain, plain.options(), &files);
    let expected = late_rows(&files);
    assert_eq!(one.rows(table("late_events")), expected, "seed {seed}: the rule says otherwise: {files:?}");
    support::assert_matches_sql(&one, &plain.options().settings);
    let reference = made(&one);
    let check = |way: &str, contents: &Contents| {
        assert!(contents.rows(table("late_events")) == expected, "seed {seed}, {way}: other lines are late");
        for (table, rows) in made(contents) {
            assert!(rows == reference[table], "seed {seed}, {way}: `{table}` is another one");
        }
        let watermark = |contents: &Contents| contents.progress.as_ref().map(|progress| progress.watermarks.clone());
        assert_eq!(watermark(contents), watermark(&one), "seed {seed}, {way}");
    };

    for workers in [1, 2, 4] {
        for epoch_ms in [1, 3_600_000] {
            let way = Way { workers, epoch_ms, ..Way::any(&mut dice) };
            check(&format!("{way:?}"), &run(&way, way.options(), &files));
            tally.runs += 1;
        }
    }
    let faithful = Way::any(&mut dice);
    let mut options = faithful.options();
    options.settings.lane.forget = false;
    check("without forgetting", &run(&faithful, options, &files));

    // At every line, unless there are too many.
    let mut every: Vec<usize> = (1..total).collect();
    while every.len() > if seed.is_multiple_of(10) { usize::MAX } else { 12 } {
        every.swap_remove(dice.random_range(0..every.len()));
    }
    every.sort();
    check("grown", &in_pieces(&mut dice, &files, &every, true));
    check("stopped", &in_pieces(&mut dice, &files, &every, false));
    let (contents, kills) = killed(&mut dice, &files);
    check("killed", &contents);
    *tally = Tally {
        lines: tally.lines + total,
        late: tally.late + expected.len(),
        runs: tally.runs + 2 * every.len() + kills + 5,
        kills: tally.kills + kills,
    };
}

/// Calls it with every seed, several at a time.
fn sweep(histories: u64, one: impl Fn(u64) + Sync) {
    let asked = std::env::var("DELTAMART_LATENESS_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = asked.map_or(0..histories, |seed| seed..seed + 1);
    let next = AtomicUsize::new(seeds.start as usize);
    std::thread::scope(|scope| {
        let some = || {
            while let Some(seed) = Some(next.fetch_add(1, Ordering::AcqRel) as u64).filter(|seed| *seed < seeds.end) {
                one(seed);
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(some)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a history failed: see above"));
    });
}

#[test]
fn what_is_late_is_a_function_of_the_files() {
    let tally = Mutex::new(Tally::default());
    let histories = u64::from(support::histories(12)).min(if support::is_sweep() { u64::MAX } else { 16 });
    sweep(histories, |seed| {
        let mut own = Tally::default();
        one(seed, &mut own);
        let mut tally = tally.lock().expect("no panic");
        let (lines, late) = (tally.lines + own.lines, tally.late + own.late);
        *tally = Tally { lines, late, runs: tally.runs + own.runs, kills: tally.kills + own.kills };
    });
    let Tally { lines, late, runs, kills } = tally.into_inner().expect("no panic");
    println!("lateness: {histories} histories of {lines} lines, {late} late, in {runs} runs, killed {kills} times");
    assert!(support::is_sweep() || late > 0 && kills > 20, "{late} late, {kills} kills");
}

/// One line says fifty years later: it is as if that line were not there.
#[test]
fn a_stray_line_changes_the_fate_of_no_other() {
    let histories = u64::from(support::histories(12)).min(if support::is_sweep() { u64::MAX } else { 16 });
    sweep(histories, |seed| {
        let files = rule::without_leaps(lines(seed));
        let mut dice = ChaCha8Rng::seed_from_u64(!seed);
        let places: Vec<(usize, usize)> =
            files.iter().enumerate().flat_map(|(file, lines)| (0..lines.len()).map(move |line| (file, line))).collect();
        // By the rule at every place; through the engine, at some.
        for (file, line) in &places {
            rule::assert_stray_is_alone(&files, *file, *line, FAR_MS);
        }
        for _ in 0..3 {
            let (file, line) = places[dice.random_range(0..places.len())];
            let mut stray = files.clone();
            stray[file][line] += FAR_MS;
            let way = Way::any(&mut dice);
            let found = run(&way, way.options(), &stray);
            assert!(found.rows(table("rejected_events")).is_empty(), "the stray line is accepted");
            assert_eq!(found.rows(table("late_events")), late_rows(&stray), "seed {seed}, line {line} of file {file}");
            let end = found.progress.as_ref().map_or(0, |progress| progress.watermarks.least());
            assert!(end < support::MONDAY_MS + FAR_MS, "seed {seed}: nothing expires by a stray line");
        }
    });
}
