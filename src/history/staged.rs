//! History as it will be told: of each family one file of lines of JSON in the order of event time, and beside it the time
//! of each line.

use super::place::{create, failed};
use super::sorted::Sorter;
use crate::decode::{Format, decode_record};
use crate::rules::Rules;
use crate::source::content::Tail;
use crate::source::files::Files;
use crate::source::recognise::Found;
use crate::source::{Partition, Poll, Source, SourceError};
use dataflows::Instant;
use dataflows::family::FamilyId;
use dataflows::gate::{Bounds, Gate};
use dataflows::time::START;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// About how many bytes of rows are held while they are sorted.
const RUN_BYTES: usize = 64 << 20;
/// How many records are read at a time.
const POLL_RECORDS: usize = 1024;
/// Lines before the first one of a file whose time can be read; more of them are not held.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// Every time is before it.
const FAR_FUTURE_MS: Instant = i64::MAX / 4;
/// What the files were made of; written last.
const MADE_OF: &str = "made-of.json";

/// The history of a family.
#[derive(Clone, Debug)]
pub struct Staged {
    /// Which family.
    pub family: FamilyId,
    /// The file of lines.
    pub lines: PathBuf,
    /// The times of the lines.
    pub times: PathBuf,
    /// How many lines there are.
    pub rows: u64,
}

/// The times of lines.
#[derive(Clone)]
pub struct Times(Arc<File>);

impl Times {
    /// Of a file.
    pub fn of(file: File) -> Times {
        Times(Arc::new(file))
    }

    /// Opens a file of times.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> Result<Times, SourceError> {
        File::open(path).map(Times::of).map_err(|error| failed("read", path, &error))
    }

    /// The time of a line, counted from 1; none behind the last one.
    pub fn at(&self, line: i64) -> Option<Instant> {
        let mut bytes = [0; 8];
        let place = u64::try_from(line.checked_sub(1)?).ok()?.checked_mul(8)?;
        self.0.read_exact_at(&mut bytes, place).ok()?;
        Some(i64::from_le_bytes(bytes))
    }
}

/// What history is made of: made of the same, it is the same.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct MadeOf {
    program: String,
    per_day: Option<u64>,
    /// Path, family, size, and when it was written last, in seconds and nanoseconds.
    files: Vec<(PathBuf, String, u64, i64, i64)>,
    /// By what times are read.
    rules: serde_json::Value,
    model: BTreeMap<String, String>,
    /// Of each family how many lines there are.
    rows: BTreeMap<String, u64>,
}

/// Writes the history of files into a folder, unless it is there. Of each family and UTC day so many rows are taken, the
/// first ones. `model` is what declares the families.
///
/// # Errors
/// If a file cannot be read, or the folder not be written.
pub fn staged(
    files: Vec<Found>,
    (rules, model): (&Rules, BTreeMap<String, String>),
    per_day: Option<u64>,
    folder: &Path,
) -> Result<Vec<Staged>, SourceError> {
    let mut families: Vec<FamilyId> = Vec::new();
    for found in &files {
        if !families.contains(&found.family) {
            families.push(found.family);
        }
    }
    let of_file = |found: &Found| {
        let file = std::fs::metadata(&found.path)
            .map_err(|error| SourceError::Failed(format!("could not read file `{}`: {error}", found.path.display())))?;
        let written = (file.mtime(), file.mtime_nsec());
        Ok((found.path.clone(), found.family.name().to_owned(), file.len(), written.0, written.1))
    };
    let mut made_of = MadeOf {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        per_day,
        files: files.iter().map(of_file).collect::<Result<_, SourceError>>()?,
        rules: serde_json::to_value(rules).unwrap_or_default(),
        model,
        rows: BTreeMap::new(),
    };
    let (path, of) = (folder.join(MADE_OF), |family: FamilyId, rows: u64| Staged {
        family,
        lines: folder.join(format!("{}.jsonl", family.name())),
        times: folder.join(format!("{}.times", family.name())),
        rows,
    });
    let known = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<MadeOf>(&bytes).ok());
    if let Some(MadeOf { rows, .. }) = known.as_ref().filter(|known| made_of.is_of_the_same(known)) {
        return Ok(families.iter().map(|family| of(*family, *rows.get(family.name()).unwrap_or(&0))).collect());
    }
    std::fs::remove_file(&path).ok();
    let mut sorters: Vec<_> =
        families.iter().map(|family| Sorter::new(folder, family.name(), per_day, RUN_BYTES / families.len())).collect();
    for (number, found) in (0..).zip(files) {
        let place = families.iter().position(|family| *family == found.family).unwrap_or_default();
        take(found, number, rules, &mut sorters[place])?;
    }
    let mut all = Vec::new();
    for (family, sorter) in families.iter().zip(sorters) {
        let mut staged = of(*family, 0);
        staged.rows = write(sorter, &staged)?;
        made_of.rows.insert(family.name().to_owned(), staged.rows);
        all.push(staged);
    }
    let written = serde_json::to_vec(&made_of).unwrap_or_default();
    let file = create(&path)?;
    (&file).write_all(&written).and_then(|()| file.sync_all()).map_err(|error| failed("write", &path, &error))?;
    Ok(all)
}

impl MadeOf {
    fn is_of_the_same(&self, known: &MadeOf) -> bool {
        let of = |made: &MadeOf| (made.program.clone(), made.per_day, made.files.clone(), made.rules.clone());
        of(self) == of(known) && self.model == known.model
    }
}

/// When a file was written. What is told in it happened before: a record that is later by more than the rules allow is
/// no event, and nobody waits for its time.
fn written_at(path: &Path) -> Instant {
    std::fs::metadata(path).map_or(FAR_FUTURE_MS, |file| file.mtime().saturating_mul(1000).saturating_add(999))
}

/// Hands the records of a file to a sorter. One whose time cannot be read goes with the one before it.
fn take(found: Found, number: u32, rules: &Rules, sorter: &mut Sorter) -> Result<(), SourceError> {
    let written_at = written_at(&found.path);
    let mut source = Files::found(vec![found], Tail::Take);
    let Some(Partition { format, family, .. }) = source.partitions().into_iter().next() else { return Ok(()) };
    let mut gate = family.alone();
    let (mut last, mut waiting, mut waiting_bytes) = (None, Vec::new(), 0);
    loop {
        let batch = match source.poll(POLL_RECORDS)? {
            Poll::Records(batch) => batch,
            Poll::End => break,
            Poll::Status(..) | Poll::Skipped | Poll::Idle | Poll::Cut => continue,
        };
        for record in &batch.records {
            let payload = &batch.bytes[record.payload.clone()];
            let line = line_of(&format, payload);
            let at = time_of(&format, (payload, record.bytes), &mut *gate, rules.bounds(family, written_at)).or(last);
            let Some(at) = at.or((waiting_bytes >= WAITING_BYTES_MAX).then_some(START)) else {
                waiting_bytes += line.len();
                waiting.push((record.offset, line));
                continue;
            };
            for (offset, line) in waiting.drain(..) {
                sorter.add(at, (number, offset), &line)?;
            }
            last = Some(at);
            sorter.add(at, (number, record.offset), &line)?;
        }
        batch.leave();
    }
    waiting.into_iter().try_for_each(|(offset, line)| sorter.add(START, (number, offset), &line))
}

/// When the event of a record happened, if it is one.
fn time_of(format: &Format, record: (&[u8], u64), gate: &mut dyn Gate, bounds: Bounds<'_>) -> Option<Instant> {
    decode_record(format, record, gate, bounds).ok()?.at
}

/// A record as a line of its own, which needs no header.
fn line_of(format: &Format, payload: &[u8]) -> Vec<u8> {
    let json = if let Format::Csv(csv) = format { csv.json(payload) } else { None };
    let mut line = json.unwrap_or_else(|| payload.to_vec());
    // What ends a line is no part of one; where JSON has it, it is a space.
    line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line
}

/// Writes what was sorted; tells how many lines there are.
fn write(sorter: Sorter, staged: &Staged) -> Result<u64, SourceError> {
    let Staged { lines, times, .. } = staged;
    let (mut text, mut instants) = (BufWriter::new(create(lines)?), BufWriter::new(create(times)?));
    let mut rows = 0;
    for row in sorter.finish()? {
        let row = row?;
        let written = text.write_all(&row.line).and_then(|()| text.write_all(b"\n"));
        written.map_err(|error| failed("write", lines, &error))?;
        instants.write_all(&row.at.to_le_bytes()).map_err(|error| failed("write", times, &error))?;
        rows += 1;
    }
    for (file, path) in [(text, lines), (instants, times)] {
        let file = file.into_inner().map_err(|error| failed("write", path, error.error()))?;
        file.sync_all().map_err(|error| failed("write", path, &error))?;
    }
    Ok(rows)
}
