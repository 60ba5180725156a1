//! A process that computes with the one that leads: it knows what all must know alike, and says the rest.

use super::intake::{Elsewhere, Given, Intake, Reads};
use super::said::{Link, Outbox, Said};
use super::shared::{Shared, archived};
use super::{EngineError, Lane, Options, Replayed, Resume};
use crate::commit::{Carrier, Pieces, SaysOfParts, Signals, ToWriter, Whose, Written, write_parts, write_rows};
use crate::sink::{Claim, Shard, SinkError};
use crate::source::Source;
use crate::state_dir::journal::Entry;
use crate::state_dir::obstacle::Obstacle;
use crate::state_dir::snapshot::PartEntry;
use crate::state_dir::{StateDir, StateError};
use crate::stats::Stats;
use dataflows::family::Catalogue;
use dataflows::state::Section;
use dataflows::time::Settings;
use dataflows::{Instant, Time};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

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
    /// Where state is kept, if it is.
    pub(super) kept: Option<Kept>,
    /// The positions from which partitions are read on.
    pub(super) positions: BTreeMap<String, i64>,
    /// Epochs that are replayed, each with the start that journaled it.
    #[serde(with = "as_json")]
    pub(super) journaled: Vec<(u64, Entry)>,
    /// Where what was held before is, which each of the others reads.
    pub(super) parts: Vec<Vec<PartEntry>>,
    /// What is read, and by whom, in the order in which all number it.
    pub(super) sources: Vec<Elsewhere>,
    pub(super) lanes: Vec<OfLane>,
    /// Whose rows every process writes by itself, and under which start; nothing where process 0 writes all.
    pub(super) rows: Option<(String, u64)>,
}

/// What is written down as JSON is made for it.
mod as_json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value).map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Where state is kept, as the process that leads knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What it calls the place.
    pub place: String,
    pub(super) generation: u64,
    /// What the start wrote there, and no other did.
    nonce: String,
}

impl Kept {
    pub(super) fn by(dir: &StateDir, generation: u64) -> Result<Kept, StateError> {
        let place = dir.place();
        // Another process may have been started elsewhere.
        let absolute = std::path::absolute(&place).ok().filter(|_| !place.contains("://"));
        let place = absolute.map_or(place, |path| path.display().to_string());
        Ok(Kept { place, generation, nonce: dir.generation(generation)?.nonce })
    }

    /// Whether a place is that of the process that leads: what this start wrote there is there.
    ///
    /// # Errors
    /// If it is not, or cannot be read.
    pub fn check(&self, dir: &StateDir) -> Result<(), String> {
        match dir.generation(self.generation) {
            Ok(found) if found.nonce == self.nonce => Ok(()),
            Ok(_) | Err(StateError::Refused { why: Obstacle::Missing { .. }, .. }) => {
                Err(self.is_another(&dir.place()))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// That a place is not that of the process that leads.
    pub fn is_another(&self, place: &str) -> String {
        let ours = &self.place;
        format!(
            "`{place}` on this host is not where process 0 keeps its state (`{ours}`): in `state_dir` name a bucket, or a folder that all \
             processes have"
        )
    }
}

/// What a process brings along that computes with the one that leads.
pub struct Joining {
    /// Its number.
    pub process: usize,
    /// How it runs.
    pub options: Options,
    /// Where it writes its parts of snapshots, if state is kept.
    pub dir: Option<StateDir>,
    /// What it has read of what was held before.
    pub state: Vec<Section>,
    /// What it reads, none of it before anything else.
    pub sources: Vec<Box<dyn Source>>,
    /// What is replayed.
    pub replay: Vec<Replayed>,
    /// Set, the run was asked to stop: what is unavailable is not waited for any longer than its grace.
    pub stops: Arc<AtomicBool>,
    /// What it counts.
    pub stats: Arc<Stats>,
    /// Its side of the sink to which every process writes its own rows, where all do.
    pub shard: Option<Box<dyn Shard>>,
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
    /// Epochs that are replayed, each with the start that journaled it.
    pub fn journaled(&self) -> &[(u64, Entry)] {
        &self.journaled
    }

    /// The claim under which every process writes its own rows, where all do.
    pub fn rows(&self) -> Option<Claim> {
        let (pipeline_id, generation) = self.rows.clone()?;
        Some(Claim { pipeline_id, generation })
    }

    /// Where state is kept, if it is.
    pub fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Reads what a process is to read of what was held before, by so many threads.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn read(
        &self,
        process: usize,
        catalogue: Catalogue,
        dir: &StateDir,
        threads: usize,
    ) -> Result<Vec<Section>, StateError> {
        let parts = process.checked_sub(1).and_then(|place| self.parts.get(place));
        parts.map_or(Ok(Vec::new()), |parts| dir.read_parts(catalogue, parts, threads))
    }

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

/// The sources of all processes as a process numbers them, of which these are its own.
fn given(plan: &Plan, process: usize, own: Vec<Box<dyn Source>>) -> Result<Vec<Given>, EngineError> {
    let mut own = own.into_iter();
    let of = |there: &Elsewhere| {
        if there.process != process {
            return Some(Given::There(there.clone()));
        }
        own.next().filter(|source| Elsewhere::of(process, &**source) == *there).map(Given::Here)
    };
    let given = plan.sources.iter().map(of).collect::<Option<Vec<_>>>();
    given.filter(|_| own.next().is_none()).ok_or_else(|| {
        EngineError::Thread(format!("process {process} would read other partitions than those that process 0 gave it"))
    })
}

/// What the workers share of a process that does not lead, and the thread that writes its parts of snapshots.
pub(super) fn shared(
    plan: &Plan,
    joining: Joining,
    link: Link,
    (to_writer, orders): (Sender<ToWriter>, Receiver<ToWriter>),
) -> Result<(Shared, Threads), EngineError> {
    let Joining { process, options, dir, state, sources, replay, stops, stats, shard } = joining;
    let given = given(plan, process, sources)?;
    let resume = Resume { epoch: plan.epoch, positions: plan.positions.clone(), replay, ..Resume::default() };
    let families: Vec<_> = options.lanes.iter().map(|lane| lane.family.family()).collect();
    let replay: Vec<_> = resume.replay.iter().map(|replayed| replayed.entry.clone()).collect();
    let intake = Intake::new(given, &families, plan.opens.0, &resume.positions, &replay)?;
    stats.sources.set(intake.partitions.iter().map(|found| (found.topic.clone(), found.family.0.name())));
    // Most of it is nobody's business here: who leads acknowledges, commits and asks for snapshots.
    let signals = Signals {
        acknowledged: Arc::default(),
        committed: Arc::default(),
        snapshotting: Arc::default(),
        snapshot_bytes: Arc::default(),
        spared: Arc::default(),
        stop: stops,
        failed: Arc::default(),
        stats,
    };
    let writer = plan.kept.as_ref().zip(dir).map(|(kept, dir)| {
        let whose = Whose { generation: kept.generation, process, workers: options.workers };
        start_writer((dir, whose), &link, &options, &signals)
    });
    let (parts, writer) = writer.transpose()?.unzip();
    let rows = plan.rows().zip(shard).map(|(claim, shard)| {
        let said = Outbox::There { link: link.clone(), carrier: carrier(&options), parts: None, rows: None };
        start_rows((shard, claim, process), orders, said, &options, &signals)
    });
    let rows = rows.transpose()?;
    let to_writer = rows.as_ref().map(|_| to_writer);
    let shared = Shared {
        first: process * options.workers,
        archived: archived(&options, &intake.partitions),
        intake,
        signals,
        full: AtomicBool::new(false),
        reads: plan.reads.clone(),
        opens: plan.opens,
        failure: Mutex::new(None),
        outbox: Outbox::There { link, carrier: carrier(&options), parts, rows: to_writer },
        options,
        resume,
        shares: Mutex::new(state),
        keeps_state: plan.kept.is_some(),
        readers: plan.readers,
        asked: Vec::new(),
        ended: Mutex::default(),
    };
    Ok((shared, Threads { parts: writer, rows }))
}

fn carrier(options: &Options) -> Arc<Carrier> {
    Arc::new(Carrier::of(options.commit.catalogue))
}

/// The threads of a process that does not lead, beside its workers.
pub(super) struct Threads {
    /// Writes its parts of snapshots, and ends when its workers have.
    pub(super) parts: Option<JoinHandle<()>>,
    /// Writes its rows, and ends when the run has.
    pub(super) rows: Option<JoinHandle<()>>,
}

/// Starts the thread that writes the rows of this process, for as long as commits are made.
fn start_rows(
    (shard, claim, process): (Box<dyn Shard>, Claim, usize),
    orders: Receiver<ToWriter>,
    said: Outbox,
    options: &Options,
    signals: &Signals,
) -> Result<JoinHandle<()>, EngineError> {
    let (turns, options, signals) = (options.turns.clone(), options.commit.clone(), signals.clone());
    let say = move |written: Result<Pieces, SinkError>| match written {
        Ok(pieces) => said.pieces(pieces),
        Err(why) => said.unwritten(why.to_string()),
    };
    let body = move || {
        let turn = turns.join(format!("rows {process}"));
        write_rows((shard, &claim), &orders, say, &options, (turn, &signals));
    };
    let started = std::thread::Builder::new().name("rows".to_owned()).spawn(body);
    started.map_err(|error| EngineError::Thread(format!("could not start a thread: {error}")))
}

/// Starts the thread that writes the parts of this process; it ends when nobody has anything more to say to it.
fn start_writer(
    (dir, whose): (StateDir, Whose),
    link: &Link,
    options: &Options,
    signals: &Signals,
) -> Result<(Sender<Written>, JoinHandle<()>), EngineError> {
    let (to, heard) = channel();
    let (link, turns, options, signals) =
        (link.clone(), options.turns.clone(), options.commit.clone(), signals.clone());
    let say = move |said| {
        link.say(match said {
            SaysOfParts::Written(all) => Said::Written(all),
            SaysOfParts::Ended(worker) => Said::Reached(worker, None),
            SaysOfParts::Failed(why) => Said::Failed(why.to_string()),
        });
    };
    let body = move || {
        let turn = turns.join(format!("parts {}", whose.process));
        write_parts((&dir, whose), &heard, say, &options, (turn, &signals));
    };
    let started = std::thread::Builder::new().name("snapshots".to_owned()).spawn(body);
    let started = started.map_err(|error| EngineError::Thread(format!("could not start a thread: {error}")))?;
    Ok((to, started))
}
