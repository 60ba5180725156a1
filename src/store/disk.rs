//! The seam below a folder of objects: what a file system can do, and what it must be asked for.
//!
//! Whatever is done may be lost with power until it is asked for: the content of a file by
//! [`Disk::sync_file`]; its name, or that the name is gone, by [`Disk::sync_dir`] of its folder; a
//! folder by [`Disk::sync_dir`] of the folder it is in. Until then the changes of a folder may
//! survive in any choice and order.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_dir: bool,
}

/// A file system. Errors are those of `std::fs`, kinds included.
#[allow(clippy::missing_errors_doc, reason = "every method fails as its namesake in `std::fs` does")]
pub trait Disk: Send + Sync {
    /// A file that was written and is still open.
    type File;

    /// A word that nobody else was or will be given, for the names of temporary files.
    fn nonce(&self) -> String;

    /// Whether there is a folder at this path; an error only where nobody can say.
    fn is_dir(&self, path: &Path) -> Result<bool>;

    /// Makes a folder in a folder that is there.
    fn make_dir(&self, path: &Path) -> Result<()>;

    /// Makes a file of this content; an error if there is one.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<Self::File>;

    /// Makes the content of a file durable.
    fn sync_file(&self, file: &Self::File) -> Result<()>;

    /// Gives a file a second name in the same folder; `false` if something has that name.
    fn link(&self, from: &Path, to: &Path) -> Result<bool>;

    /// Gives a file another name in the same folder, and takes that name from whatever has it.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;

    /// What a file holds.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;

    /// What is in a folder, sorted; names that are not Unicode are left out.
    fn list(&self, path: &Path) -> Result<Vec<Entry>>;

    /// Takes the name of a file away.
    fn remove(&self, path: &Path) -> Result<()>;
}

/// The file system of this machine. Folders and files are for their owner only: state holds events.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn nonce(&self) -> String {
        // Not the process id: two containers that share a volume may both be process 1.
        uuid::Uuid::new_v4().simple().to_string()
    }

    fn is_dir(&self, path: &Path) -> Result<bool> {
        match path.metadata() {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn make_dir(&self, path: &Path) -> Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<File> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn sync_file(&self, file: &File) -> Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> Result<bool> {
        match std::fs::hard_link(from, to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // FAT answers EPERM (1 on every Unix), others that they do not support it. That the folder
            // may be written is known: the file that is to be linked was just made in it.
            Err(error) if error.raw_os_error() == Some(1) || error.kind() == ErrorKind::Unsupported => {
                Err(Error::new(ErrorKind::Unsupported, "the file system has no hard links"))
            }
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        File::open(path)?.sync_all().map_err(|error| {
            if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) {
                Error::new(ErrorKind::Unsupported, "the file system cannot make the names in a folder durable")
            } else {
                error
            }
        })
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // Followed where it is a link: a folder of the state may lie on another disk.
            let is_dir = match entry.file_type()? {
                kind if kind.is_symlink() => entry.path().is_dir(),
                kind => kind.is_dir(),
            };
            entries.extend(entry.file_name().into_string().map(|name| Entry { name, is_dir }));
        }
        entries.sort();
        Ok(entries)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path)
    }
}
