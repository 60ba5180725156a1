//! What does each user do?
//!
//! ```sql
#![doc = include_str!("user_activity.sql")]
//! ```

use crate::operators::sessions::Session;
use crate::operators::{Cart, CartFact, Deed, Did, PricedLine, Totals, freeze, totals};
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("user_activity.sql");

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

/// A row of `user_activity`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActivityRow {
    /// Who.
    pub user_id: u64,
    /// What.
    pub activity: Activity,
}

impl ActivityRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let Activity { views, adds, checkouts, units, cents, sessions, first_seen, last_seen } = self.activity;
        vec![
            Value::Integer(self.user_id as i64),
            Value::Integer(views),
            Value::Integer(adds),
            Value::Integer(checkouts),
            Value::Integer(units),
            Value::Cents(cents),
            Value::Integer(sessions),
            Value::Instant(first_seen),
            Value::Instant(last_seen),
        ]
    }
}

/// `user_activity`
pub fn table() -> Table {
    let columns = vec![
        column("user_id", Type::Integer, "Who."),
        column("views", Type::Integer, "How often the user looked at an item, once per record."),
        column("adds", Type::Integer, "How often the user put something into a cart, each add once."),
        column("checkouts", Type::Integer, "Carts that the user checked out first, and purchases."),
        column("units", Type::Integer, "Items bought."),
        column("spend", Type::Money, "What was paid for them, in dollars."),
        column("sessions", Type::Integer, "Sessions opened."),
        column("first_seen", Type::Instant, "The first event."),
        column("last_seen", Type::Instant, "The last event."),
    ];
    let doc = "One row per user with an event that was not late: what the user did. Kept for ever.";
    Table { name: "user_activity", doc, role: Role::Metric, key_columns: 1, columns }
}

/// What activity is made of.
pub struct Sources<'s> {
    /// Who did something, and when.
    pub deeds: Stream<'s, Deed>,
    /// What carts say.
    pub facts: Collection<'s, CartFact>,
    /// What was sold.
    pub lines: Collection<'s, PricedLine>,
    /// Sessions.
    pub sessions: Collection<'s, Session>,
}

/// Activity per user, one record each for ever.
pub fn activity<'s>(
    sources: Sources<'s>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, ActivityRow> {
    type Said = (u64, Activity);
    let seen = sources.deeds.map(|Deed { user_id, at, what }| {
        (user_id, Activity { views: i64::from(what == Did::View), first_seen: at, last_seen: at, ..NONE })
    });
    let carts = sources.facts.inner.flat_map(|(fact, _, diff)| match fact {
        CartFact::Added(user, _) => Some((user, Activity { adds: diff as i64, ..NONE })),
        CartFact::Sold(user) => Some((user, Activity { checkouts: diff as i64, ..NONE })),
        CartFact::Abandoned(..) => None,
    });
    let sold = sources.lines.inner.map(|(PricedLine { line, amount_cents }, _, diff)| {
        let diff = diff as i64;
        let checkouts = if matches!(line.cart, Cart::Purchase(_)) { diff } else { 0 };
        (line.user_id, Activity { checkouts, units: diff, cents: diff * amount_cents.unwrap_or(0), ..NONE })
    });
    // A restored session has been counted before.
    let sessions = freeze(sources.sessions).inner;
    let sessions = sessions.map(|(session, _, diff)| (session.user_id, Activity { sessions: diff as i64, ..NONE }));
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::Activity(user, activity) = state else { return None };
        Some((user, activity))
    });
    let scope = seen.scope();
    let said: Stream<Said> = scope.concatenate([seen, carts, sold, sessions, restored]);
    let kept = Totals {
        name: "user_activity/sums",
        end: Box::new(|_: &u64| None),
        state: |user, activity| Some(State::Activity(*user, *activity)),
    };
    freeze(totals(said, watermarks, settings, ledger, kept))
        .map(|(user_id, activity)| ActivityRow { user_id, activity })
}
