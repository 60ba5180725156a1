//! What a run says when it has ended: what was read, what became of it, and how to look at it.

use super::outcome::Outcome;
use super::progress::watermark;
use super::tables::table_of;
use super::text::{at, count, grouped, program, word};
use super::waiting::patiently;
use crate::config::Config;
use crate::families::all;
use crate::instant;
use crate::sink::Sink;
use crate::sink::memory::Memory;
use crate::sink::sqlite::Sqlite;
use crate::stats::Stats;
use anyhow::Result;
use dataflows::table::TableId;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A run or a batch that has ended.
pub(super) struct Ended<'a> {
    pub stats: &'a Stats,
    pub elapsed: Duration,
    /// It was stopped before its input ended.
    pub stopped: bool,
    /// How many files were given to be read.
    pub files: usize,
}

/// Says what was read, what became of it, where it is, and how to look at it.
pub(super) fn summary(config: &Config, ended: &Ended<'_>) -> Result<Outcome> {
    say_counts(config, ended)?;
    // Not only to read: the last connection that may write tidies up behind SQLite's log.
    let mut sink = patiently(|| Sqlite::open(all(), &config.warehouse))?;
    let progress = sink.position()?;
    let is_new = progress.as_ref().is_some_and(|progress| progress.generation == 1);
    let is_nothing = !ended.stopped && is_nothing_new(ended.stats);
    if is_new && !is_nothing {
        say!("");
        say_as_is!("{}", table_of(&|id| Ok(sink.count(id.table())?.unwrap_or_default()))?);
    }
    if !is_nothing && let Some(unpriced) = super::unpriced::line(config, &sink)? {
        say!("{unpriced}");
    }
    let path = config.warehouse.display().to_string();
    let full = |id: &TableId| sink.count(id.table()).is_ok_and(|count| count > Some(0));
    let tables = all().tables();
    let example = tables.iter().copied().find(full).unwrap_or(tables[0]).name();
    say!("\nwarehouse: {path} (SQLite; any tool may read it, also while a run writes)");
    for (name, position) in super::sinks::positions(config) {
        match position {
            Ok(progress) => say!("also:      {name}, epoch {}", progress.map_or(0, |progress| progress.epoch)),
            Err(error) => say!("also:      {error}"),
        }
    }
    // Said once, of a new warehouse.
    if is_new && let Some(hint) = super::repository::hint(&config.warehouse, "*.db*") {
        say!("{hint}");
    }
    let (place, program) = (at(config), word(&program()));
    if ended.stats.rejected.load(Relaxed) * 2 > ended.stats.records.load(Relaxed) {
        say!("more than half was rejected; why:  {program} show rejected_events{place}");
    }
    if !is_nothing {
        say!("with SQL:         {program} sql 'SELECT * FROM {example} LIMIT 5'{place}");
        say!("look at a table:  {program} show {example}{place}");
    }
    let outcome = outcome(ended).with("warehouse", path);
    Ok(outcome.with("epoch", progress.map_or(0, |progress| progress.epoch)))
}

/// The same of a run whose rows are in the feed alone.
pub(super) fn summary_of_feed(config: &Config, ended: &Ended<'_>) -> Result<Outcome> {
    say_counts(config, ended)?;
    let (feed, views) = (config.first_place(), word(&format!("{}/views.sql", config.first_place())));
    say!("\nfeed:      {feed} (Parquet; any tool may read it, also while a run writes)");
    let mut epoch = 0;
    for (name, position) in super::sinks::positions(config) {
        match position {
            Ok(progress) if name.contains(&feed) => epoch = progress.map_or(0, |progress| progress.epoch),
            Ok(progress) => say!("also:      {name}, epoch {}", progress.map_or(0, |progress| progress.epoch)),
            Err(error) => say!("also:      {error}"),
        }
    }
    if !is_nothing_new(ended.stats) {
        say!("look at the tables:  duckdb -init {views}");
        say!("check them:          {} verify{}", word(&program()), at(config));
    }
    Ok(outcome(ended).with("warehouse", feed).with("epoch", epoch))
}

/// The same of a run that kept nothing.
pub(super) fn summary_of_memory(config: &Config, ended: &Ended<'_>, memory: &Memory) -> Result<Outcome> {
    say_counts(config, ended)?;
    say!("");
    let contents = memory.contents();
    let count = |id: TableId| Ok(contents.tables.get(&id).map_or(0, |rows| rows.len() as u64));
    say_as_is!("{}", table_of(&count)?);
    say!("\nnothing was kept: `--warehouse FILE` keeps the tables");
    Ok(outcome(ended))
}

/// The counts, for programs.
fn outcome(ended: &Ended<'_>) -> Outcome {
    let Ended { stats, stopped, files, .. } = ended;
    let of = |count: &AtomicU64| count.load(Relaxed);
    let watermark = Some(stats.watermarks().least()).filter(|at| *at > dataflows::time::START).map(instant::show);
    Outcome::of(changed(stats) > 0)
        .counting(of(&stats.records), of(&stats.rejected), &stats.reasons())
        .with("late", of(&stats.late))
        .with("masked", of(&stats.masked))
        .with("upserted", of(&stats.upserted))
        .with("deleted", of(&stats.deleted))
        .with("added", of(&stats.appended))
        .with("commits", of(&stats.commits))
        .with("watermark", watermark)
        .with("files", *files)
        .with("stopped", *stopped)
}

/// How many rows changed.
fn changed(stats: &Stats) -> u64 {
    [&stats.upserted, &stats.deleted, &stats.appended].iter().map(|rows| rows.load(Relaxed)).sum()
}

fn is_nothing_new(stats: &Stats) -> bool {
    stats.records.load(Relaxed) == 0 && changed(stats) == 0
}

fn say_counts(config: &Config, ended: &Ended<'_>) -> Result<()> {
    let Ended { stats, elapsed, stopped, .. } = ended;
    if *stopped {
        say!("stopped before the end of the input; all records that were read are committed");
    } else if is_nothing_new(stats) {
        match ended.files == 0 && !config.kafka.is_given() {
            true => say!("nothing new: the simulated shop has ended"),
            false => say!("nothing new: 0 records were read"),
        }
        return say_unread(stats);
    }
    let records = stats.records.load(Relaxed);
    let seconds = elapsed.as_secs_f64().max(0.001);
    say!(
        "{} in {seconds:.1} s ({}/s) by {}; watermark {}",
        count(records, "record"),
        grouped((records as f64 / seconds) as u64),
        count(config.workers as u64, "worker"),
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
        "{} upserted, {} deleted, {} added in {}; read to committed in at most {} ms",
        count(stats.upserted.load(Relaxed), "row"),
        grouped(stats.deleted.load(Relaxed)),
        grouped(stats.appended.load(Relaxed)),
        count(stats.commits.load(Relaxed), "commit"),
        grouped(stats.freshness_max_ms.load(Relaxed)),
    );
    if let Some(megabytes) = peak_megabytes() {
        say!("{} MB of memory at the most", grouped(megabytes));
    }
    say_unread(stats)
}

fn say_unread(stats: &Stats) -> Result<()> {
    for unread in stats.unread() {
        say!("{unread}");
    }
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
