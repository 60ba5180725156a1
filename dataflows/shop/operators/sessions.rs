//! Sign events to sessions, per user.

use super::rename;
use crate::dense::Dense;
use crate::hash::Map;
use crate::operators::{Epoch, per_epoch};
use crate::shop::settings::Settings;
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, is_silent};
use crate::{Collection, Stream};
use differential_dataflow::{AsCollection, Hashable};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A sign event. The order is that of a user's life: of equal times the sign-out comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignAt {
    /// When.
    pub at: Instant,
    /// In, or out.
    pub is_in: bool,
}

/// A session, as the accepted events leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub user_id: u64,
    /// The sign-in that opened it.
    pub opened_at: Instant,
    /// The sign-out that closed it.
    pub closed_at: Option<Instant>,
}

impl Session {
    /// The first instant after it: the sign-out, or else the timeout.
    pub fn end(&self, timeout_ms: Option<i64>) -> Instant {
        self.closed_at.unwrap_or_else(|| deadline(self.opened_at, timeout_ms))
    }
}

fn deadline(opened_at: Instant, timeout_ms: Option<i64>) -> Instant {
    timeout_ms.map_or(Instant::MAX, |timeout| opened_at.saturating_add(timeout))
}

/// A sign event and the session that is open after it, timeouts not looked at. Two words: there are
/// millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    /// Twice its time, and one more for a sign-in: the order of a user's life.
    place: i64,
    open_after: Instant,
}

/// No session is open.
const NONE: Instant = Instant::MIN;

impl Sign {
    fn new(sign: SignAt, open_after: Option<Instant>) -> Sign {
        Sign { place: sign.at * 2 + i64::from(sign.is_in), open_after: open_after.unwrap_or(NONE) }
    }

    fn sign(self) -> SignAt {
        SignAt { at: self.place >> 1, is_in: self.place & 1 == 1 }
    }

    fn open_after(self) -> Option<Instant> {
        (self.open_after != NONE).then_some(self.open_after)
    }
}

/// One user's sign events that can still matter, in their order.
#[derive(Clone, Debug, Default)]
struct User {
    signs: Vec<Sign>,
    is_due: bool,
}

/// What an event does to the open session: what is open afterwards, and the session that is over.
fn walk(
    open: Option<Instant>,
    sign: SignAt,
    user_id: u64,
    timeout_ms: Option<i64>,
) -> (Option<Instant>, Option<Session>) {
    let Some(opened_at) = open else { return (sign.is_in.then_some(sign.at), None) };
    let deadline = deadline(opened_at, timeout_ms);
    match sign.is_in {
        true if sign.at < deadline => (open, None),
        true => (Some(sign.at), Some(Session { user_id, opened_at, closed_at: None })),
        // A sign-out exactly at the timeout still closes.
        false if sign.at <= deadline => (None, Some(Session { user_id, opened_at, closed_at: Some(sign.at) })),
        false => (None, Some(Session { user_id, opened_at, closed_at: None })),
    }
}

impl User {
    /// Takes in new events (sorted), and says which sessions that makes and unmakes: walks from the
    /// first new event until it meets the old course again behind the last.
    fn take_in(
        &mut self,
        user_id: u64,
        fresh: &[SignAt],
        timeout_ms: Option<i64>,
        mut said: impl FnMut(Session, isize),
    ) {
        let Some(first) = fresh.first() else { return };
        let from = self.signs.partition_point(|known| known.sign() < *first);
        let before = from.checked_sub(1).and_then(|last| self.signs[last].open_after());
        let old = self.signs.split_off(from);
        if self.signs.capacity() < 4 {
            // Most users sign in and out once: no room to spare for them.
            self.signs.reserve_exact(old.len() + fresh.len());
        }
        let (mut old_open, mut open) = (before, before);
        let (mut known, mut new) = (old.iter().peekable(), fresh.iter().peekable());
        loop {
            let next_known = known.peek().map(|known| known.sign());
            let next = match (next_known, new.peek()) {
                (None, None) => break,
                // Both courses agree and nothing new follows: the rest stands as it is.
                (Some(_), None) if open == old_open => {
                    self.signs.extend(known);
                    return;
                }
                (Some(known), Some(new)) => known.min(**new),
                (Some(known), None) => known,
                (None, Some(new)) => **new,
            };
            if next_known == Some(next) {
                known.next();
                let (after, over) = walk(old_open, next, user_id, timeout_ms);
                old_open = after;
                over.into_iter().for_each(|session| said(session, -1));
            }
            while new.next_if(|new| **new == next).is_some() {}
            let (after, over) = walk(open, next, user_id, timeout_ms);
            open = after;
            over.into_iter().for_each(|session| said(session, 1));
            self.signs.push(Sign::new(next, open));
        }
        let unclosed = |opened_at| Session { user_id, opened_at, closed_at: None };
        if open != old_open {
            old_open.into_iter().for_each(|opened_at| said(unclosed(opened_at), -1));
            open.into_iter().for_each(|opened_at| said(unclosed(opened_at), 1));
        }
    }

    /// Drops what happened before `cut` but for the sign-in whose session is open there. Nothing
    /// can arrive before it any more.
    fn forget(&mut self, cut: Instant, timeout_ms: Option<i64>) {
        let settled = self.signs.partition_point(|known| known.sign().at < cut);
        let open = settled.checked_sub(1).and_then(|last| self.signs[last].open_after());
        // One that has timed out at the cut is closed to a sign-out there only if it is later.
        let open = open.filter(|opened_at| deadline(*opened_at, timeout_ms) >= cut);
        let opener = open.map(|at| Sign::new(SignAt { at, is_in: true }, open));
        self.signs.splice(..settled, opener);
        if self.signs.len() < self.signs.capacity() / 4 {
            self.signs.shrink_to_fit();
        }
    }
}

/// What happens at a minute boundary, summed over sessions: the difference that a session makes to
/// all boundaries from this one on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contribution {
    /// Sessions that become active, less those that cease to be.
    pub active: i64,
    /// The sum of their openings.
    pub opened_at_sum: i128,
    /// Sessions closed by a sign-out.
    pub completed: i64,
    /// The sum of their durations.
    pub completed_duration_ms: i64,
}

impl Contribution {
    /// Adds another.
    pub fn add(&mut self, other: &Contribution) {
        self.active += other.active;
        self.opened_at_sum += other.opened_at_sum;
        self.completed += other.completed;
        self.completed_duration_ms += other.completed_duration_ms;
    }

    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Contribution::default()
    }
}

/// A minute.
pub const MINUTE_MS: i64 = 60_000;

/// The first minute boundary at or after an instant.
pub fn minute_from(at: Instant) -> Instant {
    at.saturating_add((-at).rem_euclid(MINUTE_MS))
}

/// What an epoch says of minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfMinutes {
    /// From this boundary on, this much more.
    Change(Instant, Contribution),
    /// Sign events were accepted from the first to the second instant.
    Signs(Instant, Instant),
}

fn contribute(session: &Session, diff: isize, timeout_ms: Option<i64>, minutes: &mut Map<Instant, Contribution>) {
    let (diff, end) = (diff as i64, session.end(timeout_ms));
    let opened = Contribution {
        active: diff,
        opened_at_sum: i128::from(diff) * i128::from(session.opened_at),
        ..Contribution::default()
    };
    minutes.entry(minute_from(session.opened_at)).or_default().add(&opened);
    if end == Instant::MAX {
        return;
    }
    let mut ended =
        Contribution { active: -opened.active, opened_at_sum: -opened.opened_at_sum, ..Contribution::default() };
    if session.closed_at.is_some() {
        ended.completed = diff;
        ended.completed_duration_ms = diff * (end - session.opened_at);
    }
    minutes.entry(minute_from(end)).or_default().add(&ended);
}

/// Users by id, and when which of them have something to forget.
#[derive(Default)]
struct Users {
    users: Dense<u64, User>,
    due: BTreeMap<Instant, Vec<u64>>,
    live: usize,
}

/// A user's sign event.
pub static SIGNS: Kept<(u64, SignAt)> =
    Kept { name: "shop/sessions/signs", version: 1, forgets: Forgets::BecomesNobodys(rename) };

/// Users are looked through this often, not at each event.
const SWEEP_MS: i64 = 15 * MINUTE_MS;

impl Users {
    fn schedule(&mut self, user_id: u64, at: Instant) {
        self.due.entry(at - at.rem_euclid(SWEEP_MS) + SWEEP_MS).or_default().push(user_id);
    }

    fn forget(&mut self, cut: Instant, timeout_ms: Option<i64>) {
        let mut again = Vec::new();
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() <= cut) {
            for user_id in first.remove() {
                let Some(user) = self.users.get_mut(&user_id) else { continue };
                let before = user.signs.len();
                user.forget(cut, timeout_ms);
                self.live -= before - user.signs.len();
                let next = match user.signs.as_slice() {
                    [] => None,
                    // A sign-in that is still open has nothing to leave for before its timeout.
                    [only] if only.sign().at < cut => Some(deadline(only.sign().at, timeout_ms)),
                    [first, second, ..] if first.sign().at < cut => Some(second.sign().at),
                    [first, ..] => Some(first.sign().at),
                };
                match next {
                    None => self.users.remove(&user_id),
                    Some(Instant::MAX) => user.is_due = false,
                    Some(next) => again.push((user_id, next.max(cut))),
                }
            }
        }
        again.into_iter().for_each(|(user_id, next)| self.schedule(user_id, next));
    }
}

/// Sessions from sign events, and what they make of minutes.
///
/// **Law.** The first output accumulates to the sessions of METRICS.md over the set of sign events,
/// whatever the watermark; the second to the same sessions' contributions to minute boundaries. Of
/// a user's events before the cut all leave if no session is open there, else all but the one that
/// opened it, and nothing is said of it. Restored events say their open sessions again at their
/// odd epoch, and nothing of minutes.
pub fn sessions<'s>(
    of_users: Stream<'s, (u64, SignAt)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> (Collection<'s, Session>, Stream<'s, OfMinutes>) {
    let held = Rc::new(RefCell::new(Users::default()));
    ledger.count(SIGNS.name, &held, |held| held.live);
    ledger.keep(&SIGNS, &held, |held| {
        held.users.frozen(|id, user, out| out.extend(user.signs.iter().map(|known| (*id, known.sign()))))
    });
    let settings = settings.clone();
    let by_user = Exchange::new(|(user, _): &(u64, SignAt)| user.hashed());
    let mut signs = Vec::new();
    let step = move |epoch: Epoch<(u64, SignAt)>, out: &mut Vec<_>, of_minutes: &mut Vec<_>| {
        let Epoch { time, input, watermark } = epoch;
        let timeout_ms = settings.session_timeout_ms;
        let mut held = held.borrow_mut();
        signs.clear();
        signs.extend(Epoch::records(input));
        signs.sort_unstable();
        let span = (signs.iter().map(|(_, sign)| sign.at).min(), signs.iter().map(|(_, sign)| sign.at).max());
        let (mut minutes, mut fresh) = (Map::default(), Vec::new());
        for of_user in signs.chunk_by(|(user, _), (other, _)| user == other) {
            let user_id = of_user[0].0;
            fresh.clear();
            fresh.extend(of_user.iter().map(|(_, sign)| *sign));
            let user = held.users.get_or_default(user_id);
            let before = user.signs.len();
            user.take_in(user_id, &fresh, timeout_ms, |session, diff| {
                contribute(&session, diff, timeout_ms, &mut minutes);
                out.push((session, time, diff));
            });
            let gained = user.signs.len() - before;
            let (first, was_due) = (fresh[0].at, std::mem::replace(&mut user.is_due, true));
            held.live += gained;
            if !was_due {
                held.schedule(user_id, first);
            }
        }
        if is_silent(time) {
            out.retain(|(session, _, _)| session.closed_at.is_none());
        } else {
            let changes = minutes.into_iter().filter(|(_, change)| !change.is_nothing());
            of_minutes.extend(changes.map(|(minute, change)| OfMinutes::Change(minute, change)));
            if let (Some(first), Some(last)) = span {
                of_minutes.push(OfMinutes::Signs(first, last));
            }
        }
        if settings.lane.forget && settings.lane.lateness_ms.is_some() {
            held.forget(settings.lane.forget_cut(watermark), timeout_ms);
        }
    };
    let (sessions, of_minutes) = per_epoch(of_users, watermarks, by_user, "sessions", step);
    (sessions.as_collection(), of_minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(signs: &[(Instant, bool)]) -> User {
        let mut user = User::default();
        let signs: Vec<_> = signs.iter().map(|(at, is_in)| SignAt { at: *at, is_in: *is_in }).collect();
        user.take_in(1, &signs, Some(100), |_, _| {});
        user
    }

    #[test]
    fn the_opener_stays_while_its_session_can_still_be_closed() {
        let mut kept = user(&[(0, true), (5, false), (10, true), (20, true)]);
        kept.forget(110, Some(100));
        assert_eq!(kept.signs.len(), 1, "a sign-out at 110 closes it");
        kept.forget(111, Some(100));
        assert_eq!(kept.signs, []);
    }

    #[test]
    fn forgetting_changes_no_later_session() {
        let course = [(0, true), (30, false), (40, true), (50, true), (90, false), (95, true)];
        for cut in 0..250 {
            for sign in [SignAt { at: cut, is_in: true }, SignAt { at: cut + 7, is_in: false }] {
                let said = |forget: bool| {
                    let mut user = user(&course);
                    if forget {
                        user.forget(cut, Some(100));
                    }
                    let mut said = Map::<Session, isize>::default();
                    user.take_in(1, &[sign], Some(100), |session, diff| *said.entry(session).or_default() += diff);
                    let mut said: Vec<_> = said.into_iter().filter(|(_, diff)| *diff != 0).collect();
                    said.sort();
                    said
                };
                assert_eq!(said(false), said(true), "cut {cut}, {sign:?}");
            }
        }
    }
}
