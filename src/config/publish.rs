//! Whether tables are published to Kafka, and how.

use super::kafka::Kafka;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tables as compacted topics of Kafka. Without `prefix` nothing is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// A table's topic is this and the table's name: `mart.user_activity`.
    pub prefix: String,
    /// The brokers, if they are not those that are read from (`kafka.brokers`).
    pub brokers: String,
    /// The least time between two transactions.
    #[serde(with = "crate::instant::span")]
    pub commit_interval: i64,
    /// How many partitions a topic gets that we make.
    pub partitions: i32,
    /// How many copies of each; -1 is what the brokers are set to.
    pub replication: i32,
    /// Any property of librdkafka, for brokers of its own.
    pub properties: BTreeMap<String, String>,
    /// Properties that are secret, for brokers of its own: `env:NAME` or `file:PATH`.
    pub secrets: BTreeMap<String, String>,
}

impl Default for Publish {
    fn default() -> Publish {
        Publish {
            prefix: String::new(),
            brokers: String::new(),
            commit_interval: 1_000,
            partitions: 3,
            replication: -1,
            properties: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }
}

impl Publish {
    /// Whether anything is published.
    pub fn is_given(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// How the brokers are spoken to that are published to.
    pub fn client(&self, read_from: &Kafka) -> Kafka {
        let Publish { brokers, partitions, replication, properties, secrets, .. } = self.clone();
        let (partitions, replication) = (partitions.max(1), replication);
        match brokers.is_empty() {
            true => Kafka { partitions, replication, ..read_from.clone() },
            false => Kafka { brokers, partitions, replication, properties, secrets, ..Kafka::default() },
        }
    }

    /// What is wrong: the key, and why.
    pub(super) fn wrong(&self, read_from: &Kafka, registry: &str) -> Option<(String, String)> {
        let wrong = |key: &str, why: &str| Some((key.to_owned(), why.to_owned()));
        if !self.is_given() {
            let others = Publish { prefix: String::new(), ..Publish::default() };
            return (*self != others)
                .then(|| wrong("publish.prefix", "is empty, and nothing would be published"))
                .flatten();
        }
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !self.prefix.chars().all(legal) || self.prefix.len() > 200 {
            return wrong("publish.prefix", "is no beginning of a topic's name: letters, digits, `.`, `_`, `-`");
        }
        if self.brokers.is_empty() && !read_from.is_given() {
            return wrong("publish.brokers", "is empty, and so is `kafka.brokers`: expected host:port, by commas");
        }
        if registry.is_empty() {
            return wrong("registry.url", "is empty, and what is published names its schema in a registry");
        }
        let is_ours = |key: String| if self.brokers.is_empty() { key } else { key.replacen("kafka.", "publish.", 1) };
        self.client(read_from).wrong().map(|(key, why)| (is_ours(key), why))
    }
}
