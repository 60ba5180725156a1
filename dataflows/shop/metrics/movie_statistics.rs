//! What is done with each movie: looked at, put into carts, sold, rated?
//!
//! ```sql
#![doc = include_str!("movie_statistics.sql")]
//! ```

use crate::freeze;
use crate::item::ItemId;
use crate::operators::{Totals, merge, totals};
use crate::shop::Shop;
use crate::shop::metric::Metric;
use crate::shop::operators::carts::CartFact;
use crate::shop::operators::prices::PricedLine;
use crate::state::{Forgets, Kept};
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, column, field, key, nullable};
use crate::time::Instant;
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, Concatenate};

static DECLARED: Declared = Declared::new("movie_statistics", || {
    let doc = "One row per movie that was viewed, added to a cart, sold or rated. Totals are over all time.";
    Table::of("movie_statistics", doc, Role::Metric, fields())
});

/// The metric.
pub const MOVIE_STATISTICS: Metric = Metric {
    table: TableId::of(&DECLARED),
    sql: include_str!("movie_statistics.sql"),
    build,
    kept: &[&RATINGS, &SUMS],
};

type Row = (ItemId, Statistics);

fn fields() -> Vec<Field<Row>> {
    let count = |name, doc, count: fn(&Statistics) -> i64| {
        field(column(name, Type::Integer, doc), move |(_, of): &Row| Value::Integer(count(of)))
    };
    let total = column(
        "total_sales",
        Type::Money,
        "Sum of what was paid for the movie, in dollars; unpriced units add nothing.",
    );
    let mean = nullable(
        "average_rating",
        Type::Milli,
        "Mean of each user's latest rating, 1 to 5; null if nobody rated the movie.",
    );
    vec![
        key("movie_id", Type::Text, "Id of the movie.", |(movie_id, _): &Row| Value::Text(movie_id.to_string())),
        count("views", "Number of times the movie was viewed; each record counts once.", |of| of.views),
        count("adds", "Number of times the movie was added to a cart; the same add sent twice counts once.", |of| {
            of.adds
        }),
        count("units_sold", "Number of units sold, unpriced ones too.", |of| of.units),
        field(total, |(_, of): &Row| Value::Cents(of.cents)),
        count("ratings", "Number of users who rated the movie.", |of| of.ratings),
        field(mean, |(_, of): &Row| Value::mean_or_null(1000 * of.stars, of.ratings)),
    ]
}

/// What was done with a movie, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Statistics {
    /// How often it was looked at.
    pub views: i64,
    /// How often it went into a cart.
    pub adds: i64,
    /// How often it was sold.
    pub units: i64,
    /// For how much, in cents.
    pub cents: i64,
    /// How many users rated it.
    pub ratings: i64,
    /// The sum of their ratings.
    pub stars: i64,
}

impl IsZero for Statistics {
    fn is_zero(&self) -> bool {
        *self == Statistics::default()
    }
}

impl Semigroup for Statistics {
    fn plus_equals(&mut self, other: &Statistics) {
        self.views += other.views;
        self.adds += other.adds;
        self.units += other.units;
        self.cents += other.cents;
        self.ratings += other.ratings;
        self.stars += other.stars;
    }
}

/// A user's latest rating of an item: when, and how.
pub static RATINGS: Kept<((u64, ItemId), (Instant, u32))> = Kept {
    name: "shop/movie_statistics/ratings",
    version: 1,
    forgets: Forgets::BecomesNobodys(|((id, _), _), user, nobody| {
        let is_users = *id == user;
        *id = if is_users { nobody } else { *id };
        is_users
    }),
};
/// What was done with a movie, one record each forever.
pub static SUMS: Kept<(ItemId, Statistics)> =
    Kept { name: "shop/movie_statistics/sums", version: 1, forgets: Forgets::NamesNobody };

fn build(shop: &mut Shop<'_>) {
    let views = shop.views().map(|item| (item, Statistics { views: 1, ..Statistics::default() }));
    let adds = shop.cart_facts().inner.flat_map(|(fact, _, diff)| match fact {
        CartFact::Added(_, item) => Some((item, Statistics { adds: diff as i64, ..Statistics::default() })),
        CartFact::Sold(_) | CartFact::Abandoned(..) => None,
    });
    let sold = shop.sale_lines().inner.map(|(PricedLine { line, amount_cents }, _, diff)| {
        let diff = diff as i64;
        (line.movie_id, Statistics { units: diff, cents: diff * amount_cents.unwrap_or(0), ..Statistics::default() })
    });
    let ratings = shop.split.ratings.stream();
    let lane = &mut shop.lane;
    let ratings = ratings.concat(lane.restored(&RATINGS));
    let latest = merge(ratings, &RATINGS, &lane.ledger, |known, other| *known = (*known).max(other));
    let rated = freeze(latest).inner.map(|(((_, item), (_, rating)), _, diff)| {
        let diff = diff as i64;
        (item, Statistics { ratings: diff, stars: diff * i64::from(rating), ..Statistics::default() })
    });
    let said = lane.scope.concatenate([views, adds, sold, rated, lane.restored(&SUMS)]);
    let sums = Totals { name: SUMS.name, end: Box::new(|_: &ItemId| None), kept: Some(&SUMS) };
    let rows = freeze(totals(said, lane.watermarks(), &lane.settings, &lane.ledger, sums));
    lane.rows(MOVIE_STATISTICS.table, fields(), rows);
}
