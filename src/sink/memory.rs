//! A sink in memory: a map per table and the log of commits. For tests, and as sharp as the others:
//! it fences, checks that commits follow each other, and can fail on request.

mod rows;

use super::purge::{Purge, Purged};
use super::{Claim, Commit, MadeBy, Progress, RowOf, Sink, SinkError, Stored};
use crate::lanes::Watermarks;
use dataflows::Instant;
use dataflows::delta::Delta;
use dataflows::deltas::Change;
use dataflows::family::Catalogue;
use dataflows::table::{TableId, Type, Value};
use parking_lot::{Mutex, MutexGuard};
use rows::Rows;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The names and types of a table's columns, and how many of them are its key.
pub type Shape = (Vec<(&'static str, Type)>, usize);

fn shape(table: TableId) -> Shape {
    let table = table.table();
    (table.columns.iter().map(|column| (column.name, column.ty)).collect(), table.key_columns)
}

/// What the sink holds.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// How far it has come.
    pub progress: Option<Progress>,
    /// The rows of each.
    pub tables: BTreeMap<TableId, Rows>,
    /// The columns and the key that the rows of each were written with.
    pub shapes: BTreeMap<TableId, Shape>,
    /// Tables of which the next commit has all rows.
    pub anew: BTreeSet<TableId>,
    /// From when on tables are whole of which rows were removed, because they were old.
    pub purged: BTreeMap<TableId, Instant>,
    /// Every commit applied, in order; not kept where [`Memory::without_log`] made it so.
    pub log: Vec<Commit>,
    /// Errors to answer the next calls of `apply` with.
    pub failures: VecDeque<Failure>,
}

/// How a call of `apply` is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is applied; it may be tried again.
    Away,
    /// Everything is applied, but the answer is lost.
    AnswerLost,
    /// Nothing is applied and never will be.
    Broken,
}

impl Contents {
    /// The rows of a table, in the order of their keys.
    pub fn rows(&self, table: TableId) -> Vec<Vec<Value>> {
        self.tables.get(&table).map(|rows| rows.iter().collect()).unwrap_or_default()
    }

    fn has_another_shape(&self, table: TableId) -> bool {
        self.shapes.get(&table).is_some_and(|before| *before != shape(table))
    }

    /// Writes the rows of a commit into the tables: one of another shape is made anew.
    pub fn write(&mut self, commit: &Commit) {
        for (table, deltas) in &commit.deltas {
            let (rows, key_columns) = (self.tables.entry(*table).or_default(), table.table().key_columns);
            let before = self.shapes.insert(*table, shape(*table));
            if before.is_some_and(|before| before != self.shapes[table]) {
                *rows = Rows::default();
            }
            for change in deltas.changes() {
                match change {
                    Change::Values(Delta::Upsert(row)) => rows.put(row, key_columns),
                    Change::Values(Delta::Delete(key)) => drop(rows.remove(key)),
                    Change::Packed(row) => rows.change(&row),
                }
            }
        }
        for (table, added) in &commit.appends {
            let rows = self.tables.entry(*table).or_default();
            added.iter().for_each(|row| rows.add(row, table.table().key_columns));
        }
    }

    /// Whether a claim is the last one.
    fn check(&self, claim: &Claim) -> Result<&Progress, SinkError> {
        let nobody = || SinkError::Failed("nobody has claimed the sink".to_owned());
        let progress = self.progress.as_ref().ok_or_else(nobody)?;
        claim.stands(&progress.pipeline_id, progress.generation, "the sink").map(|()| progress)
    }
}

/// The sink. Clones share their contents.
#[derive(Clone)]
pub struct Memory {
    catalogue: Catalogue,
    contents: Arc<Mutex<Contents>>,
    without_log: bool,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::of(crate::families::all())
    }
}

impl Memory {
    /// A sink of these tables.
    pub fn of(catalogue: Catalogue) -> Memory {
        Memory { catalogue, contents: Arc::default(), without_log: false }
    }

    /// The same contents, as a sink of these tables.
    pub fn with(&self, catalogue: Catalogue) -> Memory {
        Memory { catalogue, ..self.clone() }
    }

    /// A sink that keeps the tables alone.
    pub fn without_log() -> Memory {
        Memory { without_log: true, ..Memory::default() }
    }

    /// What it holds now.
    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock()
    }
}

impl Sink for Memory {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        Ok(self.contents().progress.clone())
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        let mut contents = self.contents();
        let claim = Claim::after(contents.progress.as_ref(), wanted, "memory")?;
        let progress = contents.progress.get_or_insert_with(|| Progress {
            pipeline_id: claim.pipeline_id.clone(),
            generation: 0,
            made_by,
            epoch: 0,
            positions: BTreeMap::new(),
            watermarks: Watermarks::NONE,
            committed_at: 0,
        });
        progress.generation = claim.generation;
        if progress.epoch == 0 {
            progress.made_by = made_by;
        }
        Ok(claim)
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let mut contents = self.contents();
        let failure = contents.failures.pop_front();
        match failure {
            Some(Failure::Away) => return Err(SinkError::Unavailable("the sink is unavailable".to_owned())),
            Some(Failure::Broken) => return Err(SinkError::Failed("the sink is broken".to_owned())),
            Some(Failure::AnswerLost) | None => {}
        }
        let progress = contents.check(claim)?.clone();
        if progress.epoch < commit.epoch {
            if progress.epoch != commit.follows {
                return Err(SinkError::elsewhere("memory", progress.epoch, commit.follows));
            }
            if let Some(table) =
                commit.deltas.keys().find(|table| contents.has_another_shape(**table) && !contents.anew.contains(table))
            {
                return Err(SinkError::Failed(format!("`{}` has other columns or another key", table.name())));
            }
            contents.anew.retain(|table| !commit.deltas.contains_key(table));
            contents.write(commit);
            if !self.without_log {
                contents.log.push(commit.clone());
            }
            contents.progress = Some(Progress {
                epoch: commit.epoch,
                positions: commit.positions.clone(),
                watermarks: commit.watermarks.clone(),
                committed_at: commit.clock_ms,
                ..progress
            });
        }
        match failure {
            Some(Failure::AnswerLost) => Err(SinkError::Unavailable("the answer was lost".to_owned())),
            _ => Ok(()),
        }
    }

    fn takes_clean(&self) -> bool {
        true
    }

    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        let mut contents = self.contents();
        contents.check(claim)?;
        let mut removed = 0;
        for (id, before) in &purge.before {
            let Contents { tables, purged, .. } = &mut *contents;
            let (Some((age, _)), Some(rows)) = (id.table().age(), tables.get_mut(id)) else { continue };
            let is_old = |row: &Vec<Value>| matches!(row[age], Value::Instant(at) if at < *before);
            let old: Vec<_> = rows.iter().filter(is_old).collect();
            if !old.is_empty() {
                let known = purged.entry(*id).or_insert(*before);
                *known = (*known).max(*before);
            }
            removed += old.iter().filter(|row| rows.remove(&row[..id.table().key_columns])).count() as u64;
        }
        Ok(Purged { rows: removed, is_done: true })
    }
}

impl Stored for Memory {
    fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

    fn page(&mut self, table: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        let contents = self.contents();
        let Some(rows) = contents.tables.get(&table) else { return Ok(Vec::new()) };
        Ok(rows.after(after).take(limit).collect())
    }

    fn finds_rows(&self) -> bool {
        true
    }

    fn row(&mut self, table: TableId, key: &[Value]) -> Result<Option<Vec<Value>>, SinkError> {
        Ok(self.contents().tables.get(&table).and_then(|rows| rows.get(key)))
    }

    fn whole_since(&mut self, table: TableId) -> Result<Option<Instant>, SinkError> {
        Ok(self.contents().purged.get(&table).copied())
    }

    fn has_another_shape(&mut self, table: TableId) -> Result<bool, SinkError> {
        Ok(self.contents().has_another_shape(table))
    }

    fn make_anew(&mut self, table: TableId) {
        self.contents().anew.insert(table);
    }

    fn scrub(&mut self, _: &Claim, _: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        Ok(Vec::new())
    }
}
