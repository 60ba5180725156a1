//! The parts of a snapshot that one process writes, and the thread of a process that does not lead which writes them.

use super::journaling::may_succeed_later;
use super::patience::Patience;
use super::{Options, Signals};
use crate::state_dir::snapshot::{PartEntry, encode};
use crate::state_dir::{StateDir, StateError};
use crate::turns::Turn;
use dataflows::Time;
use dataflows::state::Section;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::mpsc::Receiver;

/// A part is written when so many bytes have come together.
const PART_BYTES: usize = 4 << 20;

/// Whose parts.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    /// The start.
    pub generation: u64,
    /// The number of the process.
    pub process: usize,
    /// How many workers it has.
    pub workers: usize,
}

/// What the workers of a process say of its share of the snapshot that is being taken: one at a time.
#[derive(Debug)]
pub enum Share {
    /// Records of an operator of a worker, after an epoch.
    Slice(Time, Section),
    /// A worker has sent everything that it held after an epoch.
    Done(Time),
}

/// The parts of a process, as they are written. They may be there before the epoch is journaled: nobody reads a part that no
/// manifest names.
pub(super) struct Parts<'a> {
    dir: &'a StateDir,
    whose: Whose,
    /// How many bytes of it wait to be written.
    waiting: &'a AtomicUsize,
    buffer: Vec<u8>,
    records: u64,
    written: Vec<PartEntry>,
    done: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn new(dir: &'a StateDir, whose: Whose, waiting: &'a AtomicUsize) -> Parts<'a> {
        Parts { dir, whose, waiting, buffer: Vec::new(), records: 0, written: Vec::new(), done: 0 }
    }

    /// Takes what a worker says; all parts, once all workers have said everything.
    pub(super) fn take(&mut self, share: Share, patience: &Patience) -> Result<Option<Vec<PartEntry>>, StateError> {
        match share {
            Share::Slice(epoch, section) => {
                self.waiting.fetch_sub(section.bytes.len(), AcqRel);
                self.records += section.records;
                encode(&section, &mut self.buffer);
                if self.buffer.len() >= PART_BYTES {
                    self.write(epoch, patience)?;
                }
                Ok(None)
            }
            Share::Done(epoch) => {
                self.done += 1;
                if self.done < self.whose.workers {
                    return Ok(None);
                }
                if !self.buffer.is_empty() {
                    self.write(epoch, patience)?;
                }
                self.done = 0;
                Ok(Some(std::mem::take(&mut self.written)))
            }
        }
    }

    fn write(&mut self, epoch: Time, patience: &Patience) -> Result<(), StateError> {
        let Whose { generation, process, .. } = self.whose;
        let number = (process, self.written.len());
        let attempt = || self.dir.write_part((epoch, generation), number, self.records, &self.buffer);
        self.written.push(patience.insist(attempt, may_succeed_later)?);
        self.buffer.clear();
        self.records = 0;
        Ok(())
    }
}

/// What the thread of a process that does not lead hears.
#[derive(Debug)]
pub enum Written {
    /// Of the snapshot.
    Share(Share),
    /// A worker has delivered all of its parts: said after everything that is to be written before it.
    Ended(usize),
}

/// What it says to the one that leads.
#[derive(Debug)]
pub enum SaysOfParts {
    /// All parts of a snapshot are there.
    Written(Vec<PartEntry>),
    /// A worker has delivered everything.
    Ended(usize),
    /// They cannot be written.
    Failed(StateError),
}

/// Writes the parts of a process that does not lead, until nobody sends any more.
pub fn write_parts(
    (dir, whose): (&StateDir, Whose),
    heard: &Receiver<Written>,
    say: impl Fn(SaysOfParts),
    options: &Options,
    (turn, signals): (Turn, &Signals),
) {
    let patience = Patience { turn: &turn, stop: &signals.stop, grace: options.stop_grace };
    let mut parts = Some(Parts::new(dir, whose, &signals.snapshot_bytes));
    while let Some(heard) = turn.recv_patiently(heard) {
        match (heard, &mut parts) {
            (Written::Ended(worker), _) => say(SaysOfParts::Ended(worker)),
            (Written::Share(share), Some(writing)) => match writing.take(share, &patience) {
                Ok(None) => {}
                Ok(Some(all)) => say(SaysOfParts::Written(all)),
                Err(error) => {
                    say(SaysOfParts::Failed(error));
                    parts = None;
                }
            },
            // After a failure the run ends, and its workers wait for nobody.
            (Written::Share(Share::Slice(_, section)), None) => {
                signals.snapshot_bytes.fetch_sub(section.bytes.len(), AcqRel);
            }
            (Written::Share(Share::Done(_)), None) => {}
        }
    }
}
