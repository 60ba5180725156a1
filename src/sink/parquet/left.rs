//! Tables of the feed that nobody keeps any more: no reader is shown them, and their files lie there.

use super::manifest::{Garbage, of_store};
use super::{Fence, Parquet, REMOVED};
use crate::sink::SinkError;
use dataflows::Instant;
use std::collections::BTreeSet;

impl Parquet {
    /// The tables of the feed that are none of the catalogue's.
    ///
    /// # Errors
    /// If the feed cannot be read.
    pub fn left(&mut self) -> Result<Vec<String>, SinkError> {
        let Some((_, manifest)) = self.current()? else { return Ok(Vec::new()) };
        Ok(manifest.tables.into_keys().filter(|name| self.catalogue.by_name(name).is_none()).collect())
    }

    /// Takes such a table out of the feed. Its files are removed by the commits to come, once nobody can be reading them
    /// any more (`feed.grace`). Tells how many there are.
    ///
    /// # Errors
    /// If somebody wrote to the feed meanwhile, or it cannot be written.
    pub fn drop_left(&mut self, name: &str, clock_ms: Instant) -> Result<usize, SinkError> {
        let place = self.place();
        let (number, manifest) = self.current()?.ok_or_else(|| SinkError::gone(&place, REMOVED))?;
        let mut next = manifest;
        next.tables.remove(name);
        next.added.remove(name);
        let known: BTreeSet<_> = next.garbage.iter().map(|garbage| garbage.path.clone()).collect();
        // Those that are merged, and read by nobody but who reads what changed, too.
        let files = self.store.list(&format!("{name}/")).map_err(of_store)?;
        let count = files.len();
        let garbage = files.into_iter().filter(|path| !known.contains(path));
        next.garbage.extend(garbage.map(|path| Garbage { path, since: clock_ms }));
        match self.publish(number, next)? {
            true => Ok(count),
            false => Err(SinkError::Fenced { sink: place, by: Fence::Written }),
        }
    }
}
