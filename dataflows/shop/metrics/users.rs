//! Who is who? One row per user that ever registered, late or not: when first, and the latest details.
//!
//! ```sql
#![doc = include_str!("users.sql")]
//! ```

use crate::events::Registration;
use crate::freeze;
use crate::operators::merge;
use crate::shop::Shop;
use crate::shop::metric::{Metric, person};
use crate::state::{Forgets, Kept};
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, column, field};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

static DECLARED: Declared = Declared::new("users", || {
    Table::of(
        "users",
        "One row per user who ever registered, with the details of the latest registration. Late ones count too.",
        Role::Entity,
        fields(),
    )
});

/// The metric.
pub const USERS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("users.sql"), build, kept: &[&PROFILES] };

type Row = (u64, (Instant, u32, String, String));

fn fields() -> Vec<Field<Row>> {
    let registered_at = column("registered_at", Type::Instant, "Time of the user's first registration, UTC.");
    let age = column("age", Type::Integer, "Age in years, from the latest registration.");
    let masked_email = column(
        "masked_email",
        Type::Text,
        "E-mail address with its name masked (`****@domain`), from the latest registration.",
    );
    let doc = "Language code, such as `eng`, from the latest registration; empty if none was given.";
    let preferred_language = column("preferred_language", Type::Text, doc);
    vec![
        person("user_id", "Id of the user.", |(user_id, _): &Row| *user_id),
        field(registered_at, |(_, (at, ..)): &Row| Value::Instant(*at)),
        field(age, |(_, (_, age, ..)): &Row| Value::Integer((*age).into())),
        field(masked_email, |(_, (_, _, email, _)): &Row| Value::Text(email.clone())),
        field(preferred_language, |(_, (_, _, _, language)): &Row| Value::Text(language.clone())),
    ]
}

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

/// What is known of a user.
pub static PROFILES: Kept<(u64, User)> =
    Kept { name: "shop/users/profiles", version: 1, forgets: Forgets::Goes(|(user_id, _)| *user_id) };

fn build(shop: &mut Shop<'_>) {
    let registrations = shop.split.registrations.stream();
    let registered =
        registrations.map(|event| (event.user_id, User { registered_at: event.timestamp, details: event }));
    let lane = &mut shop.lane;
    let users = merge(registered.concat(lane.restored(&PROFILES)), &PROFILES, &lane.ledger, User::merge);
    // Two registrations with equal details at different times are one row: the differences cancel at the sink.
    let rows = freeze(users).map(|(user_id, User { registered_at, details })| {
        (user_id, (registered_at, details.age, details.masked_email, details.preferred_language))
    });
    lane.rows(USERS.table, fields(), rows);
}
