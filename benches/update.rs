//! What does an update of 10,000 events cost after one million events, and after ten? Reads JSON
//! lines from the file in `DELTAMART_EVENTS` (and the catalog in `DELTAMART_CATALOG`), ten thousand
//! an epoch, into tables in memory; `scripts/bench` makes the files and calls it.

use deltamart::commit;
use deltamart::engine::{self, Job, Options, Resume};
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::chain::Chain;
use deltamart::source::files::Files;
use deltamart::source::movies::Movies;
use deltamart::source::{Partition, Poll, Source, SourceError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const UPDATE: usize = 10_000;
/// So many updates are averaged.
const UPDATES: usize = 40;

/// The CPU time of all threads so far.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_task).sum())
}

/// Cuts an epoch after each update, and notes the CPU time when the next begins.
struct Updates {
    inner: Chain,
    left: usize,
    marks: Arc<Mutex<Vec<Duration>>>,
}

impl Source for Updates {
    fn partitions(&self) -> Vec<Partition> {
        self.inner.partitions()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.left == 0 {
            self.left = UPDATE;
            self.marks.lock().expect("not poisoned").push(cpu());
            return Ok(Poll::Cut);
        }
        let polled = self.inner.poll(max_records.min(self.left))?;
        if let Poll::Records(batch) = &polled {
            self.left -= batch.records.len();
        }
        Ok(polled)
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.inner.seek(next_offsets)
    }
}

fn main() {
    let Some(events) = std::env::var_os("DELTAMART_EVENTS").map(PathBuf::from) else {
        println!("update: nothing measured; DELTAMART_EVENTS names no file (see scripts/bench)");
        return;
    };
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if let Some(catalog) = std::env::var_os("DELTAMART_CATALOG").map(PathBuf::from) {
        // Just before the first day of the shop.
        let as_of = deltamart::config::Config::default().simulate.start - 1;
        sources.push(Box::new(Movies::file("Movies.txt", &catalog, as_of).expect("a catalog")));
    }
    sources.push(Box::new(Files::new(&[events]).expect("a file of events")));
    let marks = Arc::new(Mutex::new(Vec::new()));
    let source = Updates { inner: Chain::new(sources), left: UPDATE, marks: Arc::clone(&marks) };
    let mut settings = dataflows::Settings { raw: false, ..dataflows::Settings::default() };
    use dataflows::table::TableId::*;
    settings.tables =
        [UserRegistrationMetrics, CheckoutMetrics, SessionMetrics, ActiveSessions, MovieSaleLines, MovieSalesMetrics]
            .into_iter()
            .collect();
    let options = Options {
        workers: 1,
        epoch_interval: Duration::from_secs(3600),
        epoch_events: 1 << 20,
        epoch_bytes: 1 << 30,
        epochs_in_flight: 1,
        idle_timeout_ms: 30_000,
        commit: commit::Options {
            commit_interval: Duration::ZERO,
            journal_interval: Duration::ZERO,
            pending_bytes: 64 << 20,
            stop_grace: Duration::from_secs(1),
            retention: Default::default(),
        },
        settings,
        rules: Default::default(),
        clock: Arc::new(deltamart::instant::now),
        take_state: false,
        snapshot_interval: Duration::ZERO,
        turns: Default::default(),
    };
    let mut sink = Memory::without_log();
    let claim = sink.claim(MadeBy::Run, None).expect("memory");
    let job = Job {
        sources: vec![Box::new(source)],
        sinks: vec![(Box::new(sink), claim)],
        keep: None,
        options,
        resume: Resume::default(),
        stop: Arc::default(),
        stats: Arc::default(),
    };
    engine::run(job).expect("runs");
    let marks = marks.lock().expect("not poisoned");
    let cost = |from: usize| (marks[from + UPDATES] - marks[from]).as_secs_f64() * 1e3 / UPDATES as f64;
    if marks.len() < 100 + 2 * UPDATES {
        println!("update: {} updates are too few to compare", marks.len());
        return;
    }
    let (early, late, last) = (cost(100), cost(marks.len() - 1 - UPDATES), marks.len());
    println!(
        "an update of {UPDATE} events: {early:.1} CPU-ms after {} events, {late:.1} after {}: {:.2} times",
        100 * UPDATE,
        (last - UPDATES) * UPDATE,
        late / early
    );
}
