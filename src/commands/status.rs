//! `status`: what is known of a pipeline, from outside of its process.

mod said;
mod sections;
#[cfg(test)]
mod tests;

use super::awaited;
use super::beat::Heartbeat;
use super::limits::Limits;
use super::outcome::Outcome;
use super::second::is_gone;
use super::text::at;
use super::{Refused, feed_alone, left, open_to_read};
use crate::cli::StatusArgs;
use crate::config::Config;
use crate::families::all;
use crate::fingerprint;
use crate::instant;
use crate::lanes::{Lanes, Watermarks};
use crate::sink::sqlite::left::Left;
use crate::sink::sqlite::quality::OfHour;
use crate::sink::{MadeBy, Progress};
use crate::source::dropped::is_of_folder;
use crate::source::names::is_of_lines;
use crate::state_dir::snapshot::Manifest;
use crate::state_dir::{Lost, StateDir};
use crate::store;
use anyhow::Result;
use dataflows::Time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything `status` knows.
#[derive(Debug, Serialize)]
struct Status {
    pipeline_id: String,
    generation: u64,
    state: String,
    journal: Option<Journaled>,
    snapshot: Option<Snapshot>,
    /// What was deleted before it was read, and passed because a run was told to.
    lost: Vec<Lost>,
    sinks: Vec<Committed>,
    /// Sinks of which no position is known: why.
    unheard: Vec<String>,
    /// Tables that were begun when old events were not kept any more, and from when on they are whole.
    whole_since: BTreeMap<&'static str, String>,
    /// Tables of the warehouse that nobody keeps any more.
    left: Vec<Left>,
    /// What became of the records of each topic in the last two hours in which any came.
    quality: Vec<OfHour>,
    /// The partitions that are files, whose positions are numbers of lines.
    #[serde(skip)]
    lines: BTreeSet<String>,
    /// The partitions that are folders, whose positions are numbers of files and lines.
    #[serde(skip)]
    folders: BTreeSet<String>,
    /// The run did not end in order, and its process is not there any more.
    run_is_gone: bool,
    /// Of the run that is running, or ran last.
    run: Option<Heartbeat>,
}

#[derive(Debug, Serialize)]
struct Journaled {
    epoch: Time,
    /// The least of the watermarks.
    watermark: String,
    watermarks: Watermarks,
    at: String,
    /// How many epochs a restart would replay.
    since_snapshot: usize,
}

#[derive(Debug, Serialize)]
struct Snapshot {
    epoch: Time,
    at: String,
    age_ms: i64,
    records: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Committed {
    sink: String,
    epoch: Time,
    generation: u64,
    /// The least of the watermarks.
    watermark: String,
    watermarks: Watermarks,
    at: String,
    positions: BTreeMap<String, i64>,
    /// How many records were read and are not committed there.
    behind: BTreeMap<String, i64>,
}

impl Status {
    fn of(config: &Config) -> Result<Status> {
        let place = config.state_place();
        let progress = super::sinks::position(config)?;
        let warehouse = config.first_place();
        if progress.as_ref().is_some_and(|progress| progress.made_by == MadeBy::Batch) {
            let why = format!(
                "warehouse `{warehouse}` was made by `batch`, which keeps no state; see `show _progress{}`",
                at(config)
            );
            return Err(Refused(why).into());
        }
        let none = || Refused(format!("there is no state in `{place}`: no `run` has written to `{warehouse}`"));
        if !store::may_exist(&place) {
            return Err(none().into());
        }
        let dir = StateDir::open_to_read(store::open_to_read(&place)?)?.ok_or_else(none)?;
        let chain = dir.chain()?;
        let snapshot = dir.newest_snapshot(&chain, Time::MAX)?;
        let from = snapshot.as_ref().map_or(0, |manifest| manifest.epoch);
        let mut lanes = snapshot.as_ref().map_or_else(Lanes::default, |manifest| manifest.lanes.clone());
        chain.entries.range(from + 1..).for_each(|(_, (_, entry))| lanes.learn(&entry.lanes));
        let watermarks = lanes.watermarks();
        let read = chain.entries.values().flat_map(|(_, entry)| &entry.read);
        let mut positions = snapshot.as_ref().map_or_else(BTreeMap::new, |manifest| manifest.positions.clone());
        read.for_each(|(partition, (_, next))| {
            let position = positions.entry(partition.clone()).or_insert(0);
            *position = *next.max(position);
        });
        let at = progress.as_ref().map_or(0, |progress| progress.epoch);
        let facts = dir.last_generation_at(at)?;
        let names = |is: fn(&str) -> bool| {
            let identities = facts.iter().flat_map(|facts| &facts.identities);
            identities.filter(|(_, identity)| is(identity)).map(|(name, _)| name.clone()).collect()
        };
        let (lines, folders) = (names(is_of_lines), names(is_of_folder));
        let mut lost = facts.map(|facts| facts.lost).unwrap_or_default();
        lost.retain(|lost| lost.is_passed(&positions));
        // The feed is among the others, also where it is alone.
        let of_sqlite = progress.filter(|_| !config.is_feed_alone());
        let mut sinks: Vec<_> =
            of_sqlite.into_iter().map(|progress| Committed::of(warehouse.clone(), progress, &positions)).collect();
        let mut unheard = Vec::new();
        for (name, progress) in super::sinks::positions(config) {
            match progress {
                Ok(Some(progress)) => sinks.push(Committed::of(name, progress, &positions)),
                Ok(None) => unheard.push(format!("{name}: nothing yet")),
                Err(error) => unheard.push(error.to_string()),
            }
        }
        // It may be cut short by a loss of power: then nothing is known of the run, and that is all.
        let run = dir.heartbeat().unwrap_or_default();
        Ok(Status {
            run_is_gone: run.as_ref().is_some_and(is_gone),
            generation: dir.last_generation()?,
            state: dir.place(),
            journal: chain.entries.last_key_value().map(|(epoch, (_, entry))| Journaled {
                epoch: *epoch,
                watermark: instant::show(watermarks.least()),
                watermarks,
                at: instant::show(entry.clock_ms),
                since_snapshot: chain.entries.range(from + 1..).count(),
            }),
            whole_since: snapshot.as_ref().map(whole_since).unwrap_or_default(),
            snapshot: snapshot.as_ref().map(Snapshot::of),
            lost,
            sinks,
            unheard,
            left: left::left(config)?,
            quality: match config.is_feed_alone() {
                true => feed_alone::last_hours(config)?,
                false => open_to_read(config)?.last_hours()?,
            },
            lines,
            folders,
            run,
            pipeline_id: dir.pipeline_id,
        })
    }
}

impl Snapshot {
    fn of(manifest: &Manifest) -> Snapshot {
        Snapshot {
            epoch: manifest.epoch,
            at: instant::show(manifest.clock_ms),
            age_ms: instant::now() - manifest.clock_ms,
            records: manifest.records(),
            bytes: manifest.bytes(),
        }
    }
}

impl Committed {
    fn of(sink: String, progress: Progress, read: &BTreeMap<String, i64>) -> Committed {
        let behind = |(partition, next): (&String, &i64)| {
            let behind = next - progress.positions.get(partition).unwrap_or(&0);
            (behind > 0).then(|| (partition.clone(), behind))
        };
        Committed {
            sink,
            epoch: progress.epoch,
            generation: progress.generation,
            watermark: instant::show(progress.watermarks.least()),
            watermarks: progress.watermarks,
            at: instant::show(progress.committed_at),
            behind: read.iter().filter_map(behind).collect(),
            positions: progress.positions,
        }
    }
}

/// From when on tables are whole, as a snapshot says.
fn whole_since(manifest: &Manifest) -> BTreeMap<&'static str, String> {
    let families = all().families().iter();
    let since = families.flat_map(|family| fingerprint::since(&manifest.fingerprint, *family));
    since.map(|(table, at)| (table.name(), instant::show(at))).collect()
}

/// Says what is known, and complains of thresholds that are crossed.
///
/// # Errors
/// If there is no state, or it cannot be read.
pub(super) fn status(config: &Config, arguments: &StatusArgs, json: bool) -> Result<Outcome> {
    if let Some(wanted) = &arguments.wait_for {
        awaited::wait_for(config, wanted, arguments.timeout)?;
    }
    let limits = Limits::of(arguments)?;
    let status = Status::of(config)?;
    let of_run = limits.crossed(status.run.as_ref(), status.run_is_gone, instant::now());
    let too_few = status.quality.iter().filter(|of| config.quality.is_crossed_by(of.counts));
    let too_few = too_few.map(|of| config.quality.complaint(&of.topic, &of.hour, of.counts));
    match json {
        true => say!("{}", serde_json::to_string_pretty(&status)?),
        false => {
            let pipeline = format!("{}, start {}", status.pipeline_id, status.generation);
            said::say(config, arguments, &pipeline, &sections::sections(config, &status, &of_run))?;
        }
    }
    let crossed: Vec<_> = of_run.iter().cloned().chain(too_few).collect();
    Ok(Outcome::of(false).crossing(&crossed))
}
