//! What may be wrong with the file: held by somebody, no room for it, damaged.

use super::Sqlite;
use crate::config::Config;
use crate::sink::SinkError;
use rusqlite::{Error, ErrorCode, InterruptHandle, ffi};
use std::io::Read;
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

/// So many files are named.
const NAMED: usize = 5;

/// What is said where there is no file: how to make it, and which others there are.
pub(super) fn no_file(path: &Path) -> String {
    let usual = Config::default().warehouse;
    let shown = path.display();
    let make = if path == usual { String::new() } else { format!(" --warehouse {shown}") };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().map_while(Result::ok).map(|entry| entry.path());
    let mut others: Vec<_> = entries.filter(|path| is_sqlite(path)).collect();
    others.sort();
    let more = if others.len() > NAMED { ", ..." } else { "" };
    let names = others.iter().take(NAMED).filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| format!("`{}`", name.display())).collect();
    let here = match &names[..] {
        [] => String::new(),
        [one] => format!(" (there is {one})"),
        all => format!(" (there are {}{more})", all.join(", ")),
    };
    format!(
        "warehouse `{shown}` does not exist; make it with `deltamart run FILES{make}`, or name another one with \
         `--warehouse`{here}"
    )
}

/// Whether a file begins like one of SQLite's.
fn is_sqlite(path: &Path) -> bool {
    let is_named = path.extension().is_some_and(|end| end == "db" || end == "sqlite");
    let mut head = [0; 16];
    let mut read = || std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    is_named && path.is_file() && read().is_ok() && head == *b"SQLite format 3\0"
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
            damage(path, "it does not begin like a SQLite file")
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
