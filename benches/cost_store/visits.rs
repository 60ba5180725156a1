//! The tables of visits, and carts that were left: events are put beside each other by session, each session in the order
//! of time, and then are walked over once.

use crate::read::{Event, Kind};
use crate::{DAY_MS, HOUR_MS};
use hashbrown::HashMap;

/// A visit ends after so long without an event.
const GAP_MS: i64 = DAY_MS;

/// An event, as little of it as these tables need.
#[derive(Clone, Copy)]
struct Seen {
    at: i64,
    product: u64,
    cents: i64,
    category: u32,
    session: u32,
    kind: Kind,
}

#[derive(Default)]
pub struct Visits {
    numbers: HashMap<(u64, u128), u32>,
    sessions: Vec<(u64, u128)>,
    /// Of each session, how many events it has.
    counts: Vec<u32>,
    seen: Vec<Seen>,
}

pub struct Visit {
    pub user: u64,
    pub session: u128,
    pub started: i64,
    pub ended: i64,
    pub events: u64,
    pub reached: u64,
    pub carts: u64,
    pub purchases: u64,
}

/// How far visits went; the rates are made of these.
#[derive(Default)]
pub struct Funnel {
    pub visits: u64,
    pub viewed: u64,
    pub carted: u64,
    pub purchased: u64,
    pub without_cart: u64,
}

impl Funnel {
    fn add(&mut self, visit: &Visit) {
        self.visits += 1;
        self.viewed += u64::from(visit.reached >= 1);
        self.carted += u64::from(visit.reached >= 2);
        self.purchased += u64::from(visit.reached >= 3);
        self.without_cart += u64::from(visit.purchases > 0 && visit.carts == 0);
    }
}

pub struct Abandoned {
    pub day: i64,
    pub user: u64,
    pub session: u128,
    pub product: u64,
    pub added_at: i64,
    pub cents: i64,
}

#[derive(Default)]
pub struct All {
    pub visits: Vec<Visit>,
    /// With their categories.
    pub category_visits: Vec<(u32, Visit)>,
    pub days: HashMap<i64, Funnel>,
    pub category_days: HashMap<(i64, u32), Funnel>,
    pub abandoned: Vec<Abandoned>,
}

impl All {
    pub fn rows(&self) -> usize {
        let All { visits, category_visits, days, category_days, abandoned } = self;
        visits.len() + category_visits.len() + days.len() + category_days.len() + abandoned.len()
    }
}

impl Visits {
    pub fn add(&mut self, event: &Event) {
        let Visits { numbers, sessions, counts, seen } = self;
        let session = *numbers.entry((event.user, event.session)).or_insert_with(|| {
            sessions.push((event.user, event.session));
            counts.push(0);
            u32::try_from(sessions.len() - 1).expect("four billion sessions")
        });
        counts[session as usize] += 1;
        let Event { at, kind, product, category, cents, .. } = *event;
        seen.push(Seen { at, product, cents, category, session, kind });
    }

    /// Each session's events beside each other.
    fn sorted(&mut self) -> Vec<Seen> {
        let Some(first) = self.seen.first().copied() else { return Vec::new() };
        let mut sum = 0;
        for count in &mut self.counts {
            (*count, sum) = (sum, sum + *count);
        }
        let mut sorted = vec![first; self.seen.len()];
        for seen in self.seen.drain(..) {
            let at = &mut self.counts[seen.session as usize];
            sorted[*at as usize] = seen;
            *at += 1;
        }
        sorted
    }

    pub fn rows(mut self, watermark: i64) -> All {
        self.numbers = HashMap::new();
        let mut all = All::default();
        let mut sorted = self.sorted();
        for events in sorted.chunk_by_mut(|a, b| a.session == b.session) {
            let (user, session) = self.sessions[events[0].session as usize];
            events.sort_unstable_by_key(|seen| (seen.at, seen.kind));
            for events in events.chunk_by(|a, b| b.at - a.at < GAP_MS) {
                let visit = visit((user, session), events);
                all.days.entry(visit.started.div_euclid(DAY_MS)).or_default().add(&visit);
                all.visits.push(visit);
            }
            abandoned((user, session), events, watermark, &mut all.abandoned);
            events.sort_unstable_by_key(|seen| (seen.category, seen.at, seen.kind));
            for events in events.chunk_by(|a, b| a.category == b.category && b.at - a.at < GAP_MS) {
                let category = events[0].category;
                let visit = visit((user, session), events);
                all.category_days.entry((visit.started.div_euclid(DAY_MS), category)).or_default().add(&visit);
                all.category_visits.push((category, visit));
            }
        }
        all
    }
}

/// The visit that events are, in the order of time.
fn visit((user, session): (u64, u128), events: &[Seen]) -> Visit {
    let (started, ended) = (events[0].at, events[events.len() - 1].at);
    let mut visit =
        Visit { user, session, started, ended, events: events.len() as u64, reached: 0, carts: 0, purchases: 0 };
    for seen in events {
        let step = match seen.kind {
            Kind::View => 0,
            Kind::Cart => {
                visit.carts += 1;
                1
            }
            Kind::Purchase if seen.cents >= 0 => {
                visit.purchases += 1;
                2
            }
            Kind::Remove | Kind::Purchase => continue,
        };
        visit.reached += u64::from(visit.reached == step);
    }
    visit
}

/// What was put into the cart last, if it was not removed within a day and nothing was bought within an hour.
fn abandoned((user, session): (u64, u128), events: &[Seen], watermark: i64, out: &mut Vec<Abandoned>) {
    for (place, cart) in events.iter().enumerate().filter(|(_, seen)| seen.kind == Kind::Cart) {
        if cart.at + HOUR_MS > watermark {
            continue;
        }
        // Of the same instant are those beside it too.
        let from = events[..place].iter().rposition(|seen| seen.at < cart.at).map_or(0, |before| before + 1);
        let after = events[from..].iter().take_while(|seen| seen.at < cart.at + DAY_MS);
        let is_kept = after.clone().any(|seen| match seen.kind {
            Kind::View => false,
            Kind::Cart => seen.product == cart.product && seen.at > cart.at,
            Kind::Remove => seen.product == cart.product,
            Kind::Purchase => seen.cents >= 0 && seen.at < cart.at + HOUR_MS,
        });
        if is_kept {
            continue;
        }
        let day = cart.at.div_euclid(DAY_MS);
        // Of one instant, the dearest.
        let mut same = out.iter_mut().rev().take_while(|other| (other.user, other.session) == (user, session));
        match same.find(|other| (other.day, other.product) == (day, cart.product)) {
            Some(other) => other.cents = other.cents.max(cart.cents),
            None => {
                out.push(Abandoned { day, user, session, product: cart.product, added_at: cart.at, cents: cart.cents })
            }
        }
    }
}
