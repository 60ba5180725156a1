//! What the workers of a process share. Each process has its own; what they tell each other goes through the dataflow, or
//! is [said](super::said::Said).

use super::intake::{Intake, Reads};
use super::said::{Asked, Outbox, Said};
use super::{EngineError, Options, Resume, partition_name};
use crate::commit::Signals;
use crate::source::Partition;
use dataflows::state::Section;
use dataflows::{Instant, Time};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the workers of a process share.
pub(super) struct Shared {
    /// The number of its first worker among those of all processes.
    pub(super) first: usize,
    pub(super) intake: Intake,
    /// The names of partitions whose records are archived, by their numbers.
    pub(super) archived: Vec<Option<Arc<str>>>,
    pub(super) options: Options,
    pub(super) signals: Signals,
    /// An epoch is full.
    pub(super) full: AtomicBool,
    /// Which sources are read in the first epoch.
    pub(super) reads: Reads,
    /// The first epoch, and the clock by which its records are judged.
    pub(super) opens: (Time, Instant),
    pub(super) failure: Mutex<Option<EngineError>>,
    pub(super) outbox: Outbox,
    /// All but the state, which is in `shares`.
    pub(super) resume: Resume,
    pub(super) shares: Mutex<Vec<Section>>,
    pub(super) keeps_state: bool,
    /// How many workers, of all processes, read.
    pub(super) readers: usize,
    /// What the other processes want of the clock, at the one that leads.
    pub(super) asked: Vec<Asked>,
    pub(super) ended: Mutex<Resume>,
}

impl Shared {
    /// Ends the run with this error, unless there is one already.
    pub(super) fn fail(&self, error: EngineError) {
        if let Some(link) = self.outbox.link() {
            // The leader ends it for everybody, in order.
            link.say(Said::Failed(error.to_string()));
        }
        self.failure.lock().get_or_insert(error);
        self.signals.stop.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.signals.failed.load(Ordering::Acquire) || self.failure.lock().is_some()
    }

    /// Some of the restored state; nothing once all of it was taken.
    pub(super) fn take_share(&self) -> Option<Section> {
        self.shares.lock().pop()
    }
}

/// The names of partitions whose records are archived, by their numbers.
pub(super) fn archived(options: &Options, partitions: &[Partition]) -> Vec<Option<Arc<str>>> {
    let archives = |partition: &Partition| options.archive.takes(&partition.topic).then(|| partition_name(partition));
    partitions.iter().map(|partition| archives(partition).map(Arc::from)).collect()
}
