//! All metrics put together: events and reports in, rows out.

use crate::events::Arrival;
use crate::movies_catalog::{MovieRow, movies_catalog};
use crate::operators::{LateEvent, Report, Split, late_split, watermark};
use crate::raw::Append;
use crate::state::{Ledger, State};
use crate::table::{TableId, Value};
use crate::time::{Instant, Settings};
use crate::users::{UserRow, users};
use crate::users_per_window::WindowRow;
use crate::{Collection, Stream, checkouts, registrations};
use differential_dataflow::Hashable;
use serde::{Deserialize, Serialize};

/// A row of whichever upsert table. The order puts the key first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Row {
    /// `user_registration_metrics`
    Registrations(WindowRow),
    /// `checkout_metrics`
    Checkouts(WindowRow),
    /// `users`
    User(UserRow),
    /// `movies_catalog`
    Movie(MovieRow),
}

impl Row {
    /// Whose row it is.
    pub fn table(&self) -> TableId {
        match self {
            Row::Registrations(_) => TableId::UserRegistrationMetrics,
            Row::Checkouts(_) => TableId::CheckoutMetrics,
            Row::User(_) => TableId::Users,
            Row::Movie(_) => TableId::MoviesCatalog,
        }
    }

    /// Its values, in the order of the table's columns.
    pub fn values(&self) -> Vec<Value> {
        match self {
            Row::Registrations(row) | Row::Checkouts(row) => row.values(),
            Row::User(row) => row.values(),
            Row::Movie(row) => row.values(),
        }
    }

    /// A hash of table and key: rows of one key meet at one worker.
    pub fn key_hash(&self) -> u64 {
        let key = match self {
            Row::Registrations(row) | Row::Checkouts(row) => row.window.hashed(),
            Row::User(row) => row.user_id.hashed(),
            Row::Movie(row) => row.item_id.hashed(),
        };
        key.wrapping_add(self.table() as u64)
    }
}

/// Every metric: its table, and the SQL that says what must be in it.
pub const METRICS: [(TableId, &str); 4] = [
    (TableId::UserRegistrationMetrics, registrations::SQL),
    (TableId::CheckoutMetrics, checkouts::SQL),
    (TableId::Users, crate::users::SQL),
    (TableId::MoviesCatalog, crate::movies_catalog::SQL),
];

/// What goes in.
pub struct Inputs<'s> {
    /// Accepted events, each in the (even) epoch it was read in.
    pub arrivals: Stream<'s, Arrival>,
    /// What is known of the partitions at the close of each epoch.
    pub reports: Stream<'s, Report>,
    /// State of an earlier run, at the odd epoch before the first even one.
    pub restore: Collection<'s, State>,
}

/// What comes out.
pub struct Outputs<'s> {
    /// Changes of the upsert tables, at even epochs only.
    pub rows: Collection<'s, Row>,
    /// Rows of the raw tables.
    pub raw: Stream<'s, Append>,
    /// Events that came too late.
    pub late: Stream<'s, LateEvent>,
    /// The watermark at each epoch in which it changed, on every worker.
    pub watermarks: Stream<'s, Instant>,
}

/// Builds the whole dataflow.
pub fn build<'s>(inputs: Inputs<'s>, settings: &Settings, ledger: &Ledger) -> Outputs<'s> {
    let watermarks = watermark(inputs.reports, settings.out_of_orderness_ms);
    let restore = inputs.restore;
    let split: Split<'s> = late_split(inputs.arrivals, watermarks.clone(), settings);

    let registered = registrations::registrations(
        split.registrations.clone(),
        restore.clone(),
        watermarks.clone(),
        settings,
        ledger,
    );
    let checked_out =
        checkouts::checkouts(split.checkouts, split.purchases, restore.clone(), watermarks.clone(), settings, ledger);
    let users = users(split.registrations, restore.clone(), ledger);
    let movies = movies_catalog(split.catalog, restore, watermarks.clone(), settings, ledger);

    let rows = registered.map(Row::Registrations).concatenate([
        checked_out.map(Row::Checkouts),
        users.map(Row::User),
        movies.map(Row::Movie),
    ]);
    Outputs { rows, raw: split.raw, late: split.late, watermarks }
}
