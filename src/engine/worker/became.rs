//! What became of the records of a batch, counted by partition: once per batch.

use crate::source::Batch;
use dataflows::quality::Counts;
use std::collections::BTreeMap;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// An event: its bytes may be asked for again if it is late.
    Event,
    /// An event that another source has: it was not taken.
    Elsewhere,
    /// A row of `rejected_events`.
    Rejected,
}

/// Adds what became of the records of a batch, to their partitions.
pub(super) fn count(batch: &Batch, became: &[Became], counts: &mut BTreeMap<u32, Counts>) {
    let mut rest = became;
    for records in batch.records.chunk_by(|record, next| record.partition == next.partition) {
        let (own, others) = rest.split_at(records.len());
        rest = others;
        let number = |of: Became| own.iter().filter(|became| **became == of).count() as u64;
        let counted = Counts { accepted: number(Became::Event), rejected: number(Became::Rejected), late: 0 };
        if counted != Counts::default() {
            counts.entry(records[0].partition).or_default().add(counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_and_what_another_source_has_is_nobodys() {
        let mut batch = Batch::default();
        [(0, 1), (0, 2), (3, 1), (0, 3), (5, 1)]
            .into_iter()
            .for_each(|(partition, offset)| batch.push(partition, offset, b"", b"x"));
        let became = [Became::Event, Became::Rejected, Became::Event, Became::Event, Became::Elsewhere];
        let mut counts = BTreeMap::from([(3, Counts { accepted: 1, rejected: 0, late: 1 })]);
        count(&batch, &became, &mut counts);
        let expected = [(0, [2, 1, 0]), (3, [2, 0, 1])];
        let expected =
            expected.map(|(partition, [accepted, rejected, late])| (partition, Counts { accepted, rejected, late }));
        assert_eq!(counts, expected.into());
    }
}
