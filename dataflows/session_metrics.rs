//! How busy is the shop? Sessions active, completed, and how long they last, per minute boundary: a row where
//! there is news. What stood between is shown by the view of every minute.
//!
//! ```sql
#![doc = include_str!("session_metrics.sql")]
//! ```

use crate::operators::minutes::{Minute, Said, minutes};
use crate::operators::sessions::OfMinutes;
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column, nullable};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("session_metrics.sql");
/// What a session is.
pub const SESSIONS_SQL: &str = include_str!("sessions.sql");

/// `session_metrics`
pub fn table() -> Table {
    let columns = vec![
        column("timestamp", Type::Instant, "A minute boundary."),
        column("active_sessions_count", Type::Integer, "Sessions opened by then and not ended."),
        column("completed_sessions_count", Type::Integer, "Sessions closed by a sign-out by then."),
        column("completed_duration_ms", Type::Integer, "The sum of their durations, in milliseconds."),
        nullable("average_session_duration", Type::Milli, "Their mean duration, in seconds; null of none."),
        nullable("average_active_age", Type::Milli, "The mean age of the active ones, in seconds; null of none."),
    ];
    let doc = "One row per minute boundary with a session, or with a change since the one before. \
               `session_metrics_by_minute` has all.";
    Table { name: "session_metrics", doc, role: Role::Metric, key_columns: 1, columns }
}

impl Minute {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        vec![
            Value::Instant(self.at),
            Value::Integer(self.active),
            Value::Integer(self.completed),
            Value::Integer(self.completed_duration_ms),
            Value::mean_or_null(self.completed_duration_ms, self.completed),
            Value::mean_or_null(self.active_age_ms, self.active),
        ]
    }
}

/// The minutes of what sessions say of them.
pub fn session_metrics<'s>(
    of_minutes: Stream<'s, OfMinutes>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, Minute> {
    let restored = restore.inner.flat_map(|(state, _, _)| {
        if let State::SessionMinute(minute, contribution) = state {
            return Some(Said::Held(minute, contribution));
        }
        let State::SessionExtent(extent) = state else { return None };
        Some(Said::Extent(extent))
    });
    minutes(of_minutes.map(Said::Of).concat(restored), watermarks, settings, ledger)
}
