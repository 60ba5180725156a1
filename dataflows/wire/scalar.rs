//! A value as it stands on the wire, whatever it is written in. Nothing is judged here but what it is: which
//! field wants a number, an instant or money of it is for [`number`](super::number), [`when`](super::when)
//! and [`money`](super::money) to say. So one visitor does for all fields, in JSON and in Avro.

use super::mask;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A value, borrowed from the payload where it can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number: JSON's, or Avro's `long`.
    Long(i64),
    /// Avro's `int`, which has logical types of its own.
    Int(i32),
    /// A whole number that no `long` holds.
    Huge(u64),
    /// A 32-bit float.
    Float(f32),
    /// A double.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// Avro's `bytes` and `fixed`: text that was promoted, or a decimal.
    Bytes(Cow<'a, [u8]>),
    /// An instant in milliseconds, by the unit that the writer's schema names.
    Instant(i64),
    /// An amount and its currency, `{"amount": 12.5, "currency": "USD"}`.
    Amount(Box<Amount<'a>>),
    /// What is no single value: what to call it.
    Other(&'static str),
}

/// An object with these two, and perhaps others.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount<'a> {
    /// How much.
    pub amount: Scalar<'a>,
    /// Of what.
    pub currency: Scalar<'a>,
}

/// What a list is called.
const LIST: &str = "a list";
/// And an object.
const OBJECT: &str = "an object";

/// Whether what is called so holds values.
pub(super) fn is_several(what: &str) -> bool {
    [LIST, OBJECT].contains(&what)
}

impl<'a> Scalar<'a> {
    /// How many bytes it has if it is text, or bytes that may stand for it.
    pub fn text_bytes(&self) -> usize {
        self.bytes_of_text().map_or(0, <[u8]>::len)
    }

    /// Its bytes, if it is text, or bytes that may stand for it.
    pub fn bytes_of_text(&self) -> Option<&[u8]> {
        match self {
            Scalar::Text(text) => Some(text.as_bytes()),
            Scalar::Bytes(bytes) => Some(bytes),
            Scalar::Long(_)
            | Scalar::Int(_)
            | Scalar::Huge(_)
            | Scalar::Float(_)
            | Scalar::Double(_)
            | Scalar::Bool(_)
            | Scalar::Instant(_)
            | Scalar::Amount(_)
            | Scalar::Other(_) => None,
        }
    }

    /// The text itself, if it is text, or bytes that are.
    pub fn borrowed(&self) -> Option<&str> {
        if let Scalar::Text(text) = self { Some(text) } else { std::str::from_utf8(self.bytes_of_text()?).ok() }
    }
}

/// As a message calls it: `the text "six"`, `the number 1007.5`, `an object`.
impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) if text.is_empty() => f.write_str("an empty text"),
            Scalar::Text(text) => write!(f, "the text {}", quoted(text)),
            Scalar::Long(number) => write!(f, "the number {number}"),
            Scalar::Int(number) => write!(f, "the number {number}"),
            Scalar::Huge(number) => write!(f, "the number {number}"),
            // As JSON writes them: a whole one with its `.0`, a very large one with its exponent.
            Scalar::Float(number) => write!(f, "the number {number:?}"),
            Scalar::Double(number) => write!(f, "the number {number:?}"),
            Scalar::Bool(value) => value.fmt(f),
            Scalar::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => write!(f, "the bytes {}", quoted(text)),
                Err(_) => write!(f, "{} bytes that are not text", bytes.len()),
            },
            Scalar::Instant(at) => f.write_str(&super::instant::show(*at)),
            Scalar::Amount(amount) => {
                write!(f, "an object: its amount is {}, its currency {}", amount.amount, amount.currency)
            }
            Scalar::Other(what) => f.write_str(what),
        }
    }
}

/// No more characters are shown of a text.
const SHOWN: usize = 80;

/// A text as a message shows it: without addresses, and its beginning if it is long. Masked before it is cut: of an
/// address that was cut nobody would know that it is one.
pub fn short(text: &str) -> Cow<'_, str> {
    first(text, SHOWN)
}

/// A text as a message shows it, of so many characters at the most, and [`short`] in all else.
pub fn first(text: &str, shown: usize) -> Cow<'_, str> {
    /// An address that begins in what is shown ends within this.
    const LOOKED_AT: usize = 1_024;
    let end = |text: &str, count| text.char_indices().nth(count).map(|(end, _)| end);
    let looked_at = end(text, LOOKED_AT).map_or(text, |end| &text[..end]);
    let masked = mask::text(looked_at).map_or(Cow::Borrowed(looked_at), Cow::Owned);
    match end(&masked, shown) {
        Some(end) => Cow::Owned(format!("{}...", &masked[..end])),
        None => masked,
    }
}

/// A text in its quotes, on one line: what cannot be seen is written out, and less is shown of a text that has much of
/// that.
pub fn quoted(text: &str) -> String {
    /// Of ten characters each may be written as `\u{10ffff}`.
    const WRITTEN: usize = 120;
    let shown = |shown| format!("{:?}", first(text, shown));
    let fits = |quoted: &String| quoted.chars().count() <= WRITTEN;
    [SHOWN, SHOWN / 2].into_iter().map(shown).find(fits).unwrap_or_else(|| shown(10))
}

/// Reads any value. Of an object the amount and the currency are kept, unless it stands in one itself.
struct Any {
    in_object: bool,
}

impl<'de> Visitor<'de> for Any {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_string<E: Error>(self, text: String) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text)))
    }
    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bytes(Cow::Borrowed(bytes)))
    }
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bytes(Cow::Owned(bytes.to_owned())))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(i64::try_from(number).map_or(Scalar::Huge(number), Scalar::Long))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Long(number))
    }
    fn visit_i32<E: Error>(self, number: i32) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Int(number))
    }
    fn visit_f32<E: Error>(self, number: f32) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(number))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Double(number))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }
    fn visit_unit<E: Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other("null"))
    }
    fn visit_none<E: Error>(self) -> Result<Scalar<'de>, E> {
        self.visit_unit()
    }
    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Scalar<'de>, D::Error> {
        some.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other(LIST))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Key {
            Amount,
            Currency,
            #[serde(other)]
            Other,
        }
        /// A value in an object: no objects in it are looked into.
        struct Inner<'a>(Scalar<'a>);
        impl<'de: 'a, 'a> Deserialize<'de> for Inner<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Any { in_object: true }).map(Inner)
            }
        }
        if self.in_object {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Scalar::Other(OBJECT));
        }
        let (mut amount, mut currency) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Amount => amount = Some(map.next_value::<Inner<'_>>()?.0),
                Key::Currency => currency = Some(map.next_value::<Inner<'_>>()?.0),
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match (amount, currency) {
            (Some(amount), Some(currency)) => Scalar::Amount(Box::new(Amount { amount, currency })),
            _ => Scalar::Other(OBJECT),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any { in_object: false })
    }
}
