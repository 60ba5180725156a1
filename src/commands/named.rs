//! What a run is told: what it reads, and how it begins.

use super::folder::{Watched, watched};
use super::paths::{Expected, Stdin, events, expand};
use super::{IN_MEMORY, Refused, given_instant};
use crate::change::Gone;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::history::Paces;
use crate::source::whose::Whose;
use anyhow::Result;
use dataflows::Instant;
use std::path::{Path, PathBuf};

/// What was named to be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// Files of events.
    pub files: Vec<PathBuf>,
    /// Of which family those are of which it was said.
    pub whose: Whose,
    /// A folder whose files are read as they come.
    pub watched: Option<Watched>,
    /// The only file is read on and on.
    pub follows: bool,
    /// Catalogs to begin with.
    pub catalogs: Vec<PathBuf>,
    /// As of when the catalogs hold; by default that is decided when they are first read.
    pub as_of: Option<Instant>,
    /// Of the files those that are other sources, though they begin like one that was read.
    pub another: Vec<PathBuf>,
    /// Files hold what happened before, Kafka what happened since.
    pub backfill_until: Option<Instant>,
    /// Kafka is read to where it ends now.
    pub to_end: bool,
    /// What is done with tables that changed, where old raw rows were removed.
    pub gone: Gone,
    /// At what pace files are read that are history.
    pub paced: Option<Paces>,
}

impl Named {
    /// The files and the folder, as a person knows them: by their last names.
    pub(super) fn places(&self) -> Vec<String> {
        let folder = self.watched.iter().map(|watched| &watched.folder);
        let places = self.catalogs.iter().chain(&self.files).chain(folder);
        places.map(|place| place.file_name().unwrap_or(place.as_os_str()).to_string_lossy().into_owned()).collect()
    }
}

/// How a run begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// Where the last one ended, perhaps although the clock is behind that one's, or records are gone since.
    GoOn { accept_clock: bool, accept_loss: bool },
    /// With the first record; sources that were read before and are not given may be lost.
    Again { accept_loss: bool },
}

/// What a run reads and how it begins, if it fits together; and what came through standard input, until it is dropped.
///
/// # Errors
/// If flags contradict each other, or a folder or a pattern has no file.
pub(super) fn named(config: &Config, arguments: &RunArgs) -> Result<(Named, Begin, Stdin)> {
    let refuse = |why: &str| Err(Refused(why.to_owned()).into());
    let RunArgs { files, catalog, backfill, rebuild, accept_loss, accept_clock, to_end, .. } = arguments;
    let from_kafka = config.kafka.is_given();
    if *accept_loss && !rebuild && !from_kafka {
        return refuse("`--accept-loss` belongs to `--rebuild`, or to Kafka (`--brokers`)");
    }
    if from_kafka && !files.is_empty() {
        return refuse(
            "files and Kafka (`--brokers`) are both given: for history from files and Kafka from there on, \
             `run --brokers ... --backfill FILES --until INSTANT`",
        );
    }
    let watched = arguments.watch.as_deref().map(|given| watched(config, given)).transpose()?;
    if watched.is_some() && !catalog.is_empty() && arguments.as_of.is_none() {
        return refuse("`--watch` with `--catalog` needs `--as-of INSTANT`: which events come first is not known yet");
    }
    if !from_kafka && !backfill.is_empty() {
        return refuse("`--backfill` is what happened before Kafka takes over: name it (`--brokers`)");
    }
    let backfill_until = match (backfill.is_empty(), &arguments.until) {
        (true, _) => None,
        (false, Some(until)) => Some(given_instant("--until", until)?),
        (false, None) => return refuse("`--backfill` needs `--until INSTANT`: from then on, events come from Kafka"),
    };
    if from_kafka && backfill.is_empty() && !catalog.is_empty() {
        return refuse("a catalog for Kafka is sent there first: `catalog Movies.txt --brokers ...`");
    }
    let stdin = match config.warehouse == Path::new(IN_MEMORY) {
        true => Stdin::taken()?,
        false => Stdin::Refused(
            "`-`: standard input cannot be read again after a crash, and a run goes on after one. Write it to a file and \
             give that; or use `batch -`; or keep nothing: `--warehouse :memory:`",
        ),
    };
    let (files, whose) = events(if backfill.is_empty() { files } else { backfill }, &stdin)?;
    if arguments.follow && (files.len() != 1 || config.warehouse == Path::new(IN_MEMORY)) {
        return refuse(
            "`--follow` reads one file on and on, into a warehouse that is kept: give one file, and no `:memory:`",
        );
    }
    let catalogs = expand(catalog, Expected::Catalogs, &stdin)?;
    let as_of = arguments.as_of.as_ref().map(|as_of| given_instant("--as-of", as_of)).transpose()?;
    if as_of.is_some() && files.is_empty() && watched.is_none() {
        return refuse(
            "the prices of the simulated shop's catalog hold from just before its first day (`--start`); `--as-of` is for \
             catalogs that are given with files",
        );
    }
    let begin = match rebuild {
        true => Begin::Again { accept_loss: *accept_loss },
        false => Begin::GoOn { accept_clock: *accept_clock, accept_loss: *accept_loss },
    };
    let another = another_of(arguments.another.clone(), &files)?;
    let RunArgs { since_kept, keep_old, delete_old, .. } = *arguments;
    let gone = Gone { since_kept, keep_old, delete_old };
    let named = Named {
        files,
        whose,
        watched,
        follows: arguments.follow,
        catalogs,
        as_of,
        another,
        backfill_until,
        to_end: *to_end || *rebuild,
        gone,
        paced: None,
    };
    Ok((named, begin, stdin))
}

/// The files that `--another` says are other sources: of those that are given.
pub(super) fn another_of(another: Vec<PathBuf>, files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    match another.iter().find(|another| !files.contains(another)) {
        Some(unknown) => {
            let unknown = unknown.display();
            Err(Refused(format!("`--another {unknown}`: there is no such file among those given to be read")).into())
        }
        None => Ok(another),
    }
}
