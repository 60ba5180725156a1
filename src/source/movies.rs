//! The items of `Movies.txt`, one record a block.

use super::files::{BATCH_BYTES, LINE_BYTES_MAX, POLL_LINES};
use super::lines::{Kind, Lines};
use super::{Batch, Format, Partition, Poll, Source, SourceError};
use crate::decode::movies_txt::{is_blank, starts_item};
use dataflows::operators::Status;
use std::path::Path;

/// What stands before a block that was cut.
const TOO_LONG: &[u8] = b"(too long, cut) ";

/// A catalog: a file, or text that is already there.
pub struct Movies {
    name: String,
    /// Which version of that name, from 0, and the sum of its content.
    version: (i32, u32),
    as_of: i64,
    from: i64,
    blocks: Blocks,
    ended: bool,
}

enum Lined {
    File(Box<Lines>),
    Text(&'static [u8], i64),
}

impl Lined {
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<i64>, SourceError> {
        match self {
            Lined::File(lines) => Ok(lines.read(bytes)?.map(|line| line.number)),
            Lined::Text(rest, next) => {
                if rest.is_empty() {
                    return Ok(None);
                }
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                bytes.extend_from_slice(&rest[..end]);
                *rest = &rest[(end + 1).min(rest.len())..];
                *next += 1;
                Ok(Some(*next - 1))
            }
        }
    }
}

struct Blocks {
    lines: Lined,
    /// The block that was begun, and the line it starts on.
    block: Option<(i64, Vec<u8>)>,
}

enum Next {
    Block(i64, Vec<u8>),
    /// So much was read, and the block has not come to its end.
    Paused,
    End,
}

impl Blocks {
    /// The next block and the line it starts on, if it ends within so many lines and bytes. Lines before the
    /// first item form a block of their own.
    fn next(&mut self, lines_left: &mut usize, bytes_left: &mut usize) -> Result<Next, SourceError> {
        let mut line = Vec::new();
        while *lines_left > 0 && *bytes_left > 0 {
            let Some(number) = self.lines.read(&mut line)? else {
                return Ok(self.block.take().map_or(Next::End, |(number, block)| Next::Block(number, block)));
            };
            *lines_left -= 1;
            *bytes_left = bytes_left.saturating_sub(line.len());
            match &mut self.block {
                Some(_) if starts_item(&line) => {
                    let ended = self.block.replace((number, line));
                    return Ok(ended.map_or(Next::Paused, |(number, block)| Next::Block(number, block)));
                }
                // What is not a catalog at all would be one endless block.
                Some((_, bytes)) if bytes.len() < LINE_BYTES_MAX => {
                    bytes.push(b'\n');
                    bytes.append(&mut line);
                }
                // Half an item would look like a whole one without a price: it is rejected instead.
                Some((_, bytes)) if !bytes.starts_with(TOO_LONG) => drop(bytes.splice(0..0, TOO_LONG.iter().copied())),
                Some(_) => {}
                None if is_blank(&line) => line.clear(),
                None => self.block = Some((number, std::mem::take(&mut line))),
            }
            line.clear();
        }
        Ok(Next::Paused)
    }
}

impl Movies {
    /// The catalog in a file, under this name in `_topic`. Its versions are as of `as_of`, in milliseconds.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn file(name: &str, path: &Path, as_of: i64) -> Result<Movies, SourceError> {
        Ok(Movies::new(name.to_owned(), as_of, Lined::File(Box::new(Lines::open(path, Kind::Catalog)?))))
    }

    /// Which version of its name it is, and the sum of its content.
    pub fn version(self, number: i32, sum: u32) -> Movies {
        Movies { version: (number, sum), ..self }
    }

    /// The sum of the content, and as of when it holds, of the identity of a catalog.
    pub fn identified(identity: &str) -> Option<(u32, i64)> {
        let (sum, as_of) = identity.strip_prefix("catalog ")?.split_once(" as of ")?;
        Some((u32::from_str_radix(sum, 16).ok()?, as_of.parse().ok()?))
    }

    /// A catalog that came with the program.
    pub fn text(name: &str, text: &'static [u8], as_of: i64) -> Movies {
        Movies::new(name.to_owned(), as_of, Lined::Text(text, 1))
    }

    fn new(name: String, as_of: i64, lines: Lined) -> Movies {
        Movies { name, version: (0, 0), as_of, from: 0, blocks: Blocks { lines, block: None }, ended: false }
    }
}

impl Source for Movies {
    fn partitions(&self) -> Vec<Partition> {
        vec![Partition {
            topic: self.name.clone(),
            partition: self.version.0,
            format: Format::MoviesTxt(self.as_of),
            status: Status::Waiting,
        }]
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        let (mut lines_left, mut bytes_left, mut at_end) = (POLL_LINES, BATCH_BYTES, false);
        while batch.records.len() < max_records {
            match self.blocks.next(&mut lines_left, &mut bytes_left) {
                Ok(Next::Block(line, block)) if line >= self.from => batch.push(0, line, b"", &block),
                Ok(Next::Block(..)) => {}
                Ok(Next::Paused) => break,
                Ok(Next::End) => {
                    at_end = true;
                    break;
                }
                // What was read before is yielded; the next poll says it again.
                Err(_) if !batch.records.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(match (batch.records.is_empty(), at_end) {
            (false, _) => Poll::Records(batch),
            (true, false) => Poll::Skipped,
            (true, true) if std::mem::replace(&mut self.ended, true) => Poll::End,
            (true, true) => Poll::Status(0, Status::Ended),
        })
    }

    fn is_sequence(&self) -> bool {
        true
    }

    /// Its content, and as of when it holds.
    fn identity(&self, _: u32) -> Option<String> {
        Some(format!("catalog {:08x} as of {}", self.version.1, self.as_of))
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.from = next_offsets.first().map_or(0, |(_, line)| *line);
        Ok(())
    }
}
