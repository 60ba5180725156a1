//! The id of a cart: text outside, two words inside wherever it is a UUID.

use crate::raw::uuid_text;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A cart's id. A UUID is compared, hashed and copied in a few instructions where a text is not; ids that are none are
/// kept as they are.
///
/// **Invariant.** Equal texts are equal ids, and so are all writings of one UUID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CartId(Repr);

/// Two halves instead of a `u128` keep it in three words.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Repr {
    Uuid(u64, u64),
    Text(Box<str>),
}

impl CartId {
    /// The UUID that it is, or its text.
    pub fn parts(&self) -> Result<u128, &str> {
        match &self.0 {
            Repr::Uuid(high, low) => Ok(u128::from(*high) << 64 | u128::from(*low)),
            Repr::Text(text) => Err(text),
        }
    }
}

impl From<u128> for CartId {
    fn from(id: u128) -> CartId {
        CartId(Repr::Uuid((id >> 64) as u64, id as u64))
    }
}

impl From<&str> for CartId {
    fn from(text: &str) -> CartId {
        uuid::Uuid::try_parse(text).map_or_else(|_| CartId(Repr::Text(text.into())), |id| id.as_u128().into())
    }
}

impl fmt::Display for CartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Ok(id) => f.write_str(&uuid_text(id)),
            Err(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for CartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;

    #[test]
    fn a_uuid_is_one_in_each_of_its_writings_and_any_other_text_is_itself() {
        let id = "3f0c2a4e-9a51-4c53-8a0e-6d1c5f6a7b01";
        for writing in [id, "3F0C2A4E-9A51-4C53-8A0E-6D1C5F6A7B01", "3f0c2a4e9a514c538a0e6d1c5f6a7b01"] {
            assert_eq!(CartId::from(writing), CartId::from(id));
            assert_eq!(CartId::from(writing).to_string(), id);
        }
        let texts = ["c-1", "C-1", "1", "3f0c2a4e-9a51-4c53-8a0e-6d1c5f6a7b0", "\u{1F6D2}"];
        for text in texts {
            assert_eq!(CartId::from(text).to_string(), text);
            assert_eq!(texts.iter().filter(|other| CartId::from(**other) == CartId::from(text)).count(), 1);
        }
    }

    /// With a `u128` it would be as large, and aligned to sixteen bytes.
    #[test]
    fn an_id_takes_three_words_and_an_event_no_more_than_before() {
        assert_eq!((size_of::<CartId>(), align_of::<Event>()), (24, 8));
        assert!(size_of::<Event>() <= 80, "{}", size_of::<Event>());
    }
}
