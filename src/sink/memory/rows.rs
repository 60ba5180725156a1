//! The rows of a table, in the order of their keys, each written down in one piece.

use dataflows::deltas::Packed;
use dataflows::packed;
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
        values[..key_columns].iter().for_each(|value| packed::push(value, bytes));
        let key = bytes.len();
        values[key_columns..].iter().for_each(|value| packed::push(value, bytes));
        Row::of(key, bytes)
    }

    /// Of values that are written down, of which the key takes so many bytes.
    fn of(key: usize, values: &[u8]) -> Row {
        let mut begins = [0; size_of::<u64>()];
        let known = key.min(begins.len());
        begins[..known].copy_from_slice(&values[..known]);
        // It takes no byte more than it has.
        let mut bytes = Vec::with_capacity(size_of::<u32>() + values.len());
        bytes.extend_from_slice(&(key as u32).to_le_bytes());
        bytes.extend_from_slice(values);
        Row { begins: u64::from_be_bytes(begins), bytes: bytes.into() }
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
        packed::values(&self.bytes[size_of::<u32>()..])
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

    /// What becomes of a row that is written down.
    pub fn change(&mut self, row: &Packed<'_>) {
        let changed = Row::of(row.key().len(), row.bytes());
        if row.is_upsert() {
            self.rows.replace(changed)
        } else {
            self.rows.take(&changed)
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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
