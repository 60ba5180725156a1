//! The simulated shop as a source: it publishes its catalog, then users come, look, buy and leave.
//! What it yields are the bytes that a Kafka producer would send.

pub mod items;
pub mod model;
pub mod shop;
pub mod wire;

use crate::accept::accept_record;
use crate::config::Config;
use crate::decode::Format;
use crate::families::SHOP;
use crate::families::TOPICS;
use crate::rules::{Rules, journaled};
use crate::source::movies::Movies;
use crate::source::{Batch, Partition, Poll, Portion, Source, SourceError};
use dataflows::events::{CatalogItem, Event};
use dataflows::operators::Status;
use serde::Serialize;
use shop::Shop;
use std::time::Instant;
use wire::Encoder;

/// The catalog that comes with the program.
pub const SAMPLE: &[u8] = include_bytes!("../data/Movies.txt");

/// The items of a catalog; blocks that are not items are passed over.
///
/// # Errors
/// If the catalog cannot be read, or has no items.
pub fn items_of(mut movies: Movies) -> Result<Vec<CatalogItem>, SourceError> {
    let format = movies.partitions().remove(0).format;
    let mut items = Vec::new();
    loop {
        match movies.poll(1024)? {
            Poll::Records(batch) => items.extend(batch.records.iter().filter_map(|record| {
                let payload = &batch.bytes[record.payload.clone()];
                let decoded = accept_record(&format, (payload, record.bytes), &Default::default(), i64::MAX).ok()?;
                // Whatever else a file holds cannot be sold.
                let Event::Catalog(item) = decoded.event else { return None };
                Some(*item)
            })),
            Poll::End if items.is_empty() => {
                return Err(SourceError::Failed(
                    "the catalog has no items to sell; see `ITEM <n>` in the sample".to_owned(),
                ));
            }
            Poll::End => return Ok(items),
            Poll::Status(..) | Poll::Skipped | Poll::Idle | Poll::Cut => {}
        }
    }
}

/// The shop as a source of one partition per topic.
pub struct Simulator {
    catalog: std::vec::IntoIter<CatalogItem>,
    published: bool,
    shop: Shop,
    encoder: Encoder,
    rate: u64,
    started: Option<Instant>,
    produced: u64,
    /// How many there are, before something is read again.
    events: u64,
    identity: String,
    next_offsets: [i64; TOPICS.len()],
    skip_until: [i64; TOPICS.len()],
}

impl Simulator {
    /// A shop that sells these items.
    pub fn new(config: &Config, items: Vec<CatalogItem>) -> Simulator {
        let shop = Shop::new(config, items.iter().map(|item| item.item_id.clone()).collect());
        Simulator {
            catalog: items.into_iter(),
            published: false,
            shop,
            encoder: Encoder::default(),
            rate: config.simulate.rate,
            started: None,
            produced: 0,
            events: config.simulate.events,
            identity: identity(config),
            next_offsets: [0; TOPICS.len()],
            skip_until: [0; TOPICS.len()],
        }
    }

    /// Adds a record, unless it was read before; tells which.
    fn push(&mut self, batch: &mut Batch, topic: usize, key: &[u8], payload: &[u8]) -> bool {
        let offset = self.next_offsets[topic];
        self.next_offsets[topic] += 1;
        let is_new = offset >= self.skip_until[topic];
        if is_new {
            batch.push(topic as u32, offset, key, payload);
        }
        is_new
    }
}

/// How the identities of the shop's partitions begin.
const SIMULATED: &str = "simulated ";

/// Whether a partition of this identity is the shop's.
pub fn is_simulated(identity: &str) -> bool {
    identity.starts_with(SIMULATED)
}

/// Rules that events are drawn from, as the journal has them: a rule that is new changes nothing for who does not set it.
#[derive(Serialize)]
struct Drawn(#[serde(serialize_with = "journaled::serialize")] Rules);

/// What the events depend on: all but how fast they come.
fn identity(config: &Config) -> String {
    let shop = crate::config::Simulate { rate: 0, ..config.simulate.clone() };
    let rules = Drawn(config.rules.clone());
    let depends = serde_json::to_vec(&(shop, config.lateness, config.out_of_orderness, rules));
    format!("{SIMULATED}{:08x}", crc32fast::hash(&depends.expect("settings are JSON")))
}

impl Source for Simulator {
    fn partitions(&self) -> Vec<Partition> {
        let partition = |topic: &dataflows::wire::Topic| Partition {
            topic: topic.name.to_owned(),
            partition: 0,
            family: SHOP,
            format: Format::shipped(topic.event),
            status: if topic.is_read_first { Status::Waiting } else { Status::Live },
        };
        TOPICS.iter().map(partition).collect()
    }

    fn poll(&mut self, max_records: usize) -> Result<Poll, SourceError> {
        let mut batch = Batch::default();
        let mut payload = Vec::new();
        while batch.records.len() < max_records {
            let Some(item) = self.catalog.next() else { break };
            let key = item.item_id.to_string();
            let topic = self.encoder.avro(&Event::Catalog(Box::new(item)), None, &mut payload);
            self.push(&mut batch, topic, key.as_bytes(), &payload);
        }
        if !batch.records.is_empty() {
            return Ok(Poll::Records(batch));
        }
        if !std::mem::replace(&mut self.published, true) {
            return Ok(Poll::Cut);
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        let due = if self.rate == 0 { u64::MAX } else { (started.elapsed().as_secs_f64() * self.rate as f64) as u64 };
        while batch.records.len() < max_records && self.produced < due {
            let Some(produced) = self.shop.next() else { break };
            let topic = self.encoder.avro_produced(&produced, &mut payload);
            // What was read before does not take its time again.
            self.produced += u64::from(self.push(&mut batch, topic, produced.key().as_bytes(), &payload));
        }
        match batch.records.is_empty() {
            false => Ok(Poll::Records(batch)),
            true if self.shop.is_over() => Ok(Poll::End),
            true => Ok(Poll::Idle),
        }
    }

    fn is_sequence(&self) -> bool {
        true
    }

    /// In events. What was read before is not produced again.
    fn portion(&self) -> Option<Portion> {
        let before = self.skip_until.iter().zip(&TOPICS).filter(|(_, topic)| !topic.is_read_first);
        let before = before.map(|(until, _)| until.unsigned_abs()).sum::<u64>();
        Some(Portion { done: (before + self.produced).min(self.events), of: self.events })
    }

    fn identity(&self, _: u32) -> Option<String> {
        Some(self.identity.clone())
    }

    fn seek(&mut self, next_offsets: &[(u32, i64)]) -> Result<(), SourceError> {
        next_offsets.iter().for_each(|(topic, offset)| self.skip_until[*topic as usize] = *offset);
        Ok(())
    }
}
