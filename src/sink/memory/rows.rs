//! The rows of a table, in the order of their keys, each written down in one piece: a third of what
//! lists of values take.

use dataflows::table::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

/// The rows of a table.
#[derive(Clone, Default)]
pub struct Rows {
    rows: BTreeSet<Row>,
    /// Where a row is written down until it is known how long it is: then it takes no byte more.
    spare: Vec<u8>,
}

/// A row, or a key alone: how long the key is as it is written, then all values. Compares by its key.
///
/// **Invariant.** Keys compare as bytes like as lists of values.
#[derive(Clone)]
struct Row {
    /// How the key begins: where two differ in it, they have its order, and nobody looks at the keys.
    begins: u64,
    bytes: Box<[u8]>,
}

impl Row {
    fn new(values: &[Value], key_columns: usize, spare: &mut Vec<u8>) -> Row {
        let bytes = spare;
        bytes.clear();
        bytes.extend_from_slice(&[0; size_of::<u32>()]);
        values[..key_columns].iter().for_each(|value| write(value, bytes));
        let key = &bytes[size_of::<u32>()..];
        let (length, mut begins) = (key.len() as u32, [0; size_of::<u64>()]);
        let known = key.len().min(begins.len());
        begins[..known].copy_from_slice(&key[..known]);
        bytes[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
        values[key_columns..].iter().for_each(|value| write(value, bytes));
        Row { begins: u64::from_be_bytes(begins), bytes: bytes.as_slice().into() }
    }

    fn of_key(key: &[Value]) -> Row {
        Row::new(key, key.len(), &mut Vec::new())
    }

    fn key(&self) -> &[u8] {
        match self.bytes.split_first_chunk() {
            Some((length, values)) => &values[..u32::from_le_bytes(*length) as usize],
            None => &[],
        }
    }

    fn values(&self) -> Vec<Value> {
        read(&self.bytes[size_of::<u32>()..])
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Row) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Row) -> Ordering {
        self.begins.cmp(&other.begins).then_with(|| self.key().cmp(other.key()))
    }
}

impl Rows {
    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of a key.
    pub fn get(&self, key: &[Value]) -> Option<Vec<Value>> {
        self.rows.get(&Row::of_key(key)).map(Row::values)
    }

    /// Puts a row in the place of that of its key, which is its first so many columns.
    pub fn put(&mut self, row: &[Value], key_columns: usize) {
        self.rows.replace(Row::new(row, key_columns, &mut self.spare));
    }

    /// Adds a row, unless there is one of its key.
    pub fn add(&mut self, row: &[Value], key_columns: usize) {
        self.rows.insert(Row::new(row, key_columns, &mut self.spare));
    }

    /// Takes the row of a key out; tells whether there was one.
    pub fn remove(&mut self, key: &[Value]) -> bool {
        self.rows.remove(&Row::of_key(key))
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = Vec<Value>> {
        self.after(None)
    }

    /// Those after a key.
    pub fn after(&self, key: Option<&[Value]>) -> impl Iterator<Item = Vec<Value>> {
        let from = key.map_or(Bound::Unbounded, |key| Bound::Excluded(Row::of_key(key)));
        self.rows.range((from, Bound::Unbounded)).map(Row::values)
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.rows.iter().map(|row| &row.bytes).eq(other.rows.iter().map(|row| &row.bytes))
    }
}

impl Eq for Rows {}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The first byte of a value: its kind in the upper three bits; numbers have their length below.
const KINDS: u8 = 32;
/// How many bytes a number that is not negative has is added, one that is negative subtracted.
const MIDDLE: u8 = 16;
/// Ends a text, if no `ZERO` follows: no value begins with that.
const END: u8 = 0;
/// Makes a byte of the text of the `END` before.
const ZERO: u8 = 0xFF;

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Boolean(truth) => write_number(1, i64::from(*truth), out),
        Value::Integer(number) => write_number(2, *number, out),
        Value::Instant(at) => write_number(3, *at, out),
        Value::Cents(cents) => write_number(4, *cents, out),
        Value::Milli(milli) => write_number(5, *milli, out),
        Value::Text(text) => write_bytes(6, text.as_bytes(), out),
        Value::Bytes(bytes) => write_bytes(7, bytes, out),
        // Behind bytes, which have no length there.
        Value::Share(share) => write_number(7, *share, out),
    }
}

fn write_number(kind: u8, number: i64, out: &mut Vec<u8>) {
    let magnitude = if number < 0 { !number } else { number };
    let length = (71 - magnitude.leading_zeros() as usize) / 8;
    let length_code = if number < 0 { MIDDLE - 1 - length as u8 } else { MIDDLE + length as u8 };
    out.push(kind * KINDS + length_code);
    out.extend_from_slice(&number.to_be_bytes()[8 - length..]);
}

fn write_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
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

fn read(mut row: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    while let Some((first, rest)) = row.split_first() {
        row = rest;
        let code = first % KINDS;
        values.push(match first / KINDS {
            0 => Value::Null,
            1 => Value::Boolean(read_number(code, &mut row) != 0),
            2 => Value::Integer(read_number(code, &mut row)),
            3 => Value::Instant(read_number(code, &mut row)),
            4 => Value::Cents(read_number(code, &mut row)),
            5 => Value::Milli(read_number(code, &mut row)),
            6 => Value::Text(String::from_utf8_lossy(&read_bytes(&mut row)).into_owned()),
            _ if code == 0 => Value::Bytes(read_bytes(&mut row).into()),
            _ => Value::Share(read_number(code, &mut row)),
        });
    }
    values
}

fn read_number(code: u8, row: &mut &[u8]) -> i64 {
    let (length, sign) = if code < MIDDLE { (MIDDLE - 1 - code, -1) } else { (code - MIDDLE, 0) };
    let (own, rest) = row.split_at(length.into());
    *row = rest;
    own.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

fn read_bytes(row: &mut &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(end) = row.iter().position(|byte| *byte == END) {
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

    fn values() -> Vec<Value> {
        let numbers = [i64::MIN, -65_537, -65_536, -257, -256, -255, -1, 0, 1, 127, 128, 255, 256, 65_536, i64::MAX];
        let texts = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "\u{10FFFF}"];
        let mut values = vec![Value::Null, Value::Boolean(false), Value::Boolean(true)];
        for of_number in [Value::Integer, Value::Instant, Value::Cents, Value::Milli, Value::Share] {
            values.extend(numbers.map(of_number));
        }
        values.extend(texts.map(|text| Value::Text(text.to_owned())));
        values.extend([&[0][..], &[0, 0xFF], &[0xFF], &[0xFF, 0]].map(|bytes| Value::Bytes(bytes.into())));
        values
    }

    #[test]
    fn rows_read_as_they_were_written_and_are_in_the_order_of_values() {
        let values = values();
        for a in &values {
            for b in &values {
                let of = |value: &Value, next: &Value| Row::new(&[value.clone(), next.clone()], 2, &mut Vec::new());
                assert_eq!(of(a, b).values(), [a.clone(), b.clone()]);
                assert_eq!(of(a, b).cmp(&of(b, a)), (a, b).cmp(&(b, a)), "{a:?} {b:?}");
                assert_eq!(of(a, &Value::Null).cmp(&of(b, &Value::Null)), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_key_has_one_row() {
        let row = |id: i64, text: &str| vec![Value::Integer(id), Value::Text(text.to_owned())];
        let mut rows = Rows::default();
        for id in [3, 1, 2, 256] {
            rows.put(&row(id, "old"), 1);
        }
        rows.put(&row(2, "new"), 1);
        rows.add(&row(3, "never"), 1);
        assert!(rows.remove(&[Value::Integer(1)]) && !rows.remove(&[Value::Integer(1)]));
        assert_eq!(rows.iter().collect::<Vec<_>>(), [row(2, "new"), row(3, "old"), row(256, "old")]);
        assert_eq!(rows.get(&[Value::Integer(2)]), Some(row(2, "new")));
        assert_eq!(rows.after(Some(&[Value::Integer(2)])).next(), Some(row(3, "old")));
        assert_eq!(rows.after(Some(&[Value::Integer(4)])).next(), Some(row(256, "old")));
        assert_eq!((rows.after(None).count(), rows.len()), (3, 3));
    }
}
