//! A partition that is read, and what of it is passed.

use crate::config::kafka::Format as Payload;
use crate::decode::avro::Schemas;
use crate::decode::{Format, Reason};
use crate::families;
use dataflows::family::FamilyId;

/// A partition that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it carries, as its place in [`families::topics`].
    pub carries: usize,
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The first offset it holds.
    pub low: i64,
    /// The offset after its last record.
    pub high: i64,
    /// Where it is read from if nothing of it was journaled.
    pub begin: i64,
}

impl Found {
    /// As positions are written down.
    pub fn name(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }

    /// Of which family its events are.
    pub fn family(&self) -> FamilyId {
        families::topics()[self.carries].family
    }

    /// Whether it is read before the others.
    pub fn is_read_first(&self) -> bool {
        families::topics()[self.carries].is_read_first
    }

    /// How its payloads are written.
    pub fn format(&self, payload: Payload, schemas: &Schemas) -> Format {
        payload.of(families::topics()[self.carries].event, schemas)
    }
}

/// Records of a partition that cannot be read, and are passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The first offset of them.
    pub from: i64,
    /// The offset after them.
    pub to: i64,
    /// As what they are rejected.
    pub reason: Reason,
    /// What is said of them.
    pub why: String,
}
