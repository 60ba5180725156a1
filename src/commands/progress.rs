//! What a run shows while it runs, and when it has ended.

use super::tables::table_of;
use super::text::{grouped, program};
use super::waiting::patiently;
use crate::config::Config;
use crate::families::all;
use crate::instant;
use crate::periodic::{Periodic, Round};
use crate::sink::memory::Memory;
use crate::sink::sqlite::Sqlite;
use crate::stats::Stats;
use anyhow::Result;
use dataflows::table::TableId;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The line that moves while a run runs: on a terminal in place, elsewhere a line now and then.
pub(super) struct Progress {
    started: Instant,
    shows: Periodic,
}

impl Progress {
    /// How a run goes.
    pub(super) fn start(stats: &Arc<Stats>) -> Progress {
        let (counted, shown) = (Arc::clone(stats), Arc::clone(stats));
        Progress::showing(move || counted.records.load(Relaxed), move |records, rate| line(&shown, records, rate))
    }

    /// How far a count is, and how many a second it goes on by.
    pub(super) fn showing(
        count: impl Fn() -> u64 + Send + 'static,
        line: impl Fn(u64, f64) -> String + Send + 'static,
    ) -> Progress {
        let started = Instant::now();
        let in_place = std::io::stderr().is_terminal();
        let every = if in_place { Duration::from_millis(500) } else { Duration::from_secs(5) };
        let mut before = (started, 0);
        let shows = Periodic::start(every, move |round| {
            // Nobody reads it: no reason to stop.
            if round == Round::Due {
                let records = count();
                let rate = (records - before.1) as f64 / before.0.elapsed().as_secs_f64();
                before = (Instant::now(), records);
                let line = line(records, rate);
                // A line that wraps cannot be written over.
                let width = terminal_size::terminal_size().map_or(usize::MAX, |(width, _)| usize::from(width.0) - 1);
                let line: String = line.chars().take(if in_place { width } else { usize::MAX }).collect();
                let line = crate::shown::value(&line);
                let written = if in_place {
                    write!(std::io::stderr(), "\r\x1b[K{line}")
                } else {
                    writeln!(std::io::stderr(), "{line}")
                };
                written.ok();
            } else if in_place {
                write!(std::io::stderr(), "\r\x1b[K").ok();
            }
            ControlFlow::Continue(())
        });
        Progress { started, shows }
    }

    /// Ends the line, and tells how long it lasted.
    pub(super) fn stop(self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shows.end(|| ());
    }
}

fn line(stats: &Stats, records: u64, rate: f64) -> String {
    format!(
        "{} records  {}/s  fresh {} ms  watermark {}  late {}  rejected {}",
        grouped(records),
        grouped(rate as u64),
        stats.freshness_ms.load(Relaxed),
        watermark(stats),
        grouped(stats.late.load(Relaxed)),
        grouped(stats.rejected.load(Relaxed)),
    )
}

fn watermark(stats: &Stats) -> String {
    match stats.watermarks().least() {
        dataflows::time::START => "none yet".to_owned(),
        at => instant::show(at).replace('T', " ").chars().take(16).collect(),
    }
}

/// What was made, where it is, and how to look at it.
pub(super) fn summary(
    config: &Config,
    stats: &Stats,
    elapsed: Duration,
    stopped: bool,
    memory: Option<&Memory>,
) -> Result<()> {
    if stopped {
        say!("stopped before the end of the input; everything that was read is committed, as of the watermark below");
    }
    let records = stats.records.load(Relaxed);
    let seconds = elapsed.as_secs_f64().max(0.001);
    say!(
        "{} records in {seconds:.1} s ({}/s) by {} worker{}; watermark {}",
        grouped(records),
        grouped((records as f64 / seconds) as u64),
        config.workers,
        if config.workers == 1 { "" } else { "s" },
        watermark(stats),
    );
    say!(
        "{} late, {} rejected{}, {} e-mail {} masked",
        grouped(stats.late.load(Relaxed)),
        grouped(stats.rejected.load(Relaxed)),
        reasons(stats),
        grouped(stats.masked.load(Relaxed)),
        if stats.masked.load(Relaxed) == 1 { "address" } else { "addresses" },
    );
    say!(
        "{} rows upserted, {} deleted, {} added in {} {}; read to committed in at most {} ms",
        grouped(stats.upserted.load(Relaxed)),
        grouped(stats.deleted.load(Relaxed)),
        grouped(stats.appended.load(Relaxed)),
        grouped(stats.commits.load(Relaxed)),
        if stats.commits.load(Relaxed) == 1 { "commit" } else { "commits" },
        grouped(stats.freshness_max_ms.load(Relaxed)),
    );
    for unread in stats.unread() {
        say!("{unread}");
    }
    if let Some(megabytes) = peak_megabytes() {
        say!("{} MB of memory at the most", grouped(megabytes));
    }
    say!("");
    if let Some(memory) = memory {
        let contents = memory.contents();
        let count = |id: TableId| Ok(contents.tables.get(&id).map_or(0, |rows| rows.len() as u64));
        say!("{}", table_of(&count)?);
        say!("\nnothing was kept: `--warehouse FILE` keeps the tables");
        return Ok(());
    }
    // Not only to read: the last connection that may write tidies up behind SQLite's log.
    let sink = patiently(|| Sqlite::open(all(), &config.warehouse))?;
    say!("{}", table_of(&|id| Ok(sink.count(id.table())?.unwrap_or_default()))?);
    if let Some(unpriced) = super::unpriced::line(config, &sink)? {
        say!("{unpriced}");
    }
    let path = config.warehouse.display();
    let full = |id: &TableId| sink.count(id.table()).is_ok_and(|count| count > Some(0));
    let tables = all().tables();
    let example = tables.iter().copied().find(full).unwrap_or(tables[0]).name();
    let place =
        if config.warehouse == Config::default().warehouse { String::new() } else { format!(" --warehouse {path}") };
    say!("\nwarehouse: {path} (SQLite; any tool may read it, also while we write)");
    for (name, position) in super::sinks::positions(config) {
        match position {
            Ok(progress) => say!("also:      {name}, epoch {}", progress.map_or(0, |progress| progress.epoch)),
            Err(error) => say!("also:      {error}"),
        }
    }
    say!("look at a table:  {} show {example}{place}", program());
    if stats.rejected.load(Relaxed) * 2 > records {
        say!("more than half was rejected; why:  {} show rejected_events{place}", program());
    }
    say!("or with SQL:      {} sql 'SELECT * FROM {example} LIMIT 5'{place}", program());
    Ok(())
}

/// The largest amount of memory that the process has held, where the system tells.
fn peak_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}

fn reasons(stats: &Stats) -> String {
    let mut reasons: Vec<_> = stats.reasons().into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<_> = reasons.iter().take(3).map(|(reason, count)| format!("{reason} {count}")).collect();
    match reasons.len() {
        0 => String::new(),
        1..=3 => format!(" ({})", shown.join(", ")),
        4 => format!(" ({}, and one other reason)", shown.join(", ")),
        more => format!(" ({}, and {} other reasons)", shown.join(", "), more - 3),
    }
}
