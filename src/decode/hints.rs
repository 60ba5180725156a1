//! Why a record that is not an event is none, as far as its looks tell: an envelope that nobody opened, a name in
//! another writing. Looked at only where something was missing.

use crate::families;
use dataflows::wire::scalar::first;
use dataflows::wire::{Set, nearest};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};

/// The names of a record's fields, and of those in them.
#[derive(Clone, Debug, Default)]
pub struct Outline(Vec<(String, Option<Vec<String>>)>);

impl Outline {
    /// Of a record of JSON; of one with very many fields, of its first ones.
    pub fn of_json(datum: &[u8]) -> Outline {
        serde_json::from_slice(datum).unwrap_or_default()
    }

    /// Adds a field, and the names of the fields in it.
    pub fn push(&mut self, name: &str, inner: Option<Vec<String>>) {
        self.0.push((name.to_owned(), inner));
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// The field that says in other programs what this one is to say; in an envelope it says something else.
    fn elsewhere(&self, field: &str) -> Option<&'static str> {
        let is_envelope = self.0.iter().any(|(_, inner)| inner.is_some());
        let (_, others) = ELSEWHERE.iter().find(|(ours, _)| *ours == field).filter(|_| !is_envelope)?;
        others.iter().copied().find(|other| self.has(other) && !is_read(other))
    }

    fn inner(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|(field, _)| field == name)?.1.as_deref()
    }

    /// Why a field may be missing: to be put behind that it is.
    pub fn why_missing(&self, field: &str) -> String {
        let mut why = String::new();
        let written = |written: &mut String, text: std::fmt::Arguments<'_>| written.write_fmt(text).unwrap_or_default();
        let names = self.0.iter().map(|(name, _)| name.as_str());
        if self.has(field) {
            why.push_str(": it is null");
        } else if let Some(name) = names.filter(|name| !is_read(name)).find(|name| nearest(name, [field]).is_some()) {
            let name = first(name, NAME_SHOWN);
            written(&mut why, format_args!("; `{name}` is not read: did you mean `{field}`?"));
        } else if let Some(name) = self.elsewhere(field) {
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
            written(&mut why, format_args!("; an event seems to lie under `{}`: unwrap it", first(name, NAME_SHOWN)));
        }
        why
    }
}

/// What fields are called in other programs.
const ELSEWHERE: [(&str, &[&str]); 2] = [
    ("event_name", &["event", "event_type", "eventType", "type", "action"]),
    ("timestamp", &["ts", "time", "event_time", "eventTime", "datetime", "created_at", "at"]),
];

/// So much is shown of a name.
const NAME_SHOWN: usize = 40;

/// Whether some event has a field of this name: then it is not another one misspelt.
fn is_read(name: &str) -> bool {
    families::names().any(|names| names.find(Set::ALL, name).is_some())
}

/// No more names are looked at of a record, and none that is longer.
const NAMES_MAX: usize = 256;

/// The names of an object's fields with what is in them, as `V` says it; of anything else nothing.
struct Names<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Names<V> {
    type Value = Option<Vec<(String, V)>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while names.len() < NAMES_MAX {
            let Some((name, inner)) = map.next_entry::<String, V>()? else { return Ok(Some(names)) };
            if name.len() <= NAMES_MAX {
                names.push((name, inner));
            }
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(names))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// The names in a field.
struct Inner(Option<Vec<String>>);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Inner, D::Error> {
        let names = deserializer.deserialize_any(Names::<IgnoredAny>(std::marker::PhantomData))?;
        Ok(Inner(names.map(|names| names.into_iter().map(|(name, _)| name).collect())))
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Outline, D::Error> {
        let names = deserializer.deserialize_any(Names::<Inner>(std::marker::PhantomData))?;
        Ok(Outline(names.unwrap_or_default().into_iter().map(|(name, inner)| (name, inner.0)).collect()))
    }
}

fn is_change(has: impl Fn(&str) -> bool) -> bool {
    has("op") && (has("after") || has("before"))
}

fn is_event(fields: &[String]) -> bool {
    let has = |name: &str| fields.iter().any(|field| field == name);
    has("timestamp") && (has("event_name") || families::names().flat_map(|names| names.persons()).any(has))
}

/// So much is shown of what is no JSON at all.
const BEGINNING_SHOWN: usize = 24;
/// And so much looked at: an address that begins in what is shown ends within this.
const BEGINNING_BYTES: usize = 1_024;

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
        Some(_) => {
            let text = String::from_utf8_lossy(&datum[..datum.len().min(BEGINNING_BYTES)]);
            return format!("no event as JSON: {expected}; it begins with {:?}", first(text.trim(), BEGINNING_SHOWN));
        }
    };
    format!("no event as JSON: {expected}{found}")
}
