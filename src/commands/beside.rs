//! What is computed beside a warehouse, to be compared with it.

use std::path::{Path, PathBuf};

/// A warehouse that lives only while it is compared.
pub(super) struct Beside {
    path: PathBuf,
}

impl Beside {
    /// Beside a warehouse that was claimed under this generation: nobody else has the same name,
    /// and what older ones left when they were killed is removed.
    pub(super) fn new(warehouse: &Path, generation: u64) -> Beside {
        for older in generation.saturating_sub(100)..generation {
            Beside::of(warehouse, older).remove();
        }
        Beside::of(warehouse, generation)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn of(warehouse: &Path, generation: u64) -> Beside {
        let mut path = warehouse.as_os_str().to_owned();
        path.push(format!(".{generation}.rebuild"));
        Beside { path: path.into() }
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.as_os_str().to_owned();
            path.push(suffix);
            // What is not there need not be removed.
            std::fs::remove_file(path).ok();
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.remove();
    }
}
