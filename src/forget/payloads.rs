//! Whom records name that are kept as they came.

use super::sought::Sought;
use crate::decode::avro::{self, Schemas, leaves};
use crate::decode::members::{Member, values_of};
use crate::families;
use crate::kafka::KafkaError;
use crate::kafka::registry::Registry;
use dataflows::family::FamilyId;
use dataflows::persons::Id;
use dataflows::wire::Names;
use dataflows::wire::number::whole;
use dataflows::wire::scalar::Scalar;
use dataflows::wire::sounds_like;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

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
    pub(super) fn away(&self) -> Option<String> {
        self.away.borrow().clone()
    }

    /// Whether a record names one of these. One that is empty names nobody.
    pub(super) fn names(&self, sought: &[&Sought], payload: &[u8]) -> bool {
        if payload.is_empty() {
            return false;
        }
        let (mut names, mut is_said, mut is_unclear) = (false, false, false);
        for Sought { family, person } in sought {
            let said = self.said(*family, payload);
            names |= said.iter().flatten().any(|named| named == person);
            is_said |= !said.is_empty();
            is_unclear |= said.contains(&None);
        }
        // Who is named as another family does it is of that one.
        let is_anothers = || families::all().families().iter().any(|family| !self.said(*family, payload).is_empty());
        if !names && (is_unclear || !(is_said || is_anothers())) {
            self.unread.set(self.unread.get() + 1);
        }
        names
    }

    /// Everybody whom a record names as a family does; nothing where it names somebody, and nobody can tell whom.
    fn said(&self, family: FamilyId, payload: &[u8]) -> Vec<Option<Id>> {
        match avro::split(payload) {
            Ok((id, datum)) if !is_json(datum) => {
                self.learn(id);
                said_in_avro(family, payload, &self.schemas)
            }
            Ok((_, datum)) => said_in_json(family, datum),
            Err(_) => said_in_json(family, payload),
        }
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

/// Whether a field says whom an event of a family is of: names differ in case and in how their words are joined.
fn is_of_person(family: FamilyId, field: &str) -> bool {
    families::names_of(family).flat_map(Names::persons).any(|person| sounds_like(field, person))
}

/// Everybody whom JSON names, at any depth, in what is no JSON any more too; nothing for a name that is none.
fn said_in_json(family: FamilyId, datum: &[u8]) -> Vec<Option<Id>> {
    let person = |member: Member| match member {
        Member::Text(span) => named_by(family, &Scalar::Text(std::str::from_utf8(&datum[span]).ok()?.into())),
        Member::Bare(span) => named_by(family, &serde_json::from_slice(&datum[span]).ok()?),
    };
    values_of(datum, |field| is_of_person(family, field)).into_iter().map(person).collect()
}

/// Everybody whom a record of Avro names, in any field of its writer's.
fn said_in_avro(family: FamilyId, payload: &[u8], schemas: &Schemas) -> Vec<Option<Id>> {
    let leaves = leaves::of(payload, schemas).unwrap_or_default();
    let persons =
        leaves.into_iter().filter(|leaf| leaf.field.as_deref().is_some_and(|field| is_of_person(family, field)));
    persons.map(|leaf| named_by(family, &leaf.value)).collect()
}

/// Whom a value names: the same as where events are read.
fn named_by(family: FamilyId, value: &Scalar<'_>) -> Option<Id> {
    // Numbers have many writings.
    let number = whole(value).ok().and_then(|number| family.person(&number.to_string()));
    match number {
        Some(Id::Number(id)) => Some(Id::Number(id)),
        Some(Id::Text(_)) | None => family.person(&value.text()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::SHOP;

    #[test]
    fn a_record_says_whom_it_names_even_if_it_is_broken() {
        let payloads = Payloads::new(None);
        let shop = Sought { family: SHOP, person: Id::Number(12) };
        let in_bytes = |bytes: &[u8]| payloads.names(&[&shop], bytes);
        let names = |text: &str| in_bytes(text.as_bytes());
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
        assert!(in_bytes(&[b"\0\0\0\0\x01".as_slice(), br#"{"user_id":12}"#].concat()));
        assert!(!names(r#"{"user_id":123,"timesta"#));
        assert_eq!(payloads.unread(), 0);
        assert!(!names(r#"{"timestamp":"12"}"#));
        assert!(!names("12 is no record") && !names(""));
        assert!(!in_bytes(b"\0\0\0\0\x03\x06"), "a sign-in that is cut off");
        // Somebody is named, but nobody can tell who.
        assert!(!names(r#"{"user_id":{"long":12}}"#));
        assert!(!names(r#"{"user_id":null}"#));
        assert!(!names(r#"{"user_id":"twelve"}"#));
        assert_eq!(payloads.unread(), 6);
        assert!(!names(r#"{"user_id":13,"user_id":[12]}"#), "the second may be anybody");
        assert_eq!(payloads.unread(), 7);
    }
}
