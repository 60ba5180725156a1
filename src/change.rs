//! Tables that are new or mean something else are computed of the raw rows, at rest, and nothing else is.
//!
//! **The order.** A start that finds such tables first ends what the last run began, *without them*: what it replays is the
//! others', and the snapshot after it has nothing of those. Then, at rest, the raw rows are [folded](fold) through their
//! dataflow alone; what comes out must be what their SQL says of the same rows; an epoch in which nothing is read is
//! journaled, with a snapshot after it that has them; and each sink is given what differs from what *it* holds, in one
//! commit. Broken off anywhere, the next start finds the same tables again: the snapshot that has them counts only once
//! every sink is behind it.

pub mod fold;
pub mod raw;
mod said;

use crate::at_rest::{ended_in_order, pieces, write_down};
use crate::engine::Lane;
use crate::fingerprint;
use crate::reconcile::{Differ, differences};
use crate::recovery::{self, Restoring, StartError};
use crate::sink::memory::Memory;
use crate::sink::{Commit, Warehouse};
use crate::state_dir::obstacle::{Obstacle, Unrest};
use crate::state_dir::snapshot::Manifest;
use crate::state_dir::{Generation, StateDir, StateError};
use dataflows::delta::Delta;
use dataflows::family::{Catalogue, Configured};
use dataflows::state::Section;
use dataflows::table::{TableId, Tables};
use dataflows::{Instant, Settings, Time};
use raw::Told;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub table: TableId,
    /// How many raw rows were read for those of its family.
    pub read: u64,
    /// What the raw rows told of it.
    pub told: Told,
    /// How many rows it has now.
    pub rows: usize,
    /// Sink by sink.
    pub written: Vec<Written>,
}

/// What a sink was given of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What operators know it by.
    pub sink: String,
    /// How many rows were written.
    pub rows: usize,
    /// How many were deleted.
    pub deleted: usize,
    /// It had other columns or another key.
    pub is_anew: bool,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The epoch in which it was.
    pub epoch: Time,
    /// Table by table.
    pub tables: Vec<Changed>,
}

/// What must be done before a run can go on.
pub enum Due {
    /// Nothing.
    Nothing,
    /// The last run must be ended, and that without the tables that changed: by these lanes, and with what they mean.
    TheLastRun(Vec<Lane>, BTreeMap<String, String>),
    /// These tables must be computed.
    Tables(BTreeSet<TableId>),
}

/// What must be done before a run of these lanes can go on; the last run is to be ended without removing anything that is
/// old. `meaning` says what tables mean that some lanes keep. Nothing is claimed or written.
///
/// # Errors
/// If going on would lose or double something, whatever is done before; or the state or a sink cannot be read.
pub fn due(
    (catalogue, dir): (Catalogue, &StateDir),
    sinks: &mut [Box<dyn Warehouse>],
    (lanes, gone): (&[Lane], Gone),
    (facts, identities): (&Generation, &BTreeMap<String, String>),
    meaning: &dyn Fn(&[Lane]) -> BTreeMap<String, String>,
) -> Result<Due, StartError> {
    let changed = recovery::changed(catalogue, dir, sinks, (facts, identities))?;
    if changed.is_empty() {
        return Ok(Due::Nothing);
    }
    for lane in lanes {
        let metrics = lane.family.family().metrics().into_iter().map(|(id, _)| id);
        let own: BTreeSet<_> = metrics.filter(|id| changed.contains(id)).collect();
        let Some(first) = sinks.first_mut().filter(|_| !own.is_empty()) else { continue };
        // What cannot be done is said before anything is given up.
        let told = raw::told(dir, &mut **first, (catalogue, &*lane.family), &own, gone)?;
        raw::refuse_loss(dir, sinks, catalogue, &told, gone)?;
    }
    refuse_shapes(dir, sinks, &changed)?;
    let is_without = |lane: &Lane| Lane { family: keeping(&*lane.family, |id| !changed.contains(&id)), ..lane.clone() };
    let without: Vec<_> = lanes.iter().map(is_without).collect();
    let prints = meaning(&without);
    match ended_in_order(dir, sinks) {
        Ok(manifest) if manifest.fingerprint == prints => Ok(Due::Tables(changed)),
        Ok(_) | Err(StartError::State(StateError::Refused { why: Obstacle::NotAtRest(_), .. })) => {
            Ok(Due::TheLastRun(without, prints))
        }
        Err(other) => Err(other),
    }
}

/// Refuses tables of another shape than in the first sink, if another sink has them and cannot make them anew.
fn refuse_shapes(
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    changed: &BTreeSet<TableId>,
) -> Result<(), StartError> {
    let Some((first, others)) = sinks.split_first_mut() else { return Ok(()) };
    for table in changed {
        let of_another_shape = first.has_another_shape(*table)?;
        for sink in others.iter_mut().filter(|sink| of_another_shape && !sink.makes_anew()) {
            if sink.position()?.is_some_and(|found| found.epoch > 0) {
                let (table, sink) = (table.name(), sink.name());
                return Err(dir.refused(Obstacle::AnotherShape { table, sink }).into());
            }
        }
    }
    Ok(())
}

/// The lanes, with tables that are whole from an instant on, as prints say.
pub fn since(mut lanes: Vec<Lane>, prints: &BTreeMap<String, String>) -> Vec<Lane> {
    for lane in &mut lanes {
        let since = fingerprint::since(prints, lane.family.family());
        lane.family = lane.family.with(Settings { since, ..lane.family.lane().clone() });
    }
    lanes
}

/// A family of whose tables those are kept that were kept, and of which something is true.
fn keeping(family: &dyn Configured, is_meant: impl Fn(TableId) -> bool) -> Arc<dyn Configured> {
    let metrics = family.family().metrics();
    let kept = metrics.into_iter().map(|(id, _)| id).filter(|id| family.lane().tables.contains(*id) && is_meant(*id));
    let tables: Tables = kept.collect();
    family.with(Settings { tables, ..family.lane().clone() })
}

/// What a change is of.
pub struct Asked<'a> {
    /// All tables.
    pub catalogue: Catalogue,
    /// The families, with all tables that are kept.
    pub lanes: &'a [Lane],
    /// The tables that are computed.
    pub tables: &'a BTreeSet<TableId>,
    /// The facts of the start.
    pub facts: &'a Generation,
    /// What tables mean that some lanes keep.
    pub meaning: &'a dyn Fn(&[Lane]) -> BTreeMap<String, String>,
    /// What is done where old raw rows were removed.
    pub gone: Gone,
    /// Set, it ends before anything is written.
    pub stop: &'a AtomicBool,
    /// The clock.
    pub now_ms: Instant,
    /// So many threads read a snapshot.
    pub threads: usize,
}

/// What is done where old raw rows were removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gone {
    /// A table whose key has no time is computed of what is kept.
    pub since_kept: bool,
    /// Rows of before stay, though nobody can compute them any more.
    pub keep_old: bool,
    /// They are deleted. Neither said, what would delete any is refused.
    pub delete_old: bool,
}

/// Computes tables of the raw rows that the first sink holds, and gives them to all sinks. The last run must have ended in
/// order, without them. Tells nothing if it was stopped.
///
/// # Errors
/// If that is not so; if what was computed is not what the SQL says; if the state or a sink cannot be read or written.
pub fn publish(
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    asked: &Asked<'_>,
) -> Result<Option<Done>, StartError> {
    let Asked { catalogue, lanes, tables, facts, now_ms, threads, meaning, gone, stop } = *asked;
    let before = ended_in_order(dir, sinks)?;
    // Until it is done, the state is that of a run without them.
    let of_start = Generation { fingerprint: before.fingerprint.clone(), ..facts.clone() };
    let start = recovery::start(catalogue, dir, sinks, &of_start, &BTreeMap::new(), Restoring::left())?;
    // Now nobody else writes; until now somebody may have.
    if start.resume.epoch != before.epoch || !start.resume.replay.is_empty() || ended_in_order(dir, sinks)? != before {
        return Err(dir.refused(Obstacle::NotAtRest(Unrest::UnderWay)).into());
    }
    let mut done = Done { epoch: before.epoch + 2, ..Done::default() };
    let (mut added, desired, mut lanes) = (Vec::new(), Memory::of(catalogue), lanes.to_vec());
    for lane in &mut lanes {
        let metrics = lane.family.family().metrics().into_iter().map(|(id, _)| id);
        let own: BTreeSet<_> = metrics.filter(|id| tables.contains(id)).collect();
        let Some(first) = sinks.first_mut().filter(|_| !own.is_empty()) else { continue };
        let mut since = lane.family.lane().since.clone();
        since.retain(|id, _| !own.contains(id));
        let told = raw::told(dir, &mut **first, (catalogue, &*lane.family), &own, gone)?;
        since.extend(told.iter().filter_map(|(table, told)| match told {
            Told::Since(at) => Some((*table, *at)),
            Told::Whole | Told::Kept => None,
        }));
        lane.family = lane.family.with(Settings { since, ..lane.family.lane().clone() });
        let folded = raw::fold(dir, &mut **first, (catalogue, &*lane.family, &own), &before, stop)?;
        let Some((folded, read)) = folded else { return Ok(None) };
        let merged = merge(&mut added, folded.state, &*lane.family, &own);
        merged.map_err(|why| dir.refused(Obstacle::Unreadable(why)))?;
        let mut contents = desired.contents();
        for table in own {
            let (rows, into) = (folded.rows.get(&table), contents.tables.entry(table).or_default());
            rows.into_iter().flatten().for_each(|(_, row)| into.put(row, table.table().key_columns));
            done.tables.push(Changed { table, read, told: told[&table], rows: into.len(), written: Vec::new() });
        }
    }
    let manifest = Manifest {
        epoch: done.epoch,
        generation: start.generation,
        clock_ms: now_ms.max(before.clock_ms),
        parts: Vec::new(),
        fingerprint: meaning(&lanes),
        ..before.clone()
    };
    let clock_ms = manifest.clock_ms;
    let state = pieces(catalogue, dir, &before, threads).chain([Ok(added)]);
    write_down(dir, state, manifest, (before.epoch, start.resume.journaled_by))?;
    for (sink, claim) in sinks.iter_mut().zip(&start.claims) {
        let progress = sink.position()?.ok_or_else(|| dir.refused(Obstacle::NotAtRest(Unrest::NotEnded)))?;
        let (mut wanted, mut deltas) = (desired.clone(), BTreeMap::new());
        let tables = if sink.keeps_rows() { &mut done.tables[..] } else { &mut [] };
        for changed in tables {
            let table = changed.table;
            let is_anew = sink.has_another_shape(table)?;
            if is_anew {
                sink.make_anew(table);
            }
            let mut differing = differences(&mut wanted, &mut **sink, table, Differ::InAnything)?;
            if gone.keep_old {
                differing.retain(|delta| match delta {
                    Delta::Delete(key) => !raw::is_of_before(key, catalogue, table, changed.told),
                    Delta::Upsert(_) => true,
                });
            }
            let deleted = differing.iter().filter(|delta| matches!(delta, Delta::Delete(_))).count();
            changed.written.push(Written { sink: sink.name(), rows: differing.len() - deleted, deleted, is_anew });
            // Of a table of another shape the sink makes a new one, of whatever rows.
            deltas.insert(table, differing.into());
        }
        let commit = Commit {
            follows: progress.epoch,
            epoch: done.epoch,
            clock_ms,
            watermarks: progress.watermarks,
            positions: progress.positions,
            deltas,
            appends: BTreeMap::new(),
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        };
        sink.apply(claim, &commit)?;
    }
    // Only now: until every sink is there, one that is not is brought there from what was before.
    dir.forget_snapshots(done.epoch, start.generation)?;
    Ok(Some(done))
}

/// Adds what is held of changed tables beside what is held of others. What several tables read is held already, if one of
/// the others reads it.
fn merge(
    added: &mut Vec<Section>,
    folded: Vec<Section>,
    family: &dyn Configured,
    changed: &BTreeSet<TableId>,
) -> Result<(), String> {
    let others = fold::names(&*keeping(family, |id| !changed.contains(&id)));
    let side_by_side = family.family().kept_side_by_side();
    let is_new = |section: &Section| side_by_side.contains(&&*section.name) || !others.contains(&&*section.name);
    let is_other = |id| !changed.contains(&id) && family.lane().tables.contains(id);
    for section in folded.iter().filter(|section| is_new(section)) {
        let own = family.family().without_those_of(section, &is_other)?;
        added.extend((own.records > 0).then_some(own));
    }
    Ok(())
}
