//! The timely workers: feed, close epochs, deliver. The only place that knows workers exist.
//!
//! Worker 0 ticks. A tick closes an epoch for everybody and carries its clock; it travels through
//! a dataflow of its own, so that several processes will hear it as several threads do. No worker
//! closes an epoch on its own, and worker 0 ticks only while fewer than `epochs_in_flight` closed
//! epochs are unacknowledged: a slow sink stops the ticks, full epochs stop the sources.

mod deliver;
mod follow;
mod hearing;
mod intake;
mod lead;
mod said;
mod shared;
pub mod simulated;
mod together;
mod worker;

use crate::commit::{self, CommitError};
use crate::config::archive::Archive;
use crate::decode::{self, Reason, Rejection};
use crate::lanes::Lanes;
use crate::rules::Rules;
use crate::sink::{Claim, Sink};
use crate::source::marks::Marks;
use crate::source::{Partition, Source};
use crate::state_dir::StateDir;
use crate::state_dir::journal::{Entry, Rejected};
use crate::state_dir::obstacle::Obstacle;
use crate::state_dir::snapshot::PartEntry;
use crate::stats::Stats;
use crate::turns::Turns;
use dataflows::declared::reading::Reader;
use dataflows::family::{Catalogue, Configured, FamilyId};
use dataflows::gate::Bounds;
use dataflows::operators::TopTwo;
use dataflows::quality::Running;
use dataflows::state::Section;
use dataflows::{Instant, Time};
pub use follow::{Joining, Kept, Plan};
pub use hearing::Hearing;
pub use intake::Elsewhere;
use lead::{Leader, WhenGone};
pub use said::{Link, Said, Words, link};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
pub use together::{Mesh, follow, lead, when_a_socket_is_lost};

/// The wall clock: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A family in a run.
#[derive(Clone)]
pub struct Lane {
    /// The family, with lateness and the like.
    pub family: Arc<dyn Configured>,
    /// For how long a partition must be at its end to be left out of the watermark, in milliseconds.
    pub idle_timeout_ms: i64,
}

/// How the engine runs.
#[derive(Clone)]
pub struct Options {
    /// Threads that compute.
    pub workers: usize,
    /// Whether what goes from one thread to another goes as bytes, as between processes. Tests ask for it.
    pub as_bytes: bool,
    /// How often epochs close.
    pub epoch_interval: Duration,
    /// An epoch with about so many records closes at once.
    pub epoch_events: usize,
    /// So does an epoch with about so many bytes.
    pub epoch_bytes: usize,
    /// How many closed epochs may be unacknowledged.
    pub epochs_in_flight: u64,
    /// How often a snapshot is taken, where state is kept; one more is taken at the end.
    pub snapshot_interval: Duration,
    /// How commits are made.
    pub commit: commit::Options,
    /// The families whose tables are kept, each with a watermark of its own.
    pub lanes: Vec<Lane>,
    /// What is accepted.
    pub rules: Rules,
    /// Of which topics the accepted records go to an archive.
    pub archive: Archive,
    /// The wall clock.
    pub clock: Clock,
    /// Whether the state is taken out at the end, so that another engine can go on from there.
    pub take_state: bool,
    /// Who runs when.
    pub turns: Turns,
}

/// What a run goes on from; the default is the beginning.
#[derive(Clone, Default)]
pub struct Resume {
    /// The last epoch of the run before.
    pub epoch: Time,
    /// How far each family had come.
    pub lanes: Lanes,
    /// Its clock.
    pub clock_ms: Instant,
    /// Its positions, as `topic/partition`.
    pub positions: BTreeMap<String, i64>,
    /// What was read of logs that are known by their content, as `topic/partition`.
    pub sums: BTreeMap<String, Marks>,
    /// Largest event times, as `topic/partition`.
    pub largest: BTreeMap<String, Instant>,
    /// Second largest event times, as `topic/partition`.
    pub second: BTreeMap<String, Instant>,
    /// What was counted in the hour of its clock.
    pub quality: Running,
    /// What its operators held, in sections of any size.
    pub state: Vec<Section>,
    /// Where the rest of it is, which the other processes read: a list for each.
    pub elsewhere: Vec<Vec<PartEntry>>,
    /// Epochs after it that are journaled, in their order: they come out as they did.
    pub replay: Vec<Replayed>,
    /// The start that journaled the last of all these, if its entry is kept.
    pub journaled_by: Option<u64>,
}

/// An epoch that is replayed.
#[derive(Clone)]
pub struct Replayed {
    /// The start that journaled it.
    pub by: u64,
    /// What was decided.
    pub entry: Entry,
    /// What was accepted then.
    pub rules: Rules,
    /// What read the events of families that are declared otherwise now.
    pub readers: Arc<Readers>,
    /// Why each of `entry.rejected` was.
    reasons: Vec<Reason>,
}

/// What reads the events of families, by their names.
pub type Readers = BTreeMap<String, &'static Reader>;

impl Replayed {
    /// An epoch as the journal has it, and the start that wrote it there.
    ///
    /// # Errors
    /// If it names a reason that this version does not know: its records would be decoded again, and perhaps accepted.
    pub fn new(
        catalogue: Catalogue,
        (by, entry): (u64, Entry),
        (rules, readers): (Rules, Arc<Readers>),
    ) -> Result<Replayed, Obstacle> {
        let reason = |rejected: &Rejected| {
            catalogue.reason_of(&rejected.reason).ok_or_else(|| Obstacle::UnknownReason {
                partition: rejected.partition.clone(),
                offset: rejected.offset,
                epoch: entry.epoch,
                reason: rejected.reason.clone(),
            })
        };
        let reasons = entry.rejected.iter().map(reason).collect::<Result<_, _>>()?;
        Ok(Replayed { by, entry, rules, readers, reasons })
    }

    /// By what records of a family are judged.
    fn bounds(&self, family: FamilyId, clock: decode::Clock) -> Bounds<'_> {
        let bounds = self.rules.bounds(family, clock);
        match self.readers.get(family.name()) {
            Some(reader) => Bounds { rules: reader, ..bounds },
            None => bounds,
        }
    }

    /// Whether a record was rejected for a reason that its bytes do not tell.
    fn rejected(&self, partition: &str, offset: i64) -> Option<Rejection> {
        let rejected = &self.entry.rejected;
        // They are sorted, and there may be as many as records.
        let place = rejected.partition_point(|found| (&*found.partition, found.offset) < (partition, offset));
        let found = rejected.get(place).filter(|found| found.partition == partition)?;
        let found = Some(found).filter(|found| found.first.unwrap_or(found.offset) <= offset)?;
        Some(Rejection::new(self.reasons[place], found.detail.clone()))
    }
}

impl Resume {
    /// The first epoch, and the clock by which its records are judged.
    fn first_epoch(&self, now_ms: Instant) -> (Time, Instant) {
        let replayed = self.replay.first().map(|replayed| (replayed.entry.epoch, replayed.entry.opened_ms));
        replayed.unwrap_or((self.epoch + 2, now_ms))
    }

    /// The last epoch whose facts are known.
    fn journaled(&self) -> Time {
        self.replay.last().map_or(self.epoch, |replayed| replayed.entry.epoch)
    }

    /// The largest event times of a partition.
    fn top(&self, partition: &str) -> TopTwo {
        TopTwo { largest: self.largest.get(partition).copied(), second: self.second.get(partition).copied() }
    }

    fn replayed(&self, epoch: Time) -> Option<&Replayed> {
        let found = self.replay.binary_search_by_key(&epoch, |replayed| replayed.entry.epoch);
        found.ok().map(|found| &self.replay[found])
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A source cannot be read any more.
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    /// Nothing can be committed any more.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A process that computes with this one cannot go on.
    #[error("process {process}: {why}")]
    Member {
        /// Its number.
        process: usize,
        /// What it said.
        why: String,
    },
    /// A thread is gone.
    #[error("{0}")]
    Thread(String),
}

/// How a run ended: what the next one may go on from.
pub type Ended = Resume;

/// Where state is kept.
pub struct Keep {
    /// The place.
    pub dir: StateDir,
    /// This start.
    pub generation: u64,
    /// What the tables mean.
    pub fingerprint: BTreeMap<String, String>,
    /// What made each partition the log it was that was read before, whether it is given now or not.
    pub identities: BTreeMap<String, String>,
}

/// Everything a run needs.
pub struct Job {
    /// Where records come from.
    pub sources: Vec<Box<dyn Source>>,
    /// Where rows go, each under its claim.
    pub sinks: Vec<(Box<dyn Sink>, Claim)>,
    /// Where state is kept; without it a run cannot be gone on with after a crash.
    pub keep: Option<Keep>,
    /// How it runs.
    pub options: Options,
    /// What it goes on from.
    pub resume: Resume,
    /// Set, it ends: whole epochs, all committed.
    pub stop: Arc<AtomicBool>,
    /// What is counted.
    pub stats: Arc<Stats>,
}

/// `topic/partition`: how positions are written down.
pub fn partition_name(partition: &Partition) -> String {
    format!("{}/{}", partition.topic, partition.partition)
}

/// Reads the sources to their end, or until it is stopped, and commits everything to the sinks.
///
/// # Errors
/// If a source, a sink or the state fails for good.
pub fn run(job: Job) -> Result<Ended, EngineError> {
    let config = timely_config(job.options.workers, job.options.as_bytes);
    let leader = Leader::new(job, Vec::new(), 1)?;
    let shared = Arc::clone(&leader.shared);
    let guards = timely::execute(config, move |worker| worker::run(worker, &shared)).map_err(EngineError::Thread)?;
    leader.run(guards, WhenGone::Ends)
}

fn timely_config(workers: usize, as_bytes: bool) -> timely::Config {
    let communication = match workers {
        0 | 1 => timely::CommunicationConfig::Thread,
        workers if as_bytes => timely::CommunicationConfig::ProcessBinary(workers),
        workers => timely::CommunicationConfig::Process(workers),
    };
    timely::Config { communication, worker: worker_config() }
}

fn worker_config() -> timely::WorkerConfig {
    let mut config = timely::WorkerConfig::default();
    // Without it an arrangement that gets no more updates never finishes merging, and keeps what was retracted.
    let merging = differential_dataflow::Config::default().idle_merge_effort(Some(1_000));
    differential_dataflow::configure(&mut config, &merging);
    config
}

/// From now on a panic of a worker or of a thread that writes ends the process with its cause: a
/// thread that is gone would leave the others waiting forever.
pub fn exit_on_panic_of_workers() {
    exit_on_panic_of(|name| matches!(name, "sink" | "journal" | "snapshots" | "link") || name.starts_with("timely"));
}

/// From now on any panic does, but one in the threads that answer requests: that ends an answer.
pub fn exit_on_panic() {
    exit_on_panic_of(|name| name != crate::serve::THREAD);
}

fn exit_on_panic_of(whom: fn(&str) -> bool) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if let Some(peer) = together::peer_of(name) {
            together::has_lost(peer);
        }
        report(info);
        if whom(name) {
            std::process::exit(101);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reasons: [&str; 2]) -> Entry {
        let rejected = |(offset, reason): (i64, &str)| Rejected {
            partition: "shop/0".to_owned(),
            offset,
            first: None,
            from: None,
            reason: reason.to_owned(),
            detail: "schema 7".to_owned(),
        };
        Entry { epoch: 4, rejected: [3, 5].into_iter().zip(reasons).map(rejected).collect(), ..Entry::default() }
    }

    #[test]
    fn a_reason_that_is_not_known_is_refused_and_not_decoded_anew() {
        let journaled = (1, entry(["unreadable", "unknown_schema"]));
        let known = Replayed::new(crate::families::all(), journaled, Default::default()).expect("known");
        let why = |offset| known.rejected("shop/0", offset).map(|rejection| rejection.reason);
        assert_eq!([3, 4, 5].map(why), [Some(Reason::UNREADABLE), None, Some(Reason::UNKNOWN_SCHEMA)]);
        let journaled = (1, entry(["unreadable", "schema_withdrawn"]));
        let refused = Replayed::new(crate::families::all(), journaled, Default::default());
        let why = refused.err().expect("refused").to_string();
        for part in ["record 5 of `shop/0`", "epoch 4", "`reason` `schema_withdrawn`", "the version that", "--rebuild"]
        {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}
