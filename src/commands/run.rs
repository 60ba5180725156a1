//! `run`: events as they come, from where the last run ended, into a warehouse.

use super::batch::{count, patiently};
use super::beside::Beside;
use super::progress::{Progress, summary};
use super::state::{heartbeats, place_of};
use super::{IN_MEMORY, Refused, open_warehouse, options, settings, stop_on_signals};
use crate::config::Config;
use crate::delta::Delta;
use crate::engine::{self, Job, Keep, Resume, partition_name};
use crate::fingerprint;
use crate::instant;
use crate::reconcile::reconcile;
use crate::recovery::{self, DECODER, StartError};
use crate::simulate::{SAMPLE, Simulator, items_of};
use crate::sink::memory::Memory;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Claim, MadeBy, Sink};
use crate::source::Source;
use crate::source::chain::Chain;
use crate::source::files::{Files, names};
use crate::source::movies::Movies;
use crate::state_dir::{Generation, StateDir, StateError};
use crate::stats::Stats;
use crate::store;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// How a run begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// Where the last one ended.
    GoOn,
    /// With the first record; sources that were read before and are not given may be lost.
    Again { accept_loss: bool },
}

pub(super) fn run(config: &Config, files: &[PathBuf], catalogs: &[PathBuf], begin: Begin) -> Result<()> {
    let source = if files.is_empty() { shop(config, catalogs)? } else { given(files, catalogs)? };
    if config.warehouse == Path::new(IN_MEMORY) {
        let mut memory = Memory::without_log();
        let claim = memory.claim(MadeBy::Run, None)?;
        let sinks: Sinks = vec![(Box::new(memory.clone()), claim)];
        return to_its_end(config, source, sinks, None, Resume::default(), Some(&memory)).map(drop);
    }
    let mut sink = open_warehouse(config)?;
    refuse_what_batch_made(config, &mut sink)?;
    let dir = state_of(config, &mut sink, begin)?;
    match begin {
        Begin::GoOn => go_on(config, source, sink, dir),
        Begin::Again { accept_loss } => again(config, source, sink, dir, accept_loss),
    }
}

type Sinks = Vec<(Box<dyn Sink>, Claim)>;

fn go_on(config: &Config, source: Box<dyn Source>, sink: Sqlite, dir: StateDir) -> Result<()> {
    let facts = facts(config, source.as_ref());
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink)];
    let start = recovery::start(&dir, &mut sinks, &facts, &facts.identities, config.workers.clamp(1, 8));
    let start = start.map_err(refused_or_failed)?;
    recovery::check_partitions(&dir, &start.resume, &partitions(source.as_ref()))
        .map_err(|error| refused_or_failed(error.into()))?;
    if let (Some(first), Some(last)) = (start.resume.replay.first(), start.resume.replay.last()) {
        let (first, last) = (first.entry.epoch, last.entry.epoch);
        tracing::info!("the last run was interrupted: replaying epochs {first} to {last}");
    }
    let keep = Keep { dir, generation: start.generation, fingerprint: facts.fingerprint };
    let sinks = sinks.into_iter().zip(start.claims).collect();
    to_its_end(config, source, sinks, Some(keep), start.resume, None).map(drop)
}

/// Computes everything beside the warehouse, and publishes what differs.
fn again(config: &Config, source: Box<dyn Source>, mut sink: Sqlite, dir: StateDir, accept_loss: bool) -> Result<()> {
    let facts = facts(config, source.as_ref());
    let (claim, after) = recovery::start_again(&dir, &mut sink, &facts, &partitions(source.as_ref()), accept_loss)
        .map_err(refused_or_failed)?;
    let beside = Beside::new(&config.warehouse, claim.generation);
    let mut computed = Sqlite::open(beside.path())?;
    let claim_beside = computed.claim(MadeBy::Run, Some(&claim))?;
    computed.begin_at(after)?;
    let keep = Keep { dir, generation: claim.generation, fingerprint: facts.fingerprint };
    let resume = Resume { epoch: after, ..Resume::default() };
    let sinks: Sinks = vec![(Box::new(computed), claim_beside)];
    let (stats, stopped, watch) = compute(config, source, sinks, Some(keep), resume)?;
    if stopped {
        bail!("the rebuild was stopped before its end, and nothing of it was published; run it again");
    }
    let mut beside = Sqlite::open(beside.path())?;
    let epoch = beside.position()?.context("the rebuild committed nothing")?.epoch;
    let commit = patiently(|| reconcile(&mut beside, &mut sink, &claim, |_| epoch))?;
    stats.upserted.store(count(&commit, |delta| matches!(delta, Delta::Upsert(_))), Relaxed);
    stats.deleted.store(count(&commit, |delta| matches!(delta, Delta::Delete(_))), Relaxed);
    stats.appended.store(0, Relaxed);
    stats.commits.store(1, Relaxed);
    summary(config, &stats, watch.stop(), false, None)
}

fn to_its_end(
    config: &Config,
    source: Box<dyn Source>,
    sinks: Sinks,
    keep: Option<Keep>,
    resume: Resume,
    memory: Option<&Memory>,
) -> Result<()> {
    let (stats, stopped, watch) = compute(config, source, sinks, keep, resume)?;
    summary(config, &stats, watch.stop(), stopped, memory)
}

/// Runs the sources to their end, or until a signal; tells which.
fn compute(
    config: &Config,
    source: Box<dyn Source>,
    sinks: Sinks,
    keep: Option<Keep>,
    resume: Resume,
) -> Result<(Arc<Stats>, bool, Progress)> {
    let (stop, stats) = (stop_on_signals()?, Arc::new(Stats::default()));
    let watch = Progress::start(&stats);
    let beats = keep.as_ref().map(|keep| heartbeats(keep, config, &stats));
    let stopped = Arc::clone(&stop);
    let options = options(config, MadeBy::Run);
    let job = Job { sources: vec![source], sinks, keep, options, resume, stop, stats: Arc::clone(&stats) };
    let ended = engine::run(job);
    drop(beats);
    ended.context("the run ended early; what was committed before is whole")?;
    let stopped = stopped.load(Acquire);
    Ok((stats, stopped, watch))
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
fn refused_or_failed(error: StartError) -> anyhow::Error {
    match error {
        StartError::State(StateError::Refused(why)) => Refused(why).into(),
        other => other.into(),
    }
}

fn facts(config: &Config, source: &dyn Source) -> Generation {
    let identity = |(number, partition)| Some((partition_name(partition), source.identity(number as u32)?));
    let identities: BTreeMap<_, _> = source.partitions().iter().enumerate().filter_map(identity).collect();
    Generation {
        nonce: uuid::Uuid::new_v4().to_string(),
        started_at: instant::show(instant::now()),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        decoder: DECODER,
        rules: config.rules.clone(),
        fingerprint: fingerprint::of(&settings(config, MadeBy::Run)),
        rebuilt_after: None,
        identities,
    }
}

fn partitions(source: &dyn Source) -> Vec<String> {
    source.partitions().iter().map(partition_name).collect()
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

/// The simulated shop, selling the given catalog or the sample.
fn shop(config: &Config, catalogs: &[PathBuf]) -> Result<Box<dyn Source>> {
    let just_before = config.simulate.start - 1;
    let catalog = match catalogs {
        [] => Movies::text("Movies.txt", SAMPLE, just_before),
        [one] => Movies::file("catalog", one, Some(just_before))?,
        _ => return Err(Refused("the simulated shop sells one catalog: give one `--catalog`".to_owned()).into()),
    };
    Ok(Box::new(Simulator::new(config, items_of(catalog)?)))
}

fn given(files: &[PathBuf], catalogs: &[PathBuf]) -> Result<Box<dyn Source>> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let mut names = names(&[catalogs, files].concat())?;
    let of_files = names.split_off(catalogs.len());
    for (name, catalog) in names.iter().zip(catalogs) {
        sources.push(Box::new(Movies::file(name, catalog, None)?));
    }
    sources.push(Box::new(Files::named(of_files, files)?));
    Ok(Box::new(Chain::new(sources)))
}
