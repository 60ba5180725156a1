//! When rows of a declared metric have ended: when no event that is in time changes them any more.
//!
//! A row of a window ends with it; a session ends a gap after its last event; where events ask for what comes later, so much
//! later. A row that is computed of rows ends when the last of those has. Of three kinds nobody can say when a row ends:
//! - Without a window or a session rows go on for ever.
//! - A session without a column `max(time)` does not say when its last event was, and rows that are computed of sessions do not
//!   say which those are.
//! - What is shown or counted once it is final changes with the watermark, long after its last event.

use crate::declared::eval::asks_is_final;
use crate::declared::plan::{Aggregate, Expr, Metric, Node, What, Window};
use crate::declared::walk::read_columns;
use crate::family::{EndOf, Ending};
use crate::table::Value;
use crate::time::Instant;

/// When those of a metric have.
pub(super) fn ending(metric: &Metric) -> Option<Ending> {
    if is_shown_when_final(metric) || metric.inner().is_some_and(|inner| reads_what_is_final(metric, inner)) {
        return None;
    }
    let outputs = metric.outputs.iter().enumerate();
    let of_watermark = outputs.filter(|(_, output)| asks_is_final(&output.value)).map(|(place, _)| place).collect();
    let windows = Windows::of(metric)?;
    let Some(Expr { node: Node::Session(gap_ms, at), .. }) = metric.keys.last() else {
        if metric.leaves.is_empty() {
            return None;
        }
        return Some(Ending { of_key: Box::new(move |key| windows.end(key)), of_row: None, of_watermark });
    };
    let (gap_ms, start, last) = (*gap_ms, metric.keys.len() - 1, last(metric, at)?);
    let end_by = |place: usize, windows: Windows| -> Box<EndOf> {
        Box::new(move |row| {
            let of_session = instant(row, place)?.saturating_add(gap_ms).saturating_add(windows.ahead_ms);
            Some(windows.end(row).map_or(of_session, |end| end.min(of_session)))
        })
    };
    let of_key = end_by(start, windows.clone());
    Some(Ending { of_key, of_row: Some(end_by(last, windows)), of_watermark })
}

/// The windows of a metric's key, and of the rows that it is computed of.
#[derive(Clone)]
struct Windows {
    leaves: Vec<(usize, Window)>,
    /// Those of what it is computed of.
    inner: Vec<Window>,
    /// How long after an event its answer may change.
    ahead_ms: i64,
}

impl Windows {
    /// Nothing if they are of rows that do not end with windows.
    fn of(metric: &Metric) -> Option<Windows> {
        let inner = match metric.inner() {
            Some(inner) if inner.session().is_some() || inner.leaves.is_empty() => return None,
            Some(inner) => inner.leaves.iter().map(|(_, window)| *window).collect(),
            None => Vec::new(),
        };
        let ahead_ms = metric.ahead_ms().max(metric.inner().map_or(0, Metric::ahead_ms));
        Some(Windows { leaves: metric.leaves.clone(), inner, ahead_ms })
    }

    /// When a row has ended whose key, or which itself, begins so.
    fn end(&self, key: &[Value]) -> Option<Instant> {
        let ends = self.leaves.iter().filter_map(|(place, window)| Some(window.end(instant(key, *place)?)));
        // The first of them ends the group. What it is computed of may begin within it and end after it.
        let end = ends.min()?;
        let with_inner = self.inner.iter().map(|window| window.end(window.floor(end - 1)));
        Some(with_inner.max().unwrap_or(end).saturating_add(self.ahead_ms))
    }
}

fn instant(row: &[Value], place: usize) -> Option<Instant> {
    if let Some(Value::Instant(at)) = row.get(place) { Some(*at) } else { None }
}

/// Which output says when the last event of a session was, of events that have this time.
fn last(metric: &Metric, time: &Expr) -> Option<usize> {
    let slots = metric.aggregates.iter().scan(0, |next, aggregate| {
        let slot = *next;
        *next += aggregate.what.slots();
        Some((slot, aggregate))
    });
    let is_last = |aggregate: &Aggregate| {
        aggregate.filter.is_none() && matches!(&aggregate.what, What::Max(of) if of.node == time.node)
    };
    let slots: Vec<usize> = slots.filter(|(_, aggregate)| is_last(aggregate)).map(|(slot, _)| slot).collect();
    metric.outputs.iter().position(|output| matches!(output.value.node, Node::Slot(slot) if slots.contains(&slot)))
}

fn is_shown_when_final(metric: &Metric) -> bool {
    metric.having.as_ref().is_some_and(asks_is_final)
}

/// Whether a metric reads of another which rows are final.
fn reads_what_is_final(metric: &Metric, inner: &Metric) -> bool {
    let is_said = |place: &usize| inner.outputs.get(*place).is_some_and(|output| asks_is_final(&output.value));
    is_shown_when_final(inner) || read_columns(metric).iter().any(is_said)
}
