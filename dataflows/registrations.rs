//! How many distinct users registered in each hour? One row per window with a registration.
//!
//! ```sql
#![doc = include_str!("registrations.sql")]
//! ```

use crate::events::Registration;
use crate::operators::{Expire, Judged};
use crate::state::{Ledger, State};
use crate::table::{Table, Type, column};
use crate::time::{Instant, Settings};
use crate::users_per_window::{self, WindowRow, users_per_window};
use crate::{Collection, Stream};

/// The specification, executed by the tests.
pub const SQL: &str = include_str!("registrations.sql");

/// `user_registration_metrics`
pub fn table() -> Table {
    let count = column("registration_count", Type::Integer, "Distinct users registered in the window.");
    let doc = "One row per window with a registration: how many distinct users registered in it.";
    users_per_window::table("user_registration_metrics", doc, count)
}

/// Distinct users registered per window; late registrations change nothing.
pub fn registrations<'s>(
    events: Collection<'s, Judged<Registration>>,
    restore: Collection<'s, State>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, WindowRow> {
    let in_time = events.filter(|judged| !judged.late);
    let seen = in_time.map(|Judged { event, .. }| (event.timestamp, event.user_id));
    let restored = restore.explode(|state| match state {
        State::RegistrationPane(pane, user, times) => Some(((pane, user), times)),
        _ => None,
    });
    let leaves = Expire {
        name: "registrations/panes",
        end: |(pane, _)| crate::window::last_end(*pane),
        state: |(pane, user), times| State::RegistrationPane(*pane, *user, times),
    };
    users_per_window(seen, restored, watermarks, settings, ledger, leaves, "registrations/open_windows")
}
