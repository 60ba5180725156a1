//! The texts of a record, where all its values are such, as they stand in it: what is usual is read of them at once.

use super::names::Slot;

/// So many slots have a place.
const FEW: usize = 16;

/// Texts by their slots. An empty one is none.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a>([&'a str; FEW]);

impl Default for Cells<'_> {
    fn default() -> Self {
        Cells([""; FEW])
    }
}

impl<'a> Cells<'a> {
    /// Puts the text of a field there; tells whether it has a place.
    #[inline]
    pub fn put(&mut self, slot: Slot, text: &'a str) -> bool {
        let place = self.0.get_mut(slot.0);
        place.map(|place| *place = text).is_some()
    }

    /// The text of a field.
    #[inline]
    pub fn get(&self, slot: Slot) -> &'a str {
        self.0.get(slot.0).copied().unwrap_or_default()
    }

    /// The text of the first of these fields that has one; an empty one if none does.
    #[inline]
    pub fn first(&self, slots: &[Slot]) -> &'a str {
        slots.iter().map(|slot| self.get(*slot)).find(|text| !text.is_empty()).unwrap_or_default()
    }
}
