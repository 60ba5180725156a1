//! Which rows name a user: by a column, or in a record that is kept as it came.

use crate::decode::avro::{self, Schemas};
use crate::decode::number::whole;
use crate::decode::scalar::Scalar;
use crate::decode::wire::Wire;
use crate::kafka::KafkaError;
use crate::kafka::registry::Registry;
use crate::sink::{SinkError, Warehouse};
use dataflows::table::{TableId, Value};
use serde::Deserialize;
use serde_json::Value as Json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// How many rows are read at a time.
const PAGE: usize = 4096;

/// How records that are kept as they came are read.
pub struct Payloads {
    schemas: Schemas,
    registry: Option<Registry>,
    /// Schemas that cannot be had.
    unknown: RefCell<BTreeSet<u32>>,
    /// How many records could not be read.
    unread: Cell<u64>,
    /// Why the registry could not be asked.
    away: RefCell<Option<String>>,
}

impl Payloads {
    /// By a registry, or by the shipped schemas.
    pub fn new(registry: Option<Registry>) -> Payloads {
        let schemas = registry.as_ref().map_or_else(Schemas::shipped, |registry| registry.schemas().clone());
        let (unknown, unread, away) = (RefCell::default(), Cell::new(0), RefCell::default());
        Payloads { schemas, registry, unknown, unread, away }
    }

    /// How many records could not be read, or name nobody where that is expected: whom they are of is not known.
    pub fn unread(&self) -> u64 {
        self.unread.get()
    }

    /// Why nobody can say what is in records, if so.
    fn away(&self) -> Option<String> {
        self.away.borrow().clone()
    }

    /// Whether a record names a user.
    fn names(&self, user: u64, payload: &[u8]) -> bool {
        let users = match avro::split(payload) {
            Ok((id, datum)) if !is_json(datum) => {
                self.learn(id);
                let read = avro::decode::<Wire<'_>>(payload, &self.schemas).ok();
                read.and_then(|(_, wire)| named_by(wire.user_id.as_ref()?)).into_iter().collect()
            }
            Ok((_, datum)) => said_in_json(datum),
            Err(_) => said_in_json(payload),
        };
        if users.is_empty() {
            self.unread.set(self.unread.get() + 1);
        }
        users.contains(&user)
    }

    fn learn(&self, id: u32) {
        let Some(registry) = self.registry.as_ref().filter(|_| !self.schemas.knows(id)) else { return };
        if self.unknown.borrow().contains(&id) || self.away.borrow().is_some() {
            return;
        }
        match registry.learn(id) {
            Ok(()) => {}
            // One that is not given is not the whole registry.
            Err(KafkaError::Away(_)) if registry.check().is_ok() => drop(self.unknown.borrow_mut().insert(id)),
            Err(KafkaError::Away(why)) => *self.away.borrow_mut() = Some(why),
            Err(KafkaError::Refused(_)) => drop(self.unknown.borrow_mut().insert(id)),
        }
    }
}

fn is_json(datum: &[u8]) -> bool {
    datum.trim_ascii_start().first() == Some(&b'{')
}

/// Everybody whom JSON names, at any depth; broken JSON too, as far as it can be told.
fn said_in_json(datum: &[u8]) -> Vec<u64> {
    let mut users = Vec::new();
    match serde_json::from_slice::<Json>(datum) {
        Ok(json) => collect(&json, &mut users),
        Err(_) => {
            let text = String::from_utf8_lossy(datum);
            users.extend(text.split("\"user_id\"").skip(1).filter_map(said_behind));
        }
    }
    users
}

fn collect(json: &Json, users: &mut Vec<u64>) {
    match json {
        Json::Object(fields) => {
            users.extend(fields.get("user_id").and_then(|value| named_by(&Scalar::deserialize(value).ok()?)));
            fields.values().for_each(|value| collect(value, users));
        }
        Json::Array(values) => values.iter().for_each(|value| collect(value, users)),
        _ => {}
    }
}

/// Whom a value names: the same as where events are read.
fn named_by(value: &Scalar<'_>) -> Option<u64> {
    whole(value).ok()?.try_into().ok()
}

/// The number behind a name, where the whole is no JSON.
fn said_behind(rest: &str) -> Option<u64> {
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
                    Value::Bytes(bytes) => self.payloads.names(self.user, bytes),
                    _ => false,
                };
                value("event_key").is_some_and(is_key) || value("raw").is_some_and(says)
            }
            _ => {
                let is_user = matches!(value("user_id"), Some(Value::Integer(user)) if *user as u64 == self.user);
                // A purchase is a cart of its own, which is part of the key and called by its user.
                let cart = || format!("user:{}", self.user);
                is_user || matches!(value("cart_id"), Some(Value::Text(text)) if *text == cart())
            }
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
            if let Some(why) = self.payloads.away() {
                let table = id.table().name;
                return Err(SinkError::Unavailable(format!("could not read whom `{table}` names: {why}")));
            }
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
        let names = |text: &str| payloads.names(12, text.as_bytes());
        for text in [
            r#"{"event_name":"sign_in","user_id":12,"timestamp":"never"}"#,
            r#"{"user_id":"12"}"#,
            r#"{"user_id":12.0}"#,
            r#"{"before":{"user_id":11},"after":{"user_id":12}}"#,
            r#"[{"user_id":12}]"#,
            r#"{"user_id" : 12, "timesta"#,
        ] {
            assert!(names(text), "{text}");
        }
        assert!(payloads.names(12, &[b"\0\0\0\0\x01".as_slice(), br#"{"user_id":12}"#].concat()));
        assert!(!names(r#"{"user_id":123,"timesta"#));
        assert_eq!(payloads.unread(), 0);
        assert!(!names(r#"{"timestamp":"12"}"#));
        assert!(!names("12 is no record"));
        assert!(!payloads.names(12, b"\0\0\0\0\x03\x06"), "a sign-in that is cut off");
        assert_eq!(payloads.unread(), 3);
    }
}
