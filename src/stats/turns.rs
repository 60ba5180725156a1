//! When each worker began its last turn. One that computes for long, or hangs in an operator, begins none; one that has nothing to
//! do begins many a second.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// A worker that begins no turn for so long is stuck, for those who are told.
const STUCK: Duration = Duration::from_secs(10);
/// It takes no turns: it has not begun, or has ended.
const NONE: u64 = 0;

/// Instants are told from here on.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The last turn of each worker.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeMap<usize, Arc<AtomicU64>>>);

/// A worker that takes turns, until it is dropped.
#[derive(Debug)]
pub struct Turning(Arc<AtomicU64>);

impl Turns {
    /// A worker takes turns from now on.
    pub fn begin(&self, worker: usize) -> Turning {
        let turning = Turning(Arc::clone(self.0.lock().entry(worker).or_default()));
        turning.next();
        turning
    }

    /// The workers that are stuck, and for how many milliseconds each is.
    pub fn stuck_ms(&self) -> BTreeMap<usize, u64> {
        self.stuck_at(Instant::now())
    }

    fn stuck_at(&self, now: Instant) -> BTreeMap<usize, u64> {
        let now = told(now);
        let since = |at: &AtomicU64| Some(at.load(Relaxed)).filter(|at| *at != NONE).map(|at| now.saturating_sub(at));
        let all = self.0.lock();
        let stuck = all.iter().filter_map(|(worker, at)| Some((*worker, since(at)?)));
        stuck.filter(|(_, ms)| u128::from(*ms) >= STUCK.as_millis()).collect()
    }
}

impl Turning {
    /// The next turn begins.
    pub fn next(&self) {
        self.0.store(told(Instant::now()), Relaxed);
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        self.0.store(NONE, Relaxed);
    }
}

/// An instant in milliseconds; never [`NONE`].
fn told(at: Instant) -> u64 {
    at.saturating_duration_since(*BEGAN).as_millis() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_begins_no_turn_for_long_is_stuck_until_it_does() {
        let turns = Turns::default();
        let (first, second) = (turns.begin(0), turns.begin(1));
        assert_eq!(turns.stuck_ms(), BTreeMap::new());
        let later = Instant::now() + STUCK + Duration::from_millis(100);
        assert_eq!(turns.stuck_at(later).into_keys().collect::<Vec<_>>(), [0, 1]);
        // What has ended is not stuck.
        drop(second);
        let stuck = turns.stuck_at(later);
        assert_eq!(stuck.keys().collect::<Vec<_>>(), [&0]);
        assert!(stuck[&0] >= 10_000, "{stuck:?}");
        first.0.store(told(later), Relaxed);
        assert_eq!(turns.stuck_at(later), BTreeMap::new());
    }
}
