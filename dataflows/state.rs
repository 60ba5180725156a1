//! What stateful operators hold, by name: counted, taken out, and put back.
//!
//! Every stateful operator enters a [`Ledger`] when it is built. Durability takes [`Section`]s out through it; each
//! operator takes its own back through [`Ledger::restored`], and no record is sent to any other. Operators count what
//! they hold, which says where the memory is. What `differential` arranges is not here: it is rebuilt by feeding.

use crate::Stream;
use crate::persons::Renaming;
use crate::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Input as _;
use timely::dataflow::{InputHandle, Scope};

/// How the records of an operator forget a user. There is no default: each operator says it.
pub enum Forgets<T> {
    /// No record names anybody.
    NamesNobody,
    /// The record goes on as that of nobody: sums that it is part of stay as they are. Tells whether it named the user.
    BecomesNobodys(fn(record: &mut T, user: u64, nobody: u64) -> bool),
    /// The same, where persons may be texts, or a record is of an event that is known by its hash.
    Renames(fn(record: &mut T, renaming: &Renaming) -> bool),
    /// The record says who somebody is, and nothing that is computed depends on it: it goes. Tells whom it names.
    Goes(fn(record: &T) -> u64),
}

/// Records that an operator keeps: what a snapshot has of it.
pub struct Kept<T: 'static> {
    /// `family/operator/what`. A dataflow has one of a name.
    pub name: &'static str,
    /// Raised when a record is written in another way: what is written does not say what it means.
    pub version: u32,
    /// How a record forgets a user.
    pub forgets: Forgets<T>,
}

/// Records of an operator as they stand in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The name of what is kept.
    pub name: String,
    /// The version in which its records are written.
    pub version: u32,
    /// How many records.
    pub records: u64,
    /// Written down, one after the other.
    pub bytes: Vec<u8>,
}

impl<T: Serialize> Kept<T> {
    /// Writes records down.
    pub fn section(&self, records: &[T]) -> Section {
        let mut bytes = Vec::with_capacity(records.len() * 16);
        for record in records {
            bytes = postcard::to_extend(record, bytes).expect("every record can be written down");
        }
        Section { name: self.name.to_owned(), version: self.version, records: records.len() as u64, bytes }
    }
}

impl<T: DeserializeOwned> Kept<T> {
    /// Reads the records of a section, each in its turn.
    ///
    /// # Errors
    /// If the bytes are not what this version writes.
    pub fn read(&self, section: &Section, mut each: impl FnMut(T)) -> Result<(), String> {
        let wrong = |why: &str| format!("`{}`, version {}: {why}", section.name, section.version);
        if section.version != self.version {
            return Err(wrong(&format!("this program writes version {}", self.version)));
        }
        let (mut bytes, mut records) = (section.bytes.as_slice(), 0);
        while !bytes.is_empty() {
            let (record, rest) = postcard::take_from_bytes(bytes).map_err(|error| wrong(&error.to_string()))?;
            each(record);
            (bytes, records) = (rest, records + 1);
        }
        if records != section.records {
            return Err(wrong(&format!("it has {records} records, and says {}", section.records)));
        }
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// A section with some of the records only.
    ///
    /// # Errors
    /// If the bytes are not what this version writes.
    pub fn only(&self, section: &Section, which: impl Fn(&T) -> bool) -> Result<Section, String> {
        let mut kept = Vec::new();
        self.read(section, |record| kept.extend(which(&record).then_some(record)))?;
        Ok(self.section(&kept))
    }
}

/// What can be done with what is kept without knowing what it is.
pub trait KeptBy: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The version in which it is written.
    fn version(&self) -> u32;

    /// Reads the records of a section, and lets go of them.
    ///
    /// # Errors
    /// If the section is not what this version writes.
    fn check(&self, section: &Section) -> Result<(), String>;

    /// Makes a user's records those of nobody, or removes them; tells how many there were.
    ///
    /// # Errors
    /// If the section is not what this version writes.
    fn forget(&self, section: &mut Section, renaming: &Renaming) -> Result<u64, String>;
}

impl<T: Serialize + DeserializeOwned + 'static> KeptBy for Kept<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self, section: &Section) -> Result<(), String> {
        self.read(section, drop)
    }

    fn forget(&self, section: &mut Section, renaming: &Renaming) -> Result<u64, String> {
        let (mut kept, mut found, numbers) = (Vec::new(), 0, renaming.numbers());
        self.read(section, |mut record| match (&self.forgets, numbers) {
            (Forgets::Renames(rename), _) => {
                found += u64::from(rename(&mut record, renaming));
                kept.push(record);
            }
            (Forgets::BecomesNobodys(rename), Some((user, nobody))) => {
                found += u64::from(rename(&mut record, user, nobody));
                kept.push(record);
            }
            (Forgets::Goes(of), Some((user, _))) if of(&record) == user => found += 1,
            (Forgets::NamesNobody | Forgets::BecomesNobodys(_) | Forgets::Goes(_), _) => kept.push(record),
        })?;
        *section = self.section(&kept);
        Ok(found)
    }
}

/// What was held at an instant, slice by slice: the slices are made when they are asked for, and show
/// what was held then, whatever was computed meanwhile.
pub type Frozen = Box<dyn Iterator<Item = Section>>;

type Count = Box<dyn Fn() -> usize>;
type Freeze = Box<dyn Fn() -> Frozen>;

/// Takes records of an operator back.
trait Restore {
    /// Sends the records of a section.
    fn send(&mut self, section: &Section) -> Result<(), String>;
}

struct Restoring<T: Clone + 'static> {
    kept: &'static Kept<T>,
    input: InputHandle<Time, CapacityContainerBuilder<Vec<T>>>,
}

impl<T: DeserializeOwned + Clone + 'static> Restore for Restoring<T> {
    fn send(&mut self, section: &Section) -> Result<(), String> {
        self.kept.read(section, |record| self.input.send(record))?;
        self.input.flush();
        Ok(())
    }
}

#[derive(Default)]
struct Entries {
    counted: Vec<(&'static str, Count)>,
    frozen: Vec<Freeze>,
    restoring: Vec<(&'static str, Box<dyn Restore>)>,
}

/// The stateful operators of one worker's dataflow.
#[derive(Clone, Default)]
pub struct Ledger {
    entries: Rc<RefCell<Entries>>,
    /// The epoch in which restored records enter: an odd one.
    restored_at: Time,
}

impl Ledger {
    /// A ledger of operators whose records enter in an odd epoch.
    pub fn restoring_at(restored_at: Time) -> Ledger {
        Ledger { restored_at, ..Ledger::default() }
    }

    /// Enters what is counted of an operator: its name, its state, and how many records that is.
    pub fn count<S: 'static>(&self, name: &'static str, state: &Rc<RefCell<S>>, count: impl Fn(&S) -> usize + 'static) {
        let counted = Rc::clone(state);
        self.entries.borrow_mut().counted.push((name, Box::new(move || count(&counted.borrow()))));
    }

    /// Enters what is kept of an operator: the slices of its records as they are now. Freezing stops the worker: it may
    /// share what is held (see `Dense`) and copy what is small, and leaves the rest to the code that takes the slices.
    pub fn keep<S: 'static, T: Serialize, I: Iterator<Item = Vec<T>> + 'static>(
        &self,
        kept: &'static Kept<T>,
        state: &Rc<RefCell<S>>,
        freeze: impl Fn(&S) -> I + 'static,
    ) {
        let frozen = Rc::clone(state);
        let freeze = move || -> Frozen {
            let slices = freeze(&frozen.borrow()).filter(|slice| !slice.is_empty());
            Box::new(slices.map(|slice| kept.section(&slice)))
        };
        self.entries.borrow_mut().frozen.push(Box::new(freeze));
    }

    /// What was kept of an operator, at the odd epoch before the first even one.
    pub fn restored<'s, T: DeserializeOwned + Clone + 'static>(
        &self,
        scope: Scope<'s, Time>,
        kept: &'static Kept<T>,
    ) -> Stream<'s, T> {
        let (mut input, stream) = scope.new_input();
        input.advance_to(self.restored_at);
        let mut entries = self.entries.borrow_mut();
        let twice = entries.restoring.iter().any(|(name, _)| *name == kept.name);
        assert!(!twice, "two operators keep `{}`", kept.name);
        entries.restoring.push((kept.name, Box::new(Restoring { kept, input })));
        stream
    }

    /// The names of what the operators keep, before anything is given back.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.borrow().restoring.iter().map(|(name, _)| *name).collect()
    }

    /// Gives the records of a section back to the operator that kept them; tells whether there is one.
    ///
    /// # Errors
    /// If the section is not what this version writes.
    pub fn restore(&self, section: &Section) -> Result<bool, String> {
        let mut entries = self.entries.borrow_mut();
        let found = entries.restoring.iter_mut().find(|(name, _)| *name == section.name);
        found.map_or(Ok(false), |(_, operator)| operator.send(section).map(|()| true))
    }

    /// Nothing more is given back.
    pub fn is_restored(&self) {
        self.entries.borrow_mut().restoring.clear();
    }

    /// Live records per operator.
    pub fn live(&self) -> Vec<(&'static str, usize)> {
        self.entries.borrow().counted.iter().map(|(name, count)| (*name, count())).collect()
    }

    /// Everything held on this worker. Meaningful between two epochs, when nothing is in flight.
    pub fn freeze(&self) -> Frozen {
        let frozen: Vec<_> = self.entries.borrow().frozen.iter().map(|freeze| freeze()).collect();
        Box::new(frozen.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persons::Id;

    static SEEN: Kept<(u64, String)> = Kept {
        name: "toy/seen/users",
        version: 2,
        forgets: Forgets::BecomesNobodys(|(id, _), user, nobody| {
            let named = *id == user;
            *id = if named { nobody } else { *id };
            named
        }),
    };
    static PROFILES: Kept<u64> = Kept { name: "toy/profiles", version: 1, forgets: Forgets::Goes(|id| *id) };

    fn read<T: DeserializeOwned>(kept: &Kept<T>, section: &Section) -> Vec<T> {
        let mut records = Vec::new();
        kept.read(section, |record| records.push(record)).expect("ours");
        records
    }

    #[test]
    fn what_was_written_down_is_read_again_and_nothing_else_is() {
        let records = vec![(1, "a".to_owned()), (2, String::new())];
        let section = SEEN.section(&records);
        assert_eq!(read(&SEEN, &section), records);
        let fewer = Section { records: 1, ..section.clone() };
        let older = Section { version: 1, ..section.clone() };
        let cut = Section { bytes: section.bytes[..2].to_vec(), ..section };
        for (wrong, why) in [(fewer, "2 records"), (older, "version 2"), (cut, "toy/seen/users")] {
            let error = SEEN.read(&wrong, drop).expect_err("not ours");
            assert!(error.contains(why), "{error}");
        }
    }

    fn renaming(user: u64, nobody: u64) -> Renaming {
        Renaming::new(Id::Number(user), Id::Number(nobody))
    }

    #[test]
    fn a_user_is_nobody_where_others_count_on_the_record_and_gone_elsewhere() {
        let mut section = SEEN.section(&[(1, "a".to_owned()), (2, "b".to_owned())]);
        assert_eq!(SEEN.forget(&mut section, &renaming(2, 99)), Ok(1));
        assert_eq!(read(&SEEN, &section), [(1, "a".to_owned()), (99, "b".to_owned())]);
        let mut section = PROFILES.section(&[1, 2, 3]);
        assert_eq!(PROFILES.forget(&mut section, &renaming(2, 99)), Ok(1));
        assert_eq!((read(&PROFILES, &section), section.records), (vec![1, 3], 2));
    }
}
