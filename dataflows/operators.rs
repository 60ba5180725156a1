//! The operators that differential does not have, one file and one law each.

mod distinct;
mod finality;
mod freeze;
mod hear;
mod late_split;
mod merge;
mod once;
mod per_epoch;
mod sequence;
mod totals;
mod watermark;
mod witness;

pub use distinct::distinct;
pub use finality::finality;
pub use freeze::freeze;
pub use hear::hear;
pub use late_split::{Judged, LateEvent, LateSplit, Route, Tap};
pub use merge::merge;
pub use once::{Met, once, once_at_once};
pub use per_epoch::{Epoch, per_epoch};
pub use sequence::{Mark, Sequence};
pub use totals::{Totals, totals};
pub use watermark::{AsOf, Pace, Report, Status, Watermarks, watermark};
pub use witness::TopTwo;
