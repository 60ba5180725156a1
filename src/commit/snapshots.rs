//! The snapshots' thread: parts as they come from the workers, the manifest once all are written.

use super::journaling::may_succeed_later;
use super::patience::Patience;
use super::pending::StreamPosition;
use super::{Message, Options, Signals};
use crate::state_dir::snapshot::{Manifest, PartEntry, encode};
use crate::state_dir::{StateDir, StateError};
use crate::turns::Turn;
use dataflows::Time;
use dataflows::state::Section;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::mpsc::{Receiver, Sender};

/// A part is written when so many bytes have come together.
const PART_BYTES: usize = 4 << 20;

/// What is said of the snapshot that is being taken: one at a time.
#[derive(Debug)]
pub enum Piece {
    /// Records of an operator of a worker.
    Slice(Section),
    /// A worker has sent everything.
    Done,
    /// The epoch is journaled: this is known after it.
    Taken(StreamPosition),
    /// No more snapshots.
    Over,
}

/// What does not change while a run runs.
pub struct Facts {
    /// The start.
    pub generation: u64,
    /// How many workers take part.
    pub workers: usize,
    /// What makes each partition the log that was read.
    pub identities: Identities,
    /// What the tables mean.
    pub fingerprint: BTreeMap<String, String>,
}

/// Tells what makes each partition the log it is; of what was empty it is known later.
pub type Identities = Box<dyn Fn() -> BTreeMap<String, String> + Send>;

#[derive(Default)]
struct Taking {
    parts: Vec<PartEntry>,
    buffer: Vec<u8>,
    records: u64,
    done: usize,
    known: Option<StreamPosition>,
    /// Kept until the epoch, and so the name of the folder, is known.
    early: Vec<Section>,
}

struct Writer<'a> {
    dir: &'a StateDir,
    facts: Facts,
    patience: Patience<'a>,
    signals: &'a Signals,
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
    let mut writer = Writer { dir, facts, patience, signals, taking: Taking::default() };
    while let Some(piece) = turn.recv_patiently(pieces).filter(|piece| !matches!(piece, Piece::Over)) {
        if let Err(error) = writer.take(piece) {
            outbox.send(Message::Snapshot(error)).ok();
            return;
        }
    }
}

impl Writer<'_> {
    fn take(&mut self, piece: Piece) -> Result<(), StateError> {
        match piece {
            Piece::Slice(section) => {
                self.signals.snapshot_bytes.fetch_sub(section.bytes.len(), AcqRel);
                self.taking.early.push(section);
            }
            Piece::Done => self.taking.done += 1,
            Piece::Taken(known) => self.taking.known = Some(known),
            Piece::Over => {}
        }
        let Some(known) = &self.taking.known else { return Ok(()) };
        let of = (known.epoch, self.facts.generation);
        for section in std::mem::take(&mut self.taking.early) {
            self.taking.records += section.records;
            encode(&section, &mut self.taking.buffer);
            if self.taking.buffer.len() >= PART_BYTES {
                self.write_part(of)?;
            }
        }
        if self.taking.done == self.facts.workers {
            self.finish(of)?;
        }
        Ok(())
    }

    fn write_part(&mut self, of: (Time, u64)) -> Result<(), StateError> {
        let Taking { parts, buffer, records, .. } = &mut self.taking;
        let attempt = || self.dir.write_part(of, parts.len(), *records, buffer);
        let part = self.patience.insist(attempt, may_succeed_later)?;
        parts.push(part);
        buffer.clear();
        *records = 0;
        Ok(())
    }

    fn finish(&mut self, of: (Time, u64)) -> Result<(), StateError> {
        if !self.taking.buffer.is_empty() {
            self.write_part(of)?;
        }
        let taking = std::mem::take(&mut self.taking);
        let Some(known) = taking.known else { return Ok(()) };
        let manifest = Manifest {
            epoch: of.0,
            generation: of.1,
            clock_ms: known.clock_ms,
            lanes: known.lanes,
            positions: known.positions,
            sums: known.sums,
            largest: known.largest,
            second: known.second,
            quality: known.quality,
            identities: (self.facts.identities)(),
            fingerprint: self.facts.fingerprint.clone(),
            parts: taking.parts,
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
