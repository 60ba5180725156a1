//! The snapshots' thread of the process that leads: its own parts, and the manifest once those of all processes are written.

use super::journaling::may_succeed_later;
use super::parts::{Parts, Share, Whose};
use super::patience::Patience;
use super::pending::StreamPosition;
use super::{Message, Options, Signals};
use crate::state_dir::snapshot::{Manifest, PartEntry};
use crate::state_dir::{StateDir, StateError};
use crate::turns::Turn;
use dataflows::Time;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc::{Receiver, Sender};

/// What is said of the snapshot that is being taken: one at a time.
#[derive(Debug)]
pub enum Piece {
    /// By a worker of this process.
    Share(Share),
    /// All parts of another process are there.
    Others(Vec<PartEntry>),
    /// The epoch is journaled: this is known after it.
    Taken(StreamPosition),
    /// No more snapshots.
    Over,
}

/// What does not change while a run runs.
pub struct Facts {
    /// The start.
    pub generation: u64,
    /// How many workers this process has.
    pub workers: usize,
    /// How many other processes write parts.
    pub others: usize,
    /// What makes each partition the log that was read.
    pub identities: Identities,
    /// What the tables mean.
    pub fingerprint: BTreeMap<String, String>,
}

/// Tells what makes each partition the log it is; of what was empty it is known later.
pub type Identities = Box<dyn Fn() -> BTreeMap<String, String> + Send>;

#[derive(Default)]
struct Taking {
    own: Option<Vec<PartEntry>>,
    others: Vec<Vec<PartEntry>>,
    known: Option<StreamPosition>,
}

struct Writer<'a> {
    dir: &'a StateDir,
    facts: Facts,
    patience: Patience<'a>,
    signals: &'a Signals,
    parts: Parts<'a>,
    taking: Taking,
}

/// Takes snapshots until nobody sends any more.
pub(super) fn write(
    dir: &StateDir,
    facts: Facts,
    pieces: &Receiver<Piece>,
    outbox: &Sender<Message>,
    options: &Options,
    (turn, signals): (Turn, &Signals),
) {
    let patience = Patience { turn: &turn, stop: &signals.stop, grace: options.stop_grace };
    let whose = Whose { generation: facts.generation, process: 0, workers: facts.workers };
    let parts = Parts::new(dir, whose, &signals.snapshot_bytes);
    let mut writer = Writer { dir, facts, patience, signals, parts, taking: Taking::default() };
    while let Some(piece) = turn.recv_patiently(pieces).filter(|piece| !matches!(piece, Piece::Over)) {
        if let Err(error) = writer.take(piece) {
            outbox.send(Message::Snapshot(error)).ok();
            return;
        }
    }
}

impl Writer<'_> {
    fn take(&mut self, piece: Piece) -> Result<(), StateError> {
        let taking = &mut self.taking;
        match piece {
            Piece::Share(share) => {
                if let Some(all) = self.parts.take(share, &self.patience)? {
                    taking.own = Some(all);
                }
            }
            Piece::Others(parts) => taking.others.push(parts),
            Piece::Taken(known) => taking.known = Some(known),
            Piece::Over => {}
        }
        let is_whole = taking.own.is_some() && taking.others.len() == self.facts.others && taking.known.is_some();
        if is_whole { self.publish() } else { Ok(()) }
    }

    fn publish(&mut self) -> Result<(), StateError> {
        let Taking { own, mut others, known } = std::mem::take(&mut self.taking);
        let (Some(own), Some(known)) = (own, known) else { return Ok(()) };
        // In an order that does not depend on who was first.
        others.sort_by(|one, other| one.iter().map(|part| &part.key).cmp(other.iter().map(|part| &part.key)));
        let manifest = Manifest {
            epoch: known.epoch,
            generation: self.facts.generation,
            clock_ms: known.clock_ms,
            lanes: known.lanes,
            positions: known.positions,
            sums: known.sums,
            largest: known.largest,
            second: known.second,
            quality: known.quality,
            identities: (self.facts.identities)(),
            fingerprint: self.facts.fingerprint.clone(),
            parts: std::iter::once(own).chain(others).flatten().collect(),
        };
        self.patience.insist(|| self.dir.publish(&manifest), may_succeed_later)?;
        self.signals.stats.snapshot(manifest.epoch, manifest.clock_ms, manifest.records(), manifest.bytes());
        self.tidy_up(manifest.epoch);
        self.signals.snapshotting.store(false, Release);
        Ok(())
    }

    /// Removes what no sink needs any more. Only while nobody has superseded us, asked after our own
    /// snapshot is durable: the next start finds that one, so nobody misses what is removed.
    fn tidy_up(&self, newest: Time) {
        let tidy = || -> Result<(), StateError> {
            if self.dir.last_generation()? != self.facts.generation {
                return Ok(());
            }
            let committed = self.signals.committed.iter().map(|at| at.load(Acquire)).min().unwrap_or(newest);
            let needed = self.dir.newest_snapshot(&self.dir.chain()?, committed)?;
            if let Some(Manifest { epoch: needed, positions, .. }) = needed {
                *self.signals.spared.lock() = Some(positions);
                self.dir.forget_snapshots(needed, self.facts.generation)?;
                self.dir.forget_journal(needed)?;
                // Asked again: a start of which nothing is left in the journal, in part, is not needed.
                let first = self.dir.chain()?.entries.values().map(|(by, _)| *by).min();
                self.dir.forget_generations(first.unwrap_or(0).min(self.facts.generation))?;
            }
            Ok(())
        };
        // It is tried again after the next snapshot.
        if let Err(error) = tidy() {
            tracing::warn!("could not remove old state: {error}");
        }
    }
}
