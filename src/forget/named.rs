//! Which rows name a user: by a column, or in a record that is kept as it came.

use crate::decode::avro::{self, Schemas, leaves};
use crate::decode::members::{Member, values_of};
use crate::families;
use crate::kafka::KafkaError;
use crate::kafka::registry::Registry;
use crate::sink::{SinkError, Warehouse};
use dataflows::table::{Role, TableId, Value};
use dataflows::wire::number::whole;
use dataflows::wire::scalar::Scalar;
use dataflows::wire::sounds_like;
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
        let said = match avro::split(payload) {
            Ok((id, datum)) if !is_json(datum) => {
                self.learn(id);
                said_in_avro(payload, &self.schemas)
            }
            Ok((_, datum)) => said_in_json(datum),
            Err(_) => said_in_json(payload),
        };
        let names = said.contains(&Some(user));
        if !names && (said.is_empty() || said.contains(&None)) {
            self.unread.set(self.unread.get() + 1);
        }
        names
    }

    /// The schemas, with that which a payload names if it can be had.
    pub fn schemas_for(&self, payload: &[u8]) -> &Schemas {
        if let Ok((id, _)) = avro::split(payload) {
            self.learn(id);
        }
        &self.schemas
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

/// Whether a field names a user: names differ in case and in how their words are joined.
fn is_user(field: &str) -> bool {
    families::names().flat_map(|names| names.persons()).any(|person| sounds_like(field, person))
}

/// Everybody whom JSON names, at any depth, in what is no JSON any more too; nothing for a name that is none.
fn said_in_json(datum: &[u8]) -> Vec<Option<u64>> {
    let user = |member: Member| match member {
        Member::Text(span) => named_by(&Scalar::Text(std::str::from_utf8(&datum[span]).ok()?.into())),
        Member::Bare(span) => named_by(&serde_json::from_slice(&datum[span]).ok()?),
    };
    values_of(datum, is_user).into_iter().map(user).collect()
}

/// Everybody whom a record of Avro names, in any field of its writer's.
fn said_in_avro(payload: &[u8], schemas: &Schemas) -> Vec<Option<u64>> {
    let leaves = leaves::of(payload, schemas).unwrap_or_default();
    let users = leaves.into_iter().filter(|leaf| leaf.field.as_deref().is_some_and(is_user));
    users.map(|leaf| named_by(&leaf.value)).collect()
}

/// Whom a value names: the same as where events are read.
fn named_by(value: &Scalar<'_>) -> Option<u64> {
    whole(value).ok()?.try_into().ok()
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
        match id.table().role {
            Role::Rejected { .. } | Role::Late { .. } => {
                let key = self.user.to_string();
                let is_key = |value: &Value| matches!(value, Value::Bytes(bytes) if **bytes == *key.as_bytes());
                let says =
                    |value: &Value| matches!(value, Value::Bytes(bytes) if self.payloads.names(self.user, bytes));
                value("event_key").is_some_and(is_key) || value("raw").is_some_and(says)
            }
            Role::Raw { .. } | Role::Entity | Role::Metric => {
                let columns = id.table().columns.iter().zip(row);
                let mut persons = columns.filter_map(|(column, value)| Some((column.person?, value)));
                persons.any(|(person, value)| person.is(value, self.user))
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
            r#"{"user_id" : 12"#,
            r#"{"userId":12}"#,
            r#"{"USER_ID":"12"}"#,
            r#"{"User-Id":1.2e1}"#,
            r#"{"user\u005fid":12}"#,
            r#"{"user_id":12,"user_id":13}"#,
            r#"{"user_id":13,"userid":12}"#,
            r#"{"user_id":null,"user":{"user_id":12}}"#,
            "{\"user_id\"\t:\r\n12\n}",
        ] {
            assert!(names(text), "{text}");
        }
        assert!(payloads.names(12, &[b"\0\0\0\0\x01".as_slice(), br#"{"user_id":12}"#].concat()));
        assert!(!names(r#"{"user_id":123,"timesta"#));
        assert_eq!(payloads.unread(), 0);
        assert!(!names(r#"{"timestamp":"12"}"#));
        assert!(!names("12 is no record"));
        assert!(!payloads.names(12, b"\0\0\0\0\x03\x06"), "a sign-in that is cut off");
        // Somebody is named, but nobody can tell who.
        assert!(!names(r#"{"user_id":{"long":12}}"#));
        assert!(!names(r#"{"user_id":null}"#));
        assert!(!names(r#"{"user_id":"twelve"}"#));
        assert_eq!(payloads.unread(), 6);
        assert!(!names(r#"{"user_id":13,"user_id":[12]}"#), "the second may be anybody");
        assert_eq!(payloads.unread(), 7);
    }
}
