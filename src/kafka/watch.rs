//! Looks now and then whether there are partitions that were not there when reading began.

use super::KafkaError;
use super::client::consumer;
use super::cluster::{Cluster, numbers};
use crate::config::kafka::Kafka;
use crate::periodic::{Periodic, Round};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

/// A thread that looks; dropped, it ends, as soon as brokers that are away have been waited for.
pub struct Watch {
    _looks: Periodic,
}

impl Watch {
    /// Calls `grown` once, when a topic has more partitions than `cluster` knows.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn start(config: &Kafka, cluster: &Cluster, grown: impl Fn() + Send + 'static) -> Result<Watch, KafkaError> {
        let consumer = consumer(config, &[])?;
        let mut known: BTreeMap<String, usize> = config.topics().into_iter().map(|(_, topic)| (topic, 0)).collect();
        for found in &cluster.partitions {
            *known.entry(found.topic.clone()).or_default() += 1;
        }
        let config = config.clone();
        let every = Duration::from_millis(config.metadata_interval.max(100) as u64);
        let looks = Periodic::start(every, move |round| {
            for (topic, known) in known.iter().filter(|_| round == Round::Due) {
                // Brokers that are away are complained about where records are read.
                let Ok(numbers) = numbers(&consumer, &config, topic) else { break };
                if numbers.len() > *known {
                    tracing::info!("Kafka: `{topic}` has {} partitions now, not {known}", numbers.len());
                    grown();
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        Ok(Watch { _looks: looks })
    }
}
