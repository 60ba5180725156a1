//! The operators that differential does not have, one file and one law each.

pub mod carts;
mod distinct;
mod finality;
mod freeze;
mod late_split;
mod merge;
pub mod minutes;
mod per_epoch;
pub mod prices;
pub mod segments;
mod sequence;
pub mod sessions;
mod totals;
mod versions;
mod watermark;
mod witness;

pub use carts::{Cart, CartEvent, CartFact, InCart, Line, carts};
pub use distinct::distinct;
pub use finality::finality;
pub use freeze::freeze;
pub use late_split::{Deed, Did, LateEvent, Split, late_split};
pub use merge::merge;
pub use per_epoch::{Epoch, per_epoch};
pub use prices::{OfItem, PricePoint, PricedLine, prices};
pub use sequence::{Mark, Sequence};
pub use sessions::{SignAt, sessions};
pub use totals::{Totals, totals};
pub use versions::{Prices, Version, in_force};
pub use watermark::{AsOf, Pace, Report, Status, Watermarks, watermark};
pub use witness::TopTwo;
