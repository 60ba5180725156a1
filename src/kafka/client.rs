//! A client of librdkafka, set up as configured, and what it tells in addition to records.

use super::KafkaError;
use super::complaints::Complaints;
use super::damage::{is_damage, is_lost};
use super::token;
use crate::config::kafka::Kafka;
use crate::config::secret;
use crate::source::Trouble;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::time::{Duration, Instant};

/// How long a question to the brokers may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// An unavailable broker is tried again after at most so long.
const RECONNECT_MS: u64 = 2_000;
/// How often a consumer tells how far its fetches are.
const STATISTICS_MS: u64 = 1_000;
/// A broker that has not answered for so long is not known to have nothing: fetches wait half a second.
const SILENCE_MS: i64 = 3_000;
/// The secret that is a token for OAUTHBEARER, fetched again whenever one is needed.
const TOKEN: &str = "sasl.oauthbearer.token";

/// The properties of a client.
///
/// # Errors
/// If a secret is not where it should be, or this build cannot do what is asked for.
pub fn properties(config: &Kafka) -> Result<ClientConfig, KafkaError> {
    refuse_without_tls(config)?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers).set("client.id", "deltamart");
    client.set("statistics.interval.ms", STATISTICS_MS.to_string());
    client.set("reconnect.backoff.max.ms", RECONNECT_MS.to_string());
    for (key, value) in &config.properties {
        client.set(key, value);
    }
    for (key, place) in config.secrets.iter().filter(|(key, _)| *key != TOKEN) {
        let found = secret::fetch(place);
        let found = found.map_err(|why| KafkaError::Refused(format!("setting `kafka.secrets`: `{key}`: {why}")))?;
        client.set(key, found);
    }
    // The library does not say which file it could not read.
    for key in ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location"] {
        let Some(path) = client.get(key).filter(|path| *path != "probe") else { continue };
        std::fs::metadata(path).map_err(|error| {
            KafkaError::Refused(format!(
                "setting `kafka.properties`: `{key}` is `{path}`, which cannot be read: {error}"
            ))
        })?;
    }
    // Its own OpenSSL looks for authorities where no system keeps them; probing, it finds the system's.
    let names_authorities = ["ssl.ca.location", "ssl.ca.pem"].iter().any(|key| client.get(key).is_some());
    if cfg!(feature = "kafka-tls") && !names_authorities {
        client.set("ssl.ca.location", "probe");
    }
    // What the library says, we say.
    let debugs = config.properties.get("debug").is_some_and(|what| !what.is_empty());
    client.set_log_level(if debugs { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
    Ok(client)
}

/// What needs TLS is refused by a build that has none, in words that the library does not have.
fn refuse_without_tls(config: &Kafka) -> Result<(), KafkaError> {
    if cfg!(feature = "kafka-tls") {
        return Ok(());
    }
    let needs = config.properties.iter().find(|(key, value)| {
        let value = value.to_ascii_lowercase();
        match key.as_str() {
            "security.protocol" => value.ends_with("ssl"),
            "sasl.mechanism" | "sasl.mechanisms" => value.starts_with("scram") || value == "oauthbearer",
            key => key.starts_with("ssl."),
        }
    });
    match needs {
        Some((key, value)) => Err(KafkaError::Refused(format!(
            "setting `kafka.properties`: `{key}` is `{value}`, and this build has no TLS: build it with \
             `--features kafka-tls`"
        ))),
        None => Ok(()),
    }
}

/// Why a client could not be made. Of properties only the names are said: the library repeats what they are set to.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not a property is said in the library's words")]
pub(super) fn not_made(config: &Kafka, client: &ClientConfig, error: &Native) -> KafkaError {
    let oidc = config.properties.get("sasl.oauthbearer.method").is_some_and(|how| how.eq_ignore_ascii_case("oidc"));
    let why = match error {
        _ if oidc => "fetching tokens itself (`sasl.oauthbearer.method` is `oidc`) is in no build; have another program \
                      write the token to a file, and name that:  [kafka.secrets]  \"sasl.oauthbearer.token\" = \"file:PATH\""
            .to_owned(),
        Native::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, key, _) => {
            format!("there is no property `{key}` (setting `kafka.properties` or `kafka.secrets`)")
        }
        Native::ClientConfig(_, _, key, _) => format!("property `{key}` cannot be what it is set to"),
        other => {
            let given = config.properties.keys().chain(config.secrets.keys()).filter_map(|key| client.get(key));
            given.filter(|value| value.len() > 3).fold(other.to_string(), |said, value| said.replace(value, "..."))
        }
    };
    KafkaError::Refused(format!("could not make a Kafka client ({}): {why}", config.brokers))
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
    let consumer: BaseConsumer<Context> =
        client.create_with_context(Context::new(config)).map_err(|error| not_made(config, &client, &error))?;
    // The wish for a token waits among its events, and without one it does not connect.
    let _nothing_is_assigned = consumer.poll(Duration::ZERO);
    Ok(consumer)
}

/// What a client complained of last, as the library said it: its events come to light when it is polled.
pub(super) fn complaint(consumer: &BaseConsumer<Context>) -> String {
    let assigned = consumer.assignment().is_ok_and(|assigned| assigned.count() > 0);
    if !assigned {
        let _nothing_is_assigned = consumer.poll(Duration::from_millis(100));
    }
    consumer.context().complaints.raw()
}

/// What could not be asked, and why as far as the client tells.
pub(crate) fn away(
    consumer: &BaseConsumer<Context>,
    config: &Kafka,
    what: &str,
    error: &rdkafka::error::KafkaError,
) -> KafkaError {
    complaint(consumer);
    let why = match consumer.context().trouble() {
        // It says where, and why.
        Some(trouble) => format!("{}; could not {what}", trouble.said),
        None => format!("Kafka at {}: could not {what}: {error}", config.brokers),
    };
    KafkaError::Away(why)
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

/// What a client tells in addition to records.
pub struct Context {
    brokers: String,
    fetched: Mutex<Option<(Instant, Fetches)>>,
    /// librdkafka complains of an unavailable broker again and again.
    complaints: Complaints,
    token: Option<String>,
}

impl Context {
    /// For a client of this configuration.
    pub fn new(config: &Kafka) -> Context {
        let token = config.secrets.get(TOKEN).cloned();
        Context {
            brokers: config.brokers.clone(),
            fetched: Mutex::default(),
            complaints: Complaints::of(&config.brokers),
            token,
        }
    }

    /// How far the fetches of a partition are; none if no broker has confirmed it lately.
    pub fn fetched(&self, topic: &str, partition: i32) -> Option<Fetched> {
        let fetched = self.fetched.lock();
        let (at, fetches) = fetched.as_ref()?;
        let is_fresh = at.elapsed() < 4 * Duration::from_millis(STATISTICS_MS);
        // A key of borrowed text would need a map in two levels; this is asked a few times a second.
        is_fresh.then(|| fetches.get(&(topic.to_owned(), partition)).copied()).flatten()
    }

    /// What was last complained of, until brokers answer again.
    pub fn trouble(&self) -> Option<Trouble> {
        self.complaints.trouble()
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
                self.complaints.hear(message);
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!("Kafka, {facility}: {message}")
            }
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
        self.complaints.hear(reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(Statistics { brokers, topics }) = serde_json::from_slice(statistics) else { return };
        let answer = brokers.iter().filter(|(_, broker)| broker.state == "UP").map(|(name, _)| name.as_str());
        self.complaints.answer(answer);
        // Those of the addresses to begin with have no numbers; those that are not needed are not spoken to.
        let mut numbered = brokers.values().filter(|broker| broker.nodeid >= 0);
        let is_well = |broker: &Broker| matches!(broker.state.as_str(), "UP" | "INIT" | "UPDATE" | "REAUTH");
        if brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") && numbered.all(is_well) {
            self.complaints.all_answer();
        }
        let mut up = brokers.values().filter(|broker| broker.state == "UP" && broker.rxidle < SILENCE_MS * 1_000);
        let up: Vec<i32> = up.by_ref().map(|broker| broker.nodeid).collect();
        let mut fetched = self.fetched.lock();
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
        let token = secret::fetch(place)?;
        let lifetime_ms = token::good_until_ms(&token, crate::instant::now());
        Ok(OAuthToken { token, principal_name: "deltamart".to_owned(), lifetime_ms })
    }
}

impl ConsumerContext for Context {}
