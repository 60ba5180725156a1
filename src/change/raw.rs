//! The raw rows that tables are computed of.

use super::fold::{Fold, Folded};
use super::said::{self, Said};
use super::{Gone, keeping};
use crate::instant::show;
use crate::recovery::StartError;
use crate::sink::Warehouse;
use crate::specification;
use crate::state_dir::StateDir;
use crate::state_dir::obstacle::Obstacle;
use crate::state_dir::snapshot::Manifest;
use dataflows::family::{Catalogue, Configured};
use dataflows::raw::LATE_EVENTS;
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Acquire};

/// How many rows are read at a time.
const PAGE: usize = 4096;

/// What raw rows tell of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Everything.
    Whole,
    /// Groups that begin then or later.
    Since(Instant),
    /// What is kept: its key has no time.
    Kept,
}

/// What the raw rows of a family tell of some of its tables.
///
/// # Errors
/// If rows are gone that a table would need.
pub fn told(
    dir: &StateDir,
    raw: &mut dyn Warehouse,
    (catalogue, family): (Catalogue, &dyn Configured),
    tables: &BTreeSet<TableId>,
    gone: Gone,
) -> Result<BTreeMap<TableId, Told>, StartError> {
    let refused = |table: &TableId, why: String, way| {
        let table = table.name();
        StartError::from(dir.refused(Obstacle::RawIsGone { table, why, way }))
    };
    let lacks_somebody = raw.lacks_somebody()?;
    let late = raw.whole_since(LATE_EVENTS)?;
    let mut all = BTreeMap::new();
    for table in tables {
        if !family.lane().raw {
            return Err(refused(table, "raw rows are not kept (setting `raw`)".to_owned(), ""));
        }
        if lacks_somebody {
            return Err(refused(table, "those of users who were forgotten were deleted".to_owned(), ""));
        }
        let read = specification::reads(catalogue, *table);
        let mut whole = late;
        for id in family.family().raw().into_iter().filter(|id| read.contains(id.name())) {
            whole = whole.max(raw.whole_since(id)?);
        }
        let told = match whole {
            None => Told::Whole,
            Some(at) if !family.family().windows(*table).is_empty() => Told::Since(at),
            Some(_) if gone.since_kept => Told::Kept,
            Some(at) => {
                let why =
                    format!("those from before {} were removed (`[retention]`), and its key has no time", show(at));
                return Err(refused(table, why, ", or have it count what is kept (`--since-kept`)"));
            }
        };
        all.insert(*table, told);
    }
    Ok(all)
}

/// Whether a row of this key is of a time of which raw rows are gone.
pub fn is_of_before(key: &[Value], catalogue: Catalogue, table: TableId, told: Told) -> bool {
    let since = match told {
        Told::Whole => return false,
        Told::Kept => return true,
        Told::Since(since) => since,
    };
    let windows = catalogue.family_of(table).map(|family| family.windows(table)).unwrap_or_default();
    let starts = windows.into_iter().filter_map(|(place, before_ms)| match key.get(place) {
        Some(Value::Instant(start)) => Some(start.saturating_sub(before_ms)),
        _ => None,
    });
    starts.max().is_none_or(|start| start < since)
}

/// Refuses what would delete rows that nobody can compute again, if nobody said so.
///
/// # Errors
/// If there are such rows; or if they are to be kept in a table that is made anew.
pub fn refuse_loss(
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    catalogue: Catalogue,
    told: &BTreeMap<TableId, Told>,
    gone: Gone,
) -> Result<(), StartError> {
    for (table, told) in told.iter().filter(|(_, told)| **told != Told::Whole) {
        if gone.keep_old {
            for sink in sinks.iter_mut() {
                if sink.has_another_shape(*table)? {
                    let why = format!("{} has it with other columns or another key", sink.name());
                    let way = ", or delete its rows of before (`--delete-old`)";
                    return Err(dir.refused(Obstacle::RawIsGone { table: table.name(), why, way }).into());
                }
            }
        }
        let Some(first) = sinks.first_mut().filter(|_| !gone.keep_old && !gone.delete_old) else { continue };
        if !first.has_table(*table)? {
            continue;
        }
        let mut old = 0_u64;
        let is_anew = first.has_another_shape(*table)?;
        if !is_anew {
            let key = table.table().key_columns;
            rows(&mut **first, *table, |row| {
                old += u64::from(is_of_before(&row[..key], catalogue, *table, *told));
                true
            })?;
        }
        if is_anew || old > 0 {
            let rows = if is_anew { "its".to_owned() } else { old.to_string() };
            return Err(dir.refused(Obstacle::OldRows { table: table.name(), rows }).into());
        }
    }
    Ok(())
}

/// Some tables of a family, of its raw rows; how many of those there were.
///
/// # Errors
/// If what comes out is not what the SQL says; if something cannot be read.
pub fn fold(
    dir: &StateDir,
    raw: &mut dyn Warehouse,
    (catalogue, family, tables): (Catalogue, &dyn Configured, &BTreeSet<TableId>),
    before: &Manifest,
    stop: &AtomicBool,
) -> Result<Option<(Folded, u64)>, StartError> {
    let mut read = 0;
    let times = before.lanes.of(family.family().name());
    let family = keeping(family, |id| tables.contains(&id));
    let family = family.with(Settings { raw: false, ..family.lane().clone() });
    let failed = |error: rusqlite::Error| {
        dir.refused(Obstacle::Unreadable(format!("the SQL of what changed could not be executed: {error}")))
    };
    let mut said = Said::new(catalogue, &*family, tables, raw.sqlite_file()).map_err(failed)?;
    if raw.sqlite_file().is_none() {
        let late = late(raw, stop)?;
        for id in said.raw_tables() {
            let (key, mut failure) = (id.table().key_columns, None);
            rows(raw, id, |row| {
                failure = said.add(id, row, late.contains(&row[..key])).err();
                failure.is_none() && !stop.load(Acquire)
            })?;
            failure.map_or(Ok(()), |failure| Err(failed(failure)))?;
        }
    }
    let mut fold = Fold::new(&*family);
    let mut each = |is_late: bool, fold: &mut Fold<'_>| {
        for id in said.raw_tables() {
            let (mut is_event, before) = (true, read);
            let taken = said.each(id, is_late, |row| {
                read += 1;
                is_event = fold.take(id, row);
                is_event && !stop.load(Acquire)
            });
            taken.map_err(failed)?;
            if !is_event {
                let (number, of) = (read - before, if is_late { "that were late" } else { "that were in time" });
                let why = format!("row {number} of those of `{}` {of}, by key, is of no event", id.name());
                return Err(dir.refused(Obstacle::Unreadable(format!("{why}, as if others had written it"))).into());
            }
        }
        Ok::<_, StartError>(())
    };
    each(false, &mut fold)?;
    fold.is_at(times);
    each(true, &mut fold)?;
    if stop.load(Acquire) {
        return Ok(None);
    }
    let folded = fold.end();
    let mut desired = said.rows(&*family, times.watermark).map_err(failed)?;
    for (table, rows) in &mut desired {
        if let Some(since) = family.lane().since.get(table) {
            rows.retain(|key, _| !is_of_before(key, catalogue, *table, Told::Since(*since)));
        }
    }
    for table in tables {
        let nothing = BTreeMap::new();
        let (held, wanted) = (folded.rows.get(table).unwrap_or(&nothing), desired.get(table).unwrap_or(&nothing));
        let differing = said::differing(*table, held, wanted);
        if differing > 0 {
            let table = table.name();
            return Err(dir.refused(Obstacle::FoldedOtherwise { table, differing }).into());
        }
    }
    Ok(Some((folded, read)))
}

/// Where the events came from that were late.
fn late(raw: &mut dyn Warehouse, stop: &AtomicBool) -> Result<BTreeSet<Vec<Value>>, StartError> {
    let mut late = BTreeSet::new();
    rows(raw, LATE_EVENTS, |row| {
        late.insert(row[..LATE_EVENTS.table().key_columns].to_vec());
        !stop.load(Acquire)
    })?;
    Ok(late)
}

/// The rows of a table, each in its turn, until `each` has enough.
fn rows(stored: &mut dyn Warehouse, id: TableId, mut each: impl FnMut(&[Value]) -> bool) -> Result<(), StartError> {
    let mut last: Option<Vec<Value>> = None;
    loop {
        let page = stored.page(id, last.as_deref(), PAGE)?;
        for row in &page {
            if !each(row) {
                return Ok(());
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
        last = page.into_iter().next_back().map(|row| row[..id.table().key_columns].to_vec());
    }
}
