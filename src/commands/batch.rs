//! `batch` and `catalog`: everything from whole files, through the same dataflow.
//!
//! Into an empty warehouse the rows are written as they come. Into one that a batch made before,
//! everything is computed beside it, and only the differences are committed.

use super::beside::Beside;
use super::given::{by_family, refuse_rejects, whole};
use super::outcome::Outcome;
use super::progress::Progress;
use super::summary::{Ended, summary};
use super::waiting::patiently;
use super::{Refused, asof, given_instant, open_warehouse, options, sinks, stop_on_signals};
use crate::config::Config;
use crate::engine::{self, Job, Resume};
use crate::families::{SHOP, all};
use crate::reconcile::{Differ, reconcile};
use crate::sink::sqlite::Sqlite;
use crate::sink::{Claim, MadeBy, Sink, Stored};
use crate::source::Source;
use crate::source::content::Tail;
use crate::source::movies::Movies;
use crate::source::names::names;
use crate::source::sniff::Kind;
use crate::source::whose::Whose;
use crate::stats::Stats;
use anyhow::{Context, Result};
use dataflows::raw::REJECTED_EVENTS;
use dataflows::shop::metrics::movies_catalog::MOVIES_CATALOG;
use dataflows::shop::raw::CATALOG_EVENTS;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) fn catalog(config: &Config, file: &Path, as_of: Option<&str>) -> Result<Outcome> {
    let spared = [MOVIES_CATALOG.table, CATALOG_EVENTS, REJECTED_EVENTS];
    if config.warehouse.exists() {
        let mut sink = Sqlite::open_to_read(all(), &config.warehouse)?;
        for id in all().tables().iter().filter(|id| !spared.contains(id)) {
            if sink.position()?.is_some() && !sink.page(*id, None, 1)?.is_empty() {
                let (path, file, program) = (config.warehouse.display(), file.display(), super::text::program());
                let instead = match sink.position()?.map(|progress| progress.made_by) {
                    Some(MadeBy::Batch) => {
                        format!("Compute both again:   {program} batch EVENT_FILES --catalog {file} --warehouse {path}")
                    }
                    _ => format!("Name another file:    {program} catalog {file} --warehouse next.db"),
                };
                let held = id.table().name;
                let why = format!(
                    "warehouse `{path}` holds events (`{held}`), and a catalog alone would remove them.\n{instead}"
                );
                return Err(Refused(why).into());
            }
        }
    }
    batch(config, (&[], &Whose::new()), &[], &[file.to_owned()], as_of)
}

pub(super) fn batch(
    config: &Config,
    (files, whose): (&[PathBuf], &Whose),
    another: &[PathBuf],
    catalogs: &[PathBuf],
    as_of: Option<&str>,
) -> Result<Outcome> {
    let sources = sources(config, (files, whose), another, catalogs, as_of)?;
    let mut sink = open_warehouse(config)?;
    let stats = Arc::new(Stats::default());
    let watch = Progress::start(&stats);
    refuse_what_run_made(config, &mut sink)?;
    // Claimed before anything is computed or decided: from here on nobody else commits, and of two
    // batches at once the later one wins, whole.
    let claim = patiently(|| sink.claim(MadeBy::Batch, None))?;
    refuse_what_run_made(config, &mut sink)?;
    refuse_what_would_be_left_out(config, &mut sink)?;
    let is_empty = sink.position()?.is_none_or(|progress| progress.epoch == 0);
    if is_empty {
        compute(config, sources, sink, claim.clone(), &stats)?;
    } else {
        let beside = Beside::new(&config.warehouse, claim.generation);
        let mut computed = Sqlite::open(all(), beside.path())?;
        let claim_beside = computed.claim(MadeBy::Batch, None)?;
        compute(config, sources, computed, claim_beside, &stats)?;
        let mut beside = Sqlite::open(all(), beside.path())?;
        let commit = patiently(|| reconcile(&mut beside, &mut sink, &claim, Differ::InSubstance, |epoch| epoch + 2))?;
        // Everything is there that the metrics were computed from.
        patiently(|| sink.forget_purged(&claim))?;
        let (upserted, deleted) = commit.counts();
        stats.upserted.store(upserted, Ordering::Relaxed);
        stats.deleted.store(deleted, Ordering::Relaxed);
        stats.appended.store(0, Ordering::Relaxed);
        stats.commits.store(u64::from(!commit.deltas.is_empty()), Ordering::Relaxed);
    }
    sinks::bring(config, &mut open_warehouse(config)?, &claim)?;
    let elapsed = watch.stop();
    summary(config, &Ended { stats: &stats, elapsed, stopped: false, files: files.len() + catalogs.len() })
}

fn refuse_what_run_made(config: &Config, sink: &mut Sqlite) -> Result<()> {
    let path = config.warehouse.display();
    match sink.position()? {
        Some(progress) if progress.epoch > 0 && progress.made_by != MadeBy::Batch => Err(Refused(format!(
            "warehouse `{path}` was made by `run`, and a batch would replace all of it; name another file with `--warehouse`"
        ))
        .into()),
        _ => Ok(()),
    }
}

/// What is not computed would be taken for what is not there.
fn refuse_what_would_be_left_out(config: &Config, sink: &mut Sqlite) -> Result<()> {
    let kept = config.kept_tables()?;
    let metrics = all().metrics().iter().map(|(id, _)| *id).filter(|id| !kept.contains(*id));
    let raw = all().raw().filter(|_| !config.raw);
    for id in metrics.chain(raw) {
        if !sink.page(id, None, 1)?.is_empty() {
            let (path, name) = (config.warehouse.display(), id.table().name);
            let setting = if all().metrics().iter().any(|(metric, _)| *metric == id) { "tables" } else { "raw" };
            let why = format!(
                "warehouse `{path}` has rows in `{name}`, which this batch would not compute, and so would remove.\n\
                 Compute it too (setting `{setting}`), or name another file with `--warehouse`"
            );
            return Err(Refused(why).into());
        }
    }
    Ok(())
}

fn compute(
    config: &Config,
    sources: Vec<Box<dyn Source>>,
    sink: Sqlite,
    claim: Claim,
    stats: &Arc<Stats>,
) -> Result<()> {
    let (stop, options) = (stop_on_signals()?, options(config, MadeBy::Batch));
    let stopped = Arc::clone(&stop);
    let job = Job {
        sources,
        sinks: vec![(Box::new(sink), claim)],
        keep: None,
        options,
        resume: Resume::default(),
        stop,
        stats: Arc::clone(stats),
    };
    engine::run(job).context("the batch ended early; run it again")?;
    if stopped.load(Ordering::Acquire) {
        anyhow::bail!("the batch was stopped before its end; run it again");
    }
    Ok(())
}

fn sources(
    config: &Config,
    (files, whose): (&[PathBuf], &Whose),
    another: &[PathBuf],
    catalogs: &[PathBuf],
    as_of: Option<&str>,
) -> Result<Vec<Box<dyn Source>>> {
    if files.is_empty() && catalogs.is_empty() {
        return Err(Refused("nothing to compute from: give files of JSON lines, or `--catalog FILE`".to_owned()).into());
    }
    let given = as_of.map(|text| given_instant("--as-of", text)).transpose()?;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if !catalogs.is_empty() {
        let as_of = asof::as_of(config, given, files)?;
        for (name, catalog) in names(catalogs)?.iter().zip(catalogs) {
            refuse_rejects(config, (Kind::Catalog, SHOP), Tail::Take, catalog)?;
            sources.push(Box::new(Movies::file(name, catalog, as_of)?));
        }
    }
    let found = whole(config, files, whose, another)?;
    by_family(sources, found, (Tail::Take, None), files)
}
