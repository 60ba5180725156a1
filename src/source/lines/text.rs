//! Bytes to UTF-8. Most files are in it already; UTF-16 is known by its mark, or by its zeros.

use super::packed::{Damage, Got, Packed};
use encoding_rs::{Decoder, UTF_16BE, UTF_16LE};
use std::collections::VecDeque;

/// How the text of a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Bytes as they are: UTF-8, or, in catalogs, whatever else keeps line ends.
    AsIs,
    /// The lower byte first.
    Utf16Le,
    /// The higher byte first.
    Utf16Be,
}

/// So many first units are looked at for zeros.
const UNITS: usize = 64;

impl Encoding {
    /// Of a file that begins so.
    pub(super) fn of(head: &[u8]) -> Encoding {
        match head {
            [0xFF, 0xFE, ..] => return Encoding::Utf16Le,
            [0xFE, 0xFF, ..] => return Encoding::Utf16Be,
            _ => {}
        }
        // Names of fields are ASCII, whatever their values are: half of the higher bytes are zero at least.
        let units: Vec<_> = head.chunks_exact(2).take(UNITS).collect();
        let zeros = |place: usize| units.iter().filter(|unit| unit[place] == 0).count();
        let (first, second) = (zeros(0), zeros(1));
        match units.first() {
            Some([_, 0]) if first == 0 && second * 2 >= units.len() => Encoding::Utf16Le,
            Some([0, _]) if second == 0 && first * 2 >= units.len() => Encoding::Utf16Be,
            _ => Encoding::AsIs,
        }
    }
}

/// UTF-16 on its way to UTF-8. What is not UTF-16, such as half a unit at the end, becomes U+FFFD.
pub(super) struct Utf16 {
    decoder: Decoder,
    raw: Vec<u8>,
    at: usize,
    end: usize,
    /// Up to where in `raw` the bytes are known to be sound.
    sound: VecDeque<usize>,
    /// Nothing more comes, and the decoder was told.
    closed: bool,
}

impl Utf16 {
    /// Goes on from what was already read: the first `end` of `raw`.
    pub(super) fn new(encoding: Encoding, raw: Vec<u8>, end: usize, sound: VecDeque<usize>) -> Utf16 {
        let encoding = if encoding == Encoding::Utf16Be { UTF_16BE } else { UTF_16LE };
        Utf16 { decoder: encoding.new_decoder_without_bom_handling(), raw, at: 0, end, sound, closed: false }
    }

    /// As [`Packed::read`]; `out` has room for some characters at least.
    pub(super) fn read(&mut self, packed: &mut Packed, out: &mut [u8]) -> Result<Got, Damage> {
        while !self.closed {
            let limit = self.sound.front().copied().unwrap_or(self.end);
            if self.at < limit {
                let written = self.decode(limit, out, false);
                if written > 0 {
                    return Ok(Got::Bytes(written));
                }
                continue;
            }
            if self.sound.pop_front().is_some() {
                return Ok(Got::Sound);
            }
            match packed.read(&mut self.raw)? {
                Got::Bytes(bytes) => (self.at, self.end) = (0, bytes),
                got @ (Got::Sound | Got::Nothing) => return Ok(got),
                Got::End => {
                    self.closed = true;
                    let written = self.decode(self.at, out, true);
                    if written > 0 {
                        return Ok(Got::Bytes(written));
                    }
                }
            }
        }
        Ok(Got::End)
    }

    fn decode(&mut self, limit: usize, out: &mut [u8], last: bool) -> usize {
        let (_, read, written, _) = self.decoder.decode_to_utf8(&self.raw[self.at..limit], out, last);
        self.at += read;
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_known_by_its_mark_or_its_zeros() {
        let units = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        let catalog = "ITEM 1\r\nTitle=Не покидай\r\n";
        for text in ["\u{FEFF}{\"a\":1}\n", "{\"a\":1}\n", " \n{\"title\":\"日本\"}\n", catalog, "{}", "{"] {
            assert_eq!(Encoding::of(&units(text, u16::to_le_bytes)), Encoding::Utf16Le, "{text:?}");
            assert_eq!(Encoding::of(&units(text, u16::to_be_bytes)), Encoding::Utf16Be, "{text:?}");
            assert_eq!(Encoding::of(text.as_bytes()), Encoding::AsIs, "{text:?}");
        }
        for other in [&b""[..], b"{", b"\0", &[0; 200], b"{}\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"a\0\0\0b\0\0\0"] {
            assert_eq!(Encoding::of(other), Encoding::AsIs, "{other:?}");
        }
    }
}
