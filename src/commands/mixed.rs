//! A warehouse goes on with what it was made from.

use super::Refused;
use super::named::Named;
use super::refusals::refused_or_failed;
use crate::config::Config;
use crate::simulate::is_simulated;
use crate::sink::sqlite::Sqlite;
use crate::sink::{MadeBy, Sink};
use crate::state_dir::StateDir;
use crate::store;
use anyhow::{Context, Result};

/// Whether the simulated shop is read.
pub(super) fn simulates(config: &Config, named: &Named) -> bool {
    named.files.is_empty() && named.watched.is_none() && !config.kafka.is_given()
}

/// A warehouse goes on with what it was made from; what is simulated is mixed with nothing.
pub(super) fn refuse_what_another_made(config: &Config, named: &Named, sink: &mut Sqlite) -> Result<()> {
    let Some(found) = sink.position()?.filter(|found| found.epoch > 0) else { return Ok(()) };
    let simulates = simulates(config, named);
    let (path, program, epoch) = (config.warehouse.display(), super::text::program(), found.epoch);
    let why = match found.made_by {
        MadeBy::Batch => format!(
            "warehouse `{path}` was made by `batch` (epoch {epoch}): it has no state to go on from.\n\
             Name another file:     {program} --warehouse next.db ...\n\
             or recompute files:    {program} batch FILES --catalog FILE  (into the same warehouse)",
        ),
        MadeBy::Run | MadeBy::Simulator => {
            let was_simulated = found.made_by == MadeBy::Simulator || state_is_simulated(config)?;
            match (simulates, was_simulated) {
                (true, false) => format!(
                    "nothing to read is given, and warehouse `{path}` (epoch {epoch}) holds what was read from {}: \
                     nothing is simulated into it.\n\
                     Give what it reads:     {program} run FILES --catalog FILE --warehouse {path}\n\
                     or, if that is Kafka:   {program} run --brokers HOST:PORT --warehouse {path}\n\
                     or simulate elsewhere:  {program} --warehouse simulated.db",
                    sources(&found),
                ),
                (false, true) => format!(
                    "warehouse `{path}` (epoch {epoch}) was made by the simulated shop: nothing real is mixed with that.\n\
                     Name another file:   {program} run ... --warehouse next.db\n\
                     or go on simulating: {program} --warehouse {path}",
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
