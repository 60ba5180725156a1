//! Numbers of which there nearly always are a few.

use smallvec::SmallVec;

/// A list that stands where it is owned, as long as it is short: no allocation. Seven are eight words with what stands in front of
/// them; what the metrics of a shop count and sum, and the steps of a funnel, are as many or fewer.
pub type Few<T> = SmallVec<[T; 7]>;
