//! A file of a family of events, made of a schema that stands in a registry: to be read, corrected and kept.

mod avro;
mod json;

use super::sample::seen::{Kind, is_time, sounds_like_money};
use super::sample::written::{Column, Title, file, free};
use serde_json::Value as Json;

/// Objects within objects are looked into so deep.
const DEEPEST: usize = 8;
/// More fields are not looked at.
const FIELDS_MAX: usize = 500;

/// What a schema is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Avro.
    Avro,
    /// JSON Schema.
    JsonSchema,
}

/// The columns that fields become, and the fields that become none.
#[derive(Default)]
struct Found {
    columns: Vec<Column>,
    refused: Vec<(String, String)>,
}

/// A field, as far as its schema tells.
struct Field<'f> {
    path: &'f str,
    doc: Option<&'f str>,
    /// An event may be without it.
    null: bool,
}

/// The file of a family of this name, of the schema of a subject and those that it refers to.
///
/// # Errors
/// Why the schema has no fields that could be read.
pub fn declared(
    (name, subject): (&str, &str),
    language: Language,
    text: &str,
    references: &[String],
) -> Result<String, String> {
    let parsed = |text: &str| serde_json::from_str::<Json>(text).map_err(|error| format!("is no JSON: {error}"));
    let (schema, others) = (parsed(text)?, references.iter().map(|text| parsed(text)).collect::<Result<Vec<_>, _>>()?);
    let found = match language {
        Language::Avro => avro::found(&schema, &others)?,
        Language::JsonSchema => json::found(&schema)?,
    };
    // A subject is named after its topic, as the clients of Kafka do it.
    let topic = subject.strip_suffix("-value").unwrap_or(subject);
    let made_of = format!("the schema of the subject {subject:?}.");
    Ok(file(&Title { made_of, family: name, topic }, &found.columns, &found.refused))
}

impl Found {
    fn refuse(&mut self, path: &str, why: impl Into<String>) {
        self.refused.push((path.to_owned(), why.into()));
    }

    /// Whether the name of a field can be part of a path, and there is room for it.
    fn takes(&mut self, path: &str, name: &str) -> bool {
        if name.is_empty() || name.contains('.') {
            self.refuse(path, "has no name that can be written here");
            return false;
        }
        self.columns.len() + self.refused.len() < FIELDS_MAX
    }

    fn push(&mut self, field: &Field<'_>, kind: Kind, one_of: Option<Vec<String>>, fact: Option<String>) {
        let Field { path, doc, null } = field;
        let doc = doc.map(str::trim).filter(|doc| !doc.is_empty());
        // A file has one line for each column.
        let doc =
            doc.map_or_else(|| format!("Field {path}."), |doc| doc.split_whitespace().collect::<Vec<_>>().join(" "));
        self.columns.push(Column {
            name: free(path, &self.columns),
            path: (*path).to_owned(),
            kind,
            null: *null,
            doc,
            least: None,
            one_of,
            facts: fact.into_iter().collect(),
        });
    }

    /// A whole number: an instant, if its name says so.
    fn whole(&mut self, field: &Field<'_>) {
        let last = field.path.rsplit('.').next().unwrap_or(field.path);
        if is_time(last) {
            self.push(
                field,
                Kind::Instant,
                None,
                Some("the schema does not say its unit: milliseconds since 1970?".to_owned()),
            );
        } else {
            self.push(field, Kind::Integer, None, None);
        }
    }

    /// A number with a point: money, if its name says so.
    fn fraction(&mut self, field: &Field<'_>) {
        let last = field.path.rsplit('.').next().unwrap_or(field.path);
        let kind = if sounds_like_money(last) { Kind::Money } else { Kind::Decimal };
        let most = if kind == Kind::Money { "two" } else { "three" };
        self.push(field, kind, None, Some(format!("a number with more than {most} decimals is rejected")));
    }
}

#[cfg(test)]
mod tests;
