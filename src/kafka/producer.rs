//! Records to Kafka: each acknowledged, or the end is not clean.

use super::KafkaError;
use super::client::{Context, PATIENCE, not_made, properties};
use crate::config::kafka::Kafka;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a commit that the brokers do not answer is tried again.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// Where a reader stands that has read all that was sent: of each topic and partition the next offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind(BTreeMap<String, BTreeMap<i32, i64>>);

impl Behind {
    /// Takes in the place of a record.
    pub fn add(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(next) = self.0.get_mut(topic).and_then(|topic| topic.get_mut(&partition)) {
            *next = (*next).max(offset + 1);
            return;
        }
        self.0.entry(topic.to_owned()).or_default().insert(partition, offset + 1);
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: &Behind) {
        for (topic, partitions) in &other.0 {
            partitions.iter().for_each(|(partition, next)| self.add(topic, *partition, next - 1));
        }
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As `status --wait-for` takes it: `topic/0=12,topic/1=7`.
    pub fn written(&self) -> String {
        let of_topic = |(topic, partitions): (&String, &BTreeMap<i32, i64>)| {
            let places = partitions.iter().map(|(partition, next)| format!("{topic}/{partition}={next}"));
            places.collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_topic).collect::<Vec<_>>().join(",")
    }
}

/// What became of the records that were sent.
#[derive(Default)]
pub struct Delivered {
    /// How many a broker has acknowledged.
    pub acknowledged: AtomicU64,
    behind: Mutex<Behind>,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

impl Delivered {
    fn take(&self, result: &DeliveryResult<'_>) {
        let (error, record) = match result {
            Ok(record) => {
                self.acknowledged.fetch_add(1, Relaxed);
                self.behind.lock().add(record.topic(), record.partition(), record.offset());
                return;
            }
            Err(failed) => failed,
        };
        self.failed.fetch_add(1, Relaxed);
        let mut first = self.first_failure.lock();
        first.get_or_insert_with(|| {
            let key = String::from_utf8_lossy(record.key().unwrap_or_default());
            format!("a record with key `{key}` for `{}`: {error}", record.topic())
        });
    }

    /// Where a reader stands that has read all that was acknowledged.
    pub fn behind(&self) -> Behind {
        self.behind.lock().clone()
    }
}

/// The client's context, and what takes in what became of a record.
pub(super) struct Deliveries {
    client: Context,
    take: Box<dyn Fn(&DeliveryResult<'_>) + Send + Sync>,
}

impl Deliveries {
    pub(super) fn new(
        client: Context,
        take: impl for<'a> Fn(&DeliveryResult<'a>) + Send + Sync + 'static,
    ) -> Deliveries {
        Deliveries { client, take: Box::new(take) }
    }
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: Native, reason: &str) {
        self.client.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.client.stats_raw(statistics);
    }

    fn generate_oauth_token(&self, configuration: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.client.generate_oauth_token(configuration)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        (self.take)(result);
    }
}

/// An idempotent producer: a record that is sent again does not double.
pub struct Producer {
    producer: ThreadedProducer<Deliveries>,
    brokers: String,
    delivered: Arc<Delivered>,
}

impl Producer {
    /// Connects when something is sent.
    ///
    /// # Errors
    /// If a property is wrong.
    pub fn new(config: &Kafka) -> Result<Producer, KafkaError> {
        Producer::of(config, &[])
    }

    fn of(config: &Kafka, more: &[(&str, &str)]) -> Result<Producer, KafkaError> {
        let mut client = properties(config)?;
        client.set("enable.idempotence", "true");
        // As clients in Java choose partitions by key.
        for (key, value) in [("compression.type", "lz4"), ("linger.ms", "20"), ("partitioner", "murmur2_random")] {
            if !config.properties.contains_key(key) {
                client.set(key, value);
            }
        }
        more.iter().for_each(|(key, value)| {
            client.set(*key, *value);
        });
        let delivered = Arc::<Delivered>::default();
        let taken = Arc::clone(&delivered);
        let context = Deliveries::new(Context::new(config), move |result| taken.take(result));
        let created = client.create_with_context(context);
        let producer = created.map_err(|error| not_made(config, &client, &error))?;
        Ok(Producer { producer, brokers: config.brokers.clone(), delivered })
    }

    /// What became of the records that were sent.
    pub fn delivered(&self) -> Arc<Delivered> {
        Arc::clone(&self.delivered)
    }

    /// Sends a record; waits while too many are on their way.
    ///
    /// # Errors
    /// If it can never be sent.
    pub fn send(
        &self,
        topic: &str,
        key: &[u8],
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        if !key.is_empty() {
            record = record.key(key);
        }
        if let Some(headers) = headers {
            record = record.headers(headers);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((Native::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                    record = unsent;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => {
                    return Err(KafkaError::Refused(format!(
                        "Kafka at {}: could not send a record to `{topic}`: {error}",
                        self.brokers
                    )));
                }
            }
        }
    }

    /// Waits until every record was acknowledged or given up.
    ///
    /// # Errors
    /// If any was given up: how many, and the first.
    pub fn finish(&self) -> Result<(), KafkaError> {
        // Records are given up by themselves (`message.timeout.ms`).
        while let Err(error) = self.producer.flush(Duration::from_secs(5)) {
            tracing::debug!("Kafka at {}: {error}; still waiting", self.brokers);
        }
        let failed = self.delivered.failed.load(Relaxed);
        if failed == 0 {
            return Ok(());
        }
        let first = self.delivered.first_failure.lock();
        let (first, brokers) = (first.as_deref().unwrap_or_default(), &self.brokers);
        Err(KafkaError::Away(format!("Kafka at {brokers}: {failed} records were not delivered; the first was {first}")))
    }
}

/// A producer whose records are there together or not at all; a producer that began before under the same name can
/// send nothing more.
pub struct Transactional(Producer);

impl Transactional {
    /// Begins under a name, and sees to it that what another one left open is undone or done. A record may be
    /// as large as `bytes_max`, if its topic takes it.
    ///
    /// # Errors
    /// If the brokers are away, or do not allow it.
    pub fn begin(config: &Kafka, name: &str, bytes_max: usize) -> Result<Transactional, KafkaError> {
        let bytes_max = bytes_max.to_string();
        let more = [
            ("transactional.id", name),
            ("linger.ms", "5"),
            ("message.max.bytes", &bytes_max),
            // A first commit may be large; what is on its way need not be.
            ("transaction.timeout.ms", "300000"),
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let producer = Transactional(Producer::of(config, &more)?);
        let what = format!("begin transactions as `{name}`");
        producer.told(&what, producer.0.producer.init_transactions(PATIENCE))?;
        Ok(producer)
    }

    /// What became of the records that were sent.
    pub fn delivered(&self) -> Arc<Delivered> {
        self.0.delivered()
    }

    /// Sends in a transaction; waits until the brokers have it whole. After an error it is not known whether they do:
    /// the next start finds out.
    ///
    /// # Errors
    /// If the transaction could not be begun, filled or committed.
    pub fn transaction(&self, send: impl FnOnce() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
        let producer = &self.0.producer;
        self.told("begin a transaction", producer.begin_transaction())?;
        if let Err(error) = send() {
            producer.abort_transaction(PATIENCE).ok();
            return Err(error);
        }
        let started = Instant::now();
        loop {
            match producer.commit_transaction(PATIENCE) {
                Err(Native::Transaction(error)) if error.is_retriable() && started.elapsed() < COMMIT_PATIENCE => {
                    tracing::warn!("Kafka at {}: {error}; committing again", self.0.brokers);
                }
                result => {
                    if matches!(&result, Err(Native::Transaction(error)) if error.txn_requires_abort()) {
                        producer.abort_transaction(PATIENCE).ok();
                    }
                    return self.told("commit a transaction", result);
                }
            }
        }
    }

    /// Sends a record in the transaction that is open; without a payload it deletes.
    ///
    /// # Errors
    /// If it can never be sent.
    pub fn send(&self, topic: &str, key: &[u8], payload: Option<&[u8]>) -> Result<(), KafkaError> {
        self.send_with(topic, key, payload, None)
    }

    /// The same, with headers.
    ///
    /// # Errors
    /// If it can never be sent.
    pub fn send_with(
        &self,
        topic: &str,
        key: &[u8],
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), KafkaError> {
        self.0.send(topic, key, payload, headers)
    }

    fn told<T>(&self, what: &str, result: Result<T, Native>) -> Result<T, KafkaError> {
        result.map_err(|error| {
            // It names the topic; the error does not.
            let last = self.0.producer.context().client.trouble();
            let said = last.map_or(String::new(), |last| format!("; the client says: {}", last.said));
            let why = format!("Kafka at {}: could not {what}: {error}{said}", self.0.brokers);
            match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::TransactionalIdAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::UnsupportedVersion,
                ) => KafkaError::Refused(why),
                _ => KafkaError::Away(why),
            }
        })
    }
}

/// Creates the topics that are not there; tells which it created.
///
/// # Errors
/// If one could not be created.
pub fn create_topics(
    config: &Kafka,
    topics: &[impl AsRef<str>],
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<Vec<String>, KafkaError> {
    creates(config, topics, partitions, settings, false)
}

/// Whether the topics that are not there may be created; none is.
///
/// # Errors
/// If one may not.
pub fn may_create_topics(config: &Kafka, topics: &[String], partitions: i32) -> Result<(), KafkaError> {
    creates(config, topics, partitions, &[], true).map(drop)
}

fn creates(
    config: &Kafka,
    topics: &[impl AsRef<str>],
    partitions: i32,
    settings: &[(&str, &str)],
    only_tries: bool,
) -> Result<Vec<String>, KafkaError> {
    let client = properties(config)?;
    let admin: AdminClient<Context> =
        client.create_with_context(Context::new(config)).map_err(|error| not_made(config, &client, &error))?;
    let new = topics.iter().map(|topic| {
        let topic = NewTopic::new(topic.as_ref(), partitions, TopicReplication::Fixed(config.replication));
        settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
    });
    let new: Vec<_> = new.collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let options = options.validate_only(only_tries);
    let away = |why: String| KafkaError::Away(format!("Kafka at {}: could not create topics: {why}", config.brokers));
    let created = futures_executor::block_on(admin.create_topics(&new, &options));
    let mut names = Vec::new();
    for result in created.map_err(|error| away(error.to_string()))? {
        match result {
            Ok(name) => names.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                return Err(away(format!("`{name}`: this user may not; grant CREATE of it, or make it")));
            }
            Err((name, error)) => return Err(away(format!("`{name}`: {error}"))),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::Behind;

    #[test]
    fn what_was_sent_is_waited_for_behind_the_last_record_of_each_partition() {
        let mut behind = Behind::default();
        assert!(behind.is_empty() && behind.written().is_empty());
        for (topic, partition, offset) in [("b", 1, 6), ("a", 10, 4), ("a", 9, 0), ("a", 10, 2)] {
            behind.add(topic, partition, offset);
        }
        assert_eq!(behind.written(), "a/9=1,a/10=5,b/1=7");
        let mut before = Behind::default();
        before.add("a", 9, 3);
        before.add("c", 0, 0);
        behind.merge(&before);
        assert_eq!(behind.written(), "a/9=4,a/10=5,b/1=7,c/0=1");
    }
}
