//! The Parquet feed: a folder, or a bucket, that DuckDB, dbt and Spark read while we write.
//!
//! ```text
//! views.sql                                      what there is, as views of DuckDB
//! _progress/000000000042.json                    what there is, as files (module `manifest`); the last one counts
//! TABLE/deltas/date=2026-01-05/EPOCH-GENERATION-0000.parquet   what one commit changed, sorted by key
//! TABLE/deltas/date=2026-01-05/EPOCH-GENERATION-p001-0000.parquet   what process 1 of several changed (module `pieces`)
//! TABLE/merged/EPOCH-GENERATION-...-0000.parquet               several of them made into one
//! ```
//!
//! A commit is files of deltas, made durable, and then the next object of `_progress/`: a run that does not
//! find its files there does not read them. That object is made only if nobody else made it, so a run
//! that was superseded cannot commit: the claim of the one that superseded it took the number.
//!
//! A table's rows are those of its runs, the newest of each key. At first every commit is a run; then
//! they are merged, as in a log-structured merge tree, so that what a reader reads is in proportion to
//! the rows there are, and what is written to the rows that changed. There is no base to rewrite as a
//! whole. Deltas stay where they are meanwhile: those who read only what changed read them.
//!
//! Rows that are added are checked here, not by readers: one whose key is there already is left out.

mod compact;
mod left;
mod manifest;
mod merge;
mod merged;
mod names;
mod pieces;
mod plain;
mod purge;
mod read;
mod schema;
mod scrub;
mod sweep;
mod tend;
mod views;
mod write;

use super::log::Log;
use super::purge::{Purge, Purged};
use super::{Claim, Commit, Fence, MadeBy, Progress, RowOf, Shard, Sink, SinkError, Stored};
use crate::config::feed::Feed;
use crate::config::retention::Retention;
use crate::instant;
use crate::store::{self, Store};
use dataflows::delta::Delta;
use dataflows::deltas::Deltas;
use dataflows::family::Catalogue;
use dataflows::table::{Kind, Role, Table, TableId, Value};
use dataflows::{Instant, Time};
use manifest::{Age, Garbage, Manifest, OBJECTS, Run, Start, of_store};
use merge::{Merge, RunWriter};
pub use pieces::Piece;
use schema::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What is said where nobody's claim is found.
const REMOVED: &str = "`_progress/` is empty: the feed was removed";

/// How often another writer may come between reading and writing `_progress/`.
const RACES: usize = 100;

/// The statements that make plain views of a feed in a database file of DuckDB.
pub fn plain_views(catalogue: Catalogue, settings: &Feed) -> String {
    plain::sql(catalogue, &address(&settings.path))
}

/// A feed as warehouse.
pub struct Parquet {
    catalogue: Catalogue,
    store: Arc<dyn Store>,
    log: Log<Manifest>,
    settings: Feed,
    retention: Retention,
    /// Tells this handle from every other one.
    writer: String,
    /// The last object of `_progress/` that we know, and its number.
    known: Option<(u64, Manifest)>,
    /// What is known stays, whatever others write.
    is_pinned: bool,
    /// The commit of which files may be there, though it may not have come to its end.
    begun: Option<(u64, Time)>,
    sweeper: sweep::Sweeper,
    /// Where the last page of rows ended.
    scan: Option<Scan>,
    /// The next commit has all rows of these tables.
    anew: BTreeSet<TableId>,
    /// Every process of this run writes, and merges its share.
    is_shared: bool,
}

/// Rows being read page by page.
struct Scan {
    /// The object of `_progress/` that they are of.
    number: u64,
    table: TableId,
    last: Option<Vec<Value>>,
    rows: Merge,
}

impl Parquet {
    /// Opens the feed that is configured, and makes its folder if there is none.
    ///
    /// # Errors
    /// If its place cannot be used.
    pub fn open(catalogue: Catalogue, settings: &Feed) -> Result<Parquet, SinkError> {
        Ok(Parquet::on(catalogue, store::open(&settings.path).map_err(of_store)?, settings))
    }

    /// Opens a feed that exists, only to read it.
    ///
    /// # Errors
    /// If its place cannot be used.
    pub fn open_to_read(catalogue: Catalogue, settings: &Feed) -> Result<Parquet, SinkError> {
        Ok(Parquet::on(catalogue, store::open_to_read(&settings.path).map_err(of_store)?, settings))
    }

    /// A feed in a store, whatever `settings.path` says.
    pub fn on(catalogue: Catalogue, store: Arc<dyn Store>, settings: &Feed) -> Parquet {
        Parquet {
            catalogue,
            log: Log::new(Arc::clone(&store), OBJECTS),
            sweeper: sweep::Sweeper::new(catalogue, Arc::clone(&store), settings),
            store,
            settings: settings.clone(),
            retention: Retention::default(),
            writer: uuid::Uuid::new_v4().to_string(),
            known: None,
            is_pinned: false,
            begun: None,
            scan: None,
            anew: BTreeSet::new(),
            is_shared: false,
        }
    }

    /// Opens the side of a process that does not lead: nothing is tidied up.
    ///
    /// # Errors
    /// If its place cannot be used.
    pub fn open_beside(catalogue: Catalogue, settings: &Feed) -> Result<Parquet, SinkError> {
        Ok(Parquet::on(catalogue, store::open_beside(&settings.path).map_err(of_store)?, settings))
    }

    /// The same, with rows that are not to be kept forever: how they are merged depends on it.
    pub fn keeping(self, retention: &Retention) -> Parquet {
        Parquet { retention: retention.clone(), ..self }
    }

    /// The same, to be read as of one commit: the newest when it is read first.
    pub fn pinned(self) -> Parquet {
        Parquet { is_pinned: true, ..self }
    }

    fn place(&self) -> String {
        format!("Parquet feed `{}`", self.store.place())
    }

    /// The last object of `_progress/`, read only if it is not the one that we know.
    fn current(&mut self) -> Result<Option<(u64, Manifest)>, SinkError> {
        if self.is_pinned && self.known.is_some() {
            return Ok(self.known.clone());
        }
        let last = self.log.last()?;
        let is_newest = match &self.known {
            // It may not be listed yet; or the feed was removed, or put back as it was before.
            Some((number, _)) if last < *number => self.log.has(*number)?,
            Some((number, _)) => last == *number,
            None => false,
        };
        if !is_newest {
            self.known = self.log.newest()?;
        }
        Ok(self.known.clone())
    }

    /// Makes the next object of `_progress/`; `false` if somebody else did.
    fn publish(&mut self, number: u64, manifest: Manifest) -> Result<bool, SinkError> {
        // Should this fail, nobody knows what is there.
        self.known = None;
        let published = self.log.follow(number, &manifest)?;
        if published {
            self.known = Some((number + 1, manifest));
        }
        Ok(published)
    }

    /// Someone else's files are not ours to write between.
    fn check_empty(&self) -> Result<(), SinkError> {
        match self.store.list("").map_err(of_store)?.first() {
            Some(key) => Err(SinkError::Failed(format!(
                "{} holds something else (`{key}`), and was left as it is; name an empty place with `feed.path`",
                self.place()
            ))),
            None => Ok(()),
        }
    }

    /// What readers need in addition to rows.
    fn write_views(&self) -> Result<(), SinkError> {
        for id in self.catalogue.tables() {
            let table = id.table();
            let file = write::FileWriter::new(table).and_then(write::FileWriter::finish);
            let bytes = file.map_err(|error| merge::failed(table, &error))?;
            self.store.put(&names::empty(table), &bytes).map_err(of_store)?;
        }
        let sql = views::sql(self.catalogue, &address(&self.store.place()));
        self.store.put("views.sql", sql.as_bytes()).map_err(of_store)
    }

    /// The files of a commit, and what will be in the feed with them.
    fn write(&self, claim: &Claim, commit: &Commit, manifest: &Manifest) -> Result<Manifest, SinkError> {
        let mut next = Manifest {
            epoch: commit.epoch,
            watermark: commit.watermarks.least(),
            watermarks: Some(commit.watermarks.clone()),
            committed_at: commit.clock_ms,
            positions: commit.positions.clone(),
            ..manifest.clone()
        };
        self.sweeper.forget_swept(&mut next);
        let tables: BTreeSet<_> = commit.deltas.keys().chain(commit.appends.keys()).copied().collect();
        for id in tables {
            let table = id.table();
            if self.anew.contains(&id) {
                self.begin_anew(table, &mut next)?;
            }
            let run = self.run_of((claim, commit), id, (manifest, &mut next), "")?;
            next.tables.entry(table.name.to_owned()).or_default().extend(run);
        }
        for (id, piece) in &commit.pieces {
            piece.enter(*id, manifest.epoch, &mut next);
        }
        Ok(next)
    }

    /// The files of a table of a commit, their names with a mark after epoch and start.
    fn run_of(
        &self,
        (claim, commit): (&Claim, &Commit),
        id: TableId,
        (manifest, next): (&Manifest, &mut Manifest),
        mark: &str,
    ) -> Result<Option<Run>, SinkError> {
        let table = id.table();
        let deltas = commit.deltas.get(&id).map(Deltas::as_values).unwrap_or_default();
        next.lacks_somebody |=
            matches!(table.role, Role::Raw { .. }) && deltas.iter().any(|delta| matches!(delta, Delta::Delete(_)));
        let rows = commit.appends.get(&id).map_or(&[][..], Vec::as_slice);
        let changes = self.changes(id, (&deltas, rows), next)?;
        if changes.is_empty() {
            return Ok(None);
        }
        let folder = names::deltas_of(table, &instant::day(commit.clock_ms));
        let name = format!("{folder}{}{mark}", names::commit(commit.epoch, claim.generation));
        let mut run = RunWriter::new(&*self.store, id, name, self.settings.rows_per_file);
        let mut age = Age::begin(id, commit.clock_ms);
        for (values, deleted) in &changes {
            age.iter_mut().for_each(|age| age.see(id, values));
            let (epoch, generation) = (commit.epoch, claim.generation);
            run.push(values, Stamp { deleted: *deleted, epoch, generation, updated_at: commit.clock_ms })?;
        }
        Ok(Some(Run {
            after: manifest.epoch,
            to: commit.epoch,
            rows: changes.len() as u64,
            changes: table.kind() == Kind::Upsert || commit.deltas.get(&id).is_some_and(|deltas| !deltas.is_empty()),
            files: run.finish()?,
            age,
        }))
    }

    /// No file of a table is read any more. Those of its deltas are of another shape, and go when the grace is over.
    fn begin_anew(&self, table: &Table, next: &mut Manifest) -> Result<(), SinkError> {
        let since = next.committed_at;
        let mut paths: BTreeSet<_> = self.store.list(&names::deltas(table)).map_err(of_store)?.into_iter().collect();
        paths.remove(&names::empty(table));
        let runs = next.tables.remove(table.name).into_iter().flatten();
        paths.extend(runs.flat_map(|run| run.files).map(|file| file.path));
        let known: BTreeSet<_> = next.garbage.iter().map(|garbage| garbage.path.clone()).collect();
        next.garbage.extend(paths.difference(&known).map(|path| Garbage { path: path.clone(), since }));
        next.deltas_end_at(table.name, next.epoch);
        Ok(())
    }

    /// What a commit says of a table by its deltas and the rows that it adds, one row per key, sorted: with the row, or the key of one that is gone.
    fn changes<'a>(
        &self,
        id: TableId,
        (deltas, rows): (&'a [Delta], &'a [Vec<Value>]),
        next: &mut Manifest,
    ) -> Result<Vec<Change<'a>>, SinkError> {
        let key_columns = id.table().key_columns;
        let by_key = |a: &Change<'_>, b: &Change<'_>| a.0[..key_columns].cmp(&b.0[..key_columns]);
        let mut changes: Vec<Change<'_>> = deltas
            .iter()
            .map(|delta| match delta {
                Delta::Upsert(row) => (row.as_slice(), false),
                Delta::Delete(key) => (key.as_slice(), true),
            })
            .collect();
        if !changes.is_sorted_by(|a, b| by_key(a, b).is_le()) {
            changes.sort_by(by_key);
        }
        if rows.is_empty() && id.table().kind() == Kind::Upsert {
            return Ok(changes);
        }
        let mut added: Vec<Change<'_>> = rows.iter().map(|row| (row.as_slice(), false)).collect();
        if !added.is_sorted_by(|a, b| by_key(a, b).is_le()) {
            // Of equal keys the first stays the first, and is the one that counts.
            added.sort_by(by_key);
        }
        added.dedup_by(|later, first| by_key(first, later).is_eq());
        let mut known = self.known_among(id, &added, next)?;
        if changes.is_empty() {
            added.retain(|(row, _)| !known.contains(&row[..key_columns]));
            return Ok(added);
        }
        if id.table().kind() == Kind::Append {
            // What is upserted counts as added: later additions do not change it.
            let upserts: Vec<_> = changes.iter().copied().filter(|(_, gone)| !gone).collect();
            raise(id.table(), &upserts, next);
        }
        for (row, _) in changes.iter().filter(|(_, gone)| *gone) {
            known.remove(&row[..key_columns]);
        }
        added.retain(|(row, _)| !known.contains(&row[..key_columns]));
        // What is added after a deletion in the same commit is there; after an upsert it is there already.
        let upserted: BTreeSet<_> =
            changes.iter().filter(|(_, gone)| !gone).map(|(row, _)| &row[..key_columns]).collect();
        added.retain(|(row, _)| !upserted.contains(&row[..key_columns]));
        let again: BTreeSet<_> = added.iter().map(|(row, _)| &row[..key_columns]).collect();
        changes.retain(|(row, _)| !again.contains(&row[..key_columns]));
        changes.extend(added);
        changes.sort_by(by_key);
        Ok(changes)
    }

    /// The keys among rows to be added that the table has already, and puts them down as added.
    ///
    /// Offsets only grow: that none of a partition is as small as one of before is seen at once.
    fn known_among(
        &self,
        id: TableId,
        added: &[Change<'_>],
        next: &mut Manifest,
    ) -> Result<BTreeSet<Vec<Value>>, SinkError> {
        let (table, nothing) = (id.table(), BTreeMap::new());
        let largest = next.added.get(table.name).unwrap_or(&nothing);
        let mut doubtful = Vec::new();
        for group in partitions(table, added) {
            let before = largest.get(&partition(table, group)).copied();
            let may_be_there = |row: &[Value]| {
                let Value::Integer(offset) = row[table.key_columns - 1] else { return true };
                before.is_some_and(|before| offset <= before)
            };
            let small = group.iter().map(|(row, _)| *row).take_while(|row| may_be_there(row));
            doubtful.extend(small.map(|row| &row[..table.key_columns]));
        }
        raise(table, added, next);
        let mut found = BTreeSet::new();
        if doubtful.is_empty() {
            return Ok(found);
        }
        let doubtful: BTreeSet<_> = doubtful.into_iter().collect();
        let mut rows = Merge::new(&self.store, id, next.runs(id))?;
        while let Some(row) = rows.next()? {
            let key = &row.values[..table.key_columns];
            if !row.stamp.deleted && doubtful.contains(key) {
                found.insert(key.to_vec());
            }
        }
        Ok(found)
    }
}

impl Sink for Parquet {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        Ok(self.current()?.map(|(_, manifest)| manifest.progress()))
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        for _ in 0..RACES {
            let found = self.current()?;
            let progress = found.as_ref().map(|(_, manifest)| manifest.progress());
            if let (Some((_, manifest)), Some(wanted)) = (&found, wanted)
                && (&manifest.writer, &manifest.pipeline_id, manifest.generation)
                    == (&self.writer, &wanted.pipeline_id, wanted.generation)
            {
                // Ours, from an attempt that failed after it was done.
                self.write_views()?;
                return Ok(wanted.clone());
            }
            let claim = Claim::after(progress.as_ref(), wanted, &self.place())?;
            if found.is_none() {
                self.check_empty()?;
            }
            let (number, mut manifest) = found.unwrap_or_else(|| (0, Manifest::of_nothing(&claim)));
            (manifest.generation, manifest.writer) = (claim.generation, self.writer.clone());
            if manifest.epoch == 0 {
                manifest.made_by = made_by;
            }
            // A start that committed nothing has no files that anybody should read.
            manifest.starts.retain(|start| start.after < manifest.epoch);
            let (generation, after, since) = (claim.generation, manifest.epoch, manifest.committed_at);
            manifest.starts.push(Start { generation, after, since });
            if self.publish(number, manifest)? {
                self.write_views()?;
                self.log.tidy(number + 1)?;
                return Ok(claim);
            }
        }
        Err(SinkError::Unavailable(format!("{}: others claim it again and again; stop all but one", self.place())))
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let place = self.place();
        let this = (claim.generation, commit.epoch);
        for _ in 0..RACES {
            let found = self.current()?;
            let (number, manifest) = found.ok_or_else(|| SinkError::gone(&place, REMOVED))?;
            if let Err(error) = claim.stands(&manifest.pipeline_id, manifest.generation, &place) {
                if self.begun == Some(this)
                    && manifest.pipeline_id == claim.pipeline_id
                    && manifest.includes(claim.generation, commit.epoch)
                {
                    return Ok(());
                }
                return Err(error);
            }
            if manifest.epoch >= commit.epoch {
                self.begun = None;
                return Ok(());
            }
            if manifest.epoch != commit.follows {
                return Err(SinkError::elsewhere(&place, manifest.epoch, commit.follows));
            }
            if let Some((generation, epoch)) = self.begun
                && generation == claim.generation
                && epoch != commit.epoch
            {
                // Its files would be read as deltas of ours.
                let detail =
                    format!("the commit of epoch {epoch} has begun, and must be tried again before another one");
                return Err(SinkError::Failed(format!("{place}: {detail}")));
            }
            self.sweeper.sweep_others(claim.generation, &manifest, commit.clock_ms)?;
            self.begun = Some(this);
            let next = self.write(claim, commit, &manifest)?;
            if self.publish(number, next)? {
                self.anew.retain(|id| !commit.deltas.contains_key(id));
                self.begun = None;
                self.tend(claim);
                return Ok(());
            }
        }
        Err(SinkError::Unavailable(format!("{place}: others write `_progress/` again and again; stop all but one")))
    }

    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        self.drop_old(claim, purge)
    }

    fn commit_interval(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.settings.commit_interval.unsigned_abs()))
    }

    fn name(&self) -> String {
        self.place()
    }

    fn shard(&mut self, process: usize, processes: usize) -> Option<Box<dyn Shard>> {
        self.is_shared = true;
        let feed = Parquet::on(self.catalogue, Arc::clone(&self.store), &self.settings);
        Some(Box::new(pieces::Writer::new(feed.keeping(&self.retention), process, processes)))
    }
}

/// A row, or the key of one that is gone; and whether it is.
type Change<'a> = (&'a [Value], bool);

/// Sorted rows by all of their key but its last column.
fn partitions<'r, 'a>(table: &Table, rows: &'r [Change<'a>]) -> impl Iterator<Item = &'r [Change<'a>]> {
    let last_column = table.key_columns - 1;
    rows.chunk_by(move |(a, _), (b, _)| a[..last_column] == b[..last_column])
}

/// What the rows of a partition have in common, as text. Should two be called the same, more is looked up.
fn partition(table: &Table, group: &[Change<'_>]) -> String {
    let Some((row, _)) = group.first() else { return String::new() };
    let parts = row[..table.key_columns - 1].iter().map(|value| match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other @ (Value::Null
        | Value::Boolean(_)
        | Value::Instant(_)
        | Value::Cents(_)
        | Value::Milli(_)
        | Value::Share(_)
        | Value::Bytes(_)) => format!("{other:?}"),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Puts sorted rows down as added.
fn raise(table: &Table, rows: &[Change<'_>], next: &mut Manifest) {
    if rows.is_empty() {
        return;
    }
    let largest = next.added.entry(table.name.to_owned()).or_default();
    for group in partitions(table, rows) {
        if let Some(Value::Integer(to)) = group.last().map(|(row, _)| &row[table.key_columns - 1]) {
            let before = largest.entry(partition(table, group)).or_insert(*to);
            *before = *to.max(before);
        }
    }
}

/// Where a store is, for those who are elsewhere.
fn address(place: &str) -> String {
    match std::path::absolute(place) {
        Ok(path) if !place.contains("://") => path.display().to_string(),
        _ => place.to_owned(),
    }
}

impl Stored for Parquet {
    fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

    fn page(&mut self, table: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        let Some((number, manifest)) = self.current()? else { return Ok(Vec::new()) };
        let goes_on = |scan: &Scan| (scan.number, scan.table, scan.last.as_deref()) == (number, table, after);
        let mut scan = match self.scan.take().filter(goes_on) {
            Some(scan) => scan,
            None => Scan { number, table, last: None, rows: Merge::new(&self.store, table, manifest.runs(table))? },
        };
        let key_columns = table.table().key_columns;
        let mut page = Vec::new();
        while page.len() < limit {
            let Some(row) = scan.rows.next()? else { break };
            let comes_after = |after: &[Value]| &row.values[..after.len().min(key_columns)] > after;
            if !row.stamp.deleted && after.is_none_or(comes_after) {
                page.push(row.values);
            }
        }
        // A page that is not full is the last one.
        if page.len() == limit && limit > 0 {
            scan.last = page.last().map(|row| row[..key_columns].to_vec());
            self.scan = Some(scan);
        }
        Ok(page)
    }

    fn has_another_shape(&mut self, id: TableId) -> Result<bool, SinkError> {
        let table = id.table();
        // Rows that are only added may lack a column that came later.
        if table.kind() == Kind::Append {
            return Ok(false);
        }
        let Some((_, manifest)) = self.current()? else { return Ok(false) };
        // All its files are of one shape: it is made anew as a whole.
        let Some(file) = manifest.runs(id).iter().flat_map(|run| &run.files).next() else { return Ok(false) };
        let bytes = self.store.get(&file.path).map_err(of_store)?;
        let bytes = bytes.ok_or_else(|| SinkError::Failed(format!("{}: `{}` is missing", self.place(), file.path)))?;
        read::has_another_shape(table, bytes).map_err(|error| merge::failed(table, &error))
    }

    fn make_anew(&mut self, table: TableId) {
        self.anew.insert(table);
    }

    fn whole_since(&mut self, table: TableId) -> Result<Option<Instant>, SinkError> {
        Ok(self.current()?.and_then(|(_, manifest)| manifest.gone_before.get(table.name()).copied()))
    }

    fn lacks_somebody(&mut self) -> Result<bool, SinkError> {
        Ok(self.current()?.is_some_and(|(_, manifest)| manifest.lacks_somebody))
    }

    fn scrub(&mut self, claim: &Claim, was: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        self.scrub_files(claim, was)
    }
}
