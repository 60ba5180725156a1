//! Answers that many ask for: each is made once a commit, however many pages are open.

use super::answer::Refusal;
use super::{Mode, Served};
use bytes::Bytes;
use dataflows::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// So many answers are kept, and none that has more bytes.
const KEPT: usize = 64;
const BYTES_MAX: usize = 256 << 10;

/// An answer, and the commit it is of. While it is made, others who ask the same wait for it.
type Answer = Arc<Mutex<Option<(Time, Bytes)>>>;

/// The answers of the last commit, by what was asked.
#[derive(Default)]
pub(super) struct Kept(parking_lot::Mutex<BTreeMap<String, Answer>>);

impl Kept {
    fn of(&self, asked: &str) -> Answer {
        let mut answers = self.0.lock();
        if answers.len() >= KEPT && !answers.contains_key(asked) {
            answers.clear();
        }
        Arc::clone(answers.entry(asked.to_owned()).or_default())
    }
}

/// The answer that is kept, if nothing was committed since; else the one that is made now, with its commit.
///
/// # Errors
/// If it cannot be made. That is not kept.
pub(super) async fn answer(
    served: &Served,
    asked: &str,
    made: impl Future<Output = Result<(Time, String), Refusal>>,
) -> Result<Bytes, Refusal> {
    if served.mode == Mode::Warehouse {
        // Who writes to it, if anybody does, does not say so here.
        return made.await.map(|(_, text)| text.into());
    }
    let answer = served.kept.of(asked);
    let mut answer = answer.lock().await;
    if let Some((epoch, bytes)) = &*answer
        && *epoch >= served.stats().last_commit().epoch
    {
        return Ok(bytes.clone());
    }
    let (epoch, text) = made.await?;
    let bytes = Bytes::from(text);
    *answer = (bytes.len() <= BYTES_MAX).then(|| (epoch, bytes.clone()));
    Ok(bytes)
}
