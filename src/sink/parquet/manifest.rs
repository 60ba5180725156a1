//! What is in a feed, as one object of `_progress/`.

use crate::instant;
use crate::lanes::Watermarks;
use crate::sink::log::Objects;
use crate::sink::{Claim, MadeBy, Progress, SinkError};
use crate::store::StoreError;
use dataflows::table::TableId;
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the feed's layout.
pub(super) const FORMAT: u32 = 1;

/// A file of rows, sorted by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    /// Its key in the store.
    pub path: String,
    /// How many rows it has.
    pub rows: u64,
    /// How long it is, and the checksum of it: it is read only as it was written.
    pub bytes: u64,
    pub crc32: u32,
}

/// What became of a table's rows from one epoch to another: files that follow each other in the order
/// of keys, no key twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// After this epoch, up to that one.
    pub after: Time,
    pub to: Time,
    /// How many rows it has, those that say a row is gone included.
    pub rows: u64,
    /// Whether it may change or delete rows of older runs. In a table whose rows are only added, few do.
    pub changes: bool,
    pub files: Vec<File>,
    /// Of a table whose rows grow old: how old they are. Without it nobody knows, and they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Age>,
}

/// How old the rows of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Age {
    /// The newest instant of the column by which they grow old, in milliseconds.
    pub newest_ms: Instant,
    /// The clock of the first commit among them, in milliseconds.
    pub since_ms: Instant,
}

/// A start of the pipeline: what it committed comes after this epoch, and up to the next start's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    pub generation: u64,
    pub after: Time,
    /// The clock of that epoch.
    #[serde(with = "instant::iso")]
    pub since: Instant,
}

/// A file that no reader of now reads, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Garbage {
    pub path: String,
    #[serde(with = "instant::iso")]
    pub since: Instant,
}

/// Everything there is in the feed, as of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: u32,
    pub pipeline_id: String,
    pub generation: u64,
    /// The handle that claimed: two that want the same generation are told apart by it.
    pub writer: String,
    pub made_by: MadeBy,
    pub epoch: Time,
    #[serde(with = "instant::iso")]
    pub watermark: Instant,
    /// Of each family that has begun; nothing of before families had names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarks: Option<Watermarks>,
    #[serde(with = "instant::iso")]
    pub committed_at: Instant,
    pub positions: BTreeMap<String, i64>,
    pub starts: Vec<Start>,
    /// Per table and all of its key but the last column, the largest last column that was ever added.
    pub added: BTreeMap<String, BTreeMap<String, i64>>,
    pub garbage: Vec<Garbage>,
    /// Per table the epoch before which a reader who follows its deltas must begin anew: files of them are gone, or do not
    /// say which rows are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub begin_anew_before: BTreeMap<String, Time>,
    /// Per table of which old rows were removed the instant before which they are gone, in milliseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone_before: BTreeMap<String, Instant>,
    /// Raw rows of somebody who was forgotten were deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_somebody: bool,
    /// The runs of each table, the oldest first.
    pub tables: BTreeMap<String, Vec<Run>>,
}

impl Manifest {
    /// That of a feed that nothing was written to yet, by this run.
    pub(super) fn of_nothing(claim: &Claim) -> Manifest {
        Manifest {
            format: FORMAT,
            pipeline_id: claim.pipeline_id.clone(),
            generation: 0,
            writer: String::new(),
            made_by: MadeBy::Run,
            epoch: 0,
            watermark: dataflows::time::START,
            watermarks: None,
            committed_at: 0,
            positions: BTreeMap::new(),
            starts: Vec::new(),
            added: BTreeMap::new(),
            garbage: Vec::new(),
            begin_anew_before: BTreeMap::new(),
            gone_before: BTreeMap::new(),
            lacks_somebody: false,
            tables: BTreeMap::new(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            pipeline_id: self.pipeline_id.clone(),
            generation: self.generation,
            made_by: self.made_by,
            epoch: self.epoch,
            positions: self.positions.clone(),
            watermarks: self.watermarks.clone().unwrap_or_else(|| Watermarks::of_shop(self.watermark)),
            committed_at: self.committed_at,
        }
    }

    /// The runs of a table, the oldest first.
    pub(super) fn runs(&self, table: TableId) -> &[Run] {
        self.tables.get(table.table().name).map_or(&[], Vec::as_slice)
    }

    /// Who has followed a table's deltas to an epoch before this one must begin anew.
    pub(super) fn deltas_end_at(&mut self, table: &str, epoch: Time) {
        let known = self.begin_anew_before.entry(table.to_owned()).or_default();
        *known = epoch.max(*known);
    }

    /// Every file that a reader of this reads.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.tables.values().flatten().flat_map(|run| &run.files)
    }

    /// Whether what this generation committed up to an epoch is part of the feed, though others came after.
    pub(super) fn includes(&self, generation: u64, epoch: Time) -> bool {
        let Some(at) = self.starts.iter().position(|start| start.generation == generation) else { return false };
        let until = self.starts.get(at + 1).map_or(self.epoch, |next| next.after);
        self.starts[at].after < epoch && epoch <= until
    }
}

/// How the objects of `_progress/` are spoken of.
pub(super) const OBJECTS: Objects =
    Objects { of: "feed", in_full: "Parquet feed", setting: "feed.path", format: FORMAT };

/// What a store says, as a sink says it.
pub(super) fn of_store(error: StoreError) -> SinkError {
    OBJECTS.said(error)
}
