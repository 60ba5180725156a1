//! `quality`: what became of the records of a topic, hour by hour of the clock. No metric: it is counted where records are
//! read, and no event knows of it.

use crate::delta::Delta;
use crate::table::{Declared, Role, Table, TableId, Type, Value, column};
use crate::time::{DAY_MS, Instant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const HOUR_MS: i64 = DAY_MS / 24;

static QUALITY_TABLE: Declared = Declared::new("quality", || {
    let columns = vec![
        column("topic", Type::Text, "Name of the topic that the records came from; the file's name for a file."),
        column("hour", Type::Instant, "Beginning of the hour, UTC, by the clock by which the records were judged."),
        column("accepted", Type::Integer, "Number of records that are events, with those that came late or twice."),
        column("rejected", Type::Integer, "Number of records that were rejected: so many rows of `rejected_events`."),
        column(
            "late",
            Type::Integer,
            "Number of the accepted ones that came too late to change a metric: so many rows of `late_events`.",
        ),
        column("share_valid", Type::Share, "Share of the records that were accepted."),
    ];
    Table {
        name: "quality",
        doc: "One row per topic and hour of the clock in which a record of it was read, with what became of them.",
        role: Role::Tally,
        cluster_by_day: None,
        by_minute: None,
        key_columns: 2,
        columns,
    }
});

/// `quality`
pub const QUALITY: TableId = TableId::of(&QUALITY_TABLE);

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// So many are events.
    pub accepted: u64,
    /// So many are not.
    pub rejected: u64,
    /// So many of the accepted ones came too late to change a metric.
    pub late: u64,
}

impl Counts {
    /// Adds what became of others.
    pub fn add(&mut self, Counts { accepted, rejected, late }: Counts) {
        self.accepted += accepted;
        self.rejected += rejected;
        self.late += late;
    }

    fn row(self, topic: &str, hour: Instant) -> Vec<Value> {
        let Counts { accepted, rejected, late } = self;
        let count = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
        let share = Value::share_or_null(accepted, accepted + rejected);
        vec![Value::Text(topic.to_owned()), Value::Instant(hour), count(accepted), count(rejected), count(late), share]
    }
}

/// What was counted in the hour that is running. Rows of hours before it do not change any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its beginning.
    pub hour: Instant,
    /// By topic.
    pub topics: BTreeMap<String, Counts>,
}

impl Running {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Adds what an epoch read whose records were judged by this clock; tells the rows that are others now.
    ///
    /// A clock that goes back leaves the hour as it is: rows of hours before it are not known any more. If it goes back by
    /// more than a day it was wrong before, and is followed.
    pub fn add(&mut self, clock_ms: Instant, counts: &BTreeMap<&str, Counts>) -> Vec<Delta> {
        let hour = clock_ms - clock_ms.rem_euclid(HOUR_MS);
        if hour > self.hour || hour < self.hour - DAY_MS {
            *self = Running { hour, topics: BTreeMap::new() };
        }
        let mut rows = Vec::with_capacity(counts.len());
        for (topic, of_epoch) in counts {
            let known = match self.topics.get_mut(*topic) {
                Some(known) => known,
                None => self.topics.entry((*topic).to_owned()).or_default(),
            };
            known.add(*of_epoch);
            rows.push(Delta::Upsert(known.row(topic, self.hour)));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(accepted: u64, rejected: u64, late: u64) -> Counts {
        Counts { accepted, rejected, late }
    }

    fn row(topic: &str, hour: Instant, numbers: [i64; 3], share: i64) -> Delta {
        let numbers = numbers.map(Value::Integer);
        let key = [Value::Text(topic.to_owned()), Value::Instant(hour)];
        Delta::Upsert(key.into_iter().chain(numbers).chain([Value::Share(share)]).collect())
    }

    #[test]
    fn an_hour_is_added_up_and_the_next_begins_at_nothing() {
        let mut running = Running::default();
        let eight = 8 * HOUR_MS;
        let said = running.add(eight + 5, &[("a", counts(2, 1, 1)), ("b", counts(0, 1, 0))].into());
        assert_eq!(said, [row("a", eight, [2, 1, 1], 6_667), row("b", eight, [0, 1, 0], 0)]);
        // Only what changed is said.
        assert_eq!(running.add(eight + 6, &[("a", counts(5, 0, 0))].into()), [row("a", eight, [7, 1, 1], 8_750)]);
        let nine = eight + HOUR_MS;
        assert_eq!(running.add(nine, &[("b", counts(1, 0, 0))].into()), [row("b", nine, [1, 0, 0], 10_000)]);
        assert_eq!(running.topics.len(), 1, "what is over is not held");
    }

    #[test]
    fn a_clock_that_goes_back_a_little_opens_no_hour_again() {
        let mut running = Running::default();
        let nine = 9 * HOUR_MS;
        running.add(nine, &[("a", counts(1, 0, 0))].into());
        assert_eq!(running.add(nine - 1, &[("a", counts(1, 0, 0))].into()), [row("a", nine, [2, 0, 0], 10_000)]);
        let years = 1_000 * DAY_MS;
        running.add(years, &[("a", counts(1, 0, 0))].into());
        assert_eq!(running.add(nine, &[("a", counts(1, 0, 0))].into()), [row("a", nine, [1, 0, 0], 10_000)]);
    }
}
