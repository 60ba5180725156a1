//! `simulate --brokers`, `catalog --brokers`: records to Kafka, as a shop would send them.

use super::given::refuse_rejects;
use super::outcome::Outcome;
use super::progress::Progress;
use super::text::{free_warehouse, grouped, next_lines, word};
use crate::config::Config;
use crate::config::kafka::Format;
use crate::families::{SHOP, TOPICS};
use crate::instant;
use crate::kafka::KafkaError;
use crate::kafka::producer::{Behind, Producer, create_topics};
use crate::kafka::registry::Registry;
use crate::simulate::shop::Shop;
use crate::simulate::wire::{Encoder, json, json_produced};
use crate::simulate::{SAMPLE, items_of};
use crate::source::content::Tail;
use crate::source::movies::Movies;
use crate::source::sniff::Kind;
use crate::spoken::spoken;
use anyhow::{Result, bail};
use dataflows::events::{CatalogItem, Event};
use dataflows::shop::events::Naming;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the rate is kept to.
const STEP: Duration = Duration::from_millis(2);

/// The events of the movie shop as they are sent.
pub(super) struct Wire {
    format: Format,
    encoder: Encoder,
    /// What JSON calls events and fields.
    naming: Naming,
    /// What each of [`TOPICS`] is called; none is not sent.
    topics: Vec<Option<String>>,
    payload: Vec<u8>,
}

/// Everything that is needed to send events.
struct Sender {
    producer: Producer,
    wire: Wire,
    sent: u64,
}

impl Wire {
    /// Registers the schemas.
    pub(super) fn new(config: &Config) -> Result<Wire> {
        let format = &config.kafka.format;
        let mut topics = vec![None; TOPICS.len()];
        for (place, name) in config.kafka.topics() {
            // What a model declares comes behind ours.
            topics.get_mut(place).into_iter().for_each(|topic| *topic = Some(name.clone()));
        }
        let mut ids: Vec<u32> = vec![0; TOPICS.len()];
        let naming = config.rules.shop.naming;
        match format {
            Format::Avro if naming != Naming::default() => bail!(
                "the shipped schemas have deltamart's own names, and `[events]` of the settings says that records have \
                 others: what would be sent could not be read by these settings. Send JSON, `--set kafka.format=json`, or \
                 send with settings without `[events]`"
            ),
            Format::Avro => {
                let registry = Registry::open(&config.registry)?;
                for (place, name) in topics.iter().enumerate() {
                    let Some(name) = name else { continue };
                    ids[place] = registry.register(&format!("{name}-value"), TOPICS[place].schema)?;
                }
            }
            Format::Json => {}
            Format::JsonSchema => {
                bail!("`kafka.format` is `json_schema`, which is read, not sent; use `avro` or `json`")
            }
        }
        Ok(Wire { format: *format, encoder: Encoder::with_ids(ids), naming, topics, payload: Vec::new() })
    }

    /// What the topics are called.
    pub(super) fn topics(&self) -> Vec<String> {
        self.topics.iter().flatten().cloned().collect()
    }

    /// The topic and the payload of an event that came as a line of JSON; nothing if such events are not sent.
    pub(super) fn told<'w>(&'w mut self, event: &Event, line: &'w [u8]) -> Option<(&'w str, &'w [u8])> {
        let (topic, payload) = match self.format {
            Format::Avro => (self.encoder.avro(event, None, &mut self.payload), &self.payload[..]),
            Format::Json | Format::JsonSchema => (crate::simulate::wire::topic_of(event), line),
        };
        Some((self.topics[topic].as_deref()?, payload))
    }
}

impl Sender {
    /// Registers the schemas and creates the topics first.
    fn new(config: &Config) -> Result<Sender> {
        let wire = Wire::new(config)?;
        make_topics(config, &wire.topics())?;
        Ok(Sender { producer: Producer::new(&config.kafka)?, wire, sent: 0 })
    }

    fn catalog(&mut self, items: Vec<CatalogItem>) -> Result<(), KafkaError> {
        for item in items {
            let (key, event) = (item.item_id.to_string(), Event::Catalog(Box::new(item)));
            let Wire { format, encoder, naming, payload, .. } = &mut self.wire;
            let topic = match format {
                Format::Avro => encoder.avro(&event, None, payload),
                Format::Json | Format::JsonSchema => {
                    *payload = spoken(*naming, &json(&event)).into_bytes();
                    crate::simulate::wire::topic_of(&event)
                }
            };
            self.send(topic, &key)?;
        }
        self.producer.finish()
    }

    fn send(&mut self, topic: usize, key: &str) -> Result<(), KafkaError> {
        let Some(name) = &self.wire.topics[topic] else { return Ok(()) };
        self.sent += 1;
        self.producer.send(name, key.as_bytes(), Some(&self.wire.payload), None)
    }

    /// Sends a shop's events, at most so many a second, until they end or it is told to stop.
    fn shop(&mut self, shop: Shop, rate: u64, stop: &AtomicBool) -> Result<(), KafkaError> {
        let mut pace = Pace::new(rate, stop);
        for produced in shop {
            if !pace.goes_on() {
                break;
            }
            let Wire { format, encoder, naming, payload, .. } = &mut self.wire;
            let topic = match format {
                Format::Avro => encoder.avro_produced(&produced, payload),
                Format::Json | Format::JsonSchema => {
                    *payload = spoken(*naming, &json_produced(&produced)).into_bytes();
                    crate::simulate::wire::topic_of(&produced.event)
                }
            };
            self.send(topic, &produced.key())?;
        }
        self.producer.finish()
    }
}

/// Creates the topics that are not there.
pub(super) fn make_topics(config: &Config, names: &[impl AsRef<str>]) -> Result<()> {
    let partitions = config.kafka.partitions;
    // Simulated events are as old as they say: kept, not expired by their age.
    let settings = [("retention.ms", "-1"), ("cleanup.policy", "delete")];
    let created = create_topics(&config.kafka, names, partitions, &settings)?;
    if !created.is_empty() {
        say!("created {} topics at {}, {partitions} partitions each", created.len(), config.kafka.brokers);
    }
    Ok(())
}

/// At most so many records a second; 0 is as many as are taken.
pub(super) struct Pace<'s> {
    started: Instant,
    rate: u64,
    sent: u64,
    stop: &'s AtomicBool,
}

impl<'s> Pace<'s> {
    pub(super) fn new(rate: u64, stop: &'s AtomicBool) -> Pace<'s> {
        Pace { started: Instant::now(), rate, sent: 0, stop }
    }

    /// Waits for when the next record may be sent; whether it is to be sent at all.
    pub(super) fn goes_on(&mut self) -> bool {
        let is_early = |pace: &Self| pace.started.elapsed().as_secs_f64() * (pace.rate as f64) < pace.sent as f64;
        while self.rate > 0 && is_early(self) && !self.stop.load(Acquire) {
            std::thread::sleep(STEP);
        }
        self.sent += 1;
        !self.stop.load(Acquire)
    }
}

pub(super) fn progress(producer: &Producer, all: u64) -> Progress {
    let delivered = producer.delivered();
    progress_to(move || delivered.acknowledged.load(Relaxed), all)
}

/// The same of a count.
pub(super) fn progress_of(done: Arc<AtomicU64>, all: u64) -> Progress {
    progress_to(move || done.load(Relaxed), all)
}

fn progress_to(done: impl Fn() -> u64 + Send + 'static, all: u64) -> Progress {
    Progress::showing(done, move |acknowledged, rate, _| {
        let (done, rate) = (grouped(acknowledged), grouped(rate as u64));
        let bar = "#".repeat((acknowledged.min(all) * 20 / all.max(1)) as usize);
        format!("[{bar:<20}] {done} of {} records acknowledged  {rate}/s", grouped(all))
    })
}

pub(super) fn summary(producer: &Producer, took: Duration, stopped: bool) -> Result<Outcome> {
    let delivered = producer.delivered();
    summary_of(delivered.acknowledged.load(Relaxed), &delivered.behind(), took, stopped)
}

/// The same of a count.
pub(super) fn summary_of(acknowledged: u64, behind: &Behind, took: Duration, stopped: bool) -> Result<Outcome> {
    let rate = acknowledged as f64 / took.as_secs_f64().max(0.001);
    let stopped = if stopped { "stopped by a signal: " } else { "" };
    say!(
        "{stopped}{} records sent and acknowledged in {:.1} s ({}/s)",
        grouped(acknowledged),
        took.as_secs_f64(),
        grouped(rate as u64)
    );
    let outcome = Outcome::of(acknowledged > 0).with("records", acknowledged).with("stopped", !stopped.is_empty());
    // Nothing was sent: there is nothing to wait for.
    Ok(if behind.is_empty() { outcome } else { outcome.with("wait_for", behind.written()) })
}

/// The items of a catalog file, of which one is valid at least.
fn items(config: &Config, file: &Path, as_of: i64) -> Result<Vec<CatalogItem>> {
    refuse_rejects(config, (Kind::Catalog, SHOP), Tail::Take, file)?;
    Ok(items_of(Movies::file("Movies.txt", file, as_of)?)?)
}

/// Sends a simulated shop: its catalog, acknowledged, and then its events.
pub(super) fn simulate(config: &Config, catalog: Option<&Path>) -> Result<Outcome> {
    let stop = super::stop_on_signals()?;
    let just_before = config.simulate.start - 1;
    let items = match catalog {
        Some(file) => items(config, file, just_before)?,
        None => items_of(Movies::text("Movies.txt", SAMPLE, just_before))?,
    };
    let shop = Shop::new(config, items.iter().map(|item| item.item_id.clone()).collect());
    let mut sender = Sender::new(config)?;
    let watch = progress(&sender.producer, items.len() as u64 + config.simulate.events);
    sender.catalog(items)?;
    sender.shop(shop, config.simulate.rate, &stop)?;
    let took = watch.stop();
    let outcome = summary(&sender.producer, took, stop.load(Acquire))?;
    let warehouse = free_warehouse(Path::new(""), "kafka");
    say!("\n{}\n\nwithout `--to-end` it reads on, until Ctrl-C", next_lines(&reading(config, &warehouse)));
    Ok(outcome)
}

/// Sends a catalog, by default as of now: nobody here knows how far those are who will read it.
pub(super) fn catalog(config: &Config, file: &Path, as_of: Option<i64>) -> Result<Outcome> {
    let items = items(config, file, as_of.unwrap_or_else(instant::now))?;
    let mut sender = Sender::new(config)?;
    let watch = progress(&sender.producer, items.len() as u64);
    sender.catalog(items)?;
    let took = watch.stop();
    summary(&sender.producer, took, false)
}

/// The commands that read what was sent, and show it.
fn reading(config: &Config, warehouse: &Path) -> [(&'static str, String); 2] {
    let (brokers, warehouse) = (word(&config.kafka.brokers), word(&warehouse.to_string_lossy()));
    let registry = match config.kafka.format {
        Format::Avro => format!(" --registry {}", word(&config.registry.url)),
        Format::Json | Format::JsonSchema => " --set kafka.format=json".to_owned(),
    };
    [
        ("read them", format!("run --brokers {brokers}{registry} --warehouse {warehouse} --to-end")),
        ("look at a table", format!("show movie_sales_metrics --warehouse {warehouse}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    /// What is printed is understood as it is meant: the same brokers, the same warehouse, the same registry.
    #[test]
    fn the_printed_lines_read_what_was_sent() {
        let mut config = Config::default();
        config.kafka.brokers = "one:9092,two:9092".to_owned();
        config.registry.url = "http://registry:8081/apis/ccompat/v7".to_owned();
        for format in [Format::Avro, Format::Json] {
            config.kafka.format = format;
            for (what, line) in reading(&config, Path::new("kafka-2.db")) {
                let words = std::iter::once("deltamart").chain(line.split(' '));
                let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{what}: {error}"));
                let read = crate::commands::configure(&cli.global, &cli.shop, None, None)
                    .expect("a good configuration")
                    .config;
                assert_eq!(read.warehouse, Path::new("kafka-2.db"), "{line}");
                if line.starts_with("run") {
                    assert_eq!((&read.kafka.brokers, read.kafka.format), (&config.kafka.brokers, format), "{line}");
                    assert!(format != Format::Avro || read.registry.url == config.registry.url, "{line}");
                }
            }
        }
    }
}
