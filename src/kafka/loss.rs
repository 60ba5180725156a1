//! Records that were deleted before they were read: refused, or passed because somebody said so, and each range of
//! them written down.

use super::KafkaError;
use super::partition::{Found, Pass};
use crate::decode::Reason;
use crate::state_dir::Lost;
use crate::state_dir::journal::Entry;
use std::collections::BTreeMap;

/// What becomes of records that were deleted before they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// Nothing is read then.
    #[default]
    Refused,
    /// Everything is read again, and begins with what is there.
    Forgotten,
    /// It is gone on from these positions, and what is gone is passed.
    Passed(BTreeMap<String, i64>),
}

impl Loss {
    /// What is passed.
    pub(super) fn of(&self, partitions: &[Found]) -> Vec<Lost> {
        let Loss::Passed(positions) = self else { return Vec::new() };
        let noticed_at = crate::instant::show(crate::instant::now());
        let lost = |found: &Found| {
            let partition = found.name();
            let from = *positions.get(&partition).unwrap_or(&found.begin);
            let noticed_at = noticed_at.clone();
            (from < found.low).then_some(Lost { partition, from, to: found.low, noticed_at })
        };
        partitions.iter().filter_map(lost).collect()
    }
}

/// As what it is passed.
pub(super) fn pass(lost: &Lost) -> Pass {
    let Lost { partition, from, to, .. } = lost;
    let last = to - 1;
    let why = format!(
        "offsets {from} to {last} of `{partition}` were deleted before they were read, and were passed, as \
         `--accept-loss` says"
    );
    tracing::warn!("Kafka: {why}");
    Pass { from: *from, to: *to, reason: Reason::DELETED, why }
}

/// Whether every partition still holds what is to be read: what is journaled and must be read again, and what comes
/// after that.
pub(super) fn check(
    partitions: &[Found],
    passes: &BTreeMap<String, Vec<Pass>>,
    positions: &BTreeMap<String, i64>,
    replay: &[&Entry],
) -> Result<(), KafkaError> {
    for found in partitions {
        let (name, Found { low, high, begin, .. }) = (found.name(), found);
        let position = *positions.get(&name).unwrap_or(begin);
        let journaled = replay.iter().filter_map(|entry| Some(entry.read.get(&name)?.1)).max().unwrap_or(position);
        let passed = replay.iter().flat_map(|entry| &entry.rejected).filter(|rejected| rejected.partition == name);
        let passed = passed.filter_map(|rejected| Some(rejected.from?..rejected.offset + 1));
        let passed = passed.chain(passes.get(&name).into_iter().flatten().map(|pass| pass.from..pass.to));
        let passed: Vec<_> = passed.collect();
        let mut next = position;
        while let Some(range) = passed.iter().find(|range| range.contains(&next)) {
            next = range.end;
        }
        let why = match next {
            next if next < *low && next < journaled => {
                let last = journaled.min(*low) - 1;
                format!(
                    "Kafka: `{name}`: the last run was interrupted, and what it had read from offset {next} on must be read \
                     again to go on from there; its log begins at {low} now: offsets {next} to {last} are deleted. The \
                     tables stay as they are until those records are back in the topic; or everything is computed again \
                     from what is there, which takes what was made of deleted records out of the tables: \
                     `run --rebuild --accept-loss`"
                )
            }
            next if next < *low => format!(
                "Kafka: `{name}` is to be read from offset {next}, and its log begins at {low} now: {} records were \
                 deleted before they were read. Going on would pass over that silently. To go on, and have it written \
                 down what is missing (`status`): `run --accept-loss`. To compute everything again from what is there, \
                 which takes what was made of deleted records out of the tables: `run --rebuild --accept-loss`",
                low - next
            ),
            next if next > *high => format!(
                "Kafka: `{name}` is to be read from offset {next}, and its log ends at {high}: it lost what had been \
                 written to it, or it was deleted and made again. Going on would pass over that silently. To compute \
                 everything again from what is there: `run --rebuild --accept-loss`"
            ),
            _ => continue,
        };
        return Err(KafkaError::Refused(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_dir::journal::Rejected;

    fn found(low: i64, high: i64) -> Found {
        Found { carries: 0, topic: "topic".to_owned(), partition: 0, low, high, begin: 0 }
    }

    fn entry(first: i64, next: i64, passed_from: Option<i64>) -> Entry {
        let rejected = passed_from.map(|from| Rejected {
            partition: "topic/0".to_owned(),
            first: None,
            offset: next - 1,
            from: Some(from),
            reason: Reason::DELETED.code().to_owned(),
            detail: String::new(),
        });
        let read = BTreeMap::from([("topic/0".to_owned(), (first, next))]);
        Entry { read, rejected: rejected.into_iter().collect(), ..Entry::default() }
    }

    fn checked(found: Found, accepts: bool, position: i64, replay: &[Entry]) -> Result<(), String> {
        let positions = BTreeMap::from([("topic/0".to_owned(), position)]);
        let journaled = replay.iter().map(|entry| entry.read["topic/0"].1).max().unwrap_or(position);
        let loss =
            if accepts { Loss::Passed(BTreeMap::from([("topic/0".to_owned(), journaled)])) } else { Loss::Refused };
        let passes = loss.of(std::slice::from_ref(&found)).iter().map(pass).collect();
        let passes = BTreeMap::from([("topic/0".to_owned(), passes)]);
        check(&[found], &passes, &positions, &Vec::from_iter(replay)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_deleted_is_passed_if_it_is_said_and_nothing_of_it_must_be_read_again() {
        assert_eq!(checked(found(50, 90), false, 50, &[]), Ok(()));
        let why = checked(found(50, 90), false, 20, &[]).expect_err("deleted");
        assert!(why.contains("30 records") && why.contains("`run --accept-loss`"), "{why}");
        assert_eq!(checked(found(50, 90), true, 20, &[]), Ok(()));
        // Read, and not in a snapshot yet.
        let read = [entry(20, 40, None)];
        assert_eq!(checked(found(20, 90), false, 20, &read), Ok(()));
        for accepts in [false, true] {
            let why = checked(found(50, 90), accepts, 20, &read).expect_err("it cannot be read again");
            assert!(why.contains("offsets 20 to 39 are deleted") && why.contains("must be read again"), "{why}");
        }
        // Passed, and not in a snapshot yet; then read on.
        let passed = [entry(49, 50, Some(20)), entry(50, 70, None)];
        assert_eq!(checked(found(50, 90), false, 20, &passed), Ok(()));
        let why = checked(found(60, 90), true, 20, &passed).expect_err("it cannot be read again");
        assert!(why.contains("offsets 50 to 59 are deleted"), "{why}");
        assert_eq!(checked(found(60, 90), true, 20, &passed[..1]), Ok(()), "it is passed twice");
        let why = checked(found(0, 10), true, 20, &[]).expect_err("another log");
        assert!(why.contains("ends at 10"), "{why}");
    }
}
