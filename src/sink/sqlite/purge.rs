//! Old rows are removed from the beginning of each partition that they came from, as far as all of them are old.
//!
//! Rows stand in the order of topic, partition and offset, which is about that of time. So nothing is looked for: what
//! is read is removed, but for the first row of each partition that is young. An old row behind it, which came out of
//! order, stays until that one is old too: no longer than if it had happened when it was read.
//!
//! The file does not become smaller; what is free in it is used again.

use super::trouble::sql_error;
use super::{Sqlite, begin, quoted};
use crate::instant;
use crate::sink::purge::{Purge, Purged};
use crate::sink::{Claim, Commit, SinkError};
use dataflows::Instant;
use dataflows::table::{Role, Table, TableId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// So many rows are removed in one transaction: others who write wait for it.
const PAGE: usize = 10_000;

/// So many transactions are made at once: our own next commit waits for them.
const PAGES_MAX: usize = 10;

/// What is missing is not to be taken for what never was.
const PURGED: &str = r#"CREATE TABLE IF NOT EXISTS "_purged" (
    "table_name" TEXT NOT NULL PRIMARY KEY,
    "before" TEXT NOT NULL -- Rows that are older may have been removed: by what `[retention]` goes by.
) WITHOUT ROWID"#;

/// As above, where it was asked for: there is one if raw events were deleted one by one, as of a user who is forgotten.
const FORGOTTEN: &str = r#"CREATE TABLE IF NOT EXISTS "_forgotten" ("only" INTEGER PRIMARY KEY CHECK ("only" = 1))"#;

/// As messages say it.
const WHAT: &str = "remove old rows from";

/// A topic, or file, and a partition of it.
type TopicPartition = (String, i64);

impl Sqlite {
    /// The tables of which rows were removed, each with the instant before which they may be missing.
    ///
    /// # Errors
    /// If the warehouse cannot be read.
    pub fn purged(&self) -> Result<Vec<(TableId, Instant)>, SinkError> {
        let failed = |error| sql_error(&self.path, "read `_purged` of", error);
        if !self.has("_purged").map_err(failed)? {
            return Ok(Vec::new());
        }
        let sql = r#"SELECT "before" FROM "_purged" WHERE "table_name" = ?"#;
        let mut purged = Vec::new();
        for id in self.catalogue.tables() {
            let before = self.connection.query_row(sql, [id.table().name], |row| row.get::<_, String>(0));
            if let Some(before) = before.optional().map_err(failed)? {
                purged.push((*id, instant::parse(&before).unwrap_or(Instant::MAX)));
            }
        }
        Ok(purged)
    }

    /// Whether there is a table of that name.
    pub(super) fn has(&self, table: &str) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM sqlite_master WHERE name = ?";
        Ok(self.connection.query_row(sql, [table], |_| Ok(())).optional()?.is_some())
    }

    /// Whether users were forgotten of whom there were raw events.
    ///
    /// # Errors
    /// If the warehouse cannot be read.
    pub fn has_forgotten(&self) -> Result<bool, SinkError> {
        self.has("_forgotten").map_err(|error| sql_error(&self.path, "read", error))
    }

    /// Notes that nothing is missing any more: everything was computed again.
    ///
    /// # Errors
    /// If it cannot be written, or a later start has claimed the warehouse.
    pub fn forget_purged(&mut self, claim: &Claim) -> Result<(), SinkError> {
        let Sqlite { path, connection, .. } = self;
        let what = "forget what was removed from";
        let (transaction, _) = begin(path, connection, claim, what)?;
        let forgotten =
            transaction.execute_batch(r#"DROP TABLE IF EXISTS "_purged"; DROP TABLE IF EXISTS "_forgotten""#);
        forgotten.and_then(|()| transaction.commit()).map_err(|error| sql_error(path, what, error))
    }

    pub(super) fn remove_old(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        let Sqlite { path, connection, .. } = self;
        let failed = |error| sql_error(path, WHAT, error);
        let (mut rows, mut pages) = (0, 0);
        for (id, before) in &purge.before {
            let Some((_, age)) = id.table().age() else { continue };
            let mut partition = None;
            while let Some(next) = next_partition(connection, id.table(), partition.as_ref()).map_err(failed)? {
                let mut removed = PAGE;
                while removed == PAGE {
                    if pages == PAGES_MAX {
                        return Ok(Purged { rows, is_done: false });
                    }
                    let (transaction, _) = begin(path, connection, claim, WHAT)?;
                    removed = remove_page(&transaction, id.table(), age.name, &next, *before).map_err(failed)?;
                    transaction.commit().map_err(failed)?;
                    rows += removed as u64;
                    pages += usize::from(removed > 0);
                }
                partition = Some(next);
            }
        }
        Ok(Purged { rows, is_done: true })
    }
}

/// Notes that rows of raw tables go with a commit, if any that name a user do.
pub(super) fn note_deleted(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    let raw = commit.deltas.iter().filter(|(id, _)| matches!(id.table().role, Role::Raw { .. }));
    if raw.map(|(_, deltas)| deltas.counts().1).any(|deleted| deleted > 0) {
        transaction.execute_batch(FORGOTTEN)?;
    }
    Ok(())
}

/// The first partition of a table after one. The key begins with it: each is found at once, however many rows it has.
fn next_partition(
    connection: &Connection,
    table: &Table,
    after: Option<&TopicPartition>,
) -> rusqlite::Result<Option<TopicPartition>> {
    let later = if after.is_some() { r#"WHERE ("_topic", "_partition") > (?1, ?2)"# } else { "" };
    let sql = format!(
        r#"SELECT "_topic", "_partition" FROM {} {later} ORDER BY "_topic", "_partition" LIMIT 1"#,
        quoted(table.name)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    match after {
        Some((topic, partition)) => statement.query_row(params![topic, partition], read),
        None => statement.query_row([], read),
    }
    .optional()
}

/// Removes the first rows of a partition, as far as they are old; tells how many.
fn remove_page(
    transaction: &Transaction<'_>,
    table: &Table,
    age: &str,
    (topic, partition): &TopicPartition,
    before: Instant,
) -> rusqlite::Result<usize> {
    let (name, before) = (quoted(table.name), instant::show(before));
    // Instants are text of equal length, and compare like it.
    let sql = format!(
        r#"SELECT "_offset", {} < ?3 FROM {name} WHERE "_topic" = ?1 AND "_partition" = ?2 ORDER BY "_offset" LIMIT {PAGE}"#,
        quoted(age)
    );
    let mut last = None;
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params![topic, partition, before])?;
    while let Some(row) = rows.next()? {
        if !row.get::<_, bool>(1)? {
            break;
        }
        last = Some(row.get::<_, i64>(0)?);
    }
    let Some(last) = last else { return Ok(0) };
    let sql = format!(r#"DELETE FROM {name} WHERE "_topic" = ?1 AND "_partition" = ?2 AND "_offset" <= ?3"#);
    let removed = transaction.prepare_cached(&sql)?.execute(params![topic, partition, last])?;
    transaction.execute(PURGED, [])?;
    transaction.execute(
        r#"INSERT INTO "_purged" VALUES (?1, ?2) ON CONFLICT DO UPDATE SET "before" = MAX("before", excluded."before")"#,
        params![table.name, before],
    )?;
    Ok(removed)
}
