//! When runs become one run. Every row is written again about once for each doubling of its table, and
//! a table has so many runs at most, and the few that came since.

use super::manifest::Run;
use dataflows::table::Kind;

/// With a part in so many of the rows of a file there are few enough files. Commits of that size, which are
/// those of fast streams, are then never merged.
const FULL: u64 = 4;

/// Where the runs begin that should be merged: all from there to the newest; nothing if none should be.
///
/// A run joins when the younger ones together hold as many rows: then what is written is at most twice
/// what is new. Rows that are only added need no merging but for the number of files, so runs of them
/// that fill a file stay as they are; and so do those of a span of time that is over, where rows are not kept forever:
/// a run goes only as a whole, and with a younger one it would not.
pub(super) fn overdue(
    runs: &[Run],
    kind: Kind,
    merge_runs: usize,
    rows_per_file: usize,
    span_ms: Option<i64>,
) -> Option<usize> {
    let spans = |run: &Run| Some(run.age?.since_ms.div_euclid(span_ms?));
    let now = runs.last().and_then(spans);
    let full = |run: &Run| {
        kind == Kind::Append && run.rows >= rows_per_file as u64 / FULL || spans(run).is_some_and(|it| Some(it) < now)
    };
    let first = runs.iter().rposition(full).map_or(0, |last| last + 1);
    let last = runs.len().checked_sub(merge_runs)?;
    let younger = |at: usize| runs[at + 1..].iter().map(|run| run.rows).sum::<u64>();
    (first..=last).find(|at| younger(*at) >= runs[*at].rows)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Age;
    use super::*;

    fn run(rows: u64) -> Run {
        Run { after: 0, to: 0, rows, changes: true, files: Vec::new(), age: None }
    }

    fn grow(kind: Kind, commits: u64) -> (Vec<Run>, u64, usize) {
        grow_in_spans(kind, commits, None)
    }

    /// A commit in every millisecond.
    fn grow_in_spans(kind: Kind, commits: u64, span_ms: Option<i64>) -> (Vec<Run>, u64, usize) {
        let (mut runs, mut written, mut most) = (Vec::<Run>::new(), 0, 0);
        let aged = |rows, since_ms| Run { age: Some(Age { newest_ms: 0, since_ms }), ..run(rows) };
        for at in 0..commits as i64 {
            runs.push(aged(100, at));
            if let Some(at) = overdue(&runs, kind, 8, 100_000, span_ms) {
                let since_ms = runs[at].age.expect("aged").since_ms;
                let rows = runs.drain(at..).map(|run| run.rows).sum();
                written += rows;
                runs.push(aged(rows, since_ms));
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

    /// What is to go after a while is in runs of its own, few of each span, however few rows there are.
    #[test]
    fn no_run_grows_over_spans_of_time() {
        let (runs, _, _) = grow_in_spans(Kind::Append, 1_000, Some(100));
        assert!((10..=10 * (8 + 7)).contains(&runs.len()), "{} runs", runs.len());
        let since = |run: &Run| run.age.expect("aged").since_ms;
        let spans = runs.windows(2).all(|pair| since(&pair[0]) + pair[0].rows as i64 / 100 == since(&pair[1]));
        assert!(spans && (0..10).all(|span| runs.iter().any(|run| since(run) == span * 100)), "{runs:?}");
    }

    #[test]
    fn a_large_table_is_not_written_again_for_a_few_changes() {
        let mut runs = vec![run(1_000_000)];
        runs.extend((0..7).map(|_| run(10)));
        assert_eq!(overdue(&runs, Kind::Upsert, 8, 1_000, None), None);
        runs.push(run(10));
        assert_eq!(overdue(&runs, Kind::Upsert, 8, 1_000, None), Some(1));
    }
}
