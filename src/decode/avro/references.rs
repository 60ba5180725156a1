//! Schemas that refer to others: each name stands for a type that another text defines.

use super::schema::{PRIMITIVE, full_name, is_keyword};
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, HashSet};

/// The schema with the types that others define put in where each is first named.
pub fn resolved(schema: Json, others: &[Json]) -> Json {
    if others.is_empty() {
        return schema;
    }
    let mut resolver = Resolver { known: HashMap::new(), defined: HashSet::new() };
    others.iter().for_each(|other| resolver.learn(other, ""));
    resolver.resolve(&schema, "")
}

struct Resolver<'a> {
    /// What others define, by full names, and the namespace that it stands in.
    known: HashMap<String, (&'a Json, String)>,
    /// What stands in the schema already: no type is defined twice.
    defined: HashSet<String>,
}

/// The full name of what an object defines, if it defines anything.
fn defines(object: &Map<String, Json>, namespace: &str) -> Option<String> {
    let kind = object.get("type")?.as_str()?;
    let name = object.get("name")?.as_str().filter(|_| matches!(kind, "record" | "error" | "enum" | "fixed"))?;
    Some(full_name(name, object.get("namespace").and_then(Json::as_str).unwrap_or(namespace)))
}

fn namespace_of(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

impl<'a> Resolver<'a> {
    fn learn(&mut self, schema: &'a Json, namespace: &str) {
        match schema {
            Json::Array(types) => types.iter().for_each(|ty| self.learn(ty, namespace)),
            Json::Object(object) => {
                let full = defines(object, namespace);
                let namespace = full.as_deref().map_or(namespace, namespace_of).to_owned();
                for key in ["type", "items", "values"] {
                    object.get(key).into_iter().for_each(|inner| self.learn(inner, &namespace));
                }
                for field in object.get("fields").and_then(Json::as_array).into_iter().flatten() {
                    field.get("type").into_iter().for_each(|inner| self.learn(inner, &namespace));
                }
                if let Some(full) = full {
                    self.known.entry(full).or_insert((schema, namespace));
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn resolve(&mut self, schema: &Json, namespace: &str) -> Json {
        match schema {
            Json::String(name) => self.named(name, namespace),
            Json::Array(types) => types.iter().map(|ty| self.resolve(ty, namespace)).collect(),
            Json::Object(object) => self.object(object, namespace),
            Json::Null | Json::Bool(_) | Json::Number(_) => schema.clone(),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Json {
        if PRIMITIVE.contains(&name) || is_keyword(name) {
            return name.into();
        }
        for full in [full_name(name, namespace), name.to_owned()] {
            if self.defined.contains(&full) {
                return full.into();
            }
            if let Some((definition, within)) = self.known.get(&full).cloned() {
                return self.resolve(definition, &within);
            }
        }
        name.into()
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str) -> Json {
        let full = defines(object, namespace);
        let namespace = full.as_deref().map_or(namespace, namespace_of).to_owned();
        let mut resolved = object.clone();
        if let Some(full) = full {
            if !self.defined.insert(full.clone()) {
                return full.into();
            }
            let name = full.rsplit('.').next().unwrap_or_default();
            resolved.insert("name".to_owned(), name.into());
            resolved.insert("namespace".to_owned(), namespace.as_str().into());
        } else if let Some(ty) = object.get("type") {
            resolved.insert("type".to_owned(), self.resolve(ty, &namespace));
        }
        for key in ["items", "values"] {
            if let Some(inner) = object.get(key) {
                resolved.insert(key.to_owned(), self.resolve(inner, &namespace));
            }
        }
        if let Some(Json::Array(fields)) = object.get("fields") {
            let mut field = |field: &Json| {
                let mut field = field.clone();
                if let Some(ty) = field.get("type").cloned() {
                    field["type"] = self.resolve(&ty, &namespace);
                }
                field
            };
            resolved.insert("fields".to_owned(), fields.iter().map(&mut field).collect());
        }
        Json::Object(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_define_stands_where_it_is_first_named() {
        let device = json!({"type": "record", "name": "Device", "namespace": "of.others", "fields": [
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["TV", "PHONE"]}}]});
        let pair = json!({"type": "record", "name": "of.us.Pair", "fields": [
            {"name": "first", "type": "of.others.Device"}, {"name": "second", "type": "of.others.Kind"}]});
        let event = json!({"type": "record", "name": "Event", "namespace": "of.us", "fields": [
            {"name": "kind", "type": ["null", "of.others.Kind"]},
            {"name": "pair", "type": "Pair"},
            {"name": "more", "type": {"type": "array", "items": "of.others.Device"}}]});
        let resolved = resolved(event, &[device, pair]);
        let kind = &resolved["fields"][0]["type"][1];
        assert_eq!((&kind["type"], &kind["namespace"]), (&json!("enum"), &json!("of.others")));
        let pair = &resolved["fields"][1]["type"];
        assert_eq!(pair["fields"][0]["type"]["fields"][0]["type"], "of.others.Kind", "a type is defined once");
        assert_eq!(pair["fields"][1]["type"], "of.others.Kind");
        assert_eq!(resolved["fields"][2]["type"]["items"], "of.others.Device");
    }

    #[test]
    fn what_refers_to_itself_or_to_nothing_ends() {
        let list = json!({"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]});
        let event = json!({"type": "record", "name": "Event", "fields": [
            {"name": "list", "type": "List"}, {"name": "lost", "type": "Lost"}]});
        let resolved = resolved(event, &[list]);
        assert_eq!(resolved["fields"][0]["type"]["fields"][0]["type"][1], "List");
        assert_eq!(resolved["fields"][1]["type"], "Lost");
    }
}
