//! A client of librdkafka, set up as configured, and what it tells besides records.

use super::KafkaError;
use super::skip::{is_damage, is_lost};
use crate::config::kafka::Kafka;
use crate::config::secret;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a question to the brokers may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often a consumer tells how far its fetches are.
const STATISTICS_MS: u64 = 1_000;
/// A broker that has not answered for so long is not known to have nothing: fetches wait half a second.
const SILENCE_MS: i64 = 3_000;
/// The secret that is a token for OAUTHBEARER, fetched again whenever one is needed.
const TOKEN: &str = "sasl.oauthbearer.token";
/// For how long a token is taken to be good.
const TOKEN_LIFE_MS: i64 = 5 * 60_000;

/// The properties of a client.
///
/// # Errors
/// If a secret is not where it should be.
pub fn properties(config: &Kafka) -> Result<ClientConfig, KafkaError> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers).set("client.id", "deltamart");
    client.set("statistics.interval.ms", STATISTICS_MS.to_string());
    for (key, value) in &config.properties {
        client.set(key, value);
    }
    for (key, place) in config.secrets.iter().filter(|(key, _)| *key != TOKEN) {
        let found = secret::fetch(place);
        let found = found.map_err(|why| KafkaError::Refused(format!("setting `kafka.secrets`: `{key}`: {why}")))?;
        client.set(key, found);
    }
    // What the library says, we say.
    client.set_log_level(RDKafkaLogLevel::Warning);
    Ok(client)
}

/// A consumer that is told what to read, and joins no group.
///
/// # Errors
/// If a property is wrong.
pub fn consumer(config: &Kafka, more: &[(&str, &str)]) -> Result<BaseConsumer<Context>, KafkaError> {
    let mut client = properties(config)?;
    client.set("group.id", &config.group_id).set("enable.auto.commit", "false");
    client.set("enable.auto.offset.store", "false").set("auto.offset.reset", "error");
    // What waits for a slow warehouse waits in the broker, not here. A pause before fetching on is
    // short: after the default of a second a backlog would be read in jerks.
    for (key, value) in [
        ("queued.max.messages.kbytes", "32768"),
        ("fetch.queue.backoff.ms", "20"),
        ("fetch.wait.max.ms", "250"),
        ("fetch.error.backoff.ms", "200"),
        ("reconnect.backoff.max.ms", "2000"),
        // Bytes that are not what was written are not taken for something else.
        ("check.crcs", "true"),
    ] {
        if !config.properties.contains_key(key) {
            client.set(key, value);
        }
    }
    more.iter().for_each(|(key, value)| {
        client.set(*key, *value);
    });
    let created = client.create_with_context(Context::new(config));
    created.map_err(|error| KafkaError::Refused(format!("could not make a Kafka client ({}): {error}", config.brokers)))
}

/// How far the fetches of a partition are, as its broker has just confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The next offset to fetch.
    pub next: i64,
    /// The end of the partition.
    pub end: i64,
    /// Up to where everything that was fetched had been polled when that could last be told: the client
    /// counts what waits over all of its partitions.
    pub polled: i64,
}

impl Fetched {
    /// Whether there is nothing up to an offset that was not polled, whose last record was before `next`.
    pub fn is_polled_to(self, end: i64, next: i64) -> bool {
        // The last offsets of a log may hold no records, but marks of transactions.
        next >= end || self.polled >= end
    }

    /// Whether there is nothing more.
    pub fn is_all(self, next: i64) -> bool {
        self.next >= self.end && self.is_polled_to(self.end, next)
    }
}

type Fetches = BTreeMap<(String, i32), Fetched>;

/// What a client tells besides records.
pub struct Context {
    brokers: String,
    fetched: Mutex<Option<(Instant, Fetches)>>,
    /// What was last said, and when: a broker that is away says so again and again.
    said: Mutex<Option<(String, Instant)>>,
    token: Option<String>,
}

impl Context {
    /// For a client of this configuration.
    pub fn new(config: &Kafka) -> Context {
        let token = config.secrets.get(TOKEN).cloned();
        Context { brokers: config.brokers.clone(), fetched: Mutex::default(), said: Mutex::default(), token }
    }

    /// How far the fetches of a partition are; none if no broker has confirmed it lately.
    pub fn fetched(&self, topic: &str, partition: i32) -> Option<Fetched> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, fetches) = fetched.as_ref()?;
        let is_fresh = at.elapsed() < 4 * Duration::from_millis(STATISTICS_MS);
        // A key of borrowed text would need a map in two levels; this is asked a few times a second.
        is_fresh.then(|| fetches.get(&(topic.to_owned(), partition)).copied()).flatten()
    }

    /// Says something once, and again after a while.
    fn say(&self, what: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let again = |(before, at): &(String, Instant)| *before != what || at.elapsed() > Duration::from_secs(30);
        if said.as_ref().is_none_or(again) {
            tracing::warn!("{what}");
            *said = Some((what, Instant::now()));
        }
    }
}

/// Of the statistics what we use.
#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, Broker>,
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
    /// Microseconds.
    #[serde(default)]
    rxidle: i64,
}

#[derive(Deserialize)]
struct Topic {
    partitions: HashMap<i32, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    broker: i32,
    fetch_state: String,
    fetchq_cnt: i64,
    next_offset: i64,
    hi_offset: i64,
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                self.say(format!("Kafka: {message}"));
            }
            _ => tracing::debug!("Kafka, {facility}: {message}"),
        }
    }

    fn error(&self, error: Native, reason: &str) {
        // The end of a partition is what some ask for, and no trouble.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        // Who reads says it, and where that is.
        if is_damage(&error) || is_lost(&error) {
            tracing::debug!("Kafka at {}: {reason} ({error})", self.brokers);
            return;
        }
        self.say(format!("Kafka at {}: {reason} ({error}); trying again", self.brokers));
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(Statistics { brokers, topics }) = serde_json::from_slice(statistics) else { return };
        let mut up = brokers.values().filter(|broker| broker.state == "UP" && broker.rxidle < SILENCE_MS * 1_000);
        let up: Vec<i32> = up.by_ref().map(|broker| broker.nodeid).collect();
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fetched.take().map(|(_, before)| before).unwrap_or_default();
        let mut fetches = Fetches::new();
        for (topic, Topic { partitions }) in topics {
            for (number, partition) in partitions {
                // The end that is not known is negative.
                let is_confirmed = partition.fetch_state == "active"
                    && up.contains(&partition.broker)
                    && partition.hi_offset >= 0
                    && partition.next_offset >= 0;
                if is_confirmed {
                    let Partition { next_offset: next, hi_offset: end, fetchq_cnt: waiting, .. } = partition;
                    let key = (topic.clone(), number);
                    let polled_before = before.get(&key).map_or(0, |before| before.polled);
                    let polled = if waiting == 0 { next } else { polled_before };
                    fetches.insert(key, Fetched { next, end, polled });
                }
            }
        }
        *fetched = Some((Instant::now(), fetches));
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let place = self.token.as_deref().ok_or("set `kafka.secrets`: \"sasl.oauthbearer.token\" = \"file:PATH\"")?;
        Ok(OAuthToken {
            token: secret::fetch(place)?,
            principal_name: "deltamart".to_owned(),
            lifetime_ms: crate::instant::now() + TOKEN_LIFE_MS,
        })
    }
}

impl ConsumerContext for Context {}
