//! The sources, shared by the workers of a process, each chopped into epochs at one place.
//!
//! Whoever polls a source takes records of the epoch the *source* is in. The first worker that
//! closes an epoch moves the sources on, so an epoch's records of a partition are one range, whoever
//! took them; a worker that is handed records of an epoch it has not reached keeps them until it has.
//! What is replayed is chopped where it was chopped the first time.

mod replay;

use crate::source::{Partition, Poll, Source, SourceError};
use crate::state_dir::journal::Entry;
use dataflows::{Instant, Time};
use replay::Replay;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) struct Slot {
    source: Box<dyn Source>,
    /// The number of its first partition among all.
    pub(super) first: u32,
    /// How many it has.
    pub(super) count: u32,
    /// Records read now belong to this epoch.
    epoch: Time,
    /// It asked for the epoch to close, and is not read before that.
    cut: bool,
    pub(super) ended: bool,
    /// The last poll confirmed that there is nothing to read.
    idle: bool,
    last_data_ms: Instant,
    retry: Option<(std::time::Instant, std::time::Duration)>,
    /// What is still to be read as it was read before.
    replay: Option<Replay>,
}

impl Slot {
    /// What comes next, and the epoch it belongs to.
    pub(super) fn poll(&mut self, max_records: usize, clock_ms: Instant) -> Result<(Time, Poll), SourceError> {
        let resting = self.retry.is_some_and(|(until, _)| until > std::time::Instant::now());
        if self.ended || self.cut || resting {
            return Ok((self.epoch, Poll::Idle));
        }
        let polled = match self.read(max_records) {
            Err(SourceError::Unavailable(why)) => {
                tracing::warn!("{why}; trying again");
                let pause = self.retry.map_or(std::time::Duration::from_millis(20), |(_, pause)| pause * 2);
                let pause = pause.min(std::time::Duration::from_secs(5));
                self.retry = Some((std::time::Instant::now() + pause, pause));
                self.idle = false;
                return Ok((self.epoch, Poll::Idle));
            }
            Err(failed) => {
                // What comes after a failure may not be read: something before it is missing.
                self.ended = true;
                return Err(failed);
            }
            Ok(polled) => polled,
        };
        self.retry = None;
        self.idle = matches!(polled, Poll::Idle);
        match &polled {
            Poll::Records(_) => self.last_data_ms = clock_ms,
            Poll::Cut => self.cut = true,
            Poll::End => self.ended = true,
            Poll::Status(..) | Poll::Idle => {}
        }
        Ok((self.epoch, polled))
    }

    fn read(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let Some(replay) = &mut self.replay else { return self.source.poll(max_records) };
        let polled = replay.poll(self.epoch, max_records, self.source.as_mut())?;
        if replay.is_over() {
            self.replay = None;
        }
        Ok(polled)
    }

    /// Records read from now on belong to `epoch`, if they do not already belong to a later one.
    pub(super) fn move_on(&mut self, epoch: Time) {
        if self.epoch < epoch {
            self.epoch = epoch;
            self.cut = false;
        }
    }

    /// For how long it has been confirmed that there is nothing to read.
    pub(super) fn idle_for_ms(&self, clock_ms: Instant) -> Option<i64> {
        self.idle.then_some(clock_ms - self.last_data_ms)
    }

    /// Whether it is reading again what it has read before.
    pub(super) fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether the epoch should close for its sake.
    pub(super) fn wants_close(&self) -> bool {
        self.cut
    }
}

pub(super) struct Intake {
    slots: Vec<Mutex<Slot>>,
    /// All partitions, by number.
    pub(super) partitions: Vec<Partition>,
    identities: BTreeMap<String, String>,
}

impl Intake {
    pub(super) fn new(
        sources: Vec<Box<dyn Source>>,
        epoch: Time,
        positions: &BTreeMap<String, i64>,
        replay: &[Entry],
        started_ms: Instant,
    ) -> Result<Intake, SourceError> {
        let (mut partitions, mut identities) = (Vec::new(), BTreeMap::new());
        let mut slots = Vec::new();
        for mut source in sources {
            let own = source.partitions();
            identities.extend(own.iter().enumerate().filter_map(|(number, partition)| {
                Some((super::partition_name(partition), source.identity(number as u32)?))
            }));
            let known = |(number, partition)| {
                positions.get(&super::partition_name(partition)).map(|offset| (number as u32, *offset))
            };
            let next_offsets: Vec<_> = own.iter().enumerate().filter_map(known).collect();
            source.seek(&next_offsets)?;
            let goals = |entry: &Entry| {
                let goal = |(number, partition)| {
                    entry.read.get(&super::partition_name(partition)).map(|(_, next)| (number as u32, *next))
                };
                (entry.epoch, own.iter().enumerate().filter_map(goal).collect())
            };
            let replay = (!replay.is_empty()).then(|| Replay::new(replay.iter().map(goals).collect()));
            let (first, count) = (partitions.len() as u32, own.len() as u32);
            partitions.extend(own);
            slots.push(Mutex::new(Slot {
                source,
                first,
                count,
                epoch,
                cut: false,
                ended: false,
                idle: false,
                last_data_ms: started_ms,
                retry: None,
                replay,
            }));
        }
        Ok(Intake { slots, partitions, identities })
    }

    /// What makes each partition the log it is, as `topic/partition`.
    pub(super) fn identities(&self) -> BTreeMap<String, String> {
        self.identities.clone()
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = MutexGuard<'_, Slot>> {
        self.slots.iter().map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sources that nobody is reading right now.
    pub(super) fn free_slots(&self) -> impl Iterator<Item = MutexGuard<'_, Slot>> {
        self.slots.iter().filter_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}
