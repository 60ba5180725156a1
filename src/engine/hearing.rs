//! What becomes of what a process says, at the one that leads.

use super::EngineError;
use super::said::Said;
use super::shared::Shared;
use crate::commit::{Carrier, ToWriter};
use crate::stats::Stats;
use crate::stats::processes::Pulse;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::Receiver;

/// What hears another process, at the one that leads.
pub struct Hearing {
    process: usize,
    carrier: Carrier,
    shared: Arc<Shared>,
    /// What its thread is told that writes its rows, if it writes them.
    orders: Mutex<Option<Receiver<ToWriter>>>,
}

impl Hearing {
    pub(super) fn new(process: usize, shared: &Arc<Shared>, orders: Option<Receiver<ToWriter>>) -> Hearing {
        let carrier = Carrier::of(shared.options.commit.catalogue);
        Hearing { process, carrier, shared: Arc::clone(shared), orders: Mutex::new(orders) }
    }

    /// What its thread is to be told that writes its rows, if it writes them: asked once.
    pub fn orders(&self) -> Option<Receiver<ToWriter>> {
        self.orders.lock().take()
    }

    /// Passes on what it says.
    ///
    /// # Errors
    /// If it speaks of what this program does not know.
    pub fn hear(&self, said: Said) -> Result<(), String> {
        let Shared { outbox, asked, signals, .. } = &*self.shared;
        match said {
            Said::Part(epoch, part) => {
                let part = self.carrier.arrived(*part)?;
                if let Some(oldest) = part.oldest {
                    signals.stats.read_first(epoch, oldest);
                }
                outbox.rest(epoch, part);
            }
            Said::Reached(worker, epoch) => outbox.reached(worker, epoch),
            Said::Bug(bug) => outbox.bug(self.carrier.arrived_bug(bug)?),
            Said::Pieces(pieces) => outbox.pieces(self.carrier.arrived_pieces(pieces)?),
            Said::Unwritten(why) => return Err(format!("it cannot write its rows: {why}")),
            Said::Written(parts) => outbox.written(parts),
            Said::Asks(asks) => asked[self.process - 1].hear(asks),
            Said::Stop => signals.stop.store(true, Release),
            Said::Failed(why) => self.shared.fail(EngineError::Member { process: self.process, why }),
        }
        Ok(())
    }

    /// What is counted of the run.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.signals.stats
    }

    /// How the process does.
    pub fn pulse(&self, pulse: Pulse) {
        let (stats, counted) = (self.stats(), pulse.counted.clone());
        if let Some(before) = stats.processes.hear(self.process, pulse) {
            let catalogue = self.shared.options.commit.catalogue;
            stats.count_elsewhere(&before.counted, &counted, |code| catalogue.reason_of(code));
        }
    }

    /// Whether the run was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.signals.stop.load(Acquire)
    }

    /// Ends the run: nothing more comes from it.
    pub fn is_gone(&self, why: &str) {
        self.shared.outbox.gone(format!("process {} is gone: {why}", self.process));
    }
}
