//! Nothing of some rows is left: what is merged is merged again without them, and files of deltas are written anew.
//!
//! No grace here: a reader who has begun with a file that goes is told that it is gone, and begins again.

use super::manifest::of_store;
use super::read::FileReader;
use super::write::FileWriter;
use super::{Parquet, merge, names};
use crate::sink::{Claim, RowOf, SinkError};
use dataflows::Time;
use dataflows::table::TableId;
use parquet::errors::ParquetError;

impl Parquet {
    /// As [`crate::sink::Stored::scrub`] says.
    pub(super) fn scrub_files(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let Some((number, manifest)) = self.current()? else { return Ok(Vec::new()) };
        if (&manifest.pipeline_id, manifest.generation) != (&claim.pipeline_id, claim.generation) {
            let why = format!("another run (generation {}) has taken over", manifest.generation);
            return Err(SinkError::Fenced(format!("{}: {why}", self.place())));
        }
        let (epoch, mut next) = (manifest.epoch, manifest.clone());
        for id in TableId::ALL {
            let files = manifest.runs(*id).iter().flat_map(|run| &run.files);
            let mut found = false;
            for file in files {
                found = found || self.without(*id, &file.path, was)?.is_some();
            }
            if found {
                self.merge(*id, 0, (claim, number), &mut next)?;
            }
        }
        if next != manifest && !self.publish(number, next.clone())? {
            return Err(SinkError::Fenced(format!("{}: another run has taken over", self.place())));
        }
        for garbage in &next.garbage {
            self.store.delete(&garbage.path).map_err(of_store)?;
        }
        for id in TableId::ALL {
            self.scrub_deltas(*id, epoch, was)?;
        }
        let told = "the files of deltas of that epoch say which keys are gone, for whoever follows them";
        Ok(vec![format!("{}: {told}, until `feed.retention` removes them", self.place())])
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
        rewritten().map_err(|error| merge::unreadable(&*self.store, path, &error.to_string()))
    }
}
