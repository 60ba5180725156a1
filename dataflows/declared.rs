//! Families and metrics that are declared in files, and not in this program.
//!
//! A model says what they are, typed ([`plan`]): the one form that the dataflow runs, and that SQL is printed of. An event
//! is a packed [`row`]. Those that are repeated go ([`once`](crate::operators::once)), what an epoch says of groups is folded ([`fold`]) by
//! evaluating expressions ([`eval`]), and groups are kept and their rows said again when they change ([`rollup`]);
//! [`sessions`] grow and join meanwhile. That is three operators a family, whatever the number of its [`metrics`]; where any
//! is computed of rows, these are folded and kept once more, and so are events of which something is asked that later ones
//! [answer](`answers`). Events are those of a declared [`family`], or of
//! one that is written in this program.

// In the order in which data flows.
pub mod plan;
pub mod reading;
pub mod row;
pub mod walk;

pub mod encode;
pub mod eval;
mod few;
pub mod said;

pub mod aggregate;
pub mod answers;
pub mod conditions;
pub mod decided;
mod endings;
pub mod fold;
pub mod funnel;
pub mod once;
pub mod rollup;
pub mod rows;
pub mod sessions;
mod touched;

pub mod metrics;

pub mod family;
