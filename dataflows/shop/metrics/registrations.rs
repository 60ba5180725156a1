//! How many distinct users registered in each hour? One row per window with a registration.
//!
//! ```sql
#![doc = include_str!("registrations.sql")]
//! ```

use super::users_per_window::{self, Names, users_per_window};
use crate::shop::Shop;
use crate::shop::metric::Metric;
use crate::state::Kept;
use crate::table::{Declared, Role, Table, TableId};
use crate::time::Instant;

static DECLARED: Declared = Declared::new("user_registration_metrics", || {
    let doc = "One row per window, with the number of distinct users who registered in it.";
    Table::of("user_registration_metrics", doc, Role::Metric, users_per_window::fields(COUNT))
});

/// The metric.
pub const USER_REGISTRATION_METRICS: Metric =
    Metric { table: TableId::of(&DECLARED), sql: include_str!("registrations.sql"), build, kept: &[&PANES] };

const COUNT: (&str, &str) = ("registration_count", "Number of distinct users who registered in the window.");

/// A user seen in a pane.
pub static PANES: Kept<(Instant, u64)> = users_per_window::panes("shop/registrations/panes");

fn build(shop: &mut Shop<'_>) {
    let names = Names { panes: &PANES, counts: "shop/registrations/counts", open: "shop/registrations/open_windows" };
    let seen = shop.split.registered.stream();
    let rows = users_per_window(&shop.lane, seen, names);
    shop.lane.rows(USER_REGISTRATION_METRICS.table, users_per_window::fields(COUNT), rows);
}
