//! Events from files: one JSON object a line, `.gz` too, many files in the order given.

pub(super) use super::lines::LINE_BYTES_MAX;
pub use super::lines::{Kind, Line, Lines};
use super::{Batch, Format, Partition, Poll, Source, SourceError};
use dataflows::operators::Status;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// About how many bytes a batch holds at the most, and a poll reads.
pub(super) const BATCH_BYTES: usize = 1 << 20;
/// How many lines a poll reads at the most, empty ones too.
pub(super) const POLL_LINES: usize = 4096;

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
    /// If a file is missing, or of a format that is not read.
    pub fn named(names: Vec<String>, paths: &[PathBuf]) -> Result<Files, SourceError> {
        for path in paths {
            Lines::open(path, Kind::Events)?;
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
                let mut lines = Lines::open(path, Kind::Events)?;
                skip_to(&mut lines, path, self.next_lines.get(&self.current).copied().unwrap_or(1))?;
                self.reader.insert(lines)
            }
        };
        let mut batch = Batch::with_capacity(max_records, BATCH_BYTES);
        let (mut lines_read, mut bytes_read, mut ended) = (0, 0, false);
        while batch.records.len() < max_records && lines_read < POLL_LINES && bytes_read < BATCH_BYTES {
            let start = batch.bytes.len();
            let line = match lines.read(&mut batch.bytes) {
                Ok(Some(line)) => line,
                Ok(None) => {
                    ended = true;
                    break;
                }
                // What was read before is yielded; the next poll says it again.
                Err(_) if !batch.records.is_empty() => break,
                Err(error) => return Err(error),
            };
            lines_read += 1;
            bytes_read += batch.bytes.len() - start;
            if batch.bytes[start..].trim_ascii().is_empty() {
                batch.bytes.truncate(start);
                continue;
            }
            let payload = start..batch.bytes.len();
            let (partition, offset, key) = (self.current, line.number, start..start);
            batch.records.push(super::Record { partition, offset, appended_ms: i64::MAX, key, payload });
        }
        if !batch.records.is_empty() {
            // An epoch keeps its batches: few records among many blank lines take no more room than they need.
            if batch.records.len() < lines_read / 8 {
                batch.bytes.shrink_to_fit();
                batch.records.shrink_to_fit();
            }
            return Ok(Poll::Records(batch));
        }
        if !ended {
            return Ok(Poll::Skipped);
        }
        let ended = self.current;
        (self.reader, self.announced) = (None, false);
        self.current += 1;
        Ok(Poll::Status(ended, Status::Ended))
    }

    /// Its first line: a log that grows keeps it.
    fn identity(&self, partition: u32) -> Option<String> {
        let (_, path) = self.files.get(partition as usize)?;
        let mut first = Vec::new();
        Lines::open(path, Kind::Events).ok()?.read(&mut first).ok()??;
        Some(format!("first line {:08x}", crc32fast::hash(&first)))
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.next_lines = next_offsets.iter().copied().collect();
        Ok(())
    }
}

fn skip_to(lines: &mut Lines, path: &Path, line: i64) -> Result<(), SourceError> {
    let (mut skipped, mut has) = (Vec::new(), 0);
    while has < line - 1 {
        let Some(read) = lines.read(&mut skipped)? else {
            let (path, read) = (path.display(), line - 1);
            return Err(SourceError::Failed(format!(
                "file `{path}` has {has} lines, and {read} of it were read before: it was cut, or replaced. Give it back \
                 as it was, name the new one otherwise, or start from scratch with `--rebuild`"
            )));
        };
        has = read.number;
        skipped.clear();
    }
    Ok(())
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
