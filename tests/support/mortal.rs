use super::{Call, Hooked};
use deltamart::sink::memory::Memory;
use deltamart::sink::{Sink, SinkError, Warehouse};
use deltamart::source::{Partition, Poll, Source, SourceError};
use deltamart::store::simulated::SimulatedDisk;
use std::sync::{Arc, Mutex};

/// When a process goes away, in addition to what the disk does to it.
#[derive(Clone, Default)]
pub struct Fate {
    /// At which call of a sink or a source; it is counted down by all of them.
    pub calls: Option<u64>,
    /// Done at that call instead of dying: the process sleeps meanwhile, and wakes up.
    pub sleeps: Option<Arc<dyn Fn() + Send + Sync>>,
    /// At the first call of a sink of which this is true, which is not done.
    pub before: Option<fn(Call<'_>) -> bool>,
}

impl Fate {
    /// It goes away at so many calls of sinks and sources.
    pub fn at_call(calls: u64) -> Fate {
        Fate { calls: Some(calls), ..Fate::default() }
    }
}

/// One life of a process: what it does to the world ends with it.
#[derive(Clone)]
pub struct Life {
    disk: SimulatedDisk,
    fate: Arc<Mutex<Fate>>,
}

impl Life {
    pub fn of(disk: &SimulatedDisk, fate: Fate) -> Life {
        Life { disk: disk.clone(), fate: Arc::new(Mutex::new(fate)) }
    }

    /// A sink that goes away with the process.
    pub fn sink(&self, sink: &Memory) -> Box<dyn Warehouse> {
        let (inner, asked, life) = (sink.clone(), sink.clone(), self.clone());
        Box::new(Hooked::before(Box::new(inner), move |call| life.asked(&asked, call)))
    }

    /// A source that does.
    pub fn source(&self, script: Box<dyn Source>) -> Box<dyn Source> {
        Box::new(Mortal { script, life: self.clone() })
    }

    /// What a sink answers before it is called.
    fn asked(&self, sink: &Memory, call: Call<'_>) -> Result<(), SinkError> {
        let gone = || Err(SinkError::Failed("gone".to_owned()));
        if self.fate.lock().expect("not poisoned").before.is_some_and(|dies| dies(call)) {
            self.disk.fail_after(0);
            return gone();
        }
        if matches!(call, Call::Position | Call::Scrub) {
            return Ok(());
        }
        if self.disk.is_gone() {
            return gone();
        }
        match (self.call(), call) {
            (false, _) => Ok(()),
            // Nobody knows whether it was done.
            (true, Call::Apply(claim, commit)) if commit.epoch.is_multiple_of(4) => {
                sink.clone().apply(claim, commit)?;
                gone()
            }
            (true, _) => gone(),
        }
    }

    /// Tells whether the process goes away during this call.
    fn call(&self) -> bool {
        let mut fate = self.fate.lock().expect("not poisoned");
        match &mut fate.calls {
            Some(0) => {
                fate.calls = None;
                match fate.sleeps.take() {
                    Some(meanwhile) => {
                        drop(fate);
                        meanwhile();
                        false
                    }
                    None => {
                        self.disk.fail_after(0);
                        true
                    }
                }
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

struct Mortal {
    script: Box<dyn Source>,
    life: Life,
}

impl Source for Mortal {
    fn partitions(&self) -> Vec<Partition> {
        self.script.partitions()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if self.life.disk.is_gone() || self.life.call() {
            return Err(SourceError::Failed("gone".to_owned()));
        }
        self.script.poll(max_records)
    }

    fn is_sequence(&self) -> bool {
        self.script.is_sequence()
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        self.script.seek(next_offsets)
    }
}
