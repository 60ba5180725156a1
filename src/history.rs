//! History, told again as it happened: files in the order of event time, so many rows of each day, at a pace.
//!
//! ```text
//!  files ──▶ sorted runs ──▶ merged, cut by day ──▶ NAME.jsonl, NAME.times ──▶ read at a pace
//! ```
//!
//! The order is a function of the files and of what is asked: a replay that is begun again makes the same lines, and goes on
//! behind those that were told.

mod pace;
mod paced;
mod place;
mod sorted;
mod staged;

pub use pace::{Clock, Pace};
pub use paced::{Paced, Paces};
pub use sorted::{Row, Sorted, Sorter};
pub use staged::{Staged, Times, staged};
