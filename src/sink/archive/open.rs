//! Records of files that are not closed yet: in memory, and durably in objects of `_open/`, one a commit.

use super::manifest::Manifest;
use super::{Settings, of_store};
use crate::archived::Archived;
use crate::sink::SinkError;
use crate::state_dir::envelope;
use crate::store::Store;
use dataflows::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the objects are.
pub(super) const FOLDER: &str = "_open/";
const KIND: &str = "open";
const VERSION: u32 = 1;

/// A file is closed before its data are longer than this together: records may be long, and they are in memory.
const FILE_BYTES: usize = 16 << 20;

/// A record of no closed file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) offset: i64,
    pub(super) clock_ms: Instant,
    /// Its writer's schema, by its place among those of the object; in memory by itself.
    #[serde(skip)]
    pub(super) schema: Option<Arc<str>>,
    pub(super) place: Option<u32>,
    pub(super) datum: Vec<u8>,
}

/// What an object holds.
#[derive(Default, Serialize, Deserialize)]
struct Object {
    schemas: Vec<String>,
    partitions: BTreeMap<String, Vec<Kept>>,
}

/// The records of no closed file, by `topic/partition`, in the order of their offsets.
#[derive(Debug, Default)]
pub(super) struct Open(pub(super) BTreeMap<String, Vec<Kept>>);

impl Open {
    /// What a commit brings that the archive has not.
    pub(super) fn of(records: &[Archived], manifest: &Manifest) -> Open {
        let (mut open, mut texts) = (Open::default(), BTreeMap::<*const _, Arc<str>>::new());
        for record in records {
            let taken = manifest.partitions.get(&*record.partition).map_or(i64::MIN, |partition| partition.taken);
            if record.offset < taken {
                continue;
            }
            let schema = record.writer.as_ref().map(|writer| {
                Arc::clone(texts.entry(Arc::as_ptr(writer)).or_insert_with(|| writer.json().to_string().into()))
            });
            let (offset, clock_ms, datum) = (record.offset, record.clock_ms, record.datum.clone());
            let kept = Kept { offset, clock_ms, schema, place: None, datum };
            match open.0.get_mut(&*record.partition) {
                Some(records) => records.push(kept),
                None => drop(open.0.insert(record.partition.to_string(), vec![kept])),
            }
        }
        // A partition is read by one at a time, but what is read is delivered by several.
        open.0.values_mut().for_each(|records| records.sort_by_key(|record| record.offset));
        open
    }

    /// Those that objects hold, without those that are in closed files.
    ///
    /// # Errors
    /// If one cannot be read, or is not what was written.
    pub(super) fn read(store: &dyn Store, manifest: &Manifest) -> Result<Open, SinkError> {
        let mut open = Open::default();
        for key in &manifest.open {
            let broken = |why: String| {
                let place = store.place();
                SinkError::Failed(format!("archive `{place}`: `{key}` {why}: put it back from a copy"))
            };
            let bytes = store.get(key).map_err(of_store)?.ok_or_else(|| broken("is missing".to_owned()))?;
            let (_, body) = envelope::open(KIND, VERSION, bytes).map_err(|damage| broken(damage.to_string()))?;
            let object: Object = postcard::from_bytes(&body).map_err(|error| broken(error.to_string()))?;
            let schemas: Vec<Arc<str>> = object.schemas.into_iter().map(Arc::from).collect();
            for (partition, mut records) in object.partitions {
                let closed = manifest.partitions.get(&partition).map_or(i64::MIN, |partition| partition.closed);
                records.retain(|record| record.offset >= closed);
                for record in &mut records {
                    record.schema = record.place.take().and_then(|place| schemas.get(place as usize).cloned());
                }
                open.add(partition, records);
            }
        }
        Ok(open)
    }

    /// Adds records that come after those that are there.
    pub(super) fn add(&mut self, partition: String, mut records: Vec<Kept>) {
        match self.0.get_mut(&partition) {
            Some(before) => before.append(&mut records),
            None if records.is_empty() => {}
            None => drop(self.0.insert(partition, records)),
        }
    }

    /// As an object.
    ///
    /// # Errors
    /// Never: what it is made of can be written.
    pub(super) fn sealed(&self) -> Result<Vec<u8>, SinkError> {
        let mut object = Object::default();
        let mut places = BTreeMap::<&str, u32>::new();
        for (partition, records) in &self.0 {
            let mut records = records.clone();
            for (record, kept) in records.iter_mut().zip(&self.0[partition]) {
                record.place = kept.schema.as_deref().map(|schema| {
                    *places.entry(schema).or_insert_with(|| {
                        object.schemas.push(schema.to_owned());
                        object.schemas.len() as u32 - 1
                    })
                });
            }
            object.partitions.insert(partition.clone(), records);
        }
        let body = postcard::to_stdvec(&object).map_err(|error| SinkError::Failed(error.to_string()))?;
        Ok(envelope::seal(KIND, VERSION, &body))
    }
}

/// How many of these records, which follow each other, make a file that is closed; nothing if it stays open.
///
/// What comes later does not change it: however commits are merged, the files are the same.
pub(super) fn file(records: &[Kept], settings: Settings, clock_ms: Instant) -> Option<usize> {
    let first = records.first()?;
    let is_over = |clock_ms: Instant| clock_ms.saturating_sub(first.clock_ms) >= settings.archive_interval_ms;
    let mut bytes = 0;
    for (count, record) in records.iter().enumerate() {
        if count > 0 && (bytes >= FILE_BYTES || record.schema != first.schema || is_over(record.clock_ms)) {
            return Some(count);
        }
        bytes += record.datum.len();
        if count + 1 == settings.rows {
            return Some(count + 1);
        }
    }
    (bytes >= FILE_BYTES || is_over(clock_ms)).then_some(records.len())
}
