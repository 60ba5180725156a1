//! A store in a folder: an object is a file, its key the path below the folder.
//!
//! An object is written beside its place under a name of its own, made durable, and then put in place
//! by one operation: a hard link, which fails where there is something, or a rename, which replaces
//! it. The folder is made durable last. What a crash leaves unfinished is not an object, and is swept away
//! when the store is opened again. What another process is making can be read a moment before it is
//! durable; what it had made when the store was opened is durable from then on.
//!
//! A file system without hard links is refused by the first `create`. A lock file would do without
//! them, but one that a crash leaves behind can be told from one in use by nobody.

use super::disk::{Disk, RealDisk};
use super::{Store, StoreError, check_key, check_prefix, is_name};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of files begin that are not in their place yet.
const UNFINISHED: &str = ".unfinished-";

/// How often a file is written again because another process swept it away: every process that opens the store sweeps.
const SWEPT_MAX: usize = 3;

/// How an object gets to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placing {
    Create,
    Put,
    PutLightly,
}

/// A folder of objects.
pub struct Local<D: Disk = RealDisk> {
    disk: D,
    root: PathBuf,
    nonce: String,
    written: AtomicU64,
    /// The folders whose own names are known to be durable.
    folders: Mutex<BTreeSet<PathBuf>>,
}

impl Local {
    /// Opens a folder, and makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made, read or written.
    pub fn open(root: impl Into<PathBuf>) -> Result<Local, StoreError> {
        Local::on(RealDisk, root)
    }
}

impl<D: Disk> Local<D> {
    /// Opens a folder only to read it: nothing is made or tidied up.
    pub fn to_read(disk: D, root: impl Into<PathBuf>) -> Local<D> {
        let nonce = disk.nonce();
        Local { disk, root: root.into(), nonce, written: AtomicU64::new(0), folders: Mutex::new(BTreeSet::new()) }
    }

    /// Opens a folder in which another process of the same run is at work: nothing is tidied up.
    ///
    /// # Errors
    /// If there is none.
    pub fn beside(disk: D, root: impl Into<PathBuf>) -> Result<Local<D>, StoreError> {
        let store = Local::to_read(disk, root);
        match store.disk.is_dir(&store.root) {
            Ok(true) => {}
            Ok(false) => return Err(store.explain("open", &store.root, ErrorKind::NotFound.into())),
            Err(error) => return Err(store.explain("open", &store.root, error)),
        }
        // Whoever made it has made it durable.
        store.folders.lock().insert(store.root.clone());
        Ok(store)
    }

    /// Opens a folder of this disk, and makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made, read or written.
    pub fn on(disk: D, root: impl Into<PathBuf>) -> Result<Local<D>, StoreError> {
        let nonce = disk.nonce();
        let store =
            Local { disk, root: root.into(), nonce, written: AtomicU64::new(0), folders: Mutex::new(BTreeSet::new()) };
        make_path(&store.disk, &store.root).map_err(|error| store.explain("open", &store.root, error))?;
        store.settle(&store.root).map_err(|error| store.explain("open", &store.root, error))?;
        Ok(store)
    }

    /// Removes what a crash left unfinished, and makes durable what is there: a process that died before that
    /// may have left objects that can be read and may still be lost.
    fn settle(&self, folder: &Path) -> Result<(), Error> {
        for entry in self.disk.list(folder)? {
            let path = folder.join(&entry.name);
            if entry.is_dir && is_name(&entry.name) {
                self.settle(&path)?;
            } else if !entry.is_dir && entry.name.starts_with(UNFINISHED) {
                gone_is_fine(self.disk.remove(&path))?;
            }
        }
        self.disk.sync_dir(folder)?;
        self.folders.lock().insert(folder.to_owned());
        Ok(())
    }

    /// Makes the folder of an object, durably. That somebody else made it does not make it durable.
    fn make_folder(&self, folder: &Path) -> Result<(), Error> {
        let mut folders = self.folders.lock();
        let missing: Vec<_> = folder.ancestors().take_while(|folder| !folders.contains(*folder)).collect();
        for folder in missing.into_iter().rev() {
            match self.disk.make_dir(folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && self.disk.is_dir(folder)? => {}
                answer => answer?,
            }
            self.disk.sync_dir(parent(folder))?;
            folders.insert(folder.to_owned());
        }
        Ok(())
    }

    fn place_object(&self, key: &str, bytes: &[u8], placing: Placing) -> Result<bool, StoreError> {
        check_key(key)?;
        let target = self.root.join(key);
        let mut swept = 0;
        loop {
            match self.try_place(&target, bytes, placing) {
                Err(error) if error.kind() == ErrorKind::NotFound && swept < SWEPT_MAX => swept += 1,
                answer => return answer.map_err(|error| self.explain("write", &target, error)),
            }
        }
    }

    fn try_place(&self, target: &Path, bytes: &[u8], placing: Placing) -> Result<bool, Error> {
        let folder = parent(target);
        self.make_folder(folder)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let unfinished = folder.join(format!("{UNFINISHED}{}-{number}", self.nonce));
        let placed = self.move_in(&unfinished, target, bytes, placing);
        if placed.is_err() || placing == Placing::Create {
            // If it cannot be removed now, it is when the store is opened again.
            let _ = self.disk.remove(&unfinished);
        }
        let placed = placed?;
        if placing != Placing::PutLightly {
            // Also where there was an object: its maker may not have come this far, and we say it is there.
            self.disk.sync_dir(folder)?;
        }
        Ok(placed)
    }

    fn move_in(&self, unfinished: &Path, target: &Path, bytes: &[u8], placing: Placing) -> Result<bool, Error> {
        let file = self.disk.write(unfinished, bytes)?;
        if placing != Placing::PutLightly {
            self.disk.sync_file(&file)?;
        }
        match placing {
            Placing::Create => self.disk.link(unfinished, target),
            Placing::Put | Placing::PutLightly => self.disk.rename(unfinished, target).map(|()| true),
        }
    }

    /// Adds the keys in a folder, and below it, that begin so.
    fn collect(&self, folder: &Path, key_of_folder: &str, prefix: &str, keys: &mut Vec<String>) -> Result<(), Error> {
        for entry in self.disk.list(folder)? {
            if !is_name(&entry.name) {
                continue;
            }
            let key = format!("{key_of_folder}{}", entry.name);
            if entry.is_dir {
                let inner = format!("{key}/");
                if inner.starts_with(prefix) || prefix.starts_with(&inner) {
                    self.collect(&folder.join(&entry.name), &inner, prefix, keys)?;
                }
            } else if key.starts_with(prefix) {
                keys.push(key);
            }
        }
        Ok(())
    }

    /// Nothing is only where it was looked for if the store itself is there: not if it was unmounted.
    fn none_if_open<T>(&self, doing: &str, path: &Path, none: T) -> Result<T, StoreError> {
        match self.disk.is_dir(&self.root) {
            Ok(true) => Ok(none),
            Ok(false) => Err(self.explain(doing, path, Error::from(ErrorKind::NotFound))),
            Err(error) => Err(self.explain(doing, path, error)),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a kind that is not named is told as the system tells it")]
    fn explain(&self, doing: &str, path: &Path, error: Error) -> StoreError {
        let (path, root) = (path.display(), self.root.display());
        let detail = format!("could not {doing} `{path}`: {error}");
        match error.kind() {
            ErrorKind::StorageFull => {
                StoreError::Unavailable(format!("{detail}; free space on the file system of `{root}`"))
            }
            // As a full disk: SIGXFSZ is heard and does nothing, so that a write answers.
            ErrorKind::FileTooLarge => {
                StoreError::Unavailable(format!("{detail}; raise the limit of the size of files (`ulimit -f`)"))
            }
            ErrorKind::QuotaExceeded => {
                StoreError::Unavailable(format!("{detail}; raise the quota on `{root}`, or free some of it"))
            }
            ErrorKind::ReadOnlyFilesystem => StoreError::Unavailable(format!(
                "{detail}; mount the file system of `{root}` so that it can be written"
            )),
            ErrorKind::PermissionDenied => {
                let user = "let the user that runs this read and write";
                StoreError::Unavailable(format!("{detail}; {user} `{root}` and what is in it"))
            }
            ErrorKind::NotFound => StoreError::Unavailable(format!(
                "{detail}; it was there when the store was opened: mount `{root}` again, or restore what was removed"
            )),
            ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ResourceBusy
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected => {
                StoreError::Unavailable(format!("{detail}; check the disk or the server that holds `{root}`"))
            }
            // EIO, 5 on every Unix, has no kind. Every attempt writes a new file, so trying again is sound.
            _ if error.raw_os_error() == Some(5) => {
                StoreError::Unavailable(format!("{detail}; check the disk or the server that holds `{root}`"))
            }
            // EMFILE and ENFILE have none either, and are 24 and 23 on every Unix.
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => {
                StoreError::Unavailable(format!("{detail}; raise the limit of open files (`ulimit -n`)"))
            }
            ErrorKind::Unsupported => {
                let better = "keep it on another one (ext4, XFS, Btrfs, APFS, ZFS, NFS), or in a bucket";
                StoreError::Failed(format!("{detail}, without which `{root}` cannot hold state safely; {better}"))
            }
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                StoreError::Failed(format!("{detail}; a file stands where a folder is needed"))
            }
            _ => StoreError::Failed(detail),
        }
    }
}

impl<D: Disk> Store for Local<D> {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        self.place_object(key, bytes, Placing::Create)
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.place_object(key, bytes, Placing::Put).map(drop)
    }

    fn put_lightly(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.place_object(key, bytes, Placing::PutLightly).map(drop)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let path = self.root.join(key);
        match self.disk.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => self.none_if_open("read", &path, None),
            Err(error) => Err(self.explain("read", &path, error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        check_prefix(prefix)?;
        let inner = prefix.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let folder = self.root.join(&inner);
        let mut keys = Vec::new();
        let failed = |error| self.explain("list", &folder, error);
        if !self.disk.is_dir(&folder).map_err(failed)? {
            return self.none_if_open("list", &folder, keys);
        }
        self.collect(&folder, &inner, prefix, &mut keys).map_err(failed)?;
        keys.sort_unstable();
        Ok(keys)
    }

    fn settle(&self) -> Result<(), StoreError> {
        let folders = self.folders.lock().clone();
        for folder in folders.iter().filter(|folder| folder.starts_with(&self.root)) {
            // A file's content is durable before its name is there.
            self.disk.sync_dir(folder).map_err(|error| self.explain("settle", folder, error))?;
        }
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        let path = self.root.join(key);
        match self.disk.remove(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => self.none_if_open("remove", &path, ()),
            Err(error) => Err(self.explain("remove", &path, error)),
        }
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

/// Makes a folder and those above it, each durable before there is one in it: a folder that is there
/// then says that those above it are.
fn make_path<D: Disk>(disk: &D, path: &Path) -> Result<(), Error> {
    if disk.is_dir(path)? {
        // The process that made it may have died before its name was durable; those above it were durable before.
        return match disk.sync_dir(parent(path)) {
            // The folder around it is somebody else's, as a mount point's is.
            Err(error) if is_foreign(error.kind()) => Ok(()),
            answer => answer,
        };
    }
    make_path(disk, parent(path))?;
    match disk.make_dir(path) {
        // Another process that starts now.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && disk.is_dir(path)? => {}
        answer => answer?,
    }
    disk.sync_dir(parent(path))
}

/// The folder that holds a path; for a single name, where we are.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Errors of a folder that belongs to others, who answer for it.
fn is_foreign(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::ReadOnlyFilesystem)
}

fn gone_is_fine(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;
    use crate::store::simulated::SimulatedDisk;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_does_what_a_store_does() {
        let folder = tempfile::tempdir().expect("folder");
        contract::check(&Local::open(folder.path().join("not/there/yet")).expect("open"));
    }

    #[test]
    fn a_simulated_disk_does_what_a_disk_does() {
        contract::check(&Local::on(SimulatedDisk::new(), "/not/there/yet").expect("open"));
    }

    #[test]
    fn only_the_owner_may_read_and_nothing_unfinished_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("state");
        let store = Local::open(&root).expect("open");
        store.create("journal/1", b"1").expect("create");
        store.create("journal/1", b"2").expect("create");
        store.put("journal/2", b"2").expect("put");
        let mode = |path: &str| root.join(path).metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("journal"), mode("journal/1"), mode("journal/2")), (0o700, 0o700, 0o600, 0o600));
        let names = RealDisk.list(&root.join("journal")).expect("list").into_iter().map(|entry| entry.name);
        assert_eq!(names.collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn what_a_crash_left_is_no_object_and_is_swept_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Local::open(folder.path()).expect("open");
        store.put("journal/1", b"1").expect("put");
        let (ours, foreign) = (folder.path().join("journal/.unfinished-a-1"), folder.path().join("journal/.nfs1"));
        std::fs::write(&ours, b"half").expect("write");
        std::fs::write(&foreign, b"foreign").expect("write");
        std::fs::create_dir(folder.path().join("lost+found")).expect("folder");
        std::fs::write(folder.path().join("lost+found/x"), b"").expect("write");
        assert_eq!(store.list(""), Ok(vec!["journal/1".to_owned()]));
        let again = Local::open(folder.path()).expect("open");
        assert_eq!(again.list(""), Ok(vec!["journal/1".to_owned()]));
        assert_eq!((ours.exists(), foreign.exists()), (false, true));
        assert_eq!(store.create("journal/2", b"2"), Ok(true), "another opener does not disturb");
    }

    #[test]
    fn a_store_that_went_away_is_not_an_empty_one() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("state");
        let store = Local::open(&root).expect("open");
        store.put("journal/1", b"1").expect("put");
        std::fs::rename(&root, folder.path().join("elsewhere")).expect("rename");
        let asked: [Result<(), StoreError>; 6] = [
            store.get("journal/1").map(drop),
            store.list("journal/").map(drop),
            store.delete("journal/1"),
            store.put("journal/2", b"2"),
            store.create("new/1", b"1").map(drop),
            store.put_lightly("beat", b"1"),
        ];
        for answer in asked {
            let Err(StoreError::Unavailable(message)) = answer else { panic!("{answer:?}") };
            assert!(message.contains("mount `"), "{message}");
        }
        assert!(!root.exists(), "it is not made again behind the operator's back");
    }

    #[test]
    fn errors_say_what_to_do() {
        let disk = SimulatedDisk::new();
        let store = Local::on(disk.clone(), "/state").expect("open");
        store.put("a", b"1").expect("put");
        let message = |answer: Result<(), StoreError>| answer.expect_err("must fail").to_string();
        disk.set_full(true);
        let full = "could not write `/state/a`: no storage space; free space on the file system of `/state`";
        assert_eq!(message(store.put("a", b"long enough")), full);
        assert!(matches!(store.create("new/folder", b""), Err(StoreError::Unavailable(_))));
        disk.set_full(false);
        disk.set_read_only(true);
        assert!(message(store.put("a", b"2")).contains("mount the file system of `/state` so that it can be written"));
        assert!(matches!(store.delete("a"), Err(StoreError::Unavailable(_))));
        assert_eq!(store.get("a"), Ok(Some(b"1".to_vec())));
        disk.set_read_only(false);
        assert_eq!(store.put("a", b"3"), Ok(()));
        assert_eq!(disk.files(), [PathBuf::from("/state/a")], "nothing unfinished is left");

        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("file"), b"").expect("write");
        let Err(StoreError::Failed(message)) = Local::open(folder.path().join("file")).map(drop) else {
            panic!("a file was opened as a folder")
        };
        assert!(message.ends_with("a file stands where a folder is needed"), "{message}");
    }
}
