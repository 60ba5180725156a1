//! Closed epochs become commits.
//!
//! One thread collects what the workers deliver, merges whole epochs (the last delta per key wins)
//! and hands them to the sink's own thread, one commit at a time. An epoch is acknowledged once it
//! is merged and what waits for the sink is within its bound; unacknowledged epochs stop the
//! sources. Waiting for `commit_interval` stops nobody.

use crate::delta::{Delta, KeyBug};
use crate::sink::{Claim, Commit, Sink, SinkError};
use crate::stats::Stats;
use dataflows::raw::Append;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// What one worker has of one epoch.
#[derive(Debug, Default)]
pub struct Part {
    /// Changed rows whose keys live at this worker.
    pub deltas: Vec<(TableId, Delta)>,
    /// Rows for raw tables.
    pub appends: Vec<Append>,
    /// Next offsets of the partitions it read from.
    pub positions: Vec<(u32, i64)>,
    /// The watermark, if it changed; from worker 0.
    pub watermark: Option<Instant>,
    /// The clock; from worker 0.
    pub clock_ms: Option<Instant>,
    /// When the first record was read.
    pub oldest: Option<std::time::Instant>,
}

/// What the committer hears.
#[derive(Debug)]
pub enum Message {
    /// A worker's part of a closed epoch.
    Part(Time, Part),
    /// A worker has delivered all its parts before this epoch; without one, all of them.
    Reached(usize, Option<Time>),
    /// The sink is done with a commit.
    Applied(Result<(), SinkError>),
    /// A worker found a bug.
    Bug(KeyBug),
}

/// Why committing ended early.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The sink gave up.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Our own fault.
    #[error(transparent)]
    Bug(#[from] KeyBug),
}

/// How commits are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The least time between two commits.
    pub commit_interval: Duration,
    /// How many bytes may wait for the sink before the sources are stopped.
    pub pending_bytes: usize,
    /// How long an unavailable sink is waited for once a stop was asked.
    pub stop_grace: Duration,
}

/// Who hears what of the committer.
#[derive(Clone)]
pub struct Signals {
    /// The last acknowledged epoch.
    pub acknowledged: Arc<AtomicU64>,
    /// A stop was asked.
    pub stop: Arc<AtomicBool>,
    /// What is counted.
    pub stats: Arc<Stats>,
}

/// Epochs merged and not yet handed to the sink.
#[derive(Default)]
struct Pending {
    /// In the order of epochs; of those of one key the last will count.
    deltas: BTreeMap<TableId, Vec<Delta>>,
    appends: BTreeMap<TableId, Vec<Vec<Value>>>,
    epoch: Time,
    changed: bool,
    bytes: usize,
    oldest: Option<std::time::Instant>,
}

/// What is known of the stream as of the last merged epoch.
struct Known {
    positions: BTreeMap<String, i64>,
    watermark: Instant,
    clock_ms: Instant,
}

impl Pending {
    fn merge(&mut self, epoch: Time, part: Part, known: &mut Known, partitions: &[String]) {
        self.epoch = epoch;
        let size = |row: &[Value]| row.iter().map(Value::size).sum::<usize>();
        for (table, delta) in part.deltas {
            let (Delta::Upsert(row) | Delta::Delete(row)) = &delta;
            self.bytes += size(row);
            self.deltas.entry(table).or_default().push(delta);
            self.changed = true;
        }
        for Append { table, values } in part.appends {
            self.bytes += size(&values);
            self.appends.entry(table).or_default().push(values);
            self.changed = true;
        }
        for (partition, next_offset) in part.positions {
            let at = known.positions.entry(partitions[partition as usize].clone()).or_insert(next_offset);
            *at = next_offset.max(*at);
            self.changed = true;
        }
        self.changed |= part.watermark.is_some_and(|watermark| watermark != known.watermark);
        known.watermark = part.watermark.unwrap_or(known.watermark);
        known.clock_ms = part.clock_ms.unwrap_or(known.clock_ms);
        self.oldest = match (self.oldest, part.oldest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn commit(self, follows: Time, known: &Known) -> Commit {
        let mut deltas = self.deltas;
        for (table, deltas) in &mut deltas {
            // Stable, and quick on what consists of sorted runs. Reversed, the last of a key is the first.
            deltas.reverse();
            deltas.sort_by(|a, b| a.key(*table).cmp(b.key(*table)));
            deltas.dedup_by(|later, kept| later.key(*table) == kept.key(*table));
        }
        let mut appends = self.appends;
        appends.values_mut().for_each(|rows| rows.sort());
        Commit {
            follows,
            epoch: self.epoch,
            clock_ms: known.clock_ms,
            watermark: known.watermark,
            positions: known.positions.clone(),
            deltas,
            appends,
        }
    }
}

/// Where commits go, and what they go on from.
pub struct Target {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// The right to write to it.
    pub claim: Claim,
    /// The last committed epoch.
    pub epoch: Time,
    /// Its watermark.
    pub watermark: Instant,
    /// Its positions.
    pub positions: BTreeMap<String, i64>,
}

/// Who delivers.
pub struct Delivery {
    /// What the workers send.
    pub inbox: Receiver<Message>,
    /// The other end of it, for the sink's thread.
    pub outbox: Sender<Message>,
    /// How many workers.
    pub workers: usize,
    /// What the partitions are called in positions.
    pub partitions: Vec<String>,
}

/// Commits everything the workers deliver, until they have delivered all.
///
/// # Errors
/// If the sink fails for good, or a worker found a bug.
pub fn run(delivery: Delivery, target: Target, options: &Options, signals: &Signals) -> Result<(), CommitError> {
    let (to_sink, commits) = channel::<Arc<Commit>>();
    let Delivery { inbox, outbox, workers, partitions } = delivery;
    let Target { sink, claim, epoch, watermark, positions } = target;
    let writer = {
        let (signals, grace) = (signals.clone(), options.stop_grace);
        std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || write(sink, &claim, &commits, &outbox, &signals, grace))
            .map_err(|error| SinkError::Failed(format!("could not start the sink's thread: {error}")))?
    };
    let mut committer = Committer {
        parts: BTreeMap::new(),
        reached: vec![Some(0); workers],
        merged: epoch,
        committed: epoch,
        known: Known { positions, watermark, clock_ms: 0 },
        pending: Pending::default(),
        applying: None,
        last_commit: std::time::Instant::now(),
        partitions: &partitions,
        options,
        signals,
    };
    let result = committer.run(&inbox, &to_sink);
    drop(to_sink);
    if result.is_err() {
        // So that a sink that is away is not waited for any longer than its grace.
        signals.stop.store(true, Ordering::Release);
    }
    let joined = writer.join();
    result?;
    joined.map_err(|_| SinkError::Failed("the sink's thread panicked".to_owned()))?;
    Ok(())
}

struct Applying {
    commit: Arc<Commit>,
    bytes: usize,
    oldest: Option<std::time::Instant>,
}

struct Committer<'a> {
    parts: BTreeMap<Time, Vec<Part>>,
    reached: Vec<Option<Time>>,
    merged: Time,
    committed: Time,
    known: Known,
    pending: Pending,
    applying: Option<Applying>,
    last_commit: std::time::Instant,
    partitions: &'a [String],
    options: &'a Options,
    signals: &'a Signals,
}

impl Committer<'_> {
    fn run(&mut self, inbox: &Receiver<Message>, to_sink: &Sender<Arc<Commit>>) -> Result<(), CommitError> {
        loop {
            let finished = self.reached.iter().all(Option::is_none);
            self.merge();
            if self.applying.is_none() {
                if self.pending.changed && (finished || self.is_due()) {
                    self.hand_over(to_sink);
                } else if finished {
                    return Ok(());
                }
            }
            self.acknowledge();
            match inbox.recv_timeout(self.patience()) {
                Ok(message) => self.hear(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            while let Ok(message) = inbox.try_recv() {
                self.hear(message)?;
            }
        }
    }

    fn hear(&mut self, message: Message) -> Result<(), CommitError> {
        match message {
            Message::Part(epoch, part) => self.parts.entry(epoch).or_default().push(part),
            Message::Reached(worker, epoch) => self.reached[worker] = epoch,
            Message::Applied(result) => {
                result?;
                self.applied();
            }
            Message::Bug(bug) => return Err(bug.into()),
        }
        Ok(())
    }

    /// Merges every epoch that all workers have left behind.
    fn merge(&mut self) {
        let closed = self.reached.iter().flatten().min().copied();
        while let Some(first) = self.parts.first_entry() {
            if closed.is_some_and(|closed| *first.key() >= closed) {
                break;
            }
            let (epoch, parts) = first.remove_entry();
            for part in parts {
                self.pending.merge(epoch, part, &mut self.known, self.partitions);
            }
            self.merged = epoch;
            self.signals.stats.epochs.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiting_bytes(&self) -> usize {
        self.pending.bytes + self.applying.as_ref().map_or(0, |applying| applying.bytes)
    }

    fn is_due(&self) -> bool {
        self.last_commit.elapsed() >= self.options.commit_interval || self.pending.bytes > self.options.pending_bytes
    }

    fn patience(&self) -> Duration {
        let until_due = self.options.commit_interval.saturating_sub(self.last_commit.elapsed());
        if self.pending.changed && self.applying.is_none() { until_due } else { Duration::from_secs(1) }
    }

    fn acknowledge(&self) {
        if self.waiting_bytes() <= self.options.pending_bytes {
            self.signals.acknowledged.fetch_max(self.merged, Ordering::AcqRel);
        }
    }

    fn hand_over(&mut self, to_sink: &Sender<Arc<Commit>>) {
        let pending = std::mem::take(&mut self.pending);
        let (bytes, oldest) = (pending.bytes, pending.oldest);
        let commit = Arc::new(pending.commit(self.committed, &self.known));
        self.last_commit = std::time::Instant::now();
        // If the sink's thread is gone, its last word is in the inbox.
        if to_sink.send(Arc::clone(&commit)).is_ok() {
            self.applying = Some(Applying { commit, bytes, oldest });
        }
    }

    fn applied(&mut self) {
        let Some(Applying { commit, oldest, .. }) = self.applying.take() else { return };
        self.committed = commit.epoch;
        let of =
            |wanted: fn(&Delta) -> bool| commit.deltas.values().flatten().filter(|delta| wanted(delta)).count() as u64;
        let upserted = of(|delta| matches!(delta, Delta::Upsert(_)));
        let deleted = of(|delta| matches!(delta, Delta::Delete(_)));
        let appended = commit.appends.values().map(Vec::len).sum::<usize>() as u64;
        let late = commit.appends.get(&TableId::LateEvents).map_or(0, Vec::len) as u64;
        let freshness_ms = oldest.map_or(0, |oldest| oldest.elapsed().as_millis() as u64);
        self.signals.stats.late.fetch_add(late, Ordering::Relaxed);
        self.signals.stats.committed(upserted, deleted, appended, commit.watermark, freshness_ms);
    }
}

/// The sink's thread: applies commits in order, and waits for a sink that is away.
fn write(
    mut sink: Box<dyn Sink>,
    claim: &Claim,
    commits: &Receiver<Arc<Commit>>,
    outbox: &Sender<Message>,
    signals: &Signals,
    grace: Duration,
) {
    for commit in commits {
        let mut stopping = None;
        let mut pause = Duration::from_millis(20);
        let result = loop {
            match sink.apply(claim, &commit) {
                Err(SinkError::Unavailable(why)) => {
                    if signals.stop.load(Ordering::Acquire) {
                        let since = *stopping.get_or_insert_with(std::time::Instant::now);
                        if since.elapsed() >= grace {
                            break Err(SinkError::Unavailable(why));
                        }
                    }
                    tracing::warn!("{why}; trying again");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                result => break result,
            }
        };
        let failed = result.is_err();
        if outbox.send(Message::Applied(result)).is_err() || failed {
            return;
        }
    }
}
