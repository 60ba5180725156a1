//! How many distinct users checked out in each hour? One row per window with a checkout or a purchase.
//!
//! ```sql
#![doc = include_str!("checkouts.sql")]
//! ```

use super::users_per_window::{self, Names, users_per_window};
use crate::shop::Shop;
use crate::shop::metric::Metric;
use crate::state::Kept;
use crate::table::{Declared, Role, Table, TableId};
use crate::time::Instant;

static DECLARED: Declared = Declared::new("checkout_metrics", || {
    let doc = "One row per window, with the number of distinct users who checked out or purchased.";
    Table::of("checkout_metrics", doc, Role::Metric, users_per_window::fields(COUNT))
});

/// The metric.
pub const CHECKOUT_METRICS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("checkouts.sql"), build, kept: &[&PANES] };

const COUNT: (&str, &str) =
    ("checkout_user_count", "Number of distinct users with a checkout or a purchase in the window.");

/// A user seen in a pane.
pub static PANES: Kept<(Instant, u64)> = users_per_window::panes("shop/checkouts/panes");

fn build(shop: &mut Shop<'_>) {
    let names = Names { panes: &PANES, counts: "shop/checkouts/counts", open: "shop/checkouts/open_windows" };
    let seen = shop.split.checked_out.stream();
    let rows = users_per_window(&shop.lane, seen, names);
    shop.lane.rows(CHECKOUT_METRICS.table, users_per_window::fields(COUNT), rows);
}
