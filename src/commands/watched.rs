//! The sources of what is dropped into a folder that is watched.

use super::folder::Watched;
use super::given::given;
use super::named::{Begin, Named};
use crate::config::Config;
use crate::families::all;
use crate::instant;
use crate::recovery::Past;
use crate::source::Source;
use crate::source::dropped::{Dropped, Folder, Judges, Mode, Ways};
use crate::source::span::Span;
use crate::state_dir::StateDir;
use anyhow::{Result, anyhow};
use dataflows::Instant;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked into the folder.
const LOOKED: Duration = Duration::from_millis(500);

/// How a folder is watched, as it is configured.
pub(super) fn ways(config: &Config, mode: Mode) -> Ways {
    Ways {
        settle_ms: config.watch.settle,
        every: LOOKED,
        clock: Arc::new(instant::now),
        before: Box::new(|_| Ok(())),
        mode,
    }
}

/// The catalogs that are given, and then for each family the files that are dropped.
pub(super) fn sources(
    config: &Config,
    (named, watched): (&Named, &Watched),
    past: &Past,
    dir: Option<&StateDir>,
    begin: Begin,
) -> Result<Vec<Box<dyn Source>>> {
    let dir = dir.ok_or_else(|| anyhow!("a folder is watched by a run that keeps its state"))?;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if !named.catalogs.is_empty() {
        for catalogs in given(config, named, past, (begin, None))? {
            sources.push(Box::new(Span::new(catalogs, Instant::MIN, Instant::MAX).history()));
        }
    }
    let families = all().families().to_vec();
    let judges = Judges {
        rules: config.rules.clone(),
        whose: watched.whose,
        families: families.clone(),
        accept_rejects: config.accept_rejects,
    };
    let mode = match begin {
        Begin::Again { accept_loss } => Mode::Again { accept_loss },
        Begin::GoOn { .. } if named.to_end => Mode::ToEnd,
        Begin::GoOn { .. } => Mode::Watches,
    };
    let folder = Arc::new(Mutex::new(Folder::open(&watched.folder, dir.clone(), judges, ways(config, mode))?));
    sources.extend(families.into_iter().map(|family| -> Box<dyn Source> { Box::new(Dropped::new(&folder, family)) }));
    Ok(sources)
}
