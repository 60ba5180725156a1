//! The movie shop: a family of events.

pub mod events;
pub mod price;
