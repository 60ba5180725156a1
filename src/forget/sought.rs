//! Whom a text names, family by family.

use dataflows::family::{Catalogue, FamilyId};
use dataflows::persons::Id;

/// Whom a family is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Which family.
    pub family: FamilyId,
    /// Whom.
    pub person: Id,
}

/// Whom a text names: in one family, or in each in which it can name somebody.
pub fn sought(catalogue: Catalogue, said: &str, only: Option<FamilyId>) -> Vec<Sought> {
    let asked = catalogue.families().iter().copied().filter(|family| only.is_none_or(|only| only == *family));
    asked.filter_map(|family| family.person(said).map(|person| Sought { family, person })).collect()
}
