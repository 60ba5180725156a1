//! Every metric there is: its name, what it means, in which unit, and how it is read.

use crate::instant;
use crate::process::{self, disk};
use crate::serve::reading::read;
use crate::serve::{Mode, Served};
use crate::stats::processes::OfProcess;
use crate::stats::{LastCommit, Stats};
use dataflows::time::START;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Whether it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does, from nothing at each start.
    Counter,
    /// It may be anything.
    Gauge,
}

impl Kind {
    /// As the format has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// What a number is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// 0 to 1.
    Share,
    /// 1 or 0.
    Truth,
    /// Seconds since 1970.
    Time,
}

/// What is read for all of them at once.
pub struct Facts {
    stats: Arc<Stats>,
    last: LastCommit,
    is_run: bool,
    is_running: bool,
    started_ms: i64,
    lookers: usize,
    warehouse: PathBuf,
}

impl Facts {
    pub(in crate::serve) async fn of(served: &Arc<Served>) -> Facts {
        let of_run = served.of_run();
        let mut last = of_run.stats.last_commit();
        if served.mode == Mode::Warehouse
            && let Ok(progress) = read(served, |read| Ok(read.progress.clone())).await
        {
            let (epoch, clock_ms, watermarks) = (progress.epoch, progress.committed_at, progress.watermarks);
            last = LastCommit { epoch, clock_ms, watermarks };
        }
        Facts {
            stats: of_run.stats,
            last,
            is_run: served.mode == Mode::Run,
            is_running: served.state() == "running",
            started_ms: served.started_ms,
            lookers: served.tap.as_ref().map_or(0, |tap| tap.lookers()),
            warehouse: served.config.warehouse.clone(),
        }
    }
}

type Put<'a> = dyn FnMut(&[&str], f64) + 'a;

/// A metric.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// What it is of.
    pub unit: Unit,
    /// What it means.
    pub help: &'static str,
    /// Of what each value is.
    pub labels: &'static [&'static str],
    /// Under which heading it is shown; nothing if it is not.
    pub shown: Option<&'static str>,
    read: fn(&Facts, &mut Put<'_>),
}

impl Metric {
    /// Tells its values, each with those of its labels.
    pub(super) fn read(&self, facts: &Facts, put: &mut Put<'_>) {
        (self.read)(facts, put);
    }
}

const FLOW: Option<&str> = Some("What comes and goes");
const FRESH: Option<&str> = Some("How fresh the tables are");
const WAITS: Option<&str> = Some("What is waited for");
const ROOM: Option<&str> = Some("What it takes");

const fn counter(
    (name, help): (&'static str, &'static str),
    labels: &'static [&'static str],
    shown: Option<&'static str>,
    read: fn(&Facts, &mut Put<'_>),
) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, help, labels, shown, read }
}

const fn gauge(
    (name, unit, help): (&'static str, Unit, &'static str),
    labels: &'static [&'static str],
    shown: Option<&'static str>,
    read: fn(&Facts, &mut Put<'_>),
) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels, shown, read }
}

/// A count of a run; of a warehouse without one there is none.
fn of_run(facts: &Facts, put: &mut Put<'_>, count: fn(&Stats) -> &AtomicU64) {
    if facts.is_run {
        put(&[], count(&facts.stats).load(Relaxed) as f64);
    }
}

/// A number of each process of a run; of one that is alone there is none.
fn of_processes(facts: &Facts, put: &mut Put<'_>, of: fn(&OfProcess) -> Option<f64>) {
    for one in facts.stats.processes.all() {
        if let Some(number) = of(&one) {
            put(&[&one.process.to_string(), &one.host], number);
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

/// All of them.
pub const METRICS: &[Metric] = &[
    gauge(("deltamart_info", Unit::Truth, "The version of the program; always 1."), &["version"], None, |_, put| {
        put(&[env!("CARGO_PKG_VERSION")], 1.0);
    }),
    gauge(
        ("deltamart_running", Unit::Truth, "Whether a run works here: 1, or 0 before it has begun and once it ends."),
        &[],
        None,
        |facts, put| put(&[], truth(facts.is_running)),
    ),
    gauge(
        ("process_start_time_seconds", Unit::Time, "When the program was started, in seconds since 1970."),
        &[],
        None,
        |facts, put| put(&[], seconds(facts.started_ms)),
    ),
    counter(("deltamart_records_total", "Records that were read."), &[], FLOW, |facts, put| {
        of_run(facts, put, |stats| &stats.records);
    }),
    counter(
        ("deltamart_source_records_total", "Records of a topic, or a file, that were read."),
        &["topic"],
        FLOW,
        |facts, put| facts.stats.sources.all().iter().for_each(|of| put(&[&of.topic], of.records as f64)),
    ),
    counter(
        ("deltamart_rejected_records_total", "Records that were rejected, by reason."),
        &["reason"],
        FLOW,
        |facts, put| {
            facts.stats.reasons().iter().for_each(|(reason, count)| put(&[reason], *count as f64));
        },
    ),
    counter(
        ("deltamart_late_events_total", "Events that came too late to change a metric."),
        &[],
        FLOW,
        |facts, put| of_run(facts, put, |stats| &stats.late),
    ),
    counter(
        ("deltamart_masked_addresses_total", "E-mail addresses that came in clear and were masked."),
        &[],
        None,
        |facts, put| of_run(facts, put, |stats| &stats.masked),
    ),
    counter(
        ("deltamart_rows_total", "Rows that were written to the warehouse: upserted, deleted, or added to raw tables."),
        &["op"],
        FLOW,
        |facts, put| {
            let stats = &facts.stats;
            for (op, count) in [("upsert", &stats.upserted), ("delete", &stats.deleted), ("add", &stats.appended)] {
                if facts.is_run {
                    put(&[op], count.load(Relaxed) as f64);
                }
            }
        },
    ),
    counter(("deltamart_commits_total", "Commits to the warehouse."), &[], None, |facts, put| {
        of_run(facts, put, |stats| &stats.commits);
    }),
    gauge(
        (
            "deltamart_freshness_seconds",
            Unit::Seconds,
            "How long the last commit took from reading its oldest record, or how long a record waits to be committed, if that is more.",
        ),
        &[],
        FRESH,
        |facts, put| {
            if facts.is_run {
                put(&[], seconds(i64::try_from(facts.stats.fresh_ms()).unwrap_or(i64::MAX)));
            }
        },
    ),
    gauge(
        ("deltamart_commit_time_seconds", Unit::Time, "The clock of the last commit, in seconds since 1970."),
        &[],
        FRESH,
        |facts, put| {
            if facts.last.clock_ms > 0 {
                put(&[], seconds(facts.last.clock_ms));
            }
        },
    ),
    gauge(("deltamart_epoch", Unit::Count, "The epoch of the last commit."), &[], None, |facts, put| {
        put(&[], facts.last.epoch as f64);
    }),
    gauge(
        ("deltamart_watermark_time_seconds", Unit::Time, "The watermark of a family, in seconds since 1970."),
        &["family"],
        FRESH,
        |facts, put| {
            for (family, at) in facts.last.watermarks.0.iter().filter(|(_, at)| **at > START) {
                put(&[family], seconds(*at));
            }
        },
    ),
    gauge(
        (
            "deltamart_watermark_stands",
            Unit::Truth,
            "Whether nothing moves the watermark of a family: no partition that takes part in it has anything new.",
        ),
        &["family"],
        WAITS,
        |facts, put| {
            let silent = facts.stats.silent_since();
            for family in facts.last.watermarks.0.keys() {
                put(&[family], truth(silent.contains_key(family.as_str())));
            }
        },
    ),
    gauge(
        ("deltamart_source_lag_records", Unit::Count, "Records of a topic that are there and were not read."),
        &["topic"],
        WAITS,
        |facts, put| facts.stats.lag().iter().for_each(|lag| put(&[&lag.topic], lag.records as f64)),
    ),
    gauge(
        (
            "deltamart_source_lag_seconds",
            Unit::Seconds,
            "For how long the last record of a topic that was read has been there, while more are; 0 if none are.",
        ),
        &["topic"],
        WAITS,
        |facts, put| {
            let now_ms = instant::now();
            let lag = facts.stats.lag();
            let known = lag.iter().filter_map(|lag| Some((&lag.topic, lag.ms(now_ms)?)));
            known.for_each(|(topic, ms)| put(&[topic], seconds(ms)));
        },
    ),
    gauge(
        (
            "deltamart_waiting",
            Unit::Count,
            "How many things are unavailable and waited for: brokers, schemas, sinks, the journal.",
        ),
        &[],
        WAITS,
        |facts, put| put(&[], facts.stats.waits_for().len() as f64),
    ),
    gauge(("deltamart_sink_away", Unit::Truth, "Whether a sink is unavailable."), &["sink"], WAITS, |facts, put| {
        facts.stats.sinks.all().iter().for_each(|sink| put(&[&sink.name], truth(sink.away.is_some())));
    }),
    gauge(
        ("deltamart_sink_pending_bytes", Unit::Bytes, "How many bytes of rows wait for a sink."),
        &["sink"],
        WAITS,
        |facts, put| {
            facts.stats.sinks.all().iter().for_each(|sink| put(&[&sink.name], sink.pending_bytes as f64));
        },
    ),
    gauge(
        ("deltamart_sink_epoch", Unit::Count, "The last epoch whose rows a sink has."),
        &["sink"],
        None,
        |facts, put| facts.stats.sinks.all().iter().for_each(|sink| put(&[&sink.name], sink.epoch as f64)),
    ),
    gauge(
        ("deltamart_live_records", Unit::Count, "Records that an operator holds in memory."),
        &["operator"],
        ROOM,
        |facts, put| {
            facts.stats.live().iter().for_each(|(operator, records)| put(&[operator], *records as f64));
        },
    ),
    gauge(
        (
            "deltamart_peer_waited_for_seconds",
            Unit::Seconds,
            "For how long the other processes of a run have waited for this one; 0 if they do not.",
        ),
        &["process", "host"],
        WAITS,
        |facts, put| {
            of_processes(facts, put, |one| Some(seconds(i64::try_from(one.slow_ms.unwrap_or(0)).unwrap_or(i64::MAX))))
        },
    ),
    gauge(
        ("deltamart_peer_heard_seconds", Unit::Seconds, "How long ago a process of a run was heard of."),
        &["process", "host"],
        None,
        |facts, put| of_processes(facts, put, |one| Some(seconds(i64::try_from(one.heard_ms).unwrap_or(i64::MAX)))),
    ),
    gauge(
        ("deltamart_peer_resident_bytes", Unit::Bytes, "Memory that a process of a run holds, of one of several."),
        &["process", "host"],
        None,
        |facts, put| of_processes(facts, put, |one| one.resident_bytes.map(|bytes| bytes as f64)),
    ),
    gauge(
        ("deltamart_peer_live_records", Unit::Count, "Records that a process of a run holds, of one of several."),
        &["process", "host"],
        None,
        |facts, put| of_processes(facts, put, |one| Some(one.live_records as f64)),
    ),
    gauge(
        (
            "deltamart_snapshot_time_seconds",
            Unit::Time,
            "The clock of the last snapshot of this run, in seconds since 1970.",
        ),
        &[],
        ROOM,
        |facts, put| {
            if let Some((_, clock_ms, ..)) = facts.stats.last_snapshot() {
                put(&[], seconds(clock_ms));
            }
        },
    ),
    gauge(
        ("deltamart_snapshot_bytes", Unit::Bytes, "How many bytes the last snapshot of this run has."),
        &[],
        ROOM,
        |facts, put| {
            if let Some((.., bytes)) = facts.stats.last_snapshot() {
                put(&[], bytes as f64);
            }
        },
    ),
    Metric {
        name: "deltamart_worker_cpu_seconds_total",
        kind: Kind::Counter,
        unit: Unit::Seconds,
        help: "Processor time that a worker has taken, where the system tells.",
        labels: &["worker"],
        shown: ROOM,
        read: |_, put| {
            for (worker, seconds) in process::worker_seconds() {
                put(&[&worker.to_string()], seconds);
            }
        },
    },
    gauge(
        ("process_resident_memory_bytes", Unit::Bytes, "Memory that the program holds, where the system tells."),
        &[],
        ROOM,
        |_, put| {
            if let Some(bytes) = process::resident_bytes() {
                put(&[], bytes as f64);
            }
        },
    ),
    gauge(
        (
            "deltamart_warehouse_bytes",
            Unit::Bytes,
            "How many bytes the SQLite file of the warehouse has, with its log.",
        ),
        &[],
        ROOM,
        |facts, put| {
            let size = |path: &Path| std::fs::metadata(path).map(|file| file.len() as f64);
            let mut log = facts.warehouse.clone().into_os_string();
            log.push("-wal");
            if let Ok(bytes) = size(&facts.warehouse) {
                put(&[], bytes + size(Path::new(&log)).unwrap_or_default());
            }
        },
    ),
    gauge(
        ("deltamart_disk_bytes", Unit::Bytes, "How many bytes the disk has that the warehouse is on."),
        &[],
        None,
        |facts, put| {
            if let Some((all, _)) = disk(&facts.warehouse) {
                put(&[], all);
            }
        },
    ),
    gauge(
        ("deltamart_disk_free_bytes", Unit::Bytes, "How many bytes are free on the disk that the warehouse is on."),
        &[],
        ROOM,
        |facts, put| {
            if let Some((_, free)) = disk(&facts.warehouse) {
                put(&[], free);
            }
        },
    ),
    gauge(
        ("deltamart_delta_readers", Unit::Count, "How many clients read the stream of what is committed."),
        &[],
        None,
        |facts, put| put(&[], facts.lookers as f64),
    ),
    gauge(
        ("deltamart_time_seconds", Unit::Time, "The clock of the program, in seconds since 1970."),
        &[],
        None,
        |_, put| put(&[], seconds(instant::now())),
    ),
];
