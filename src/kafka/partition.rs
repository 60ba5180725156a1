//! A partition that is read, and what of it is passed.

use crate::config::kafka::Format as Payload;
use crate::decode::avro::Schemas;
use crate::decode::{Format, Reason};
use crate::families;
use dataflows::family::FamilyId;
use serde::{Deserialize, Serialize};

/// A partition that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it carries, as its place in [`families::topics`].
    pub carries: usize,
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The first offset it holds.
    pub low: i64,
    /// The offset after its last record.
    pub high: i64,
    /// Where it is read from if nothing of it was journaled.
    pub begin: i64,
}

impl Found {
    /// As positions are written down.
    pub fn name(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }

    /// Of which family its events are.
    pub fn family(&self) -> FamilyId {
        families::topics()[self.carries].family
    }

    /// Which of so many processes reads it: those of a topic go round. What is read before the others, the first one does.
    pub fn process(&self, processes: usize) -> usize {
        if self.is_read_first() {
            return 0;
        }
        let first = crc32fast::hash(self.topic.as_bytes()) as usize;
        first.wrapping_add(self.partition.unsigned_abs() as usize) % processes.max(1)
    }

    /// Whether it is read before the others.
    pub fn is_read_first(&self) -> bool {
        families::topics()[self.carries].is_read_first
    }

    /// How its payloads are written.
    pub fn format(&self, payload: Payload, schemas: &Schemas) -> Format {
        payload.of(families::topics()[self.carries].event, schemas)
    }
}

/// Records of a partition that cannot be read, and are passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The first offset of them.
    pub from: i64,
    /// The offset after them.
    pub to: i64,
    /// As what they are rejected.
    pub reason: Reason,
    /// What is said of them.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_a_topic_go_round_the_processes_and_the_catalog_is_read_by_the_first() {
        let place = |is_first: bool| families::topics().iter().position(|topic| topic.is_read_first == is_first);
        let found = |is_first, partition| Found {
            carries: place(is_first).expect("there is one"),
            topic: "shop".to_owned(),
            partition,
            low: 0,
            high: 0,
            begin: 0,
        };
        let mut read = [0; 4];
        (0..8).for_each(|partition| read[found(false, partition).process(4)] += 1);
        assert_eq!(read, [2; 4]);
        assert!(
            (0..8).all(|partition| found(true, partition).process(4) == 0 && found(false, partition).process(1) == 0)
        );
    }
}
