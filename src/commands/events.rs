//! `schema --events`: what events look like, as their pages and their schemas say.

use crate::spoken::spoken;
use anyhow::{Context, Result};
use dataflows::shop::events::Naming;
use dataflows::wire::Spoken;
use serde_json::Value as Json;

/// Prints of each event its topic, its fields with their types, and a line that is one.
pub(super) fn events(naming: Naming) -> Result<()> {
    say!("An event is one JSON object on one line. Its `event_name` says which event it is.");
    if naming != Naming::default() {
        say!("The names are those that the settings `[events]` give.");
    }
    for event in naming.vocabulary().spoken() {
        let (page, topic) = (event.page, event.page.topic);
        let called = if event.name == topic.event { String::new() } else { format!(", called `{}`", event.name) };
        say!("\n{}: topic `{}`, key `{}`{called}", topic.event, topic.name, page.key);
        let schema: Json = serde_json::from_str(topic.schema)
            .with_context(|| format!("could not read the shipped schema of `{}`", topic.name))?;
        let fields: Vec<_> = schema["fields"].as_array().into_iter().flatten().map(|it| field(&event, it)).collect();
        let width = fields.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
        for (name, ty, doc) in fields {
            say!("  {name:width$}  {ty}{}{doc}", if doc.is_empty() { "" } else { ": " });
        }
        let sample: Json = serde_json::from_str(page.sample)
            .with_context(|| format!("could not read the sample of `{}`", topic.event))?;
        // Whole, to be copied.
        let sample = spoken(naming, &sample.to_string());
        say_as_is!("{sample}");
    }
    Ok(())
}

/// The name of a field, its type and what it means.
fn field<E, R>(event: &Spoken<'_, E, R>, field: &Json) -> (String, String, String) {
    let text = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
    let mut name = text("name");
    if let Some(ours) = event.fields.iter().find(|ours| **ours == name && event.called(ours) != **ours) {
        name = format!("{} (our `{ours}`)", event.called(ours));
    }
    (name, of(&field["type"]), text("doc"))
}

/// A type of Avro in words; a union with null may be left out.
fn of(ty: &Json) -> String {
    match ty {
        Json::Array(all) => {
            let all: Vec<_> = all.iter().filter(|one| **one != "null").map(of).collect();
            format!("{} or null", all.join(" or "))
        }
        Json::Object(inner) => match (inner.get("logicalType").and_then(Json::as_str), &inner["type"]) {
            (Some("timestamp-millis" | "timestamp-micros"), _) => "an instant".to_owned(),
            (Some("decimal"), _) => "money".to_owned(),
            (_, Json::String(name)) if name == "array" => "a list of texts".to_owned(),
            (_, Json::String(name)) if name == "map" => "an object of texts".to_owned(),
            (_, inner) => of(inner),
        },
        Json::String(name) => match name.as_str() {
            "int" | "long" => "a whole number",
            "float" | "double" => "a number",
            "boolean" => "true or false",
            _ => "text",
        }
        .to_owned(),
        Json::Null | Json::Bool(_) | Json::Number(_) => String::new(),
    }
}
