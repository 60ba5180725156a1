//! Events as a producer writes them: Avro in the Confluent wire format, or JSON lines.

use super::shop::{Flaw, Produced};
use crate::decode::avro::{SCHEMAS, TOPICS, header, place_of};
use crate::instant;
use dataflows::events::{CatalogItem, Event};
use serde::Serialize;
use serde_avro_fast::ser::SerializerConfig;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// All fields of one event, by name. A field that an event lacks is left out.
#[derive(Default, Serialize)]
struct Fields<'a> {
    timestamp: &'a str,
    event_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cart_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    movie_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_amount: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    masked_email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_language: Option<&'a str>,
}

/// A catalog version, whole.
#[derive(Serialize)]
struct CatalogFields<'a> {
    timestamp: &'a str,
    event_name: &'a str,
    item_id: String,
    title: &'a str,
    price: Option<f64>,
    list_price_raw: Option<&'a str>,
    product_group: Option<&'a str>,
    binding: Option<&'a str>,
    genre: Option<&'a str>,
    studio: Option<&'a str>,
    brand: Option<&'a str>,
    release_date: Option<&'a str>,
    audience_rating: Option<&'a str>,
    running_time: Option<&'a str>,
    directors: Vec<String>,
    actors: Vec<String>,
    languages: Vec<String>,
    attributes: BTreeMap<String, Vec<String>>,
}

fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}

fn fields<'a>(event: &'a Event, timestamp: &'a str) -> Fields<'a> {
    let common = Fields { timestamp, event_name: event.name(), ..Fields::default() };
    let cart = |cart_id: u128| Some(uuid::Uuid::from_u128(cart_id).to_string());
    let user = |user_id: u64| Some(user_id as i64);
    match event {
        Event::Registration(e) => Fields {
            user_id: user(e.user_id),
            age: Some(e.age as i32),
            masked_email: Some(&e.masked_email),
            preferred_language: Some(&e.preferred_language),
            ..common
        },
        Event::SignIn(e) | Event::SignOut(e) => Fields { user_id: user(e.user_id), ..common },
        Event::ItemView(e) => Fields { user_id: user(e.user_id), item_id: Some(e.item_id.to_string()), ..common },
        Event::AddedToCart(e) => Fields {
            user_id: user(e.user_id),
            item_id: Some(e.item_id.to_string()),
            cart_id: cart(e.cart_id),
            ..common
        },
        Event::Checkout(e) => Fields {
            user_id: user(e.user_id),
            cart_id: cart(e.cart_id),
            payment_method: Some(&e.payment_method),
            ..common
        },
        Event::Purchase(e) => Fields {
            user_id: user(e.user_id),
            movie_id: Some(e.movie_id.to_string()),
            purchase_amount: Some(dollars(e.purchase_amount_cents)),
            ..common
        },
        Event::ItemRating(e) => Fields {
            user_id: user(e.user_id),
            item_id: Some(e.item_id.to_string()),
            rating: Some(e.rating as i32),
            ..common
        },
        Event::Catalog(e) => Fields { item_id: Some(e.item_id.to_string()), ..common },
    }
}

fn catalog_fields<'a>(item: &'a CatalogItem, timestamp: &'a str) -> CatalogFields<'a> {
    let content = &item.content;
    let list = |text: &str| serde_json::from_str(text).unwrap_or_default();
    CatalogFields {
        timestamp,
        event_name: "movies_catalog_enriched",
        item_id: item.item_id.to_string(),
        title: &content.title,
        price: content.price_cents.map(dollars),
        list_price_raw: content.list_price_raw.as_deref(),
        product_group: content.product_group.as_deref(),
        binding: content.binding.as_deref(),
        genre: content.genre.as_deref(),
        studio: content.studio.as_deref(),
        brand: content.brand.as_deref(),
        release_date: content.release_date.as_deref(),
        audience_rating: content.audience_rating.as_deref(),
        running_time: content.running_time.as_deref(),
        directors: list(&content.directors),
        actors: list(&content.actors),
        languages: list(&content.languages),
        attributes: serde_json::from_str(&content.attributes).unwrap_or_default(),
    }
}

/// Encodes events; keeps its buffers.
pub struct Encoder {
    configs: Vec<SerializerConfig<'static>>,
    /// The id of each topic's schema.
    ids: Vec<u32>,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::with_ids((1..=TOPICS.len() as u32).collect())
    }
}

/// The place of an event's topic in [`TOPICS`].
pub fn topic_of(event: &Event) -> usize {
    place_of(event.which())
}

impl Encoder {
    /// Encodes under these ids of the shipped schemas, in the order of [`TOPICS`].
    pub fn with_ids(ids: Vec<u32>) -> Encoder {
        Encoder { configs: SCHEMAS.iter().map(SerializerConfig::new).collect(), ids }
    }

    /// Writes an event as Avro into `out`, under its own time or another text; tells its topic.
    pub fn avro(&mut self, event: &Event, timestamp: Option<&str>, out: &mut Vec<u8>) -> usize {
        let topic = topic_of(event);
        let own = instant::show(event.timestamp());
        let timestamp = timestamp.unwrap_or(&own);
        let mut bytes = std::mem::take(out);
        bytes.clear();
        bytes.extend_from_slice(&header(self.ids[topic]));
        let config = &mut self.configs[topic];
        let written = if let Event::Catalog(item) = event {
            serde_avro_fast::to_datum(&catalog_fields(item, timestamp), bytes, config)
        } else {
            serde_avro_fast::to_datum(&fields(event, timestamp), bytes, config)
        };
        *out = written.expect("events fit the shipped schemas; a test encodes each");
        topic
    }

    /// Writes what was produced, flaw and all; tells its topic.
    pub fn avro_produced(&mut self, produced: &Produced, out: &mut Vec<u8>) -> usize {
        let bad_timestamp = (produced.flaw == Some(Flaw::BadTimestamp)).then_some("yesterday");
        let topic = self.avro(&produced.event, bad_timestamp, out);
        match produced.flaw {
            Some(Flaw::BadMagicByte) => out[0] = b'{',
            Some(Flaw::UnknownSchema) => out[1..5].copy_from_slice(&4_000_000_000_u32.to_be_bytes()),
            Some(Flaw::Truncated) => out.truncate(out.len() * 2 / 3),
            Some(Flaw::BadTimestamp) | None => {}
        }
        topic
    }
}

/// An event as JSON.
pub fn json(event: &Event) -> String {
    json_produced(&Produced { event: event.clone(), flaw: None })
}

/// What was produced as a line of JSON, flaw and all.
pub fn json_produced(produced: &Produced) -> String {
    let own = instant::show(produced.event.timestamp());
    let timestamp = if produced.flaw == Some(Flaw::BadTimestamp) { "yesterday" } else { &own };
    let mut line = if let Event::Catalog(item) = &produced.event {
        serde_json::to_string(&catalog_fields(item, timestamp))
    } else {
        serde_json::to_string(&fields(&produced.event, timestamp))
    }
    .expect("events are JSON");
    match produced.flaw {
        Some(Flaw::Truncated) => line.truncate(line.len() * 2 / 3),
        Some(Flaw::BadMagicByte) => line.insert(0, '\u{1}'),
        Some(Flaw::UnknownSchema) => {
            let mut object: serde_json::Map<String, Json> = serde_json::from_str(&line).unwrap_or_default();
            object.insert("event_name".to_owned(), "something_else".into());
            line = Json::Object(object).to_string();
        }
        Some(Flaw::BadTimestamp) | None => {}
    }
    line
}
