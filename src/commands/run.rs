//! `run`: events as they come, from where the last run ended, into a warehouse.

use super::batch::{count, patiently};
use super::beside::Beside;
use super::inputs::{Inputs, Named, look, refused};
use super::progress::{Progress, summary};
use super::state::{heartbeats, place_of};
use super::{IN_MEMORY, Refused, open_warehouse, options, settings, sinks, stop_on_signals};
use crate::config::Config;
use crate::config::retention::Retention;
use crate::delta::Delta;
use crate::engine::{self, Job, Keep, Options, Resume};
use crate::fingerprint;
use crate::instant;
use crate::kafka::cluster::Known;
use crate::reconcile::{Differ, reconcile};
use crate::recovery::{self, DECODER, StartError};
use crate::sink::memory::Memory;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Claim, MadeBy, Sink};
use crate::state_dir::{Generation, StateDir, StateError};
use crate::stats::Stats;
use crate::store;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How a run begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// Where the last one ended.
    GoOn,
    /// With the first record; sources that were read before and are not given may be lost.
    Again { accept_loss: bool },
}

/// What to do after the sources have ended.
enum After {
    /// Nothing.
    Done,
    /// There are partitions that were not there: with them, from where we are.
    GoOn,
}

pub(super) fn run(config: &Config, named: &Named, begin: Begin) -> Result<()> {
    look(named)?;
    let signalled = stop_on_signals()?;
    let mut begin = begin;
    while let After::GoOn = once(config, named, begin, &signalled)? {
        begin = Begin::GoOn;
        tracing::info!("going on with the new partitions");
    }
    Ok(())
}

fn once(config: &Config, named: &Named, begin: Begin, signalled: &Arc<AtomicBool>) -> Result<After> {
    // A signal stops us, and so do new partitions.
    let (stop, grown) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let run = Run { config, named, stop: Arc::clone(&stop), grown: Arc::clone(&grown) };
    let _relay = relay(signalled, &stop);
    if config.warehouse == Path::new(IN_MEMORY) {
        let inputs = run.open(&Known::default(), signalled)?;
        let mut memory = Memory::without_log();
        let claim = memory.claim(MadeBy::Run, None)?;
        let sinks: Sinks = vec![(Box::new(memory.clone()), claim)];
        return run.to_its_end(inputs, sinks, None, Resume::default(), Some(&memory));
    }
    let mut sink = open_warehouse(config)?;
    refuse_what_batch_made(config, &mut sink)?;
    let dir = state_of(config, &mut sink, begin)?;
    match begin {
        Begin::GoOn => run.go_on(sink, dir, signalled),
        Begin::Again { accept_loss } => run.again(sink, dir, accept_loss, signalled).map(|()| After::Done),
    }
}

/// Passes a signal on to one run; dropped, it passes nothing on.
fn relay(signalled: &Arc<AtomicBool>, stop: &Arc<AtomicBool>) -> Sender<()> {
    let (ended, end) = channel();
    let (signalled, stop) = (Arc::clone(signalled), Arc::clone(stop));
    std::thread::spawn(move || {
        while end.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
            if signalled.load(Acquire) {
                stop.store(true, Release);
                return;
            }
        }
    });
    ended
}

type Sinks = Vec<(Box<dyn Sink>, Claim)>;

/// One run, with the partitions that were there when it began.
struct Run<'a> {
    config: &'a Config,
    named: &'a Named,
    stop: Arc<AtomicBool>,
    /// There are more partitions.
    grown: Arc<AtomicBool>,
}

impl Run<'_> {
    fn open(&self, known: &Known, signalled: &AtomicBool) -> Result<Inputs> {
        let (stop, grown) = (Arc::clone(&self.stop), Arc::clone(&self.grown));
        Inputs::open(self.config, self.named, known, signalled, move || {
            grown.store(true, Release);
            stop.store(true, Release);
        })
    }

    fn go_on(&self, sink: Sqlite, dir: StateDir, signalled: &AtomicBool) -> Result<After> {
        let known = known(&dir).map_err(|error| refused_or_failed(error.into()))?;
        let inputs = self.open(&known, signalled)?;
        let facts = self.facts(&inputs);
        let mut sinks = sinks::all(self.config, sink, signalled)?;
        let start = recovery::start(&dir, &mut sinks, &facts, &facts.identities, self.config.workers.clamp(1, 8));
        let start = start.map_err(refused_or_failed)?;
        recovery::check_partitions(&dir, &start.resume, &inputs.partitions())
            .map_err(|error| refused_or_failed(error.into()))?;
        if let Some(cluster) = &inputs.cluster {
            cluster.check(&start.resume.positions).map_err(refused)?;
        }
        if let (Some(first), Some(last)) = (start.resume.replay.first(), start.resume.replay.last()) {
            let (first, last) = (first.entry.epoch, last.entry.epoch);
            tracing::info!("the last run was interrupted: replaying epochs {first} to {last}");
        }
        let keep = Keep { dir, generation: start.generation, fingerprint: facts.fingerprint };
        let sinks = sinks.into_iter().map(|sink| -> Box<dyn Sink> { sink }).zip(start.claims).collect();
        self.to_its_end(inputs, sinks, Some(keep), start.resume, None)
    }

    /// Computes everything beside the warehouse, and publishes what differs, there and in every other sink.
    fn again(&self, sink: Sqlite, dir: StateDir, accept_loss: bool, signalled: &AtomicBool) -> Result<()> {
        let config = self.config;
        let known = known(&dir).map_err(|error| refused_or_failed(error.into()))?;
        let inputs = self.open(&Known { accepts_loss: accept_loss, ..known }, signalled)?;
        if let Some(cluster) = &inputs.cluster {
            cluster.check(&BTreeMap::new()).map_err(refused)?;
        }
        let facts = self.facts(&inputs);
        let mut sinks = sinks::all(config, sink, signalled)?;
        let (claims, after) = recovery::start_again(&dir, &mut sinks, &facts, &inputs.partitions(), accept_loss)
            .map_err(refused_or_failed)?;
        let claim = &claims[0];
        let beside = Beside::new(&config.warehouse, claim.generation);
        let mut computed = Sqlite::open(beside.path())?;
        let claim_beside = computed.claim(MadeBy::Run, Some(claim))?;
        computed.begin_at(after)?;
        let keep = Keep { dir, generation: claim.generation, fingerprint: facts.fingerprint };
        let resume = Resume { epoch: after, ..Resume::default() };
        let computing: Sinks = vec![(Box::new(computed), claim_beside)];
        let mut options = options(config, MadeBy::Run);
        // Whether rows are missing is said of the warehouse, not of what is computed beside it: that one keeps them.
        options.commit.retention = Retention::default();
        let (stats, stopped, watch) = self.compute(inputs, computing, Some(keep), resume, options)?;
        if stopped {
            bail!("the rebuild was stopped before its end, and nothing of it was published; run it again");
        }
        let mut beside = Sqlite::open(beside.path())?;
        let epoch = beside.position()?.context("the rebuild committed nothing")?.epoch;
        let (warehouse, others) = sinks.split_first_mut().context("there is always the warehouse")?;
        let publish = || reconcile(&mut beside, &mut **warehouse, claim, Differ::InSubstance, |_| epoch);
        let commit = patiently(publish)?;
        patiently(|| Sqlite::open(&config.warehouse)?.forget_purged(claim))?;
        // If this is killed in between, the next start does it.
        for (sink, claim) in others.iter_mut().zip(&claims[1..]) {
            patiently(|| reconcile(&mut **warehouse, &mut **sink, claim, Differ::InAnything, |_| epoch))?;
        }
        stats.upserted.store(count(&commit, |delta| matches!(delta, Delta::Upsert(_))), Relaxed);
        stats.deleted.store(count(&commit, |delta| matches!(delta, Delta::Delete(_))), Relaxed);
        stats.appended.store(0, Relaxed);
        stats.commits.store(1, Relaxed);
        summary(config, &stats, watch.stop(), false, None)
    }

    fn to_its_end(
        &self,
        inputs: Inputs,
        sinks: Sinks,
        keep: Option<Keep>,
        resume: Resume,
        memory: Option<&Memory>,
    ) -> Result<After> {
        let options = options(self.config, MadeBy::Run);
        let (stats, stopped, watch) = self.compute(inputs, sinks, keep, resume, options)?;
        if self.grown.load(Acquire) && memory.is_none() {
            return Ok(After::GoOn);
        }
        summary(self.config, &stats, watch.stop(), stopped, memory).map(|()| After::Done)
    }

    /// Runs the sources to their end, or until it is stopped; tells which.
    fn compute(
        &self,
        inputs: Inputs,
        sinks: Sinks,
        keep: Option<Keep>,
        resume: Resume,
        options: Options,
    ) -> Result<(Arc<Stats>, bool, Progress)> {
        let (config, stats) = (self.config, Arc::new(Stats::default()));
        let watch = Progress::start(&stats);
        let beats = keep.as_ref().map(|keep| heartbeats(keep, config, &stats));
        let Inputs { sources, watch: partitions, .. } = inputs;
        let stop = Arc::clone(&self.stop);
        let job = Job { sources, sinks, keep, options, resume, stop, stats: Arc::clone(&stats) };
        let ended = engine::run(job);
        drop((beats, partitions));
        ended.context("the run ended early; what was committed before is whole")?;
        Ok((stats, self.stop.load(Acquire), watch))
    }

    fn facts(&self, inputs: &Inputs) -> Generation {
        let config = self.config;
        let mut fingerprint = fingerprint::of(&settings(config, MadeBy::Run));
        if let Some(until) = self.named.backfill_until {
            fingerprint.insert("setting backfill until".to_owned(), instant::show(until));
        }
        Generation {
            nonce: uuid::Uuid::new_v4().to_string(),
            started_at: instant::show(instant::now()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            decoder: DECODER,
            rules: config.rules.clone(),
            fingerprint,
            rebuilt_after: None,
            identities: inputs.identities(),
            begins: inputs.begins(),
        }
    }
}

/// What was written down at the last start.
fn known(dir: &StateDir) -> Result<Known, StateError> {
    Ok(match dir.last_generation()? {
        0 => Known::default(),
        last => {
            let Generation { begins, mut identities, .. } = dir.generation(last)?;
            // Of what was empty at the last start it became known later.
            let chain = dir.chain()?;
            if let Some(manifest) = dir.newest_snapshot(&chain, chain.end())? {
                for (partition, identity) in manifest.identities {
                    identities.entry(partition).or_insert(identity);
                }
            }
            Known { begins, identities, accepts_loss: false }
        }
    })
}

/// The state that belongs to the warehouse.
fn state_of(config: &Config, sink: &mut Sqlite, begin: Begin) -> Result<StateDir> {
    let place = place_of(config);
    let store = store::open(&place).with_context(|| format!("could not open the state (`state_dir`) `{place}`"))?;
    let known = sink.position()?;
    if let Some(dir) = StateDir::open_to_read(Arc::clone(&store)).map_err(|error| refused_or_failed(error.into()))? {
        return Ok(dir);
    }
    let (path, program) = (config.warehouse.display(), super::text::program());
    if let (Some(progress), Begin::GoOn) = (known.as_ref().filter(|progress| progress.epoch > 0), begin) {
        return Err(Refused(format!(
            "warehouse `{path}` is at epoch {}, and there is no state in `{place}` to go on from.\n\
             Put it back, or name it:        {program} --set state_dir=PLACE ...\n\
             or compute everything again:    {program} run --rebuild ...  (only rows that differ are written)\n\
             or name another warehouse:      {program} --warehouse next.db ...",
            progress.epoch,
        ))
        .into());
    }
    let id = known.map(|progress| progress.pipeline_id);
    StateDir::open(store, id.as_deref()).map_err(|error| refused_or_failed(error.into()))
}

/// What is refused is told apart from what failed: exit codes 2 and 1.
pub(super) fn refused_or_failed(error: StartError) -> anyhow::Error {
    match error {
        StartError::State(StateError::Refused(why)) => Refused(why).into(),
        other => other.into(),
    }
}

fn refuse_what_batch_made(config: &Config, sink: &mut Sqlite) -> Result<()> {
    if let Some(progress) = sink.position()?.filter(|progress| progress.epoch > 0 && progress.made_by == MadeBy::Batch)
    {
        let (path, program) = (config.warehouse.display(), super::text::program());
        return Err(Refused(format!(
            "warehouse `{path}` was made by `batch` (epoch {}): it has no state to go on from.\n\
             Name another file:     {program} --warehouse next.db ...\n\
             or recompute files:    {program} batch FILES --catalog FILE  (into the same warehouse)",
            progress.epoch,
        ))
        .into());
    }
    Ok(())
}
