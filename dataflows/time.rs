//! Epochs, instants, and the settings that say how long something is remembered.
//!
//! A dataflow time is an epoch, a `u64` that only counts; event time is data.
//! **Even epochs carry the world**: events, and what the watermark makes true. **Odd epochs are
//! housekeeping**: state of an earlier run enters in them, and nothing downstream of
//! [`freeze`](crate::operators::freeze) ever sees an update of an odd epoch.

use crate::table::Tables;
use std::ops::Range;

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

/// What the dataflow needs to know beforehand. Durations in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far behind the largest event time seen the watermark stays.
    pub out_of_orderness_ms: i64,
    /// By how much the watermark moves in one epoch at the most.
    pub watermark_step_ms: i64,
    /// How late an event may be and still correct a metric; `None` is for ever, and then nothing expires.
    pub lateness_ms: Option<i64>,
    /// How late a catalog version may be and still take effect at its own timestamp; `None` is for ever.
    pub catalog_lateness_ms: Option<i64>,
    /// After how long a session without a sign-out has ended; `None` is never.
    pub session_timeout_ms: Option<i64>,
    /// A cart id silent for so long is another cart afterwards.
    pub cart_ttl_ms: i64,
    /// How far back an item's earliest price counts for what was sold before it.
    pub price_backfill_ms: i64,
    /// Where the segments of users begin.
    pub segments: Thresholds,
    /// The input is whole: what follows its last event is not waited for.
    pub whole_input: bool,
    /// Which upsert tables are kept.
    pub tables: Tables,
    /// Whether the raw tables are written.
    pub raw: bool,
    /// Whether state leaves memory once no accepted event can change it. Off, the same events give
    /// the same tables and only memory grows: the tests compare both.
    pub forget: bool,
    /// Topic and partition of every partition, by its number in [`Origin`](crate::events::Origin).
    pub partitions: Vec<(String, i32)>,
    /// Which of them are one sequence: what is in them comes one after the other, in an order that is
    /// always the same. The others race.
    pub sequence: Range<u32>,
}

/// Where the segments of users begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Who spent so much, in cents...
    pub high_value_cents: i64,
    /// ... within so long, is of high value.
    pub high_value_within_ms: i64,
    /// Who left so many carts...
    pub abandoned_carts: i64,
    /// ... with no checkout so long after the last add...
    pub abandoned_after_ms: i64,
    /// ... within so long, abandons carts.
    pub abandoned_within_ms: i64,
    /// Who looked so often...
    pub frequent_views: i64,
    /// ... within so long, browses frequently.
    pub frequent_within_ms: i64,
    /// Who registered within so long is new.
    pub new_within_ms: i64,
    /// Who did nothing for so long is inactive.
    pub inactive_after_ms: i64,
}

/// Some forty thousand minutes at a time.
pub const WATERMARK_STEP_MS: i64 = 30 * DAY_MS;

impl Default for Settings {
    /// The defaults of the configuration; no partitions.
    fn default() -> Settings {
        Settings {
            out_of_orderness_ms: 2 * MINUTE_MS,
            watermark_step_ms: WATERMARK_STEP_MS,
            lateness_ms: Some(2 * DAY_MS),
            catalog_lateness_ms: Some(DAY_MS),
            session_timeout_ms: Some(DAY_MS),
            cart_ttl_ms: 30 * DAY_MS,
            price_backfill_ms: 7 * DAY_MS,
            segments: Thresholds::default(),
            whole_input: false,
            tables: Tables::ALL,
            raw: true,
            forget: true,
            partitions: Vec::new(),
            sequence: 0..0,
        }
    }
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            high_value_cents: 20_000,
            high_value_within_ms: 30 * DAY_MS,
            abandoned_carts: 3,
            abandoned_after_ms: DAY_MS,
            abandoned_within_ms: 30 * DAY_MS,
            frequent_views: 50,
            frequent_within_ms: 7 * DAY_MS,
            new_within_ms: 7 * DAY_MS,
            inactive_after_ms: 30 * DAY_MS,
        }
    }
}

impl Settings {
    /// Events older than this are late; state that ended at or before it may leave.
    pub fn cut(&self, watermark: Instant) -> Instant {
        self.lateness_ms.map_or(Instant::MIN, |lateness| watermark - lateness)
    }

    /// Whether it matters what came before a line of the sequence.
    pub fn judges_lines(&self) -> bool {
        !self.sequence.is_empty() && (self.lateness_ms.is_some() || self.catalog_lateness_ms.is_some())
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
    /// From when on prices are remembered, besides the last one before: some sale or some version of
    /// the catalog may still ask for them. `None` is from the beginning.
    pub fn price_cut(&self, watermark: Instant) -> Option<Instant> {
        let ago = self.lateness_ms?.max(self.catalog_lateness_ms?);
        self.forget.then_some(watermark - ago)
    }

    /// Weeks of sales that ended at or before this can no longer change: no cart reaches back so far,
    /// nor does the catalog, or the price that an item's first version lends to what was sold before it.
    pub fn sales_cut(&self, watermark: Instant) -> Option<Instant> {
        self.forget.then_some(watermark - self.sales_settle_ms()?)
    }

    /// How long after its end a week of sales may change; `None` is for ever.
    pub fn sales_settle_ms(&self) -> Option<i64> {
        Some(self.lateness_ms?.max(self.catalog_lateness_ms?.saturating_add(self.price_backfill_ms)))
    }

    /// The named parameters of the metrics' SQL. A limit that is unlimited is 0 for `:lateness_ms`,
    /// and longer than all of time for `:session_timeout_ms`.
    pub fn parameters(&self, watermark: Instant) -> Vec<(&'static str, i64)> {
        let Thresholds {
            high_value_cents,
            high_value_within_ms,
            abandoned_carts,
            abandoned_after_ms,
            abandoned_within_ms,
            frequent_views,
            frequent_within_ms,
            new_within_ms,
            inactive_after_ms,
        } = self.segments;
        vec![
            (":watermark", watermark),
            (":lateness_ms", self.lateness_ms.unwrap_or(0)),
            (":session_timeout_ms", self.session_timeout_ms.unwrap_or(i64::MAX / 4)),
            (":cart_ttl_ms", self.cart_ttl_ms),
            (":price_backfill_ms", self.price_backfill_ms),
            (":whole_input", self.whole_input.into()),
            (":high_value_cents", high_value_cents),
            (":high_value_within_ms", high_value_within_ms),
            (":abandoned_carts", abandoned_carts),
            (":abandoned_after_ms", abandoned_after_ms),
            (":abandoned_within_ms", abandoned_within_ms),
            (":frequent_views", frequent_views),
            (":frequent_within_ms", frequent_within_ms),
            (":new_within_ms", new_within_ms),
            (":inactive_after_ms", inactive_after_ms),
        ]
    }
}
