//! Nothing of some rows is left: the runs and the files of deltas that have them are written again.
//!
//! No grace here: a reader who has begun with a file that goes is told that it is gone, and begins again.

use super::manifest::{Garbage, Run, of_store};
use super::merge::{Merge, RunWriter, unreadable};
use super::read::FileReader;
use super::write::FileWriter;
use super::{Parquet, names};
use crate::sink::{Claim, Fence, RowOf, SinkError};
use dataflows::Time;
use dataflows::table::TableId;
use parquet::errors::ParquetError;

impl Parquet {
    /// As [`crate::sink::Stored::scrub`] says.
    pub(super) fn scrub_files(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let Some((number, manifest)) = self.current()? else { return Ok(Vec::new()) };
        claim.stands(&manifest.pipeline_id, manifest.generation, &self.place())?;
        let (epoch, mut next) = (manifest.epoch, manifest.clone());
        for id in self.catalogue.tables() {
            let name = format!("{}{}", names::merged(id.table()), names::commit(epoch, claim.generation));
            let mut kept = Vec::new();
            for (at, run) in manifest.runs(*id).iter().enumerate() {
                let rewritten = self.run_without(*id, run, was, format!("{name}-{number:012}-{at:04}"))?;
                let garbage = rewritten.iter().flat_map(|_| &run.files).map(|file| file.path.clone());
                let merged = garbage.filter(|path| path.starts_with(&names::merged(id.table())));
                next.garbage.extend(merged.map(|path| Garbage { path, since: manifest.committed_at }));
                kept.push(rewritten.unwrap_or_else(|| run.clone()));
            }
            kept.retain(|run| run.rows > 0);
            next.tables.insert(id.table().name.to_owned(), kept);
        }
        next.tables.retain(|name, runs| !runs.is_empty() || manifest.tables.contains_key(name));
        if next != manifest && !self.publish(number, next.clone())? {
            return Err(SinkError::Fenced { sink: self.place(), by: Fence::Written });
        }
        for garbage in &next.garbage {
            self.store.delete(&garbage.path).map_err(of_store)?;
        }
        for id in self.catalogue.tables() {
            self.scrub_deltas(*id, epoch, was)?;
        }
        let told = "the files of deltas of that epoch say which keys are gone, for readers who follow them";
        Ok(vec![format!("{}: {told}, until `feed.retention` removes them", self.place())])
    }

    /// A run without those rows; nothing if it has none of them. What says of one that it is gone is not needed any more,
    /// since no run has it.
    fn run_without(&self, id: TableId, run: &Run, was: &RowOf<'_>, name: String) -> Result<Option<Run>, SinkError> {
        let mut found = false;
        for file in &run.files {
            found = found || self.without(id, &file.path, was)?.is_some();
        }
        if !found {
            return Ok(None);
        }
        let mut writer = RunWriter::new(&*self.store, id, name, self.settings.rows_per_file);
        let (mut rows, mut count) = (Merge::new(&self.store, id, std::slice::from_ref(run))?, 0);
        while let Some(row) = rows.next()? {
            if !was(id, &row.values) {
                writer.push(&row.values, row.stamp)?;
                count += 1;
            }
        }
        Ok(Some(Run { rows: count, files: writer.finish()?, ..run.clone() }))
    }

    /// Deltas of the newest epoch stay: they say to those who follow that the rows are gone.
    fn scrub_deltas(&self, id: TableId, newest: Time, was: &RowOf<'_>) -> Result<(), SinkError> {
        for path in self.store.list(&names::deltas(id.table())).map_err(of_store)? {
            if names::epoch_and_generation(&path).is_none_or(|(epoch, _)| epoch >= newest) {
                continue;
            }
            if let Some(rest) = self.without(id, &path, was)? {
                self.store.put(&path, &rest).map_err(of_store)?;
            }
        }
        Ok(())
    }

    /// A file without those rows; nothing if it has none of them.
    fn without(&self, id: TableId, path: &str, was: &RowOf<'_>) -> Result<Option<Vec<u8>>, SinkError> {
        // Removed since it was listed.
        let Some(bytes) = self.store.get(path).map_err(of_store)? else { return Ok(None) };
        let rewritten = || -> Result<Option<Vec<u8>>, ParquetError> {
            let (mut rows, mut writer) = (FileReader::new(id.table(), bytes)?, FileWriter::new(id.table())?);
            let mut found = false;
            while let Some(row) = rows.next()? {
                match was(id, &row.values) {
                    true => found = true,
                    false => writer.push(&row.values, row.stamp)?,
                }
            }
            if found { writer.finish().map(Some) } else { Ok(None) }
        };
        rewritten().map_err(|error| unreadable(&*self.store, path, &error.to_string()))
    }
}
