//! A sink's thread: applies commits in order, and waits for a sink that is away.

use super::Message;
use super::patience::Patience;
use crate::sink::{Claim, Commit, Sink, SinkError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

/// Applies commits until there are no more.
pub(super) fn apply(
    number: usize,
    mut sink: Box<dyn Sink>,
    claim: &Claim,
    commits: &Receiver<Arc<Commit>>,
    outbox: &Sender<Message>,
    patience: &Patience<'_>,
) {
    let may_succeed_later = |error: &SinkError| matches!(error, SinkError::Unavailable(_));
    while let Some(commit) = patience.turn.recv_patiently(commits) {
        let result = patience.insist(|| sink.apply(claim, &commit), may_succeed_later);
        drop(commit);
        let failed = result.is_err();
        if outbox.send(Message::Applied(number, result)).is_err() || failed {
            return;
        }
    }
}
