//! How many distinct users checked out in each hour? One row per window with a checkout or a purchase.
//!
//! ```sql
#![doc = include_str!("checkouts.sql")]
//! ```

use crate::state::{Ledger, State};
use crate::table::{Table, Type, column};
use crate::time::{Instant, Settings};
use crate::users_per_window::{self, Names, WindowRow, users_per_window};
use crate::{Collection, Stream};
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("checkouts.sql");

/// `checkout_metrics`
pub fn table() -> Table {
    let count =
        column("checkout_user_count", Type::Integer, "Distinct users with a checkout or purchase in the window.");
    let doc = "One row per window with a checkout or purchase: how many distinct users made one.";
    users_per_window::table("checkout_metrics", doc, count)
}

/// Distinct users with a checkout or purchase per window.
pub fn checkouts<'s>(
    checked_out: Stream<'s, (Instant, u64)>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, WindowRow> {
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::CheckoutPane(pane, user) = state else { return None };
        Some((pane, user))
    });
    let names = Names {
        panes: "checkouts/panes",
        counts: "checkouts/counts",
        open: "checkouts/open_windows",
        state: State::CheckoutPane,
    };
    users_per_window(checked_out, restored, watermarks, settings, ledger, names)
}
