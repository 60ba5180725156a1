//! The files of a watched folder, as they are dropped there: all of them are one partition.
//!
//! ```text
//! inbox/a.csv                      dropped by somebody, and not written to for `settle`
//! inbox/reading/0000000007-a.csv   taken: nobody replaces or renames it any more; then looked through, then named in the state
//! inbox/archive/0000000007-a.csv   read, and no start reads it again
//! inbox/rejected/a.csv             not read, for the reason in `a.csv.why.txt`
//! ```
//!
//! The offset of a line is the number of its file and the number of the line: 7,000,000,012. What was named is never another
//! file, and each of these steps is one that may be the last of a process: the next one goes on with it.

mod digest;
mod folder;
mod place;
mod taking;
mod ways;

pub use folder::Folder;
pub use taking::Judges;
pub use ways::{Mode, Ways};

use super::content::{Content, Read, Skipped, Tail};
use super::files::{BATCH_BYTES, POLL_LINES};
use super::lines::LINE_BYTES_MAX;
use super::table::Header;
use super::{Batch, OfFile, Partition, Poll, Record, Source, SourceError};
use crate::decode::Format;
use crate::families::SHOP;
use crate::state_dir::dropped::Listed;
use dataflows::family::FamilyId;
use dataflows::operators::Status;
use folder::Worked;
use parking_lot::Mutex;
use std::sync::Arc;

/// The offset of line 0 of file 1: so many lines a file may have, less one.
pub const LINES_MAX: i64 = 1_000_000_000;

/// How the identity of a partition begins that is a folder.
const IDENTITY: &str = "folder ";

/// Whether an identity is that of a folder, whose positions are files and lines.
pub fn is_of_folder(identity: &str) -> bool {
    identity.starts_with(IDENTITY)
}

/// The number of the file and of the line.
pub fn file_and_line(offset: i64) -> (i64, i64) {
    (offset.div_euclid(LINES_MAX), offset.rem_euclid(LINES_MAX))
}

/// Where a line of a file is.
fn offset(number: i64, line: i64) -> i64 {
    number * LINES_MAX + line
}

/// The files of one family in a folder.
pub struct Dropped {
    folder: Arc<Mutex<Folder>>,
    family: FamilyId,
    /// The next offset.
    at: i64,
    current: Option<Current>,
    room: usize,
}

/// The file that is read.
struct Current {
    listed: Listed,
    content: Content,
    file: Arc<OfFile>,
    /// Its first line that is read.
    from: i64,
}

impl Dropped {
    /// The files of a family.
    pub fn new(folder: &Arc<Mutex<Folder>>, family: FamilyId) -> Dropped {
        Dropped { folder: Arc::clone(folder), family, at: 0, current: None, room: BATCH_BYTES / 2 }
    }

    /// Opens the next file that is named, if there is one.
    fn open(&mut self) -> Result<bool, SourceError> {
        let folder = self.folder.lock();
        let Some(listed) = folder.next(self.family, self.at).cloned() else { return Ok(false) };
        let path = folder.path_of(&listed)?;
        drop(folder);
        let mut content = Content::open(&path)?;
        let header = Header::read(&path, &mut content)?;
        let format = header.as_ref().map_or(Format::Json(None), |header| header.format(self.family));
        let first = header.map_or(1, |header| header.line + 1).max(listed.after + 1);
        let (number, line) = file_and_line(self.at);
        let from = if number == listed.number { first.max(line) } else { first };
        let begins = (from == first).then(|| offset(listed.number, first));
        let file = Arc::new(OfFile { name: listed.name.clone(), begins, format });
        self.current = Some(Current { listed, content, file, from });
        Ok(true)
    }

    /// What comes next of the file that is read; nothing at its end.
    fn read(&mut self, max_records: usize) -> Result<Option<Poll>, SourceError> {
        let Some(Current { listed, content, file, from }) = &mut self.current else { return Ok(None) };
        match content.skip_some(*from, Tail::Take)? {
            Skipped::Some => return Ok(Some(Poll::Skipped)),
            Skipped::NotThere => return Ok(None),
            Skipped::There => {}
        }
        let mut batch = Batch::with_room(max_records, self.room);
        batch.file = Some(Arc::clone(file));
        let (mut lines_read, mut bytes_read, mut ended) = (0, 0, false);
        while batch.records.len() < max_records && lines_read < POLL_LINES && bytes_read < BATCH_BYTES {
            // What was written behind it since is another file's.
            if content.next() > listed.lines {
                ended = true;
                break;
            }
            let start = batch.bytes.len();
            lines_read += 1;
            let line = match content.read(&mut batch.bytes) {
                Ok(Read::Line(line)) => line,
                Ok(Read::Part(bytes)) => {
                    bytes_read += bytes;
                    continue;
                }
                Ok(Read::End) => {
                    ended = true;
                    break;
                }
                // What was read before is yielded; the next poll says it again.
                Err(_) if !batch.records.is_empty() => break,
                Err(error) => return Err(error),
            };
            bytes_read += batch.bytes.len() - start + 1;
            if line.bytes <= LINE_BYTES_MAX as u64 && batch.bytes[start..].trim_ascii().is_empty() {
                batch.bytes.truncate(start);
                continue;
            }
            let (payload, key) = (start..batch.bytes.len(), start..start);
            let (offset, sum, bytes) = (offset(listed.number, line.number), Some(line.sum), line.bytes);
            let appended_ms = i64::MAX;
            batch.records.push(Record { partition: 0, offset, appended_ms, bytes, sum, key, payload, refused: None });
        }
        self.room = (batch.bytes.len() + batch.bytes.len() / 16).min(BATCH_BYTES + BATCH_BYTES / 16);
        Ok(match batch.records.is_empty() {
            false => Some(Poll::Records(batch)),
            true if ended => None,
            true => Some(Poll::Skipped),
        })
    }
}

impl Source for Dropped {
    fn partitions(&self) -> Vec<Partition> {
        let folder = self.folder.lock();
        let topic = match self.family == SHOP {
            true => folder.topic().to_owned(),
            false => format!("{}/{}", folder.topic(), self.family.name()),
        };
        // Of each file its own format counts.
        vec![Partition { topic, partition: 0, family: self.family, format: Format::Json(None), status: Status::Live }]
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.current.is_none() && !self.open()? {
            let mut folder = self.folder.lock();
            return Ok(match folder.work()? {
                Worked::Nothing => Poll::Idle,
                // Nor has another family's turn found one of ours since.
                Worked::Done if folder.next(self.family, self.at).is_none() => Poll::End,
                Worked::Some | Worked::Done => Poll::Skipped,
            });
        }
        if let Some(polled) = self.read(max_records)? {
            return Ok(polled);
        }
        if let Some(Current { listed, .. }) = self.current.take() {
            self.at = offset(listed.number + 1, 0);
        }
        Ok(Poll::Skipped)
    }

    fn identity(&self, _: u32) -> Option<String> {
        Some(format!("{IDENTITY}{}", self.folder.lock().topic()))
    }

    fn unread(&self) -> Vec<String> {
        self.folder.lock().unread(self.family)
    }

    fn spares(&mut self, _: u32, next: i64) {
        self.folder.lock().spares(self.family, next);
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.at = next_offsets.first().map_or(0, |(_, next)| *next);
        let mut folder = self.folder.lock();
        folder.check_listed(self.at)?;
        folder.spares(self.family, self.at);
        Ok(())
    }
}
