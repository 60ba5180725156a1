//! Who is in the shop? One row per session that is open.
//!
//! ```sql
#![doc = include_str!("active_sessions.sql")]
//! ```

use crate::operators::sessions::Session;
use crate::operators::{finality, freeze};
use crate::state::Ledger;
use crate::table::{Role, Table, Type, Value, column};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use serde::{Deserialize, Serialize};

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("active_sessions.sql");

/// A row of `active_sessions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActiveSession {
    /// Who.
    pub user_id: u64,
    /// Since when.
    pub signed_in_at: Instant,
}

impl ActiveSession {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        vec![Value::Integer(self.user_id as i64), Value::Instant(self.signed_in_at)]
    }
}

/// `active_sessions`
pub fn table() -> Table {
    let columns = vec![
        column("user_id", Type::Integer, "Who."),
        column("signed_in_at", Type::Instant, "The sign-in that opened the session."),
    ];
    let doc = "One row per session that is open: neither signed out of, nor timed out at the watermark.";
    Table { name: "active_sessions", doc, role: Role::Metric, key_columns: 2, columns }
}

/// The sessions without a sign-out whose timeout the watermark has not reached. That it has is news
/// of the epoch that made it so.
pub fn active_sessions<'s>(
    sessions: Collection<'s, Session>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, ActiveSession> {
    let unclosed = sessions.filter(|session| session.closed_at.is_none());
    let timeout_ms = settings.session_timeout_ms;
    let end = move |session: &Session| session.end(timeout_ms);
    let judged = finality(unclosed, watermarks, settings, ledger, "sessions/open", |_, watermark| watermark, end);
    freeze(judged.filter(|(_, timed_out)| !timed_out))
        .map(|(Session { user_id, opened_at, .. }, _)| ActiveSession { user_id, signed_in_at: opened_at })
}
