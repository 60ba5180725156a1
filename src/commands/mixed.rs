//! A warehouse goes on with what it was made from.

use super::Refused;
use super::named::Named;
use super::refusals::refused_or_failed;
use super::text::at;
use crate::config::Config;
use crate::simulate::is_simulated;
use crate::sink::{MadeBy, Warehouse};
use crate::state_dir::StateDir;
use crate::store;
use anyhow::{Context, Result};

/// Whether the simulated shop is read.
pub(super) fn simulates(config: &Config, named: &Named) -> bool {
    named.files.is_empty() && named.watched.is_none() && !config.kafka.is_given()
}

/// A warehouse goes on with what it was made from; what is simulated is mixed with nothing.
pub(super) fn refuse_what_another_made(config: &Config, named: &Named, sink: &mut dyn Warehouse) -> Result<()> {
    let Some(found) = sink.position()?.filter(|found| found.epoch > 0) else { return Ok(()) };
    let simulates = simulates(config, named);
    let (path, program, epoch) = (config.first_place(), super::text::program(), found.epoch);
    let what = if config.is_feed_alone() { "feed" } else { "warehouse" };
    let here = if config.is_feed_alone() { at(config) } else { format!(" --warehouse {path}") };
    let (there, simulated) = match config.is_feed_alone() {
        true => ("--set feed.path=next", "--set feed.path=simulated"),
        false => ("--warehouse next.db", "--warehouse simulated.db"),
    };
    let why = match found.made_by {
        MadeBy::Batch => format!(
            "{what} `{path}` was made by `batch` (epoch {epoch}): it has no state to go on from.\n\
             Name another:          {program} {there} ...\n\
             or recompute files:    {program} batch FILES --catalog FILE  (into the same warehouse)",
        ),
        MadeBy::Run | MadeBy::Simulator => {
            let was_simulated = found.made_by == MadeBy::Simulator || state_is_simulated(config)?;
            match (simulates, was_simulated) {
                (true, false) => format!(
                    "nothing to read is given, and {what} `{path}` (epoch {epoch}) holds what was read from {}: \
                     nothing is simulated into it.\n\
                     Give what it reads:     {program} run FILES --catalog FILE{here}\n\
                     or, if that is Kafka:   {program} run --brokers HOST:PORT{here}\n\
                     or simulate elsewhere:  {program} {simulated}",
                    sources(&found),
                ),
                (false, true) => format!(
                    "{what} `{path}` (epoch {epoch}) was made by the simulated shop: nothing real is mixed with that.\n\
                     Name another:        {program} run ... {there}\n\
                     or go on simulating: {program}{here}",
                ),
                _ => return Ok(()),
            }
        }
    };
    Err(Refused(why).into())
}

/// Some of what a warehouse was read from.
fn sources(found: &crate::sink::Progress) -> String {
    const SHOWN: usize = 3;
    let named: Vec<_> = found.positions.keys().take(SHOWN).map(|partition| format!("`{partition}`")).collect();
    let more = found.positions.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// Whether the last start was one of the simulated shop: of warehouses that do not say so themselves, since an earlier
/// version made them.
fn state_is_simulated(config: &Config) -> Result<bool> {
    let place = config.state_place();
    let store = store::open(&place).with_context(|| format!("could not open the state (`state_dir`) `{place}`"))?;
    let last = StateDir::open_to_read(store).and_then(|dir| match dir {
        Some(dir) => match dir.last_generation()? {
            0 => Ok(None),
            last => dir.generation(last).map(Some),
        },
        None => Ok(None),
    });
    let last = last.map_err(|error| refused_or_failed(error.into()))?;
    Ok(last.is_some_and(|last| last.identities.values().any(|identity| is_simulated(identity))))
}
