//! What a writer's schema says of the fields that are read. Of everything else only its layout is of
//! interest: a logical type that breaks the rules is ignored, as the specification of Avro says, and one in a
//! field that nobody reads matters to nobody.

use crate::decode::hints::Outline;
use dataflows::wire::scalar::Scalar;
use dataflows::wire::{Kind, Names, Set, Slot};
use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;
use std::collections::HashMap;

/// One that a datum may be of: the schema's own, or each of a union.
#[derive(Debug, Default)]
pub struct Branch {
    /// What it is, if it is no record.
    pub other: Option<String>,
    /// How it is read, for each set of fields.
    pub plans: Vec<Plan>,
    /// The names of its fields.
    pub outline: Outline,
}

/// How a set of fields is read of a record.
#[derive(Debug, Default)]
pub struct Plan {
    /// Of the record's fields, in their order, the slots; none if one is not read.
    pub slots: Vec<Option<Slot>>,
    /// The fields whose values mean something else than they seem to.
    pub meanings: Vec<(Slot, Logical)>,
}

impl Plan {
    fn of(fields: &[(&str, Logical)], names: &Names, set: Set) -> Plan {
        let mut plan = Plan::default();
        for (name, logical) in fields {
            let slot = names.find(set, name);
            plan.slots.push(slot);
            let meaning = slot.map(|slot| (slot, logical.of_kind(names.kind(slot))));
            plan.meanings.extend(meaning.filter(|(_, logical)| *logical != Logical::default()));
        }
        plan
    }
}

/// What a logical type makes of a field's values, by the type that they are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Logical {
    int: Option<Unit>,
    long: Option<Unit>,
    bytes: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Days,
    Millis,
    Micros,
    Nanos,
    TimeOfDay,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bytes {
    Decimal(usize),
    Uuid,
    /// Several of a union, which differ.
    Several,
}

impl Logical {
    /// What of it counts in a field that is read so.
    fn of_kind(self, kind: Kind) -> Logical {
        match kind {
            Kind::Instant => self,
            // These are no instants, whatever their writer calls them.
            Kind::Plain => Logical { int: None, long: None, ..self },
            Kind::Text | Kind::Address | Kind::Texts | Kind::Attributes | Kind::Object(_) => Logical::default(),
        }
    }

    /// What a value means.
    pub fn applied<'a>(&self, value: Scalar<'a>) -> Scalar<'a> {
        match (value, self) {
            (Scalar::Int(number), Logical { int: Some(unit), .. }) => unit.instant(number.into()),
            (Scalar::Long(number), Logical { long: Some(unit), .. }) => unit.instant(number),
            (Scalar::Bytes(bytes), Logical { bytes: Some(of), .. }) => match (of, <[u8; 16]>::try_from(&*bytes)) {
                (Bytes::Decimal(scale), _) => decimal(&bytes, *scale),
                (Bytes::Uuid, Ok(id)) => Scalar::Text(uuid::Uuid::from_bytes(id).to_string().into()),
                (Bytes::Uuid, Err(_)) => Scalar::Bytes(bytes),
                (Bytes::Several, _) => Scalar::Other("one of several decimals of a union"),
            },
            (value, _) => value,
        }
    }
}

impl Unit {
    fn instant(self, units: i64) -> Scalar<'static> {
        Scalar::Instant(match self {
            Unit::Days => units.saturating_mul(86_400_000),
            Unit::Millis => units,
            Unit::Micros => units.div_euclid(1_000),
            Unit::Nanos => units.div_euclid(1_000_000),
            Unit::TimeOfDay => return Scalar::Other("a time of day without its date"),
        })
    }
}

/// A number in two's complement with so many decimals, as text without needless zeros.
pub(super) fn decimal(bytes: &[u8], scale: usize) -> Scalar<'static> {
    const TOO_LONG: Scalar<'static> = Scalar::Other("a decimal of more than 38 digits");
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 16];
    // What lies before the last 16 bytes may repeat the sign, and say nothing more.
    let (before, last) = bytes.split_at(bytes.len().saturating_sub(wide.len()));
    if scale > 38
        || before.iter().any(|byte| *byte != wide[0])
        || (!before.is_empty() && (last[0] ^ wide[0]) & 0x80 != 0)
    {
        return TOO_LONG;
    }
    let from = wide.len() - last.len();
    wide[from..].copy_from_slice(last);
    let unscaled = i128::from_be_bytes(wide);
    let mut digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    digits.insert(digits.len() - scale, '.');
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    Scalar::Text(Cow::Owned(if unscaled < 0 { format!("-{digits}") } else { digits.to_owned() }))
}

/// What a schema says of what a datum may be of, if fields of these names are read.
pub fn read(schema: &Json, wanted: &Names) -> Vec<Branch> {
    let mut names = HashMap::new();
    collect(schema, "", &mut names);
    let one = unwrapped(schema);
    match one.as_array() {
        Some(branches) => branches.iter().map(|branch| of(branch, &names, wanted)).collect(),
        None => vec![of(one, &names, wanted)],
    }
}

/// Some wrap a type in another: `{"type": {"type": "long"}}`.
pub(super) fn unwrapped(schema: &Json) -> &Json {
    let inner = &schema["type"];
    if inner.is_object() || inner.is_array() { unwrapped(inner) } else { schema }
}

pub(super) const PRIMITIVE: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// A schema without what is not needed to walk through a datum.
pub fn layout(schema: &Json) -> Json {
    let schema = unwrapped(schema);
    let Json::Object(object) = schema else {
        let Json::Array(branches) = schema else { return schema.clone() };
        return branches.iter().map(layout).collect();
    };
    let Some(ty) = object.get("type").and_then(Json::as_str) else { return schema.clone() };
    let mut kept = Map::new();
    let mut keep = |key: &str, value: &dyn Fn(&Json) -> Json| {
        if let Some(found) = object.get(key) {
            kept.insert(key.to_owned(), value(found));
        }
    };
    let named: &[&str] = match ty {
        "record" | "error" => {
            keep("fields", &|fields| match fields.as_array() {
                Some(fields) => fields
                    .iter()
                    .map(|field| json!({"name": field["name"], "type": field.get("type").map(layout)}))
                    .collect(),
                None => fields.clone(),
            });
            &["name", "namespace"]
        }
        "enum" => &["name", "namespace", "symbols"],
        "fixed" => &["name", "namespace", "size"],
        "array" | "map" => {
            keep("items", &layout);
            keep("values", &layout);
            &[]
        }
        // A primitive type, or one that was named before.
        name => return name.into(),
    };
    for key in named.iter().filter(|key| !object.get(**key).is_none_or(Json::is_null)) {
        keep(key, &Json::clone);
    }
    kept.insert("type".to_owned(), if ty == "error" { "record" } else { ty }.into());
    Json::Object(kept)
}

/// Named types by their full names.
pub(super) type Named<'a> = HashMap<String, (&'a Json, String)>;

/// Whether a word says what a type is made of.
pub(super) fn is_keyword(word: &str) -> bool {
    matches!(word, "record" | "error" | "enum" | "fixed" | "array" | "map")
}

pub(super) fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

pub(super) fn collect<'a>(schema: &'a Json, namespace: &str, names: &mut Named<'a>) {
    let schema = unwrapped(schema);
    if let Json::Array(branches) = schema {
        branches.iter().for_each(|branch| collect(branch, namespace, names));
    }
    let mut namespace = namespace.to_owned();
    if let Some(name) = schema["name"].as_str() {
        let full = full_name(name, schema["namespace"].as_str().unwrap_or(&namespace));
        namespace = full.rsplit_once('.').map_or(String::new(), |(namespace, _)| namespace.to_owned());
        names.insert(full, (schema, namespace.clone()));
    }
    for inner in ["items", "values"] {
        if let Some(inner) = schema.get(inner) {
            collect(inner, &namespace, names);
        }
    }
    for field in schema["fields"].as_array().into_iter().flatten() {
        collect(&field["type"], &namespace, names);
    }
}

/// The type that a name stands for, and the namespace in it.
pub(super) fn resolved<'a>(schema: &'a Json, namespace: &str, names: &Named<'a>) -> (&'a Json, String) {
    let schema = unwrapped(schema);
    let name = schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or_default();
    let is_reference = !is_keyword(name) && !PRIMITIVE.contains(&name);
    let found = is_reference.then(|| names.get(&full_name(name, namespace)).or_else(|| names.get(name))).flatten();
    match (found, schema["name"].as_str()) {
        (Some((found, namespace)), _) => (found, namespace.clone()),
        (None, Some(name)) => {
            let full = full_name(name, schema["namespace"].as_str().unwrap_or(namespace));
            (schema, full.rsplit_once('.').map_or(String::new(), |(namespace, _)| namespace.to_owned()))
        }
        (None, None) => (schema, namespace.to_owned()),
    }
}

/// The types of a union, or the only one, with names resolved.
fn types<'a>(schema: &'a Json, namespace: &str, names: &Named<'a>) -> Vec<(&'a Json, String)> {
    let one = unwrapped(schema);
    match one.as_array() {
        Some(branches) => branches.iter().map(|branch| resolved(branch, namespace, names)).collect(),
        None => vec![resolved(one, namespace, names)],
    }
}

pub(super) fn type_name(schema: &Json) -> &str {
    schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or_default()
}

fn field_names(record: &Json) -> Vec<String> {
    let fields = record["fields"].as_array().into_iter().flatten();
    fields.filter_map(|field| field["name"].as_str()).map(str::to_owned).collect()
}

fn of<'a>(schema: &'a Json, names: &Named<'a>, wanted: &Names) -> Branch {
    let (schema, namespace) = resolved(schema, "", names);
    if !matches!(type_name(schema), "record" | "error") {
        return Branch { other: Some(type_name(schema).to_owned()), ..Branch::default() };
    }
    let mut branch = Branch::default();
    let mut fields = Vec::new();
    for field in schema["fields"].as_array().into_iter().flatten() {
        let Some(name) = field["name"].as_str() else { continue };
        let types = types(&field["type"], &namespace, names);
        let mut logical = Logical::default();
        types.iter().for_each(|(ty, _)| logical.add(ty));
        fields.push((name, logical));
        let inner = types.iter().find(|(ty, _)| matches!(type_name(ty), "record" | "error"));
        branch.outline.push(name, inner.map(|(record, _)| field_names(record)));
    }
    branch.plans = wanted.sets().map(|set| Plan::of(&fields, wanted, set)).collect();
    for plan in &mut branch.plans {
        for (slot, record) in plan.slots.iter().zip(records(schema)) {
            let Some(Kind::Object(inner)) = slot.map(|slot| wanted.kind(slot)) else { continue };
            within(record, (&namespace, names), (wanted, inner), &mut plan.meanings);
        }
    }
    branch
}

/// The types of a record's fields that have names.
fn records(record: &Json) -> impl Iterator<Item = &Json> {
    let fields = record["fields"].as_array().into_iter().flatten();
    fields.filter(|field| field["name"].is_string()).map(|field| &field["type"])
}

/// What fields mean that are read of a record in a record. Its depth is that of what is read.
fn within(
    schema: &Json,
    (namespace, names): (&str, &Named<'_>),
    (wanted, set): (&Names, Set),
    meanings: &mut Vec<(Slot, Logical)>,
) {
    for (record, namespace) in types(schema, namespace, names) {
        for field in record["fields"].as_array().into_iter().flatten() {
            let Some(slot) = field["name"].as_str().and_then(|name| wanted.find(set, name)) else { continue };
            if let Kind::Object(inner) = wanted.kind(slot) {
                within(&field["type"], (&namespace, names), (wanted, inner), meanings);
            }
            let mut logical = Logical::default();
            types(&field["type"], &namespace, names).iter().for_each(|(ty, _)| logical.add(ty));
            let logical = logical.of_kind(wanted.kind(slot));
            if logical != Logical::default() {
                meanings.push((slot, logical));
            }
        }
    }
}

impl Logical {
    /// Adds what one of a field's types says: by its logical type, or else by the name that Kafka Connect gives it.
    fn add(&mut self, ty: &Json) {
        let connect = ty["connect.name"].as_str().unwrap_or_default();
        let connect =
            connect.strip_prefix("io.debezium.time.").or(connect.strip_prefix("org.apache.kafka.connect.data."));
        match (type_name(ty), ty["logicalType"].as_str().unwrap_or_default(), connect.unwrap_or_default()) {
            ("int", "date", _) => self.int = Some(Unit::Days),
            ("int", "time-millis", _) => self.int = Some(Unit::TimeOfDay),
            ("int", _, "Date") => self.int = Some(Unit::Days),
            ("int", _, "Time") => self.int = Some(Unit::TimeOfDay),
            ("long", "timestamp-millis" | "local-timestamp-millis", _) => self.long = Some(Unit::Millis),
            ("long", "timestamp-micros" | "local-timestamp-micros", _) => self.long = Some(Unit::Micros),
            ("long", "timestamp-nanos" | "local-timestamp-nanos", _) => self.long = Some(Unit::Nanos),
            ("long", "time-micros", _) => self.long = Some(Unit::TimeOfDay),
            ("long", _, "Timestamp") => self.long = Some(Unit::Millis),
            ("long", _, "MicroTimestamp") => self.long = Some(Unit::Micros),
            ("long", _, "NanoTimestamp") => self.long = Some(Unit::Nanos),
            ("long", _, "MicroTime" | "NanoTime") => self.long = Some(Unit::TimeOfDay),
            ("fixed", "uuid", _) if ty["size"] == 16 => self.add_bytes(Some(Bytes::Uuid)),
            ("bytes" | "fixed", "decimal", _) => self.add_bytes(scale(ty).map(Bytes::Decimal)),
            ("bytes", _, "Decimal") => self.add_bytes(connect_scale(ty).map(Bytes::Decimal)),
            _ => {}
        }
    }

    fn add_bytes(&mut self, of: Option<Bytes>) {
        self.bytes = match (self.bytes, of) {
            (None, of) => of,
            (before, None) => before,
            (Some(before), Some(of)) => Some(if before == of { of } else { Bytes::Several }),
        };
    }
}

/// The scale of a decimal that keeps the rules: none of one that breaks them, which is ignored.
pub(super) fn scale(ty: &Json) -> Option<usize> {
    let number = |key: &str, default: Option<u64>| ty.get(key).map_or(default, Json::as_u64);
    let (precision, scale) = (number("precision", None)?, number("scale", Some(0))?);
    // So many digits fit into its bytes: log10(2^(8n - 1) - 1).
    let fits = ty["size"]
        .as_u64()
        .is_none_or(|size| size > 0 && precision as f64 <= ((8 * size - 1) as f64 * 2f64.log10()).floor());
    (precision > 0 && scale <= precision && (type_name(ty) == "bytes" || fits))
        .then(|| usize::try_from(scale).ok())
        .flatten()
}

fn connect_scale(ty: &Json) -> Option<usize> {
    ty["connect.parameters"]["scale"].as_str()?.parse().ok()
}
