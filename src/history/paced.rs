//! A source whose records come when they are due.

use super::pace::Pace;
use super::staged::Times;
use crate::source::{Batch, Partition, Poll, Portion, ReadOrder, Source, SourceError, Trouble};
use crate::state_dir::journal::Rejected;
use dataflows::Instant;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Records of files that history was written to, each when its time has come. What was told before, and is read again after
/// a crash, comes at once; and so does what is no history, such as a catalog.
pub struct Paced {
    inner: Box<dyn Source>,
    pace: Arc<Pace>,
    /// Of each partition the times of its records, if it is history, and the first offset that is told now.
    told: Vec<Option<(Times, i64)>>,
    held: Batch,
    /// Which of those that are held comes next.
    next: usize,
}

/// At what pace which files are read.
#[derive(Clone)]
pub struct Paces {
    /// The pace of all of them.
    pub pace: Arc<Pace>,
    /// The times of the lines of each, by its name.
    pub times: BTreeMap<String, Times>,
}

impl fmt::Debug for Paces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.times.keys()).finish()
    }
}

impl Paces {
    /// The records of a source at this pace.
    pub fn of(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        Box::new(Paced::new(source, Arc::clone(&self.pace), |topic| self.times.get(topic).cloned()))
    }
}

impl Paced {
    /// The records of a source at a pace. `times` are those of a topic, if it is history.
    pub fn new(inner: Box<dyn Source>, pace: Arc<Pace>, times: impl Fn(&str) -> Option<Times>) -> Paced {
        let told = inner.partitions().iter().map(|partition| Some((times(&partition.topic)?, 1))).collect();
        Paced { inner, pace, told, held: Batch::default(), next: 0 }
    }

    /// The time of a record, if it has to wait for it.
    fn due_at(&self, partition: u32, offset: i64) -> Option<Instant> {
        let (times, first) = self.told.get(partition as usize)?.as_ref()?;
        if offset < *first { None } else { times.at(offset) }
    }

    /// As many of those that are held as are due.
    fn due(&mut self, max_records: usize) -> Option<Batch> {
        let reached = self.pace.reached();
        let rest = self.held.records[self.next..].iter().take(max_records);
        let due = rest
            .take_while(|record| self.due_at(record.partition, record.offset).is_none_or(|at| at <= reached))
            .count();
        if due == 0 {
            return None;
        }
        if self.next == 0 && due == self.held.records.len() {
            return Some(std::mem::take(&mut self.held));
        }
        let records = &self.held.records[self.next..self.next + due];
        let bytes = records.iter().map(|record| record.key.len() + record.payload.len()).sum();
        let mut batch = Batch::with_room(due, bytes);
        for record in records {
            let moved = |range: &std::ops::Range<usize>, bytes: &mut Vec<u8>| {
                let start = bytes.len();
                bytes.extend_from_slice(&self.held.bytes[range.clone()]);
                start..bytes.len()
            };
            let (key, payload) = (moved(&record.key, &mut batch.bytes), moved(&record.payload, &mut batch.bytes));
            batch.records.push(crate::source::Record { key, payload, ..record.clone() });
        }
        self.next += due;
        if self.next == self.held.records.len() {
            (self.held, self.next) = (Batch::default(), 0);
        }
        Some(batch)
    }
}

impl Source for Paced {
    fn partitions(&self) -> Vec<Partition> {
        self.inner.partitions()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.held.records.is_empty() {
            match self.inner.poll(max_records)? {
                Poll::Records(batch) => self.held = batch,
                other @ (Poll::Status(..) | Poll::Skipped | Poll::Idle | Poll::Cut | Poll::End) => return Ok(other),
            }
        }
        Ok(self.due(max_records).map_or(Poll::Idle, Poll::Records))
    }

    fn identity(&self, partition: u32) -> Option<String> {
        self.inner.identity(partition)
    }

    fn read_order(&self) -> ReadOrder {
        self.inner.read_order()
    }

    fn is_sequence(&self) -> bool {
        self.inner.is_sequence()
    }

    /// What waits is still to come.
    fn at_end(&self, partition: u32) -> Option<bool> {
        if self.held.records.is_empty() { self.inner.at_end(partition) } else { Some(false) }
    }

    fn waits_for(&self) -> Vec<String> {
        self.inner.waits_for()
    }

    fn troubles(&self) -> Vec<Trouble> {
        self.inner.troubles()
    }

    fn replays(&mut self, partition: u32, until: i64, rejected: Vec<Rejected>) {
        if let Some(Some((_, first))) = self.told.get_mut(partition as usize) {
            *first = until.max(*first);
        }
        self.inner.replays(partition, until, rejected);
    }

    fn portion(&self) -> Option<Portion> {
        self.inner.portion()
    }

    fn unread(&self) -> Vec<String> {
        self.inner.unread()
    }

    fn takes(&self) -> (Instant, Instant) {
        self.inner.takes()
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        for (partition, next) in next_offsets {
            if let Some(Some((_, first))) = self.told.get_mut(*partition as usize) {
                *first = (*next).max(*first);
            }
        }
        for (times, first) in self.told.iter().flatten() {
            times.at(*first).into_iter().for_each(|at| self.pace.begins_with(at));
        }
        self.inner.seek(next_offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Format;
    use crate::families::SHOP;
    use crate::source::script::{Script, Step};
    use dataflows::operators::Status;
    use std::io::Write;
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    /// What a source yields at a moment, by its offsets.
    fn told(source: &mut Paced) -> Vec<i64> {
        let mut offsets = Vec::new();
        loop {
            match source.poll(2).expect("polls") {
                Poll::Records(batch) => {
                    for record in &batch.records {
                        let text = format!("line {}", record.offset);
                        assert_eq!(&batch.bytes[record.payload.clone()], text.as_bytes());
                    }
                    offsets.extend(batch.records.iter().map(|record| record.offset));
                }
                Poll::Idle | Poll::End => return offsets,
                Poll::Status(..) | Poll::Skipped | Poll::Cut => {}
            }
        }
    }

    fn source(now: &Arc<AtomicI64>, times: &[i64], first: i64, journaled: i64) -> Paced {
        let mut file = tempfile::tempfile().expect("a file");
        times.iter().for_each(|at| file.write_all(&at.to_le_bytes()).expect("writes"));
        let (file, shown) = (Times::of(file), Arc::clone(now));
        let partition = Partition {
            topic: "history.jsonl".to_owned(),
            partition: 0,
            family: SHOP,
            format: Format::Json(None),
            status: Status::Live,
        };
        // Lines count from 1; a script from 0.
        let lines = (0..=times.len()).map(|line| Step::Record(0, format!("line {line}").into_bytes()));
        let script = Script::new(vec![partition], lines.chain([Step::End]));
        let pace = Pace::new(10.0, Arc::new(move || shown.load(Relaxed)));
        let times = |topic: &str| (topic == "history.jsonl").then(|| file.clone());
        let mut paced = Paced::new(Box::new(script), Arc::new(pace), times);
        if journaled > 0 {
            paced.replays(0, journaled, Vec::new());
        }
        paced.seek(&[(0, first)]).expect("seeks");
        paced
    }

    #[test]
    fn a_record_comes_when_it_is_due_and_not_before() {
        let now = Arc::new(AtomicI64::new(1_000));
        let mut paced = source(&now, &[50_000, 50_000, 50_010, 51_000, 51_000, 51_000, 60_000], 1, 0);
        let mut at = |ms: i64| {
            now.store(1_000 + ms, Relaxed);
            let told = told(&mut paced);
            (told, paced.at_end(0))
        };
        assert_eq!(at(0), (vec![1, 2], Some(false)));
        assert_eq!(at(0), (Vec::new(), Some(false)));
        assert_eq!(at(1).0, [3]);
        assert!(at(99).0.is_empty());
        assert_eq!(at(100).0, [4, 5, 6]);
        // However late somebody looks, what is due is all there.
        assert_eq!(at(5_000), (vec![7], None));
    }

    #[test]
    fn what_was_told_is_told_at_once_and_the_pace_goes_on_behind_it() {
        let times = [10_000, 20_000, 30_000, 40_000, 50_000];
        // Committed up to line 1, and journaled up to line 3: line 4 is new.
        let now = Arc::new(AtomicI64::new(7));
        let mut paced = source(&now, &times, 2, 4);
        assert_eq!(told(&mut paced), [2, 3, 4]);
        now.fetch_add(999, Relaxed);
        assert!(told(&mut paced).is_empty());
        now.fetch_add(1, Relaxed);
        assert_eq!(told(&mut paced), [5]);
    }
}
