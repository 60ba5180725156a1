//! The timely workers: feed, close epochs, deliver. The only place that knows workers exist.
//!
//! Worker 0 ticks. A tick closes an epoch for everybody and carries its clock; it travels through
//! a dataflow of its own, so that several processes will hear it as several threads do. No worker
//! closes an epoch on its own, and worker 0 ticks only while fewer than `epochs_in_flight` closed
//! epochs are unacknowledged: a slow sink stops the ticks, full epochs stop the sources.

mod deliver;
mod intake;
mod worker;

use crate::commit::{self, CommitError, LaneLogs, Message, Piece, Signals, SnapshotFacts, Sources, StreamPosition};
use crate::config::archive::Archive;
use crate::decode::{self, Reason, Rejection};
use crate::lanes::Lanes;
use crate::rules::Rules;
use crate::sink::{Claim, Sink, SinkError};
use crate::source::marks::Marks;
use crate::source::{Partition, Source};
use crate::state_dir::StateDir;
use crate::state_dir::journal::{Entry, Rejected};
use crate::state_dir::obstacle::Obstacle;
use crate::stats::Stats;
use crate::turns::Turns;
use dataflows::declared::reading::Reader;
use dataflows::family::{Catalogue, Configured, FamilyId};
use dataflows::gate::Bounds;
use dataflows::operators::TopTwo;
use dataflows::quality::Running;
use dataflows::state::Section;
use dataflows::{Instant, Time};
use intake::{Intake, Reads};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

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
    /// Epochs after it that are journaled, in their order: they come out as they did.
    pub replay: Vec<Replayed>,
    /// The start that journaled the last of all these, if its entry is kept.
    pub journaled_by: Option<u64>,
}

/// An epoch that is replayed.
#[derive(Clone)]
pub struct Replayed {
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
    /// An epoch as the journal has it.
    ///
    /// # Errors
    /// If it names a reason that this version does not know: its records would be decoded again, and perhaps accepted.
    pub fn new(
        catalogue: Catalogue,
        entry: Entry,
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
        Ok(Replayed { entry, rules, readers, reasons })
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

/// What all workers share.
struct Shared {
    intake: Arc<Intake>,
    /// The names of partitions whose records are archived, by their numbers.
    archived: Vec<Option<Arc<str>>>,
    options: Options,
    signals: Signals,
    full: AtomicBool,
    /// Which sources are read in the first epoch.
    reads: Reads,
    /// The clock of the first epoch.
    started_ms: Instant,
    failure: Mutex<Option<EngineError>>,
    outbox: Mutex<Sender<Message>>,
    /// All but the state, which is in `shares`.
    resume: Resume,
    shares: Mutex<Vec<Section>>,
    keeps_state: bool,
    pieces: Option<Sender<Piece>>,
    ended: Mutex<Resume>,
}

impl Shared {
    /// Ends the run with this error, unless there is one already.
    fn fail(&self, error: EngineError) {
        self.failure.lock().get_or_insert(error);
        self.signals.stop.store(true, Ordering::Release);
    }

    fn has_failed(&self) -> bool {
        self.signals.failed.load(Ordering::Acquire) || self.failure.lock().is_some()
    }

    /// Some of the restored state; nothing once all of it was taken.
    fn take_share(&self) -> Option<Section> {
        self.shares.lock().pop()
    }
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
    let Job { sources, sinks, keep, options, mut resume, stop, stats } = job;
    let mut targets = Vec::new();
    for (mut sink, claim) in sinks {
        let before = sink.position().map_err(CommitError::Sink)?.filter(|progress| progress.epoch > 0);
        let epoch = before.as_ref().map_or(0, |progress| progress.epoch);
        let before = before.map(|progress| (progress.committed_at, progress.watermarks));
        targets.push(commit::Target { sink, claim, epoch, before });
    }
    for target in &targets {
        if !(resume.epoch..=resume.journaled()).contains(&target.epoch) {
            let elsewhere = SinkError::elsewhere(&target.sink.name(), target.epoch, resume.epoch);
            return Err(EngineError::Commit(elsewhere.into()));
        }
    }
    let replay: Vec<_> = resume.replay.iter().map(|replayed| replayed.entry.clone()).collect();
    let families: Vec<_> = options.lanes.iter().map(|lane| lane.family.family()).collect();
    let intake = Arc::new(Intake::new(sources, &families, resume.first_epoch(0).0, &resume.positions, &replay)?);
    let read = |partition: &Partition| (partition.topic.clone(), partition.family.0.name());
    stats.sources.set(intake.partitions.iter().map(read));
    let lanes = families.iter().zip(&intake.sequences);
    let lanes = lanes.map(|(family, sequence)| LaneLogs { family: family.name(), sequence: sequence.clone() });
    let logs = Sources {
        partitions: intake.partitions.iter().map(partition_name).collect(),
        topics: intake.partitions.iter().map(|partition| partition.topic.clone()).collect(),
        lanes: lanes.collect(),
    };
    let signals = Signals {
        acknowledged: Arc::new(AtomicU64::new(resume.epoch)),
        committed: Arc::new(targets.iter().map(|target| AtomicU64::new(target.epoch)).collect()),
        snapshotting: Arc::default(),
        snapshot_bytes: Arc::default(),
        spared: Arc::default(),
        stop,
        failed: Arc::default(),
        stats,
    };
    let known = StreamPosition {
        epoch: resume.epoch,
        positions: resume.positions.clone(),
        sums: resume.sums.clone(),
        largest: resume.largest.clone(),
        second: resume.second.clone(),
        lanes: resume.lanes.clone(),
        clock_ms: resume.clock_ms,
        quality: resume.quality.clone(),
    };
    let (outbox, inbox) = channel();
    let workers = options.workers;
    let (journal, pieces) = match keep {
        None => (None, None),
        Some(Keep { dir, generation, fingerprint, identities: before }) => {
            let (to_pieces, pieces) = channel();
            let known_to = Arc::clone(&intake);
            let identities = Box::new(move || {
                let mut all = before.clone();
                all.extend(known_to.identities());
                all
            });
            let facts = SnapshotFacts { generation, workers, identities, fingerprint };
            let end = (resume.journaled(), resume.journaled_by);
            let replay = replay.into_iter().map(|entry| (entry.epoch, entry)).collect();
            let sender = to_pieces.clone();
            (Some(commit::Journal { dir, generation, replay, end, facts, pieces, to_pieces }), Some(sender))
        }
    };
    let commit_options = options.commit.clone();
    let turns = options.turns.clone();
    let archives = |partition: &Partition| options.archive.takes(&partition.topic).then(|| partition_name(partition));
    let archived = intake.partitions.iter().map(|partition| archives(partition).map(Arc::from)).collect();
    let shares = Mutex::new(std::mem::take(&mut resume.state));
    let shared = Arc::new(Shared {
        reads: intake.reads(),
        intake,
        archived,
        started_ms: (options.clock)(),
        options,
        signals: signals.clone(),
        full: AtomicBool::new(false),
        failure: Mutex::new(None),
        outbox: Mutex::new(outbox.clone()),
        resume,
        shares,
        keeps_state: journal.is_some(),
        pieces,
        ended: Mutex::default(),
    });
    let for_workers = Arc::clone(&shared);
    let guards = timely::execute(timely_config(workers), move |worker| worker::run(worker, &for_workers))
        .map_err(EngineError::Thread)?;
    let delivery = commit::Delivery { inbox, outbox, workers, logs, turns };
    let committed = commit::run(delivery, targets, journal, known, &commit_options, &signals);
    let committed = committed.map_err(|error| shared.fail(error.into()));
    // Workers may still be delivering; nobody listens any more, and they do not mind.
    for joined in guards.join() {
        joined.map_err(EngineError::Thread)?;
    }
    // All sinks have all of it, and if the last snapshot was published, so does that.
    if let (Ok(known), None) = (&committed, &*shared.failure.lock())
        && signals.stats.last_snapshot().is_some_and(|(epoch, ..)| epoch == known.epoch)
    {
        let intake = &shared.intake;
        intake.slots().for_each(|mut slot| slot.spares(&intake.partitions, &known.positions));
    }
    // Where nothing was read at all, no epoch has said it.
    signals.stats.set_unread(shared.intake.slots().flat_map(|slot| slot.unread()).collect());
    if let Some(error) = shared.failure.lock().take() {
        return Err(error);
    }
    let mut ended = std::mem::take(&mut *shared.ended.lock());
    if let Ok(known) = committed {
        let StreamPosition { epoch: _, positions, sums, largest, second, lanes, clock_ms, quality } = known;
        ended = Resume { positions, sums, largest, second, lanes, clock_ms, quality, ..ended };
    }
    Ok(ended)
}

fn timely_config(workers: usize) -> timely::Config {
    let communication = match workers {
        0 | 1 => timely::CommunicationConfig::Thread,
        workers => timely::CommunicationConfig::Process(workers),
    };
    let mut config = timely::Config { communication, worker: timely::WorkerConfig::default() };
    // Without it an arrangement that gets no more updates never finishes merging, and keeps what was retracted.
    differential_dataflow::configure(
        &mut config.worker,
        &differential_dataflow::Config::default().idle_merge_effort(Some(1_000)),
    );
    config
}

/// From now on a panic of a worker or of a thread that writes ends the process with its cause: a
/// thread that is gone would leave the others waiting forever.
pub fn exit_on_panic_of_workers() {
    exit_on_panic_of(|name| matches!(name, "sink" | "journal" | "snapshots") || name.starts_with("timely"));
}

/// From now on any panic does, but one in the threads that answer requests: that ends an answer.
pub fn exit_on_panic() {
    exit_on_panic_of(|name| name != crate::serve::THREAD);
}

fn exit_on_panic_of(whom: fn(&str) -> bool) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        if whom(std::thread::current().name().unwrap_or_default()) {
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
        let known = Replayed::new(crate::families::all(), entry(["unreadable", "unknown_schema"]), Default::default())
            .expect("known");
        let why = |offset| known.rejected("shop/0", offset).map(|rejection| rejection.reason);
        assert_eq!([3, 4, 5].map(why), [Some(Reason::UNREADABLE), None, Some(Reason::UNKNOWN_SCHEMA)]);
        let refused =
            Replayed::new(crate::families::all(), entry(["unreadable", "schema_withdrawn"]), Default::default());
        let why = refused.err().expect("refused").to_string();
        for part in ["record 5 of `shop/0`", "epoch 4", "`reason` `schema_withdrawn`", "the version that", "--rebuild"]
        {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}
