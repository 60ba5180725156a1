//! What comes in, before it is an event: fields by their names, values of any type, and the one reader each of
//! numbers, instants, money and texts. A family says which fields its events have and what each event needs of them
//! ([`Vocabulary`]); the formats that fields are written in are read outside.

pub mod bounds;
mod cells;
mod fields;
pub mod instant;
pub mod mask;
pub mod money;
mod names;
mod nearest;
pub mod number;
mod reason;
pub mod scalar;
pub mod texts;
mod vocabulary;
pub mod when;
mod written;

pub use cells::Cells;
pub use fields::Wire;
pub use names::{Called, Fields, Kind, Names, Set, Slot, TwoWays, sounds_like};
pub use nearest::nearest;
pub use reason::{Broken, Reason, Rejection, Several};
pub use vocabulary::{
    Accept, Alias, Clock, EVENT_NAME, Flaw, Page, Record, Spoken, TIMESTAMP, TimeRules, Topic, Vocabulary, event_time,
    may_have_happened,
};
pub use written::{Write, Written};
