//! Cases: events, and the rows that they must change, epoch by epoch, in a file beside the metric.
//!
//! ```text
//! # A late order corrects its day.                          what is shown
//! set lateness=2h                                           settings, before the first event
//! {"ordered_at":"2026-01-05T10:00:00Z","amount":5}          events of an epoch
//! => orders_by_day: day              | order_count          the columns that are compared
//! => upsert         2026-01-05T00:00 | 1                    what it commits
//! {"ordered_at":"2026-01-05T11:00:00Z","amount":5}          the next epoch
//! => ?                                                      to be written
//! ```
//!
//! A text is read ([`read`]), its events are played by the engine itself, with a clock that stands still ([`play`]), what
//! came out is compared with what it says ([`judge`]), and a text of what came out is written ([`mod@write`]). A case is a
//! function of its text, the model and the settings.

pub mod cells;
pub mod judge;
pub mod play;
pub mod read;
#[cfg(test)]
mod tests;
pub mod write;

use dataflows::Instant;
use dataflows::family::FamilyId;
use dataflows::table::TableId;
use std::collections::BTreeMap;

/// The clock of a case that names none: 2030-01-01.
pub const CLOCK_MS: Instant = 1_893_456_000_000;

/// How many partitions a case may have.
pub const PARTITIONS_MAX: u32 = 16;

/// A case, as its text says.
#[derive(Clone, Debug)]
pub struct Case {
    /// Of which family its events are.
    pub family: FamilyId,
    /// The tables that are kept, and compared.
    pub tables: Vec<TableId>,
    /// Settings, as after `--set`, each with its line.
    pub settings: Vec<(usize, String)>,
    /// Whether its events are a whole input, as of `batch`.
    pub is_batch: bool,
    /// The clock, in milliseconds since 1970.
    pub clock_ms: Instant,
    /// How many partitions its events are of.
    pub partitions: u32,
    /// Whether the input ends with its last epoch.
    pub ends: bool,
    /// Of each table that it names the columns that are compared, by their places, the key first.
    pub columns: BTreeMap<TableId, Vec<usize>>,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
    /// The lines behind the last of them.
    pub tail: Vec<String>,
}

impl Case {
    /// The columns of a table that are compared.
    pub fn columns_of(&self, id: TableId) -> Vec<usize> {
        self.columns.get(&id).cloned().unwrap_or_else(|| (0..id.table().columns.len()).collect())
    }
}

/// An epoch of a case.
#[derive(Clone, Debug, Default)]
pub struct Epoch {
    /// Its lines as they stand, without those of what it must give.
    pub lines: Vec<String>,
    /// Its records, each with its partition.
    pub records: Vec<(u32, Vec<u8>)>,
    /// The line at which it says what it must give, or its last one.
    pub line: usize,
    /// Whether it is asked what it gives: that is to be written.
    pub is_asked: bool,
    /// What it must give; nothing where that is to be written.
    pub expected: Option<Vec<Said>>,
}

/// Something that an epoch gives. Values are written as [`cells`] writes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// A row is now this, in the columns that are compared.
    Upsert(TableId, Vec<String>),
    /// The row of this key is gone.
    Delete(TableId, Vec<String>),
    /// So many more rows of a table change, which are not listed.
    More(TableId, usize),
    /// A record is rejected: the reason, and its detail.
    Rejected(Vec<String>),
    /// An event is late: its time, and the watermark.
    Late(Vec<String>),
}

impl Said {
    /// The table whose row it is; none of a record that is in no table of the case.
    pub fn table(&self) -> Option<TableId> {
        match self {
            Said::Upsert(id, _) | Said::Delete(id, _) | Said::More(id, _) => Some(*id),
            Said::Rejected(_) | Said::Late(_) => None,
        }
    }
}
