//! What do other families cost the movie shop? First: its events alone, and beside twenty families of which nothing ever
//! comes, an epoch every 10,000 events. Then: how fresh its rows are, live at 2,000 events a second, alone and while the
//! history of a family that is new is read beside it. Reads `DELTAMART_EVENTS` as `benches/update.rs` does.

mod support;

/// The toy library of the tests.
#[path = "../tests/toys"]
mod toys {
    pub mod events;
    pub mod family;
    pub mod metrics;
}

use dataflows::Time;
use dataflows::family::{Catalogue, Configured, FamilyId};
use dataflows::flow::{Inputs, Outputs};
use dataflows::gate::Gate;
use dataflows::operators::Status;
use dataflows::shop::MovieShop;
use dataflows::state::Ledger;
use deltamart::decode::Format;
use deltamart::engine::{self, Job, Lane};
use deltamart::instant;
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::{Batch, Partition, Poll, Source, SourceError};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use support::Cut;
use timely::dataflow::Scope;
use toys::family::{Library, TOYS, Toys};

const EVERY: usize = 10_000;
const IDLE: usize = 20;
const RUNS: usize = 5;
const LIVE_A_SECOND: f64 = 2_000.0;
const LIVE: Duration = Duration::from_secs(20);
const HISTORY: i64 = 2_000_000;

/// The CPU time of this process so far, in ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// One of several alike: what it keeps is entered where nobody else looks.
struct OneOf(Library);

impl Configured for OneOf {
    fn family(&self) -> FamilyId {
        self.0.family()
    }

    fn lane(&self) -> &dataflows::Settings {
        self.0.lane()
    }

    fn with(&self, lane: dataflows::Settings) -> Arc<dyn Configured> {
        Arc::new(OneOf(Library(lane)))
    }

    fn build<'s>(&self, scope: Scope<'s, Time>, inputs: Inputs<'s>, _: &Ledger) -> (Box<dyn Gate>, Outputs<'s>) {
        let own = Ledger::restoring_at(1);
        let built = self.0.build(scope, inputs, &own);
        own.is_restored();
        built
    }
}

fn library() -> Lane {
    Lane { family: Arc::new(OneOf(Library(dataflows::Settings::default()))), idle_timeout_ms: 1_000 }
}

fn with(mut job: Job, lanes: usize) -> Job {
    let catalogue = Catalogue::of(&[&MovieShop, &Toys]);
    job.options.lanes.extend((0..lanes).map(|_| library()));
    job.options.commit.catalogue = catalogue;
    let mut sink = Memory::of(catalogue);
    let claim = sink.claim(MadeBy::Run, None).expect("memory");
    job.sinks = vec![(Box::new(sink), claim)];
    job
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn idle_families() {
    let run = |lanes: usize| {
        let files = support::files().expect("asked before");
        let source = Box::new(Cut::new(files, EVERY, || ()));
        let began = cpu();
        engine::run(with(support::job(source, instant::now, Default::default()), lanes)).expect("runs");
        (cpu() - began).as_secs_f64()
    };
    run(0);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        alone.push(run(0));
        beside.push(run(IDLE));
    }
    let (alone, beside) = (median(alone), median(beside));
    println!(
        "{IDLE} families of which nothing comes: {beside:.2} CPU-s, {alone:.2} alone, {:+.1} % (medians of {RUNS})",
        100.0 * (beside / alone - 1.0)
    );
}

/// Another source, so many records a second, for so long.
struct Live<S> {
    inner: S,
    began: Instant,
    given: f64,
}

impl<S: Source> Source for Live<S> {
    fn partitions(&self) -> Vec<Partition> {
        self.inner.partitions()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let due = self.began.elapsed().min(LIVE).as_secs_f64() * LIVE_A_SECOND - self.given;
        if self.began.elapsed() > LIVE {
            return Ok(Poll::End);
        }
        if due < 1.0 {
            return Ok(Poll::Idle);
        }
        let polled = self.inner.poll(max_records.min(due as usize))?;
        if let Poll::Records(batch) = &polled {
            self.given += batch.records.len() as f64;
        }
        Ok(polled)
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.inner.seek(next_offsets)
    }
}

/// Toys that were lent, a second after each other, as fast as they are read.
struct History(i64);

impl Source for History {
    fn partitions(&self) -> Vec<Partition> {
        let (topic, format) = ("toys".to_owned(), Format::Json(None));
        vec![Partition { topic, partition: 0, family: TOYS, format, status: Status::Live }]
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        while batch.records.len() < max_records && self.0 < HISTORY {
            let at = instant::show(1_600_000_000_000 + self.0 * 1_000);
            let (child, toy) = (1 + self.0 % 1_000, self.0 % 77);
            let json = format!(r#"{{"event_name":"toy_lent","timestamp":"{at}","child":{child},"toy":"toy {toy}"}}"#);
            batch.push(0, self.0, b"", json.as_bytes());
            self.0 += 1;
        }
        Ok(if batch.records.is_empty() { Poll::End } else { Poll::Records(batch) })
    }

    fn seek(&mut self, _: &[(u32, i64)]) -> Result<(), SourceError> {
        Ok(())
    }
}

fn freshness(history: bool) {
    let files = support::files().expect("asked before");
    let live = Box::new(Live { inner: files, began: Instant::now(), given: 0.0 });
    let mut job = with(support::job(live, instant::now, Default::default()), 1);
    job.options.workers = 2;
    (job.options.epoch_interval, job.options.epoch_events) = (Duration::from_millis(250), 262_144);
    (job.options.epochs_in_flight, job.options.commit.commit_interval) = (8, Duration::from_millis(250));
    job.options.epoch_bytes = 64 << 20;
    if history {
        job.sources.push(Box::new(History(0)));
    }
    let stats = Arc::clone(&job.stats);
    let began = Instant::now();
    let run = std::thread::spawn(move || engine::run(job).map(drop));
    let (mut commits, mut fresh_ms, mut read) = (0, Vec::new(), None);
    while !run.is_finished() {
        let now = stats.commits.load(Relaxed);
        if now > commits && began.elapsed() < LIVE {
            fresh_ms.push(stats.freshness_ms.load(Relaxed));
        }
        commits = now;
        if history && read.is_none() && stats.records.load(Relaxed) as i64 >= HISTORY {
            read = Some(began.elapsed());
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    run.join().expect("no panic").expect("runs");
    fresh_ms.sort_unstable();
    let at = |part: usize| fresh_ms[(fresh_ms.len() * part / 100).min(fresh_ms.len() - 1)];
    let what = if history { "while a new family's history is read" } else { "alone" };
    let took = read.map_or(String::new(), |took| format!("; {HISTORY} records of it took {:.1} s", took.as_secs_f64()));
    println!("fresh {what}: median {} ms, p99 {}, longest {}{took}", at(50), at(99), at(100));
}

fn main() {
    if support::files().is_none() {
        println!("lanes: nothing measured; DELTAMART_EVENTS names no file (see scripts/bench)");
        return;
    }
    idle_families();
    freshness(false);
    freshness(true);
}
