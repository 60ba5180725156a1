//! What goes into a dataflow, and what comes out.

use crate::Stream;
use crate::events::Logs;
use crate::lane::Changes;
use crate::operators::{LateEvent, Mark, Pace, Report};
use crate::raw::Append;
use crate::time::Instant;
use std::cell::Cell;
use std::rc::Rc;

/// What goes in other than events.
pub struct Inputs<'s> {
    /// Where events come from.
    pub logs: Logs,
    /// What is known of the partitions at the close of each epoch.
    pub reports: Stream<'s, Report>,
    /// What each worker decoded of the sequence, if there is one and it matters.
    pub marks: Stream<'s, Mark>,
}

/// What comes out.
pub struct Outputs<'s> {
    /// Changes of the upsert tables, at even epochs only, each with the rows of the keys that live at this worker.
    pub changes: Changes,
    /// Nothing: what has left an epoch behind here has all its changes.
    pub closed: Stream<'s, ()>,
    /// Rows of the raw tables.
    pub raw: Stream<'s, Append>,
    /// Accepted events, of a family that says them, as [`crate::raw::clean`] makes them: of those that are repeated in
    /// time one, and each that is late.
    pub clean: Option<Stream<'s, Append>>,
    /// Events that came too late.
    pub late: Stream<'s, LateEvent>,
    /// The watermark at each epoch in which it changed, on every worker.
    pub watermarks: Stream<'s, Instant>,
    /// Where it is going, at each epoch in which either changed, on every worker.
    pub targets: Stream<'s, Instant>,
    /// How far this worker's watermark has come.
    pub pace: Rc<Cell<Pace>>,
}
