//! What was sold, to whom, when, for how much? One row per item sold.
//!
//! ```sql
#![doc = include_str!("movie_sale_lines.sql")]
//! ```

use crate::operators::{Cart, CartEvent, CartFact, Line, OfItem, PricedLine, Prices, carts, prices};
use crate::raw::uuid_text;
use crate::state::{Ledger, State};
use crate::table::{Role, Table, Type, Value, column, nullable};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("movie_sale_lines.sql");
/// What a cart is.
pub const CART_PARTS_SQL: &str = include_str!("cart_parts.sql");
/// Which carts were sold.
pub const SOLD_CARTS_SQL: &str = include_str!("sold_carts.sql");
/// What an item cost when.
pub const PRICES_SQL: &str = include_str!("prices.sql");

/// `movie_sale_lines`
pub fn table() -> Table {
    let columns = vec![
        column("cart_id", Type::Text, "The cart's UUID; `user:<user_id>` for a finished purchase."),
        column("movie_id", Type::Text, "What was sold."),
        column("added_at", Type::Instant, "When it went into the cart."),
        column("user_id", Type::Integer, "Who checked out."),
        column("sold_at", Type::Instant, "The cart's earliest checkout."),
        nullable("purchase_amount", Type::Money, "The price in force then, in dollars; null while unpriced."),
    ];
    let doc = "One row per item sold: each distinct add to a cart up to its earliest checkout, and each purchase.";
    Table { name: "movie_sale_lines", doc, role: Role::Metric, key_columns: 3, columns }
}

impl PricedLine {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        let cart = match self.line.cart {
            Cart::Uuid(high, low) => uuid_text(u128::from(high) << 64 | u128::from(low)),
            Cart::Purchase(user) => format!("user:{user}"),
        };
        vec![
            Value::Text(cart),
            Value::Text(self.line.movie_id.to_string()),
            Value::Instant(self.line.added_at),
            Value::Integer(self.line.user_id as i64),
            Value::Instant(self.line.sold_at),
            self.amount_cents.map_or(Value::Null, Value::Cents),
        ]
    }
}

/// What sales are made of.
pub struct Sources<'s> {
    /// What happened to carts.
    pub carts: Stream<'s, (u128, CartEvent)>,
    /// Finished purchases.
    pub purchases: Stream<'s, Line>,
    /// What items cost from when on.
    pub prices: Prices<'s>,
}

/// Sale lines with their prices, and what else carts say.
pub fn sale_lines<'s>(
    sources: Sources<'s>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    wants_facts: bool,
) -> (Collection<'s, PricedLine>, Collection<'s, CartFact>) {
    let restored = restore.inner.clone().flat_map(|(state, _, _)| {
        let State::Cart(id, event) = state else { return None };
        Some((id, event))
    });
    let (lines, facts) = carts(sources.carts, restored, watermarks.clone(), settings, ledger, wants_facts);
    let lines = lines.inner.map(|(line, _, diff)| (line.movie_id.clone(), OfItem::Line(line, diff)));
    let purchases = sources.purchases.map(|line| (line.movie_id.clone(), OfItem::Line(line, 1)));
    let points = sources.prices.map(|(item, point, diff)| (item, OfItem::Price(point, diff)));
    let restored = restore.inner.flat_map(|(state, _, _)| {
        if let State::SaleLine(line, amount_cents) = state {
            return Some((line.movie_id.clone(), OfItem::Held(line, amount_cents)));
        }
        let State::Price(item, point) = state else { return None };
        Some((item, OfItem::Price(point, 1)))
    });
    let scope = lines.scope();
    let of_items = scope.concatenate([lines, purchases, points, restored]);
    (prices(of_items, watermarks, settings, ledger), facts)
}
