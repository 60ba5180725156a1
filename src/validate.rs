//! The rules of the domain: what is on the wire becomes a typed event, or is rejected with its reason.

use crate::decode::mask::masked_email;
use crate::decode::movies_txt::json;
use crate::decode::price::{list_price, reason};
use crate::decode::wire::{CatalogWire, Money, Text, When, Wire};
use crate::decode::{Reason, Rejection};
use crate::instant;
use dataflows::Instant;
use dataflows::events::{
    AddedToCart, CatalogContent, CatalogItem, Checkout, Event, ItemRating, ItemView, Purchase, Registration, Sign,
};
use dataflows::item::ItemId;
use serde::{Deserialize, Serialize};

/// The bounds of what is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Smallest and largest `user_id`.
    pub user_id: (u64, u64),
    /// Smallest and largest `age`, in years.
    pub age: (u32, u32),
    /// Languages besides none.
    pub preferred_language: Vec<String>,
    /// Methods of payment.
    pub payment_method: Vec<String>,
    /// Nothing happened before this: ISO 8601.
    #[serde(with = "instant::iso")]
    pub min_event_time: Instant,
    /// How far after the epoch's clock an event may be.
    #[serde(with = "crate::instant::span")]
    pub max_future: i64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            user_id: (1, 1_000_000),
            age: (18, 95),
            preferred_language: vec!["eng".to_owned(), "geo".to_owned()],
            payment_method: vec!["Cash".to_owned(), "Card".to_owned()],
            min_event_time: 946_684_800_000,
            max_future: 3_600_000,
        }
    }
}

/// Longer ids are rejected: a catalog numbers its items.
const ITEM_ID_BYTES_MAX: usize = 256;

/// Judges what was on the wire; tells too whether an e-mail address came in clear and was
/// masked. `carries` is the event of the topic, for records that do not name theirs; `besides` reads the
/// rest of a catalog version. What becomes part of the event is taken out of `wire`.
///
/// # Errors
/// The first rule that is broken.
pub fn validate(
    wire: &mut Wire<'_>,
    carries: Option<&str>,
    rules: &Rules,
    clock_ms: i64,
    besides: impl FnOnce() -> Result<CatalogWire, Rejection>,
) -> Result<(Event, bool), Rejection> {
    let name = wire.event_name.as_ref().map(|name| name.0.as_ref()).or(carries);
    let Some(name) = name else { return Err(missing("event_name")) };
    let name = KNOWN.iter().find(|known| **known == name).copied().ok_or_else(|| {
        Rejection::new(Reason::UnknownEvent, format!("`{name}` is no event; expected one of {}", KNOWN.join(", ")))
    })?;
    let timestamp = timestamp(wire, rules, clock_ms)?;
    let mut masked = false;
    let event = match name {
        "consumer_registration" => {
            let age = wire.age.ok_or_else(|| missing("age"))?;
            let age =
                u32::try_from(age).ok().filter(|age| (rules.age.0..=rules.age.1).contains(age)).ok_or_else(|| {
                    let (least, most) = rules.age;
                    Rejection::new(Reason::AgeOutOfRange, format!("`age` is {age}; expected {least} to {most}"))
                })?;
            let user_id = user_id(wire, rules)?;
            let language = required(wire.preferred_language.take(), "preferred_language")?;
            if !language.is_empty() && !rules.preferred_language.contains(&language) {
                let detail = format!(
                    "`preferred_language` is `{language}`; expected {} or empty",
                    rules.preferred_language.join(", ")
                );
                return Err(Rejection::new(Reason::UnknownLanguage, detail));
            }
            let email = wire.masked_email.take().ok_or_else(|| missing("masked_email"))?.0;
            let (masked_email, was_clear) = masked_email(email);
            masked = was_clear;
            Event::Registration(Registration { timestamp, user_id, age, masked_email, preferred_language: language })
        }
        "sign_in" => Event::SignIn(Sign { timestamp, user_id: user_id(wire, rules)? }),
        "sign_out" => Event::SignOut(Sign { timestamp, user_id: user_id(wire, rules)? }),
        "item_view" => {
            let user_id = user_id(wire, rules)?;
            Event::ItemView(ItemView { timestamp, user_id, item_id: item_id(wire.item_id.take(), "item_id")? })
        }
        "added_to_cart" => {
            let (user_id, cart_id) = (user_id(wire, rules)?, cart_id(wire)?);
            Event::AddedToCart(AddedToCart {
                timestamp,
                cart_id,
                user_id,
                item_id: item_id(wire.item_id.take(), "item_id")?,
            })
        }
        "checkout_to_cart" => {
            let (user_id, cart_id) = (user_id(wire, rules)?, cart_id(wire)?);
            let payment_method = required(wire.payment_method.take(), "payment_method")?;
            if !rules.payment_method.contains(&payment_method) {
                let detail =
                    format!("`payment_method` is `{payment_method}`; expected {}", rules.payment_method.join(" or "));
                return Err(Rejection::new(Reason::UnknownPaymentMethod, detail));
            }
            Event::Checkout(Checkout { timestamp, cart_id, user_id, payment_method })
        }
        "purchase" => {
            let user_id = user_id(wire, rules)?;
            let movie_id = item_id(wire.movie_id.take(), "movie_id")?;
            let purchase_amount_cents = match wire.purchase_amount.take().ok_or_else(|| missing("purchase_amount"))? {
                Money(Ok(cents)) if cents >= 0 => cents,
                Money(amount) => {
                    let shown =
                        amount.map_or_else(|text| text, |cents| format!("{}.{:02}", cents / 100, (cents % 100).abs()));
                    let detail = format!("`purchase_amount` is {shown}; expected whole cents, at least 0");
                    return Err(Rejection::new(Reason::BadAmount, detail));
                }
            };
            Event::Purchase(Purchase { timestamp, user_id, movie_id, purchase_amount_cents })
        }
        "item_rating" => {
            let user_id = user_id(wire, rules)?;
            let rating = wire.rating.ok_or_else(|| missing("rating"))?;
            let rating = u32::try_from(rating).ok().filter(|rating| (1..=5).contains(rating)).ok_or_else(|| {
                Rejection::new(Reason::RatingOutOfRange, format!("`rating` is {rating}; expected 1 to 5"))
            })?;
            Event::ItemRating(ItemRating {
                timestamp,
                user_id,
                item_id: item_id(wire.item_id.take(), "item_id")?,
                rating,
            })
        }
        _ => Event::Catalog(Box::new(catalog(wire, besides()?, timestamp)?)),
    };
    Ok((event, masked))
}

const KNOWN: [&str; 9] = [
    "consumer_registration",
    "sign_in",
    "sign_out",
    "item_view",
    "added_to_cart",
    "checkout_to_cart",
    "purchase",
    "item_rating",
    "movies_catalog_enriched",
];

fn missing(field: &str) -> Rejection {
    Rejection::new(Reason::MissingField, format!("`{field}` is missing"))
}

fn required(text: Option<Text<'_>>, field: &str) -> Result<String, Rejection> {
    text.map(|text| text.0.into_owned()).ok_or_else(|| missing(field))
}

fn timestamp(wire: &Wire<'_>, rules: &Rules, clock_ms: i64) -> Result<Instant, Rejection> {
    let at = match wire.timestamp.as_ref().ok_or_else(|| missing("timestamp"))? {
        When::Millis(millis) => *millis,
        When::Text(text) => instant::parse(text).ok_or_else(|| {
            Rejection::new(Reason::BadTimestamp, format!("`timestamp` is `{text}`; expected ISO 8601"))
        })?,
    };
    if at < rules.min_event_time {
        let (at, least) = (instant::show(at), instant::show(rules.min_event_time));
        return Err(Rejection::new(
            Reason::TimestampTooOld,
            format!("`timestamp` is {at}; expected {least} at the earliest"),
        ));
    }
    if at > clock_ms.saturating_add(rules.max_future) {
        // Not the clock itself: the same record is rejected in the same words whenever it is read.
        let (at, future) = (instant::show(at), crate::instant::span::show(rules.max_future));
        let detail = format!("`timestamp` is {at}; expected no later than {future} after the clock (`rejected_at`)");
        return Err(Rejection::new(Reason::TimestampInFuture, detail));
    }
    Ok(at)
}

fn user_id(wire: &Wire<'_>, rules: &Rules) -> Result<u64, Rejection> {
    let id = wire.user_id.ok_or_else(|| missing("user_id"))?;
    u64::try_from(id).ok().filter(|id| (rules.user_id.0..=rules.user_id.1).contains(id)).ok_or_else(|| {
        let (least, most) = rules.user_id;
        Rejection::new(Reason::UserIdOutOfRange, format!("`user_id` is {id}; expected {least} to {most}"))
    })
}

fn cart_id(wire: &Wire<'_>) -> Result<u128, Rejection> {
    let text = &wire.cart_id.as_ref().ok_or_else(|| missing("cart_id"))?.0;
    uuid::Uuid::try_parse(text)
        .map(|id| id.as_u128())
        .map_err(|_| Rejection::new(Reason::BadCartId, format!("`cart_id` is `{text}`; expected a UUID")))
}

fn item_id(text: Option<Text<'_>>, field: &str) -> Result<ItemId, Rejection> {
    let id = text.ok_or_else(|| missing(field))?.0;
    if id.is_empty() || id.len() > ITEM_ID_BYTES_MAX {
        let detail = format!("`{field}` has {} bytes; expected 1 to {ITEM_ID_BYTES_MAX}", id.len());
        return Err(Rejection::new(Reason::BadItemId, detail));
    }
    Ok(ItemId::from(id.as_ref()))
}

fn catalog(named: &mut Wire<'_>, wire: CatalogWire, timestamp: Instant) -> Result<CatalogItem, Rejection> {
    let price = match (wire.price, &wire.list_price_raw) {
        (Some(Money(Ok(cents))), _) if cents > 0 => Ok(cents),
        (Some(Money(Ok(_))), _) => Err(reason::NOT_POSITIVE),
        (Some(Money(Err(_))), _) => Err(reason::UNPARSABLE),
        (None, Some(raw)) => list_price(raw),
        (None, None) => Err(reason::ABSENT),
    };
    Ok(CatalogItem {
        timestamp,
        item_id: item_id(named.item_id.take(), "item_id")?,
        content: CatalogContent {
            title: wire.title.unwrap_or_default(),
            price_cents: price.ok(),
            price_reason: price.err().map(str::to_owned),
            list_price_raw: wire.list_price_raw,
            product_group: wire.product_group,
            binding: wire.binding,
            genre: wire.genre,
            studio: wire.studio,
            brand: wire.brand,
            release_date: wire.release_date,
            audience_rating: wire.audience_rating,
            running_time: wire.running_time,
            directors: json(&wire.directors.unwrap_or_default()),
            actors: json(&wire.actors.unwrap_or_default()),
            languages: json(&wire.languages.unwrap_or_default()),
            attributes: json(&wire.attributes.unwrap_or_default()),
        },
    })
}
