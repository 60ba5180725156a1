//! The raw tables: every accepted event as it came, plus what was rejected and what was late.
//! Keyed by where the record came from, append-only.

use crate::events::{CatalogContent, Event, Origin};
use crate::item::ItemId;
use crate::operators::LateEvent;
use crate::table::{Column, Role, Table, TableId, Type, Value, column, incidental, nullable};
use crate::time::{Instant, Settings};
use serde::{Deserialize, Serialize};

/// A row that is added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Append {
    /// To which table.
    pub table: TableId,
    /// Its values, in the order of the table's columns.
    pub values: Vec<Value>,
}

fn raw_table(name: &'static str, doc: &'static str, role: Role, columns: impl IntoIterator<Item = Column>) -> Table {
    let origin = [
        column("_topic", Type::Text, "The topic, or the file."),
        column("_partition", Type::Integer, "The partition; 0 for files."),
        column("_offset", Type::Integer, "The offset; the line for files."),
    ];
    Table { name, doc, role, key_columns: origin.len(), columns: origin.into_iter().chain(columns).collect() }
}

/// An event's own time says how old its row is.
const EVENT: Role = Role::Raw { at: Some("timestamp") };

fn event_columns() -> [Column; 2] {
    [column("event_name", Type::Text, "The event's name."), column("timestamp", Type::Instant, "Event time.")]
}

/// `consumer_events`
pub fn consumer_events() -> Table {
    let own = [
        column("user_id", Type::Integer, "Who."),
        nullable("age", Type::Integer, "In years; registrations only."),
        nullable("masked_email", Type::Text, "Masked; registrations only."),
        nullable("preferred_language", Type::Text, "A language code or empty; registrations only."),
    ];
    let doc = "One row per accepted registration, sign-in or sign-out.";
    raw_table("consumer_events", doc, EVENT, event_columns().into_iter().chain(own))
}

/// `item_view_events`
pub fn item_view_events() -> Table {
    let own = [column("user_id", Type::Integer, "Who."), column("item_id", Type::Text, "What.")];
    raw_table(
        "item_view_events",
        "One row per accepted view of an item.",
        EVENT,
        event_columns().into_iter().chain(own),
    )
}

/// `cart_events`
pub fn cart_events() -> Table {
    let own = [
        column("user_id", Type::Integer, "Who."),
        column("cart_id", Type::Text, "The cart's UUID; `user:<user_id>` for a purchase."),
        nullable("item_id", Type::Text, "What; none for a checkout."),
        nullable("payment_method", Type::Text, "How it was paid; checkouts only."),
        nullable("purchase_amount", Type::Money, "For how much; purchases only."),
    ];
    let doc = "One row per accepted add to a cart, checkout or purchase.";
    raw_table("cart_events", doc, EVENT, event_columns().into_iter().chain(own))
}

/// `rating_events`
pub fn rating_events() -> Table {
    let own = [
        column("user_id", Type::Integer, "Who."),
        column("item_id", Type::Text, "What."),
        column("rating", Type::Integer, "1 to 5."),
    ];
    raw_table("rating_events", "One row per accepted rating.", EVENT, event_columns().into_iter().chain(own))
}

/// `catalog_events`
pub fn catalog_events() -> Table {
    let effective = [
        incidental("effective_at", Type::Instant, "When the version takes effect."),
        incidental("timestamp", Type::Instant, "When the version was made."),
        column("item_id", Type::Text, "Which item."),
    ];
    let columns = effective.into_iter().chain(catalog_columns());
    let doc = "One row per version of a catalog item that was read.";
    // One of years ago may be in force today.
    raw_table("catalog_events", doc, Role::Raw { at: None }, columns)
}

/// `rejected_events`
pub fn rejected_events() -> Table {
    let own = [
        nullable("event_key", Type::Bytes, "The record's key."),
        nullable("schema_id", Type::Integer, "The id of its schema, where it carries one."),
        column("reason", Type::Text, "A stable code."),
        column("detail", Type::Text, "What exactly was wrong."),
        column("raw", Type::Bytes, "The record as it came, e-mail addresses masked."),
        incidental("rejected_at", Type::Instant, "The clock of the epoch before, by which it was judged."),
    ];
    let doc = "One row per record that could not be accepted.";
    raw_table("rejected_events", doc, Role::Rejected { at: "rejected_at" }, own)
}

/// `late_events`
pub fn late_events() -> Table {
    let own = [
        column("timestamp", Type::Instant, "Event time."),
        column("watermark", Type::Instant, "The watermark it was judged by."),
        column("raw", Type::Bytes, "The record as it came, e-mail addresses masked."),
    ];
    let doc = "One row per event that came too late to change a metric.";
    raw_table("late_events", doc, Role::Late { at: "watermark" }, own)
}

/// The columns of a catalog version's content, in the order in which ties are broken.
pub fn catalog_columns() -> [Column; 16] {
    [
        column("title", Type::Text, "The title; empty where the source has none."),
        nullable("price", Type::Money, "The list price in dollars; null, never 0, where there is none."),
        nullable("price_reason", Type::Text, "Why there is no price."),
        nullable("list_price_raw", Type::Text, "The price as it was written."),
        nullable("product_group", Type::Text, "Product group: the catalog is not only films."),
        nullable("binding", Type::Text, "Binding."),
        nullable("genre", Type::Text, "Genre."),
        nullable("studio", Type::Text, "Studio."),
        nullable("brand", Type::Text, "Brand."),
        nullable("release_date", Type::Text, "As written: `yyyy`, `yyyy-mm` or `yyyy-mm-dd`."),
        nullable("audience_rating", Type::Text, "A certificate, not a score."),
        nullable("running_time", Type::Text, "As written; the source mixes units."),
        column("directors", Type::Json, "List of names."),
        column("actors", Type::Json, "List of names."),
        column("languages", Type::Json, "List of languages."),
        column("attributes", Type::Json, "All other keys, each with the list of its values."),
    ]
}

/// The values of [`catalog_columns`].
pub fn catalog_values(content: &CatalogContent) -> [Value; 16] {
    let content = content.clone();
    [
        Value::Text(content.title),
        content.price_cents.map_or(Value::Null, Value::Cents),
        Value::text_or_null(content.price_reason),
        Value::text_or_null(content.list_price_raw),
        Value::text_or_null(content.product_group),
        Value::text_or_null(content.binding),
        Value::text_or_null(content.genre),
        Value::text_or_null(content.studio),
        Value::text_or_null(content.brand),
        Value::text_or_null(content.release_date),
        Value::text_or_null(content.audience_rating),
        Value::text_or_null(content.running_time),
        Value::Text(content.directors),
        Value::Text(content.actors),
        Value::Text(content.languages),
        Value::Text(content.attributes),
    ]
}

fn origin_values(origin: &Origin, settings: &Settings) -> [Value; 3] {
    let (topic, partition) = &settings.partitions[origin.partition as usize];
    [Value::Text(topic.clone()), Value::Integer((*partition).into()), Value::Integer(origin.offset)]
}

/// The row of an accepted event in its raw table.
pub fn append(event: &Event, origin: &Origin, effective_at: Instant, settings: &Settings) -> Append {
    let user = |user_id: u64| Value::Integer(user_id as i64);
    let text = |text: &String| Value::Text(text.clone());
    let item = |id: &ItemId| Value::Text(id.to_string());
    let cart = |cart_id: u128| Value::Text(uuid_text(cart_id));
    let mut values = Vec::with_capacity(10);
    values.extend(origin_values(origin, settings));
    if event.carries_time() {
        values.extend([Value::Text(event.name().to_owned()), Value::Instant(event.timestamp())]);
    }
    let table = match event {
        Event::Registration(e) => {
            values.extend([
                user(e.user_id),
                Value::Integer(e.age.into()),
                text(&e.masked_email),
                text(&e.preferred_language),
            ]);
            TableId::ConsumerEvents
        }
        Event::SignIn(e) | Event::SignOut(e) => {
            values.extend([user(e.user_id), Value::Null, Value::Null, Value::Null]);
            TableId::ConsumerEvents
        }
        Event::ItemView(e) => {
            values.extend([user(e.user_id), item(&e.item_id)]);
            TableId::ItemViewEvents
        }
        Event::AddedToCart(e) => {
            values.extend([user(e.user_id), cart(e.cart_id), item(&e.item_id), Value::Null, Value::Null]);
            TableId::CartEvents
        }
        Event::Checkout(e) => {
            values.extend([user(e.user_id), cart(e.cart_id), Value::Null, text(&e.payment_method), Value::Null]);
            TableId::CartEvents
        }
        Event::Purchase(e) => {
            let cart = Value::Text(format!("user:{}", e.user_id));
            let amount = Value::Cents(e.purchase_amount_cents);
            values.extend([user(e.user_id), cart, item(&e.movie_id), Value::Null, amount]);
            TableId::CartEvents
        }
        Event::ItemRating(e) => {
            values.extend([user(e.user_id), item(&e.item_id), Value::Integer(e.rating.into())]);
            TableId::RatingEvents
        }
        Event::Catalog(e) => {
            values.extend([Value::Instant(effective_at), Value::Instant(e.timestamp), item(&e.item_id)]);
            values.extend(catalog_values(&e.content));
            TableId::CatalogEvents
        }
    };
    Append { table, values }
}

/// The row of a late event; `raw` is the record as it came.
pub fn append_late(late: &LateEvent, raw: Vec<u8>, settings: &Settings) -> Append {
    let mut values = Vec::with_capacity(6);
    values.extend(origin_values(&late.origin, settings));
    values.extend([Value::Instant(late.timestamp), Value::Instant(late.watermark), Value::Bytes(raw.into())]);
    Append { table: TableId::LateEvents, values }
}

/// A UUID in its usual writing.
pub fn uuid_text(id: u128) -> String {
    let mut text = uuid::Uuid::encode_buffer();
    uuid::Uuid::from_u128(id).hyphenated().encode_lower(&mut text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{CatalogItem, Checkout, ItemRating, ItemView, Purchase, Registration, Sign};

    #[test]
    fn every_event_fills_the_columns_of_its_table() {
        let sign = Sign { timestamp: 1, user_id: 2 };
        let events = [
            Event::Registration(Registration {
                timestamp: 1,
                user_id: 2,
                age: 30,
                masked_email: String::new(),
                preferred_language: String::new(),
            }),
            Event::SignIn(sign.clone()),
            Event::SignOut(sign),
            Event::ItemView(ItemView { timestamp: 1, user_id: 2, item_id: "3".into() }),
            Event::AddedToCart(crate::events::AddedToCart {
                timestamp: 1,
                cart_id: 9,
                user_id: 2,
                item_id: "3".into(),
            }),
            Event::Checkout(Checkout { timestamp: 1, cart_id: 9, user_id: 2, payment_method: "Card".into() }),
            Event::Purchase(Purchase { timestamp: 1, user_id: 2, movie_id: "3".into(), purchase_amount_cents: 4 }),
            Event::ItemRating(ItemRating { timestamp: 1, user_id: 2, item_id: "3".into(), rating: 5 }),
            Event::Catalog(Box::new(CatalogItem {
                timestamp: 1,
                item_id: "3".into(),
                content: CatalogContent::default(),
            })),
        ];
        let settings = Settings { partitions: vec![("topic".into(), 0)], ..Settings::default() };
        let origin = Origin { partition: 0, offset: 5, slot: (0, 0) };
        for event in events {
            let row = append(&event, &origin, 1, &settings);
            let columns = &row.table.table().columns;
            assert_eq!(row.values.len(), columns.len(), "{}", event.name());
            for (column, value) in columns.iter().zip(&row.values) {
                assert!(column.nullable || *value != Value::Null, "{}: `{}` is null", event.name(), column.name);
            }
        }
        assert_eq!(uuid_text(0x0123456789abcdef0123456789abcdef), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
