//! The items of `Movies.txt`, one record a block.

use super::files::{BATCH_BYTES, LINE_BYTES_MAX, Lines};
use super::{Batch, Format, Partition, Poll, Source, SourceError};
use crate::decode::movies_txt::starts_item;
use dataflows::operators::Status;
use std::path::Path;

/// What stands before a block that was cut.
const TOO_LONG: &[u8] = b"(too long, cut) ";

/// A catalog: a file, or text that is already there.
pub struct Movies {
    name: String,
    as_of: i64,
    from: i64,
    blocks: Blocks,
    ended: bool,
}

enum Lined {
    File(Lines),
    Text(&'static [u8], i64),
}

impl Lined {
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<i64>, SourceError> {
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
                Ok(Some(*next - 1))
            }
        }
    }
}

struct Blocks {
    lines: Lined,
    /// A line that was read but belongs to the next block.
    ahead: Option<(i64, Vec<u8>)>,
}

impl Blocks {
    /// The next block and the line it starts on. Lines before the first item form a block of their own.
    fn next(&mut self) -> Result<Option<(i64, Vec<u8>)>, SourceError> {
        let mut block = self.ahead.take();
        let mut line = Vec::new();
        while let Some(number) = self.lines.read(&mut line)? {
            match &mut block {
                Some(_) if starts_item(&line) => {
                    self.ahead = Some((number, line));
                    return Ok(block);
                }
                // What is not a catalog at all would be one endless block.
                Some((_, bytes)) if bytes.len() < LINE_BYTES_MAX => {
                    bytes.push(b'\n');
                    bytes.append(&mut line);
                }
                // Half an item would look like a whole one without a price: it is rejected instead.
                Some((_, bytes)) if !bytes.starts_with(TOO_LONG) => drop(bytes.splice(0..0, TOO_LONG.iter().copied())),
                Some(_) => {}
                None if line.trim_ascii().is_empty() => line.clear(),
                None => block = Some((number, std::mem::take(&mut line))),
            }
            line.clear();
        }
        Ok(block)
    }
}

impl Movies {
    /// The catalog in a file, under this name in `_topic`. Its versions are as of `as_of`, in milliseconds; by default the file's own time.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn file(name: &str, path: &Path, as_of: Option<i64>) -> Result<Movies, SourceError> {
        let lines = Lines::open(path)?;
        let as_of = match as_of {
            Some(as_of) => as_of,
            None => modified_ms(path)?,
        };
        Ok(Movies::new(name.to_owned(), as_of, Lined::File(lines)))
    }

    /// A catalog that came with the program.
    pub fn text(name: &str, text: &'static [u8], as_of: i64) -> Movies {
        Movies::new(name.to_owned(), as_of, Lined::Text(text, 1))
    }

    fn new(name: String, as_of: i64, lines: Lined) -> Movies {
        Movies { name, as_of, from: 0, blocks: Blocks { lines, ahead: None }, ended: false }
    }
}

fn modified_ms(path: &Path) -> Result<i64, SourceError> {
    let failed = |error| SourceError::Failed(format!("could not tell the time of file `{}`: {error}", path.display()));
    let modified = path.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
    Ok(modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}

impl Source for Movies {
    fn partitions(&self) -> Vec<Partition> {
        vec![Partition {
            topic: self.name.clone(),
            partition: 0,
            format: Format::MoviesTxt(self.as_of),
            status: Status::Waiting,
        }]
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        while batch.records.len() < max_records && batch.bytes.len() < BATCH_BYTES {
            let Some((line, block)) = self.blocks.next()? else { break };
            if line >= self.from {
                batch.push(0, line, b"", &block);
            }
        }
        if batch.records.is_empty() {
            return Ok(if std::mem::replace(&mut self.ended, true) {
                Poll::End
            } else {
                Poll::Status(0, Status::Ended)
            });
        }
        Ok(Poll::Records(batch))
    }

    fn is_sequence(&self) -> bool {
        true
    }

    /// When it was made: its versions are as of then.
    fn identity(&self, _: u32) -> Option<String> {
        Some(format!("as of {}", self.as_of))
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.from = next_offsets.first().map_or(0, |(_, line)| *line);
        Ok(())
    }
}
