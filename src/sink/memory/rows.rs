//! The rows of a table, in the order of their keys, written down one behind the other.
//!
//! What a commit changes comes in the order of keys, and is written down so behind what was there: into a tree of rows, each
//! with memory of its own, it took two to three times as long. Whoever reads looks at a few runs of them, the last first.

mod run;

use dataflows::deltas::Packed;
use dataflows::packed;
use dataflows::table::Value;
use run::{Change, Cursor, Run};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;

/// So many runs are looked at for a key. With one more, those are merged that are not much longer than all behind them.
const RUNS: usize = 24;

/// The rows of a table.
///
/// **Invariant.** Of each key the last run that has it says what its row is, or that there is none. In the first run nothing
/// is gone.
#[derive(Clone, Default)]
pub struct Rows {
    runs: Vec<Run>,
    /// Where a key or a row is written down before it is looked for, or added.
    spare: Vec<u8>,
}

/// Writes values down. How many bytes the key takes, which is so many of them.
fn write(values: &[Value], key_columns: usize, out: &mut Vec<u8>) -> usize {
    out.clear();
    let (key, rest) = values.split_at(key_columns);
    key.iter().for_each(|value| packed::push(value, out));
    let ends = out.len();
    rest.iter().for_each(|value| packed::push(value, out));
    ends
}

fn written(key: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    write(key, key.len(), &mut out);
    out
}

impl Rows {
    /// How many. All of them are counted.
    pub fn len(&self) -> usize {
        self.changes(None).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.changes(None).next().is_none()
    }

    /// What the last run says of a key that has it.
    fn find(&self, key: &[u8]) -> Option<Change<'_>> {
        self.runs.iter().rev().find_map(|run| run.find(key)).filter(|change| change.is_upsert)
    }

    /// The row of a key.
    pub fn get(&self, key: &[Value]) -> Option<Vec<Value>> {
        self.find(&written(key)).map(|change| packed::values(change.bytes))
    }

    /// Puts a row in the place of that of its key, which is its first so many columns.
    pub fn put(&mut self, row: &[Value], key_columns: usize) {
        let mut spare = std::mem::take(&mut self.spare);
        let key = write(row, key_columns, &mut spare);
        self.push(Change { bytes: &spare, key, is_upsert: true });
        self.spare = spare;
    }

    /// Adds a row, unless there is one of its key.
    pub fn add(&mut self, row: &[Value], key_columns: usize) {
        let mut spare = std::mem::take(&mut self.spare);
        let key = write(row, key_columns, &mut spare);
        // What is added mostly stands behind all that is there.
        let is_last = self.runs.iter().all(|run| run.last().is_none_or(|last| last < &spare[..key]));
        if is_last || self.find(&spare[..key]).is_none() {
            self.push(Change { bytes: &spare, key, is_upsert: true });
        }
        self.spare = spare;
    }

    /// What becomes of a row that is written down.
    pub fn change(&mut self, row: &Packed<'_>) {
        self.push(Change { bytes: row.bytes(), key: row.key().len(), is_upsert: row.is_upsert() });
    }

    /// Takes the row of a key out; tells whether there was one.
    pub fn remove(&mut self, key: &[Value]) -> bool {
        let key = written(key);
        let is_there = self.find(&key).is_some();
        if is_there {
            self.push(Change { bytes: &key, key: key.len(), is_upsert: false });
        }
        is_there
    }

    /// What changes goes to the end of the last run, if it is behind what is there; else it begins another.
    fn push(&mut self, change: Change<'_>) {
        let goes_on = |run: &Run| run.last().is_none_or(|last| last < change.key());
        if !self.runs.last().is_some_and(goes_on) {
            self.merge();
            self.runs.push(Run::default());
        }
        // Nothing is gone in the first run.
        if change.is_upsert || self.runs.len() > 1 {
            self.runs.iter_mut().last().into_iter().for_each(|run| run.push(change));
        }
    }

    /// Merges the last runs, if there are many: those that are not much longer than all behind them. So each row is written
    /// again as often as what is behind it doubles, about.
    fn merge(&mut self) {
        if self.runs.len() < RUNS {
            return;
        }
        let (mut behind, mut from) = (0, self.runs.len() - 1);
        for (place, run) in self.runs.iter().enumerate().rev() {
            if run.len() <= 2 * behind {
                from = place;
            }
            behind += run.len();
        }
        // One alone makes no room.
        let from = from.min(self.runs.len() - 2);
        let last = self.runs.split_off(from);
        let merged = Run::merged(last, from > 0);
        if !merged.is_empty() {
            self.runs.push(merged);
        }
    }

    /// All rows after a key, as they are written down, in the order of keys.
    fn changes<'r>(&'r self, after: Option<&[u8]>) -> impl Iterator<Item = Change<'r>> + use<'r> {
        let mut cursors: Vec<Cursor<'r>> = self.runs.iter().map(|run| run.after(after)).collect();
        let key = |cursor: &Cursor<'r>| cursor.change().map(|change| change.key());
        let at = |(run, cursor): (usize, &Cursor<'r>)| Some(Reverse((key(cursor)?, Reverse(run))));
        // The least key is the greatest of the heap; of one key, that of the last run.
        let mut heap: BinaryHeap<_> = cursors.iter().enumerate().filter_map(at).collect();
        let mut said: Option<&[u8]> = None;
        std::iter::from_fn(move || {
            loop {
                let mut least = heap.peek_mut()?;
                let Reverse((of, Reverse(run))) = *least;
                let cursor = &mut cursors[run];
                let change = cursor.change();
                cursor.go_on();
                match key(cursor) {
                    Some(next) => *least = Reverse((next, Reverse(run))),
                    None => drop(PeekMut::pop(least)),
                }
                // The last run that has a key says what became of it.
                if said.replace(of) != Some(of)
                    && let Some(change) = change.filter(|change| change.is_upsert)
                {
                    return Some(change);
                }
            }
        })
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = Vec<Value>> {
        self.after(None)
    }

    /// Those after a key.
    pub fn after(&self, key: Option<&[Value]>) -> impl Iterator<Item = Vec<Value>> {
        let key = key.map(written);
        self.changes(key.as_deref()).map(|change| packed::values(change.bytes))
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.changes(None).map(|change| change.bytes).eq(other.changes(None).map(|change| change.bytes))
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
    use std::collections::BTreeMap;

    fn row(id: i64, text: &str) -> Vec<Value> {
        vec![Value::Integer(id), Value::Text(text.to_owned())]
    }

    #[test]
    fn a_key_has_one_row() {
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

    /// Small numbers that repeat themselves and look like nothing.
    fn dice() -> impl FnMut(u64) -> u64 {
        let mut seed = 7_u64;
        move |sides| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        }
    }

    #[test]
    fn rows_are_those_of_a_map_however_they_came_and_go() {
        let mut dice = dice();
        let (mut gone, mut merged) = (0, 0);
        for _ in 0..60 {
            let (mut rows, mut model) = (Rows::default(), BTreeMap::<i64, String>::new());
            let keys = [3, 40, 1500][dice(3) as usize];
            for commit in 0..40 {
                // Sorted, as a commit has them; or one by one.
                let mut ids: Vec<i64> = (0..dice(60)).map(|_| dice(keys) as i64).collect();
                if dice(4) > 0 {
                    ids.sort_unstable();
                }
                for id in ids {
                    let before = rows.runs.len();
                    let text = "x".repeat(commit % 7);
                    match dice(6) {
                        0 => {
                            assert_eq!(rows.remove(&[Value::Integer(id)]), model.remove(&id).is_some());
                            gone += 1;
                        }
                        1 => {
                            rows.add(&row(id, &text), 1);
                            model.entry(id).or_insert(text);
                        }
                        _ => {
                            rows.put(&row(id, &text), 1);
                            model.insert(id, text);
                        }
                    }
                    assert!(rows.runs.len() <= RUNS);
                    merged += usize::from(rows.runs.len() < before);
                }
                let expected: Vec<_> = model.iter().map(|(id, text)| row(*id, text)).collect();
                assert_eq!(rows.iter().collect::<Vec<_>>(), expected);
                assert_eq!((rows.len(), rows.is_empty()), (expected.len(), expected.is_empty()));
                let id = dice(keys) as i64;
                let key = [Value::Integer(id)];
                assert_eq!(rows.get(&key), model.get(&id).map(|text| row(id, text)));
                let after = model.range(id + 1..).next().map(|(id, text)| row(*id, text));
                assert_eq!(rows.after(Some(&key)).next(), after);
                let mut anew = Rows::default();
                model.iter().for_each(|(id, text)| anew.put(&row(*id, text), 1));
                assert!(anew == rows);
            }
        }
        assert!(gone > 1000 && merged > 100, "{gone} were removed, and runs were merged {merged} times");
    }

    #[test]
    fn rows_that_are_written_again_and_again_take_no_more_memory() {
        let mut rows = Rows::default();
        for commit in 0..2000 {
            (0..50).for_each(|id| rows.put(&row(id, &"x".repeat(commit % 9)), 1));
            let held: usize = rows.runs.iter().map(Run::len).sum();
            assert!(held <= 50 * RUNS, "{held} rows are held of 50");
        }
        (0..50).for_each(|id| assert!(rows.remove(&[Value::Integer(id)])));
        assert!(rows.is_empty());
    }
}
