//! What a run is told: what it reads, and how it begins.

use dataflows::Instant;
use std::path::PathBuf;

/// What was named to be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// Files of events.
    pub files: Vec<PathBuf>,
    /// Catalogs to begin with.
    pub catalogs: Vec<PathBuf>,
    /// As of when the catalogs hold; by default that is decided when they are first read.
    pub as_of: Option<Instant>,
    /// Of the files those that are other sources, though they begin like one that was read.
    pub another: Vec<PathBuf>,
    /// Files hold what happened before, Kafka what happened since.
    pub backfill_until: Option<Instant>,
    /// Kafka is read to where it ends now.
    pub to_end: bool,
}

/// How a run begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// Where the last one ended, perhaps although the clock is behind that one's, or records are gone since.
    GoOn { accept_clock: bool, accept_loss: bool },
    /// With the first record; sources that were read before and are not given may be lost.
    Again { accept_loss: bool },
}
