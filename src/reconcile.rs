//! Given the rows that should be in a store and those that are: the differences, deletions included.

use crate::sink::{Claim, Commit, SinkError, Stored, Warehouse};
use dataflows::Time;
use dataflows::delta::Delta;
use dataflows::table::{Column, Table, TableId, Value};
use std::collections::BTreeMap;

/// How many rows are read at a time.
const PAGE: usize = 4096;

/// The rows of a table in the order of their keys, read page by page.
struct Rows<'a> {
    store: &'a mut dyn Stored,
    table: TableId,
    page: std::vec::IntoIter<Vec<Value>>,
    last: Option<Vec<Value>>,
    more: bool,
}

impl<'a> Rows<'a> {
    fn new(store: &'a mut dyn Stored, table: TableId) -> Rows<'a> {
        Rows { store, table, page: Vec::new().into_iter(), last: None, more: true }
    }

    fn next(&mut self) -> Result<Option<Vec<Value>>, SinkError> {
        if self.page.len() == 0 && self.more {
            let page = self.store.page(self.table, self.last.as_deref(), PAGE)?;
            self.more = page.len() == PAGE;
            self.last = page.last().map(|row| row[..self.table.table().key_columns].to_vec());
            self.page = page.into_iter();
        }
        Ok(self.page.next())
    }
}

/// What makes two rows differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differ {
    /// Any column.
    InAnything,
    /// Columns that are incidental make no difference on their own: what is computed again from the same files says
    /// nothing new.
    InSubstance,
}

/// The deltas that turn the stored table into the desired one, sorted by key.
///
/// # Errors
/// If either side cannot be read.
pub fn differences(
    desired: &mut dyn Stored,
    stored: &mut dyn Stored,
    id: TableId,
    differ: Differ,
) -> Result<Vec<Delta>, SinkError> {
    let table = id.table();
    // What is of another shape is made anew.
    let nothing = stored.has_another_shape(id)?;
    let (mut desired, mut stored) = (Rows::new(desired, id), Rows::new(stored, id));
    stored.more = !nothing;
    let (mut wanted, mut found) = (desired.next()?, stored.next()?);
    let mut deltas = Vec::new();
    loop {
        let key = |row: &Vec<Value>| row[..table.key_columns].to_vec();
        match (wanted.take(), found.take()) {
            (None, None) => return Ok(deltas),
            (Some(row), Some(old)) if key(&row) == key(&old) => {
                if differs(table, &row, &old, differ) {
                    deltas.push(Delta::Upsert(row));
                }
                (wanted, found) = (desired.next()?, stored.next()?);
            }
            (Some(row), old) if old.as_ref().is_none_or(|old| key(&row) < key(old)) => {
                deltas.push(Delta::Upsert(row));
                (wanted, found) = (desired.next()?, old);
            }
            (row, Some(old)) => {
                deltas.push(Delta::Delete(key(&old)));
                (wanted, found) = (row, stored.next()?);
            }
            (Some(_), None) => unreachable!("a wanted row without a stored one is an upsert"),
        }
    }
}

/// Makes a sink hold what another one holds, deletions included, in one commit that brings it to `epoch`.
/// Tells what was committed; where nothing differs, nothing is.
///
/// # Errors
/// If either cannot be read, or the commit cannot be applied.
pub fn reconcile(
    desired: &mut dyn Warehouse,
    stored: &mut dyn Warehouse,
    claim: &Claim,
    differ: Differ,
    epoch: impl FnOnce(Time) -> Time,
) -> Result<Commit, SinkError> {
    let missing =
        || SinkError::Failed("there is no progress where rows should be: nobody has committed there".to_owned());
    let wanted = desired.position()?.ok_or_else(missing)?;
    let found = stored.position()?.ok_or_else(missing)?;
    let mut deltas = BTreeMap::new();
    let tables = if stored.keeps_rows() { desired.catalogue().tables() } else { &[] };
    for id in tables {
        if desired.has_another_shape(*id)? {
            // It is computed anew before it is given to anybody.
            continue;
        }
        let is_anew = stored.has_another_shape(*id)?;
        if is_anew && !stored.makes_anew() {
            let (sink, table) = (stored.name(), id.name());
            return Err(SinkError::Failed(format!(
                "{sink}: table `{table}` has columns that it has no more, from before it changed. Remove the table there, or \
                 give the metric another name"
            )));
        }
        if is_anew {
            stored.make_anew(*id);
        }
        let changed = differences(desired, stored, *id, differ)?;
        if !changed.is_empty() || is_anew {
            deltas.insert(*id, changed.into());
        }
    }
    let commit = Commit {
        follows: found.epoch,
        epoch: epoch(found.epoch),
        clock_ms: wanted.committed_at,
        watermarks: wanted.watermarks,
        positions: wanted.positions,
        deltas,
        appends: BTreeMap::new(),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    };
    stored.apply(claim, &commit)?;
    Ok(commit)
}

fn differs(table: &Table, row: &[Value], old: &[Value], differ: Differ) -> bool {
    let columns = table.columns.iter().zip(row.iter().zip(old));
    let counts = |column: &Column| differ == Differ::InAnything || !column.incidental;
    columns.filter(|(column, _)| counts(column)).any(|(_, (new, old))| new != old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::table;
    use crate::sink::memory::Memory;

    fn user(id: i64, age: i64) -> Vec<Value> {
        vec![Value::Integer(id), Value::Instant(0), Value::Integer(age), Value::Text("".into()), Value::Text("".into())]
    }

    fn store(rows: impl IntoIterator<Item = Vec<Value>>) -> Memory {
        let memory = Memory::default();
        let mut contents = memory.contents();
        let stored = contents.tables.entry(table("users")).or_default();
        rows.into_iter().for_each(|row| stored.put(&row, 1));
        drop(contents);
        memory
    }

    #[test]
    fn only_what_differs_is_written_and_what_is_gone_is_deleted() {
        let mut desired = store([user(1, 20), user(2, 31), user(4, 40)]);
        let mut stored = store([user(1, 20), user(2, 30), user(3, 30), user(9, 1)]);
        let gone = |id| Delta::Delete(vec![Value::Integer(id)]);
        let expected = [Delta::Upsert(user(2, 31)), gone(3), Delta::Upsert(user(4, 40)), gone(9)];
        assert_eq!(
            differences(&mut desired, &mut stored, table("users"), Differ::InSubstance).expect("readable"),
            expected
        );
    }

    /// What is computed again from the same files says nothing new; what is brought to where another sink is must
    /// be the same to the last column.
    #[test]
    fn what_is_incidental_differs_only_where_everything_counts() {
        let table = table("movies_catalog");
        let movie = |at: i64| {
            let mut row = vec![Value::Text("1".into()), Value::Instant(at), Value::Text("t".into())];
            row.resize(table.table().columns.len(), Value::Null);
            row
        };
        assert!(table.table().columns[1].incidental);
        let holding = |at: i64| {
            let memory = Memory::default();
            memory.contents().tables.entry(table).or_default().put(&movie(at), 1);
            memory
        };
        let found = |differ| differences(&mut holding(2), &mut holding(1), table, differ).expect("readable");
        assert_eq!(found(Differ::InSubstance), []);
        assert_eq!(found(Differ::InAnything), [Delta::Upsert(movie(2))]);
    }

    #[test]
    fn pages_do_not_show() {
        let many = PAGE as i64 * 2 + 5;
        let mut desired = store((0..many).map(|id| user(id, 20)));
        let mut stored = store((0..many).filter(|id| id % 3 != 0).map(|id| user(id, 20)));
        let missing =
            differences(&mut desired, &mut stored, table("users"), Differ::InSubstance).expect("readable").len();
        assert_eq!(missing as i64, (many + 2) / 3);
    }
}
