//! How many distinct users registered in each hour? One row per window with a registration.
//!
//! ```sql
#![doc = include_str!("registrations.sql")]
//! ```

use crate::state::{Ledger, State};
use crate::table::{Table, Type, column};
use crate::time::{Instant, Settings};
use crate::users_per_window::{self, Names, WindowRow, users_per_window};
use crate::{Collection, Stream};
use timely::dataflow::operators::vec::Map;

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("registrations.sql");

/// `user_registration_metrics`
pub fn table() -> Table {
    let count = column("registration_count", Type::Integer, "Distinct users registered in the window.");
    let doc = "One row per window with a registration: how many distinct users registered in it.";
    users_per_window::table("user_registration_metrics", doc, count)
}

/// Distinct users registered per window.
pub fn registrations<'s>(
    registered: Stream<'s, (Instant, u64)>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, WindowRow> {
    let restored = restore.inner.flat_map(|(state, _, _)| {
        let State::RegistrationPane(pane, user) = state else { return None };
        Some((pane, user))
    });
    let names = Names {
        panes: "registrations/panes",
        counts: "registrations/counts",
        open: "registrations/open_windows",
        state: State::RegistrationPane,
    };
    users_per_window(registered, restored, watermarks, settings, ledger, names)
}
