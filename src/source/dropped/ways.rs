//! How a folder is watched.

use super::place::Before;
use dataflows::Instant;
use std::sync::Arc;
use std::time::Duration;

/// How a folder is watched.
pub struct Ways {
    /// For how long a file must not have changed, in milliseconds.
    pub settle_ms: i64,
    /// How often it is looked into the folder.
    pub every: Duration,
    /// The wall clock, in milliseconds.
    pub clock: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// Asked before anything is changed.
    pub before: Before,
    /// How long it goes on.
    pub mode: Mode,
}

/// How long a folder is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On and on.
    Watches,
    /// Until nothing is in it that can be taken.
    ToEnd,
    /// Not at all: what was taken before is read again, but for what is gone, if that is accepted.
    Again {
        /// It is.
        accept_loss: bool,
    },
}
