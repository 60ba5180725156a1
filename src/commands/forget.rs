//! `forget`: a user leaves every table, feed and topic we write, and the state.

use super::beside::Beside;
use super::inputs::refused;
use super::outcome::Outcome;
use super::run::refused_or_failed;
use super::state::{AtRest, state_that_is_at_rest};
use super::text::{count, grouped};
use super::{open_to_read, open_warehouse, sinks};
use crate::config::Config;
use crate::config::kafka::Format;
use crate::config::retention::Retention;
use crate::families::{self, all};
use crate::forget::{Forgotten, Named, Payloads, forget as forget_user, forget_in_sinks};
use crate::instant;
use crate::kafka::registry::Registry;
use crate::kafka::registry::clock::Clock;
use crate::recovery::StartError;
use crate::sink::{MadeBy, Sink};
use crate::stats::Stats;
use anyhow::{Context, Result};
use dataflows::declared::plan::Type;
use dataflows::table::TableId;
use std::sync::atomic::AtomicBool;

/// Whose source may bring a user back.
const AGAIN: &str = "`run --rebuild`, `batch`, `replay-rejected`";

pub(super) fn forget(config: &Config, user: u64) -> Result<Outcome> {
    let path = config.warehouse.display();
    let found = open_to_read(config)?.position()?.with_context(|| format!("no pipeline has claimed `{path}`"))?;
    // Before anything is claimed.
    let dir = match found.made_by {
        MadeBy::Run | MadeBy::Simulator => Some(state_that_is_at_rest(config)?),
        MadeBy::Batch => None,
    };
    let registry = match config.kafka.is_given() && config.kafka.format == Format::Avro {
        true => {
            let state = dir.as_ref().map(|at_rest| &at_rest.dir);
            let registry = Registry::with(&config.registry, state, false, Clock::default()).map_err(refused)?;
            registry.check().map_err(refused)?;
            Some(registry)
        }
        false => None,
    };
    let payloads = Payloads::new(registry);
    let named = Named { user, payloads: &payloads };
    let keeps = match found.made_by {
        MadeBy::Run | MadeBy::Simulator => config.retention.clone(),
        // What a batch wrote stays, wherever.
        MadeBy::Batch => Retention::default(),
    };
    let kept = Config { retention: keeps, ..config.clone() };
    let mut sinks = sinks::all(&kept, open_warehouse(config)?, &AtomicBool::new(true), &Stats::default())?;
    let forgotten = match &dir {
        Some(AtRest { dir, .. }) => {
            forget_user(all(), dir, &mut sinks, &named, instant::now(), config.workers.clamp(1, 8))
        }
        None => forget_in_sinks(&mut sinks, &named, instant::now()).map_err(StartError::Sink),
    };
    let forgotten = forgotten.map_err(refused_or_failed)?;
    // What was computed beside it, and left by a kill.
    drop(Beside::new(&config.warehouse, forgotten.generation));
    say_what_was_done(user, &forgotten)?;
    say_what_is_left(config, &forgotten)?;
    let rows: u64 = forgotten.rows.iter().flat_map(|(_, tables)| tables.values()).sum();
    let outcome = Outcome::of(rows + forgotten.records > 0).with("rows", rows).with("state_records", forgotten.records);
    Ok(outcome.with("epoch", forgotten.epoch))
}

fn say_what_was_done(user: u64, forgotten: &Forgotten) -> Result<()> {
    if forgotten.records == 0 && forgotten.rows.iter().all(|(_, tables)| tables.values().sum::<u64>() == 0) {
        say!("no row names user {user}; nothing was removed");
        return Ok(());
    }
    say!("user {user} is forgotten, as of epoch {}", forgotten.epoch);
    for (sink, tables) in &forgotten.rows {
        let of_table = |(id, rows): (&TableId, &u64)| format!("{} {}", id.table().name, grouped(*rows));
        let tables: Vec<_> = tables.iter().map(of_table).collect();
        let tables = if tables.is_empty() { "no row named the user".to_owned() } else { tables.join(", ") };
        say!("  {sink}: {tables}");
    }
    match forgotten.records {
        1 => say!("  state: 1 record no longer names a user"),
        more => say!("  state: {} records no longer name a user", grouped(more)),
    }
    Ok(())
}

fn say_what_is_left(config: &Config, forgotten: &Forgotten) -> Result<()> {
    say!("what may still hold the user:");
    for left in &forgotten.left {
        say!("  {left}");
    }
    for plan in families::declared().iter().map(|loaded| loaded.family.plan()) {
        // Nobody is to believe that a text was looked for.
        if plan.person.is_some_and(|person| plan.columns[person].ty == Type::Text) {
            say!("  `{}` and what is computed of it: its persons are texts, and only numbers are found", plan.name);
        }
    }
    if forgotten.unread > 0 {
        say!("  `rejected_events`: {} whose user is unknown", count(forgotten.unread, "record"));
    }
    if config.kafka.is_given() {
        let topics: Vec<_> = config.kafka.topics().into_iter().map(|(_, name)| name).collect();
        say!("  Kafka at {}: what was sent, until its retention: {}", config.kafka.brokers, topics.join(", "));
    }
    say!("  files that were read, and copies of anything; {AGAIN} take from them what they find");
    Ok(())
}
