//! What may stand in an event on the wire, whatever it is written in. Everything is optional here;
//! what an event needs is `validate`'s to say.

use super::avro::FromWriter;
use super::price::CENTS_MAX;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The fields of all events but the catalog's, by their names on the wire.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the schemas say what each means")]
pub struct Wire<'a> {
    #[serde(borrow)]
    pub event_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub timestamp: Option<When<'a>>,
    pub user_id: Option<i64>,
    pub age: Option<i64>,
    #[serde(borrow)]
    pub masked_email: Option<Text<'a>>,
    #[serde(borrow)]
    pub preferred_language: Option<Text<'a>>,
    #[serde(borrow)]
    pub item_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub cart_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub payment_method: Option<Text<'a>>,
    #[serde(borrow)]
    pub movie_id: Option<Text<'a>>,
    pub purchase_amount: Option<Money>,
    pub rating: Option<i64>,
}

/// What stands besides in a version of a catalog item: read only where there is one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the schemas say what each means")]
pub struct CatalogWire {
    pub price: Option<Money>,
    pub title: Option<String>,
    pub list_price_raw: Option<String>,
    pub product_group: Option<String>,
    pub binding: Option<String>,
    pub genre: Option<String>,
    pub studio: Option<String>,
    pub brand: Option<String>,
    pub release_date: Option<String>,
    pub audience_rating: Option<String>,
    pub running_time: Option<String>,
    pub directors: Option<Vec<String>>,
    pub actors: Option<Vec<String>>,
    pub languages: Option<Vec<String>>,
    pub attributes: Option<BTreeMap<String, Vec<String>>>,
}

impl<'a> FromWriter<'a> for Wire<'a> {
    fn in_ms(mut self, per_ms: i64) -> Wire<'a> {
        if let Some(When::Millis(units)) = &mut self.timestamp {
            *units = units.div_euclid(per_ms);
        }
        self
    }
}

impl FromWriter<'_> for CatalogWire {
    fn in_ms(self, _: i64) -> CatalogWire {
        self
    }
}

/// Text, borrowed from the payload where it can be. Ids may come as numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// An instant: text in ISO 8601, or milliseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub enum When<'a> {
    /// As text.
    Text(Cow<'a, str>),
    /// As a number.
    Millis(i64),
}

/// Money in cents, or what could not be read as money.
#[derive(Debug, PartialEq, Eq)]
pub struct Money(pub Result<i64, String>);

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
    /// A writer may have promoted its text to bytes.
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
        std::str::from_utf8(bytes).map_err(E::custom).and_then(|text| self.visit_str(text))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct WhenVisitor;

impl<'de> Visitor<'de> for WhenVisitor {
    type Value = When<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an instant: ISO 8601 text or milliseconds since 1970")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<When<'de>, E> {
        Ok(When::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<When<'de>, E> {
        Ok(When::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<When<'de>, E> {
        i64::try_from(number).map(When::Millis).map_err(E::custom)
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<When<'de>, E> {
        Ok(When::Millis(number))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for When<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WhenVisitor)
    }
}

struct MoneyVisitor;

impl Visitor<'_> for MoneyVisitor {
    type Value = Money;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an amount of money")
    }
    fn visit_f64<E: Error>(self, dollars: f64) -> Result<Money, E> {
        let cents = (dollars * 100.0).round();
        // A double that was made from whole cents lies closer to them than this.
        let whole = (dollars * 100.0 - cents).abs() < 1e-4 && cents.abs() <= CENTS_MAX as f64;
        Ok(Money(if whole { Ok(cents as i64) } else { Err(dollars.to_string()) }))
    }
    fn visit_u64<E: Error>(self, dollars: u64) -> Result<Money, E> {
        self.visit_f64(dollars as f64)
    }
    fn visit_i64<E: Error>(self, dollars: i64) -> Result<Money, E> {
        self.visit_f64(dollars as f64)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Money, E> {
        match text.trim().parse::<f64>() {
            Ok(dollars) => self.visit_f64(dollars),
            Err(_) => Ok(Money(Err(text.to_owned()))),
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MoneyVisitor)
    }
}
