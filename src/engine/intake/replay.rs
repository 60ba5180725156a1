//! Reading again what was read before, in the epochs it was read in.

use crate::source::{Batch, Poll, Record, Source, SourceError};
use crate::state_dir::journal::{Entry, Rejected};
use dataflows::Time;
use std::collections::{BTreeMap, VecDeque};

/// What a source still has to yield again. Offsets by the number of the partition in its source.
pub(super) struct Replay {
    /// Per epoch the next offsets of the partitions that were read in it.
    goals: VecDeque<(Time, BTreeMap<u32, i64>)>,
    /// What the source yielded, and belongs to later epochs.
    held: VecDeque<Poll>,
    /// The source has ended; that it has is told only when everything is read again.
    ended: bool,
}

impl Replay {
    pub(super) fn new(goals: VecDeque<(Time, BTreeMap<u32, i64>)>) -> Replay {
        Replay { goals, held: VecDeque::new(), ended: false }
    }

    /// Everything was read again and handed over.
    pub(super) fn is_over(&self) -> bool {
        self.goals.is_empty() && self.held.is_empty() && !self.ended
    }

    /// What comes next in `epoch`; `Cut` once all of it was read again.
    pub(super) fn poll(
        &mut self,
        epoch: Time,
        max_records: usize,
        source: &mut dyn Source,
    ) -> Result<Poll, SourceError> {
        while self.goals.front().is_some_and(|(of, _)| *of < epoch) {
            self.goals.pop_front();
        }
        let Some((_, goals)) = self.goals.front_mut().filter(|(of, _)| *of == epoch) else {
            // Read before it was needed: the first of what is new.
            return match self.held.pop_front() {
                Some(polled) => Ok(polled),
                None if std::mem::take(&mut self.ended) => Ok(Poll::End),
                None => source.poll(max_records),
            };
        };
        let mut held = std::mem::take(&mut self.held).into_iter();
        while let Some(polled) = held.next() {
            let (now, later) = split(polled, goals, source)?;
            self.held.extend(later);
            if let Some(now) = now {
                // What was behind it stays behind it: a partition is read in its order.
                self.held.extend(held);
                return Ok(now);
            }
        }
        if goals.is_empty() {
            return Ok(Poll::Cut);
        }
        if self.ended {
            let missing: Vec<_> = goals
                .iter()
                .map(|(partition, next)| {
                    let name = super::super::partition_name(&source.partitions()[*partition as usize]);
                    format!("`{name}` up to offset {}", next - 1)
                })
                .collect();
            let why = format!(
                "the source ended before what was read of it the last time: {}. Was it cut, or replaced? \
                 Give it back as it was, or start from scratch with `--rebuild`",
                missing.join(", ")
            );
            return Err(SourceError::Failed(why));
        }
        match source.poll(max_records)? {
            Poll::Records(batch) => {
                let (now, later) = split(Poll::Records(batch), goals, source)?;
                self.held.extend(later);
                Ok(now.unwrap_or(Poll::Idle))
            }
            Poll::End => {
                self.ended = true;
                self.poll(epoch, max_records, source)
            }
            // Where epochs end is known.
            Poll::Cut => Ok(Poll::Idle),
            other @ (Poll::Status(..) | Poll::Skipped | Poll::Idle) => Ok(other),
        }
    }
}

/// What is read again of a partition, if anything is: up to which offset, and what of it was rejected for reasons that
/// its bytes do not tell.
pub(super) fn journaled(entries: &[Entry], partition: &str) -> Option<(i64, Vec<Rejected>)> {
    let until = entries.iter().filter_map(|entry| Some(entry.read.get(partition)?.1)).max()?;
    let rejected = entries.iter().flat_map(|entry| &entry.rejected).filter(|found| found.partition == partition);
    Some((until, rejected.cloned().collect()))
}

/// What belongs to the epoch with these goals, and what comes after it; notes which goals are met.
///
/// # Errors
/// If a partition goes on after a record that was read the last time and is not there any more.
fn split(
    polled: Poll,
    goals: &mut BTreeMap<u32, i64>,
    source: &dyn Source,
) -> Result<(Option<Poll>, Option<Poll>), SourceError> {
    let Poll::Records(Batch { bytes, records, file }) = polled else { return Ok((Some(polled), None)) };
    let mut missing = None;
    let mut belongs = |record: &Record| match goals.get(&record.partition) {
        Some(next) if record.offset + 1 == *next => {
            goals.remove(&record.partition);
            true
        }
        Some(next) if record.offset >= *next => {
            missing.get_or_insert((record.partition, *next - 1));
            false
        }
        Some(_) => true,
        None => false,
    };
    let (now, later): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| belongs(record));
    let batch = |records: Vec<Record>, bytes| {
        (!records.is_empty()).then(|| Poll::Records(Batch { bytes, records, file: file.clone() }))
    };
    if let Some((partition, offset)) = missing {
        let name = super::super::partition_name(&source.partitions()[partition as usize]);
        let why = format!(
            "the record at offset {offset} of `{name}` was read the last time and is not there any more: the log was \
             compacted or cut while what was read of it was not yet committed. Start from scratch with `--rebuild`"
        );
        return Err(SourceError::Failed(why));
    }
    Ok(match (now.is_empty(), later.is_empty()) {
        (_, true) => (batch(now, bytes), None),
        (true, _) => (None, batch(later, bytes)),
        _ => (batch(now, bytes.clone()), batch(later, bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Format;
    use crate::families::SHOP;
    use crate::source::Partition;
    use crate::source::script::{Script, Step};
    use dataflows::operators::Status;

    fn offsets(polled: Poll) -> Option<Vec<(u32, i64)>> {
        match polled {
            Poll::Records(batch) => {
                let of = |record: &Record| {
                    let payload = &batch.bytes[record.payload.clone()];
                    assert_eq!(payload, format!("{}/{}", record.partition, record.offset).as_bytes());
                    (record.partition, record.offset)
                };
                Some(batch.records.iter().map(of).collect())
            }
            Poll::Idle => Some(Vec::new()),
            Poll::Cut => None,
            other @ (Poll::Status(..) | Poll::Skipped | Poll::End) => panic!("{other:?}"),
        }
    }

    fn epoch(replay: &mut Replay, epoch: Time, source: &mut Script) -> Vec<(u32, i64)> {
        let mut read = Vec::new();
        while let Some(offsets) = offsets(replay.poll(epoch, 3, source).expect("readable")) {
            read.extend(offsets);
        }
        read
    }

    fn source(records: &[(u32, i64)]) -> Script {
        let partition = |partition| Partition {
            topic: "script".to_owned(),
            partition,
            family: SHOP,
            format: Format::Json(None),
            status: Status::Live,
        };
        let record =
            |(partition, offset): &(u32, i64)| Step::Record(*partition, format!("{partition}/{offset}").into_bytes());
        Script::new((0..2).map(partition).collect(), records.iter().map(record).chain([Step::End]))
    }

    #[test]
    fn epochs_end_where_they_ended() {
        let all = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2), (0, 3), (0, 4), (1, 3)];
        let mut source = source(&all);
        let goals = [(2, [(0, 1), (1, 2)].into()), (4, [(1, 3)].into()), (8, [(0, 4)].into())];
        let mut replay = Replay::new(goals.into());
        let mut first = epoch(&mut replay, 2, &mut source);
        first.sort();
        assert_eq!(first, [(0, 0), (1, 0), (1, 1)]);
        assert_eq!(epoch(&mut replay, 4, &mut source), [(1, 2)]);
        assert_eq!(epoch(&mut replay, 8, &mut source), [(0, 1), (0, 2), (0, 3)]);
        assert!(!replay.is_over(), "more was read than was replayed, or may have been");
        let mut rest = Vec::new();
        while !replay.is_over() {
            let polled = replay.poll(10, 3, &mut source).expect("readable");
            if matches!(polled, Poll::End) {
                break;
            }
            rest.extend(offsets(polled).expect("no cut"));
        }
        rest.sort();
        assert_eq!(rest, [(0, 4), (1, 3)]);
    }

    #[test]
    fn a_source_that_was_cut_short_is_refused() {
        let mut source = source(&[(0, 0), (0, 1)]);
        let mut replay = Replay::new([(2, [(0, 3)].into())].into());
        let error = loop {
            match replay.poll(2, 3, &mut source) {
                Ok(Poll::Cut) => panic!("it cannot have been read"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("`script/0` up to offset 2"), "{error}");
    }
}
