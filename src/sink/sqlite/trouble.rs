//! What may be wrong with the file: held by somebody, no room for it, damaged.

use super::Sqlite;
use crate::sink::SinkError;
use rusqlite::{Error, ErrorCode, InterruptHandle, ffi};
use std::path::Path;

/// So many of the sentences in which SQLite describes a damage are repeated.
const SAID: usize = 3;

/// What became of a look at the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Nothing is wrong with it.
    Whole,
    /// It was interrupted before its end.
    Interrupted,
    /// Something is: what, on which file, and what to do.
    Damaged(String),
}

impl Sqlite {
    /// Looks at the whole file, as `PRAGMA quick_check` does: structure, not whether indexes agree.
    ///
    /// # Errors
    /// If it cannot be looked at now.
    pub fn quick_check(&self) -> Result<Checked, SinkError> {
        let sql = format!("PRAGMA quick_check({SAID})");
        let said = self.connection.prepare(&sql).and_then(|mut check| {
            let lines = check.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        });
        match said {
            Ok(said) if said == ["ok"] => Ok(Checked::Whole),
            Ok(said) => {
                let said: Vec<_> = said.iter().flat_map(|said| said.lines()).take(SAID).collect();
                Ok(Checked::Damaged(damage(&self.path, &format!("`PRAGMA quick_check` says: {}", said.join("; ")))))
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Ok(Checked::Interrupted)
            }
            Err(error) if is_damage(&error) => {
                Ok(Checked::Damaged(damage(&self.path, &format!("`PRAGMA quick_check` says: {error}"))))
            }
            Err(error) => Err(sql_error(&self.path, "check", error)),
        }
    }

    /// Ends what this connection is at, from another thread.
    pub fn interrupter(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }
}

/// Whether SQLite found the file damaged.
pub fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// What is said of a damaged file.
pub fn damage(path: &Path, why: &str) -> String {
    let path = path.display();
    format!(
        "warehouse `{path}` is damaged ({why}). Nothing in it can be relied on: put it back from a copy, together with the \
         state of that time; or move it away, with its `-wal` and `-shm`, and compute everything again with `run --rebuild` \
         (or the same `batch`)"
    )
}

/// What SQLite could not do with a warehouse.
pub(super) fn sql_error(path: &Path, what: &str, error: Error) -> SinkError {
    let detail = format!("could not {what} warehouse `{}`: {error}", path.display());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
            SinkError::Unavailable(detail)
        }
        Some(ErrorCode::NotADatabase) => SinkError::Failed(format!(
            "{detail}; name another file with `--warehouse`. If it was a warehouse: {}",
            damage(path, "its beginning is none")
        )),
        Some(ErrorCode::DatabaseCorrupt) => SinkError::Failed(damage(path, &detail)),
        _ if is_too_large(&error) && file_size_is_limited() => {
            SinkError::Unavailable(format!("{detail}; raise the limit of the size of files (`ulimit -f`)"))
        }
        _ => SinkError::Failed(detail),
    }
}

/// SQLite does not tell EFBIG from other errors of writing.
fn is_too_large(error: &Error) -> bool {
    let write = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_TRUNCATE, ffi::SQLITE_IOERR_SHMSIZE];
    error.sqlite_error().is_some_and(|error| write.contains(&error.extended_code))
}

/// Whether this process may write files only up to a size, where the system tells.
fn file_size_is_limited() -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max file size")?.split_whitespace().next());
    soft.is_some_and(|soft| soft != "unlimited")
}
