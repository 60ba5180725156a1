//! The files of a watched folder, in the order in which they are read: a file is named here, durably, before its first line
//! is. What is written down of a file never changes, so of two runs that take files at once one learns of the other.

use super::{FORMAT, StateDir, StateError, envelope};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "dropped/";
const KIND: &str = "dropped";
/// So many files are named in one object, once there are so many: a file a minute for a year is half a million.
const PAGE: i64 = 1_000;
/// So many objects are read at a time.
const AT_ONCE: usize = 16;

/// A file of a watched folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its number in the folder, from 1.
    pub number: i64,
    /// What it was called.
    pub name: String,
    /// Of which family its events are.
    pub family: String,
    /// What its lines add up to.
    pub checksum: String,
    /// Its last line that is not blank.
    pub lines: i64,
    /// The first so many lines are those of a file before it, which it goes on: they are not read.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub after: i64,
    /// How many bytes the file had, packed or not.
    pub bytes: u64,
}

fn is_nothing(lines: &i64) -> bool {
    *lines == 0
}

/// A part of a key: any name, in the letters that a key may have.
fn part(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("={byte:02X}") }).collect()
}

impl StateDir {
    /// Names the next file of a folder, durably; tells whether the number was free, or is that of this very file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn list_dropped(&self, folder: &str, listed: &Listed) -> Result<bool, StateError> {
        let key = format!("{PREFIX}{}/{:010}", part(folder), listed.number);
        let body = envelope::seal_json(KIND, FORMAT, &[listed]);
        Ok(self.store.create(&key, &body)? || self.store.get(&key)?.is_some_and(|found| found == body))
    }

    /// All files of a folder that were named, in their order. `merges`: objects of one file each are made one of many.
    ///
    /// # Errors
    /// If they cannot be read, or merged, or one is missing.
    pub fn dropped(&self, folder: &str, merges: bool) -> Result<Vec<Listed>, StateError> {
        let prefix = format!("{PREFIX}{}/", part(folder));
        let keys = self.store.list(&prefix)?;
        let mut all = Vec::<Listed>::new();
        for keys in keys.chunks(AT_ONCE) {
            let names: Vec<&str> = keys.iter().map(String::as_str).collect();
            for (key, bytes) in names.iter().zip(self.store.get_all(&names)?) {
                // One that is gone meanwhile stands in a page, which is there.
                let Some(bytes) = bytes else { continue };
                let (_, body) = self.opened(key, KIND, FORMAT, bytes)?;
                all.extend(self.parsed::<Vec<Listed>>(key, &body)?);
            }
        }
        all.sort_by_key(|listed| listed.number);
        all.dedup_by_key(|listed| listed.number);
        if let Some(gap) = all.iter().zip(1..).find_map(|(listed, number)| (listed.number != number).then_some(number))
        {
            let key = format!("{prefix}{gap:010}");
            return Err(self.refused(super::obstacle::Obstacle::Missing { key }));
        }
        if merges {
            self.merge_dropped(&prefix, &keys, &all)?;
        }
        Ok(all)
    }

    /// Makes an object of every so many files; what it holds is removed elsewhere.
    fn merge_dropped(&self, prefix: &str, keys: &[String], all: &[Listed]) -> Result<(), StateError> {
        let page = |number: i64| format!("{prefix}page-{number:07}");
        for listed in all.chunks_exact(PAGE as usize) {
            let (first, key) = (listed[0].number, page((listed[0].number - 1) / PAGE));
            if !keys.contains(&key) {
                self.store.put(&key, &envelope::seal_json(KIND, FORMAT, &listed))?;
            }
            for number in first..first + PAGE {
                let single = format!("{prefix}{number:010}");
                if keys.binary_search(&single).is_ok() {
                    self.store.delete(&single)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::local::Local;
    use crate::store::simulated::SimulatedDisk;
    use std::sync::Arc;

    fn listed(number: i64) -> Listed {
        let (name, family, checksum) = (format!("{number}.csv"), "shop".to_owned(), format!("{number:08x}"));
        Listed { number, name, family, checksum, lines: 3, after: 0, bytes: 9 }
    }

    #[test]
    fn a_number_is_taken_once_and_many_files_are_few_objects() {
        let store: Arc<dyn Store> = Arc::new(Local::on(SimulatedDisk::new(), "/state").expect("a store"));
        let dir = StateDir::open(Arc::clone(&store), None).expect("a state");
        let folder = ".in box/ü";
        let all: Vec<_> = (1..=2_003).map(listed).collect();
        for listed in &all {
            assert!(dir.list_dropped(folder, listed).expect("written"));
        }
        assert!(dir.list_dropped(folder, &listed(7)).expect("written"), "it is the same");
        assert!(!dir.list_dropped(folder, &Listed { lines: 4, ..listed(7) }).expect("asked"));
        assert!(dir.list_dropped("inbox", &listed(1)).expect("written"), "another folder has numbers of its own");
        assert_eq!(dir.dropped(folder, true).expect("read"), all);
        assert_eq!(store.list("dropped/").expect("listed").len(), 2 + 3 + 1);
        assert_eq!(dir.dropped(folder, true).expect("read again"), all);
        assert!(!dir.list_dropped(folder, &Listed { lines: 4, ..listed(2_003) }).expect("asked"));
        store.delete("dropped/=2Ein=20box=2F=C3=BC/0000002001").expect("deleted");
        assert!(dir.dropped(folder, false).expect_err("one is missing").to_string().contains("0000002001"));
    }
}
