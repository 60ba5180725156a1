//! Which rows name a user: by a column, or in a record that is kept as it came.

use crate::decode::avro::{self, Schemas, Writer};
use crate::decode::wire::Wire;
use crate::kafka::registry::Registry;
use crate::sink::{SinkError, Warehouse};
use dataflows::table::{TableId, Value};
use serde_json::Value as Json;
use std::cell::Cell;

/// How many rows are read at a time.
const PAGE: usize = 4096;

/// How records that are kept as they came are read.
pub struct Payloads {
    schemas: Schemas,
    registry: Option<Registry>,
    /// How many could not be.
    unread: Cell<u64>,
}

impl Payloads {
    /// By a registry, or by the shipped schemas.
    pub fn new(registry: Option<Registry>) -> Payloads {
        let schemas = registry.as_ref().map_or_else(Schemas::shipped, |registry| registry.schemas().clone());
        Payloads { schemas, registry, unread: Cell::new(0) }
    }

    /// How many records could not be read: whom they name is not known.
    pub fn unread(&self) -> u64 {
        self.unread.get()
    }

    /// Whom a record names.
    fn user(&self, payload: &[u8]) -> Option<u64> {
        let datum = match avro::split(payload) {
            Ok((id, datum)) if !is_json(datum) => {
                self.learn(id);
                // What follows the id may be broken though the id can be read: nothing is known of it then.
                let read = avro::decode::<Wire<'_>>(payload, &self.schemas);
                return match read {
                    Ok((_, wire)) => wire.user_id.and_then(|id| id.try_into().ok()),
                    Err(_) => self.give_up(),
                };
            }
            Ok((_, datum)) => datum,
            Err(_) => payload,
        };
        match serde_json::from_slice::<Json>(datum) {
            Ok(json) => number(&json["user_id"]),
            Err(_) if is_json(datum) => said_somewhere(datum),
            Err(_) => self.give_up(),
        }
    }

    fn give_up(&self) -> Option<u64> {
        self.unread.set(self.unread.get() + 1);
        None
    }

    fn learn(&self, id: u32) {
        if let Some(registry) = self.registry.as_ref().filter(|_| !self.schemas.knows(id))
            && let Ok(text) = registry.schema(id)
        {
            self.schemas.insert(id, Writer::parse(&text));
        }
    }
}

fn is_json(datum: &[u8]) -> bool {
    datum.trim_ascii_start().first() == Some(&b'{')
}

fn number(json: &Json) -> Option<u64> {
    json.as_u64().or_else(|| json.as_str()?.trim().parse().ok())
}

/// In JSON that is broken somewhere: what stands behind the name.
fn said_somewhere(datum: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(datum);
    let (_, rest) = text.split_once("\"user_id\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// A user, as rows name one.
pub struct Named<'a> {
    /// Who.
    pub user: u64,
    /// How records are read that are kept as they came.
    pub payloads: &'a Payloads,
}

impl Named<'_> {
    /// Whether a row names the user. Of one that is gone only the key is given, and only by it is it judged.
    pub fn names(&self, id: TableId, row: &[Value]) -> bool {
        let at = |name: &str| id.table().columns.iter().position(|column| column.name == name);
        let value = |name: &str| at(name).and_then(|at| row.get(at));
        match id {
            TableId::LateEvents | TableId::RejectedEvents => {
                let key = self.user.to_string();
                let is_key = |value: &Value| matches!(value, Value::Bytes(bytes) if **bytes == *key.as_bytes());
                let says = |value: &Value| match value {
                    Value::Bytes(bytes) => self.payloads.user(bytes) == Some(self.user),
                    _ => false,
                };
                value("event_key").is_some_and(is_key) || value("raw").is_some_and(says)
            }
            _ => matches!(value("user_id"), Some(Value::Integer(user)) if *user as u64 == self.user),
        }
    }

    /// The keys of a table's rows that name the user, in their order.
    pub(super) fn rows_of(&self, sink: &mut dyn Warehouse, id: TableId) -> Result<Vec<Vec<Value>>, SinkError> {
        let (mut keys, mut after) = (Vec::new(), None::<Vec<Value>>);
        let key_columns = id.table().key_columns;
        loop {
            let page = sink.page(id, after.as_deref(), PAGE)?;
            let named = page.iter().filter(|row| self.names(id, row));
            keys.extend(named.map(|row| row[..key_columns].to_vec()));
            match page.last().filter(|_| page.len() == PAGE) {
                Some(last) => after = Some(last[..key_columns].to_vec()),
                None => return Ok(keys),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_whom_it_names_even_if_it_is_broken() {
        let payloads = Payloads::new(None);
        let user = |text: &str| payloads.user(text.as_bytes());
        assert_eq!(user(r#"{"event_name":"sign_in","user_id":12,"timestamp":"never"}"#), Some(12));
        assert_eq!(user(r#"{"user_id":"12"}"#), Some(12));
        assert_eq!(user(r#"{"user_id" : 12, "timesta"#), Some(12));
        assert_eq!(user(r#"{"user_id":123,"timesta"#), Some(123));
        assert_eq!(user(r#"{"timestamp":"12"}"#), None);
        assert_eq!(payloads.user(&[b"\0\0\0\0\x01".as_slice(), br#"{"user_id":12}"#].concat()), Some(12));
        assert_eq!(payloads.unread(), 0);
        assert_eq!(user("12 is no record"), None);
        assert_eq!(payloads.user(b"\0\0\0\0\x03\x06"), None, "a sign-in that is cut off");
        assert_eq!(payloads.unread(), 2);
    }
}
