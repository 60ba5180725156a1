//! What a metric of the shop is.

use super::Shop;
use crate::state::KeptBy;
use crate::table::{Field, Person, TableId, Type, Value, key};

/// A metric: its table, the SQL that says what must be in it, and how its rows are made. A metric's SQL may read the
/// raw tables, the pieces, and the metrics before it, as tables of their names.
pub struct Metric {
    /// Its table.
    pub table: TableId,
    /// Its specification, executed by the tests and by `verify`.
    pub sql: &'static str,
    /// Builds it on what the shop gives.
    pub build: fn(&mut Shop<'_>),
    /// What its own operators keep.
    pub kept: &'static [&'static dyn KeptBy],
}

/// A user's number.
pub fn user(user_id: u64) -> Value {
    Value::Integer(user_id as i64)
}

/// A column of the key: the number of a person.
pub fn person<R>(
    name: &'static str,
    doc: &'static str,
    user_id: impl Fn(&R) -> u64 + Send + Sync + 'static,
) -> Field<R> {
    key(name, Type::Integer, doc, move |row| user(user_id(row))).person(Person::Number)
}
