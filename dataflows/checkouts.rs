//! How many distinct users checked out in each hour? One row per window with a checkout or a purchase.
//!
//! ```sql
#![doc = include_str!("checkouts.sql")]
//! ```

use crate::events::{Checkout, Purchase};
use crate::operators::{Expire, Judged};
use crate::state::{Ledger, State};
use crate::table::{Table, Type, column};
use crate::time::{Instant, Settings};
use crate::users_per_window::{self, WindowRow, users_per_window};
use crate::{Collection, Stream};

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("checkouts.sql");

/// `checkout_metrics`
pub fn table() -> Table {
    let count =
        column("checkout_user_count", Type::Integer, "Distinct users with a checkout or purchase in the window.");
    let doc = "One row per window with a checkout or purchase: how many distinct users made one.";
    users_per_window::table("checkout_metrics", doc, count)
}

/// Distinct users with a checkout or purchase per window; late ones change nothing.
pub fn checkouts<'s>(
    checkouts: Collection<'s, Judged<Checkout>>,
    purchases: Collection<'s, Judged<Purchase>>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, WindowRow> {
    let checked_out =
        checkouts.filter(|judged| !judged.late).map(|Judged { event, .. }| (event.timestamp, event.user_id));
    let purchased =
        purchases.filter(|judged| !judged.late).map(|Judged { event, .. }| (event.timestamp, event.user_id));
    let restored = restore.explode(|state| match state {
        State::CheckoutPane(pane, user, times) => Some(((pane, user), times)),
        _ => None,
    });
    let leaves = Expire {
        name: "checkouts/panes",
        end: |(pane, _)| crate::window::last_end(*pane),
        state: |(pane, user), times| State::CheckoutPane(*pane, *user, times),
    };
    users_per_window(
        checked_out.concat(purchased),
        restored,
        watermarks,
        settings,
        ledger,
        leaves,
        "checkouts/open_windows",
    )
}
