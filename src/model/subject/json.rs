//! The fields of a schema of JSON.

use super::{DEEPEST, Field, Found};
use crate::model::sample::seen::Kind;
use serde_json::Value as Json;

/// A reference that leads to others ends somewhere.
const REFERENCES_MAX: usize = 32;

/// The fields of an object, and of the objects in it.
///
/// # Errors
/// If it is no object.
pub(super) fn found(schema: &Json) -> Result<Found, String> {
    let mut found = Found::default();
    let (object, _) = single(schema, schema).ok_or("is one of several schemas: events of a family are of one")?;
    if !object["properties"].is_object() {
        return Err("is no object with `properties`".to_owned());
    }
    fields(schema, object, ("", false, 0), &mut found);
    Ok(found)
}

/// The fields of an object that lies in others: `within` is their path, behind which a `.` stands, whether one of them may
/// be missing, and how deep it lies.
fn fields(root: &Json, object: &Json, (within, null, depth): (&str, bool, usize), found: &mut Found) {
    let needed: Vec<_> = object["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    for (name, schema) in object["properties"].as_object().into_iter().flatten() {
        let path = format!("{within}{name}");
        if !found.takes(&path, name) {
            continue;
        }
        let Some((one, may_be_null)) = single(root, schema) else {
            found.refuse(&path, "holds one of several types");
            continue;
        };
        let doc = schema["description"].as_str().or_else(|| one["description"].as_str());
        let null = null || may_be_null || !needed.contains(&name.as_str());
        let field = Field { path: &path, doc, null };
        if one["properties"].is_object() {
            if depth == DEEPEST {
                found.refuse(&path, "lies in too many others");
            } else {
                fields(root, one, (&format!("{path}."), null, depth + 1), found);
            }
            continue;
        }
        value(&field, one, found);
    }
}

/// The schema that a value is of, if it is one, without null; and whether it may be null. References are followed.
fn single<'s>(root: &'s Json, schema: &'s Json) -> Option<(&'s Json, bool)> {
    let (mut schema, mut may_be_null) = (schema, false);
    for _ in 0..REFERENCES_MAX {
        if let Some(reference) = schema["$ref"].as_str() {
            schema = root.pointer(reference.strip_prefix('#')?)?;
            continue;
        }
        let Some(branches) = ["oneOf", "anyOf", "allOf"].iter().find_map(|key| schema[*key].as_array()) else {
            return Some((schema, may_be_null || ty(schema).1));
        };
        let mut others = branches.iter().filter(|branch| branch["type"] != "null");
        let one = others.next()?;
        if others.next().is_some() {
            return None;
        }
        may_be_null |= branches.len() > 1;
        schema = one;
    }
    None
}

/// The type of a value, if it is one, and whether it may be null.
fn ty(schema: &Json) -> (Option<&str>, bool) {
    let Some(types) = schema["type"].as_array() else { return (schema["type"].as_str(), false) };
    let mut others = types.iter().filter_map(Json::as_str).filter(|ty| *ty != "null");
    let one = others.next().filter(|_| others.next().is_none());
    (one, types.iter().any(|ty| ty == "null"))
}

fn value(field: &Field<'_>, schema: &Json, found: &mut Found) {
    let texts = |values: &Json| -> Option<Vec<String>> {
        let texts: Option<Vec<_>> = values
            .as_array()?
            .iter()
            .filter(|value| !value.is_null())
            .map(|value| value.as_str().map(str::to_owned))
            .collect();
        texts.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.is_empty()))
    };
    let bounds: Vec<_> = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]
        .iter()
        .filter_map(|key| Some(format!("{key} {}", schema[*key].as_number()?)))
        .collect();
    let columns = found.columns.len();
    match (ty(schema).0, schema["format"].as_str().unwrap_or_default()) {
        (None, _) if texts(&schema["enum"]).is_some() => found.push(field, Kind::Text, texts(&schema["enum"]), None),
        (Some("string"), "date-time" | "date") => found.push(field, Kind::Instant, None, None),
        (Some("string"), _) => found.push(field, Kind::Text, texts(&schema["enum"]), None),
        (Some("integer"), _) => found.whole(field),
        (Some("number"), _) => found.fraction(field),
        (Some("boolean"), _) => found.push(field, Kind::Boolean, None, None),
        (Some("array"), _) => found.refuse(field.path, "holds lists, which are not read"),
        (Some("object"), _) => found.refuse(field.path, "holds objects of which the schema names no field"),
        (Some("null"), _) => found.refuse(field.path, "is always null"),
        (Some(other), _) => found.refuse(field.path, format!("is of the type {other:?}, which is not known")),
        (None, _) => found.refuse(field.path, "is of no single type"),
    }
    if let Some(column) = found.columns.get_mut(columns)
        && !bounds.is_empty()
    {
        column.facts.push(bounds.join(", "));
    }
}
