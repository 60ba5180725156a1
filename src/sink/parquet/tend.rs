//! What is done for a feed beside its commits: runs that are overdue are merged, and what nobody reads is removed.
//!
//! Where one process writes, it merges after a commit. Where every process does, each merges, as it writes its piece of a
//! commit, what is overdue before that one and falls to it; with the piece it is published (module `pieces`).

use super::manifest::{Age, Garbage, Manifest, Run};
use super::merge::{Merge, RunWriter};
use super::pieces::Written;
use super::{Parquet, compact, names, purge};
use crate::sink::{Claim, Fence, SinkError};
use dataflows::table::{Kind, TableId};
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};

/// Runs that became one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Merged {
    /// The first file of each of them, which tells it from every other one.
    of: Vec<String>,
    /// After which epoch they begin, and up to which they go.
    epochs: (Time, Time),
    /// What they became, if any row is left.
    written: Option<Written>,
}

impl Merged {
    /// Puts it in the place of what it was made of. If that is not there any more as it was, because old rows were
    /// removed meanwhile, its files are of no use.
    pub(super) fn enter(&self, table: TableId, since: Instant, next: &mut Manifest) {
        let runs = next.tables.entry(table.name().to_owned()).or_default();
        let mut firsts = runs.iter().map(|run| run.files.first().map(|file| &file.path));
        let at = firsts.position(|first| first == self.of.first());
        let at = at.filter(|at| {
            let there = runs[*at..].iter().map(|run| run.files.first().map(|file| &file.path));
            there.take(self.of.len()).eq(self.of.iter().map(Some))
        });
        let (folder, (after, to)) = (names::merged(table.table()), self.epochs);
        let run = self.written.clone().map(|written| written.run(after, to));
        let files = |run: &Run| run.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        let of_no_use: Vec<_> = match at {
            Some(at) => runs.splice(at..at + self.of.len(), run).flat_map(|run| files(&run)).collect(),
            None => run.iter().flat_map(files).collect(),
        };
        // Deltas stay: those who read only what changed read them.
        let of_no_use = of_no_use.into_iter().filter(|path| path.starts_with(&folder));
        next.garbage.extend(of_no_use.map(|path| Garbage { path, since }));
    }
}

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
        let epochs = (run.after, run.to);
        Ok(Some(Merged { of, epochs, written: (run.rows > 0).then(|| Written::of(run)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::File;
    use super::*;
    use crate::families::all;

    fn run(path: &str) -> Run {
        let file = File { path: path.to_owned(), rows: 1, bytes: 1, crc32: 0 };
        Run { after: 0, to: 0, rows: 1, changes: true, files: vec![file], age: None }
    }

    #[test]
    fn what_was_merged_takes_the_place_of_what_it_was_made_of_or_is_of_no_use() {
        let table = all().by_name("users").expect("there is one");
        let claim = Claim { pipeline_id: "p".to_owned(), generation: 1 };
        let there = ["users/merged/a", "users/deltas/b", "users/merged/c", "users/deltas/d"];
        let merged = Merged {
            of: there[1..3].iter().map(ToString::to_string).collect(),
            epochs: (0, 0),
            written: Some(Written::of(run("users/merged/bc"))),
        };
        for (there, expected, garbage) in [
            (&there[..], vec!["users/merged/a", "users/merged/bc", "users/deltas/d"], vec!["users/merged/c"]),
            (&there[1..3], vec!["users/merged/bc"], vec!["users/merged/c"]),
            // Some of it is gone, or not where it was.
            (&there[2..], vec!["users/merged/c", "users/deltas/d"], vec!["users/merged/bc"]),
            (&there[..2], vec!["users/merged/a", "users/deltas/b"], vec!["users/merged/bc"]),
            (&[], vec![], vec!["users/merged/bc"]),
        ] {
            let mut next = Manifest::of_nothing(&claim);
            next.tables.insert("users".to_owned(), there.iter().map(|path| run(path)).collect());
            merged.enter(table, 7, &mut next);
            let paths: Vec<_> = next.files().map(|file| file.path.as_str()).collect();
            assert_eq!(paths, expected, "{there:?}");
            assert_eq!(next.garbage.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), garbage, "{there:?}");
        }
    }
}
