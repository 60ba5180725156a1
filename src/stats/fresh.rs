//! How fresh the tables were after each of the last commits.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So far back it is known.
pub const SPAN: Duration = Duration::from_secs(300);
/// Of so many commits at the most.
const COMMITS: usize = 4096;

/// From reading the oldest record of a commit to its being committed, of the commits of the last [`SPAN`].
#[derive(Debug, Default)]
pub struct Fresh(Mutex<VecDeque<(Instant, u64)>>);

impl Fresh {
    /// Notes a commit.
    pub fn note(&self, at: Instant, ms: u64) {
        let mut last = self.0.lock();
        last.push_back((at, ms));
        while last.len() > COMMITS || last.front().is_some_and(|(first, _)| at.duration_since(*first) > SPAN) {
            last.pop_front();
        }
    }

    /// The median and the 99th percentile, in milliseconds, of the commits up to [`SPAN`] ago; nothing if there was none.
    pub fn percentiles(&self, now: Instant) -> Option<(u64, u64)> {
        let last = self.0.lock();
        let mut sorted: Vec<_> =
            last.iter().filter(|(at, _)| now.duration_since(*at) <= SPAN).map(|(_, ms)| *ms).collect();
        drop(last);
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        rank(50).zip(rank(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_commits() {
        let (fresh, start) = (Fresh::default(), Instant::now());
        assert_eq!(fresh.percentiles(start), None);
        fresh.note(start, 9_999);
        let later = start + SPAN + Duration::from_secs(1);
        for ms in 1..=200 {
            fresh.note(later, ms);
        }
        assert_eq!(fresh.percentiles(later), Some((100, 198)));
        assert_eq!(fresh.percentiles(later + 2 * SPAN), None);
    }
}
