//! The timely workers: feed, close epochs, deliver. The only place that knows workers exist.
//!
//! Worker 0 ticks. A tick closes an epoch for everybody and carries its clock; it travels through
//! a dataflow of its own, so that several processes will hear it as several threads do. No worker
//! closes an epoch on its own, and worker 0 ticks only while fewer than `epochs_in_flight` closed
//! epochs are unacknowledged: a slow sink stops the ticks, full epochs stop the sources.

mod deliver;
mod intake;
mod worker;

use crate::commit::{self, CommitError, Message, Signals};
use crate::sink::{Claim, Sink, SinkError};
use crate::source::{Partition, Source};
use crate::stats::Stats;
use crate::validate::Rules;
use dataflows::state::State;
use dataflows::{Instant, Settings, Time};
use intake::Intake;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The wall clock: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How the engine runs. `settings.partitions` is filled in from the sources.
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
    /// For how long a partition must be at its end to be left out of the watermark, in milliseconds.
    pub idle_timeout_ms: i64,
    /// How commits are made.
    pub commit: commit::Options,
    /// Lateness and the like.
    pub settings: Settings,
    /// What is accepted.
    pub rules: Rules,
    /// The wall clock.
    pub clock: Clock,
    /// Whether the state is taken out at the end, for whoever goes on from there.
    pub take_state: bool,
}

/// What a run goes on from; the default is the beginning.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// The last epoch of the run before.
    pub epoch: Time,
    /// Its watermark.
    pub watermark: Instant,
    /// Its positions, as `topic/partition`.
    pub positions: BTreeMap<String, i64>,
    /// Largest event times, as `topic/partition`.
    pub largest: BTreeMap<String, Instant>,
    /// What its operators held.
    pub state: Vec<State>,
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

/// What all workers share.
struct Shared {
    intake: Intake,
    options: Options,
    signals: Signals,
    full: AtomicBool,
    /// The clock of the first epoch.
    started_ms: Instant,
    failure: Mutex<Option<EngineError>>,
    outbox: Mutex<Sender<Message>>,
    resume: Mutex<Resume>,
    ended: Mutex<Resume>,
}

impl Shared {
    /// Ends the run with this error, unless there is one already.
    fn fail(&self, error: EngineError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.signals.stop.store(true, Ordering::Release);
    }

    fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// `topic/partition`: how positions are written down.
pub fn partition_name(partition: &Partition) -> String {
    format!("{}/{}", partition.topic, partition.partition)
}

/// Reads the sources to their end, or until `stop`, and commits everything to the sink.
///
/// # Errors
/// If a source or the sink fails for good.
pub fn run(
    sources: Vec<Box<dyn Source>>,
    mut sink: Box<dyn Sink>,
    claim: Claim,
    mut options: Options,
    mut resume: Resume,
    stop: Arc<AtomicBool>,
    stats: Arc<Stats>,
) -> Result<Ended, EngineError> {
    let at = sink.position().map_err(CommitError::Sink)?.map_or(0, |progress| progress.epoch);
    if at != resume.epoch {
        let why = format!("the sink is at epoch {at}, the run would go on from {}", resume.epoch);
        return Err(EngineError::Commit(SinkError::Fenced(why).into()));
    }
    let started_ms = (options.clock)();
    let intake = Intake::new(sources, resume.epoch + 2, &resume.positions, started_ms)?;
    options.settings.partitions =
        intake.partitions.iter().map(|partition| (partition.topic.clone(), partition.partition)).collect();
    let names: Vec<String> = intake.partitions.iter().map(partition_name).collect();
    let signals = Signals { acknowledged: Arc::new(AtomicU64::new(resume.epoch)), stop, stats };
    let target = commit::Target {
        sink,
        claim,
        epoch: resume.epoch,
        watermark: resume.watermark,
        positions: resume.positions.clone(),
    };
    let (outbox, inbox) = channel();
    let workers = options.workers;
    let commit_options = options.commit.clone();
    let ended = Resume { state: Vec::new(), ..resume.clone() };
    resume.state.shrink_to_fit();
    let shared = Arc::new(Shared {
        intake,
        started_ms,
        options,
        signals: signals.clone(),
        full: AtomicBool::new(false),
        failure: Mutex::new(None),
        outbox: Mutex::new(outbox.clone()),
        resume: Mutex::new(resume),
        ended: Mutex::new(ended),
    });
    let for_workers = Arc::clone(&shared);
    let guards = timely::execute(timely_config(workers), move |worker| worker::run(worker, &for_workers))
        .map_err(EngineError::Thread)?;
    let delivery = commit::Delivery { inbox, outbox, workers, partitions: names };
    let committed = commit::run(delivery, target, &commit_options, &signals);
    if let Err(error) = committed {
        shared.fail(error.into());
    }
    // Workers may still be delivering; nobody listens any more, and they do not mind.
    for joined in guards.join() {
        joined.map_err(EngineError::Thread)?;
    }
    match shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error),
        None => Ok(std::mem::take(&mut shared.ended.lock().unwrap_or_else(PoisonError::into_inner))),
    }
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

/// From now on a panic of a worker or of the sink's thread ends the process with its cause: a
/// thread that is gone would leave the others waiting for ever.
pub fn exit_on_panic_of_workers() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        if std::thread::current().name().is_some_and(|name| name == "sink" || name.starts_with("timely")) {
            std::process::exit(101);
        }
    }));
}
