//! The families of events that this program has: today one, the movie shop.

pub use dataflows::shop::events::{Event, FAMILY, Rules, TOPICS};

use dataflows::family::Catalogue;
use dataflows::shop::{MovieShop, events};
use dataflows::wire::Reason;
use std::sync::LazyLock;

static ALL: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(&[&MovieShop]));

/// All of them: one line each.
pub fn all() -> Catalogue {
    *ALL
}

/// Every reason for which a record may be rejected.
pub fn reasons() -> impl Iterator<Item = Reason> {
    Reason::KERNEL.iter().copied().chain(events::reasons())
}

/// The reason of a code.
pub fn reason_of(code: &str) -> Option<Reason> {
    reasons().find(|reason| reason.code() == code)
}

/// A table of theirs.
///
/// # Panics
/// If there is none of that name.
#[cfg(test)]
pub(crate) fn table(name: &str) -> dataflows::table::TableId {
    all().by_name(name).unwrap_or_else(|| panic!("there is no table `{name}`"))
}
