//! When a sink's old rows are removed: after the first commit of a start, and then once an hour by the clock of its
//! commits.
//!
//! No commit waits for it for long, and none fails by it: what cannot be done now is done after a later one.

use crate::config::retention::Retention;
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, Commit, Sink, SinkError};
use dataflows::Instant;

/// The least time between two purges.
const INTERVAL_MS: u64 = 3_600_000;

/// What is to be removed of one sink, and when it last was.
pub(super) struct Purging {
    retention: Retention,
    /// The clock of the commit after which it was done to its end.
    done_ms: Option<Instant>,
}

impl Purging {
    pub(super) fn new(retention: Retention) -> Purging {
        Purging { retention, done_ms: None }
    }

    /// What is to be removed once a commit is there, if it is time for it; and the clock.
    pub(super) fn due(&self, commit: &Commit) -> Option<(Purge, Instant)> {
        // A clock that is set back does not keep what is old.
        if self.done_ms.is_some_and(|done| commit.clock_ms.abs_diff(done) < INTERVAL_MS) {
            return None;
        }
        let purge = Purge::after(commit, &self.retention);
        (!purge.is_empty()).then_some((purge, commit.clock_ms))
    }

    pub(super) fn purge(&mut self, sink: &mut dyn Sink, claim: &Claim, purge: &Purge, clock_ms: Instant) {
        match sink.purge(claim, purge) {
            Ok(Purged { rows, is_done }) => {
                if rows > 0 {
                    tracing::info!(
                        "{}: {rows} rows were older than `[retention]` keeps them, and removed",
                        sink.name()
                    );
                }
                if !is_done {
                    return;
                }
            }
            Err(SinkError::Unavailable(why)) => {
                tracing::warn!("old rows could not be removed, and will be after the next commit: {why}");
                return;
            }
            // If another run has taken over, the next commit says so.
            Err(error) => tracing::warn!("old rows could not be removed, and are tried again in an hour: {error}"),
        }
        self.done_ms = Some(clock_ms);
    }
}
