//! A folder that is watched: which one, and the sources of what is dropped there.

use super::given::given;
use super::named::{Begin, Named};
use super::{IN_MEMORY, Refused};
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
use dataflows::family::FamilyId;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked into the folder.
const LOOKED: Duration = Duration::from_millis(500);

/// A folder that was named.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Where it is.
    pub folder: PathBuf,
    /// Of which family all its files are, if that was said.
    pub whose: Option<FamilyId>,
}

/// The folder that is meant: `inbox`, or `store_events=inbox`.
///
/// # Errors
/// If there is none, or it cannot be watched by this run.
pub(super) fn watched(config: &Config, given: &Path) -> Result<Watched> {
    let said = given.to_str().filter(|_| !given.exists()).and_then(|text| text.split_once('='));
    let family = said.and_then(|(name, rest)| Some((all().family(name)?, PathBuf::from(rest))));
    let (folder, whose) = family.map_or((given.to_owned(), None), |(family, rest)| (rest, Some(family)));
    let shown = folder.display();
    let why = if !folder.is_dir() {
        format!("`--watch {shown}`: there is no such folder; make it first")
    } else if config.kafka.is_given() {
        "`--watch` and Kafka (`--brokers`) are both given: one run reads one of them".to_owned()
    } else if config.warehouse == Path::new(IN_MEMORY) {
        format!(
            "`--watch {shown}` moves the files that were read, and with `--warehouse {IN_MEMORY}` nothing of them would be \
             left: name a file, or read the files once with `batch`"
        )
    } else {
        return Ok(Watched { folder, whose });
    };
    Err(Refused(why).into())
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
        for catalogs in given(config, named, past, begin)? {
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
    let ways = Ways {
        settle_ms: config.watch.settle,
        every: LOOKED,
        clock: Arc::new(instant::now),
        before: Box::new(|_| Ok(())),
        mode,
    };
    let folder = Arc::new(Mutex::new(Folder::open(&watched.folder, dir.clone(), judges, ways)?));
    sources.extend(families.into_iter().map(|family| -> Box<dyn Source> { Box::new(Dropped::new(&folder, family)) }));
    Ok(sources)
}
