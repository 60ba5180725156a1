//! A user is forgotten: in the state, in every sink, and then in what is kept of the state of before.
//!
//! It is an epoch of its own, in which nothing is read: journaled, with a snapshot after it in which the user's
//! records are nobody's ([`dataflows::state::Forgets`]), and committed to every sink as deletions. So no sink is ever ahead
//! of the journal, and whatever is broken off is made whole by the next start, or by asking again.

//!
//! Raw rows stay, as those of nobody, so that what is computed of many users is still what its SQL says. Until every sink
//! has it, it stands in the state who was begun to be forgotten, and as which nobody: asked again, raw rows that are nobody's
//! already and those that are not become one nobody's.

mod named;
mod payloads;
mod sought;

pub use named::{Named, Touched};
pub use payloads::Payloads;
pub use sought::{Sought, sought};

use crate::at_rest::{ended_in_order, pieces, write_down};
use crate::recovery::{self, Restoring, StartError};
use crate::sink::{Claim, Commit, Fence, SinkError, Warehouse};
use crate::state_dir::obstacle::{Obstacle, Unrest};
use crate::state_dir::snapshot::Manifest;
use crate::state_dir::{Begun, Generation, StateDir, StateError};
use dataflows::deltas::Deltas;
use dataflows::family::Catalogue;
use dataflows::persons::Renaming;
use dataflows::state::Section;
use dataflows::table::{Role, TableId};
use dataflows::{Instant, Time};
use std::collections::BTreeMap;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The epoch in which it was.
    pub epoch: Time,
    /// The start under which it was.
    pub generation: u64,
    /// How many records of the state are nobody's now, or gone.
    pub records: u64,
    /// By sink: how many rows of each table were changed.
    pub rows: Vec<(String, BTreeMap<TableId, Touched>)>,
    /// What is beyond our reach, a sentence each.
    pub left: Vec<String>,
    /// How many records that are kept as they came could not be read, in the sink that has the most of them.
    pub unread: u64,
}

/// Forgets a user. The last run must have ended in order, and every sink have what it had.
///
/// # Errors
/// If a run did not end in order, or the state or a sink cannot be read or written.
pub fn forget(
    catalogue: Catalogue,
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    named: &Named<'_>,
    now_ms: Instant,
    threads: usize,
) -> Result<Forgotten, StartError> {
    let before = ended_in_order(dir, sinks)?;
    refuse_changed(catalogue, dir, sinks)?;
    let facts = Generation {
        nonce: uuid::Uuid::new_v4().to_string(),
        started_at: crate::instant::show(now_ms),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        rebuilt_after: None,
        // The last start may be one that was refused, for other settings.
        fingerprint: before.fingerprint.clone(),
        ..dir.generation(before.generation)?
    };
    let start = recovery::start(catalogue, dir, sinks, &facts, &BTreeMap::new(), Restoring::left())?;
    // Now nobody else writes; until now somebody may have.
    if start.resume.epoch != before.epoch || !start.resume.replay.is_empty() || ended_in_order(dir, sinks)? != before {
        return Err(dir.refused(Obstacle::NotAtRest(Unrest::UnderWay)).into());
    }
    let generation = start.generation;
    let state = || pieces(catalogue, dir, &before, threads);
    let manifest = Manifest {
        epoch: before.epoch + 2,
        generation,
        clock_ms: now_ms.max(before.clock_ms),
        parts: Vec::new(),
        ..before.clone()
    };
    let mut renamings = begin(dir, state, named)?;
    if let Some(first) = sinks.first_mut() {
        named.prints(&mut **first, &mut renamings)?;
    }
    let mut records = 0;
    let as_nobodys = state().map(|piece| {
        let mut piece = piece?;
        records += in_state(catalogue, &mut piece, named, &renamings).map_err(|why| dir.refused(why))?;
        Ok(piece)
    });
    write_down(dir, as_nobodys, manifest.clone(), (before.epoch, start.resume.journaled_by))?;
    let mut forgotten = Forgotten { epoch: manifest.epoch, generation, records, ..Forgotten::default() };
    in_sinks(sinks, &start.claims, (named, &renamings), manifest.clock_ms, &mut forgotten)?;
    // Only now: until every sink is there, one that is not may be brought there from what was before.
    dir.forget_snapshots(manifest.epoch, generation)?;
    dir.forget_journal(manifest.epoch)?;
    dir.forget_generations(generation)?;
    let others = dir.begun()?.into_iter().filter(|begun| !named.sought().iter().any(|sought| is_of(begun, sought)));
    dir.note_begun(&others.collect::<Vec<_>>())?;
    Ok(forgotten)
}

/// What stands in a sink in another shape cannot be looked through: rows of the user may be among it.
fn refuse_changed(catalogue: Catalogue, dir: &StateDir, sinks: &mut [Box<dyn Warehouse>]) -> Result<(), StartError> {
    for sink in sinks {
        for table in catalogue.tables() {
            // Columns that somebody added are in nobody's way.
            if sink.has_another_shape(*table)? && sink.page(*table, None, 1).is_err() {
                let tables = format!("`{}`", table.name());
                return Err(dir.refused(Obstacle::ChangedMeanwhile { tables }).into());
            }
        }
    }
    Ok(())
}

fn is_of(begun: &Begun, Sought { family, person }: &Sought) -> bool {
    begun.family == family.name() && begun.person == *person
}

/// Who becomes which nobody, put down before anything is changed. Who the person was cannot be told from nobody.
fn begin<State>(dir: &StateDir, state: impl Fn() -> State, named: &Named<'_>) -> Result<Vec<Renaming>, StateError>
where
    State: Iterator<Item = Result<Vec<Section>, StateError>>,
{
    let mut all = dir.begun()?;
    let mut renamings = renamings(named);
    for (sought, renaming) in named.sought().iter().zip(&mut renamings) {
        match all.iter_mut().find(|begun| is_of(begun, sought)) {
            Some(begun) if begun.deletes_raw != named.deletes_raw => {
                return Err(dir.refused(Obstacle::ForgettingOtherwise { deletes_raw: begun.deletes_raw }));
            }
            Some(begun) => {
                let before = Renaming::new(begun.nobody.clone(), renaming.nobody.clone());
                let mut records = 0;
                for piece in state() {
                    records += in_family(&mut piece?, sought, &before).map_err(|why| dir.refused(why))?;
                }
                if records == 0 {
                    // The state went on from what was before: with somebody who is nobody already in some sink.
                    renaming.nobody = begun.nobody.clone();
                } else {
                    begun.nobody = renaming.nobody.clone();
                }
            }
            None => all.push(Begun {
                family: sought.family.name().to_owned(),
                person: sought.person.clone(),
                nobody: renaming.nobody.clone(),
                deletes_raw: named.deletes_raw,
            }),
        }
    }
    dir.note_begun(&all)?;
    Ok(renamings)
}

/// Another nobody for each.
fn renamings(named: &Named<'_>) -> Vec<Renaming> {
    let renaming = |Sought { person, .. }: &Sought| Renaming::new(person.clone(), person.nobody(rand::random()));
    named.sought().iter().map(renaming).collect()
}

/// Makes a user's records those of nobody; tells how many. Of what no operator of this program reads nobody can tell
/// whom it names.
fn in_state(
    catalogue: Catalogue,
    state: &mut [Section],
    named: &Named<'_>,
    renamings: &[Renaming],
) -> Result<u64, Obstacle> {
    if let Some(section) = state.iter().find(|section| catalogue.kept(&section.name).is_none()) {
        let (name, records) = (section.name.clone(), section.records);
        return Err(Obstacle::KeptByNobody { name, records });
    }
    let in_each = named.sought().iter().zip(renamings);
    in_each.map(|(sought, renaming)| in_family(state, sought, renaming)).sum()
}

/// The same of the records of one family.
fn in_family(state: &mut [Section], Sought { family, .. }: &Sought, renaming: &Renaming) -> Result<u64, Obstacle> {
    let (kept, mut records) = (family.kept(), 0);
    for section in state {
        if let Some(kept) = kept.iter().find(|kept| kept.name() == section.name) {
            records += kept.forget(section, renaming).map_err(Obstacle::Unreadable)?;
        }
    }
    Ok(records)
}

/// Forgets a user where no state is kept: what made the rows can make them again.
///
/// # Errors
/// If a sink cannot be claimed, read or written.
pub fn forget_in_sinks(
    sinks: &mut [Box<dyn Warehouse>],
    named: &Named<'_>,
    now_ms: Instant,
) -> Result<Forgotten, SinkError> {
    let (mut forgotten, mut claims, mut clock_ms) = (Forgotten::default(), Vec::<Claim>::new(), now_ms);
    for sink in &mut *sinks {
        let progress = sink.position()?.ok_or_else(|| nothing_there(&**sink))?;
        let claim = sink.claim(progress.made_by, claims.first())?;
        forgotten.generation = claim.generation;
        forgotten.epoch = forgotten.epoch.max(progress.epoch + 2);
        clock_ms = clock_ms.max(progress.committed_at);
        claims.push(claim);
    }
    in_sinks(sinks, &claims, (named, &renamings(named)), clock_ms, &mut forgotten)?;
    Ok(forgotten)
}

/// Whom, and which nobody each becomes.
type AsNobody<'a> = (&'a Named<'a>, &'a [Renaming]);

/// Changes the rows in all sinks before anything is written again in one: if that fails, all are at one epoch, and it
/// can be asked again at once.
fn in_sinks(
    sinks: &mut [Box<dyn Warehouse>],
    claims: &[Claim],
    (named, renamings): AsNobody<'_>,
    clock_ms: Instant,
    forgotten: &mut Forgotten,
) -> Result<(), SinkError> {
    for (sink, claim) in sinks.iter_mut().zip(claims) {
        in_sink(&mut **sink, claim, (named, renamings), clock_ms, forgotten)?;
    }
    for (sink, claim) in sinks.iter_mut().zip(claims) {
        forgotten.left.extend(sink.scrub(claim, &|table, row| named.names(table, row))?);
    }
    Ok(())
}

/// Deletes the rows that name the user or makes them nobody's, in one commit.
fn in_sink(
    sink: &mut dyn Warehouse,
    claim: &Claim,
    (named, renamings): AsNobody<'_>,
    clock_ms: Instant,
    forgotten: &mut Forgotten,
) -> Result<(), SinkError> {
    let progress = sink.position()?.ok_or_else(|| nothing_there(sink))?;
    if progress.epoch >= forgotten.epoch {
        // A commit of an epoch that is there already would change nothing.
        return Err(SinkError::Fenced { sink: sink.name(), by: Fence::Written });
    }
    let (mut deltas, unread) = (BTreeMap::new(), named.payloads.unread());
    let tables = sink.catalogue().tables().iter().copied();
    let (told_by_raw, others): (Vec<TableId>, Vec<TableId>) =
        tables.partition(|id| matches!(id.table().role, Role::Late { .. }));
    for id in others.into_iter().chain(told_by_raw) {
        let changed = named.changes(sink, id, renamings)?;
        if !changed.is_empty() {
            deltas.insert(id, Deltas::from(changed));
        }
    }
    forgotten.unread = forgotten.unread.max(named.payloads.unread() - unread);
    forgotten.rows.push((sink.name(), deltas.iter().map(|(id, changed)| (*id, touched(changed))).collect()));
    let commit = Commit {
        follows: progress.epoch,
        epoch: forgotten.epoch,
        clock_ms,
        watermarks: progress.watermarks,
        positions: progress.positions,
        deltas,
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    sink.apply(claim, &commit)
}

fn touched(changed: &Deltas) -> Touched {
    let (renamed, removed) = changed.counts();
    Touched { renamed: renamed as u64, removed: removed as u64 }
}

fn nothing_there(sink: &dyn Warehouse) -> SinkError {
    SinkError::Failed(format!("{}: nobody has committed there yet; leave it out, or fill it first", sink.name()))
}
