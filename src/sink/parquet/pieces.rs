//! The feed written by every process of a run: each writes the files of the rows that its own workers made, and process 0
//! alone says which files there are.
//!
//! A process that does not lead changes nothing that is published: its files have names of their own, by epoch, start and
//! process, and count once an object of `_progress/` names them. What one writes that was superseded, nobody ever names.

use super::manifest::Manifest;
use super::merged::{Merged, Written};
use super::{Parquet, REMOVED, names};
use crate::sink::{Claim, Commit, Shard, SinkError};
use dataflows::Time;
use dataflows::table::{Role, TableId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a process wrote of a table for a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// How many rows became others or are new.
    upserted: u64,
    /// How many are gone.
    deleted: u64,
    /// How many were added, those that were there already included.
    added: u64,
    lacks_somebody: bool,
    /// The files, if there are any.
    run: Option<Written>,
    /// Per partition the largest offset that was ever added.
    largest: BTreeMap<String, i64>,
    /// What was overdue before this commit, and fell to this process.
    merged: Option<Merged>,
}

impl Piece {
    /// How many rows are there with it, and how many are gone.
    pub fn counts(&self) -> (u64, u64) {
        (self.upserted, self.deleted)
    }

    /// The first of its files; nothing where all rows were there already.
    pub fn first_file(&self) -> Option<&str> {
        Some(&self.run.as_ref()?.files.first()?.path)
    }

    /// How many rows were added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// Puts what was written into what will be in the feed.
    pub(super) fn enter(&self, table: TableId, after: u64, next: &mut Manifest) {
        let name = table.name().to_owned();
        if let Some(merged) = &self.merged {
            merged.enter(table, next.committed_at, next);
        }
        next.lacks_somebody |= self.lacks_somebody;
        let largest = next.added.entry(name.clone()).or_default();
        for (partition, to) in &self.largest {
            let before = largest.entry(partition.clone()).or_insert(*to);
            *before = *to.max(before);
        }
        if largest.is_empty() {
            next.added.remove(&name);
        }
        if let Some(written) = self.run.clone() {
            next.tables.entry(name).or_default().push(written.run(after, next.epoch));
        }
    }
}

/// The side of one process.
pub(super) struct Writer {
    feed: Parquet,
    process: usize,
    processes: usize,
}

impl Writer {
    /// Of a process of so many.
    pub(super) fn new(feed: Parquet, process: usize, processes: usize) -> Writer {
        Writer { feed, process, processes }
    }

    /// Whether it falls to this process to merge a table. It follows from the table and the epoch, so that all agree, and
    /// over many commits do as much.
    fn merges(&self, table: TableId, epoch: Time) -> bool {
        let mut at = crc32fast::Hasher::new();
        at.update(table.name().as_bytes());
        at.update(&epoch.to_le_bytes());
        at.finalize() as usize % self.processes.max(1) == self.process
    }

    /// What is in the feed now, if it is still that of this start.
    fn current(&mut self, claim: &Claim) -> Result<Manifest, SinkError> {
        let place = self.feed.place();
        let (_, manifest) = self.feed.current()?.ok_or_else(|| SinkError::gone(&place, REMOVED))?;
        claim.stands(&manifest.pipeline_id, manifest.generation, &place)?;
        Ok(manifest)
    }
}

impl Shard for Writer {
    fn check(&mut self, claim: &Claim) -> Result<(), SinkError> {
        self.current(claim).map(drop)
    }

    fn write(&mut self, claim: &Claim, commit: &Commit) -> Result<Vec<(TableId, Piece)>, SinkError> {
        let manifest = self.current(claim)?;
        let place = self.feed.place();
        if manifest.epoch < commit.follows {
            let (at, expected) = (manifest.epoch, commit.follows);
            let why = format!("{place}: it lists epoch {at} yet, and epoch {expected} was published");
            return Err(SinkError::Unavailable(why));
        }
        if manifest.epoch > commit.follows {
            return Err(SinkError::elsewhere(&place, manifest.epoch, commit.follows));
        }
        let mut pieces = Vec::new();
        let mark = format!("-p{:03}", self.process);
        let merged_into = format!("{}{mark}", names::commit(commit.epoch, claim.generation));
        let written: BTreeSet<_> = commit.deltas.keys().chain(commit.appends.keys()).copied().collect();
        let mut next = manifest.clone();
        for id in self.feed.catalogue.tables().iter().copied() {
            let merged = match self.merges(id, commit.epoch) {
                // A commit does not wait for it, nor end with it.
                true => self.feed.merge(id, &manifest, &merged_into).unwrap_or_else(|error| {
                    tracing::warn!("`{}` could not be merged; with a later commit again: {error}", id.name());
                    None
                }),
                false => None,
            };
            if merged.is_none() && !written.contains(&id) {
                continue;
            }
            let run = self.feed.run_of((claim, commit), id, (&manifest, &mut next), &mark)?;
            let run = run.map(Written::of);
            let counts = commit.deltas.get(&id).map_or((0, 0), |deltas| deltas.counts());
            let piece = Piece {
                upserted: counts.0 as u64,
                deleted: counts.1 as u64,
                added: commit.appends.get(&id).map_or(0, Vec::len) as u64,
                lacks_somebody: matches!(id.table().role, Role::Raw { .. }) && counts.1 > 0,
                run,
                largest: next.added.remove(id.name()).unwrap_or_default(),
                merged,
            };
            pieces.push((id, piece));
        }
        Ok(pieces)
    }
}
