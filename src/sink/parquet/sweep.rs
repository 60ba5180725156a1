//! Files that nobody should read any more, or ever: removed, after a grace where somebody may still
//! be reading them.
//!
//! A writer removes what it knows to be of no use, and that stays so: a file of an older start that is
//! part of the feed now was so before, and no name is used twice. So even one that was superseded, and
//! does not know, removes nothing of anybody else's.

use super::manifest::{Garbage, Manifest, of_store};
use super::names;
use crate::config::feed::Feed;
use crate::instant;
use crate::sink::SinkError;
use crate::sink::log::tidy_newest;
use crate::store::Store;
use dataflows::Instant;
use dataflows::family::Catalogue;
use std::collections::BTreeSet;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 3_600_000;

/// Beyond so many days all are looked through, not one by one.
const DAYS_MAX: i64 = 400;

/// Removes files.
pub(super) struct Sweeper {
    catalogue: Catalogue,
    store: Arc<dyn Store>,
    grace: i64,
    retention: Option<i64>,
    /// Garbage that is gone, though the last object of `_progress/` still names it.
    swept: BTreeSet<String>,
    /// The start for which what others left was removed.
    swept_others: Option<u64>,
    /// The day on which old deltas were last looked for.
    looked_on: Option<String>,
}

impl Sweeper {
    pub(super) fn new(catalogue: Catalogue, store: Arc<dyn Store>, settings: &Feed) -> Sweeper {
        Sweeper {
            catalogue,
            store,
            grace: settings.grace,
            retention: settings.retention,
            swept: BTreeSet::new(),
            swept_others: None,
            looked_on: None,
        }
    }

    /// Takes out of the next object of `_progress/` what is gone.
    pub(super) fn forget_swept(&self, next: &mut Manifest) {
        next.garbage.retain(|garbage| !self.swept.contains(&garbage.path));
    }

    /// Once per start: removes what starts of before wrote and did not commit.
    pub(super) fn sweep_others(
        &mut self,
        generation: u64,
        manifest: &Manifest,
        clock_ms: Instant,
    ) -> Result<(), SinkError> {
        if self.swept_others == Some(generation) {
            return Ok(());
        }
        let named: BTreeSet<_> = manifest.files().map(|file| file.path.as_str()).collect();
        let garbage: BTreeSet<_> = manifest.garbage.iter().map(|garbage| garbage.path.as_str()).collect();
        for id in self.catalogue.tables() {
            let table = id.table();
            let of_others = |path: &String| {
                names::epoch_and_generation(path).filter(|(_, by)| *by < generation).filter(|(epoch, by)| {
                    let is_delta = path.starts_with(&names::deltas(table));
                    !named.contains(path.as_str())
                        && if is_delta { !manifest.includes(*by, *epoch) } else { !garbage.contains(path.as_str()) }
                })
            };
            let mut paths = self.store.list(&names::merged(table)).map_err(of_store)?;
            // One that was superseded may have written after its successor looked: what was left lies on the
            // days since that one's start, give or take a clock.
            let since = manifest.starts.iter().rev().nth(1).map_or(0, |start| start.since);
            let (from, to) = (since - DAY_MS, clock_ms.max(manifest.committed_at) + DAY_MS);
            if (to - from) / DAY_MS > DAYS_MAX {
                paths.extend(self.store.list(&names::deltas(table)).map_err(of_store)?);
            } else {
                let mut at = from;
                while at <= to {
                    let folder = names::deltas_of(table, &instant::day(at));
                    paths.extend(self.store.list(&folder).map_err(of_store)?);
                    at += DAY_MS;
                }
            }
            for path in paths.iter().filter(|path| of_others(path).is_some()) {
                self.store.delete(path).map_err(of_store)?;
            }
        }
        self.swept_others = Some(generation);
        Ok(())
    }

    /// Removes garbage whose grace is over and objects of `_progress/` that nobody reads; and, once a day,
    /// declares deltas garbage that are merged and older than they are kept.
    pub(super) fn sweep(&mut self, number: u64, next: &mut Manifest) -> Result<(), SinkError> {
        let clock_ms = next.committed_at;
        self.swept.retain(|path| next.garbage.iter().any(|garbage| garbage.path == *path));
        for garbage in next.garbage.iter().filter(|garbage| garbage.since + self.grace <= clock_ms) {
            if !self.swept.contains(&garbage.path) {
                self.store.delete(&garbage.path).map_err(of_store)?;
                self.swept.insert(garbage.path.clone());
            }
        }
        tidy_newest(&*self.store, number).map_err(of_store)?;
        let Some(retention) = self.retention else { return Ok(()) };
        let today = instant::day(clock_ms);
        if self.looked_on.as_ref() == Some(&today) {
            return Ok(());
        }
        let named: BTreeSet<_> = next.files().map(|file| file.path.clone()).collect();
        let garbage: BTreeSet<_> = next.garbage.iter().map(|garbage| garbage.path.clone()).collect();
        let first_kept = instant::day(clock_ms - retention);
        for id in self.catalogue.tables() {
            let paths = self.store.list(&names::deltas(id.table())).map_err(of_store)?;
            let old = paths.into_iter().filter(|path| names::day_of(path).is_some_and(|day| day < first_kept.as_str()));
            let old = old.filter(|path| !named.contains(path) && !garbage.contains(path));
            let old: Vec<_> = old.collect();
            if let Some((epoch, _)) = old.iter().filter_map(|path| names::epoch_and_generation(path)).max() {
                next.deltas_end_at(id.table().name, epoch);
            }
            next.garbage.extend(old.into_iter().map(|path| Garbage { path, since: clock_ms }));
        }
        self.looked_on = Some(today);
        Ok(())
    }
}
