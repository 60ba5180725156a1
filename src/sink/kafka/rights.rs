//! Whether this user may publish: tried without a run, and nothing is written.

use super::{Kafka, sink_error};
use crate::kafka::KafkaError;
use crate::kafka::client::consumer;
use crate::kafka::cluster::numbers;
use crate::kafka::producer::may_create_topics;
use crate::kafka::{cleanup, rights};
use crate::sink::{Sink, SinkError};

impl Kafka {
    /// Tries the rights that publishing needs. To begin transactions ends those of a run that is under way: `is_alone`
    /// says that there is none.
    ///
    /// # Errors
    /// If one is missing: which, and of what.
    pub fn check_rights(&self, is_alone: bool) -> Result<(), SinkError> {
        self.try_topics().map_err(sink_error)?;
        if is_alone { self.producer().map(drop) } else { Ok(()) }
    }

    fn try_topics(&self) -> Result<(), KafkaError> {
        let consumer = consumer(&self.client, &[])?;
        let all = self.catalogue.tables().iter().map(|id| self.topic(id.table())).chain([self.progress_topic()]);
        let all = all.chain((!self.clean.is_empty()).then(|| self.clean.clone()));
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for topic in all {
            let is_there = !numbers(&consumer, &self.client, &topic)?.is_empty();
            if is_there { &mut there } else { &mut missing }.push(topic);
        }
        if !missing.is_empty() {
            may_create_topics(&self.client, &missing, self.client.partitions)?;
        }
        let refused = |topics: Vec<String>, what: &str, right: &str| match topics.is_empty() {
            true => Ok(()),
            false => Err(KafkaError::Refused(format!(
                "{}: this user may not {what} {}: grant {right}",
                self.name(),
                rights::listed(&topics)
            ))),
        };
        let names = there.iter().map(String::as_str).collect();
        refused(rights::unreadable(&self.client, &names)?, "read", "READ")?;
        let told = cleanup::of(&self.client, &names)?;
        let untold = there.iter().filter(|topic| !told.contains_key(*topic)).cloned().collect();
        refused(untold, "ask for the configuration of", "DESCRIBE_CONFIGS")?;
        // Others take a record that is tried.
        there.retain(|topic| told[topic].compacts);
        refused(rights::unwritable(&self.client, &there)?, "write", "WRITE")
    }
}
