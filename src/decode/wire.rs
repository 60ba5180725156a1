//! What may stand in an event on the wire, whatever it is written in. Everything is optional here, and of any
//! type; what an event needs of it, and how that is read, is `validate`'s to say. So nothing is judged that the
//! event does not have.

use super::avro::FromWriter;
use super::avro::schema::Logical;
use super::scalar::{Scalar, short};
use crate::bounds::{TEXT_BYTES_MAX, VERSION_BYTES_MAX};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Fields by their names on the wire, and which of them stand there twice.
macro_rules! fields {
    ($(#[$doc:meta])* $wire:ident { $($field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[allow(missing_docs, reason = "the schemas say what each means")]
        pub struct $wire<'a> {
            $(pub $field: Option<$ty>,)*
            /// Fields that stand there more than once.
            pub twice: Vec<&'static str>,
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $wire<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, reason = "named as they are on the wire")]
                #[derive(Clone, Copy, serde::Deserialize)]
                #[serde(field_identifier)]
                enum Key {
                    $($field,)*
                    #[serde(other)]
                    other,
                }
                struct Fields;
                impl<'de> Visitor<'de> for Fields {
                    type Value = $wire<'de>;
                    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$wire<'de>, A::Error> {
                        let (mut wire, mut seen) = ($wire::default(), 0_u32);
                        while let Some(key) = map.next_key::<Key>()? {
                            let bit = 1 << key as u32;
                            match key {
                                $(Key::$field => {
                                    if seen & bit != 0 && !wire.twice.contains(&stringify!($field)) {
                                        wire.twice.push(stringify!($field));
                                    }
                                    wire.$field = map.next_value()?;
                                })*
                                Key::other => drop(map.next_value::<IgnoredAny>()?),
                            }
                            seen |= bit;
                        }
                        Ok(wire)
                    }
                }
                deserializer.deserialize_struct(stringify!($wire), &[$(stringify!($field)),*], Fields)
            }
        }
    };
}

fields! {
    /// The fields of all events but the catalog's.
    Wire {
        event_name: Scalar<'a>,
        timestamp: Scalar<'a>,
        user_id: Scalar<'a>,
        age: Scalar<'a>,
        masked_email: Scalar<'a>,
        preferred_language: Scalar<'a>,
        item_id: Scalar<'a>,
        cart_id: Scalar<'a>,
        payment_method: Scalar<'a>,
        movie_id: Scalar<'a>,
        purchase_amount: Scalar<'a>,
        rating: Scalar<'a>,
    }
}

fields! {
    /// What stands besides in a version of a catalog item: read only where there is one.
    CatalogWire {
        price: Scalar<'a>,
        title: Scalar<'a>,
        list_price_raw: Scalar<'a>,
        product_group: Scalar<'a>,
        binding: Scalar<'a>,
        genre: Scalar<'a>,
        studio: Scalar<'a>,
        brand: Scalar<'a>,
        release_date: Scalar<'a>,
        audience_rating: Scalar<'a>,
        running_time: Scalar<'a>,
        directors: Texts,
        actors: Texts,
        languages: Texts,
        attributes: Attributes,
    }
}

fn mean(value: &mut Option<Scalar<'_>>, logical: &Logical) {
    *value = value.take().map(|value| logical.applied(value));
}

impl<'a> FromWriter<'a> for Wire<'a> {
    fn meaning(&mut self, field: &str, logical: &Logical) {
        match field {
            "timestamp" => mean(&mut self.timestamp, logical),
            // These are no instants, whatever their writer calls them.
            "user_id" => mean(&mut self.user_id, &logical.of_bytes()),
            "age" => mean(&mut self.age, &logical.of_bytes()),
            "item_id" => mean(&mut self.item_id, &logical.of_bytes()),
            "cart_id" => mean(&mut self.cart_id, &logical.of_bytes()),
            "movie_id" => mean(&mut self.movie_id, &logical.of_bytes()),
            "purchase_amount" => mean(&mut self.purchase_amount, &logical.of_bytes()),
            "rating" => mean(&mut self.rating, &logical.of_bytes()),
            _ => {}
        }
    }
}

impl<'a> FromWriter<'a> for CatalogWire<'a> {
    fn meaning(&mut self, field: &str, logical: &Logical) {
        if field == "price" {
            mean(&mut self.price, &logical.of_bytes());
        }
    }
}

/// A list of texts, or why it is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Texts(pub Result<Vec<String>, NotTexts>);

/// Lists of texts by their names, or why it is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Attributes(pub Result<BTreeMap<String, Vec<String>>, NotTexts>);

/// Why texts are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTexts {
    /// Something else stands there.
    Other(String),
    /// A text has so many bytes.
    LongText(usize),
    /// All together have so many bytes.
    Long(usize),
}

/// As how many bytes a text counts among others: with its quotes and what separates it from the next one, so that a
/// million empty ones are not nothing.
fn among_others(text_bytes: usize) -> usize {
    text_bytes + 3
}

/// A sum of bytes that is too large for what was read.
fn is_long(bytes: usize) -> bool {
    bytes > VERSION_BYTES_MAX
}

/// What a visitor of lists and objects makes of single values: they are named, not read.
macro_rules! instead {
    ($of:ident) => {
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a value")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(Scalar::Text(text.into()).to_string()))))
        }
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(Scalar::Bytes(bytes.into()).to_string()))))
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(number.to_string()))))
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(number.to_string()))))
        }
        fn visit_f64<E: Error>(self, number: f64) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(Scalar::Double(number).to_string()))))
        }
        fn visit_bool<E: Error>(self, value: bool) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(value.to_string()))))
        }
        fn visit_unit<E: Error>(self) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other("null".to_owned()))))
        }
        fn visit_none<E: Error>(self) -> Result<$of, E> {
            self.visit_unit()
        }
        fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<$of, D::Error> {
            some.deserialize_any(self)
        }
    };
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    instead!(Texts);
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
        let (mut texts, mut bytes) = (Ok(Vec::new()), 0);
        while let Some(value) = seq.next_element::<Scalar<'_>>()? {
            let text_bytes = value.text_bytes();
            bytes += among_others(text_bytes);
            let Ok(found) = &mut texts else { continue };
            texts = if text_bytes > TEXT_BYTES_MAX {
                Err(NotTexts::LongText(text_bytes))
            } else if is_long(bytes) {
                Err(NotTexts::Long(bytes))
            } else if let Scalar::Text(text) = value {
                found.push(text.into_owned());
                continue;
            } else if let Some(text) = value.text() {
                found.push(text.into_owned());
                continue;
            } else {
                Err(NotTexts::Other(format!("a list with {value} in it")))
            };
        }
        Ok(Texts(match texts {
            Err(NotTexts::Long(_)) => Err(NotTexts::Long(bytes)),
            texts => texts,
        }))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Texts(Err(NotTexts::Other("an object".to_owned()))))
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes;

    instead!(Attributes);
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Attributes, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Attributes(Err(NotTexts::Other("a list".to_owned()))))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
        let (mut attributes, mut bytes) = (Ok(BTreeMap::new()), 0);
        while let Some((name, texts)) = map.next_entry::<String, Texts>()? {
            bytes += among_others(name.len());
            bytes += match &texts.0 {
                Ok(texts) => texts.iter().map(|text| among_others(text.len())).sum(),
                Err(NotTexts::LongText(bytes) | NotTexts::Long(bytes)) => *bytes,
                Err(NotTexts::Other(_)) => 0,
            };
            let Ok(found) = &mut attributes else { continue };
            match texts.0 {
                _ if name.len() > TEXT_BYTES_MAX => attributes = Err(NotTexts::LongText(name.len())),
                _ if is_long(bytes) => attributes = Err(NotTexts::Long(bytes)),
                Ok(texts) => drop(found.insert(name, texts)),
                Err(NotTexts::Other(what)) => {
                    let what = format!("an object in which `{}` is {what}", short(&name));
                    attributes = Err(NotTexts::Other(what));
                }
                Err(long) => attributes = Err(long),
            }
        }
        Ok(Attributes(match attributes {
            Err(NotTexts::Long(_)) => Err(NotTexts::Long(bytes)),
            attributes => attributes,
        }))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AttributesVisitor)
    }
}
