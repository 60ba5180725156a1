//! The vocabulary of a family: what each of its events is, said by its page, and how a record becomes one of them.

use super::instant;
use super::names::{Called, Fields, Kind, Names, Set, Slot, Table, TwoWays};
use super::nearest::nearest;
use super::reason::{Broken, Reason, Rejection};
use super::scalar::Scalar;
use super::{Wire, when};
use crate::Instant;
use std::fmt;

/// What a page says of its event.
pub struct Page<E, R> {
    /// Where it comes from.
    pub topic: Topic,
    /// The field that is the key of its records.
    pub key: &'static str,
    /// Whether it moves the watermark. One that speaks of things, not of time, does not.
    pub carries_time: bool,
    /// The reasons for which it, and it alone, is rejected.
    pub reasons: &'static [Reason],
    /// One that is accepted, as JSON: an object of single values.
    pub sample: &'static str,
    /// The sample spoiled, and why it is rejected then.
    pub flaws: &'static [Flaw],
    /// Says which fields it reads, and gives what makes the event of them.
    pub accept: fn(&mut Fields<'_>) -> Accept<E, R>,
}

/// A topic that carries an event.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its default name.
    pub name: &'static str,
    /// The event's name.
    pub event: &'static str,
    /// Its shipped schema, of Avro.
    pub schema: &'static str,
    /// Whether it is read to its then end before any other.
    pub is_read_first: bool,
}

/// How a sample is spoiled.
#[derive(Clone, Copy, Debug)]
pub struct Flaw {
    /// The field that is other than it should be.
    pub field: &'static str,
    /// What stands there, as JSON; nothing if the field is left out.
    pub value: &'static str,
    /// Why the event is rejected.
    pub reason: Reason,
}

impl Flaw {
    /// A field that has this value, or is left out.
    pub const fn new(field: &'static str, value: &'static str, reason: Reason) -> Flaw {
        Flaw { field, value, reason }
    }
}

/// By which the future begins: the earlier of two times, each in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// That of who reads: the epoch's.
    pub reader_ms: i64,
    /// The time that the record has in its log, if it has a believable one: when it was sent, or appended.
    pub log_ms: Option<i64>,
}

impl From<i64> for Clock {
    fn from(reader_ms: i64) -> Clock {
        Clock { reader_ms, log_ms: None }
    }
}

/// When events may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRules {
    /// Nothing happened before this.
    pub min_event_time: Instant,
    /// How far after the epoch's clock an event may be.
    pub max_future: i64,
}

impl Default for TimeRules {
    fn default() -> TimeRules {
        TimeRules { min_event_time: 946_684_800_000, max_future: 3_600_000 }
    }
}

/// A record whose event and time are known.
#[derive(Debug)]
pub struct Record<'r, 'n, 'a> {
    /// Its fields. What becomes part of the event may be taken out.
    pub wire: &'r mut Wire<'n, 'a>,
    /// Event time.
    pub timestamp: Instant,
    /// An e-mail address came in clear, and was masked.
    pub masked: bool,
}

/// Makes an event of a record by the rules of its family, or says which it breaks first.
pub type Accept<E, R> = Box<dyn Fn(&mut Record<'_, '_, '_>, &R) -> Result<E, Broken> + Send + Sync>;

/// What a family of events says: its pages, and the names of their fields.
pub struct Vocabulary<E, R> {
    names: Names,
    events: Vec<Entry<E, R>>,
    /// Events by our names for them: what topics carry.
    carried: Table,
    /// The fields that say which event a record is, and which of their values say which.
    named: Vec<NamedBy>,
}

/// A field that says which event a record is.
struct NamedBy {
    slot: Slot,
    /// The places of events, by what it says of them.
    events: Vec<(&'static str, usize)>,
    table: Table,
}

/// What the records of an event call it and its fields, where that is something else than what its page does.
#[derive(Clone, Debug, Default)]
pub struct Alias {
    /// The event.
    pub event: Option<&'static str>,
    /// Its fields.
    pub fields: Called,
}

/// An event of a family, as its records call it.
pub struct Spoken<'v, E, R> {
    /// The event.
    pub page: &'v Page<E, R>,
    /// What its records call it.
    pub name: &'static str,
    /// What the page calls the fields that it reads, those that all events have first.
    pub fields: &'v [&'static str],
    called: &'v Called,
}

impl<E, R> Spoken<'_, E, R> {
    /// What records call a field.
    pub fn called(&self, field: &'static str) -> &'static str {
        self.called.get(field).copied().unwrap_or(field)
    }
}

struct Entry<E, R> {
    page: Page<E, R>,
    accept: Accept<E, R>,
    timestamp: Slot,
    rest: Option<Set>,
    name: &'static str,
    asked: Vec<&'static str>,
    called: Called,
}

/// The field that says which event a record is.
pub const EVENT_NAME: &str = "event_name";
/// The field with the time of an event.
pub const TIMESTAMP: &str = "timestamp";

impl<E, R> fmt::Debug for Vocabulary<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pages().map(|page| page.topic)).finish()
    }
}

impl<E, R> Default for Vocabulary<E, R> {
    fn default() -> Self {
        let (names, events, carried, named) = Default::default();
        Vocabulary { names, events, carried, named }
    }
}

impl<E, R> Vocabulary<E, R> {
    /// Adds an event.
    ///
    /// # Panics
    /// If a field of it is read in another way than another event reads it.
    pub fn add(&mut self, page: Page<E, R>) {
        let name = page.topic.event;
        let added = self.add_as(page, Alias::default());
        assert_eq!(added, Ok(()), "a field of `{name}` is read in two ways");
    }

    /// Adds an event whose records call it, and its fields, something else.
    ///
    /// # Errors
    /// The first field that would be read in two ways.
    pub fn add_as(&mut self, page: Page<E, R>, Alias { event, fields: called }: Alias) -> Result<(), TwoWays> {
        let mut fields = Fields::called(&mut self.names, called.clone());
        let event_name = fields.field(EVENT_NAME, Kind::Text);
        let timestamp = fields.field(TIMESTAMP, Kind::Instant);
        let accept = (page.accept)(&mut fields);
        let (rest, asked) = (fields.rest(), fields.asked());
        fields.two_ways().map_or(Ok(()), Err)?;
        let (name, place) = (event.unwrap_or(page.topic.event), self.events.len());
        self.events.push(Entry { page, accept, timestamp, rest, name, asked, called });
        let ours = self.events.iter().map(|entry| entry.page.topic.event);
        self.carried = Table::of(ours.enumerate().map(|(place, name)| (name, place)));
        let at = self.named.iter().position(|by| by.slot == event_name).unwrap_or_else(|| {
            self.named.push(NamedBy { slot: event_name, events: Vec::new(), table: Table::default() });
            self.named.len() - 1
        });
        let NamedBy { events, table, .. } = &mut self.named[at];
        events.push((name, place));
        *table = Table::of(events.iter().copied());
        Ok(())
    }

    /// What its events are.
    pub fn pages(&self) -> impl Iterator<Item = &Page<E, R>> {
        self.events.iter().map(|entry| &entry.page)
    }

    /// What its events are, as records call them.
    pub fn spoken(&self) -> impl Iterator<Item = Spoken<'_, E, R>> {
        self.events.iter().map(|Entry { page, name, asked, called, .. }| Spoken { page, name, fields: asked, called })
    }

    /// The names of the fields that are read.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Judges the fields of all events that a record has; tells too whether an e-mail address came in clear, in any
    /// text, and was masked. `carries` is the event of the topic, for records that do not name theirs; `rest` reads
    /// what an event has in addition. What becomes part of the event is taken out of `wire`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn judge<'n, 'a>(
        &self,
        wire: &mut Wire<'n, 'a>,
        carries: Option<&str>,
        (rules, time, clock): (&R, &TimeRules, Clock),
        rest: impl FnOnce(&mut Wire<'n, 'a>, Set) -> Result<(), Rejection>,
    ) -> Result<(E, bool), Broken> {
        let entry = self.event(wire, carries)?;
        let timestamp = event_time(wire, entry.timestamp, time, clock)?;
        if let Some(set) = entry.rest {
            wire.make_room(set);
            rest(wire, set)?;
            wire.each_once(set)?;
        }
        let mut record = Record { wire, timestamp, masked: false };
        let event = (entry.accept)(&mut record, rules)?;
        Ok((event, record.masked))
    }

    /// The event that a record is: that which it names; else that which its topic carries. Several fields may name
    /// events, if the records of one event call it otherwise than those of another: one that names none of its own is
    /// something else in records of the other.
    fn event(&self, wire: &Wire<'_, '_>, carries: Option<&str>) -> Result<&Entry<E, R>, Broken> {
        let mut unknown = None;
        for NamedBy { slot, table, .. } in &self.named {
            let Some(name) = wire.value(*slot)? else { continue };
            match name.text().as_deref().map(|name| table.find(name)) {
                Some(Some(place)) => return Ok(&self.events[place]),
                found => unknown = unknown.or(Some((*slot, name, found.is_some()))),
            }
        }
        let carried = carries.and_then(|carries| self.carried.find(carries));
        let own = |place: &usize| self.named.iter().find(|by| by.events.iter().any(|(_, of)| of == place));
        // A field by which others are named says nothing of an event that its topic tells, and that is named by another.
        let is_not_named = |place: &usize| own(place).is_some_and(|by| matches!(wire.value(by.slot), Ok(None)));
        if let Some(place) = carried.filter(|place| unknown.is_some() && is_not_named(place)) {
            return Ok(&self.events[place]);
        }
        let carried = carried.map(|place| &self.events[place]);
        let Some((slot, name, is_text)) = unknown else {
            let missing = || Broken::Missing(self.named.first().map_or(EVENT_NAME, |by| self.names.name(by.slot)));
            return carried.ok_or_else(missing);
        };
        if !is_text {
            return Err(wire.wrong_type(slot, name, "a text"));
        }
        let known: Vec<&str> = self.spoken().map(|event| event.name).collect();
        let text = name.text().unwrap_or_default();
        let expected = match nearest(&text, known.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("expected one of {}", known.join(", ")),
        };
        Err(wire.broken(slot, Reason::UNKNOWN_EVENT, name, &expected))
    }
}

/// The time of an event, if it may have happened then.
///
/// # Errors
/// If there is none, it cannot be read, or it is too old or in the future.
pub fn event_time(wire: &Wire<'_, '_>, slot: Slot, rules: &TimeRules, clock: Clock) -> Result<Instant, Broken> {
    let value = wire.required(slot)?;
    let at = when::instant(value).map_err(|why| {
        let reason = match value {
            Scalar::Bool(_) | Scalar::Amount(_) | Scalar::Other(_) => Reason::WRONG_TYPE,
            Scalar::Text(_)
            | Scalar::Long(_)
            | Scalar::Int(_)
            | Scalar::Huge(_)
            | Scalar::Float(_)
            | Scalar::Double(_)
            | Scalar::Bytes(_)
            | Scalar::Instant(_) => Reason::BAD_TIMESTAMP,
        };
        wire.broken(slot, reason, value, &why)
    })?;
    if may_have_happened(at, rules, clock) {
        return Ok(at);
    }
    if at < rules.min_event_time {
        let expected = format!("expected {} at the earliest", instant::show(rules.min_event_time));
        let at = Scalar::Instant(at);
        return Err(wire.broken(slot, Reason::TIMESTAMP_TOO_OLD, &at, &expected));
    }
    // The log's time first, and never the clock itself: an epoch may open before a record is appended or
    // after, and the same record is to be rejected in the same words whenever it is read.
    let of = match clock.log_ms.filter(|ms| at > latest(*ms, rules)) {
        Some(ms) => format!("the time that its log gives the record, {}", instant::show(ms)),
        None => "the clock (`rejected_at`)".to_owned(),
    };
    let (at, future) = (Scalar::Instant(at), instant::span(rules.max_future));
    let expected = format!("expected no later than {future} after {of}");
    Err(wire.broken(slot, Reason::TIMESTAMP_IN_FUTURE, &at, &expected))
}

/// Whether an event may have happened then: it is not too old, and not in the future.
#[inline]
pub fn may_have_happened(at: Instant, rules: &TimeRules, clock: Clock) -> bool {
    let is_past = |ms: i64| at <= latest(ms, rules);
    at >= rules.min_event_time && clock.log_ms.is_none_or(is_past) && is_past(clock.reader_ms)
}

/// What is later is in the future by a clock.
fn latest(ms: i64, rules: &TimeRules) -> Instant {
    ms.saturating_add(rules.max_future)
}
