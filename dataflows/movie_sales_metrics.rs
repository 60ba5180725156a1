//! What does each movie earn, per day, per week, and in all?
//!
//! ```sql
#![doc = include_str!("movie_sales_metrics.sql")]
//! ```

use crate::item::ItemId;
use crate::operators::{PricedLine, Totals, freeze, totals};
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column};
use crate::time::{Instant, Settings};
use crate::window::{DAY_MS, day, week};
use crate::{Collection, Stream};
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("movie_sales_metrics.sql");

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
    fn values(self) -> [Value; 2] {
        let (name, start) = match self {
            SalesWindow::Cumulative => ("cumulative", 0),
            SalesWindow::Daily(start) => ("daily", start),
            SalesWindow::Weekly(start) => ("weekly", start),
        };
        [Value::Text(name.to_owned()), Value::Instant(start)]
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

/// A row of `movie_sales_metrics`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SalesRow {
    /// Of which movie.
    pub movie_id: ItemId,
    /// In which window.
    pub window: SalesWindow,
    /// How much.
    pub sales: Sales,
}

impl SalesRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let [window_type, timestamp] = self.window.values();
        vec![
            Value::Text(self.movie_id.to_string()),
            window_type,
            timestamp,
            Value::Cents(self.sales.cents),
            Value::Integer(self.sales.units),
            Value::Integer(self.sales.unpriced),
        ]
    }
}

/// `movie_sales_metrics`
pub fn table() -> Table {
    let columns = vec![
        column("movie_id", Type::Text, "Which movie."),
        column("window_type", Type::Text, "`cumulative`, `daily` or `weekly` (from Monday)."),
        column("timestamp", Type::Instant, "The window's first instant; 1970-01-01 for `cumulative`."),
        column("total_sales", Type::Money, "What was paid, in dollars."),
        column("units_sold", Type::Integer, "How many were sold."),
        column("unpriced_units", Type::Integer, "How many of them have no price."),
    ];
    let doc = "One row per movie and window with a sale: what was sold in it.";
    Table { name: "movie_sales_metrics", doc, role: Role::Metric, key_columns: 3, columns }
}

/// Sales per movie and window. Days and weeks leave with their lines; cumulative sums stay, one per movie.
pub fn sales<'s>(
    lines: Collection<'s, PricedLine>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, SalesRow> {
    let said = lines.inner.flat_map(|(PricedLine { line, amount_cents }, _, diff)| {
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
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::Sales(movie_id, window, sales) = state else { return None };
        Some(((movie_id, window), sales))
    });
    // `totals` knows one cut, the lateness; what the catalog needs besides is added to the end.
    let longer_ms = settings.sales_settle_ms().zip(settings.lateness_ms).map(|(settle, lateness)| settle - lateness);
    let leaves = Totals {
        name: "sales/sums",
        end: Box::new(move |(_, window): &(ItemId, SalesWindow)| Some(window.week_end()? + longer_ms?)),
        state: |(movie_id, window), sales| Some(State::Sales(movie_id.clone(), *window, *sales)),
    };
    freeze(totals(said.concat(restored), watermarks, settings, ledger, leaves))
        .map(|((movie_id, window), sales)| SalesRow { movie_id, window, sales })
}
