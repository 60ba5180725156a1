//! A commit, as it is told to those who look on.

use crate::instant;
use dataflows::deltas::Deltas;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What every row takes beside its values, in bytes.
const ROW_BYTES: usize = 64;

/// The rows before a commit, by their keys; nothing for a row that was not there.
pub type Before = BTreeMap<Vec<Value>, Option<Vec<Value>>>;

/// What was seen before a commit was applied.
#[derive(Debug, Default)]
pub struct Seen {
    /// Rows as they were, as far as they were looked up.
    pub before: BTreeMap<TableId, Before>,
    /// Rows of windows that had ended, and that are others now.
    pub restated: Vec<Restated>,
    /// How many more of those there may be: rows of such windows that were not looked up.
    pub restated_left: usize,
}

impl Seen {
    pub(super) fn bytes(&self) -> usize {
        let size = |row: &[Value]| row.iter().map(Value::size).sum::<usize>();
        let before = self.before.values().flatten();
        let before = before.map(|(key, row)| size(key) + row.as_ref().map_or(0, |row| size(row)));
        let restated = self.restated.iter().map(|restated| {
            let rows = [&restated.before, &restated.after];
            size(&restated.key) + rows.iter().map(|row| row.as_ref().map_or(0, |row| size(row))).sum::<usize>()
        });
        before.chain(restated).sum()
    }
}

/// A commit that the warehouse has.
#[derive(Debug)]
pub struct Told {
    /// The epoch of the commit before it.
    pub follows: Time,
    /// Its epoch.
    pub epoch: Time,
    /// Its clock.
    pub clock_ms: Instant,
    /// The rows that changed, by table, each in the order of its keys.
    pub deltas: BTreeMap<TableId, Deltas>,
    /// What was seen before it was applied.
    pub seen: Seen,
    /// About how much memory it takes.
    pub bytes: usize,
}

/// A row of a window that had ended, which is another one now.
#[derive(Clone, Debug, PartialEq)]
pub struct Restated {
    /// Of which table.
    pub table: TableId,
    /// Its key.
    pub key: Vec<Value>,
    /// What it was; nothing if there was none.
    pub before: Option<Vec<Value>>,
    /// What it is; nothing if there is none.
    pub after: Option<Vec<Value>>,
    /// How far behind the watermark the end of its window was: what restated it was at least so late.
    pub late_ms: i64,
}

/// One of them, with when it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// The commit.
    pub epoch: Time,
    /// Its clock.
    pub clock_ms: Instant,
    /// What became of the row.
    pub restated: Restated,
}

impl Told {
    pub(super) fn new(
        (follows, epoch, clock_ms): (Time, Time, Instant),
        deltas: BTreeMap<TableId, Deltas>,
        seen: Seen,
    ) -> Told {
        let size = |deltas: &Deltas| ROW_BYTES * deltas.len() + deltas.size();
        let bytes = deltas.values().map(size).sum::<usize>() + seen.bytes() + ROW_BYTES;
        Told { follows, epoch, clock_ms, deltas, seen, bytes }
    }

    /// What was restated, each with when that was.
    pub(super) fn corrections(&self) -> impl Iterator<Item = Arc<Correction>> {
        self.seen.restated.iter().map(|restated| {
            Arc::new(Correction { epoch: self.epoch, clock_ms: self.clock_ms, restated: restated.clone() })
        })
    }

    /// When it was committed, as ISO 8601.
    pub fn committed_at(&self) -> String {
        instant::show(self.clock_ms)
    }
}

impl Restated {
    /// The columns that differ, by their places: each with what it was and what it is.
    pub fn columns(&self) -> Vec<(usize, Option<&Value>, Option<&Value>)> {
        let table = self.table.table();
        let value = |row: &'_ Option<Vec<Value>>, place: usize| row.as_ref().and_then(|row| row.get(place)).is_some();
        let of = |place: usize| {
            let before = self.before.as_ref().and_then(|row| row.get(place));
            let after = self.after.as_ref().and_then(|row| row.get(place));
            (before != after).then_some((place, before, after))
        };
        let is_there = |place: &usize| value(&self.before, *place) || value(&self.after, *place);
        (table.key_columns..table.columns.len()).filter(is_there).filter_map(of).collect()
    }
}
