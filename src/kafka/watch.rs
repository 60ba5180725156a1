//! Looks now and then whether there are partitions that were not there when reading began.

use super::KafkaError;
use super::client::consumer;
use super::cluster::{Cluster, numbers};
use crate::config::kafka::Kafka;
use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// A thread that looks; dropped, it ends, as soon as brokers that are away have been waited for.
pub struct Watch {
    _stop: Sender<()>,
}

impl Watch {
    /// Calls `grown` once, when a topic has more partitions than `cluster` knows.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn start(config: &Kafka, cluster: &Cluster, grown: impl Fn() + Send + 'static) -> Result<Watch, KafkaError> {
        let (stop, stopped) = channel();
        let consumer = consumer(config, &[])?;
        let mut known: BTreeMap<String, usize> = config.topics().into_iter().map(|(_, topic)| (topic, 0)).collect();
        for found in &cluster.partitions {
            *known.entry(found.topic.clone()).or_default() += 1;
        }
        let config = config.clone();
        let every = Duration::from_millis(config.metadata_interval.max(100) as u64);
        std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                for (topic, known) in &known {
                    // Brokers that are away are complained about where records are read.
                    let Ok(numbers) = numbers(&consumer, &config, topic) else { break };
                    if numbers.len() > *known {
                        tracing::info!("Kafka: `{topic}` has {} partitions now, not {known}", numbers.len());
                        return grown();
                    }
                }
            }
        });
        Ok(Watch { _stop: stop })
    }
}
