//! The families of events that this program has: today one, the movie shop.

pub use dataflows::shop::events::{Event, FAMILY, TOPICS};

use dataflows::family::{Catalogue, FamilyId};
use dataflows::shop::MovieShop;
use dataflows::wire::{Names, Reason};
use std::sync::LazyLock;

static ALL: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(&[&MovieShop]));

/// All of them: one line each.
pub fn all() -> Catalogue {
    *ALL
}

/// The movie shop. Before anything named its family, it was of this one.
pub const SHOP: FamilyId = FamilyId(&MovieShop);

/// The names of the fields of each family's events.
pub fn names() -> impl Iterator<Item = &'static Names> {
    all().families().iter().map(|family| family.names())
}

/// Every reason for which a record may be rejected.
pub fn reasons() -> impl Iterator<Item = Reason> {
    Reason::KERNEL.iter().copied().chain(all().families().iter().flat_map(|family| family.reasons()))
}

/// A table of theirs.
///
/// # Panics
/// If there is none of that name.
#[cfg(test)]
pub(crate) fn table(name: &str) -> dataflows::table::TableId {
    all().by_name(name).unwrap_or_else(|| panic!("there is no table `{name}`"))
}
