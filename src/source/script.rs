//! The source of the tests: a list of steps. It can be idle, fail, cut an epoch, and end, or simply
//! stop talking.

use super::{Batch, Partition, Poll, Source, SourceError};
use dataflows::operators::Status;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// A record of a partition.
    Record(u32, Vec<u8>),
    /// A partition's life goes on.
    Status(u32, Status),
    /// Nothing to read, once.
    Idle,
    /// The source cannot be reached, once.
    Unavailable,
    /// Reading fails for good.
    Fail(String),
    /// The epoch closes.
    Cut,
    /// The end.
    End,
    /// Whoever runs this is asked to stop, as by a signal.
    Stop,
}

/// A source that does what it is told. After its last step it is idle for ever.
pub struct Script {
    partitions: Vec<Partition>,
    next_offsets: Vec<i64>,
    skip_until: Vec<i64>,
    steps: VecDeque<Step>,
    stop: Arc<AtomicBool>,
    is_sequence: bool,
}

impl Script {
    /// A source of these partitions and steps. Offsets count from 0 in each partition.
    pub fn new(partitions: Vec<Partition>, steps: impl IntoIterator<Item = Step>) -> Script {
        let zeros = vec![0; partitions.len()];
        Script {
            partitions,
            next_offsets: zeros.clone(),
            skip_until: zeros,
            steps: steps.into_iter().collect(),
            stop: Arc::default(),
            is_sequence: false,
        }
    }

    /// Its records come in the order of its steps, always.
    pub fn in_sequence(self) -> Script {
        Script { is_sequence: true, ..self }
    }

    /// Sets this flag at `Step::Stop`.
    pub fn stopping(mut self, stop: &Arc<AtomicBool>) -> Script {
        self.stop = Arc::clone(stop);
        self
    }
}

impl Source for Script {
    fn partitions(&self) -> Vec<Partition> {
        self.partitions.clone()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        while batch.records.len() < max_records {
            let Some(Step::Record(partition, payload)) = self.steps.front() else { break };
            let offset = &mut self.next_offsets[*partition as usize];
            if *offset >= self.skip_until[*partition as usize] {
                batch.push(*partition, *offset, b"", payload);
            }
            *offset += 1;
            self.steps.pop_front();
        }
        if !batch.records.is_empty() {
            return Ok(Poll::Records(batch));
        }
        match self.steps.pop_front() {
            Some(Step::Status(partition, status)) => Ok(Poll::Status(partition, status)),
            Some(Step::Unavailable) => Err(SourceError::Unavailable("the script says so".to_owned())),
            Some(Step::Fail(why)) => Err(SourceError::Failed(why)),
            Some(Step::Cut) => Ok(Poll::Cut),
            Some(Step::End) => Ok(Poll::End),
            Some(Step::Stop) => {
                self.stop.store(true, Ordering::Release);
                Ok(Poll::Idle)
            }
            Some(Step::Idle | Step::Record(..)) | None => Ok(Poll::Idle),
        }
    }

    fn is_sequence(&self) -> bool {
        self.is_sequence
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        for (partition, offset) in next_offsets {
            self.skip_until[*partition as usize] = *offset;
        }
        Ok(())
    }
}
