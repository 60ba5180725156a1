//! What the lines of a file add up to: two files of one content have the same, whatever they are packed in.

use crate::source::content::Line;

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sum of 96 bits over lines: 32 are CRC-32, which is not enough to tell half a million files apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Digest {
    crc: u32,
    folded: u64,
}

impl Digest {
    /// Takes in a line, or the beginning of one that is too long.
    pub(super) fn add(&mut self, line: Line, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        self.fold(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        self.fold(line.bytes);
        self.crc = line.sum;
    }

    fn fold(&mut self, word: u64) {
        self.folded = (self.folded ^ word).wrapping_mul(ODD).rotate_left(29);
    }

    /// As it is written down.
    pub(super) fn text(self) -> String {
        format!("{:08x}{:016x}", self.crc, self.folded)
    }

    /// As it was written down.
    pub(super) fn read(text: &str) -> Option<Digest> {
        let (crc, folded) = text.split_at_checked(8)?;
        Some(Digest { crc: u32::from_str_radix(crc, 16).ok()?, folded: u64::from_str_radix(folded, 16).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn contents_that_differ_have_other_sums() {
        let line = |sum, bytes: &[u8]| Line { number: 1, sum, ended: true, bytes: bytes.len() as u64 };
        let mut seen = BTreeMap::new();
        for first in ["", "a", "b", "ab", "abcdefgh", "abcdefgha", "aabcdefgh"] {
            for second in ["", "a", "b", "\0", "abcdefgh", "hgfedcba"] {
                // As if CRC-32 were the same of all.
                let mut digest = Digest::default();
                digest.add(line(7, first.as_bytes()), first.as_bytes());
                digest.add(line(7, second.as_bytes()), second.as_bytes());
                assert_eq!(Digest::read(&digest.text()), Some(digest));
                assert_eq!(seen.insert(digest.text(), (first, second)), None, "{first:?} {second:?}");
            }
        }
        assert_eq!(Digest::read("7"), None);
    }
}
