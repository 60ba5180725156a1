//! Records from Kafka: one consumer that is told which partitions to read, and from where.

use super::{Batch, Partition, Place, Poll, Source, SourceError};
use crate::config::kafka::{Format as Payload, Kafka as Config};
use crate::decode::avro::{Schemas, schema_id};
use crate::kafka::KafkaError;
use crate::kafka::client::{Context, consumer};
use crate::kafka::cluster::{CATALOG, Cluster, Found};
use crate::kafka::identity;
use crate::kafka::registry::{Registry, Resolved};
use dataflows::operators::Status;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// About how many bytes a batch holds at the most.
const BATCH_BYTES: usize = 1 << 20;
/// How often lag dashboards are told how far we are.
const COMMIT: Duration = Duration::from_secs(5);

/// How the partitions of a run are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// To where they end now, and no further.
    pub to_end: bool,
    /// After other sources: until those have ended they do not hold the watermark.
    pub follows: bool,
}

/// A partition, and how far it is.
struct Mine {
    found: Found,
    next: i64,
    identity: Option<String>,
    /// Nothing more is read of it.
    ended: bool,
}

/// Some partitions of a cluster.
pub struct Kafka {
    consumer: BaseConsumer<Context>,
    // Apart, since what is polled belongs to the consumer.
    reader: Reader,
    committed: Instant,
}

/// What becomes of records.
struct Reader {
    brokers: String,
    payload: Payload,
    schemas: Schemas,
    registry: Option<Arc<Registry>>,
    mode: Mode,
    /// It is the catalog, and has not come to its then end.
    leads: bool,
    mine: Vec<Mine>,
    /// Its schema is not known yet; nothing overtakes it.
    held: Option<OwnedMessage>,
    says: VecDeque<Poll>,
}

/// The sources that read a cluster: the catalog first, and then for each worker that owns any a consumer
/// of its partitions.
///
/// # Errors
/// If no consumer can be made.
pub fn sources(
    config: &Config,
    cluster: &Cluster,
    registry: Option<&Arc<Registry>>,
    workers: usize,
    mode: Mode,
) -> Result<Vec<Box<dyn Source>>, KafkaError> {
    let (catalog, events): (Vec<_>, Vec<_>) =
        cluster.partitions.iter().cloned().partition(|found| found.carries == CATALOG);
    let mut shares = vec![Vec::new(); workers.max(1)];
    for found in events {
        let share = crc32fast::hash(found.name().as_bytes()) as usize % shares.len();
        shares[share].push(found);
    }
    let mine = |found: Found| {
        let identity = cluster.identities.get(&found.name()).cloned();
        Mine { next: found.begin, ended: false, identity, found }
    };
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if !catalog.is_empty() {
        sources.push(Box::new(Kafka::new(config, catalog.into_iter().map(mine).collect(), registry, true, mode)?));
    }
    for share in shares.into_iter().filter(|share| !share.is_empty()) {
        sources.push(Box::new(Kafka::new(config, share.into_iter().map(mine).collect(), registry, false, mode)?));
    }
    Ok(sources)
}

impl Kafka {
    fn new(
        config: &Config,
        mine: Vec<Mine>,
        registry: Option<&Arc<Registry>>,
        leads: bool,
        mode: Mode,
    ) -> Result<Kafka, KafkaError> {
        let reader = Reader {
            brokers: config.brokers.clone(),
            payload: config.format,
            schemas: registry.map_or_else(Schemas::shipped, |registry| registry.schemas().clone()),
            registry: registry.cloned(),
            mode,
            leads,
            mine,
            held: None,
            says: VecDeque::new(),
        };
        Ok(Kafka { consumer: consumer(config, &[])?, reader, committed: Instant::now() })
    }

    /// Tells lag dashboards how far we are; nothing else depends on it.
    fn show_positions(&mut self) {
        if self.committed.elapsed() < COMMIT {
            return;
        }
        self.committed = Instant::now();
        let mut positions = TopicPartitionList::new();
        for Mine { found, next, .. } in &self.reader.mine {
            positions.add_partition_offset(&found.topic, found.partition, Offset::Offset(*next)).ok();
        }
        if let Err(error) = self.consumer.commit(&positions, CommitMode::Async) {
            tracing::debug!("Kafka: positions could not be shown to the group: {error}");
        }
    }
}

impl Reader {
    fn number_of(&self, topic: &str, partition: i32) -> Option<usize> {
        self.mine.iter().position(|mine| mine.found.partition == partition && mine.found.topic == topic)
    }

    /// Takes a record into the batch, or holds it while its schema is not known.
    fn take<M: Message>(&mut self, record: &M, batch: &mut Batch) -> Result<(), SourceError> {
        let Some(number) = self.number_of(record.topic(), record.partition()) else { return Ok(()) };
        let mine = &self.mine[number];
        if mine.ended || record.offset() < mine.next {
            return Ok(());
        }
        if self.mode.to_end && record.offset() >= mine.found.high {
            // All that was there has come before it.
            self.mine[number].next = mine.found.high;
            return Ok(());
        }
        let payload = record.payload().unwrap_or_default();
        if let (Some(registry), Some(id)) = (&self.registry, schema_id(payload)) {
            match registry.resolve(id) {
                Resolved::Yes => {}
                waiting => {
                    self.held = Some(detached(record));
                    return match waiting {
                        Resolved::Away(why) if batch.records.is_empty() => Err(SourceError::Unavailable(why)),
                        _ => Ok(()),
                    };
                }
            }
        }
        let appended_ms = record.timestamp().to_millis().filter(|ms| *ms >= 0).unwrap_or(i64::MAX);
        batch.push_appended(number as u32, record.offset(), appended_ms, record.key().unwrap_or_default(), payload);
        let mine = &mut self.mine[number];
        mine.next = record.offset() + 1;
        // It was empty when we began: its first record tells it apart from now on.
        mine.identity.get_or_insert_with(|| identity::of_record(record));
        Ok(())
    }

    fn failed(&self, error: &Native) -> Option<SourceError> {
        let code = error.rdkafka_error_code();
        let why = match (error, code) {
            (_, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
                "what is to be read next was deleted while we read, or the topic was made again. Start again: it is \
                 said then what is missing"
            }
            (_, Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                "a topic that was read is gone. Start again with what is there"
            }
            (_, Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => "a topic may not be read any more by this user",
            (Native::MessageConsumptionFatal(_), _) => "the client cannot go on",
            // It tries again by itself, and says so.
            _ => return None,
        };
        Some(SourceError::Failed(format!("Kafka at {}: {why} ({error})", self.brokers)))
    }

    /// What is to be said now that there is nothing to read, or enough was read.
    fn arrive(&mut self, context: &Context) {
        let arrived = |mine: &Mine, context: &Context| {
            let fetched = || context.fetched(&mine.found.topic, mine.found.partition);
            let end = mine.found.high;
            mine.next >= end || fetched().is_some_and(|fetched| fetched.is_polled_to(end, mine.next))
        };
        if self.held.is_some() {
            return;
        }
        if self.mode.to_end {
            for (number, mine) in self.mine.iter_mut().enumerate() {
                if !mine.ended && arrived(mine, context) {
                    mine.ended = true;
                    self.says.push_back(Poll::Status(number as u32, Status::Ended));
                }
            }
            if self.mine.iter().all(|mine| mine.ended) && self.says.is_empty() {
                self.says.push_back(Poll::End);
            }
        } else if self.leads && self.mine.iter().all(|mine| arrived(mine, context)) {
            self.leads = false;
            self.says.push_back(Poll::Cut);
        }
    }
}

fn detached<M: Message>(record: &M) -> OwnedMessage {
    let (key, payload) = (record.key().map(<[u8]>::to_vec), record.payload().map(<[u8]>::to_vec));
    let (topic, partition, offset) = (record.topic().to_owned(), record.partition(), record.offset());
    OwnedMessage::new(payload, key, topic, record.timestamp(), partition, offset, None)
}

impl Source for Kafka {
    fn partitions(&self) -> Vec<Partition> {
        let Reader { mine, mode, payload, schemas, .. } = &self.reader;
        let partition = |Mine { found, .. }: &Mine| Partition {
            topic: found.topic.clone(),
            partition: found.partition,
            format: found.format(*payload, schemas),
            status: if found.carries == CATALOG || mode.follows { Status::Waiting } else { Status::Live },
        };
        mine.iter().map(partition).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let Kafka { consumer, reader, .. } = self;
        if let Some(said) = reader.says.pop_front() {
            return Ok(said);
        }
        let mut batch = Batch::with_capacity(max_records, BATCH_BYTES);
        if let Some(held) = reader.held.take() {
            reader.take(&held, &mut batch)?;
        }
        while reader.held.is_none() && batch.records.len() < max_records && batch.bytes.len() < BATCH_BYTES {
            match consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(record)) => reader.take(&record, &mut batch)?,
                Some(Err(error)) => match reader.failed(&error) {
                    Some(failed) => return Err(failed),
                    None => tracing::warn!("Kafka at {}: {error}; trying again", reader.brokers),
                },
            }
        }
        reader.arrive(consumer.context());
        let polled = match batch.records.is_empty() {
            true => reader.says.pop_front().unwrap_or(Poll::Idle),
            false => Poll::Records(batch),
        };
        self.show_positions();
        Ok(polled)
    }

    fn identity(&self, partition: u32) -> Option<String> {
        self.reader.mine.get(partition as usize)?.identity.clone()
    }

    fn waits_for(&self) -> Option<String> {
        let Reader { mine, brokers, held, .. } = &self.reader;
        if let Some(held) = held {
            let id = schema_id(held.payload().unwrap_or_default())?;
            return Some(format!("schema {id} from the registry, for `{}/{}`", held.topic(), held.partition()));
        }
        let context = self.consumer.context();
        let unheard = |mine: &&Mine| !mine.ended && context.fetched(&mine.found.topic, mine.found.partition).is_none();
        let unheard = mine.iter().find(unheard)?;
        Some(format!("Kafka at {brokers}: no broker has lately answered for `{}`", unheard.found.name()))
    }

    fn place(&self) -> Place {
        if self.reader.leads { Place::Catalog } else { Place::Live }
    }

    fn at_end(&self, partition: u32) -> Option<bool> {
        let Some(Mine { found, next, .. }) = self.reader.mine.get(partition as usize) else { return Some(false) };
        let fetched = self.consumer.context().fetched(&found.topic, found.partition);
        Some(self.reader.held.is_none() && fetched.is_some_and(|fetched| fetched.is_all(*next)))
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        let Reader { mine, mode, says, brokers, .. } = &mut self.reader;
        for (number, next) in next_offsets {
            mine[*number as usize].next = *next;
        }
        let mut assignment = TopicPartitionList::new();
        for Mine { found, next, .. } in mine.iter() {
            let added = assignment.add_partition_offset(&found.topic, found.partition, Offset::Offset(*next));
            added.map_err(|error| SourceError::Failed(format!("Kafka: `{}` from {next}: {error}", found.name())))?;
        }
        let assigned = self.consumer.assign(&assignment);
        assigned.map_err(|error| SourceError::Failed(format!("Kafka at {brokers}: could not assign: {error}")))?;
        if mode.follows {
            let live = |number| Poll::Status(number as u32, Status::Live);
            says.extend((0..mine.len()).filter(|n| mine[*n].found.carries != CATALOG).map(live));
        }
        Ok(())
    }
}
