//! A pipeline over files into memory, cut into epochs by count: what the benches here measure.

use deltamart::commit;
use deltamart::engine::{Job, Lane, Options, Resume};
use deltamart::sink::memory::Memory;
use deltamart::sink::{MadeBy, Sink};
use deltamart::source::chain::Chain;
use deltamart::source::files::Files;
use deltamart::source::movies::Movies;
use deltamart::source::{Partition, Poll, Source, SourceError};
use deltamart::turns::Turns;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The files that `DELTAMART_EVENTS` and `DELTAMART_CATALOG` name, the catalog first; none without events.
pub fn files() -> Option<Chain> {
    let events = std::env::var_os("DELTAMART_EVENTS").map(PathBuf::from)?;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if let Some(catalog) = std::env::var_os("DELTAMART_CATALOG").map(PathBuf::from) {
        // Just before the first day of the shop.
        let as_of = deltamart::config::Config::default().simulate.start - 1;
        sources.push(Box::new(Movies::file("Movies.txt", &catalog, as_of).expect("a catalog")));
    }
    sources.push(Box::new(Files::new(&[events]).expect("a file of events")));
    Some(Chain::new(sources))
}

/// Cuts an epoch after so many records.
pub struct Cut<F> {
    inner: Chain,
    every: usize,
    left: usize,
    cuts: F,
}

impl<F: FnMut() + Send> Cut<F> {
    /// `cuts` is called where an epoch is cut.
    pub fn new(inner: Chain, every: usize, cuts: F) -> Cut<F> {
        Cut { inner, every, left: every, cuts }
    }
}

impl<F: FnMut() + Send> Source for Cut<F> {
    fn partitions(&self) -> Vec<Partition> {
        self.inner.partitions()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.left == 0 {
            self.left = self.every;
            (self.cuts)();
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

/// One worker that computes windows, sessions and sales, and keeps nothing but their rows.
pub fn job(source: Box<dyn Source>, clock: impl Fn() -> i64 + Send + Sync + 'static, turns: Turns) -> Job {
    // Windows, sessions and sales: the first of the shop's.
    let tables = dataflows::shop::METRICS[..6].iter().map(|metric| metric.table).collect();
    let lane = dataflows::Settings { raw: false, tables, ..Default::default() };
    let settings = dataflows::shop::Settings { lane, ..Default::default() };
    let options = Options {
        workers: 1,
        epoch_interval: Duration::from_secs(3600),
        epoch_events: 1 << 20,
        epoch_bytes: 1 << 30,
        epochs_in_flight: 1,
        archive: Default::default(),
        commit: commit::Options {
            commit_interval: Duration::ZERO,
            journal_interval: Duration::ZERO,
            pending_bytes: 64 << 20,
            stop_grace: Duration::from_secs(1),
            catalogue: deltamart::families::all(),
            retention: Default::default(),
            quality: None,
        },
        lanes: vec![Lane { family: Arc::new(settings), idle_timeout_ms: 30_000 }],
        rules: Default::default(),
        clock: Arc::new(clock),
        as_bytes: false,
        take_state: false,
        snapshot_interval: Duration::ZERO,
        turns,
    };
    let mut sink = Memory::without_log();
    let claim = sink.claim(MadeBy::Run, None).expect("memory");
    Job {
        sources: vec![source],
        sinks: vec![(Box::new(sink), claim)],
        keep: None,
        options,
        resume: Resume::default(),
        stop: Arc::default(),
        stats: Arc::default(),
    }
}
