//! `/api/v1/deltas`: what is committed, commit by commit, as server-sent events; and `/api/v1/corrections`.
//!
//! Each event has the epoch of its commit as its id: a client that comes back says the last one it has, and goes on after it. What
//! it missed and is not kept is told as one `gap`: then it reads the tables again.

use super::answer::{Refusal, json};
use super::query::parameters;
use super::{Served, over, told};
use crate::families::all;
use crate::tap::told::Told;
use crate::tap::{Looking, Next};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use dataflows::Time;
use dataflows::table::{Kind, TableId};
use futures_util::stream::unfold;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A comment is sent so often, by which a client knows that somebody is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The last commit that was written, and its text: many who look on get the same.
#[derive(Default)]
pub(super) struct Written(Mutex<Option<(Time, Arc<str>)>>);

impl Written {
    /// The text of a commit; of some tables alone, if only those are wanted.
    fn text(&self, told: &Told, only: &BTreeSet<TableId>) -> Arc<str> {
        if !only.is_empty() {
            return told::commit(told, only).into();
        }
        let known = self.0.lock().clone().filter(|(epoch, _)| *epoch == told.epoch);
        known.map(|(_, text)| text).unwrap_or_else(|| {
            let text: Arc<str> = told::commit(told, only).into();
            *self.0.lock() = Some((told.epoch, Arc::clone(&text)));
            text
        })
    }
}

/// One who reads the stream.
struct Reading {
    served: Arc<Served>,
    looking: Looking,
    ended: watch::Receiver<bool>,
    /// The last epoch that was told.
    epoch: Time,
    /// Of these tables alone; if it is empty, of all.
    only: BTreeSet<TableId>,
}

pub(super) async fn deltas(
    State(served): State<Arc<Served>>,
    uri: Uri,
    headers: HeaderMap,
    ended: watch::Receiver<bool>,
) -> Result<impl IntoResponse, Refusal> {
    let (mut from, mut only) = (None, BTreeSet::new());
    for (name, text) in parameters(uri.query())? {
        let wrong = |why: &str| Refusal::wrong(format!("parameter `{name}`: {why}"));
        match name.as_str() {
            "from" => from = Some(text.parse().map_err(|_| wrong("expected an epoch, a whole number"))?),
            "table" => {
                let table = all().by_name(&text).filter(|table| table.table().kind() == Kind::Upsert);
                let known =
                    table.ok_or_else(|| wrong("expected a table whose rows are upserted; see `/api/v1/tables`"));
                only.insert(known?);
            }
            _ => return Err(wrong("there is none of this name: there are from, table")),
        }
    }
    if let Some(last) = headers.get("last-event-id") {
        let epoch = last.to_str().ok().and_then(|text| text.trim().parse().ok());
        from = Some(epoch.ok_or_else(|| Refusal::wrong("header `Last-Event-ID`: expected an epoch, a whole number"))?);
    }
    let tap =
        served.tap.as_ref().ok_or_else(|| Refusal::later("there is no run here, and so nothing that is committed"))?;
    let epoch = from.unwrap_or_else(|| tap.last());
    let reading = Reading { looking: tap.look(), served: Arc::clone(&served), ended, epoch, only };
    Ok(Sse::new(unfold(reading, next)).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("beat")))
}

async fn next(mut reading: Reading) -> Option<(Result<Event, Infallible>, Reading)> {
    loop {
        match reading.looking.after(reading.epoch) {
            Next::Commit(told) => {
                let text = reading.served.written.text(&told, &reading.only);
                reading.epoch = told.epoch;
                let event = Event::default().id(told.epoch.to_string()).event("commit").data(&*text);
                return Some((Ok(event), reading));
            }
            Next::Gap(from, to) => {
                reading.epoch = to;
                let text = format!("{{\"from\":{from},\"to\":{to}}}");
                return Some((Ok(Event::default().id(to.to_string()).event("gap").data(text)), reading));
            }
            Next::Nothing => {}
        }
        let goes_on = tokio::select! {
            biased;
            goes_on = reading.looking.news() => goes_on,
            () = over(&mut reading.ended) => false,
        };
        if !goes_on {
            return None;
        }
    }
}

/// The last rows that late events restated, newest first.
pub(super) async fn corrections(State(served): State<Arc<Served>>) -> impl IntoResponse {
    let corrections = served.tap.as_ref().map(|tap| tap.corrections()).unwrap_or_default();
    let mut out = "[".to_owned();
    for (n, correction) in corrections.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        told::correction(&mut out, correction);
    }
    out.push(']');
    json(out)
}
