//! A worker's part of a snapshot: what its operators hold after an epoch, taken without stopping them.
//!
//! The epoch is finished everywhere before the next one opens: for as long as it takes to compute it,
//! nothing is read. Then what is held is frozen, which copies nothing, and written down slice by slice
//! between the turns of the loop; what changes meanwhile is copied as it changes.

use super::{Tick, Worker};
use crate::commit::Share;
use crate::turns::Turn;
use dataflows::Time;
use dataflows::state::Frozen;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::{Duration, Instant};

/// How long a worker writes down what it holds before it turns to its epochs again.
const SLICE: Duration = Duration::from_millis(1);
/// More bytes do not wait for the thread that writes them.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Where a worker's part of a snapshot stands.
pub(super) enum Cut {
    /// The epoch is not computed everywhere yet.
    Finishing(Tick),
    /// What is left to write down.
    Writing {
        frozen: Frozen,
        /// What is held after this epoch.
        epoch: Time,
        /// The run ends after it.
        last: bool,
    },
}

impl Worker {
    /// Whether the epoch of a snapshot is closed and not finished.
    pub(super) fn is_finishing(&self) -> bool {
        matches!(self.cut, Some(Cut::Finishing(_)))
    }

    /// Goes on with the snapshot; tells whether that was the last thing to do.
    pub(super) fn write_snapshot(&mut self, turn: &Turn) -> bool {
        if let Some(Cut::Finishing(tick)) = &self.cut {
            if self.delivered.get().is_some_and(|open| open <= tick.epoch) {
                return false;
            }
            let tick = tick.clone();
            self.cut = Some(Cut::Writing { frozen: self.ledger.freeze(), epoch: tick.epoch, last: tick.last });
            self.open(&tick);
        }
        let Some(Cut::Writing { frozen, epoch, last }) = &mut self.cut else {
            return self.is_last;
        };
        let signals = &self.shared.signals;
        let began = Instant::now();
        loop {
            if signals.snapshot_bytes.load(Acquire) > WAITING_BYTES_MAX && !self.shared.has_failed() {
                if !*last {
                    return false;
                }
                turn.sleep(SLICE);
                continue;
            }
            let Some(section) = frozen.next() else { break };
            signals.snapshot_bytes.fetch_add(section.bytes.len(), AcqRel);
            self.shared.outbox.share(Share::Slice(*epoch, section));
            if !*last && (turn.is_given() || began.elapsed() >= SLICE) {
                return false;
            }
        }
        self.shared.outbox.share(Share::Done(*epoch));
        self.cut = None;
        self.is_last
    }
}
