//! The texts of a record, where all its values are such, as they stand in it: what is usual is read of them at once.

use super::mask;
use super::names::Slot;

/// So many slots have a place.
const FEW: usize = 16;

/// Texts by their slots. An empty one is none.
#[derive(Debug, Default)]
pub struct Cells<'a> {
    texts: [&'a [u8]; FEW],
    /// What [`mask::are_plain`] says of all bytes of the record.
    are_plain: bool,
}

impl<'a> Cells<'a> {
    /// Begins a record, unless it is no text; what was put before is gone.
    #[inline]
    pub fn begin(&mut self, record: &[u8]) -> Option<()> {
        *self = Cells { texts: [b""; FEW], are_plain: mask::are_plain(record) };
        (self.are_plain || std::str::from_utf8(record).is_ok()).then_some(())
    }

    /// Puts the text of a field there; tells whether it has a place.
    #[inline]
    pub fn put(&mut self, slot: Slot, text: &'a [u8]) -> bool {
        let place = self.texts.get_mut(slot.0);
        place.map(|place| *place = text).is_some()
    }

    /// The text of a field.
    #[inline]
    pub fn get(&self, slot: Slot) -> &'a [u8] {
        self.texts.get(slot.0).copied().unwrap_or_default()
    }

    /// The text of the first of these fields that has one; an empty one if none does.
    #[inline]
    pub fn first(&self, slots: &[Slot]) -> &'a [u8] {
        slots.iter().map(|slot| self.get(*slot)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// Whether one of the texts is plain.
    #[inline]
    pub fn is_plain(&self, text: &[u8]) -> bool {
        self.are_plain || mask::are_plain(text)
    }
}
