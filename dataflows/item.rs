//! The id of an item: text outside, a number inside wherever it is one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An item's id. Catalogs number their items, and a number is compared, hashed and copied in a
/// few instructions where a text is not; ids that are not numbers are kept as they are.
///
/// **Invariant.** Equal texts are equal ids: a number is only what is written as that number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Repr {
    Number(u64),
    Text(Box<str>),
}

/// Longer texts may not fit into a `u64`; none of them is taken for a number.
const DIGITS_MAX: usize = 19;

fn number(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    let canonical = !digits.is_empty() && digits.len() <= DIGITS_MAX && (digits[0] != b'0' || digits.len() == 1);
    if !canonical {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

impl ItemId {
    /// The number that it is, or its text.
    pub fn parts(&self) -> Result<u64, &str> {
        match &self.0 {
            Repr::Number(number) => Ok(*number),
            Repr::Text(text) => Err(text),
        }
    }

    /// The id of its parts.
    pub fn of(parts: Result<u64, &str>) -> ItemId {
        ItemId(parts.map_or_else(|text| Repr::Text(text.into()), Repr::Number))
    }
}

impl From<&str> for ItemId {
    fn from(text: &str) -> ItemId {
        ItemId(number(text).map_or_else(|| Repr::Text(text.into()), Repr::Number))
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "{number}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_was_written_and_only_equal_texts_are_equal() {
        let texts = ["0", "7", "548552", "9999999999999999999", "10000000000000000000", "007", "-1", "", "B00X", "1 "];
        for text in texts {
            assert_eq!(ItemId::from(text).to_string(), text);
            assert_eq!(texts.iter().filter(|other| ItemId::from(**other) == ItemId::from(text)).count(), 1);
        }
        assert_eq!(size_of::<ItemId>(), 16);
    }
}
