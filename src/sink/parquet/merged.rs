//! Runs of a table that became one, on their way to what is published.

use super::manifest::{Age, File, Garbage, Manifest, Run};
use super::names;
use dataflows::table::TableId;
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};

/// The files of a table: what a [`Run`] says that does not follow from the commit. (What goes from process to process says
/// every field: a run leaves out those that nobody needs.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    rows: u64,
    changes: bool,
    pub files: Vec<File>,
    age: Option<Age>,
}

impl Written {
    pub(super) fn of(Run { after: _, to: _, rows, changes, files, age }: Run) -> Written {
        Written { rows, changes, files, age }
    }

    /// As the run of these epochs.
    pub(super) fn run(self, after: Time, to: Time) -> Run {
        let Written { rows, changes, files, age } = self;
        Run { after, to, rows, changes, files, age }
    }
}

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
    /// What runs with these first files became.
    pub(super) fn of(of: Vec<String>, run: Run) -> Merged {
        Merged { of, epochs: (run.after, run.to), written: (run.rows > 0).then(|| Written::of(run)) }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use crate::sink::Claim;

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
