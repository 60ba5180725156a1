//! `check`: the configuration, and whether everything that it names answers, and lets us.

use super::{cases, explain, inputs, left, second, sinks, text};
use crate::config::kafka::Format;
use crate::config::written::COLUMNS;
use crate::config::{Config, Loaded};
use crate::families::all;
use crate::instant::span;
use crate::kafka::cluster::{Cluster, KnownPartitions};
use crate::kafka::registry::Registry;
use crate::kafka::rights;
use crate::model::shipped::Folder;
use crate::sink::Sink;
use crate::sink::kafka::Kafka;
use crate::sink::sqlite::{Sqlite, open_to_others};
use anyhow::Result;

/// Whether this user may publish.
fn check_publish(config: &Config) -> Result<()> {
    let kafka = Kafka::open(all(), config)?;
    let (is_alone, id) = (!second::may_be_under_way(config)?, kafka.transactional_id());
    kafka.check_rights(is_alone)?;
    let prefix = &config.publish.prefix;
    match is_alone {
        true => say!("# publish: this user may write topics `{prefix}*`, in transactions as `{id}`"),
        false => say!(
            "# publish: this user may write topics `{prefix}*`; whether in transactions as `{id}` is not tried, since \
             that would end those of the active run"
        ),
    }
    Ok(())
}

/// Whether brokers and registry answer, what there is to read, and whether this user may.
fn check_kafka(config: &Config) -> Result<()> {
    let cluster = Cluster::look(&config.kafka, &KnownPartitions::default()).map_err(inputs::refused)?;
    let records: i64 = cluster.partitions.iter().map(|found| found.high - found.low).sum();
    let (brokers, partitions) = (&config.kafka.brokers, cluster.partitions.len());
    let (partitions, records) = (text::count(partitions as u64, "partition"), text::count(records as u64, "record"));
    say!("# Kafka at {brokers}: {partitions}, about {records}");
    if !cluster.missing.is_empty() {
        say!("# Kafka has no topic {}", cluster.missing.join(", "));
    }
    let is_empty = |topic: &str| cluster.partitions.iter().all(|found| found.topic != topic || found.low == found.high);
    // Of the others a record was just read.
    let topics = cluster.partitions.iter().map(|found| found.topic.as_str()).filter(|topic| is_empty(topic)).collect();
    let unreadable = rights::unreadable(&config.kafka, &topics).map_err(inputs::refused)?;
    if !unreadable.is_empty() {
        return Err(inputs::refused(rights::may_not_read(&config.kafka, &unreadable)));
    }
    if let Some(why) = rights::group(&config.kafka, &cluster.partitions).map_err(inputs::refused)? {
        say!("# Kafka at {brokers}: {why}");
    }
    if config.kafka.format == Format::Avro {
        Registry::open(&config.registry).and_then(|registry| registry.check()).map_err(inputs::refused)?;
        say!("# registry {}: answers", config.registry.url);
    }
    Ok(())
}

/// How many cases the model has, and which belong to no metric.
fn check_cases(config: &Config) -> Result<()> {
    let found = cases::found(Folder::of(&config.model))?;
    let (of_metrics, others): (Vec<_>, Vec<_>) =
        found.iter().partition(|found| all().metrics().iter().any(|(id, _)| id.name() == found.of));
    if !of_metrics.is_empty() {
        say!("# model `{}`: {}", config.model.display(), text::count(of_metrics.len() as u64, "case"));
    }
    for found in others {
        say!("# case {}", cases::belongs_to_none(&found.path, &found.of));
    }
    Ok(())
}

pub(super) fn check(loaded: &Loaded, all_settings: bool) -> Result<()> {
    let config = &loaded.config;
    let columns = terminal_size::terminal_size().map_or(COLUMNS, |(width, _)| width.0.into());
    say!("{}", loaded.explained(columns, all_settings).trim_end());
    if !all_settings {
        say!("# every other setting has its default: `deltamart check --all` prints all of them");
    }
    explain::model(config)?;
    check_cases(config)?;
    for (name, position) in sinks::positions(config) {
        match position? {
            None => say!("# {name}: answers; nobody has written to it yet"),
            Some(progress) => say!(
                "# {name}: made by `{}`, start {}, epoch {}",
                progress.made_by.name(),
                progress.generation,
                progress.epoch
            ),
        }
    }
    let path = config.warehouse.display();
    if config.is_feed_alone() {
        say!("# warehouse: none, the feed is what a run goes on from");
    } else if !config.warehouse.exists() {
        say!("# warehouse `{path}`: will be made by the first run");
    } else {
        match Sqlite::open_to_read(all(), &config.warehouse)?.position()? {
            None => say!("# warehouse `{path}`: a SQLite file that no pipeline has claimed yet"),
            Some(progress) => say!(
                "# warehouse `{path}`: made by `{}`, start {}, epoch {}, watermark {}",
                progress.made_by.name(),
                progress.generation,
                progress.epoch,
                progress.watermarks
            ),
        }
        for left in left::left(config)? {
            say!("# warehouse `{path}`: {}", left::said(config, &left));
        }
        if let Some(mode) = open_to_others(&config.warehouse) {
            say!(
                "# warehouse `{path}`: others on this machine may open it (mode {mode:04o}), and it is left so; to keep it to"
            );
            say!("#   its owner, as one that is made now:  chmod 600 {}", text::word(&path.to_string()));
        }
    }
    say!("# state `{}`: journal and snapshots", config.state_place());
    let expiry = config.lateness.map_or("never, and memory grows with the input".to_owned(), |lateness| {
        format!("once the watermark is {} past their end", span::show(lateness))
    });
    say!("# windows leave memory {expiry}");
    if config.kafka.is_given() {
        check_kafka(config)?;
    }
    if config.publish.is_given() {
        check_publish(config)?;
    }
    say!("# the configuration is good");
    Ok(())
}
