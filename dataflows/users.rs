//! Who is who? One row per user that ever registered, late or not: when first, and the latest details.
//!
//! ```sql
#![doc = include_str!("users.sql")]
//! ```

use crate::events::Registration;
use crate::operators::{freeze, merge};
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column};
use crate::time::Instant;
use crate::{Collection, Stream};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("users.sql");

/// What is known of a user. Of details, the greatest (timestamp, content) wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct User {
    /// The earliest registration.
    pub registered_at: Instant,
    /// The latest registration, whole.
    pub details: Registration,
}

impl User {
    /// Least registration, greatest details: commutative, associative, idempotent.
    fn merge(&mut self, other: User) {
        self.registered_at = self.registered_at.min(other.registered_at);
        if other.details > self.details {
            self.details = other.details;
        }
    }
}

/// A row of `users`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserRow {
    /// Who.
    pub user_id: u64,
    /// First registration.
    pub registered_at: Instant,
    /// Latest.
    pub age: u32,
    /// Latest.
    pub masked_email: String,
    /// Latest.
    pub preferred_language: String,
}

impl UserRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        vec![
            Value::Integer(self.user_id as i64),
            Value::Instant(self.registered_at),
            Value::Integer(self.age.into()),
            Value::Text(self.masked_email.clone()),
            Value::Text(self.preferred_language.clone()),
        ]
    }
}

/// `users`
pub fn table() -> Table {
    let columns = vec![
        column("user_id", Type::Integer, "Who."),
        column("registered_at", Type::Instant, "The first registration."),
        column("age", Type::Integer, "In years, by the latest registration."),
        column("masked_email", Type::Text, "`****@domain`, by the latest registration."),
        column("preferred_language", Type::Text, "A language code or empty, by the latest registration."),
    ];
    let doc = "One row per user that ever registered. Kept for ever.";
    Table { name: "users", doc, role: Role::Entity, key_columns: 1, columns }
}

/// The users, one record each for ever.
pub fn users<'s>(
    events: Stream<'s, Registration>,
    restore: Collection<'s, State>,
    ledger: &Ledger,
) -> Collection<'s, UserRow> {
    let registered = events.map(|event| (event.user_id, User { registered_at: event.timestamp, details: event }));
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::User(id, user) = state else { return None };
        Some((id, user))
    });
    let all = registered.concat(restored);
    let users = merge(all, "users/profiles", ledger, User::merge, |id, user| State::User(*id, user.clone()));
    // Two registrations with equal details at different times are one row: the differences cancel at the sink.
    freeze(users).map(|(user_id, User { registered_at, details })| UserRow {
        user_id,
        registered_at,
        age: details.age,
        masked_email: details.masked_email,
        preferred_language: details.preferred_language,
    })
}
