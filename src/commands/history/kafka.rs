//! History into Kafka: each line once, whatever is killed when.
//!
//! Lines go in transactions. Each record says in a header which line it is and what all lines up to it add up to: what is
//! committed in the topics says where to go on, and nothing else has to be kept. A topic that was made anew is empty, and
//! begins anew.

use crate::accept::accept;
use crate::commands::outcome::Outcome;
use crate::commands::produce::{Wire, make_topics, progress_of, summary_of};
use crate::commands::{Refused, inputs, stop_on_signals};
use crate::config::Config;
use crate::config::kafka::Format;
use crate::decode;
use crate::families::{SHOP, declared};
use crate::history::{Pace, Staged, Times};
use crate::kafka::KafkaError;
use crate::kafka::producer::{Behind, Transactional};
use crate::kafka::tail::last_of_ours;
use crate::source::content::Content;
use anyhow::{Result, bail};
use dataflows::Instant;
use dataflows::family::FamilyId;
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::time::Duration;

/// Names the line that a record is: replay, line, and the sum of all lines up to it.
const LINE: &str = "deltamart-replay";
/// A transaction has so many lines at the most.
const TRANSACTION_LINES: usize = 1_000;
/// So long it is waited at a time, so that a signal is heard.
const STEP: Duration = Duration::from_millis(20);
/// No record is larger.
const RECORD_BYTES_MAX: usize = 8 << 20;
/// What is the future is judged by who reads.
const FAR_FUTURE_MS: Instant = i64::MAX / 4;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: i64,
    sum: u32,
}

impl Place {
    fn written(self, replay: u32) -> String {
        format!("{replay:08x} {} {:08x}", self.line, self.sum)
    }

    /// What a header says, if it is of this replay.
    fn read(text: &[u8], replay: u32) -> Option<Place> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let of = u32::from_str_radix(words.next()?, 16).ok()?;
        let line = words.next()?.parse().ok()?;
        let sum = u32::from_str_radix(words.next()?, 16).ok()?;
        (of == replay && words.next().is_none()).then_some(Place { line, sum })
    }
}

/// The history of a family that is being sent.
struct Sending {
    family: FamilyId,
    content: Content,
    times: Times,
    /// The number of the replay: another one begins with another line, or takes another number of rows of a day.
    replay: u32,
    /// The next line and its time, if there is one.
    next: Option<(Instant, Place)>,
    line: Vec<u8>,
    topics: Vec<String>,
    /// Where a reader stands that has read what was sent before.
    behind: Behind,
}

/// Sends what is told, and tells how much.
pub(super) fn send(config: &Config, staged: &[Staged], per_day: Option<u64>, pace: Option<&Pace>) -> Result<Outcome> {
    refuse_other_formats(config, staged)?;
    let stop = stop_on_signals()?;
    let mut wire = match staged.iter().any(|staged| staged.family == SHOP) {
        true => Some(Wire::new(config)?),
        false => None,
    };
    let mut all = Vec::new();
    for staged in staged.iter().filter(|staged| staged.rows > 0) {
        all.push(Sending::new(staged, per_day, wire.as_ref())?);
    }
    let names: Vec<_> = all.iter().flat_map(|sending| &sending.topics).map(String::as_str).collect();
    make_topics(config, &names)?;
    let name = format!("deltamart-replay-{}", names.first().unwrap_or(&"nothing"));
    // From here on no other replay sends, and what one left in the middle is decided.
    let producer = Transactional::begin(&config.kafka, &name, RECORD_BYTES_MAX).map_err(inputs::refused)?;
    for sending in &mut all {
        sending.go_on(config)?;
        if let (Some(pace), Some((at, _))) = (pace, sending.next) {
            pace.begins_with(at);
        }
    }
    let rows = staged.iter().map(|staged| staged.rows).sum();
    let done = Arc::new(AtomicU64::new(all.iter().map(Sending::before).sum()));
    let (before, left_out) = (done.load(Relaxed), &mut 0);
    let watch = progress_of(Arc::clone(&done), rows);
    while let Some(first) = earliest(&all) {
        if !wait(pace, first, &stop) {
            break;
        }
        let until = pace.map_or(Instant::MAX, Pace::reached);
        let mut lines = 0;
        producer
            .transaction(|| {
                while lines < TRANSACTION_LINES
                    && let Some(sending) = due(&mut all, until)
                {
                    *left_out += u64::from(!sending.send(&producer, wire.as_mut(), config)?);
                    sending.read()?;
                    lines += 1;
                }
                Ok(())
            })
            .map_err(inputs::refused)?;
        done.fetch_add(lines as u64, Relaxed);
    }
    let took = watch.stop();
    let mut behind = producer.delivered().behind();
    all.iter().for_each(|sending| behind.merge(&sending.behind));
    let outcome = summary_of(done.load(Relaxed) - before - *left_out, &behind, took, stop.load(Acquire))?;
    if before > 0 {
        say!("{before} lines had been sent before");
    }
    if *left_out > 0 {
        say!("{left_out} lines are no events, and have no topic: they were left out");
    }
    Ok(outcome.with("left_out", *left_out))
}

/// When the earliest line happened that is not sent.
fn earliest(all: &[Sending]) -> Option<Instant> {
    all.iter().filter_map(|sending| sending.next).map(|(at, _)| at).min()
}

/// Who has the earliest line, if it is due.
fn due(all: &mut [Sending], until: Instant) -> Option<&mut Sending> {
    let waiting = all.iter_mut().filter(|sending| sending.next.is_some_and(|(at, _)| at <= until));
    waiting.min_by_key(|sending| sending.next.map(|(at, _)| at))
}

/// Waits until it is time; tells whether it is, or a signal came first.
fn wait(pace: Option<&Pace>, at: Instant, stop: &AtomicBool) -> bool {
    while !stop.load(Acquire) {
        match pace.map_or(0, |pace| pace.due_in_ms(at)) {
            0 => return true,
            ms => std::thread::sleep(STEP.min(Duration::from_millis(ms))),
        }
    }
    false
}

fn refuse_other_formats(config: &Config, staged: &[Staged]) -> Result<()> {
    let of_models = staged.iter().any(|staged| staged.family != SHOP);
    if of_models && config.kafka.format != Format::Json {
        let why = "events of a model are sent as JSON, and `kafka.format` says otherwise: `--set kafka.format=json`";
        return Err(Refused(why.to_owned()).into());
    }
    Ok(())
}

impl Sending {
    fn new(Staged { family, lines, times, .. }: &Staged, per_day: Option<u64>, wire: Option<&Wire>) -> Result<Sending> {
        let topics = match declared().iter().find(|loaded| FamilyId(loaded.family) == *family) {
            Some(loaded) => loaded.events.topics.iter().take(1).cloned().collect(),
            None => wire.map(Wire::topics).unwrap_or_default(),
        };
        if topics.is_empty() {
            bail!("the events of `{}` have no topic (`topics` in its file of the model)", family.name());
        }
        let (content, times) = (Content::open(lines)?, Times::open(times)?);
        let mut sending = Sending {
            family: *family,
            content,
            times,
            replay: 0,
            next: None,
            line: Vec::new(),
            topics,
            behind: Behind::default(),
        };
        sending.read()?;
        let first = sending.next.map_or(0, |(_, first)| first.sum);
        sending.replay = crc32fast::hash(format!("{first} {per_day:?}").as_bytes());
        Ok(sending)
    }

    /// Reads the next line.
    fn read(&mut self) -> Result<(), KafkaError> {
        self.line.clear();
        let read = self.content.read_line(&mut self.line).map_err(|error| KafkaError::Refused(error.to_string()))?;
        self.next = read.map(|read| {
            let at = self.times.at(read.number).unwrap_or(Instant::MIN);
            (at, Place { line: read.number, sum: read.sum })
        });
        Ok(())
    }

    /// Goes on behind the last line that is in the topics.
    fn go_on(&mut self, config: &Config) -> Result<()> {
        let mut last = None;
        for topic in &self.topics {
            let ours = |record: &rdkafka::message::BorrowedMessage<'_>| {
                let header = record.headers()?.iter().find(|header| header.key == LINE)?;
                Some((Place::read(header.value?, self.replay)?, record.partition(), record.offset()))
            };
            for (place, partition, offset) in last_of_ours(&config.kafka, topic, ours).map_err(inputs::refused)? {
                self.behind.add(topic, partition, offset);
                last = last.max(Some(place));
            }
        }
        let Some(last) = last else { return Ok(()) };
        let mut is_there = false;
        while let Some((_, place)) = self.next.filter(|(_, place)| place.line <= last.line) {
            is_there = place == last;
            self.read()?;
        }
        if !is_there {
            let (name, line) = (self.family.name(), last.line);
            let why = format!(
                "what was sent of `{name}` up to line {line} is not what these files say now, or by these settings: give \
                 them as they were, or send to a topic that is empty"
            );
            return Err(Refused(why).into());
        }
        Ok(())
    }

    /// How many lines were sent before.
    fn before(&self) -> u64 {
        let next = self.next.map_or_else(|| self.content.next(), |(_, place)| place.line);
        next.unsigned_abs().saturating_sub(1)
    }

    /// Sends the next line in the transaction that is open; tells whether there is a topic for it.
    fn send(&self, producer: &Transactional, wire: Option<&mut Wire>, config: &Config) -> Result<bool, KafkaError> {
        let Some((_, place)) = self.next else { return Ok(false) };
        let header = place.written(self.replay);
        let headers = || OwnedHeaders::new().insert(Header { key: LINE, value: Some(&header) });
        let Some(wire) = wire.filter(|_| self.family == SHOP) else {
            return producer.send_with(&self.topics[0], b"", Some(&self.line), Some(headers())).map(|()| true);
        };
        let Ok(accepted) = accept(&decode::Format::Json(None), &self.line, &config.rules, FAR_FUTURE_MS) else {
            return Ok(false);
        };
        let Some((topic, payload)) = wire.told(&accepted.event, &self.line) else { return Ok(false) };
        producer.send_with(topic, b"", Some(payload), Some(headers())).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_no_other_is() {
        let place = Place { line: 12_345, sum: 0x00ab_cdef };
        let written = place.written(0x1234);
        assert_eq!(written, "00001234 12345 00abcdef");
        assert_eq!(Place::read(written.as_bytes(), 0x1234), Some(place));
        for (text, replay) in
            [(&*written, 0x1235), ("", 0), ("0 1", 0), ("0 1 2 3", 0), ("x 1 2", 0), ("0 x 2", 0), ("\u{fffd}", 0)]
        {
            assert_eq!(Place::read(text.as_bytes(), replay), None, "{text}");
        }
    }
}
