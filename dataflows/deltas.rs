//! What changes of a table's rows: lists of values, or rows that are written down one behind the other.
//!
//! The rows of declared metrics are written down where they are made, and nobody makes values of them but who needs values:
//! a list of them and each of their texts would be an allocation each.

use crate::delta::Delta;
use crate::packed;
use crate::table::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A page that has so many bytes is full: larger ones would come from the system each time, and go back to it.
const PAGE_BYTES: usize = 1 << 18;

/// Changed rows that are written down one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a row ends, and how long its key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    end: usize,
    key: u32,
    is_upsert: bool,
}

impl Page {
    /// Adds a row, or the key of one that is gone. `write` writes it down, and says where its key ends.
    pub fn push(&mut self, is_upsert: bool, write: impl FnOnce(&mut Vec<u8>) -> usize) {
        let begin = self.bytes.len();
        let key = write(&mut self.bytes) - begin;
        // Four billion bytes of a key came from no event: one is read as a whole.
        let key = u32::try_from(key).unwrap_or(u32::MAX);
        self.rows.push(Place { end: self.bytes.len(), key, is_upsert });
    }

    /// Its rows in the order of their keys, on pages that take no more memory than they need. It is empty then, and keeps its
    /// memory, unless that is far more than what was in it.
    ///
    /// Whoever reads them later finds them one behind the other: to look for each where it was made would be a wait for memory.
    pub fn in_order(&mut self) -> Vec<Page> {
        let mut order: Vec<(u64, u32)> =
            (0..).zip(self.rows()).map(|(row, packed)| (begins(packed.key()), row)).collect();
        let key = |row: u32| self.row(row as usize).key();
        // Most keys differ early: few are looked up.
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
        let (mut pages, mut left) = (Vec::new(), self.bytes.len());
        for (done, (_, row)) in order.iter().enumerate() {
            if pages.last().is_none_or(|page: &Page| page.bytes.len() >= PAGE_BYTES) {
                let bytes = left.min(PAGE_BYTES + PAGE_BYTES / 8);
                let rows = (order.len() - done).min(1 + (order.len() - done) * bytes / left.max(1));
                pages.push(Page { bytes: Vec::with_capacity(bytes), rows: Vec::with_capacity(rows) });
            }
            let packed = self.row(*row as usize);
            left -= packed.bytes.len();
            pages.iter_mut().last().into_iter().for_each(|page| page.copy(&packed));
        }
        let Page { bytes, rows } = self;
        empty(bytes);
        empty(rows);
        pages
    }

    fn copy(&mut self, packed: &Packed<'_>) {
        self.bytes.extend_from_slice(packed.bytes);
        self.rows.push(Place { end: self.bytes.len(), key: packed.key as u32, is_upsert: packed.is_upsert });
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A row, by its place.
    fn row(&self, row: usize) -> Packed<'_> {
        let begin = row.checked_sub(1).map_or(0, |before| self.rows[before].end);
        let Place { end, key, is_upsert } = self.rows[row];
        // Bytes that came from another process may be broken.
        let bytes = self.bytes.get(begin..end).unwrap_or_default();
        Packed { is_upsert, bytes, key: bytes.len().min(key as usize) }
    }

    fn rows(&self) -> impl Iterator<Item = Packed<'_>> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// Those that are wanted.
    pub fn only(self, is_wanted: impl Fn(&Packed<'_>) -> bool) -> Page {
        if self.rows().all(|packed| is_wanted(&packed)) {
            return self;
        }
        let mut page = Page::default();
        self.rows().filter(is_wanted).for_each(|packed| page.copy(&packed));
        page
    }
}

/// A changed row that is written down.
#[derive(Clone, Copy)]
pub struct Packed<'p> {
    is_upsert: bool,
    bytes: &'p [u8],
    key: usize,
}

impl<'p> Packed<'p> {
    /// Whether it is there now.
    pub fn is_upsert(&self) -> bool {
        self.is_upsert
    }

    /// Its key, which compares like the values of it.
    pub fn key(&self) -> &'p [u8] {
        &self.bytes[..self.key]
    }

    /// All of it, its key in front.
    pub fn bytes(&self) -> &'p [u8] {
        self.bytes
    }

    /// The same as values.
    pub fn delta(&self) -> Delta {
        let values = packed::values(self.bytes);
        if self.is_upsert { Delta::Upsert(values) } else { Delta::Delete(values) }
    }
}

/// A change, however it is there.
#[derive(Clone, Copy)]
pub enum Change<'d> {
    /// As values.
    Values(&'d Delta),
    /// Written down.
    Packed(Packed<'d>),
}

impl<'d> Change<'d> {
    /// Its values.
    pub fn delta(self) -> Cow<'d, Delta> {
        match self {
            Change::Values(delta) => Cow::Borrowed(delta),
            Change::Packed(packed) => Cow::Owned(packed.delta()),
        }
    }

    /// The values of its key, which is so many columns. `spare` is a buffer.
    pub fn key<'k>(&'k self, key_columns: usize, spare: &'k mut Vec<Value>) -> &'k [Value] {
        match self {
            Change::Values(delta) => delta.first(key_columns),
            Change::Packed(packed) => {
                packed::read(packed.key(), spare);
                spare
            }
        }
    }

    /// Its values, or those of its key if it is gone. `spare` is a buffer.
    pub fn values<'v>(&'v self, spare: &'v mut Vec<Value>) -> &'v [Value] {
        match self {
            Change::Values(delta) => delta.values(),
            Change::Packed(packed) => {
                packed::read(packed.bytes, spare);
                spare
            }
        }
    }

    /// Whether the row is there now.
    pub fn is_upsert(&self) -> bool {
        match self {
            Change::Values(delta) => matches!(delta, Delta::Upsert(_)),
            Change::Packed(packed) => packed.is_upsert,
        }
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Change::Values(delta) => delta.values().iter().map(Value::size).sum(),
            Change::Packed(packed) => packed.bytes.len() + size_of::<Place>(),
        }
    }
}

/// What changes of a table's rows.
///
/// **Invariant.** There are values, or pages, and not both. Where there is an order, it is of rows of the pages.
#[derive(Clone, Default)]
pub struct Deltas {
    values: Vec<Delta>,
    pages: Vec<Arc<Page>>,
    /// Which rows of which pages; without it all of them, page by page.
    order: Option<Vec<At>>,
}

/// How the key of a row begins, its page, and which row of that it is.
type At = (u64, u32, u32);

impl Deltas {
    /// Of rows that are written down.
    pub fn of(page: Page) -> Deltas {
        Deltas { pages: vec![Arc::new(page)], ..Deltas::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let of_pages = || self.pages.iter().map(|page| page.len()).sum();
        self.values.len() + self.order.as_ref().map_or_else(of_pages, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let ordered = self.order.iter().flatten().map(|(_, page, row)| self.pages[*page as usize].row(*row as usize));
        let unordered = if self.order.is_none() { &self.pages[..] } else { &[] };
        let unordered = unordered.iter().flat_map(|page| page.rows());
        self.values.iter().map(Change::Values).chain(ordered.chain(unordered).map(Change::Packed))
    }

    /// Each of them as values.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, Delta>> {
        self.changes().map(Change::delta)
    }

    /// All of them as values.
    pub fn as_values(&self) -> Cow<'_, [Delta]> {
        if self.pages.is_empty() { Cow::Borrowed(&self.values) } else { self.iter().map(Cow::into_owned).collect() }
    }

    /// How many rows are there now, and how many are gone.
    pub fn counts(&self) -> (usize, usize) {
        let upserted = self.changes().filter(Change::is_upsert).count();
        (upserted, self.len() - upserted)
    }

    /// About how many bytes they take.
    pub fn size(&self) -> usize {
        self.changes().map(|change| change.size()).sum()
    }

    /// More, of later. Neither has an order yet.
    pub fn append(&mut self, more: Deltas) {
        if self.is_empty() {
            *self = more;
        } else if self.values.is_empty() == more.values.is_empty() {
            let Deltas { values, pages, order: _ } = more;
            self.values.extend(values);
            self.pages.extend(pages);
        } else {
            // Whoever says of one table both: what stands together has one form.
            let first = std::mem::take(self);
            *self = first.into_iter().chain(more).collect();
        }
    }

    /// Of those of one key the last, in the order of keys, which are so many columns.
    pub fn last_of_each_key(self, key_columns: usize) -> Deltas {
        let Deltas { mut values, pages, order: _ } = self;
        // Stable, and quick on what consists of sorted runs. Reversed, the last of a key is the first.
        values.reverse();
        values.sort_by(|a, b| a.first(key_columns).cmp(b.first(key_columns)));
        values.dedup_by(|later, kept| later.first(key_columns) == kept.first(key_columns));
        if pages.is_empty() {
            return Deltas { values, ..Deltas::default() };
        }
        let key = |(_, page, row): &At| pages[*page as usize].row(*row as usize).key();
        let mut order: Vec<At> = Vec::with_capacity(pages.iter().map(|page| page.len()).sum());
        for (number, page) in (0..).zip(&pages) {
            order.extend((0..).zip(page.rows()).map(|(row, packed)| (begins(packed.key()), number, row)));
        }
        // Stable for what consists of sorted runs: it is merged. Most keys differ early: few are looked up. Of one key, the
        // last stands first.
        order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a).cmp(key(b))).then_with(|| (b.1, b.2).cmp(&(a.1, a.2))));
        order.dedup_by(|later, kept| later.0 == kept.0 && key(later) == key(kept));
        Deltas { values, pages, order: Some(order) }
    }
}

/// Empties a list. It keeps its memory, unless that is far more than what was in it.
pub fn empty<T>(list: &mut Vec<T>) {
    if list.capacity() / 32 > list.len() {
        *list = Vec::new();
    } else {
        list.clear();
    }
}

/// How a key begins: where two differ in it, they have its order.
fn begins(key: &[u8]) -> u64 {
    let mut begins = [0; size_of::<u64>()];
    let bytes = key.len().min(begins.len());
    begins[..bytes].copy_from_slice(&key[..bytes]);
    u64::from_be_bytes(begins)
}

impl From<Vec<Delta>> for Deltas {
    fn from(values: Vec<Delta>) -> Deltas {
        Deltas { values, ..Deltas::default() }
    }
}

impl FromIterator<Delta> for Deltas {
    fn from_iter<I: IntoIterator<Item = Delta>>(values: I) -> Deltas {
        Deltas::from(values.into_iter().collect::<Vec<_>>())
    }
}

impl<'d> IntoIterator for &'d Deltas {
    type Item = Cow<'d, Delta>;
    type IntoIter = Box<dyn Iterator<Item = Cow<'d, Delta>> + 'd>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl IntoIterator for Deltas {
    type Item = Delta;
    type IntoIter = std::vec::IntoIter<Delta>;

    fn into_iter(self) -> Self::IntoIter {
        if self.pages.is_empty() { self.values.into_iter() } else { self.as_values().into_owned().into_iter() }
    }
}

impl Serialize for Deltas {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pages: Vec<&Page> = self.pages.iter().map(|page| &**page).collect();
        (&self.values, pages).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Deltas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Deltas, D::Error> {
        let (values, pages) = <(Vec<Delta>, Vec<Page>)>::deserialize(deserializer)?;
        Ok(Deltas { values, pages: pages.into_iter().map(Arc::new).collect(), order: None })
    }
}

impl PartialEq for Deltas {
    fn eq(&self, other: &Deltas) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Deltas {}

impl fmt::Debug for Deltas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, text: &str) -> Vec<Value> {
        vec![Value::Integer(id), Value::Text(text.to_owned())]
    }

    fn page(deltas: &[Delta]) -> Page {
        let mut page = Page::default();
        for delta in deltas {
            page.push(matches!(delta, Delta::Upsert(_)), |out| {
                packed::push(&delta.values()[0], out);
                let key = out.len();
                delta.values()[1..].iter().for_each(|value| packed::push(value, out));
                key
            });
        }
        page
    }

    #[test]
    fn whatever_form_deltas_have_the_last_of_each_key_counts() {
        let mut seed = 7_u64;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        let mut gone = 0;
        for _ in 0..200 {
            let mut epochs = Vec::new();
            for epoch in 0..dice(5) {
                let delta = |id: u64, is_gone: bool| match is_gone {
                    true => Delta::Delete(vec![Value::Integer(id as i64)]),
                    false => Delta::Upsert(row(id as i64, &"x".repeat(epoch as usize))),
                };
                epochs.push((0..dice(20)).map(|_| delta(dice(300), dice(3) == 0)).collect::<Vec<_>>());
            }
            let model: std::collections::BTreeMap<_, _> =
                epochs.iter().flatten().map(|delta| (delta.first(1).to_vec(), delta.clone())).collect();
            // As values, written down, and first one, then the other.
            for first_written in [0, 1, epochs.len()] {
                let mut all = Deltas::default();
                for (epoch, deltas) in epochs.iter().enumerate() {
                    let more =
                        if epoch < first_written { Deltas::from(deltas.clone()) } else { Deltas::of(page(deltas)) };
                    all.append(more);
                }
                let bytes = postcard::to_stdvec(&all).expect("memory takes it");
                assert_eq!(postcard::from_bytes::<Deltas>(&bytes), Ok(all.clone()));
                let last = all.last_of_each_key(1);
                assert_eq!(*last.as_values(), *model.values().cloned().collect::<Vec<_>>());
                assert_eq!((last.len(), last.is_empty()), (model.len(), model.is_empty()));
                let deleted = model.values().filter(|delta| matches!(delta, Delta::Delete(_))).count();
                assert_eq!(last.counts(), (model.len() - deleted, deleted));
                let (mut keys, mut spare) = (Vec::new(), Vec::new());
                last.changes().for_each(|change| keys.push(change.key(1, &mut spare).to_vec()));
                assert!(keys.iter().eq(model.keys()));
                assert_eq!(last.into_iter().collect::<Vec<_>>(), model.values().cloned().collect::<Vec<_>>());
                gone += deleted;
            }
        }
        assert!(gone > 1_000, "{gone}");
    }

    #[test]
    fn a_page_keeps_what_is_wanted_and_broken_bytes_are_no_panic() {
        let deltas = [Delta::Upsert(row(1, "a")), Delta::Delete(vec![Value::Integer(2)]), Delta::Upsert(row(3, "c"))];
        let wanted = page(&deltas).only(|row| packed::at(row.key(), 0) != Value::Integer(2));
        assert_eq!(*Deltas::of(wanted).as_values(), [deltas[0].clone(), deltas[2].clone()]);
        for length in 0..page(&deltas).bytes.len() {
            let mut cut = page(&deltas);
            cut.bytes.truncate(length);
            assert!(Deltas::of(cut).last_of_each_key(1).iter().count() <= deltas.len());
        }
    }
}
