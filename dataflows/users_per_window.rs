//! Distinct users per window: what registrations and checkouts have in common.

use crate::operators::{Totals, distinct, finality, freeze, totals};
use crate::state::{Ledger, State};
use crate::table::{Column, Role, Table, Type, Value, column};
use crate::time::{Instant, Settings};
use crate::window::Window;
use crate::{Collection, Stream};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Concat;

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
    Table { name, doc, role: Role::Metric, key_columns: 2, columns }
}

/// How one such metric names what it holds.
pub struct Names {
    /// Who was seen in which pane.
    pub panes: &'static str,
    /// The counts of windows that can still change.
    pub counts: &'static str,
    /// The windows that are not final.
    pub open: &'static str,
    /// A user in a pane, as it stands in a snapshot.
    pub state: fn(Instant, u64) -> State,
}

/// Counts distinct users per window. A user seen in a pane is held once, and leaves when the last
/// window that contains the pane can no longer change.
pub fn users_per_window<'s>(
    seen: Stream<'s, (Instant, u64)>,
    restored: Stream<'s, (Instant, u64)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    names: Names,
) -> Collection<'s, WindowRow> {
    let gained = distinct(seen.concat(restored), watermarks.clone(), settings, ledger, names.panes, names.state);
    let leaves = Totals {
        name: names.counts,
        end: Box::new(|window: &Window| Some(window.end())),
        // Restored panes fill it again.
        state: |_, _| None,
    };
    let counts = totals(gained, watermarks.clone(), settings, ledger, leaves);
    let end = |(window, _): &(Window, isize)| window.end();
    let rows = finality(counts, watermarks, settings, ledger, names.open, Settings::final_cut, end);
    freeze(rows).map(|((window, users), is_final)| WindowRow { window, users, is_final })
}
