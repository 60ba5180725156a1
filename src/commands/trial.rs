//! `try`: a metric over some files, in a place that is gone when it ends: nothing is installed.

use super::meaning::columns;
use super::outcome::{FAILED, Outcome};
use super::paths::{Stdin, events};
use super::text::{count, grouped, program, took, word};
use super::{Refused, cases, explain, given, options, show, stop_on_signals, verify};
use crate::cli::TryArgs;
use crate::config::Config;
use crate::engine::{self, Job, Resume};
use crate::families::{self, all};
use crate::model::shipped::Folder;
use crate::sink::memory::Memory;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Claim, Commit, MadeBy, Sink};
use crate::source::content::Tail;
use crate::stats::Stats;
use anyhow::{Context, Result};
use dataflows::delta::Delta;
use dataflows::deltas::Deltas;
use dataflows::table::TableId;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// What a trial takes of the name of its file.
pub(super) fn name_of(file: &Path) -> Result<String, Refused> {
    let name = file.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Refused(format!("`{}` is not the name of a file of SQL", file.display())))
}

pub(super) fn trial(
    config: &Config,
    TryArgs { metric: file, files: given, deltas, case }: &TryArgs,
) -> Result<Outcome> {
    let tried = families::metrics().find_map(|metrics| {
        let of_metric = metrics.plan().metrics.first().zip(metrics.tables().first());
        of_metric.map(|(metric, id)| (metrics.plan(), metric, *id))
    });
    let Some((of, metric, id)) = tried else {
        return Err(Refused(format!("`{}` is no metric of this model", file.display())).into());
    };
    let family = all().family(&of.name).unwrap_or(families::SHOP);
    let stdin = Stdin::taken()?;
    let (files, mut whose) = events(given, &stdin)?;
    // What is tried reads them.
    for path in &files {
        whose.entry(path.clone()).or_insert(family);
    }
    // What cannot be read is said before anything else.
    let found = given::whole(config, &files, &whose, &[])?;
    let sources = given::by_family(Vec::new(), found, (Tail::Take, None), &files)?;
    if *case {
        let sample = given.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        say_as_is!("{}", cases::of_sample(config, id, sources, &sample)?.trim_end());
        return Ok(Outcome::of(false));
    }
    explain::metric_said(config, of, metric, &std::fs::read_to_string(file).unwrap_or_default())?;
    say_as_is!("\n{}\n", columns(id.table()));
    let folder = tempfile::Builder::new().prefix("deltamart-").tempdir();
    let folder = folder.context("could not make a folder for what is tried (set TMPDIR to name another place)")?;
    let config = Config { warehouse: folder.path().join("tried.db"), ..config.clone() };
    let stats = Arc::new(Stats::default());
    let began = Instant::now();
    let stop = stop_on_signals()?;
    let mut sink = Sqlite::open(all(), &config.warehouse)?;
    let claim = sink.claim(MadeBy::Run, None)?;
    let (mut options, mut log) = (options(&config, MadeBy::Run), Memory::default());
    // What is tried are the rows of one table.
    options.commit.quality = None;
    let mut sinks: Vec<(Box<dyn Sink>, Claim)> = Vec::new();
    if *deltas {
        // An epoch is one event, and the next waits for its commit: no two are merged.
        (options.epoch_events, options.epochs_in_flight, options.commit.commit_interval) = (1, 1, Duration::ZERO);
        let of_log = log.claim(MadeBy::Run, Some(&claim))?;
        sinks.push((Box::new(log.clone()), of_log));
    }
    sinks.push((Box::new(sink), claim));
    let job = Job {
        sources,
        sinks,
        keep: None,
        options,
        resume: Resume::default(),
        stop: Arc::clone(&stop),
        stats: Arc::clone(&stats),
    };
    engine::run(job).context("the trial ended early")?;
    if stop.load(Acquire) {
        return Err(Refused("the trial was stopped before its end".to_owned()).into());
    }
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed);
    let reasons: Vec<_> = stats.reasons().into_iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    say!(
        "{} in {}: {} late, {} rejected{reasons}",
        count(of(&stats.records), "record"),
        took(began.elapsed()),
        grouped(of(&stats.late)),
        grouped(of(&stats.rejected)),
    );
    if *deltas {
        changes_said(&log, id)?;
    }
    show::show_first(&config, id.name())?;
    say!("deltas: {} upserted, {} deleted", count(of(&stats.upserted), "row"), grouped(of(&stats.deleted)));
    let verified = verify::verify(&config, Some(id.name()))?;
    let outcome = Outcome::of(false)
        .counting(of(&stats.records), of(&stats.rejected), &stats.reasons())
        .with("late", of(&stats.late))
        .with("upserted", of(&stats.upserted))
        .with("deleted", of(&stats.deleted));
    if verified.complaint.is_some() {
        let why = "the rows are not what the SQL says: that is a mistake of deltamart, please report it".to_owned();
        return Ok(outcome.complaining(FAILED, why));
    }
    let model = config.model.join(format!("{}.sql", metric.name));
    match same(&model, file) {
        false if matches!(Folder::of(&config.model), Folder::Shipped(_)) => say_as_is!(
            "nothing was kept; to keep the table, have a copy of the model, and put the file into it:  {} init --model {}",
            program(),
            shell(&config.model)
        ),
        true => say!("nothing was kept; `run` keeps the table, because the file is in the model"),
        false => say_as_is!("nothing was kept; to keep the table:  cp {} {}", shell(file), shell(&model)),
    }
    Ok(outcome)
}

/// What each epoch changed, behind the line that was read last.
fn changes_said(log: &Memory, id: TableId) -> Result<()> {
    let mut before = BTreeMap::<String, i64>::new();
    for Commit { positions, deltas, .. } in &log.contents().log {
        let read = positions.iter().find(|(name, next)| before.get(*name) != Some(*next));
        // The only file of its name has no number.
        let line = |(name, next): (&String, &i64)| format!("{}:{}", name.strip_suffix("/0").unwrap_or(name), next - 1);
        let at = read.map_or("at the end".to_owned(), line);
        for delta in deltas.get(&id).into_iter().flat_map(Deltas::iter) {
            match &*delta {
                Delta::Upsert(row) => say_as_is!("{at}: upsert {}", verify::shown(row)),
                Delta::Delete(key) => say_as_is!("{at}: delete {}", verify::shown(key)),
            }
        }
        before = positions.clone();
    }
    say!("");
    Ok(())
}

fn shell(path: &Path) -> String {
    word(&path.display().to_string())
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}
