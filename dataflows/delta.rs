//! The updates of a closed epoch become one upsert or delete per key. A pure function.

use crate::table::{Table, TableId, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What becomes of one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Delta {
    /// The row is now this.
    Upsert(Vec<Value>),
    /// The row with this key is gone.
    Delete(Vec<Value>),
}

impl Delta {
    /// The key of the row.
    pub fn key(&self, table: TableId) -> &[Value] {
        self.first(table.table().key_columns)
    }

    /// Its columns; of a row that is gone those of its key.
    pub fn values(&self) -> &[Value] {
        let (Delta::Upsert(values) | Delta::Delete(values)) = self;
        values
    }

    /// Its first so many columns, which are no more than its key.
    pub fn first(&self, key_columns: usize) -> &[Value] {
        match self {
            Delta::Upsert(row) => &row[..key_columns],
            Delta::Delete(key) => key,
        }
    }
}

/// A metric holds two rows of one key at once: a bug of ours, never of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBug {
    /// The table.
    pub table: &'static str,
    /// The key.
    pub key: String,
    /// How many rows it has.
    pub rows: isize,
}

impl fmt::Display for KeyBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyBug { table, key, rows } = self;
        write!(
            f,
            "table `{table}` has {rows} rows with key {key}: a bug in its dataflow; nothing of this epoch was committed"
        )
    }
}

impl std::error::Error for KeyBug {}

/// Consolidates updates of a table's rows and turns them into deltas, sorted by key. `values` gives a row's values, or
/// nothing for a row that is not shown. The order of rows puts the key first.
///
/// # Errors
/// If a key would have more than one row.
pub fn deltas<R: Ord + Clone>(
    mut updates: Vec<(R, isize)>,
    table: &Table,
    values: impl Fn(&R) -> Option<Vec<Value>>,
) -> Result<Vec<Delta>, KeyBug> {
    // What is said of a key stands together.
    differential_dataflow::consolidation::consolidate(&mut updates);
    let key_columns = table.key_columns;
    let mut deltas: Vec<Delta> = Vec::with_capacity(updates.len());
    for (row, diff) in updates {
        let Some(mut row) = values(&row) else { continue };
        let before = deltas.last_mut().filter(|delta| delta.first(key_columns) == &row[..key_columns]);
        if diff > 1 || (diff == 1 && matches!(before, Some(Delta::Upsert(_)))) {
            let key = format!("{:?}", &row[..key_columns]);
            return Err(KeyBug { table: table.name, key, rows: diff.max(2) });
        }
        match before {
            Some(delta) if diff > 0 => *delta = Delta::Upsert(row),
            // The row that was is gone, whatever it is now.
            Some(_) => {}
            None if diff > 0 => deltas.push(Delta::Upsert(row)),
            None => {
                row.truncate(key_columns);
                deltas.push(Delta::Delete(row));
            }
        }
    }
    // Nearly sorted: of most tables both orders are one.
    deltas.sort_by(|a, b| a.first(key_columns).cmp(b.first(key_columns)));
    Ok(deltas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Role, Type, column, field, key};

    fn of(updates: Vec<((u64, u32), isize)>) -> Result<Vec<Delta>, KeyBug> {
        let number = key("id", Type::Integer, "A number.", |row: &(u64, u32)| Value::Integer(row.0 as i64));
        let age = field(column("age", Type::Integer, "An age."), |row: &(u64, u32)| Value::Integer(row.1.into()));
        let table = Table::of("ages", "One row per number.", Role::Metric, vec![number, age]);
        deltas(updates, &table, |(id, age)| {
            (*age < 100).then(|| vec![Value::Integer(*id as i64), Value::Integer((*age).into())])
        })
    }

    fn upsert(id: i64, age: i64) -> Delta {
        Delta::Upsert(vec![Value::Integer(id), Value::Integer(age)])
    }

    #[test]
    fn old_and_new_become_one_upsert_and_old_alone_a_delete() {
        let updates = vec![((2, 30), -1), ((1, 20), 1), ((2, 31), 1), ((3, 40), -1)];
        let gone = Delta::Delete(vec![Value::Integer(3)]);
        assert_eq!(of(updates).expect("no bug"), [upsert(1, 20), upsert(2, 31), gone]);
    }

    #[test]
    fn what_cancels_out_or_is_not_shown_is_no_change() {
        let updates = vec![((1, 20), 1), ((1, 21), -1), ((1, 21), 1), ((1, 20), -1), ((5, 100), 1)];
        assert_eq!(of(updates).expect("no bug"), []);
    }

    #[test]
    fn two_rows_of_a_key_are_a_bug() {
        assert!(of(vec![((1, 20), 1), ((1, 21), 1)]).is_err());
        assert!(of(vec![((1, 20), 2)]).is_err());
    }
}
