//! What this user may do: tried, since brokers refuse by a code that names neither topic nor group.

use super::KafkaError;
use super::client::{Context, PATIENCE, away, complaint, consumer, not_made, properties};
use super::partition::Found;
use super::producer::Deliveries;
use crate::config::kafka::Kafka as Config;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of these topics those whose records this user may not read: each is fetched from where it ends.
pub(crate) fn unreadable(config: &Config, topics: &BTreeSet<&str>) -> Result<Vec<String>, KafkaError> {
    let consumer = consumer(config, &[("enable.partition.eof", "true")])?;
    let mut refused = Vec::new();
    for topic in topics {
        if !is_readable(&consumer, config, topic)? {
            refused.push((*topic).to_owned());
        }
    }
    Ok(refused)
}

fn is_readable(consumer: &BaseConsumer<Context>, config: &Config, topic: &str) -> Result<bool, KafkaError> {
    let what = format!("read `{topic}`");
    let failed = |error: Native| away(consumer, config, &what, &error);
    let mut end = TopicPartitionList::new();
    end.add_partition_offset(topic, 0, Offset::End).map_err(failed)?;
    consumer.assign(&end).map_err(failed)?;
    let (started, mut last) = (Instant::now(), None);
    while started.elapsed() < PATIENCE {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_) | Err(Native::PartitionEOF(_))) => return Ok(true),
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                return Ok(false);
            }
            Some(Err(error)) => last = Some(error),
            None => {}
        }
    }
    let why = format!("Kafka at {}: could not {what}: no broker has answered", config.brokers);
    Err(match (last, consumer.context().trouble()) {
        (Some(error), _) => failed(error),
        (None, Some(trouble)) => KafkaError::Away(format!("{}; could not {what}", trouble.said)),
        (None, None) => KafkaError::Away(why),
    })
}

/// Names of topics, as they stand in a sentence.
pub(crate) fn listed(topics: &[String]) -> String {
    topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", ")
}

/// That topics may not be read, and what to do.
pub(crate) fn may_not_read(config: &Config, topics: &[String]) -> KafkaError {
    KafkaError::Refused(format!(
        "Kafka at {}: this user may not read {}: grant READ, or leave a topic out with an empty name (`kafka.topics`)",
        config.brokers,
        listed(topics)
    ))
}

/// Why positions cannot be shown to the group, if they cannot.
///
/// # Errors
/// If the brokers do not answer.
pub(crate) fn group(config: &Config, partitions: &[Found]) -> Result<Option<String>, KafkaError> {
    let consumer = consumer(config, &[])?;
    let mut asked = TopicPartitionList::new();
    for found in partitions {
        asked.add_partition(&found.topic, found.partition);
    }
    let Err(error) = consumer.committed_offsets(asked, PATIENCE) else { return Ok(None) };
    let complaint = complaint(&consumer);
    // Who may not even ask which broker the group's is waits for an answer in vain; the client says why.
    let code = RDKafkaErrorCode::GroupAuthorizationFailed;
    if error.rdkafka_error_code() == Some(code) || complaint.contains(&format!("{code:?}")) {
        return Ok(Some(format!(
            "this user may not use the group `{}` (`kafka.group_id`): lag dashboards see no positions; grant READ of it",
            config.group_id
        )));
    }
    Err(away(&consumer, config, &format!("ask for the positions of group `{}`", config.group_id), &error))
}

/// Of these topics, all of them compacted, those that this user may not write. Brokers ask for the right first, and
/// then refuse a record that has no key: nothing is ever written.
pub(crate) fn unwritable(config: &Config, topics: &[String]) -> Result<Vec<String>, KafkaError> {
    let mut client = properties(config)?;
    client.set("message.timeout.ms", PATIENCE.as_millis().to_string());
    // What became of a record of each topic.
    let refused = Arc::<Mutex<BTreeMap<String, RDKafkaErrorCode>>>::default();
    let noted = Arc::clone(&refused);
    let context = Deliveries::new(Context::new(config), move |result| {
        let Err((error, record)) = result else { return };
        let mut noted = noted.lock();
        noted.extend(error.rdkafka_error_code().map(|code| (record.topic().to_owned(), code)));
    });
    let producer: BaseProducer<Deliveries> =
        client.create_with_context(context).map_err(|error| not_made(config, &client, &error))?;
    let cannot = |topic: &str, error: &dyn std::fmt::Display| {
        KafkaError::Away(format!(
            "Kafka at {}: could not try whether `{topic}` may be written: {error}",
            config.brokers
        ))
    };
    for topic in topics {
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(b"");
        producer.send(record).map_err(|(error, _)| cannot(topic, &error))?;
    }
    producer.flush(PATIENCE * 2).map_err(|error| cannot("these topics", &error))?;
    let refused = refused.lock();
    let of = |(topic, code): (&String, &RDKafkaErrorCode)| {
        if *code == RDKafkaErrorCode::TopicAuthorizationFailed {
            return Some(Ok(topic.clone()));
        }
        (*code != RDKafkaErrorCode::InvalidRecord).then(|| Err(cannot(topic, code)))
    };
    refused.iter().filter_map(of).collect()
}
