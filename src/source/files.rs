//! Events from files: one JSON object a line, `.gz` too, many files in the order given.

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
    files: Vec<(String, PathBuf)>,
    next_lines: BTreeMap<u32, i64>,
    current: u32,
    reader: Option<Lines>,
    announced: bool,
}

impl Files {
    /// A source of these files, which must exist.
    ///
    /// # Errors
    /// If a file is missing or given twice.
    pub fn new(paths: &[PathBuf]) -> Result<Files, SourceError> {
        Files::named(names(paths)?, paths)
    }

    /// A source of these files under these names in `_topic`.
    ///
    /// # Errors
    /// If a file is missing.
    pub fn named(names: Vec<String>, paths: &[PathBuf]) -> Result<Files, SourceError> {
        for path in paths {
            open(path)?;
        }
        let files = names.into_iter().zip(paths.iter().cloned()).collect();
        Ok(Files { files, next_lines: BTreeMap::new(), current: 0, reader: None, announced: false })
    }
}

impl Source for Files {
    fn partitions(&self) -> Vec<Partition> {
        let partition = |(number, (name, _)): (usize, &(String, PathBuf))| Partition {
            topic: name.clone(),
            partition: 0,
            format: Format::Json(None),
            status: if number == 0 { Status::Live } else { Status::Waiting },
        };
        self.files.iter().enumerate().map(partition).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let Some((_, path)) = self.files.get(self.current as usize) else { return Ok(Poll::End) };
        if !self.announced {
            self.announced = true;
            return Ok(Poll::Status(self.current, Status::Live));
        }
        let lines = match &mut self.reader {
            Some(lines) => lines,
            None => {
                let mut lines = Lines::open(path)?;
                lines.skip_to(self.next_lines.get(&self.current).copied().unwrap_or(1))?;
                self.reader.insert(lines)
            }
        };
        let mut batch = Batch::with_capacity(max_records, BATCH_BYTES);
        while batch.records.len() < max_records && batch.bytes.len() < BATCH_BYTES {
            let start = batch.bytes.len();
            let Some(number) = lines.read(&mut batch.bytes)? else { break };
            let text = batch.bytes[start..].trim_ascii();
            if text.is_empty() {
                batch.bytes.truncate(start);
                continue;
            }
            let payload = start..batch.bytes.len();
            let (partition, offset, key) = (self.current, number, start..start);
            batch.records.push(super::Record { partition, offset, appended_ms: i64::MAX, key, payload });
        }
        if batch.records.is_empty() {
            let ended = self.current;
            (self.reader, self.announced) = (None, false);
            self.current += 1;
            return Ok(Poll::Status(ended, Status::Ended));
        }
        Ok(Poll::Records(batch))
    }

    fn is_sequence(&self) -> bool {
        true
    }

    /// Its first line: a log that grows keeps it.
    fn identity(&self, partition: u32) -> Option<String> {
        let (_, path) = self.files.get(partition as usize)?;
        let mut first = Vec::new();
        Lines::open(path).ok()?.read(&mut first).ok()??;
        Some(format!("first line {:08x}", crc32fast::hash(&first)))
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.next_lines = next_offsets.iter().copied().collect();
        Ok(())
    }
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

    fn skip_to(&mut self, line: i64) -> Result<(), SourceError> {
        let mut skipped = Vec::new();
        while self.next < line && self.read(&mut skipped)?.is_some() {
            skipped.clear();
        }
        if self.next < line {
            let (path, has, read) = (self.path.display(), self.next - 1, line - 1);
            return Err(SourceError::Failed(format!(
                "file `{path}` has {has} lines, and {read} of it were read before: it was cut, or replaced. Give it back \
                 as it was, name the new one otherwise, or start from scratch with `--rebuild`"
            )));
        }
        Ok(())
    }

    /// Appends the next line without its end to `bytes`, and tells its number.
    ///
    /// # Errors
    /// If the file cannot be read, or is not what its name says.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<i64>, SourceError> {
        let failed = |error| SourceError::Failed(format!("could not read file `{}`: {error}", self.path.display()));
        let start = bytes.len();
        // As `read_until` would, and with one look at what is buffered where that holds the whole line.
        loop {
            let buffered = self.reader.fill_buf().map_err(failed)?;
            if buffered.is_empty() {
                if bytes.len() == start {
                    return Ok(None);
                }
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
        Ok(Some(self.next - 1))
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
