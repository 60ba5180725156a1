//! How far an archive is, as one object of `_progress/`.

use crate::instant;
use crate::lanes::Watermarks;
use crate::sink::log::Objects;
use crate::sink::{Claim, MadeBy, Progress};
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the layout.
const FORMAT: u32 = 1;

/// How the objects of `_progress/` are spoken of.
pub(super) const OBJECTS: Objects =
    Objects { of: "archive", in_full: "archive", setting: "archive.path", format: FORMAT };

/// The same, of clean events.
pub(super) const CLEAN_EVENTS: Objects =
    Objects { of: "clean events", in_full: "clean events", setting: "clean.path", format: FORMAT };

/// How far a partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partition {
    /// Records before this offset are in files that are closed.
    pub closed: i64,
    /// Records before this offset are in the archive.
    pub taken: i64,
}

/// Everything there is that is in no closed file, and where partitions are.
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
    pub watermarks: Watermarks,
    #[serde(with = "instant::iso")]
    pub committed_at: Instant,
    pub positions: BTreeMap<String, i64>,
    /// By these files were last closed: what was begun is ended by them, whatever the settings say now.
    pub rows: usize,
    pub archive_interval_ms: i64,
    /// How many clean events have come: the number of the next one. Nothing where it is of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<i64>,
    /// By `topic/partition`.
    pub partitions: BTreeMap<String, Partition>,
    /// The objects with records of no closed file, in the order in which they came.
    pub open: Vec<String>,
}

impl Manifest {
    /// Of an archive that somebody is about to claim.
    pub(super) fn nothing(claim: &Claim, made_by: MadeBy) -> Manifest {
        Manifest {
            format: FORMAT,
            pipeline_id: claim.pipeline_id.clone(),
            generation: 0,
            writer: String::new(),
            made_by,
            epoch: 0,
            watermark: dataflows::time::START,
            watermarks: Watermarks::NONE,
            committed_at: 0,
            positions: BTreeMap::new(),
            rows: 1,
            archive_interval_ms: 0,
            events: None,
            partitions: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// Of clean events, a day of which every event is in a closed file need not be known any more. Only where the objects
    /// of what is open have none of those events: they would be read again.
    pub(super) fn forget_days(&mut self) {
        if self.events.is_some() {
            self.partitions.retain(|_, day| day.closed < day.taken);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            pipeline_id: self.pipeline_id.clone(),
            generation: self.generation,
            made_by: self.made_by,
            epoch: self.epoch,
            positions: self.positions.clone(),
            watermarks: self.watermarks.clone(),
            committed_at: self.committed_at,
        }
    }
}
