//! A value as text; lists of texts, and lists of texts by their names.

use super::bounds::{TEXT_BYTES_MAX, TOGETHER_BYTES_MAX};
use super::number;
use super::scalar::{Scalar, quoted};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

impl Scalar<'_> {
    /// Text, if it is text or may stand for it: bytes that are UTF-8, and the digits of a whole number.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Scalar::Text(text) => Cow::Borrowed(text.as_ref()),
            Scalar::Bytes(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
            Scalar::Huge(number) => Cow::Owned(number.to_string()),
            Scalar::Long(_) | Scalar::Int(_) | Scalar::Float(_) | Scalar::Double(_) => {
                Cow::Owned(number::whole(self).ok()?.to_string())
            }
            Scalar::Bool(_) | Scalar::Instant(_) | Scalar::Amount(_) | Scalar::Other(_) => return None,
        })
    }

    /// The same as text of its own.
    pub fn into_text(self) -> Option<String> {
        if let Scalar::Text(text) = self { Some(text.into_owned()) } else { self.text().map(Cow::into_owned) }
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
    bytes > TOGETHER_BYTES_MAX
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
            Ok($of(Err(NotTexts::Other(Scalar::Long(number).to_string()))))
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<$of, E> {
            Ok($of(Err(NotTexts::Other(Scalar::Huge(number).to_string()))))
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
                    let what = format!("an object in which {} is {what}", quoted(&name));
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

/// Canonical JSON: lists in their order, keys sorted.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("lists and maps of text are always JSON")
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
