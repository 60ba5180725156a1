//! Values as bytes whose order is that of the values: what groups, sets and extremes are kept by.

use crate::declared::eval::Columns;
use crate::declared::row::{Bare, Datum, Row};
use crate::persons::Id;
use crate::time::Instant;
use std::borrow::Cow;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const INSTANT: u8 = 4;
const TEXT: u8 = 5;
/// A number that says who somebody is. It has a kind of its own for `forget` to find it without the model.
const PERSON: u8 = 6;
/// A text that does.
const PERSON_TEXT: u8 = 7;

/// Ends a text.
const END: u8 = 0;
/// Stands before what else would be an end, or this: then one more than it.
const ESCAPE: u8 = 1;

const SIGN: u64 = 1 << 63;

/// Adds a value: what it is, then the value, the first difference deciding. `is_person`: it says who somebody is. In
/// what follows it, no value is taken for a part of it.
pub fn push(value: &Datum<'_>, is_person: bool, out: &mut Vec<u8>) {
    push_bare(value.into(), is_person, out);
}

/// Adds what a column holds.
pub fn push_column(row: &impl Columns, place: usize, is_person: bool, out: &mut Vec<u8>) {
    push_bare(row.bare(place), is_person, out);
}

/// What all columns of an event hold, as it would be added, one behind the other: in `spare`, which keeps its memory.
pub fn of_row<'s>(row: &Row, spare: &'s mut Vec<u8>) -> &'s [u8] {
    // Each column takes a byte and a word at the most, or a text and two bytes.
    let room = row.columns() * (1 + size_of::<u64>()) + row.texts().len();
    if spare.len() < room {
        spare.resize(room, 0);
    }
    match write_plain(row, spare) {
        Some(end) => &spare[..end],
        None => {
            spare.clear();
            row.all().for_each(|value| push_bare(value, false, spare));
            spare
        }
    }
}

/// Writes the same, and tells where it ends, if nothing in a text must be escaped: nearly all events.
fn write_plain(row: &Row, room: &mut [u8]) -> Option<usize> {
    if has_special(row.texts()) {
        return None;
    }
    let mut at = 0;
    for value in row.all() {
        let out = room.get_mut(at..)?;
        at += match value {
            Bare::Null => write_kind(out, NULL)?,
            Bare::Boolean(value) => write_kind(out, if value { TRUE } else { FALSE })?,
            Bare::Number(number) => write_word(out, NUMBER, number)?,
            Bare::Instant(at) => write_word(out, INSTANT, at)?,
            Bare::Text(text) => {
                let (kind, out) = out.split_first_mut()?;
                let (into, out) = out.split_at_mut_checked(text.len())?;
                into.copy_from_slice(text);
                (*kind, *out.first_mut()?) = (TEXT, END);
                text.len() + 2
            }
        };
    }
    Some(at)
}

fn write_kind(out: &mut [u8], kind: u8) -> Option<usize> {
    *out.first_mut()? = kind;
    Some(1)
}

fn write_word(out: &mut [u8], kind: u8, word: i64) -> Option<usize> {
    let [first, into @ ..] = out.first_chunk_mut::<{ 1 + size_of::<u64>() }>()?;
    (*first, *into) = (kind, ordered(word));
    Some(1 + size_of::<u64>())
}

/// A number as bytes whose order is that of numbers.
fn ordered(word: i64) -> [u8; size_of::<u64>()] {
    (word as u64 ^ SIGN).to_be_bytes()
}

#[inline]
fn push_bare(value: Bare<'_>, is_person: bool, out: &mut Vec<u8>) {
    let mut word = |kind: u8, word: i64| {
        let mut bytes = [kind; 1 + size_of::<u64>()];
        bytes[1..].copy_from_slice(&ordered(word));
        out.extend_from_slice(&bytes);
    };
    match value {
        Bare::Null => out.push(NULL),
        Bare::Boolean(value) => out.push(if value { TRUE } else { FALSE }),
        Bare::Number(number) => word(if is_person { PERSON } else { NUMBER }, number),
        Bare::Instant(at) => word(INSTANT, at),
        Bare::Text(text) => {
            out.push(if is_person { PERSON_TEXT } else { TEXT });
            escaped(text, out);
            out.push(END);
        }
    }
}

fn escaped(text: &[u8], out: &mut Vec<u8>) {
    if !has_special(text) {
        return out.extend_from_slice(text);
    }
    for byte in text {
        if *byte <= ESCAPE {
            out.push(ESCAPE);
        }
        out.push(if *byte <= ESCAPE { byte + 1 } else { *byte });
    }
}

/// Takes the first value off, if there is one.
pub fn next<'a>(bytes: &mut &'a [u8]) -> Option<Datum<'a>> {
    let (kind, rest) = bytes.split_first()?;
    let mut rest = rest;
    let mut word = || {
        let (word, behind) = rest.split_first_chunk()?;
        rest = behind;
        Some((u64::from_be_bytes(*word) ^ SIGN) as i64)
    };
    let value = match *kind {
        NULL => Datum::Null,
        FALSE => Datum::Boolean(false),
        TRUE => Datum::Boolean(true),
        NUMBER | PERSON => Datum::Number(word()?),
        INSTANT => Datum::Instant(word()?),
        TEXT | PERSON_TEXT => {
            // Nearly all texts: nothing in them is escaped.
            let end = first_special(rest)?;
            let is_plain = rest[end] == END;
            let end = if is_plain { end } else { end + rest[end..].iter().position(|byte| *byte == END)? };
            let text = &rest[..end];
            rest = &rest[end + 1..];
            Datum::Text(if is_plain { std::str::from_utf8(text).ok()?.into() } else { unescaped(text)? })
        }
        _ => return None,
    };
    *bytes = rest;
    Some(value)
}

/// Whether a byte is in a text that ends one or escapes one. Eight at once are looked at, and of a text that has so many the
/// last eight, whether some of them were before or not.
#[inline]
fn has_special(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xFF;
    const SPECIAL: u64 = ONES * (ESCAPE as u64 + 1);
    // The upper bit of some byte, if any is less.
    let less = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        word.wrapping_sub(SPECIAL) & !word & (ONES << 7)
    };
    let Some(last) = text.last_chunk() else { return text.iter().any(|byte| *byte <= ESCAPE) };
    let (words, _) = text.as_chunks();
    words.iter().fold(less(*last), |any, word| any | less(*word)) != 0
}

/// Where the first byte is that ends a text or escapes one. Eight at once are looked at: texts of twenty and more are usual.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    const SPECIAL: u64 = ONES * (ESCAPE as u64 + 1);
    let (words, rest) = bytes.as_chunks();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The upper bit of each byte that is less; behind the first such byte of others too.
        let less = word.wrapping_sub(SPECIAL) & !word & (ONES << 7);
        if less != 0 {
            return Some(n * size_of::<u64>() + less.trailing_zeros() as usize / 8);
        }
    }
    let in_rest = rest.iter().position(|byte| *byte <= ESCAPE)?;
    Some(bytes.len() - rest.len() + in_rest)
}

fn unescaped<'a>(text: &[u8]) -> Option<Cow<'a, str>> {
    let (mut plain, mut bytes) = (Vec::with_capacity(text.len()), text.iter());
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == ESCAPE { bytes.next()?.checked_sub(1)? } else { *byte });
    }
    String::from_utf8(plain).ok().map(Cow::Owned)
}

/// The value at a place among those of the bytes; null if there is none.
pub fn at(mut bytes: &[u8], place: usize) -> Datum<'_> {
    for _ in 0..place {
        if next(&mut bytes).is_none() {
            return Datum::Null;
        }
    }
    next(&mut bytes).unwrap_or(Datum::Null)
}

/// The first value of the bytes, if that is an instant.
pub fn instant(bytes: &[u8]) -> Option<Instant> {
    match next(&mut &bytes[..])? {
        Datum::Instant(at) => Some(at),
        Datum::Null | Datum::Boolean(_) | Datum::Number(_) | Datum::Text(_) => None,
    }
}

/// All values of the bytes.
pub fn all(bytes: &[u8]) -> impl Iterator<Item = Datum<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || next(&mut rest))
}

/// The bytes of the first so many values.
pub fn first(bytes: &[u8], values: usize) -> &[u8] {
    let mut rest = bytes;
    (0..values).for_each(|_| drop(next(&mut rest)));
    &bytes[..bytes.len() - rest.len()]
}

/// An id as a value that says who somebody is.
pub fn of_person(id: &Id) -> Box<[u8]> {
    let mut bytes = Vec::new();
    let value = match id {
        Id::Number(id) => Datum::Number(*id as i64),
        Id::Text(id) => Datum::Text(id.as_str().into()),
    };
    push(&value, true, &mut bytes);
    bytes.into()
}

/// Puts one person in the place of another, in all values that say who somebody is; nothing if none names the first.
/// Both are written as [`of_person`] does.
pub fn renamed(bytes: &[u8], person: &[u8], nobody: &[u8]) -> Option<Box<[u8]>> {
    let (mut rest, mut whole, mut found) = (bytes, Vec::with_capacity(bytes.len()), false);
    while !rest.is_empty() {
        let mut behind = rest;
        if next(&mut behind).is_none() {
            // It is no value: it stays as it is.
            behind = &[];
        }
        let value = &rest[..rest.len() - behind.len()];
        found |= value == person;
        whole.extend_from_slice(if value == person { nobody } else { value });
        rest = behind;
    }
    found.then(|| whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[Datum<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        values.iter().for_each(|value| push(value, false, &mut out));
        out
    }

    fn samples() -> Vec<Vec<Datum<'static>>> {
        let texts =
            ["", "\0", "\0\0", "\0a", "\u{1}", "\u{1}\u{1}", "\u{2}", "a", "a\0", "a\u{1}", "aa", "b", "é", "😀"];
        let numbers = [i64::MIN, i64::MIN + 1, -256, -1, 0, 1, 255, 256, i64::MAX];
        let texts = texts.into_iter().map(|text| Datum::Text(text.into()));
        let alone = numbers.map(Datum::Number).into_iter().chain(numbers.map(Datum::Instant)).chain(texts);
        let alone: Vec<_> = alone.chain([Datum::Null, Datum::Boolean(false), Datum::Boolean(true)]).collect();
        let pair = |a: &Datum<'static>| alone.iter().map(|b| vec![a.clone(), b.clone()]).collect::<Vec<_>>();
        alone.iter().flat_map(pair).collect()
    }

    #[test]
    fn bytes_have_the_order_of_values_and_are_read_again() {
        let samples = samples();
        let written: Vec<_> = samples.iter().map(|values| bytes(values)).collect();
        for (a, of_a) in samples.iter().zip(&written) {
            assert_eq!([at(of_a, 0), at(of_a, 1), at(of_a, 2)], [a[0].clone(), a[1].clone(), Datum::Null]);
            for (b, of_b) in samples.iter().zip(&written) {
                assert_eq!(of_a.cmp(of_b), a.cmp(b), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn a_row_is_written_as_its_columns_are() {
        let mut spare = Vec::new();
        for values in samples() {
            let row = Row::from_iter(values.iter().map(Datum::lent));
            assert_eq!(of_row(&row, &mut spare), bytes(&values), "{values:?}");
        }
        assert_eq!(of_row(&Row::from_iter([]), &mut spare), b"");
    }

    #[test]
    fn what_ends_a_text_is_found_wherever_it_is() {
        for length in 0..20 {
            for at in 0..=length {
                for special in [END, ESCAPE] {
                    // Neighbours of what is looked for, and what looks like it with other bits.
                    for other in [ESCAPE + 1, 0x7F, 0x80, 0x81, 0xFF] {
                        let mut bytes = vec![other; length];
                        assert_eq!(first_special(&bytes), None);
                        assert!(!has_special(&bytes));
                        bytes.truncate(at);
                        bytes.extend([special, END, other, ESCAPE]);
                        bytes.resize(length + 4, other);
                        assert_eq!(first_special(&bytes), Some(at), "{bytes:?}");
                        assert!(has_special(&bytes) && has_special(&bytes[..=at]));
                    }
                }
            }
        }
    }

    #[test]
    fn who_is_forgotten_is_nobody_wherever_a_value_says_who() {
        let mut key = Vec::new();
        push(&Datum::Text("7\0".into()), false, &mut key);
        push(&Datum::Number(7), false, &mut key);
        push(&Datum::Number(7), true, &mut key);
        push(&Datum::Number(8), true, &mut key);
        push(&Datum::Text("7".into()), true, &mut key);
        push(&Datum::Text("7".into()), false, &mut key);
        push(&Datum::Text("77".into()), true, &mut key);
        for (place, person) in [(2, Id::Number(7)), (4, Id::Text("7".to_owned()))] {
            let nobody = person.nobody(5);
            let (person, nobody) = (of_person(&person), of_person(&nobody));
            let after = renamed(&key, &person, &nobody).expect("it is named");
            assert_eq!(renamed(&after, &person, &nobody), None);
            for other in 0..7 {
                let expected = if other == place { at(&nobody, 0) } else { at(&key, other) };
                assert_eq!(at(&after, other), expected, "{other}");
            }
            // What is cut off is never taken for somebody.
            for end in 0..key.len() {
                let named = renamed(&key[..end], &person, &nobody);
                assert_eq!(named.is_some(), !at(&key[..end], place).is_null());
            }
        }
    }
}
