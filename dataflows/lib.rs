#![doc = include_str!("README.md")]
// A new variant is met by the compiler everywhere, never swallowed by an arm for the rest.
#![deny(clippy::wildcard_enum_match_arm)]

// In the order in which data flows.
pub mod time;
pub mod window;

pub mod wire;

mod broken;
pub mod delta;
pub mod deltas;
mod dense;
pub mod events;
pub mod hash;
pub mod item;
pub mod operators;
pub mod packed;
mod places;
pub mod sip;
pub mod state;

pub mod quality;
pub mod raw;
pub mod table;

pub mod family;
pub mod flow;
pub mod gate;
pub mod lane;
pub mod persons;

pub mod declared;
pub mod shop;

pub use flow::{Inputs, Outputs};
pub use operators::freeze;
pub use time::{Instant, Settings, Time};

/// A differential collection on our one time type.
pub type Collection<'s, D> = differential_dataflow::VecCollection<'s, Time, D, isize>;
/// A timely stream on our one time type.
pub type Stream<'s, D> = timely::dataflow::StreamVec<'s, Time, D>;
