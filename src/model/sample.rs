//! A file of a family of events, made of a sample of them: to be read, corrected and kept.

mod json;
mod seen;

use super::types::names;
use json::Json;
use seen::{Kind, Seen, quoted, words};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The field by which events of several families are told apart.
const EVENT_NAME: &str = "event_name";
/// Words in the name of whoever an event is of.
const PERSONS: &[&str] = &["user", "customer", "client", "consumer", "member", "person", "visitor", "buyer", "account"];
/// Names of the time of an event, the likeliest first.
const TIMES: &[&str] = &["event_time", "timestamp", "occurred_at", "happened_at", "time", "ts", "created_at"];
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

/// A field that becomes a column.
struct Column<'s> {
    name: String,
    path: &'s str,
    seen: &'s Seen,
    kind: Kind,
    null: bool,
}

impl Sample {
    /// Looks at a record; false if it is no object of JSON.
    pub fn see(&mut self, record: &[u8]) -> bool {
        let Ok(Json::Object(fields)) = serde_json::from_slice(record) else { return false };
        self.records += 1;
        self.fields("", &fields, 0);
        true
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
            if let (EVENT_NAME, Json::Text(event)) = (path.as_str(), value)
                && self.events.len() < 2
            {
                self.events.insert(event.clone());
            }
            let next = self.fields.len();
            let place = match self.places.get(&path) {
                Some(place) => *place,
                None if next == FIELDS_MAX => continue,
                None => {
                    self.places.insert(path.clone(), next);
                    self.fields.push((path.clone(), Seen::default()));
                    next
                }
            };
            self.fields[place].1.see(name, value);
            if let Json::Object(inner) = value
                && depth < DEEPEST
            {
                self.fields(&format!("{path}."), inner, depth + 1);
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
        let (columns, refused) = self.columns(name);
        let person = columns.iter().find(|column| is_person(column));
        let mut text = format!(
            "# Made of {} records of {}. A sample does not show everything: read each line.\n\
             doc = \"One row per accepted event of {name}.\"\n\
             topics = [{}]\n",
            self.records,
            quoted(from),
            quoted(name)
        );
        match time(&columns) {
            Some(time) => text += &format!("time = \"{}\"\n", time.name),
            None => {
                text += "# time = \"...\"       # Which column is the time of an event? None was found. It is needed.\n"
            }
        }
        match person {
            Some(person) => text += &format!("person = \"{}\"      # `deltamart forget` goes by it.\n", person.name),
            None => {
                text += "# person = \"...\"     # Which column is the id of a person? None was found. It is needed; or \"none\".\n";
            }
        }
        text += "# once = \"everything\"      # Events that are equal in every column count once.\n\
                 # lateness = \"48h\"         # An event that is later corrects nothing. The default is the setting.\n\
                 \n[columns]\n";
        for column in &columns {
            column.write(&mut text, self.records, person.is_some_and(|person| person.name == column.name));
        }
        for (path, why) in refused {
            let _ = writeln!(text, "# not a column: field {} {why}.", quoted(path));
        }
        for path in &self.unnamed {
            let _ = writeln!(text, "# not a column: field {} has no name that can be written here.", quoted(path));
        }
        text
    }

    fn columns(&self, family: &str) -> (Vec<Column<'_>>, Vec<(&str, &'static str)>) {
        let (mut columns, mut refused) = (Vec::<Column<'_>>::new(), Vec::new());
        for (path, seen) in &self.fields {
            // Who names the family says nothing else.
            if path == EVENT_NAME && self.events.len() == 1 && self.events.contains(family) {
                continue;
            }
            let is_within_refused = refused
                .iter()
                .any(|(outer, _)| path.strip_prefix(*outer).is_some_and(|rest: &str| rest.starts_with('.')));
            if is_within_refused || seen.filled == 0 && seen.objects > 0 {
                continue;
            }
            let last = path.rsplit('.').next().unwrap_or(path);
            match seen.kind(last) {
                Ok(kind) => {
                    let name = free(path, &columns);
                    columns.push(Column { name, path, seen, kind, null: seen.filled < self.records });
                }
                Err(why) => refused.push((path.as_str(), why)),
            }
        }
        (columns, refused)
    }
}

/// A name that no column has and that can be one.
fn free(path: &str, columns: &[Column<'_>]) -> String {
    let mut name: String = words(path).join("_").chars().take(50).collect();
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        name = format!("field_{name}");
    }
    if names::wrong(&name).is_some() {
        name += "_value";
    }
    let is_free = |name: &String| columns.iter().all(|column| column.name != *name);
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
}

fn time<'c>(columns: &'c [Column<'_>]) -> Option<&'c Column<'c>> {
    let can = |column: &&Column<'_>| column.kind == Kind::Instant && !column.null;
    let named = TIMES.iter().find_map(|name| columns.iter().filter(can).find(|column| column.name == *name));
    named.or_else(|| columns.iter().find(can))
}

fn is_person(column: &Column<'_>) -> bool {
    let words = words(column.path);
    let of_person = words.iter().any(|word| PERSONS.contains(&word.as_str()));
    let is_id = words.last().is_some_and(|word| word == "id" || PERSONS.contains(&word.as_str()));
    let can = match column.kind {
        Kind::Integer => column.seen.least() >= Some(0),
        Kind::Text => true,
        Kind::Boolean | Kind::Instant | Kind::Money | Kind::Decimal => false,
    };
    of_person && is_id && can
}

impl Column<'_> {
    fn write(&self, text: &mut String, records: usize, is_person: bool) {
        let Column { name, path, seen, kind, null } = self;
        let mut facts = Vec::new();
        if *null {
            facts.push(format!("in {} of {records} records", seen.filled));
        }
        facts.extend(Some(seen.said(*kind)).filter(|said| !said.is_empty()));
        if *kind == Kind::Text
            && !is_person
            && let Some(one_of) = seen.one_of()
        {
            facts.push(format!("one_of = [{}]", one_of.join(", ")));
        }
        let from = if name == path { String::new() } else { format!(", from = {}", quoted(path)) };
        let null = if *null { ", null = true" } else { "" };
        let min = match (is_person && *kind == Kind::Integer, seen.least()) {
            (true, Some(least)) => format!(", min = {}", least.min(1)),
            (true, None) | (false, _) => String::new(),
        };
        let (kind, doc) = (kind.name(), quoted(&format!("Field {path}.")));
        let _ = write!(text, "{name} = {{ type = \"{kind}\"{from}{min}{null}, doc = {doc} }}");
        let seen = if facts.is_empty() { String::new() } else { format!("   # {}", facts.join("; ")) };
        let _ = writeln!(text, "{seen}");
    }
}

#[cfg(test)]
mod tests;
