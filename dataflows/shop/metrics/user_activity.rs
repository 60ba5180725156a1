//! What does each user do?
//!
//! ```sql
#![doc = include_str!("user_activity.sql")]
//! ```

use crate::freeze;
use crate::operators::{Totals, totals};
use crate::shop::Shop;
use crate::shop::metric::{Metric, person};
use crate::shop::operators::carts::{Cart, CartFact};
use crate::shop::operators::prices::PricedLine;
use crate::shop::operators::rename;
use crate::shop::split::{Deed, Did};
use crate::state::{Forgets, Kept};
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, column, field};
use crate::time::Instant;
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

static DECLARED: Declared = Declared::new("user_activity", || {
    let doc = "One row per user, with totals of what the user did. Totals are over all time; only events that were not late count.";
    Table::of("user_activity", doc, Role::Metric, fields())
});

/// The metric.
pub const USER_ACTIVITY: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("user_activity.sql"), build, kept: &[&SUMS] };

type Row = (u64, Activity);

fn fields() -> Vec<Field<Row>> {
    let count = |name, doc, count: fn(&Activity) -> i64| {
        field(column(name, Type::Integer, doc), move |(_, did): &Row| Value::Integer(count(did)))
    };
    let seen = |name, doc, at: fn(&Activity) -> Instant| {
        field(column(name, Type::Instant, doc), move |(_, did): &Row| Value::Instant(at(did)))
    };
    vec![
        person("user_id", "Id of the user.", |(user_id, _): &Row| *user_id),
        count("views", "Number of times the user viewed an item; each record counts once.", |did| did.views),
        count(
            "adds",
            "Number of times the user added an item to a cart; the same add sent twice counts once.",
            |did| did.adds,
        ),
        count("checkouts", "Number of carts that the user was the first to check out, plus purchases.", |did| {
            did.checkouts
        }),
        count("units", "Number of items that the user bought.", |did| did.units),
        field(
            column("spend", Type::Money, "Sum of what the user paid, in dollars; unpriced items add nothing."),
            |(_, did): &Row| Value::Cents(did.cents),
        ),
        count("sessions", "Number of sessions that the user opened.", |did| did.sessions),
        seen("first_seen", "Time of the user's first event that was not late, UTC.", |did| did.first_seen),
        seen("last_seen", "Time of the user's last event that was not late, UTC.", |did| did.last_seen),
    ]
}

/// What a user did, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Activity {
    /// How often the user looked at something.
    pub views: i64,
    /// How often something went into a cart.
    pub adds: i64,
    /// Carts and purchases bought.
    pub checkouts: i64,
    /// Items bought.
    pub units: i64,
    /// For how much, in cents.
    pub cents: i64,
    /// Sessions opened.
    pub sessions: i64,
    /// The first event; the end of time before there is one.
    pub first_seen: Instant,
    /// The last event; the beginning of time before there is one.
    pub last_seen: Instant,
}

/// Nothing done.
const NONE: Activity = Activity {
    views: 0,
    adds: 0,
    checkouts: 0,
    units: 0,
    cents: 0,
    sessions: 0,
    first_seen: Instant::MAX,
    last_seen: Instant::MIN,
};

impl IsZero for Activity {
    fn is_zero(&self) -> bool {
        *self == NONE
    }
}

impl Semigroup for Activity {
    /// Counts may be taken back; that a user was seen never is.
    fn plus_equals(&mut self, other: &Activity) {
        self.views += other.views;
        self.adds += other.adds;
        self.checkouts += other.checkouts;
        self.units += other.units;
        self.cents += other.cents;
        self.sessions += other.sessions;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// What a user did, one record each forever.
pub static SUMS: Kept<(u64, Activity)> =
    Kept { name: "shop/user_activity/sums", version: 1, forgets: Forgets::BecomesNobodys(rename) };

fn build(shop: &mut Shop<'_>) {
    let seen = shop.deeds().map(|Deed { user_id, at, what }| {
        (user_id, Activity { views: i64::from(what == Did::View), first_seen: at, last_seen: at, ..NONE })
    });
    let carts = shop.cart_facts().inner.flat_map(|(fact, _, diff)| match fact {
        CartFact::Added(user, _) => Some((user, Activity { adds: diff as i64, ..NONE })),
        CartFact::Sold(user) => Some((user, Activity { checkouts: diff as i64, ..NONE })),
        CartFact::Abandoned(..) => None,
    });
    let sold = shop.sale_lines().inner.map(|(PricedLine { line, amount_cents }, _, diff)| {
        let diff = diff as i64;
        let checkouts = if matches!(line.cart, Cart::Purchase(_)) { diff } else { 0 };
        (line.user_id, Activity { checkouts, units: diff, cents: diff * amount_cents.unwrap_or(0), ..NONE })
    });
    // A restored session has been counted before.
    let sessions = freeze(shop.sessions()).inner;
    let sessions = sessions.map(|(session, _, diff)| (session.user_id, Activity { sessions: diff as i64, ..NONE }));
    let lane = &mut shop.lane;
    let said = lane.scope.concatenate([seen, carts, sold, sessions, lane.restored(&SUMS)]);
    let sums = Totals { name: SUMS.name, end: Box::new(|_: &u64| None), kept: Some(&SUMS) };
    let rows = freeze(totals(said, lane.watermarks(), &lane.settings, &lane.ledger, sums));
    lane.rows(USER_ACTIVITY.table, fields(), rows);
}
