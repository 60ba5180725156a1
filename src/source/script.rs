//! The source of the tests: a list of steps. It can be idle, fail, cut an epoch, crash, and end, or simply
//! stop talking.

use super::{Batch, Partition, Poll, Refused, Source, SourceError};
use crate::decode::Reason;
use dataflows::operators::Status;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// A record of a partition.
    Record(u32, Vec<u8>),
    /// A record of a partition that is rejected for this reason, whatever it says.
    Refused(u32, Reason),
    /// So many records of a partition that cannot be read, and are passed together.
    Unreadable(u32, i64),
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
    /// The run is asked to stop, as by a signal.
    Stop,
    /// The process is killed. A process that was killed here and starts again passes it.
    Crash,
}

/// A source that does what it is told. After its last step it is idle forever.
pub struct Script {
    partitions: Vec<Partition>,
    next_offsets: Vec<i64>,
    skip_until: Vec<i64>,
    steps: VecDeque<Step>,
    stop: Arc<AtomicBool>,
    crash: Box<dyn Fn() + Send>,
    /// How many crashes are still to be passed.
    crashes_passed: usize,
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
            crash: Box::new(|| ()),
            crashes_passed: 0,
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

    /// Calls this at `Step::Crash`: it makes everything fail that a killed process could not do any more. So many of
    /// these steps are passed before.
    pub fn crashing(mut self, passed: usize, crash: impl Fn() + Send + 'static) -> Script {
        (self.crashes_passed, self.crash) = (passed, Box::new(crash));
        self
    }

    /// The first and the last offset of the next records of a partition, unless reading goes on behind them.
    fn next(&mut self, partition: u32, records: i64) -> Option<(i64, i64)> {
        let next = &mut self.next_offsets[partition as usize];
        let first = *next;
        *next += records;
        (first >= self.skip_until[partition as usize]).then_some((first, *next - 1))
    }

    /// Adds a step's record to a batch; tells whether it has one.
    fn read(&mut self, step: &Step, batch: &mut Batch) -> bool {
        let refused = |reason, from| Refused { reason, detail: "the script says so".to_owned(), from };
        match step {
            Step::Record(partition, payload) => {
                if let Some((_, offset)) = self.next(*partition, 1) {
                    batch.push(*partition, offset, b"", payload);
                }
            }
            Step::Refused(partition, reason) => {
                if let Some((_, offset)) = self.next(*partition, 1) {
                    batch.push_refused(*partition, offset, refused(*reason, None));
                }
            }
            Step::Unreadable(partition, records) => {
                if let Some((first, last)) = self.next(*partition, *records) {
                    batch.push_refused(*partition, last, refused(Reason::UNREADABLE, Some(first)));
                }
            }
            Step::Status(..)
            | Step::Idle
            | Step::Unavailable
            | Step::Fail(_)
            | Step::Cut
            | Step::End
            | Step::Stop
            | Step::Crash => return false,
        }
        true
    }
}

impl Source for Script {
    fn partitions(&self) -> Vec<Partition> {
        self.partitions.clone()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        let step = loop {
            match self.steps.pop_front() {
                Some(step) if batch.records.len() < max_records && self.read(&step, &mut batch) => {}
                step => break step,
            }
        };
        if !batch.records.is_empty() {
            step.into_iter().for_each(|step| self.steps.push_front(step));
            return Ok(Poll::Records(batch));
        }
        match step {
            Some(Step::Status(partition, status)) => Ok(Poll::Status(partition, status)),
            Some(Step::Unavailable) => Err(SourceError::Unavailable("the script says so".to_owned())),
            Some(Step::Fail(why)) => Err(SourceError::Failed(why)),
            Some(Step::Cut) => Ok(Poll::Cut),
            Some(Step::End) => Ok(Poll::End),
            Some(Step::Stop) => {
                self.stop.store(true, Ordering::Release);
                Ok(Poll::Idle)
            }
            Some(Step::Crash) if self.crashes_passed == 0 => {
                (self.crash)();
                Err(SourceError::Failed("killed by the script".to_owned()))
            }
            Some(Step::Crash) => {
                self.crashes_passed -= 1;
                Ok(Poll::Idle)
            }
            Some(Step::Idle | Step::Record(..) | Step::Refused(..) | Step::Unreadable(..)) | None => Ok(Poll::Idle),
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
