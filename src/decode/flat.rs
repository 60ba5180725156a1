//! Objects of JSON as nearly all records are: single values, and objects of such where their fields are read. They are
//! read in one pass, each value to where it is kept. Whatever else there is, a list, a number with an exponent, what is
//! no JSON, is not read here: `serde_json` reads it, or says what is wrong.

use dataflows::wire::number::eight_digits;
use dataflows::wire::scalar::Scalar;
use dataflows::wire::{Kind, Names, Set, Slot, Wire};
use std::borrow::Cow;

/// Reads the fields of all events in a datum, and tells whether it is such an object. If it is not, some may have been
/// read.
///
/// **Law.** What is read here is what `serde_json` reads.
#[inline]
pub(super) fn read<'a>(datum: &'a [u8], wire: &mut Wire<'_, 'a>) -> bool {
    std::str::from_utf8(datum).is_ok_and(|text| Cursor { text, at: 0 }.all(wire).is_some())
}

/// A text, and how far it is read.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes behind what stands between values: a space, or nothing, nearly always.
    #[inline(always)]
    fn white(&mut self) {
        self.at += usize::from(self.next() == Some(b' '));
        if self.next().is_some_and(|byte| byte <= b' ') {
            self.much_white();
        }
    }

    #[cold]
    fn much_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.next() {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        let is_there = self.next() == Some(byte);
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    /// An object, and nothing else.
    fn all(mut self, wire: &mut Wire<'_, 'a>) -> Option<()> {
        self.white();
        self.object(wire.names(), Set::ALL, wire)?;
        self.white();
        (self.at == self.text.len()).then_some(())
    }

    /// Objects lie in each other as deep as the names of a family say.
    fn object(&mut self, names: &Names, set: Set, wire: &mut Wire<'_, 'a>) -> Option<()> {
        wire.make_room(set);
        self.take(b'{')?;
        let mut before = None;
        loop {
            self.white();
            let slot = self.name(names, set, before)?;
            before = slot.or(before);
            self.white();
            self.take(b':')?;
            self.white();
            match slot.map(|slot| (slot, names.kind(slot))) {
                None => self.value(wire, None)?,
                Some((slot, Kind::Text | Kind::Address | Kind::Plain | Kind::Instant)) => {
                    self.value(wire, Some(slot))?;
                }
                Some((slot, Kind::Object(inner))) => {
                    self.object(names, inner, wire)?;
                    wire.keep(slot, None);
                }
                Some((_, Kind::Texts | Kind::Attributes)) => return None,
            }
            self.white();
            match self.next()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.take(b'}')
    }

    /// The field that is named here, if it is read.
    #[inline(always)]
    fn name(&mut self, names: &Names, set: Set, before: Option<Slot>) -> Option<Option<Slot>> {
        // In a name that was found nothing is escaped.
        if let [b'"', rest @ ..] = &self.text.as_bytes()[self.at..]
            && let Some((slot, bytes)) = names.guess(set, before, rest)
            && rest.get(bytes) == Some(&b'"')
        {
            self.at += bytes + 2;
            return Some(Some(slot));
        }
        let slot = names.find(set, self.plain()?);
        slot.into_iter().for_each(|slot| names.stands_behind(before, slot));
        Some(slot)
    }

    /// A single value, which may be null, to where it is kept, if it is. Each kind of value goes there by itself: to be put
    /// together first and be moved then takes longer than to be read.
    #[inline(always)]
    fn value(&mut self, wire: &mut Wire<'_, 'a>, slot: Option<Slot>) -> Option<()> {
        match self.next()? {
            b'"' => {
                let start = self.at;
                match self.plain() {
                    Some(text) => keep(wire, slot, Some(Scalar::Text(Cow::Borrowed(text)))),
                    None => self.escaped(start, wire, slot)?,
                }
            }
            b'-' | b'0'..=b'9' => self.number(wire, slot)?,
            b't' => self.word("true", Some(Scalar::Bool(true)), wire, slot)?,
            b'f' => self.word("false", Some(Scalar::Bool(false)), wire, slot)?,
            b'n' => self.word("null", None, wire, slot)?,
            _ => return None,
        }
        Some(())
    }

    #[inline(never)]
    fn word(
        &mut self,
        word: &str,
        value: Option<Scalar<'a>>,
        wire: &mut Wire<'_, 'a>,
        slot: Option<Slot>,
    ) -> Option<()> {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then(|| keep(wire, slot, value))
    }

    /// A text between its quotes, if nothing in it is escaped.
    #[inline(always)]
    fn plain(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        self.at += special(&self.text.as_bytes()[start..])?;
        let text = self.text.get(start..self.at)?;
        self.take(b'"')?;
        Some(text)
    }

    /// A text between its quotes, in which something is escaped.
    #[cold]
    fn escaped(&mut self, start: usize, wire: &mut Wire<'_, 'a>, slot: Option<Slot>) -> Option<()> {
        let bytes = self.text.as_bytes();
        self.at = start + 1;
        loop {
            self.at += special(&bytes[self.at.min(bytes.len())..])?;
            match self.next()? {
                b'"' => break,
                // What it escapes may be a quote.
                b'\\' => self.at += 2,
                _ => return None,
            }
        }
        self.at += 1;
        let text: String = serde_json::from_str(&self.text[start..self.at]).ok()?;
        keep(wire, slot, Some(Scalar::Text(Cow::Owned(text))));
        Some(())
    }

    /// A number without an exponent.
    #[inline(always)]
    fn number(&mut self, wire: &mut Wire<'_, 'a>, slot: Option<Slot>) -> Option<()> {
        let start = self.at;
        let is_negative = self.take(b'-').is_some();
        let mut digits = 0;
        let whole = self.digits(&mut digits)?;
        let begins_with_zero = self.text.as_bytes()[self.at - digits] == b'0';
        // No number of 64 bits has more than these.
        if digits > WHOLE_DIGITS || (begins_with_zero && digits > 1) {
            return None;
        }
        match (self.next(), i64::try_from(whole)) {
            (Some(b'.'), _) => {
                let double = self.fraction(start, (is_negative, whole, digits))?;
                keep(wire, slot, Some(Scalar::Double(double)));
            }
            (Some(b'e' | b'E'), _) => return None,
            (_, Ok(whole)) if !is_negative => keep(wire, slot, Some(Scalar::Long(whole))),
            (_, Err(_)) if !is_negative => keep(wire, slot, Some(Scalar::Huge(whole))),
            (_, Ok(whole)) if whole > 0 => keep(wire, slot, Some(Scalar::Long(-whole))),
            // A zero with a sign is a double.
            (_, Ok(_) | Err(_)) => return None,
        }
        Some(())
    }

    /// What follows the point of a number.
    #[inline(always)]
    fn fraction(&mut self, start: usize, (is_negative, whole, digits): (bool, u64, usize)) -> Option<f64> {
        self.at += 1;
        let mut decimals = 0;
        let part = self.digits(&mut decimals)?;
        if let Some(b'e' | b'E') = self.next() {
            return None;
        }
        if digits + decimals > EXACT_DIGITS {
            // Correctly rounded, as `serde_json` does it.
            return self.text[start..self.at].parse().ok();
        }
        // Both are exact as doubles, so that their quotient is the double that is nearest.
        let power = POWERS[decimals];
        let unsigned = (whole * power + part) as f64 / power as f64;
        Some(if is_negative { -unsigned } else { unsigned })
    }

    /// A number of one digit or more, which are counted; of very many digits some number.
    #[inline(always)]
    fn digits(&mut self, count: &mut usize) -> Option<u64> {
        let start = self.at;
        let mut number = 0u64;
        while let Some(eight) = self.text.as_bytes()[self.at..].first_chunk().and_then(|bytes| eight_digits(*bytes)) {
            number = number.wrapping_mul(100_000_000).wrapping_add(eight);
            self.at += 8;
        }
        while let Some(digit @ b'0'..=b'9') = self.next() {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        *count = self.at - start;
        (*count > 0).then_some(number)
    }
}

/// Keeps a value, if its field is read.
#[inline(always)]
fn keep<'a>(wire: &mut Wire<'_, 'a>, slot: Option<Slot>, value: Option<Scalar<'a>>) {
    if let Some(slot) = slot {
        wire.keep(slot, value);
    }
}

/// Any number of so many digits fits into 64 bits.
const WHOLE_DIGITS: usize = 19;
/// And of so many into the 53 bits that a double holds exactly.
const EXACT_DIGITS: usize = 15;

const POWERS: [u64; EXACT_DIGITS + 1] = {
    let (mut powers, mut place) = ([1; EXACT_DIGITS + 1], 1);
    while place < powers.len() {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

/// In each byte of a word a one, and the highest bit of each.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Where the first byte stands that ends a text, begins an escape, or may not stand in a text. Eight are looked at at a time:
/// of the bits that are found, those behind the first may be wrong.
#[inline(always)]
fn special(bytes: &[u8]) -> Option<usize> {
    let is_below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
    let (words, rest) = bytes.as_chunks();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let is = |byte: u8| is_below(word ^ (ONES * u64::from(byte)), 1);
        let found = (is_below(word, b' ') | is(b'"') | is(b'\\')) & HIGH;
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
    Some(bytes.len() - rest.len() + found)
}

#[cfg(test)]
mod tests;
