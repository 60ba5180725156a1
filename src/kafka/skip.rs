//! What can never be read: which records of a log those are, and passing them because somebody said so.

use super::KafkaError;
use super::client::{Context, consumer};
use super::damage::{is_damage, is_lost};
use super::partition::{Found, Pass};
use crate::config::kafka::{Kafka, place};
use crate::decode::Reason;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as Native;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the same must fail to be taken for damage.
const TRIES: u32 = 3;
/// How long brokers are listened to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be passed of each partition (`kafka.skip`): from the offsets that are named up to the next record that
/// can be read.
///
/// # Errors
/// If a place is not one of these partitions, or brokers are away.
pub fn passes(config: &Kafka, partitions: &[Found]) -> Result<BTreeMap<String, Vec<Pass>>, KafkaError> {
    let mut passes = BTreeMap::<String, Vec<Pass>>::new();
    for text in &config.skip {
        let (name, offset) = place(text).map_err(|why| KafkaError::Refused(format!("setting `kafka.skip`: {why}")))?;
        let Some(found) = partitions.iter().find(|found| found.name() == name) else {
            let why = format!("setting `kafka.skip`: `{name}` is not a partition that is read");
            return Err(KafkaError::Refused(why));
        };
        if !(found.low..found.high).contains(&offset) {
            let (low, high) = (found.low, found.high);
            tracing::warn!(
                "setting `kafka.skip`: `{name}` holds offsets {low} to {high}, not {offset}: nothing is passed"
            );
            continue;
        }
        match (Probe { config, found }).damaged_from(offset)? {
            None => tracing::warn!("setting `kafka.skip`: `{name}` can be read at offset {offset}: nothing is passed"),
            Some(to) => {
                let last = to - 1;
                let why = format!(
                    "offsets {offset} to {last} of `{name}` could not be read and were passed, as `kafka.skip` says"
                );
                tracing::warn!("Kafka: {why}");
                passes.entry(name.to_owned()).or_default().push(Pass {
                    from: offset,
                    to,
                    reason: Reason::UNREADABLE,
                    why,
                });
            }
        }
    }
    Ok(passes)
}

/// What came first.
struct First {
    /// The offset of the first record; none if the log ended, or there was nothing but damage.
    record: Option<i64>,
    damage: bool,
}

struct Probe<'a> {
    config: &'a Kafka,
    found: &'a Found,
}

impl Probe<'_> {
    /// One for each look: what one has come upon that it cannot read, it may have lost its place by.
    fn client(&self) -> Result<BaseConsumer<Context>, KafkaError> {
        let more = [
            // What is behind a batch comes with it, however large that is.
            ("fetch.message.max.bytes", "67108864"),
            ("fetch.error.backoff.ms", "10"),
            ("enable.partition.eof", "true"),
        ];
        consumer(self.config, &more)
    }

    /// Where it can be read again, if it cannot be read at an offset.
    fn damaged_from(&self, offset: i64) -> Result<Option<i64>, KafkaError> {
        let first = self.first(offset)?;
        if !first.damage {
            return Ok(None);
        }
        if let Some(record) = first.record {
            // The client has found the end of the batch by itself.
            return Ok(Some(record));
        }
        // Within a batch every offset fails, and behind it none does.
        let (mut bad, mut step) = (offset, 1);
        let mut good = loop {
            let at = bad + step;
            if at >= self.found.high {
                break self.found.high;
            }
            match self.first(at)? {
                First { damage: false, .. } => break at,
                First { record: Some(record), .. } => break record,
                First { record: None, .. } => (bad, step) = (at, step * 2),
            }
        };
        while good - bad > 1 {
            let at = bad + (good - bad) / 2;
            match self.first(at)? {
                First { damage: false, .. } => good = at,
                First { record: Some(record), .. } => good = record.min(good),
                First { record: None, .. } => bad = at,
            }
        }
        Ok(Some(good))
    }

    fn first(&self, offset: i64) -> Result<First, KafkaError> {
        let Found { topic, partition, .. } = self.found;
        let away = |why: &str| {
            let (brokers, name) = (&self.config.brokers, self.found.name());
            KafkaError::Away(format!("Kafka at {brokers}: could not look at offset {offset} of `{name}`: {why}"))
        };
        let failed = |error: Native| away(&error.to_string());
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, *partition, Offset::Offset(offset)).map_err(failed)?;
        let consumer = self.client()?;
        consumer.assign(&assignment).map_err(failed)?;
        let (started, mut failures) = (Instant::now(), 0);
        while started.elapsed() < PATIENCE {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) if record.offset() < offset => {}
                Some(Ok(record)) => return Ok(First { record: Some(record.offset()), damage: failures > 0 }),
                Some(Err(Native::PartitionEOF(_))) => return Ok(First { record: None, damage: failures > 0 }),
                Some(Err(error)) if is_damage(&error) => {
                    failures += 1;
                    if failures == TRIES {
                        return Ok(First { record: None, damage: true });
                    }
                }
                // What could not be read has led the client astray.
                Some(Err(error)) if is_lost(&error) && failures > 0 => {
                    return Ok(First { record: None, damage: true });
                }
                Some(Err(_)) | None => {}
            }
        }
        Err(away("no broker has answered"))
    }
}
