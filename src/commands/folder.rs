//! Which folder is to be watched.

use super::{IN_MEMORY, Refused};
use crate::config::Config;
use crate::families::all;
use anyhow::Result;
use dataflows::family::FamilyId;
use std::path::{Path, PathBuf};

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
/// If there is none.
pub(super) fn existing(given: &Path) -> Result<Watched> {
    let said = given.to_str().filter(|_| !given.exists()).and_then(|text| text.split_once('='));
    let family = said.and_then(|(name, rest)| Some((all().family(name)?, PathBuf::from(rest))));
    let (folder, whose) = family.map_or((given.to_owned(), None), |(family, rest)| (rest, Some(family)));
    if !folder.is_dir() {
        let why = format!("`{}`: there is no such folder to be watched; make it first", folder.display());
        return Err(Refused(why).into());
    }
    Ok(Watched { folder, whose })
}

/// The folder that a run is to watch.
///
/// # Errors
/// If there is none, or it cannot be watched by this run.
pub(super) fn watched(config: &Config, given: &Path) -> Result<Watched> {
    let watched = existing(given)?;
    let why = if config.kafka.is_given() {
        "`--watch` and Kafka (`--brokers`) are both given: one run reads one of them".to_owned()
    } else if config.warehouse == Path::new(IN_MEMORY) {
        format!(
            "`--watch {}` moves the files that were read, and with `--warehouse {IN_MEMORY}` nothing of them would be \
             left: name a file, or read the files once with `batch`",
            watched.folder.display()
        )
    } else {
        return Ok(watched);
    };
    Err(Refused(why).into())
}
