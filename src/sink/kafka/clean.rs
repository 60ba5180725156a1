//! The topic of clean events: each accepted event, once. Nothing is ever deleted of it by a key: brokers remove what is older
//! than `retention.raw`.

use super::{Kafka, sink_error};
use crate::kafka::KafkaError;
use crate::kafka::cleanup;
use crate::kafka::producer::create_topics;
use crate::kafka::registry::Registry;
use crate::sink::avro::{self, Encoder};
use crate::sink::{Commit, SinkError};
use dataflows::table::{TableId, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How the events of each raw table are written.
#[derive(Default)]
pub(super) struct Clean {
    topic: String,
    families: BTreeMap<TableId, OfFamily>,
}

struct OfFamily {
    value: Encoder,
    /// The place of the column that says whose an event is.
    person: Option<usize>,
}

impl Kafka {
    /// Makes the topic if it is not there.
    pub(super) fn make_clean_topic(&self) -> Result<(), SinkError> {
        if self.clean.is_empty() {
            return Ok(());
        }
        let kept_ms = self.retention.raw.map_or("-1".to_owned(), |kept| kept.to_string());
        let settings = [("cleanup.policy", "delete"), ("retention.ms", &kept_ms), ("retention.bytes", "-1")];
        let topic = std::slice::from_ref(&self.clean);
        create_topics(&self.client, topic, self.client.partitions, &settings).map_err(sink_error)?;
        let told = cleanup::of(&self.client, &BTreeSet::from([self.clean.as_str()])).map_err(sink_error)?;
        if told.values().any(|cleanup| cleanup.compacts) {
            return Err(SinkError::Failed(format!(
                "topic `{}` is compacted (`cleanup.policy`), and would lose events of one person; set it to `delete`, or \
                 name another one with `publish.clean`",
                self.clean
            )));
        }
        Ok(())
    }

    /// How clean events are written; their schemas are registered.
    pub(super) fn clean(&self) -> Result<Clean, SinkError> {
        if self.clean.is_empty() {
            return Ok(Clean::default());
        }
        let registry = Registry::open(&self.registry).map_err(sink_error)?;
        let family = |id: TableId| {
            let (columns, schema) = avro::clean(id);
            let number = registry.register(&format!("{}-deltamart.{}", self.clean, id.name()), &schema)?;
            let person = columns.iter().position(|column| column.person.is_some());
            Ok((id, OfFamily { value: Encoder::new(columns, &schema, number), person }))
        };
        let families = self.catalogue.raw().map(family).collect::<Result<_, KafkaError>>();
        Ok(Clean { topic: self.clean.clone(), families: families.map_err(sink_error)? })
    }
}

impl Clean {
    /// Hands over each event of a commit: its topic, its key, which is whose it is, and what it says.
    pub(super) fn each(
        &self,
        commit: &Commit,
        mut send: impl FnMut(&str, &[u8], &[u8]) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        for (id, events) in &commit.clean {
            let Some(OfFamily { value, person }) = self.families.get(id) else { continue };
            for event in events {
                let person = person.map(|place| &event[place]);
                let key = if let Some(Value::Integer(id)) = person { id.to_string() } else { String::new() };
                let key = if let Some(Value::Text(id)) = person { id.as_str() } else { &key };
                send(&self.topic, key.as_bytes(), &value.payload(event.iter()))?;
            }
        }
        Ok(())
    }
}
