//! The operators that differential does not have, one file and one law each.

mod expire;
mod finality;
mod freeze;
mod late_split;
mod merge;
mod versions;
mod watermark;

pub use expire::{Expire, expire};
pub use finality::finality;
pub use freeze::freeze;
pub use late_split::{Judged, LateEvent, Split, late_split};
pub use merge::merge;
pub use versions::{Version, in_force};
pub use watermark::{AsOf, Report, Status, watermark};
