//! While files are looked at before anything is begun, however long they are, a signal ends the program.

use anyhow::{Context, Result};
use signal_hook::SigId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Release};

/// While it lives, a signal ends the program at once, and in order: nothing was begun that would have to be ended.
pub(super) struct EndsAtOnce {
    armed: Arc<AtomicBool>,
    actions: Vec<SigId>,
}

impl EndsAtOnce {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(super) fn new() -> Result<EndsAtOnce> {
        let mut ends = EndsAtOnce { armed: Arc::new(AtomicBool::new(true)), actions: Vec::new() };
        for signal in signal_hook::consts::TERM_SIGNALS {
            let action = signal_hook::flag::register_conditional_shutdown(*signal, 0, Arc::clone(&ends.armed));
            ends.actions.push(action.context("could not listen for signals")?);
        }
        Ok(ends)
    }
}

impl Drop for EndsAtOnce {
    fn drop(&mut self) {
        self.armed.store(false, Release);
        for action in &self.actions {
            signal_hook::low_level::unregister(*action);
        }
    }
}
