//! The journal's thread: writes what has closed, in groups, and says so.

use super::patience::Patience;
use super::{Message, Options, Signals};
use crate::state_dir::journal::{Entry, Group};
use crate::state_dir::{StateDir, StateError};
use crate::store::StoreError;
use crate::turns::Turn;
use dataflows::Time;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// More entries are not waited for.
const GROUP_MAX: usize = 4096;

/// Whether an error may be gone later.
pub(super) fn may_succeed_later(error: &StateError) -> bool {
    matches!(error, StateError::Store(StoreError::Unavailable(_)))
}

/// Writes entries until there are no more.
pub(super) fn write(
    dir: &StateDir,
    generation: u64,
    (mut follows, mut follows_generation): (Time, Option<u64>),
    entries: &Receiver<Entry>,
    outbox: &Sender<Message>,
    options: &Options,
    (turn, signals): (Turn, &Signals),
) {
    let patience = Patience { turn: &turn, stop: &signals.stop, grace: options.stop_grace };
    let mut written: Option<Instant> = None;
    while let Some(first) = turn.recv_patiently(entries) {
        // A bucket is paid for by the object: there a group is what an interval brings.
        let rest = written.map_or(Duration::ZERO, |at| options.journal_interval.saturating_sub(at.elapsed()));
        if !rest.is_zero() && !signals.stop.load(std::sync::atomic::Ordering::Acquire) {
            turn.sleep(rest);
        }
        let mut group = Group { follows, follows_generation, entries: vec![first] };
        group.entries.extend(entries.try_iter().take(GROUP_MAX));
        let last = group.entries.last().map_or(follows, |entry| entry.epoch);
        let attempt = || {
            let journaled = dir.journal(generation, &group);
            let away = journaled.as_ref().err().filter(|error| may_succeed_later(error));
            signals.stats.set_journal_away(away.map(|error| format!("journal: {error}")));
            journaled
        };
        let result = patience.insist(attempt, may_succeed_later);
        (follows, follows_generation, written) = (last, Some(generation), Some(Instant::now()));
        let failed = result.is_err();
        if outbox.send(Message::Journaled(result.map(|()| last))).is_err() || failed {
            return;
        }
    }
}
