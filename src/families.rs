//! The families of events that this program has: today one, the movie shop.

pub use dataflows::shop::events::{Event, FAMILY, Rules, TOPICS};

use dataflows::shop::events;
use dataflows::wire::Reason;

/// Every reason for which a record may be rejected.
pub fn reasons() -> impl Iterator<Item = Reason> {
    Reason::KERNEL.iter().copied().chain(events::reasons())
}

/// The reason of a code.
pub fn reason_of(code: &str) -> Option<Reason> {
    reasons().find(|reason| reason.code() == code)
}
