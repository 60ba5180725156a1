//! `try`: a metric over some files, in a place that is gone when it ends: nothing is installed.

use super::meaning::columns;
use super::outcome::{FAILED, Outcome};
use super::paths::{Stdin, events};
use super::text::{count, grouped, took, word};
use super::{Refused, explain, given, options, show, stop_on_signals, verify};
use crate::config::Config;
use crate::engine::{self, Job, Resume};
use crate::families::{self, all};
use crate::sink::sqlite::Sqlite;
use crate::sink::{MadeBy, Sink};
use crate::source::content::Tail;
use crate::stats::Stats;
use anyhow::{Context, Result};
use dataflows::family::FamilyId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Instant;

/// What a trial takes of the name of its file.
pub(super) fn name_of(file: &Path) -> Result<String, Refused> {
    let name = file.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Refused(format!("`{}` is not the name of a file of SQL", file.display())))
}

pub(super) fn trial(config: &Config, file: &Path, given: &[PathBuf]) -> Result<Outcome> {
    let tried = families::declared().iter().find_map(|loaded| {
        let of_metric = loaded.family.plan().metrics.first().zip(loaded.family.tables().first());
        of_metric.map(|(metric, id)| (loaded, metric, *id))
    });
    let Some((loaded, metric, id)) = tried else {
        return Err(Refused(format!("`{}` is no metric of this model", file.display())).into());
    };
    let stdin = Stdin::taken()?;
    let (files, mut whose) = events(given, &stdin)?;
    // What is tried reads them.
    for path in &files {
        whose.entry(path.clone()).or_insert(FamilyId(loaded.family));
    }
    // What cannot be read is said before anything else.
    let found = given::whole(config, &files, &whose, &[])?;
    let sources = given::by_family(Vec::new(), found, Tail::Take, &files)?;
    explain::metric_said(config, loaded, metric, file)?;
    say_as_is!("\n{}\n", columns(id.table()));
    let folder = tempfile::Builder::new().prefix("deltamart-").tempdir();
    let folder = folder.context("could not make a folder for what is tried (set TMPDIR to name another place)")?;
    let config = Config { warehouse: folder.path().join("tried.db"), ..config.clone() };
    let stats = Arc::new(Stats::default());
    let began = Instant::now();
    let stop = stop_on_signals()?;
    let mut sink = Sqlite::open(all(), &config.warehouse)?;
    let claim = sink.claim(MadeBy::Run, None)?;
    let job = Job {
        sources,
        sinks: vec![(Box::new(sink), claim)],
        keep: None,
        options: options(&config, MadeBy::Run),
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
        true => say!("nothing was kept; `run` keeps the table, because the file is in the model"),
        false => say_as_is!("nothing was kept; to keep the table:  cp {} {}", shell(file), shell(&model)),
    }
    Ok(outcome)
}

fn shell(path: &Path) -> String {
    word(&path.display().to_string())
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}
