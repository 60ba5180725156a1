//! A warehouse with somebody who looks on: before a commit is applied, rows that it changes are looked up.

use super::Tap;
use super::told::{Restated, Seen};
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, Commit, MadeBy, Progress, Sink, SinkError, Warehouse};
use dataflows::delta::Delta;
use dataflows::family::{Catalogue, Ending};
use dataflows::table::{Kind, TableId, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// So many rows of a commit are looked up for those who look on, and so many of windows that had ended.
const LOOKED_UP: usize = 1_000;
const RESTATED: usize = 1_000;

/// A table whose rows end.
struct Ends {
    family: &'static str,
    ending: Ending,
}

/// The warehouse.
pub struct Tapped {
    sink: Box<dyn Warehouse>,
    tap: Arc<Tap>,
    ends: BTreeMap<TableId, Ends>,
}

impl Tapped {
    /// A warehouse of these tables.
    pub fn new(catalogue: Catalogue, sink: Box<dyn Warehouse>, tap: Arc<Tap>) -> Tapped {
        let ends = catalogue.tables().iter().filter_map(|id| {
            let family = catalogue.family_of(*id)?;
            Some((*id, Ends { family: family.0.name(), ending: family.ending(*id)? }))
        });
        let ends = ends.collect();
        Tapped { sink, tap, ends }
    }

    /// Looks up what a commit is about to change.
    ///
    /// # Errors
    /// If rows cannot be read.
    fn look(&mut self, commit: &Commit) -> Result<Seen, SinkError> {
        if !self.sink.finds_rows() {
            return Ok(Seen::default());
        }
        let (watermarks, is_seen) = (self.tap.watermarks(), self.tap.is_seen());
        let (mut wanted, mut spare) = (Vec::new(), Vec::new());
        let (mut seen, mut of_all, mut of_ended) = (Seen::default(), 0, 0);
        for (table, deltas) in commit.deltas.iter().filter(|(table, _)| table.table().kind() == Kind::Upsert) {
            let ends = self.ends.get(table).map(|ends| (&ends.ending, watermarks.of(ends.family)));
            if ends.is_none() && !is_seen {
                continue;
            }
            for change in deltas.changes() {
                let may_have_ended = ends.filter(|(ending, watermark)| {
                    let key = change.key(table.table().key_columns, &mut spare);
                    (ending.of_key)(key).is_some_and(|end| end <= *watermark)
                });
                match may_have_ended {
                    Some((ending, watermark)) if of_ended >= RESTATED => {
                        let delta = change.delta();
                        let end = ending.end(delta.key(*table), row_of(&delta));
                        seen.restated_left += usize::from(end.is_some_and(|end| end <= watermark));
                    }
                    Some(_) => {
                        of_ended += 1;
                        wanted.push((*table, change.delta(), may_have_ended));
                    }
                    None if is_seen && of_all < LOOKED_UP => {
                        of_all += 1;
                        wanted.push((*table, change.delta(), None));
                    }
                    None => {}
                }
            }
        }
        // Applied already, and asked again: what was before is not there any more.
        if wanted.is_empty() || self.sink.position()?.is_none_or(|progress| progress.epoch != commit.follows) {
            return Ok(seen);
        }
        for (table, delta, may_have_ended) in wanted {
            let (key, after) = (delta.key(table), row_of(&delta));
            let before = self.sink.row(table, key)?;
            if let Some((ending, watermark)) = may_have_ended
                && let Some(end) = ending.end(key, before.as_deref().or(after)).filter(|end| *end <= watermark)
                && differ(ending, before.as_deref(), after)
            {
                let (key, before, after) = (key.to_vec(), before.clone(), after.map(<[Value]>::to_vec));
                seen.restated.push(Restated { table, key, before, after, late_ms: watermark - end });
            }
            if is_seen {
                seen.before.entry(table).or_default().insert(key.to_vec(), before);
            }
        }
        Ok(seen)
    }
}

/// What a row is afterwards; nothing if it is gone.
fn row_of(delta: &Delta) -> Option<&[Value]> {
    if let Delta::Upsert(row) = delta { Some(row) } else { None }
}

/// Whether two rows differ in more than what the watermark alone makes true of them.
fn differ(ending: &Ending, before: Option<&[Value]>, after: Option<&[Value]>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            let pairs = before.iter().zip(after).enumerate();
            pairs.filter(|(place, _)| !ending.of_watermark.contains(place)).any(|(_, (before, after))| before != after)
        }
        (before, after) => before.is_some() != after.is_some(),
    }
}

impl Sink for Tapped {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        self.sink.position()
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        self.sink.claim(made_by, wanted)
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        // What cannot be looked up is not told: the commit does not depend on it.
        let seen = self.look(commit).unwrap_or_else(|error| {
            tracing::debug!("rows before epoch {} were not looked up: {error}", commit.epoch);
            Seen::default()
        });
        self.sink.apply(claim, commit)?;
        self.tap.note(commit.epoch, seen);
        Ok(())
    }

    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        self.sink.purge(claim, purge)
    }

    fn commit_interval(&self) -> Option<Duration> {
        self.sink.commit_interval()
    }

    fn takes_records(&self) -> bool {
        self.sink.takes_records()
    }

    fn takes_clean(&self) -> bool {
        self.sink.takes_clean()
    }

    fn idle(&mut self, claim: &Claim, since: Option<Duration>) -> Result<(), SinkError> {
        self.sink.idle(claim, since)
    }

    fn name(&self) -> String {
        self.sink.name()
    }
}
