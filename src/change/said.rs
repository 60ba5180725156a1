//! What the SQL of some tables says of raw rows, executed in a database of its own, which is gone when it ends.

use crate::sink::sqlite::{BUSY_TIMEOUT, quoted};
use crate::specification;
use crate::specification::raw::{columns, copy, named, read_plain};
use dataflows::Instant;
use dataflows::family::{Catalogue, Configured, ONCE};
use dataflows::table::{Column, TableId, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The rows of a table, by their keys.
pub type ByKey = BTreeMap<Vec<Value>, Vec<Value>>;

/// A database with the raw tables that the SQL of some tables reads.
pub struct Said {
    connection: Connection,
    tables: BTreeSet<TableId>,
    /// Names of pieces, metrics and raw tables that are read.
    read: BTreeSet<&'static str>,
    /// The raw tables that are read, and of each the columns that are there, by their places.
    raw: Vec<(TableId, Vec<bool>)>,
    /// By raw table the statement that adds a row.
    adds: BTreeMap<TableId, String>,
}

/// So much of the database is in memory, in KiB.
const CACHE_KIB: u32 = 128 << 10;

/// What is copied is read and written in pieces as large: with the 4 KiB of before half as many seconds more are the system's.
const PAGE_BYTES: u32 = 32 << 10;

/// A value as the SQL of metrics reads it: instants and money are integers.
struct Plain<'v>(&'v Value);

impl ToSql for Plain<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Boolean(value) => ValueRef::Integer((*value).into()),
            Value::Integer(number)
            | Value::Instant(number)
            | Value::Cents(number)
            | Value::Milli(number)
            | Value::Share(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Said {
    /// Over the rows of a warehouse that is a file of SQLite, or else of none yet. Only columns that something needs are there.
    ///
    /// # Errors
    /// If SQLite cannot make a temporary file, or read the warehouse.
    pub fn new(
        catalogue: Catalogue,
        family: &dyn Configured,
        tables: &BTreeSet<TableId>,
        warehouse: Option<&Path>,
    ) -> rusqlite::Result<Said> {
        // What it makes spills to a file of its own, and that is gone when it is closed.
        let alone = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match warehouse {
            Some(path) => Connection::open_with_flags(path, alone)?,
            None => Connection::open("")?,
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // What is sorted in memory is as large as the cache.
        connection.execute_batch(&format!(
            "PRAGMA temp_store = FILE; PRAGMA temp.page_size = {PAGE_BYTES}; PRAGMA cache_size = -{CACHE_KIB};
             PRAGMA temp.cache_size = -{CACHE_KIB}"
        ))?;
        let read: BTreeSet<_> = tables.iter().flat_map(|id| specification::reads(catalogue, *id)).collect();
        // What is equal in every column counts once: then no column can be left out.
        let is_once = family.parameters(0).contains(&(ONCE, 1));
        let named = if is_once { None } else { named(catalogue, tables.iter().copied()) };
        let raw = family.family().raw().into_iter().filter(|id| read.contains(id.name()));
        let raw = raw.map(|id| (id, needed(family, id, named.as_ref()))).collect::<Vec<_>>();
        let mut adds = BTreeMap::new();
        for (id, needed) in &raw {
            if warehouse.is_some() {
                copy(&connection, *id, needed)?;
                continue;
            }
            let columns = columns(*id, needed).map(|column| quoted(column.name)).chain(["late".to_owned()]);
            let (name, columns) = (quoted(id.name()), columns.collect::<Vec<_>>());
            connection.execute_batch(&format!("CREATE TEMP TABLE {name} ({})", columns.join(", ")))?;
            let places = vec!["?"; columns.len()].join(", ");
            adds.insert(*id, format!("INSERT INTO temp.{name} VALUES ({places})"));
        }
        if warehouse.is_none() {
            connection.execute_batch("BEGIN")?;
        }
        Ok(Said { connection, tables: tables.clone(), read, raw, adds })
    }

    /// The raw tables that are read.
    pub fn raw_tables(&self) -> Vec<TableId> {
        self.raw.iter().map(|(id, _)| *id).collect()
    }

    fn needed(&self, id: TableId) -> &[bool] {
        self.raw.iter().find(|(of, _)| *of == id).map_or(&[], |(_, needed)| needed)
    }

    /// Adds a row of a raw table, if it is over no warehouse.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn add(&mut self, id: TableId, row: &[Value], is_late: bool) -> rusqlite::Result<()> {
        let Some(sql) = self.adds.get(&id) else { return Ok(()) };
        let late = Value::Boolean(is_late);
        let values = row.iter().zip(self.needed(id)).filter_map(|(value, is_needed)| is_needed.then_some(value));
        self.connection.prepare_cached(sql)?.execute(params_from_iter(values.chain([&late]).map(Plain)))?;
        Ok(())
    }

    /// Gives the rows of a raw table that were late, or the others, in the order of keys, until `each` has enough. What nobody
    /// needs is null.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn each(&self, id: TableId, are_late: bool, mut each: impl FnMut(&[Value]) -> bool) -> rusqlite::Result<()> {
        let needed = self.needed(id);
        let names = columns(id, needed).map(|column| quoted(column.name)).chain(["late".to_owned()]);
        let names = names.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {names} FROM temp.{} WHERE late = ?", quoted(id.name()));
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([are_late])?;
        let mut values = vec![Value::Null; needed.len()];
        while let Some(row) = rows.next()? {
            let there = id.table().columns.iter().zip(&mut values).zip(needed).filter(|(_, is_needed)| **is_needed);
            for (n, ((column, value), _)) in there.enumerate() {
                read_plain(column, row.get_ref(n)?, value)?;
            }
            if !each(&values) {
                break;
            }
        }
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

/// Which columns of a raw table something needs: the SQL, or what an event is made of.
fn needed(family: &dyn Configured, id: TableId, named: Option<&BTreeSet<String>>) -> Vec<bool> {
    let columns = &id.table().columns;
    let (Some(named), Some(needs)) = (named, family.family().needs(id)) else { return vec![true; columns.len()] };
    let is_needed = |(place, column): (usize, &Column)| named.contains(column.name) || needs.contains(&place);
    columns.iter().enumerate().map(is_needed).collect()
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
