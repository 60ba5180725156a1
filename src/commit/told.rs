//! What the committer is told, what it is given, and who hears of it.

use super::rows::{Pieces, Writing};
use super::snapshots::{Facts as SnapshotFacts, Piece};
use crate::archived::Archived;
use crate::config::quality::Quality;
use crate::config::retention::Retention;
use crate::lanes::Watermarks;
use crate::sink::{Claim, Sink, SinkError};
use crate::state_dir::journal::Entry;
use crate::state_dir::{StateDir, StateError};
use crate::stats::Stats;
use crate::turns::Turns;
use dataflows::delta::KeyBug;
use dataflows::deltas::Deltas;
use dataflows::family::Catalogue;
use dataflows::operators::TopTwo;
use dataflows::quality::Counts;
use dataflows::raw::Append;
use dataflows::table::TableId;
use dataflows::{Instant, Time};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
/// What one worker has of one epoch.
#[derive(Debug, Default)]
pub struct Part {
    /// Changed rows whose keys live at this worker.
    pub deltas: Vec<(TableId, Deltas)>,
    /// Rows for raw tables.
    pub appends: Vec<Append>,
    /// About how many bytes of rows stay with the process that made them, which writes them by itself.
    pub away: usize,
    /// Clean events, for sinks that take them.
    pub clean: Vec<Append>,
    /// Accepted records for the archive.
    pub archived: Vec<Archived>,
    /// Of the partitions it read from, the first offset and the next one.
    pub read: Vec<(u32, (i64, i64))>,
    /// In logs that are known by their content, next offsets and the sum of all before each.
    pub sums: Vec<(u32, i64, u32)>,
    /// Largest event times of those.
    pub largest: Vec<(u32, TopTwo)>,
    /// What it rejected for a reason that is not in the bytes.
    pub by_the_world: Vec<ByTheWorld>,
    /// What became of what it read, by partition.
    pub counts: BTreeMap<u32, Counts>,
    /// The watermarks that changed, by the number of the lane; from worker 0.
    pub watermarks: Vec<(usize, Instant)>,
    /// Where they are going, if that changed; from worker 0.
    pub targets: Vec<(usize, Instant)>,
    /// The clocks when the epoch opened and when it closed; from worker 0.
    pub clocks: Option<(Instant, Instant)>,
    /// A snapshot is taken after this epoch; from worker 0.
    pub snapshot: bool,
    /// When the first record was read.
    pub oldest: Option<std::time::Instant>,
}

/// A record that was rejected for a reason that is not in its bytes.
#[derive(Clone, Debug)]
pub struct ByTheWorld {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// So was each record from this offset up to its own.
    pub first: i64,
    /// The first of those that it stands for, if they could not be read.
    pub from: Option<i64>,
    /// The code.
    pub reason: &'static str,
    /// What exactly was wrong.
    pub detail: String,
}

/// What the committer hears.
#[derive(Debug)]
pub enum Message {
    /// A worker's part of a closed epoch.
    Part(Time, Box<Part>),
    /// A worker has delivered all its parts before this epoch; without one, all of them.
    Reached(usize, Option<Time>),
    /// The journal is durable up to an epoch.
    Journaled(Result<Time, StateError>),
    /// A sink is done with a commit.
    Applied(usize, Result<(), SinkError>),
    /// A process has written its rows of the commit that is being made.
    Pieces(Result<Pieces, SinkError>),
    /// No more snapshots can be taken.
    Snapshot(StateError),
    /// A worker found a bug.
    Bug(KeyBug),
    /// A process that computes with this one is gone: nothing more comes from its workers.
    Gone(String),
}

/// Why committing ended early.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A sink gave up.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The journal or a snapshot cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// Our own fault.
    #[error(transparent)]
    Bug(#[from] KeyBug),
    /// What was read again is not what was read.
    #[error(
        "epoch {epoch} was replayed and is not what the journal says of it: {what}. \
         Nothing of it was committed. Give the sources back as they were, or start from scratch with `--rebuild`"
    )]
    Replay {
        /// Which.
        epoch: Time,
        /// What differs.
        what: String,
    },
    /// A process that computes with this one is gone.
    #[error("{0}; start all processes again, and the run goes on from there")]
    Gone(String),
    /// A thread could not be started, or is gone.
    #[error("{0}")]
    Thread(String),
}

/// How commits are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The least time between two commits, for sinks that name none of their own.
    pub commit_interval: Duration,
    /// The least time between two objects of the journal.
    pub journal_interval: Duration,
    /// How many bytes may wait for a sink before the sources are stopped.
    pub pending_bytes: usize,
    /// How long something that is unavailable is waited for once a stop was asked.
    pub stop_grace: Duration,
    /// The tables there are.
    pub catalogue: Catalogue,
    /// For how long rows are kept that nothing is computed from any more.
    pub retention: Retention,
    /// Whether `quality` is kept, and what is asked of it.
    pub quality: Option<Quality>,
}

/// Who hears what of the committer.
#[derive(Clone)]
pub struct Signals {
    /// The last acknowledged epoch.
    pub acknowledged: Arc<AtomicU64>,
    /// The last committed epoch of each sink.
    pub committed: Arc<Vec<AtomicU64>>,
    /// A snapshot is being taken.
    pub snapshotting: Arc<AtomicBool>,
    /// How many bytes of it wait to be written.
    pub snapshot_bytes: Arc<AtomicUsize>,
    /// The positions before which nothing is read again, since that was last asked for.
    pub spared: Arc<Mutex<Option<BTreeMap<String, i64>>>>,
    /// A stop was asked.
    pub stop: Arc<AtomicBool>,
    /// Committing ended early: what is still on its way need not arrive.
    pub failed: Arc<AtomicBool>,
    /// What is counted.
    pub stats: Arc<Stats>,
}

/// A sink, the right to write to it, and where it is.
pub struct Target {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// The right to write to it.
    pub claim: Claim,
    /// The last epoch that it has.
    pub epoch: Time,
    /// The clock and the watermarks of the commit that brought it.
    pub before: Option<(Instant, Watermarks)>,
}

/// Where the facts of closed epochs go, and what of them is there already.
pub struct Journal {
    /// The state.
    pub dir: StateDir,
    /// The start.
    pub generation: u64,
    /// Entries that are replayed: what is read again must give them again.
    pub replay: BTreeMap<Time, Entry>,
    /// The last journaled epoch, and the start that journaled it if its entry is kept.
    pub end: (Time, Option<u64>),
    /// What snapshots say of themselves.
    pub facts: SnapshotFacts,
    /// What the workers send of snapshots.
    pub pieces: Receiver<Piece>,
    /// The other end of it.
    pub to_pieces: Sender<Piece>,
}

/// Where the records come from that the workers deliver the rows of.
#[derive(Debug, Default)]
pub struct Sources {
    /// What the partitions are called in positions, by their numbers.
    pub partitions: Vec<String>,
    /// Of which topic each is.
    pub topics: Vec<String>,
    /// The lanes, by their numbers.
    pub lanes: Vec<LaneLogs>,
}

/// What of the logs is a lane's.
#[derive(Debug)]
pub struct LaneLogs {
    /// The family whose lane it is.
    pub family: &'static str,
    /// Which partitions are its sequence.
    pub sequence: Range<u32>,
}

/// Who delivers.
pub struct Delivery {
    /// What the workers send.
    pub inbox: Receiver<Message>,
    /// The other end of it, for the threads that answer.
    pub outbox: Sender<Message>,
    /// How many workers.
    pub workers: usize,
    /// Where records come from.
    pub logs: Sources,
    /// Who runs when.
    pub turns: Turns,
    /// Where every process writes its own rows: those of the first sink.
    pub writing: Option<Writing>,
}
