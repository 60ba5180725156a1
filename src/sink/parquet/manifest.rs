//! What is in a feed, as one object of `_progress/`; and the log of these objects, in which one
//! writer at a time can add.

use crate::instant;
use crate::lanes::Watermarks;
use crate::sink::progress::Found;
use crate::sink::{MadeBy, Progress, SinkError};
use crate::store::{Store, StoreError};
use dataflows::table::TableId;
use dataflows::{Instant, Time};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of the feed's layout.
pub(super) const FORMAT: u32 = 1;

/// Where the objects of the log are.
const FOLDER: &str = "_progress/";

/// So many of the newest stay: a reader takes the name of the newest one and then reads it.
const KEPT: u64 = 16;

/// How often the newest object may have gone between finding and reading it.
const ATTEMPTS: usize = 100;

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
    #[serde(serialize_with = "write_made_by", deserialize_with = "read_made_by")]
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
    /// The runs of each table, the oldest first.
    pub tables: BTreeMap<String, Vec<Run>>,
}

fn write_made_by<S: Serializer>(made_by: &MadeBy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(made_by.name())
}

fn read_made_by<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MadeBy, D::Error> {
    let name = String::deserialize(deserializer)?;
    MadeBy::named(&name).ok_or_else(|| D::Error::custom(format!("`made_by` is `{name}`")))
}

impl Manifest {
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

/// The objects of `_progress/`, numbered from 1 without gaps; the last one counts.
///
/// An object is made only if its number is free, by somebody who read the one before: so each follows
/// from the one before, and of two writers one learns that the other was first. A writer who slept for
/// so long that old numbers are free again finds that there are later ones.
pub(super) struct Log {
    store: Arc<dyn Store>,
}

impl Log {
    pub(super) fn new(store: Arc<dyn Store>) -> Log {
        Log { store }
    }

    /// The number of the last object that is listed; 0 if there is none. It may not show the newest yet.
    pub(super) fn last(&self) -> Result<u64, SinkError> {
        let keys = self.store.list(FOLDER).map_err(of_store)?;
        Ok(keys.iter().filter_map(|key| number(key)).max().unwrap_or(0))
    }

    /// The last object, and its number.
    pub(super) fn newest(&self) -> Result<Option<(u64, Manifest)>, SinkError> {
        for _ in 0..ATTEMPTS {
            let last = self.last()?;
            if last == 0 {
                return Ok(None);
            }
            // If it is gone, so many came after it meanwhile that it was tidied away.
            let Some(mut bytes) = self.store.get(&key(last)).map_err(of_store)? else { continue };
            let mut last = last;
            // A list may not show yet what was written just now.
            while let Some(next) = self.store.get(&key(last + 1)).map_err(of_store)? {
                (last, bytes) = (last + 1, next);
            }
            return self.parse(last, &bytes).map(|manifest| Some((last, manifest)));
        }
        let detail = "its newest object went away again and again while it was read; try again";
        Err(SinkError::Unavailable(format!("could not read `{FOLDER}` of feed `{}`: {detail}", self.store.place())))
    }

    fn parse(&self, number: u64, bytes: &[u8]) -> Result<Manifest, SinkError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let place = self.store.place();
        let broken = |error: serde_json::Error| {
            let hint = "restore it, or name another place with `feed.path`";
            SinkError::Failed(format!("feed `{place}`: `{}` is not what was written: {error}; {hint}", key(number)))
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(broken)?;
        if format != FORMAT {
            let detail = format!(
                "feed `{place}` has format {format}, this program knows {FORMAT}: use the version that made it"
            );
            return Err(SinkError::Failed(detail));
        }
        // Apart from the rest, so that what is wrong is said by its name.
        let found: Found = serde_json::from_slice(bytes).map_err(broken)?;
        let way_out = format!("Put `{}` back from a copy, or name another place with `feed.path`", key(number));
        found.read(&format!("feed `{place}`"), &way_out)?;
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// Makes the object after one; `false` if it is not the last one afterwards: somebody else was first,
    /// or has come since.
    pub(super) fn follow(&self, last: u64, manifest: &Manifest) -> Result<bool, SinkError> {
        let bytes = serde_json::to_vec_pretty(manifest).map_err(|error| SinkError::Failed(error.to_string()))?;
        let key = key(last + 1);
        let ours = self.store.create(&key, &bytes).map_err(of_store)?
            // From an attempt of ours that failed after it was done.
            || self.store.get(&key).map_err(of_store)?.is_some_and(|there| there == bytes);
        // Not equal: ours need not be listed yet.
        Ok(ours && self.last()? <= last + 1)
    }

    /// Whether an object is there, listed or not.
    pub(super) fn has(&self, number: u64) -> Result<bool, SinkError> {
        Ok(self.store.get(&key(number)).map_err(of_store)?.is_some())
    }

    /// Removes objects that nobody reads any more.
    pub(super) fn tidy(&self, last: u64) -> Result<(), SinkError> {
        for key in self.store.list(FOLDER).map_err(of_store)? {
            if number(&key).is_some_and(|number| number + KEPT <= last) {
                self.store.delete(&key).map_err(of_store)?;
            }
        }
        Ok(())
    }
}

/// Removes the newest objects that nobody reads any more, without looking for older ones: a commit and
/// what follows it make two at most.
pub(super) fn tidy_newest(store: &dyn Store, last: u64) -> Result<(), SinkError> {
    let last = last.saturating_sub(KEPT);
    (last.saturating_sub(1).max(1)..=last).try_for_each(|old| store.delete(&key(old)).map_err(of_store))
}

/// What a store says, as a sink says it.
pub(super) fn of_store(error: StoreError) -> SinkError {
    match error {
        StoreError::Unavailable(detail) => SinkError::Unavailable(format!("Parquet feed: {detail}")),
        StoreError::Failed(detail) => SinkError::Failed(format!("Parquet feed: {detail}")),
    }
}

/// Of equal length, so that the last one is the largest as text too: that is how readers find it.
fn key(number: u64) -> String {
    format!("{FOLDER}{number:012}.json")
}

fn number(key: &str) -> Option<u64> {
    key.strip_prefix(FOLDER)?.strip_suffix(".json")?.parse().ok()
}
