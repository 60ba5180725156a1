#![doc = include_str!("README.md")]
// A new variant is met by the compiler everywhere, never swallowed by an arm for the rest.
#![deny(clippy::wildcard_enum_match_arm)]

// In the order in which data flows.
pub mod time;
pub mod window;

pub mod wire;

mod dense;
pub mod events;
pub mod hash;
pub mod item;
pub mod operators;
pub mod state;

pub mod shop;

pub mod raw;
pub mod table;

pub mod active_sessions;
pub mod checkouts;
pub mod movie_sale_lines;
pub mod movie_sales_metrics;
pub mod movie_statistics;
pub mod movies_catalog;
pub mod registrations;
pub mod session_metrics;
pub mod user_activity;
pub mod user_segments;
pub mod users;
pub mod users_per_window;

pub mod flow;
pub mod forgotten;

pub use flow::{Inputs, Outputs, build};
pub use time::{Instant, Settings, Time};

/// A differential collection on our one time type.
pub type Collection<'s, D> = differential_dataflow::VecCollection<'s, Time, D, isize>;
/// A timely stream on our one time type.
pub type Stream<'s, D> = timely::dataflow::StreamVec<'s, Time, D>;
