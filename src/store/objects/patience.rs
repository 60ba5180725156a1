//! For how long a request that failed is tried again, and after which pauses.

use crate::backoff::Backoff;
use std::time::{Duration, Instant};

/// For how long a request is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(20);
/// Before the second attempt; twice as long before each further one.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// The time, so that tests need not wait for it.
pub trait Clock: Send + Sync {
    /// How long ago something began that is the same for every call.
    fn now(&self) -> Duration;

    /// Comes back after a while.
    fn pause(&self, pause: Duration);
}

/// The time as it is.
pub(super) struct RealClock(Instant);

impl RealClock {
    pub(super) fn new() -> RealClock {
        RealClock(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn pause(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// The attempts at one request.
pub(super) struct Attempts<'a> {
    clock: &'a dyn Clock,
    begun: Duration,
    backoff: Backoff,
}

impl<'a> Attempts<'a> {
    pub(super) fn begin(clock: &'a dyn Clock) -> Attempts<'a> {
        Attempts { clock, begun: clock.now(), backoff: Backoff::new(FIRST, LONGEST) }
    }

    /// Waits before another attempt; `false`, at once, if there is to be none.
    pub(super) fn wait(&mut self) -> bool {
        let spent = self.clock.now().saturating_sub(self.begun);
        if spent + self.backoff.pause() > RETRY {
            return false;
        }
        self.clock.pause(self.backoff.take());
        true
    }
}
