//! A map for what is many and small: it holds little besides, and growing moves no entry.

use crate::hash::Folded;
use std::hash::{BuildHasher, BuildHasherDefault, Hash};

/// Entries stand in chunks, one after the other; a hash table holds their places alone. A place is
/// that of its key until it is removed, and a shorter name for it.
pub struct Dense<K, V> {
    places: Places,
    chunks: Vec<Vec<(K, V)>>,
    free: Vec<u32>,
}

/// So many entries stand together: with fewer the list of chunks, with more the last one, is long.
const CHUNK: usize = 1024;

/// Half of a hash in the upper half of a word, a place in the lower: growing asks for no key.
/// Whoever finds their slot taken stands in the next that is free.
#[derive(Default)]
struct Places {
    slots: Vec<u64>,
    taken: usize,
}

const NOBODY: u64 = u64::MAX;

impl Places {
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    /// Where in the table the place stands that `is_it`.
    fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(hash.into());
        while self.slots[at] != NOBODY {
            if self.slots[at] >> 32 == u64::from(hash) && is_it(self.slots[at] as u32) {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    fn insert(&mut self, hash: u32, place: u32) {
        if self.slots.len() * 3 <= self.taken * 4 {
            let slots = vec![NOBODY; (self.slots.len() * 2).max(4)];
            let old = std::mem::replace(&mut self.slots, slots);
            old.into_iter().filter(|slot| *slot != NOBODY).for_each(|slot| self.put(slot));
        }
        self.put(u64::from(hash) << 32 | u64::from(place));
        self.taken += 1;
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home(slot >> 32);
        while self.slots[at] != NOBODY {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    /// Frees a slot, and moves up those who stand behind it for want of it.
    fn remove(&mut self, at: usize) {
        let (mut hole, mut next) = (at, self.after(at));
        let distance = |from: usize, to: usize| to.wrapping_sub(from) & (self.slots.len() - 1);
        let mut moves = Vec::new();
        while self.slots[next] != NOBODY {
            if distance(self.home(self.slots[next] >> 32), next) >= distance(hole, next) {
                moves.push((hole, self.slots[next]));
                hole = next;
            }
            next = self.after(next);
        }
        moves.into_iter().for_each(|(to, slot)| self.slots[to] = slot);
        self.slots[hole] = NOBODY;
        self.taken -= 1;
    }
}

fn hash<K: Hash>(key: &K) -> u32 {
    let hash = BuildHasherDefault::<Folded>::default().hash_one(key);
    (hash ^ hash >> 32) as u32
}

fn entry<K, V>(chunks: &[Vec<(K, V)>], place: u32) -> &(K, V) {
    &chunks[place as usize / CHUNK][place as usize % CHUNK]
}

impl<K, V> Default for Dense<K, V> {
    fn default() -> Dense<K, V> {
        Dense { places: Places::default(), chunks: Vec::new(), free: Vec::new() }
    }
}

impl<K: Hash + Eq + Copy, V: Default> Dense<K, V> {
    /// The place of a key, which is made if there is none.
    pub fn place(&mut self, key: K) -> u32 {
        let hash = hash(&key);
        if let Some(found) = self.places.find(hash, |place| entry(&self.chunks, place).0 == key) {
            return self.places.slots[found] as u32;
        }
        let place = match self.free.pop() {
            Some(place) => {
                *self.at(place) = (key, V::default());
                place
            }
            None => {
                if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                let full = (self.chunks.len() - 1) * CHUNK;
                let last = &mut self.chunks[full / CHUNK];
                last.push((key, V::default()));
                u32::try_from(full + last.len()).expect("four billion entries do not fit into memory") - 1
            }
        };
        self.places.insert(hash, place);
        place
    }

    /// What stands at a place.
    pub fn at(&mut self, place: u32) -> &mut (K, V) {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// Removes what stands at a place.
    pub fn remove(&mut self, place: u32) {
        let key = self.at(place).0;
        if let Some(found) = self.places.find(hash(&key), |other| other == place) {
            self.places.remove(found);
            self.at(place).1 = V::default();
            self.free.push(place);
        }
        if self.places.taken == 0 {
            *self = Dense::default();
        }
    }

    /// All entries, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        let places = self.places.slots.iter().filter(|slot| **slot != NOBODY);
        places.map(|slot| entry(&self.chunks, *slot as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_does_what_a_map_does_and_takes_freed_places_again() {
        let (mut dense, mut model) = (Dense::<u64, u64>::default(), BTreeMap::new());
        let mut random = 7u64;
        for step in 0..60_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // First it grows, then it shrinks to nothing, and again.
            let (key, removes) =
                ((random >> 33) % 3000, (random >> 20) % 16 < if step / 15_000 % 2 == 0 { 5 } else { 13 });
            match model.get(&key) {
                Some((place, value)) => {
                    assert_eq!((dense.place(key), *dense.at(*place)), (*place, (key, *value)));
                    if removes {
                        dense.remove(*place);
                        model.remove(&key);
                    }
                }
                None => {
                    let place = dense.place(key);
                    assert_eq!(*dense.at(place), (key, 0));
                    dense.at(place).1 = step;
                    model.insert(key, (place, step));
                }
            }
        }
        let mut found: Vec<_> = dense.iter().copied().collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(model.iter().map(|(key, (_, value))| (*key, *value))));
        assert!(dense.chunks.len() <= 3, "at most 3000 keys at a time");
        model.into_values().for_each(|(place, _)| dense.remove(place));
        assert!(dense.chunks.is_empty() && dense.iter().next().is_none());
    }
}
