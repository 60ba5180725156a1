//! What is known of the schemas that are not known, and which is asked for next. No time passes in here, and
//! nothing is asked.
//!
//! A schema that gets no answer is given up after a minute of *registry time*: time in which the registry gave
//! definite answers about others. While it answers nothing definite at all it is unavailable, and that time does
//! not count. So that there always is another answer to compare with, a *control* is asked for whenever a schema got
//! none: one that is known to exist, or, before any is, one that surely does not.

use crate::backoff::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So much registry time a schema is given.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// For so long it is believed that a schema is not there, or cannot be had.
pub const SETTLED_FOR: Duration = Duration::from_secs(600);
/// So many are asked for at a time.
pub const AT_A_TIME: usize = 16;
/// So many new ones are asked for, a minute and partition.
pub const NEW_A_MINUTE: u32 = 256;
const MINUTE: Duration = Duration::from_secs(60);
/// Two definite answers further apart do not show that the registry was there all the time between.
const GAP_MAX: Duration = Duration::from_secs(20);
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause before a schema is asked for again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Surely in no registry.
const NONE: u32 = i32::MAX as u32;

/// What the registry says of a schema, without the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, whether it can be used or not.
    There,
    /// It is not.
    Absent,
    /// Nothing definite: what came instead.
    Unclear(String),
    /// It is there, and could not be written down: that is no fault of the registry's.
    Unkept(String),
}

/// What is known of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is being asked for; what the registry last said, if that was nothing definite.
    Asked(Option<String>),
    /// It is not in the registry.
    Absent,
    /// It cannot be had, though others can: what the registry says.
    Unavailable(String),
    /// It was not asked for: its partition names too many new ones.
    Unasked,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for a schema that records name.
    Ask(u32),
    /// Ask for one to compare with.
    Control(u32),
    /// Wait for an answer, at most until then.
    Wait(Option<Duration>),
}

#[derive(Debug)]
struct Pending {
    place: String,
    backoff: Backoff,
    /// When it is asked for again; none while it is.
    due: Option<Duration>,
    /// What the registry said, and how much registry time there had been when it first did.
    unclear: Option<(String, Duration)>,
    /// A record that was read by it must be read again: it is not given up.
    insists: bool,
}

#[derive(Debug)]
enum Settled {
    Absent,
    Unavailable(String),
}

/// The book.
#[derive(Debug, Default)]
pub struct Book {
    pending: BTreeMap<u32, Pending>,
    due: BTreeSet<(Duration, u32)>,
    settled: BTreeMap<u32, (Duration, Settled)>,
    /// New ones by partition: since when they are counted, and how many.
    new: BTreeMap<String, (Duration, u32)>,
    in_flight: usize,
    /// The last definite answer, if nothing but those came since.
    definite: Option<Duration>,
    /// All registry time so far.
    worked: Duration,
    /// One that exists.
    exists: Option<u32>,
    wants_control: bool,
    control_in_flight: bool,
    /// Nothing definite came when it was last tried: what did.
    away: Option<String>,
}

impl Book {
    /// What is known of a schema that a record of a partition names; sees to it that it is asked for. Who insists
    /// is told of nothing but that.
    pub fn look_up(&mut self, id: u32, place: &str, insists: bool, now: Duration) -> Lookup {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.insists |= insists;
            let unclear = pending.unclear.as_ref().map(|(why, _)| why.clone());
            return Lookup::Asked(unclear.or_else(|| self.away.clone()));
        }
        match self.settled.get(&id).filter(|(until, _)| *until > now && !insists) {
            Some((_, Settled::Absent)) => return Lookup::Absent,
            Some((_, Settled::Unavailable(why))) => return Lookup::Unavailable(why.clone()),
            None => {}
        }
        if !insists && !self.may_be_new(place, now) {
            // Who knows whether it is not there, while nothing is heard.
            return self.away.clone().map_or(Lookup::Unasked, |why| Lookup::Asked(Some(why)));
        }
        self.due.insert((now, id));
        let pending = Pending {
            place: place.to_owned(),
            backoff: Backoff::new(PAUSE_MIN, PAUSE_MAX),
            due: Some(now),
            unclear: None,
            insists,
        };
        self.pending.insert(id, pending);
        Lookup::Asked(self.away.clone())
    }

    /// Whether a schema is being asked for.
    pub fn is_asked(&self, id: u32) -> bool {
        self.pending.contains_key(&id)
    }

    /// Whether a partition may have one more asked for; counts it.
    fn may_be_new(&mut self, place: &str, now: Duration) -> bool {
        if !self.new.contains_key(place) {
            self.new.insert(place.to_owned(), (now, 0));
        }
        let Some((since, count)) = self.new.get_mut(place) else { return true };
        if now.saturating_sub(*since) >= MINUTE {
            (*since, *count) = (now, 0);
        }
        let may = *count < NEW_A_MINUTE;
        *count += u32::from(may);
        may
    }

    /// What to do next; what it says to ask is being asked from then on.
    pub fn next(&mut self, now: Duration) -> Next {
        if self.in_flight >= AT_A_TIME {
            return Next::Wait(None);
        }
        if self.wants_control && !self.control_in_flight {
            (self.wants_control, self.control_in_flight) = (false, true);
            self.in_flight += 1;
            return Next::Control(self.exists.unwrap_or(NONE));
        }
        match self.due.first().copied() {
            Some((due, id)) if due <= now => {
                self.due.pop_first();
                if let Some(pending) = self.pending.get_mut(&id) {
                    pending.due = None;
                }
                self.in_flight += 1;
                Next::Ask(id)
            }
            first => Next::Wait(first.map(|(due, _)| due - now)),
        }
    }

    /// Whether an answer is awaited.
    pub fn is_busy(&self) -> bool {
        self.in_flight > 0
    }

    /// Takes in the answer about a schema that was compared with.
    pub fn compared(&mut self, id: u32, outcome: Outcome, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.control_in_flight = false;
        match outcome {
            Outcome::Unclear(why) => {
                (self.definite, self.away) = (None, Some(why));
                // That one may be what is wrong: the next is another.
                self.exists = self.exists.filter(|exists| *exists != id);
            }
            definite @ (Outcome::There | Outcome::Absent | Outcome::Unkept(_)) => self.works(id, &definite, now),
        }
    }

    /// Takes in the answer about a schema that a record names.
    pub fn answered(&mut self, id: u32, outcome: Outcome, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if !matches!(outcome, Outcome::Unclear(_)) {
            self.works(id, &outcome, now);
        }
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let why = match outcome {
            Outcome::There => {
                let place = pending.place.clone();
                self.pending.remove(&id);
                // A partition that names schemas that exist is not held back.
                if let Some((_, count)) = self.new.get_mut(&place) {
                    *count = count.saturating_sub(1);
                }
                return;
            }
            Outcome::Absent if !pending.insists => return self.settle(id, Settled::Absent, now),
            Outcome::Absent => {
                "the registry has no such schema any more, and what was read by it is to be read again".to_owned()
            }
            Outcome::Unkept(why) => {
                pending.unclear = None;
                why
            }
            Outcome::Unclear(why) => {
                self.wants_control = true;
                why
            }
        };
        let since = pending.unclear.as_ref().map_or(self.worked, |(_, since)| *since);
        if !pending.insists && self.worked - since >= PATIENCE {
            return self.settle(id, Settled::Unavailable(why), now);
        }
        let pause = pending.backoff.take();
        pending.unclear = Some((why, since));
        pending.due = Some(now + pause);
        self.due.insert((now + pause, id));
    }

    fn settle(&mut self, id: u32, what: Settled, now: Duration) {
        self.pending.remove(&id);
        // Bytes that are not Avro name any number: they are not kept forever.
        self.settled.retain(|_, (until, _)| *until > now);
        self.settled.insert(id, (now + SETTLED_FOR, what));
    }

    fn works(&mut self, id: u32, definite: &Outcome, now: Duration) {
        if let Some(passed) = self.definite.map(|before| now.saturating_sub(before)).filter(|passed| *passed <= GAP_MAX)
        {
            self.worked += passed;
        }
        (self.definite, self.away) = (Some(now), None);
        if matches!(definite, Outcome::There | Outcome::Unkept(_)) {
            self.exists = Some(id);
        } else if self.exists == Some(id) {
            self.exists = None;
        }
    }

    /// One that exists, known from before.
    pub fn learn(&mut self, exists: u32) {
        self.exists = Some(exists);
    }
}
