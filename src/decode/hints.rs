//! Why a record that is no event is none, as far as its looks tell: an envelope that nobody opened, a name in
//! another writing. Looked at only where something was missing.

use serde_json::Value as Json;
use std::fmt::Write;

/// The names of a record's fields, and of those in them.
#[derive(Clone, Debug, Default)]
pub struct Outline(Vec<(String, Option<Vec<String>>)>);

impl Outline {
    /// Of a record of JSON; nothing if it is too deep to look at.
    pub fn of_json(datum: &[u8]) -> Outline {
        let Ok(Json::Object(fields)) = serde_json::from_slice(datum) else { return Outline::default() };
        let inner = |value: &Json| value.as_object().map(|fields| fields.keys().cloned().collect());
        Outline(fields.iter().map(|(name, value)| (name.clone(), inner(value))).collect())
    }

    /// Adds a field, and the names of the fields in it.
    pub fn push(&mut self, name: &str, inner: Option<Vec<String>>) {
        self.0.push((name.to_owned(), inner));
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    fn inner(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|(field, _)| field == name)?.1.as_deref()
    }

    /// Why a field may be missing: to be put behind that it is.
    pub fn why_missing(&self, field: &str) -> String {
        let mut why = String::new();
        let written = |written: &mut String, text: std::fmt::Arguments<'_>| written.write_fmt(text).unwrap_or_default();
        if let Some((name, _)) = self.0.iter().find(|(name, _)| name != field && sounds_like(name, field)) {
            written(&mut why, format_args!("; `{name}` is not read: did you mean `{field}`?"));
        } else if let Some(payload) = self.inner("payload").filter(|_| self.has("schema")) {
            let within = if is_change(|name| payload.iter().any(|field| field == name)) {
                ", a Debezium change event"
            } else {
                ""
            };
            written(
                &mut why,
                format_args!(
                    "; this looks like Kafka Connect's JSON with its schema: the event lies under `payload`{within}; set \
                     `value.converter.schemas.enable=false`"
                ),
            );
        } else if is_change(|name| self.has(name)) {
            why.push_str(
                "; this looks like a Debezium change event: the event lies under `after`; unwrap it with the transform \
                 `io.debezium.transforms.ExtractNewRecordState`",
            );
        } else if self.has("specversion") && self.has("source") {
            why.push_str(
                "; this looks like a CloudEvent: the event lies under `data`; send it in binary mode, or unwrap it",
            );
        } else if let Some((name, _)) = self.0.iter().find(|(_, inner)| inner.as_deref().is_some_and(is_event)) {
            written(&mut why, format_args!("; an event seems to lie under `{name}`: unwrap it"));
        }
        why
    }
}

fn is_change(has: impl Fn(&str) -> bool) -> bool {
    has("op") && (has("after") || has("before"))
}

fn is_event(fields: &[String]) -> bool {
    let has = |name: &str| fields.iter().any(|field| field == name);
    has("timestamp") && (has("event_name") || has("user_id"))
}

/// Whether two names differ only in how their words are joined: `userId`, `User_ID` and `user-id`.
pub fn sounds_like(name: &str, other: &str) -> bool {
    let letters = |name: &str| -> Vec<char> {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    letters(name) == letters(other)
}

/// What is said of a datum of JSON that is no object.
pub fn no_object(datum: &[u8]) -> String {
    let expected = "expected an object, `{...}`";
    let found = match datum.trim_ascii_start().first() {
        None => "; it is empty",
        Some(b'"') => match serde_json::from_slice::<String>(datum) {
            Ok(inner) if inner.trim_start().starts_with('{') => {
                "; it is a text that holds JSON: it was encoded twice, send the object itself"
            }
            _ => "; it is a text",
        },
        Some(b'[') => "; it is a list: send each event by itself",
        _ => "",
    };
    format!("no event as JSON: {expected}{found}")
}
