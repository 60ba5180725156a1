//! Records from Kafka: one consumer that is told which partitions to read, and from where.

mod mine;
mod reader;
mod share;

use super::{Batch, Lag, Partition, Poll, Portion, ReadOrder, Source, SourceError, Trouble};
use crate::config::kafka::Kafka as Config;
use crate::decode::avro::Schemas;
use crate::kafka::KafkaError;
use crate::kafka::client::{Context, consumer};
use crate::kafka::cluster::Cluster;
use crate::kafka::damage::is_damage;
use crate::kafka::partition::Found;
use crate::kafka::registry::Registry;
use crate::state_dir::journal::Rejected;
use dataflows::operators::Status;
use mine::Mine;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error as native;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use reader::Reader;
use serde::{Deserialize, Serialize};
pub use share::Share;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// About how many bytes a batch holds at the most.
const BATCH_BYTES: usize = 1 << 20;
/// How many kilobytes the client keeps ready for one of its partitions, and for all of them.
const READY_EACH_KB: usize = 1 << 10;
const READY_KB: usize = 32 << 10;
/// How often lag dashboards are told how far we are.
const COMMIT: Duration = Duration::from_secs(5);

/// How the partitions of a run are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// To where they end now, and no further.
    pub to_end: bool,
    /// After other sources: until those have ended they do not hold the watermark.
    pub follows: bool,
}

impl Mode {
    /// Whether a partition holds the watermark from the beginning on.
    fn status(self, found: &Found) -> Status {
        if found.is_read_first() || self.follows { Status::Waiting } else { Status::Live }
    }
}

/// Some partitions of a cluster.
pub struct Kafka {
    config: Config,
    consumer: Arc<BaseConsumer<Context>>,
    /// What the client has ready of each partition, in the order of their numbers: one that waits holds no other.
    queues: Vec<PartitionQueue<Context>>,
    // Apart, since what is polled belongs to the consumer.
    reader: Reader,
    /// The partition that is polled first.
    turn: usize,
    committed: Instant,
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
        cluster.partitions.iter().cloned().partition(|found| found.is_read_first());
    let mine = |found: Found| {
        let (identity, passes) = (cluster.identities.get(&found.name()), cluster.passes.get(&found.name()));
        Mine::new(found, identity.cloned(), passes.cloned().unwrap_or_default())
    };
    let reading = Arc::<AtomicUsize>::default();
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if !catalog.is_empty() {
        let mine = catalog.into_iter().map(mine).collect();
        sources.push(Box::new(Kafka::new(config, mine, registry, true, mode, &reading)?));
    }
    for share in grouped(events.into_iter(), workers) {
        let mine = share.into_iter().map(mine).collect();
        sources.push(Box::new(Kafka::new(config, mine, registry, false, mode, &reading)?));
    }
    Ok(sources)
}

/// Partitions of events, by the sources that read them: one for each of so many workers that owns any, of one family each.
fn grouped(events: impl Iterator<Item = Found>, workers: usize) -> Vec<Vec<Found>> {
    let mut shares = BTreeMap::<_, Vec<Found>>::new();
    for found in events {
        let share = crc32fast::hash(found.name().as_bytes()) as usize % workers.max(1);
        shares.entry((found.family().name(), share)).or_default().push(found);
    }
    shares.into_values().collect()
}

/// A client for so many partitions.
fn connect(config: &Config, partitions: usize) -> Result<Arc<BaseConsumer<Context>>, KafkaError> {
    const READY: &str = "queued.max.messages.kbytes";
    // What is ready is counted by partition, where each has a queue of its own.
    let ready = (READY_KB / partitions.max(1)).max(READY_EACH_KB).to_string();
    let more = [(READY, ready.as_str())];
    let is_set = config.properties.contains_key(READY);
    Ok(Arc::new(consumer(config, if is_set { &[] } else { &more })?))
}

impl Kafka {
    fn new(
        config: &Config,
        mine: Vec<Mine>,
        registry: Option<&Arc<Registry>>,
        leads: bool,
        mode: Mode,
        reading: &Arc<AtomicUsize>,
    ) -> Result<Kafka, KafkaError> {
        reading.fetch_add(1, Ordering::AcqRel);
        let consumer = connect(config, mine.len())?;
        let reader = Reader {
            brokers: config.brokers.clone(),
            payload: config.format,
            schemas: registry.map_or_else(Schemas::shipped, |registry| registry.schemas().clone()),
            registry: registry.cloned(),
            mode,
            leads,
            mine,
            says: VecDeque::new(),
            said: None,
            reading: Arc::clone(reading),
            is_done: false,
        };
        let config = config.clone();
        Ok(Kafka { config, consumer, queues: Vec::new(), reader, turn: 0, committed: Instant::now() })
    }

    /// Reads each partition from the next record on that it did not read.
    fn assign(&mut self) -> Result<(), native::KafkaError> {
        let mut assignment = TopicPartitionList::new();
        for mine in &self.reader.mine {
            let place = Offset::Offset(mine.begins_at());
            assignment.add_partition_offset(&mine.found.topic, mine.found.partition, place)?;
        }
        self.consumer.assign(&assignment)?;
        self.reader.mine.iter_mut().for_each(|mine| mine.astray = false);
        // Only now: to assign again joins them again.
        let of = |mine: &Mine| self.consumer.split_partition_queue(&mine.found.topic, mine.found.partition);
        self.queues = self.reader.mine.iter().filter_map(of).collect();
        match self.queues.len() == self.reader.mine.len() {
            true => Ok(()),
            false => {
                Err(native::KafkaError::Subscription("partitions cannot be read apart from each other".to_owned()))
            }
        }
    }

    /// Goes on with another client: one that has come upon what it cannot read may have lost its place, and may not
    /// be told of another often.
    fn begin_again(&mut self) -> Result<(), SourceError> {
        let away = |why: String| {
            SourceError::Unavailable(format!("Kafka at {}: could not begin again: {why}", self.config.brokers))
        };
        let consumer = connect(&self.config, self.reader.mine.len()).map_err(|error| away(error.to_string()))?;
        self.queues.clear();
        self.consumer = consumer;
        let assigned = self.assign();
        assigned.map_err(|error| {
            SourceError::Failed(format!("Kafka at {}: could not assign: {error}", self.config.brokers))
        })
    }

    /// Takes what there is of a partition, if there is room for it.
    fn take_from(&mut self, number: usize, batch: &mut Batch, max_records: usize) -> Result<(), SourceError> {
        let has_room = |batch: &Batch| batch.records.len() < max_records && batch.bytes.len() < BATCH_BYTES;
        if let Some(damage) = &mut self.reader.mine[number].damage
            && damage.again.is_some_and(|again| again <= Instant::now())
        {
            damage.again = None;
            self.begin_again()?;
        }
        while has_room(batch) && self.reader.release(number, batch) {}
        while has_room(batch) && !self.queues.is_empty() {
            if let Some((to, refused)) = self.reader.mine[number].passes_now() {
                batch.push_refused(number as u32, to - 1, refused);
                let mine = &mut self.reader.mine[number];
                (mine.next, mine.damage) = (to, None);
                self.begin_again()?;
            }
            if !self.reader.mine[number].is_open() {
                break;
            }
            if self.reader.mine[number].astray {
                self.begin_again()?;
            }
            match self.queues[number].poll(Duration::ZERO) {
                None => break,
                Some(Ok(record)) => self.reader.take(&record, batch),
                Some(Err(error)) => self.reader.fails(Some(number), &error)?,
            }
        }
        Ok(())
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

impl Source for Kafka {
    fn partitions(&self) -> Vec<Partition> {
        let Reader { mine, mode, payload, schemas, .. } = &self.reader;
        let partition = |Mine { found, .. }: &Mine| Partition {
            topic: found.topic.clone(),
            partition: found.partition,
            family: found.family(),
            format: found.format(*payload, schemas),
            status: mode.status(found),
        };
        mine.iter().map(partition).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        if let Some(said) = self.reader.says.pop_front() {
            return Ok(said);
        }
        let mut batch = Batch::with_capacity(max_records, BATCH_BYTES);
        let mut goes_back = false;
        // Records that came before each partition had a queue, and what is not a record.
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            match polled {
                // After damage a client may have lost its place, and say so: what another one says counts.
                _ if goes_back => {}
                Ok(record) => self.reader.take(&record, &mut batch),
                Err(error) => {
                    self.reader.fails(None, &error)?;
                    goes_back |= is_damage(&error);
                }
            }
        }
        if goes_back {
            // Nobody knows of which partition that was: each is read again, from its own queue.
            self.begin_again()?;
        }
        let count = self.queues.len();
        for number in (self.turn..count).chain(0..self.turn) {
            self.take_from(number, &mut batch, max_records)?;
        }
        self.turn = (self.turn + 1) % count.max(1);
        let Kafka { consumer, reader, .. } = self;
        let arrived = reader.arrive(consumer.context());
        let polled = match batch.records.is_empty() {
            true => {
                arrived?;
                reader.says.pop_front().unwrap_or(Poll::Idle)
            }
            // If it failed, it does so again.
            false => Poll::Records(batch),
        };
        self.show_positions();
        Ok(polled)
    }

    fn identity(&self, partition: u32) -> Option<String> {
        self.reader.mine.get(partition as usize)?.identity.clone()
    }

    fn portion(&self) -> Option<Portion> {
        let of = |mine: &Mine| {
            let (low, high) = (mine.found.low, mine.found.high);
            Portion { done: (mine.next - low).clamp(0, high - low) as u64, of: (high - low).max(0) as u64 }
        };
        // Read on and on, it has no end.
        self.reader.mode.to_end.then(|| self.reader.mine.iter().map(of).fold(Portion::default(), |all, one| all + one))
    }

    fn waits_for(&self) -> Vec<String> {
        let Reader { mine, brokers, .. } = &self.reader;
        let waits = |mine: &Mine| mine.waits_for(|record| self.reader.said_of(mine, record));
        let mut all: Vec<_> = mine.iter().filter_map(waits).collect();
        let context = self.consumer.context();
        let unheard = |mine: &&Mine| {
            !mine.ended && mine.is_clear() && context.fetched(&mine.found.topic, mine.found.partition).is_none()
        };
        if let Some(unheard) = mine.iter().find(unheard) {
            all.push(format!("Kafka at {brokers}: no broker has lately answered for `{}`", unheard.name));
        }
        all
    }

    fn troubles(&self) -> Vec<Trouble> {
        let registry = self.reader.registry.as_ref().and_then(|registry| registry.trouble());
        self.consumer.context().trouble().into_iter().chain(registry).collect()
    }

    fn lag(&self) -> Vec<Lag> {
        let context = self.consumer.context();
        let lag = |mine: &Mine| {
            let end = context.fetched(&mine.found.topic, mine.found.partition)?.end;
            let records = u64::try_from(end - mine.next).unwrap_or_default();
            Some(Lag { topic: mine.found.topic.clone(), records, read_to_ms: mine.read_to_ms })
        };
        self.reader.mine.iter().filter_map(lag).collect()
    }

    fn replays(&mut self, partition: u32, until: i64, rejected: Vec<Rejected>) {
        self.reader.mine[partition as usize].replays(until, rejected);
    }

    fn read_order(&self) -> ReadOrder {
        if self.reader.leads { ReadOrder::Catalog } else { ReadOrder::Live }
    }

    fn at_end(&self, partition: u32) -> Option<bool> {
        let Some(mine) = self.reader.mine.get(partition as usize) else { return Some(false) };
        let fetched = self.consumer.context().fetched(&mine.found.topic, mine.found.partition);
        Some(mine.is_clear() && fetched.is_some_and(|fetched| fetched.is_all(mine.next)))
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        for (number, next) in next_offsets {
            self.reader.mine[*number as usize].next = *next;
        }
        let assigned = self.assign();
        let Reader { mine, mode, says, brokers, .. } = &mut self.reader;
        assigned.map_err(|error| SourceError::Failed(format!("Kafka at {brokers}: could not assign: {error}")))?;
        if mode.follows {
            let live = |number| Poll::Status(number as u32, Status::Live);
            says.extend((0..mine.len()).filter(|n| !mine[*n].found.is_read_first()).map(live));
        }
        Ok(())
    }
}
