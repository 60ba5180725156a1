//! The start of a run: who we are, what was done before, and where to go on from.
//!
//! The order matters. The generation is raised first in the state, then in every sink; only when every
//! sink is ours is the journal read: then whatever a run before us committed is journaled there, and
//! whatever it still journals can never be committed.

use crate::engine::{Replayed, Resume};
use crate::fingerprint;
use crate::reconcile::reconcile;
use crate::sink::{Claim, MadeBy, Sink, SinkError, Stored};
use crate::state_dir::chain::Chain;
use crate::state_dir::journal::Entry;
use crate::state_dir::snapshot::Manifest;
use crate::state_dir::{Generation, StateDir, StateError};
use dataflows::Time;
use std::collections::BTreeMap;

/// The version of decoder and rules: raised when they say something else of the same bytes.
pub const DECODER: u32 = 1;

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Because of the state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Because of a sink.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// A run that may begin.
pub struct Start {
    /// Its number.
    pub generation: u64,
    /// The right to write to each sink.
    pub claims: Vec<Claim>,
    /// Where it goes on from.
    pub resume: Resume,
}

/// Takes over the state and the sinks, and finds out where to go on from.
///
/// # Errors
/// If somebody else owns a sink, or going on would lose or double something.
pub fn start(
    dir: &StateDir,
    sinks: &mut [Box<dyn Sink>],
    facts: &Generation,
    identities: &BTreeMap<String, String>,
    threads: usize,
) -> Result<Start, StartError> {
    let mut above = 0;
    for sink in sinks.iter_mut() {
        let found = sink.position()?;
        above = found.as_ref().map_or(above, |found| above.max(found.generation));
        // Before a number is taken: somebody else's sink is none of our business.
        Claim::after(found.as_ref(), Some(&Claim { pipeline_id: dir.pipeline_id.clone(), generation: u64::MAX }), "")
            .map_err(|_| other_pipeline(dir, found.map_or(String::new(), |found| found.pipeline_id)))?;
    }
    let generation = dir.begin(facts, above)?;
    let claim = Claim { pipeline_id: dir.pipeline_id.clone(), generation };
    let mut claims = Vec::new();
    let mut positions = Vec::new();
    for sink in sinks.iter_mut() {
        claims.push(sink.claim(MadeBy::Run, Some(&claim))?);
        positions.push(sink.position()?.map_or(0, |progress| progress.epoch));
    }
    let plan = Plan::make(dir, &positions)?;
    let resume = plan.resume(dir, facts, identities, threads)?;
    Ok(Start { generation, claims, resume })
}

fn other_pipeline(dir: &StateDir, id: String) -> StateError {
    refused(
        dir,
        &format!(
            "it is of pipeline {}, and the warehouse holds the rows of pipeline {id}. Name that one's state \
             (`state_dir`), or another warehouse; if that one's state is lost, a new `state_dir` and `--rebuild`",
            dir.pipeline_id
        ),
    )
}

fn refused(dir: &StateDir, why: &str) -> StateError {
    StateError::Refused(format!("state `{}`: {why}", dir.place()))
}

/// The epoch before the last run that computed everything again, of those whose entries are kept.
fn last_rebuild(dir: &StateDir, chain: &Chain) -> Result<Option<Time>, StateError> {
    let generations: std::collections::BTreeSet<_> = chain.entries.values().map(|(by, _)| *by).collect();
    let rebuilt = generations.into_iter().map(|by| Ok(dir.generation(by)?.rebuilt_after));
    Ok(rebuilt.collect::<Result<Vec<_>, StateError>>()?.into_iter().flatten().max())
}

/// Takes over the state and a sink to compute everything again: what was done before does not count.
/// Tells the claim and the epoch that everything comes after.
///
/// # Errors
/// If somebody else owns the sink, or a partition would be lost.
pub fn start_again(
    dir: &StateDir,
    sink: &mut dyn Sink,
    facts: &Generation,
    there: &[String],
    accept_loss: bool,
) -> Result<(Claim, Time), StartError> {
    let found = sink.position()?;
    let lost = found.iter().flat_map(|found| found.positions.keys()).find(|partition| !there.contains(partition));
    if let Some(lost) = lost.filter(|_| !accept_loss) {
        let why = format!(
            "the warehouse holds what was read from `{lost}`, which is not among the sources now, and would lose it. \
             Give it too, or give `--accept-loss`"
        );
        return Err(refused(dir, &why).into());
    }
    let at = found.as_ref().map_or(0, |found| found.epoch).max(dir.chain()?.end());
    let facts = Generation { rebuilt_after: Some(at), ..facts.clone() };
    let generation = dir.begin(&facts, found.map_or(0, |found| found.generation))?;
    let claim = sink.claim(MadeBy::Run, Some(&Claim { pipeline_id: dir.pipeline_id.clone(), generation }))?;
    Ok((claim, at))
}

/// Makes a sink that is new hold what another one holds, as of that one's epoch: from then on both are
/// written to alike. Called before [`start`], while nobody writes to either.
///
/// # Errors
/// If either cannot be read or written.
pub fn add_sink(known: &mut (impl Sink + Stored), new: &mut (impl Sink + Stored)) -> Result<(), SinkError> {
    let Some(found) = known.position()?.filter(|found| found.epoch > 0) else { return Ok(()) };
    let of_known = Claim { pipeline_id: found.pipeline_id.clone(), generation: found.generation };
    let claim = match new.position()? {
        // It was begun, and not finished.
        Some(begun) if begun.pipeline_id == found.pipeline_id => Claim { generation: begun.generation, ..of_known },
        begun => new.claim(found.made_by, begun.is_none().then_some(&of_known))?,
    };
    reconcile(known, new, &claim, |_| found.epoch).map(drop)
}

/// What is there, and what of it is needed.
struct Plan {
    chain: Chain,
    snapshot: Option<Manifest>,
}

impl Plan {
    /// For sinks that are at these epochs.
    fn make(dir: &StateDir, positions: &[Time]) -> Result<Plan, StateError> {
        let mut chain = dir.chain()?;
        // A run that we have superseded may still be about to make it so, and lose power instead.
        dir.store().settle()?;
        if let Some(rebuilt_after) = last_rebuild(dir, &chain)? {
            if positions.iter().any(|position| *position <= rebuilt_after) {
                let why = "a `--rebuild` did not come to its end, and nothing of it was published. Run it again";
                return Err(refused(dir, why));
            }
            chain.entries = chain.entries.split_off(&(rebuilt_after + 1));
        }
        if let Some(position) = positions.iter().find(|position| **position > chain.end()) {
            let why = format!(
                "it ends with epoch {}, and the warehouse is at epoch {position}: this is not the state that the warehouse \
                 was made with, or some of it was lost. Put it back, or start from scratch with `--rebuild`",
                chain.end()
            );
            return Err(refused(dir, &why));
        }
        let needed = positions.iter().min().copied().unwrap_or(chain.end());
        let snapshot = dir.newest_snapshot(&chain, needed)?;
        if snapshot.is_none() && chain.follows > 0 {
            let why = format!(
                "the warehouse is at epoch {needed}, and what happened before epoch {} is not kept any more. Put the \
                 warehouse back as it was, or start from scratch with `--rebuild`",
                chain.follows
            );
            return Err(refused(dir, &why));
        }
        Ok(Plan { chain, snapshot })
    }

    fn resume(
        self,
        dir: &StateDir,
        facts: &Generation,
        identities: &BTreeMap<String, String>,
        threads: usize,
    ) -> Result<Resume, StateError> {
        let from = self.snapshot.as_ref().map_or(0, |manifest| manifest.epoch);
        let mut generations = BTreeMap::<u64, Generation>::new();
        let mut replay = Vec::new();
        for (epoch, (by, entry)) in self.chain.entries {
            if epoch <= from {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(vacant) = generations.entry(by) {
                vacant.insert(dir.generation(by)?);
            }
            replay.push(Replayed { entry, rules: generations[&by].rules.clone() });
        }
        let of_snapshot = self.snapshot.iter().map(|manifest| (&manifest.fingerprint, &manifest.identities));
        let of_generations = generations.values().map(|generation| (&generation.fingerprint, &generation.identities));
        for (print, known) in of_snapshot.chain(of_generations) {
            check_meaning(dir, print, &facts.fingerprint)?;
            check_identities(dir, known, identities)?;
        }
        if let Some(other) = generations.values().find(|generation| generation.decoder != facts.decoder) {
            let why = format!(
                "epochs {} to {} were decoded by version {} of the program and must be replayed by one that decodes alike; \
                 run that one until it ends (SIGTERM), then this one",
                replay.first().map_or(0, |first| first.entry.epoch),
                replay.last().map_or(0, |last| last.entry.epoch),
                other.program,
            );
            return Err(refused(dir, &why));
        }
        let Some(manifest) = self.snapshot else { return Ok(Resume { replay, ..Resume::default() }) };
        let state = dir.read_snapshot(&manifest, threads)?;
        let Manifest { epoch, watermark, target, clock_ms, positions, largest, .. } = manifest;
        Ok(Resume { epoch, watermark, target, clock_ms, positions, largest, state, replay })
    }
}

fn check_meaning(
    dir: &StateDir,
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Result<(), StateError> {
    let differing = fingerprint::differences(before, now);
    if differing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "what the tables mean has changed since it was written: {}. Set it back, or compute everything again from the \
         first record with `--rebuild`: only rows that differ are written",
        differing.join(", ")
    );
    Err(refused(dir, &why))
}

fn check_identities(
    dir: &StateDir,
    known: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Result<(), StateError> {
    for (partition, identity) in known {
        if found.get(partition).is_some_and(|found| found != identity) {
            let why = format!(
                "`{partition}` is not the log that was read before: it was made again, or replaced by another of its name. \
                 Give the old one back, name the new one otherwise, or start from scratch with `--rebuild`"
            );
            return Err(refused(dir, &why));
        }
    }
    Ok(())
}

/// Whether everything that must be read again can be: the partitions that it lies in are there.
///
/// # Errors
/// If one is not.
pub fn check_partitions(dir: &StateDir, resume: &Resume, there: &[String]) -> Result<(), StateError> {
    let read = resume.replay.iter().flat_map(|Replayed { entry: Entry { read, .. }, .. }| read.keys());
    match read.into_iter().find(|partition| !there.contains(partition)) {
        Some(missing) => {
            let why = format!(
                "the last run was interrupted while it read `{missing}`, which is not among the sources now. Give it too, \
                 so that what was begun is finished"
            );
            Err(refused(dir, &why))
        }
        None => Ok(()),
    }
}
