//! The embedded warehouse: one SQLite file in WAL mode. Rows and progress in one transaction; any
//! other process may read while we write.

pub mod guarded;
pub mod left;
mod purge;
pub mod quality;
pub mod rejected;
mod statements;
pub mod trouble;
mod views;

use super::progress::Found;
use super::purge::{Purge, Purged};
use super::{Claim, Commit, MadeBy, Progress, RowOf, Sink, SinkError, Stored, by_minute};
use crate::instant;
use dataflows::family::Catalogue;
use dataflows::table::{ByMinute, Column, Role, Table, TableId, Type, Value, stamp_columns};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, Statement, ToSql, Transaction, TransactionBehavior, named_params,
    params_from_iter,
};
use serde_json::Value as Json;
use statements::{delete_sql, insert_sql, row_sql, upsert_sql};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use trouble::sql_error;

/// The version of the file's layout, in `PRAGMA user_version`.
const LAYOUT: i64 = 2;

/// How long another writer may hold the file before we call it unavailable.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const PROGRESS_DDL: &str = r#"CREATE TABLE IF NOT EXISTS "_progress" (
    "only" INTEGER PRIMARY KEY CHECK ("only" = 1),
    "pipeline_id" TEXT NOT NULL, -- Whose rows these are.
    "generation" INTEGER NOT NULL, -- How often the pipeline was started.
    "made_by" TEXT NOT NULL, -- `run`, `batch` or `simulate`.
    "epoch" INTEGER NOT NULL, -- The last epoch whose rows are here.
    "positions" TEXT NOT NULL, -- Per partition the next offset to read, as JSON.
    "watermark" TEXT NOT NULL, -- The least of the watermarks of that epoch.
    "committed_at" TEXT NOT NULL, -- The clock of that epoch.
    "watermarks" TEXT -- The watermark of each family, as JSON.
)"#;

/// A SQLite file as warehouse.
pub struct Sqlite {
    catalogue: Catalogue,
    path: PathBuf,
    connection: Connection,
    /// The next commit has all rows of these tables.
    anew: BTreeSet<TableId>,
}

impl Sqlite {
    /// Opens a warehouse, and makes the file if there is none: for its owner only, as the state beside it is. A file that
    /// is there keeps the mode it has.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a database, holds something else, or was made by a later version.
    pub fn open(catalogue: Catalogue, path: &Path) -> Result<Sqlite, SinkError> {
        let failed = |error| sql_error(path, "open", error);
        make_private(path);
        let sink = Self::checked(catalogue, path, Connection::open(path).map_err(failed)?)?;
        let tables: i64 =
            sink.connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0)).map_err(failed)?;
        if tables > 0 && read_progress(&sink.connection, path, "open")?.is_none() {
            let detail = format!(
                "`{}` holds tables of something else, and was left as it is; name another file with `--warehouse`",
                path.display()
            );
            return Err(SinkError::Failed(detail));
        }
        // FULL: a commit that was answered survives a loss of power.
        sink.connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;")
            .map_err(failed)?;
        Ok(sink)
    }

    /// Opens a warehouse that exists, only to read it.
    ///
    /// # Errors
    /// If there is none, or as with [`Sqlite::open`].
    pub fn open_to_read(catalogue: Catalogue, path: &Path) -> Result<Sqlite, SinkError> {
        if !path.exists() {
            return Err(SinkError::Failed(trouble::no_file(path)));
        }
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, read_only).map_err(|error| sql_error(path, "open", error))?;
        Self::checked(catalogue, path, connection)
    }

    /// A connection whose file has a layout that we know.
    fn checked(catalogue: Catalogue, path: &Path, connection: Connection) -> Result<Sqlite, SinkError> {
        let failed = |error| sql_error(path, "open", error);
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        // A column that is not there is an error, and no text of that name.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        if layout > LAYOUT {
            let detail = format!(
                "warehouse `{}` has layout {layout}, this program knows up to {LAYOUT}: use the version that made it",
                path.display()
            );
            return Err(SinkError::Failed(detail));
        }
        Ok(Sqlite { catalogue, path: path.to_owned(), connection, anew: BTreeSet::new() })
    }

    /// Tells whether it could be written now: a program that holds it is waited for as long as a commit would.
    ///
    /// # Errors
    /// If not.
    pub fn try_lock(&mut self) -> Result<(), SinkError> {
        let path = self.path.clone();
        let failed = |error| sql_error(&path, "lock", error);
        let transaction = Transaction::new(&mut self.connection, TransactionBehavior::Immediate).map_err(failed)?;
        transaction.rollback().map_err(failed)
    }

    /// Begins the epochs of an empty warehouse after one: what is computed beside another one is numbered
    /// as it will be there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin_at(&self, epoch: dataflows::Time) -> Result<(), SinkError> {
        let sql = r#"UPDATE "_progress" SET "epoch" = ?1 WHERE "epoch" = 0"#;
        self.connection.execute(sql, [epoch as i64]).map_err(|error| sql_error(&self.path, "begin", error)).map(drop)
    }

    /// The connection, for reading.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows a table has; nothing if there is no such table.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn count(&self, table: &Table) -> Result<Option<u64>, SinkError> {
        let sql = format!("SELECT COUNT(*) FROM {}", quoted(table.name));
        let failed = |error| sql_error(&self.path, "count the rows of", error);
        if !self.has(table.name).map_err(failed)? {
            return Ok(None);
        }
        let count = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(failed)?;
        Ok(Some(count as u64))
    }
}

impl Sink for Sqlite {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        read_progress(&self.connection, &self.path, "read `_progress` of")
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        let path = &self.path;
        let failed = |error| sql_error(path, "claim", error);
        let transaction = Transaction::new(&mut self.connection, TransactionBehavior::Immediate).map_err(failed)?;
        // Before the tables change that they read.
        views::drop_all(&transaction).map_err(failed)?;
        for id in self.catalogue.tables() {
            transaction.execute_batch(&ddl(id.table())).map_err(failed)?;
            if matches!(id.table().role, Role::Raw { .. }) {
                add_columns(&transaction, id.table()).map_err(failed)?;
            }
        }
        transaction.execute_batch(PROGRESS_DDL).map_err(failed)?;
        if !has_column(&transaction, "_progress", "watermarks").map_err(failed)? {
            transaction.execute_batch(r#"ALTER TABLE "_progress" ADD COLUMN "watermarks" TEXT"#).map_err(failed)?;
        }
        // Made again at every start: it holds nothing, and may be another one by now.
        for (of, view, family) in by_minute::all(self.catalogue) {
            let (name, view) = (quoted(view.name), view_ddl(of, view, family));
            transaction.execute_batch(&format!("DROP VIEW IF EXISTS {name};\n{view}")).map_err(failed)?;
        }
        views::make_all(&transaction, self.catalogue, path)?;
        transaction.pragma_update(None, "user_version", LAYOUT).map_err(failed)?;
        let found = read_progress(&transaction, path, "claim")?;
        let claim = Claim::after(found.as_ref(), wanted, &format!("warehouse `{}`", path.display()))?;
        let start = instant::show(dataflows::time::START);
        transaction
            .execute(
                r#"INSERT INTO "_progress" ("only", "pipeline_id", "generation", "made_by", "epoch", "positions", "watermark",
                       "committed_at", "watermarks")
                   VALUES (1, :id, :generation, :made_by, 0, '{}', :start, :start, '{}')
                   ON CONFLICT DO UPDATE SET
                       "generation" = excluded."generation",
                       "made_by" = CASE WHEN "epoch" = 0 THEN excluded."made_by" ELSE "made_by" END"#,
                named_params! {
                    ":id": claim.pipeline_id,
                    ":generation": claim.generation as i64,
                    ":made_by": made_by.name(),
                    ":start": start,
                },
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(claim)
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        let path = self.path.clone();
        let failed = |error| sql_error(&path, "commit to", error);
        let anew = self.anew.clone();
        let (transaction, progress) = begin(&path, &mut self.connection, claim, "commit to")?;
        if progress.epoch >= commit.epoch {
            return Ok(());
        }
        if progress.epoch != commit.follows {
            let place = format!("warehouse `{}`", path.display());
            return Err(SinkError::elsewhere(&place, progress.epoch, commit.follows));
        }
        write(&transaction, commit, &anew).map_err(failed)?;
        transaction
            .execute(
                r#"UPDATE "_progress" SET "epoch" = ?1, "positions" = ?2, "watermark" = ?3, "committed_at" = ?4, "watermarks" = ?5"#,
                rusqlite::params![
                    commit.epoch as i64,
                    serde_json::to_string(&commit.positions).expect("a map of text to integers is JSON"),
                    instant::show(commit.watermarks.least()),
                    instant::show(commit.clock_ms),
                    commit.watermarks.json(),
                ],
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.anew.retain(|table| !commit.deltas.contains_key(table));
        Ok(())
    }

    fn purge(&mut self, claim: &Claim, purge: &Purge) -> Result<Purged, SinkError> {
        self.remove_old(claim, purge)
    }

    fn name(&self) -> String {
        format!("warehouse `{}`", self.path.display())
    }
}

impl Stored for Sqlite {
    fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

    fn page(&mut self, id: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        let table = id.table();
        let columns: Vec<_> = table.columns.iter().map(|column| quoted(column.name)).collect();
        let key = columns[..table.key_columns].join(", ");
        let later = after.map_or(String::new(), |key_values| {
            format!("WHERE ({key}) > ({})", vec!["?"; key_values.len()].join(", "))
        });
        let sql =
            format!("SELECT {} FROM {} {later} ORDER BY {key} LIMIT {limit}", columns.join(", "), quoted(table.name));
        let failed = |error| sql_error(&self.path, "read", error);
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let bound = params_from_iter(after.unwrap_or_default().iter().map(Bound));
        let rows = statement
            .query_map(bound, |row| {
                table.columns.iter().enumerate().map(|(n, column)| read_value(column, row.get_ref(n)?)).collect()
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    fn finds_rows(&self) -> bool {
        true
    }

    fn row(&mut self, id: TableId, key: &[Value]) -> Result<Option<Vec<Value>>, SinkError> {
        let table = id.table();
        let failed = |error| sql_error(&self.path, "read", error);
        let mut statement = self.connection.prepare_cached(&row_sql(table)).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(key.iter().map(Bound))).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let values = table.columns.iter().enumerate().map(|(n, column)| read_value(column, row.get_ref(n)?));
        values.collect::<rusqlite::Result<_>>().map(Some).map_err(failed)
    }

    fn sqlite_file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn has_table(&mut self, table: TableId) -> Result<bool, SinkError> {
        self.has(table.name()).map_err(|error| sql_error(&self.path, "read", error))
    }

    fn has_another_shape(&mut self, table: TableId) -> Result<bool, SinkError> {
        has_another_shape(&self.connection, table.table()).map_err(|error| sql_error(&self.path, "read", error))
    }

    fn make_anew(&mut self, table: TableId) {
        self.anew.insert(table);
    }

    fn whole_since(&mut self, table: TableId) -> Result<Option<i64>, SinkError> {
        Ok(self.purged()?.into_iter().find_map(|(id, before)| (id == table).then_some(before)))
    }

    fn lacks_somebody(&mut self) -> Result<bool, SinkError> {
        self.has_forgotten()
    }

    /// The file is written again: of a page that is free SQLite keeps the content, and of the log what was written.
    fn scrub(&mut self, _: &Claim, _: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let failed = |error| sql_error(&self.path, "rewrite", error);
        self.connection.execute_batch("VACUUM").map_err(failed)?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 = self.connection.query_row(checkpoint, [], |row| row.get(0)).map_err(failed)?;
        match busy {
            0 => Ok(Vec::new()),
            _ => Err(SinkError::Unavailable(format!(
                "warehouse `{}`: somebody reads what was there before; end that, and try again",
                self.path.display()
            ))),
        }
    }
}

/// Makes an empty file for its owner only; SQLite gives the files beside it the mode it has. What fails is said by
/// the program that opens it.
fn make_private(path: &Path) {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            tracing::debug!("could not make `{}`: {error}", path.display());
        }
        _ => {}
    }
}

/// The mode of a file that others than its owner may read or write.
pub fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// A transaction in which nobody else writes, under the claim that counts; and how far the warehouse is.
fn begin<'c>(
    path: &Path,
    connection: &'c mut Connection,
    claim: &Claim,
    what: &str,
) -> Result<(Transaction<'c>, Progress), SinkError> {
    let failed = |error| sql_error(path, what, error);
    let place = format!("warehouse `{}`", path.display());
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(failed)?;
    let progress = read_progress(&transaction, path, what)?;
    let progress = progress.ok_or_else(|| SinkError::gone(&place, "`_progress` is empty: the file was replaced"))?;
    claim.stands(&progress.pipeline_id, progress.generation, &place)?;
    Ok((transaction, progress))
}

/// Writes rows in the order of their keys: neighbours in the file are written together.
fn write(transaction: &Transaction<'_>, commit: &Commit, anew: &BTreeSet<TableId>) -> rusqlite::Result<()> {
    // Written out once, not for each row.
    let stamps = [Value::Integer(commit.epoch as i64), Value::Text(instant::show(commit.clock_ms))];
    purge::note_deleted(transaction, commit)?;
    for (id, deltas) in &commit.deltas {
        if anew.contains(id) {
            let drop = format!("DROP TABLE {}", quoted(id.name()));
            transaction.execute_batch(&format!("{drop};\n{}", ddl(id.table())))?;
        }
        let mut upsert = transaction.prepare_cached(&upsert_sql(id.table()))?;
        let mut delete = transaction.prepare_cached(&delete_sql(id.table()))?;
        // These stay what they are from row to row.
        bind(&mut upsert, id.table().columns.len(), &stamps)?;
        let mut spare = Vec::new();
        for change in deltas.changes() {
            let (statement, columns) = match change.is_upsert() {
                true => (&mut upsert, id.table().columns.len()),
                false => (&mut delete, id.table().key_columns),
            };
            let values = change.values(&mut spare);
            // A parameter without a value would keep that of the row before.
            if values.len() != columns {
                return Err(rusqlite::Error::InvalidParameterCount(values.len(), columns));
            }
            bind(statement, 0, values)?;
            statement.raw_execute()?;
        }
    }
    for (id, rows) in &commit.appends {
        let mut insert = transaction.prepare_cached(&insert_sql(id.table()))?;
        for row in rows {
            insert.execute(params_from_iter(row.iter().chain(&stamps).map(Bound)))?;
        }
    }
    Ok(())
}

/// Gives a statement values for its parameters behind so many.
fn bind(statement: &mut Statement<'_>, behind: usize, values: &[Value]) -> rusqlite::Result<()> {
    let mut values = (behind + 1..).zip(values);
    values.try_for_each(|(place, value)| statement.raw_bind_parameter(place, Bound(value)))
}

/// Adds the columns that a table of raw rows has now in addition: rows of before have nothing in them.
fn add_columns(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    for column in table.columns.iter().filter(|column| column.nullable) {
        if !has_column(connection, table.name, column.name)? {
            let (name, ty) = (quoted(column.name), sql_type(column.ty));
            connection.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {name} {ty}", quoted(table.name)))?;
        }
    }
    Ok(())
}

/// Whether a table that is there has other columns or another key than it would be made with.
fn has_another_shape(connection: &Connection, table: &Table) -> rusqlite::Result<bool> {
    let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map([table.name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut found = found.collect::<rusqlite::Result<Vec<(String, String, bool, i64)>>>()?;
    let wanted = all_columns(table).into_iter().enumerate().map(|(place, column)| {
        let pk = if place < table.key_columns { place as i64 + 1 } else { 0 };
        (column.name.to_owned(), sql_type(column.ty).to_owned(), !column.nullable, pk)
    });
    let mut wanted: Vec<_> = wanted.collect();
    // A column that was added stands behind the others.
    found.sort();
    wanted.sort();
    Ok(!found.is_empty() && found != wanted)
}

fn sql_type(ty: Type) -> &'static str {
    match ty {
        Type::Integer => "INTEGER",
        Type::Boolean => "BOOLEAN",
        Type::Instant | Type::Text | Type::Json => "TEXT",
        Type::Money => "DECIMAL(18,2)",
        Type::Milli => "DECIMAL(18,3)",
        Type::Share => "DECIMAL(18,4)",
        Type::Bytes => "BLOB",
    }
}

fn has_column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
    Ok(connection.query_row(sql, [table, column], |_| Ok(())).optional()?.is_some())
}

/// The progress that stands in a file; nothing if there is none. `what` is what it is read for.
fn read_progress(connection: &Connection, path: &Path, what: &str) -> Result<Option<Progress>, SinkError> {
    let failed = |error| sql_error(path, what, error);
    let exists = connection
        .query_row("SELECT 1 FROM sqlite_master WHERE name = '_progress'", [], |_| Ok(()))
        .optional()
        .map_err(failed)?
        .is_some();
    if !exists {
        return Ok(None);
    }
    // By name: earlier layouts have fewer.
    let sql = r#"SELECT * FROM "_progress""#;
    let found = connection
        .prepare_cached(sql)
        .and_then(|mut select| {
            let found = |row: &Row<'_>| {
                let at = |column: &str| match row.get_ref(column) {
                    Err(rusqlite::Error::InvalidColumnName(_)) => Ok(Json::Null),
                    found => found.map(as_json),
                };
                Ok(Found {
                    pipeline_id: at("pipeline_id")?,
                    generation: at("generation")?,
                    made_by: at("made_by")?,
                    epoch: at("epoch")?,
                    positions: at("positions")?,
                    watermark: at("watermark")?,
                    watermarks: at("watermarks")?,
                    committed_at: at("committed_at")?,
                })
            };
            select.query_row([], found).optional()
        })
        .map_err(failed)?;
    let place = format!("warehouse `{}`", path.display());
    let way_out = "Put the file back from a copy, together with the state that belongs to it, or name another one with \
                   `--warehouse`; if a later version made it, use that one";
    found.map(|found| found.read(&place, way_out)).transpose()
}

/// A value as SQLite holds it, of whatever kind; bytes, and text that is none, as a list.
fn as_json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or_else(|_| text.into(), Json::from),
        ValueRef::Blob(bytes) => bytes.into(),
    }
}

/// A value on its way into SQLite: instants as ISO 8601 text, money as a number with two decimals.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Boolean(truth) => ToSqlOutput::Owned(SqlValue::Integer((*truth).into())),
            Value::Integer(number) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
            Value::Instant(at) => ToSqlOutput::Owned(SqlValue::Text(instant::show(*at))),
            // Below 2^51 cents the nearest double is read back to the same cents.
            Value::Cents(cents) => ToSqlOutput::Owned(SqlValue::Real(*cents as f64 / 100.0)),
            Value::Milli(milli) => ToSqlOutput::Owned(SqlValue::Real(*milli as f64 / 1000.0)),
            Value::Share(share) => ToSqlOutput::Owned(SqlValue::Real(*share as f64 / 10_000.0)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// A stored value, as its column declares it.
///
/// # Errors
/// If it is of another type.
pub fn read_value(column: &Column, stored: ValueRef<'_>) -> rusqlite::Result<Value> {
    let wrong = || rusqlite::Error::InvalidColumnType(0, column.name.to_owned(), stored.data_type());
    Ok(match (column.ty, stored) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Integer, ValueRef::Integer(number)) => Value::Integer(number),
        (Type::Boolean, ValueRef::Integer(number)) => Value::Boolean(number != 0),
        (Type::Instant, ValueRef::Text(text)) => {
            let text = std::str::from_utf8(text).map_err(|_| wrong())?;
            Value::Instant(instant::parse(text).ok_or_else(wrong)?)
        }
        (Type::Money, ValueRef::Real(dollars)) => Value::Cents((dollars * 100.0).round() as i64),
        (Type::Money, ValueRef::Integer(dollars)) => Value::Cents(dollars * 100),
        (Type::Milli, ValueRef::Real(number)) => Value::Milli((number * 1000.0).round() as i64),
        (Type::Milli, ValueRef::Integer(number)) => Value::Milli(number * 1000),
        (Type::Share, ValueRef::Real(number)) => Value::Share((number * 10_000.0).round() as i64),
        (Type::Share, ValueRef::Integer(number)) => Value::Share(number * 10_000),
        (Type::Text | Type::Json, ValueRef::Text(text)) => Value::Text(match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(text).into_owned(),
        }),
        (Type::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(bytes.into()),
        _ => return Err(wrong()),
    })
}

/// An identifier that cannot be mistaken for anything else.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn all_columns(table: &Table) -> Vec<Column> {
    table.columns.iter().cloned().chain(stamp_columns()).collect()
}

/// The statement that makes a table. The documentation stays in the file: `.schema` shows it.
pub fn ddl(table: &Table) -> String {
    let mut sql = format!("CREATE TABLE IF NOT EXISTS {} ( -- {}\n", quoted(table.name), table.doc);
    for column in all_columns(table) {
        let ty = sql_type(column.ty);
        let null = if column.nullable { "" } else { " NOT NULL" };
        sql.push_str(&format!("    {} {ty}{null}, -- {}\n", quoted(column.name), column.doc));
    }
    let key: Vec<_> = table.columns[..table.key_columns].iter().map(|column| quoted(column.name)).collect();
    sql.push_str(&format!("    PRIMARY KEY ({})\n) WITHOUT ROWID", key.join(", ")));
    sql
}

/// The statement that makes `_progress`.
pub fn progress_ddl() -> &'static str {
    PROGRESS_DDL
}

/// The statement that makes the view of every minute.
pub fn view_ddl(of: &Table, view: &ByMinute, family: &str) -> String {
    let (table, progress) = (quoted(of.name), quoted("_progress"));
    let select = by_minute::select(by_minute::Dialect::Sqlite, quoted, (of, view, family), &table, &progress);
    format!("CREATE VIEW IF NOT EXISTS {} AS -- {}\n{select}", quoted(view.name), view.doc)
}
