//! Events from files: one JSON object a line, `.gz` too, many files in the order given.

use super::content::{Content, Tail};
use super::recognise::{Before, Found, Refusal, recognise};
use super::{Batch, Format, Partition, Poll, Source, SourceError};
use dataflows::operators::Status;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A line longer than this many bytes is cut here; it will be rejected, not held in memory.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;
/// About how many bytes a batch holds at the most.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// How gzip begins.
const GZIP: &[u8] = &[0x1F, 0x8B];
/// What some editors put first.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A list of files of JSON lines.
pub struct Files {
    files: Vec<Found>,
    tail: Tail,
    next_lines: BTreeMap<u32, i64>,
    current: u32,
    reader: Option<Content>,
    announced: bool,
    unread: Vec<String>,
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
        let next_lines = BTreeMap::new();
        Files { files, tail, next_lines, current: 0, reader: None, announced: false, unread: Vec::new() }
    }

    /// Opens the current file where reading goes on.
    fn open(&mut self) -> Result<Option<Content>, SourceError> {
        let next = self.next_lines.get(&self.current).copied().unwrap_or(1);
        let Some(found) = self.files.get_mut(self.current as usize) else { return Ok(None) };
        // It may be open there: it was read up to there to be recognised.
        let mut content = match found.opened.take() {
            Some(content) if content.next() == next => content,
            _ => Content::open(&found.path)?,
        };
        if !content.skip_to(next, self.tail)? {
            let (path, has, read) = (found.path.display(), content.next() - 1, next - 1);
            return Err(SourceError::Failed(format!(
                "file `{path}` has {has} lines, and {read} of it were read before: it was cut, or replaced. Give it back \
                 as it was, name the new one otherwise, or start from scratch with `--rebuild`"
            )));
        }
        Ok(Some(content))
    }
}

impl Source for Files {
    fn partitions(&self) -> Vec<Partition> {
        let partition = |(number, found): (usize, &Found)| Partition {
            topic: found.topic.clone(),
            partition: found.number,
            format: Format::Json(None),
            status: if number == 0 { Status::Live } else { Status::Waiting },
        };
        self.files.iter().enumerate().map(partition).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.current as usize >= self.files.len() {
            return Ok(Poll::End);
        }
        if !self.announced {
            self.announced = true;
            return Ok(Poll::Status(self.current, Status::Live));
        }
        if self.reader.is_none() {
            self.reader = self.open()?;
        }
        let Some(content) = &mut self.reader else { return Ok(Poll::End) };
        let mut batch = Batch::with_capacity(max_records, BATCH_BYTES);
        while batch.records.len() < max_records && batch.bytes.len() < BATCH_BYTES {
            let start = batch.bytes.len();
            let Some(line) = content.read(&mut batch.bytes)? else { break };
            if !line.ended && self.tail == Tail::Wait {
                let (path, bytes) = (self.files[self.current as usize].path.display(), batch.bytes.len() - start);
                self.unread.push(format!(
                    "line {} of `{path}` has no line end yet, and waits for it ({bytes} bytes); if the file is whole, end \
                     it with one",
                    line.number
                ));
                batch.bytes.truncate(start);
                break;
            }
            let text = batch.bytes[start..].trim_ascii();
            if text.is_empty() {
                batch.bytes.truncate(start);
                continue;
            }
            let payload = start..batch.bytes.len();
            let (partition, offset, key) = (self.current, line.number, start..start);
            let sum = Some(line.sum);
            batch.records.push(super::Record { partition, offset, appended_ms: i64::MAX, sum, key, payload });
        }
        if batch.records.is_empty() {
            let ended = self.current;
            (self.reader, self.announced) = (None, false);
            self.current += 1;
            return Ok(Poll::Status(ended, Status::Ended));
        }
        Ok(Poll::Records(batch))
    }

    /// Its first line: a log that grows keeps it. What was read of it is proved by sums.
    fn identity(&self, partition: u32) -> Option<String> {
        self.files.get(partition as usize).map(|found| first_line_identity(found.first))
    }

    fn unread(&self) -> Vec<String> {
        self.unread.clone()
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.next_lines = next_offsets.iter().copied().collect();
        Ok(())
    }
}

const FIRST_LINE: &str = "first line ";

fn first_line_identity(sum: u32) -> String {
    format!("{FIRST_LINE}{sum:08x}")
}

/// The sum of the first line, of the identity of a file of events.
pub fn first_line_of(identity: &str) -> Option<u32> {
    u32::from_str_radix(identity.strip_prefix(FIRST_LINE)?, 16).ok()
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: i64,
    /// Its line end is there.
    pub ended: bool,
}

/// The lines of a file with their numbers, unpacked if it is gzip, whatever its name.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    next: i64,
}

impl Lines {
    /// Opens a file at its first line.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Lines, SourceError> {
        let file = open(path)?;
        let mut file = BufReader::with_capacity(1 << 18, file);
        let failed = |error| SourceError::Failed(format!("could not read file `{}`: {error}", path.display()));
        let mut reader: Box<dyn BufRead + Send> = if file.fill_buf().map_err(failed)?.starts_with(GZIP) {
            Box::new(BufReader::with_capacity(1 << 18, flate2::bufread::MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        if reader.fill_buf().map_err(failed)?.starts_with(BYTE_ORDER_MARK) {
            reader.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Lines { path: path.to_owned(), reader, next: 1 })
    }

    /// Appends the next line without its end to `bytes`, and tells its number.
    ///
    /// # Errors
    /// If the file cannot be read, or is not what its name says.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Line>, SourceError> {
        let mut ended = true;
        let failed = |error| SourceError::Failed(format!("could not read file `{}`: {error}", self.path.display()));
        let start = bytes.len();
        // As `read_until` would, and with one look at what is buffered where that holds the whole line.
        loop {
            let buffered = self.reader.fill_buf().map_err(failed)?;
            if buffered.is_empty() {
                if bytes.len() == start {
                    return Ok(None);
                }
                ended = false;
                break;
            }
            let room = LINE_BYTES_MAX - (bytes.len() - start);
            if let Some(end) = memchr::memchr(b'\n', &buffered[..buffered.len().min(room)]) {
                bytes.extend_from_slice(&buffered[..end]);
                self.reader.consume(end + 1);
                if bytes.len() > start && bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
                break;
            }
            let taken = buffered.len().min(room);
            bytes.extend_from_slice(&buffered[..taken]);
            self.reader.consume(taken);
            if taken == room {
                self.reader.skip_until(b'\n').map_err(failed)?;
                break;
            }
        }
        self.next += 1;
        Ok(Some(Line { number: self.next - 1, ended }))
    }
}

fn open(path: &Path) -> Result<File, SourceError> {
    let failed =
        |error: std::io::Error| SourceError::Failed(format!("could not open file `{}`: {error}", path.display()));
    let wrong = |what: &str| Err(SourceError::Failed(format!("could not read `{}`: it is {what}", path.display())));
    // Asked before it is opened: opening a pipe waits for its writer, and a poll never blocks.
    let kind = path.metadata().map_err(failed)?;
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => File::open(path).map_err(failed),
        (_, true) => wrong("a folder; name its files"),
        _ => wrong("no regular file; write what it yields to one first"),
    }
}

/// What files are called in `_topic`: their own name, or the path as given where two share a name.
///
/// # Errors
/// If a file is given twice.
pub fn names(paths: &[PathBuf]) -> Result<Vec<String>, SourceError> {
    let own = |path: &Path| path.file_name().map_or(path.to_string_lossy(), |name| name.to_string_lossy()).into_owned();
    let mut shared = BTreeMap::<String, usize>::new();
    paths.iter().for_each(|path| *shared.entry(own(path)).or_default() += 1);
    let names: Vec<String> = paths
        .iter()
        .map(|path| if shared[&own(path)] == 1 { own(path) } else { path.to_string_lossy().into_owned() })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    // `x` and `./x` are one file; one that is not there is complained about when it is opened.
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match paths.iter().find(|path| !seen.insert(place(path))) {
        Some(twice) => {
            Err(SourceError::Failed(format!("file `{}` is given twice; its lines would count twice", twice.display())))
        }
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_by_their_names_unless_two_share_one() {
        let paths = |given: &[&str]| given.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(names(&paths(&["a/x.jsonl", "b/y.jsonl"])).expect("distinct"), ["x.jsonl", "y.jsonl"]);
        assert_eq!(names(&paths(&["a/x.jsonl", "b/x.jsonl"])).expect("distinct"), ["a/x.jsonl", "b/x.jsonl"]);
        assert!(names(&paths(&["a/x.jsonl", "a/x.jsonl"])).is_err());
    }
}
