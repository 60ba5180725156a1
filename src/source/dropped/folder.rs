//! What lies in a watched folder, what of it is taken when, and what is done with it afterwards.

use super::super::SourceError;
use super::super::names::as_text;
use super::digest::Digest;
use super::place::{Place, numbered, without_number};
use super::taking::{Judges, Taken, Taking};
use super::ways::{Mode, Ways};
use super::{file_and_line, offset};
use crate::instant::span;
use crate::state_dir::dropped::Listed;
use crate::state_dir::{StateDir, StateError};
use crate::store::StoreError;
use dataflows::family::FamilyId;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};

/// What the names of files end with that are taken, and of those that are packed.
const ENDINGS: [&str; 5] = [".csv", ".tsv", ".jsonl", ".ndjson", ".json"];
const PACKED: &str = ".gz";
/// What they end with while somebody writes them.
const UNFINISHED: [&str; 2] = [".tmp", ".part"];
/// So many of a kind are named.
const NAMED: usize = 3;

/// What there was to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worked {
    /// Something; there may be more.
    Some,
    /// Nothing now.
    Nothing,
    /// Nothing, ever.
    Done,
}

/// A watched folder.
pub struct Folder {
    place: Place,
    topic: String,
    dir: StateDir,
    judges: Judges,
    ways: Ways,
    /// The number of the next file.
    next: i64,
    /// The files whose content was taken: their numbers and names.
    known: HashMap<Digest, (i64, Box<str>)>,
    /// Files that were named in the state, and may have to be read.
    listed: BTreeMap<i64, Listed>,
    /// What lies among those that are being read.
    reading: BTreeSet<String>,
    arrivals: VecDeque<PathBuf>,
    taking: Option<Taking>,
    /// Files that wait: how many bytes, when they changed, and since when they have been seen so.
    seen: BTreeMap<String, (u64, i64, i64)>,
    looked: Option<std::time::Instant>,
    is_done: bool,
    waits: Vec<String>,
    others: Vec<String>,
    /// How many files were set aside, ever; and the last ones.
    set_aside: usize,
    said: VecDeque<String>,
}

impl Folder {
    /// Opens a folder, with what was taken of it before.
    ///
    /// # Errors
    /// If it cannot be read or written, or if, to be read again, a file is gone.
    pub fn open(root: &Path, dir: StateDir, judges: Judges, mut ways: Ways) -> Result<Folder, SourceError> {
        let name = root.canonicalize().ok().and_then(|path| path.file_name().map(as_text));
        let Some(topic) = name.filter(|_| root.is_dir()) else {
            let why = format!("`{}` cannot be watched: it is no folder, or has no name", root.display());
            return Err(SourceError::Refused(why));
        };
        let before = std::mem::replace(&mut ways.before, Box::new(|_| Ok(())));
        let place = Place { root: root.to_owned(), before };
        place.own(&dir.pipeline_id, &dir.place())?;
        place.make()?;
        let all = dir.dropped(&topic, true).map_err(|error| failed(&error))?;
        let known =
            |listed: &Listed| Some((Digest::read(&listed.checksum)?, (listed.number, listed.name.as_str().into())));
        let known = all.iter().filter_map(known).collect();
        let next = all.last().map_or(1, |last| last.number + 1);
        let listed: BTreeMap<_, _> = all.into_iter().map(|listed| (listed.number, listed)).collect();
        let (reading, set_aside) = (place.taken()?, place.set_aside());
        // What a run before was about to take.
        let arrivals = reading.iter().filter(|name| !named(&listed, name)).map(|name| place.reading(name)).collect();
        let mut folder = Folder {
            place,
            topic,
            dir,
            judges,
            ways,
            next,
            known,
            listed,
            reading,
            arrivals,
            taking: None,
            seen: BTreeMap::new(),
            looked: None,
            is_done: false,
            waits: Vec::new(),
            others: Vec::new(),
            set_aside,
            said: VecDeque::new(),
        };
        folder.leave_what_is_gone()?;
        Ok(folder)
    }

    /// Where everything is read again: what is not there any more.
    fn leave_what_is_gone(&mut self) -> Result<(), SourceError> {
        let Mode::Again { accept_loss } = self.ways.mode else { return Ok(()) };
        let gone = self.listed.values().filter(|listed| self.path_of(listed).is_err());
        let gone: Vec<_> = gone.map(|listed| (listed.number, numbered(listed.number, &listed.name))).collect();
        let Some((_, first)) = gone.first() else { return Ok(()) };
        let (count, folder) = (gone.len(), self.place.root.display());
        if !accept_loss {
            return Err(SourceError::Refused(format!(
                "of folder `{folder}` {count} of the files that were read are gone, `archive/{first}` for one: put them back, \
                 or compute everything without them: `--accept-loss`"
            )));
        }
        tracing::warn!("folder `{folder}`: computing without {count} files that are gone, `archive/{first}` for one");
        gone.iter().for_each(|(number, _)| drop(self.listed.remove(number)));
        Ok(())
    }

    /// What the folder is called.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The next file of a family that has a line at an offset, or behind it.
    pub(super) fn next(&self, family: FamilyId, at: i64) -> Option<&Listed> {
        let from = file_and_line(at).0;
        let mut listed = self.listed.range(from..).map(|(_, listed)| listed);
        listed.find(|listed| listed.family == family.name() && offset(listed.number, listed.lines) >= at)
    }

    /// Where a file is that was taken.
    pub(super) fn path_of(&self, listed: &Listed) -> Result<PathBuf, SourceError> {
        let numbered = numbered(listed.number, &listed.name);
        let places = [self.place.reading(&numbered), self.place.archived(&numbered)];
        places.into_iter().find(|path| path.exists()).ok_or_else(|| {
            let folder = self.place.root.display();
            SourceError::Failed(format!(
                "file {} of folder `{folder}` is neither `reading/{numbered}` nor `archive/{numbered}`, and is to be read: \
                 put it back, or compute everything without it: `--rebuild --accept-loss`",
                listed.number
            ))
        })
    }

    /// That nothing was read of files that are not named in the state.
    pub(super) fn check_listed(&self, at: i64) -> Result<(), SourceError> {
        let (number, _) = file_and_line(at);
        if number <= self.next {
            return Ok(());
        }
        Err(SourceError::Failed(format!(
            "folder `{}`: its file {number} was begun, and the state names {} files: the state is not the one of this \
             warehouse, or was put back from an older copy",
            self.topic,
            self.next - 1
        )))
    }

    /// Takes a step: looks into the folder, or takes some of a file.
    pub(super) fn work(&mut self) -> Result<Worked, SourceError> {
        if self.is_done || matches!(self.ways.mode, Mode::Again { .. }) {
            return Ok(Worked::Done);
        }
        if let Some(mut taking) = self.taking.take() {
            let taken = taking.step(&self.judges, &self.known, (self.ways.clock)());
            return self.settle(taking, taken).map(|()| Worked::Some);
        }
        if let Some(path) = self.arrivals.front().cloned() {
            self.begin(&path)?;
            return Ok(Worked::Some);
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < self.ways.every) {
            return Ok(Worked::Nothing);
        }
        self.looked = Some(std::time::Instant::now());
        self.look()?;
        Ok(match (self.arrivals.is_empty(), self.ways.mode) {
            (false, _) => Worked::Some,
            (true, Mode::ToEnd) => {
                self.is_done = true;
                Worked::Done
            }
            (true, _) => Worked::Nothing,
        })
    }

    /// Finds what can be taken.
    fn look(&mut self) -> Result<(), SourceError> {
        let now_ms = (self.ways.clock)();
        let mut seen = BTreeMap::new();
        (self.waits, self.others) = (Vec::new(), Vec::new());
        for found in self.place.arrivals()? {
            let name = as_text(&found.name);
            let lower = name.to_lowercase();
            if found.is_dir || name.starts_with('.') || UNFINISHED.iter().any(|ending| lower.ends_with(ending)) {
                continue;
            }
            let unpacked = lower.strip_suffix(PACKED).unwrap_or(&lower);
            if !found.is_file || !ENDINGS.iter().any(|ending| unpacked.ends_with(ending)) {
                self.others.push(name);
                continue;
            }
            let before = self.seen.get(&name).filter(|(bytes, at, _)| (*bytes, *at) == (found.bytes, found.changed_ms));
            let since = before.map_or(now_ms, |(_, _, since)| *since);
            // The clock of a server may be ahead: then it is what we have seen ourselves.
            if now_ms - since.min(found.changed_ms) >= self.ways.settle_ms {
                self.arrivals.push_back(self.place.root.join(&found.name));
            } else {
                seen.insert(name.clone(), (found.bytes, found.changed_ms, since));
                self.waits.push(name);
            }
        }
        self.seen = seen;
        Ok(())
    }

    /// Gives the next file a number.
    fn begin(&mut self, path: &Path) -> Result<(), SourceError> {
        let name = path.file_name().map(as_text).unwrap_or_default();
        let is_ours = path.parent() != Some(&self.place.root);
        let own = if is_ours { without_number(&name).to_owned() } else { name.clone() };
        let taken = numbered(self.next, &own);
        if self.reading.contains(&taken) && name != taken {
            // Another one that a run before was about to take: it has this number.
            let other = self.place.reading(&taken);
            self.arrivals.retain(|path| *path != other);
            self.arrivals.push_front(other);
            return Ok(());
        }
        let is_there = self.place.take(path, &taken)?;
        self.arrivals.pop_front();
        if is_there {
            if is_ours {
                self.reading.remove(&name);
            }
            self.taking = Some(Taking::new(self.place.reading(&taken), own));
            self.reading.insert(taken);
        }
        Ok(())
    }

    /// Does what a step of taking a file came to. What cannot be done now is tried again.
    fn settle(&mut self, taking: Taking, taken: Result<Taken, SourceError>) -> Result<(), SourceError> {
        let numbered = numbered(self.next, &taking.name);
        match taken {
            Ok(Taken::More) => self.taking = Some(taking),
            Err(SourceError::Unavailable(why)) => {
                self.taking = Some(taking);
                return Err(SourceError::Unavailable(why));
            }
            Ok(Taken::Whole(whole)) => {
                let listed = Listed { number: self.next, ..whole };
                let free = self.dir.list_dropped(&self.topic, &listed);
                if !matches!(free, Ok(true)) {
                    self.taking = Some(taking);
                }
                if !free.map_err(|error| failed(&error))? {
                    let why = format!("folder `{}`: another run takes files of it by the same state", self.topic);
                    return Err(SourceError::Failed(why));
                }
                if let Some(digest) = Digest::read(&listed.checksum) {
                    self.known.insert(digest, (listed.number, listed.name.as_str().into()));
                }
                self.listed.insert(listed.number, listed);
                self.next += 1;
            }
            Err(SourceError::Failed(why) | SourceError::Refused(why) | SourceError::NoneValid(why)) => {
                let to = match self.place.reject(&numbered, &why) {
                    Ok(to) => to,
                    Err(error) => {
                        self.taking = Some(taking);
                        return Err(error);
                    }
                };
                self.reading.remove(&numbered);
                self.set_aside += 1;
                tracing::warn!("{} was set aside as `{}`: {why}", taking.name, to.display());
                self.said.push_back(format!("`{}`: {}", to.display(), why.lines().next().unwrap_or_default()));
                if self.said.len() > NAMED {
                    self.said.pop_front();
                }
            }
        }
        Ok(())
    }

    /// No start reads again what is before an offset: its files are put away.
    pub(super) fn spares(&mut self, family: FamilyId, next: i64) {
        let (last, _) = file_and_line(next);
        let of_family = self.listed.range(..=last).map(|(_, listed)| listed).filter(|it| it.family == family.name());
        let spared: Vec<_> = of_family.filter(|it| offset(it.number, it.lines) < next).cloned().collect();
        for listed in spared {
            if let Err(error) = self.put_away(&listed) {
                // It is tried again after the next snapshot.
                tracing::warn!("{error}");
                return;
            }
            self.listed.remove(&listed.number);
        }
    }

    fn put_away(&mut self, listed: &Listed) -> Result<(), SourceError> {
        let numbered = numbered(listed.number, &listed.name);
        if !self.reading.contains(&numbered) {
            return Ok(());
        }
        let has_grown = |path: &Path| path.metadata().is_ok_and(|found| found.len() > listed.bytes);
        let (path, archived) = (self.place.reading(&numbered), self.place.archived(&numbered));
        if has_grown(&path) {
            // Whoever wrote it has gone on: what is behind is the rest of this file, and taken as that.
            self.arrivals.push_back(path);
            return Ok(());
        }
        self.place.archive(&numbered)?;
        self.reading.remove(&numbered);
        if has_grown(&archived) {
            self.place.take_back(&numbered)?;
            self.reading.insert(numbered);
            self.arrivals.push_back(path);
        }
        Ok(())
    }

    /// What is not read now, and why: said of the folder once, whatever families it has.
    pub(super) fn unread(&self, family: FamilyId) -> Vec<String> {
        if self.judges.families.first() != Some(&family) {
            return Vec::new();
        }
        let (folder, mut all) = (self.place.root.display(), Vec::new());
        let some = |names: &[String]| {
            let shown: Vec<_> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(NAMED);
            if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
        };
        let in_work = self.reading.len();
        if in_work > 0 {
            all.push(format!("folder `{folder}`: {in_work} taken, and not yet in the archive"));
        }
        if !self.waits.is_empty() {
            let (settle, names) = (span::show(self.ways.settle_ms), some(&self.waits));
            all.push(format!("folder `{folder}`: waiting until unchanged for {settle} (`watch.settle`): {names}"));
        }
        if !self.others.is_empty() {
            let (names, endings) = (some(&self.others), ENDINGS.join(", "));
            all.push(format!(
                "folder `{folder}`: not taken: {names}; files end with {endings}, or one of these and {PACKED}"
            ));
        }
        if self.set_aside > 0 {
            all.push(format!("folder `{folder}`: {} set aside in `{folder}/rejected`", self.set_aside));
            all.extend(self.said.iter().map(|said| format!("set aside: {said}")));
        }
        all
    }
}

/// Whether a file among those that are being read is one that the state names.
fn named(listed: &BTreeMap<i64, Listed>, name: &str) -> bool {
    let number = name.split_once('-').and_then(|(number, _)| number.parse::<i64>().ok());
    let listed = number.and_then(|number| listed.get(&number));
    listed.is_some_and(|listed| numbered(listed.number, &listed.name) == name)
}

/// What the state says to a source.
fn failed(error: &StateError) -> SourceError {
    if let StateError::Store(StoreError::Unavailable(why)) = error {
        return SourceError::Unavailable(why.clone());
    }
    SourceError::Failed(error.to_string())
}
