//! The journal: what was decided of each epoch, written before anybody sees its rows.

use super::{StateDir, StateError, envelope};
use crate::lanes::Lanes;
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The facts of one closed epoch. Replaying uses them, and decides nothing again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which.
    pub epoch: Time,
    /// The clock by which its records were judged, in milliseconds since 1970.
    pub opened_ms: Instant,
    /// The clock when it closed.
    pub clock_ms: Instant,
    /// How far families have come; those that it does not name have not moved. Of largest event times those in it.
    #[serde(flatten)]
    pub lanes: Lanes,
    /// Per partition that was read, `topic/partition`: the first offset and the next one.
    pub read: BTreeMap<String, (i64, i64)>,
    /// In logs that are known by their content, the next offset and the sum of all before it; at the beginning of a
    /// log also those of its first two lines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: BTreeMap<String, Vec<(i64, u32)>>,
    /// Largest event time in it, per partition.
    pub largest: BTreeMap<String, Instant>,
    /// Second largest event time in it, per partition with more than one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub second: BTreeMap<String, Instant>,
    /// Records that were rejected for a reason that their bytes do not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejected>,
}

/// A record that was rejected because of the state of the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// `topic/partition`.
    pub partition: String,
    /// Its offset.
    pub offset: i64,
    /// So was each record from this offset up to its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<i64>,
    /// It stands for all from this offset up to its own, which could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The code of the reason.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
}

/// The one list of what was rejected, however it came to be read: sorted, and what follows each other and is all alike
/// is joined. Who read which record, and in which batch, is chance; what is replayed must be what was journaled.
pub fn joined(mut rejected: Vec<Rejected>) -> Vec<Rejected> {
    rejected.sort();
    let mut runs: Vec<Rejected> = Vec::with_capacity(rejected.len());
    for next in rejected {
        let follows = |last: &&mut Rejected| {
            (&last.partition, last.offset + 1) == (&next.partition, next.first.unwrap_or(next.offset))
                && (last.from, next.from) == (None, None)
                && (&last.reason, &last.detail) == (&next.reason, &next.detail)
        };
        match runs.last_mut().filter(follows) {
            Some(last) => {
                last.first = last.first.or(Some(last.offset));
                last.offset = next.offset;
            }
            None => runs.push(next),
        }
    }
    runs
}

/// One object of the journal: the facts of epochs that closed one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The last journaled epoch before them. Whatever else claims to come after that one is void.
    pub follows: Time,
    /// The start that journaled that epoch; none if its entry was not kept any more. A run that was superseded may write
    /// an epoch of the same number, long after what its successor said of it was forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows_generation: Option<u64>,
    /// In their order.
    pub entries: Vec<Entry>,
}

const PREFIX: &str = "journal/";
const KIND: &str = "journal";
/// In the first, one family had no name.
const FORMAT: u32 = 2;

fn key(generation: u64, first: Time) -> String {
    format!("{PREFIX}{generation:08}-{first:016}")
}

/// Where a group of the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub generation: u64,
    pub first: Time,
    pub name: String,
}

impl StateDir {
    /// Writes a group, durably. Writing it again is harmless.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn journal(&self, generation: u64, group: &Group) -> Result<(), StateError> {
        let Some(first) = group.entries.first() else { return Ok(()) };
        let body = envelope::seal_json(KIND, FORMAT, group);
        // Not create-if-absent: the number of the generation is nobody else's, and an attempt whose
        // outcome was unclear is made again, perhaps with more in it.
        Ok(self.store.put(&key(generation, first.epoch), &body)?)
    }

    /// The key of every group, in the order of generations and epochs.
    pub(super) fn journal_keys(&self) -> Result<Vec<GroupKey>, StateError> {
        let mut keys = Vec::new();
        for key in self.store.list(PREFIX)? {
            if let Some((generation, first)) = key.strip_prefix(PREFIX).and_then(super::two_numbers) {
                keys.push(GroupKey { generation, first, name: key });
            }
        }
        keys.sort();
        Ok(keys)
    }

    pub(super) fn journal_group(&self, key: &GroupKey) -> Result<Option<Group>, StateError> {
        self.read_json(&key.name, KIND, FORMAT)
    }

    /// Several groups, in their order; none where one was removed.
    pub(super) fn journal_groups(&self, keys: &[GroupKey]) -> Result<Vec<Option<Group>>, StateError> {
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let found = self.store().get_all(&names)?;
        let group = |(key, bytes): (&&str, Option<Vec<u8>>)| {
            bytes
                .map(|bytes| self.opened(key, KIND, FORMAT, bytes).and_then(|(_, body)| self.parsed(key, &body)))
                .transpose()
        };
        names.iter().zip(found).map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(partition: &str, first: i64, offset: i64, detail: &str) -> Rejected {
        Rejected {
            partition: partition.to_owned(),
            offset,
            first: (first < offset).then_some(first),
            from: None,
            reason: "unknown_schema".to_owned(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn however_runs_were_cut_they_are_joined_to_the_same() {
        let wanted = [run("a", 5, 9, "x"), run("a", 10, 10, "y"), run("a", 12, 14, "y"), run("b", 10, 14, "x")];
        let singles = wanted.iter().flat_map(|of| {
            let first = of.first.unwrap_or(of.offset);
            (first..=of.offset).map(|offset| run(&of.partition, offset, offset, &of.detail))
        });
        // Two workers, or batches of two partitions in turn.
        let cut = [
            run("b", 12, 14, "x"),
            run("a", 5, 6, "x"),
            run("b", 10, 11, "x"),
            run("a", 12, 14, "y"),
            run("a", 7, 9, "x"),
            run("a", 10, 10, "y"),
        ];
        assert_eq!(joined(singles.rev().collect()), wanted);
        assert_eq!(joined(cut.to_vec()), wanted);
        assert_eq!(joined(wanted.to_vec()), wanted);
        // What stands for records that could not be read is nobody's neighbour.
        let passed = |first: i64, offset: i64| Rejected { from: Some(first), ..run("a", offset, offset, "x") };
        assert_eq!(joined(vec![passed(4, 9), passed(10, 12)]), [passed(4, 9), passed(10, 12)]);
    }
}
