//! Avro in the Confluent wire format: a zero byte, the schema's id, the datum.

pub mod headers;
pub mod leaves;
mod references;
pub mod schema;
pub mod value;
mod written;

use super::hints::Outline;
use super::{Reason, Rejection};
use crate::families::{SHOP, TOPICS};
use arc_swap::ArcSwap;
use dataflows::wire::{Names, Set, Wire};
use schema::Branch;
use serde::de::{DeserializeSeed, IgnoredAny};
use serde_avro_fast::Schema;
use serde_avro_fast::de::{DeError, DeserializerConfig, DeserializerState, read::SliceRead};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::io::Read as _;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock, OnceLock};

/// No list or map of an event is longer than this many entries.
const SEQUENCE_MAX: usize = 10_000;

/// The shipped schemas, parsed.
pub static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    TOPICS
        .iter()
        .map(|topic| topic.schema.parse().expect("the shipped schemas are valid; a test parses each"))
        .collect()
});

/// What a record was written by.
#[derive(Debug)]
pub struct Writer {
    schema: Schema,
    /// As it stands in the registry, with what it refers to.
    json: Json,
    read: OnceLock<Box<Read>>,
    is_union: bool,
}

/// What a datum may be of, more than one if the schema is a union, as it is read by some names. Others may follow: names
/// may come to be known later than schemas.
#[derive(Debug)]
struct Read {
    names: &'static Names,
    branches: Vec<Branch>,
    next: OnceLock<Box<Read>>,
}

impl Writer {
    /// As it stands in the registry, with what it refers to.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// Of a schema as it stands in the registry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Writer, String> {
        Writer::parse_with(text, &[])
    }

    /// Of a schema as it stands in the registry, and those that it refers to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_with(text: &str, references: &[String]) -> Result<Writer, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("is not an Avro schema that can be read: {error}");
        let json = |text: &str| serde_json::from_str::<Json>(text).map_err(|error| wrong(&error));
        let referred = references.iter().map(|text| json(text)).collect::<Result<Vec<_>, _>>()?;
        let json = references::resolved(json(text)?, &referred);
        let layout = schema::layout(&json);
        let schema = layout.to_string().parse().map_err(|error| wrong(&error))?;
        let is_union = layout.is_array();
        Ok(Writer { schema, json, read: OnceLock::new(), is_union })
    }

    /// What a datum may be of, as it is read by these names.
    fn branches(&self, names: &'static Names) -> &[Branch] {
        let mut place = &self.read;
        loop {
            let made = || Box::new(Read { names, branches: schema::read(&self.json, names), next: OnceLock::new() });
            let read = place.get_or_init(made);
            if std::ptr::eq(read.names, names) {
                return &read.branches;
            }
            place = &read.next;
        }
    }

    /// What this datum is of, as a family reads it that has these names.
    fn branch(&self, names: &'static Names, datum: &[u8]) -> Option<&Branch> {
        self.branches(names).get(if self.is_union { first_number(datum)? } else { 0 })
    }

    /// The names of the fields that this datum has.
    fn outline(&self, datum: &[u8]) -> Option<&Outline> {
        Some(&self.branch(SHOP.names(), datum)?.outline)
    }
}

/// The number that a datum begins with: of a union, which of its types it is of.
fn first_number(datum: &[u8]) -> Option<usize> {
    let mut number = 0_u64;
    for (place, byte) in datum.iter().take(9).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            // Of a number below 0 there is no type.
            return (number & 1 == 0).then(|| usize::try_from(number >> 1).ok())?;
        }
    }
    None
}

/// Writers' schemas by id: each as it can be used, or why it cannot.
type Writers = HashMap<u32, Result<Arc<Writer>, String>>;

/// The schemas that are known. Read without a lock; added to as they come to be known.
#[derive(Clone, Debug, Default)]
pub struct Schemas(Arc<ArcSwap<Writers>>);

impl PartialEq for Schemas {
    fn eq(&self, other: &Schemas) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Schemas {}

impl Schemas {
    /// The shipped ones, under their places in [`TOPICS`], from 1.
    pub fn shipped() -> Schemas {
        static SHIPPED: LazyLock<Schemas> = LazyLock::new(|| {
            let schemas = Schemas::default();
            for (place, topic) in TOPICS.iter().enumerate() {
                schemas.insert(place as u32 + 1, Writer::parse(topic.schema));
            }
            schemas
        });
        SHIPPED.clone()
    }

    /// Adds one, or why there is none.
    pub fn insert(&self, id: u32, writer: Result<Writer, String>) {
        let writer = writer.map(Arc::new);
        self.0.rcu(|known| {
            let mut known = Writers::clone(known);
            known.insert(id, writer.clone());
            known
        });
    }

    /// One that can be used.
    pub fn writer(&self, id: u32) -> Option<Arc<Writer>> {
        self.0.load().get(&id)?.as_ref().ok().cloned()
    }

    /// Whether one is known, or known not to be there.
    pub fn knows(&self, id: u32) -> bool {
        self.0.load().contains_key(&id)
    }

    /// Whether one is known and can be used.
    pub fn has(&self, id: u32) -> bool {
        matches!(self.0.load().get(&id), Some(Ok(_)))
    }
}

/// The id of the schema in a payload's header, if it has one.
pub fn schema_id(payload: &[u8]) -> Option<u32> {
    match payload.split_first_chunk::<5>()?.0 {
        [0, a, b, c, d] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// How many bytes stand before the datum: a zero, and the id of its schema.
pub const HEADER_BYTES: usize = 5;

/// The bytes before the datum.
pub fn header(schema_id: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = schema_id.to_be_bytes();
    [0, a, b, c, d]
}

/// The id of the schema, and what follows it.
///
/// # Errors
/// If it is not in the wire format.
pub fn split(payload: &[u8]) -> Result<(u32, &[u8]), Rejection> {
    let Some((&[magic, a, b, c, d], datum)) = payload.split_first_chunk::<5>() else {
        let detail = format!("{} bytes are too few for the Confluent wire format", payload.len());
        return Err(Rejection::new(Reason::UNDECODABLE, detail));
    };
    if magic != 0 {
        let detail = format!("the first byte is {magic}, not 0: not in the Confluent wire format");
        return Err(Rejection::new(Reason::BAD_MAGIC_BYTE, detail));
    }
    Ok((u32::from_be_bytes([a, b, c, d]), datum))
}

/// Reads the fields of a set by a payload's writer's schema: missing ones are absent. Tells the id of the schema.
///
/// # Errors
/// If it is not in the wire format, names an unknown schema, or does not follow it.
pub fn decode<'a>(
    payload: &'a [u8],
    schemas: &Schemas,
    wire: &mut Wire<'static, 'a>,
    set: Set,
) -> Result<u32, Rejection> {
    let (id, datum) = split(payload)?;
    let rejected = |reason, detail| Rejection { reason, detail, schema_id: Some(id) };
    let known = schemas.0.load();
    let writer = match known.get(&id) {
        Some(Ok(writer)) => writer,
        Some(Err(why)) => return Err(rejected(Reason::UNKNOWN_SCHEMA, format!("schema {id} {why}"))),
        None => return Err(rejected(Reason::UNKNOWN_SCHEMA, headers::why_unknown(id, payload))),
    };
    let branch = writer.branch(wire.names(), datum);
    if let Some(other) = branch.and_then(|branch| branch.other.as_ref()) {
        return Err(rejected(Reason::WRONG_TYPE, format!("is `{other}` by schema {id}, not a record")));
    }
    let plan = branch.map(|branch| &branch.plans[set.place()]);
    let slots = plan.map_or(&[][..], |plan| &plan.slots);
    match read_seed(wire.in_order(set, slots), datum, writer) {
        Ok(((), 0)) => {
            for (slot, logical) in plan.into_iter().flat_map(|plan| &plan.meanings) {
                wire.mean(*slot, |value| logical.applied(value));
            }
            Ok(id)
        }
        Ok(_) => Err(rejected(Reason::UNDECODABLE, format!("has bytes left over after a datum of schema {id}"))),
        Err(error) => {
            // A datum that follows its schema all the same has another type than ours somewhere.
            let follows = matches!(read_seed(PhantomData::<IgnoredAny>, datum, writer), Ok((_, 0)));
            let reason = if follows { Reason::WRONG_TYPE } else { Reason::UNDECODABLE };
            let what = if follows { "is not an event by" } else { "does not follow" };
            Err(rejected(reason, format!("{what} schema {id}: {error}")))
        }
    }
}

/// The names of the fields that a payload's writer has.
pub fn outline(payload: &[u8], schemas: &Schemas) -> Outline {
    let Ok((id, datum)) = split(payload) else { return Outline::default() };
    let known = schemas.0.load();
    let writer = known.get(&id).and_then(|writer| writer.as_ref().ok());
    writer.and_then(|writer| writer.outline(datum)).cloned().unwrap_or_default()
}

/// A datum, and how many bytes are left over after it: none, or more.
fn read_seed<'a, S: DeserializeSeed<'a>>(
    seed: S,
    datum: &'a [u8],
    writer: &Writer,
) -> Result<(S::Value, usize), DeError> {
    let mut config = DeserializerConfig::new(&writer.schema);
    config.max_seq_size = SEQUENCE_MAX;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let read = seed.deserialize(state.deserializer())?;
    Ok((read, state.into_reader().read(&mut [0]).unwrap_or_default()))
}
