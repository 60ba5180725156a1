//! The rules of the domain: what is on the wire becomes a typed event, or is rejected with its reason.

use crate::bounds::{self, TEXT_BYTES_MAX, VERSION_BYTES_MAX};
use crate::decode::hints::sounds_like;
use crate::decode::mask;
use crate::decode::movies_txt::json;
use crate::decode::number::{NotRead, whole};
use crate::decode::price::{list_price, reason};
use crate::decode::scalar::{Scalar, short};
use crate::decode::wire::{CatalogWire, NotTexts, Wire};
use crate::decode::{Clock, Reason, Rejection, money, when};
use crate::instant;
use dataflows::Instant;
use dataflows::events::{
    AddedToCart, CatalogContent, CatalogItem, Checkout, Event, EventName, ItemRating, ItemView, Purchase, Registration,
    Sign,
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

/// What an event breaks.
#[derive(Debug)]
pub enum Broken {
    /// It does not have this field.
    Missing(&'static str),
    /// A rule.
    Rule(Rejection),
}

impl From<Rejection> for Broken {
    fn from(rejection: Rejection) -> Broken {
        Broken::Rule(rejection)
    }
}

fn broken(reason: Reason, detail: String) -> Broken {
    Broken::Rule(Rejection::new(reason, detail))
}

/// Judges what was on the wire; tells too whether an e-mail address came in clear, in any text, and was
/// masked. `carries` is the event of the topic, for records that do not name theirs; `besides` reads the
/// rest of a catalog version. What becomes part of the event is taken out of `wire`.
///
/// # Errors
/// The first rule that is broken.
pub fn validate<'a>(
    wire: &mut Wire<'_>,
    carries: Option<&str>,
    rules: &Rules,
    clock: Clock,
    besides: impl FnOnce() -> Result<CatalogWire<'a>, Rejection>,
) -> Result<(Event, bool), Broken> {
    let name = event_name(wire, carries)?;
    let timestamp = timestamp(wire, rules, clock)?;
    let mut masked = false;
    let event = match name {
        EventName::Registration => {
            let (least, most) = rules.age;
            let age = number(wire, "age", &wire.age, (least.into(), most.into()), Reason::AgeOutOfRange)? as u32;
            let user_id = user_id(wire, rules)?;
            let language = text(&wire.twice, "preferred_language", wire.preferred_language.take())?;
            if !language.is_empty() && !rules.preferred_language.contains(&language) {
                let (known, language) = (rules.preferred_language.join(", "), short(&language));
                let detail = format!("`preferred_language` is `{language}`; expected {known} or empty");
                return Err(broken(Reason::UnknownLanguage, detail));
            }
            let email = text(&wire.twice, "masked_email", wire.masked_email.take())?;
            let (masked_email, was_clear) = mask::field(email.into());
            masked = was_clear;
            Event::Registration(Registration { timestamp, user_id, age, masked_email, preferred_language: language })
        }
        EventName::SignIn => Event::SignIn(Sign { timestamp, user_id: user_id(wire, rules)? }),
        EventName::SignOut => Event::SignOut(Sign { timestamp, user_id: user_id(wire, rules)? }),
        EventName::ItemView => {
            let user_id = user_id(wire, rules)?;
            Event::ItemView(ItemView { timestamp, user_id, item_id: item_id(wire, "item_id", &wire.item_id)? })
        }
        EventName::AddedToCart => {
            let (user_id, cart_id) = (user_id(wire, rules)?, cart_id(wire)?);
            let item_id = item_id(wire, "item_id", &wire.item_id)?;
            Event::AddedToCart(AddedToCart { timestamp, cart_id, user_id, item_id })
        }
        EventName::Checkout => {
            let (user_id, cart_id) = (user_id(wire, rules)?, cart_id(wire)?);
            let payment_method = text(&wire.twice, "payment_method", wire.payment_method.take())?;
            if !rules.payment_method.contains(&payment_method) {
                let (known, method) = (rules.payment_method.join(" or "), short(&payment_method));
                return Err(broken(
                    Reason::UnknownPaymentMethod,
                    format!("`payment_method` is `{method}`; expected {known}"),
                ));
            }
            Event::Checkout(Checkout { timestamp, cart_id, user_id, payment_method })
        }
        EventName::Purchase => {
            let user_id = user_id(wire, rules)?;
            let movie_id = item_id(wire, "movie_id", &wire.movie_id)?;
            let amount = required(wire, "purchase_amount", &wire.purchase_amount)?;
            let cents = money::cents(amount)
                .and_then(|cents| if cents >= 0 { Ok(cents) } else { Err(money::EXPECTED.to_owned()) })
                .map_err(|why| broken(Reason::BadAmount, format!("`purchase_amount` is {amount}; {why}")))?;
            Event::Purchase(Purchase { timestamp, user_id, movie_id, purchase_amount_cents: cents })
        }
        EventName::ItemRating => {
            let user_id = user_id(wire, rules)?;
            let rating = number(wire, "rating", &wire.rating, (1, 5), Reason::RatingOutOfRange)? as u32;
            let item_id = item_id(wire, "item_id", &wire.item_id)?;
            Event::ItemRating(ItemRating { timestamp, user_id, item_id, rating })
        }
        EventName::Catalog => {
            let mut item = catalog(wire, besides()?, timestamp)?;
            masked = item.content.texts_mut().fold(false, |masked, text| mask::in_place(text) | masked);
            Event::Catalog(Box::new(item))
        }
    };
    Ok((event, masked))
}

fn event_name(wire: &Wire<'_>, carries: Option<&str>) -> Result<EventName, Broken> {
    once(&wire.twice, "event_name")?;
    let Some(name) = &wire.event_name else {
        return carries.and_then(EventName::by_name).ok_or(Broken::Missing("event_name"));
    };
    bounds::of_text("event_name", name.text_bytes())?;
    let name = name.text().ok_or_else(|| wrong_type("event_name", name, "text"))?;
    EventName::by_name(&name).ok_or_else(|| {
        let known: Vec<&str> = EventName::ALL.iter().map(|known| known.as_str()).collect();
        let expected = match known.iter().find(|known| sounds_like(known, &name)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("expected one of {}", known.join(", ")),
        };
        broken(Reason::UnknownEvent, format!("`{}` is no event; {expected}", short(&name)))
    })
}

/// A field that stands there twice says two things, or the same; which was meant is not for us to say.
fn once(twice: &[&'static str], field: &str) -> Result<(), Broken> {
    if twice.contains(&field) {
        let detail = format!("`{field}` stands there twice; which of the two counts cannot be told: write it once");
        return Err(broken(Reason::DuplicateField, detail));
    }
    Ok(())
}

fn required<'w, 'a>(
    wire: &Wire<'_>,
    field: &'static str,
    value: &'w Option<Scalar<'a>>,
) -> Result<&'w Scalar<'a>, Broken> {
    once(&wire.twice, field)?;
    let value = value.as_ref().ok_or(Broken::Missing(field))?;
    bounds::of_text(field, value.text_bytes())?;
    Ok(value)
}

fn wrong_type(field: &str, value: &Scalar<'_>, expected: &str) -> Broken {
    broken(Reason::WrongType, format!("`{field}` is {value}; expected {expected}"))
}

fn text(twice: &[&'static str], field: &'static str, value: Option<Scalar<'_>>) -> Result<String, Broken> {
    once(twice, field)?;
    let value = value.ok_or(Broken::Missing(field))?;
    bounds::of_text(field, value.text_bytes())?;
    if let Scalar::Text(text) = value {
        return Ok(text.into_owned());
    }
    value.text().map(std::borrow::Cow::into_owned).ok_or_else(|| wrong_type(field, &value, "text"))
}

/// A whole number from the first to the second.
fn number(
    wire: &Wire<'_>,
    field: &'static str,
    value: &Option<Scalar<'_>>,
    (least, most): (u64, u64),
    out_of_range: Reason,
) -> Result<u64, Broken> {
    let value = required(wire, field, value)?;
    match whole(value) {
        Ok(number) => u64::try_from(number)
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| broken(out_of_range, format!("`{field}` is {number}; expected {least} to {most}"))),
        Err(NotRead::Beyond) => Err(broken(out_of_range, format!("`{field}` is {value}; expected {least} to {most}"))),
        Err(NotRead::NotWhole) => Err(wrong_type(field, value, "a whole number")),
        Err(NotRead::Imprecise) => {
            let expected = "an integer, or its digits as text: a float so large stands for its neighbours too";
            Err(wrong_type(field, value, expected))
        }
    }
}

fn timestamp(wire: &Wire<'_>, rules: &Rules, clock: Clock) -> Result<Instant, Broken> {
    let value = required(wire, "timestamp", &wire.timestamp)?;
    let at = when::instant(value).map_err(|why| {
        let reason = match value {
            Scalar::Bool(_) | Scalar::Amount(_) | Scalar::Other(_) => Reason::WrongType,
            Scalar::Text(_)
            | Scalar::Long(_)
            | Scalar::Int(_)
            | Scalar::Huge(_)
            | Scalar::Float(_)
            | Scalar::Double(_)
            | Scalar::Bytes(_)
            | Scalar::Instant(_) => Reason::BadTimestamp,
        };
        broken(reason, format!("`timestamp` is {value}; {why}"))
    })?;
    if at < rules.min_event_time {
        let (at, least) = (instant::show(at), instant::show(rules.min_event_time));
        return Err(broken(Reason::TimestampTooOld, format!("`timestamp` is {at}; expected {least} at the earliest")));
    }
    let after = |ms: i64| at > ms.saturating_add(rules.max_future);
    let of_log = clock.log_ms.filter(|&ms| after(ms));
    if of_log.is_some() || after(clock.reader_ms) {
        let (at, future) = (instant::show(at), instant::span::show(rules.max_future));
        // The log's time first, and never the clock itself: an epoch may open before a record is appended or after,
        // and the same record is to be rejected in the same words whenever it is read.
        let of = match of_log {
            Some(ms) => format!("the time that its log gives the record, {}", instant::show(ms)),
            None => "the clock (`rejected_at`)".to_owned(),
        };
        let detail = format!("`timestamp` is {at}; expected no later than {future} after {of}");
        return Err(broken(Reason::TimestampInFuture, detail));
    }
    Ok(at)
}

fn user_id(wire: &Wire<'_>, rules: &Rules) -> Result<u64, Broken> {
    number(wire, "user_id", &wire.user_id, rules.user_id, Reason::UserIdOutOfRange)
}

fn cart_id(wire: &Wire<'_>) -> Result<u128, Broken> {
    let value = required(wire, "cart_id", &wire.cart_id)?;
    let id = value.text().and_then(|text| uuid::Uuid::try_parse(text.trim()).ok());
    id.map(|id| id.as_u128()).ok_or_else(|| broken(Reason::BadCartId, format!("`cart_id` is {value}; expected a UUID")))
}

/// Text without the white space around it, or the digits of a whole number. `012` is not `12`: nobody can tell
/// which of the two a catalog would mean.
fn item_id(wire: &Wire<'_>, field: &'static str, value: &Option<Scalar<'_>>) -> Result<ItemId, Broken> {
    let value = required(wire, field, value)?;
    let is_text = matches!(value, Scalar::Text(_) | Scalar::Bytes(_));
    if let Ok(number) = if is_text { Err(NotRead::NotWhole) } else { whole(value) }
        && let Ok(number) = u64::try_from(number)
    {
        return Ok(ItemId::of(Ok(number)));
    }
    let text = value.text().ok_or_else(|| wrong_type(field, value, "text, or a whole number"))?;
    match text.trim() {
        "" => {
            let detail = format!("`{field}` is empty, or white space; expected the id of an item");
            Err(broken(Reason::BadItemId, detail))
        }
        id if id.len() > ITEM_ID_BYTES_MAX => {
            let detail = format!("`{field}` has {} bytes; expected 1 to {ITEM_ID_BYTES_MAX}", id.len());
            Err(broken(Reason::BadItemId, detail))
        }
        // Masked, two items might become one.
        id if mask::text(id).is_some() => {
            let detail =
                format!("`{field}` holds an e-mail address, which is never stored; expected the id of an item");
            Err(broken(Reason::AddressInKey, detail))
        }
        id => Ok(ItemId::from(id)),
    }
}

fn catalog(named: &Wire<'_>, mut wire: CatalogWire<'_>, timestamp: Instant) -> Result<CatalogItem, Broken> {
    let twice = std::mem::take(&mut wire.twice);
    if let Some(field) = twice.first() {
        once(&twice, field)?;
    }
    let list_price_raw = optional("list_price_raw", wire.list_price_raw)?;
    let price = match (wire.price.as_ref().map(money::cents), &list_price_raw) {
        (Some(Ok(cents)), _) if cents > 0 => Ok(cents),
        (Some(Ok(_)), _) => Err(reason::NOT_POSITIVE),
        (Some(Err(_)), _) => Err(reason::UNPARSABLE),
        (None, Some(raw)) => list_price(raw),
        (None, None) => Err(reason::ABSENT),
    };
    let list = |field, value: Option<crate::decode::wire::Texts>| match value.map(|texts| texts.0) {
        None => Ok(json(&[""; 0])),
        Some(Ok(texts)) => Ok(json(&texts)),
        Some(Err(why)) => Err(not_texts(field, why, "a list of texts")),
    };
    let item = CatalogItem {
        timestamp,
        item_id: item_id(named, "item_id", &named.item_id)?,
        content: CatalogContent {
            title: optional("title", wire.title)?.unwrap_or_default(),
            price_cents: price.ok(),
            price_reason: price.err().map(str::to_owned),
            list_price_raw,
            product_group: optional("product_group", wire.product_group)?,
            binding: optional("binding", wire.binding)?,
            genre: optional("genre", wire.genre)?,
            studio: optional("studio", wire.studio)?,
            brand: optional("brand", wire.brand)?,
            release_date: optional("release_date", wire.release_date)?,
            audience_rating: optional("audience_rating", wire.audience_rating)?,
            running_time: optional("running_time", wire.running_time)?,
            directors: list("directors", wire.directors)?,
            actors: list("actors", wire.actors)?,
            languages: list("languages", wire.languages)?,
            attributes: match wire.attributes.map(|attributes| attributes.0) {
                None => json(&std::collections::BTreeMap::<String, Vec<String>>::new()),
                Some(Ok(attributes)) => json(&attributes),
                Some(Err(why)) => return Err(not_texts("attributes", why, "an object of lists of texts")),
            },
        },
    };
    bounds::of_content(&item.content)?;
    Ok(item)
}

fn not_texts(field: &str, why: NotTexts, expected: &str) -> Broken {
    match why {
        NotTexts::Other(what) => broken(Reason::WrongType, format!("`{field}` is {what}; expected {expected}")),
        NotTexts::LongText(bytes) => {
            Broken::Rule(bounds::too_long(&format!("a text in `{field}`"), bytes as u64, TEXT_BYTES_MAX))
        }
        NotTexts::Long(bytes) => Broken::Rule(bounds::too_long(&format!("`{field}`"), bytes as u64, VERSION_BYTES_MAX)),
    }
}

/// Text, or a number as it is written: a title may be one.
fn optional(field: &str, value: Option<Scalar<'_>>) -> Result<Option<String>, Broken> {
    let Some(value) = value else { return Ok(None) };
    match value {
        Scalar::Text(text) => Ok(Some(text.into_owned())),
        Scalar::Double(number) => Ok(Some(number.to_string())),
        Scalar::Float(number) => Ok(Some(number.to_string())),
        Scalar::Long(_)
        | Scalar::Int(_)
        | Scalar::Huge(_)
        | Scalar::Bool(_)
        | Scalar::Bytes(_)
        | Scalar::Instant(_)
        | Scalar::Amount(_)
        | Scalar::Other(_) => {
            value.text().map(|text| Some(text.into_owned())).ok_or_else(|| wrong_type(field, &value, "text"))
        }
    }
}
