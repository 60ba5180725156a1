//! What is read, and how many records of each were.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is read: topics or files, whose partitions have numbers.
#[derive(Debug, Default)]
pub struct Sources {
    known: Mutex<Arc<Known>>,
    awaited: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By name: its family, and how many of its records were read.
    by_name: BTreeMap<String, (&'static str, Arc<AtomicU64>)>,
    /// The counts, by the numbers of partitions.
    by_partition: Vec<Arc<AtomicU64>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfSource {
    /// The topic or the file.
    pub topic: String,
    /// Its family.
    pub family: &'static str,
    /// How many of its records were read.
    pub records: u64,
}

impl Sources {
    /// Notes which there are: of each partition, by its number, the topic and the family. What was counted stays.
    pub fn set(&self, partitions: impl Iterator<Item = (String, &'static str)>) {
        let mut known = self.known.lock();
        let mut by_name = BTreeMap::new();
        let by_partition = partitions.map(|(topic, family)| {
            let before = known.by_name.get(&topic).map(|(_, count)| Arc::clone(count));
            let (_, count) = by_name.entry(topic).or_insert_with(|| (family, before.unwrap_or_default()));
            Arc::clone(count)
        });
        let by_partition = by_partition.collect();
        *known = Arc::new(Known { by_name, by_partition });
    }

    /// Notes what was named and has nothing yet by which it could be known: files without a line, an empty folder.
    pub fn set_awaited(&self, names: Vec<String>) {
        *self.awaited.lock() = names;
    }

    /// What is waited for, where nothing is read yet.
    pub fn awaited(&self) -> Vec<String> {
        if self.known.lock().by_name.is_empty() { self.awaited.lock().clone() } else { Vec::new() }
    }

    /// Counts records, by the numbers of their partitions; those of one partition come together.
    pub fn count(&self, partitions: impl Iterator<Item = u32>) {
        let known = Arc::clone(&self.known.lock());
        let add = |partition: u32, count: u64| {
            let of = known.by_partition.get(partition as usize);
            of.map(|of| of.fetch_add(count, Relaxed));
        };
        let mut run = None;
        for partition in partitions {
            run = match run {
                Some((of, count)) if of == partition => Some((of, count + 1)),
                Some((of, count)) => {
                    add(of, count);
                    Some((partition, 1))
                }
                None => Some((partition, 1)),
            };
        }
        if let Some((of, count)) = run {
            add(of, count);
        }
    }

    /// Counts records of a topic that another process has read.
    pub fn add(&self, topic: &str, count: u64) {
        let known = Arc::clone(&self.known.lock());
        known.by_name.get(topic).map(|(_, of)| of.fetch_add(count, Relaxed));
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<OfSource> {
        let known = Arc::clone(&self.known.lock());
        let of = |(topic, (family, count)): (&String, &(&'static str, Arc<AtomicU64>))| OfSource {
            topic: topic.clone(),
            family,
            records: count.load(Relaxed),
        };
        known.by_name.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_topic_and_a_new_partition_changes_none() {
        let (sources, names) = (Sources::default(), |names: &[&str]| {
            names.iter().map(|name| ((*name).to_owned(), "shop")).collect::<Vec<_>>().into_iter()
        });
        let counts = |sources: &Sources| sources.all().iter().map(|of| of.records).collect::<Vec<_>>();
        sources.set(names(&["b", "a", "b"]));
        // Of a partition that nobody knows nothing is counted.
        sources.count([0, 0, 1, 2, 0, 7].into_iter());
        assert_eq!((counts(&sources), sources.all()[1].topic.as_str()), (vec![1, 4], "b"));
        sources.set(names(&["c", "b", "a", "b"]));
        sources.count([3, 0].into_iter());
        assert_eq!(counts(&sources), [1, 5, 1]);
    }

    #[test]
    fn what_was_named_is_waited_for_until_something_is_read() {
        let sources = Sources::default();
        sources.set_awaited(vec!["events.jsonl".to_owned()]);
        sources.set(std::iter::empty());
        assert_eq!(sources.awaited(), ["events.jsonl"]);
        sources.set([("events.jsonl".to_owned(), "shop")].into_iter());
        assert!(sources.awaited().is_empty());
    }
}
