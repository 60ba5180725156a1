//! What does each movie earn, per day, per week, and in all?
//!
//! ```sql
#![doc = include_str!("movie_sales_metrics.sql")]
//! ```

use crate::freeze;
use crate::item::ItemId;
use crate::operators::{Totals, totals};
use crate::shop::Shop;
use crate::shop::metric::Metric;
use crate::shop::operators::prices::PricedLine;
use crate::state::{Forgets, Kept};
use crate::table::{Declared, Field, Role, Table, TableId, Type, Value, column, field, key};
use crate::time::{DAY_MS, Instant};
use crate::window::{day, week};
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

static DECLARED: Declared = Declared::new("movie_sales_metrics", || {
    let doc = "One row per movie and period (all time, a day, a week), with what was sold in it.";
    Table::of("movie_sales_metrics", doc, Role::Metric, fields())
});

/// The metric.
pub const MOVIE_SALES_METRICS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("movie_sales_metrics.sql"), build, kept: &[&SUMS] };

type Row = ((ItemId, SalesWindow), Sales);

fn fields() -> Vec<Field<Row>> {
    let count = |name, doc, count: fn(&Sales) -> i64| {
        field(column(name, Type::Integer, doc), move |(_, sales): &Row| Value::Integer(count(sales)))
    };
    let start = "Start of the window, UTC, inclusive; 1970-01-01 for `cumulative`.";
    vec![
        key("movie_id", Type::Text, "Id of the movie.", |((movie_id, _), _): &Row| Value::Text(movie_id.to_string())),
        key(
            "window_type",
            Type::Text,
            "Kind of window: `cumulative` (all of time), `daily`, or `weekly` (starts on Monday).",
            |((_, window), _): &Row| Value::Text(window.name().to_owned()),
        ),
        key("timestamp", Type::Instant, start, |((_, window), _): &Row| Value::Instant(window.start())),
        field(
            column(
                "total_sales",
                Type::Money,
                "Sum of what was paid in the window, in dollars; unpriced units add nothing.",
            ),
            |(_, sales): &Row| Value::Cents(sales.cents),
        ),
        count("units_sold", "Number of units sold in the window, unpriced ones too.", |sales| sales.units),
        count("unpriced_units", "Number of the sold units whose price is not known.", |sales| sales.unpriced),
    ]
}

/// A window of sales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SalesWindow {
    /// All of time.
    Cumulative,
    /// The day that starts then.
    Daily(Instant),
    /// The week that starts then, a Monday.
    Weekly(Instant),
}

impl SalesWindow {
    fn name(self) -> &'static str {
        match self {
            SalesWindow::Cumulative => "cumulative",
            SalesWindow::Daily(_) => "daily",
            SalesWindow::Weekly(_) => "weekly",
        }
    }

    fn start(self) -> Instant {
        match self {
            SalesWindow::Cumulative => 0,
            SalesWindow::Daily(start) | SalesWindow::Weekly(start) => start,
        }
    }

    /// The end of the calendar week in which it ends: day and week rows close together.
    fn week_end(self) -> Option<Instant> {
        match self {
            SalesWindow::Cumulative => None,
            SalesWindow::Daily(start) => Some(week(start + DAY_MS - 1).end),
            SalesWindow::Weekly(start) => Some(week(start).end),
        }
    }
}

/// What was sold, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sales {
    /// What was paid, in cents.
    pub cents: i64,
    /// How many were sold.
    pub units: i64,
    /// How many of them have no price.
    pub unpriced: i64,
}

impl IsZero for Sales {
    fn is_zero(&self) -> bool {
        self.units == 0 && self.cents == 0 && self.unpriced == 0
    }
}

impl Semigroup for Sales {
    fn plus_equals(&mut self, other: &Sales) {
        self.cents += other.cents;
        self.units += other.units;
        self.unpriced += other.unpriced;
    }
}

/// What a movie earned in a window.
pub static SUMS: Kept<((ItemId, SalesWindow), Sales)> =
    Kept { name: "shop/movie_sales_metrics/sums", version: 1, forgets: Forgets::NamesNobody };

/// Days and weeks leave with their lines; cumulative sums stay, one per movie.
fn build(shop: &mut Shop<'_>) {
    let said = shop.sale_lines().inner.flat_map(|(PricedLine { line, amount_cents }, _, diff)| {
        let diff = diff as i64;
        let sales = Sales {
            cents: diff * amount_cents.unwrap_or(0),
            units: diff,
            unpriced: diff * i64::from(amount_cents.is_none()),
        };
        let windows = [
            SalesWindow::Cumulative,
            SalesWindow::Daily(day(line.sold_at)),
            SalesWindow::Weekly(week(line.sold_at).start),
        ];
        windows.map(|window| ((line.movie_id.clone(), window), sales))
    });
    let lane = &mut shop.lane;
    let settings = &shop.settings;
    // `totals` knows one cut, the lateness; what the catalog needs in addition is added to the end.
    let longer_ms =
        settings.sales_settle_ms().zip(settings.lane.lateness_ms).map(|(settle, lateness)| settle - lateness);
    let end = move |(_, window): &(ItemId, SalesWindow)| Some(window.week_end()? + longer_ms?);
    let sums = Totals { name: SUMS.name, end: Box::new(end), kept: Some(&SUMS) };
    let rows = freeze(totals(said.concat(lane.restored(&SUMS)), lane.watermarks(), &lane.settings, &lane.ledger, sums));
    lane.rows(MOVIE_SALES_METRICS.table, fields(), rows);
}
