//! Values as a producer writes them: the other way round, for who makes events up.

use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Written<'a> {
    /// None.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number that Avro has as `long`.
    Long(i64),
    /// A whole number that Avro has as `int`.
    Int(i32),
    /// Money, in cents.
    Dollars(i64),
    /// A list of texts.
    Texts(Vec<String>),
    /// Lists of texts by their names.
    Attributes(BTreeMap<String, Vec<String>>),
}

impl Written<'_> {
    /// A text, or none.
    pub fn text(text: Option<&str>) -> Written<'_> {
        text.map_or(Written::Null, |text| Written::Text(text.into()))
    }

    /// A list of texts of its canonical JSON.
    pub fn texts(json: &str) -> Written<'static> {
        Written::Texts(serde_json::from_str(json).unwrap_or_default())
    }

    /// Lists of texts of their canonical JSON.
    pub fn attributes(json: &str) -> Written<'static> {
        Written::Attributes(serde_json::from_str(json).unwrap_or_default())
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Written::Null => serializer.serialize_none(),
            Written::Text(text) => serializer.serialize_str(text),
            Written::Long(number) => serializer.serialize_i64(*number),
            Written::Int(number) => serializer.serialize_i32(*number),
            Written::Dollars(cents) => serializer.serialize_f64(*cents as f64 / 100.0),
            Written::Texts(texts) => texts.serialize(serializer),
            Written::Attributes(attributes) => attributes.serialize(serializer),
        }
    }
}

/// As a record's key has it: ids are texts and whole numbers.
impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Written::Text(text) => f.write_str(text),
            Written::Long(number) => number.fmt(f),
            Written::Int(number) => number.fmt(f),
            Written::Null | Written::Dollars(_) | Written::Texts(_) | Written::Attributes(_) => Ok(()),
        }
    }
}

/// How events that are made up are written, well or badly.
pub trait Write {
    /// What it has in addition to its name and its time: each field and its value, in their order.
    fn fields(&self) -> Vec<(&'static str, Written<'_>)>;

    /// Breaks one of its rules, if it has any.
    fn spoil(&mut self);
}

impl<W: Write> Write for Box<W> {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        W::fields(self)
    }

    fn spoil(&mut self) {
        W::spoil(self);
    }
}
