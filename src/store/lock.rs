//! A lock beside the objects of a folder, held as long as its process lives: of two that start at once on one machine one
//! gets it. The system takes it back from a process that is killed, so none is ever left behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No object is called so: their names do not begin with a dot.
const NAME: &str = ".running";

/// Who has the lock of a place.
#[derive(Debug)]
pub enum Lock {
    /// We, until this is dropped.
    Ours(File),
    /// Another process.
    Anothers,
    /// There is none to be had: in a bucket, or on a file system without locks.
    Unknown,
}

/// Takes the lock of a place that was opened, if nobody has it.
pub fn lock(place: &str) -> Lock {
    let Some(folder) = super::folder_of(place) else { return Lock::Unknown };
    let path = Path::new(folder).join(NAME);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let Ok(file) = opened else { return Lock::Unknown };
    match file.try_lock() {
        Ok(()) => Lock::Ours(file),
        Err(TryLockError::WouldBlock) => Lock::Anothers,
        Err(TryLockError::Error(_)) => Lock::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_lets_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().display().to_string();
        let ours = lock(&place);
        assert!(matches!(ours, Lock::Ours(_)));
        assert!(matches!(lock(&format!("file://{place}")), Lock::Anothers));
        drop(ours);
        assert!(matches!(lock(&place), Lock::Ours(_)));
        assert!(matches!(lock("s3://bucket/state"), Lock::Unknown));
    }
}
