//! Which rows a sink need not keep any longer.

use super::Commit;
use crate::config::retention::Retention;
use crate::lanes::Watermarks;
use dataflows::Instant;
use dataflows::family::Catalogue;
use dataflows::table::{Role, TableId};
use std::collections::BTreeMap;

/// Of each table that is not kept forever, the instant before which its rows are old. It is never later than asked
/// for, so that whatever a sink removes by it may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// By table. An instant is after 1970: no row is older than that.
    pub before: BTreeMap<TableId, Instant>,
}

/// What became of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// How many rows were removed.
    pub rows: u64,
    /// Whether nothing was left for later so that this did not take too long.
    pub is_done: bool,
}

impl Purge {
    /// What is old once a commit is there: by its watermarks, and what was rejected by its clock.
    pub fn after(commit: &Commit, catalogue: Catalogue, retention: &Retention) -> Purge {
        Purge::at(commit.clock_ms, &commit.watermarks, commit.watermarks.least(), catalogue, retention)
    }

    /// What is old by a clock and watermarks: a family's rows by its own, what all families share by the least, so that
    /// the history of one that is behind does not go as it comes.
    pub fn at(
        clock_ms: Instant,
        watermarks: &Watermarks,
        least: Instant,
        catalogue: Catalogue,
        retention: &Retention,
    ) -> Purge {
        let before = catalogue.tables().iter().filter_map(|id| {
            let kept_ms = retention.of(*id)?;
            let now = match (id.table().role, catalogue.family_of(*id)) {
                (Role::Rejected { .. }, _) => clock_ms,
                (_, Some(family)) => watermarks.of(family.name()),
                (_, None) => least,
            };
            Some((*id, now.saturating_sub(kept_ms)))
        });
        Purge { before: before.filter(|(_, before)| *before > 0).collect() }
    }

    /// Whether no row can be old.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{all, table};
    use dataflows::raw::{LATE_EVENTS, REJECTED_EVENTS};

    #[test]
    fn what_may_be_kept_for_a_time_only_says_how_old_it_is() {
        let retention = Retention { raw: Some(1), rejected: Some(1), late: Some(1) };
        for id in all().tables() {
            assert_eq!(id.table().age().is_some(), retention.of(*id).is_some(), "{}", id.table().name);
        }
    }

    #[test]
    fn rows_are_old_behind_the_watermark_and_rejected_ones_behind_the_clock() {
        let commit = Commit {
            follows: 0,
            epoch: 2,
            clock_ms: 900,
            watermarks: Watermarks::of_shop(100),
            positions: BTreeMap::new(),
            deltas: BTreeMap::new(),
            appends: BTreeMap::new(),
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        };
        assert!(Purge::after(&commit, all(), &Retention::default()).is_empty());
        let purge = Purge::after(&commit, all(), &Retention { raw: Some(60), rejected: Some(60), late: Some(100) });
        assert_eq!((purge.before[&table("cart_events")], purge.before[&REJECTED_EVENTS]), (40, 840));
        assert!(!purge.before.contains_key(&LATE_EVENTS), "no row is older than 1970");
        assert!(!purge.before.contains_key(&table("catalog_events")));
    }
}
