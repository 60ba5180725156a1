//! The file of a family, of columns that somebody found: to be read, corrected and kept.

use super::seen::{Kind, quoted, words};
use crate::model::types::names;
use std::fmt::Write;

/// Words in the name of whoever an event is of.
const PERSONS: &[&str] = &["user", "customer", "client", "consumer", "member", "person", "visitor", "buyer", "account"];
/// Names of the time of an event, the likeliest first.
const TIMES: &[&str] = &["event_time", "timestamp", "occurred_at", "happened_at", "time", "ts", "created_at"];

/// A field that becomes a column.
pub(in crate::model) struct Column {
    /// A name that no other column has.
    pub name: String,
    /// The field.
    pub path: String,
    pub kind: Kind,
    /// An event may be without it.
    pub null: bool,
    pub doc: String,
    /// The least number that it has, if one is known.
    pub least: Option<i64>,
    /// All texts that it may have, if that is known.
    pub one_of: Option<Vec<String>>,
    /// What else is known of it.
    pub facts: Vec<String>,
}

/// What the file begins with, and whose it is.
pub(in crate::model) struct Title<'t> {
    /// Of what it was made.
    pub made_of: String,
    pub family: &'t str,
    pub topic: &'t str,
}

/// The file; `refused` are fields that become no column, and why.
pub(in crate::model) fn file(title: &Title<'_>, columns: &[Column], refused: &[(String, String)]) -> String {
    let Title { made_of, family, topic } = title;
    let mut text = format!(
        "# Made of {made_of} Read each line.\n\
         doc = \"One row per accepted event of {family}.\"\n\
         topics = [{}]\n",
        quoted(topic)
    );
    match time(columns) {
        Some(time) => text += &format!("time = \"{}\"\n", time.name),
        None => {
            text += "# time = \"...\"       # Which column is the time of an event? None was found. It is needed.\n"
        }
    }
    let person = columns.iter().find(|column| is_person(column));
    match person {
        Some(person) => text += &format!("person = \"{}\"      # `deltamart forget` goes by it.\n", person.name),
        None => {
            text += "# person = \"...\"     # Which column is the id of a person? None was found. It is needed; or \"none\".\n";
        }
    }
    text += "# once = \"everything\"      # Events that are equal in every column count once.\n\
             # lateness = \"48h\"         # An event that is later corrects nothing. The default is the setting.\n\
             \n[columns]\n";
    for column in columns {
        column.write(&mut text, person.is_some_and(|person| person.name == column.name));
    }
    for (path, why) in refused {
        let _ = writeln!(text, "# not a column: field {} {why}.", quoted(path));
    }
    text
}

/// A name for a field that no column has and that can be one.
pub(in crate::model) fn free(path: &str, columns: &[Column]) -> String {
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

fn time(columns: &[Column]) -> Option<&Column> {
    let can = |column: &&Column| column.kind == Kind::Instant && !column.null;
    let named = TIMES.iter().find_map(|name| columns.iter().filter(can).find(|column| column.name == *name));
    named.or_else(|| columns.iter().find(can))
}

fn is_person(column: &Column) -> bool {
    let words = words(&column.path);
    let of_person = words.iter().any(|word| PERSONS.contains(&word.as_str()));
    let is_id = words.last().is_some_and(|word| word == "id" || PERSONS.contains(&word.as_str()));
    let can = match column.kind {
        Kind::Integer => column.least.is_none_or(|least| least >= 0),
        Kind::Text => column.one_of.is_none(),
        Kind::Boolean | Kind::Instant | Kind::Money | Kind::Decimal => false,
    };
    of_person && is_id && can
}

impl Column {
    fn write(&self, text: &mut String, is_person: bool) {
        let Column { name, path, kind, null, doc, least, one_of, facts } = self;
        let from = if name == path { String::new() } else { format!(", from = {}", quoted(path)) };
        let null = if *null { ", null = true" } else { "" };
        // Below 0 are those who were forgotten.
        let min = match is_person && *kind == Kind::Integer {
            true => format!(", min = {}", least.unwrap_or(0).clamp(0, 1)),
            false => String::new(),
        };
        let one_of = one_of.as_ref().map(|texts| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "));
        let one_of = one_of.map_or(String::new(), |texts| format!(", one_of = [{texts}]"));
        let (kind, doc) = (kind.name(), quoted(doc));
        let _ = write!(text, "{name} = {{ type = \"{kind}\"{from}{min}{one_of}{null}, doc = {doc} }}");
        // Nobody's ids are listed.
        let facts: Vec<_> = facts.iter().filter(|fact| !is_person || !fact.starts_with("one_of")).cloned().collect();
        let facts = if facts.is_empty() { String::new() } else { format!("   # {}", facts.join("; ")) };
        let _ = writeln!(text, "{facts}");
    }
}
