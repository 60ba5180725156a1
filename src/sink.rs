//! The seam to where rows go.
//!
//! A sink promises: a commit is applied whole or not at all, its rows together with the progress
//! they belong to; a commit applied again changes nothing; a run that was superseded cannot write.

pub mod archive;
mod avro;
pub mod by_minute;
pub mod kafka;
mod log;
pub mod memory;
pub mod parquet;
pub mod progress;
pub mod purge;
pub mod snowflake;
pub mod sqlite;
pub mod views;

use crate::archived::Archived;
use crate::lanes::Watermarks;
use dataflows::deltas::Deltas;
use dataflows::family::Catalogue;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use parquet::Piece;
use purge::{Purge, Purged};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What made a warehouse, and therefore what may be done to it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    /// A run that read events as they came.
    Run,
    /// A computation over whole files, which can be repeated.
    Batch,
    /// A run of the simulated shop: nothing real is beside it.
    #[serde(rename = "simulate")]
    Simulator,
}

impl MadeBy {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            MadeBy::Run => "run",
            MadeBy::Batch => "batch",
            MadeBy::Simulator => "simulate",
        }
    }

    /// What is stored under a name.
    pub fn named(name: &str) -> Option<MadeBy> {
        let all = [MadeBy::Run, MadeBy::Batch, MadeBy::Simulator];
        all.into_iter().find(|made_by| made_by.name() == name)
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
    /// The watermark of each family at that epoch.
    pub watermarks: Watermarks,
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

impl Claim {
    /// The claim that follows from what a sink says of itself and what is wanted.
    ///
    /// # Errors
    /// If the sink belongs to another pipeline, or a later start has claimed it.
    pub fn after(found: Option<&Progress>, wanted: Option<&Claim>, sink: &str) -> Result<Claim, SinkError> {
        match (found, wanted) {
            (None, None) => Ok(Claim { pipeline_id: uuid::Uuid::new_v4().to_string(), generation: 1 }),
            (Some(found), None) => {
                Ok(Claim { pipeline_id: found.pipeline_id.clone(), generation: found.generation + 1 })
            }
            (None, Some(wanted)) => Ok(wanted.clone()),
            (Some(found), Some(wanted)) if found.pipeline_id != wanted.pipeline_id => Err(SinkError::Failed(format!(
                "{sink} holds the rows of another pipeline ({}, not {}); name its own state with `--state-dir`, or another sink",
                found.pipeline_id, wanted.pipeline_id
            ))),
            (Some(found), Some(wanted)) if found.generation >= wanted.generation => {
                Err(wanted.taken_over(found.generation, sink))
            }
            (Some(_), Some(wanted)) => Ok(wanted.clone()),
        }
    }
}

impl Claim {
    fn taken_over(&self, generation: u64, sink: &str) -> SinkError {
        let by = Fence::TakenOver { generation, ours: self.generation };
        SinkError::Fenced { sink: sink.to_owned(), by }
    }

    /// Whether what a sink says of itself is this claim's.
    ///
    /// # Errors
    /// [`SinkError::Fenced`] if a later start has claimed it, or another pipeline. [`SinkError::Failed`] if it is as an
    /// earlier start left it: nobody has taken over, but what this one wrote is gone.
    pub fn stands(&self, pipeline_id: &str, generation: u64, sink: &str) -> Result<(), SinkError> {
        if self.pipeline_id != pipeline_id {
            let by = Fence::AnotherPipeline { pipeline_id: pipeline_id.to_owned(), generation };
            return Err(SinkError::Fenced { sink: sink.to_owned(), by });
        }
        match generation.cmp(&self.generation) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(self.taken_over(generation, sink)),
            std::cmp::Ordering::Less => Err(SinkError::Failed(format!(
                "{sink}: it is as start {generation} left it, and this is start {}: an older copy was put in its place; put \
                 the newer one back, or start again",
                self.generation
            ))),
        }
    }
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
    /// The watermark of each family at that epoch.
    pub watermarks: Watermarks,
    /// Next offsets per partition.
    pub positions: BTreeMap<String, i64>,
    /// Changed rows per table, sorted by key.
    pub deltas: BTreeMap<TableId, Deltas>,
    /// Added rows per table.
    pub appends: BTreeMap<TableId, Vec<Vec<Value>>>,
    /// Accepted events, as [`dataflows::raw::clean`] makes them, by their raw tables: for sinks that take them.
    pub clean: BTreeMap<TableId, Vec<Vec<Value>>>,
    /// Accepted records, in the order of each partition: for sinks that take them.
    pub archived: Vec<Archived>,
    /// What processes have written of it by themselves: for the sink that they wrote to.
    pub pieces: Vec<(TableId, Piece)>,
}

impl Commit {
    /// How many rows are there with it, and how many are gone.
    pub fn counts(&self) -> (u64, u64) {
        let counts = self.deltas.values().map(Deltas::counts);
        let counts = counts.map(|(upserted, deleted)| (upserted as u64, deleted as u64));
        let elsewhere = self.pieces.iter().map(|(_, piece)| piece.counts());
        counts.chain(elsewhere).fold((0, 0), |(upserted, deleted), of| (upserted + of.0, deleted + of.1))
    }
}

/// Why a sink did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The claim does not count any more, or the commit does not follow what is there.
    #[error("{sink}: {by}")]
    Fenced {
        /// What operators know it by.
        sink: String,
        /// What stands against it.
        by: Fence,
    },
    /// It will not succeed.
    #[error("{0}")]
    Failed(String),
}

/// What stands between a run and a sink that was its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fence {
    /// Another run has claimed it.
    #[error("another run (generation {generation}, ours is {ours}) has taken over")]
    TakenOver {
        /// That run's.
        generation: u64,
        /// Of the claim.
        ours: u64,
    },
    /// A run of another pipeline has claimed it.
    #[error("another run (generation {generation} of pipeline {pipeline_id}) has taken over")]
    AnotherPipeline {
        /// Whose rows these are.
        pipeline_id: String,
        /// That run's.
        generation: u64,
    },
    /// Somebody wrote to it since it was looked at.
    #[error("another run has taken over")]
    Written,
    /// It is at another epoch than the commit follows, or than a run goes on from.
    #[error("it is at epoch {at}, and what is written to it follows epoch {expected}")]
    Elsewhere {
        /// Where it is.
        at: Time,
        /// Where it was to be.
        expected: Time,
    },
    /// It holds no progress: it is another one than was claimed.
    #[error("{0}")]
    Gone(&'static str),
}

impl SinkError {
    /// That a sink stands elsewhere than it must.
    pub fn elsewhere(sink: &str, at: Time, expected: Time) -> SinkError {
        SinkError::Fenced { sink: sink.to_owned(), by: Fence::Elsewhere { at, expected } }
    }

    /// That a sink that was claimed holds no progress.
    pub fn gone(sink: &str, what: &'static str) -> SinkError {
        SinkError::Fenced { sink: sink.to_owned(), by: Fence::Gone(what) }
    }
}

/// Where rows go.
pub trait Sink: Send {
    /// How far the sink has come; nothing if nobody has ever claimed it.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn position(&mut self) -> Result<Option<Progress>, SinkError>;

    /// Makes the tables if need be and raises the generation: a run that claimed before is fenced out. With
    /// `wanted`, to that pipeline's start; without, to the next one of the pipeline that is there.
    ///
    /// # Errors
    /// If the sink holds something it cannot go on with, belongs to another pipeline, or a later start
    /// has claimed it.
    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError>;

    /// Applies a commit under a claim.
    ///
    /// # Errors
    /// If it could not be applied; then nothing of it was.
    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError>;

    /// Removes rows that are old, and no others; a table's old rows may stay longer, if finding them would cost too
    /// much. Neither rows of other tables nor the progress change. Done in steps, each whole or not at all and of bounded
    /// size; done again, it changes nothing.
    ///
    /// # Errors
    /// If it could not be done to its end, or a later start has claimed the sink: then that one's rows are its own.
    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError>;

    /// The least time between two commits, where it is not that of the pipeline.
    fn commit_interval(&self) -> Option<Duration> {
        None
    }

    /// Whether it takes the accepted records of a commit, as they came.
    fn takes_records(&self) -> bool {
        false
    }

    /// Whether it takes the clean events of a commit.
    fn takes_clean(&self) -> bool {
        false
    }

    /// Whether it takes the rows of tables.
    fn takes_rows(&self) -> bool {
        true
    }

    /// The side of one process of a run of so many, if each can write the rows that its own workers made.
    fn shard(&mut self, process: usize, processes: usize) -> Option<Box<dyn Shard>> {
        let _ = (process, processes);
        None
    }

    /// Nothing was committed for so long; without a time, nothing ever will be in this run.
    ///
    /// # Errors
    /// If it wanted to do something then, and could not; it may be asked again.
    fn idle(&mut self, claim: &Claim, since: Option<Duration>) -> Result<(), SinkError> {
        let _ = (claim, since);
        Ok(())
    }

    /// What operators know it by.
    fn name(&self) -> String {
        "the warehouse".to_owned()
    }
}

/// The side of one process of a sink to which all processes of a run write, each the rows that its own workers made. What
/// it writes is there once the sink is given a commit with the pieces.
pub trait Shard: Send {
    /// Whether this process reaches the sink that was claimed.
    ///
    /// # Errors
    /// If it is another one, or cannot be asked.
    fn check(&mut self, claim: &Claim) -> Result<(), SinkError>;

    /// Writes the rows of a commit that are this process's; again, it writes the same.
    ///
    /// # Errors
    /// If they could not be written, or a later start has claimed the sink.
    fn write(&mut self, claim: &Claim, commit: &Commit) -> Result<Vec<(TableId, Piece)>, SinkError>;
}

/// A sink whose rows can be read back in the order of their keys: what reconciling needs.
pub trait Stored {
    /// The tables that it has.
    fn catalogue(&self) -> Catalogue;

    /// Whether it keeps rows of tables at all.
    fn keeps_rows(&self) -> bool {
        true
    }

    /// Up to `limit` rows after the given key.
    ///
    /// # Errors
    /// If they cannot be read.
    fn page(&mut self, table: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError>;

    /// Whether it finds a row by its key.
    fn finds_rows(&self) -> bool {
        false
    }

    /// The row of a key; nothing if there is none. Asked only of a sink that [finds rows](Stored::finds_rows).
    ///
    /// # Errors
    /// If it cannot be read.
    fn row(&mut self, table: TableId, key: &[Value]) -> Result<Option<Vec<Value>>, SinkError> {
        let _ = (table, key);
        Ok(None)
    }

    /// The file of SQLite in which SQL finds the rows, if that is what it is.
    fn sqlite_file(&self) -> Option<&Path> {
        None
    }

    /// Whether there is a table of that name. Asked of the first sink alone.
    ///
    /// # Errors
    /// If it cannot be told.
    fn has_table(&mut self, table: TableId) -> Result<bool, SinkError> {
        let _ = table;
        Ok(true)
    }

    /// Whether there is a table of that name with other columns or another key.
    ///
    /// # Errors
    /// If it cannot be told.
    fn has_another_shape(&mut self, table: TableId) -> Result<bool, SinkError>;

    /// The next commit with changes of a table, be they none, has all its rows: what is there goes with it, and the table
    /// is made anew.
    fn make_anew(&mut self, table: TableId);

    /// Whether it can do that within a commit.
    fn makes_anew(&self) -> bool {
        true
    }

    /// From when on a table has all its rows, if old ones were removed. Asked of the first sink alone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn whole_since(&mut self, table: TableId) -> Result<Option<Instant>, SinkError> {
        let _ = table;
        Ok(None)
    }

    /// Whether raw rows of somebody who was forgotten were deleted. Asked of the first sink alone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn lacks_somebody(&mut self) -> Result<bool, SinkError> {
        Ok(false)
    }

    /// Removes what is left of rows that were deleted: earlier versions of them, wherever the sink keeps such.
    /// `was` tells them from others, by a row or by what is left of it. Tells what is beyond its reach, a sentence each.
    ///
    /// # Errors
    /// If it could not be removed; removing it again is harmless.
    fn scrub(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError>;
}

/// Whether a row of a table is one of those that are meant. Of a row that is gone only the key is given.
pub type RowOf<'a> = dyn Fn(TableId, &[Value]) -> bool + 'a;

/// A sink that can be brought to where another one is.
pub trait Warehouse: Sink + Stored {}

impl<S: Sink + Stored> Warehouse for S {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_generation_fences_and_a_lower_one_never() {
        let claim = Claim { pipeline_id: "ours".to_owned(), generation: 2 };
        claim.stands("ours", 2, "the sink").expect("ours");
        for (pipeline_id, generation, is_fenced) in
            [("ours", 3, true), ("ours", 1, false), ("theirs", 1, true), ("theirs", 2, true)]
        {
            let error = claim.stands(pipeline_id, generation, "the sink").expect_err("not ours");
            assert_eq!(matches!(error, SinkError::Fenced { .. }), is_fenced, "{error}");
        }
    }
}
