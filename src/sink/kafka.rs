//! Compacted topics, one for each table: the key is the primary key, a tombstone deletes. A commit is one
//! transaction, and the progress it leads to is a record of the same transaction.
//!
//! A run that was superseded is fenced twice: the brokers refuse its transactions as soon as another producer
//! has begun under the same name, and who begins again looks first whether the progress is still its own.
//!
//! What is not kept forever the brokers remove by themselves, and by their own clock: once it was written so long ago,
//! and the segment of the log that it is in is full (`segment.ms`, by default a week). While no run writes, that clock
//! goes on, though no watermark does. What was removed and is added again, is there again, for as long.

mod added;
mod clean;
pub(crate) mod read;
mod rights;

use super::progress::Found;
use super::purge::{Purge, Purged};
use super::{Claim, Commit, MadeBy, Progress, RowOf, Sink, SinkError, Stored};
use crate::config::Config;
use crate::config::kafka::{Kafka as Client, Registry as RegistryConfig};
use crate::config::retention::Retention;
use crate::instant;
use crate::kafka::KafkaError;
use crate::kafka::cleanup::{self, Cleanup};
use crate::kafka::producer::{Transactional, create_topics};
use crate::kafka::registry::Registry;
use crate::lanes::Watermarks;
use crate::sink::avro::{self, Encoder};
use added::Added;
use clean::Clean;
use dataflows::Time;
use dataflows::delta::Delta;
use dataflows::deltas::Deltas;
use dataflows::family::Catalogue;
use dataflows::table::{Kind, Table, TableId, Value};
use read::Reader;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A rejected record may be as large as brokers take them, and its row is larger.
const ROW_BYTES_MAX: usize = 16 << 20;
/// The only key of the topic of the progress.
const PROGRESS_KEY: &[u8] = b"progress";

/// The tables as topics of Kafka.
pub struct Kafka {
    catalogue: Catalogue,
    prefix: String,
    /// The topic of clean events; empty is none.
    clean: String,
    client: Client,
    registry: RegistryConfig,
    commit_interval: Duration,
    retention: Retention,
    /// By how much an event may be ahead of the clock by which it is written.
    max_future: i64,
    writer: Option<Writer>,
    /// The end of the progress's topic before a transaction that no run goes on with, as far as was waited for.
    left: Cell<Option<i64>>,
    /// What was last read of a table.
    pages: Option<(TableId, read::Rows)>,
}

/// Rows of raw tables that are new.
type Additions<'a> = Vec<(TableId, Vec<&'a Vec<Value>>)>;

/// The right to write, and where the topics are.
struct Writer {
    producer: Transactional,
    encoders: BTreeMap<TableId, (Encoder, Encoder)>,
    clean: Clean,
    progress: Progress,
    added: Added,
}

/// The progress, as it is written.
#[derive(Serialize)]
struct Written {
    pipeline_id: String,
    generation: u64,
    made_by: String,
    epoch: Time,
    positions: BTreeMap<String, i64>,
    watermark: String,
    watermarks: Watermarks,
    committed_at: String,
    added: Added,
}

/// What was written, out of the last record of the topic of the progress.
fn read_written(payload: &[u8], sink: &str, topic: &str) -> Result<(Progress, Added), SinkError> {
    #[derive(Deserialize)]
    struct Rest {
        added: Added,
    }
    let broken = |error: serde_json::Error| {
        let way_out = "publish under another `publish.prefix`";
        SinkError::Failed(format!("{sink}: what stands in `{topic}` is none of our progress ({error}); {way_out}"))
    };
    let found: Found = serde_json::from_slice(payload).map_err(broken)?;
    let way_out = format!(
        "Write the record that was there before into `{topic}` again, or publish under another `publish.prefix`; if a \
         later version wrote it, use that one"
    );
    let progress = found.read(&format!("{sink}, the last record of `{topic}`"), &way_out)?;
    let Rest { added } = serde_json::from_slice(payload).map_err(broken)?;
    Ok((progress, added))
}

impl Kafka {
    /// As configured; the brokers are not asked anything yet.
    ///
    /// # Errors
    /// If a secret is not where it should be.
    pub fn open(catalogue: Catalogue, config: &Config) -> Result<Kafka, SinkError> {
        let client = config.publish.client(&config.kafka);
        // What cannot be made is said now, not when the first row is there.
        crate::kafka::client::properties(&client).map_err(sink_error)?;
        Ok(Kafka {
            catalogue,
            prefix: config.publish.prefix.clone(),
            clean: config.publish.clean.clone(),
            client,
            registry: config.registry.clone(),
            commit_interval: Duration::from_millis(config.publish.commit_interval.unsigned_abs()),
            retention: config.retention.clone(),
            max_future: config.rules.time.max_future,
            writer: None,
            left: Cell::new(None),
            pages: None,
        })
    }

    fn topic(&self, table: &Table) -> String {
        format!("{}{}", self.prefix, table.name)
    }

    fn progress_topic(&self) -> String {
        format!("{}_progress", self.prefix)
    }

    /// For how long a table's rows are kept once they are written. An event may happen a little after it was.
    fn kept_ms(&self, id: TableId) -> Option<i64> {
        self.retention.of(id).map(|kept| kept.saturating_add(self.max_future))
    }

    /// Makes the topics that are not there; tells what removes records of each.
    fn make_topics(&self) -> Result<BTreeMap<String, Cleanup>, KafkaError> {
        let size = ROW_BYTES_MAX.to_string();
        let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for id in self.catalogue.tables() {
            alike.entry(self.kept_ms(*id)).or_default().push(self.topic(id.table()));
        }
        for (kept_ms, topics) in &alike {
            let wanted = cleanup::settings(*kept_ms);
            let mut settings: Vec<_> = wanted.iter().map(|(key, value)| (*key, value.as_str())).collect();
            settings.push(("max.message.bytes", &size));
            create_topics(&self.client, topics, self.client.partitions, &settings)?;
        }
        // It is read whole at every start: what was superseded goes soon.
        let soon = [("cleanup.policy", "compact"), ("segment.ms", "600000"), ("min.cleanable.dirty.ratio", "0.1")];
        let progress_topic = self.progress_topic();
        create_topics(&self.client, std::slice::from_ref(&progress_topic), 1, &soon)?;
        let topics = alike.values().flatten().map(String::as_str).chain([progress_topic.as_str()]).collect();
        cleanup::of(&self.client, &topics)
    }

    /// No topic may lose rows that are kept forever. Those whose rows grow old are set right afterwards.
    fn refuse_what_loses_rows(&self, topics: &BTreeMap<String, Cleanup>) -> Result<(), SinkError> {
        let ages = |topic: &str| {
            self.catalogue.tables().iter().any(|id| id.table().age().is_some() && self.topic(id.table()) == topic)
        };
        let loses = |(topic, cleanup): &(&String, &Cleanup)| !cleanup.compacts || cleanup.deletes && !ages(topic);
        let Some((topic, cleanup)) = topics.iter().find(loses) else { return Ok(()) };
        let is = if cleanup.compacts { "is not only compacted" } else { "is not compacted" };
        Err(SinkError::Failed(format!(
            "{}: topic `{topic}` {is} (`cleanup.policy`), and would lose rows; set it to `compact`, or publish \
             under another `publish.prefix`",
            self.name()
        )))
    }

    /// Has the brokers remove what is old, as it is configured now.
    fn set_retention(&self, topics: &BTreeMap<String, Cleanup>) -> Result<(), KafkaError> {
        let changed = self.catalogue.tables().iter().filter_map(|id| {
            let topic = self.topic(id.table());
            if let Some(kept_ms) = self.kept_ms(*id).filter(|_| !topics.contains_key(&topic)) {
                let wanted = cleanup::settings(Some(kept_ms));
                tracing::warn!("{}: topic `{topic}` is not set as `[retention]` says; set it: {wanted:?}", self.name());
            }
            let changed = topics.get(&topic)?.changed(self.kept_ms(*id))?;
            Some((topic, changed))
        });
        let changed: BTreeMap<_, _> = changed.collect();
        for topic in changed.keys() {
            tracing::info!("{}: what topic `{topic}` keeps is set again, by `[retention]`", self.name());
        }
        cleanup::set(&self.client, &changed)
    }

    fn progress(&self) -> Result<Option<(Progress, Added)>, SinkError> {
        let topic = self.progress_topic();
        let reader = Reader::new(&self.client).map_err(sink_error)?;
        let last = reader.last(&topic, PROGRESS_KEY, &self.left).map_err(sink_error)?;
        let Some(payload) = last else { return Ok(None) };
        read_written(&payload, &self.name(), &topic).map(Some)
    }

    /// Under what name transactions are begun.
    pub fn transactional_id(&self) -> String {
        format!("deltamart-{}", self.prefix)
    }

    /// A producer that fences every other one out. What was left open is decided then, and may have been committed.
    fn producer(&self) -> Result<Transactional, SinkError> {
        self.left.set(None);
        Transactional::begin(&self.client, &self.transactional_id(), ROW_BYTES_MAX).map_err(sink_error)
    }

    fn encoders(&self) -> Result<BTreeMap<TableId, (Encoder, Encoder)>, SinkError> {
        let registry = Registry::open(&self.registry).map_err(sink_error)?;
        let encoder = |id: &TableId| {
            let (table, topic) = (id.table(), self.topic(id.table()));
            let (key, value) = (avro::key_schema(table), avro::value_schema(table));
            let key_id = registry.register(&format!("{topic}-key"), &key)?;
            let value_id = registry.register(&format!("{topic}-value"), &value)?;
            let key = Encoder::new(table.columns[..table.key_columns].to_vec(), &key, key_id);
            Ok((*id, (key, Encoder::new(avro::columns(table), &value, value_id))))
        };
        self.catalogue.tables().iter().map(encoder).collect::<Result<_, KafkaError>>().map_err(sink_error)
    }

    /// The right to write under a claim that was made, after something went wrong or another producer began.
    fn take_over(&self, claim: &Claim) -> Result<Writer, SinkError> {
        let ours = |progress: Option<(Progress, Added)>| match progress {
            Some((progress, added)) => {
                let stands = claim.stands(&progress.pipeline_id, progress.generation, &self.name());
                // A transaction is to be read a moment after it was said to be committed.
                stands.map(|()| (progress, added)).map_err(|error| match error {
                    SinkError::Failed(detail) => SinkError::Unavailable(detail),
                    error @ (SinkError::Unavailable(_) | SinkError::Fenced { .. }) => error,
                })
            }
            None => Err(SinkError::gone(&self.name(), "its progress is gone")),
        };
        // Before anybody is fenced out: a run that was superseded must not fence out the one that superseded it.
        ours(self.progress()?)?;
        let (encoders, clean, producer) = (self.encoders()?, self.clean()?, self.producer()?);
        let (progress, added) = ours(self.progress()?)?;
        Ok(Writer { producer, encoders, clean, progress, added })
    }

    /// The rows of raw tables that are not there yet.
    fn additions<'a>(&self, commit: &'a Commit, added: &mut Added) -> Result<Additions<'a>, KafkaError> {
        let mut additions = Additions::new();
        for id in self.catalogue.tables().iter().filter(|id| id.table().kind() == Kind::Append) {
            let table = id.table();
            let deltas = commit.deltas.get(id).map(Deltas::as_values).unwrap_or_default();
            let rows = commit.appends.get(id).map_or(&[][..], Vec::as_slice);
            let stored = |keys: &BTreeSet<Vec<Value>>| {
                let rows = self.rows(table)?;
                Ok::<_, KafkaError>(keys.iter().filter(|key| rows.contains_key(*key)).cloned().collect())
            };
            additions.push((*id, added.new_of(table, &deltas, rows, stored)?));
        }
        Ok(additions)
    }

    /// Everything in the topic of a table.
    fn rows(&self, table: &Table) -> Result<read::Rows, KafkaError> {
        Reader::new(&self.client)?.rows(&self.topic(table), table, &Registry::open(&self.registry)?)
    }

    fn send(&self, writer: &Writer, commit: &Commit, additions: &Additions<'_>) -> Result<(), KafkaError> {
        let stamps = [Value::Integer(commit.epoch as i64), Value::Instant(commit.clock_ms)];
        let upsert = |id: &TableId, topic: &str, row: &[Value]| {
            let (key, value) = &writer.encoders[id];
            let key = key.payload(row[..id.table().key_columns].iter());
            writer.producer.send(topic, &key, Some(&value.payload(row.iter().chain(&stamps))))
        };
        for (id, deltas) in &commit.deltas {
            let topic = self.topic(id.table());
            for delta in deltas.iter() {
                match &*delta {
                    Delta::Upsert(row) => upsert(id, &topic, row)?,
                    Delta::Delete(key) => {
                        writer.producer.send(&topic, &writer.encoders[id].0.payload(key.iter()), None)?;
                    }
                }
            }
        }
        for (id, rows) in additions {
            let topic = self.topic(id.table());
            rows.iter().try_for_each(|row| upsert(id, &topic, row))?;
        }
        writer.clean.each(commit, |topic, key, payload| writer.producer.send(topic, key, Some(payload)))
    }

    /// Leaves the progress in a transaction that is open.
    fn send_progress(&self, producer: &Transactional, progress: &Progress, added: &Added) -> Result<(), KafkaError> {
        let written = Written {
            pipeline_id: progress.pipeline_id.clone(),
            generation: progress.generation,
            made_by: progress.made_by.name().to_owned(),
            epoch: progress.epoch,
            positions: progress.positions.clone(),
            watermark: instant::show(progress.watermarks.least()),
            watermarks: progress.watermarks.clone(),
            committed_at: instant::show(progress.committed_at),
            added: added.clone(),
        };
        let payload = serde_json::to_vec(&written).expect("text and numbers are JSON");
        producer.send(&self.progress_topic(), PROGRESS_KEY, Some(&payload))
    }
}

impl Sink for Kafka {
    fn position(&mut self) -> Result<Option<Progress>, SinkError> {
        Ok(self.progress()?.map(|(progress, _)| progress))
    }

    fn claim(&mut self, made_by: MadeBy, wanted: Option<&Claim>) -> Result<Claim, SinkError> {
        (self.writer, self.pages) = (None, None);
        let topics = self.make_topics().map_err(sink_error)?;
        self.refuse_what_loses_rows(&topics)?;
        self.make_clean_topic()?;
        let (encoders, clean) = (self.encoders()?, self.clean()?);
        let producer = self.producer()?;
        // Now nobody else can commit, and what was in the middle of it is decided.
        let found = self.progress()?;
        let claim = Claim::after(found.as_ref().map(|(progress, _)| progress), wanted, &self.name())?;
        self.set_retention(&topics).map_err(sink_error)?;
        let (mut progress, added) = found.unwrap_or_else(|| {
            let nothing = Progress {
                pipeline_id: claim.pipeline_id.clone(),
                generation: claim.generation,
                made_by,
                epoch: 0,
                positions: BTreeMap::new(),
                watermarks: Watermarks::NONE,
                committed_at: dataflows::time::START,
            };
            (nothing, Added::default())
        });
        progress.generation = claim.generation;
        if progress.epoch == 0 {
            progress.made_by = made_by;
        }
        producer.transaction(|| self.send_progress(&producer, &progress, &added)).map_err(sink_error)?;
        self.writer = Some(Writer { producer, encoders, clean, progress, added });
        Ok(claim)
    }

    fn apply(&mut self, claim: &Claim, commit: &Commit) -> Result<(), SinkError> {
        self.pages = None;
        // Dropped if anything goes wrong: what became of it is read back then.
        let is_ours = |writer: &Writer| {
            (&writer.progress.pipeline_id, writer.progress.generation) == (&claim.pipeline_id, claim.generation)
        };
        let mut writer = match self.writer.take() {
            Some(writer) if is_ours(&writer) => writer,
            _ => self.take_over(claim)?,
        };
        let at = writer.progress.epoch;
        if at < commit.epoch && at != commit.follows {
            return Err(SinkError::elsewhere(&self.name(), at, commit.follows));
        }
        if at < commit.epoch {
            let progress = Progress {
                epoch: commit.epoch,
                positions: commit.positions.clone(),
                watermarks: commit.watermarks.clone(),
                committed_at: commit.clock_ms,
                ..writer.progress.clone()
            };
            let mut added = writer.added.clone();
            let additions = self.additions(commit, &mut added).map_err(sink_error)?;
            let done = writer.producer.transaction(|| {
                self.send(&writer, commit, &additions)?;
                self.send_progress(&writer.producer, &progress, &added)
            });
            if let Err(error) = done {
                // Perhaps because somebody has taken over: that is for good.
                drop(writer);
                return match self.progress() {
                    Ok(Some((found, _))) if found.generation > claim.generation => {
                        claim.stands(&found.pipeline_id, found.generation, &self.name())
                    }
                    _ => Err(sink_error(error)),
                };
            }
            (writer.progress, writer.added) = (progress, added);
        }
        self.writer = Some(writer);
        Ok(())
    }

    /// Nothing to do: it is the brokers who remove, what the last claim told them to.
    fn purge(&mut self, _: &Claim, _: &Purge) -> Result<Purged, SinkError> {
        Ok(Purged { rows: 0, is_done: true })
    }

    fn commit_interval(&self) -> Option<Duration> {
        Some(self.commit_interval)
    }

    fn takes_clean(&self) -> bool {
        !self.clean.is_empty()
    }

    fn name(&self) -> String {
        format!("Kafka at {}, topics `{}*`", self.client.brokers, self.prefix)
    }
}

impl Stored for Kafka {
    fn catalogue(&self) -> Catalogue {
        self.catalogue
    }

    /// The first page of a table reads its topic whole, and keeps it until something else is asked.
    fn page(&mut self, id: TableId, after: Option<&[Value]>, limit: usize) -> Result<Vec<Vec<Value>>, SinkError> {
        let table = id.table();
        if self.pages.as_ref().is_none_or(|(read, _)| *read != id) || after.is_none() {
            self.pages = None;
            self.pages = Some((id, self.rows(table).map_err(sink_error)?));
        }
        let (_, rows) = self.pages.as_ref().expect("read just now");
        let from = after.map_or(std::ops::Bound::Unbounded, |key| std::ops::Bound::Excluded(key.to_vec()));
        Ok(rows.range((from, std::ops::Bound::Unbounded)).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn has_another_shape(&mut self, _: TableId) -> Result<bool, SinkError> {
        Ok(false)
    }

    fn make_anew(&mut self, _: TableId) {}

    fn makes_anew(&self) -> bool {
        false
    }

    fn scrub(&mut self, _: &Claim, _: &RowOf<'_>) -> Result<Vec<String>, SinkError> {
        let when = "once brokers compact a segment that is closed (`segment.ms`, `max.compaction.lag.ms`)";
        let mut left =
            vec![format!("{}: tombstones and the rows of nobody are sent; the rows of before go {when}", self.name())];
        if !self.clean.is_empty() {
            left.push(format!("{}: topic `{}`, until brokers remove it (`retention.ms`)", self.name(), self.clean));
        }
        Ok(left)
    }
}

fn sink_error(error: KafkaError) -> SinkError {
    match error {
        KafkaError::Away(why) => SinkError::Unavailable(why),
        KafkaError::Refused(why) => SinkError::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_the_record_of_progress_is_read_or_refused() {
        let written = Written {
            pipeline_id: "7b0f".to_owned(),
            generation: 2,
            made_by: "run".to_owned(),
            epoch: 8,
            positions: BTreeMap::from([("shop/0".to_owned(), 5)]),
            watermark: instant::show(1),
            watermarks: Watermarks::of_shop(1),
            committed_at: instant::show(2),
            added: Added::default(),
        };
        let written = serde_json::to_value(&written).expect("JSON");
        let read = |written: &serde_json::Value| read_written(written.to_string().as_bytes(), "Kafka", "dm_progress");
        let (progress, _) = read(&written).expect("ours");
        assert_eq!((progress.made_by, progress.watermarks.least(), progress.committed_at), (MadeBy::Run, 1, 2));
        for field in written.as_object().expect("fields").keys() {
            for wrong in [serde_json::Value::Null, serde_json::json!(-1), serde_json::json!({"a": "b"})] {
                if field == "watermarks" && wrong.is_null() {
                    // As before families had names.
                    continue;
                }
                let mut damaged = written.clone();
                damaged[field] = wrong;
                let error = read(&damaged).expect_err(field).to_string();
                let is_named = field == "added" || error.contains(&format!("`{field}` is "));
                assert!(is_named && error.contains("dm_progress") && error.contains("publish.prefix"), "{error}");
            }
        }
    }
}
