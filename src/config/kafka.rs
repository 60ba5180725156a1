//! Where Kafka and the Schema Registry are, and how they are spoken to.

use super::origin::dotted;
use super::secret;
use super::wrong::{DAY_MS, Wrongs};
use crate::declared::declared;
use crate::decode::Format as Payload;
use crate::decode::avro::Schemas;
use crate::families::{Carried, TOPICS, topics};
use crate::instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

declared! {
    /// Kafka. Without `brokers` nothing is read from it.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Kafka {
        /// The brokers to begin with: `host:port`, several separated by commas. If it is empty, Kafka is not used.
        pub brokers: String,
        /// The consumer group by which monitoring tools show the lag. Nothing else depends on it: positions are kept in
        /// the journal.
        pub group_id: String,
        /// Where a partition begins that was never read: `earliest`, `latest`, or with the first record since an
        /// instant, as ISO 8601.
        #[serde(deserialize_with = "crate::instant::iso::text")]
        pub start: String,
        /// How payloads are written: `avro` (Confluent wire format), `json`, or `json_schema` (the wire format
        /// around JSON).
        pub format: Format,
        /// The names of topics that differ from the default, by the event that they carry: `sign_in = "logins"`. An
        /// event with an empty name is not read.
        pub topics: BTreeMap<String, String>,
        /// The number of partitions of a topic that deltamart creates, 1 or more.
        pub partitions: i32,
        /// How many copies a topic has that we make; -1 means the default of the brokers.
        pub replication: i32,
        /// How often new topics and partitions are looked for, 100ms to 1day. Longer finds them later, shorter asks
        /// the brokers more often.
        #[serde(with = "crate::instant::span")]
        pub metadata_interval: i64,
        /// Whether compacted topics are read. If such a topic must be read again, some of its records may no longer
        /// exist.
        pub accept_compacted: bool,
        /// Damaged places in Kafka logs, which are skipped: `topic/partition=offset` of the first record, one or a
        /// list.
        #[serde(deserialize_with = "super::one_or_many")]
        pub skip: Vec<String>,
        /// Any property of librdkafka, as it calls them: `"security.protocol" = "SASL_SSL"`. Do not write secrets here.
        pub properties: BTreeMap<String, String>,
        /// Properties that are secret, each with the place where it is found: `"sasl.password" = "env:NAME"`, or
        /// `"file:PATH"`.
        pub secrets: BTreeMap<String, String>,
    }
}

/// How payloads are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "said at `Kafka::format`")]
pub enum Format {
    Avro,
    Json,
    JsonSchema,
}

impl Format {
    /// Whether a registry is asked for the schemas.
    pub fn needs_registry(self) -> bool {
        match self {
            Format::Avro => true,
            Format::Json | Format::JsonSchema => false,
        }
    }

    /// How the payloads of a topic are read that carries this event.
    pub fn of(self, carries: &'static str, schemas: &Schemas) -> Payload {
        match self {
            Format::Avro => Payload::Avro(carries, schemas.clone()),
            Format::Json => Payload::Json(Some(carries)),
            Format::JsonSchema => Payload::JsonSchema(carries),
        }
    }
}

declared! {
    /// The Schema Registry, with the API of Confluent's.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Registry {
        /// The registry's address, such as `http://127.0.0.1:8081`; several by commas, tried in order. Empty is
        /// none.
        pub url: String,
        /// The user's name for basic authentication. If it is empty, `password` is a bearer token.
        pub username: String,
        /// Where the user's password, or a bearer token, is found: `env:NAME` or `file:PATH`. Empty is none.
        pub password: String,
        /// A PEM file with the authorities that sign the registry's certificate, in addition to those of the
        /// system. Empty means those of the system alone.
        pub ca: String,
    }
}

/// Where a partition begins that was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as Kafka says it")]
pub enum Start {
    Earliest,
    Latest,
    /// With the first record appended then or later; milliseconds since 1970.
    At(i64),
}

/// A change of these would break what we promise.
const OURS: [(&str, &str); 7] = [
    ("bootstrap.servers", "it is `kafka.brokers`"),
    ("group.id", "it is `kafka.group_id`"),
    ("enable.auto.commit", "offsets are kept in the journal"),
    ("enable.auto.offset.store", "offsets are kept in the journal"),
    ("auto.offset.reset", "a lost position must never be passed over; see `kafka.start`"),
    ("enable.idempotence", "a record that is sent again must not double"),
    ("statistics.interval.ms", "it tells which partitions are idle"),
];

/// What must not stand in a file of settings.
const SECRET: [&str; 8] =
    ["password", "secret", "key.pem", "jaas", "token", "certificate.pem", "oauthbearer.config", "private.key"];

/// Properties whose values may be shown. Of others nobody knows: a misspelt password is none of [`SECRET`].
const HARMLESS: [&str; 9] = [
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "client.id",
    "client.rack",
    "compression.type",
    "broker.address.family",
];

/// Brokers are asked no more often than this which partitions there are.
const METADATA_MS_MIN: i64 = 100;

/// Whether a property's value may be shown.
pub(super) fn is_harmless(property: &str) -> bool {
    HARMLESS.contains(&property)
}

impl Default for Kafka {
    fn default() -> Kafka {
        Kafka {
            brokers: String::new(),
            group_id: "deltamart".to_owned(),
            start: "earliest".to_owned(),
            format: Format::Avro,
            topics: BTreeMap::new(),
            partitions: 3,
            replication: -1,
            metadata_interval: 30_000,
            accept_compacted: false,
            skip: Vec::new(),
            properties: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }
}

impl Kafka {
    /// Whether it is used at all.
    pub fn is_given(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// What each topic carries, as its place in [`topics`], and how it is called.
    pub fn topics(&self) -> Vec<(usize, String)> {
        // What a model declares has the names that stand in the model.
        let named = |place: usize, event: &str| self.topics.get(event).filter(|_| place < TOPICS.len());
        let called = |(place, topic): (usize, &Carried)| {
            let name = named(place, topic.event).map_or(topic.name, String::as_str);
            (!name.is_empty()).then(|| (place, name.to_owned()))
        };
        topics().iter().enumerate().filter_map(called).collect()
    }

    /// Where a partition begins that was never read.
    ///
    /// # Errors
    /// If it is neither a word nor an instant.
    pub fn start(&self) -> Result<Start, String> {
        match self.start.as_str() {
            "earliest" => Ok(Start::Earliest),
            "latest" => Ok(Start::Latest),
            text => instant::parse(text)
                .map(Start::At)
                .ok_or_else(|| "expected `earliest`, `latest`, or an instant such as 2026-01-05".to_owned()),
        }
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        wrong_brokers("kafka", &self.brokers, wrongs);
        if let Err(why) = self.start() {
            wrongs.say("kafka.start", why);
        }
        wrong_topics_made("kafka", self.partitions, self.replication, wrongs);
        for unknown in self.topics.keys().filter(|event| TOPICS.iter().all(|topic| topic.event != **event)) {
            let known: Vec<_> = TOPICS.iter().map(|topic| topic.event).collect();
            let why = format!("is not an event; expected {}", known.join(", "));
            wrongs.say(&dotted(&["kafka", "topics", unknown].map(str::to_owned)), why);
        }
        let names = self.topics();
        let twice = |(at, (_, name)): &(usize, &(usize, String))| names[..*at].iter().any(|(_, other)| other == name);
        if let Some((_, (_, name))) = names.iter().enumerate().find(twice) {
            wrongs.say("kafka.topics", format!("two events come in `{name}`; each needs a topic of its own"));
        }
        if let Some(why) = self.skip.iter().find_map(|text| place(text).err()) {
            wrongs.say("kafka.skip", why);
        }
        let because = "brokers are asked so often, and what is in a new partition waits so long";
        wrongs.bounded("kafka.metadata_interval", self.metadata_interval, METADATA_MS_MIN..=DAY_MS, because);
        wrong_properties("kafka", &self.properties, &self.secrets, wrongs);
    }
}

/// What is wrong with topics that we make.
pub(super) fn wrong_topics_made(section: &str, partitions: i32, replication: i32, wrongs: &mut Wrongs) {
    wrongs.at_least_one(&format!("{section}.partitions"), partitions);
    if replication == 0 || replication < -1 {
        let why = "expected 1 or more, or -1 for what the brokers are set to";
        wrongs.say(&format!("{section}.replication"), why);
    }
}

/// What is wrong with properties of librdkafka.
pub(super) fn wrong_properties(
    section: &str,
    properties: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, String>,
    wrongs: &mut Wrongs,
) {
    let of = |map: &str, name: &str| dotted(&[section, map, name].map(str::to_owned));
    for (map, name) in
        properties.keys().map(|name| ("properties", name)).chain(secrets.keys().map(|name| ("secrets", name)))
    {
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| ours == name) {
            wrongs.say(&of(map, name), format!("cannot be set: {why}"));
        }
    }
    let is_secret = |name: &&String| {
        SECRET.iter().any(|part| name.contains(part)) && !name.contains("location") && !name.ends_with(".url")
    };
    for name in properties.keys().filter(is_secret) {
        let why = format!(
            "is a secret and must not stand here. Name where it is found:  [{section}.secrets]  \"{name}\" = \
             \"env:NAME\"  or  \"file:PATH\""
        );
        wrongs.say(&of("properties", name), why);
    }
    for (name, place) in secrets {
        if let Some(why) = secret::wrong(place) {
            wrongs.say(&of("secrets", name), why);
        }
    }
}

impl Registry {
    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        if self.url.contains('@') {
            let why = "holds a password, or so it seems; use `registry.username` and `registry.password`";
            wrongs.say("registry.url", why);
        }
        if !self.ca.is_empty() && !self.url.split(',').any(|url| url.trim().starts_with("https://")) {
            let why =
                format!("is `{}`, and `registry.url` has no `https://` address, for which alone it is used", self.ca);
            wrongs.beside("registry.ca", &["registry.url"], why);
        }
        if !self.password.is_empty()
            && let Some(why) = secret::wrong(&self.password)
        {
            wrongs.say("registry.password", why);
        }
    }
}

/// What is wrong with a list of brokers, unless it is empty.
pub(super) fn wrong_brokers(section: &str, brokers: &str, wrongs: &mut Wrongs) {
    if let Some(why) = brokers.split(',').filter(|_| !brokers.is_empty()).find_map(not_a_broker) {
        wrongs.say(&format!("{section}.brokers"), why);
    }
}

/// Why a broker to begin with is none, if it is none.
fn not_a_broker(text: &str) -> Option<String> {
    const EXPECTED: &str = "expected `host:port`, several by commas, such as 127.0.0.1:9092";
    const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
    let text = text.trim();
    let (protocol, rest) = text.split_once("://").unwrap_or(("plaintext", text));
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let why = if text.is_empty() {
        "names nothing before or behind a comma".to_owned()
    } else if text.contains('@') {
        "holds a password, or so it seems; use `kafka.properties` and `kafka.secrets`".to_owned()
    } else if !PROTOCOLS.contains(&protocol.to_ascii_lowercase().as_str()) {
        format!("`{text}` begins with a protocol that is none of Kafka's")
    } else if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        format!("`{text}` names no host")
    } else if port.is_empty() || (host.contains(':') && !host.ends_with(']')) {
        // The address of IPv6 has colons of its own, and stands in brackets.
        format!("`{text}` has no port")
    } else if port.parse::<u16>().is_ok_and(|port| port > 0) {
        return None;
    } else {
        format!("the port of `{text}` is none")
    };
    Some(format!("{why}; {EXPECTED}"))
}

/// A place in a log (`kafka.skip`), as `topic/partition=offset`.
///
/// # Errors
/// What is wrong with it.
pub fn place(text: &str) -> Result<(&str, i64), String> {
    let wrong = || {
        "holds what is not a place in a log; expected `topic/partition=offset`, such as \"sign_in_topic/3=1234\""
            .to_owned()
    };
    let (name, offset) = text.rsplit_once('=').ok_or_else(wrong)?;
    let is_partition = |name: &str| {
        name.rsplit_once('/').is_some_and(|(topic, number)| !topic.is_empty() && number.parse::<i32>().is_ok())
    };
    let offset = offset.trim().parse().ok().filter(|offset: &i64| *offset >= 0).ok_or_else(wrong)?;
    Some((name.trim(), offset)).filter(|(name, _)| is_partition(name)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_and_a_port() {
        for good in ["a:1", " a:9092 ", "[::1]:9092", "SASL_SSL://a.example:9093", "10.0.0.1:65535"] {
            assert_eq!(not_a_broker(good), None, "{good}");
        }
        for (text, why) in [
            ("localhost", "`localhost` has no port; expected `host:port`"),
            ("localhost:", "has no port"),
            ("::1", "has no port"),
            ("[::1]", "`[::1]` has no port"),
            ("", "names nothing"),
            (":9092", "names no host"),
            ("a b:1", "names no host"),
            ("a:65536", "the port of `a:65536` is none"),
            ("a:0", "is none"),
            ("a:port", "is none"),
            ("http://a:1", "a protocol that is none of Kafka's"),
            ("a:1/topic", "the port of `a:1/topic` is none"),
            ("shop:hunter2@a:1", "holds a password"),
        ] {
            let found = not_a_broker(text).expect(text);
            assert!(found.contains(why) && !found.contains("hunter2"), "{text}: {found}");
        }
    }

    #[test]
    fn a_place_is_a_partition_and_an_offset() {
        assert_eq!(place("sign_in_topic/3=1234"), Ok(("sign_in_topic/3", 1234)));
        assert_eq!(place("a=b/0 = 0"), Ok(("a=b/0", 0)));
        for text in
            ["", "topic", "topic=1", "topic/x=1", "topic/1=", "topic/1=-1", "/1=1", "topic/1=9223372036854775808"]
        {
            let why = place(text).expect_err(text);
            assert!(why.contains("expected `topic/partition=offset`"), "{why}");
        }
    }
}
