//! The state of a warehouse's pipeline: at rest, and what the last run had in memory.

use super::Refused;
use super::beat::Heartbeat;
use super::second::{Entered, enter};
use crate::config::Config;
use crate::state_dir::StateDir;
use crate::store;
use anyhow::Result;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// The state of a pipeline that nobody runs now, nor can begin to run until this is dropped.
pub(super) struct AtRest {
    pub dir: StateDir,
    _entered: Entered,
}

/// The state of a pipeline that nobody runs now.
///
/// # Errors
/// If there is none, or somebody does.
pub(super) fn state_that_is_at_rest(config: &Config) -> Result<AtRest> {
    let place = config.state_place();
    let none = || Refused(format!("there is no state in `{place}`; name it (`state_dir`)"));
    StateDir::open_to_read(store::open_to_read(&place)?)?.ok_or_else(none)?;
    let dir = StateDir::open_to_read(store::open(&place)?)?.ok_or_else(none)?;
    let entered = enter(&dir, config, &AtomicBool::new(false))?;
    Ok(AtRest { dir, _entered: entered })
}

/// How many records each operator of the last run had in memory, when it was last heard of; nothing if no state can say it.
pub(super) fn last_heard_of_all(config: &Config) -> Option<BTreeMap<String, usize>> {
    let dir = StateDir::open_to_read(store::open_to_read(&config.state_place()).ok()?).ok()??;
    Some(dir.heartbeat::<Heartbeat>().ok()??.live)
}

/// How many of them one had.
pub(super) fn last_heard(config: &Config, name: &str) -> Option<usize> {
    last_heard_of_all(config)?.get(name).copied()
}
