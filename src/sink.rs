//! The seam to where rows go.
//!
//! A sink promises: a commit is applied whole or not at all, its rows together with the progress
//! they belong to; a commit applied again changes nothing; a run that was superseded cannot write.

pub mod memory;
pub mod sqlite;

use crate::delta::Delta;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use std::collections::BTreeMap;

/// What made a warehouse, and therefore what may be done to it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// A run that read events as they came.
    Run,
    /// A computation over whole files, which can be repeated.
    Batch,
}

impl MadeBy {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            MadeBy::Run => "run",
            MadeBy::Batch => "batch",
        }
    }
}

/// How far a sink has come, as it stands in `_progress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose rows these are.
    pub pipeline_id: String,
    /// How often the pipeline was started.
    pub generation: u64,
    /// What made the warehouse.
    pub made_by: MadeBy,
    /// The last epoch whose rows are here; 0 before the first commit.
    pub epoch: Time,
    /// Per partition, as `topic/partition`, the next offset to read.
    pub positions: BTreeMap<String, i64>,
    /// The watermark of that epoch.
    pub watermark: Instant,
    /// The clock of that epoch.
    pub committed_at: Instant,
}

/// A run's right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose rows.
    pub pipeline_id: String,
    /// Which start.
    pub generation: u64,
}

/// Closed epochs, merged: the last delta per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The epoch the sink must be at.
    pub follows: Time,
    /// The epoch it is at afterwards.
    pub epoch: Time,
    /// The clock of that epoch.
    pub clock_ms: Instant,
    /// The watermark of that epoch.
    pub watermark: Instant,
    /// Next offsets per partition.
    pub positions: BTreeMap<String, i64>,
    /// Changed rows per table, sorted by key.
    pub deltas: BTreeMap<TableId, Vec<Delta>>,
    /// Added rows per table.
    pub appends: BTreeMap<TableId, Vec<Vec<Value>>>,
}

/// Why a sink did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// Another run has taken over, or the commit does not follow what is there.
    #[error("{0}")]
    Fenced(String),
    /// It will not succeed.
    #[error("{0}")]
    Failed(String),
}

/// Where rows go.
pub trait Sink: Send {
    /// How far the sink has come; nothing if nobody has ever claimed it.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn position(&mut self) -> Result<Option<Progress>, SinkError>;

    /// Makes the tables if need be and raises the generation: whoever claimed before is fenced out.
    ///
    /// # Errors
    /// If the sink holds something it cannot go on with.
    fn claim(&mut self, made_by: MadeBy) -> Result<Claim, SinkError>;

    /// Applies a commit under a claim.
    ///
    /// # Errors
    /// If it could not be applied; then nothing of it was.
    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError>;
}

/// A sink whose rows can be read back in the order of their keys: what reconciling needs.
pub trait Stored {
    /// Up to `limit` rows after the given key.
    ///
    /// # Errors
    /// If they cannot be read.
    fn page(&mut self, table: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError>;
}
