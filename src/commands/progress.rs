//! What a run shows while it runs: a line that moves.

use super::text::{count, grouped, took};
use crate::instant;
use crate::periodic::{Periodic, Round};
use crate::source::Portion;
use crate::stats::Stats;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The line that moves while a run runs: on a terminal in place, elsewhere a line now and then.
pub(super) struct Progress {
    started: Instant,
    shows: Periodic,
}

impl Progress {
    /// How a run goes.
    pub(super) fn start(stats: &Arc<Stats>) -> Progress {
        let (counted, shown) = (Arc::clone(stats), Arc::clone(stats));
        let mut began = None;
        let line = move |records, rate, width| {
            let left = shown.portion().and_then(|portion| left(&mut began, portion, Instant::now()));
            fitting(&said(&shown, records, rate, left), width)
        };
        Progress::showing(move || counted.records.load(Relaxed), line)
    }

    /// How far a count is, and how many a second it goes on by; the line is told how many columns it has.
    pub(super) fn showing(
        count: impl Fn() -> u64 + Send + 'static,
        mut line: impl FnMut(u64, f64, usize) -> String + Send + 'static,
    ) -> Progress {
        let started = Instant::now();
        let in_place = std::io::stderr().is_terminal();
        let every = if in_place { Duration::from_millis(500) } else { Duration::from_secs(5) };
        let mut before = (started, 0);
        let shows = Periodic::start(every, move |round| {
            // Nobody reads it: no reason to stop.
            if round == Round::Due {
                let records = count();
                let rate = (records - before.1) as f64 / before.0.elapsed().as_secs_f64();
                before = (Instant::now(), records);
                // A line that wraps cannot be written over.
                let width = crate::shown::columns(&std::io::stderr()).map_or(usize::MAX, |columns| columns - 1);
                let line = line(records, rate, width);
                let line: String = line.chars().take(width).collect();
                let line = crate::shown::value(&line);
                let written = if in_place {
                    write!(std::io::stderr(), "\r\x1b[K{line}")
                } else {
                    writeln!(std::io::stderr(), "{line}")
                };
                written.ok();
            } else if in_place {
                write!(std::io::stderr(), "\r\x1b[K").ok();
            }
            ControlFlow::Continue(())
        });
        Progress { started, shows }
    }

    /// Ends the line, and tells how long it lasted.
    pub(super) fn stop(self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shows.end(|| ());
    }
}

/// How long it will take to read the rest, going on as since the first time it was asked.
fn left(began: &mut Option<(Instant, Portion)>, portion: Portion, now: Instant) -> Option<(u64, Duration)> {
    let (since, first) = *began.get_or_insert((now, portion));
    let percent = (portion.done * 100).checked_div(portion.of)?.min(100);
    let (read, rest) = (portion.done.saturating_sub(first.done), portion.of.saturating_sub(portion.done));
    let left = (read > 0).then(|| now.duration_since(since).mul_f64(rest as f64 / read as f64));
    Some((percent, left.unwrap_or(Duration::MAX)))
}

/// What there is to say of a run, the most important first.
fn said(stats: &Stats, records: u64, rate: f64, left: Option<(u64, Duration)>) -> Vec<String> {
    let mut said = vec![count(records, "record")];
    match left {
        Some((percent, Duration::MAX)) => said.push(format!("{percent} %")),
        Some((percent, left)) if left < Duration::from_secs(1) => said.push(format!("{percent} %")),
        Some((percent, left)) => said.push(format!("{percent} %, {} left", took(left))),
        None => {}
    }
    said.push(format!("{}/s", grouped(rate as u64)));
    said.push(format!("fresh {}", took(Duration::from_millis(stats.fresh_ms()))));
    if let Some(waits) = stats.waits_for().into_iter().chain(stats.troubles().into_iter().map(|it| it.said)).next() {
        said.push(format!("waits: {waits}"));
    }
    let stands = if stats.silent_since().is_empty() { "" } else { " (stands: nothing new)" };
    // At the end there is one, or there will be none.
    let is_over = left.is_some_and(|(percent, _)| percent == 100);
    if !is_over || stats.watermarks().least() > dataflows::time::START {
        said.push(format!("watermark {}{stands}", watermark(stats)));
    }
    said.push(format!("late {}", grouped(stats.late.load(Relaxed))));
    said.push(format!("rejected {}", grouped(stats.rejected.load(Relaxed))));
    said
}

/// As many of these as there is room for.
fn fitting(said: &[String], width: usize) -> String {
    let mut line = String::new();
    for one in said {
        let between = if line.is_empty() { "" } else { "  " };
        if line.chars().count() + between.len() + one.chars().count() > width && !line.is_empty() {
            break;
        }
        line.push_str(between);
        line.push_str(one);
    }
    line
}

/// The least watermark, to the minute.
pub(super) fn watermark(stats: &Stats) -> String {
    match stats.watermarks().least() {
        dataflows::time::START => "none yet".to_owned(),
        at => instant::show(at).replace('T', " ").chars().take(16).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_on_as_before() {
        let (start, mut began) = (Instant::now(), None);
        let at = |seconds, done| (start + Duration::from_secs(seconds), Portion { done, of: 1000 });
        let mut ask = |(now, portion)| left(&mut began, portion, now);
        // What was read before this run says nothing of how fast it goes on.
        assert_eq!(ask(at(0, 500)), Some((50, Duration::MAX)));
        assert_eq!(ask(at(10, 600)), Some((60, Duration::from_secs(40))));
        assert_eq!(ask(at(50, 1000)), Some((100, Duration::ZERO)));
        assert_eq!(left(&mut None, Portion::default(), start), None);
    }

    #[test]
    fn a_line_is_no_longer_than_the_terminal_and_nothing_in_it_is_cut() {
        let stats = Stats::default();
        stats.set_waits_for(vec!["sink `live.db`: the disk is full".to_owned()]);
        let said = said(&stats, 98_673, 19_887.4, Some((42, Duration::from_secs(75))));
        assert_eq!(fitting(&said, 40), "98,673 records  42 %, 1 min left");
        assert_eq!(fitting(&said, 60), "98,673 records  42 %, 1 min left  19,887/s  fresh 0 ms");
        let over = super::said(&stats, 98_673, 0.0, Some((100, Duration::ZERO)));
        assert!(over.iter().all(|part| !part.contains("watermark")), "{over:?}");
        assert!(fitting(&said, 160).contains("waits: sink `live.db`: the disk is full  watermark none yet  late 0"));
    }

    #[test]
    fn freshness_grows_while_something_waits() {
        let stats = Stats::default();
        let read = Instant::now().checked_sub(Duration::from_secs(3600)).expect("an hour of uptime");
        stats.read_first(2, read);
        stats.read(2, [0, 0, 1].into_iter());
        // Of an epoch that nobody began to read nothing waits.
        stats.read(3, [0].into_iter());
        assert!(stats.fresh_ms() >= 3_600_000);
        assert_eq!(stats.unwritten_records(), 3);
        stats.committed_up_to(2);
        assert_eq!((stats.fresh_ms(), stats.unwritten_records()), (0, 0));
    }
}
