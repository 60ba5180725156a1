//! A file's lines, and what they add up to: a file is known by its content, not by its name.

use super::SourceError;
use super::lines::{Extent, Lines};
use super::sniff::Kind;
use crc32fast::Hasher;
use std::fs::File;
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
    /// How many bytes it has: more than were handed out, if it is too long to be held.
    pub bytes: u64,
}

/// What one reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A line.
    Line(Line),
    /// So many bytes were gone over, and the line has not come to its end.
    Part(usize),
    /// There are no more lines.
    End,
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

    /// Appends the next line without its end to `bytes`, or the beginning of one that is too long to be held. It
    /// returns soon, however long a line is.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Read, SourceError> {
        let start = bytes.len();
        let Some(line) = self.lines.read(bytes)? else { return Ok(Read::End) };
        match line.extent {
            Extent::Whole => {
                // Two pieces would take much longer than one.
                bytes.push(b'\n');
                self.sum.update(&bytes[start..]);
                bytes.pop();
            }
            Extent::Beginning(_) => {
                self.sum.update(self.lines.passed());
                self.sum.update(b"\n");
            }
            Extent::Nothing(gone_over) => {
                self.sum.update(self.lines.passed());
                return Ok(Read::Part(gone_over));
            }
        }
        self.next = line.number + 1;
        let bytes = line.bytes(bytes.len() - start);
        Ok(Read::Line(Line { number: line.number, sum: self.sum(), ended: line.ended, bytes }))
    }

    /// The same, however long it takes; nothing at the end.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_line(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Line>, SourceError> {
        loop {
            match self.read(bytes)? {
                Read::Line(line) => return Ok(Some(line)),
                Read::Part(_) => {}
                Read::End => return Ok(None),
            }
        }
    }

    /// From now on what is written behind its end is read when it is there; tells whether that can be
    /// ([`Lines::follow`]).
    pub fn follow(&mut self) -> bool {
        self.lines.follow()
    }

    /// The file that is read, wherever it lies by now.
    pub fn file(&self) -> &File {
        self.lines.file()
    }

    /// How many bytes of the file were read, some of them in advance.
    pub fn file_bytes(&self) -> u64 {
        self.lines.file_bytes()
    }

    /// What stands between the values of a record, if that is how records are written.
    pub fn separator(&self) -> Option<u8> {
        self.lines.separator()
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
        loop {
            match self.skip_some(next, tail)? {
                Skipped::Some => {}
                Skipped::There => return Ok(true),
                Skipped::NotThere => return Ok(false),
            }
        }
    }

    /// Reads on in the direction of this line, and returns soon.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn skip_some(&mut self, next: i64, tail: Tail) -> Result<Skipped, SourceError> {
        let (mut line, mut gone_over) = (Vec::new(), 0);
        while self.next < next {
            if gone_over >= SKIP_BYTES {
                return Ok(Skipped::Some);
            }
            line.clear();
            gone_over += match self.read(&mut line)? {
                Read::Line(read) if read.ended || tail == Tail::Take => line.len() + 1,
                Read::Part(bytes) => bytes,
                Read::Line(_) | Read::End => return Ok(Skipped::NotThere),
            };
        }
        Ok(Skipped::There)
    }
}

/// About how many bytes are skipped at a time.
const SKIP_BYTES: usize = 4 << 20;

/// How far skipping came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Some way.
    Some,
    /// To the line.
    There,
    /// To the end, which is before it.
    NotThere,
}

/// What becomes of a last line without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// It is a line: the file is whole.
    Take,
    /// Somebody is still writing it: it is left where it is until its end comes.
    Wait,
}
