//! The views of the model in the file: made again at every start, since they hold nothing, and may be others by now.

use super::quoted;
use super::trouble::sql_error;
use crate::families;
use crate::sink::SinkError;
use crate::sink::views::{MARK, ordered, sqlite_ddl};
use dataflows::family::Catalogue;
use rusqlite::{OptionalExtension, Transaction};
use std::path::Path;

/// Removes all that were made from a model; views that somebody else made stay.
pub(super) fn drop_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let names = {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'view' AND instr(sql, 'AS ' || ?1) > 0";
        let mut select = transaction.prepare(sql)?;
        let names = select.query_map([MARK], |row| row.get(0))?;
        names.collect::<rusqlite::Result<Vec<String>>>()?
    };
    names.iter().try_for_each(|name| transaction.execute_batch(&format!("DROP VIEW {}", quoted(name))))
}

/// Makes those of the model that this process has.
///
/// # Errors
/// If something else in the file has the name of one.
pub(super) fn make_all(transaction: &Transaction<'_>, catalogue: Catalogue, path: &Path) -> Result<(), SinkError> {
    let failed = |error| sql_error(path, "make the views of", error);
    let all = families::views();
    for view in ordered(all) {
        let sql = "SELECT type FROM sqlite_master WHERE name = ?1";
        let taken = transaction.query_row(sql, [&view.name], |row| row.get::<_, String>(0)).optional();
        if let Some(kind) = taken.map_err(failed)? {
            let (name, file, path) = (&view.name, &view.file, path.display());
            let why = format!(
                "warehouse `{path}` has a {kind} `{name}` that is not of the model, and the view `{file}` has its name: rename the \
                 file, or remove the {kind}"
            );
            return Err(SinkError::Failed(why));
        }
        transaction.execute_batch(&sqlite_ddl(catalogue, all, view)).map_err(failed)?;
    }
    Ok(())
}
