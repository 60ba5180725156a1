//! The fields of a schema of Avro.

use super::{DEEPEST, Field, Found};
use crate::model::sample::seen::Kind;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Types by their full names.
type Named<'s> = BTreeMap<String, (&'s Json, String)>;

/// The fields of a record, and of the records in it.
///
/// # Errors
/// If it is no record.
pub(super) fn found(schema: &Json, others: &[Json]) -> Result<Found, String> {
    let mut named = Named::new();
    others.iter().chain([schema]).for_each(|schema| collect(schema, "", &mut named));
    let mut found = Found::default();
    let (schema, space) = resolved(schema, "", &named);
    if schema["type"] != "record" {
        let what = if schema.is_array() { "a union" } else { "no record" };
        return Err(format!("is {what}: events of a family are of one record"));
    }
    record(schema, &space, ("", false, 0), &named, &mut found);
    Ok(found)
}

/// Notes the types that have names, with the namespace of what is in them.
fn collect<'s>(schema: &'s Json, space: &str, named: &mut Named<'s>) {
    match schema {
        Json::Array(branches) => branches.iter().for_each(|branch| collect(branch, space, named)),
        Json::Object(object) => {
            let mut inner = space.to_owned();
            if let Some(name) = object.get("name").and_then(Json::as_str)
                && matches!(object.get("type").and_then(Json::as_str), Some("record" | "error" | "enum" | "fixed"))
            {
                let said = object.get("namespace").and_then(Json::as_str).unwrap_or(space);
                let full = full_name(name, said);
                inner = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
                named.insert(full, (schema, inner.clone()));
            }
            for field in object.get("fields").and_then(Json::as_array).into_iter().flatten() {
                collect(&field["type"], &inner, named);
            }
            ["type", "items", "values"]
                .iter()
                .filter_map(|key| object.get(*key))
                .for_each(|it| collect(it, &inner, named));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn full_name(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

/// A type without what it is wrapped in, or that a name stands for; and the namespace in it.
fn resolved<'s>(schema: &'s Json, space: &str, named: &Named<'s>) -> (&'s Json, String) {
    if let Some(name) = schema.as_str()
        && let Some((schema, space)) = named.get(&full_name(name, space)).or_else(|| named.get(name))
    {
        return (schema, space.clone());
    }
    match &schema["type"] {
        inner @ (Json::Object(_) | Json::Array(_)) => resolved(inner, space, named),
        Json::String(name) if named.contains_key(&full_name(name, space)) => resolved(&schema["type"], space, named),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            let own = schema["name"].as_str().and_then(|name| {
                let full = full_name(name, schema["namespace"].as_str().unwrap_or(space));
                named.get(&full).map(|(_, inner)| inner.clone())
            });
            (schema, own.unwrap_or_else(|| space.to_owned()))
        }
    }
}

/// The fields of a record that lies in others: `within` is their path, behind which a `.` stands, whether one of them may
/// be missing, and how deep it lies.
fn record(
    schema: &Json,
    space: &str,
    (within, null, depth): (&str, bool, usize),
    named: &Named<'_>,
    found: &mut Found,
) {
    for field in schema["fields"].as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        let path = format!("{within}{name}");
        if !found.takes(&path, name) {
            continue;
        }
        let (ty, may_be_null) = match one_of_union(&field["type"]) {
            Some(one) => one,
            None => {
                found.refuse(&path, "holds one of several types");
                continue;
            }
        };
        let (schema, space) = resolved(ty, space, named);
        let of = Field { path: &path, doc: field["doc"].as_str(), null: null || may_be_null };
        if schema["type"] == "record" || schema["type"] == "error" {
            if depth == DEEPEST {
                found.refuse(&path, "lies in too many others");
            } else {
                record(schema, &space, (&format!("{path}."), of.null, depth + 1), named, found);
            }
            continue;
        }
        value(&of, schema, found);
    }
}

/// The type of a union with null, and whether there is null; nothing if there are several.
fn one_of_union(ty: &Json) -> Option<(&Json, bool)> {
    let Some(branches) = ty.as_array().or_else(|| ty["type"].as_array()) else { return Some((ty, false)) };
    let mut others = branches.iter().filter(|branch| *branch != "null" && branch["type"] != "null");
    let one = others.next()?;
    others.next().is_none().then_some((one, branches.len() > 1))
}

fn value(field: &Field<'_>, schema: &Json, found: &mut Found) {
    let ty = schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or_default();
    let scale = || schema["scale"].as_u64().unwrap_or(0);
    match (ty, schema["logicalType"].as_str().unwrap_or_default()) {
        ("int" | "long", "time-millis" | "time-micros") => {
            found.refuse(field.path, "is a time of day without its date")
        }
        ("int", "date")
        | (
            "long",
            "timestamp-millis"
            | "timestamp-micros"
            | "timestamp-nanos"
            | "local-timestamp-millis"
            | "local-timestamp-micros"
            | "local-timestamp-nanos",
        ) => found.push(field, Kind::Instant, None, None),
        ("bytes" | "fixed", "decimal") => match scale() {
            0 => found.push(field, Kind::Integer, None, Some("a decimal without decimals".to_owned())),
            1 | 2 => found.push(field, Kind::Money, None, Some(format!("a decimal with {} decimals", scale()))),
            3 => found.push(field, Kind::Decimal, None, None),
            more => found.refuse(field.path, format!("has {more} decimals, and no type has more than three")),
        },
        ("int" | "long", _) => found.whole(field),
        ("float" | "double", _) => found.fraction(field),
        ("boolean", _) => found.push(field, Kind::Boolean, None, None),
        ("string", _) => found.push(field, Kind::Text, None, None),
        ("enum", _) => {
            let symbols = schema["symbols"].as_array().into_iter().flatten().filter_map(Json::as_str);
            found.push(field, Kind::Text, Some(symbols.map(str::to_owned).collect()), None);
        }
        ("bytes" | "fixed", _) => found.refuse(field.path, "holds bytes, which are no text"),
        ("array", _) => found.refuse(field.path, "holds lists, which are not read"),
        ("map", _) => found.refuse(field.path, "holds maps, which are not read"),
        ("null", _) => found.refuse(field.path, "is always null"),
        (other, _) => found.refuse(field.path, format!("is of the type {other:?}, which is not known")),
    }
}
