//! Where a page ended: what `next` says, and `after` repeats.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

/// A place between two rows of a table at a commit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// The commit.
    pub(super) epoch: u64,
    /// What the row before it is ordered by; empty where rows have no key.
    pub(super) key: Vec<Value>,
    /// How many rows are before it.
    pub(super) offset: usize,
}

#[derive(Serialize, Deserialize)]
enum Written {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    Null,
}

impl Place {
    /// As a client is told.
    pub(super) fn written(&self) -> String {
        let value = |value: &Value| match value {
            Value::Null => Written::Null,
            Value::Integer(number) => Written::Integer(*number),
            Value::Real(number) => Written::Real(*number),
            Value::Text(text) => Written::Text(text.clone()),
            Value::Blob(bytes) => Written::Blob(bytes.clone()),
        };
        let key: Vec<_> = self.key.iter().map(value).collect();
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(self.epoch, self.offset, key)).unwrap_or_default())
    }

    /// What a client was told; nothing if it was told something else.
    pub(super) fn read(text: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (epoch, offset, key): (u64, u32, Vec<Written>) = serde_json::from_slice(&bytes).ok()?;
        let value = |written: Written| match written {
            Written::Null => Value::Null,
            Written::Integer(number) => Value::Integer(number),
            Written::Real(number) => Value::Real(number),
            Written::Text(text) => Value::Text(text),
            Written::Blob(bytes) => Value::Blob(bytes),
        };
        Some(Place { epoch, key: key.into_iter().map(value).collect(), offset: offset as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is() {
        let key = vec![
            Value::Integer(i64::MIN),
            Value::Real(0.1),
            Value::Text("é\"".to_owned()),
            Value::Blob(vec![0, 255]),
            Value::Null,
        ];
        let place = Place { epoch: 42, key, offset: 7 };
        assert_eq!(Place::read(&place.written()), Some(place));
        for wrong in ["", "x", "!!", "bnVsbA", "WzEsMixb"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
