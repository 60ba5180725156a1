//! Epochs, instants, and the settings that say how long something is remembered.
//!
//! A dataflow time is an epoch, a `u64` that only counts; event time is data.
//! **Even epochs carry the world**: events, and what the watermark makes true. **Odd epochs are
//! housekeeping**: state enters (restore) and leaves (expiry) in them, and nothing downstream of
//! [`freeze`](crate::operators::freeze) ever sees an update of an odd epoch.

/// A dataflow time: the number of an epoch.
pub type Time = u64;

/// An instant of event time, in milliseconds since 1970-01-01 UTC.
pub type Instant = i64;

/// The watermark before anything has been read.
pub const START: Instant = 0;

/// Whether an epoch is housekeeping and therefore silent.
pub fn is_silent(time: Time) -> bool {
    time % 2 == 1
}

/// The housekeeping epoch that follows `time`, or `time` itself if it is one.
pub fn housekeeping(time: Time) -> Time {
    time | 1
}

/// What the dataflow needs to know beforehand. Durations in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far behind the largest event time seen the watermark stays.
    pub out_of_orderness_ms: i64,
    /// How late an event may be and still correct a metric; `None` is for ever, and then nothing expires.
    pub lateness_ms: Option<i64>,
    /// How late a catalog version may be and still take effect at its own timestamp; `None` is for ever.
    pub catalog_lateness_ms: Option<i64>,
    /// Whether the raw tables are written.
    pub raw: bool,
    /// Whether state leaves memory once no accepted event can change it. Off, the same events give
    /// the same tables and only memory grows: the tests compare both.
    pub forget: bool,
    /// Topic and partition of every partition, by its number in [`Origin`](crate::events::Origin).
    pub partitions: Vec<(String, i32)>,
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

    /// No catalog version takes effect before this.
    pub fn catalog_cut(&self, watermark: Instant) -> Instant {
        self.catalog_lateness_ms.map_or(Instant::MIN, |lateness| watermark - lateness)
    }
}
