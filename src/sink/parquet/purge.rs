//! What is old goes as whole runs, the oldest first: nothing is read, and nothing written again. A run is old when the
//! newest of its rows is. So that this comes to pass soon, runs of different spans of time are not merged; a row stays
//! for about a sixteenth longer than it is kept, or as long as if it had happened when it was written.
//!
//! Only from the oldest on: a younger run may say of the rows of an older one that they are gone.

use super::manifest::{Age, Garbage, Manifest, Run, of_store};
use super::{Parquet, RACES, REMOVED, names};
use crate::config::retention::Retention;
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, SinkError};
use dataflows::Instant;
use dataflows::table::{TableId, Value};
use std::collections::BTreeSet;

/// For so many spans rows are kept, each at least a minute long: so many more runs there are.
const SPANS: i64 = 16;

/// Longer than an event may be ahead of the clock (`rules.max_future`).
const DAY_MS: i64 = 24 * 3_600_000;

/// The span of time beyond which runs of a table are not merged, where its rows are not kept forever.
pub(super) fn span_ms(retention: &Retention, table: TableId) -> Option<i64> {
    retention.of(table).map(|kept| (kept / SPANS).max(60_000))
}

/// The newest instant of a run. One that does not say it was written before the next one that does, and no event is
/// from much later than when it is written.
fn newest_of(runs: &[Run], at: usize) -> Option<Instant> {
    let since_ms = || runs[at..].iter().find_map(|run| run.age).map(|age| age.since_ms.saturating_add(DAY_MS));
    runs[at].age.map(|age| age.newest_ms).or_else(since_ms)
}

impl Age {
    /// Of no rows yet, in a table whose rows grow old; nothing in any other.
    pub(super) fn begin(table: TableId, since_ms: Instant) -> Option<Age> {
        table.table().age().map(|_| Age { newest_ms: 0, since_ms })
    }

    /// Takes a row in, or the key of one that is gone.
    pub(super) fn see(&mut self, table: TableId, values: &[Value]) {
        let at = table.table().age().and_then(|(at, _)| values.get(at));
        if let Some(Value::Instant(at)) = at {
            self.newest_ms = self.newest_ms.max(*at);
        }
    }
}

impl Parquet {
    pub(super) fn drop_old(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        let place = self.place();
        for _ in 0..RACES {
            let found = self.current()?;
            let (number, manifest) = found.ok_or_else(|| SinkError::gone(&place, REMOVED))?;
            claim.stands(&manifest.pipeline_id, manifest.generation, &place)?;
            let (next, rows) = self.without_old(&manifest, purge)?;
            if rows == 0 {
                return Ok(Purged { rows, is_done: true });
            }
            if self.publish(number, next)? {
                // What a commit tidies away does not count with objects in between.
                self.log.tidy(number + 1)?;
                return Ok(Purged { rows, is_done: true });
            }
        }
        Err(SinkError::Unavailable(format!("{place}: others write `_progress/` again and again; stop all but one")))
    }

    /// What is in the feed without what is old, and how many rows that is. Their files are garbage then, and so are the
    /// deltas that they were merged from.
    fn without_old(&self, manifest: &Manifest, purge: &Purge) -> Result<(Manifest, u64), SinkError> {
        let (mut next, mut rows) = (manifest.clone(), 0);
        self.sweeper.forget_swept(&mut next);
        for (id, before) in &purge.before {
            let Some(runs) = next.tables.get_mut(id.table().name) else { continue };
            let is_old = |at: usize| newest_of(runs, at).is_some_and(|newest_ms| newest_ms < *before);
            let young = (0..runs.len()).find(|at| !is_old(*at)).unwrap_or(runs.len());
            let old: Vec<_> = runs.drain(..young).collect();
            let Some(last) = old.last() else { continue };
            rows += old.iter().map(|run| run.rows).sum::<u64>();
            let is_merged = |path: &String| names::epoch_and_generation(path).is_some_and(|(at, _)| at <= last.to);
            let deltas = self.store.list(&names::deltas(id.table())).map_err(of_store)?;
            let mut gone: BTreeSet<_> = deltas.into_iter().filter(is_merged).collect();
            gone.extend(old.iter().flat_map(|run| &run.files).map(|file| file.path.clone()));
            let known: BTreeSet<_> = next.garbage.iter().map(|garbage| &garbage.path).collect();
            gone.retain(|path| !known.contains(path));
            let since = manifest.committed_at;
            next.garbage.extend(gone.into_iter().map(|path| Garbage { path, since }));
            next.deltas_end_at(id.table().name, last.to);
            let gone = next.gone_before.entry(id.table().name.to_owned()).or_default();
            *gone = (*gone).max(*before);
        }
        Ok((next, rows))
    }
}
