//! `/api/v1/status`: how it goes.

mod graph;

use super::answer::{Refusal, json};
use super::reading::read;
use super::samples::Rates;
use super::{Mode, OfRun, Served};
use crate::families;
use crate::instant;
use crate::lanes::Watermarks;
use crate::source::Lag;
use crate::stats::{LastCommit, Stats};
use axum::extract::State;
use axum::response::IntoResponse;
use dataflows::time::START;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

pub(super) async fn status(State(served): State<Arc<Served>>) -> Result<impl IntoResponse, Refusal> {
    now(&served).await.map(|status| json(status.to_string()))
}

/// The same as text; of a warehouse that cannot be read why not.
pub(super) async fn text(served: &Arc<Served>) -> Arc<str> {
    let status = now(served).await;
    match status {
        Ok(status) => status.to_string().into(),
        Err(refusal) => json!({ "state": served.state(), "error": refusal.said() }).to_string().into(),
    }
}

async fn now(served: &Arc<Served>) -> Result<Value, Refusal> {
    if served.mode == Mode::Run {
        let of_run = served.of_run();
        let last = of_run.stats.last_commit();
        return Ok(of(served, &of_run, &last));
    }
    let progress = read(served, |read| Ok(read.progress.clone())).await?;
    let last =
        LastCommit { epoch: progress.epoch, clock_ms: progress.committed_at, watermarks: progress.watermarks.clone() };
    let start = super::Start { pipeline_id: progress.pipeline_id, generation: progress.generation };
    Ok(of(served, &OfRun { start: Some(start), ..OfRun::default() }, &last))
}

fn at(ms: i64) -> Value {
    if ms > 0 { instant::show(ms).into() } else { Value::Null }
}

fn of(served: &Served, of_run: &OfRun, last: &LastCommit) -> Value {
    let OfRun { stats, start, .. } = of_run;
    let rates = served.samples.lock().rates();
    let fresh = stats.fresh.percentiles(Instant::now());
    let mut status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pipeline_id": start.as_ref().map(|start| &start.pipeline_id),
        "generation": start.as_ref().map(|start| start.generation),
        "mode": if served.mode == Mode::Run { "run" } else { "serve" },
        "state": served.state(),
        "now": instant::show(instant::now()),
        "started_at": instant::show(served.started_ms),
        "warehouse": served.config.first_place(),
        "epoch": last.epoch,
        "committed_at": at(last.clock_ms),
        "families": families(served, stats, &last.watermarks),
        "troubles": troubles(stats),
        "unread": stats.unread(),
        "sinks": sinks(served, stats),
        "lag": lag(served, stats),
        "sources": sources(stats, &rates),
        "examples": examples(stats),
        "live": live(stats),
        "graph": graph::graph(served, stats),
    });
    if served.mode == Mode::Run
        && let (Value::Object(status), Value::Object(counts)) = (&mut status, counts(served, stats, &rates, fresh))
    {
        status.extend(counts);
    }
    status
}

/// What only a run counts.
fn counts(served: &Served, stats: &Stats, rates: &Rates, fresh: Option<(u64, u64)>) -> Value {
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed);
    let stuck_ms = stats.turns.stuck_ms();
    let worker =
        |number| json!({ "number": number, "busy_share": rates.busy.get(&number), "stuck_ms": stuck_ms.get(&number) });
    let share = |portion: crate::source::Portion| {
        if portion.of == 0 { 1.0 } else { (portion.done as f64 / portion.of as f64).min(1.0) }
    };
    let snapshot = stats.last_snapshot().map(|(epoch, clock_ms, records, bytes)| {
        json!({
            "epoch": epoch,
            "at": at(clock_ms),
            "age_ms": (instant::now() - clock_ms).max(0),
            "records": records,
            "bytes": bytes,
        })
    });
    json!({
        "workers": (0..served.config.workers).map(worker).collect::<Vec<_>>(),
        "processes": stats.processes.all(),
        "records": of(&stats.records),
        "late": of(&stats.late),
        "rejected": stats.reasons(),
        "masked": of(&stats.masked),
        "upserted": of(&stats.upserted),
        "deleted": of(&stats.deleted),
        "appended": of(&stats.appended),
        "commits": of(&stats.commits),
        "rate_in": rates.records,
        "rate_out": rates.rows,
        "read_share": stats.portion().map(share),
        "fresh_ms": stats.fresh_ms(),
        "unwritten_ms": stats.unwritten_ms(),
        "unwritten_records": stats.unwritten_records(),
        "fresh_p50_ms": fresh.map(|(median, _)| median),
        "fresh_p99_ms": fresh.map(|(_, most)| most),
        "snapshot": snapshot,
    })
}

/// Each family, how far it has come, and why it goes no further.
fn families(served: &Served, stats: &Stats, watermarks: &Watermarks) -> Value {
    let silent = stats.silent_since();
    let family = |family: &dataflows::family::FamilyId| {
        let name = family.name();
        let declared = families::declared().iter().find(|loaded| loaded.family.raw_table().name() == name);
        let lateness = declared.and_then(|loaded| loaded.events.lateness_ms).unwrap_or(served.config.lateness);
        let stands = silent
            .get(name)
            .map(|since| json!({ "since": at(*since), "why": "no partition that takes part in it has anything new" }));
        let watermark = Some(watermarks.of(name)).filter(|at| *at > START).map(instant::show);
        json!({ "name": name, "watermark": watermark, "lateness_ms": lateness, "stands": stands })
    };
    families::all().families().iter().map(family).collect()
}

/// What is read, and how fast.
fn sources(stats: &Stats, rates: &Rates) -> Value {
    let source = |of: crate::stats::sources::OfSource| {
        let rate = rates.sources.get(&of.topic).copied().unwrap_or_default();
        json!({ "topic": of.topic, "family": of.family, "records": of.records, "rate": rate })
    };
    stats.sources.all().into_iter().map(source).collect()
}

/// How far reading is behind.
fn lag(served: &Served, stats: &Stats) -> Value {
    let (samples, now_ms) = (served.samples.lock(), instant::now());
    let of_topic = |lag: Lag| {
        let ms = lag.ms(now_ms);
        json!({ "topic": lag.topic, "events": lag.records, "ms": ms, "trend": samples.trend(&lag.topic) })
    };
    stats.lag().into_iter().map(of_topic).collect()
}

fn troubles(stats: &Stats) -> Value {
    let troubles = stats.troubles();
    let told = troubles.iter().map(|trouble| json!({ "of": trouble.of, "since": trouble.since, "said": trouble.said }));
    let waits = stats.waits_for();
    let waits = waits.iter().map(|said| json!({ "of": "what is waited for", "since": null, "said": said }));
    told.chain(waits).collect()
}

fn sinks(served: &Served, stats: &Stats) -> Value {
    let kinds: Vec<_> = crate::wiring::sinks(&served.config).into_iter().map(|(kind, _)| kind).collect();
    let sink = |(number, sink): (usize, crate::stats::sinks::OfSink)| {
        json!({
            "name": sink.name,
            "kind": kinds.get(number),
            "epoch": sink.epoch,
            "waits_for": sink.away.as_ref().map(|(why, _)| why),
            "waits_since": sink.away.as_ref().map_or(Value::Null, |(_, since)| at(*since)),
            "pending_bytes": sink.pending_bytes,
            "pending_bytes_max": served.config.pending_bytes,
        })
    };
    stats.sinks.all().into_iter().enumerate().map(sink).collect()
}

fn live(stats: &Stats) -> Value {
    stats.live().iter().map(|(operator, records)| json!({ "operator": operator, "records": records })).collect()
}

/// The last record of each reason, the last late event of each topic, newest first.
fn examples(stats: &Stats) -> Value {
    let mut rejected: Vec<_> = stats.examples.rejected().into_iter().collect();
    rejected.sort_by_key(|(_, example)| std::cmp::Reverse(example.at));
    let rejected = rejected.into_iter().map(|(reason, example)| {
        json!({
            "reason": reason,
            "at": at(example.at),
            "topic": example.topic,
            "detail": example.detail,
            "payload": example.payload,
        })
    });
    let late = stats.examples.late().into_iter().map(|(topic, example)| {
        json!({
            "topic": topic,
            "timestamp": at(example.timestamp),
            "late_ms": example.late_ms,
            "payload": example.payload,
        })
    });
    let of = |all: Vec<Value>| Value::from(all);
    Value::Object(Map::from_iter([
        ("rejected".to_owned(), of(rejected.collect())),
        ("late".to_owned(), of(late.collect())),
    ]))
}
