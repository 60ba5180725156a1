//! Avro in the Confluent wire format: a zero byte, the schema's id, the datum.

use super::{Reason, Rejection};
use serde_avro_fast::Schema;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState, read::SliceRead};
use std::io::Read;
use std::sync::LazyLock;

/// No list or map of an event is longer than this many entries.
const SEQUENCE_MAX: usize = 10_000;

/// A topic of the movie shop, as shipped: its default name, the event it carries, its schema.
pub struct Topic {
    /// The default name.
    pub name: &'static str,
    /// The event's name.
    pub event_name: &'static str,
    /// The schema, as in `schemas/events/`.
    pub schema: &'static str,
}

macro_rules! topic {
    ($name:literal, $event:literal) => {
        Topic {
            name: $name,
            event_name: $event,
            schema: include_str!(concat!("../../schemas/events/", $name, ".avsc")),
        }
    };
}

/// The topics of the movie shop. In the embedded registry a schema's id is its place here, from 1.
pub static TOPICS: [Topic; 9] = [
    topic!("movies_catalog_enriched", "movies_catalog_enriched"),
    topic!("consumer_registration_topic", "consumer_registration"),
    topic!("sign_in_topic", "sign_in"),
    topic!("sign_out_topic", "sign_out"),
    topic!("item_view_topic", "item_view"),
    topic!("added_to_cart", "added_to_cart"),
    topic!("checkout_to_cart", "checkout_to_cart"),
    topic!("checkout_topic", "purchase"),
    topic!("item_rating_topic", "item_rating"),
];

/// The shipped schemas, parsed.
pub static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    TOPICS
        .iter()
        .map(|topic| topic.schema.parse().expect("the shipped schemas are valid; a test parses each"))
        .collect()
});

/// The five bytes before the datum.
pub fn header(schema_id: u32) -> [u8; 5] {
    let [a, b, c, d] = schema_id.to_be_bytes();
    [0, a, b, c, d]
}

/// Reads a payload by its writer's schema: fields are matched by name, missing ones are absent.
///
/// # Errors
/// If it is not in the wire format, names an unknown schema, or does not follow it.
pub fn decode<'a, T: serde::Deserialize<'a>>(payload: &'a [u8]) -> Result<(u32, T), Rejection> {
    let Some((&[magic, a, b, c, d], datum)) = payload.split_first_chunk::<5>() else {
        let detail = format!("{} bytes are too few for the Confluent wire format", payload.len());
        return Err(Rejection::new(Reason::Undecodable, detail));
    };
    if magic != 0 {
        let detail = format!("the first byte is {magic}, not 0: not in the Confluent wire format");
        return Err(Rejection::new(Reason::BadMagicByte, detail));
    }
    let id = u32::from_be_bytes([a, b, c, d]);
    let rejected = |reason, detail| Rejection { reason, detail, schema_id: Some(id), email: None };
    let schema = (id as usize).checked_sub(1).and_then(|place| SCHEMAS.get(place));
    let schema =
        schema.ok_or_else(|| rejected(Reason::UnknownSchema, format!("schema {id} is not in the registry")))?;
    let mut config = DeserializerConfig::new(schema);
    config.max_seq_size = SEQUENCE_MAX;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let wire = serde::Deserialize::deserialize(state.deserializer())
        .map_err(|error| rejected(Reason::Undecodable, format!("does not follow schema {id}: {error}")))?;
    match state.into_reader().read(&mut [0]) {
        Ok(0) => Ok((id, wire)),
        _ => Err(rejected(Reason::Undecodable, format!("has bytes left over after a datum of schema {id}"))),
    }
}
