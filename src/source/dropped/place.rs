//! The folder on disk: what lies where, and the few ways in which a file moves.

use super::super::SourceError;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where files lie that are being read.
const READING: &str = "reading";
/// Where files lie that no start reads again.
const ARCHIVE: &str = "archive";
/// Where files lie that were not read.
const REJECTED: &str = "rejected";
/// Says whose folder it is.
const OWNER: &str = ".deltamart";
/// What stands behind the name of such a file, and says why.
const WHY: &str = ".why.txt";
/// A name is no longer than this where we give it one: a number or an ending is put to it.
const NAME_BYTES: usize = 200;

/// Asked before anything in the folder is changed: an error, and it is not.
pub type Before = Box<dyn Fn(&Path) -> Result<(), Error> + Send>;

pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) before: Before,
}

/// Something in the folder.
pub(super) struct Arrival {
    pub(super) name: std::ffi::OsString,
    pub(super) is_file: bool,
    pub(super) is_dir: bool,
    pub(super) bytes: u64,
    /// When it was last written to, renamed or moved, by the clock of its file system, in milliseconds.
    pub(super) changed_ms: i64,
}

/// A name that is not too long to get a number before it or an ending behind it.
pub(super) fn short(name: &str) -> &str {
    let mut from = name.len().saturating_sub(NAME_BYTES);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    &name[from..]
}

/// What a file is called while it has a number.
pub(super) fn numbered(number: i64, name: &str) -> String {
    format!("{number:010}-{}", short(name))
}

/// The name behind the number.
pub(super) fn without_number(numbered: &str) -> &str {
    numbered.split_once('-').map_or(numbered, |(_, name)| name)
}

impl Place {
    /// Makes the folders in it.
    pub(super) fn make(&self) -> Result<(), SourceError> {
        for inner in [READING, ARCHIVE, REJECTED] {
            let path = self.root.join(inner);
            if !path.is_dir() {
                self.change("make folder", &path, || std::fs::create_dir(&path))?;
            }
        }
        Ok(())
    }

    pub(super) fn reading(&self, numbered: &str) -> PathBuf {
        self.root.join(READING).join(numbered)
    }

    pub(super) fn archived(&self, numbered: &str) -> PathBuf {
        self.root.join(ARCHIVE).join(numbered)
    }

    /// What lies in the folder, in the order of names.
    pub(super) fn arrivals(&self) -> Result<Vec<Arrival>, SourceError> {
        let mut arrivals = Vec::new();
        let failed = |error| away("look into folder", &self.root, &error);
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // One that is gone again is none.
            let Ok(found) = entry.metadata() else { continue };
            let changed_ms = found.ctime() * 1000 + found.ctime_nsec() / 1_000_000;
            let (is_file, is_dir) = (found.is_file(), found.is_dir());
            arrivals.push(Arrival { name: entry.file_name(), is_file, is_dir, bytes: found.len(), changed_ms });
        }
        arrivals.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(arrivals)
    }

    /// The names of the files that are being read.
    pub(super) fn taken(&self) -> Result<BTreeSet<String>, SourceError> {
        let path = self.root.join(READING);
        let failed = |error| away("look into folder", &path, &error);
        let entries = std::fs::read_dir(&path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// How many files were set aside.
    pub(super) fn set_aside(&self) -> usize {
        let entries = std::fs::read_dir(self.root.join(REJECTED)).into_iter().flatten().flatten();
        entries.filter(|entry| !entry.file_name().to_string_lossy().ends_with(WHY)).count()
    }

    /// Gives a file a number, durably; tells whether it was still there.
    pub(super) fn take(&self, from: &Path, numbered: &str) -> Result<bool, SourceError> {
        let to = self.reading(numbered);
        if from != to {
            let moved = self.change("move", from, || match std::fs::rename(from, &to) {
                // Perhaps an attempt before this one moved it.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(to.exists()),
                moved => moved.map(|()| true),
            })?;
            if !moved {
                return Ok(false);
            }
        }
        // What is named in the state is here, and says what it said, after a loss of power too.
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        for path in [&to, &self.root.join(READING), &self.root] {
            match sync(path) {
                // One that may not be read is looked at, and set aside.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                synced => synced.map_err(|error| away("make durable", path, &error))?,
            }
        }
        Ok(true)
    }

    /// Puts a file that was read where nothing looks for arrivals.
    pub(super) fn archive(&self, numbered: &str) -> Result<(), SourceError> {
        let from = self.reading(numbered);
        self.change("move", &from, || std::fs::rename(&from, self.archived(numbered)))
    }

    /// Puts a file back that was put away too early.
    pub(super) fn take_back(&self, numbered: &str) -> Result<(), SourceError> {
        let from = self.archived(numbered);
        self.change("move", &from, || std::fs::rename(&from, self.reading(numbered)))
    }

    /// That nobody else watches the folder: a file in it says whose it is.
    pub(super) fn own(&self, pipeline: &str, state: &str) -> Result<(), SourceError> {
        let path = self.root.join(OWNER);
        let found = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            found => found.map_err(|error| away("read", &path, &error))?,
        };
        let root = self.root.display();
        match found.lines().next().filter(|owner| !owner.is_empty()) {
            Some(owner) if owner == pipeline => Ok(()),
            Some(_) => Err(SourceError::Refused(format!(
                "folder `{root}` is watched by another pipeline, whose state is in `{}`: each file is read by one of them. Watch \
                 another folder; or, if that one is given up, remove `{}`",
                found.lines().nth(1).unwrap_or("?"),
                path.display()
            ))),
            None => self.change("write", &path, || std::fs::write(&path, format!("{pipeline}\n{state}\n"))),
        }
    }

    /// Sets a file aside that is being read, with why; tells where it is.
    pub(super) fn reject(&self, numbered: &str, why: &str) -> Result<PathBuf, SourceError> {
        let (from, folder) = (self.reading(numbered), self.root.join(REJECTED));
        let name = without_number(numbered);
        let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{n}-{name}")));
        let free = names.map(|name| folder.join(name)).find(|path| !path.exists());
        let to = free.unwrap_or_else(|| folder.join(numbered));
        let mut report = to.clone().into_os_string();
        report.push(WHY);
        // The report first: a file that is set aside has one.
        self.change("write", Path::new(&report), || {
            let mut file = File::create(&report)?;
            file.write_all(format!("{why}\n").as_bytes())
        })?;
        self.change("move", &from, || std::fs::rename(&from, &to))?;
        Ok(to)
    }

    fn change<T>(&self, doing: &str, path: &Path, change: impl FnOnce() -> Result<T, Error>) -> Result<T, SourceError> {
        (self.before)(path).and_then(|()| change()).map_err(|error| away(doing, path, &error))
    }
}

fn away(doing: &str, path: &Path, error: &Error) -> SourceError {
    SourceError::Unavailable(format!(
        "could not {doing} `{}`: {error}; let the user that runs this read and write the folder and all in it",
        path.display()
    ))
}
