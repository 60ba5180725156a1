//! How a start that cannot be is told: what is refused, and what failed.

use super::Refused;
use super::second::successor;
use crate::recovery::StartError;
use crate::sink::SinkError;
use crate::state_dir::{StateDir, StateError};

/// As below; of two that started at once, the one that came too late is told who runs.
pub(super) fn superseded(dir: &StateDir, error: StartError) -> anyhow::Error {
    match error {
        StartError::Sink(fenced @ SinkError::Fenced { .. }) => Refused(format!("{}: {fenced}", successor(dir))).into(),
        other @ (StartError::Sink(_) | StartError::State(_)) => refused_or_failed(other),
    }
}

/// What is refused is told apart from what failed: exit codes 2 and 1.
pub(super) fn refused_or_failed(error: StartError) -> anyhow::Error {
    match error {
        StartError::State(why @ (StateError::Refused { .. } | StateError::Vanished { .. })) => {
            Refused(why.to_string()).into()
        }
        other @ (StartError::State(_) | StartError::Sink(_)) => other.into(),
    }
}
