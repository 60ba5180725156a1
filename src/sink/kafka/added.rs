//! What raw tables hold already: a row that is added again changes nothing. Offsets only grow, so the largest of
//! each partition tells of nearly every row that it is new; for the others the topic is read.

use dataflows::delta::Delta;
use dataflows::table::{Table, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// By table, and by the partition that rows came from, the largest offset that was ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Added(BTreeMap<String, BTreeMap<String, i64>>);

type Keys = BTreeSet<Vec<Value>>;

impl Added {
    /// The rows that are new, one for each key, in the order of keys; and puts them down as added, with what
    /// deltas bring beside them. `stored` tells which of some keys there are, and is rarely asked.
    ///
    /// # Errors
    /// What `stored` says.
    pub(super) fn new_of<'a, E>(
        &mut self,
        table: &Table,
        deltas: &[Delta],
        rows: &'a [Vec<Value>],
        stored: impl FnOnce(&Keys) -> Result<Keys, E>,
    ) -> Result<Vec<&'a Vec<Value>>, E> {
        let key = |row: &'a Vec<Value>| &row[..table.key_columns];
        let mut new: Vec<&Vec<Value>> = rows.iter().collect();
        if !new.is_sorted_by(|a, b| key(a) <= key(b)) {
            // Of equal keys the first stays the first, and is the one that counts.
            new.sort_by(|a, b| key(a).cmp(key(b)));
        }
        new.dedup_by(|later, first| key(first) == key(later));
        let largest = self.0.entry(table.name.to_owned()).or_default();
        let is_new = |key: &[Value]| largest.get(&partition(key)).is_none_or(|largest| offset(key) > *largest);
        let doubtful: Keys = new.iter().filter(|row| !is_new(key(row))).map(|row| key(row).to_vec()).collect();
        let mut there = if doubtful.is_empty() { Keys::new() } else { stored(&doubtful)? };
        for delta in deltas {
            match delta {
                Delta::Upsert(row) => drop(there.insert(row[..table.key_columns].to_vec())),
                Delta::Delete(key) => drop(there.remove(key)),
            }
        }
        new.retain(|row| !there.contains(key(row)));
        let upserted = deltas.iter().filter_map(|delta| match delta {
            Delta::Upsert(row) => Some(&row[..table.key_columns]),
            Delta::Delete(_) => None,
        });
        for key in new.iter().map(|row| key(row)).chain(upserted) {
            let largest = largest.entry(partition(key)).or_insert(i64::MIN);
            *largest = offset(key).max(*largest);
        }
        Ok(new)
    }
}

fn offset(key: &[Value]) -> i64 {
    match key.last() {
        Some(Value::Integer(offset)) => *offset,
        // None of our raw tables has another key: asked for each time, it would still be right.
        _ => i64::MIN,
    }
}

fn partition(key: &[Value]) -> String {
    let parts = key[..key.len() - 1].iter().map(|part| match part {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other @ (Value::Null
        | Value::Boolean(_)
        | Value::Instant(_)
        | Value::Cents(_)
        | Value::Milli(_)
        | Value::Share(_)
        | Value::Bytes(_)) => format!("{other:?}"),
    });
    parts.collect::<Vec<_>>().join("/")
}
