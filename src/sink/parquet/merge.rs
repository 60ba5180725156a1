//! The runs of a table read side by side, in the order of keys: of each key the newest row.
//!
//! Of every run one file is in memory, as it is stored, and a batch of its rows.

use super::manifest::{File, Run, of_store};
use super::read::FileReader;
use super::schema::{Row, Stamp};
use super::write::FileWriter;
use crate::sink::SinkError;
use crate::store::Store;
use dataflows::table::{Table, TableId, Value};
use parquet::errors::ParquetError;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

/// A file ends before its texts are longer than this together: a store takes objects whole.
const FILE_BYTES: usize = 128 << 20;

/// The rows of one run.
struct RunReader {
    table: &'static Table,
    left: VecDeque<File>,
    open: Option<(String, FileReader)>,
}

impl RunReader {
    fn next(&mut self, store: &dyn Store) -> Result<Option<Row>, SinkError> {
        loop {
            if let Some((path, reader)) = &mut self.open {
                if let Some(row) = reader.next().map_err(|error| unreadable(store, path, &error.to_string()))? {
                    return Ok(Some(row));
                }
                self.open = None;
            }
            let Some(file) = self.left.pop_front() else { return Ok(None) };
            let bytes = fetch(store, &file)?;
            let reader = FileReader::new(self.table, bytes);
            let reader = reader.map_err(|error| unreadable(store, &file.path, &error.to_string()))?;
            self.open = Some((file.path, reader));
        }
    }
}

/// A file as it was written, or what is wrong with it.
fn fetch(store: &dyn Store, file: &File) -> Result<Vec<u8>, SinkError> {
    let found = store.get(&file.path).map_err(of_store)?;
    let bytes = found.ok_or_else(|| unreadable(store, &file.path, "it is missing"))?;
    if (bytes.len() as u64, crc32fast::hash(&bytes)) != (file.bytes, file.crc32) {
        let detail = format!("it is not what was written ({} bytes, expected {})", bytes.len(), file.bytes);
        return Err(unreadable(store, &file.path, &detail));
    }
    Ok(bytes)
}

pub(super) fn unreadable(store: &dyn Store, path: &str, detail: &str) -> SinkError {
    let hint = "put it back, or empty the place and begin the feed again";
    SinkError::Failed(format!("could not read `{path}` of feed `{}`: {detail}; {hint}", store.place()))
}

/// The first row of a run that was not taken yet. The greatest is that of the least key, and of equal
/// keys that of the newest run.
struct Head {
    row: Row,
    key_columns: usize,
    run: usize,
}

impl Head {
    fn key(&self) -> &[Value] {
        &self.row.values[..self.key_columns]
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        other.key().cmp(self.key()).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// Runs read side by side.
pub(super) struct Merge {
    store: Arc<dyn Store>,
    key_columns: usize,
    runs: Vec<RunReader>,
    heads: BinaryHeap<Head>,
}

impl Merge {
    /// Of runs of a table, the oldest first.
    pub(super) fn new(store: &Arc<dyn Store>, table: TableId, runs: &[Run]) -> Result<Merge, SinkError> {
        let table = table.table();
        let reader = |run: &Run| RunReader { table, left: run.files.iter().cloned().collect(), open: None };
        let mut merge = Merge {
            store: Arc::clone(store),
            key_columns: table.key_columns,
            runs: runs.iter().map(reader).collect(),
            heads: BinaryHeap::with_capacity(runs.len()),
        };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> Result<(), SinkError> {
        if let Some(row) = self.runs[run].next(&*self.store)? {
            self.heads.push(Head { row, key_columns: self.key_columns, run });
        }
        Ok(())
    }

    /// The newest row of the next key; one that says it is gone too.
    pub(super) fn next(&mut self) -> Result<Option<Row>, SinkError> {
        let Some(newest) = self.heads.pop() else { return Ok(None) };
        while self.heads.peek().is_some_and(|older| older.key() == newest.key()) {
            if let Some(older) = self.heads.pop() {
                self.advance(older.run)?;
            }
        }
        self.advance(newest.run)?;
        Ok(Some(newest.row))
    }
}

/// The files of a run in the making.
pub(super) struct RunWriter<'a> {
    store: &'a dyn Store,
    table: &'static Table,
    /// What the names of its files begin with.
    name: String,
    rows_per_file: usize,
    writer: Option<FileWriter>,
    files: Vec<File>,
}

impl<'a> RunWriter<'a> {
    pub(super) fn new(store: &'a dyn Store, table: TableId, name: String, rows_per_file: usize) -> RunWriter<'a> {
        RunWriter { store, table: table.table(), name, rows_per_file, writer: None, files: Vec::new() }
    }

    /// Adds a row, whose key comes after those of before.
    pub(super) fn push(&mut self, values: &[Value], stamp: Stamp) -> Result<(), SinkError> {
        let failed = |error: ParquetError| failed(self.table, &error);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(FileWriter::new(self.table).map_err(failed)?),
        };
        writer.push(values, stamp).map_err(failed)?;
        if writer.rows() as usize >= self.rows_per_file || writer.bytes() >= FILE_BYTES {
            self.end_file()?;
        }
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), SinkError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let rows = writer.rows();
        let bytes = writer.finish().map_err(|error| failed(self.table, &error))?;
        let path = format!("{}-{:04}.parquet", self.name, self.files.len());
        self.store.put(&path, &bytes).map_err(of_store)?;
        self.files.push(File { path, rows, bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) });
        Ok(())
    }

    /// The files, all of them durable.
    pub(super) fn finish(mut self) -> Result<Vec<File>, SinkError> {
        self.end_file()?;
        Ok(self.files)
    }
}

/// A row that does not fit its table: a bug of ours.
pub(super) fn failed(table: &Table, error: &ParquetError) -> SinkError {
    SinkError::Failed(format!("could not write rows of `{}` as Parquet: {error}", table.name))
}
