//! A partition that is read: how far it is, and what it waits for.

use crate::decode::Reason;
use crate::families;
use crate::kafka::partition::{Found, Pass};
use crate::source::Refused;
use crate::state_dir::journal::Rejected;
use rdkafka::Message;
use rdkafka::message::{Headers, OwnedMessage};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A partition whose first record waits is read on by so many records at the most: what else is unknown in them is
/// asked for meanwhile.
const HELD_MAX: usize = 512;
/// And by so many bytes.
const HELD_BYTES: usize = 1 << 20;
/// What cannot be read is tried once more after so long: it may have been the network.
const AGAIN_SOON: Duration = Duration::from_secs(1);
/// And then after so long, again and again.
const AGAIN: Duration = Duration::from_secs(60);

/// A record that waits, or is behind one that does.
pub(super) struct Held {
    pub record: OwnedMessage,
    /// What to say of it if its schema is named elsewhere.
    pub elsewhere: Option<String>,
    /// Since when, in milliseconds since 1970.
    since_ms: i64,
}

/// That the next record cannot be read.
pub(super) struct Damage {
    pub why: String,
    since_ms: i64,
    tries: u32,
    /// When it is tried again; none while it is.
    pub again: Option<Instant>,
}

/// A partition, and how far it is.
pub(super) struct Mine {
    pub found: Found,
    /// As positions are written down.
    pub name: String,
    pub next: i64,
    /// When the last record was appended that was read, in milliseconds since 1970, by its log.
    pub read_to_ms: Option<i64>,
    pub identity: Option<String>,
    /// Nothing more is read of it.
    pub ended: bool,
    pub held: VecDeque<Held>,
    held_bytes: usize,
    pub damage: Option<Damage>,
    /// The client has handed over a record that there was no room for: it is asked for again when there is.
    pub astray: bool,
    /// What is passed because it cannot be read.
    pub passes: Vec<Pass>,
    /// What was read up to here is read again.
    pub replays_until: i64,
    /// First and last offsets of what was rejected of that for a reason that its bytes do not tell.
    was_rejected: Vec<(i64, i64)>,
}

impl Mine {
    pub fn new(found: Found, identity: Option<String>, passes: Vec<Pass>) -> Mine {
        Mine {
            next: found.begin,
            read_to_ms: None,
            name: found.name(),
            found,
            identity,
            ended: false,
            held: VecDeque::new(),
            held_bytes: 0,
            damage: None,
            astray: false,
            passes,
            replays_until: i64::MIN,
            was_rejected: Vec::new(),
        }
    }

    /// What the journal says of what is read again. It is said before anything is read.
    pub fn replays(&mut self, until: i64, rejected: Vec<Rejected>) {
        self.replays_until = until;
        let span = |rejected: &Rejected| (rejected.first.unwrap_or(rejected.offset), rejected.offset);
        self.was_rejected = rejected.iter().map(span).collect();
        self.was_rejected.sort();
        // What was passed then is passed again, though it may be readable now, and nobody says so any more.
        self.passes.retain(|pass| pass.from >= until);
        let passed = |rejected: Rejected| {
            let reason = families::all().reason_of(&rejected.reason).unwrap_or(Reason::UNREADABLE);
            Some(Pass { from: rejected.from?, to: rejected.offset + 1, reason, why: rejected.detail })
        };
        self.passes.extend(rejected.into_iter().filter_map(passed));
    }

    /// Whether the journal says that a record was rejected, and why.
    pub fn was_rejected(&self, offset: i64) -> bool {
        let place = self.was_rejected.partition_point(|(_, last)| *last < offset);
        self.was_rejected.get(place).is_some_and(|(first, _)| *first <= offset)
    }

    /// Whether more may be read of it now.
    pub fn is_open(&self) -> bool {
        let is_tried = |damage: &Damage| damage.again.is_none();
        !self.ended
            && self.damage.as_ref().is_none_or(is_tried)
            && self.held.len() < HELD_MAX
            && self.held_bytes < HELD_BYTES
            // What is passed is passed in its turn.
            && (self.held.is_empty() || self.passes.is_empty())
    }

    /// The offset after all that was read of it, handed over or not.
    pub fn read_to(&self) -> i64 {
        self.held.back().map_or(self.next, |held| held.record.offset() + 1)
    }

    /// Where the client is told to begin: not within what is passed, which may not be there.
    pub fn begins_at(&self) -> i64 {
        let mut at = self.read_to();
        while let Some(pass) = self.passes.iter().find(|pass| (pass.from..pass.to).contains(&at)) {
            at = pass.to;
        }
        at
    }

    /// Whether a record is among those that are passed, or comes when those are due that are before it.
    pub fn must_pass(&mut self, offset: i64) -> bool {
        let next = self.next;
        let due = |pass: &&Pass| pass.to > next && pass.from <= offset;
        let Some(from) = self.passes.iter().filter(due).map(|pass| pass.from).min() else { return false };
        self.next = next.max(from);
        true
    }

    /// Whether all that came of it was handed over.
    pub fn is_clear(&self) -> bool {
        self.held.is_empty() && self.damage.is_none() && !self.astray
    }

    pub fn hold<M: Message>(&mut self, record: &M) {
        if self.held.back().is_some_and(|last| last.record.offset() >= record.offset()) {
            return;
        }
        self.held_bytes += record.payload().map_or(0, <[u8]>::len);
        let (elsewhere, since_ms) = (elsewhere(record), crate::instant::now());
        self.held.push_back(Held { record: detached(record), elsewhere, since_ms });
    }

    pub fn release(&mut self) -> Option<Held> {
        let held = self.held.pop_front()?;
        self.held_bytes -= held.record.payload().map_or(0, <[u8]>::len);
        Some(held)
    }

    /// What is passed at its next offset: to where, and what is said of that.
    pub fn passes_now(&mut self) -> Option<(i64, Refused)> {
        let next = self.next;
        let place = self.passes.iter().position(|pass| (pass.from..pass.to).contains(&next))?;
        let Pass { to, reason, why, .. } = self.passes.swap_remove(place);
        Some((to, Refused { reason, detail: why, from: Some(next) }))
    }

    /// Notes that its next record cannot be read.
    pub fn is_damaged(&mut self, why: String) {
        let (tries, since_ms) = match &self.damage {
            Some(before) => (before.tries + 1, before.since_ms),
            None => (1, crate::instant::now()),
        };
        let again = Instant::now() + if tries == 1 { AGAIN_SOON } else { AGAIN };
        tracing::warn!(
            "Kafka: `{}` at offset {}: what comes next cannot be read ({why}); {}",
            self.name,
            self.read_to(),
            self.way_out()
        );
        self.damage = Some(Damage { why, since_ms, tries, again: Some(again) });
    }

    /// Whether its damage was tried often enough to be believed.
    pub fn is_given_up(&self) -> bool {
        self.damage.as_ref().is_some_and(|damage| damage.tries > 1)
    }

    fn way_out(&self) -> String {
        let (name, next) = (&self.name, self.read_to());
        if next < self.replays_until {
            // What was accepted then cannot be passed now.
            return "it was read before, and is to be read again: put the log back as it was, or compute everything \
                    again with `run --rebuild` (and `kafka.skip`)"
                .to_owned();
        }
        format!("it is tried again every minute; to pass it, start again with  --set kafka.skip='[\"{name}={next}\"]'")
    }

    /// What it waits for, if it does. `said`: what the registry says of a schema.
    pub fn waits_for(&self, said: impl FnOnce(&OwnedMessage) -> Option<String>) -> Option<String> {
        let (name, ago) = (&self.name, |since_ms| crate::instant::show(since_ms));
        if let Some(Damage { why, since_ms, .. }) = &self.damage {
            return Some(format!(
                "`{name}` at offset {}: what comes next cannot be read ({why}), since {}; {}",
                self.read_to(),
                ago(*since_ms),
                self.way_out()
            ));
        }
        let Held { record, since_ms, .. } = self.held.front()?;
        let said = said(record)?;
        Some(format!("`{name}` at offset {}, since {}: {said}", record.offset(), ago(*since_ms)))
    }
}

/// What to say of a record whose schema is named in its headers.
pub(super) fn elsewhere<M: Message>(record: &M) -> Option<String> {
    let headers = record.headers()?;
    crate::decode::avro::headers::named_by(headers.iter().filter_map(|header| Some((header.key, header.value?))))
}

/// A record apart from its batch, without its headers.
fn detached<M: Message>(record: &M) -> OwnedMessage {
    let (key, payload) = (record.key().map(<[u8]>::to_vec), record.payload().map(<[u8]>::to_vec));
    let (topic, partition, offset) = (record.topic().to_owned(), record.partition(), record.offset());
    OwnedMessage::new(payload, key, topic, record.timestamp(), partition, offset, None)
}
