//! Places of entries that stand elsewhere, by the hashes of their keys: linear probing.

/// Half of a hash in the upper half of a word, a place in the lower: growing asks for no key.
/// An entry whose slot is taken stands in the next free one.
#[derive(Default)]
pub(crate) struct Places {
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

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    /// The place that is most likely that of a hash, if there is one: where it would stand, nobody else is looked for. Asked
    /// for several hashes before any is found, their memory is waited for all at once.
    pub(crate) fn look(&self, hash: u32) -> Option<u32> {
        let first = *self.slots.get(hash as usize & self.slots.len().wrapping_sub(1))?;
        (first != NOBODY && first >> 32 == u64::from(hash)).then_some(first as u32)
    }

    /// The place that stands in a slot of the table.
    pub(crate) fn at(&self, slot: usize) -> u32 {
        self.slots[slot] as u32
    }

    /// Another place stands in a slot from now on, of a key with the same hash.
    pub(crate) fn set(&mut self, slot: usize, place: u32) {
        self.slots[slot] = self.slots[slot] >> 32 << 32 | u64::from(place);
    }

    /// In which slot of the table the place stands that `is_it`.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
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

    /// A place that is not there comes in.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
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

    /// Nobody is there any more. The table stays, unless far fewer were there than it has room for.
    pub(crate) fn empty(&mut self) {
        if self.slots.len() / 32 > self.taken {
            *self = Places::default();
        } else {
            self.slots.fill(NOBODY);
            self.taken = 0;
        }
    }

    /// Frees a slot, and moves up those who stand behind it for want of it.
    pub(crate) fn remove(&mut self, at: usize) {
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
