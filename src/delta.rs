//! The updates of a closed epoch become one upsert or delete per key. A pure function.

use dataflows::flow::Row;
use dataflows::table::{TableId, Value};

/// What becomes of one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delta {
    /// The row is now this.
    Upsert(Vec<Value>),
    /// The row with this key is gone.
    Delete(Vec<Value>),
}

impl Delta {
    /// The key of the row.
    pub fn key(&self, table: TableId) -> &[Value] {
        match self {
            Delta::Upsert(row) => &row[..table.table().key_columns],
            Delta::Delete(key) => key,
        }
    }
}

/// A metric holds two rows of one key at once: a bug of ours, never of the data.
#[derive(Debug, thiserror::Error)]
#[error("table `{table}` has {rows} rows with key {key}: a bug in its dataflow; nothing of this epoch was committed")]
pub struct KeyBug {
    /// The table.
    pub table: &'static str,
    /// The key.
    pub key: String,
    /// How many rows it has.
    pub rows: isize,
}

/// Consolidates updates and turns them into deltas, sorted by table and key.
///
/// # Errors
/// If a key would have more than one row.
pub fn deltas(mut updates: Vec<(Row, isize)>) -> Result<Vec<(TableId, Delta)>, KeyBug> {
    // Rows are ordered by table and key first: what is said of a key stands together.
    differential_dataflow::consolidation::consolidate(&mut updates);
    let mut deltas: Vec<(TableId, Delta)> = Vec::with_capacity(updates.len());
    for (row, diff) in updates {
        let (table, mut row) = (row.table(), row.values());
        let key_columns = table.table().key_columns;
        let before =
            deltas.last_mut().filter(|(last, delta)| *last == table && delta.key(table) == &row[..key_columns]);
        if diff > 1 || (diff == 1 && matches!(before, Some((_, Delta::Upsert(_))))) {
            let key = format!("{:?}", &row[..key_columns]);
            return Err(KeyBug { table: table.table().name, key, rows: diff.max(2) });
        }
        match before {
            Some((_, delta)) if diff > 0 => *delta = Delta::Upsert(row),
            // The row that was is gone, whatever it is now.
            Some(_) => {}
            None if diff > 0 => deltas.push((table, Delta::Upsert(row))),
            None => {
                row.truncate(key_columns);
                deltas.push((table, Delta::Delete(row)));
            }
        }
    }
    // Nearly sorted: of most tables both orders are one.
    deltas.sort_by(|(table, a), (other, b)| table.cmp(other).then_with(|| a.key(*table).cmp(b.key(*other))));
    Ok(deltas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::users::UserRow;

    fn user(user_id: u64, age: u32) -> Row {
        let text = String::new();
        Row::User(UserRow { user_id, registered_at: 0, age, masked_email: text.clone(), preferred_language: text })
    }

    fn upsert(row: &Row) -> (TableId, Delta) {
        (row.table(), Delta::Upsert(row.values()))
    }

    #[test]
    fn old_and_new_become_one_upsert_and_old_alone_a_delete() {
        let updates = vec![(user(2, 30), -1), (user(1, 20), 1), (user(2, 31), 1), (user(3, 40), -1)];
        let gone = (TableId::Users, Delta::Delete(vec![Value::Integer(3)]));
        assert_eq!(deltas(updates).expect("no bug"), [upsert(&user(1, 20)), upsert(&user(2, 31)), gone]);
    }

    #[test]
    fn what_cancels_out_is_no_change() {
        let updates = vec![(user(1, 20), 1), (user(1, 21), -1), (user(1, 21), 1), (user(1, 20), -1)];
        assert_eq!(deltas(updates).expect("no bug"), []);
    }

    #[test]
    fn two_rows_of_a_key_are_a_bug() {
        assert!(deltas(vec![(user(1, 20), 1), (user(1, 21), 1)]).is_err());
        assert!(deltas(vec![(user(1, 20), 2)]).is_err());
    }
}
