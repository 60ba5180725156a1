//! The last record of each partition of a topic that is one of ours, of those that are committed.

use super::KafkaError;
use super::client::{Context, PATIENCE, away, consumer};
use super::cluster::{ends, numbers};
use crate::config::kafka::Kafka;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How many records before the end are looked at first: some are marks of transactions.
const WINDOW: i64 = 256;
/// If none of them is ours, so many times more.
const WIDER: i64 = 16;

/// What `ours` says of the last record of each partition of which it says anything. Nothing of a topic that is not there.
///
/// # Errors
/// If the brokers do not answer, or refuse.
pub fn last_of_ours<T>(
    config: &Kafka,
    topic: &str,
    ours: impl Fn(&BorrowedMessage<'_>) -> Option<T>,
) -> Result<Vec<T>, KafkaError> {
    let more = [("enable.partition.eof", "true"), ("isolation.level", "read_committed")];
    let consumer = consumer(config, &more)?;
    let places: Vec<_> =
        numbers(&consumer, config, topic)?.into_iter().map(|number| (topic.to_owned(), number)).collect();
    let lows = ends(&consumer, config, &places, Offset::Beginning)?;
    let highs = ends(&consumer, config, &places, Offset::End)?;
    let mut found = Vec::new();
    for ((place, low), high) in places.iter().zip(lows).zip(highs) {
        let (mut until, mut window) = (high, WINDOW);
        while until > low {
            let from = low.max(until - window);
            if let Some(last) = last_within(&consumer, config, place, from..until, &ours)? {
                found.push(last);
                break;
            }
            (until, window) = (from, window.saturating_mul(WIDER));
        }
    }
    Ok(found)
}

/// The last of ours among these offsets.
fn last_within<T>(
    consumer: &BaseConsumer<Context>,
    config: &Kafka,
    (topic, number): &(String, i32),
    offsets: std::ops::Range<i64>,
    ours: impl Fn(&BorrowedMessage<'_>) -> Option<T>,
) -> Result<Option<T>, KafkaError> {
    let what = || format!("read the end of `{topic}/{number}`");
    let failed = |error: Native| away(consumer, config, &what(), &error);
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, *number, Offset::Offset(offsets.start)).map_err(failed)?;
    consumer.assign(&place).map_err(failed)?;
    let (mut last, mut heard) = (None, Instant::now());
    while heard.elapsed() < PATIENCE {
        match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Err(Native::PartitionEOF(_))) => return Ok(last),
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                let why =
                    format!("Kafka at {}: could not {}: this user may not; grant READ of it", config.brokers, what());
                return Err(KafkaError::Refused(why));
            }
            Some(Err(error)) => tracing::debug!("Kafka at {}: {error}; trying again", config.brokers),
            Some(Ok(record)) if record.offset() >= offsets.end => return Ok(last),
            Some(Ok(record)) => last = ours(&record).or(last),
        }
        heard = Instant::now();
    }
    Err(KafkaError::Away(format!("Kafka at {}: could not {}: no answer", config.brokers, what())))
}
