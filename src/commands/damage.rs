//! The warehouse is looked at as a whole beside a run, at most once a day: a damaged file is named before more is
//! written to it.

use crate::engine::Clock;
use crate::families::all;
use crate::periodic::{Periodic, Round};
use crate::sink::SinkError;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::trouble::Checked;
use crate::state_dir::StateDir;
use crate::stats::Stats;
use dataflows::Instant;
use parking_lot::Mutex;
use rusqlite::InterruptHandle;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

/// The least time between two looks.
const APART_MS: i64 = 24 * 3_600_000;
/// How often it is asked whether one is due.
const ASKED: Duration = Duration::from_millis(100);
/// For how long a run that has come to its end waits for a look that has begun.
const GRACE: Duration = Duration::from_secs(2);

/// What is looked at, and who is told.
pub(super) struct Looked {
    pub path: PathBuf,
    pub dir: StateDir,
    pub stats: Arc<Stats>,
    /// Set when the file is damaged: the run ends.
    pub stop: Arc<AtomicBool>,
    pub clock: Clock,
}

/// A thread that looks at the warehouse.
pub(super) struct Looking {
    found: Arc<Mutex<Option<String>>>,
    query: Arc<Mutex<Option<InterruptHandle>>>,
    asks: Periodic,
}

/// Whether a look is due, by when the last one was; a clock that went back makes none.
fn is_due(last_ms: Option<Instant>, now_ms: Instant) -> bool {
    last_ms.is_none_or(|last| now_ms.saturating_sub(last) >= APART_MS || last.saturating_sub(now_ms) >= APART_MS)
}

impl Looking {
    /// Looks after the first commit, and again when a day has passed.
    pub(super) fn start(looked: Looked) -> Looking {
        let (found, query) = (Arc::default(), Arc::default());
        let (told, running) = (Arc::clone(&found), Arc::clone(&query));
        // Not known before the first round: it is asked of the state, which may be far away.
        let mut last = None;
        let asks = Periodic::start(ASKED, move |_: Round| {
            let last = last.get_or_insert_with(|| looked.dir.checked_ms().ok().flatten());
            looked.look_if_due(last, &told, &running)
        });
        Looking { found, query, asks }
    }

    /// Ends it; tells what is wrong with the file, if something is. A look that has begun may go on for a moment, unless
    /// the run was told to stop.
    pub(super) fn end(mut self, at_once: bool) -> Option<String> {
        let began = std::time::Instant::now();
        self.asks.end(|| {
            if at_once || began.elapsed() > GRACE {
                // Again and again: a query that has not begun yet is not interrupted.
                self.query.lock().iter().for_each(InterruptHandle::interrupt);
            }
        });
        self.found.lock().take()
    }
}

impl Looked {
    fn look_if_due(
        &self,
        last: &mut Option<Instant>,
        found: &Mutex<Option<String>>,
        query: &Mutex<Option<InterruptHandle>>,
    ) -> ControlFlow<()> {
        let now = (self.clock)();
        if self.stats.commits.load(Relaxed) > 0 && is_due(*last, now) {
            match self.look(query) {
                Ok(Checked::Whole) => {
                    *last = Some(now);
                    // Not noted, the next start looks again.
                    self.dir.note_checked(now).ok();
                }
                Ok(Checked::Interrupted) => {}
                Ok(Checked::Damaged(why)) => {
                    *found.lock() = Some(why);
                    self.stop.store(true, Release);
                    return ControlFlow::Break(());
                }
                Err(error) => {
                    *last = Some(now);
                    tracing::warn!("{error}; it is looked at again at the next start, or in a day");
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn look(&self, query: &Mutex<Option<InterruptHandle>>) -> Result<Checked, SinkError> {
        // A connection of its own, only to read: the commits go on.
        let file = Sqlite::open_to_read(all(), &self.path)?;
        *query.lock() = Some(file.interrupter());
        let checked = file.quick_check();
        query.lock().take();
        checked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_due_once_a_day() {
        let day = 24 * 3_600_000;
        for (last, now, due) in [(None, 5, true), (Some(5), 5 + day - 1, false), (Some(5), 5 + day, true)] {
            assert_eq!(is_due(last, now), due);
        }
        assert!(is_due(Some(10 * day), 5), "a clock that was years ahead does not put it off for years");
    }
}
