//! Tables that were made here and that nobody keeps any more: those of a metric that was removed or has another name now.

use super::trouble::sql_error;
use super::{Sqlite, quoted, read_progress};
use crate::sink::{Progress, SinkError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;

/// How the last columns of every table stand in the statement that made it: nobody else's tables have them so. A copy that
/// somebody made of a table has no such statement.
const STAMPS: [&str; 2] = ["\"_epoch\" INTEGER NOT NULL", "\"_updated_at\" TEXT NOT NULL"];
const END: &str = "WITHOUT ROWID";

/// A table that nobody keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What it is called.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// The epoch that last wrote one of them, and its clock; nothing if there is none.
    pub last_written: Option<(u64, String)>,
}

impl Sqlite {
    /// The tables that were made here and are none of the catalogue's.
    ///
    /// # Errors
    /// If the warehouse cannot be read.
    pub fn left(&self) -> Result<Vec<Left>, SinkError> {
        let found = names(&self.connection).map_err(|error| sql_error(&self.path, "read the tables of", error))?;
        let left = found.into_iter().filter(|name| self.catalogue.by_name(name).is_none());
        let facts = |table: String| {
            let sql = format!("SELECT COUNT(*), MAX(_epoch), MAX(_updated_at) FROM {}", quoted(&table));
            self.connection.query_row(&sql, [], |row| {
                let written = row.get::<_, Option<i64>>(1)?.zip(row.get::<_, Option<String>>(2)?);
                let last_written = written.map(|(epoch, at)| (epoch.unsigned_abs(), at));
                Ok(Left { table: table.clone(), rows: row.get::<_, i64>(0)?.unsigned_abs(), last_written })
            })
        };
        left.map(|table| facts(table).map_err(|error| sql_error(&self.path, "count the rows of", error))).collect()
    }

    /// Removes one of them, if the warehouse is still as it was.
    ///
    /// # Errors
    /// If somebody wrote to it meanwhile, or it cannot be written.
    pub fn drop_left(&mut self, left: &Left, was: &Progress) -> Result<(), SinkError> {
        let Sqlite { path, connection, catalogue, .. } = self;
        let failed = |error| sql_error(path, "drop a table of", error);
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(failed)?;
        let now = read_progress(&transaction, path, "read `_progress` of")?;
        let is_as_it_was = now.is_some_and(|now| {
            (&now.pipeline_id, now.generation, now.epoch) == (&was.pipeline_id, was.generation, was.epoch)
        });
        let is_left = names(&transaction).map_err(failed)?.contains(&left.table);
        if !is_as_it_was || !is_left || catalogue.by_name(&left.table).is_some() {
            let (table, path) = (&left.table, path.display());
            let why = format!(
                "warehouse `{path}`: somebody wrote to it meanwhile, and `{table}` was left as it is; try again"
            );
            return Err(SinkError::Unavailable(why));
        }
        transaction.execute_batch(&format!("DROP TABLE {}", quoted(&left.table))).map_err(failed)?;
        let sql = "SELECT COUNT(*) FROM sqlite_master WHERE name = '_purged'";
        if transaction.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed)? > 0 {
            let sql = r#"DELETE FROM "_purged" WHERE "table_name" = ?"#;
            transaction.execute(sql, [&left.table]).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    /// Whether there is a table or a view of that name, whoever made it.
    ///
    /// # Errors
    /// If the warehouse cannot be read.
    pub fn has_any(&self, name: &str) -> Result<bool, SinkError> {
        self.has(name).map_err(|error| sql_error(&self.path, "read the tables of", error))
    }
}

/// The tables that were made by a statement of ours.
fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let tables = tables.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    let is_ours = |sql: &str| STAMPS.iter().all(|stamp| sql.contains(stamp)) && sql.trim_end().ends_with(END);
    Ok(tables.into_iter().filter(|(_, sql)| is_ours(sql)).map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::all;
    use crate::sink::{MadeBy, Sink};
    use dataflows::family::Catalogue;

    #[test]
    fn what_was_made_here_and_is_kept_no_more_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("left.db");
        let mut before = Sqlite::open(all(), &path).expect("opens");
        before.claim(MadeBy::Batch, None).expect("claims");
        assert_eq!(before.left().expect("reads"), [], "all are kept");
        for sql in [
            "CREATE TABLE copy AS SELECT * FROM users",
            "CREATE TABLE theirs (\"_epoch\" INTEGER NOT NULL, x TEXT)",
            "CREATE VIEW seen AS SELECT * FROM users",
            "INSERT INTO users (user_id, registered_at, age, masked_email, preferred_language, _epoch, _updated_at)
                 VALUES (1, 'a', 30, 'b', 'c', 4, '2026-01-05'), (2, 'a', 30, 'b', 'c', 6, '2026-01-06')",
        ] {
            before.connection.execute_batch(sql).expect(sql);
        }
        drop(before);
        // As another program, which has no table at all, sees it.
        let mut after = Sqlite::open(Catalogue::of(&[]), &path).expect("opens");
        let left = after.left().expect("reads");
        let names: Vec<_> = left.iter().map(|left| left.table.as_str()).collect();
        let mut wanted: Vec<_> = all().tables().iter().map(|id| id.name()).collect();
        // Those are of every catalogue.
        wanted.retain(|name| !["late_events", "quality", "rejected_events"].contains(name));
        wanted.sort_unstable();
        assert_eq!(names, wanted);
        let users = left.iter().find(|left| left.table == "users").expect("left").clone();
        assert_eq!((users.rows, &users.last_written), (2, &Some((6, "2026-01-06".to_owned()))));
        let was = after.position().expect("reads").expect("claimed");
        let other = Progress { generation: was.generation + 1, ..was.clone() };
        let why = after.drop_left(&users, &other).expect_err("it was claimed since").to_string();
        assert!(why.contains("somebody wrote to it meanwhile, and `users` was left as it is"), "{why}");
        let theirs = Left { table: "copy".to_owned(), ..users.clone() };
        after.drop_left(&theirs, &was).expect_err("it is not ours");
        after.drop_left(&users, &was).expect("drops");
        assert!(!after.has_any("users").expect("reads") && after.has_any("copy").expect("reads"));
        assert_eq!(after.left().expect("reads").len() + 1, wanted.len());
    }
}
