//! Distinct users per window: what registrations and checkouts have in common.

use crate::operators::{Expire, expire, finality, freeze};
use crate::state::Ledger;
use crate::table::{Column, Kind, Table, Type, Value, column};
use crate::time::{Instant, Settings};
use crate::window::{self, Window};
use crate::{Collection, Stream};
use differential_dataflow::operators::{CountTotal, ThresholdTotal};
use serde::{Deserialize, Serialize};

/// One window and its users.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowRow {
    /// Which window.
    pub window: Window,
    /// How many distinct users.
    pub users: isize,
    /// No accepted event can change the count any more.
    pub is_final: bool,
}

impl WindowRow {
    /// The row's values.
    pub fn values(&self) -> Vec<Value> {
        vec![
            Value::Text(self.window.window_type.name().to_owned()),
            Value::Instant(self.window.start),
            Value::Instant(self.window.end()),
            Value::Integer(self.users as i64),
            Value::Boolean(self.is_final),
        ]
    }
}

/// The declaration of a table of such rows.
pub fn table(name: &'static str, doc: &'static str, count: Column) -> Table {
    let columns = vec![
        column("window_type", Type::Text, "`tumbling` (1 h) or `sliding` (1 h every 15 min)."),
        column("timestamp", Type::Instant, "The window's first instant."),
        column("window_end", Type::Instant, "The first instant after the window."),
        count,
        column("is_final", Type::Boolean, "The watermark less the lateness has passed the window's end."),
    ];
    Table { name, doc, kind: Kind::Upsert, key_columns: 2, columns }
}

/// Counts distinct users per window. A user seen in a pane is held once, and leaves when the last
/// window that contains the pane can no longer change.
///
/// `leaves` and `open` name what it holds: users in panes, and windows that are not final.
/// Plain differential: the keyed form that keeps a set per pane is measured against this one.
pub fn users_per_window<'s>(
    seen: Collection<'s, (Instant, u64)>,
    restored: Collection<'s, (Instant, u64)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    leaves: Expire<(Instant, u64)>,
    open: &'static str,
) -> Collection<'s, WindowRow> {
    let once = |_: &(_, u64), times: &isize| (*times > 0) as isize;
    let panes = seen.map(|(timestamp, user)| (window::pane(timestamp), user)).concat(restored);
    let users_in_panes = expire(panes, watermarks.clone(), settings, ledger, leaves).threshold_total(once);
    let users_in_windows = users_in_panes
        .flat_map(|(pane, user)| window::containing(pane).map(move |window| (window, user)))
        .threshold_total(|_, panes| (*panes > 0) as isize);
    let counts = users_in_windows.map(|(window, _)| window).count_total();
    let rows = finality(counts, watermarks, settings, ledger, open, |(window, _)| window.end());
    freeze(rows).map(|((window, users), is_final)| WindowRow { window, users, is_final })
}
