//! A process that computes with the one that leads: it knows what all must know alike, and says the rest.

use super::intake::{Elsewhere, Given, Intake, Reads};
use super::said::{Link, Outbox};
use super::shared::{Shared, archived};
use super::{EngineError, Lane, Options, Resume};
use crate::commit::{Carrier, Signals};
use dataflows::time::Settings;
use dataflows::{Instant, Time};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What all processes of a run must know alike when it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The last epoch of the run before.
    pub(super) epoch: Time,
    /// The first epoch, and the clock by which its records are judged.
    pub(super) opens: (Time, Instant),
    /// Which sources are read in it.
    pub(super) reads: Reads,
    /// How many workers, of all processes, read.
    pub(super) readers: usize,
    pub(super) keeps_state: bool,
    /// What is read, and by whom, in the order in which all number it.
    pub(super) sources: Vec<Elsewhere>,
    pub(super) lanes: Vec<OfLane>,
}

/// What of a lane follows from what was kept, and from no setting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OfLane {
    family: String,
    /// The metrics that are kept.
    tables: Vec<String>,
    /// Since when, of those that were begun when old events were not kept any more.
    since: Vec<(String, Instant)>,
}

impl OfLane {
    pub(super) fn of(lane: &Lane) -> OfLane {
        let (family, settings) = (lane.family.family(), lane.family.lane());
        let kept = family.metrics().into_iter().filter(|(id, _)| settings.tables.contains(*id));
        OfLane {
            family: family.name().to_owned(),
            tables: kept.map(|(id, _)| id.name().to_owned()).collect(),
            since: settings.since.iter().map(|(id, since)| (id.name().to_owned(), *since)).collect(),
        }
    }

    /// A lane that is like that of the process that leads.
    fn apply_to(&self, lane: &mut Lane) -> Result<(), EngineError> {
        let family = lane.family.family();
        if family.name() != self.family {
            let why = format!("process 0 keeps the family `{}`, and we keep `{}`", self.family, family.name());
            return Err(EngineError::Thread(why));
        }
        let metrics = family.metrics();
        let id = |name: &String| {
            let found = metrics.iter().map(|(id, _)| *id).find(|id| id.name() == name);
            found.ok_or_else(|| {
                EngineError::Thread(format!("process 0 keeps table `{name}`, and we know no such table"))
            })
        };
        let tables = self.tables.iter().map(id).collect::<Result<_, _>>()?;
        let since =
            self.since.iter().map(|(name, since)| Ok((id(name)?, *since))).collect::<Result<_, EngineError>>()?;
        lane.family = lane.family.with(Settings { tables, since, ..lane.family.lane().clone() });
        Ok(())
    }
}

impl Plan {
    /// Makes lanes like those of the process that leads.
    ///
    /// # Errors
    /// If they are others.
    pub(super) fn apply_to(&self, lanes: &mut [Lane]) -> Result<(), EngineError> {
        if lanes.len() != self.lanes.len() {
            let why = format!("process 0 keeps {} families, and we keep {}", self.lanes.len(), lanes.len());
            return Err(EngineError::Thread(why));
        }
        lanes.iter_mut().zip(&self.lanes).try_for_each(|(lane, of)| of.apply_to(lane))
    }
}

/// What the workers share of a process that does not lead. `resume`: what it needs to read again what was read before.
pub(super) fn shared(
    process: usize,
    plan: &Plan,
    given: Vec<Given>,
    resume: Resume,
    options: Options,
    link: Link,
) -> Result<Shared, EngineError> {
    let families: Vec<_> = options.lanes.iter().map(|lane| lane.family.family()).collect();
    let replay: Vec<_> = resume.replay.iter().map(|replayed| replayed.entry.clone()).collect();
    let intake = Intake::new(given, &families, plan.opens.0, &resume.positions, &replay)?;
    // Most of it is nobody's business here: who leads acknowledges, commits and asks for snapshots.
    let signals = Signals {
        acknowledged: Arc::default(),
        committed: Arc::default(),
        snapshotting: Arc::default(),
        snapshot_bytes: Arc::clone(&link.waiting),
        spared: Arc::default(),
        stop: Arc::default(),
        failed: Arc::default(),
        stats: Arc::default(),
    };
    Ok(Shared {
        first: process * options.workers,
        archived: archived(&options, &intake.partitions),
        intake,
        signals,
        full: AtomicBool::new(false),
        reads: plan.reads.clone(),
        opens: plan.opens,
        failure: Mutex::new(None),
        outbox: Outbox::There { link, carrier: Arc::new(Carrier::of(options.commit.catalogue)) },
        options,
        resume,
        shares: Mutex::default(),
        keeps_state: plan.keeps_state,
        readers: plan.readers,
        asked: Vec::new(),
        ended: Mutex::default(),
    })
}
