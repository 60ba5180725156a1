//! When a sink's old rows are removed: after the first commit of a start, then once an hour by the clock of its
//! commits, and when the sources have ended.
//!
//! What is old is told by the last commit, but in the first hour of a start by the last one before it: a clock
//! that is wrong may be noticed before it has removed anything.
//!
//! No commit waits for it for long, and none fails by it: what cannot be done now is done after a later one.

use crate::config::retention::Retention;
use crate::lanes::Watermarks;
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, Commit, Sink, SinkError};
use dataflows::Instant;
use dataflows::family::Catalogue;

/// The least time between two purges.
const INTERVAL_MS: u64 = 3_600_000;

/// What is to be removed of one sink, and when it last was.
pub(super) struct Purging {
    catalogue: Catalogue,
    retention: Retention,
    /// Clock and watermarks of the last commit before this start.
    before: Option<(Instant, Watermarks)>,
    /// The clock of the first commit of this start.
    first_ms: Option<Instant>,
    /// What is old; and the clock of the last commit.
    old: Option<(Purge, Instant)>,
    /// The clock of the commit by which it was last removed to its end.
    done_ms: Option<Instant>,
}

impl Purging {
    pub(super) fn new(catalogue: Catalogue, retention: Retention, before: Option<(Instant, Watermarks)>) -> Purging {
        Purging { catalogue, retention, before, first_ms: None, old: None, done_ms: None }
    }

    /// Notes what is old once a commit is there.
    pub(super) fn see(&mut self, commit: &Commit) {
        let first_ms = *self.first_ms.get_or_insert(commit.clock_ms);
        let purge = if commit.clock_ms.abs_diff(first_ms) >= INTERVAL_MS {
            Purge::after(commit, self.catalogue, &self.retention)
        } else {
            let at = |(clock_ms, before): &(Instant, Watermarks)| {
                // A family that has begun since has nothing that is old, and what all share is as old as it says.
                let begun = commit.watermarks.0.iter().filter(|(family, _)| !before.0.contains_key(*family));
                let least = begun.map(|(_, at)| *at).chain([before.least()]).min().unwrap_or(before.least());
                Purge::at(*clock_ms, before, least, self.catalogue, &self.retention)
            };
            self.before.as_ref().map(at).unwrap_or_default()
        };
        self.old = (!purge.is_empty()).then_some((purge, commit.clock_ms));
    }

    /// Whether it is time for it.
    pub(super) fn is_due(&self) -> bool {
        // A clock that is set back does not keep what is old.
        let since = |clock_ms: Instant| self.done_ms.map(|done| clock_ms.abs_diff(done));
        self.old.as_ref().is_some_and(|(_, clock_ms)| since(*clock_ms).is_none_or(|since| since >= INTERVAL_MS))
    }

    /// Removes what is old; tells whether more of it could be removed at once.
    pub(super) fn purge(&mut self, sink: &mut dyn Sink, claim: &Claim) -> bool {
        let Some((purge, clock_ms)) = &self.old else { return false };
        match sink.purge(claim, purge) {
            Ok(Purged { rows, is_done }) => {
                if rows > 0 {
                    tracing::info!(
                        "{}: {rows} rows were older than `[retention]` keeps them, and removed",
                        sink.name()
                    );
                }
                if !is_done {
                    return true;
                }
            }
            Err(SinkError::Unavailable(why)) => {
                tracing::warn!("old rows could not be removed, and will be after the next commit: {why}");
                return false;
            }
            // If another run has taken over, the next commit says so.
            Err(error) => tracing::warn!("old rows could not be removed, and are tried again in an hour: {error}"),
        }
        self.done_ms = Some(*clock_ms);
        false
    }
}
