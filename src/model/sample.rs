//! A file of a family of events, made of a sample of them: to be read, corrected and kept.

mod json;
pub(super) mod seen;
pub(super) mod written;

use super::types::names;
use json::Json;
use seen::{Kind, Seen, quoted};
use std::collections::{BTreeMap, BTreeSet};
use written::{Column, Title, file, free};

/// The field by which events of several families are told apart.
const EVENT_NAME: &str = "event_name";
/// Objects within objects are looked into so deep.
const DEEPEST: usize = 8;
/// More fields are not looked at.
const FIELDS_MAX: usize = 500;

/// What was seen of some records.
#[derive(Debug, Default)]
pub struct Sample {
    records: usize,
    /// Each field by its path, in the order in which they came.
    fields: Vec<(String, Seen)>,
    places: BTreeMap<String, usize>,
    /// Fields whose names cannot be said.
    unnamed: BTreeSet<String>,
    events: BTreeSet<String>,
}

impl Sample {
    /// Looks at a record; false if it is no object of JSON.
    pub fn see(&mut self, record: &[u8]) -> bool {
        let Ok(Json::Object(fields)) = serde_json::from_slice(record) else { return false };
        self.records += 1;
        self.fields("", &fields, 0);
        true
    }

    /// Looks at a record of separated values, behind a header: all of them are texts, and an empty one is none.
    pub fn see_values(&mut self, header: &[String], values: &[String]) {
        self.records += 1;
        for (place, (path, value)) in header.iter().zip(values).enumerate() {
            // The header names each field by its path.
            if path.split('.').any(str::is_empty) || header[..place].contains(path) {
                self.unnamed.insert(path.clone());
                continue;
            }
            let name = path.rsplit('.').next().unwrap_or(path);
            if let Some(place) = self.field(path) {
                self.fields[place].1.see_written(name, value);
            }
            self.note_event(path, value);
        }
    }

    /// How many records were looked at.
    pub fn records(&self) -> usize {
        self.records
    }

    fn fields(&mut self, within: &str, fields: &[(String, Json)], depth: usize) {
        for (name, value) in fields {
            if name.is_empty() || name.contains('.') {
                self.unnamed.insert(format!("{within}{name}"));
                continue;
            }
            let path = format!("{within}{name}");
            if let Json::Text(event) = value {
                self.note_event(&path, event);
            }
            let Some(place) = self.field(&path) else { continue };
            self.fields[place].1.see(name, value);
            if let Json::Object(inner) = value
                && depth < DEEPEST
            {
                self.fields(&format!("{path}."), inner, depth + 1);
            }
        }
    }

    fn note_event(&mut self, path: &str, event: &str) {
        if path == EVENT_NAME && self.events.len() < 2 {
            self.events.insert(event.to_owned());
        }
    }

    /// The place of a field, unless there are too many.
    fn field(&mut self, path: &str) -> Option<usize> {
        let next = self.fields.len();
        match self.places.get(path) {
            Some(place) => Some(*place),
            None if next == FIELDS_MAX => None,
            None => {
                self.places.insert(path.to_owned(), next);
                self.fields.push((path.to_owned(), Seen::default()));
                Some(next)
            }
        }
    }

    /// What the events are called, if each of them says it and it can be a name.
    pub fn event(&self) -> Option<&str> {
        let name = self.events.first().filter(|_| self.events.len() == 1)?;
        names::wrong(name).is_none().then_some(name)
    }

    /// The file of a family of this name, made of `from`.
    pub fn declared(&self, name: &str, from: &str) -> String {
        let (columns, mut refused) = self.columns(name);
        let unnamed = self.unnamed.iter().map(|path| (path.clone(), "has no name that can be written here".to_owned()));
        refused.extend(unnamed);
        let made_of = format!("{} records of {}. A sample does not show everything.", self.records, quoted(from));
        file(&Title { made_of, family: name, topic: name }, &columns, &refused)
    }

    fn columns(&self, family: &str) -> (Vec<Column>, Vec<(String, String)>) {
        let (mut columns, mut refused) = (Vec::<Column>::new(), Vec::<(String, String)>::new());
        for (path, seen) in &self.fields {
            // Who names the family says nothing else.
            if path == EVENT_NAME && self.events.len() == 1 && self.events.contains(family) {
                continue;
            }
            let is_within_refused = refused
                .iter()
                .any(|(outer, _)| path.strip_prefix(outer.as_str()).is_some_and(|rest: &str| rest.starts_with('.')));
            if is_within_refused || seen.filled == 0 && seen.objects > 0 {
                continue;
            }
            let last = path.rsplit('.').next().unwrap_or(path);
            match seen.kind(last) {
                Ok(kind) => columns.push(self.column(free(path, &columns), path, seen, kind)),
                Err(why) => refused.push((path.clone(), why.to_owned())),
            }
        }
        (columns, refused)
    }

    fn column(&self, name: String, path: &str, seen: &Seen, kind: Kind) -> Column {
        let (null, mut facts) = (seen.filled < self.records, Vec::new());
        if null {
            facts.push(format!("in {} of {} records", seen.filled, self.records));
        }
        facts.extend(Some(seen.said(kind)).filter(|said| !said.is_empty()));
        // Other texts may come: that these are all is for the reader to say.
        if let Some(one_of) = seen.one_of().filter(|_| kind == Kind::Text) {
            facts.push(format!("one_of = [{}]", one_of.join(", ")));
        }
        let (path, doc) = (path.to_owned(), format!("Field {path}."));
        // Of a number with a person's name nothing is less than 0, or it is no id.
        let least = seen.least();
        Column { name, path, kind, null, doc, least, one_of: None, facts }
    }
}

#[cfg(test)]
mod tests;
