//! A sink's thread: applies commits in order, and waits for a sink that is unavailable. Old rows go between two commits.

use super::Message;
use super::patience::Patience;
use super::purging::Purging;
use crate::sink::{Claim, Commit, Sink, SinkError};
use crate::stats::Stats;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How long a sink waits for a commit before it is told that there is none.
const IDLE: Duration = Duration::from_secs(1);

/// What cannot be done while nothing happens is done later.
fn say_idle(done: Result<(), SinkError>) {
    if let Err(error) = done {
        tracing::warn!("what was to be done after the last commit could not be: {error}");
    }
}

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
    let mut last_commit = Instant::now();
    loop {
        let commit = match patience.turn.recv(commits, IDLE) {
            Ok(commit) => commit,
            Err(RecvTimeoutError::Timeout) => {
                say_idle(sink.idle(claim, Some(last_commit.elapsed())));
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        last_commit = Instant::now();
        let attempt = || {
            let applied = sink.apply(claim, &commit);
            let away = applied.as_ref().err().filter(|error| may_succeed_later(error));
            stats.sinks.set_away(number, away.map(SinkError::to_string));
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
    if !patience.stop.load(Ordering::Acquire) {
        say_idle(sink.idle(claim, None));
    }
    while !patience.stop.load(Ordering::Acquire) && purging.purge(&mut *sink, claim) {}
}
