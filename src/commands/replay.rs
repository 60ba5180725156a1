//! `replay-rejected`: what was rejected is sent through again, after whatever was wrong is corrected. What is sent is
//! what came: where the kept bytes are others, since addresses in them are masked, the record is read again from its log.

use super::Refused;
use super::again::{Again, each};
use super::inputs::refused;
use super::nearest::meant;
use super::outcome::Outcome;
use super::text::{at, count, grouped, next_lines, word};
use crate::config::Config;
use crate::config::kafka::Format;
use crate::decode::Reason;
use crate::families::{self, SHOP, all};
use crate::forget::Payloads;
use crate::instant;
use crate::kafka::log::{Log, Whole};
use crate::kafka::producer::Producer;
use crate::kafka::registry::Registry;
use crate::kept::is_whole;
use crate::sink::Sink;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::rejected::Rejected;
use anyhow::{Context, Result};
use rdkafka::message::{Header, OwnedHeaders};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How many are sent before they are noted.
const PAGE: usize = 1_000;
/// Names the record that one is a copy of.
const COPY_OF: &str = "deltamart-replay-of";
/// So many places of records that are left are named.
const NAMED: usize = 3;

/// Why a record is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    NoWay,
    NoLine,
    Changed,
    Gone,
    Unreadable,
    Deleted,
}

impl Left {
    fn why(self) -> &'static str {
        match self {
            Left::NoWay => "no destination; give `--brokers` or `--out FILE`",
            Left::NoLine => "not a line of text, but a block of a catalog, or Kafka's wire format",
            Left::Changed => "not kept as it came, but cut or masked; correct the line where it stands",
            Left::Unreadable => "it could not be read, and its bytes were not kept",
            Left::Deleted => "it was deleted before it was read",
            Left::Gone => "not kept as it came, but cut or masked, and its topic does not hold it any more",
        }
    }
}

/// Where records go that are sent through again.
struct Ways {
    kafka: Option<ToTopics>,
    lines: Option<File>,
    sent: u64,
    written: u64,
    /// How many, and some of their places.
    left: BTreeMap<Left, (u64, Vec<String>)>,
}

struct ToTopics {
    producer: Producer,
    topics: BTreeSet<String>,
    log: Log,
}

/// Sends rejected records through again: those from Kafka to their topics, lines of files into a file.
pub(super) fn replay_rejected(
    config: &Config,
    reasons: &[String],
    out: Option<&Path>,
    dry_run: bool,
) -> Result<Outcome> {
    known(reasons)?;
    // It must be there; opening it to write would make it.
    let to_read = super::open_to_read(config)?;
    if dry_run {
        return say_what_there_is(config, &to_read, reasons);
    }
    drop(to_read);
    let mut ways = Ways::open(config, out)?;
    let mut warehouse = Sqlite::open(all(), &config.warehouse)?;
    let mut last = None;
    loop {
        let page = warehouse.rejected(reasons, last.as_ref(), PAGE)?;
        // Not by how many are left: a run may be removing old ones meanwhile (`retention.rejected`).
        last = page.last().cloned();
        if last.is_none() {
            break;
        }
        let mut gone = Vec::new();
        for record in page {
            match ways.send(&record)? {
                None => gone.push(record),
                Some(left) => ways.leave(left, &record),
            }
        }
        ways.finish()?;
        // Killed between the two, the page is sent twice: better than not at all.
        warehouse.mark_replayed(&gone, &instant::show(instant::now()))?;
    }
    ways.say(config, out)?;
    if ways.sent + ways.written > 0 {
        say_what_is_late(config, &mut warehouse)?;
    }
    let left: u64 = ways.left.values().map(|(count, _)| count).sum();
    let outcome = Outcome::of(ways.sent + ways.written > 0).with("sent", ways.sent);
    Ok(outcome.with("written", ways.written).with("left", left))
}

/// Refuses what is no reason, with the nearest one.
fn known(reasons: &[String]) -> Result<()> {
    let codes = || families::reasons().map(Reason::code);
    let Some(unknown) = reasons.iter().find(|reason| codes().all(|code| code != **reason)) else { return Ok(()) };
    let mut meant = meant(unknown, codes());
    if meant.is_empty() {
        meant = format!("; the reasons are {}", codes().collect::<Vec<_>>().join(", "));
    }
    Err(Refused(format!("`--reason`: there is no reason `{unknown}`{meant}")).into())
}

/// What was rejected and not sent yet, by reason, and what of it would pass.
fn say_what_there_is(config: &Config, warehouse: &Sqlite, reasons: &[String]) -> Result<Outcome> {
    let registry = match config.kafka.is_given() && config.kafka.format == Format::Avro {
        true => Some(Registry::open(&config.registry).map_err(refused)?),
        false => None,
    };
    let payloads = Payloads::new(registry);
    let again = Again::new(config, &payloads);
    let mut found = BTreeMap::<String, (u64, u64)>::new();
    each(warehouse, reasons, |record| {
        let (all, passing) = found.entry(record.reason.clone()).or_default();
        *all += 1;
        *passing += u64::from(again.passes(record));
        Ok(())
    })?;
    say!("{:<28} {:>12} {:>16}", "reason", "records", "would pass now");
    for (reason, (all, passing)) in &found {
        say!("{reason:<28} {:>12} {:>16}", grouped(*all), grouped(*passing));
    }
    say!("nothing was sent, and nothing noted (`--dry-run`)");
    let of = |(reason, (all, passing)): (&String, &(u64, u64))| {
        (reason.clone(), serde_json::json!({ "records": all, "would_pass": passing }))
    };
    Ok(Outcome::of(false).with("rejected_by_reason", found.iter().map(of).collect::<serde_json::Map<_, _>>()))
}

/// Nothing that comes again is younger than it was.
fn say_what_is_late(config: &Config, warehouse: &mut Sqlite) -> Result<()> {
    let watermark =
        warehouse.position()?.map_or(dataflows::time::START, |progress| progress.watermarks.of(SHOP.name()));
    if let Some(lateness) = config.lateness.filter(|_| watermark > dataflows::time::START) {
        let (from, lateness) = (instant::show(watermark - lateness), instant::span::show(lateness));
        say!(
            "if one of these is an event from before {from}, it is late by now (`lateness` is {lateness}): it is stored in \
             a raw table and in `late_events`, and changes no metric"
        );
    }
    Ok(())
}

impl Ways {
    fn open(config: &Config, out: Option<&Path>) -> Result<Ways> {
        let kafka = match config.kafka.is_given() {
            true => {
                let topics = config.kafka.topics().into_iter().map(|(_, name)| name).collect();
                let producer = Producer::new(&config.kafka).map_err(refused)?;
                Some(ToTopics { producer, topics, log: Log::open(&config.kafka).map_err(refused)? })
            }
            false => None,
        };
        if kafka.is_none() && out.is_none() {
            let why = "no destination: records that came from Kafka go back to their topics (`--brokers`), lines \
                       of files into a file that `run` is then given (`--out FILE`)";
            return Err(Refused(why.to_owned()).into());
        }
        let created = |path: &Path| {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            file.with_context(|| format!("could not create `{}` (it must not exist yet)", path.display()))
        };
        let lines = out.map(created).transpose()?;
        Ok(Ways { kafka, lines, sent: 0, written: 0, left: BTreeMap::new() })
    }

    /// Sends a record; if it is left, tells why.
    fn send(&mut self, record: &Rejected) -> Result<Option<Left>> {
        let Rejected { topic, partition, offset, key, raw, reason, detail } = record;
        if reason == Reason::UNREADABLE.code() {
            return Ok(Some(Left::Unreadable));
        }
        if reason == Reason::DELETED.code() {
            return Ok(Some(Left::Deleted));
        }
        if let Some(ToTopics { producer, topics, log }) = &mut self.kafka
            && topics.contains(topic)
        {
            let kept = Whole { key: key.clone().unwrap_or_default(), payload: Some(raw.clone()) };
            let whole = match is_whole(detail) {
                true => Some(kept),
                false => log.read(topic, i32::try_from(*partition)?, *offset).map_err(refused)?,
            };
            let Some(Whole { key, payload }) = whole else { return Ok(Some(Left::Gone)) };
            let copy_of = format!("{topic}/{partition}/{offset}");
            let headers = OwnedHeaders::new().insert(Header { key: COPY_OF, value: Some(&copy_of) });
            producer.send(topic, &key, payload.as_deref(), Some(headers)).map_err(refused)?;
            self.sent += 1;
            return Ok(None);
        }
        let Some(file) = &mut self.lines else { return Ok(Some(Left::NoWay)) };
        if raw.contains(&b'\n') || raw.first() == Some(&0) {
            return Ok(Some(Left::NoLine));
        }
        if !is_whole(detail) {
            return Ok(Some(Left::Changed));
        }
        file.write_all(raw).and_then(|()| file.write_all(b"\n")).context("could not write what is replayed")?;
        self.written += 1;
        Ok(None)
    }

    fn leave(&mut self, left: Left, record: &Rejected) {
        let (count, named) = self.left.entry(left).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(format!("{}/{} at {}", record.topic, record.partition, record.offset));
        }
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(ToTopics { producer, .. }) = &self.kafka {
            producer.finish().map_err(refused)?;
        }
        match &self.lines {
            Some(file) => file.sync_all().context("could not write what is replayed"),
            None => Ok(()),
        }
    }

    fn say(&self, config: &Config, out: Option<&Path>) -> Result<()> {
        let were = |number: u64| if number == 1 { "was" } else { "were" };
        if self.kafka.is_some() {
            say!("{} {} sent to their topics again", count(self.sent, "record"), were(self.sent));
        }
        if let Some(out) = out {
            let path = out.display();
            say!("{} {} written to `{path}`", count(self.written, "line"), were(self.written));
            if self.written > 0 {
                say!(
                    "correct them there: a line that was not corrected is rejected again, unless a setting is another now"
                );
                let warehouse = at(config);
                let next = format!("run FILES {}{warehouse}", word(&path.to_string()));
                say!("{}", next_lines(&[("then read the file behind those that were read before", next)]));
            }
        }
        for (left, (number, named)) in &self.left {
            let more = if *number > named.len() as u64 { ", ..." } else { "" };
            let is = if *number == 1 { "is" } else { "are" };
            say!("{} {is} left: {} ({}{more})", count(*number, "record"), left.why(), named.join(", "));
        }
        Ok(())
    }
}
