//! What is done with each movie: looked at, put into carts, sold, rated?
//!
//! ```sql
#![doc = include_str!("movie_statistics.sql")]
//! ```

use crate::item::ItemId;
use crate::operators::{CartFact, PricedLine, Totals, freeze, merge, totals};
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column, nullable};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, Concatenate};

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("movie_statistics.sql");

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

/// A row of `movie_statistics`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StatisticsRow {
    /// Of which movie.
    pub movie_id: ItemId,
    /// What.
    pub statistics: Statistics,
}

impl StatisticsRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let Statistics { views, adds, units, cents, ratings, stars } = self.statistics;
        vec![
            Value::Text(self.movie_id.to_string()),
            Value::Integer(views),
            Value::Integer(adds),
            Value::Integer(units),
            Value::Cents(cents),
            Value::Integer(ratings),
            Value::mean_or_null(1000 * stars, ratings),
        ]
    }
}

/// `movie_statistics`
pub fn table() -> Table {
    let columns = vec![
        column("movie_id", Type::Text, "Which movie."),
        column("views", Type::Integer, "How often it was looked at, once per record."),
        column("adds", Type::Integer, "How often it went into a cart, each add once."),
        column("units_sold", Type::Integer, "How often it was sold."),
        column("total_sales", Type::Money, "For how much in all, in dollars."),
        column("ratings", Type::Integer, "How many users rated it."),
        nullable("average_rating", Type::Milli, "The mean of their latest ratings, 1 to 5; null of none."),
    ];
    let doc = "One row per movie that was looked at, put into a cart, sold or rated. Kept for ever.";
    Table { name: "movie_statistics", doc, role: Role::Metric, key_columns: 1, columns }
}

/// What statistics are made of.
pub struct Sources<'s> {
    /// Views of items.
    pub views: Stream<'s, ItemId>,
    /// What carts say.
    pub facts: Collection<'s, CartFact>,
    /// What was sold.
    pub lines: Collection<'s, PricedLine>,
    /// Who rated what, when, and how.
    pub ratings: Stream<'s, ((u64, ItemId), (Instant, u32))>,
}

/// Statistics per movie, one record each for ever, and one per user and movie rated.
pub fn statistics<'s>(
    sources: Sources<'s>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, StatisticsRow> {
    type Said = (ItemId, Statistics);
    let views = sources.views.map(|item| (item, Statistics { views: 1, ..Statistics::default() }));
    let adds = sources.facts.inner.flat_map(|(fact, _, diff)| match fact {
        CartFact::Added(_, item) => Some((item, Statistics { adds: diff as i64, ..Statistics::default() })),
        CartFact::Sold(_) | CartFact::Abandoned(..) => None,
    });
    let sold = sources.lines.inner.map(|(PricedLine { line, amount_cents }, _, diff)| {
        let diff = diff as i64;
        (line.movie_id, Statistics { units: diff, cents: diff * amount_cents.unwrap_or(0), ..Statistics::default() })
    });
    let restored = restore.inner.clone().flat_map(|(state, _, _)| {
        let State::Rating(user_id, item, at, rating) = state else { return None };
        Some(((user_id, item), (at, rating)))
    });
    let latest = merge(
        sources.ratings.concat(restored),
        "ratings/latest",
        ledger,
        |known, other| *known = (*known).max(other),
        |(user, item), (at, rating)| State::Rating(*user, item.clone(), *at, *rating),
    );
    let rated = freeze(latest).inner.map(|(((_, item), (_, rating)), _, diff)| {
        let diff = diff as i64;
        (item, Statistics { ratings: diff, stars: diff * i64::from(rating), ..Statistics::default() })
    });
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::Statistics(item, statistics) = state else { return None };
        Some((item, statistics))
    });
    let scope = views.scope();
    let said: Stream<Said> = scope.concatenate([views, adds, sold, rated, restored]);
    let kept = Totals {
        name: "movie_statistics/sums",
        end: Box::new(|_: &ItemId| None),
        state: |item, statistics| Some(State::Statistics(item.clone(), *statistics)),
    };
    freeze(totals(said, watermarks, settings, ledger, kept))
        .map(|(movie_id, statistics)| StatisticsRow { movie_id, statistics })
}
