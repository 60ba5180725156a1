//! What a process says to the one that leads, and what becomes of it there.

use crate::commit::{
    Carried, CarriedBug, CarriedPieces, Carrier, Message, Part, Piece, Pieces, Share, ToWriter, Written,
};
use crate::state_dir::snapshot::PartEntry;
use crate::turns::Turn;
use dataflows::Time;
use dataflows::delta::KeyBug;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// What a member says to the leader, one after the other: a part before that it was reached, and that its sources have
/// ended after what was read of them is with its workers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// A worker's part of a closed epoch.
    Part(Time, Box<Carried>),
    /// A worker has delivered all its parts before this epoch; without one, all of them.
    Reached(usize, Option<Time>),
    /// A worker found a bug.
    Bug(CarriedBug),
    /// Its rows of the commit that is being made are written.
    Pieces(CarriedPieces),
    /// They cannot be written: nobody need wait for them.
    Unwritten(String),
    /// Its parts of the snapshot are written.
    Written(Vec<PartEntry>),
    /// What is wanted of the clock.
    Asks(Asks),
    /// It cannot go on.
    Failed(String),
    /// The run is asked to stop, as by a signal.
    Stop,
}

/// What a member wants of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks {
    /// This epoch is to close for the sake of its sources.
    pub closes: Option<Time>,
    /// Its sources have ended.
    pub ended: bool,
}

/// What a member wanted last, at the leader.
#[derive(Default)]
pub(super) struct Asked {
    closes: AtomicU64,
    ended: AtomicBool,
}

impl Asked {
    pub(super) fn hear(&self, Asks { closes, ended }: Asks) {
        self.closes.store(closes.unwrap_or(0), Release);
        self.ended.store(ended, Release);
    }

    /// Whether an epoch is to close.
    pub(super) fn closes(&self, epoch: Time) -> bool {
        self.closes.load(Acquire) >= epoch
    }

    /// Whether its sources have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Acquire)
    }
}

/// The way from a process to the one that leads.
#[derive(Clone)]
pub struct Link {
    said: Sender<Said>,
}

/// What is said over a link, one after the other.
pub struct Words {
    said: Receiver<Said>,
}

/// A link, and what takes the words from it.
pub fn link() -> (Link, Words) {
    let (to, said) = channel();
    (Link { said: to }, Words { said })
}

impl Link {
    /// If nobody listens, the run is ending with an error that somebody else reports.
    pub(super) fn say(&self, said: Said) {
        self.said.send(said).ok();
    }
}

impl Words {
    /// The next words, waited for by a thread that takes turns; nothing if nobody is left to say any.
    pub(super) fn next(&self, turn: &Turn) -> Option<Said> {
        turn.recv_patiently(&self.said)
    }

    /// The next words, waited for so long.
    ///
    /// # Errors
    /// If there are none, or nobody is left to say any.
    pub fn within(&self, patience: Duration) -> Result<Said, RecvTimeoutError> {
        self.said.recv_timeout(patience)
    }
}

/// Where workers deliver to.
#[derive(Clone)]
pub(super) enum Outbox {
    /// To the threads of this process.
    Here { committer: Sender<Message>, snapshots: Option<Sender<Piece>>, rows: Option<Sender<ToWriter>> },
    /// To the process that leads.
    There { link: Link, carrier: Arc<Carrier>, parts: Option<Sender<Written>>, rows: Option<Sender<ToWriter>> },
}

/// If nobody listens, the run is ending with an error that somebody else reports.
impl Outbox {
    /// What a worker has of a closed epoch. Where this process writes its rows by itself, they go to the thread that does.
    pub(super) fn part(&self, epoch: Time, mut part: Part) {
        let (Outbox::Here { rows, .. } | Outbox::There { rows, .. }) = self;
        if let Some(rows) = rows
            && let Some(own) = part.split()
        {
            rows.send(ToWriter::Rows(epoch, Box::new(own))).ok();
        }
        self.rest(epoch, part);
    }

    /// What is left of a part without the rows that a process writes by itself.
    pub(super) fn rest(&self, epoch: Time, part: Part) {
        match self {
            Outbox::Here { committer, .. } => drop(committer.send(Message::Part(epoch, Box::new(part)))),
            Outbox::There { link, carrier, .. } => link.say(Said::Part(epoch, Box::new(carrier.carry(part)))),
        }
    }

    pub(super) fn reached(&self, worker: usize, epoch: Option<Time>) {
        match self {
            Outbox::Here { committer, .. } => drop(committer.send(Message::Reached(worker, epoch))),
            // Who leads takes no more parts when all have delivered everything: ours are written by then.
            Outbox::There { parts: Some(parts), .. } if epoch.is_none() => drop(parts.send(Written::Ended(worker))),
            Outbox::There { link, .. } => link.say(Said::Reached(worker, epoch)),
        }
    }

    pub(super) fn bug(&self, bug: KeyBug) {
        match self {
            Outbox::Here { committer, .. } => drop(committer.send(Message::Bug(bug))),
            Outbox::There { link, carrier, .. } => link.say(Said::Bug(carrier.carry_bug(bug))),
        }
    }

    /// Says something of the snapshot to the thread that writes the parts of this process.
    pub(super) fn share(&self, share: Share) {
        match self {
            Outbox::Here { snapshots: Some(snapshots), .. } => drop(snapshots.send(Piece::Share(share))),
            Outbox::There { parts: Some(parts), .. } => drop(parts.send(Written::Share(share))),
            Outbox::Here { snapshots: None, .. } | Outbox::There { parts: None, .. } => {}
        }
    }

    /// The parts of another process are written.
    pub(super) fn written(&self, all: Vec<PartEntry>) {
        match self {
            Outbox::Here { snapshots: Some(snapshots), .. } => drop(snapshots.send(Piece::Others(all))),
            Outbox::There { link, .. } => link.say(Said::Written(all)),
            Outbox::Here { snapshots: None, .. } => {}
        }
    }

    /// The rows of another process are written.
    pub(super) fn pieces(&self, pieces: Pieces) {
        match self {
            Outbox::Here { committer, .. } => drop(committer.send(Message::Pieces(Ok(pieces)))),
            Outbox::There { link, carrier, .. } => link.say(Said::Pieces(carrier.carry_pieces(pieces))),
        }
    }

    /// This process cannot write its rows, and says so to the one that leads.
    pub(super) fn unwritten(&self, why: String) {
        if let Some(link) = self.link() {
            link.say(Said::Unwritten(why));
        }
    }

    /// A process that computes with the one that leads is gone.
    pub(super) fn gone(&self, why: String) {
        match self {
            Outbox::Here { committer, .. } => drop(committer.send(Message::Gone(why))),
            Outbox::There { link, .. } => link.say(Said::Failed(why)),
        }
    }

    /// The way to the leader, for one who does not lead.
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Outbox::Here { .. } => None,
            Outbox::There { link, .. } => Some(link),
        }
    }
}
