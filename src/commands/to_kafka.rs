//! `watch FOLDER --to-kafka`: what is dropped into a folder, as records of topics.
//!
//! Some lines and the position behind them are one transaction, so each line is there once for whoever reads what was
//! committed. The list of files is kept in the folder itself, in `.deltamart.state`.

use super::Refused;
use super::folder::existing;
use super::outcome::Outcome;
use super::produce::make_topics;
use super::text::{count, grouped};
use super::waiting::insist;
use super::watched::ways;
use crate::config::Config;
use crate::config::kafka::{Format as Payloads, Kafka as Client};
use crate::decode::Format;
use crate::families::declared;
use crate::kafka::KafkaError;
use crate::kafka::producer::{Transactional, create_topics};
use crate::model::load::Loaded;
use crate::sink::kafka::read::Reader;
use crate::source::dropped::{Dropped, Folder, Judges, Mode};
use crate::source::{Batch, Poll, Source, SourceError};
use crate::state_dir::StateDir;
use crate::stats::Stats;
use crate::store;
use anyhow::{Context, Result};
use dataflows::family::FamilyId;
use parking_lot::Mutex;
use serde_json::Value;
use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::Duration;

/// Where the positions are.
const PROGRESS: &str = "deltamart_watch";
/// Where the list of files is, in the folder.
const STATE: &str = ".deltamart.state";
/// How many lines a transaction has at the most.
const LINES: usize = 4096;
/// How long it waits where nothing is to be done.
const PAUSE: Duration = Duration::from_millis(20);
/// A line may be as large as a record, and is larger as JSON than as separated values.
const BYTES_MAX: usize = 16 << 20;

/// A family's files, and where their lines go.
struct Way {
    source: Dropped,
    partition: String,
    /// The key of its position.
    position: String,
    topic: &'static str,
    /// The fields of which the first that has a value says whom an event is of.
    person: &'static [&'static str],
}

pub(super) fn watch(config: &Config, given: &Path, to_end: bool) -> Result<Outcome> {
    let refuse = |why: &str| Err(Refused(why.to_owned()).into());
    if !config.kafka.is_given() {
        return refuse("`--to-kafka` needs Kafka's brokers: `--brokers HOST:PORT`");
    }
    if config.kafka.format != Payloads::Json {
        return refuse("lines are sent as JSON, and `kafka.format` says otherwise: `--set kafka.format=json`");
    }
    if declared().is_empty() {
        return refuse("what is sent are events of a model: name it, such as `--model store`");
    }
    let (watched, stop) = (existing(given)?, super::stop_on_signals()?);
    let topics: Vec<_> = declared().iter().filter_map(topic_of).collect();
    let mut sent = 0;
    let may_pass = |error: &anyhow::Error| {
        matches!(error.downcast_ref(), Some(KafkaError::Away(_)))
            || matches!(error.downcast_ref(), Some(SourceError::Unavailable(_)))
    };
    insist(&stop, &Stats::default(), may_pass, || -> Result<()> {
        make_topics(config, &topics)?;
        let soon = [("cleanup.policy", "compact"), ("segment.ms", "600000"), ("min.cleanable.dirty.ratio", "0.1")];
        create_topics(&config.kafka, &[PROGRESS], 1, &soon)?;
        let place = watched.folder.join(STATE).display().to_string();
        let store = store::open(&place).with_context(|| format!("could not open `{place}`"))?;
        let dir = StateDir::open(store, None)?;
        // Whoever sent before us under this name can send nothing more: what it sent can be read.
        let producer = Transactional::begin(&config.kafka, &format!("deltamart-watch-{}", dir.pipeline_id), BYTES_MAX)?;
        let pipeline = dir.pipeline_id.clone();
        let mode = if to_end { Mode::ToEnd } else { Mode::Watches };
        let families = declared().iter().map(|loaded| FamilyId(loaded.family)).collect();
        let judges = Judges {
            rules: config.rules.clone(),
            whose: watched.whose,
            families,
            accept_rejects: config.accept_rejects,
        };
        let folder = Folder::open(&watched.folder, dir, judges, ways(config, mode))?;
        let mut opened = open(&config.kafka, &Arc::new(Mutex::new(folder)), &pipeline)?;
        send_all(&mut opened, &producer, &stop, &mut sent)
    })?;
    let stopped = stop.load(Acquire);
    say!("{}{} sent", if stopped { "stopped: " } else { "" }, count(sent, "line"));
    Ok(Outcome::of(sent > 0).with("records", sent).with("stopped", stopped))
}

fn topic_of(loaded: &Loaded) -> Option<&'static str> {
    loaded.events.topics.first().map(String::as_str)
}

/// The files of each family, from where they were sent last. Folders of others may have the same name: a position is that of
/// the pipeline whose folder it is.
fn open(client: &Client, folder: &Arc<Mutex<Folder>>, pipeline: &str) -> Result<Vec<Way>> {
    let (reader, mut ways) = (Reader::new(client)?, Vec::new());
    for loaded in declared() {
        let Some(topic) = topic_of(loaded) else { continue };
        let mut source = Dropped::new(folder, FamilyId(loaded.family));
        let partition = crate::engine::partition_name(&source.partitions()[0]);
        let position = format!("{pipeline}/{partition}");
        let written = reader.last(PROGRESS, position.as_bytes(), &Cell::default())?;
        let next = written.map(|written| read_position(&written, &partition)).transpose()?;
        source.seek(&next.map(|next| (0, next)).into_iter().collect::<Vec<_>>())?;
        let person = loaded.family.plan().person.and_then(|place| loaded.events.readings.get(place));
        let person = person.map_or(&[][..], |reading| &reading.from);
        ways.push(Way { source, partition, position, topic, person });
    }
    Ok(ways)
}

fn read_position(written: &[u8], partition: &str) -> Result<i64> {
    let read = std::str::from_utf8(written).ok().and_then(|text| text.parse().ok());
    let why = || format!("topic `{PROGRESS}`: the last record of `{partition}` is no position of ours");
    read.ok_or_else(|| Refused(why()).into())
}

/// Sends what there is, until it ends or it is told to stop.
fn send_all(ways: &mut [Way], producer: &Transactional, stop: &AtomicBool, sent: &mut u64) -> Result<()> {
    while !stop.load(Acquire) {
        let (mut is_idle, mut has_ended) = (true, true);
        for way in &mut *ways {
            match way.source.poll(LINES)? {
                Poll::Records(batch) => {
                    (is_idle, has_ended) = (false, false);
                    let Some(next) = batch.records.last().map(|last| last.offset + 1) else { continue };
                    producer.transaction(|| way.send(&batch, next, producer))?;
                    *sent += batch.records.len() as u64;
                    tracing::debug!("{}: {} lines sent", way.partition, grouped(*sent));
                    way.source.spares(0, next);
                    batch.leave();
                }
                Poll::Skipped | Poll::Status(..) | Poll::Cut => (is_idle, has_ended) = (false, false),
                Poll::Idle => has_ended = false,
                Poll::End => {}
            }
        }
        if has_ended {
            return Ok(());
        }
        if is_idle {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

impl Way {
    /// Sends some lines, and the position behind them.
    fn send(&self, batch: &Batch, next: i64, producer: &Transactional) -> Result<(), KafkaError> {
        let of_partition = Format::Json(None);
        let format = batch.format(&of_partition);
        for record in &batch.records {
            let line = &batch.bytes[record.payload.clone()];
            // What cannot be read is sent as it is: who reads it rejects it, and keeps it with the reason.
            let of_values = if let Format::Csv(csv) = format { csv.json(line) } else { None };
            let json = of_values.map_or(Cow::Borrowed(line), Cow::Owned);
            producer.send(self.topic, &key(&json, self.person), Some(&json))?;
        }
        producer.send(PROGRESS, self.position.as_bytes(), Some(next.to_string().as_bytes()))
    }
}

/// Whom an event is of: events of one person are in one partition.
fn key(json: &[u8], person: &[&str]) -> Vec<u8> {
    let Ok(object) = serde_json::from_slice::<Value>(json) else { return Vec::new() };
    let at = |path: &&str| path.split('.').try_fold(&object, |value, name| value.get(name));
    match person.iter().filter_map(at).find(|value| !value.is_null()) {
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(other) => other.to_string().into_bytes(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_person() {
        let person = ["user_id", "by.id"];
        for (json, expected) in [
            (r#"{"user_id":7}"#, "7"),
            (r#"{"user_id":"7"}"#, "7"),
            (r#"{"user_id":null,"by":{"id":"ann"}}"#, "ann"),
            (r#"{"by":3}"#, ""),
            ("no object", ""),
        ] {
            assert_eq!(key(json.as_bytes(), &person), expected.as_bytes(), "{json}");
        }
    }
}
