//! A family of events as a file of TOML declares it.

mod once;
mod person;

use super::messages::{Mistake, Span};
use super::types::names;
use crate::instant;
use dataflows::declared::plan::{Column, Family, Literal, Type};
use dataflows::declared::reading::{Case, Empty, OneOf, Reading, Takes, of_digits};
use dataflows::wire::money::CENTS_MAX;
use std::collections::BTreeMap;
use toml_edit::{ImDocument, Item, Key, TableLike, Value};

/// What a file declares.
#[derive(Clone, Debug)]
pub struct Events {
    /// The family, without metrics.
    pub family: Family,
    /// How its columns are read, in their order.
    pub readings: Vec<Reading>,
    /// The topics that its events are in.
    pub topics: Vec<String>,
    /// How late an event may be and still correct a metric, if the file says it: `None` is unlimited.
    pub lateness_ms: Option<Option<i64>>,
    /// How far events may be out of order, if the file says it.
    pub out_of_orderness_ms: Option<i64>,
    /// For how long a partition is waited for that has nothing new, if the file says it.
    pub idle_timeout_ms: Option<i64>,
}

/// What a file may say of its events.
const KEYS: &[&str] =
    &["doc", "topics", "time", "once", "person", "lateness", "out_of_orderness", "idle_timeout", "columns"];
/// And of a column.
const OF_COLUMN: &[&str] = &["type", "doc", "from", "min", "max", "null", "empty", "one_of", "as", "case", "personal"];
/// What a column may hold.
const TYPES: &[(&str, Type)] = &[
    ("integer", Type::Number(0)),
    ("boolean", Type::Boolean),
    ("text", Type::Text),
    ("instant", Type::Instant),
    ("money", Type::Number(2)),
    ("decimal", Type::Number(3)),
];

/// Reads the file of a family of this name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(name: &str, text: &str) -> Result<Events, Vec<Mistake>> {
    let document = ImDocument::parse(text).map_err(|error| vec![broken(text, &error)])?;
    let mut file = File { text, mistakes: Vec::new() };
    if let Some(wrong) = names::wrong(name) {
        file.mistake(0..0, format!("the name `{name}` {wrong}."), "Rename the file.");
    }
    let events = file.events(name, document.as_table());
    match events {
        Some(events) if file.mistakes.is_empty() => Ok(events),
        Some(_) | None => {
            file.mistakes.sort();
            file.mistakes.dedup();
            Err(file.mistakes)
        }
    }
}

fn broken(text: &str, error: &toml_edit::TomlError) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let expected = error.message().lines().next().unwrap_or_default().to_owned();
    Mistake::new(place(text, span), format!("this is not TOML: {expected}."), "Write `key = value`, text in quotes.")
}

/// Where bytes of a text stand.
fn place(text: &str, bytes: std::ops::Range<usize>) -> Span {
    let at = |byte: usize| {
        let before = text.get(..byte.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    };
    let ((line, column), (end_line, end_column)) = (at(bytes.start), at(bytes.end));
    Span { line, column, end_line, end_column }
}

struct File<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
}

/// A column as it is declared, before it is known whose person it is.
struct Said {
    column: Column,
    reading: Reading,
}

impl File<'_> {
    fn mistake(&mut self, bytes: std::ops::Range<usize>, what: impl Into<String>, instead: impl Into<String>) {
        self.mistakes.push(Mistake::new(place(self.text, bytes), what, instead));
    }

    fn of(&mut self, item: &Item, what: impl Into<String>, instead: impl Into<String>) {
        self.mistake(item.span().unwrap_or(0..0), what, instead);
    }

    fn events(&mut self, name: &str, table: &dyn TableLike) -> Option<Events> {
        self.known(table, KEYS, "events");
        let doc = self.doc(table, 0..0, &format!("doc = \"One row per accepted event of {name}.\""));
        let columns = self.columns(table);
        let names: Vec<String> = columns.iter().map(|said| said.column.name.clone()).collect();
        let time = self.time(table, &columns, &names);
        let person = self.person(table, &columns, &names);
        let once = self.once(table, &names, time);
        let span = |file: &mut Self, key: &str| table.get(key).and_then(|item| file.span(key, item));
        let (out_of_orderness_ms, idle_timeout_ms) = (span(self, "out_of_orderness"), span(self, "idle_timeout"));
        let lateness_ms = match table.get("lateness") {
            Some(item) if item.as_str() == Some("unlimited") => Some(None),
            Some(item) => self.span("lateness", item).map(Some),
            None => None,
        };
        let topics = table.get("topics").map_or_else(|| vec![name.to_owned()], |item| self.texts("topics", item));
        let (time, person) = (time?, person?);
        let (mut declared, mut readings) = (Vec::new(), Vec::new());
        for (place, Said { column, mut reading }) in columns.into_iter().enumerate() {
            if let Takes::Text { is_person, .. } = &mut reading.takes {
                *is_person = person == Some(place);
            }
            declared.push(column);
            readings.push(reading);
        }
        let once = once.map(|once| self.without_personal(table, once, &declared));
        let metrics = Vec::new();
        let family = Family { name: name.to_owned(), doc, columns: declared, time, person, once, metrics };
        Some(Events { family, readings, topics, lateness_ms, out_of_orderness_ms, idle_timeout_ms })
    }

    /// That every key is one of those that are known.
    fn known(&mut self, table: &dyn TableLike, keys: &[&str], of: &str) {
        for (key, _) in keyed(table) {
            if keys.contains(&key.get()) {
                continue;
            }
            let instead = match names::meant(key.get(), keys.iter().copied()) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => format!("There are {}.", keys.join(", ")),
            };
            self.mistake(key.span().unwrap_or(0..0), format!("{of} have no `{}`.", key.get()), instead);
        }
    }

    /// What it says of itself; where it does not, that is said of the place of its name.
    fn doc(&mut self, table: &dyn TableLike, bytes: std::ops::Range<usize>, such_as: &str) -> String {
        match table.get("doc") {
            Some(item) => match item.as_str().map(str::trim) {
                Some(doc) if !doc.is_empty() => return doc.to_owned(),
                Some(_) | None => self.of(item, "`doc` says nothing.", format!("Say what it is: {such_as}")),
            },
            None => self.mistake(bytes, "`doc` is missing.", format!("Say what a row is: {such_as}")),
        }
        String::new()
    }

    fn span(&mut self, key: &str, item: &Item) -> Option<i64> {
        let read = item.as_str().map(instant::span::parse);
        match read {
            Some(Ok(ms)) => return Some(ms),
            Some(Err(why)) => self.of(item, format!("`{key}` {why}."), ""),
            None => self.of(
                item,
                format!("`{key}` is not a duration."),
                "Write it as text: \"250ms\", \"2min\", \"48h\" or \"7d\".",
            ),
        }
        None
    }

    /// One text, or a list of them.
    fn texts(&mut self, key: &str, item: &Item) -> Vec<String> {
        let values: Option<Vec<String>> = match item.as_value() {
            Some(Value::String(text)) => Some(vec![text.value().clone()]),
            Some(Value::Array(list)) => list.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
            Some(_) | None => None,
        };
        match values.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.is_empty())) {
            Some(texts) => texts,
            None => {
                self.of(
                    item,
                    format!("`{key}` is not a list of texts."),
                    format!("Write `{key} = [\"one\", \"another\"]`."),
                );
                Vec::new()
            }
        }
    }

    fn columns(&mut self, table: &dyn TableLike) -> Vec<Said> {
        let Some(item) = table.get("columns") else {
            self.mistake(
                0..0,
                "there are no `columns`.",
                "Declare each below `[columns]`: event_time = { type = \"instant\", doc = \"When it happened, UTC.\" }",
            );
            return Vec::new();
        };
        let Some(columns) = item.as_table_like() else {
            self.of(item, "`columns` is not a section.", "Write `[columns]`, and a column on each line below it.");
            return Vec::new();
        };
        keyed(columns).into_iter().filter_map(|(key, item)| self.column(key, item)).collect()
    }

    fn column(&mut self, key: &Key, item: &Item) -> Option<Said> {
        let name = key.get();
        let bytes = key.span().unwrap_or(0..0);
        if let Some(wrong) = names::wrong(name) {
            self.mistake(
                bytes.clone(),
                format!("the column's name `{name}` {wrong}."),
                format!("Choose another name, and say `from = \"{name}\"`."),
            );
        }
        let Some(table) = item.as_table_like() else {
            self.of(
                item,
                format!("column `{name}` is not declared."),
                "Write { type = \"integer\", doc = \"What it means.\" }",
            );
            return None;
        };
        self.known(table, OF_COLUMN, "columns");
        let doc = self.doc(table, bytes.clone(), "doc = \"What it means, with its unit.\"");
        let ty = self.ty(name, bytes.clone(), table)?;
        let is_null = match table.get("null") {
            Some(item) => item.as_bool().unwrap_or_else(|| {
                self.of(item, "`null` is neither true nor false.", "`null = true` takes events without the field.");
                false
            }),
            None => false,
        };
        let empty = match table.get("empty") {
            Some(item) if is_null => {
                self.of(
                    item,
                    "a column has `null` or `empty`, not both.",
                    "Leave one out: `empty` is what stands where there is nothing.",
                );
                Empty::Rejected
            }
            Some(item) => self.literal(item, ty).map_or(Empty::Rejected, Empty::Is),
            None if is_null => Empty::Is(Literal::Null),
            None => Empty::Rejected,
        };
        let is_personal = match table.get("personal") {
            Some(item) => self.personal(item, name, &empty),
            None => false,
        };
        let takes = self.takes(table, ty);
        let from = table.get("from").map_or_else(|| vec![name.to_owned()], |item| self.texts("from", item));
        if from.iter().any(|path| path.split('.').any(str::is_empty)) {
            self.mistake(
                bytes,
                format!("`from` of column `{name}` has an empty name."),
                "A field in an object is written `device.type`.",
            );
        }
        let leaked = |text: &str| -> &'static str { String::leak(text.to_owned()) };
        let from = from.iter().map(|path| leaked(path)).collect();
        let reading = Reading { column: leaked(name), from, takes, empty };
        Some(Said { column: Column { name: name.to_owned(), doc, ty, nullable: is_null, is_personal }, reading })
    }

    fn ty(&mut self, name: &str, bytes: std::ops::Range<usize>, table: &dyn TableLike) -> Option<Type> {
        let known = || TYPES.iter().map(|(name, _)| *name);
        let all = known().collect::<Vec<_>>().join(", ");
        let Some(item) = table.get("type") else {
            self.mistake(bytes, format!("column `{name}` has no `type`."), format!("It is one of {all}."));
            return None;
        };
        let found = item.as_str().and_then(|said| TYPES.iter().find(|(name, _)| *name == said));
        if found.is_none() {
            let instead = match item.as_str().and_then(|said| names::meant(said, known())) {
                Some(meant) => format!("Did you mean \"{meant}\"?"),
                None => format!("It is one of {all}."),
            };
            self.of(item, format!("column `{name}` has a type that there is not."), instead);
        }
        found.map(|(_, ty)| *ty)
    }

    fn takes(&mut self, table: &dyn TableLike, ty: Type) -> Takes {
        let is_text = ty == Type::Text;
        for key in ["one_of", "as", "case"] {
            if let Some(item) = table.get(key).filter(|_| !is_text) {
                self.of(item, format!("`{key}` is for texts."), "Leave it out, or make the column a text.");
            }
        }
        for key in ["min", "max"] {
            if let Some(item) = table.get(key).filter(|_| !matches!(ty, Type::Number(_))) {
                self.of(item, format!("`{key}` is for numbers."), "Leave it out.");
            }
        }
        match ty {
            Type::Boolean => Takes::Boolean,
            Type::Instant => Takes::Instant,
            Type::Number(decimals) => {
                let (least, most) = if decimals == 2 { (-CENTS_MAX, CENTS_MAX) } else { (i64::MIN, i64::MAX) };
                let mut bound = |key: &str, unless: i64| {
                    table.get(key).and_then(|item| self.number(item, decimals)).unwrap_or(unless)
                };
                let (least, most) = (bound("min", least), bound("max", most));
                if let Some(item) = table.get("max").filter(|_| least > most) {
                    self.of(item, "`max` is less than `min`.", "");
                }
                Takes::Number(decimals, (least, most))
            }
            Type::Text => {
                let case = match table.get("case").map(|item| (item, item.as_str())) {
                    None => Case::Kept,
                    Some((_, Some("lower"))) => Case::Lower,
                    Some((_, Some("upper"))) => Case::Upper,
                    Some((item, _)) => {
                        self.of(
                            item,
                            "`case` is neither \"lower\" nor \"upper\".",
                            "Leave it out to keep texts as they come.",
                        );
                        Case::Kept
                    }
                };
                let known = table.get("one_of").map(|item| self.texts("one_of", item));
                let others = self.others(table, known.as_deref());
                let one_of = known.map(|known| OneOf { known, others });
                Takes::Text { case, one_of, is_person: false }
            }
        }
    }

    /// What stands for the texts that a column takes.
    fn others(&mut self, table: &dyn TableLike, known: Option<&[String]>) -> BTreeMap<String, usize> {
        let Some(item) = table.get("as") else { return BTreeMap::new() };
        let (Some(others), Some(known)) = (item.as_table_like(), known) else {
            self.of(
                item,
                "`as` says what stands for texts of `one_of`.",
                "Write one_of = [\"view\"], as = { page_view = \"view\" }",
            );
            return BTreeMap::new();
        };
        let mut places = BTreeMap::new();
        for (other, item) in others.iter() {
            match item.as_str().and_then(|text| known.iter().position(|known| known == text)) {
                Some(place) => drop(places.insert(other.to_owned(), place)),
                None => self.of(
                    item,
                    format!("`{other}` stands for a text that is not in `one_of`."),
                    format!("`one_of` has {}.", known.join(", ")),
                ),
            }
        }
        places
    }

    fn number(&mut self, item: &Item, decimals: u8) -> Option<i64> {
        let text = match item.as_value() {
            Some(Value::Integer(number)) => Some(number.value().to_string()),
            Some(Value::String(text)) => Some(text.value().clone()),
            Some(_) | None => None,
        };
        let number = text.and_then(|text| of_digits(&text, decimals));
        if number.is_none() {
            let such_as = if decimals == 0 { "12" } else { "\"12.50\" (in quotes)" };
            self.of(item, "this is not a number of the column's type.", format!("Write it as {such_as}."));
        }
        number
    }

    fn literal(&mut self, item: &Item, ty: Type) -> Option<Literal> {
        match ty {
            Type::Boolean => match item.as_bool() {
                Some(value) => return Some(Literal::Boolean(value)),
                None => self.of(item, "`empty` is not a value of the column's type.", "Write true or false."),
            },
            Type::Number(decimals) => return self.number(item, decimals).map(Literal::Number),
            Type::Instant => match item.as_str().and_then(instant::parse) {
                Some(at) => return Some(Literal::Instant(at)),
                None => self.of(item, "`empty` is not an instant.", "Write it as \"2026-01-05T10:00:00Z\"."),
            },
            Type::Text => match item.as_str() {
                Some(text) => return Some(Literal::Text(text.to_owned())),
                None => self.of(item, "`empty` is not a text.", "Write it in quotes."),
            },
        }
        None
    }

    /// Which column is the time.
    fn time(&mut self, table: &dyn TableLike, columns: &[Said], names: &[String]) -> Option<usize> {
        let instants =
            || columns.iter().filter(|said| said.column.ty == Type::Instant).map(|said| said.column.name.as_str());
        let such_as = instants().next().unwrap_or("event_time").to_owned();
        let Some(item) = table.get("time") else {
            self.mistake(
                0..0,
                "`time` is missing.",
                format!("Say which column is the time of an event: time = \"{such_as}\""),
            );
            return None;
        };
        let place = self.named("time", item, names)?;
        let is_time = columns[place].column.ty == Type::Instant && columns[place].reading.empty == Empty::Rejected;
        if !is_time {
            self.of(
                item,
                format!("column `{}` cannot be the time.", names[place]),
                "The time is an instant without `null` and `empty`.",
            );
        }
        is_time.then_some(place)
    }

    fn named(&mut self, key: &str, item: &Item, names: &[String]) -> Option<usize> {
        let place = item.as_str().and_then(|said| names.iter().position(|name| name == said));
        if place.is_none() {
            let instead = match item.as_str().and_then(|said| names::meant(said, names.iter().map(String::as_str))) {
                Some(meant) => format!("Did you mean \"{meant}\"?"),
                None if names.is_empty() => "Declare the column below `[columns]`.".to_owned(),
                None => format!("There are {}.", names.join(", ")),
            };
            self.of(item, format!("`{key}` is not the name of a column."), instead);
        }
        place
    }
}

/// The entries of a table, in the order in which they stand in the file.
fn keyed(table: &dyn TableLike) -> Vec<(&Key, &Item)> {
    let mut entries: Vec<_> = table.iter().filter_map(|(name, _)| table.get_key_value(name)).collect();
    entries.sort_by_key(|(key, _)| key.span().map_or(usize::MAX, |span| span.start));
    entries
}

#[cfg(test)]
mod tests;
