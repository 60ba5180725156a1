//! The rows that the workers of one process made, where every process writes its own: they wait here, and do not travel.
//!
//! The committer says which epochs make a commit; the thread here writes their rows, and tells the pieces. An epoch that it
//! asks for is closed: all workers of all processes have delivered it, so that everything of it is here.

use super::patience::Patience;
use super::pending::{Pending, StreamPosition};
use super::{Options, Part, Signals};
use crate::sink::parquet::Piece;
use crate::sink::{Claim, Shard, SinkError};
use crate::turns::Turn;
use dataflows::table::{Role, TableId};
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};

/// Which epochs make a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Those after this one.
    pub follows: Time,
    /// The last of them.
    pub epoch: Time,
    /// The clock of that.
    pub clock_ms: Instant,
}

/// What the thread hears.
#[derive(Debug)]
pub enum ToWriter {
    /// Rows of a worker, of an epoch.
    Rows(Time, Box<Part>),
    /// A commit is made.
    Write(Order),
    /// No more commits are.
    Over,
}

/// What a process wrote for a commit: its pieces.
pub type Pieces = Vec<(TableId, Piece)>;

/// The processes of a run that all write: the side of this one, and the way to each.
pub struct Writing {
    /// The side of this process.
    pub shard: Box<dyn Shard>,
    /// What it hears.
    pub heard: Receiver<ToWriter>,
    /// The way to each process, the way to this one first.
    pub to: Vec<Sender<ToWriter>>,
}

impl Part {
    /// Takes out the rows that the process writes by itself; what is left of it goes to the committer. What was not
    /// accepted does too: how much of it is kept depends on what all processes have of an epoch.
    pub fn split(&mut self) -> Option<Part> {
        let (left, appends) = std::mem::take(&mut self.appends)
            .into_iter()
            .partition(|append| matches!(append.table.table().role, Role::Rejected { .. } | Role::Late { .. }));
        self.appends = left;
        let rows = Part { deltas: std::mem::take(&mut self.deltas), appends, ..Part::default() };
        if rows.deltas.is_empty() && rows.appends.is_empty() {
            return None;
        }
        self.away += rows.size();
        Some(rows)
    }
}

/// Writes the rows of a process, until nobody has anything more to say.
pub fn write_rows(
    (mut shard, claim): (Box<dyn Shard>, &Claim),
    heard: &Receiver<ToWriter>,
    say: impl Fn(Result<Pieces, SinkError>),
    options: &Options,
    (turn, signals): (Turn, &Signals),
) {
    let patience = Patience { turn: &turn, stop: &signals.stop, grace: options.stop_grace };
    let mut waiting = BTreeMap::<Time, Vec<Part>>::new();
    while let Some(heard) = turn.recv_patiently(heard) {
        match heard {
            // What is made of what was restored was written before.
            ToWriter::Rows(epoch, _) if dataflows::time::is_silent(epoch) => {}
            ToWriter::Rows(epoch, part) => waiting.entry(epoch).or_default().push(*part),
            ToWriter::Write(order) => {
                let mut due = std::mem::take(&mut waiting);
                waiting = due.split_off(&(order.epoch + 1));
                let mut pending = Pending::default();
                let due = due.split_off(&(order.follows + 1)).into_iter();
                due.for_each(|(epoch, parts)| pending.merge(epoch, parts));
                let known = StreamPosition { clock_ms: order.clock_ms, ..StreamPosition::default() };
                let commit = pending.commit(order.follows, &known);
                let commit = crate::sink::Commit { epoch: order.epoch, ..commit };
                let away = |error: &SinkError| matches!(error, SinkError::Unavailable(_));
                let written = patience.insist(|| shard.write(claim, &commit), away);
                let failed = written.is_err();
                say(written);
                if failed {
                    return;
                }
            }
            ToWriter::Over => return,
        }
    }
}
