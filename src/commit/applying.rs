//! A sink's thread: applies commits in order, and waits for a sink that is unavailable. Old rows go between two commits.

use super::Message;
use super::patience::Patience;
use super::purging::Purging;
use crate::sink::{Claim, Commit, Sink, SinkError};
use crate::stats::Stats;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};

/// Applies commits until there are no more.
pub(super) fn apply(
    number: usize,
    (mut sink, claim): (Box<dyn Sink>, &Claim),
    commits: &Receiver<Arc<Commit>>,
    outbox: &Sender<Message>,
    mut purging: Purging,
    patience: &Patience<'_>,
    stats: &Stats,
) {
    let may_succeed_later = |error: &SinkError| matches!(error, SinkError::Unavailable(_));
    while let Some(commit) = patience.turn.recv_patiently(commits) {
        let attempt = || {
            let applied = sink.apply(claim, &commit);
            let away = applied.as_ref().err().filter(|error| may_succeed_later(error));
            stats.set_sink_away(number, away.map(SinkError::to_string));
            applied
        };
        let result = patience.insist(attempt, may_succeed_later);
        purging.see(&commit);
        drop(commit);
        let failed = result.is_err();
        if outbox.send(Message::Applied(number, result)).is_err() || failed {
            return;
        }
        if purging.is_due() {
            purging.purge(&mut *sink, claim);
        }
    }
    // Nobody waits any more, unless a stop was asked: then the next start goes on with it.
    while !patience.stop.load(Ordering::Acquire) && purging.purge(&mut *sink, claim) {}
}
