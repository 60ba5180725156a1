//! A folder of objects, crashed anywhere: what was answered is there, and nothing is there in part.

use super::disk::Disk;
use super::local::Local;
use super::simulated::SimulatedDisk;
use super::{Store, StoreError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Two folders, one of which is not there before its first object; and one key beside them.
const KEYS: [&str; 4] = ["journal/1", "journal/2", "snapshots/deep/1", "alone"];
const HEARTBEAT: &str = "journal/heartbeat";
const ROOT: &str = "/var/state";

/// What is asked of the store, by the number of a key.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Create(usize),
    Put(usize),
    PutLightly,
    Delete(usize),
    List,
    /// The store is opened by somebody else.
    Open,
    /// The process is killed, without a loss of power.
    Kill(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0..KEYS.len()).prop_map(Operation::Create),
        3 => (0..KEYS.len()).prop_map(Operation::Put),
        1 => Just(Operation::PutLightly),
        2 => (0..KEYS.len()).prop_map(Operation::Delete),
        1 => Just(Operation::List),
        1 => Just(Operation::Open),
        1 => any::<u64>().prop_map(Operation::Kill),
    ]
}

/// What may be under each key after a crash, and what is there without one.
#[derive(Default)]
struct Model {
    now: BTreeMap<&'static str, Vec<u8>>,
    possible: BTreeMap<&'static str, BTreeSet<Option<Vec<u8>>>>,
}

impl Model {
    fn possible(&mut self, key: &'static str) -> &mut BTreeSet<Option<Vec<u8>>> {
        self.possible.entry(key).or_insert_with(|| [None].into())
    }

    fn set(&mut self, key: &'static str, content: Option<Vec<u8>>) {
        match content {
            Some(bytes) => drop(self.now.insert(key, bytes)),
            None => drop(self.now.remove(key)),
        }
    }

    /// A new store was opened, and what it finds is what there is from then on, whatever happens.
    fn found(&mut self, store: &dyn Store) -> Result<(), TestCaseError> {
        let mut keys = Vec::new();
        for key in KEYS {
            let found = store.get(key).expect("readable");
            keys.extend(found.is_some().then(|| key.to_owned()));
            prop_assert!(self.possible(key).contains(&found), "`{key}` is {found:?}, not of {:?}", self.possible[key]);
            self.possible.insert(key, [found.clone()].into());
            self.set(key, found);
        }
        keys.sort();
        let listed = store.list("").expect("listed").into_iter().filter(|key| key != HEARTBEAT);
        prop_assert_eq!(listed.collect::<Vec<_>>(), keys);
        Ok(())
    }

    /// One operation, and what it says; an error is the end of the process.
    fn run(&mut self, store: &dyn Store, operation: Operation, bytes: &[u8]) -> Result<(), StoreError> {
        match operation {
            Operation::Create(key) => {
                let key = KEYS[key];
                if !self.now.contains_key(key) {
                    self.possible(key).insert(Some(bytes.to_vec()));
                }
                let made = store.create(key, bytes)?;
                assert_eq!(made, !self.now.contains_key(key), "{key}");
                let there = self.now.entry(key).or_insert_with(|| bytes.to_vec()).clone();
                self.possible.insert(key, [Some(there)].into());
            }
            Operation::Put(key) => {
                let key = KEYS[key];
                self.possible(key).insert(Some(bytes.to_vec()));
                store.put(key, bytes)?;
                self.set(key, Some(bytes.to_vec()));
                self.possible.insert(key, [Some(bytes.to_vec())].into());
            }
            Operation::PutLightly => {
                store.put_lightly(HEARTBEAT, bytes)?;
                assert_eq!(store.get(HEARTBEAT)?, Some(bytes.to_vec()));
            }
            Operation::Delete(key) => {
                let key = KEYS[key];
                self.possible(key).insert(None);
                store.delete(key)?;
                self.set(key, None);
            }
            Operation::List => {
                let expected: Vec<_> = self.now.keys().filter(|key| key.starts_with("journal/")).collect();
                let found = store.list("journal/")?;
                assert!(found.iter().filter(|key| *key != HEARTBEAT).eq(expected), "{found:?}");
            }
            Operation::Open | Operation::Kill(_) => {}
        }
        Ok(())
    }
}

fn history(operations: &[Operation], after: u64, crash_seeds: [u64; 2]) -> Result<(), TestCaseError> {
    let mut disk = SimulatedDisk::new();
    disk.fail_after(after);
    let mut model = Model::default();
    let mut store = Local::on(disk.clone(), ROOT).ok();
    for (number, operation) in operations.iter().enumerate() {
        // Different lengths, so that a mixture of two is neither.
        let bytes = format!("{number}").repeat(number + 1).into_bytes();
        let done = match (&store, operation) {
            (_, Operation::Kill(seed)) => {
                disk = disk.restart(*seed);
                disk.fail_after(after);
                store = Local::on(disk.clone(), ROOT).ok();
                if let Some(store) = &store {
                    // What the model looks at is not counted.
                    disk.fail_after(u64::MAX);
                    model.found(store)?;
                    disk.fail_after(after);
                }
                store.is_some()
            }
            (Some(_), Operation::Open) => Local::on(disk.clone(), ROOT).is_ok(),
            (Some(store), operation) => model.run(store, *operation, &bytes).is_ok(),
            (None, _) => continue,
        };
        if !done {
            prop_assert!(disk.is_gone(), "nothing else is wrong with the disk");
            // Until somebody kills what is left of it.
            store = None;
        }
    }
    // The second time nothing is left to lose: opening it has made it durable.
    for seed in crash_seeds {
        disk = disk.crash(seed);
        let store = Local::on(disk.clone(), ROOT).expect("open");
        model.found(&store)?;
        let unfinished = disk.files().into_iter().find(|path| path.display().to_string().contains("unfinished"));
        prop_assert_eq!(unfinished, None);
    }
    Ok(())
}

/// Killed between making the folder above its own and making that durable, and again a step later.
#[test]
fn folders_above_that_a_killed_process_made_are_durable_before_anything_is_in_them() {
    for after in 0..20 {
        for seed in 0..50 {
            let operations = [Operation::Kill(0), Operation::Kill(0), Operation::Create(3)];
            history(&operations, after, [seed, 0]).unwrap_or_else(|error| panic!("{after}, {seed}: {error}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_answered_is_there_after_a_crash_and_nothing_is_torn(
        operations in prop::collection::vec(operation(), 1..12),
        after in 0_u64..120,
        crash_seeds in any::<[u64; 2]>(),
    ) {
        history(&operations, after, crash_seeds)?;
    }
}

/// Short enough to go through every operation at which the process can die.
#[test]
fn a_first_object_is_whole_or_not_there_wherever_it_crashes() {
    for (operations, seed) in [[Operation::Create(2)], [Operation::Put(2)]].iter().zip(0..) {
        for after in 0..40 {
            for crash in 0..40 {
                history(operations, after, [crash, seed]).expect("as the model says");
            }
        }
    }
}

#[test]
fn of_two_that_create_the_same_key_one_succeeds_even_if_the_machine_dies() {
    for seed in 0..200 {
        let disk = SimulatedDisk::new();
        let stores = [1, 2].map(|_| Local::on(disk.clone(), ROOT).expect("open"));
        disk.fail_after(seed % 20);
        let made: Vec<_> = std::thread::scope(|scope| {
            let racers = [(&stores[0], b"one"), (&stores[1], b"two")];
            let racers = racers.map(|(store, bytes)| scope.spawn(|| store.create("journal/1", bytes)));
            racers.into_iter().map(|racer| racer.join().expect("no panic")).collect()
        });
        let found = Local::on(disk.crash(seed), ROOT).expect("open").get("journal/1").expect("readable");
        match (&made[0], &made[1]) {
            (Ok(true), Ok(true)) => panic!("both made it"),
            (Ok(false), Ok(false)) => panic!("nobody made it"),
            (Ok(true), _) => assert_eq!(found.as_deref(), Some(b"one".as_slice())),
            (_, Ok(true)) => assert_eq!(found.as_deref(), Some(b"two".as_slice())),
            // A process that was told that it is there can rely on it, although its maker never heard so.
            (Ok(false), Err(_)) => assert_eq!(found.as_deref(), Some(b"two".as_slice())),
            (Err(_), Ok(false)) => assert_eq!(found.as_deref(), Some(b"one".as_slice())),
            (Err(_), Err(_)) => {
                assert!(found.is_none_or(|found| [b"one".as_slice(), b"two"].contains(&found.as_slice())));
            }
        }
    }
}

#[test]
fn what_another_process_left_half_way_is_made_durable_before_anybody_is_told_of_it() {
    for seed in 0..20 {
        let disk = SimulatedDisk::new();
        let store = Local::on(disk.clone(), "/").expect("open");
        let path = std::path::Path::new;
        disk.make_dir(path("/journal")).expect("folder");
        let file = disk.write(path("/journal/.unfinished-x"), b"theirs").expect("write");
        disk.sync_file(&file).expect("sync");
        assert!(disk.link(path("/journal/.unfinished-x"), path("/journal/1")).expect("link"));
        assert_eq!(store.create("journal/1", b"ours"), Ok(false));
        let store = Local::on(disk.crash(seed), "/").expect("open");
        assert_eq!(store.get("journal/1"), Ok(Some(b"theirs".to_vec())));
    }
}
