//! Values as bytes, a row in one piece: a third of what lists of values take, and no allocation for each.
//!
//! **Law.** Bytes of values compare like the lists of values; what was written reads as it was.

use crate::table::Value;

/// The first byte of a value: its kind in the upper three bits; numbers have their length below.
const KINDS: u8 = 32;
/// How many bytes a number that is not negative has is added, one that is negative subtracted.
const MIDDLE: u8 = 16;
/// Ends a text, if no `ZERO` follows: no value begins with that.
const END: u8 = 0;
/// Makes a byte of the text of the `END` before.
const ZERO: u8 = 0xFF;
const TEXT: u8 = 6;
const BYTES: u8 = 7;

/// Writes a value down behind others.
pub fn push(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Boolean(truth) => push_number(1, i64::from(*truth), out),
        Value::Integer(number) => push_number(2, *number, out),
        Value::Instant(at) => push_number(3, *at, out),
        Value::Cents(cents) => push_number(4, *cents, out),
        Value::Milli(milli) => push_number(5, *milli, out),
        Value::Text(text) => push_text(text, out),
        Value::Bytes(bytes) => push_bytes(BYTES, bytes, out),
        // Behind bytes, which have no length there.
        Value::Share(share) => push_number(BYTES, *share, out),
    }
}

/// The same of a text that is in no value.
pub fn push_text(text: &str, out: &mut Vec<u8>) {
    push_bytes(TEXT, text.as_bytes(), out);
}

fn push_number(kind: u8, number: i64, out: &mut Vec<u8>) {
    let magnitude = if number < 0 { !number } else { number };
    let length = (71 - magnitude.leading_zeros() as usize) / 8;
    let length_code = if number < 0 { MIDDLE - 1 - length as u8 } else { MIDDLE + length as u8 };
    // One write of a known length, of which the rest is not kept: that is faster than one of as many bytes as there are.
    let mut bytes = [0; 1 + size_of::<i64>()];
    bytes[0] = kind * KINDS + length_code;
    bytes[1..].copy_from_slice(&(number << (64 - 8 * length.max(1))).to_be_bytes());
    let end = out.len() + 1 + length;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

fn push_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind * KINDS);
    // All are looked at, without a branch for each: that is faster than to stop at the first, and there hardly ever is one.
    let is_plain = !bytes.iter().fold(false, |any, byte| any | (*byte == END));
    let (plain, mut rest) = if is_plain { (bytes, &[][..]) } else { (&[][..], bytes) };
    out.extend_from_slice(plain);
    while let Some(zero) = rest.iter().position(|byte| *byte == END) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(ZERO);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.push(END);
}

/// The values that bytes say.
pub fn values(bytes: &[u8]) -> Vec<Value> {
    let mut values = Vec::with_capacity(8);
    read(bytes, &mut values);
    values
}

/// The same, in the place of other values. What of them is text keeps its memory where a text comes again.
pub fn read(bytes: &[u8], values: &mut Vec<Value>) {
    let (mut rest, mut known) = (bytes, 0);
    while !rest.is_empty() {
        let spare = values.get_mut(known).map_or(Value::Null, |value| std::mem::replace(value, Value::Null));
        let value = next(&mut rest, spare);
        match values.get_mut(known) {
            Some(place) => *place = value,
            None => values.push(value),
        }
        known += 1;
    }
    values.truncate(known);
}

/// The value at a place among those of the bytes; null if there is none.
pub fn at(bytes: &[u8], place: usize) -> Value {
    let mut rest = bytes;
    (0..place).for_each(|_| skip(&mut rest));
    next(&mut rest, Value::Null)
}

/// Takes the first value off; null if there is none. A text takes the memory of a text that is `spare`.
fn next(bytes: &mut &[u8], spare: Value) -> Value {
    let Some((first, rest)) = bytes.split_first() else { return Value::Null };
    *bytes = rest;
    let code = first % KINDS;
    match first / KINDS {
        0 => Value::Null,
        1 => Value::Boolean(read_number(code, bytes) != 0),
        2 => Value::Integer(read_number(code, bytes)),
        3 => Value::Instant(read_number(code, bytes)),
        4 => Value::Cents(read_number(code, bytes)),
        5 => Value::Milli(read_number(code, bytes)),
        TEXT => Value::Text(read_text(spare, bytes)),
        _ if code == 0 => Value::Bytes(read_bytes(Vec::new(), bytes).into()),
        _ => Value::Share(read_number(code, bytes)),
    }
}

/// Takes the first value off, and does not look at it.
fn skip(bytes: &mut &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    *bytes = rest;
    let (kind, code) = (first / KINDS, first % KINDS);
    if kind == TEXT || kind == BYTES && code == 0 {
        loop {
            let end = bytes.iter().position(|byte| *byte == END).unwrap_or(bytes.len());
            let is_part = bytes.get(end + 1) == Some(&ZERO);
            *bytes = bytes.get(end + if is_part { 2 } else { 1 }..).unwrap_or_default();
            if !is_part {
                break;
            }
        }
    } else if kind > 0 {
        read_number(code, bytes);
    }
}

fn read_number(code: u8, row: &mut &[u8]) -> i64 {
    let (length, sign) = if code < MIDDLE { (MIDDLE - 1 - code, -1) } else { (code - MIDDLE, 0) };
    // What is cut off reads as if it ended there.
    let (own, rest) = row.split_at(row.len().min(length.into()));
    *row = rest;
    own.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

fn read_text(spare: Value, row: &mut &[u8]) -> String {
    let spare = if let Value::Text(text) = spare { text.into_bytes() } else { Vec::new() };
    let bytes = read_bytes(spare, row);
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn read_bytes(spare: Vec<u8>, row: &mut &[u8]) -> Vec<u8> {
    let mut bytes = spare;
    bytes.clear();
    loop {
        let Some(end) = row.iter().position(|byte| *byte == END) else {
            // What is cut off reads as if it ended there.
            bytes.extend_from_slice(std::mem::take(row));
            break;
        };
        bytes.extend_from_slice(&row[..end]);
        *row = &row[end + 1..];
        if row.first() != Some(&ZERO) {
            break;
        }
        bytes.push(END);
        *row = &row[1..];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Value> {
        let numbers = [i64::MIN, -65_537, -65_536, -257, -256, -255, -1, 0, 1, 127, 128, 255, 256, 65_536, i64::MAX];
        let texts = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "\u{10FFFF}"];
        let mut samples = vec![Value::Null, Value::Boolean(false), Value::Boolean(true)];
        for of_number in [Value::Integer, Value::Instant, Value::Cents, Value::Milli, Value::Share] {
            samples.extend(numbers.map(of_number));
        }
        samples.extend(texts.map(|text| Value::Text(text.to_owned())));
        samples.extend([&[0][..], &[0, 0xFF], &[0xFF], &[0xFF, 0]].map(|bytes| Value::Bytes(bytes.into())));
        samples
    }

    fn packed(values: &[Value]) -> Vec<u8> {
        let mut out = Vec::new();
        values.iter().for_each(|value| push(value, &mut out));
        out
    }

    #[test]
    fn values_read_as_they_were_written_and_are_in_their_order() {
        let samples = samples();
        // What was there before makes no difference.
        let mut read_again = Vec::new();
        for a in &samples {
            for b in &samples {
                let (ab, ba) = ([a.clone(), b.clone()], [b.clone(), a.clone()]);
                assert_eq!(values(&packed(&ab)), ab);
                assert_eq!([0, 1, 2].map(|place| at(&packed(&ab), place)), [a.clone(), b.clone(), Value::Null]);
                read(&packed(&ba), &mut read_again);
                assert_eq!(read_again, ba);
                assert_eq!(packed(&ab).cmp(&packed(&ba)), ab.cmp(&ba), "{a:?} {b:?}");
                let (a_null, b_null) = ([a.clone(), Value::Null], [b.clone(), Value::Null]);
                assert_eq!(packed(&a_null).cmp(&packed(&b_null)), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_read_without_a_panic() {
        let whole = packed(&samples());
        let all = values(&whole).len();
        assert!((0..whole.len()).all(|length| values(&whole[..length]).len() <= all));
    }
}
