//! 128 bits that stand for bytes: SipHash-2-4 of 128 bits, as its authors define it.
//!
//! What is forgotten by its hash must hash alike in every run and every version of the compiler. The standard library's
//! hashes have 64 bits, and promise neither.

/// The hash of bytes by a key.
pub fn hash(key: [u64; 2], bytes: &[u8]) -> u128 {
    let mut state = State([
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ]);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        state.take(word);
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    last[7] = bytes.len() as u8;
    state.take(&last);
    state.0[2] ^= 0xee;
    let low = state.finish();
    state.0[1] ^= 0xdd;
    let high = state.finish();
    u128::from(high) << 64 | u128::from(low)
}

struct State([u64; 4]);

impl State {
    fn take(&mut self, word: &[u8]) {
        let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        self.0[3] ^= word;
        (0..2).for_each(|_| self.round());
        self.0[0] ^= word;
    }

    fn finish(&mut self) -> u64 {
        (0..4).for_each(|_| self.round());
        self.0.iter().fold(0, |all, word| all ^ word)
    }

    fn round(&mut self) {
        let State([a, b, c, d]) = self;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_what_its_authors_publish() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let published: [[u8; 16]; 2] = [
            [0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93],
            [0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45],
        ];
        for (bytes, published) in [&[][..], &[0][..]].iter().zip(published) {
            assert_eq!(hash(key, bytes), u128::from_le_bytes(published));
        }
        let long: Vec<u8> = (0..64).collect();
        let all: BTreeSet<_> = (0..64).map(|length| hash(key, &long[..length])).collect();
        assert_eq!(all.len(), 64);
    }
}
