//! A disk in memory that loses power, for tests: it keeps apart what it was told and what it was told
//! to keep, and a crash leaves any mixture that a real one may leave.
//!
//! ```
//! use deltamart::store::{Store, local::Local, simulated::SimulatedDisk};
//!
//! let disk = SimulatedDisk::new();
//! let store = Local::on(disk.clone(), "/state")?;
//! store.put("journal/1", b"kept")?;
//! disk.fail_after(3);
//! assert!(store.put("journal/2", b"lost, perhaps").is_err());
//!
//! let disk = disk.crash(7);
//! let store = Local::on(disk, "/state")?;
//! assert_eq!(store.get("journal/1")?, Some(b"kept".to_vec()));
//! # Ok::<(), deltamart::store::StoreError>(())
//! ```
//!
//! What happens is a function of the operations, in their order, and of the seeds.

use super::disk::{Disk, Entry};
use parking_lot::{Mutex, MutexGuard};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a name stands for: a folder, or the number of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    synced: bool,
}

/// One change of a folder, which survives as a whole or not at all.
#[derive(Debug)]
struct Change {
    dir: PathBuf,
    names: Vec<(PathBuf, Option<Node>)>,
}

impl Change {
    fn apply(&self, names: &mut Names) {
        for (path, node) in &self.names {
            match node {
                Some(node) => drop(names.insert(path.clone(), *node)),
                None => drop(names.remove(path)),
            }
        }
    }
}

/// What the operation did during which the process went away: perhaps.
#[derive(Clone, Copy, Debug)]
enum HalfDone {
    Change,
    Write(u64),
}

#[derive(Debug, Default)]
struct State {
    /// Names as the running processes see them.
    live: Names,
    /// Names as they would be found if all of `pending` were lost.
    durable: Names,
    /// The changes between the two, in their order.
    pending: Vec<Change>,
    contents: BTreeMap<u64, Content>,
    contents_made: u64,
    nonces: u64,
    operations: u64,
    operations_left: Option<u64>,
    /// Nothing is written into this folder any more: the process goes away first.
    deadly: Option<PathBuf>,
    gone: bool,
    half_done: Option<HalfDone>,
    full: bool,
    read_only: bool,
    /// How often the processes were killed, by a crash or without one.
    lives: u64,
}

/// The disk. Clones share it, as the threads and processes of one machine do.
///
/// A crash or a restart answers with the disk for those who come after; the older handles stay dead,
/// so a thread of the past that still runs changes nothing.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    life: u64,
}

impl Default for SimulatedDisk {
    fn default() -> SimulatedDisk {
        let root: Names = [(PathBuf::from("/"), Node::Dir)].into();
        let state = State { live: root.clone(), durable: root, ..State::default() };
        SimulatedDisk { state: Arc::new(Mutex::new(state)), life: 0 }
    }
}

impl SimulatedDisk {
    /// An empty disk: there is only `/`.
    pub fn new() -> SimulatedDisk {
        SimulatedDisk::default()
    }

    /// Lets so many operations succeed. The process goes away during the next one, which may be done,
    /// half done or not done, and every later one fails, until [`SimulatedDisk::crash`] or
    /// [`SimulatedDisk::restart`].
    pub fn fail_after(&self, operations: u64) {
        self.state().operations_left = Some(operations);
    }

    /// The process goes away when it writes the next file of a folder, as after [`SimulatedDisk::fail_after`].
    pub fn fail_writing_into(&self, folder: impl Into<PathBuf>) {
        self.state().deadly = Some(folder.into());
    }

    /// Whether the process went away.
    pub fn is_gone(&self) -> bool {
        let state = self.state();
        state.gone || state.lives != self.life
    }

    /// Everything that needs space fails, and a file may be cut short by it.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// Everything that changes something fails.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Flips a bit of a byte, counted from the start of a file; `false` if there is no such byte.
    pub fn corrupt(&self, path: impl AsRef<Path>, byte: usize) -> bool {
        let mut state = self.state();
        let Some(Node::File(file)) = state.live.get(path.as_ref()).copied() else { return false };
        let byte = state.contents.get_mut(&file).and_then(|content| content.bytes.get_mut(byte));
        byte.map(|byte| *byte ^= 1).is_some()
    }

    /// How many operations were asked for and not refused because the process was gone.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The files, sorted by their paths, unfinished ones included.
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.live.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// The power goes, and comes back. Of everything that was not synced the seed chooses, apart: a
    /// file is whole, cut short, as long as it was but of zeros, or empty; a change of a folder is
    /// there or not. The process that held the disk is dead.
    #[must_use = "the handles of before stay dead"]
    pub fn crash(&self, seed: u64) -> SimulatedDisk {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut state = self.state();
        state.end_life(&mut random);
        let State { durable, pending, contents, live, .. } = &mut *state;
        for change in pending.drain(..) {
            if random.random() {
                change.apply(durable);
            }
        }
        // What was made in a folder goes with it, however often it was synced.
        let dirs: BTreeSet<PathBuf> =
            durable.iter().filter(|(_, node)| **node == Node::Dir).map(|(path, _)| path.clone()).collect();
        durable.retain(|path, _| path.ancestors().skip(1).all(|dir| dirs.contains(dir)));
        *live = durable.clone();
        for content in contents.values_mut().filter(|content| !content.synced) {
            match random.random_range(0..4) {
                0 => {}
                1 => content.bytes.truncate(random.random_range(0..=content.bytes.len())),
                2 => content.bytes.fill(0),
                _ => content.bytes.clear(),
            }
            content.synced = true;
        }
        state.forget_unnamed();
        SimulatedDisk { state: Arc::clone(&self.state), life: state.lives }
    }

    /// The process is killed and the machine stays: what was done is there for the next one, and what
    /// was not synced can still be lost. Of the operation that was under way the seed chooses how far
    /// it came.
    #[must_use = "the handles of before stay dead"]
    pub fn restart(&self, seed: u64) -> SimulatedDisk {
        let mut state = self.state();
        state.end_life(&mut ChaCha8Rng::seed_from_u64(seed));
        SimulatedDisk { state: Arc::clone(&self.state), life: state.lives }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Begins an operation; `true` if it is the one during which the process goes away.
    fn begin(&self) -> Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        if state.gone || state.lives != self.life {
            return Err(gone());
        }
        state.operations += 1;
        match &mut state.operations_left {
            Some(0) => state.gone = true,
            Some(left) => *left -= 1,
            None => {}
        }
        let last = state.gone;
        Ok((state, last))
    }

    /// Asks something.
    fn ask<T>(&self, answer: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        let (state, last) = self.begin()?;
        if last { Err(gone()) } else { answer(&state) }
    }

    /// Changes names. `needs_space` is whether a full disk refuses it.
    fn change<T>(&self, needs_space: bool, change: impl FnOnce(&mut State) -> Result<(T, Change)>) -> Result<T> {
        let (mut state, last) = self.begin()?;
        state.check_writable(needs_space)?;
        let (answer, change) = change(&mut state)?;
        state.check_dir(&change.dir)?;
        change.apply(&mut state.live);
        state.pending.push(change);
        if last {
            state.half_done = Some(HalfDone::Change);
            return Err(gone());
        }
        Ok(answer)
    }
}

impl State {
    fn check_writable(&self, needs_space: bool) -> Result<()> {
        match (self.read_only, needs_space && self.full) {
            (true, _) => Err(ErrorKind::ReadOnlyFilesystem.into()),
            (_, true) => Err(ErrorKind::StorageFull.into()),
            (false, false) => Ok(()),
        }
    }

    fn check_dir(&self, path: &Path) -> Result<()> {
        match self.live.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn file(&self, path: &Path) -> Result<u64> {
        match self.live.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn end_life(&mut self, random: &mut ChaCha8Rng) {
        match self.half_done.take() {
            Some(HalfDone::Change) if random.random() => drop(self.pending.pop()),
            Some(HalfDone::Write(file)) => {
                if let Some(content) = self.contents.get_mut(&file) {
                    content.bytes.truncate(random.random_range(0..=content.bytes.len()));
                }
            }
            Some(HalfDone::Change) | None => {}
        }
        self.live = self.durable.clone();
        for change in &self.pending {
            change.apply(&mut self.live);
        }
        self.gone = false;
        self.operations_left = None;
        self.deadly = None;
        self.lives += 1;
    }

    /// Drops what no name leads to any more, now or after a crash.
    fn forget_unnamed(&mut self) {
        let pending = self.pending.iter().flat_map(|change| change.names.iter().filter_map(|(_, node)| *node));
        let named = self.live.values().chain(self.durable.values()).copied().chain(pending);
        let kept: BTreeSet<u64> =
            named.filter_map(|node| if let Node::File(file) = node { Some(file) } else { None }).collect();
        self.contents.retain(|file, _| kept.contains(file));
    }
}

impl Disk for SimulatedDisk {
    type File = u64;

    fn nonce(&self) -> String {
        let mut state = self.state();
        state.nonces += 1;
        state.nonces.to_string()
    }

    fn is_dir(&self, path: &Path) -> Result<bool> {
        self.ask(|state| Ok(state.live.get(path) == Some(&Node::Dir)))
    }

    fn make_dir(&self, path: &Path) -> Result<()> {
        self.change(true, |state| match state.live.contains_key(path) {
            true => Err(ErrorKind::AlreadyExists.into()),
            false => Ok(((), Change { dir: dir_of(path), names: vec![(path.to_owned(), Some(Node::Dir))] })),
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<u64> {
        if !self.is_gone() && self.state().deadly.as_deref() == Some(&*dir_of(path)) {
            self.fail_after(0);
        }
        let (mut state, last) = self.begin()?;
        state.check_writable(false)?;
        state.check_dir(&dir_of(path))?;
        if state.live.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.contents_made += 1;
        let file = state.contents_made;
        // A full disk takes the name and some of the bytes.
        let fitting = if state.full { &bytes[..bytes.len() / 2] } else { bytes };
        state.contents.insert(file, Content { bytes: fitting.to_vec(), synced: false });
        let change = Change { dir: dir_of(path), names: vec![(path.to_owned(), Some(Node::File(file)))] };
        change.apply(&mut state.live);
        state.pending.push(change);
        match (last, state.full) {
            (true, _) => {
                state.half_done = Some(HalfDone::Write(file));
                Err(gone())
            }
            (_, true) => Err(ErrorKind::StorageFull.into()),
            (false, false) => Ok(file),
        }
    }

    fn sync_file(&self, file: &u64) -> Result<()> {
        let (mut state, last) = self.begin()?;
        // How much of it was done before the process went away is the crash's to choose.
        if last {
            return Err(gone());
        }
        if let Some(content) = state.contents.get_mut(file) {
            content.synced = true;
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> Result<bool> {
        let existed = Error::from(ErrorKind::AlreadyExists);
        let linked = self.change(true, |state| {
            let file = state.file(from)?;
            match state.live.contains_key(to) {
                true => Err(existed),
                false => Ok((
                    true,
                    Change { dir: same_dir(from, to)?, names: vec![(to.to_owned(), Some(Node::File(file)))] },
                )),
            }
        });
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            answer => answer,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(false, |state| {
            let file = state.file(from)?;
            if state.live.get(to) == Some(&Node::Dir) {
                return Err(ErrorKind::IsADirectory.into());
            }
            let names = vec![(from.to_owned(), None), (to.to_owned(), Some(Node::File(file)))];
            Ok(((), Change { dir: same_dir(from, to)?, names }))
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let (mut state, last) = self.begin()?;
        state.check_dir(path)?;
        if last {
            return Err(gone());
        }
        let State { durable, pending, .. } = &mut *state;
        for change in pending.extract_if(.., |change| change.dir == path) {
            change.apply(durable);
        }
        state.forget_unnamed();
        Ok(())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.ask(|state| Ok(state.contents[&state.file(path)?].bytes.clone()))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        self.ask(|state| {
            state.check_dir(path)?;
            let inner = state.live.iter().filter(|(inner, _)| inner.parent() == Some(path));
            let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
            let entry = |(path, node): (&PathBuf, &Node)| Some(Entry { name: name(path)?, is_dir: *node == Node::Dir });
            Ok(inner.filter_map(entry).collect())
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.change(false, |state| {
            state.file(path)?;
            Ok(((), Change { dir: dir_of(path), names: vec![(path.to_owned(), None)] }))
        })
    }
}

/// As good as an error of a process that is gone: nobody should try again.
fn gone() -> Error {
    Error::other("the process is gone")
}

fn dir_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn same_dir(from: &Path, to: &Path) -> Result<PathBuf> {
    let dir = dir_of(to);
    if dir == dir_of(from) { Ok(dir) } else { Err(Error::new(ErrorKind::Unsupported, "one folder at a time")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        Path::new("/").join(name)
    }

    /// What files hold after the crash, for the first seeds.
    fn crashes(make: impl Fn(&SimulatedDisk)) -> Vec<BTreeMap<String, String>> {
        let outcome = |seed| {
            let disk = SimulatedDisk::new();
            make(&disk);
            let disk = disk.crash(seed);
            let text = |path: PathBuf| {
                let bytes = disk.read(&path).expect("read");
                (path.display().to_string(), String::from_utf8_lossy(&bytes).replace('\0', "0"))
            };
            disk.files().into_iter().map(text).collect()
        };
        (0..200).map(outcome).collect()
    }

    fn contents(outcomes: &[BTreeMap<String, String>], path: &str) -> BTreeSet<Option<String>> {
        outcomes.iter().map(|files| files.get(path).cloned()).collect()
    }

    fn set(contents: &[Option<&str>]) -> BTreeSet<Option<String>> {
        contents.iter().map(|content| content.map(str::to_owned)).collect()
    }

    #[test]
    fn what_was_not_synced_survives_in_every_way_that_a_disk_knows() {
        let outcomes = crashes(|disk| {
            disk.write(&path("a"), b"xy").expect("write");
        });
        let expected = set(&[None, Some(""), Some("x"), Some("xy"), Some("00")]);
        assert_eq!(contents(&outcomes, "/a"), expected);
        // A name that was synced says nothing of the content, nor the content of the name.
        let outcomes = crashes(|disk| {
            disk.write(&path("a"), b"xy").expect("write");
            disk.sync_dir(&path("")).expect("sync");
            let file = disk.write(&path("b"), b"xy").expect("write");
            disk.sync_file(&file).expect("sync");
        });
        assert_eq!(contents(&outcomes, "/a"), set(&[Some(""), Some("x"), Some("xy"), Some("00")]));
        assert_eq!(contents(&outcomes, "/b"), set(&[None, Some("xy")]));
    }

    #[test]
    fn changes_of_a_folder_survive_apart() {
        let outcomes = crashes(|disk| {
            for name in ["a", "b"] {
                let file = disk.write(&path(name), name.as_bytes()).expect("write");
                disk.sync_file(&file).expect("sync");
            }
            disk.sync_dir(&path("")).expect("sync");
            disk.rename(&path("a"), &path("c")).expect("rename");
            assert!(disk.link(&path("b"), &path("d")).expect("link"));
            assert!(!disk.link(&path("b"), &path("c")).expect("link"));
            disk.remove(&path("b")).expect("remove");
        });
        let found: BTreeSet<_> = outcomes.iter().map(|files| files.keys().map(|key| &key[1..]).collect()).collect();
        let expected = ["ab", "abd", "a", "ad", "bc", "bcd", "c", "cd"];
        assert_eq!(found, expected.map(str::to_owned).into());
    }

    #[test]
    fn a_folder_that_was_not_synced_takes_what_is_in_it() {
        let outcomes = crashes(|disk| {
            disk.make_dir(&path("d")).expect("folder");
            let file = disk.write(&path("d/a"), b"x").expect("write");
            disk.sync_file(&file).expect("sync");
            disk.sync_dir(&path("d")).expect("sync");
        });
        assert_eq!(contents(&outcomes, "/d/a"), set(&[None, Some("x")]));
    }

    #[test]
    fn a_process_that_is_gone_does_nothing_and_the_next_one_does() {
        let disk = SimulatedDisk::new();
        disk.fail_after(1);
        disk.write(&path("a"), b"x").expect("the last one to succeed");
        assert!(!disk.is_gone());
        disk.write(&path("b"), b"y").expect_err("the process is going away");
        assert!(disk.is_gone());
        assert_eq!(disk.operations(), 2);
        disk.read(&path("a")).expect_err("the process is gone");
        assert_eq!(disk.operations(), 2, "nobody was there to ask");
        let next = disk.restart(1);
        assert_eq!(next.read(&path("a")).expect("killed, and the power stayed"), b"x");
        disk.write(&path("c"), b"").expect_err("a thread of the past");
        assert!(disk.is_gone() && !next.is_gone());
        next.sync_dir(&path("")).expect("sync");
    }

    #[test]
    fn a_process_goes_away_when_it_writes_into_a_folder() {
        let disk = SimulatedDisk::new();
        disk.make_dir(&path("d")).expect("folder");
        disk.fail_writing_into("/d");
        disk.write(&path("a"), b"x").expect("another folder");
        disk.write(&path("d/a"), b"x").expect_err("the process is going away");
        let next = disk.restart(1);
        disk.write(&path("d/b"), b"x").expect_err("a thread of the past");
        next.write(&path("d/b"), b"x").expect("the next one lives");
    }

    #[test]
    fn the_same_seed_makes_the_same_of_it() {
        let make = |disk: &SimulatedDisk| {
            for name in ["a", "b", "c", "d"] {
                disk.write(&path(name), b"some bytes").expect("write");
            }
        };
        let outcomes = crashes(make);
        assert_eq!(outcomes, crashes(make));
        assert!(outcomes.iter().collect::<BTreeSet<_>>().len() > 50);
    }

    #[test]
    fn a_byte_can_be_spoilt() {
        let disk = SimulatedDisk::new();
        disk.write(&path("a"), b"ab").expect("write");
        assert!(disk.corrupt("/a", 1));
        assert_eq!(disk.read(&path("a")).expect("read"), b"ac");
        assert!(!disk.corrupt("/a", 2) && !disk.corrupt("/b", 0));
    }
}
