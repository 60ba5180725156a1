//! Rows stay when what they were made from has left memory.

use crate::Collection;
use crate::time::is_silent;
use differential_dataflow::AsCollection;
use timely::dataflow::operators::vec::Filter;

/// Drops every update of an odd (housekeeping) epoch.
///
/// **Law.** If upstream changes at odd epochs only because state was restored, the
/// output accumulates to what the input would without restore and expiry.
pub fn freeze<D: Clone + 'static>(input: Collection<'_, D>) -> Collection<'_, D> {
    input.inner.filter(|(_, time, _)| !is_silent(*time)).as_collection()
}
