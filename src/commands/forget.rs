//! `forget`: a user leaves every table, feed and topic we write, and the state.

use super::beside::Beside;
use super::inputs::refused;
use super::nearest::meant;
use super::outcome::Outcome;
use super::refusals::refused_or_failed;
use super::state::{AtRest, state_that_is_at_rest};
use super::text::{count, grouped};
use super::{Refused, open_warehouse, sinks};
use crate::cli::ForgetArgs;
use crate::config::Config;
use crate::config::kafka::Format;
use crate::config::retention::Retention;
use crate::families::{self, all};
use crate::forget::{Forgotten, Named, Payloads, Sought, Touched, forget as forget_user, forget_in_sinks, sought};
use crate::instant;
use crate::kafka::registry::Registry;
use crate::kafka::registry::clock::Clock;
use crate::model::load::Loaded;
use crate::recovery::StartError;
use crate::sink::{MadeBy, Warehouse};
use crate::stats::Stats;
use anyhow::{Context, Result};
use dataflows::family::Family;
use dataflows::table::{Role, TableId};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

/// Whose source may bring a user back.
const AGAIN: &str = "`run --rebuild`, `batch`, `replay-rejected`";

pub(super) fn forget(config: &Config, arguments: &ForgetArgs) -> Result<Outcome> {
    let ForgetArgs { user, family, delete_raw } = arguments;
    let sought = whom(user, family.as_deref())?;
    let path = config.first_place();
    let found = sinks::position(config)?.with_context(|| format!("no pipeline has claimed `{path}`"))?;
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
    let topics = if config.kafka.is_given() { config.kafka.topics() } else { Vec::new() };
    let carries = topics.into_iter().map(|(place, topic)| (topic, families::topics()[place].family));
    let named = Named::new(all(), &sought, &payloads).carried(carries.collect()).deleting_raw(*delete_raw);
    let keeps = match found.made_by {
        MadeBy::Run | MadeBy::Simulator => config.retention.clone(),
        // What a batch wrote stays, wherever.
        MadeBy::Batch => Retention::default(),
    };
    let kept = Config { retention: keeps, ..config.clone() };
    let first: Box<dyn Warehouse> = match config.is_feed_alone() {
        true => Box::new(sinks::feed(&kept)?),
        false => Box::new(open_warehouse(config)?),
    };
    let mut sinks = sinks::all(&kept, first, &AtomicBool::new(true), &Stats::default())?;
    let forgotten = match &dir {
        Some(AtRest { dir, .. }) => {
            forget_user(all(), dir, &mut sinks, &named, instant::now(), config.workers.clamp(1, 8))
        }
        None => forget_in_sinks(&mut sinks, &named, instant::now()).map_err(StartError::Sink),
    };
    let forgotten = forgotten.map_err(refused_or_failed)?;
    // What was computed beside it, and left by a kill.
    if !config.is_feed_alone() {
        drop(Beside::new(&config.warehouse, forgotten.generation));
    }
    say_what_was_done(user, &sought, &forgotten)?;
    say_what_is_left(config, &named, &forgotten)?;
    let touched = || forgotten.rows.iter().flat_map(|(_, tables)| tables.values());
    let (renamed, removed) = (touched().map(|of| of.renamed).sum::<u64>(), touched().map(|of| of.removed).sum::<u64>());
    let outcome = Outcome::of(renamed + removed + forgotten.records > 0).with("rows", removed).with("renamed", renamed);
    Ok(outcome.with("state_records", forgotten.records).with("epoch", forgotten.epoch))
}

/// Whom the id names: in each family in which it can name somebody, or in one.
fn whom(user: &str, family: Option<&str>) -> Result<Vec<Sought>> {
    let named = |name: &str| {
        let names = || all().families().iter().map(|family| family.name());
        let there_are = names().collect::<Vec<_>>().join(", ");
        let unknown = || Refused(format!("there is no family `{name}`{}; there are {there_are}", meant(name, names())));
        all().family(name).ok_or_else(unknown)
    };
    let only = family.map(named).transpose()?;
    let found = sought(all(), user, only);
    if found.iter().any(|sought| sought.person.is_nobody()) {
        let why = format!("`{user}` is what somebody is called who was forgotten already");
        return Err(Refused(why).into());
    }
    if found.is_empty() {
        let of = family.map_or("any family".to_owned(), |name| format!("family `{name}`"));
        let why = format!("no event of {of} can be of user `{user}`: the ids are whole numbers, or there are none");
        return Err(Refused(why).into());
    }
    Ok(found)
}

fn say_what_was_done(user: &str, sought: &[Sought], forgotten: &Forgotten) -> Result<()> {
    let is_untouched = forgotten.rows.iter().all(|(_, tables)| tables.is_empty());
    if forgotten.records == 0 && is_untouched {
        say!("no row names user {user}; nothing was removed");
        return Ok(());
    }
    say!("user {user} is forgotten, as of epoch {}", forgotten.epoch);
    for (sink, tables) in &forgotten.rows {
        say!("  {sink}");
        let families = sought.iter().map(|sought| (sought.family.name(), Some(sought.family)));
        for (name, family) in families.chain([("records as they came", None)]) {
            let of_family = tables.iter().filter(|(id, _)| all().family_of(**id) == family);
            let said: Vec<_> = of_family.map(|(id, touched)| in_words(*id, *touched)).collect();
            match family {
                Some(_) if said.is_empty() => say!("    {name}: no row named the user"),
                None if said.is_empty() => {}
                Some(_) | None => say!("    {name}: {}", said.join(", ")),
            }
        }
    }
    match forgotten.records {
        1 => say!("  state: 1 record no longer names a user"),
        more => say!("  state: {} records no longer name a user", grouped(more)),
    }
    Ok(())
}

/// What became of the rows of a table.
fn in_words(id: TableId, Touched { renamed, removed }: Touched) -> String {
    let kept = if matches!(id.table().role, Role::Late { .. }) { "emptied" } else { "of nobody now" };
    let parts = [(renamed, kept), (removed, "removed")].into_iter().filter(|(rows, _)| *rows > 0);
    let parts: Vec<_> = parts.map(|(rows, what)| format!("{} {what}", grouped(rows))).collect();
    format!("{} {}", id.name(), parts.join(" and "))
}

fn say_what_is_left(config: &Config, named: &Named<'_>, forgotten: &Forgotten) -> Result<()> {
    let deleted = forgotten
        .rows
        .iter()
        .flat_map(|(_, tables)| tables)
        .filter(|(id, touched)| matches!(id.table().role, Role::Raw { .. }) && touched.removed > 0);
    let deleted: BTreeSet<_> = deleted.map(|(id, _)| id.name()).collect();
    if !deleted.is_empty() {
        let tables = deleted.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        say!("rows of {tables} were deleted: what was computed of them cannot be verified or computed again");
    }
    say!("what may still hold the user:");
    for left in &forgotten.left {
        say!("  {left}");
    }
    for Loaded { family, .. } in families::declared() {
        let is_asked = named.sought().iter().any(|sought| sought.family.name() == family.name());
        if is_asked && family.plan().once.is_some() && !config.raw {
            say!(
                "  the state of `{}`: the hashes of events that count once, until `lateness` has passed",
                family.name()
            );
        }
    }
    if forgotten.unread > 0 {
        say!("  `rejected_events` and `late_events`: {} whose user is unknown", count(forgotten.unread, "record"));
    }
    if config.kafka.is_given() {
        let topics: Vec<_> = config.kafka.topics().into_iter().map(|(_, name)| name).collect();
        say!("  Kafka at {}: what was sent, until its retention: {}", config.kafka.brokers, topics.join(", "));
    }
    say!("  files that were read, and copies of anything; {AGAIN} take from them what they find");
    Ok(())
}
