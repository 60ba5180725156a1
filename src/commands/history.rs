//! `replay`: history from files, day by day and in the order of event time, at the pace at which it happened or many times
//! as fast: into the tables, or with `--brokers` into Kafka.

mod kafka;

use super::given::whole;
use super::named::{Begin, Named};
use super::outcome::Outcome;
use super::paths::{Expected, Stdin, events, expand};
use super::{Refused, check_folder, run};
use crate::cli::{Limit, ReplayArgs};
use crate::config::Config;
use crate::families::declared;
use crate::history::{Clock, Pace, Paces, Staged, Times, staged};
use crate::instant;
use crate::source::SourceError;
use crate::store::lock::{Lock, lock};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn replay(config: &Config, arguments: &ReplayArgs, max_rejected: Option<Limit>) -> Result<Outcome> {
    let refuse = |why: &str| Err(Refused(why.to_owned()).into());
    let stdin = Stdin::Refused(
        "`-`: standard input cannot be read again after a crash, and a replay goes on after one. Write it to a file and give \
         that",
    );
    let (files, whose) = events(&arguments.files, &stdin)?;
    let catalogs = expand(&arguments.catalog, Expected::Catalogs, &stdin)?;
    if config.kafka.is_given() && !catalogs.is_empty() {
        return refuse("a catalog for Kafka is sent there first: `catalog Movies.txt --brokers ...`");
    }
    check_folder(config)?;
    let folder = PathBuf::from(format!("{}.replay", config.warehouse.display()));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("could not make folder `{}`", folder.display()))?;
    let lock = lock(&folder.display().to_string());
    if matches!(lock, Lock::Anothers) {
        let why = format!("another replay is active in `{}`: wait for it, or end it", folder.display());
        return Err(Refused(why).into());
    }
    let found = whole(config, &files, &whose, &[])?;
    let model = declared().iter().map(|it| (it.family.raw_table().name().to_owned(), it.text.to_owned())).collect();
    let staged = staged(found, (&config.rules, model), arguments.per_day, &folder)?;
    if staged.iter().all(|staged| staged.rows == 0) {
        return refuse("these files hold no event: there is nothing to tell");
    }
    let clock: Clock = Arc::new(instant::now);
    let pace = arguments.speed.map(|speed| Arc::new(Pace::new(speed, clock)));
    let outcome = match config.kafka.is_given() {
        true => kafka::send(config, &staged, arguments.per_day, pace.as_deref())?,
        false => told(config, &staged, catalogs, pace)?.limited(max_rejected, config),
    };
    if !outcome.was_stopped() {
        // It can be made again; what was told of it is known by its content.
        drop(lock);
        std::fs::remove_dir_all(&folder).with_context(|| format!("could not remove folder `{}`", folder.display()))?;
    }
    Ok(outcome)
}

/// Reads what is told as `run` reads files.
fn told(config: &Config, staged: &[Staged], catalogs: Vec<PathBuf>, pace: Option<Arc<Pace>>) -> Result<Outcome> {
    let told = staged.iter().filter(|staged| staged.rows > 0);
    let whose = told.clone().map(|staged| (staged.lines.clone(), staged.family)).collect();
    let files: Vec<_> = told.map(|staged| staged.lines.clone()).collect();
    let paced = match pace {
        Some(pace) => Some(Paces { pace, times: times(staged)? }),
        None => None,
    };
    let named = Named { files, whose, catalogs, paced, ..Named::default() };
    run::run(config, &named, Begin::GoOn { accept_clock: false, accept_loss: false }, None)
}

fn times(staged: &[Staged]) -> Result<BTreeMap<String, Times>, SourceError> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    staged.iter().map(|staged| Ok((name(&staged.lines), Times::open(&staged.times)?))).collect()
}
