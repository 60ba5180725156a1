//! The print of a metric: the same for as long as the same events give the same rows.

use dataflows::declared::plan::{Family, Metric, Type};
use dataflows::declared::walk;
use std::collections::BTreeSet;

/// Raised when the same plan gives other rows: how is rounded, what a plan's nodes mean.
const MEANING: u32 = 1;

/// What of a family a metric depends on.
type Read<'f> = (&'f str, usize, Vec<(usize, &'f str, Type, bool)>, Option<Vec<usize>>);

/// The print of a metric's plan, with the columns of its family that it reads and how events count there. Comments and
/// blanks of its text, and columns that it does not read, are no part of it.
pub fn of(family: &Family, metric: &Metric) -> u64 {
    let inner = metric.inner().map(|inner| of(family, inner));
    let mut metric = metric.clone();
    metric.doc.clear();
    metric.outputs.iter_mut().for_each(|output| output.doc.clear());
    let mut used = BTreeSet::from([family.time]);
    walk::of_events(&metric).into_iter().for_each(|expr| walk::columns(expr, &mut used));
    let mut once = family.once.as_ref().map(|once| once.of.clone());
    once.iter_mut().for_each(|of| of.sort_unstable());
    used.extend(once.iter().flatten());
    let column = |place: usize| {
        let column = family.columns.get(place)?;
        Some((place, column.name.as_str(), column.ty, column.nullable))
    };
    let read: Read<'_> = (&family.name, family.time, used.into_iter().filter_map(column).collect(), once);
    // A plan is made of what can be written.
    let mut bytes = postcard::to_allocvec(&(MEANING, &metric, &read)).unwrap_or_default();
    bytes.extend(inner.iter().flat_map(|print| print.to_le_bytes()));
    // What asks nothing has the print that it had before there was anything to ask.
    if !metric.asks.is_empty() {
        bytes.extend(postcard::to_allocvec(&metric.asks).unwrap_or_default());
    }
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
