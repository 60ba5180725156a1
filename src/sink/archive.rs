//! The archive: accepted records as they came, e-mail addresses masked, as Parquet files by their writers' schemas.
//! Another one is of clean events: their partitions are days, and the offset of an event is its number (`taken`).
//!
//! ```text
//! TOPIC/UUID.parquet                    records of one partition, in the order of their offsets
//! TABLE/date=2026-01-05/UUID.parquet    clean events of one day
//! _open/EPOCH-GENERATION                what one commit brought that is in no file yet
//! _progress/000000000042.json           how far it is; the last one counts
//! ```
//!
//! A commit is an object of `_open/`, and then the next one of `_progress/`. Only what is committed so is made a file,
//! after it. What a file has is decided by the records alone and by the clocks of their epochs, and its name by where
//! its first record is from. So a kill between a file and the object of `_progress/` that says it is closed does no
//! harm: the next start, or who was superseded, writes the same bytes under the same name. No record is in two files,
//! and none in a file before it is committed.

mod columns;
mod file;
mod levels;
mod manifest;
mod open;
mod scrub;
mod taken;

use super::log::{Log, tidy_newest};
use super::purge::{Purge, Purged};
use super::{Claim, Commit, Fence, MadeBy, Progress, RowOf, Sink, SinkError, Stored};
use crate::config::archive::Archive as Config;
use crate::config::clean::Clean;
use crate::store::{self, Store, StoreError};
use dataflows::family::Catalogue;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use file::{About, File};
use manifest::{Manifest, OBJECTS};
use open::{Kept, Open};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use taken::Taken;
use uuid::Uuid;

/// How often another writer may come between reading and writing `_progress/`.
const RACES: usize = 100;
/// Of more objects of `_open/` than this one is made.
const OPEN_MAX: usize = 64;
/// What is said where nobody's claim is found.
const REMOVED: &str = "`_progress/` is empty: what was there was removed";

/// When files are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    rows: usize,
    archive_interval_ms: i64,
}

/// The archive, as a sink: of a commit it takes the accepted records or the clean events, and no rows.
pub struct Archive {
    catalogue: Catalogue,
    taken: Taken,
    store: Arc<dyn Store>,
    log: Log<Manifest>,
    settings: Settings,
    commit_interval: Duration,
    /// Tells this handle from every other one.
    writer: String,
    /// The last object of `_progress/` that we know, its number, and what is open by it.
    known: Option<(u64, Manifest, Open)>,
    /// The epoch that it pretends to be at, while it takes what is computed beside the warehouse.
    beside: Option<Time>,
}

impl Archive {
    /// Opens the archive that is configured, and makes its folder if there is none.
    ///
    /// # Errors
    /// If its place cannot be used.
    pub fn open(catalogue: Catalogue, config: &Config) -> Result<Archive, SinkError> {
        Ok(Archive::on(catalogue, store::open(&config.path).map_err(of_store)?, config))
    }

    /// Opens an archive that exists, only to read how far it is.
    ///
    /// # Errors
    /// If its place cannot be used.
    pub fn open_to_read(catalogue: Catalogue, config: &Config) -> Result<Archive, SinkError> {
        Ok(Archive::on(catalogue, store::open_to_read(&config.path).map_err(of_store)?, config))
    }

    /// An archive in a store, whatever `config.path` says.
    pub fn on(catalogue: Catalogue, store: Arc<dyn Store>, config: &Config) -> Archive {
        Archive::made(catalogue, store, Taken::Records, config)
    }

    /// Opens the place of clean events that is configured, and makes its folder if there is none.
    ///
    /// # Errors
    /// If the place cannot be used.
    pub fn open_clean(catalogue: Catalogue, config: &Clean) -> Result<Archive, SinkError> {
        let store = store::open(&config.path).map_err(of_store)?;
        Ok(Archive::of_clean_events(catalogue, store, config))
    }

    /// Opens a place of clean events that exists, only to read how far it is.
    ///
    /// # Errors
    /// If the place cannot be used.
    pub fn open_clean_to_read(catalogue: Catalogue, config: &Clean) -> Result<Archive, SinkError> {
        let store = store::open_to_read(&config.path).map_err(of_store)?;
        Ok(Archive::of_clean_events(catalogue, store, config))
    }

    /// Clean events in a store, whatever `config.path` says.
    pub fn of_clean_events(catalogue: Catalogue, store: Arc<dyn Store>, config: &Clean) -> Archive {
        let Clean { path: _, rows, interval, commit_interval } = *config;
        let config = Config { rows, archive_interval: interval, commit_interval, ..Config::default() };
        Archive::made(catalogue, store, Taken::events(catalogue), &config)
    }

    fn made(catalogue: Catalogue, store: Arc<dyn Store>, taken: Taken, config: &Config) -> Archive {
        Archive {
            catalogue,
            log: Log::new(Arc::clone(&store), taken.objects()),
            taken,
            store,
            settings: Settings { rows: config.rows.max(1), archive_interval_ms: config.archive_interval },
            commit_interval: Duration::from_millis(config.commit_interval.unsigned_abs()),
            writer: Uuid::new_v4().to_string(),
            known: None,
            beside: None,
        }
    }

    /// The same, for what is computed again after an epoch beside the warehouse. Records that it has are not taken
    /// again, and how far it is said to be is what it was until the warehouse is there too.
    pub fn beside(self, after: Time) -> Archive {
        Archive { beside: Some(after), ..self }
    }

    fn place(&self) -> String {
        format!("{} `{}`", self.taken.objects().of, self.store.place())
    }

    /// The last object of `_progress/`; read, with what is open, only if it is not the one that we know.
    fn current(&mut self) -> Result<Option<(u64, &Manifest, &Open)>, SinkError> {
        let last = self.log.last()?;
        let is_newest = match &self.known {
            // It may not be listed yet; or the archive was removed, or put back as it was before.
            Some((number, ..)) if last < *number => self.log.has(*number)?,
            Some((number, ..)) => last == *number,
            None => false,
        };
        if !is_newest {
            self.known = None;
            if let Some((number, manifest)) = self.log.newest()? {
                self.check_kind(&manifest)?;
                let open = Open::read(&*self.store, &manifest)?;
                self.known = Some((number, manifest, open));
            }
        }
        Ok(self.known.as_ref().map(|(number, manifest, open)| (*number, manifest, open)))
    }

    /// Makes the next object of `_progress/`; `false` if somebody else did.
    fn publish(&mut self, number: u64, manifest: Manifest, open: Open) -> Result<bool, SinkError> {
        // Should this fail, nobody knows what is there.
        self.known = None;
        let published = self.log.follow(number, &manifest)?;
        if published {
            self.known = Some((number + 1, manifest, open));
            tidy_newest(&*self.store, number + 1).map_err(of_store)?;
        }
        Ok(published)
    }

    /// Someone else's files are not ours to write between.
    fn check_empty(&self) -> Result<(), SinkError> {
        match self.store.list("").map_err(of_store)?.first() {
            Some(key) => Err(self.holds(&format!("something else (`{key}`)"))),
            None => Ok(()),
        }
    }

    /// Nor are those of an archive of the other kind.
    fn check_kind(&self, manifest: &Manifest) -> Result<(), SinkError> {
        match (&self.taken, manifest.events) {
            (Taken::Records, None) | (Taken::Events(_), Some(_)) => Ok(()),
            (Taken::Records, Some(_)) => Err(self.holds("clean events")),
            (Taken::Events(_), None) => Err(self.holds("records as they came")),
        }
    }

    fn holds(&self, what: &str) -> SinkError {
        let (place, setting) = (self.place(), self.taken.objects().setting);
        SinkError::Failed(format!("{place} holds {what}, and was left as it is; name an empty place with `{setting}`"))
    }

    /// Closes the files that are due by a clock, or all: writes each, and then says that they are closed.
    fn close(&mut self, claim: &Claim, settings: Settings, clock_ms: Instant) -> Result<(), SinkError> {
        let place = self.place();
        let Some((number, manifest, mut open)) = self.known.take() else { return Ok(()) };
        claim.stands(&manifest.pipeline_id, manifest.generation, &place)?;
        let mut next = manifest;
        let (mut is_changed, stale) = (false, next.open.clone());
        for (name, records) in &mut open.0 {
            let mut closed = 0;
            while let Some(count) = open::file(&records[closed..], settings, clock_ms) {
                self.write(&next.pipeline_id, name, &records[closed..closed + count])?;
                closed += count;
                is_changed = true;
            }
            let after = records[..closed].last().map(|last| last.offset + 1);
            if let (Some(after), Some(partition)) = (after, next.partitions.get_mut(name)) {
                partition.closed = after;
            }
            records.drain(..closed);
        }
        open.0.retain(|_, records| !records.is_empty());
        if open.0.is_empty() {
            is_changed |= !next.open.is_empty();
            next.open.clear();
            next.forget_days();
        } else if next.open.len() > OPEN_MAX {
            let key = format!("{}{:012}-{:06}-{number:012}", open::FOLDER, next.epoch, claim.generation);
            self.store.put(&key, &open.sealed()?).map_err(of_store)?;
            next.open = vec![key];
            next.forget_days();
            is_changed = true;
        }
        let now = (settings.rows, settings.archive_interval_ms);
        if !is_changed && (next.rows, next.archive_interval_ms) == now {
            self.known = Some((number, next, open));
            return Ok(());
        }
        (next.rows, next.archive_interval_ms) = now;
        let kept: BTreeSet<_> = next.open.iter().cloned().collect();
        if !self.publish(number, next, open)? {
            return Err(SinkError::Fenced { sink: place, by: Fence::Written });
        }
        let mut stale = stale.iter().filter(|key| !kept.contains(*key));
        stale.try_for_each(|key| self.store.delete(key).map_err(of_store))
    }

    /// Writes the file of these records.
    fn write(&self, pipeline: &str, name: &str, records: &[Kept]) -> Result<(), SinkError> {
        let Some(first) = records.first() else { return Ok(()) };
        let (topic, partition) = name.rsplit_once('/').unwrap_or((name, "0"));
        let about = About {
            pipeline: pipeline.to_owned(),
            topic: topic.to_owned(),
            partition: partition.parse().ok(),
            first_offset: first.offset,
            schema: first.schema.as_deref().map(str::to_owned),
        };
        let key = key(pipeline, name, first.offset);
        let failed = |error: parquet::errors::ParquetError| {
            SinkError::Failed(format!("could not make `{key}` of {}: {error}", self.place()))
        };
        let mut file = File::new(about).map_err(failed)?;
        for record in records {
            if !file.push(record).map_err(failed)? {
                let offset = record.offset;
                tracing::warn!("`{name}`, offset {offset}: could not be read by its schema; `{key}` has it empty");
            }
        }
        let bytes = file.finish().map_err(failed)?;
        self.store.put(&key, &bytes).map_err(of_store)
    }

    /// What can be done after a commit, and after the next one as well: errors are told, and no more.
    fn try_close(&mut self, claim: &Claim, clock_ms: Instant) {
        if let Err(error) = self.close(claim, self.settings, clock_ms) {
            tracing::warn!("what was committed is there, but files could not be closed; next time again: {error}");
        }
    }

    /// Removes objects of `_open/` that starts of before made and did not commit.
    fn sweep(&self) -> Result<(), SinkError> {
        let Some((_, manifest, _)) = &self.known else { return Ok(()) };
        for key in self.store.list(open::FOLDER).map_err(of_store)? {
            if !manifest.open.contains(&key) {
                self.store.delete(&key).map_err(of_store)?;
            }
        }
        Ok(())
    }
}

/// What a file is called: of version 5, by the pipeline and where its first record is from.
fn key(pipeline: &str, partition: &str, offset: i64) -> String {
    let space = Uuid::parse_str(pipeline).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, pipeline.as_bytes()));
    let id = Uuid::new_v5(&space, format!("{partition}/{offset}").as_bytes());
    let (topic, number) = partition.rsplit_once('/').unwrap_or((partition, "0"));
    match number.parse::<i64>() {
        Ok(_) => format!("{}/{id}.parquet", folder(topic)),
        Err(_) => format!("{}/{number}/{id}.parquet", folder(topic)),
    }
}

/// The folder of a topic. Of a name that no store could have, other letters are `=` and two digits.
fn folder(topic: &str) -> String {
    let mut name = String::new();
    for (place, byte) in topic.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || byte == b'-' || (place > 0 && b"_.".contains(&byte));
        match is_plain {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("={byte:02X}")),
        }
    }
    name
}

/// What a store says, as a sink says it.
fn of_store(error: StoreError) -> SinkError {
    OBJECTS.said(error)
}

impl Sink for Archive {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        let beside = self.beside;
        let progress = self.current()?.map(|(_, manifest, _)| manifest.progress());
        Ok(progress.map(|progress| Progress { epoch: beside.unwrap_or(progress.epoch), ..progress }))
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        for _ in 0..RACES {
            let (writer, place) = (self.writer.clone(), self.place());
            let found = self.current()?.map(|(number, manifest, _)| (number, manifest.clone()));
            if let (Some((_, manifest)), Some(wanted)) = (&found, wanted)
                && (&manifest.writer, &manifest.pipeline_id, manifest.generation)
                    == (&writer, &wanted.pipeline_id, wanted.generation)
            {
                // Ours, from an attempt that failed after it was done.
                return Ok(wanted.clone());
            }
            let claim = Claim::after(found.as_ref().map(|(_, found)| found.progress()).as_ref(), wanted, &place)?;
            if found.is_none() {
                self.check_empty()?;
            }
            let is_new = found.is_none();
            let (number, manifest) = found.unwrap_or_else(|| (0, self.taken.nothing(&claim, made_by)));
            let mut next = Manifest { generation: claim.generation, writer, ..manifest };
            if is_new {
                (next.rows, next.archive_interval_ms) = (self.settings.rows, self.settings.archive_interval_ms);
            }
            let open = self.known.take().map(|(.., open)| open).unwrap_or_default();
            let (before, clock_ms) = (Settings::of(&next), next.committed_at);
            if self.publish(number, next, open)? {
                self.log.tidy(number + 1)?;
                // What was begun is ended as it was begun.
                self.close(&claim, before, clock_ms)?;
                self.sweep()?;
                return Ok(claim);
            }
        }
        Err(SinkError::Unavailable(format!("{}: others claim it again and again; stop all but one", self.place())))
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let (place, beside) = (self.place(), self.beside);
        for _ in 0..RACES {
            let found = self.current()?;
            let (number, manifest, _) = found.ok_or_else(|| SinkError::gone(&place, REMOVED))?;
            claim.stands(&manifest.pipeline_id, manifest.generation, &place)?;
            let at = beside.unwrap_or(manifest.epoch);
            if at >= commit.epoch {
                return Ok(());
            }
            if at != commit.follows {
                return Err(SinkError::elsewhere(&place, at, commit.follows));
            }
            let mut next = manifest.clone();
            let brought = self.taken.brought(commit, &mut next);
            if beside.is_none() {
                (next.epoch, next.committed_at) = (commit.epoch, commit.clock_ms);
                (next.watermark, next.watermarks) = (commit.watermarks.least(), commit.watermarks.clone());
                next.positions = commit.positions.clone();
            }
            if !brought.0.is_empty() {
                let key = format!("{}{:012}-{:06}", open::FOLDER, commit.epoch, claim.generation);
                self.store.put(&key, &brought.sealed()?).map_err(of_store)?;
                next.open.push(key);
            }
            for (name, records) in &brought.0 {
                let (Some(first), Some(last)) = (records.first(), records.last()) else { continue };
                let nothing = manifest::Partition { closed: first.offset, taken: first.offset };
                next.partitions.entry(name.clone()).or_insert(nothing).taken = last.offset + 1;
            }
            let mut open = self.known.take().map(|(.., open)| open).unwrap_or_default();
            brought.0.into_iter().for_each(|(name, records)| open.add(name, records));
            if self.publish(number, next, open)? {
                self.beside = beside.map(|_| commit.epoch);
                self.try_close(claim, commit.clock_ms);
                return Ok(());
            }
        }
        Err(SinkError::Unavailable(format!("{place}: others write `_progress/` again and again; stop all but one")))
    }

    fn purge(&mut self, _: &Claim, _: &Purge) -> Result<Purged, SinkError> {
        Ok(Purged { rows: 0, is_done: true })
    }

    fn commit_interval(&self) -> Option<Duration> {
        Some(self.commit_interval)
    }

    fn takes_records(&self) -> bool {
        matches!(self.taken, Taken::Records)
    }

    fn takes_rows(&self) -> bool {
        false
    }

    fn takes_clean(&self) -> bool {
        matches!(self.taken, Taken::Events(_))
    }

    fn idle(&mut self, claim: &Claim, since: Option<Duration>) -> Result<(), SinkError> {
        let at = self.current()?.map(|(_, manifest, _)| manifest.committed_at);
        let since = since.map(|since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let clock_ms = since.map_or(Instant::MAX, |since| at.unwrap_or_default().saturating_add(since));
        self.close(claim, self.settings, clock_ms)
    }

    fn name(&self) -> String {
        self.place()
    }
}

impl Settings {
    fn of(manifest: &Manifest) -> Settings {
        Settings { rows: manifest.rows.max(1), archive_interval_ms: manifest.archive_interval_ms }
    }
}

impl Stored for Archive {
    fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

    fn keeps_rows(&self) -> bool {
        false
    }

    fn page(&mut self, _: TableId, _: Option<&[Value]>, _: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        Ok(Vec::new())
    }

    fn has_another_shape(&mut self, _: TableId) -> Result<bool, SinkError> {
        Ok(false)
    }

    fn make_anew(&mut self, _: TableId) {}

    fn scrub(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        self.scrub_files(claim, was)
    }
}

#[cfg(test)]
mod tests;
