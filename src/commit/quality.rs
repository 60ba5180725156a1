//! The committer's side of `quality`: the rows that an epoch changes, and the warning when too few records are valid.

use super::pending::StreamPosition;
use super::{Part, Sources};
use crate::config::quality::Quality;
use crate::instant;
use dataflows::Instant;
use dataflows::quality::{Counts, QUALITY};
use std::collections::{BTreeMap, BTreeSet};

/// Counts what epochs read, in their order.
pub(super) struct Counting {
    settings: Quality,
    /// The topics of which it was said in this hour.
    said: (Instant, BTreeSet<String>),
}

impl Counting {
    pub(super) fn new(settings: Quality) -> Counting {
        Counting { settings, said: Default::default() }
    }

    /// Adds an epoch whose records were judged by this clock to what is known; its rows go with those of its parts.
    pub(super) fn add(&mut self, clock_ms: Instant, parts: &mut Vec<Part>, known: &mut StreamPosition, logs: &Sources) {
        let mut counts = BTreeMap::<&str, Counts>::new();
        for (partition, of_part) in parts.iter().flat_map(|part| &part.counts) {
            counts.entry(&logs.topics[*partition as usize]).or_default().add(*of_part);
        }
        if counts.is_empty() {
            return;
        }
        let deltas = known.quality.add(clock_ms, &counts);
        parts.push(Part { deltas: vec![(QUALITY, deltas.into())], ..Part::default() });
        self.warn(known);
    }

    /// Says once in an hour of each topic that too few of its records are valid.
    fn warn(&mut self, known: &StreamPosition) {
        let running = &known.quality;
        if self.said.0 != running.hour {
            self.said = (running.hour, BTreeSet::new());
        }
        for (topic, counts) in running.topics.iter().filter(|(_, counts)| self.settings.is_crossed_by(**counts)) {
            if self.said.1.insert(topic.clone()) {
                let complaint = self.settings.complaint(topic, &instant::show(running.hour), *counts);
                tracing::warn!("{complaint}; the reasons are in `rejected_events`");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::delta::Delta;
    use dataflows::table::Value;

    const HOUR_MS: i64 = 3_600_000;

    fn part(counts: &[(u32, [u64; 3])]) -> Part {
        let counts = counts.iter().map(|(partition, [accepted, rejected, late])| {
            (*partition, Counts { accepted: *accepted, rejected: *rejected, late: *late })
        });
        Part { counts: counts.collect(), ..Part::default() }
    }

    #[test]
    fn workers_and_partitions_of_a_topic_are_one_row_and_what_is_not_read_is_none() {
        let names = ["a/0", "a/1", "b/0"];
        let logs = Sources {
            partitions: names.map(str::to_owned).into(),
            topics: names.map(|name| name[..1].to_owned()).into(),
            lanes: Vec::new(),
        };
        let (mut counting, mut known) = (Counting::new(Quality { min_valid: 0.5 }), StreamPosition::default());
        let mut parts = vec![part(&[(0, [1, 0, 0]), (1, [2, 1, 1])]), part(&[(0, [3, 0, 0])])];
        counting.add(HOUR_MS + 1, &mut parts, &mut known, &logs);
        let row = parts.last().map(|part| part.deltas.clone()).expect("a part of its own");
        let numbers = [6, 1, 1].map(Value::Integer);
        let key = [Value::Text("a".to_owned()), Value::Instant(HOUR_MS)];
        let row_of_a = key.into_iter().chain(numbers).chain([Value::Share(8_571)]).collect();
        assert_eq!(row, [(QUALITY, vec![Delta::Upsert(row_of_a)].into())]);
        let mut nothing = vec![part(&[]), part(&[])];
        counting.add(HOUR_MS + 2, &mut nothing, &mut known, &logs);
        assert_eq!(nothing.len(), 2);
    }

    #[test]
    fn it_is_said_once_in_an_hour_of_each_topic() {
        let logs = Sources { partitions: vec!["a/0".to_owned()], topics: vec!["a".to_owned()], lanes: Vec::new() };
        let (mut counting, mut known) = (Counting::new(Quality { min_valid: 0.5 }), StreamPosition::default());
        let mut said = |clock_ms: Instant, counts: [u64; 3]| {
            let before = counting.said.clone();
            counting.add(clock_ms, &mut vec![part(&[(0, counts)])], &mut known, &logs);
            counting.said != before && !counting.said.1.is_empty()
        };
        assert!(!said(HOUR_MS, [1, 1, 0]), "a half is what was asked for");
        assert!(said(HOUR_MS, [0, 1, 0]));
        assert!(!said(HOUR_MS + 1, [0, 1, 0]), "it was said");
        assert!(!said(2 * HOUR_MS, [1, 0, 0]), "all is well in this hour");
        assert!(said(2 * HOUR_MS, [0, 2, 0]));
    }
}
