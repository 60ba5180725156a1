//! What there is to read: topics, partitions, where they begin and end, and where reading begins.

use super::KafkaError;
use super::client::{Context, PATIENCE, away, consumer};
use super::loss::{self, Loss};
use super::partition::{Found, Pass};
use super::{cleanup, identity, skip};
use crate::config::kafka::{Kafka, Start};
use crate::state_dir::Lost;
use crate::state_dir::journal::Entry;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;

/// What was written down at an earlier start, by `topic/partition`.
#[derive(Clone, Debug, Default)]
pub struct KnownPartitions {
    /// Where each partition began.
    pub begins: BTreeMap<String, i64>,
    /// What made it the log it is.
    pub identities: BTreeMap<String, String>,
    /// What becomes of records that were deleted before they were read.
    pub loss: Loss,
}

/// Everything there is to read.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The partitions, in the order of their names.
    pub partitions: Vec<Found>,
    /// The topics that are not there.
    pub missing: Vec<String>,
    /// What makes each partition the log it is.
    pub identities: BTreeMap<String, String>,
    /// Where each partition begins, to be written down before anything is read.
    pub begins: BTreeMap<String, i64>,
    /// What is passed of each because it cannot be read.
    pub passes: BTreeMap<String, Vec<Pass>>,
    /// What of that was deleted before it was read.
    pub lost: Vec<Lost>,
}

impl Cluster {
    /// Looks what there is. A partition that was never read begins where the configuration says, or, if
    /// others were read before it was there, with its first record.
    ///
    /// # Errors
    /// If the brokers are away, or what is there must not be read.
    pub fn look(config: &Kafka, known: &KnownPartitions) -> Result<Cluster, KafkaError> {
        let consumer = consumer(config, &[])?;
        let (mut partitions, mut missing) = (Vec::new(), Vec::new());
        for (carries, topic) in config.topics() {
            let numbers = numbers(&consumer, config, &topic)?;
            if numbers.is_empty() {
                missing.push(topic.clone());
            }
            partitions.extend(numbers.into_iter().map(|partition| Found {
                carries,
                topic: topic.clone(),
                partition,
                low: 0,
                high: 0,
                begin: 0,
            }));
        }
        if partitions.is_empty() {
            let why = format!(
                "Kafka at {}: none of the topics is there: {}. Create them (`simulate --brokers` does), or say how yours are \
                 called (`kafka.topics`)",
                config.brokers,
                missing.join(", ")
            );
            return Err(KafkaError::Refused(why));
        }
        let places: Vec<_> = partitions.iter().map(|found| (found.topic.clone(), found.partition)).collect();
        let lows = ends(&consumer, config, &places, Offset::Beginning)?;
        let highs = ends(&consumer, config, &places, Offset::End)?;
        for (found, (low, high)) in partitions.iter_mut().zip(lows.into_iter().zip(highs)) {
            (found.low, found.high) = (low, high.max(low));
        }
        refuse_compacted(config, &partitions)?;
        begin(&consumer, config, known, &mut partitions)?;
        let identities = identity::of(config, &partitions, &known.identities)?;
        if known.loss == Loss::Forgotten {
            for found in &mut partitions {
                let name = found.name();
                let before = known.identities.get(&name);
                let is_another = before.is_some_and(|before| identities.get(&name) != Some(before));
                if is_another || !(found.low..=found.high).contains(&found.begin) {
                    found.begin = found.low;
                }
            }
        }
        let begins = partitions.iter().map(|found| (found.name(), found.begin));
        // A topic that is missing for a while begins where it began.
        let begins = known.begins.clone().into_iter().chain(begins).collect();
        let mut passes = skip::passes(config, &partitions)?;
        let lost = known.loss.of(&partitions);
        for lost in &lost {
            passes.entry(lost.partition.clone()).or_default().push(loss::pass(lost));
        }
        Ok(Cluster { partitions, missing, identities, begins, passes, lost })
    }

    /// What one of so many processes reads of it.
    pub fn of(&self, process: usize, processes: usize) -> Cluster {
        let is_its = |found: &&Found| found.process(processes) == process;
        Cluster { partitions: self.partitions.iter().filter(is_its).cloned().collect(), ..self.clone() }
    }

    /// Whether every partition still holds what is to be read: from its position on, or from where it began; and of
    /// what is journaled all that must be read again.
    ///
    /// # Errors
    /// If one does not, with what can be done.
    pub fn check(&self, positions: &BTreeMap<String, i64>, replay: &[&Entry]) -> Result<(), KafkaError> {
        loss::check(&self.partitions, &self.passes, positions, replay)
    }
}

/// The partitions of a topic; none if it is not there.
pub(crate) fn numbers(consumer: &BaseConsumer<Context>, config: &Kafka, topic: &str) -> Result<Vec<i32>, KafkaError> {
    let what = || format!("ask for the partitions of `{topic}`");
    let metadata =
        consumer.fetch_metadata(Some(topic), PATIENCE).map_err(|error| away(consumer, config, &what(), &error))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(Vec::new()) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(Vec::new()),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            let why = format!(
                "Kafka at {}: `{topic}` may not be read by this user; grant it, or leave it out with an \
                               empty name (`kafka.topics`)",
                config.brokers
            );
            return Err(KafkaError::Refused(why));
        }
        Some(error) => {
            return Err(KafkaError::Away(format!("Kafka at {}: could not {}: {error}", config.brokers, what())));
        }
    }
    let mut numbers: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first offset of each partition, or the one after its last.
///
/// Not by librdkafka's question for both at once: when only one of its two answers is an error, it forgets
/// the error and tells that the log is empty.
pub(crate) fn ends(
    consumer: &BaseConsumer<Context>,
    config: &Kafka,
    places: &[(String, i32)],
    which: Offset,
) -> Result<Vec<i64>, KafkaError> {
    let what = |place: &str| format!("ask where {place} begins and ends");
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in places {
        asked.add_partition_offset(topic, *partition, which).ok();
    }
    let answered = consumer.offsets_for_times(asked, PATIENCE);
    let answered = answered.map_err(|error| away(consumer, config, &what("each topic"), &error))?;
    let offset = |(topic, partition): &(String, i32)| {
        let answer = answered.find_partition(topic, *partition);
        match answer.as_ref().map(|answer| (answer.error(), answer.offset())) {
            Some((Ok(()), Offset::Offset(offset))) => Ok(offset),
            Some((Err(error), _)) => Err(away(consumer, config, &what(&format!("`{topic}/{partition}`")), &error)),
            _ => {
                let brokers = &config.brokers;
                let why = format!("Kafka at {brokers}: was not told where `{topic}/{partition}` begins and ends");
                Err(KafkaError::Away(why))
            }
        }
    };
    places.iter().map(offset).collect()
}

/// Where each partition begins.
fn begin(
    consumer: &BaseConsumer<Context>,
    config: &Kafka,
    known: &KnownPartitions,
    partitions: &mut [Found],
) -> Result<(), KafkaError> {
    let start = config.start().map_err(KafkaError::Refused)?;
    // Whatever comes to be later is read whole.
    let start = if known.begins.is_empty() { start } else { Start::Earliest };
    let mut at = BTreeMap::new();
    if let Start::At(instant_ms) = start {
        let mut times = TopicPartitionList::new();
        for found in partitions.iter() {
            times.add_partition_offset(&found.topic, found.partition, Offset::Offset(instant_ms)).ok();
        }
        let offsets = consumer.offsets_for_times(times, PATIENCE);
        let offsets = offsets.map_err(|error| away(consumer, config, "ask for the offsets of an instant", &error))?;
        if let Some((found, error)) =
            offsets.elements().iter().find_map(|found| Some((found.topic().to_owned(), found.error().err()?)))
        {
            return Err(away(consumer, config, &format!("ask for the offset of an instant in `{found}`"), &error));
        }
        at.extend(
            offsets.elements().iter().map(|found| ((found.topic().to_owned(), found.partition()), found.offset())),
        );
    }
    for found in partitions {
        found.begin = match (known.begins.get(&found.name()), start) {
            (Some(begin), _) => *begin,
            (None, Start::Earliest) => found.low,
            // The catalog is what prices are found in: all of it, whenever the events begin.
            (None, _) if found.is_read_first() => found.low,
            (None, Start::Latest) => found.high,
            (None, Start::At(_)) => match at.get(&(found.topic.clone(), found.partition)) {
                Some(Offset::Offset(offset)) => *offset,
                // Nothing was appended since.
                _ => found.high,
            },
        };
    }
    Ok(())
}

/// What was read of a compacted topic cannot be read again.
fn refuse_compacted(config: &Kafka, partitions: &[Found]) -> Result<(), KafkaError> {
    if config.accept_compacted {
        return Ok(());
    }
    let topics = partitions.iter().map(|found| found.topic.as_str()).collect();
    let told = cleanup::of(config, &topics)?;
    let untold: Vec<_> =
        topics.iter().filter(|topic| !told.contains_key(**topic)).map(|topic| format!("`{topic}`")).collect();
    if !untold.is_empty() {
        tracing::warn!(
            "Kafka: this user is not told whether {} {} compacted (it may not DESCRIBE_CONFIGS): what was read of a \
             compacted topic cannot be read again. Grant it, or set `kafka.accept_compacted`",
            untold.join(", "),
            if untold.len() == 1 { "is" } else { "are" },
        );
    }
    for (topic, cleanup) in told {
        if cleanup.compacts {
            let why = format!(
                "Kafka at {}: topic `{topic}` is compacted (`cleanup.policy`): what was read of it cannot be read again, \
                 after a crash or for a rebuild. Set its `cleanup.policy` to `delete`, or, if losing older records is \
                 meant, `kafka.accept_compacted` to true",
                config.brokers
            );
            return Err(KafkaError::Refused(why));
        }
    }
    Ok(())
}
