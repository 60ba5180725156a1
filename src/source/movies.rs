//! The items of `Movies.txt`, one record a block.

use super::files::{BATCH_BYTES, POLL_LINES};
use super::lines::{Extent, Line, Lines};
use super::sniff::Kind;
use super::{Batch, Partition, Poll, Source, SourceError};
use crate::bounds::{BEGINNING_BYTES, TOGETHER_BYTES_MAX};
use crate::decode::Format;
use crate::decode::movies_txt::{is_blank, starts_item};
use crate::families::SHOP;
use dataflows::operators::Status;
use std::path::Path;

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
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Line>, SourceError> {
        match self {
            Lined::File(lines) => lines.read(bytes),
            Lined::Text(rest, next) => {
                if rest.is_empty() {
                    return Ok(None);
                }
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                bytes.extend_from_slice(&rest[..end]);
                *rest = &rest[(end + 1).min(rest.len())..];
                *next += 1;
                Ok(Some(Line { number: *next - 1, ended: true, extent: Extent::Whole }))
            }
        }
    }
}

struct Blocks {
    lines: Lined,
    /// The block that was begun.
    block: Option<Block>,
}

/// An item's lines.
struct Block {
    /// The line it starts on.
    line: i64,
    /// What it says, or the beginning of one that is too long.
    text: Vec<u8>,
    /// How many bytes it has.
    bytes: u64,
}

impl Block {
    fn new(line: Line, text: Vec<u8>) -> Block {
        let mut block = Block { line: line.number, bytes: line.bytes(text.len()), text };
        block.cut();
        block
    }

    /// Half an item would look like a whole one without a price: of what is too long nothing is read but how long.
    fn cut(&mut self) {
        if self.bytes > TOGETHER_BYTES_MAX as u64 {
            self.text.truncate(BEGINNING_BYTES);
        }
    }

    fn add(&mut self, line: Line, text: &[u8]) {
        let is_whole = self.bytes <= TOGETHER_BYTES_MAX as u64;
        self.bytes += line.bytes(text.len()) + 1;
        if is_whole {
            self.text.push(b'\n');
            self.text.extend_from_slice(text);
            self.cut();
        }
    }
}

enum Next {
    Block(Block),
    /// So much was read, and the block has not come to its end.
    Paused,
    End,
}

impl Blocks {
    /// The next block and the line it starts on, if it ends within so many lines and bytes. Lines before the
    /// first item form a block of their own.
    fn next(&mut self, lines_left: &mut usize, bytes_left: &mut usize) -> Result<Next, SourceError> {
        let mut text = Vec::new();
        while *lines_left > 0 && *bytes_left > 0 {
            let Some(line) = self.lines.read(&mut text)? else {
                return Ok(self.block.take().map_or(Next::End, Next::Block));
            };
            *lines_left -= 1;
            if let Extent::Nothing(gone_over) = line.extent {
                *bytes_left = bytes_left.saturating_sub(gone_over);
                continue;
            }
            *bytes_left = bytes_left.saturating_sub(text.len() + 1);
            match &mut self.block {
                Some(_) if starts_item(&text) => {
                    let ended = self.block.replace(Block::new(line, text));
                    return Ok(ended.map_or(Next::Paused, Next::Block));
                }
                Some(block) => block.add(line, &text),
                None if line.extent == Extent::Whole && is_blank(&text) => {}
                None => self.block = Some(Block::new(line, std::mem::take(&mut text))),
            }
            text.clear();
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
            family: SHOP,
            format: Format::MoviesTxt(self.as_of),
            status: Status::Waiting,
        }]
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        let (mut lines_left, mut bytes_left, mut at_end) = (POLL_LINES, BATCH_BYTES, false);
        while batch.records.len() < max_records {
            match self.blocks.next(&mut lines_left, &mut bytes_left) {
                Ok(Next::Block(block)) if block.line >= self.from => {
                    batch.push_beginning(0, block.line, &block.text, block.bytes)
                }
                Ok(Next::Block(_)) => {}
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
