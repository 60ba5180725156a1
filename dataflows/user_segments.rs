//! What kind of customer is each user, and since when?
//!
//! ```sql
#![doc = include_str!("user_segments.sql")]
//! ```

use crate::operators::segments::{Fact, OfUser, Segment, segments};
use crate::operators::{CartFact, Deed, Did, PricedLine};
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("user_segments.sql");

/// A row of `user_segments`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentRow {
    /// Who.
    pub user_id: u64,
    /// What kind of customer.
    pub segment: Segment,
    /// From when on.
    pub since: Instant,
}

impl SegmentRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let segment = match self.segment {
            Segment::HighValue => "high_value",
            Segment::CartAbandoner => "cart_abandoner",
            Segment::FrequentBrowser => "frequent_browser",
            Segment::New => "new",
            Segment::Inactive => "inactive",
            Segment::Regular => "regular",
        };
        vec![Value::Integer(self.user_id as i64), Value::Text(segment.to_owned()), Value::Instant(self.since)]
    }
}

/// `user_segments`
pub fn table() -> Table {
    let columns = vec![
        column("user_id", Type::Integer, "Who."),
        column(
            "segment",
            Type::Text,
            "`high_value`, `cart_abandoner`, `frequent_browser`, `new`, `inactive` or `regular`: the first that fits.",
        ),
        column("since", Type::Instant, "From when on, at the earliest the user's first event."),
    ];
    let doc = "One row per user with an event in time: what kind of customer, at the watermark. Kept for ever.";
    Table { name: "user_segments", doc, role: Role::Metric, key_columns: 1, columns }
}

/// What segments are made of.
pub struct Sources<'s> {
    /// Who did something, and when.
    pub deeds: Stream<'s, Deed>,
    /// What carts say.
    pub facts: Collection<'s, CartFact>,
    /// What was sold.
    pub lines: Collection<'s, PricedLine>,
}

/// Segments per user, one record each for ever.
pub fn user_segments<'s>(
    sources: Sources<'s>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, SegmentRow> {
    let done = sources.deeds.flat_map(|Deed { user_id, at, what }| {
        let also = match what {
            Did::Register => Some(Fact::Registered(at)),
            Did::View => Some(Fact::Viewed(at)),
            Did::Other => None,
        };
        [Some(Fact::Active(at, at)), also].into_iter().flatten().map(move |fact| (user_id, OfUser::Fact(fact, 1)))
    });
    let abandoned = sources.facts.inner.flat_map(|(fact, _, diff)| match fact {
        CartFact::Abandoned(user, from, until) => Some((user, OfUser::Fact(Fact::Abandoned(from, until), diff as i64))),
        CartFact::Added(..) | CartFact::Sold(_) => None,
    });
    let spent = sources.lines.inner.flat_map(|(PricedLine { line, amount_cents }, _, diff)| {
        let cents = diff as i64 * amount_cents?;
        Some((line.user_id, OfUser::Fact(Fact::Spent(line.sold_at), cents)))
    });
    let restored = restore.inner.flat_map(|(state, _, _)| {
        if let State::Segment(user, known) = state {
            return Some((user, OfUser::Known(Box::new(known))));
        }
        let State::SegmentFact(user, fact, count) = state else { return None };
        Some((user, OfUser::Fact(fact, count)))
    });
    let scope = done.scope();
    let of_users: Stream<(u64, OfUser)> = scope.concatenate([done, abandoned, spent, restored]);
    segments(of_users, watermarks, settings, ledger).map(|(user_id, (since, segment))| SegmentRow {
        user_id,
        segment,
        since,
    })
}
