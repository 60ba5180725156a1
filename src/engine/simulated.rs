//! Several processes in one, for the tests: each has what a process has of its own, and what one says to another goes
//! through bytes, one after the other, and may never arrive.

use super::hearing::Hearing;
use super::intake::Elsewhere;
use super::lead::{Leader, WhenGone};
use super::said::{Said, Words, link};
use super::{Ended, EngineError, Job, Joining, follow, timely_config, worker};
use crate::commit::CommitError;
use crate::source::Source;
use crate::turns::Turns;
use std::sync::Arc;

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
    let options = job.options.clone();
    let replay = job.resume.replay.clone();
    let dir = job.keep.as_ref().map(|keep| keep.dir.clone());
    let numbered = |(number, member): (usize, &Member)| {
        member.sources.iter().map(|source| Elsewhere::of(number + 1, &**source)).collect::<Vec<_>>()
    };
    let of_members = members.iter().enumerate().flat_map(numbered).collect();
    let mut leader = Leader::new(job, of_members, processes)?;
    let plan = leader.plan()?;
    let (mut shareds, mut threads) = (vec![Arc::clone(&leader.shared)], Vec::new());
    for (process, member) in (1..).zip(members) {
        let (link, words) = link();
        let state = match &dir {
            Some(dir) => plan.read(process, options.commit.catalogue, dir, 1).map_err(CommitError::State)?,
            None => Vec::new(),
        };
        let (options, dir, turns) = (options.clone(), dir.clone(), options.turns.clone());
        let (sources, replay) = (member.sources, replay.clone());
        let (stops, stats) = (Arc::default(), Arc::default());
        let shard = leader.shard(process);
        let joining = Joining { process, options, dir, state, sources, replay, stops, stats, shard };
        let (hearing, rows) = leader.hearing_here(process);
        let (shared, of_member) = follow::shared(&plan, joining, link, rows)?;
        threads.extend(of_member.parts);
        threads.extend(of_member.rows);
        let pump = Pump { process, words, loses: member.loses, hearing };
        threads.push(pump.start(turns)?);
        shareds.push(Arc::new(shared));
    }
    let of_worker = move |index: usize| Arc::clone(&shareds[index / workers.max(1)]);
    let guards = timely::execute(timely_config(workers * processes, true), move |worker| {
        worker::run(worker, &of_worker(worker.index()));
    });
    let ended = leader.run(guards.map_err(EngineError::Thread)?, WhenGone::Ends);
    for thread in threads {
        thread.join().map_err(|_| EngineError::Thread("a thread of a process panicked".to_owned()))?;
    }
    ended
}

/// What carries the words of one process to another.
struct Pump {
    process: usize,
    words: Words,
    loses: Option<u64>,
    hearing: Hearing,
}

impl Pump {
    fn start(mut self, turns: Turns) -> Result<std::thread::JoinHandle<()>, EngineError> {
        let body = move || {
            let turn = turns.join(format!("link {}", self.process));
            while let Some(said) = self.words.next(&turn) {
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
        let bytes = postcard::to_stdvec(&said).map_err(|error| error.to_string())?;
        self.hearing.hear(postcard::from_bytes(&bytes).map_err(|error| error.to_string())?)
    }
}
