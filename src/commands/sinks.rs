//! Where rows go: the warehouse, and whatever else is configured, each at its own pace.

use super::inputs::insist;
use crate::config::Config;
use crate::sink::kafka::Kafka;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Progress, SinkError, Warehouse};
use anyhow::Result;
use std::sync::atomic::AtomicBool;

/// What else is configured.
///
/// # Errors
/// If one cannot be made.
pub(super) fn others(config: &Config) -> Result<Vec<Box<dyn Warehouse>>, SinkError> {
    let mut sinks: Vec<Box<dyn Warehouse>> = Vec::new();
    if config.publish.is_given() {
        sinks.push(Box::new(Kafka::open(config)?));
    }
    Ok(sinks)
}

/// All of them, the warehouse first: what it holds is what the others are brought to.
pub(super) fn all(config: &Config, warehouse: Sqlite, stop: &AtomicBool) -> Result<Vec<Box<dyn Warehouse>>> {
    let mut sinks: Vec<Box<dyn Warehouse>> = vec![Box::new(warehouse)];
    sinks.extend(others(config)?);
    for sink in &mut sinks[1..] {
        // One that is away is waited for before anything is claimed.
        insist(stop, |error| matches!(error, SinkError::Unavailable(_)), || sink.position())?;
    }
    Ok(sinks)
}

/// How far each of the others is, by name; or why it cannot be asked.
pub(super) fn positions(config: &Config) -> Vec<(String, Result<Option<Progress>, SinkError>)> {
    match others(config) {
        Ok(sinks) => sinks.into_iter().map(|mut sink| (sink.name(), sink.position())).collect(),
        Err(error) => vec![("sinks".to_owned(), Err(error))],
    }
}
