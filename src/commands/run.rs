//! `run`: events as they come, into a fresh warehouse.

use super::progress::{Progress, summary};
use super::{IN_MEMORY, Refused, open_warehouse, options, stop_on_signals};
use crate::config::Config;
use crate::engine::{self, Resume};
use crate::simulate::{SAMPLE, Simulator, items_of};
use crate::sink::memory::Memory;
use crate::sink::{MadeBy, Sink};
use crate::source::Source;
use crate::source::chain::Chain;
use crate::source::files::{Files, names};
use crate::source::movies::Movies;
use crate::stats::Stats;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) fn run(config: &Config, files: &[PathBuf], catalogs: &[PathBuf]) -> Result<()> {
    let source = if files.is_empty() { shop(config, catalogs)? } else { given(files, catalogs)? };
    if config.warehouse == Path::new(IN_MEMORY) {
        let memory = Memory::without_log();
        return into(config, source, memory.clone(), Some(&memory));
    }
    let mut sink = open_warehouse(config)?;
    refuse_what_is_there(config, &mut sink)?;
    into(config, source, sink, None)
}

fn into(
    config: &Config,
    source: Box<dyn Source>,
    mut sink: impl Sink + 'static,
    memory: Option<&Memory>,
) -> Result<()> {
    let claim = sink.claim(MadeBy::Run)?;
    // From here on nobody else commits.
    refuse_what_is_there(config, &mut sink)?;
    let (stop, stats) = (stop_on_signals()?, Arc::new(Stats::default()));
    let watch = Progress::start(&stats);
    let options = options(config, MadeBy::Run);
    let stopped = Arc::clone(&stop);
    let ended = engine::run(vec![source], Box::new(sink), claim, options, Resume::default(), stop, Arc::clone(&stats));
    let elapsed = watch.stop();
    ended.context("the run ended early; what was committed before is whole")?;
    summary(config, &stats, elapsed, stopped.load(Ordering::Acquire), memory)
}

fn refuse_what_is_there(config: &Config, sink: &mut impl Sink) -> Result<()> {
    if let Some(progress) = sink.position()?.filter(|progress| progress.epoch > 0) {
        let (path, program) = (config.warehouse.display(), super::text::program());
        return Err(Refused(format!(
            "warehouse `{path}` already holds the rows of an earlier `{}` (epoch {}), and going on from there is not built yet.\n\
             Name another file:     {program} --warehouse next.db ...\n\
             or remove this one:    rm {path} {path}-wal {path}-shm\n\
             or recompute files:    {program} batch FILES --catalog FILE  (into a warehouse that `batch` made)",
            progress.made_by.name(),
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
