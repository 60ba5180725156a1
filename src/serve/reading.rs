//! The warehouse, read for an answer: in a thread of its own, within one commit, not too many at once and not too long.

use super::Served;
use super::answer::Refusal;
use crate::families::all;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::guarded::{Guarded, Unanswered};
use crate::sink::{Progress, Sink};
use axum::http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// So many answers are read at once.
const AT_ONCE: usize = 3;
/// One more waits so long for its turn.
const TURN: Duration = Duration::from_secs(2);
/// SQLite may take so long for an answer.
const ALLOWED: Duration = Duration::from_secs(5);
/// A warehouse that is not in a file.
const IN_MEMORY: &str = ":memory:";

/// Whose turn it is.
pub(super) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Readers {
        Readers(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// The warehouse in one read transaction, and how far it is there.
pub(super) struct Read {
    pub(super) guarded: Guarded,
    pub(super) progress: Progress,
}

/// Has the warehouse read.
///
/// # Errors
/// If it cannot be read now, or what is read says so.
pub(super) async fn read<T: Send + 'static>(
    served: &Arc<Served>,
    work: impl FnOnce(&Read) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let path = served.config.warehouse.clone();
    if path.as_os_str() == IN_MEMORY {
        let why = "the rows of `--warehouse :memory:` are not served: they are in no file; name one, and its rows are";
        return Err(Refusal::later(why));
    }
    if served.config.is_feed_alone() {
        let why = "the rows of the feed are not served: ask it with DuckDB, by its `views.sql`";
        return Err(Refusal::later(why));
    }
    let turn = tokio::time::timeout(TURN, Arc::clone(&served.readers.0).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Refusal::later("too many tables are read at once; ask again")) };
    let reading = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut sink = Sqlite::open_to_read(all(), &path).map_err(|error| Refusal::later(error.to_string()))?;
        let nothing = || Refusal::later(format!("there is nothing in `{}` yet", path.display()));
        sink.position().map_err(|error| Refusal::later(error.to_string()))?.ok_or_else(nothing)?;
        let guarded = sink.guarded(ALLOWED).map_err(|error| Refusal::later(error.to_string()))?;
        // Within its transaction: what was there before may have been of another commit.
        let progress = guarded.progress().map_err(|error| refused(&error))?.ok_or_else(nothing)?;
        work(&Read { guarded, progress })
    });
    reading.await.unwrap_or_else(|_| Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "a bug of ours; see the log")))
}

/// What is said where SQLite gave no answer.
pub(super) fn refused(error: &Unanswered) -> Refusal {
    match error {
        Unanswered::Late(allowed) => {
            let seconds = allowed.as_secs();
            Refusal::later(format!("the warehouse was read for {seconds} s, and there was no answer yet: ask for less"))
        }
        Unanswered::Wrong(why) | Unanswered::Refused(why) => Refusal::wrong(why.clone()),
        Unanswered::Failed(error) => Refusal::later(error.to_string()),
    }
}
