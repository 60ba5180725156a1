//! What the SQL of some tables says of raw rows, executed in a database of its own, which is gone when it ends.

use crate::sink::sqlite::quoted;
use crate::specification;
use dataflows::Instant;
use dataflows::family::{Catalogue, Configured, ONCE};
use dataflows::table::{Column, TableId, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};

/// The rows of a table, by their keys.
pub type ByKey = BTreeMap<Vec<Value>, Vec<Value>>;

/// A database with the raw tables that the SQL of some tables reads.
pub struct Said {
    connection: Connection,
    tables: BTreeSet<TableId>,
    /// Names of pieces, metrics and raw tables that are read.
    read: BTreeSet<&'static str>,
    /// By raw table the statement that adds a row, and the places of the columns that it adds.
    raw: BTreeMap<TableId, (String, Vec<usize>)>,
}

/// So much of the database is in memory, in KiB.
const CACHE_KIB: u32 = 128 << 10;

/// A value as the SQL of metrics reads it: instants and money are integers.
struct Plain<'v>(&'v Value);

impl ToSql for Plain<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Boolean(value) => ValueRef::Integer((*value).into()),
            Value::Integer(number) | Value::Instant(number) | Value::Cents(number) | Value::Milli(number) => {
                ValueRef::Integer(*number)
            }
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Said {
    /// Without rows.
    ///
    /// # Errors
    /// If SQLite cannot make a temporary file.
    pub fn new(catalogue: Catalogue, family: &dyn Configured, tables: &BTreeSet<TableId>) -> rusqlite::Result<Said> {
        // It spills to a file of its own, and that is gone when it is closed.
        let connection = Connection::open("")?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -{CACHE_KIB};
             BEGIN"
        ))?;
        let read: BTreeSet<_> = tables.iter().flat_map(|id| specification::reads(catalogue, *id)).collect();
        let named = named(catalogue, &read).filter(|_| !family.parameters(0).contains(&(ONCE, 1)));
        let mut raw = BTreeMap::new();
        for id in family.family().raw().into_iter().filter(|id| read.contains(id.name())) {
            let is_named = |column: &Column| named.as_ref().is_none_or(|named| named.contains(column.name));
            let columns = id.table().columns.iter().enumerate().filter(|(_, column)| is_named(column));
            let (taken, columns): (Vec<_>, Vec<_>) =
                columns.map(|(place, column)| (place, quoted(column.name))).unzip();
            let (name, places) = (quoted(id.name()), vec!["?"; columns.len() + 1].join(", "));
            let all = columns.iter().map(String::as_str).chain(["late"]).collect::<Vec<_>>().join(", ");
            connection.execute_batch(&format!("CREATE TABLE {name} ({all})"))?;
            raw.insert(id, (format!("INSERT INTO {name} VALUES ({places})"), taken));
        }
        Ok(Said { connection, tables: tables.clone(), read, raw })
    }

    /// The raw tables that are read.
    pub fn raw_tables(&self) -> impl Iterator<Item = TableId> + use<> {
        self.raw.keys().copied().collect::<Vec<_>>().into_iter()
    }

    /// Adds a row of a raw table.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn add(&mut self, id: TableId, row: &[Value], is_late: bool) -> rusqlite::Result<()> {
        let Some((sql, taken)) = self.raw.get(&id) else { return Ok(()) };
        let late = Value::Boolean(is_late);
        let values = taken.iter().map(|place| row.get(*place).unwrap_or(&Value::Null)).chain([&late]);
        self.connection.prepare_cached(sql)?.execute(params_from_iter(values.map(Plain)))?;
        Ok(())
    }

    /// What the SQL says at a watermark.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub fn rows(&self, family: &dyn Configured, watermark: Instant) -> rusqlite::Result<BTreeMap<TableId, ByKey>> {
        let parameters = |_| family.parameters(watermark);
        let is_read = |name: &str| self.read.contains(name);
        specification::execute_named(&[family.family()], &self.connection, &parameters, &is_read)?;
        let mut all = BTreeMap::new();
        for id in &self.tables {
            let mut of = ByKey::new();
            specification::rows(&self.connection, *id, |row| {
                of.insert(row[..id.table().key_columns].to_vec(), row);
            })?;
            all.insert(*id, of);
        }
        Ok(all)
    }
}

/// The words of the texts of some pieces and metrics: no column is read that is none of them. Nothing if one of them reads
/// whatever there is.
fn named(catalogue: Catalogue, read: &BTreeSet<&'static str>) -> Option<BTreeSet<String>> {
    let metrics = catalogue.metrics().iter().map(|(id, sql)| (id.name(), *sql));
    let texts = catalogue.pieces().iter().copied().chain(metrics).filter(|(name, _)| read.contains(name));
    let mut named = BTreeSet::new();
    for (_, text) in texts {
        let text = specification::without_comments(text);
        let is_everything = ["SELECT *", "DISTINCT *", ".*"].iter().any(|all| text.to_uppercase().contains(all));
        if is_everything {
            return None;
        }
        named.extend(specification::words(&text).map(str::to_owned));
    }
    Some(named)
}

/// How many rows differ. What is incidental makes no difference: SQL cannot say it.
pub fn differing(table: TableId, held: &ByKey, wanted: &ByKey) -> usize {
    let columns = &table.table().columns;
    let is_same = |one: &[Value], other: &[Value]| {
        columns.iter().zip(one.iter().zip(other)).all(|(column, (one, other))| column.incidental || one == other)
    };
    let of_wanted = wanted.iter().filter(|(key, row)| !held.get(*key).is_some_and(|held| is_same(row, held))).count();
    of_wanted + held.keys().filter(|key| !wanted.contains_key(*key)).count()
}
