//! Events on their way: where one came from, and what it is.

use serde::{Deserialize, Serialize};
use std::ops::Range;

pub use crate::shop::events::{
    AddedToCart, CatalogContent, CatalogItem, Checkout, Event, EventName, ItemRating, ItemView, Purchase, Registration,
    Sign,
};

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The number of the partition in [`Logs::partitions`](Logs::partitions).
    pub partition: u32,
    /// Its offset there; for files the line.
    pub offset: i64,
    /// Where the worker that read it keeps the bytes until the epoch is closed: batch, record.
    pub slot: (u32, u32),
}

/// An accepted event and where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arrival<E> {
    /// Where from.
    pub origin: Origin,
    /// What.
    pub event: E,
}

/// The logs that records come from.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// Topic and partition of every partition, by its number in [`Origin`].
    pub partitions: Vec<(String, i32)>,
    /// Which of them are one sequence: what is in them comes one after the other, in an order that is
    /// always the same. The others race.
    pub sequence: Range<u32>,
}
