//! Several processes in one, for the tests: each has what a process has of its own, and what one says to another goes
//! through bytes, one after the other, and may never arrive.

use super::hearing::Hearing;
use super::intake::{Elsewhere, Given, Intake};
use super::lead::Leader;
use super::said::{Outbox, Said};
use super::shared::{Shared, archived};
use super::{Ended, EngineError, Job, Resume, timely_config, worker};
use crate::commit::{Carrier, Signals};
use crate::source::Source;
use crate::turns::Turns;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::mpsc::{Receiver, channel};

/// A process that computes with the one that leads.
pub struct Member {
    /// What it reads. None of it is read before anything else.
    pub sources: Vec<Box<dyn Source>>,
    /// After so many messages nothing more arrives of what it says.
    pub loses: Option<u64>,
}

/// Runs a job with other processes, each of as many workers. What they read is numbered after what the job reads, one
/// process after the other.
///
/// # Errors
/// If a source, a sink or the state fails for good, or a process is lost.
pub fn run_together(job: Job, members: Vec<Member>) -> Result<Ended, EngineError> {
    let (workers, processes) = (job.options.workers, members.len() + 1);
    let (options, keeps_state) = (job.options.clone(), job.keep.is_some());
    let resume = Resume { state: Vec::new(), ..job.resume.clone() };
    let of_leader: Vec<_> = job.sources.iter().map(|source| Elsewhere::of(0, &**source)).collect();
    let numbered = |(number, member): (usize, &Member)| {
        member.sources.iter().map(|source| Elsewhere::of(number + 1, &**source)).collect::<Vec<_>>()
    };
    let of_members: Vec<_> = members.iter().enumerate().flat_map(numbered).collect();
    let leader = Leader::new(job, of_members.clone(), processes)?;
    let families: Vec<_> = options.lanes.iter().map(|lane| lane.family.family()).collect();
    let replay: Vec<_> = resume.replay.iter().map(|replayed| replayed.entry.clone()).collect();
    let (mut shareds, mut links) = (vec![Arc::clone(&leader.shared)], Vec::new());
    for (process, member) in (1..).zip(members) {
        let mut own = member.sources.into_iter().peekable();
        let there = of_leader.iter().chain(&of_members).cloned();
        let given = there.map(|there| match own.next_if(|_| there.process == process) {
            Some(source) => Given::Here(source),
            None => Given::There(there),
        });
        let intake = Intake::new(given.collect(), &families, leader.shared.opens.0, &resume.positions, &replay)?;
        let (link, said) = channel();
        let signals = Signals {
            acknowledged: Arc::default(),
            committed: Arc::default(),
            snapshotting: Arc::default(),
            snapshot_bytes: Arc::default(),
            spared: Arc::default(),
            stop: Arc::default(),
            failed: Arc::default(),
            stats: Arc::default(),
        };
        let pump = Pump {
            process,
            said,
            loses: member.loses,
            waiting: Arc::clone(&signals.snapshot_bytes),
            hearing: leader.hearing(process),
        };
        links.push(pump.start(options.turns.clone())?);
        shareds.push(Arc::new(Shared {
            first: process * workers,
            archived: archived(&options, &intake.partitions),
            reads: leader.shared.reads.clone(),
            intake,
            options: options.clone(),
            signals,
            full: Default::default(),
            opens: leader.shared.opens,
            failure: Default::default(),
            outbox: Outbox::There { link, carrier: Arc::new(Carrier::of(options.commit.catalogue)) },
            resume: resume.clone(),
            shares: Default::default(),
            keeps_state,
            readers: leader.shared.readers,
            asked: Vec::new(),
            ended: Default::default(),
        }));
    }
    let of_worker = move |index: usize| Arc::clone(&shareds[index / workers.max(1)]);
    let guards = timely::execute(timely_config(workers * processes), move |worker| {
        worker::run(worker, &of_worker(worker.index()));
    });
    let ended = leader.run(guards.map_err(EngineError::Thread)?);
    for link in links {
        link.join().map_err(|_| EngineError::Thread("a link panicked".to_owned()))?;
    }
    ended
}

/// What carries the words of one process to another.
struct Pump {
    process: usize,
    said: Receiver<Said>,
    loses: Option<u64>,
    /// How many bytes of snapshots are on their way.
    waiting: Arc<AtomicUsize>,
    hearing: Hearing,
}

impl Pump {
    fn start(mut self, turns: Turns) -> Result<std::thread::JoinHandle<()>, EngineError> {
        let body = move || {
            let turn = turns.join(format!("link {}", self.process));
            while let Some(said) = turn.recv_patiently(&self.said) {
                if let Err(why) = self.carry(said) {
                    self.hearing.is_gone(&why);
                    return;
                }
            }
        };
        let started = std::thread::Builder::new().name("link".to_owned()).spawn(body);
        started.map_err(|error| EngineError::Thread(format!("could not start a thread: {error}")))
    }

    fn carry(&mut self, said: Said) -> Result<(), String> {
        match &mut self.loses {
            Some(0) => return Err("its link went away".to_owned()),
            Some(left) => *left -= 1,
            None => {}
        }
        if let Said::Slice(section) = &said {
            self.waiting.fetch_sub(section.bytes.len(), AcqRel);
        }
        let bytes = postcard::to_stdvec(&said).map_err(|error| error.to_string())?;
        self.hearing.hear(postcard::from_bytes(&bytes).map_err(|error| error.to_string())?)
    }
}
