//! A run of several processes.

use super::{IN_MEMORY, Refused, options, stop_on_signals};
use crate::cli::RunArgs;
use crate::cluster::lead::{Gathered, Meeting};
use crate::cluster::{Company, hosts, member};
use crate::config::Config;
use crate::engine::{self, Ended, EngineError, Job};
use crate::families::all;
use crate::fingerprint;
use crate::sink::MadeBy;
use anyhow::{Context, Result, bail};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

/// After so long without a word a process is taken to be gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);
/// For so long processes wait for each other.
const MEET_TIMEOUT: Duration = Duration::from_secs(600);

/// The processes that compute a run, if there are several.
///
/// # Errors
/// If what was said of them does not fit together.
pub(super) fn company(config: &Config, arguments: &RunArgs) -> Result<Option<Company>> {
    let refuse = |why: String| Err(Refused(why).into());
    let (processes, process) = (arguments.processes.unwrap_or(1), arguments.process.unwrap_or(0));
    if processes == 0 || process >= processes {
        let last = processes.saturating_sub(1);
        return refuse(format!("`-n {processes} -p {process}`: processes are numbered from 0 to N-1, here to {last}"));
    }
    if processes == 1 {
        return Ok(None);
    }
    if config.warehouse == Path::new(IN_MEMORY) {
        return refuse(format!("`--warehouse {IN_MEMORY}` belongs to one process; with `-n {processes}` name a file"));
    }
    let hosts = match &arguments.hostfile {
        None => hosts::of_this_machine(processes),
        Some(path) => {
            let of = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("could not read `--hostfile {of}`"))?;
            hosts::parse(&text, processes).map_err(|why| Refused(format!("`--hostfile {of}`: {why}")))?
        }
    };
    let (workers, settings) = (config.workers, settings(config));
    let (peer_timeout, meet_timeout) = (PEER_TIMEOUT, MEET_TIMEOUT);
    Ok(Some(Company { hosts, process, workers, settings, peer_timeout, meet_timeout }))
}

/// A sum of what the dataflow is built of: processes that differ in it cannot compute together.
fn settings(config: &Config) -> u32 {
    let lanes = options(config, MadeBy::Run).lanes;
    let families: Vec<_> = lanes.iter().map(|lane| lane.family.clone()).collect();
    let built: Vec<_> = families.iter().map(|family| (family.family().name(), family.lane())).collect();
    crc32fast::hash(format!("{:?} {built:?}", fingerprint::of(all(), &families)).as_bytes())
}

/// Computes with the process that leads, until it ends.
///
/// # Errors
/// If the processes do not come together, or one of them is gone.
pub(super) fn follow(config: &Config, arguments: &RunArgs, company: &Company) -> Result<()> {
    if !arguments.files.is_empty() || !arguments.catalog.is_empty() || arguments.watch.is_some() {
        say!(
            "process {} reads no files: process 0 does, and those that are given here are left alone",
            company.process
        );
    }
    let signalled = stop_on_signals()?;
    let followed =
        member::follow(company, &options(config, MadeBy::Run), &signalled, |what| drop(crate::shown::say(what)));
    followed.map_err(|why| anyhow::anyhow!("{why}; what was committed is whole"))
}

/// The other processes, for one run.
pub(super) struct Together<'a> {
    meeting: &'a Meeting,
    gathered: RefCell<Option<Gathered>>,
    /// Another run begins at once when this one has ended.
    pub(super) goes_on: Cell<bool>,
}

impl Together<'_> {
    /// Waits until all are there.
    ///
    /// # Errors
    /// If not all come in time.
    pub(super) fn gather<'m>(meeting: &'m mut Meeting, signalled: &AtomicBool) -> Result<Together<'m>> {
        say!("waiting for the other processes");
        match meeting.gather(|| signalled.load(Acquire)) {
            Ok(gathered) => Ok(Together { meeting, gathered: RefCell::new(Some(gathered)), goes_on: Cell::new(false) }),
            Err(why) => bail!("{why}; nothing was begun"),
        }
    }

    /// Does a job with them.
    pub(super) fn run(&self, job: Job, goes_on: impl Fn() -> bool) -> Result<Ended, EngineError> {
        let Some(gathered) = self.gathered.take() else {
            return Err(EngineError::Thread("the other processes have ended already".to_owned()));
        };
        let number = job.keep.as_ref().map_or(0, |keep| keep.generation);
        let begin = |plan: &engine::Plan, hearings| self.meeting.begin(&gathered, number, plan, hearings);
        let ended = engine::lead(job, self.meeting.processes(), begin);
        match &ended {
            Ok(_) => gathered.end(self.goes_on.get() || goes_on()),
            Err(why) => gathered.give_up(&format!("process 0 has ended: {why}")),
        }
        ended
    }
}
