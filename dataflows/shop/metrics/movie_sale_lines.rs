//! What was sold, to whom, when, for how much? One row per item sold.
//!
//! ```sql
#![doc = include_str!("movie_sale_lines.sql")]
//! ```

use crate::raw::uuid_text;
use crate::shop::Shop;
use crate::shop::metric::{Metric, user};
use crate::shop::operators::carts::Cart;
use crate::shop::operators::prices::PricedLine;
use crate::shop::raw::BUYER;
use crate::table::{Declared, Field, Person, Role, Table, TableId, Type, Value, column, field, key, nullable};

static DECLARED: Declared = Declared::new("movie_sale_lines", || {
    let doc = "One row per item sold. Each distinct add to a cart up to the cart's earliest checkout is one, and each purchase.";
    Table { cluster_by_day: Some("sold_at"), ..Table::of("movie_sale_lines", doc, Role::Metric, fields()) }
});

/// The metric.
pub const MOVIE_SALE_LINES: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("movie_sale_lines.sql"), build, kept: &[] };

fn fields() -> Vec<Field<PricedLine>> {
    let amount = nullable(
        "purchase_amount",
        Type::Money,
        "Amount of the line, in dollars: the price that is valid at `sold_at`, or the purchase's own; null while unknown.",
    );
    vec![
        key(
            "cart_id",
            Type::Text,
            "Id of the cart, such as a UUID; `user:<user_id>` for a purchase, which has no cart.",
            |row: &PricedLine| {
                Value::Text(match &row.line.cart {
                    Cart::Uuid(high, low) => uuid_text(u128::from(*high) << 64 | u128::from(*low)),
                    Cart::Text(text) => text.to_string(),
                    Cart::Purchase(user) => format!("{BUYER}{user}"),
                })
            },
        )
        .person(Person::Called(BUYER)),
        key("movie_id", Type::Text, "Id of the movie that was sold.", |row: &PricedLine| {
            Value::Text(row.line.movie_id.to_string())
        }),
        key(
            "added_at",
            Type::Instant,
            "Time at which the item was added to the cart, UTC; the time of the purchase for a purchase.",
            |row: &PricedLine| Value::Instant(row.line.added_at),
        ),
        field(column("user_id", Type::Integer, "Id of the user who checked out."), |row: &PricedLine| {
            user(row.line.user_id)
        })
        .person(Person::Number),
        field(
            column("sold_at", Type::Instant, "Time of the cart's earliest checkout, or of the purchase, UTC."),
            |row: &PricedLine| Value::Instant(row.line.sold_at),
        ),
        field(amount, |row: &PricedLine| row.amount_cents.map_or(Value::Null, Value::Cents)),
    ]
}

fn build(shop: &mut Shop<'_>) {
    let lines = shop.sale_lines();
    shop.lane.rows(MOVIE_SALE_LINES.table, fields(), lines);
}
