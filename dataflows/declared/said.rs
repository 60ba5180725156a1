//! What events say of groups, for one worker: no box for each group.

use crate::declared::aggregate::{Held, Layout, Partial};
use crate::deltas::empty;
use crate::hash::Folded;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::hash::Hasher;
use std::rc::Rc;

/// Which metric of its family, and which group: the metric's number, then the keys. Groups have the order of bytes: by
/// metric, then by key.
pub type GroupKey = Box<[u8]>;

const NUMBER: usize = size_of::<u16>();

/// The number that a group's key begins with.
pub fn number(key: &[u8]) -> usize {
    key.first_chunk().map_or(usize::MAX, |number: &[u8; NUMBER]| u16::from_be_bytes(*number).into())
}

/// The keys of a group.
pub fn keys(key: &[u8]) -> &[u8] {
    key.get(NUMBER..).unwrap_or_default()
}

/// Begins the key of a group: its keys follow.
pub fn begin(number: usize, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
}

/// The hash of a group's keys. It is that of all metrics with these keys.
pub fn hash(keys: &[u8]) -> u64 {
    let mut hasher = Folded::default();
    hasher.write(keys);
    hasher.finish()
}

/// By what a group of a metric is found in a table, by the hash of its keys: metrics with the same keys are many.
pub fn place_hash(hash: u64, number: usize) -> u32 {
    hash as u32 ^ (number as u32).wrapping_mul(0x9e37_79b9)
}

/// What some events say of groups that one worker keeps: key behind key, words behind words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Said {
    /// By what it finds its worker.
    pub to: u64,
    ends: Vec<Ends>,
    keys: Vec<u8>,
    words: Vec<u64>,
    held: Vec<Held>,
    /// That rows which are read will not change any more.
    pub passed: Option<Passed>,
}

/// What was said and taken in: its memory is for what is said in epochs to come. Of a worker, one for whoever says and for
/// whoever takes it in.
#[derive(Clone, Default)]
pub struct Spare(Rc<RefCell<Vec<Said>>>);

impl Spare {
    /// Something was taken in. More than workers say in an epoch is not kept.
    pub fn give(&self, mut said: Said, workers: usize) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < workers {
            said.empty();
            spare.push(said);
        }
    }

    /// Of no group, for a worker.
    pub fn take(&self, to: u64) -> Said {
        Said { to, ..self.0.borrow_mut().pop().unwrap_or_default() }
    }
}

/// What a worker says of the rows of a metric: no row changes, or comes, whose events are before an instant.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Passed {
    /// Which worker.
    pub worker: usize,
    /// Which metric, by its number.
    pub of: usize,
    /// Which instant.
    pub at: Instant,
}

/// Where what is said of a group ends, and that of the next begins.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Ends {
    key: usize,
    words: usize,
    held: usize,
    /// By what the group is found: see [`place_hash`].
    hash: u32,
}

impl Said {
    /// Of one group.
    pub fn of(to: u64, hash: u32, key: &[u8], of: Partial) -> Said {
        let Partial { words, held } = of;
        let ends = Ends { key: key.len(), words: words.len(), held: held.len(), hash };
        Said { to, ends: vec![ends], keys: key.to_vec(), words: words.into(), held: held.into(), passed: None }
    }

    /// That rows do not change any more, for one worker.
    pub fn passed_to(to: u64, passed: Passed) -> Said {
        Said { to, passed: Some(passed), ..Said::default() }
    }

    /// Nothing is said any more. Its memory is for what is said next, unless that was far too much for what was said last.
    fn empty(&mut self) {
        let Said { to: _, ends, keys, words, held, passed } = self;
        empty(ends);
        empty(keys);
        empty(words);
        empty(held);
        *passed = None;
    }

    /// Of how many groups.
    pub fn groups(&self) -> usize {
        self.ends.len()
    }

    fn around(&self, group: usize) -> (Ends, Ends) {
        let before = group.checked_sub(1).map_or(Ends::default(), |before| self.ends[before]);
        (before, self.ends[group])
    }

    /// By what a group is found.
    pub fn hash(&self, group: usize) -> u32 {
        self.ends[group].hash
    }

    /// The key of a group.
    pub fn key(&self, group: usize) -> &[u8] {
        let (from, to) = self.around(group);
        &self.keys[from.key..to.key]
    }

    /// What is aggregated of a group.
    pub fn partial(&mut self, group: usize) -> (&mut [u64], &mut [Held]) {
        let (from, to) = self.around(group);
        (&mut self.words[from.words..to.words], &mut self.held[from.held..to.held])
    }

    /// The key of a group, and what is aggregated of it.
    pub fn group(&mut self, group: usize) -> (&[u8], (&[u64], &mut [Held])) {
        let (from, to) = self.around(group);
        let partial = (&self.words[from.words..to.words], &mut self.held[from.held..to.held]);
        (&self.keys[from.key..to.key], partial)
    }

    /// A group is called otherwise from now on, by a key of the same length.
    pub fn rename(&mut self, group: usize, key: &[u8]) {
        let (from, to) = self.around(group);
        self.keys[from.key..to.key].copy_from_slice(key);
    }

    /// A group of which nothing was said.
    pub fn add(&mut self, hash: u32, key: &[u8], layout: &Layout) {
        self.keys.extend_from_slice(key);
        let (words, held) = layout.sizes();
        self.words.resize(self.words.len() + words, 0);
        self.held.resize(self.held.len() + held, Held::Nothing);
        let (key, words, held) = (self.keys.len(), self.words.len(), self.held.len());
        self.ends.push(Ends { key, words, held, hash });
    }
}
