//! Which family a file of events is of.

use super::SourceError;
use super::lines::{Extent, Lines};
use super::sniff::Kind;
use crate::families::{self, SHOP};
use crate::rules::Rules;
use crate::spoken::is_named;
use dataflows::family::FamilyId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of which it was said: `store_events=orders.jsonl`.
pub type Whose = BTreeMap<PathBuf, FamilyId>;

/// So many lines are looked through for one that is not empty.
const LINES: usize = 10_000;

/// The family of a file: that which was said; else the movie shop, if the first record is one of its events by the names
/// that are configured for them; else the declared one that its first record names as its `event_name`; else
/// the only declared one, if the record names none; else the movie shop.
///
/// # Errors
/// If it cannot be read, or cannot be told.
pub fn whose(path: &Path, said: &Whose, rules: &Rules) -> Result<FamilyId, SourceError> {
    if let Some(family) = said.get(path) {
        return Ok(*family);
    }
    let declared = families::declared();
    if declared.is_empty() {
        return Ok(SHOP);
    }
    let Some(first) = first_record(path)? else { return Ok(SHOP) };
    if is_named(rules, &first) {
        return Ok(SHOP);
    }
    match (first.get("event_name").and_then(|name| name.as_str()), declared) {
        (Some(name), _) => {
            let named = declared.iter().map(|loaded| FamilyId(loaded.family)).find(|family| family.name() == name);
            Ok(named.unwrap_or(SHOP))
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
