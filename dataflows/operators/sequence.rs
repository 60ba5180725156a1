//! Lines of files come one after the other, on any worker: each is judged by those before it.

use crate::events::Origin;
use crate::operators::TopTwo;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the worker that decoded a batch of a sequence tells all workers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The place of the batch in its sequence. Number 0 is all that earlier runs have read.
    pub number: u64,
    /// Who has it.
    pub worker: u32,
    /// Where its events lie there: the first part of their [`Origin::slot`].
    pub slot: u32,
    /// Its largest event times.
    pub top: TopTwo,
}

/// Knows of each of this worker's batches what came before it in the sequence.
///
/// **Law.** What is known before an event depends on the sequence alone: not on who decoded what, nor in
/// which order marks come.
pub struct Sequence {
    worker: u32,
    /// All batches below this one are merged.
    next: u64,
    merged: TopTwo,
    /// Marks that came before those below them.
    ahead: BTreeMap<u64, (Time, Mark)>,
    /// What comes before batches of our own.
    before: BTreeMap<(Time, u32), TopTwo>,
    /// The batch that is being read, and what comes before its next event.
    current: Option<((Time, u32), TopTwo)>,
}

impl Sequence {
    /// As a worker sees it.
    pub fn new(worker: usize) -> Sequence {
        Sequence {
            worker: worker as u32,
            next: 0,
            merged: TopTwo::default(),
            ahead: BTreeMap::new(),
            before: BTreeMap::new(),
            current: None,
        }
    }

    /// Notes the mark of a batch that was read in an epoch.
    pub fn hear(&mut self, epoch: Time, mark: Mark) {
        self.ahead.insert(mark.number, (epoch, mark));
        while let Some((epoch, mark)) = self.ahead.remove(&self.next) {
            if mark.worker == self.worker {
                self.before.insert((epoch, mark.slot), self.merged);
            }
            self.merged.merge(mark.top);
            self.next += 1;
        }
    }

    /// What comes before an event of ours, to which the event is to be added; nothing as long as not all
    /// of it is known. Events are asked for in their order.
    pub fn before(&mut self, epoch: Time, origin: &Origin) -> Option<&mut TopTwo> {
        let batch = (epoch, origin.slot.0);
        if self.current.is_none_or(|(current, _)| current != batch) {
            self.current = Some((batch, self.before.remove(&batch)?));
        }
        self.current.as_mut().map(|(_, top)| top)
    }

    /// Forgets batches of an epoch in which no event was accepted.
    pub fn close(&mut self, epoch: Time) {
        self.before = self.before.split_off(&(epoch + 1, 0));
    }
}
