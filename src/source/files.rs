//! Events from files: one JSON object a line, or separated values behind a header; `.gz` too, many files in the order given.

use super::content::{Content, Read, Skipped, Tail};
use super::follow::Follow;
use super::lines::LINE_BYTES_MAX;
use super::names::{called, first_line_identity};
use super::recognise::{Before, Found, Refusal, left_out, recognise};
use super::{Batch, Partition, Poll, Portion, Source, SourceError};
use crate::decode::Format;
use dataflows::operators::Status;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// About how many bytes a batch holds at the most, and a poll reads.
pub(super) const BATCH_BYTES: usize = 1 << 20;
/// How many lines a poll reads at the most, empty ones too.
pub(super) const POLL_LINES: usize = 4096;

/// A list of files of JSON lines.
pub struct Files {
    files: Vec<Found>,
    tail: Tail,
    next_lines: BTreeMap<u32, i64>,
    current: u32,
    reader: Option<Content>,
    /// It has not come to where reading goes on.
    skips: bool,
    announced: bool,
    /// The current file was read to a last line that has no end yet.
    waits: bool,
    unread: Vec<String>,
    /// About how many bytes the next batch has: as many as the last one, and a few more.
    room: usize,
    /// One that is read on and on.
    follow: Option<Follow>,
}

impl Files {
    /// A source of these files, whole, which must exist.
    ///
    /// # Errors
    /// If a file is missing or given twice.
    pub fn new(paths: &[PathBuf]) -> Result<Files, Refusal> {
        Ok(Files::found(recognise(paths, &[], &[], Before::Counts, Tail::Take)?, Tail::Take))
    }

    /// A source of files that were recognised.
    pub fn found(files: Vec<Found>, tail: Tail) -> Files {
        Files {
            files,
            tail,
            next_lines: BTreeMap::new(),
            current: 0,
            reader: None,
            skips: false,
            announced: false,
            waits: false,
            unread: Vec::new(),
            room: BATCH_BYTES / 2,
            follow: None,
        }
    }

    /// One of its files, the last one, does not end; or, where it is not among them, it is waited for.
    pub fn following(self, follow: Follow) -> Files {
        Files { follow: Some(follow), ..self }
    }

    /// Whether a file is the one that does not end.
    fn is_followed(&self, number: u32) -> bool {
        let path = self.files.get(number as usize).map(|found| found.path.as_path());
        self.follow.as_ref().is_some_and(|follow| path == Some(follow.path()))
    }

    /// Says of the files that were given and are not among those that are read why that is.
    pub fn leaving_out(mut self, given: &[PathBuf]) -> Result<Files, SourceError> {
        for path in given.iter().filter(|path| self.files.iter().all(|found| found.path != **path)) {
            self.unread.push(left_out(path)?);
        }
        Ok(self)
    }

    /// The line of the current file where reading goes on.
    fn next_line(&self) -> i64 {
        let header = self.files.get(self.current as usize).and_then(|found| found.header.as_ref());
        let first = header.map_or(1, |header| header.line + 1);
        self.next_lines.get(&self.current).copied().unwrap_or(first).max(first)
    }

    /// Opens the current file.
    fn open(&mut self) -> Result<Option<Content>, SourceError> {
        let next = self.next_line();
        let Some(found) = self.files.get_mut(self.current as usize) else { return Ok(None) };
        // It may be open there: it was read up to there to be recognised.
        let content = match found.opened.take() {
            Some(content) if content.next() == next => content,
            _ => Content::open(&found.path)?,
        };
        self.skips = true;
        match self.follow.as_ref().filter(|_| self.is_followed(self.current)) {
            Some(follow) => follow.begin(content).map(Some),
            None => Ok(Some(content)),
        }
    }

    /// Goes on to the line where reading goes on; tells whether it is there.
    fn skip(&mut self) -> Result<bool, SourceError> {
        let (next, tail) = (self.next_line(), self.tail);
        let Some(content) = self.reader.as_mut().filter(|_| self.skips) else { return Ok(true) };
        let skipped = content.skip_some(next, tail)?;
        if skipped == Skipped::NotThere {
            let found = &self.files[self.current as usize];
            let (path, has, read) = (found.path.display(), content.next() - 1, next - 1);
            let lines = if has == 1 { "line" } else { "lines" };
            return Err(SourceError::Failed(format!(
                "file `{path}` has {has} {lines}, and {read} were read of it before: it was cut, or replaced. Give it back \
                 as it was, name the new one otherwise, or start from scratch with `--rebuild`"
            )));
        }
        self.skips = skipped == Skipped::Some;
        Ok(!self.skips)
    }

    /// Goes on to the next file.
    fn end(&mut self) -> Poll {
        let ended = self.current;
        (self.reader, self.announced, self.waits) = (None, false, false);
        self.current += 1;
        Poll::Status(ended, Status::Ended)
    }
}

impl Source for Files {
    fn partitions(&self) -> Vec<Partition> {
        let partition = |(number, found): (usize, &Found)| Partition {
            topic: found.topic.clone(),
            partition: found.number,
            family: found.family,
            format: found.header.as_ref().map_or(Format::Json(None), |header| header.format(found.family)),
            status: if number == 0 { Status::Live } else { Status::Waiting },
        };
        self.files.iter().enumerate().map(partition).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.current as usize >= self.files.len() {
            return self.follow.as_mut().map_or(Ok(Poll::End), Follow::awaits_its_beginning);
        }
        if !self.announced {
            self.announced = true;
            return Ok(Poll::Status(self.current, Status::Live));
        }
        if self.reader.is_none() {
            self.reader = self.open()?;
        }
        if !self.skip()? {
            return Ok(Poll::Skipped);
        }
        let Some(content) = self.reader.as_mut().filter(|_| !self.waits) else { return Ok(self.end()) };
        let mut batch = Batch::with_room(max_records, self.room);
        let (mut lines_read, mut bytes_read, mut ended) = (0, 0, false);
        while batch.records.len() < max_records && lines_read < POLL_LINES && bytes_read < BATCH_BYTES {
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
            if !line.ended && self.tail == Tail::Wait {
                let (path, bytes) = (called(&self.files[self.current as usize].path), line.bytes);
                let bytes = if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
                self.unread.push(format!(
                    "line {} of {path} has no line end yet, and waits for it ({bytes}); if the file is whole, end it with one",
                    line.number
                ));
                batch.bytes.truncate(start);
                // Nothing comes after it.
                self.waits = true;
                break;
            }
            // Of a line that is too long, who knows what comes behind its beginning.
            if line.bytes <= LINE_BYTES_MAX as u64 && batch.bytes[start..].trim_ascii().is_empty() {
                batch.bytes.truncate(start);
                continue;
            }
            let payload = start..batch.bytes.len();
            let (partition, offset, key) = (self.current, line.number, start..start);
            let (sum, bytes) = (Some(line.sum), line.bytes);
            batch.records.push(super::Record {
                partition,
                offset,
                appended_ms: i64::MAX,
                bytes,
                sum,
                key,
                payload,
                refused: None,
            });
        }
        // The line that fills a batch goes beyond it: growing for that would copy all of it.
        self.room = (batch.bytes.len() + batch.bytes.len() / 16).min(BATCH_BYTES + BATCH_BYTES / 16);
        if !batch.records.is_empty() {
            // An epoch keeps its batches: few records among many blank lines take no more room than they need.
            if batch.records.len() < lines_read / 8 {
                batch.bytes.shrink_to_fit();
                batch.records.shrink_to_fit();
            }
            return Ok(Poll::Records(batch));
        }
        if ended
            && self.is_followed(self.current)
            && let (Some(follow), Some(content)) = (&mut self.follow, &self.reader)
        {
            return follow.at_end(content);
        }
        Ok(if ended || self.waits { self.end() } else { Poll::Skipped })
    }

    fn is_sequence(&self) -> bool {
        true
    }

    /// Its first line: a log that grows keeps it. What was read of it is proved by sums.
    fn identity(&self, partition: u32) -> Option<String> {
        self.files.get(partition as usize).map(|found| first_line_identity(found.first))
    }

    /// In bytes of the files as they are, packed or not.
    fn portion(&self) -> Option<Portion> {
        if self.follow.is_some() {
            return None;
        }
        let current = self.current as usize;
        let bytes = |found: &Found| std::fs::metadata(&found.path).map_or(0, |file| file.len());
        let read = self.reader.as_ref().map_or(0, Content::file_bytes);
        let of_file = |(number, found): (usize, &Found)| {
            let of = bytes(found);
            let done = match number.cmp(&current) {
                Ordering::Less => of,
                Ordering::Equal => read.min(of),
                Ordering::Greater => 0,
            };
            Portion { done, of }
        };
        Some(self.files.iter().enumerate().map(of_file).fold(Portion::default(), |all, one| all + one))
    }

    fn unread(&self) -> Vec<String> {
        self.unread.clone()
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.next_lines = next_offsets.iter().copied().collect();
        Ok(())
    }
}
