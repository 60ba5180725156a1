//! At what pace history is told: what lay an hour apart lies an hour apart again, or a part of one.

use dataflows::Instant;
use parking_lot::Mutex;
use std::sync::Arc;

/// A clock: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Event time goes on with a clock, so many times as fast. It begins with the first row that is told, when somebody asks
/// for the first time.
pub struct Pace {
    /// So many milliseconds of event time in one of the clock.
    speed: f64,
    clock: Clock,
    begins: Mutex<Begins>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Begins {
    with: Option<Instant>,
    clock_ms: Option<Instant>,
}

impl Pace {
    /// So many times as fast as it was.
    pub fn new(speed: f64, clock: Clock) -> Pace {
        Pace { speed, clock, begins: Mutex::default() }
    }

    /// A row is told first of its file, of this time. The earliest one begins; said before anybody asks.
    pub fn begins_with(&self, at: Instant) {
        let mut begins = self.begins.lock();
        begins.with = Some(begins.with.map_or(at, |with| with.min(at)));
    }

    /// How far event time has come: what happened then or before is due.
    pub fn reached(&self) -> Instant {
        let mut begins = self.begins.lock();
        let now_ms = (self.clock)();
        let Some(with) = begins.with else { return Instant::MAX };
        let since_ms = now_ms.saturating_sub(*begins.clock_ms.get_or_insert(now_ms)).max(0);
        with.saturating_add((since_ms as f64 * self.speed) as i64)
    }

    /// In how many milliseconds of the clock something is due; 0 if it is.
    pub fn due_in_ms(&self, at: Instant) -> u64 {
        let ahead = at.saturating_sub(self.reached());
        if ahead <= 0 { 0 } else { (ahead as f64 / self.speed).ceil().max(1.0) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    #[test]
    fn distances_are_kept_by_any_speed() {
        const HOUR_MS: i64 = 3_600_000;
        for (speed, waits_ms) in [(1.0, 3_600_000), (600.0, 6_000), (3_600_000.0, 1), (0.5, 7_200_000)] {
            let now = Arc::new(AtomicI64::new(77));
            let shown = Arc::clone(&now);
            let pace = Pace::new(speed, Arc::new(move || shown.load(Relaxed)));
            [5 * HOUR_MS, 4 * HOUR_MS].into_iter().for_each(|at| pace.begins_with(at));
            assert_eq!((pace.reached(), pace.due_in_ms(4 * HOUR_MS)), (4 * HOUR_MS, 0));
            assert_eq!(pace.due_in_ms(5 * HOUR_MS), waits_ms);
            now.fetch_add(waits_ms as i64 - 1, Relaxed);
            assert!(waits_ms == 1 || pace.due_in_ms(5 * HOUR_MS) > 0, "a moment before it is not due");
            now.fetch_add(1, Relaxed);
            assert_eq!((pace.reached(), pace.due_in_ms(5 * HOUR_MS)), (5 * HOUR_MS, 0));
            // A clock that was set back tells nothing before the beginning.
            now.store(0, Relaxed);
            assert_eq!(pace.reached(), 4 * HOUR_MS);
        }
    }
}
