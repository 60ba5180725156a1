//! Where rows go: the warehouse, and whatever else is configured, each at its own pace.

use super::inputs::insist;
use crate::config::Config;
use crate::sink::kafka::Kafka;
use crate::sink::parquet::Parquet;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Progress, SinkError, Warehouse};
use anyhow::Result;
use std::sync::atomic::AtomicBool;

/// What else is configured.
///
/// # Errors
/// If one cannot be made.
fn others(config: &Config) -> Result<Vec<Box<dyn Warehouse>>, SinkError> {
    let mut sinks: Vec<Box<dyn Warehouse>> = Vec::new();
    if config.feed.is_given() {
        sinks.push(Box::new(Parquet::open(&config.feed)?));
    }
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

/// How far each of the others is, by name; or why it cannot be asked. Nothing is made that is not there.
pub(super) fn positions(config: &Config) -> Vec<(String, Result<Option<Progress>, SinkError>)> {
    let ask = |name: &str, sink: Result<Box<dyn Warehouse>, SinkError>| match sink {
        Ok(mut sink) => (sink.name(), sink.position()),
        Err(error) => (name.to_owned(), Err(error)),
    };
    let mut positions = Vec::new();
    if config.feed.is_given() {
        let feed = Parquet::open_to_read(&config.feed).map(|feed| -> Box<dyn Warehouse> { Box::new(feed) });
        positions.push(ask("feed", feed));
    }
    if config.publish.is_given() {
        positions.push(ask("publish", Kafka::open(config).map(|kafka| -> Box<dyn Warehouse> { Box::new(kafka) })));
    }
    positions
}
