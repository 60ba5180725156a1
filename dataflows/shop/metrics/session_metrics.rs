//! How busy is the shop? Sessions active, completed, and how long they last, per minute boundary: a row where
//! there is news. What stood between is shown by the view of every minute.
//!
//! ```sql
#![doc = include_str!("session_metrics.sql")]
//! ```

use crate::lane::Lane;
use crate::shop::Shop;
use crate::shop::metric::Metric;
use crate::shop::operators::minutes::{CONTRIBUTIONS, EXTENT, Minute, MinutesInput, minutes};
use crate::shop::operators::sessions::OfMinutes;
use crate::table::{ByMinute, Declared, Field, Role, Table, TableId, Type, Value, column, field, key, nullable};
use crate::{Collection, Stream};
use differential_dataflow::Hashable;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

static DECLARED: Declared = Declared::new("session_metrics", || {
    let doc = "One row per minute boundary with a session, or with a change since the one before. \
               `session_metrics_by_minute` has all.";
    let by_minute = ByMinute {
        name: "session_metrics_by_minute",
        doc: "One row per minute boundary, from the first row of `session_metrics` to the watermark: the state of all \
              sessions, carried forward where there is no news.",
        of_the_minute: &[("active_sessions_count", "0"), ("average_active_age", "NULL")],
    };
    Table { by_minute: Some(by_minute), ..Table::of("session_metrics", doc, Role::Metric, fields()) }
});

/// The metric.
pub const SESSION_METRICS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("session_metrics.sql"), build, kept: &[] };

fn fields() -> Vec<Field<Minute>> {
    let count = |name, doc, count: fn(&Minute) -> i64| {
        field(column(name, Type::Integer, doc), move |minute: &Minute| Value::Integer(count(minute)))
    };
    let mean = |name, doc, mean: fn(&Minute) -> Value| field(nullable(name, Type::Milli, doc), mean);
    vec![
        key("timestamp", Type::Instant, "A minute boundary.", |minute: &Minute| Value::Instant(minute.at)),
        count("active_sessions_count", "Sessions opened by then and not ended.", |minute| minute.active),
        count("completed_sessions_count", "Sessions closed by a sign-out by then.", |minute| minute.completed),
        count("completed_duration_ms", "The sum of their durations, in milliseconds.", |minute| {
            minute.completed_duration_ms
        }),
        mean("average_session_duration", "Their mean duration, in seconds; null of none.", |minute| {
            Value::mean_or_null(minute.completed_duration_ms, minute.completed)
        }),
        mean("average_active_age", "The mean age of the active ones, in seconds; null of none.", |minute| {
            Value::mean_or_null(minute.active_age_ms, minute.active)
        }),
    ]
}

fn build(shop: &mut Shop<'_>) {
    let of_minutes = shop.of_minutes();
    let rows = rows(&shop.lane, of_minutes);
    shop.lane.rows(SESSION_METRICS.table, fields(), |minute| minute.at.hashed(), rows);
}

/// A row per minute of what sessions say of minutes.
pub fn rows<'s>(lane: &Lane<'s>, of_minutes: Stream<'s, OfMinutes>) -> Collection<'s, Minute> {
    let held = lane.restored(&CONTRIBUTIONS).map(|(minute, contribution)| MinutesInput::Held(minute, contribution));
    let extent = lane.restored(&EXTENT).map(MinutesInput::Extent);
    let said = lane.scope.concatenate([of_minutes.map(MinutesInput::Of), held, extent]);
    minutes(said, lane.watermarks(), &lane.settings, &lane.ledger)
}
