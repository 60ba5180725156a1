//! Every value in a payload that holds no others: of all fields of its writer, those too that no event has.

use super::{Schemas, read_seed, split};
use dataflows::wire::scalar::Scalar;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf<'a> {
    /// The field that it is of, or of which it is an entry; nothing for a name in a map.
    pub field: Option<String>,
    /// What it is. Texts and bytes are borrowed from the payload.
    pub value: Scalar<'a>,
}

/// The values of a payload, in their order; nothing if it does not follow a schema that is known.
pub fn of<'a>(payload: &'a [u8], schemas: &Schemas) -> Option<Vec<Leaf<'a>>> {
    let (id, datum) = split(payload).ok()?;
    let known = schemas.0.load();
    let writer = known.get(&id)?.as_ref().ok()?;
    let leaves = RefCell::default();
    let walk = Walk { leaves: &leaves, field: None };
    matches!(read_seed(walk, datum, writer), Ok(((), 0))).then(|| leaves.into_inner())
}

/// Walks through a value, whatever it is.
#[derive(Clone, Copy)]
struct Walk<'w, 'a> {
    leaves: &'w RefCell<Vec<Leaf<'a>>>,
    field: Option<&'w str>,
}

impl<'a> Walk<'_, 'a> {
    fn note<E: Error>(self, value: Scalar<'a>) -> Result<(), E> {
        self.leaves.borrow_mut().push(Leaf { field: self.field.map(str::to_owned), value });
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for Walk<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Walk<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.note(Scalar::Text(text.into()))
    }
    /// A symbol: it stands in the schema.
    fn visit_str<E: Error>(self, symbol: &str) -> Result<(), E> {
        self.note(Scalar::Text(symbol.to_owned().into()))
    }
    fn visit_borrowed_bytes<E: Error>(self, bytes: &'a [u8]) -> Result<(), E> {
        self.note(Scalar::Bytes(bytes.into()))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.note(Scalar::Bool(value))
    }
    fn visit_i32<E: Error>(self, number: i32) -> Result<(), E> {
        self.note(Scalar::Int(number))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.note(Scalar::Long(number))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.note(Scalar::Huge(number))
    }
    fn visit_f32<E: Error>(self, number: f32) -> Result<(), E> {
        self.note(Scalar::Float(number))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.note(Scalar::Double(number))
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.note(Scalar::Other("null"))
    }
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }
    fn visit_some<D: Deserializer<'a>>(self, some: D) -> Result<(), D::Error> {
        some.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name(self))? {
            map.next_value_seed(Walk { field: Some(&name), ..self })?;
        }
        Ok(())
    }
}

/// The name of a field, or of an entry of a map. The entry's is a text of the payload; what it holds is of the field
/// that the map is of, if it is of one.
struct Name<'w, 'a>(Walk<'w, 'a>);

impl<'a> DeserializeSeed<'a> for Name<'_, 'a> {
    type Value = String;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name<'_, 'a> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E: Error>(self, name: &'a str) -> Result<String, E> {
        let walk = Walk { field: None, ..self.0 };
        walk.note(Scalar::Text(name.into()))?;
        Ok(name.to_owned())
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        Ok(name.to_owned())
    }
}
