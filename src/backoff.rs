//! Pauses between attempts at what may succeed later: each is twice as long as the one before, up to a longest.

use std::time::Duration;

/// The pauses between the attempts at one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

/// Those of sources and sinks: soon there again after a hiccup, and no burden to what is unavailable for long.
impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::new(Duration::from_millis(20), Duration::from_secs(5))
    }
}

impl Backoff {
    /// The first pause, and the longest.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { next: first, longest }
    }

    /// The pause before the next attempt.
    pub fn pause(&self) -> Duration {
        self.next
    }

    /// The pause before the next attempt, which is made: the one after it is longer.
    pub fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let taken: Vec<_> = (0..4).map(|_| backoff.take().as_millis()).collect();
        assert_eq!(taken, [100, 200, 350, 350]);
        assert_eq!(backoff.pause().as_millis(), 350);
    }
}
