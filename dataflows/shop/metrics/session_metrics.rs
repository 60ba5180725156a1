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
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

static DECLARED: Declared = Declared::new("session_metrics", || {
    let doc = "One row per minute boundary at which a session is active, or a count differs from the minute before. \
               The view `session_metrics_by_minute` has every minute.";
    let by_minute = ByMinute {
        name: "session_metrics_by_minute",
        doc: "One row per minute boundary, from the first row of `session_metrics` to the watermark: the state of all \
              sessions, carried forward where nothing changed.",
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
        key("timestamp", Type::Instant, "Minute boundary that the row describes, UTC.", |minute: &Minute| {
            Value::Instant(minute.at)
        }),
        count(
            "active_sessions_count",
            "Number of sessions open at this boundary: opened at or before it, ended after it.",
            |minute| minute.active,
        ),
        count(
            "completed_sessions_count",
            "Number of sessions that a sign-out closed at or before this boundary; expired ones do not count.",
            |minute| minute.completed,
        ),
        count(
            "completed_duration_ms",
            "Sum of the durations of the completed sessions, in milliseconds; 0 if there are none.",
            |minute| minute.completed_duration_ms,
        ),
        mean(
            "average_session_duration",
            "Mean duration of the completed sessions, in seconds; null if there are none.",
            |minute| Value::mean_or_null(minute.completed_duration_ms, minute.completed),
        ),
        mean(
            "average_active_age",
            "Mean time for which the active sessions have been open, in seconds; null if none is active.",
            |minute| Value::mean_or_null(minute.active_age_ms, minute.active),
        ),
    ]
}

fn build(shop: &mut Shop<'_>) {
    let of_minutes = shop.of_minutes();
    let rows = rows(&shop.lane, of_minutes);
    shop.lane.rows(SESSION_METRICS.table, fields(), rows);
}

/// A row per minute of what sessions say of minutes.
pub fn rows<'s>(lane: &Lane<'s>, of_minutes: Stream<'s, OfMinutes>) -> Collection<'s, Minute> {
    let held = lane.restored(&CONTRIBUTIONS).map(|(minute, contribution)| MinutesInput::Held(minute, contribution));
    let extent = lane.restored(&EXTENT).map(MinutesInput::Extent);
    let said = lane.scope.concatenate([of_minutes.map(MinutesInput::Of), held, extent]);
    minutes(said, lane.watermarks(), &lane.settings, &lane.ledger)
}
