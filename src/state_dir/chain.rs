//! Which of the journal's entries are true: one chain through all generations.

use super::envelope::Damage;
use super::journal::{Entry, Group};
use super::{StateDir, StateError};
use dataflows::Time;
use std::collections::BTreeMap;

/// So many objects are asked for together: of a bucket each takes tens of milliseconds, and there may be thousands.
const AT_ONCE: usize = 16;

/// The journal from its first entry that is still kept, to its last.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The epoch before the first entry: 0 if the journal is complete.
    pub follows: Time,
    /// Entries with the generation that wrote them.
    pub entries: BTreeMap<Time, (u64, Entry)>,
}

impl Chain {
    /// The last epoch.
    pub fn end(&self) -> Time {
        self.entries.last_key_value().map_or(self.follows, |(epoch, _)| *epoch)
    }

    /// The last epoch, and the start that journaled it if its entry is kept.
    pub fn last(&self) -> (Time, Option<u64>) {
        (self.end(), self.entries.last_key_value().map(|(_, (by, _))| *by))
    }

    /// Adds a group: what it follows is true, and what had been said after that is not. If that is not
    /// there, or only as somebody else said it, the chain begins again: what was removed may be back after a
    /// loss of power, in part. A start that needs what lies before will miss it.
    fn add(&mut self, generation: u64, group: Group) -> Result<(), String> {
        let is_meant = |(by, _): &(u64, Entry)| group.follows_generation.is_none_or(|meant| meant == *by);
        let known = group.follows == self.follows || self.entries.get(&group.follows).is_some_and(is_meant);
        if !known || self.entries.is_empty() {
            self.follows = group.follows;
            self.entries.clear();
        }
        drop(self.entries.split_off(&(group.follows + 1)));
        let mut last = group.follows;
        for entry in group.entries {
            if entry.epoch <= last {
                return Err(format!("epoch {} comes after epoch {last}", entry.epoch));
            }
            last = entry.epoch;
            self.entries.insert(last, (generation, entry));
        }
        Ok(())
    }
}

impl StateDir {
    /// Reads the journal.
    ///
    /// # Errors
    /// If an object of it is damaged.
    pub fn chain(&self) -> Result<Chain, StateError> {
        let mut chain = Chain::default();
        // What was removed may be back after a loss of power; the facts of its start are removed last.
        let known = self.generations()?;
        let mut keys = self.journal_keys()?;
        keys.retain(|key| known.contains(&key.generation));
        for keys in keys.chunks(AT_ONCE) {
            for (key, group) in keys.iter().zip(self.journal_groups(keys)?) {
                // Removed since it was listed: then it was not needed any more.
                let Some(group) = group else { continue };
                chain.add(key.generation, group).map_err(|why| self.damaged(&key.name, Damage::Body(why)))?;
            }
        }
        Ok(chain)
    }

    /// Removes what of the journal lies before an epoch whose snapshot is kept. The entry of the epoch
    /// itself stays: it vouches for the snapshot.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget_journal(&self, needed_from: Time) -> Result<usize, StateError> {
        if self.spared.is_some() {
            return Ok(0);
        }
        let keys = self.journal_keys()?;
        let mut removed = 0;
        for (n, key) in keys.iter().enumerate() {
            // The last epoch of a group is before the first of the next one of its generation; of the
            // last group of a generation it must be read.
            let last = match keys.get(n + 1).filter(|next| next.generation == key.generation) {
                Some(next) => next.first - 1,
                None => match self.journal_group(key)? {
                    Some(group) => group.entries.last().map_or(0, |entry| entry.epoch),
                    None => continue,
                },
            };
            // From the beginning only: a hole would look like a loss.
            if last >= needed_from || n + 1 == keys.len() {
                break;
            }
            self.store().delete(&key.name)?;
            removed += 1;
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::local::Local;
    use crate::store::simulated::SimulatedDisk;
    use std::sync::Arc;

    fn group(follows: Time, epochs: &[Time]) -> Group {
        let entries = epochs.iter().map(|epoch| Entry { epoch: *epoch, ..Entry::default() }).collect();
        Group { follows, follows_generation: None, entries }
    }

    fn epochs(chain: &Chain) -> Vec<(Time, u64)> {
        chain.entries.iter().map(|(epoch, (generation, _))| (*epoch, *generation)).collect()
    }

    #[test]
    fn what_a_superseded_run_says_after_its_successor_began_is_void() {
        let mut chain = Chain::default();
        chain.add(1, group(0, &[2, 4])).expect("first");
        chain.add(1, group(4, &[6, 8])).expect("second");
        chain.add(1, group(8, &[10])).expect("by a zombie");
        chain.add(2, group(6, &[8, 12])).expect("by its successor");
        assert_eq!(epochs(&chain), [(2, 1), (4, 1), (6, 1), (8, 2), (12, 2)]);
        assert_eq!((chain.follows, chain.end()), (0, 12));
    }

    #[test]
    fn what_a_superseded_run_says_after_its_successor_forgot_is_void() {
        let mut chain = Chain::default();
        let successors = Group { follows_generation: Some(2), ..group(8, &[10]) };
        chain.add(1, group(4, &[6, 8])).expect("by a zombie, whose successor forgot its own 8");
        chain.add(2, successors.clone()).expect("it follows the 8 of its own");
        assert_eq!((chain.follows, epochs(&chain)), (8, vec![(10, 2)]));
        let mut chain = Chain::default();
        chain.add(1, group(4, &[6, 8])).expect("by a zombie");
        chain.add(2, group(6, &[8])).expect("by its successor");
        chain.add(2, successors).expect("it follows the 8 of its own");
        assert_eq!((chain.follows, epochs(&chain)), (4, vec![(6, 1), (8, 2), (10, 2)]));
    }

    #[test]
    fn what_lies_before_a_hole_is_not_part_of_it() {
        let mut chain = Chain::default();
        chain.add(3, group(40, &[42])).expect("the beginning was forgotten");
        chain.add(3, group(44, &[46])).expect("44 was forgotten, and 42 is back");
        assert_eq!((chain.follows, epochs(&chain)), (44, vec![(46, 3)]));
        chain.add(4, group(44, &[48])).expect("it follows what is forgotten");
        assert_eq!((chain.follows, epochs(&chain)), (44, vec![(48, 4)]));
        assert!(chain.add(4, group(48, &[52, 50])).is_err());
    }
    #[test]
    fn what_came_back_without_the_facts_of_its_start_is_no_part_of_it() {
        let store = Local::on(SimulatedDisk::new(), "/state").expect("a folder");
        let dir = StateDir::open(Arc::new(store), None).expect("opens");
        dir.journal(1, &group(0, &[2, 4])).expect("written");
        assert_eq!(epochs(&dir.chain().expect("readable")), []);
    }
}
