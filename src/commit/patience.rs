//! Trying again what may succeed later, until a stop was asked and its grace is over.

use crate::backoff::Backoff;
use crate::outage;
use crate::turns::Turn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a thing that is unavailable is waited for.
pub(super) struct Patience<'a> {
    /// The thread that waits.
    pub turn: &'a Turn,
    /// A stop was asked.
    pub stop: &'a AtomicBool,
    /// How long it is still waited for then.
    pub grace: Duration,
}

impl Patience<'_> {
    /// Attempts until it succeeds, fails for good, or nobody can wait any longer.
    pub(super) fn insist<T, E: std::fmt::Display>(
        &self,
        mut attempt: impl FnMut() -> Result<T, E>,
        may_succeed_later: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let (mut stopping, mut backoff, mut away) = (None, Backoff::default(), None);
        loop {
            match attempt() {
                Err(why) if may_succeed_later(&why) => {
                    if self.stop.load(Ordering::Acquire) {
                        let since: Instant = *stopping.get_or_insert_with(Instant::now);
                        if since.elapsed() >= self.grace {
                            return Err(why);
                        }
                    }
                    let why = why.to_string();
                    outage::say(outage::place_of(&why), &why, "trying again");
                    away = Some(why);
                    self.turn.sleep(backoff.take());
                }
                result => {
                    if let Some(away) = away.filter(|_| result.is_ok()) {
                        outage::is_over(outage::place_of(&away));
                    }
                    return result;
                }
            }
        }
    }
}
