//! A question that somebody typed. Its SQL may only read, sees one commit, and ends in time.

use super::trouble::sql_error;
use super::{Sqlite, read_progress};
use crate::sink::{Progress, SinkError};
use dataflows::table::Type;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Batch, Connection, Error, ErrorCode, Row, Rows, Statement};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Pragmas that only tell something of the tables.
const PRAGMAS: [&str; 6] = ["table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"];

/// After so many of its instructions SQLite looks at the time.
const INSTRUCTIONS: i32 = 10_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The question is one that SQLite does not understand, in its own words.
    #[error("{0}")]
    Wrong(String),
    /// The question is none that only reads, or is more than one.
    #[error("{0}")]
    Refused(String),
    /// SQLite was at it for as long as it may be.
    #[error("the warehouse was read for {0:?}, and there was no answer yet")]
    Late(Duration),
    /// The warehouse could not be read.
    #[error(transparent)]
    Failed(#[from] SinkError),
}

/// A warehouse that is only read, within one read transaction, for so long.
pub struct Guarded {
    path: PathBuf,
    connection: Connection,
    watch: Arc<Watch>,
    /// What was refused last.
    refused: Arc<Mutex<Option<String>>>,
}

/// The time that SQLite has taken: what is printed in between does not count.
struct Watch {
    made: Instant,
    allowed: Duration,
    /// In microseconds, up to the last row.
    taken: AtomicU64,
    /// When SQLite has to end, in microseconds since this was made.
    end: AtomicU64,
}

impl Watch {
    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Does something, and counts its time.
    fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let (begin, taken) = (self.now(), self.taken.load(Relaxed));
        let allowed = u64::try_from(self.allowed.as_micros()).unwrap_or(u64::MAX);
        self.end.store(begin.saturating_add(allowed.saturating_sub(taken)), Relaxed);
        let done = work();
        self.taken.store(taken + (self.now() - begin), Relaxed);
        done
    }

    fn is_over(&self) -> bool {
        self.now() >= self.end.load(Relaxed)
    }
}

impl Sqlite {
    /// Lets somebody ask. SQLite may take so long for all answers together.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn guarded(self, allowed: Duration) -> Result<Guarded, SinkError> {
        let watch = Watch { made: Instant::now(), allowed, taken: AtomicU64::new(0), end: AtomicU64::new(u64::MAX) };
        let Sqlite { path, mut connection, .. } = self;
        let (watch, refused) = (Arc::new(watch), Arc::default());
        guard(&mut connection, &watch, &refused).map_err(|error| sql_error(&path, "read", error))?;
        Ok(Guarded { path, connection, watch, refused })
    }
}

fn guard(
    connection: &mut Connection,
    watch: &Arc<Watch>,
    refused: &Arc<Mutex<Option<String>>>,
) -> rusqlite::Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A misspelt name in double quotes would be taken for a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // What is read first is what is seen until the end.
    connection.execute_batch("BEGIN; SELECT COUNT(*) FROM sqlite_master")?;
    let watched = Arc::clone(watch);
    connection.progress_handler(INSTRUCTIONS, Some(move || watched.is_over()))?;
    let refused = Arc::clone(refused);
    connection.authorizer(Some(move |context: AuthContext<'_>| match denied(&context.action) {
        None => Authorization::Allow,
        Some(why) => {
            *refused.lock() = Some(why);
            Authorization::Deny
        }
    }))
}

/// What is said of what a question may not do; nothing if it may.
fn denied(action: &AuthAction<'_>) -> Option<String> {
    if let AuthAction::Function { function_name } = action {
        let loads = function_name.eq_ignore_ascii_case("load_extension");
        return loads.then(|| "no extension is loaded".to_owned());
    }
    if let AuthAction::Pragma { pragma_name, .. } = action {
        let is_told = PRAGMAS.iter().any(|told| told.eq_ignore_ascii_case(pragma_name));
        let why = || format!("`PRAGMA {pragma_name}` is none of those that may be asked: {}", PRAGMAS.join(", "));
        return (!is_told).then(why);
    }
    // Everything else changes something, and so does what SQLite may learn to do later.
    let reads = matches!(action, AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. });
    (!reads).then(|| READS.to_owned())
}

/// What is said of every statement that is none of these.
const READS: &str = "the warehouse is only read; ask with SELECT, VALUES, WITH or EXPLAIN";

/// The first word of a statement, if it says what is done.
fn verb(sql: &str) -> Option<String> {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let word = word.to_ascii_uppercase();
    (!["", "WITH", "EXPLAIN", "SELECT", "VALUES", "PRAGMA"].contains(&&*word)).then_some(word)
}

/// A column of a table or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds, where the file tells.
    pub ty: Option<Type>,
}

/// What a type in the file stands for. Instants and JSON are text there.
fn type_of(written: &str) -> Option<Type> {
    match written {
        "INTEGER" => Some(Type::Integer),
        "BOOLEAN" => Some(Type::Boolean),
        "DECIMAL(18,2)" => Some(Type::Money),
        "DECIMAL(18,3)" => Some(Type::Milli),
        "DECIMAL(18,4)" => Some(Type::Share),
        "BLOB" => Some(Type::Bytes),
        _ => None,
    }
}

impl Guarded {
    /// The names of all tables and views.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Unanswered> {
        let sql =
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                   ORDER BY name";
        self.told(sql, "", |row| row.get(0))
    }

    /// The columns of a table or a view.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn columns(&self, table: &str) -> Result<Vec<Column>, Unanswered> {
        let sql = "SELECT name, type FROM pragma_table_info(?1)";
        self.told(sql, table, |row| Ok(Column { name: row.get(0)?, ty: type_of(&row.get::<_, String>(1)?) }))
    }

    fn told<T>(&self, sql: &str, of: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, Unanswered> {
        let told: rusqlite::Result<_> = self.watch.count(|| {
            let mut select = self.connection.prepare(sql)?;
            if select.parameter_count() > 0 {
                select.raw_bind_parameter(1, of)?;
            }
            select.raw_query().mapped(read).collect()
        });
        told.map_err(|error| self.unanswered(error))
    }

    /// How far the warehouse is in what is read; nothing if nobody has claimed it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn progress(&self) -> Result<Option<Progress>, Unanswered> {
        Ok(self.watch.count(|| read_progress(&self.connection, &self.path, "read `_progress` of"))?)
    }

    /// Understands a question of ours, with these values for its parameters.
    ///
    /// # Errors
    /// If SQLite does not understand it, or there are not so many parameters.
    pub fn ask_for(&self, sql: &str, values: &[Value]) -> Result<Answer<'_>, Unanswered> {
        let bound = self.watch.count(|| {
            let mut statement = self.connection.prepare(sql)?;
            let count = statement.parameter_count();
            if count != values.len() {
                return Err(Error::InvalidParameterCount(values.len(), count));
            }
            for (place, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(place + 1, value)?;
            }
            Ok(statement)
        });
        let statement = bound.map_err(|error| self.unanswered(error))?;
        Ok(Answer { guarded: self, columns: columns_of(&statement), statement })
    }

    /// Understands a question.
    ///
    /// # Errors
    /// If it is not one statement that only reads.
    pub fn ask(&self, sql: &str) -> Result<Answer<'_>, Unanswered> {
        *self.refused.lock() = None;
        let refused = |why: &str| Err(Unanswered::Refused(why.to_owned()));
        let mut statements = Batch::new(&self.connection, sql);
        let first = self.watch.count(|| statements.next()).map_err(|error| match self.unanswered(error) {
            Unanswered::Refused(why) => Unanswered::Refused(self.said(sql, &why)),
            other @ (Unanswered::Wrong(_) | Unanswered::Late(_) | Unanswered::Failed(_)) => other,
        })?;
        let Some(statement) = first else { return refused("there is no statement in it") };
        if !matches!(self.watch.count(|| statements.next()), Ok(None)) {
            return refused("there is more than one statement; ask one at a time");
        }
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(Unanswered::Refused(self.said(sql, READS)));
        }
        if statement.parameter_count() > 0 {
            return refused(
                "there is a place for a parameter (`?`, `:name`), and no value for it: write the value itself",
            );
        }
        Ok(Answer { guarded: self, columns: columns_of(&statement), statement })
    }

    fn said(&self, sql: &str, why: &str) -> String {
        verb(sql).filter(|_| why == READS).map_or(why.to_owned(), |verb| format!("{verb} is refused: {why}"))
    }

    fn unanswered(&self, error: Error) -> Unanswered {
        if let Some(why) = self.refused.lock().take() {
            return Unanswered::Refused(why);
        }
        // What SQLite does not understand comes with the place in the statement, and so as another error.
        let code =
            if let Error::SqlInputError { error, .. } = &error { Some(error.code) } else { error.sqlite_error_code() };
        match code {
            Some(ErrorCode::OperationInterrupted) => Unanswered::Late(self.watch.allowed),
            Some(ErrorCode::Unknown | ErrorCode::TooBig | ErrorCode::TypeMismatch | ErrorCode::ParameterOutOfRange) => {
                Unanswered::Wrong(words(error))
            }
            _ => Unanswered::Failed(sql_error(&self.path, "read", error)),
        }
    }
}

fn columns_of(statement: &Statement<'_>) -> Vec<Column> {
    let column = |column: rusqlite::Column<'_>| Column {
        name: column.name().to_owned(),
        ty: column.decl_type().and_then(type_of),
    };
    statement.columns().map(column).collect()
}

/// What SQLite says, without the number and the statement.
fn words(error: Error) -> String {
    if let Error::SqlInputError { msg, .. } | Error::SqliteFailure(_, Some(msg)) = error {
        return msg;
    }
    error.to_string()
}

/// A question that was understood.
pub struct Answer<'g> {
    guarded: &'g Guarded,
    statement: Statement<'g>,
    columns: Vec<Column>,
}

impl Answer<'_> {
    /// The columns of its rows.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Begins to read the rows.
    pub fn rows(&mut self) -> Reading<'_> {
        Reading { guarded: self.guarded, rows: self.statement.raw_query() }
    }
}

/// The rows of an answer, one after the other.
pub struct Reading<'a> {
    guarded: &'a Guarded,
    rows: Rows<'a>,
}

impl Reading<'_> {
    /// The next row.
    ///
    /// # Errors
    /// If it could not be computed, or not in time.
    pub fn next_row(&mut self) -> Result<Option<&Row<'_>>, Unanswered> {
        let guarded = self.guarded;
        guarded.watch.count(|| self.rows.next()).map_err(|error| guarded.unanswered(error))
    }
}
