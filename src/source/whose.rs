//! Which family a file of events is of.

use super::SourceError;
use super::lines::{Extent, Lines};
use super::sniff::Kind;
use super::table::Header;
use crate::families::{self, SHOP};
use crate::rules::Rules;
use crate::spoken::is_named;
use dataflows::declared::reading::{EVENT_NAME, Reading};
use dataflows::family::FamilyId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of which it was said: `store_events=orders.jsonl`.
pub type Whose = BTreeMap<PathBuf, FamilyId>;

/// So many lines are looked through for one that is not empty.
const LINES: usize = 10_000;

/// The family of a file: that which was said; else the movie shop, if the first record is one of its events by the names
/// that are configured for them; else the declared one that its first record names as its `event_name`, or the
/// only one that has a column for such names; else the only declared one, if the record names none; else the movie shop. Of
/// separated values, which the movie shop does not read, the only declared one, or the only one whose columns the header has.
///
/// # Errors
/// If it cannot be read, or cannot be told.
pub fn whose(path: &Path, said: &Whose, rules: &Rules) -> Result<FamilyId, SourceError> {
    if let Some(family) = said.get(path) {
        if let Some(header) = Header::of(path)? {
            named(path, &header, *family)?;
        }
        return Ok(*family);
    }
    let declared = families::declared();
    if declared.is_empty() {
        return Ok(SHOP);
    }
    if let Some(header) = Header::of(path)? {
        return of_table(path, &header);
    }
    let Some(first) = first_record(path)? else { return Ok(SHOP) };
    if is_named(rules, &first) {
        return Ok(SHOP);
    }
    match (first.get("event_name").and_then(|name| name.as_str()), declared) {
        (Some(name), _) => {
            let named = declared.iter().map(|loaded| FamilyId(loaded.family)).find(|family| family.name() == name);
            Ok(named.or_else(|| of_event(name)).unwrap_or(SHOP))
        }
        (None, [one]) => Ok(FamilyId(one.family)),
        (None, _) => {
            let (path, name) = (path.display(), declared[0].family.plan().name.as_str());
            let why = format!(
                "file `{path}`: its first record has no `event_name`, so it is not known of which family it is; \
                 name it with the file: `{name}={path}`"
            );
            Err(SourceError::Refused(why))
        }
    }
}

/// The only declared family that has this event among others, if the shop has none of this name: a column of it reads the
/// name of the event.
fn of_event(name: &str) -> Option<FamilyId> {
    let has = |reading: &&Reading| reading.from.contains(&EVENT_NAME) && reading.takes_text(name);
    let mut all = families::declared().iter().filter(|loaded| loaded.events.readings.iter().any(|it| has(&it)));
    let one = all.next().filter(|_| families::TOPICS.iter().all(|topic| topic.event != name))?;
    all.next().is_none().then_some(FamilyId(one.family))
}

/// The family of a file of separated values, of which nobody said it: the only declared one, or the only one for which the
/// header names enough.
fn of_table(path: &Path, header: &Header) -> Result<FamilyId, SourceError> {
    match families::declared() {
        [one] => named(path, header, FamilyId(one.family)),
        all => {
            let mut fit = all.iter().map(|it| FamilyId(it.family)).filter(|it| header.suffices(path, *it).is_ok());
            if let (Some(family), None) = (fit.next(), fit.next()) {
                return Ok(family);
            }
            let (file, names) = (path.display(), all.iter().map(|loaded| loaded.family.plan().name.as_str()));
            let first = all.first().map_or("", |loaded| &loaded.family.plan().name);
            let why = format!(
                "file `{file}` has separated values (CSV), and it is not known of which family: name it with the file, such as \
                 `{first}={file}`. The model has: {}",
                names.collect::<Vec<_>>().join(", ")
            );
            Err(SourceError::Refused(why))
        }
    }
}

/// The family that was named, if it can read the file.
fn named(path: &Path, header: &Header, family: FamilyId) -> Result<FamilyId, SourceError> {
    if families::declared().iter().all(|loaded| FamilyId(loaded.family) != family) {
        let why = format!(
            "file `{}` has separated values (CSV), and `{}` reads lines of JSON. Separated values are events of families \
             that are declared in `model`.\nWhat to do: turn it into lines of JSON (`mlr --icsv --ojsonl cat`)",
            path.display(),
            family.name()
        );
        return Err(SourceError::Refused(why));
    }
    header.suffices(path, family)?;
    Ok(family)
}

/// The first record, if it is an object.
fn first_record(path: &Path) -> Result<Option<serde_json::Map<String, serde_json::Value>>, SourceError> {
    let (mut lines, mut text) = (Lines::open(path, Kind::Events)?, Vec::new());
    for _ in 0..LINES {
        text.clear();
        let Some(line) = lines.read(&mut text)? else { break };
        let is_record = matches!(line.extent, Extent::Whole) && !text.trim_ascii().is_empty();
        if is_record {
            return Ok(serde_json::from_slice(&text).ok());
        }
    }
    Ok(None)
}
