//! What stands in topics that are written in transactions: whole, to where they end now.

use crate::config::kafka::Kafka as Config;
use crate::decode::avro::schema_id;
use crate::kafka::KafkaError;
use crate::kafka::client::{Context, PATIENCE, away, consumer};
use crate::kafka::cluster::{ends, numbers};
use crate::kafka::registry::Registry;
use crate::sink::avro;
use dataflows::table::{Table, Value};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_avro_fast::Schema;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How many records before the end of the progress's topic are looked at first.
const TAIL: i64 = 200;

/// How long a transaction that is being decided may take.
const MOMENT: Duration = Duration::from_secs(2);

/// Rows by their keys.
pub(super) type Rows = BTreeMap<Vec<Value>, Vec<Value>>;

/// Reads what was committed.
pub(crate) struct Reader<'a> {
    config: &'a Config,
    consumer: BaseConsumer<Context>,
    /// Sees where logs end, whatever is not decided yet.
    undecided: BaseConsumer<Context>,
}

impl Reader<'_> {
    pub(crate) fn new(config: &Config) -> Result<Reader<'_>, KafkaError> {
        let more = |isolation| [("enable.partition.eof", "true"), ("isolation.level", isolation)];
        Ok(Reader {
            config,
            consumer: consumer(config, &more("read_committed"))?,
            undecided: consumer(config, &more("read_uncommitted"))?,
        })
    }

    /// The last payload under a key in a topic of one partition, if there is one. A transaction that stays open for
    /// longer than a moment may be one that a killed run left, and does not count. `left` is the offset before such a
    /// one: a start asks several times, and waits for it once.
    pub(crate) fn last(
        &self,
        topic: &str,
        key: &[u8],
        left: &Cell<Option<i64>>,
    ) -> Result<Option<Vec<u8>>, KafkaError> {
        if numbers(&self.consumer, self.config, topic)?.is_empty() {
            return Ok(None);
        }
        let places = [(topic.to_owned(), 0)];
        let low = ends(&self.consumer, self.config, &places, Offset::Beginning)?[0];
        let (highs, open) = match left.get() {
            Some(left) if ends(&self.consumer, self.config, &places, Offset::End)?[0] == left => (vec![left], Some(0)),
            Some(_) | None => self.decided(&places, MOMENT)?,
        };
        let high = highs[0];
        left.set(open.map(|_| high));
        // The last ones hold it, unless they are marks of transactions only.
        for from in [low.max(high - TAIL), low] {
            let mut last = None;
            self.read(&[(topic.to_owned(), 0, from, high)], |record| {
                if record.key() == Some(key) {
                    last = record.payload().map(<[u8]>::to_vec);
                }
                Ok(())
            })?;
            if last.is_some() || from == low {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// The rows of a table, by their keys.
    pub(super) fn rows(&self, topic: &str, table: &Table, registry: &Registry) -> Result<Rows, KafkaError> {
        let places: Vec<_> =
            numbers(&self.consumer, self.config, topic)?.into_iter().map(|number| (topic.to_owned(), number)).collect();
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let lows = ends(&self.consumer, self.config, &places, Offset::Beginning)?;
        let (highs, open) = self.decided(&places, PATIENCE)?;
        if let Some(n) = open {
            let why = format!("a transaction in `{}/{}` is still open", places[n].0, places[n].1);
            return Err(KafkaError::Away(format!("Kafka at {}: {why}", self.config.brokers)));
        }
        let spans = places.into_iter().zip(lows.into_iter().zip(highs));
        let spans: Vec<_> =
            spans.into_iter().map(|((topic, number), (low, high))| (topic, number, low, high)).collect();
        let columns = avro::columns(table);
        let key_columns = &columns[..table.key_columns];
        let (mut schemas, mut rows) = (HashMap::new(), BTreeMap::new());
        self.read(&spans, |record| {
            let mut decoded = |payload: &[u8], columns| {
                let place = || format!("`{}/{}` at offset {}", record.topic(), record.partition(), record.offset());
                let foreign = |why: String| KafkaError::Refused(format!("{} holds no row of ours: {why}", place()));
                let id = schema_id(payload).ok_or_else(|| foreign("it names no schema".to_owned()))?;
                let schema: &Schema = match schemas.entry(id) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(new) => {
                        let text = registry.schema(id)?;
                        new.insert(text.parse().map_err(|error| foreign(format!("schema {id}: {error}")))?)
                    }
                };
                avro::decode(&payload[5..], schema, columns).map_err(|error| foreign(error.to_string()))
            };
            let key = decoded(record.key().unwrap_or_default(), key_columns)?;
            match record.payload() {
                Some(payload) => {
                    let mut row = decoded(payload, &columns)?;
                    row.truncate(table.columns.len());
                    rows.insert(key, row);
                }
                None => drop(rows.remove(&key)),
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Where logs end, once every transaction that is open there now is decided; or, where one is not within a time,
    /// what was decided before it, and which log that is.
    fn decided(&self, places: &[(String, i32)], within: Duration) -> Result<(Vec<i64>, Option<usize>), KafkaError> {
        let written = ends(&self.undecided, self.config, places, Offset::End)?;
        let started = Instant::now();
        loop {
            let stable = ends(&self.consumer, self.config, places, Offset::End)?;
            match stable.iter().zip(&written).position(|(stable, written)| stable < written) {
                None => return Ok((written, None)),
                Some(n) if started.elapsed() > within => return Ok((stable, Some(n))),
                Some(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Reads each partition from its first offset to before its last.
    fn read(
        &self,
        spans: &[(String, i32, i64, i64)],
        mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        let (mut assignment, mut left) = (TopicPartitionList::new(), BTreeMap::new());
        for (topic, number, from, until) in spans.iter().filter(|(_, _, from, until)| from < until) {
            assignment.add_partition_offset(topic, *number, Offset::Offset(*from)).ok();
            left.insert(*number, *until);
        }
        if left.is_empty() {
            return Ok(());
        }
        let what = || format!("read `{}`", spans[0].0);
        self.consumer.assign(&assignment).map_err(|error| away(&self.consumer, self.config, &what(), &error))?;
        let mut heard = Instant::now();
        while !left.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                None if heard.elapsed() > PATIENCE => {
                    return Err(KafkaError::Away(format!(
                        "Kafka at {}: could not {}: no answer",
                        self.config.brokers,
                        what()
                    )));
                }
                None => continue,
                // Its end, as of now, is not before the one we asked for.
                Some(Err(Native::PartitionEOF(number))) => drop(left.remove(&number)),
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    return Err(KafkaError::Refused(format!(
                        "Kafka at {}: could not {}: this user may not; grant READ of it",
                        self.config.brokers,
                        what()
                    )));
                }
                Some(Err(error)) => tracing::debug!("Kafka at {}: {error}; trying again", self.config.brokers),
                Some(Ok(record)) => match left.get(&record.partition()) {
                    Some(until) if record.offset() < *until => take(&record)?,
                    Some(_) => drop(left.remove(&record.partition())),
                    None => {}
                },
            }
            heard = Instant::now();
        }
        self.consumer.unassign().map_err(|error| away(&self.consumer, self.config, &what(), &error))
    }
}
