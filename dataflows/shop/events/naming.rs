//! What records call the events of the shop and their fields, where that is something else than what we do.

use super::{Event, EventName, FAMILY, Rules};
use crate::gate::{Bounds, Judge, Rest};
use crate::wire::{Alias, Broken, Called, EVENT_NAME, Names, Vocabulary, Wire, nearest};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// What records call an event, and its fields by our names for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapped {
    /// The event; empty is as we do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its fields. A path such as `user.id` leads into an object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// What records call events, by our names for them.
pub type Mapping = BTreeMap<String, Mapped>;

/// Why nothing can be read by a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmappable {
    /// Our name of the event.
    pub event: String,
    /// Our name of the field, if it is about one.
    pub field: Option<String>,
    /// What is wrong.
    pub why: String,
}

struct Known {
    mapping: Mapping,
    vocabulary: Vocabulary<Event, Rules>,
}

/// The names by which records are read. There are as many as were configured: each is kept as long as the process.
#[derive(Clone, Copy)]
pub struct Naming(Option<&'static Known>);

static KNOWN: Mutex<Vec<&'static Known>> = Mutex::new(Vec::new());

/// No name or path has more bytes.
const NAME_BYTES_MAX: usize = 200;
/// No path leads through more objects.
const DEPTH_MAX: usize = 8;

impl Default for Naming {
    /// Ours.
    fn default() -> Naming {
        Naming(None)
    }
}

impl PartialEq for Naming {
    fn eq(&self, other: &Naming) -> bool {
        self.mapping() == other.mapping()
    }
}

impl fmt::Debug for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mapping().fmt(f)
    }
}

impl Naming {
    /// Of what records call events. What is called as we do need not be said.
    ///
    /// # Errors
    /// Everything for which nothing could be read by it.
    pub fn of(mut mapping: Mapping) -> Result<Naming, Vec<Unmappable>> {
        let wrong = unknown(&mapping);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        for (event, mapped) in &mut mapping {
            mapped.fields.retain(|ours, theirs| ours != theirs);
            if mapped.name == *event {
                mapped.name.clear();
            }
        }
        mapping.retain(|_, mapped| *mapped != Mapped::default());
        let wrong = collisions(&mapping);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if mapping.is_empty() {
            return Ok(Naming(None));
        }
        let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(same) = known.iter().find(|known| known.mapping == mapping) {
            return Ok(Naming(Some(same)));
        }
        let vocabulary = EventName::vocabulary(|event| alias(&mapping, event)).map_err(|(event, twice)| {
            let why = format!(
                "`{}` is read in another way already: as another kind of value, or as an object with fields of its own",
                twice.path
            );
            vec![Unmappable { event: event.to_owned(), field: Some(twice.field.to_owned()), why }]
        })?;
        known.push(Box::leak(Box::new(Known { mapping, vocabulary })));
        Ok(Naming(known.last().copied()))
    }

    /// What is called otherwise than we do.
    pub fn mapping(self) -> Mapping {
        self.0.map(|known| known.mapping.clone()).unwrap_or_default()
    }

    /// By which records become events.
    #[inline]
    pub fn vocabulary(self) -> &'static Vocabulary<Event, Rules> {
        self.0.map_or_else(|| &*FAMILY, |known| &known.vocabulary)
    }

    /// The names of the fields of all mappings that this process knows, in addition to ours.
    pub fn all() -> Vec<&'static Names> {
        let known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.iter().map(|known| known.vocabulary.names()).collect()
    }
}

/// What an event is called, for as long as the process.
fn alias(mapping: &Mapping, event: &str) -> Alias {
    let Some(Mapped { name, fields }) = mapping.get(event) else { return Alias::default() };
    let leaked = |text: &String| -> &'static str { String::leak(text.clone()) };
    let fields: Called = fields.iter().map(|(ours, theirs)| (leaked(ours), leaked(theirs))).collect();
    Alias { event: (!name.is_empty()).then(|| leaked(name)), fields }
}

/// The fields of an event, by our names.
fn fields(event: &str) -> &'static [&'static str] {
    FAMILY.spoken().find(|spoken| spoken.name == event).map_or(&[], |spoken| spoken.fields)
}

/// Names of ours that are none, and names of theirs that can be none.
fn unknown(mapping: &Mapping) -> Vec<Unmappable> {
    let mut wrong = Vec::new();
    let ours: Vec<&str> = FAMILY.spoken().map(|spoken| spoken.name).collect();
    let near = |name: &str, known: &[&str]| match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("expected one of {}", known.join(", ")),
    };
    for (event, Mapped { name, fields: called }) in mapping {
        let mut say = |field: Option<&String>, why: String| {
            wrong.push(Unmappable { event: event.clone(), field: field.cloned(), why });
        };
        if !ours.contains(&event.as_str()) {
            say(None, format!("is not an event; {}", near(event, &ours)));
            continue;
        }
        if name.len() > NAME_BYTES_MAX {
            say(None, format!("has a name of {} bytes; expected at most {NAME_BYTES_MAX}", name.len()));
        }
        for (field, path) in called {
            if !fields(event).contains(&field.as_str()) {
                say(Some(field), format!("is not a field of `{event}`; {}", near(field, fields(event))));
            } else if path.len() > NAME_BYTES_MAX || path.split('.').any(str::is_empty) {
                let expected = format!(
                    "expected the name of a field, or a path such as user.id, of at most {NAME_BYTES_MAX} bytes"
                );
                say(Some(field), format!("is no name of a field; {expected}"));
            } else if path.split('.').count() > DEPTH_MAX {
                say(Some(field), format!("leads through more than {DEPTH_MAX} names; a record is not read so deep"));
            }
        }
    }
    wrong
}

/// Names that say two things.
fn collisions(mapping: &Mapping) -> Vec<Unmappable> {
    let mut wrong = Vec::new();
    let mut events = BTreeMap::new();
    for spoken in FAMILY.spoken() {
        let event = spoken.name;
        let mapped = mapping.get(event);
        let mut say = |field: Option<&str>, why| {
            wrong.push(Unmappable { event: event.to_owned(), field: field.map(str::to_owned), why });
        };
        let called = |field: &str| mapped.and_then(|mapped| mapped.fields.get(field)).map(String::as_str);
        let mut fields = BTreeMap::new();
        for field in spoken.fields {
            let path = called(field).unwrap_or(field);
            if let Some(other) = fields.insert(path, *field) {
                // The one that is said is to be mended.
                let (field, other) = if called(field).is_some() { (*field, other) } else { (other, *field) };
                say(Some(field), format!("is `{path}`, and so is `{other}`: which of the two it is cannot be told"));
            }
        }
        let name = mapped.map(|mapped| mapped.name.as_str()).filter(|name| !name.is_empty()).unwrap_or(event);
        let named_by = called(EVENT_NAME).unwrap_or(EVENT_NAME);
        if let Some(other) = events.insert((named_by, name), event) {
            let is_said = |event: &str| mapping.get(event).is_some_and(|mapped| !mapped.name.is_empty());
            let (event, other) = if is_said(event) { (event, other) } else { (other, event) };
            let why = format!("is called `{name}`, and so is `{other}`: which of the two a record is cannot be told");
            wrong.push(Unmappable { event: event.to_owned(), field: None, why });
        }
    }
    wrong
}

/// Judges records of the shop by the names that its rules have.
pub struct ByNames;

fn rules_of(rules: &dyn Any) -> &Rules {
    rules.downcast_ref().expect("a family is handed its own rules")
}

impl Judge<Event> for ByNames {
    fn names(&'static self, rules: &dyn Any) -> &'static Names {
        rules_of(rules).naming.vocabulary().names()
    }

    fn judge<'n, 'a>(
        &self,
        wire: &mut Wire<'n, 'a>,
        carries: Option<&str>,
        Bounds { rules, time, clock }: Bounds<'_>,
        rest: Rest<'_, 'n, 'a>,
    ) -> Result<(Event, bool), Broken> {
        let rules = rules_of(rules);
        rules.naming.vocabulary().judge(wire, carries, (rules, time, clock), rest)
    }
}
