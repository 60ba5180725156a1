//! Rows in the order of event time, however many there are: sorted in runs that fit into memory, which are merged.

use super::place::{create, failed};
use crate::source::SourceError;
use dataflows::Instant;
use dataflows::time::DAY_MS;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// So many runs are merged at once.
const FAN_IN: usize = 128;

/// A row of history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// When it happened.
    pub at: Instant,
    /// The number of its file, and of its record there: of two of one time the first comes first.
    pub place: (u32, i64),
    /// What it says.
    pub line: Vec<u8>,
}

/// So many rows of each UTC day pass, the first ones.
#[derive(Clone, Copy, Debug)]
struct PerDay {
    most: u64,
    day: i64,
    passed: u64,
}

impl PerDay {
    fn new(most: Option<u64>) -> PerDay {
        PerDay { most: most.unwrap_or(u64::MAX), day: i64::MIN, passed: 0 }
    }

    /// Whether a row passes that is not before the last one.
    fn passes(&mut self, at: Instant) -> bool {
        let day = at.div_euclid(DAY_MS);
        if day != self.day {
            (self.day, self.passed) = (day, 0);
        }
        self.passed += 1;
        self.passed <= self.most
    }
}

/// Takes rows in any order.
pub struct Sorter {
    folder: PathBuf,
    name: String,
    per_day: Option<u64>,
    /// A run has about so many bytes.
    run_bytes: usize,
    rows: Vec<(Instant, (u32, i64), Range<usize>)>,
    bytes: Vec<u8>,
    runs: Vec<PathBuf>,
    made: usize,
}

impl Sorter {
    /// One whose runs are files of this name in a folder. Of each day only so many rows come out, if that is said.
    pub fn new(folder: &Path, name: &str, per_day: Option<u64>, run_bytes: usize) -> Sorter {
        let (folder, name) = (folder.to_owned(), name.to_owned());
        Sorter { folder, name, per_day, run_bytes, rows: Vec::new(), bytes: Vec::new(), runs: Vec::new(), made: 0 }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// If a run cannot be written.
    pub fn add(&mut self, at: Instant, place: (u32, i64), line: &[u8]) -> Result<(), SourceError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.rows.push((at, place, start..self.bytes.len()));
        if self.bytes.len() + self.rows.len() * size_of::<(Instant, (u32, i64), Range<usize>)>() >= self.run_bytes {
            self.spill()?;
        }
        Ok(())
    }

    /// All rows in their order.
    ///
    /// # Errors
    /// If a run cannot be written or read.
    pub fn finish(mut self) -> Result<Sorted, SourceError> {
        self.spill()?;
        (self.rows, self.bytes) = (Vec::new(), Vec::new());
        while self.runs.len() > FAN_IN {
            let some: Vec<_> = self.runs.drain(..FAN_IN).collect();
            let mut run = self.run()?;
            for row in Sorted::of(some, self.per_day)? {
                let Row { at, place, line } = row?;
                run.write(at, place, &line)?;
            }
            self.runs.push(run.finish()?);
        }
        Sorted::of(self.runs, self.per_day)
    }

    /// Writes what is held as a run. What is beyond a day's number here is beyond it among more rows too.
    fn spill(&mut self) -> Result<(), SourceError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut run = self.run()?;
        let mut per_day = PerDay::new(self.per_day);
        self.rows.sort_unstable_by_key(|(at, place, _)| (*at, *place));
        for (at, place, range) in self.rows.drain(..) {
            if per_day.passes(at) {
                run.write(at, place, &self.bytes[range])?;
            }
        }
        self.bytes.clear();
        self.runs.push(run.finish()?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run, SourceError> {
        self.made += 1;
        let path = self.folder.join(format!("{}.run{}", self.name, self.made));
        let file = create(&path)?;
        Ok(Run { file: BufWriter::new(file), path })
    }
}

/// A run that is being written.
struct Run {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Run {
    fn write(&mut self, at: Instant, (file, number): (u32, i64), line: &[u8]) -> Result<(), SourceError> {
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&at.to_le_bytes());
        head[8..12].copy_from_slice(&file.to_le_bytes());
        head[12..20].copy_from_slice(&number.to_le_bytes());
        head[20..].copy_from_slice(&(line.len() as u64).to_le_bytes());
        let written = self.file.write_all(&head).and_then(|()| self.file.write_all(line));
        written.map_err(|error| failed("write", &self.path, &error))
    }

    fn finish(mut self) -> Result<PathBuf, SourceError> {
        self.file.flush().map_err(|error| failed("write", &self.path, &error))?;
        Ok(self.path)
    }
}

/// Before a line in a run: time, file, number, length.
const HEAD_BYTES: usize = 28;

/// A run that is read; it is removed with this.
struct Reading {
    file: BufReader<File>,
    path: PathBuf,
}

impl Reading {
    fn next(&mut self) -> Result<Option<Row>, SourceError> {
        let mut read = || {
            let mut head = [0; HEAD_BYTES];
            if self.file.read(&mut head[..1])? == 0 {
                return Ok(None);
            }
            self.file.read_exact(&mut head[1..])?;
            let number = |from: usize| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&head[from..from + 8]);
                i64::from_le_bytes(bytes)
            };
            let file = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
            let mut line = vec![0; usize::try_from(number(20)).unwrap_or_default()];
            self.file.read_exact(&mut line)?;
            Ok(Some(Row { at: number(0), place: (file, number(12)), line }))
        };
        read().map_err(|error| failed("read", &self.path, &error))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // One that stays is written over by the next replay.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Rows in their order.
pub struct Sorted {
    runs: Vec<Reading>,
    /// The next row of each run.
    heads: BinaryHeap<Reverse<(Row, usize)>>,
    per_day: PerDay,
}

impl Sorted {
    fn of(paths: Vec<PathBuf>, per_day: Option<u64>) -> Result<Sorted, SourceError> {
        let open = |path: PathBuf| {
            let file = File::open(&path).map_err(|error| failed("read", &path, &error))?;
            Ok(Reading { file: BufReader::new(file), path })
        };
        let mut runs = paths.into_iter().map(open).collect::<Result<Vec<_>, SourceError>>()?;
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|row| Reverse((row, number))));
        }
        Ok(Sorted { runs, heads, per_day: PerDay::new(per_day) })
    }
}

impl Iterator for Sorted {
    type Item = Result<Row, SourceError>;

    fn next(&mut self) -> Option<Result<Row, SourceError>> {
        while let Some(Reverse((row, number))) = self.heads.pop() {
            match self.runs[number].next() {
                Ok(next) => self.heads.extend(next.map(|next| Reverse((next, number)))),
                Err(error) => return Some(Err(error)),
            }
            if self.per_day.passes(row.at) {
                return Some(Ok(row));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// By runs of a few rows, and of more runs than are merged at once, they are as if all had been sorted together.
        #[test]
        fn rows_come_in_order_and_of_each_day_the_first_ones(
            days in prop::collection::vec((-3i64..4, 0i64..20, "[a-z]{0,9}"), 0..400),
            per_day in prop::option::of(1u64..9),
            run_bytes in prop_oneof![Just(1usize), Just(300), Just(1 << 20)],
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut sorter = Sorter::new(folder.path(), "rows", per_day, run_bytes);
            let mut naive = Vec::new();
            for (number, (day, ms, line)) in days.into_iter().enumerate() {
                let row = Row { at: day * DAY_MS + ms, place: (number as u32 % 3, number as i64), line: line.into_bytes() };
                sorter.add(row.at, row.place, &row.line).expect("writes");
                naive.push(row);
            }
            naive.sort();
            let mut taken = BTreeMap::<i64, u64>::new();
            naive.retain(|row| {
                let taken = taken.entry(row.at.div_euclid(DAY_MS)).or_default();
                *taken += 1;
                per_day.is_none_or(|most| *taken <= most)
            });
            let sorted = sorter.finish().expect("merges").collect::<Result<Vec<_>, _>>().expect("reads");
            prop_assert_eq!(sorted, naive);
            prop_assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "runs are removed");
        }
    }
}
