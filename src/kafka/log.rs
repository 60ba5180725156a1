//! One record of a log, read once more by where it stands.

use super::KafkaError;
use super::client::{Context, PATIENCE, consumer};
use crate::config::kafka::Kafka as Config;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// So many records are read over rather than another place be sought.
const READ_OVER: i64 = 1_000;

/// A record as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its key; empty if it has none.
    pub key: Vec<u8>,
    /// Its bytes; none for a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// The logs of a cluster.
pub struct Log {
    consumer: BaseConsumer<Context>,
    brokers: String,
    /// Topic, partition, and the next offset.
    at: Option<(String, i32, i64)>,
}

impl Log {
    /// Of the configured cluster.
    ///
    /// # Errors
    /// If a property is wrong.
    pub fn open(config: &Config) -> Result<Log, KafkaError> {
        Ok(Log { consumer: consumer(config, &[])?, brokers: config.brokers.clone(), at: None })
    }

    /// The record at an offset; nothing if it is not kept any more.
    ///
    /// # Errors
    /// If the brokers do not answer, or refuse.
    pub fn read(&mut self, topic: &str, partition: i32, offset: i64) -> Result<Option<Whole>, KafkaError> {
        let near = self
            .at
            .as_ref()
            .is_some_and(|(t, p, next)| t == topic && *p == partition && (*next..*next + READ_OVER).contains(&offset));
        if !near && !self.seek(topic, partition, offset)? {
            return Ok(None);
        }
        let mut since = Instant::now();
        while since.elapsed() < PATIENCE {
            match self.consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Err(Native::MessageConsumption(RDKafkaErrorCode::PartitionEOF))) => {}
                Some(Err(Native::MessageConsumption(
                    RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset,
                ))) => {
                    self.at = None;
                    return Ok(None);
                }
                Some(Err(error)) => tracing::debug!("{topic}/{partition}, offset {offset}: {error}"),
                Some(Ok(record)) => {
                    since = Instant::now();
                    self.at = Some((topic.to_owned(), partition, record.offset() + 1));
                    if record.offset() > offset {
                        // Compaction has taken it; the one that came is read again for the next.
                        self.at = None;
                        return Ok(None);
                    }
                    if record.offset() == offset {
                        let key = record.key().unwrap_or_default().to_vec();
                        return Ok(Some(Whole { key, payload: record.payload().map(<[u8]>::to_vec) }));
                    }
                }
            }
        }
        Err(KafkaError::Away(format!(
            "could not read {topic}/{partition} at offset {offset} again: the brokers at {} do not answer",
            self.brokers
        )))
    }

    /// Goes to an offset, if there is anything.
    fn seek(&mut self, topic: &str, partition: i32, offset: i64) -> Result<bool, KafkaError> {
        let away = |error: Native| {
            KafkaError::Away(format!("could not ask the brokers at {} for {topic}/{partition}: {error}", self.brokers))
        };
        self.at = None;
        let (low, high) = self.consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(away)?;
        if !(low..high).contains(&offset) {
            return Ok(false);
        }
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(away)?;
        self.consumer.assign(&place).map_err(away)?;
        Ok(true)
    }
}
