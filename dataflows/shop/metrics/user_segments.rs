//! What kind of customer is each user, and since when?
//!
//! ```sql
#![doc = include_str!("user_segments.sql")]
//! ```

use crate::shop::Shop;
use crate::shop::metric::{Metric, person};
use crate::shop::operators::carts::CartFact;
use crate::shop::operators::prices::PricedLine;
use crate::shop::operators::segments::{FACTS, Fact, KNOWN, OfUser, Segment, Since, segments};
use crate::shop::split::{Deed, Did};
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, column, field};
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

static DECLARED: Declared = Declared::new("user_segments", || {
    let doc = "One row per user, with the user's segment at the watermark. Only events that were not late count.";
    Table::of("user_segments", doc, Role::Metric, fields())
});

/// The metric.
pub const USER_SEGMENTS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("user_segments.sql"), build, kept: &[] };

type Row = (u64, Since);

fn fields() -> Vec<Field<Row>> {
    let segments =
        "First segment that fits: `high_value`, `cart_abandoner`, `frequent_browser`, `new`, `inactive` or `regular`.";
    let since = column(
        "since",
        Type::Instant,
        "Time since which the user has been in this segment, UTC; never before the user's first event.",
    );
    vec![
        person("user_id", "Id of the user.", |(user_id, _): &Row| *user_id),
        field(column("segment", Type::Text, segments), |(_, (_, segment)): &Row| {
            Value::Text(name(*segment).to_owned())
        }),
        field(since, |(_, (since, _)): &Row| Value::Instant(*since)),
    ]
}

fn name(segment: Segment) -> &'static str {
    match segment {
        Segment::HighValue => "high_value",
        Segment::CartAbandoner => "cart_abandoner",
        Segment::FrequentBrowser => "frequent_browser",
        Segment::New => "new",
        Segment::Inactive => "inactive",
        Segment::Regular => "regular",
    }
}

fn build(shop: &mut Shop<'_>) {
    let done = shop.deeds().flat_map(|Deed { user_id, at, what }| {
        let also = match what {
            Did::Register => Some(Fact::Registered(at)),
            Did::View => Some(Fact::Viewed(at)),
            Did::Other => None,
        };
        [Some(Fact::Active(at, at)), also].into_iter().flatten().map(move |fact| (user_id, OfUser::Fact(fact, 1)))
    });
    let abandoned = shop.abandoned_carts().inner.flat_map(|(fact, _, diff)| match fact {
        CartFact::Abandoned(user, from, until) => Some((user, OfUser::Fact(Fact::Abandoned(from, until), diff as i64))),
        CartFact::Added(..) | CartFact::Sold(_) => None,
    });
    let spent = shop.sale_lines().inner.flat_map(|(PricedLine { line, amount_cents }, _, diff)| {
        let cents = diff as i64 * amount_cents?;
        Some((line.user_id, OfUser::Fact(Fact::Spent(line.sold_at), cents)))
    });
    let lane = &mut shop.lane;
    let known = lane.restored(&KNOWN).map(|(user, known)| (user, OfUser::Known(Box::new(known))));
    let facts = lane.restored(&FACTS).map(|(user, fact, count)| (user, OfUser::Fact(fact, count)));
    let of_users = lane.scope.concatenate([done, abandoned, spent, known, facts]);
    let rows = segments(of_users, lane.watermarks(), &shop.settings, &lane.ledger);
    lane.rows(USER_SEGMENTS.table, fields(), rows);
}
