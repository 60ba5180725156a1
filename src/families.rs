//! The families this program has.

use dataflows::family::Catalogue;
use dataflows::shop::MovieShop;
use std::sync::LazyLock;

static ALL: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(&[&MovieShop]));

/// All of them: one line each.
pub fn all() -> Catalogue {
    *ALL
}

/// A table of theirs.
///
/// # Panics
/// If there is none of that name.
#[cfg(test)]
pub(crate) fn table(name: &str) -> dataflows::table::TableId {
    all().by_name(name).unwrap_or_else(|| panic!("there is no table `{name}`"))
}
