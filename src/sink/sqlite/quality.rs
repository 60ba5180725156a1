//! What `quality` says of the last hour.

use super::Sqlite;
use super::trouble::sql_error;
use crate::sink::SinkError;
use dataflows::quality::{Counts, QUALITY};
use serde::Serialize;

/// What became of the records of a topic in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfHour {
    /// The topic.
    pub topic: String,
    /// The beginning of the hour, as it is stored.
    pub hour: String,
    /// What became of them.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Sqlite {
    /// The rows of the newest hour of all, and those of the hour before it: who asks once an hour misses none. In the
    /// order of topics and hours.
    ///
    /// # Errors
    /// If the warehouse cannot be read.
    pub fn last_hours(&self) -> Result<Vec<OfHour>, SinkError> {
        let failed = |error| sql_error(&self.path, "read `quality` of", error);
        // An earlier version made none.
        if !self.has(QUALITY.name()).map_err(failed)? {
            return Ok(Vec::new());
        }
        let sql = r#"SELECT "topic", "hour", "accepted", "rejected", "late" FROM "quality"
            WHERE "hour" >= (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', MAX("hour"), '-1 hour') FROM "quality")
            ORDER BY "topic", "hour""#;
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let rows = statement.query_map([], |row| {
            let count = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
            let counts = Counts { accepted: count(2)?, rejected: count(3)?, late: count(4)? };
            Ok(OfHour { topic: row.get(0)?, hour: row.get(1)?, counts })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use crate::sink::{Commit, MadeBy, Sink};
    use dataflows::delta::Delta;
    use dataflows::quality::Running;
    use std::collections::BTreeMap;

    #[test]
    fn the_newest_hour_and_the_one_before_it_are_found() {
        const HOUR_MS: i64 = 3_600_000;
        // Over midnight, and over a year.
        let newest = 1_767_225_600_000;
        let folder = tempfile::tempdir().expect("a folder");
        let mut sink = Sqlite::open(all(), &folder.path().join("w.db")).expect("opens");
        let claim = sink.claim(MadeBy::Run, None).expect("claims");
        assert_eq!(sink.last_hours().expect("reads"), []);
        let counts = Counts { accepted: 3, rejected: 1, late: 2 };
        let of = |topic, hours_ago| {
            Running::default().add(newest - hours_ago * HOUR_MS, &BTreeMap::from([(topic, counts)])).pop()
        };
        let mut rows: Vec<Delta> = [("a", 2), ("a", 1), ("a", 0), ("b", 1), ("c", 2)]
            .into_iter()
            .filter_map(|(topic, hours_ago)| of(topic, hours_ago))
            .collect();
        rows.sort();
        let commit = Commit {
            follows: 0,
            epoch: 2,
            clock_ms: newest,
            watermarks: Default::default(),
            positions: BTreeMap::new(),
            deltas: BTreeMap::from([(QUALITY, rows.into())]),
            appends: BTreeMap::new(),
            clean: BTreeMap::new(),
            archived: Vec::new(),
            pieces: Vec::new(),
        };
        sink.apply(&claim, &commit).expect("applies");
        let found = sink.last_hours().expect("reads");
        let found: Vec<_> = found.iter().map(|of| (&*of.topic, &*of.hour, of.counts)).collect();
        let (last, new) = ("2025-12-31T23:00:00.000Z", "2026-01-01T00:00:00.000Z");
        assert_eq!(found, [("a", last, counts), ("a", new, counts), ("b", last, counts)]);
    }
}
