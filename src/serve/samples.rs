//! What was counted a moment ago: of two counts a rate is made.

use crate::process::{busy_shares, worker_seconds};
use crate::stats::Stats;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How often is counted.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// A rate is of so long.
const SPAN: usize = 10;

#[derive(Clone, Default)]
struct Sample {
    records: u64,
    rows: u64,
    /// The same rows, by table.
    tables: BTreeMap<&'static str, u64>,
    /// The processor time of each worker, in seconds.
    processor_s: BTreeMap<usize, f64>,
    /// How many records of each topic were read.
    sources: BTreeMap<String, u64>,
    /// How many records of each topic were not read yet.
    lag: BTreeMap<String, u64>,
}

/// The last of them.
#[derive(Default)]
pub(super) struct Samples(VecDeque<(Instant, Sample)>);

/// How fast it goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Records a second.
    pub(super) records: f64,
    /// The same, by topic.
    pub(super) sources: BTreeMap<String, f64>,
    /// Rows a second.
    pub(super) rows: f64,
    /// Rows of each table a second.
    pub(super) tables: BTreeMap<&'static str, f64>,
    /// Which part of its time each worker computes, where the system tells.
    pub(super) busy: BTreeMap<usize, f64>,
}

impl Samples {
    /// Counts now.
    pub(super) fn take(&mut self, stats: &Stats) {
        let rows = [&stats.upserted, &stats.deleted, &stats.appended].iter().map(|rows| rows.load(Relaxed)).sum();
        let lag = stats.lag().into_iter().map(|lag| (lag.topic, lag.records)).collect();
        let sample = Sample {
            records: stats.records.load(Relaxed),
            rows,
            tables: stats.rows(),
            processor_s: worker_seconds(),
            sources: stats.sources.all().into_iter().map(|of| (of.topic, of.records)).collect(),
            lag,
        };
        self.put(Instant::now(), sample);
    }

    fn put(&mut self, now: Instant, sample: Sample) {
        // Another run began from nothing.
        if self.0.back().is_some_and(|(_, last)| last.records > sample.records || last.rows > sample.rows) {
            self.0.clear();
        }
        self.0.push_back((now, sample));
        while self.0.len() > SPAN + 1 {
            self.0.pop_front();
        }
    }

    /// Whether what is not read of a topic became more since the first sample that is known: `growing`, `shrinking` or
    /// `steady`, by a tenth.
    pub(super) fn trend(&self, topic: &str) -> Option<&'static str> {
        let ((begin, first), (end, last)) = (self.0.front()?, self.0.back()?);
        if begin == end {
            return None;
        }
        let (before, now) = (*first.lag.get(topic)?, *last.lag.get(topic)?);
        let about = before / 10;
        Some(match now {
            now if now > before + about => "growing",
            now if now + about < before => "shrinking",
            _ => "steady",
        })
    }

    /// How fast it went since the first sample that is known.
    pub(super) fn rates(&self) -> Rates {
        let (Some((begin, first)), Some((end, last))) = (self.0.front(), self.0.back()) else {
            return Rates::default();
        };
        let seconds = end.duration_since(*begin).as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        // One has none before its first row, or record.
        let since = |now: u64, before: Option<u64>| now.saturating_sub(before.unwrap_or_default()) as f64 / seconds;
        let tables = last.tables.iter();
        let tables = tables.map(|(table, rows)| (*table, since(*rows, first.tables.get(table).copied())));
        let sources = last.sources.iter();
        let sources = sources.map(|(topic, read)| (topic.clone(), since(*read, first.sources.get(topic).copied())));
        Rates {
            tables: tables.collect(),
            sources: sources.collect(),
            records: (last.records - first.records) as f64 / seconds,
            rows: (last.rows - first.rows) as f64 / seconds,
            busy: busy_shares(&first.processor_s, &last.processor_s, seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds_and_of_one_run() {
        let (mut samples, start) = (Samples::default(), Instant::now());
        let mut put = |second: u64, records: u64, processor_s: f64| {
            let lag = [("a".to_owned(), records), ("b".to_owned(), 1000 - records % 1000), ("c".to_owned(), 7)].into();
            let tables = [("sales", 2 * records)].into();
            let (sources, processor_s) = ([("a".to_owned(), records / 2)].into(), [(0, processor_s)].into());
            let sample = Sample { records, rows: 2 * records, tables, processor_s, sources, lag };
            samples.put(start + Duration::from_secs(second), sample);
            samples.rates()
        };
        assert_eq!(put(0, 500, 0.0), Rates::default());
        for second in 1..=20 {
            put(second, 500 + 100 * second, 0.5 * second as f64);
        }
        let rates = put(21, 500 + 100 * 21, 0.5 * 21.0);
        let tables = [("sales", 200.0)].into();
        let (sources, busy) = ([("a".to_owned(), 50.0)].into(), [(0, 0.5)].into());
        assert_eq!(rates, Rates { records: 100.0, sources, rows: 200.0, tables, busy });
        assert_eq!(put(22, 3, 0.0), Rates::default(), "it began from nothing");
        put(23, 500, 0.0);
        let trends = ["a", "b", "c", "d"].map(|topic| samples.trend(topic));
        assert_eq!(trends, [Some("growing"), Some("shrinking"), Some("steady"), None]);
    }
}
