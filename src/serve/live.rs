//! `/api/v1/live`: the status, again and again, as server-sent events.

use super::samples::EVERY;
use super::{Served, over, status};
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often is looked whether there was a commit.
const LOOK: Duration = Duration::from_millis(250);
/// A comment is sent so often, by which a client knows that somebody is there.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What is said to all who look on: it is only replaced, so that a client that reads slowly skips to the newest.
pub(super) type Said = watch::Sender<Arc<str>>;

/// Keeps what is said new, for as long as the server lives.
pub(super) fn keep(served: Arc<Served>) -> Arc<Said> {
    let said = Arc::new(Said::new("{}".into()));
    let to = Arc::clone(&said);
    tokio::spawn(async move {
        let (mut sampled, mut commits) = (None::<Instant>, 0);
        loop {
            let is_due = sampled.is_none_or(|at| at.elapsed() >= EVERY);
            let stats = served.stats();
            if is_due {
                sampled = Some(Instant::now());
                served.samples.lock().take(&stats);
            }
            let now = stats.commits.load(Relaxed);
            if to.receiver_count() > 0 && (is_due || now != commits) {
                to.send_replace(status::text(&served).await);
            }
            commits = now;
            tokio::time::sleep(LOOK).await;
        }
    });
    said
}

/// One who looks on.
struct Looking {
    served: Arc<Served>,
    said: watch::Receiver<Arc<str>>,
    ended: watch::Receiver<bool>,
    at: At,
}

#[derive(PartialEq, Eq)]
enum At {
    Beginning,
    Going,
    End,
}

pub(super) async fn live(
    State(served): State<Arc<Served>>,
    said: watch::Receiver<Arc<str>>,
    ended: watch::Receiver<bool>,
) -> impl IntoResponse {
    let looking = Looking { served, said, ended, at: At::Beginning };
    Sse::new(unfold(looking, next)).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("beat"))
}

async fn next(mut looking: Looking) -> Option<(Result<Event, Infallible>, Looking)> {
    let text = match looking.at {
        At::End => return None,
        At::Beginning => {
            looking.at = At::Going;
            status::text(&looking.served).await
        }
        At::Going => tokio::select! {
            biased;
            () = over(&mut looking.ended) => {
                looking.at = At::End;
                status::text(&looking.served).await
            }
            changed = looking.said.changed() => {
                changed.ok()?;
                Arc::clone(&looking.said.borrow_and_update())
            }
        },
    };
    Some((Ok(Event::default().event("status").data(&*text)), looking))
}
