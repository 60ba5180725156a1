//! Records under the names that are configured for the movie shop's events.

use crate::families::{FAMILY, TOPICS};
use crate::rules::Rules;
use dataflows::shop::events::Naming;
use dataflows::wire::{EVENT_NAME, TIMESTAMP};
use serde_json::{Map, Value};

/// A record as those write it whose names these are; what is no record of ours stays as it is.
pub fn spoken(naming: Naming, record: &str) -> String {
    if naming == Naming::default() {
        return record.to_owned();
    }
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(record) else { return record.to_owned() };
    let named = fields.get(EVENT_NAME).and_then(Value::as_str);
    let place = FAMILY.spoken().position(|event| Some(event.name) == named);
    let Some(event) = place.and_then(|place| naming.vocabulary().spoken().nth(place)) else {
        return record.to_owned();
    };
    let mut said = Map::new();
    for (field, value) in &fields {
        let value = if field == EVENT_NAME { event.name.into() } else { value.clone() };
        let path = event.fields.iter().find(|ours| *ours == field).map_or(field.as_str(), |ours| event.called(ours));
        put(&mut said, path, value);
    }
    Value::Object(said).to_string()
}

/// Whether a record names one of these events.
pub fn is_named(rules: &Rules, record: &Map<String, Value>) -> bool {
    let mut events = rules.shop.naming.vocabulary().spoken();
    events.any(|event| at(record, event.called(EVENT_NAME)).and_then(Value::as_str) == Some(event.name))
}

/// What stands under a path in a record.
fn at<'r>(record: &'r Map<String, Value>, path: &str) -> Option<&'r Value> {
    match path.split_once('.') {
        Some((first, rest)) => at(record.get(first)?.as_object()?, rest),
        None => record.get(path),
    }
}

/// What each event needs, and where to see one.
pub fn needed(rules: &Rules) -> String {
    // Those that say in one way which they are, and when they happened, together.
    let mut alike: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for topic in &TOPICS {
        let mut events = rules.shop.naming.vocabulary().spoken();
        let Some(event) = events.find(|event| event.page.topic.event == topic.event) else { continue };
        let (named_by, at, name) = (event.called(EVENT_NAME), event.called(TIMESTAMP), format!("`{}`", event.name));
        match alike.iter_mut().find(|(other, other_at, _)| (*other, *other_at) == (named_by, at)) {
            Some((.., names)) => names.push(name),
            None => alike.push((named_by, at, vec![name])),
        }
    }
    let needed: Vec<_> = alike
        .iter()
        .map(|(named_by, at, names)| format!("`{named_by}` (one of {}), `{at}`", names.join(", ")))
        .collect();
    format!(
        "An event needs {}, and the fields of its event. An example of each: `deltamart schema --events`\n",
        needed.join(", or ")
    )
}

/// Puts a value under a path: `user.id`.
fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((name, rest)) = path.split_once('.') else {
        object.insert(path.to_owned(), value);
        return;
    };
    let inner = object.entry(name).or_insert_with(|| Map::new().into());
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}
