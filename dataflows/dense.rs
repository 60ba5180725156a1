//! A map for many small entries: it holds little else, growing moves no entry, and what it
//! holds at an instant is frozen without copying it.
//!
//! It is for memory and for short pauses, not for speed. By `benches/dense.rs`, with two million entries of a number and 48
//! bytes in an order that looks like none, beside the standard map with the same hash, on a machine of two cores that was
//! busy with more:
//!
//! | | `Dense` | `HashMap` |
//! |---|---|---|
//! | bytes an entry; at the most, while it grows | 81; 81 | 120; 179 |
//! | the longest pause for 64 inserts: it grows | 75 ms | 463 ms |
//! | frozen (`HashMap`: cloned) | 0.4 ms | 473 ms |
//! | insert | 600 ns | 790 ns |
//! | get; change | 680 ns; 790 ns | 280 ns; 250 ns |
//! | remove | 1,540 ns | 520 ns |
//!
//! To look at an entry it reads a slot, a list of chunks and the entry, each somewhere else, and none of them is in a cache
//! here.

use crate::hash::Folded;
use crate::places::Places;
use std::borrow::Borrow;
use std::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::rc::Rc;

/// Entries stand in chunks, one after the other; a hash table holds their places alone. A place is
/// that of its key until it is removed, and a shorter name for it.
///
/// **Law.** [`Dense::frozen`] shows the entries as they were when it was called, whatever becomes of
/// them: a chunk that is looked at there is copied before it changes, once, and no other chunk is.
/// The copy is as large as all that the values of a chunk own; a value that may grow large keeps what
/// it owns behind an `Rc`.
pub struct Dense<K, V> {
    places: Places,
    chunks: Vec<Chunk<K, V>>,
    /// Places up to here were taken once; those of them that are free are in `free`.
    begun: usize,
    free: Vec<u32>,
    /// So many are not found by their keys.
    apart: usize,
}

/// Entries, or nothing where nobody stands. Shared only while it is frozen. Boxed, for its size to be
/// that of its entries alone: with the counts in front it would take the next size that allocators have.
type Chunk<K, V> = Rc<Box<[Option<(K, V)>]>>;

/// So many entries stand together. With more, changing one of a frozen chunk takes longer; with fewer
/// the list of chunks, which freezing copies, is long.
const CHUNK: usize = 256;

/// A slice of what is frozen ends with its chunk, or after so many records.
pub const SLICE: usize = 1024;

fn hash<K: Hash + ?Sized>(key: &K) -> u32 {
    let hash = BuildHasherDefault::<Folded>::default().hash_one(key);
    (hash ^ hash >> 32) as u32
}

impl<K, V> Default for Dense<K, V> {
    fn default() -> Dense<K, V> {
        Dense { places: Places::default(), chunks: Vec::new(), begun: 0, free: Vec::new(), apart: 0 }
    }
}

impl<K, V> Dense<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.places.len() + self.apart
    }

    fn entry(&self, place: u32) -> Option<&(K, V)> {
        self.chunks[place as usize / CHUNK][place as usize % CHUNK].as_ref()
    }

    /// All entries as they are now, in no order that means anything: what `each` makes of them, slice
    /// by slice, when it is asked for.
    pub fn frozen<T, F: FnMut(&K, &V, &mut Vec<T>)>(
        &self,
        mut each: F,
    ) -> impl Iterator<Item = Vec<T>> + use<K, V, T, F> {
        let mut chunks = self.chunks.clone().into_iter();
        let mut begun = None;
        std::iter::from_fn(move || {
            let mut slice = Vec::with_capacity(CHUNK);
            while slice.is_empty() {
                let (chunk, mut at) = match begun.take() {
                    Some(begun) => begun,
                    None => (chunks.next()?, 0),
                };
                while at < chunk.len() && slice.len() < SLICE {
                    if let Some((key, value)) = &chunk[at] {
                        each(key, value, &mut slice);
                    }
                    at += 1;
                }
                // A chunk that is through is let go of: it need not be copied any more.
                begun = (at < chunk.len()).then_some((chunk, at));
            }
            Some(slice)
        })
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Dense<K, V> {
    fn entry_mut(&mut self, place: u32) -> &mut Option<(K, V)> {
        &mut Rc::make_mut(&mut self.chunks[place as usize / CHUNK])[place as usize % CHUNK]
    }

    fn slot<Q: Eq + ?Sized>(&self, hash: u32, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.places.find(hash, |place| self.entry(place).is_some_and(|(known, _)| known.borrow() == key))
    }

    fn find(&self, key: &K) -> Option<u32> {
        Some(self.places.at(self.slot(hash(key), key)?))
    }

    fn add(&mut self, hash: u32, key: K, value: V) -> u32 {
        let place = self.stand(key, value);
        self.places.insert(hash, place);
        place
    }

    fn stand(&mut self, key: K, value: V) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            if self.begun == self.chunks.len() * CHUNK {
                self.chunks.push(Rc::new(std::iter::repeat_with(|| None).take(CHUNK).collect()));
            }
            self.begun += 1;
            u32::try_from(self.begun - 1).expect("four billion entries do not fit into memory")
        });
        *self.entry_mut(place) = Some((key, value));
        place
    }

    /// A place for a key that whoever asks finds by other means, until [`Dense::vacate_apart`]. No key is looked up, so that
    /// one may stand there twice.
    pub fn stand_apart(&mut self, key: K) -> u32
    where
        V: Default,
    {
        self.apart += 1;
        self.stand(key, V::default())
    }

    /// Removes who stands at a place apart.
    pub fn vacate_apart(&mut self, place: u32) {
        self.apart -= 1;
        self.leave(place);
    }

    /// The place of a key, which is made if there is none.
    pub fn place(&mut self, key: K) -> u32
    where
        V: Default,
    {
        let hash = hash(&key);
        match self.slot(hash, &key) {
            Some(slot) => self.places.at(slot),
            None => self.add(hash, key, V::default()),
        }
    }

    /// The place of a key that is not owned, which is made if there is none.
    pub fn place_of<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> u32
    where
        K: Borrow<Q> + for<'q> From<&'q Q>,
        V: Default,
    {
        let hash = hash(key);
        match self.slot(hash, key) {
            Some(slot) => self.places.at(slot),
            None => self.add(hash, key.into(), V::default()),
        }
    }

    /// Who stands at a place that is taken.
    pub fn at(&self, place: u32) -> &(K, V) {
        self.entry(place).expect("a place is its key's until it is removed")
    }

    /// Who stands at a place, if it is taken.
    pub fn standing(&self, place: u32) -> Option<&(K, V)> {
        self.chunks.get(place as usize / CHUNK)?[place as usize % CHUNK].as_ref()
    }

    /// What stands at a place that is taken, to change it.
    pub fn at_mut(&mut self, place: u32) -> &mut V {
        let entry = self.entry_mut(place).as_mut();
        &mut entry.expect("a place is its key's until it is removed").1
    }

    /// Removes who stands at a place.
    pub fn vacate(&mut self, place: u32) {
        let slot = self.entry(place).and_then(|(key, _)| self.places.find(hash(key), |other| other == place));
        slot.into_iter().for_each(|slot| self.clear(slot));
    }

    fn clear(&mut self, slot: usize) {
        let place = self.places.at(slot);
        self.places.remove(slot);
        self.leave(place);
    }

    fn leave(&mut self, place: u32) {
        *self.entry_mut(place) = None;
        self.free.push(place);
        if self.len() == 0 {
            *self = Dense::default();
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).map(|place| &self.at(place).1)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).map(|place| self.at_mut(place))
    }

    /// The value of a key, to change it; made if there is none.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = self.place(key);
        self.at_mut(place)
    }

    /// Puts a value in the place of what the key had.
    pub fn insert(&mut self, key: K, value: V) {
        let hash = hash(&key);
        match self.slot(hash, &key) {
            Some(slot) => *self.at_mut(self.places.at(slot)) = value,
            None => drop(self.add(hash, key, value)),
        }
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &K) {
        self.slot(hash(key), key).into_iter().for_each(|slot| self.clear(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<u64, u64>;
    type View = Box<dyn Iterator<Item = Vec<(u64, u64)>>>;

    fn view(dense: &Dense<u64, u64>) -> View {
        Box::new(dense.frozen(|key, value, out| out.push((*key, *value))))
    }

    fn sorted(mut entries: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
        entries.sort_unstable();
        entries
    }

    /// Small numbers that repeat themselves and look like nothing.
    fn draw(seed: &mut u64, below: u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    }

    #[test]
    fn it_does_what_a_map_does_and_a_frozen_view_shows_what_was() {
        let (mut dense, mut model) = (Dense::<u64, u64>::default(), Model::new());
        let mut views = Vec::<(View, Vec<(u64, u64)>, Model)>::new();
        let (mut seed, mut seen) = (7, 0);
        for step in 0..120_000 {
            // First it grows, then it shrinks to nothing, and again.
            let removes = draw(&mut seed, 16) < if step / 15_000 % 2 == 0 { 5 } else { 13 };
            let key = draw(&mut seed, 3000);
            match (removes, draw(&mut seed, 4)) {
                (true, _) => {
                    dense.remove(&key);
                    model.remove(&key);
                }
                (false, 0) => {
                    dense.insert(key, step);
                    model.insert(key, step);
                }
                (false, 1) => {
                    *dense.get_or_default(key) += step;
                    *model.entry(key).or_default() += step;
                }
                (false, _) => {
                    dense.get_mut(&key).into_iter().for_each(|value| *value += 1);
                    model.get_mut(&key).into_iter().for_each(|value| *value += 1);
                }
            }
            assert_eq!((dense.get(&key), dense.len()), (model.get(&key), model.len()));
            if views.len() < 5 && draw(&mut seed, 700) == 0 {
                views.push((view(&dense), Vec::new(), model.clone()));
            }
            if !views.is_empty() && draw(&mut seed, 100) == 0 {
                let which = draw(&mut seed, views.len() as u64) as usize;
                match views[which].0.next() {
                    Some(slice) => {
                        assert!(!slice.is_empty());
                        views[which].1.extend(slice);
                    }
                    None => {
                        let (_, entries, model) = views.swap_remove(which);
                        assert!(sorted(entries).into_iter().eq(model));
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 50, "{seen} views were looked at to their end");
        assert!(dense.chunks.len() <= 3000usize.div_ceil(CHUNK), "at most 3000 keys at a time");
        assert!(sorted(view(&dense).flatten().collect()).into_iter().eq(model.clone()));
        model.into_keys().for_each(|key| dense.remove(&key));
        assert!(dense.chunks.is_empty() && view(&dense).next().is_none());
        for (rest, mut entries, model) in views {
            entries.extend(rest.flatten());
            assert!(sorted(entries).into_iter().eq(model), "nothing is left but what was frozen");
        }
    }

    #[test]
    fn a_place_is_its_keys_until_it_is_removed() {
        let mut dense = Dense::<u64, u64>::default();
        let places: Vec<_> = (0..2000).map(|key| dense.place(key)).collect();
        assert!((0..2000).all(|key| dense.place(key) == places[key as usize]));
        (0..2000).step_by(2).for_each(|key| dense.vacate(places[key as usize]));
        assert!((1..2000).step_by(2).all(|key| dense.at(places[key as usize]) == &(key, 0)));
        assert!((0..1000).all(|key| places.contains(&dense.place(5000 + key))), "freed places are taken again");
    }

    #[test]
    fn only_what_is_frozen_is_copied_and_only_once() {
        let mut dense = Dense::<u64, u64>::default();
        (0..10 * CHUNK as u64).for_each(|key| dense.insert(key, key));
        let before = dense.chunks.iter().map(|chunk| chunk.as_ptr()).collect::<Vec<_>>();
        let copied = |dense: &Dense<u64, u64>| {
            dense.chunks.iter().zip(&before).filter(|(chunk, before)| chunk.as_ptr() != **before).count()
        };
        *dense.at_mut(0) = 1;
        assert_eq!(copied(&dense), 0);
        let mut view = view(&dense);
        assert_eq!(view.next().map(|slice| slice.len()), Some(CHUNK));
        (0..2 * CHUNK as u32).for_each(|place| *dense.at_mut(place) = 2);
        assert_eq!(copied(&dense), 1, "the first chunk was through");
        assert!(dense.get(&(9 * CHUNK as u64)).is_some());
        assert_eq!(copied(&dense), 1, "looking copies nothing");
        drop(view);
        (0..10 * CHUNK as u32).for_each(|place| *dense.at_mut(place) = 3);
        assert_eq!(copied(&dense), 1);
    }
}
