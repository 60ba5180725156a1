//! `status --wait-for`: until the warehouse has come to an epoch, or to positions of partitions.

use super::nearest::meant;
use super::{Refused, sinks};
use crate::config::Config;
use crate::recovery::Past;
use crate::sink::Progress;
use crate::state_dir::StateDir;
use crate::store;
use anyhow::{Context, Result, bail};
use dataflows::Time;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// So many partitions are named.
const NAMED: usize = 3;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Epoch(Time),
    /// The next line or offset of a partition.
    Position(String, i64),
}

impl Wanted {
    /// One or several, separated by commas. A name may have a comma in it: what has no `=` goes with what follows.
    fn all(text: &str) -> Result<Vec<Wanted>> {
        let (mut all, mut one) = (Vec::new(), String::new());
        let parts: Vec<_> = text.split(',').collect();
        for (n, part) in parts.iter().enumerate() {
            one.push_str(part);
            if part.contains('=') || n + 1 == parts.len() {
                all.push(Wanted::parse(&one)?);
                one.clear();
            } else {
                one.push(',');
            }
        }
        Ok(all)
    }

    fn parse(text: &str) -> Result<Wanted> {
        let refused = |example: &str| Refused(format!("`--wait-for {text}`: expected {example}"));
        let usual = "an epoch, or a position such as `events.jsonl/0=1000` (`status` lists positions)";
        let Some((partition, next)) = text.rsplit_once('=') else {
            return Ok(Wanted::Epoch(text.parse().map_err(|_| refused(usual))?));
        };
        let next = next.parse().map_err(|_| refused(usual))?;
        let number = partition.rsplit_once('/').filter(|(name, _)| !name.is_empty()).map(|(_, number)| number);
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            let partition = if partition.is_empty() { "events.jsonl" } else { partition };
            return Err(refused(&format!("a position such as `{partition}/0={next}`")).into());
        }
        Ok(Wanted::Position(partition.to_owned(), next))
    }

    fn is_reached(&self, progress: &Progress) -> bool {
        match self {
            Wanted::Epoch(epoch) => progress.epoch >= *epoch,
            Wanted::Position(partition, next) => progress.positions.get(partition).is_some_and(|at| at >= next),
        }
    }
}

/// Waits until the warehouse has come so far: an epoch, or `topic/partition=offset`, or several of these.
///
/// # Errors
/// If it does not in time, or nothing of this name is read.
pub(super) fn wait_for(config: &Config, text: &str, timeout_s: u64) -> Result<()> {
    let wanted = Wanted::all(text)?;
    let (started, mut is_known) = (Instant::now(), false);
    loop {
        let progress = sinks::position(config).context("could not ask how far the warehouse is")?;
        let is_there = |progress: &&Progress| wanted.iter().all(|wanted| wanted.is_reached(progress));
        if let Some(progress) = progress.as_ref().filter(is_there) {
            tracing::debug!("reached at epoch {}", progress.epoch);
            return Ok(());
        }
        if !is_known && wanted.iter().any(|wanted| matches!(wanted, Wanted::Position(..))) {
            let known = known(config, progress.as_ref())?;
            let unread = wanted.iter().find_map(|wanted| match wanted {
                Wanted::Position(partition, _) if !known.contains(partition) => Some(partition),
                Wanted::Position(..) | Wanted::Epoch(_) => None,
            });
            if let Some(partition) = unread.filter(|_| !known.is_empty()) {
                return Err(Refused(unknown(text, partition, &known)).into());
            }
            is_known = !known.is_empty();
        }
        if started.elapsed().as_secs() >= timeout_s {
            bail!("`{}` has not come to {text} within {timeout_s} s (`--timeout`)", config.first_place());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Every partition that the pipeline reads or has read; none before it has begun.
fn known(config: &Config, progress: Option<&Progress>) -> Result<BTreeSet<String>> {
    let mut known: BTreeSet<_> = progress.iter().flat_map(|progress| progress.positions.keys().cloned()).collect();
    let place = config.state_place();
    if store::may_exist(&place)
        && let Some(dir) = StateDir::open_to_read(store::open_to_read(&place)?)?
    {
        let past = Past::read(&dir)?;
        known.extend(past.begins.into_keys().chain(past.identities.into_keys()).chain(past.positions.into_keys()));
    }
    Ok(known)
}

fn unknown(text: &str, partition: &str, known: &BTreeSet<String>) -> String {
    let mut meant = meant(partition, known.iter().map(String::as_str));
    if meant.is_empty() {
        let named: Vec<_> = known.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
        let more = known.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more (`status` lists them)") } else { String::new() };
        meant = format!("; there are {}{more}", named.join(", "));
    }
    format!("`--wait-for {text}`: nothing is read from a partition `{partition}`{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_names_its_partition() {
        let position = |name: &str, next| Wanted::Position(name.to_owned(), next);
        for (text, wanted) in [
            ("17", Wanted::Epoch(17)),
            ("ev.jsonl/0=6", position("ev.jsonl/0", 6)),
            ("a/b=c/1=2", position("a/b=c/1", 2)),
        ] {
            assert_eq!(Wanted::parse(text).expect(text), wanted);
        }
        for (text, said) in [
            ("ev.jsonl=6", "expected a position such as `ev.jsonl/0=6`"),
            ("logs/ev.jsonl=6", "expected a position such as `logs/ev.jsonl/0=6`"),
            ("=6", "such as `events.jsonl/0=6`"),
            ("soon", "expected an epoch, or a position"),
            ("ev.jsonl/0=x", "expected an epoch, or a position"),
        ] {
            let why = Wanted::parse(text).expect_err(text).to_string();
            assert!(why.contains(said), "{text}: {why}");
        }
    }

    #[test]
    fn several_are_separated_by_commas_and_a_name_may_have_one() {
        let position = |name: &str, next| Wanted::Position(name.to_owned(), next);
        for (text, wanted) in [
            ("t/0=5,t/1=7", vec![position("t/0", 5), position("t/1", 7)]),
            ("a,b.jsonl/0=3,t/1=7", vec![position("a,b.jsonl/0", 3), position("t/1", 7)]),
            ("t/1=7,3", vec![position("t/1", 7), Wanted::Epoch(3)]),
        ] {
            assert_eq!(Wanted::all(text).expect(text), wanted);
        }
        for (text, said) in [("t/0=5,", "expected an epoch"), ("t/0=5,u", "expected an epoch")] {
            let why = Wanted::all(text).expect_err(text).to_string();
            assert!(why.contains(said), "{text}: {why}");
        }
    }

    #[test]
    fn an_unknown_partition_is_answered_with_the_nearest_or_all() {
        let known = ["events.jsonl/0", "views.jsonl/0"].map(str::to_owned).into();
        let said = |partition: &str| unknown("x", partition, &known);
        assert!(said("evnts.jsonl/0").ends_with("did you mean `events.jsonl/0`?"), "{}", said("evnts.jsonl/0"));
        assert!(said("zebra/7").ends_with("; there are `events.jsonl/0`, `views.jsonl/0`"), "{}", said("zebra/7"));
    }
}
