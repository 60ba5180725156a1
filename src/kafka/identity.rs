//! What makes a partition the log it is: a topic that was deleted and made again has the same name, and
//! offsets into it mean something else. A record that was there once is there again, or the log is another.

use super::KafkaError;
use super::client::{PATIENCE, away, consumer};
use super::damage::is_damage;
use super::partition::Found;
use super::rights;
use crate::config::kafka::Kafka;
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Brokers that yield nothing for so long have no such record.
const SILENCE: Duration = Duration::from_secs(3);
/// So often what cannot be read may come between what can.
const DAMAGED_MAX: usize = 50;

/// The identity of each partition that has one: as it was known, if that record is there as it was or has
/// aged away.
pub(super) fn of(
    config: &Kafka,
    partitions: &[Found],
    known: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, KafkaError> {
    let mut identities = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for found in partitions {
        let name = found.name();
        match known.get(&name).and_then(|identity| Some((identity, offset_of(identity)?))) {
            // It cannot be asked any more, and a log that was made again would begin before it.
            Some((identity, offset)) if offset < found.low => drop(identities.insert(name, identity.clone())),
            Some((_, offset)) if offset < found.high => drop(wanted.insert(name, (found, offset))),
            // What is empty has nothing to tell it apart by.
            _ if found.high <= found.low => {}
            // It ends before it: that is another log, and what it begins with tells it apart.
            _ => drop(wanted.insert(name, (found, found.low))),
        }
    }
    let asked: Vec<String> = wanted.keys().cloned().collect();
    let (found, damage) = records(config, wanted)?;
    identities.extend(found);
    for name in asked.into_iter().filter(|name| damage && !identities.contains_key(name)).collect::<Vec<_>>() {
        // It was damaged since, and cannot be asked any more.
        if let Some(identity) = known.get(&name) {
            identities.insert(name, identity.clone());
        }
    }
    Ok(identities)
}

/// What tells a log apart that holds this record.
pub fn of_record(record: &impl Message) -> String {
    let mut sum = crc32fast::Hasher::new();
    sum.update(record.key().unwrap_or_default());
    sum.update(record.payload().unwrap_or_default());
    sum.update(&record.timestamp().to_millis().unwrap_or(-1).to_be_bytes());
    format!("record {} is {:08x}", record.offset(), sum.finalize())
}

fn offset_of(identity: &str) -> Option<i64> {
    identity.strip_prefix("record ")?.split_once(' ')?.0.parse().ok()
}

/// What the records at these offsets, or the first after them, are; and whether some of them cannot be read.
fn records(
    config: &Kafka,
    mut wanted: BTreeMap<String, (&Found, i64)>,
) -> Result<(BTreeMap<String, String>, bool), KafkaError> {
    let (mut identities, mut damaged) = (BTreeMap::new(), 0);
    if wanted.is_empty() {
        return Ok((identities, false));
    }
    // One record of each is enough.
    let consumer = consumer(config, &[("fetch.message.max.bytes", "65536")])?;
    let mut assignment = TopicPartitionList::new();
    for (found, offset) in wanted.values() {
        assignment.add_partition_offset(&found.topic, found.partition, Offset::Offset(*offset)).ok();
    }
    let away = |error: rdkafka::error::KafkaError| away(&consumer, config, "read the first records", &error);
    consumer.assign(&assignment).map_err(away)?;
    let mut asked = Instant::now();
    while !wanted.is_empty() {
        let Some(polled) = consumer.poll(SILENCE) else { break };
        let record = match polled {
            Ok(record) => record,
            Err(error) if is_damage(&error) && damaged < DAMAGED_MAX => {
                damaged += 1;
                continue;
            }
            Err(error) if is_damage(&error) => break,
            Err(error) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    let topics: BTreeSet<_> = wanted.values().map(|(found, _)| found.topic.as_str()).collect();
                    match rights::unreadable(config, &topics)? {
                        refused if refused.is_empty() => continue,
                        refused => return Err(rights::may_not_read(config, &refused)),
                    }
                }
                // One of several brokers is unavailable: the others have what is asked for, or will.
                _ if asked.elapsed() < PATIENCE => continue,
                _ => return Err(away(error)),
            },
        };
        asked = Instant::now();
        let name = format!("{}/{}", record.topic(), record.partition());
        let Some((_, offset)) = wanted.remove(&name) else { continue };
        // One behind the damage is another.
        if damaged == 0 || record.offset() == offset {
            identities.insert(name, of_record(&record));
        }
        let mut done = TopicPartitionList::new();
        done.add_partition(record.topic(), record.partition());
        consumer.pause(&done).map_err(away)?;
    }
    Ok((identities, damaged > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_says_which_record_it_is_of() {
        assert_eq!(offset_of("record 42 is 0badcafe"), Some(42));
        assert_eq!(offset_of("first line 0badcafe"), None);
    }
}
