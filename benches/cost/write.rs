//! Writes the rows into a SQLite file of the tables that a warehouse has, and says what this took.

use crate::rows::Table;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::path::Path;
use std::time::Instant;

/// So many rows are one transaction: what a commit of the pipeline holds when it reads a backlog.
const ROWS_PER_COMMIT: usize = 50_000;

/// Each table in the order of its key (of numbers, where SQLite has them as texts).
pub fn into(tables: Vec<Table<'_>>, warehouse: &Path, file: &Path) {
    let before = Connection::open_with_flags(warehouse, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a warehouse");
    let mut written = Connection::open(file).expect("a file that can be made");
    // As the program writes its own.
    written
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;")
        .expect("a file");
    let (began, mut rows) = (Instant::now(), 0);
    for table in tables {
        let says = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?1";
        let declared: String = before.query_row(says, [table.name], |row| row.get(0)).expect("a table of the run");
        written.execute_batch(&declared).expect("a table");
        let mut each = table.each.peekable();
        while each.peek().is_some() {
            let commit = written.transaction().expect("a transaction");
            for mut row in each.by_ref().take(ROWS_PER_COMMIT) {
                row.extend([Value::Integer(2), Value::Text("2026-01-08T00:00:00.000Z".to_owned())]);
                let places = vec!["?"; row.len()].join(", ");
                let insert = format!("INSERT OR REPLACE INTO \"{}\" VALUES ({places})", table.name);
                let mut insert = commit.prepare_cached(&insert).expect("columns of the run");
                insert.execute(params_from_iter(row)).expect("a row");
                rows += 1;
            }
            commit.commit().expect("a commit");
        }
    }
    eprintln!("{rows} rows written in {:.2} s", began.elapsed().as_secs_f64());
}
