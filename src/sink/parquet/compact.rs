//! When runs become one run. Every row is written again about once for each doubling of its table, and
//! a table has so many runs at most, besides the few that came since.

use super::manifest::Run;
use dataflows::table::Kind;

/// With a part in so many of the rows of a file there are few enough files. Commits of that size, which are
/// those of fast streams, are then never merged.
const FULL: u64 = 4;

/// Where the runs begin that should be merged: all from there to the newest; nothing if none should be.
///
/// A run joins when the younger ones together hold as many rows: then what is written is at most twice
/// what is new. Rows that are only added need no merging but for the number of files, so runs of them
/// that fill a file stay as they are.
pub(super) fn overdue(runs: &[Run], kind: Kind, merge_runs: usize, rows_per_file: usize) -> Option<usize> {
    let full = |run: &Run| kind == Kind::Append && run.rows >= rows_per_file as u64 / FULL;
    let first = runs.iter().rposition(full).map_or(0, |last| last + 1);
    let last = runs.len().checked_sub(merge_runs)?;
    let younger = |at: usize| runs[at + 1..].iter().map(|run| run.rows).sum::<u64>();
    (first..=last).find(|at| younger(*at) >= runs[*at].rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: u64) -> Run {
        Run { after: 0, to: 0, rows, changes: true, files: Vec::new() }
    }

    fn grow(kind: Kind, commits: u64) -> (Vec<Run>, u64, usize) {
        let (mut runs, mut written, mut most) = (Vec::new(), 0, 0);
        for _ in 0..commits {
            runs.push(run(100));
            if let Some(at) = overdue(&runs, kind, 8, 100_000) {
                let rows = runs.drain(at..).map(|run| run.rows).sum();
                written += rows;
                runs.push(run(rows));
            }
            most = most.max(runs.len());
        }
        (runs, written, most)
    }

    #[test]
    fn runs_stay_few_and_rows_are_rewritten_seldom() {
        let (_, written, most) = grow(Kind::Upsert, 100_000);
        assert!(most <= 8 + 14, "{most} runs");
        assert!(written <= 14 * 100 * 100_000, "{written} rows written for {}", 100 * 100_000);
    }

    #[test]
    fn added_rows_are_left_alone_once_they_fill_a_file() {
        let (runs, written, _) = grow(Kind::Append, 100_000);
        assert!(runs.len() <= 400 + 22, "{} runs", runs.len());
        assert!(written <= 8 * 100 * 100_000, "{written} rows written for {}", 100 * 100_000);
    }

    #[test]
    fn a_large_table_is_not_written_again_for_a_few_changes() {
        let mut runs = vec![run(1_000_000)];
        runs.extend((0..7).map(|_| run(10)));
        assert_eq!(overdue(&runs, Kind::Upsert, 8, 1_000), None);
        runs.push(run(10));
        assert_eq!(overdue(&runs, Kind::Upsert, 8, 1_000), Some(1));
    }
}
