//! What kind of customer each user is, and since when.

use super::{rename, renamed};
use crate::dense::Dense;
use crate::operators::{Epoch, per_epoch};
use crate::shop::settings::{Settings, Thresholds};
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, is_silent};
use crate::{Collection, Stream};
use differential_dataflow::{AsCollection, Hashable};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A kind of customer. Of those that fit the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Segment {
    /// Spent much lately.
    HighValue,
    /// Left carts behind lately.
    CartAbandoner,
    /// Looked at much lately.
    FrequentBrowser,
    /// Registered lately.
    New,
    /// Did nothing lately.
    Inactive,
    /// None of these.
    Regular,
}

/// From when on a user is in which segment.
pub type Since = (Instant, Segment);

/// What segments are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// Something was done at the first instant, at the second, and often enough between them.
    Active(Instant, Instant),
    /// The user registered.
    Registered(Instant),
    /// The user looked at something.
    Viewed(Instant),
    /// The user bought; said once for every cent.
    Spent(Instant),
    /// From the first to the second instant (not included) the user's cart stood abandoned.
    Abandoned(Instant, Instant),
}

impl Fact {
    /// From when until when (not included) it counts.
    fn counts(self, within: &Thresholds) -> (Instant, Instant) {
        match self {
            Fact::Active(first, last) => (first, last.saturating_add(within.inactive_after_ms)),
            Fact::Registered(at) => (at, at.saturating_add(within.new_within_ms)),
            Fact::Viewed(at) => (at, at.saturating_add(within.frequent_within_ms)),
            Fact::Spent(at) => (at, at.saturating_add(within.high_value_within_ms)),
            Fact::Abandoned(from, until) => (from, until),
        }
    }
}

/// What counts at an instant.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    cents: i64,
    carts: i64,
    views: i64,
    registered: i64,
    active: i64,
}

impl Standing {
    fn add(&mut self, fact: Fact, count: i64) {
        match fact {
            Fact::Active(..) => self.active += count,
            Fact::Registered(_) => self.registered += count,
            Fact::Viewed(_) => self.views += count,
            Fact::Spent(_) => self.cents += count,
            Fact::Abandoned(..) => self.carts += count,
        }
    }

    fn segment(&self, from: &Thresholds) -> Segment {
        match self {
            _ if self.cents >= from.high_value_cents => Segment::HighValue,
            _ if self.carts >= from.abandoned_carts => Segment::CartAbandoner,
            _ if self.views >= from.frequent_views => Segment::FrequentBrowser,
            _ if self.registered > 0 => Segment::New,
            _ if self.active == 0 => Segment::Inactive,
            _ => Segment::Regular,
        }
    }
}

/// What is known of a user forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Course {
    /// The first registration. A later one makes nobody new again.
    registered_at: Option<Instant>,
    /// From when on the course can still change, and where it stood just before.
    settled: Option<(Instant, Since)>,
    /// What was told last.
    told: Option<Since>,
}

/// What comes in, of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OfUser {
    /// A fact, and how many times it comes or goes.
    Fact(Fact, i64),
    /// By a snapshot; rare, and not to make every fact as large.
    Known(Box<Course>),
}

/// Where the course of a user's segments stands.
pub static KNOWN: Kept<(u64, Course)> =
    Kept { name: "shop/segments/known", version: 1, forgets: Forgets::BecomesNobodys(rename) };
/// What makes a user's segments, and how many times.
pub static FACTS: Kept<(u64, Fact, i64)> = Kept {
    name: "shop/segments/facts",
    version: 1,
    forgets: Forgets::BecomesNobodys(|(id, ..), user, nobody| renamed(id, user, nobody)),
};

/// A user: what is known forever, and the facts that still count somewhere.
#[derive(Clone, Debug)]
struct User {
    known: Course,
    /// Sorted, each once, with how many times it holds. Behind an `Rc`: of the users of a frozen chunk
    /// only those of whom something is said are copied.
    facts: Rc<Vec<(Fact, i64)>>,
    /// When the segment changes if nothing more comes.
    changes_at: Instant,
    /// When there is something to forget.
    forgets_at: Instant,
}

impl Default for User {
    fn default() -> User {
        User { known: Course::default(), facts: Rc::default(), changes_at: NEVER, forgets_at: NEVER }
    }
}

const NEVER: Instant = Instant::MAX;

impl User {
    fn take_in(&mut self, fresh: &[(u64, OfUser)], within: &Thresholds) {
        let facts = Rc::make_mut(&mut self.facts);
        for (_, of_user) in fresh {
            match of_user {
                OfUser::Known(known) => self.known = **known,
                OfUser::Fact(Fact::Registered(at), _) => {
                    let first = self.known.registered_at.map_or(*at, |first| first.min(*at));
                    self.known.registered_at = Some(first);
                }
                OfUser::Fact(fact, count) => facts.push((*fact, *count)),
            }
        }
        // Stable, because that is quick where nearly all is in order already.
        facts.sort_by_key(|(fact, _)| *fact);
        facts.dedup_by(|(later, count), (earlier, sum)| match (later, earlier) {
            // Between these two nobody ever was inactive.
            (Fact::Active(first, last), Fact::Active(_, end))
                if *first <= end.saturating_add(within.inactive_after_ms) =>
            {
                *end = (*end).max(*last);
                true
            }
            (later, earlier) if later == earlier => {
                *sum += *count;
                true
            }
            _ => false,
        });
        facts.retain(|(_, count)| *count != 0);
    }

    /// When the user came into which segment, as far as it is known: begins where the settled past
    /// stands, or with the user's first event.
    fn course(&self, thresholds: &Thresholds) -> Vec<Since> {
        let first_seen = self.facts.iter().find_map(|(fact, _)| {
            let Fact::Active(first, _) = fact else { return None };
            Some(*first)
        });
        let mut course: Vec<_> = self.known.settled.iter().map(|(_, stood)| *stood).collect();
        let Some(start) = self.known.settled.map(|(from, _)| from).or(first_seen) else { return course };
        let registered = self.known.registered_at.map(|at| (Fact::Registered(at), 1));
        let facts = || self.facts.iter().copied().chain(registered);
        let begin = facts().map(|(fact, count)| (fact.counts(thresholds).0, fact, count));
        let end = facts().map(|(fact, count)| (fact.counts(thresholds).1, fact, -count));
        let mut changes: Vec<_> = begin.chain(end).collect();
        // The past that was forgotten may end here.
        changes.push((start, Fact::Active(start, start), 0));
        changes.sort_by_key(|(at, ..)| *at);
        let mut standing = Standing::default();
        for at_once in changes.chunk_by(|(at, ..), (other, ..)| at == other) {
            at_once.iter().for_each(|(_, fact, count)| standing.add(*fact, *count));
            let (at, segment) = (at_once[0].0, standing.segment(thresholds));
            if at >= start && course.last().is_none_or(|(_, before)| *before != segment) {
                course.push((at, segment));
            }
        }
        course
    }

    /// Forgets what counts only before `cut`: nothing that comes can change anything there.
    fn forget(&mut self, cut: Instant, thresholds: &Thresholds) {
        let cut = self.known.settled.map_or(cut, |(settled, _)| settled.max(cut));
        if let Some(stood) = self.course(thresholds).into_iter().take_while(|(since, _)| *since < cut).last() {
            self.known.settled = Some((cut, stood));
            let facts = Rc::make_mut(&mut self.facts);
            facts.retain(|(fact, _)| fact.counts(thresholds).1 > cut);
            if facts.len() < facts.capacity() / 4 {
                facts.shrink_to_fit();
            }
        }
    }

    /// When the first of the facts counts no more, rounded up: users are not looked through at each.
    fn next_to_forget(&self, thresholds: &Thresholds) -> Instant {
        let end = self.facts.iter().map(|(fact, _)| fact.counts(thresholds).1).min().unwrap_or(NEVER);
        (end - end.rem_euclid(SWEEP_MS)).saturating_add(SWEEP_MS)
    }
}

/// A user is looked through at most this often for what may be forgotten.
const SWEEP_MS: i64 = 60 * 60_000;

/// When something is to be done about which user; once each.
#[derive(Default)]
struct Timers(BTreeSet<(Instant, u64)>);

impl Timers {
    /// Moves a user's timer, which stands at `set`, to another instant.
    fn set(&mut self, user_id: u64, set: &mut Instant, at: Instant) {
        if *set != at {
            self.0.remove(&(*set, user_id));
            if at != NEVER {
                self.0.insert((at, user_id));
            }
            *set = at;
        }
    }

    /// A user whose time has come; the timer stays until it is moved.
    fn due(&self, now: Instant) -> impl Iterator<Item = u64> {
        self.0.iter().take_while(move |(at, _)| *at <= now).map(|(_, user_id)| *user_id)
    }
}

#[derive(Default)]
struct Users {
    users: Dense<u64, User>,
    changes: Timers,
    forgets: Timers,
    facts: usize,
}

impl Users {
    fn forget(&mut self, cut: Instant, thresholds: &Thresholds) {
        for user_id in self.forgets.due(cut).collect::<Vec<_>>() {
            let Some(user) = self.users.get_mut(&user_id) else { continue };
            let before = user.facts.len();
            user.forget(cut, thresholds);
            self.facts -= before - user.facts.len();
            let next = user.next_to_forget(thresholds);
            self.forgets.set(user_id, &mut user.forgets_at, next);
        }
    }
}

/// The segment of each user at the watermark, and since when.
///
/// **Law.** The output accumulates to `{ (u, (since, s)) }` for the users with an event at or before
/// the watermark: `s` is what the facts that count at the watermark make of `u`, and `since` the
/// first instant from which on they made nothing else of `u`; a function of the facts and of the
/// watermark alone. What only the watermark changes is said at its even epoch; restored state says
/// nothing. What counts only before [`Settings::sales_cut`] is folded into where the course stood
/// there: nothing that is accepted later, a catalog version included, changes any instant before it.
/// A user stays forever.
///
/// A user of whom an epoch says something costs a sweep over all the user's facts in memory.
pub fn segments<'s>(
    of_users: Stream<'s, (u64, OfUser)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, (u64, Since)> {
    let held = Rc::new(RefCell::new(Users::default()));
    ledger.count(KNOWN.name, &held, |held| held.users.len());
    ledger.keep(&KNOWN, &held, |held| held.users.frozen(|id, user, out| out.push((*id, user.known))));
    ledger.count(FACTS.name, &held, |held| held.facts);
    ledger.keep(&FACTS, &held, |held| {
        held.users.frozen(|id, user, out| out.extend(user.facts.iter().map(|(fact, count)| (*id, *fact, *count))))
    });
    let settings = settings.clone();
    let by_user = Exchange::new(|(user, _): &(u64, OfUser)| user.hashed());
    let step = move |Epoch { time, input, watermark }: Epoch<(u64, OfUser)>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let thresholds = &settings.segments;
        let mut held = held.borrow_mut();
        let held = &mut *held;
        let mut fresh: Vec<_> = Epoch::records(input).collect();
        fresh.sort_unstable_by_key(|(user_id, _)| *user_id);
        let mut touched = Vec::new();
        for of_user in fresh.chunk_by(|(user_id, _), (other, _)| user_id == other) {
            let user_id = of_user[0].0;
            let user = held.users.get_or_default(user_id);
            held.facts -= user.facts.len();
            user.take_in(of_user, thresholds);
            held.facts += user.facts.len();
            touched.push(user_id);
        }
        if !is_silent(time) {
            touched.extend(held.changes.due(watermark));
            touched.sort_unstable();
            touched.dedup();
        }
        for user_id in touched {
            let Some(user) = held.users.get_mut(&user_id) else { continue };
            let course = user.course(thresholds);
            let begun = course.partition_point(|(since, _)| *since <= watermark);
            let stands = begun.checked_sub(1).map(|last| course[last]);
            if !is_silent(time) && stands != user.known.told {
                out.extend(user.known.told.map(|told| ((user_id, told), time, -1)));
                out.extend(stands.map(|stands| ((user_id, stands), time, 1)));
                user.known.told = stands;
            }
            let next = course.get(begun).map_or(NEVER, |(since, _)| *since);
            held.changes.set(user_id, &mut user.changes_at, next);
            let next = user.next_to_forget(thresholds);
            held.forgets.set(user_id, &mut user.forgets_at, next);
        }
        // Only now: what this epoch brought was judged by the watermark before it.
        if let Some(cut) = settings.sales_cut(watermark) {
            held.forget(cut, thresholds);
        }
    };
    per_epoch(of_users, watermarks, by_user, "segments", step).0.as_collection()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Thresholds = Thresholds {
        high_value_cents: 4,
        high_value_within_ms: 9,
        abandoned_carts: 2,
        abandoned_after_ms: 0,
        abandoned_within_ms: 0,
        frequent_views: 3,
        frequent_within_ms: 7,
        new_within_ms: 5,
        inactive_after_ms: 6,
    };

    /// Word for word what `user_segments.sql` says in its first lines, over every fact there ever was.
    fn by_definition(facts: &[(Fact, i64)], at: Instant) -> Option<Segment> {
        let count = |counts: &dyn Fn(Fact) -> bool| -> i64 {
            facts.iter().filter(|(fact, _)| counts(*fact)).map(|(_, count)| count).sum()
        };
        let since = |then: Instant, within: i64| at - within < then && then <= at;
        let seen = |from: Instant| count(&|fact| matches!(fact, Fact::Active(then, _) if from < then && then <= at));
        let registered = facts.iter().filter_map(|(fact, _)| {
            let Fact::Registered(at) = fact else { return None };
            Some(*at)
        });
        let first = registered.min();
        Some(match () {
            () if seen(Instant::MIN) == 0 => return None,
            () if count(&|fact| matches!(fact, Fact::Spent(then) if since(then, 9))) >= 4 => Segment::HighValue,
            () if count(&|fact| matches!(fact, Fact::Abandoned(from, to) if from <= at && at < to)) >= 2 => {
                Segment::CartAbandoner
            }
            () if count(&|fact| matches!(fact, Fact::Viewed(then) if since(then, 7))) >= 3 => Segment::FrequentBrowser,
            () if first.is_some_and(|first| first <= at && at - first < 5) => Segment::New,
            () if seen(at - 6) == 0 => Segment::Inactive,
            () => Segment::Regular,
        })
    }

    /// Small numbers that repeat themselves and look like nothing.
    fn draw(seed: &mut u64, below: i64) -> i64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as i64 % below
    }

    #[test]
    fn the_course_is_what_the_definition_says_however_much_was_forgotten() {
        for mut seed in 0..3000 {
            let (mut user, mut all, mut cut) = (User::default(), Vec::<(Fact, i64)>::new(), 0);
            for _ in 0..1 + draw(&mut seed, 8) {
                let mut fresh = Vec::new();
                for _ in 0..draw(&mut seed, 5) {
                    let at = cut + draw(&mut seed, 20);
                    fresh.push((Fact::Active(at, at), 1));
                    fresh.extend(match draw(&mut seed, 5) {
                        0 => Some((Fact::Viewed(at), 1 + draw(&mut seed, 2))),
                        1 => Some((Fact::Spent(at), 1 + draw(&mut seed, 3))),
                        2 => Some((Fact::Abandoned(at, at + 1 + draw(&mut seed, 12)), 1)),
                        3 => Some((Fact::Registered(at), 1)),
                        _ => None,
                    });
                }
                // Something that still counts is taken back: spent nothing, left no cart.
                let taken_back = all.iter().find(|(fact, count)| match fact {
                    Fact::Spent(at) => *count > 0 && *at >= cut,
                    Fact::Abandoned(_, until) => *count > 0 && *until > cut,
                    Fact::Active(..) | Fact::Registered(_) | Fact::Viewed(_) => false,
                });
                if let Some((fact, count)) = taken_back.copied().filter(|_| draw(&mut seed, 3) == 0) {
                    fresh.push((fact, -count));
                    if let Fact::Abandoned(from, until) = fact {
                        // No instant before the cut changes: it ends there at the earliest.
                        let until = cut.max(from) + draw(&mut seed, until - cut.max(from) + 1);
                        fresh.extend((until > from).then_some((Fact::Abandoned(from, until), count)));
                    }
                }
                let of_user: Vec<_> = fresh.iter().map(|(fact, count)| (1, OfUser::Fact(*fact, *count))).collect();
                user.take_in(&of_user, &SMALL);
                fresh.into_iter().for_each(|(fact, count)| match all.iter_mut().find(|(known, _)| *known == fact) {
                    Some((_, sum)) => *sum += count,
                    None => all.push((fact, count)),
                });
                let (course, mut expected) = (user.course(&SMALL), None::<Since>);
                for at in 0..cut + 40 {
                    if let Some(segment) = by_definition(&all, at).filter(|now| expected.is_none_or(|(_, s)| s != *now))
                    {
                        expected = Some((at, segment));
                    }
                    if at >= cut {
                        let found = course.iter().take_while(|(since, _)| *since <= at).last().copied();
                        assert_eq!(found, expected, "at {at}, cut {cut}, {all:?}");
                    }
                }
                cut += draw(&mut seed, 12);
                user.forget(cut, &SMALL);
                assert!(user.known.settled.is_none() || user.facts.iter().all(|(fact, _)| fact.counts(&SMALL).1 > cut));
            }
        }
    }
}
