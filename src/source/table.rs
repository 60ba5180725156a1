//! Files of separated values: what their header says, and whether it says enough for a family.

use super::SourceError;
use super::content::{Content, Read};
use super::names::called;
use crate::decode::Format;
use crate::decode::csv::{Csv, header};
use crate::families;
use dataflows::declared::reading::Empty;
use dataflows::family::FamilyId;
use dataflows::wire::{mask, nearest};
use std::path::Path;

/// The names of a longer header are not all listed.
const NAMES_SHOWN: usize = 30;

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What stands between the values.
    pub separator: u8,
    /// The names of the fields, in their order.
    pub names: Vec<String>,
    /// Its line, from 1: blank ones may stand before it.
    pub line: i64,
}

impl Header {
    /// The header of a content that is opened at its first line, if its records are such. Then it is at the next line.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn read(path: &Path, content: &mut Content) -> Result<Option<Header>, SourceError> {
        let Some(separator) = content.separator() else { return Ok(None) };
        let mut bytes = Vec::new();
        let refuse = |why: String| {
            let why = format!("file {}: the first line is to name the fields, and {why}", called(path));
            Err(SourceError::Refused(why))
        };
        loop {
            bytes.clear();
            match content.read(&mut bytes)? {
                Read::Line(line) if line.bytes > bytes.len() as u64 => return refuse("it is too long".to_owned()),
                Read::Line(_) if bytes.trim_ascii().is_empty() => {}
                Read::Line(line) => match header(&bytes, separator) {
                    // Somebody is still writing it, or nothing stands behind it.
                    Ok(_) if !line.ended => return Ok(None),
                    Ok(names) => return Ok(Some(Header { separator, names, line: line.number })),
                    Err(why) => return refuse(why),
                },
                Read::Part(_) => return refuse("it is too long".to_owned()),
                Read::End => return Ok(None),
            }
        }
    }

    /// Of a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(path: &Path) -> Result<Option<Header>, SourceError> {
        Header::read(path, &mut Content::open(path)?)
    }

    /// How records behind it are read by a family.
    pub fn format(&self, family: FamilyId) -> Format {
        Format::Csv(Csv::new(self.separator, &self.names, family.names()))
    }

    /// That it names every field that an event of the family needs, and none that is read twice.
    ///
    /// # Errors
    /// What is missing.
    pub fn suffices(&self, path: &Path, family: FamilyId) -> Result<(), SourceError> {
        let name = family.name();
        let Some(loaded) = families::declared().iter().find(|loaded| FamilyId(loaded.family) == family) else {
            return Ok(());
        };
        let (file, has) = (called(path), |field: &str| self.names.iter().any(|name| name == field));
        for reading in &loaded.events.readings {
            if let Some(twice) =
                reading.from.iter().find(|field| self.names.iter().filter(|name| name == *field).count() > 1)
            {
                let why = format!(
                    "file {file}: its header names `{twice}` twice, and which of the two counts cannot be told: rename one"
                );
                return Err(SourceError::Refused(why));
            }
            if reading.empty != Empty::Rejected || reading.from.iter().any(|field| has(field)) {
                continue;
            }
            let field = reading.from.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(" or ");
            // What was taken for a header may be an event.
            let shown: Vec<_> = self.names.iter().map(|name| shown(name)).collect();
            let near = reading.from.iter().find_map(|field| nearest(field, shown.iter().map(String::as_str)));
            let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let more = if self.names.len() > NAMES_SHOWN { ", ..." } else { "" };
            let names = shown.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let why = format!(
                "file {file}: its header does not name the field {field}, which column `{}` of `{name}` needs{meant}\n\
                 The header has: {names}{more}\n\
                 What to do: correct the first line of the file, or add one if it is an event; or name the field in `model` by `from`; or give the column \
                 `null` or `empty`",
                reading.column
            );
            return Err(SourceError::Refused(why));
        }
        Ok(())
    }
}

/// A name of a header, as it may be shown.
fn shown(name: &str) -> String {
    mask::text(name).unwrap_or_else(|| name.to_owned()).replace(char::is_control, "\u{FFFD}")
}
