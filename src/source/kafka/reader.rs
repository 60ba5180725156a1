//! What becomes of what was polled: records in their order, each as soon as its schema is known.

use super::Mode;
use super::mine::{Held, Mine, elsewhere};
use crate::config::kafka::Format as Payload;
use crate::decode::Reason;
use crate::decode::avro::{Schemas, schema_id};
use crate::kafka::client::Context;
use crate::kafka::damage::is_damage;
use crate::kafka::identity;
use crate::kafka::registry::{Registry, Resolved};
use crate::source::{Batch, Poll, Refused, SourceError};
use dataflows::operators::Status;
use rdkafka::Message;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the same trouble is said.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What becomes of records.
pub(super) struct Reader {
    pub brokers: String,
    pub payload: Payload,
    pub schemas: Schemas,
    pub registry: Option<Arc<Registry>>,
    pub mode: Mode,
    /// It is the catalog, and has not come to its then end.
    pub leads: bool,
    pub mine: Vec<Mine>,
    pub says: VecDeque<Poll>,
    pub said: Option<Instant>,
    /// Of how many sources there is more to read.
    pub reading: Arc<AtomicUsize>,
    /// There is no more of this one.
    pub is_done: bool,
}

impl Reader {
    fn number_of(&self, topic: &str, partition: i32) -> Option<usize> {
        self.mine.iter().position(|mine| mine.found.partition == partition && mine.found.topic == topic)
    }

    /// Takes a record into the batch, or holds it while its schema is not known.
    pub fn take<M: Message>(&mut self, record: &M, batch: &mut Batch) {
        let Some(number) = self.number_of(record.topic(), record.partition()) else { return };
        let mine = &mut self.mine[number];
        if mine.ended || record.offset() < mine.next {
            return;
        }
        if self.mode.to_end && record.offset() >= mine.found.high {
            // All that was there has come before it.
            if mine.held.is_empty() {
                mine.next = mine.found.high;
            }
            return;
        }
        if mine.damage.as_ref().is_some_and(|damage| damage.again.is_some()) {
            // What cannot be read is before it.
            return;
        }
        if mine.astray || !mine.is_open() {
            // It came before its partition had a queue of its own, from which nobody would have taken it now.
            mine.astray = true;
            return;
        }
        if mine.damage.take().is_some() {
            tracing::info!("Kafka: `{}` can be read at offset {} after all", mine.name, mine.next);
        }
        if mine.must_pass(record.offset()) {
            return;
        }
        // What is behind one that waits is asked for meanwhile.
        let judged = self.judge(number, record, || elsewhere(record));
        let mine = &mut self.mine[number];
        match judged {
            Judged::Taken(refused) if mine.held.is_empty() => self.push(number, record, refused, batch),
            Judged::Taken(_) | Judged::Waits => mine.hold(record),
        }
    }

    /// Takes the first record that waits into the batch, if it need not wait any more.
    pub fn release(&mut self, number: usize, batch: &mut Batch) -> bool {
        let Some(Held { record, elsewhere, .. }) = self.mine[number].held.front() else { return false };
        let Judged::Taken(refused) = self.judge(number, record, || elsewhere.clone()) else { return false };
        let Some(Held { record, .. }) = self.mine[number].release() else { return false };
        self.push(number, &record, refused, batch);
        true
    }

    fn push<M: Message>(&mut self, number: usize, record: &M, refused: Option<Refused>, batch: &mut Batch) {
        let appended_ms = record.timestamp().to_millis().filter(|ms| *ms >= 0).unwrap_or(i64::MAX);
        let (key, payload) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
        batch.push_appended(number as u32, record.offset(), appended_ms, key, payload);
        if let (Some(refused), Some(record)) = (refused, batch.records.last_mut()) {
            record.refused = Some(Box::new(refused));
        }
        let mine = &mut self.mine[number];
        mine.next = record.offset() + 1;
        mine.read_to_ms = record.timestamp().to_millis().filter(|ms| *ms >= 0);
        // It was empty when we began: its first record tells it apart from now on.
        mine.identity.get_or_insert_with(|| identity::of_record(record));
    }

    /// Whether what a record needs is known.
    fn judge<M: Message>(&self, number: usize, record: &M, elsewhere: impl FnOnce() -> Option<String>) -> Judged {
        let (mine, payload) = (&self.mine[number], record.payload().unwrap_or_default());
        let is_replayed = record.offset() < mine.replays_until;
        let Some(registry) = self.registry.as_ref().filter(|_| !payload.is_empty()) else { return Judged::Taken(None) };
        if is_replayed && mine.was_rejected(record.offset()) {
            // The journal says why.
            return Judged::Taken(None);
        }
        let refused = |reason, detail| Judged::Taken(Some(Refused { reason, detail, from: None }));
        let named_elsewhere = || match elsewhere() {
            Some(detail) => refused(Reason::UNKNOWN_SCHEMA, detail),
            // What is to be said of it is in the bytes.
            None => Judged::Taken(None),
        };
        let Some(id) = schema_id(payload).filter(|id| *id != 0) else { return named_elsewhere() };
        match registry.resolve(id, &mine.name, is_replayed) {
            Resolved::Yes => Judged::Taken(None),
            Resolved::Absent => named_elsewhere(),
            Resolved::Unavailable(why) => {
                let detail = format!(
                    "schema {id} could not be had for a minute, while the registry gave others: {why}. Mend that, then \
                     `replay-rejected --reason schema_unavailable`"
                );
                refused(Reason::SCHEMA_UNAVAILABLE, detail)
            }
            Resolved::Unasked(why) => refused(Reason::UNKNOWN_SCHEMA, why),
            Resolved::Asked(_) => Judged::Waits,
        }
    }

    /// Takes in that something failed: what cannot be read, or what the client tries again by itself.
    pub fn fails(&mut self, number: Option<usize>, error: &Native) -> Result<(), SourceError> {
        if let Some(failed) = self.failed(error) {
            return Err(failed);
        }
        if let Some(mine) = number.map(|number| &mut self.mine[number])
            && is_damage(error)
        {
            // What comes behind it is read again: the client may have gone on without it.
            mine.is_damaged(error.to_string());
        } else if self.said.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            self.said = Some(Instant::now());
            let place = |number: usize| format!(", `{}` from {}", self.mine[number].name, self.mine[number].next);
            let place = number.map(place).unwrap_or_default();
            tracing::warn!("Kafka at {}{place}: {error}; trying again", self.brokers);
        }
        Ok(())
    }

    fn failed(&self, error: &Native) -> Option<SourceError> {
        let code = error.rdkafka_error_code();
        let why = match (error, code) {
            (_, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
                "what is to be read next was deleted while we read, or the topic was made again. Start again: it is \
                 said then what is missing"
            }
            (_, Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                "a topic that was read is gone. Start again with what is there"
            }
            (_, Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => "a topic may not be read any more by this user",
            (Native::MessageConsumptionFatal(_), _) => "the client cannot go on",
            // It tries again by itself, and says so.
            _ => return None,
        };
        Some(SourceError::Failed(format!("Kafka at {}: {why} ({error})", self.brokers)))
    }

    /// What is to be said now that there is nothing to read, or enough was read.
    ///
    /// # Errors
    /// If all is read but for what cannot be.
    pub fn arrive(&mut self, context: &Context) -> Result<(), SourceError> {
        let arrived = |mine: &Mine| {
            let fetched = || context.fetched(&mine.found.topic, mine.found.partition);
            let end = mine.found.high;
            let is_read = || fetched().is_some_and(|fetched| fetched.is_polled_to(end, mine.next));
            mine.next >= end || (mine.is_clear() && is_read())
        };
        if self.mode.to_end {
            for (number, mine) in self.mine.iter_mut().enumerate() {
                if !mine.ended && arrived(mine) {
                    mine.ended = true;
                    self.says.push_back(Poll::Status(number as u32, Status::Ended));
                }
            }
            if !self.says.is_empty() || !self.mine.iter().all(|mine| mine.ended || mine.is_given_up()) {
                return Ok(());
            }
            if !std::mem::replace(&mut self.is_done, true) {
                self.reading.fetch_sub(1, Ordering::AcqRel);
            }
            if self.mine.iter().all(|mine| mine.ended) {
                self.says.push_back(Poll::End);
            } else if self.leads || self.reading.load(Ordering::Acquire) == 0 {
                // Others wait for the catalog; all else is read first.
                let unread: Vec<_> = self.mine.iter().filter_map(|mine| mine.waits_for(|_| None)).collect();
                let why =
                    format!("Kafka at {}: not everything was read to its end: {}", self.brokers, unread.join("; "));
                return Err(SourceError::Failed(why));
            }
        } else if self.leads && self.mine.iter().all(arrived) {
            self.leads = false;
            self.says.push_back(Poll::Cut);
        }
        Ok(())
    }

    /// What the registry says of the schema that a record waits for.
    pub fn said_of(&self, mine: &Mine, record: &impl Message) -> Option<String> {
        let id = schema_id(record.payload().unwrap_or_default())?;
        let is_replayed = record.offset() < mine.replays_until;
        match self.registry.as_ref()?.resolve(id, &mine.name, is_replayed) {
            Resolved::Asked(said) => {
                let said = said.unwrap_or_else(|| "it was asked, and has not answered yet".to_owned());
                Some(format!("schema {id} from the registry: {said}"))
            }
            Resolved::Yes | Resolved::Absent | Resolved::Unavailable(_) | Resolved::Unasked(_) => None,
        }
    }
}

/// Whether a record can be handed over.
enum Judged {
    /// It can, if only to be rejected.
    Taken(Option<Refused>),
    /// Its schema has been asked for.
    Waits,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::avro::header;
    use crate::families::topics;
    use crate::kafka::partition::{Found, Pass};
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    /// Where records of a partition come before it has a queue of its own, they come though nothing more is read of it.
    #[test]
    fn what_comes_while_a_partition_waits_is_read_in_its_turn() {
        let carries = topics().iter().position(|topic| !topic.is_read_first).expect("there is one");
        let found = Found { carries, topic: "shop".to_owned(), partition: 0, low: 0, high: 40, begin: 0 };
        let passed = Pass { from: 10, to: 20, reason: Reason::UNREADABLE, why: "damaged".to_owned() };
        // Nobody answers there: each schema is waited for.
        let registry = Registry::open(&crate::config::kafka::Registry {
            url: "http://127.0.0.1:1".to_owned(),
            ..Default::default()
        });
        let mut reader = Reader {
            brokers: String::new(),
            payload: Payload::Avro,
            schemas: Schemas::shipped(),
            registry: Some(Arc::new(registry.expect("made"))),
            mode: Mode::default(),
            leads: false,
            mine: vec![Mine::new(found, None, vec![passed])],
            says: VecDeque::new(),
            said: None,
            reading: Arc::default(),
            is_done: false,
        };
        let payload = Some(header(7).to_vec());
        let record = |offset| {
            OwnedMessage::new(payload.clone(), None, "shop".to_owned(), Timestamp::NotAvailable, 0, offset, None)
        };
        let mut batch = Batch::with_capacity(100, 1000);
        // The client says that a batch is damaged, is begun again behind it, and goes on.
        (0..10).chain(20..40).for_each(|offset| reader.take(&record(offset), &mut batch));
        assert_eq!((batch.records.len(), reader.mine[0].next, reader.mine[0].astray), (0, 0, true));
        assert!(!reader.mine[0].is_clear(), "it has not come to its end");
        assert!(reader.mine[0].passes_now().is_none(), "what is before it is not known yet");
        // As if it was answered.
        reader.registry = None;
        while reader.release(0, &mut batch) {}
        reader.take(&record(25), &mut batch);
        assert_eq!((batch.records.len(), reader.mine[0].begins_at()), (1, 1), "it is begun again first");
        reader.mine[0].astray = false;
        (1..10).chain(20..40).for_each(|offset| reader.take(&record(offset), &mut batch));
        assert_eq!(batch.records.iter().map(|record| record.offset).collect::<Vec<_>>(), Vec::from_iter(0..10));
        assert_eq!(reader.mine[0].passes_now().map(|(to, _)| to), Some(20));
    }
}
