//! Tables that changed, as a start says what becomes of them.

use super::run::superseded;
use super::text::{count, grouped};
use super::waiting::insist;
use crate::change::{self, Asked, Changed, Done};
use crate::instant;
use crate::recovery::StartError;
use crate::sink::{SinkError, Warehouse};
use crate::state_dir::StateDir;
use crate::stats::Stats;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Computes tables that are new or mean something else of the raw rows. What is away is waited for.
pub(super) fn publish(
    dir: &StateDir,
    sinks: &mut [Box<dyn Warehouse>],
    asked: &Asked<'_>,
    (signalled, stats): (&AtomicBool, &Arc<Stats>),
) -> Result<()> {
    let names: Vec<_> = asked.tables.iter().map(|table| format!("`{}`", table.name())).collect();
    let are = if names.len() == 1 { "is" } else { "are" };
    tracing::info!("{} {are} new or computed otherwise than before: computing of the raw rows", names.join(", "));
    let held = |error: &StartError| matches!(error, StartError::Sink(SinkError::Unavailable(_)));
    let done = insist(signalled, stats, held, || change::publish(dir, sinks, asked));
    let Done { epoch, tables } = done.map_err(|error| superseded(dir, error))?;
    for changed in tables {
        say!("{}", said(&changed, epoch));
    }
    Ok(())
}

fn said(Changed { table, read, since, rows, written }: &Changed, epoch: u64) -> String {
    let (name, rows, read) = (table.name(), count(*rows as u64, "row"), count(*read, "raw row"));
    let since = since.map_or(String::new(), |since| format!(", whole from {} on", instant::show(since)));
    let of_sink = |(sink, written, deleted): &(String, usize, usize)| {
        let deleted = if *deleted > 0 { format!(", {} deleted", grouped(*deleted as u64)) } else { String::new() };
        format!("{sink}: {} written{deleted}", grouped(*written as u64))
    };
    let written: Vec<_> = written.iter().map(of_sink).collect();
    format!("{name}: {rows} computed of {read}{since}, at epoch {epoch}; {}", written.join("; "))
}
