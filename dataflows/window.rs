//! Window arithmetic: the only date maths of the core. Windows are half-open, `[start, end)`.

use crate::time::{DAY_MS, Instant};
use serde::{Deserialize, Serialize};

/// The length of every registration and checkout window, in milliseconds.
pub const WIDTH_MS: i64 = 60 * 60 * 1000;
/// The distance between the starts of two sliding windows, in milliseconds.
pub const SLIDE_MS: i64 = 15 * 60 * 1000;

/// How windows of a kind lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WindowType {
    /// One hour every fifteen minutes.
    Sliding,
    /// One hour every hour.
    Tumbling,
}

impl WindowType {
    /// The name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            WindowType::Sliding => "sliding",
            WindowType::Tumbling => "tumbling",
        }
    }
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The kind of the window.
    pub window_type: WindowType,
    /// Its first instant.
    pub start: Instant,
}

impl Window {
    /// The first instant after the window.
    pub fn end(&self) -> Instant {
        self.start + WIDTH_MS
    }
}

/// The start of the quarter of an hour that contains `at`. All instants of a pane lie in the same windows.
pub fn pane(at: Instant) -> Instant {
    at - at.rem_euclid(SLIDE_MS)
}

/// The end of the last window that contains the pane: once it has passed, the pane changes nothing.
pub fn last_end(pane: Instant) -> Instant {
    pane + WIDTH_MS
}

/// The windows that contain a pane: one tumbling, four sliding.
pub fn containing(pane: Instant) -> impl Iterator<Item = Window> {
    let tumbling = Window { window_type: WindowType::Tumbling, start: pane - pane.rem_euclid(WIDTH_MS) };
    let sliding = (0..WIDTH_MS / SLIDE_MS)
        .map(move |back| Window { window_type: WindowType::Sliding, start: pane - back * SLIDE_MS });
    std::iter::once(tumbling).chain(sliding)
}

/// The start of the day that contains `at`.
pub fn day(at: Instant) -> Instant {
    at - at.rem_euclid(DAY_MS)
}

/// The calendar week that contains `at`, from Monday.
pub fn week(at: Instant) -> std::ops::Range<Instant> {
    // 1970-01-01 was a Thursday.
    let start = at - (at + 3 * DAY_MS).rem_euclid(7 * DAY_MS);
    start..start + 7 * DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        // 2026-01-05 was one.
        let monday = 1_767_571_200_000;
        for (at, start) in [(0, 0), (7 * DAY_MS - 1, 0), (-1, -7 * DAY_MS), (7 * DAY_MS, 7 * DAY_MS)] {
            assert_eq!(week(monday + at), monday + start..monday + start + 7 * DAY_MS);
        }
    }

    #[test]
    fn an_instant_lies_in_every_window_that_contains_its_pane_and_in_no_other() {
        for at in [0, 1, SLIDE_MS - 1, SLIDE_MS, 5 * SLIDE_MS + 7, WIDTH_MS, 100 * WIDTH_MS - 1] {
            let found: Vec<_> = containing(pane(at)).collect();
            assert_eq!(found.len(), 5);
            for window in &found {
                assert!(window.start <= at && at < window.end(), "{at} is not in {window:?}");
                assert!(window.end() <= last_end(pane(at)));
            }
            assert!(found.iter().any(|w| w.end() == last_end(pane(at))));
        }
    }
}
