//! Tables that changed, as a start says what becomes of them.

use super::refusals::superseded;
use super::text::{count, grouped};
use super::waiting::insist;
use crate::change::raw::Told;
use crate::change::{self, Asked, Changed, Done, Written};
use crate::instant;
use crate::recovery::StartError;
use crate::sink::{SinkError, Warehouse};
use crate::state_dir::obstacle::Obstacle;
use crate::state_dir::{StateDir, StateError};
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
    // What was away was away after it was written down: the next start finds out for whom.
    let (mut attempts, mut was_away) = (0, false);
    let held = |error: &StartError| matches!(error, StartError::Sink(SinkError::Unavailable(_)));
    let done = insist(signalled, stats, held, || {
        attempts += 1;
        match change::publish(dir, sinks, asked) {
            Err(StartError::State(StateError::Refused { why: Obstacle::NotAtRest(_), .. })) if attempts > 1 => {
                was_away = true;
                Ok(None)
            }
            done => done,
        }
    });
    let Some(Done { epoch, tables }) = done.map_err(|error| superseded(dir, error))? else {
        if !was_away {
            tracing::info!("stopped before anything was written of them");
        }
        return Ok(());
    };
    for changed in tables {
        say!("{}", said(&changed, epoch));
    }
    Ok(())
}

fn said(Changed { table, read, told, rows, written }: &Changed, epoch: u64) -> String {
    let (name, rows, read) = (table.name(), count(*rows as u64, "row"), count(*read, "raw row"));
    let told = match told {
        Told::Whole => String::new(),
        Told::Since(since) => format!(", whole from {} on", instant::show(*since)),
        Told::Kept => ", of what is kept".to_owned(),
    };
    let of_sink = |Written { sink, rows, deleted, is_anew }: &Written| {
        let deleted = if *deleted > 0 { format!(", {} deleted", grouped(*deleted as u64)) } else { String::new() };
        let anew = if *is_anew { " in a new table" } else { "" };
        format!("{sink}: {} written{anew}{deleted}", grouped(*rows as u64))
    };
    let written: Vec<_> = written.iter().map(of_sink).collect();
    format!("{name}: {rows} computed of {read}{told}, at epoch {epoch}; {}", written.join("; "))
}
