//! A file that is read on and on, as somebody writes it: until another one has its name.

use super::content::{Content, Tail};
use super::marks::Marks;
use super::names::{as_text, called};
use super::recognise::{Before, KnownSource, recognise};
use super::{Poll, SourceError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is followed.
pub struct Follow {
    path: PathBuf,
    /// Called when another file has its name, or the one that was waited for has its first line.
    changed: Box<dyn Fn() + Send>,
    /// Another file has its name: its last lines are read.
    is_left: bool,
    told: bool,
}

impl Follow {
    /// Follows the file of this name.
    pub fn new(path: PathBuf, changed: impl Fn() + Send + 'static) -> Follow {
        Follow { path, changed: Box::new(changed), is_left: false, told: false }
    }

    /// What it is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to follow what was opened.
    pub(super) fn begin(&self, mut content: Content) -> Result<Content, SourceError> {
        if content.follow() {
            return Ok(content);
        }
        let why =
            "is packed, or written in UTF-16, and cannot be followed (`--follow`): it would not grow line by line";
        Err(SourceError::Refused(format!("file {} {why}", called(&self.path))))
    }

    /// Where nothing more is in it now.
    pub(super) fn at_end(&mut self, content: &Content) -> Result<Poll, SourceError> {
        let failed = |error| SourceError::Unavailable(format!("could not look at `{}`: {error}", self.path.display()));
        let found = content.file().metadata().map_err(failed)?;
        if found.len() < content.file_bytes() {
            return Err(SourceError::Failed(format!(
                "file {} was cut while it was followed: what was in it was read, and what was written to it since cannot be told \
                 from that. Rotate it by renaming it, and give what is there now as a new file: `--another {}`",
                called(&self.path),
                self.path.display()
            )));
        }
        // Perhaps there is none of that name, for a moment.
        let is_another = |now: std::fs::Metadata| (now.dev(), now.ino()) != (found.dev(), found.ino());
        if !self.path.metadata().is_ok_and(is_another) {
            return Ok(Poll::Idle);
        }
        if !std::mem::replace(&mut self.is_left, true) {
            // Whoever wrote it may have written its last line after we looked.
            return Ok(Poll::Skipped);
        }
        Ok(self.tell("another file has its name now"))
    }

    /// Where there is no line of it yet.
    pub(super) fn awaits_its_beginning(&mut self) -> Result<Poll, SourceError> {
        let has_begun = self.path.metadata().is_ok_and(|found| found.len() > 0) && has_first_line(&self.path)?;
        Ok(if has_begun { self.tell("it has its first line now") } else { Poll::Idle })
    }

    fn tell(&mut self, what: &str) -> Poll {
        if !std::mem::replace(&mut self.told, true) {
            tracing::info!("file {}: {what}", called(&self.path));
            (self.changed)();
        }
        Poll::Idle
    }
}

fn has_first_line(path: &Path) -> Result<bool, SourceError> {
    Ok(!recognise(&[path.to_owned()], &[], &[], Before::Counts, Tail::Wait).map_err(|why| why.source())?.is_empty())
}

/// The files to be read so that all is read that was ever called so, since it was read last: those that were renamed, the
/// oldest first, and the one that has the name now. Those that were renamed lie beside it, and their names begin with its.
///
/// # Errors
/// If the folder cannot be read.
pub fn with_those_before(path: &Path, known: &[KnownSource]) -> Result<Vec<PathBuf>, SourceError> {
    let name = as_text(path.file_name().unwrap_or(path.as_os_str()));
    let of_name = known.iter().filter(|known| known.topic == name && known.marks != Marks::default());
    let Some(newest) = of_name.max_by_key(|known| known.number) else { return Ok(vec![path.to_owned()]) };
    let is_newest = |path: &PathBuf| {
        let found =
            recognise(std::slice::from_ref(path), std::slice::from_ref(newest), &[], Before::Counts, Tail::Wait);
        found.is_ok_and(|found| found.iter().any(|it| it.opened.is_some()))
    };
    if is_newest(&path.to_owned()) {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error| SourceError::Failed(format!("could not read folder `{}`: {error}", folder.display()));
    let mut beside = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let other = as_text(&entry.file_name());
        if other.len() > name.len() && other.starts_with(&name) && entry.path().is_file() {
            let modified = entry.metadata().and_then(|found| found.modified()).map_err(failed)?;
            beside.push((modified, folder.join(entry.file_name())));
        }
    }
    // Of two that were written to in the same moment the higher number is the older one.
    beside.sort_by(|(one, first), (other, second)| one.cmp(other).then_with(|| second.cmp(first)));
    let Some(since) = beside.iter().filter(|(_, path)| is_newest(path)).map(|(modified, _)| *modified).max() else {
        return Ok(vec![path.to_owned()]);
    };
    let since = beside.into_iter().filter(|(modified, _)| *modified >= since).map(|(_, path)| path);
    Ok(since.chain([path.to_owned()]).collect())
}
