//! Epochs, instants, and the settings that say how long something is remembered.
//!
//! A dataflow time is an epoch, a `u64` that only counts; event time is data.
//! **Even epochs carry the world**: events, and what the watermark makes true. **Odd epochs are
//! housekeeping**: state of an earlier run enters in them, and nothing downstream of
//! [`freeze`](crate::operators::freeze) ever sees an update of an odd epoch.

use crate::table::{TableId, Tables};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;

/// A day, in milliseconds.
pub const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A dataflow time: the number of an epoch.
pub type Time = u64;

/// An instant of event time, in milliseconds since 1970-01-01 UTC.
pub type Instant = i64;

/// What the core must know of an event to judge it.
pub trait Timed: Clone + 'static {
    /// The event's own time.
    fn timestamp(&self) -> Instant;

    /// Whether it moves the watermark and may be late. What speaks of things and not of time does neither.
    fn carries_time(&self) -> bool;
}

/// The watermark before anything has been read.
pub const START: Instant = 0;

/// A record that is further ahead of all others than this says nothing of time until another one witnesses it.
pub const WITNESSED_WITHIN_MS: i64 = DAY_MS;

/// Whether an epoch is housekeeping and therefore silent.
pub fn is_silent(time: Time) -> bool {
    time % 2 == 1
}

/// What every lane needs to know beforehand, whatever its events are. Durations in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far behind the largest event time seen the watermark stays.
    pub out_of_orderness_ms: i64,
    /// By how much the watermark moves in one epoch at the most.
    pub watermark_step_ms: i64,
    /// How late an event may be and still correct a metric; `None` is forever, and then nothing expires.
    pub lateness_ms: Option<i64>,
    /// The input is whole: what follows its last event is not waited for.
    pub whole_input: bool,
    /// Which upsert tables are kept.
    pub tables: Tables,
    /// Of tables that were begun when old events were not kept any more: their groups begin here or later.
    pub since: BTreeMap<TableId, Instant>,
    /// Whether the raw tables are written.
    pub raw: bool,
    /// Whether accepted events are told of, as [`crate::raw::clean`] makes them.
    pub clean: bool,
    /// Whether state leaves memory once no accepted event can change it. Off, the same events give
    /// the same tables and only memory grows: the tests compare both.
    pub forget: bool,
}

/// Some forty thousand minutes at a time.
pub const WATERMARK_STEP_MS: i64 = 30 * DAY_MS;

impl Default for Settings {
    /// The defaults of the configuration.
    fn default() -> Settings {
        Settings {
            out_of_orderness_ms: 2 * MINUTE_MS,
            watermark_step_ms: WATERMARK_STEP_MS,
            lateness_ms: Some(2 * DAY_MS),
            whole_input: false,
            tables: Tables::ALL,
            since: BTreeMap::new(),
            raw: true,
            clean: false,
            forget: true,
        }
    }
}

impl Settings {
    /// Events older than this are late; state that ended at or before it may leave.
    pub fn cut(&self, watermark: Instant) -> Instant {
        self.lateness_ms.map_or(Instant::MIN, |lateness| watermark - lateness)
    }

    /// Where state ends that may be forgotten at this watermark.
    pub fn forget_cut(&self, watermark: Instant) -> Instant {
        if self.forget { self.cut(watermark) } else { Instant::MIN }
    }

    /// A window that ends at or before this is final. With unlimited lateness that is the watermark.
    pub fn final_cut(&self, watermark: Instant) -> Instant {
        watermark - self.lateness_ms.unwrap_or(0)
    }

    /// The parameters of every lane's SQL, by their names. Unlimited lateness is 0 for `:lateness_ms`.
    pub fn parameters(&self, watermark: Instant) -> Vec<(&'static str, i64)> {
        vec![
            (":watermark", watermark),
            (":lateness_ms", self.lateness_ms.unwrap_or(0)),
            (":whole_input", self.whole_input.into()),
        ]
    }
}
