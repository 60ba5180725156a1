//! What the shop's metrics are computed by.

use crate::family::ONCE;
use crate::time::DAY_MS;
use crate::time::{self, Instant};

/// What the shop's operators need to know beforehand. Durations in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What every lane has.
    pub lane: time::Settings,
    /// How late a catalog version may be and still take effect at its own timestamp; `None` is forever.
    pub catalog_lateness_ms: Option<i64>,
    /// After how long a session without a sign-out has ended; `None` is never.
    pub session_timeout_ms: Option<i64>,
    /// A cart id silent for so long is another cart afterwards.
    pub cart_ttl_ms: i64,
    /// How far back an item's earliest price counts for what was sold before it.
    pub price_backfill_ms: i64,
    /// Where the segments of users begin.
    pub segments: Thresholds,
    /// Whether events that are equal in every column count once.
    pub once: bool,
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

impl Default for Settings {
    /// The defaults of the configuration.
    fn default() -> Settings {
        Settings {
            lane: time::Settings::default(),
            catalog_lateness_ms: Some(DAY_MS),
            session_timeout_ms: Some(DAY_MS),
            cart_ttl_ms: 30 * DAY_MS,
            price_backfill_ms: 7 * DAY_MS,
            segments: Thresholds::default(),
            once: false,
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
    /// No catalog version takes effect before this.
    pub fn catalog_cut(&self, watermark: Instant) -> Instant {
        self.catalog_lateness_ms.map_or(Instant::MIN, |lateness| watermark - lateness)
    }
    /// From when on prices are remembered, in addition to the last one before: some sale or some version of
    /// the catalog may still ask for them. `None` is from the beginning.
    pub fn price_cut(&self, watermark: Instant) -> Option<Instant> {
        let ago = self.lane.lateness_ms?.max(self.catalog_lateness_ms?);
        self.lane.forget.then_some(watermark - ago)
    }

    /// Weeks of sales that ended at or before this can no longer change: no cart reaches back so far,
    /// nor does the catalog, or the price that an item's first version lends to what was sold before it.
    pub fn sales_cut(&self, watermark: Instant) -> Option<Instant> {
        self.lane.forget.then_some(watermark - self.sales_settle_ms()?)
    }

    /// How long after its end a week of sales may change; `None` is forever.
    pub fn sales_settle_ms(&self) -> Option<i64> {
        Some(self.lane.lateness_ms?.max(self.catalog_lateness_ms?.saturating_add(self.price_backfill_ms)))
    }

    /// The named parameters of the metrics' SQL. A session timeout that is unlimited is longer than all of time.
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
        let mut parameters = self.lane.parameters(watermark);
        parameters.extend([
            (":session_timeout_ms", self.session_timeout_ms.unwrap_or(i64::MAX / 4)),
            (":cart_ttl_ms", self.cart_ttl_ms),
            (":price_backfill_ms", self.price_backfill_ms),
            (":high_value_cents", high_value_cents),
            (":high_value_within_ms", high_value_within_ms),
            (":abandoned_carts", abandoned_carts),
            (":abandoned_after_ms", abandoned_after_ms),
            (":abandoned_within_ms", abandoned_within_ms),
            (":frequent_views", frequent_views),
            (":frequent_within_ms", frequent_within_ms),
            (":new_within_ms", new_within_ms),
            (":inactive_after_ms", inactive_after_ms),
            (ONCE, self.once.into()),
        ]);
        parameters
    }
}
