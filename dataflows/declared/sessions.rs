//! Which sessions lie where: of each group of events, in the order of time.

use crate::broken::{Law, is_broken};
use crate::declared::encode;
use crate::declared::said::number;
use crate::places::Places;
use crate::time::Instant;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What an instant takes at the end of a key.
const INSTANT: usize = 1 + size_of::<i64>();

/// What all sessions of a group of events have in common: their key without when they began.
pub fn shared(key: &[u8]) -> &[u8] {
    &key[..key.len().saturating_sub(INSTANT)]
}

/// When a session began, by its key, whose last value that is.
pub fn start(key: &[u8]) -> Instant {
    encode::instant(&key[shared(key).len()..]).unwrap_or(Instant::MIN)
}

/// The sessions of all metrics, by their places.
///
/// **Invariant.** Two of one group of events are at least a gap apart, from the last event of one to the first of the other.
#[derive(Default)]
pub struct Sessions {
    /// By what the keys of a line's sessions have in common: the place of the only one, which nearly always is all there is;
    /// or where in `many` they stand, with a bit that no place has.
    places: Places,
    /// The sessions of one group of events each, in the order of time.
    many: Vec<Vec<u32>>,
    /// Which of them are nobody's.
    free: Vec<u32>,
    ends: Ends,
    /// Of each metric whose rows others read: when its sessions began, and how many then.
    starts: BTreeMap<usize, BTreeMap<Instant, usize>>,
}

const MANY: u32 = 1 << 31;

/// Where the sessions of a group of events stand, if there are any, and where they would.
#[derive(Clone, Copy)]
pub struct Line {
    home: u32,
    slot: Option<usize>,
}

impl Sessions {
    /// The sessions of a line.
    fn all<'l>(&'l self, line: &'l u32) -> &'l [u32] {
        if line & MANY == 0 { std::slice::from_ref(line) } else { &self.many[(line & !MANY) as usize] }
    }

    /// The only session of the line that most likely is the one of a hash, if there is one: see `Places::look`.
    pub fn look(&self, home: u32) -> Option<u32> {
        self.places.look(home).filter(|line| line & MANY == 0)
    }

    /// The line that a key's sessions lie in. `home` is the hash of what they have in common, with the number of the metric.
    fn line<'k>(&self, home: u32, key: &[u8], key_of: impl Fn(u32) -> &'k [u8]) -> Line {
        let is_it = |line: u32| {
            let first = self.all(&line).first();
            first.is_some_and(|first| shared(key_of(*first)) == shared(key))
        };
        Line { home, slot: self.places.find(home, is_it) }
    }

    /// A session begins in a line, at a place of its own; `is_read` says whether others read it. `key_of` says the keys of
    /// others.
    pub fn add<'k>(
        &mut self,
        Line { home, slot }: Line,
        key: &[u8],
        place: u32,
        is_read: bool,
        key_of: impl Fn(u32) -> &'k [u8],
    ) {
        assert!(place < MANY, "two billion sessions do not fit into memory");
        match slot {
            Some(slot) => {
                let line = self.places.at(slot);
                let at = self.all(&line).partition_point(|other| key_of(*other) < key);
                if line & MANY == 0 {
                    let both = if at == 0 { vec![place, line] } else { vec![line, place] };
                    let number = self.free.pop().unwrap_or_else(|| {
                        self.many.push(Vec::new());
                        // No more than there are places.
                        self.many.len() as u32 - 1
                    });
                    self.many[number as usize] = both;
                    self.places.set(slot, MANY | number);
                } else {
                    self.many[(line & !MANY) as usize].insert(at, place);
                }
            }
            None => self.places.insert(home, place),
        }
        if is_read {
            *self.starts.entry(number(key)).or_default().entry(start(key)).or_default() += 1;
        }
    }

    /// When the first session of a metric began that others read.
    pub fn first(&self, metric: usize) -> Option<Instant> {
        self.starts.get(&metric)?.first_key_value().map(|(start, _)| *start)
    }

    /// A session is none any more. Its key is still known.
    pub fn remove(&mut self, home: u32, key: &[u8], place: u32, is_read: bool) {
        self.ends.forget(place);
        if let Some(slot) = self.places.find(home, |line| self.all(&line).contains(&place)) {
            let line = self.places.at(slot);
            if line & MANY == 0 {
                self.places.remove(slot);
            } else {
                let many = &mut self.many[(line & !MANY) as usize];
                many.retain(|other| *other != place);
                if let [only] = many[..] {
                    *many = Vec::new();
                    self.places.set(slot, only);
                    self.free.push(line & !MANY);
                }
            }
        }
        let starts = self.starts.get_mut(&number(key));
        if let Some(starts) = starts.filter(|_| is_read)
            && let Some(count) = starts.get_mut(&start(key))
        {
            *count -= 1;
            if *count == 0 {
                starts.remove(&start(key));
            }
        }
    }

    /// Those that events from the key's instant to `last` belong to, in their order.
    pub fn beside<'k>(
        &self,
        (home, key): (u32, &[u8]),
        last: Instant,
        gap_ms: i64,
        key_of: impl Fn(u32) -> &'k [u8],
        last_of: impl Fn(u32) -> Instant,
    ) -> Beside {
        let gap_ms = if is_broken(Law::GapsEndSessions) { gap_ms + 1 } else { gap_ms };
        let line = self.line(home, key, &key_of);
        let none = Beside { line, first: None, others: Vec::new() };
        let Some(slot) = line.slot else { return none };
        let sessions = self.places.at(slot);
        let all = self.all(&sessions);
        let start_of = |place: &u32| start(key_of(*place));
        let to = all.partition_point(|place| start_of(place).saturating_sub(last) < gap_ms);
        // Earlier ones ended earlier.
        let near = all[..to].iter().rev().take_while(|place| start(key).saturating_sub(last_of(**place)) < gap_ms);
        let near = near.count();
        let near = &all[to - near..to];
        let near = if is_broken(Law::SessionsJoin) { &near[..near.len().min(1)] } else { near };
        match near {
            [] => none,
            [first, others @ ..] => Beside { line, first: Some(*first), others: others.to_vec() },
        }
    }

    /// A session was added to: it ends then, or later.
    pub fn ends(&mut self, place: u32, end: Option<Instant>) {
        end.into_iter().for_each(|end| self.ends.note(place, end));
    }

    /// Those that may have ended, and when that was as far as was known: whoever asks says whether they have, or when else they
    /// [end](Sessions::ends).
    pub fn due(&mut self, to: Instant) -> Vec<(Instant, u32)> {
        self.ends.due(to)
    }
}

/// Sessions that are one from now on.
pub struct Beside {
    /// The line that they lie in.
    pub line: Line,
    /// The first of them.
    pub first: Option<u32>,
    /// The others, in their order.
    pub others: Vec<u32>,
}

/// When sessions end. That moves with each event. What is noted is when a session would have ended by what was known then;
/// when that time has come, the session is asked again.
#[derive(Default)]
struct Ends {
    /// By spans of time, in no order.
    far: BTreeMap<i64, Vec<(Instant, u32)>>,
    /// Those of spans that have begun.
    near: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Up to this span they have.
    begun: Option<i64>,
    /// Of each place, which note counts; `NONE` if none does.
    noted: Vec<Instant>,
}

impl Ends {
    const SPAN_MS: i64 = 1 << 16;
    /// Nothing ends then.
    const NONE: Instant = Instant::MIN;

    /// A place's session will not end before. If a note of it counts, that one will be asked.
    fn note(&mut self, place: u32, end: Instant) {
        let at = place as usize;
        if at >= self.noted.len() {
            self.noted.resize(at + 1, Ends::NONE);
        }
        if self.noted[at] == Ends::NONE {
            self.noted[at] = end;
            self.push(place, end);
        }
    }

    fn push(&mut self, place: u32, end: Instant) {
        let span = end.div_euclid(Ends::SPAN_MS);
        if self.begun.is_some_and(|begun| span <= begun) {
            self.near.push(Reverse((end, place)));
        } else {
            self.far.entry(span).or_default().push((end, place));
        }
    }

    /// Nothing ends there any more.
    fn forget(&mut self, place: u32) {
        if let Some(noted) = self.noted.get_mut(place as usize) {
            *noted = Ends::NONE;
        }
    }

    /// What is noted up to then, each place once, in no order.
    fn due(&mut self, to: Instant) -> Vec<(Instant, u32)> {
        let (now, mut due) = (to.div_euclid(Ends::SPAN_MS), Vec::new());
        self.begun = self.begun.max(Some(now));
        while let Some(first) = self.far.first_entry().filter(|first| *first.key() <= now) {
            // Nothing of a span that is over needs an order.
            match first.remove_entry() {
                (span, notes) if span < now => due.extend(notes),
                (_, notes) => self.near.extend(notes.into_iter().map(Reverse)),
            }
        }
        while let Some(Reverse(note)) = self.near.peek().copied().filter(|Reverse((end, _))| *end <= to) {
            self.near.pop();
            due.push(note);
        }
        // Others were noted for another session, which is none any more.
        due.retain(|(end, place)| {
            let noted = &mut self.noted[*place as usize];
            let counts = *noted == *end;
            if counts {
                *noted = Ends::NONE;
            }
            counts
        });
        due
    }
}
