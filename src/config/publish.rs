//! Whether tables are published to Kafka, and how.

use super::kafka::{self, Kafka};
use super::wrong::{DAY_MS, Wrongs};
use crate::declared::declared;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

declared! {
    /// Tables as compacted topics of Kafka. Without `prefix` nothing is published.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Publish {
        /// The beginning of the topics' names: with `mart.` the table `users` goes to `mart.users`. Empty publishes
        /// nothing.
        pub prefix: String,
        /// The topic, in full, that gets each accepted event, typed and once. It is written in the transaction of the
        /// tables. Empty is none.
        pub clean: String,
        /// The brokers to publish to: `host:port`, several by commas. Empty is those of `kafka.brokers`, with their
        /// properties and secrets.
        pub brokers: String,
        /// The least time between two transactions; 0 is after every epoch. Longer shows rows later, shorter costs
        /// the brokers more.
        #[serde(with = "crate::instant::span")]
        pub commit_interval: i64,
        /// The number of partitions of a topic that deltamart creates, 1 or more.
        pub partitions: i32,
        /// How many copies a topic has that we make; -1 means the default of the brokers.
        pub replication: i32,
        /// Any property of librdkafka, for brokers of `publish.brokers`, as in `kafka.properties`.
        pub properties: BTreeMap<String, String>,
        /// Properties that are secret, for brokers of `publish.brokers`: `env:NAME` or `file:PATH`, where each is
        /// found.
        pub secrets: BTreeMap<String, String>,
    }
}

impl Default for Publish {
    fn default() -> Publish {
        Publish {
            prefix: String::new(),
            clean: String::new(),
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

    /// What is wrong.
    pub(super) fn wrong(&self, read_from: &Kafka, registry: &str, wrongs: &mut Wrongs) {
        kafka::wrong_topics_made("publish", self.partitions, self.replication, wrongs);
        kafka::wrong_brokers("publish", &self.brokers, wrongs);
        kafka::wrong_properties("publish", &self.properties, &self.secrets, wrongs);
        let because = "what is computed waits in memory for the next commit";
        wrongs.bounded("publish.commit_interval", self.commit_interval, 0..=DAY_MS, because);
        if !self.is_given() {
            if *self != Publish::default() {
                wrongs.say("publish.prefix", "is empty, and nothing would be published");
            }
            return;
        }
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !self.prefix.chars().all(legal) || self.prefix.len() > 200 {
            wrongs.say("publish.prefix", "is not the beginning of a topic's name: letters, digits, `.`, `_`, `-`");
        }
        if !self.clean.chars().all(legal) || self.clean.len() > 249 || self.clean.starts_with(&self.prefix) {
            let why =
                "is not the name of a topic: letters, digits, `.`, `_`, `-`, and not beginning with `publish.prefix`";
            wrongs.say("publish.clean", why);
        }
        if self.brokers.is_empty() && !read_from.is_given() {
            let why = "is empty, and so is `kafka.brokers`: expected host:port, by commas";
            wrongs.beside("publish.brokers", &["kafka.brokers", "publish.prefix"], why);
        }
        if registry.is_empty() {
            let why = "is empty, and what is published names its schema in a registry";
            wrongs.beside("registry.url", &["publish.prefix"], why);
        }
    }
}
