//! Rejected records that are sent through again, and which already were.

use super::Sqlite;
use super::trouble::sql_error;
use crate::sink::SinkError;
use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

const REPLAYED: &str = r#"CREATE TABLE IF NOT EXISTS "_replayed" (
    "_topic" TEXT NOT NULL, "_partition" INTEGER NOT NULL, "_offset" INTEGER NOT NULL,
    "replayed_at" TEXT NOT NULL, -- When `replay-rejected` sent it through again.
    PRIMARY KEY ("_topic", "_partition", "_offset")
) WITHOUT ROWID"#;

/// A record that was rejected, as it came, but for an address in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it came from.
    pub topic: String,
    /// See `topic`.
    pub partition: i64,
    /// See `topic`.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// What it said.
    pub raw: Vec<u8>,
    /// Why it was rejected: the code.
    pub reason: String,
    /// The same for people, and whether what is kept is what came ([`crate::kept::is_whole`]).
    pub detail: String,
}

impl Sqlite {
    /// Rejected records that were not sent through again yet, by their key, the first of all or after one: those of
    /// the given reasons, or of every one.
    ///
    /// # Errors
    /// If the warehouse cannot be read or written.
    pub fn rejected(
        &self,
        reasons: &[String],
        after: Option<&Rejected>,
        limit: usize,
    ) -> Result<Vec<Rejected>, SinkError> {
        let failed = |error| sql_error(&self.path, "read the rejected events of", error);
        // Made by the first that is sent through; and who only reads makes nothing.
        let made = self.connection.table_exists(None, "_replayed").map_err(failed)?;
        let replayed = match made {
            true => r#""_replayed""#,
            false => r#"(SELECT 0 AS "_topic", 0 AS "_partition", 0 AS "_offset" WHERE 0)"#,
        };
        let among = match reasons.len() {
            0 => String::new(),
            count => format!(r#"AND r."reason" IN ({})"#, vec!["?"; count].join(", ")),
        };
        let later = after.map_or("", |_| r#"AND (r."_topic", r."_partition", r."_offset") > (?, ?, ?)"#);
        let sql = format!(
            r#"SELECT r."_topic", r."_partition", r."_offset", r."event_key", r."raw", r."reason", r."detail" FROM "rejected_events" r
               WHERE NOT EXISTS (SELECT 1 FROM {replayed} d WHERE d."_topic" = r."_topic"
                   AND d."_partition" = r."_partition" AND d."_offset" = r."_offset") {among} {later}
               ORDER BY r."_topic", r."_partition", r."_offset" LIMIT ?"#
        );
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let place = after.map(|Rejected { topic, partition, offset, .. }| {
            [Value::Text(topic.clone()), Value::Integer(*partition), Value::Integer(*offset)]
        });
        let parameters = reasons.iter().cloned().map(Value::Text).chain(place.into_iter().flatten());
        let parameters = parameters.chain([Value::Integer(limit as i64)]);
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            let (topic, partition, offset) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (key, raw, reason, detail) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
            Ok(Rejected { topic, partition, offset, key, raw, reason, detail })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Notes that these were sent through again.
    ///
    /// # Errors
    /// If the warehouse cannot be written.
    pub fn mark_replayed(&mut self, records: &[Rejected], at: &str) -> Result<(), SinkError> {
        let Sqlite { path, connection, .. } = self;
        let failed = |error| sql_error(path, "note what was replayed in", error);
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute(REPLAYED, []).map_err(failed)?;
        for Rejected { topic, partition, offset, .. } in records {
            let sql = r#"INSERT OR IGNORE INTO "_replayed" VALUES (?1, ?2, ?3, ?4)"#;
            transaction.execute(sql, params![topic, partition, offset, at]).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}
