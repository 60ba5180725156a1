//! Events as a producer writes them: Avro in the Confluent wire format, or JSON lines.

use super::shop::{Flaw, Produced};
use crate::decode::avro::{SCHEMAS, header};
use crate::families::TOPICS;
use crate::instant;
use dataflows::events::Event;
use dataflows::wire::Written;
use serde::{Serialize, Serializer};
use serde_avro_fast::ser::SerializerConfig;
use serde_json::Value as Json;

/// An event as it is written, its time as this text.
struct Whole<'a> {
    event: &'a Event,
    timestamp: &'a str,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |text| Written::text(Some(text));
        let common = [("timestamp", text(self.timestamp)), ("event_name", text(self.event.name()))];
        serializer.collect_map(common.into_iter().chain(self.event.fields()))
    }
}

/// Encodes events; keeps its buffers.
pub struct Encoder {
    configs: Vec<SerializerConfig<'static>>,
    /// The id of each topic's schema.
    ids: Vec<u32>,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::with_ids((1..=TOPICS.len() as u32).collect())
    }
}

/// The place of an event's topic in [`TOPICS`].
pub fn topic_of(event: &Event) -> usize {
    event.which().topic()
}

impl Encoder {
    /// Encodes under these ids of the shipped schemas, in the order of [`TOPICS`].
    pub fn with_ids(ids: Vec<u32>) -> Encoder {
        Encoder { configs: SCHEMAS.iter().map(SerializerConfig::new).collect(), ids }
    }

    /// Writes an event as Avro into `out`, under its own time or another text; tells its topic.
    pub fn avro(&mut self, event: &Event, timestamp: Option<&str>, out: &mut Vec<u8>) -> usize {
        let topic = topic_of(event);
        let own = instant::show(event.timestamp());
        let timestamp = timestamp.unwrap_or(&own);
        let mut bytes = std::mem::take(out);
        bytes.clear();
        bytes.extend_from_slice(&header(self.ids[topic]));
        let config = &mut self.configs[topic];
        let written = serde_avro_fast::to_datum(&Whole { event, timestamp }, bytes, config);
        *out = written.expect("events fit the shipped schemas; a test encodes each");
        topic
    }

    /// Writes what was produced, flaw and all; tells its topic.
    pub fn avro_produced(&mut self, produced: &Produced, out: &mut Vec<u8>) -> usize {
        let bad_timestamp = (produced.flaw == Some(Flaw::BadTimestamp)).then_some("yesterday");
        let topic = self.avro(&produced.event, bad_timestamp, out);
        match produced.flaw {
            Some(Flaw::BadMagicByte) => out[0] = b'{',
            Some(Flaw::UnknownSchema) => out[1..5].copy_from_slice(&4_000_000_000_u32.to_be_bytes()),
            Some(Flaw::Truncated) => out.truncate(out.len() * 2 / 3),
            Some(Flaw::BadTimestamp) | None => {}
        }
        topic
    }
}

/// An event as JSON.
pub fn json(event: &Event) -> String {
    json_produced(&Produced { event: event.clone(), flaw: None })
}

/// What was produced as a line of JSON, flaw and all.
pub fn json_produced(produced: &Produced) -> String {
    let own = instant::show(produced.event.timestamp());
    let timestamp = if produced.flaw == Some(Flaw::BadTimestamp) { "yesterday" } else { &own };
    let mut line = serde_json::to_string(&Whole { event: &produced.event, timestamp }).expect("events are JSON");
    match produced.flaw {
        Some(Flaw::Truncated) => line.truncate(line.len() * 2 / 3),
        Some(Flaw::BadMagicByte) => line.insert(0, '\u{1}'),
        Some(Flaw::UnknownSchema) => {
            let mut object: serde_json::Map<String, Json> = serde_json::from_str(&line).unwrap_or_default();
            object.insert("event_name".to_owned(), "something_else".into());
            line = Json::Object(object).to_string();
        }
        Some(Flaw::BadTimestamp) | None => {}
    }
    line
}
