//! Distinct users per window: what registrations and checkouts have in common.

use crate::freeze;
use crate::lane::Lane;
use crate::operators::{Totals, distinct, finality, totals};
use crate::shop::operators::rename_second;
use crate::state::{Forgets, Kept};
use crate::table::{Field, Type, Value, column, field, key};
use crate::time::{Instant, Settings};
use crate::window::Window;
use crate::{Collection, Stream};
use timely::dataflow::operators::Concat;

/// A window with how many distinct users it has, and whether no accepted event can change that any more.
pub type Row = ((Window, isize), bool);

/// The columns of a table of such rows; `count` is what the number of users is called, and what it says.
pub fn fields((name, doc): (&'static str, &'static str)) -> Vec<Field<Row>> {
    let kinds = "Kind of window: `tumbling` (1 hour long) or `sliding` (1 hour long, one starts every 15 minutes).";
    let end = column("window_end", Type::Instant, "End of the window, UTC, exclusive.");
    let is_final = column(
        "is_final",
        Type::Boolean,
        "True once the watermark, minus `lateness` unless it is unlimited, has passed the window's end.",
    );
    vec![
        key("window_type", Type::Text, kinds, |((window, _), _): &Row| {
            Value::Text(window.window_type.name().to_owned())
        }),
        key("timestamp", Type::Instant, "Start of the window, UTC, inclusive.", |((window, _), _): &Row| {
            Value::Instant(window.start)
        }),
        field(end, |((window, _), _): &Row| Value::Instant(window.end())),
        field(column(name, Type::Integer, doc), |((_, users), _): &Row| Value::Integer(*users as i64)),
        field(is_final, |(_, is_final): &Row| Value::Boolean(*is_final)),
    ]
}

/// How one such metric names what it holds.
pub struct Names {
    /// Who was seen in which pane.
    pub panes: &'static Kept<(Instant, u64)>,
    /// The counts of windows that can still change.
    pub counts: &'static str,
    /// The windows that are not final.
    pub open: &'static str,
}

/// That a user was seen in a pane, under a name.
pub const fn panes(name: &'static str) -> Kept<(Instant, u64)> {
    Kept { name, version: 1, forgets: Forgets::BecomesNobodys(rename_second) }
}

/// Counts distinct users per window. A user seen in a pane is held once, and leaves when the last
/// window that contains the pane can no longer change.
pub fn users_per_window<'s>(lane: &Lane<'s>, seen: Stream<'s, (Instant, u64)>, names: Names) -> Collection<'s, Row> {
    let Lane { settings, ledger, .. } = lane;
    let seen = seen.concat(lane.restored(names.panes));
    let gained = distinct(seen, lane.watermarks(), settings, ledger, names.panes);
    // Restored panes fill the counts again.
    let leaves = Totals { name: names.counts, end: Box::new(|window: &Window| Some(window.end())), kept: None };
    let counts = totals(gained, lane.watermarks(), settings, ledger, leaves);
    let end = |(window, _): &(Window, isize)| window.end();
    freeze(finality(counts, lane.watermarks(), settings, ledger, names.open, Settings::final_cut, end))
}
