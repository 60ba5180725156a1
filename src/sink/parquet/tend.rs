//! What is done for a feed beside its commits: runs that are overdue are merged, and what nobody reads is removed.
//!
//! Where one process writes, it merges after a commit. Where every process does, each merges, as it writes its piece of a
//! commit, what is overdue before that one and falls to it; with the piece it is published (module `pieces`).

use super::manifest::{Age, Manifest, Run};
use super::merge::{Merge, RunWriter};
use super::merged::Merged;
use super::{Parquet, compact, names, purge};
use crate::sink::{Claim, Fence, SinkError};
use dataflows::table::{Kind, TableId};

impl Parquet {
    /// What can be done after a commit, and after the next one as well: errors are told, and no more.
    pub(super) fn tend(&mut self, claim: &Claim) {
        let Some((number, manifest)) = self.known.clone() else { return };
        let tended = self.merged(claim, number, &manifest).and_then(|mut next| {
            self.sweeper.sweep(number, &mut next)?;
            if next != manifest && !self.publish(number, next)? {
                tracing::warn!("{}: {}", self.place(), Fence::Written);
            }
            Ok(())
        });
        if let Err(error) = tended {
            tracing::warn!(
                "what was committed is there, but could not be merged or tidied up; next time again: {error}"
            );
        }
    }

    /// What will be in the feed when the runs that are overdue are merged.
    fn merged(&self, claim: &Claim, number: u64, manifest: &Manifest) -> Result<Manifest, SinkError> {
        let mut next = manifest.clone();
        self.sweeper.forget_swept(&mut next);
        let tables = self.catalogue.tables().iter().filter(|_| !self.is_shared);
        for id in tables {
            let name = format!("{}-{number:012}", names::commit(manifest.epoch, claim.generation));
            if let Some(merged) = self.merge(*id, manifest, &name)? {
                merged.enter(*id, manifest.committed_at, &mut next);
            }
        }
        Ok(next)
    }

    /// Merges the runs of a table that are overdue, if any are, into files whose names begin so.
    pub(super) fn merge(&self, id: TableId, manifest: &Manifest, name: &str) -> Result<Option<Merged>, SinkError> {
        let (table, runs, settings) = (id.table(), manifest.runs(id), &self.settings);
        let span_ms = purge::span_ms(&self.retention, id);
        let at = compact::overdue(runs, table.kind(), settings.merge_runs, settings.rows_per_file, span_ms);
        let Some(at) = at else { return Ok(None) };
        let merged = &runs[at..];
        let name = format!("{}{name}", names::merged(table));
        let mut writer = RunWriter::new(&*self.store, id, name, settings.rows_per_file);
        let (mut rows, mut count) = (Merge::new(&self.store, id, merged)?, 0);
        let since_ms = merged.iter().filter_map(|run| Some(run.age?.since_ms)).min();
        let mut age = Age::begin(id, since_ms.unwrap_or(manifest.committed_at));
        while let Some(row) = rows.next()? {
            // Under the oldest run there is nothing that a deletion could hide.
            if !(row.stamp.deleted && at == 0) {
                age.iter_mut().for_each(|age| age.see(id, &row.values));
                writer.push(&row.values, row.stamp)?;
                count += 1;
            }
        }
        let run = Run {
            after: merged.first().map_or(0, |run| run.after),
            to: merged.last().map_or(0, |run| run.to),
            rows: count,
            changes: table.kind() == Kind::Upsert || (at > 0 && merged.iter().any(|run| run.changes)),
            files: writer.finish()?,
            age,
        };
        let of = merged.iter().filter_map(|run| Some(run.files.first()?.path.clone())).collect();
        Ok(Some(Merged::of(of, run)))
    }
}
