//! The raw tables of the shop: every accepted event as it came.

use crate::events::{
    AddedToCart, CatalogContent, CatalogItem, Checkout, Event, EventName, ItemRating, ItemView, Logs, Origin, Purchase,
    Registration, Sign,
};
use crate::item::ItemId;
use crate::raw::{Append, origin_values, raw_table};
use crate::shop::cart::CartId;
use crate::table::{Column, Declared, Field, Person, Role, TableId, Type, Value, column, field, incidental, nullable};
use crate::time::Instant;
use std::sync::LazyLock;

/// An event's own time says how old its row is.
const EVENT: Role = Role::Raw { at: Some("timestamp") };

fn event_columns() -> [Column; 2] {
    [
        column("event_name", Type::Text, "Name of the event, such as `sign_in`."),
        column("timestamp", Type::Instant, "Time of the event, UTC."),
    ]
}

fn user_id() -> Column {
    let doc = "Id of the user who caused the event; below 0 if that user was forgotten.";
    Column { person: Some(Person::Number), ..column("user_id", Type::Integer, doc) }
}

/// A column that is emptied when the user is forgotten.
fn personal(name: &'static str, ty: Type, doc: &'static str) -> Column {
    Column { emptied: Some(Value::Null), ..nullable(name, ty, doc) }
}

/// A purchase is a cart of its own, called by this and its user.
pub const BUYER: &str = "user:";

static CONSUMER: Declared = Declared::new("consumer_events", || {
    let own = [
        user_id(),
        nullable("age", Type::Integer, "Age in years; null unless the event is a registration."),
        personal(
            "masked_email",
            Type::Text,
            "Masked e-mail address (`****@domain`); null unless the event is a registration.",
        ),
        nullable(
            "preferred_language",
            Type::Text,
            "Language code, empty if none was given; null unless the event is a registration.",
        ),
    ];
    let doc = "One row per accepted registration, sign-in or sign-out. Late ones are included.";
    raw_table("consumer_events", doc, EVENT, event_columns().into_iter().chain(own))
});

/// `consumer_events`
pub const CONSUMER_EVENTS: TableId = TableId::of(&CONSUMER);

static ITEM_VIEW: Declared = Declared::new("item_view_events", || {
    let own = [user_id(), column("item_id", Type::Text, "Id of the item that was viewed.")];
    let doc = "One row per accepted view of an item. Late ones are included.";
    raw_table("item_view_events", doc, EVENT, event_columns().into_iter().chain(own))
});

/// `item_view_events`
pub const ITEM_VIEW_EVENTS: TableId = TableId::of(&ITEM_VIEW);

static CART: Declared = Declared::new("cart_events", || {
    let own = [
        user_id(),
        Column {
            person: Some(Person::Called(BUYER)),
            ..column(
                "cart_id",
                Type::Text,
                "Id of the cart, such as a UUID; `user:<user_id>` for a purchase, which has no cart.",
            )
        },
        nullable("item_id", Type::Text, "Id of the item that was added or purchased; null for a checkout."),
        nullable(
            "payment_method",
            Type::Text,
            "Method of payment, such as `Card`; null unless the event is a checkout.",
        ),
        nullable(
            "purchase_amount",
            Type::Money,
            "Amount of the purchase, in dollars; null unless the event is a purchase.",
        ),
    ];
    let doc = "One row per accepted add to a cart, checkout or purchase. Late ones are included.";
    raw_table("cart_events", doc, EVENT, event_columns().into_iter().chain(own))
});

/// `cart_events`
pub const CART_EVENTS: TableId = TableId::of(&CART);

static RATING: Declared = Declared::new("rating_events", || {
    let own = [
        user_id(),
        column("item_id", Type::Text, "Id of the item that was rated."),
        column("rating", Type::Integer, "Rating that the user gave, 1 to 5."),
    ];
    raw_table(
        "rating_events",
        "One row per accepted rating of an item. Late ones are included.",
        EVENT,
        event_columns().into_iter().chain(own),
    )
});

/// `rating_events`
pub const RATING_EVENTS: TableId = TableId::of(&RATING);

static CATALOG: Declared = Declared::new("catalog_events", || {
    let effective = [
        incidental("effective_at", Type::Instant, "Time from which the version is valid, UTC."),
        incidental("timestamp", Type::Instant, "Timestamp that the version carries, UTC."),
        column("item_id", Type::Text, "Id of the item: its ITEM number, as text."),
    ];
    let content = content_fields(|content: &CatalogContent| content).into_iter().map(|field| field.column);
    let doc = "One row per version of a catalog item that was read, with the time from which it is valid.";
    // One from years ago may be valid today.
    raw_table("catalog_events", doc, Role::Raw { at: None }, effective.into_iter().chain(content))
});

/// `catalog_events`
pub const CATALOG_EVENTS: TableId = TableId::of(&CATALOG);

/// The columns of a catalog version's content, in the order in which ties are broken.
pub fn content_fields<R: 'static>(
    content: impl Fn(&R) -> &CatalogContent + Copy + Send + Sync + 'static,
) -> Vec<Field<R>> {
    let text = |name, doc, text: fn(&CatalogContent) -> &String| {
        field(column(name, Type::Text, doc), move |row: &R| Value::Text(text(content(row)).clone()))
    };
    let list = |name, doc, list: fn(&CatalogContent) -> &String| {
        field(column(name, Type::Json, doc), move |row: &R| Value::Text(list(content(row)).clone()))
    };
    let optional = |name, doc, text: fn(&CatalogContent) -> &Option<String>| {
        field(nullable(name, Type::Text, doc), move |row: &R| Value::text_or_null(text(content(row)).clone()))
    };
    let price = nullable("price", Type::Money, "List price, in dollars; null if there is none, never 0.");
    vec![
        text("title", "Title of the item; empty if the source has none.", |of| &of.title),
        field(price, move |row: &R| content(row).price_cents.map_or(Value::Null, Value::Cents)),
        optional(
            "price_reason",
            "Code of the reason why there is no price, such as `absent`; null if there is one.",
            |of| &of.price_reason,
        ),
        optional("list_price_raw", "List price as the source wrote it; null if the source has none.", |of| {
            &of.list_price_raw
        }),
        optional(
            "product_group",
            "Product group of the item, such as `DVD` or `Book`; null if the source has none.",
            |of| &of.product_group,
        ),
        optional("binding", "Binding of the item, such as `DVD`; null if the source has none.", |of| &of.binding),
        optional("genre", "Genre of the item; null if the source has none.", |of| &of.genre),
        optional("studio", "Studio that made the item; null if the source has none.", |of| &of.studio),
        optional("brand", "Brand of the item; null if the source has none.", |of| &of.brand),
        optional(
            "release_date",
            "Release date as written: `yyyy`, `yyyy-mm` or `yyyy-mm-dd`; null if the source has none.",
            |of| &of.release_date,
        ),
        optional(
            "audience_rating",
            "Certificate of the audience, such as `R (Restricted)`, not a score; null if the source has none.",
            |of| &of.audience_rating,
        ),
        optional(
            "running_time",
            "Running time as written, in the units of the source, which differ; null if it has none.",
            |of| &of.running_time,
        ),
        list("directors", "List of the directors' names; empty if the source has none.", |of| &of.directors),
        list("actors", "List of the actors' names; empty if the source has none.", |of| &of.actors),
        list("languages", "List of the item's languages; empty if the source has none.", |of| &of.languages),
        list("attributes", "Object of all other keys of the source, each with the list of its values.", |of| {
            &of.attributes
        }),
    ]
}

/// Those of the content alone.
static CONTENT: LazyLock<Vec<Field<CatalogContent>>> = LazyLock::new(|| content_fields(|content| content));

/// The raw table of an event.
pub fn table_of(event: &Event) -> TableId {
    match event {
        Event::Registration(_) | Event::SignIn(_) | Event::SignOut(_) => CONSUMER_EVENTS,
        Event::ItemView(_) => ITEM_VIEW_EVENTS,
        Event::AddedToCart(_) | Event::Checkout(_) | Event::Purchase(_) => CART_EVENTS,
        Event::ItemRating(_) => RATING_EVENTS,
        Event::Catalog(_) => CATALOG_EVENTS,
    }
}

/// The row of an accepted event in its raw table.
pub fn append(event: &Event, origin: &Origin, effective_at: Instant, logs: &Logs) -> Append {
    let values = origin_values(origin, logs).into_iter().chain(own(event, effective_at)).collect();
    Append { table: table_of(event), values }
}

/// What a raw table says of an event, without where it came from.
pub(super) fn own(event: &Event, effective_at: Instant) -> Vec<Value> {
    let user = |user_id: u64| Value::Integer(user_id as i64);
    let text = |text: &String| Value::Text(text.clone());
    let item = |id: &ItemId| Value::Text(id.to_string());
    let cart = |cart_id: &CartId| Value::Text(cart_id.to_string());
    let mut values = Vec::with_capacity(8);
    if event.carries_time() {
        values.extend([Value::Text(event.name().to_owned()), Value::Instant(event.timestamp())]);
    }
    match event {
        Event::Registration(e) => {
            values.extend([
                user(e.user_id),
                Value::Integer(e.age.into()),
                text(&e.masked_email),
                text(&e.preferred_language),
            ]);
        }
        Event::SignIn(e) | Event::SignOut(e) => {
            values.extend([user(e.user_id), Value::Null, Value::Null, Value::Null]);
        }
        Event::ItemView(e) => {
            values.extend([user(e.user_id), item(&e.item_id)]);
        }
        Event::AddedToCart(e) => {
            values.extend([user(e.user_id), cart(&e.cart_id), item(&e.item_id), Value::Null, Value::Null]);
        }
        Event::Checkout(e) => {
            values.extend([user(e.user_id), cart(&e.cart_id), Value::Null, text(&e.payment_method), Value::Null]);
        }
        Event::Purchase(e) => {
            let cart = Value::Text(format!("{BUYER}{}", e.user_id));
            let amount = Value::Cents(e.purchase_amount_cents);
            values.extend([user(e.user_id), cart, item(&e.movie_id), Value::Null, amount]);
        }
        Event::ItemRating(e) => {
            values.extend([user(e.user_id), item(&e.item_id), Value::Integer(e.rating.into())]);
        }
        Event::Catalog(e) => {
            values.extend([Value::Instant(effective_at), Value::Instant(e.timestamp), item(&e.item_id)]);
            values.extend(CONTENT.iter().map(|field| (field.value)(&e.content)));
        }
    }
    values
}

/// The event of a row of a raw table; nothing if no event makes such a row.
pub fn event(id: TableId, row: &[Value]) -> Option<Event> {
    let own = row.get(id.table().key_columns..)?;
    if id == CATALOG_EVENTS {
        let [Value::Instant(decided), Value::Instant(timestamp), Value::Text(item), content @ ..] = own else {
            return None;
        };
        let content = content_of(content)?;
        let (timestamp, item_id) = (*timestamp, item.as_str().into());
        return Some(Event::Catalog(Box::new(CatalogItem { timestamp, item_id, content, decided: Some(*decided) })));
    }
    let [Value::Text(name), Value::Instant(timestamp), Value::Integer(user), rest @ ..] = own else { return None };
    let (timestamp, user_id) = (*timestamp, *user as u64);
    let sign = || Sign { timestamp, user_id };
    let name = *EventName::ALL.iter().find(|known| known.as_str() == name)?;
    Some(match (name, rest) {
        (EventName::Registration, [Value::Integer(age), email, Value::Text(language)]) => {
            Event::Registration(Registration {
                timestamp,
                user_id,
                age: u32::try_from(*age).ok()?,
                // It is emptied when the user is forgotten.
                masked_email: if let Value::Text(email) = email { email.clone() } else { String::new() },
                preferred_language: language.clone(),
            })
        }
        (EventName::SignIn, _) => Event::SignIn(sign()),
        (EventName::SignOut, _) => Event::SignOut(sign()),
        (EventName::ItemView, [Value::Text(item)]) => {
            Event::ItemView(ItemView { timestamp, user_id, item_id: item.as_str().into() })
        }
        (EventName::AddedToCart, [Value::Text(cart), Value::Text(item), ..]) => Event::AddedToCart(AddedToCart {
            timestamp,
            cart_id: cart.as_str().into(),
            user_id,
            item_id: item.as_str().into(),
        }),
        (EventName::Checkout, [Value::Text(cart), _, Value::Text(method), ..]) => Event::Checkout(Checkout {
            timestamp,
            cart_id: cart.as_str().into(),
            user_id,
            payment_method: method.clone(),
        }),
        (EventName::Purchase, [_, Value::Text(item), _, Value::Cents(purchase_amount_cents)]) => {
            let (movie_id, purchase_amount_cents) = (item.as_str().into(), *purchase_amount_cents);
            Event::Purchase(Purchase { timestamp, user_id, movie_id, purchase_amount_cents })
        }
        (EventName::ItemRating, [Value::Text(item), Value::Integer(rating)]) => Event::ItemRating(ItemRating {
            timestamp,
            user_id,
            item_id: item.as_str().into(),
            rating: u32::try_from(*rating).ok()?,
        }),
        _ => return None,
    })
}

/// The content of a version, of the columns that [`content_fields`] makes of it.
fn content_of(values: &[Value]) -> Option<CatalogContent> {
    let text = |place: usize| if let Value::Text(text) = values.get(place)? { Some(text.clone()) } else { None };
    Some(CatalogContent {
        title: text(0)?,
        price_cents: if let Value::Cents(cents) = values.get(1)? { Some(*cents) } else { None },
        price_reason: text(2),
        list_price_raw: text(3),
        product_group: text(4),
        binding: text(5),
        genre: text(6),
        studio: text(7),
        brand: text(8),
        release_date: text(9),
        audience_rating: text(10),
        running_time: text(11),
        directors: text(12)?,
        actors: text(13)?,
        languages: text(14)?,
        attributes: text(15)?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Each event there is, with ids that are numbers and ids that are not.
    pub(in crate::shop) fn events() -> Vec<Event> {
        let sign = Sign { timestamp: 1, user_id: 2 };
        let (timestamp, user_id) = (-1, u64::MAX);
        vec![
            Event::Registration(Registration {
                timestamp: 1,
                user_id: 2,
                age: 30,
                masked_email: String::new(),
                preferred_language: "en".to_owned(),
            }),
            Event::SignIn(sign.clone()),
            Event::SignOut(sign),
            Event::ItemView(ItemView { timestamp: 1, user_id: 2, item_id: "3".into() }),
            Event::ItemView(ItemView { timestamp, user_id, item_id: "B00X".into() }),
            Event::AddedToCart(AddedToCart { timestamp: 1, cart_id: 9.into(), user_id: 2, item_id: "3".into() }),
            Event::AddedToCart(AddedToCart { timestamp, cart_id: "c-1".into(), user_id, item_id: "".into() }),
            Event::Checkout(Checkout { timestamp: 1, cart_id: 9.into(), user_id: 2, payment_method: "Card".into() }),
            Event::Purchase(Purchase { timestamp: 1, user_id: 2, movie_id: "3".into(), purchase_amount_cents: 4 }),
            Event::ItemRating(ItemRating { timestamp: 1, user_id: 2, item_id: "3".into(), rating: 5 }),
            Event::Catalog(Box::new(CatalogItem {
                timestamp: 1,
                item_id: "3".into(),
                content: CatalogContent {
                    price_cents: Some(5),
                    genre: Some("Noir".into()),
                    ..CatalogContent::default()
                },
                decided: Some(7),
            })),
        ]
    }

    /// The row of an event in its raw table.
    pub(in crate::shop) fn row(event: &Event) -> Append {
        let logs = Logs { partitions: vec![("topic".into(), 0)], sequence: 0..0 };
        let origin = Origin { partition: 0, offset: 5, slot: (0, 0) };
        let decided = if let Event::Catalog(item) = event { item.decided } else { None };
        append(event, &origin, decided.unwrap_or(1), &logs)
    }

    #[test]
    fn every_event_fills_the_columns_of_its_table() {
        for event in events() {
            let row = row(&event);
            assert_eq!(super::event(row.table, &row.values), Some(event.clone()), "{}", event.name());
            let columns = &row.table.table().columns;
            assert_eq!(row.values.len(), columns.len(), "{}", event.name());
            for (column, value) in columns.iter().zip(&row.values) {
                assert!(column.nullable || *value != Value::Null, "{}: `{}` is null", event.name(), column.name);
            }
        }
        let id = CartId::from(0x0123456789abcdef0123456789abcdef);
        assert_eq!(id.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
