//! Nothing of some records is left: the files that have them are written again, and what is in no file yet.

use super::file::{About, File};
use super::open::{self, Open};
use super::{Archive, of_store};
use crate::decode::avro::value::Value as Datum;
use crate::sink::{Claim, Fence, RowOf, SinkError};
use dataflows::family::Catalogue;
use dataflows::raw::REJECTED_EVENTS;
use dataflows::table::Value;
use parquet::errors::ParquetError;

impl Archive {
    /// As [`crate::sink::Stored::scrub`] says.
    pub(super) fn scrub_files(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let (place, catalogue) = (self.place(), self.catalogue);
        let Some((number, manifest, open)) = self.current()? else { return Ok(Vec::new()) };
        claim.stands(&manifest.pipeline_id, manifest.generation, &place)?;
        let (mut next, mut rest, mut count) = (manifest.clone(), Open::default(), 0);
        for (name, records) in &open.0 {
            let mut kept = Vec::new();
            let (topic, partition) = name.rsplit_once('/').unwrap_or((name, "0"));
            for records in records.chunk_by(|record, next| record.schema == next.schema) {
                let about = About {
                    pipeline: next.pipeline_id.clone(),
                    topic: topic.to_owned(),
                    partition: partition.parse().ok(),
                    first_offset: 0,
                    schema: records[0].schema.as_deref().map(str::to_owned),
                };
                let file = File::new(about).map_err(|error| unreadable(&place, name, &error))?;
                kept.extend(records.iter().filter(|record| !names(catalogue, was, &file, &file.row(record))).cloned());
            }
            count += records.len() - kept.len();
            rest.add(name.clone(), kept);
        }
        let stale = next.open.clone();
        if count > 0 {
            let key = format!("{}{:012}-{:06}-{number:012}", open::FOLDER, next.epoch, claim.generation);
            self.store.put(&key, &rest.sealed()?).map_err(of_store)?;
            next.open = vec![key];
            if !self.publish(number, next, rest)? {
                return Err(SinkError::Fenced { sink: place, by: Fence::Written });
            }
            stale.iter().try_for_each(|key| self.store.delete(key).map_err(of_store))?;
        }
        let mut files = 0;
        for key in self.store.list("").map_err(of_store)? {
            if !key.ends_with(".parquet") {
                continue;
            }
            // Removed since it was listed.
            let Some(bytes) = self.store.get(&key).map_err(of_store)? else { continue };
            let (mut file, rows) = File::read(bytes).map_err(|error| unreadable(&place, &key, &error))?;
            let kept: Vec<_> = rows.iter().filter(|row| !names(catalogue, was, &file, row)).collect();
            if kept.len() == rows.len() {
                continue;
            }
            (files, count) = (files + 1, count + rows.len() - kept.len());
            if kept.is_empty() {
                self.store.delete(&key).map_err(of_store)?;
                continue;
            }
            let made = kept.into_iter().try_for_each(|row| file.push_row(row)).and_then(|()| file.finish());
            let made = made.map_err(|error| unreadable(&place, &key, &error))?;
            self.store.put(&key, &made).map_err(of_store)?;
        }
        tracing::info!("{place}: {count} records were removed, and {files} files written again");
        Ok(Vec::new())
    }
}

/// Whether a record names who is meant: as one that is kept as it came does, or as a row of its raw table.
fn names(catalogue: Catalogue, was: &RowOf<'_>, file: &File, row: &[Datum]) -> bool {
    let about = file.about();
    let (id, value): (_, &dyn Fn(&str) -> Value) = match (about.partition, catalogue.by_name(&about.topic)) {
        (Some(partition), _) => (REJECTED_EVENTS, &move |name| match name {
            "_topic" => Value::Text(about.topic.clone()),
            "_partition" => Value::Integer(partition),
            "raw" => Value::Bytes(file.json(row).as_bytes().into()),
            _ => Value::Null,
        }),
        // No person is called by a number with decimals, by a time, or by bytes.
        (None, Some(id)) => (id, &|name| match file.field(row, name) {
            Some(Datum::Long(number)) => Value::Integer(*number),
            Some(Datum::Text(text)) => Value::Text(text.clone()),
            _ => Value::Null,
        }),
        (None, None) => return false,
    };
    was(id, &id.table().columns.iter().map(|column| value(column.name)).collect::<Vec<_>>())
}

fn unreadable(place: &str, key: &str, error: &ParquetError) -> SinkError {
    SinkError::Failed(format!(
        "{place}: `{key}` could not be written again: {error}; put it back from a copy, or remove it"
    ))
}
