//! A file's lines, and what they add up to: a file is known by its content, not by its name.

use super::SourceError;
use super::lines::{Kind, Lines};
use crc32fast::Hasher;
use std::path::Path;

/// The lines of a file with the running sum of all lines so far: CRC-32 over each line and a line feed, after
/// unpacking, without line ends and byte order marks. So a file that is packed, or has other line ends, has the same.
pub struct Content {
    lines: Lines,
    sum: Hasher,
    /// The number of the next line, from 1.
    next: i64,
}

/// One line of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: i64,
    /// The sum of it and all lines before it.
    pub sum: u32,
    /// Its line end is there. Only of the last line it may be missing.
    pub ended: bool,
}

impl Content {
    /// Opens a file of events at its first line.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Content, SourceError> {
        Content::of(path, Kind::Events)
    }

    /// Opens a file at its first line.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn of(path: &Path, kind: Kind) -> Result<Content, SourceError> {
        Ok(Content { lines: Lines::open(path, kind)?, sum: Hasher::new(), next: 1 })
    }

    /// Appends the next line without its end to `bytes`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Line>, SourceError> {
        let start = bytes.len();
        let Some(line) = self.lines.read(bytes)? else { return Ok(None) };
        self.sum.update(&bytes[start..]);
        self.sum.update(b"\n");
        self.next = line.number + 1;
        Ok(Some(Line { number: line.number, sum: self.sum(), ended: line.ended }))
    }

    /// The number of the next line.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The sum of all lines so far.
    pub fn sum(&self) -> u32 {
        self.sum.clone().finalize()
    }

    /// Reads on to this line; tells whether it got there. `tail` says whether a last line without its end counts.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn skip_to(&mut self, next: i64, tail: Tail) -> Result<bool, SourceError> {
        let mut skipped = Vec::new();
        while self.next < next {
            skipped.clear();
            match self.read(&mut skipped)? {
                Some(line) if line.ended || tail == Tail::Take => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// What becomes of a last line without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// It is a line: the file is whole.
    Take,
    /// Somebody is still writing it: it is left where it is until its end comes.
    Wait,
}
