//! `replay-rejected`: what was rejected is sent through again, after whatever was wrong is mended.

use super::Refused;
use super::inputs::refused;
use super::text::{grouped, program};
use crate::config::Config;
use crate::instant;
use crate::kafka::producer::Producer;
use crate::sink::sqlite::Sqlite;
use crate::sink::sqlite::rejected::Rejected;
use anyhow::{Context, Result};
use rdkafka::message::{Header, OwnedHeaders};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// How many are sent before they are noted.
const PAGE: usize = 1_000;
/// Names the record that one is a copy of.
const COPY_OF: &str = "deltamart-replay-of";

/// Where records go that are sent through again.
struct Ways {
    kafka: Option<(Producer, BTreeSet<String>)>,
    lines: Option<File>,
    sent: u64,
    written: u64,
    left: u64,
    /// Not all of them is here.
    cut: u64,
}

/// Sends rejected records through again: those from Kafka to their topics, lines of files into a file.
pub(super) fn replay_rejected(config: &Config, reasons: &[String], out: Option<&Path>) -> Result<()> {
    let kafka = match config.kafka.is_given() {
        true => {
            let topics = config.kafka.topics().into_iter().map(|(_, name)| name).collect();
            Some((Producer::new(&config.kafka).map_err(refused)?, topics))
        }
        false => None,
    };
    if kafka.is_none() && out.is_none() {
        let why = "nowhere to send them: records that came from Kafka go back to their topics (`--brokers`), lines of \
                   files into a file that `run` is then given (`--out FILE`)";
        return Err(Refused(why.to_owned()).into());
    }
    let created = |path: &Path| {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        file.with_context(|| format!("could not create `{}` (it must not exist yet)", path.display()))
    };
    let lines = out.map(created).transpose()?;
    let mut ways = Ways { kafka, lines, sent: 0, written: 0, left: 0, cut: 0 };
    // It must be there; opening it to write would make it.
    drop(super::open_to_read(config)?);
    let mut warehouse = Sqlite::open(&config.warehouse)?;
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
            if ways.send(&record)? {
                gone.push(record)
            }
        }
        ways.finish()?;
        // Killed between the two, the page is sent twice: better than not at all.
        warehouse.mark_replayed(&gone, &instant::show(instant::now()))?;
    }
    ways.say(out)
}

impl Ways {
    /// Sends a record, if there is a way for it.
    fn send(&mut self, record: &Rejected) -> Result<bool> {
        let Rejected { topic, partition, offset, key, raw, .. } = record;
        if !record.is_whole() {
            self.cut += 1;
            return Ok(false);
        }
        if let Some((producer, topics)) = &self.kafka
            && topics.contains(topic)
        {
            let copy_of = format!("{topic}/{partition}/{offset}");
            let headers = OwnedHeaders::new().insert(Header { key: COPY_OF, value: Some(&copy_of) });
            producer.send(topic, key.as_deref().unwrap_or_default(), Some(raw), Some(headers)).map_err(refused)?;
            self.sent += 1;
            return Ok(true);
        }
        match &mut self.lines {
            // A block of a catalog is no line, and what came in the wire format is no text.
            Some(file) if !raw.contains(&b'\n') && raw.first() != Some(&0) => {
                file.write_all(raw).and_then(|()| file.write_all(b"\n")).context("could not write what is replayed")?;
                self.written += 1;
                Ok(true)
            }
            _ => {
                self.left += 1;
                Ok(false)
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        if let Some((producer, _)) = &self.kafka {
            producer.finish().map_err(refused)?;
        }
        match &self.lines {
            Some(file) => file.sync_all().context("could not write what is replayed"),
            None => Ok(()),
        }
    }

    fn say(&self, out: Option<&Path>) -> Result<()> {
        say!("{} records sent to their topics again", grouped(self.sent));
        if let Some(out) = out {
            let (path, program) = (out.display(), program());
            say!("{} lines in {path}; read them:   {program} run ... {path}", grouped(self.written));
        }
        if self.cut > 0 {
            say!("{} are left: not all their bytes are kept; `detail` says where each is", grouped(self.cut));
        }
        if self.left > 0 {
            say!(
                "{} are left: they came from elsewhere (`--brokers` or `--out` is missing, or a catalog's block)",
                self.left
            );
        }
        Ok(())
    }
}
