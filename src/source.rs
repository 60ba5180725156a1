//! The seam to where records come from.
//!
//! A source promises an order only within a partition. It is polled by any worker, one at a time,
//! and never blocks: what is not there yet is [`Poll::Idle`]. It does not promise that a record
//! comes once, nor that it makes sense.

pub mod chain;
pub mod content;
pub mod dropped;
pub mod files;
pub mod follow;
pub mod kafka;
pub mod lines;
pub mod marks;
pub mod movies;
pub mod names;
pub mod recognise;
pub mod script;
pub mod sniff;
pub mod span;
pub mod table;
pub mod valid;
pub mod whose;

use crate::decode::{Format, Reason};
use crate::state_dir::journal::Rejected;
use dataflows::Instant;
use dataflows::family::FamilyId;
use dataflows::operators::Status;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// A partition of a source: what offsets count in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The topic, or the name of the file.
    pub topic: String,
    /// The partition; 0 for files.
    pub partition: i32,
    /// Of which family its records are events.
    pub family: FamilyId,
    /// How its payloads are written.
    pub format: Format,
    /// `Live`, or `Waiting` where it follows another one.
    pub status: Status,
}

/// One record, in the bytes of its batch.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which partition of the source.
    pub partition: u32,
    /// Its offset there; for files its line, counted from 1.
    pub offset: i64,
    /// When it was appended, by its log: no event of it is from later. `i64::MAX` where the log does not say.
    pub appended_ms: Instant,
    /// How many bytes it has: more than its payload, if it is too long to be held.
    pub bytes: u64,
    /// The sum of it and all before it, where the log is known by its content. Then a batch is of one partition.
    pub sum: Option<u32>,
    /// Its key, empty if it has none.
    pub key: Range<usize>,
    /// What it says.
    pub payload: Range<usize>,
    /// It is rejected, whatever it says.
    pub refused: Option<Box<Refused>>,
}

/// Why a source hands over a record only to be rejected: what its bytes do not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub reason: Reason,
    /// What exactly was wrong, for people.
    pub detail: String,
    /// The record stands for all from this offset up to its own: they cannot be read.
    pub from: Option<i64>,
}

/// Records and the bytes they lie in.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Keys and payloads.
    pub bytes: Vec<u8>,
    /// The records, in the order of each partition.
    pub records: Vec<Record>,
    /// The file that all of them are from, where files of many kinds are one partition.
    pub file: Option<Arc<OfFile>>,
}

/// A file whose records are one after the other in a partition of many files.
#[derive(Debug)]
pub struct OfFile {
    /// What it is called.
    pub name: String,
    /// The offset of its first line; none if some of it was read before this run.
    pub begins: Option<i64>,
    /// How its records are written.
    pub format: Format,
}

/// What batches that are gone have left. Memory that came back from the system would be cleared first, page by page.
static LEFT: Mutex<Vec<Batch>> = Mutex::new(Vec::new());
/// So many batches are left at the most.
const LEFT_MAX: usize = 64;
/// None of them has room for more bytes.
const LEFT_BYTES_MAX: usize = 4 << 20;

impl Batch {
    /// Room for so many records of an ordinary kind, and bytes at the most.
    pub fn with_capacity(records: usize, bytes_max: usize) -> Batch {
        Batch::with_room(records, (records * 128).min(bytes_max))
    }

    /// Room for so many records and bytes: growing step by step would copy everything several times.
    pub fn with_room(records: usize, bytes: usize) -> Batch {
        let mut batch = LEFT.lock().pop().unwrap_or_default();
        batch.records.reserve(records);
        if batch.bytes.capacity() < bytes {
            // To grow would copy what nobody asks for.
            batch.bytes = Vec::with_capacity(bytes);
        }
        batch
    }

    /// Nobody asks for it any more: another may have its memory.
    pub fn leave(mut self) {
        self.bytes.clear();
        self.records.clear();
        self.file = None;
        let mut left = LEFT.lock();
        if left.len() < LEFT_MAX && self.bytes.capacity() <= LEFT_BYTES_MAX {
            left.push(self);
        }
    }

    /// Keeps the bytes of these records, by their places; the others stay as records without any. Not all of it is
    /// worth moving the rest.
    pub fn keep(&mut self, kept: &[bool]) {
        let of = |record: &Record| record.key.len() + record.payload.len();
        let of_kept: usize =
            self.records.iter().zip(kept).filter(|(_, kept)| **kept).map(|(record, _)| of(record)).sum();
        if of_kept >= self.bytes.len() / 2 {
            return;
        }
        let mut bytes = Vec::with_capacity(of_kept);
        for (record, kept) in self.records.iter_mut().zip(kept) {
            for range in [&mut record.key, &mut record.payload] {
                let start = bytes.len();
                if *kept {
                    bytes.extend_from_slice(&self.bytes[range.clone()]);
                }
                *range = start..bytes.len();
            }
        }
        self.bytes = bytes;
    }

    /// How its records are written, if those of their partition are written so.
    pub fn format<'f>(&'f self, of_partition: &'f Format) -> &'f Format {
        self.file.as_ref().map_or(of_partition, |file| &file.format)
    }

    /// Adds a record of a log that does not say when it was appended.
    pub fn push(&mut self, partition: u32, offset: i64, key: &[u8], payload: &[u8]) {
        self.push_appended(partition, offset, i64::MAX, key, payload);
    }

    /// Adds what stands for records that cannot be read, the last of them at an offset.
    pub fn push_refused(&mut self, partition: u32, offset: i64, refused: Refused) {
        self.push(partition, offset, &[], &[]);
        if let Some(record) = self.records.last_mut() {
            record.refused = Some(Box::new(refused));
        }
    }

    /// Adds a record of so many bytes, of which this is the beginning, or all.
    pub fn push_beginning(&mut self, partition: u32, offset: i64, payload: &[u8], bytes: u64) {
        self.push(partition, offset, b"", payload);
        if let Some(record) = self.records.last_mut() {
            record.bytes = bytes;
        }
    }

    /// Adds a record.
    pub fn push_appended(&mut self, partition: u32, offset: i64, appended_ms: Instant, key: &[u8], payload: &[u8]) {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let payload_start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        let (key, bytes) = (key_start..payload_start, payload.len() as u64);
        let payload = payload_start..self.bytes.len();
        self.records.push(Record { partition, offset, appended_ms, bytes, sum: None, key, payload, refused: None });
    }
}

/// What a poll brings.
#[derive(Debug)]
pub enum Poll {
    /// Records.
    Records(Batch),
    /// A partition's life went on.
    Status(u32, Status),
    /// Something was read, and there is no record in it; there may be more.
    Skipped,
    /// Nothing to read now.
    Idle,
    /// The epoch should close here: what follows builds on what came before.
    Cut,
    /// Nothing will ever come again.
    End,
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// It will not.
    #[error("{0}")]
    Failed(String),
    /// It is not what is read: nothing of it was.
    #[error("{0}")]
    Refused(String),
    /// No record of it is valid: nothing of it was read.
    #[error("{0}")]
    NoneValid(String),
}

/// Something that is depended on does not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What it is.
    pub of: String,
    /// What was last said.
    pub said: String,
    /// Since when there was something to be said, ISO 8601.
    pub since: String,
}

/// How far reading is behind, of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Which.
    pub topic: String,
    /// How many records are there and were not read.
    pub records: u64,
    /// When the last record was appended that was read, by its log; where several partitions are behind, the oldest of them.
    /// Nothing if it is not known.
    pub read_to_ms: Option<Instant>,
}

impl Lag {
    /// For how long what was read last has been there, in milliseconds, where the log tells; up to date, it is behind by
    /// nothing.
    pub fn ms(&self, now_ms: Instant) -> Option<i64> {
        if self.records == 0 { Some(0) } else { self.read_to_ms.map(|to_ms| (now_ms - to_ms).max(0)) }
    }
}

impl Trouble {
    /// The same trouble with the last word on it; or a new one, since now.
    pub fn with(before: Option<Trouble>, of: &str, said: String) -> Trouble {
        let since = before.map_or_else(|| crate::instant::show(crate::instant::now()), |before| before.since);
        Trouble { of: of.to_owned(), said, since }
    }
}

/// What is read to its then end before what: prices are known before anything is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReadOrder {
    /// What others look things up in.
    Catalog,
    /// What was before we listened.
    History,
    /// All else, at once.
    Live,
}

/// How much was read of what there is, in a unit of the source: bytes of files, records of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// So much was read,
    pub done: u64,
    /// of so much.
    pub of: u64,
}

impl std::ops::Add for Portion {
    type Output = Portion;

    fn add(self, other: Portion) -> Portion {
        Portion { done: self.done + other.done, of: self.of + other.of }
    }
}

/// Where records come from.
pub trait Source: Send {
    /// The partitions, in the order of their numbers. Fixed for the life of the source.
    fn partitions(&self) -> Vec<Partition>;

    /// The next records, at most about `max_records`; it returns soon, whatever it reads.
    ///
    /// # Errors
    /// If reading fails, once all that could be read before was yielded; [`SourceError::Unavailable`] is tried
    /// again.
    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError>;

    /// What makes a partition the log it is, where the source can tell: offsets into another one mean
    /// nothing.
    fn identity(&self, partition: u32) -> Option<String> {
        let _ = partition;
        None
    }

    /// Where it stands among others. What is not live says [`Poll::Cut`] when it has come to its then end,
    /// or [`Poll::End`].
    fn read_order(&self) -> ReadOrder {
        ReadOrder::Live
    }

    /// Whether what it yields comes in an order that is always the same, partitions and all, on every worker
    /// and however often: lines of files do. Partitions of a log race.
    fn is_sequence(&self) -> bool {
        false
    }

    /// Whether a partition was confirmed, just now, to hold nothing more; none where an idle poll says so
    /// of all partitions.
    fn at_end(&self, partition: u32) -> Option<bool> {
        let _ = partition;
        None
    }

    /// What it waits for: what it reads from is unavailable, or cannot be read.
    fn waits_for(&self) -> Vec<String> {
        Vec::new()
    }

    /// How far behind it is, partition by partition, where what it reads from says how much there is.
    fn lag(&self) -> Vec<Lag> {
        Vec::new()
    }

    /// What was last complained of by what it reads from, and has not answered well since.
    fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }

    /// What of a partition is read again, as the journal says: the records before an offset, of which these were
    /// rejected for reasons that their bytes do not tell. Said before [`Source::seek`].
    fn replays(&mut self, partition: u32, until: i64, rejected: Vec<Rejected>) {
        let _ = (partition, until, rejected);
    }

    /// How much was read of what there is; none if it has no end. Asked a few times a second.
    fn portion(&self) -> Option<Portion> {
        None
    }

    /// What it has come to and left unread until more of it is there.
    fn unread(&self) -> Vec<String> {
        Vec::new()
    }

    /// Events at the first instant or later, and before the second, are taken; others are read and left to
    /// another source.
    fn takes(&self) -> (Instant, Instant) {
        (Instant::MIN, Instant::MAX)
    }

    /// Nothing before an offset of a partition will be read again, by nobody who goes on from what is kept.
    fn spares(&mut self, partition: u32, next: i64) {
        let _ = (partition, next);
    }

    /// Goes to the given next offsets before the first poll; a partition not named starts at its beginning.
    ///
    /// # Errors
    /// If a position cannot be reached.
    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_leaves_holds_nothing() {
        for records in 0..3 * LEFT_MAX {
            let mut batch = Batch::with_room(records, records << 10);
            assert!(batch.bytes.is_empty() && batch.records.is_empty());
            assert!(batch.bytes.capacity() >= records << 10 && batch.records.capacity() >= records);
            batch.push(0, 1, b"key", b"payload");
            assert_eq!(&batch.bytes[batch.records[0].payload.clone()], b"payload");
            batch.clone().leave();
            batch.leave();
        }
        Batch { bytes: vec![0; LEFT_BYTES_MAX + 1], ..Batch::default() }.leave();
        let left = LEFT.lock();
        assert!(left.len() <= LEFT_MAX && left.iter().all(|batch| batch.bytes.capacity() <= LEFT_BYTES_MAX));
    }
}
