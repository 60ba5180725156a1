//! Where rows go: the warehouse, and whatever else is configured, each at its own pace.

use super::waiting::{insist, patiently};
use crate::config::Config;
#[cfg(feature = "snowflake")]
use crate::config::events::Once;
use crate::config::retention::Retention;
use crate::families;
use crate::reconcile::{Differ, reconcile};
use crate::sink::archive::Archive;
use crate::sink::kafka::Kafka;
use crate::sink::parquet::Parquet;
use crate::sink::sqlite::Sqlite;
use crate::sink::{Claim, Progress, Sink, SinkError, Warehouse};
use crate::stats::Stats;
use anyhow::Result;
use std::sync::atomic::AtomicBool;

/// The feed that is configured.
///
/// # Errors
/// If it cannot be made.
pub(super) fn feed(config: &Config) -> Result<Parquet, SinkError> {
    Ok(Parquet::open(families::all(), &config.feed)?.keeping(&config.retention))
}

/// How far the first sink is: the warehouse, or the feed where it is alone. Nothing is made that is not there.
///
/// # Errors
/// If it cannot be asked.
pub(super) fn position(config: &Config) -> Result<Option<Progress>> {
    match config.is_feed_alone() {
        true => Ok(Parquet::open_to_read(families::all(), &config.feed)?.position()?),
        false => Ok(super::open_to_read(config)?.position()?),
    }
}

/// What else is configured.
///
/// # Errors
/// If one cannot be made.
fn others(config: &Config) -> Result<Vec<Box<dyn Warehouse>>, SinkError> {
    let mut sinks: Vec<Box<dyn Warehouse>> = Vec::new();
    if config.feed.is_given() && !config.is_feed_alone() {
        sinks.push(Box::new(feed(config)?));
    }
    if config.publish.is_given() {
        sinks.push(Box::new(Kafka::open(families::all(), config)?));
    }
    if config.snowflake.is_given() {
        sinks.push(snowflake(config)?);
    }
    Ok(sinks)
}

#[cfg(feature = "snowflake")]
fn snowflake(config: &Config) -> Result<Box<dyn Warehouse>, SinkError> {
    let sink = crate::sink::snowflake::Snowflake::open(families::all(), &config.snowflake)?;
    Ok(Box::new(sink.counting_once(config.events.once == Once::Everything)))
}

#[cfg(not(feature = "snowflake"))]
fn snowflake(_: &Config) -> Result<Box<dyn Warehouse>, SinkError> {
    Err(SinkError::Failed(super::schema::WITHOUT_SNOWFLAKE.to_owned()))
}

/// All of them, the warehouse first, or the feed where there is none: what it holds is what the others are brought to.
pub(super) fn all(
    config: &Config,
    first: Box<dyn Warehouse>,
    stop: &AtomicBool,
    stats: &Stats,
) -> Result<Vec<Box<dyn Warehouse>>> {
    let mut sinks = vec![first];
    sinks.extend(others(config)?);
    if config.archive.is_given() {
        sinks.push(Box::new(Archive::open(families::all(), &config.archive)?));
    }
    if config.clean.is_given() {
        sinks.push(Box::new(Archive::open_clean(families::all(), &config.clean)?));
    }
    for sink in &mut sinks[1..] {
        // One that is unavailable is waited for before anything is claimed.
        insist(stop, stats, |error| matches!(error, SinkError::Unavailable(_)), || sink.position())?;
    }
    Ok(sinks)
}

/// Brings the others to where a warehouse is that was computed as a whole, under the same claim.
pub(super) fn bring(config: &Config, warehouse: &mut Sqlite, claim: &Claim) -> Result<()> {
    let Some(progress) = warehouse.position()? else { return Ok(()) };
    // What a batch wrote stays, there as here.
    let config = Config { retention: Retention::default(), ..config.clone() };
    for mut sink in others(&config)? {
        let claim = patiently(|| sink.claim(progress.made_by, Some(claim)))?;
        if sink.position()?.is_none_or(|found| found.epoch < progress.epoch) {
            patiently(|| reconcile(warehouse, &mut *sink, &claim, Differ::InAnything, |_| progress.epoch))?;
        }
    }
    Ok(())
}

/// How far each of the others is, by name; or why it cannot be asked. Nothing is made that is not there.
pub(super) fn positions(config: &Config) -> Vec<(String, Result<Option<Progress>, SinkError>)> {
    let ask = |name: &str, sink: Result<Box<dyn Warehouse>, SinkError>| match sink {
        Ok(mut sink) => (sink.name(), sink.position()),
        Err(error) => (name.to_owned(), Err(error)),
    };
    let mut positions = Vec::new();
    if config.feed.is_given() {
        let feed =
            Parquet::open_to_read(families::all(), &config.feed).map(|feed| -> Box<dyn Warehouse> { Box::new(feed) });
        positions.push(ask("feed", feed));
    }
    if config.publish.is_given() {
        positions.push(ask(
            "publish",
            Kafka::open(families::all(), config).map(|kafka| -> Box<dyn Warehouse> { Box::new(kafka) }),
        ));
    }
    if config.snowflake.is_given() {
        positions.push(ask("snowflake", snowflake(config)));
    }
    if config.archive.is_given() {
        let archive = Archive::open_to_read(families::all(), &config.archive);
        positions.push(ask("archive", archive.map(|archive| -> Box<dyn Warehouse> { Box::new(archive) })));
    }
    if config.clean.is_given() {
        let clean = Archive::open_clean_to_read(families::all(), &config.clean);
        positions.push(ask("clean events", clean.map(|clean| -> Box<dyn Warehouse> { Box::new(clean) })));
    }
    positions
}
