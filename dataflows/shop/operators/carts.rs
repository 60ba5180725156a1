//! Cart events to sale lines, per cart.

pub mod id;
mod written;

use super::renamed;
use crate::dense::Dense;
use crate::item::ItemId;
use crate::operators::{Epoch, per_epoch};
use crate::shop::settings::Settings;
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, is_silent};
use crate::{Collection, Stream};
use differential_dataflow::AsCollection;
use differential_dataflow::consolidation::consolidate;
pub use id::{Cart, Id};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;
use written::Written;

/// Something happened to a cart. The order is that of the cart's life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CartEvent {
    /// When.
    pub at: Instant,
    /// What.
    pub what: InCart,
}

/// What happened to a cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InCart {
    /// An item went in, put there by a user.
    Add(ItemId, u64),
    /// A user checked out.
    Checkout(u64),
}

/// An item that was sold. The order puts the key of its row first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Line {
    /// In which cart.
    pub cart: Cart,
    /// What.
    pub movie_id: ItemId,
    /// When it went into the cart.
    pub added_at: Instant,
    /// To whom.
    pub user_id: u64,
    /// When.
    pub sold_at: Instant,
    /// For how much, where the event itself says so.
    pub own_cents: Option<i64>,
}

/// What carts say of users in addition to lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CartFact {
    /// A user put an item into a cart, counted once however often it was said.
    Added(u64, ItemId),
    /// A user bought a cart.
    Sold(u64),
    /// From the first to the second instant (not included) the user's cart stood abandoned.
    Abandoned(u64, Instant, Instant),
}

/// One cart id's events that can still matter, in their order, each once. Read from what is kept,
/// and written there again.
#[derive(Debug, Default)]
struct Events {
    events: Vec<CartEvent>,
}

/// What makes carts of events.
#[derive(Clone, Copy)]
struct Law {
    cart_ttl_ms: i64,
    /// Abandoned how long after the last add, and for how long that counts; nothing if nobody asks.
    abandoned_ms: Option<(i64, i64)>,
}

/// What is asked of carts in addition to lines: what nobody asks for is not made.
#[derive(Debug, Default)]
pub struct Asked {
    /// Facts.
    pub facts: Cell<bool>,
    /// Of the facts, those of carts that stood abandoned.
    pub abandoned: Cell<bool>,
}

/// What happened to a cart that has a UUID.
pub static EVENTS: Kept<(u128, CartEvent)> = Kept {
    name: "shop/carts/events",
    version: 1,
    forgets: Forgets::BecomesNobodys(|(_, event), user, nobody| becomes(event, user, nobody)),
};

/// What happened to a cart that has another id. Apart from the others: those are most, and their ids are in two words.
pub static EVENTS_OF_TEXTS: Kept<(Box<str>, CartEvent)> = Kept {
    name: "shop/carts/events_of_texts",
    version: 1,
    forgets: Forgets::BecomesNobodys(|(_, event), user, nobody| becomes(event, user, nobody)),
};

fn becomes(event: &mut CartEvent, user: u64, nobody: u64) -> bool {
    match &mut event.what {
        InCart::Add(_, by) | InCart::Checkout(by) => renamed(by, user, nobody),
    }
}

/// What an epoch changes.
#[derive(Default)]
struct EpochChanges {
    lines: Vec<(Line, isize)>,
    facts: Vec<(CartFact, isize)>,
}

impl EpochChanges {
    fn added(&mut self, event: &CartEvent) {
        if let InCart::Add(item, user) = &event.what {
            self.facts.push((CartFact::Added(*user, item.clone()), 1));
        }
    }
}

impl Events {
    /// Takes an event in; tells whether it is new.
    fn insert(&mut self, event: CartEvent) -> bool {
        let at = match self.events.last() {
            Some(last) if *last >= event => match self.events.binary_search(&event) {
                Ok(_) => return false,
                Err(at) => at,
            },
            _ => self.events.len(),
        };
        self.events.insert(at, event);
        true
    }

    /// The carts that this id has been: silence of `cart_ttl` makes another cart of it.
    fn carts(&self, law: Law) -> impl Iterator<Item = &[CartEvent]> {
        self.events.chunk_by(move |earlier, later| later.at - earlier.at < law.cart_ttl_ms)
    }

    /// Takes an epoch's events in (sorted) and says what that changes; tells how many were new.
    fn take_in<I: Id>(&mut self, id: &I, fresh: &[(I, CartEvent)], law: Law, said: &mut EpochChanges) -> usize {
        let before = self.events.len();
        let insert = |events: &mut Events, said: &mut EpochChanges, sold: Option<(Instant, u64)>| {
            for (_, event) in fresh {
                let twin = sold.is_some() && events.has_twin(event);
                if events.insert(event.clone()) {
                    said.added(event);
                    said.lines
                        .extend(sold.filter(|_| !twin).and_then(|sold| line(id, event, sold)).map(|line| (line, 1)));
                }
            }
        };
        let sold = earliest_checkout(&self.events);
        let first_checkout = fresh.iter().find_map(|(_, event)| match event.what {
            InCart::Checkout(user) => Some((event.at, user)),
            InCart::Add(..) => None,
        });
        let sold_as_before = first_checkout.is_none_or(|first| sold.is_some_and(|sold| sold <= first));
        if law.abandoned_ms.is_none() && sold_as_before && self.stays_one_with(fresh, law) {
            // Nearly all: what was said stands, and a late add to a cart that was sold is one line more.
            insert(self, said, sold);
        } else {
            self.say(id, law, -1, said);
            insert(self, said, None);
            self.say(id, law, 1, said);
        }
        self.events.len() - before
    }

    /// Whether this is certainly one cart, without and with these events.
    fn stays_one_with<I>(&self, fresh: &[(I, CartEvent)], law: Law) -> bool {
        let ends = |events: &[CartEvent]| Some((events.first()?.at, events.last()?.at));
        let new = (fresh[0].1.at, fresh[fresh.len() - 1].1.at);
        let (first, last) = ends(&self.events).map_or(new, |(first, last)| (first.min(new.0), last.max(new.1)));
        last - first < law.cart_ttl_ms
    }

    /// Whether another user is known to have added the same item at the same time: that is one line.
    fn has_twin(&self, event: &CartEvent) -> bool {
        let InCart::Add(item, _) = &event.what else { return false };
        let from = self.events.partition_point(|known| known.at < event.at);
        let at_that_time = self.events[from..].iter().take_while(|known| known.at == event.at);
        at_that_time.into_iter().any(|known| matches!(&known.what, InCart::Add(known, _) if known == item))
    }

    /// Everything that a cart id says: sold lines, carts bought, carts abandoned.
    fn say<I: Id>(&self, id: &I, law: Law, diff: isize, said: &mut EpochChanges) {
        for cart in self.carts(law) {
            let sold = earliest_checkout(cart);
            if let Some(sold) = sold {
                let mut lines: Vec<_> = cart.iter().filter_map(|event| line(id, event, sold)).collect();
                lines.dedup();
                said.lines.extend(lines.into_iter().map(|line| (line, diff)));
                said.facts.push((CartFact::Sold(sold.1), diff));
            }
            if let Some(abandoned_ms) = law.abandoned_ms {
                let stood = abandoned(cart, sold.map(|(at, _)| at), abandoned_ms);
                said.facts.extend(stood.map(|fact| (fact, diff)));
            }
        }
    }

    fn last_at(&self) -> Instant {
        self.events.last().map_or(Instant::MIN, |last| last.at)
    }

    /// Drops the carts that nothing can join any more.
    fn forget(&mut self, cut: Instant, law: Law) {
        let ended =
            |cart: &&[CartEvent]| cart.last().is_some_and(|last| last.at.saturating_add(law.cart_ttl_ms) <= cut);
        let gone: usize = self.carts(law).take_while(ended).map(<[CartEvent]>::len).sum();
        self.events.drain(..gone);
    }
}

fn earliest_checkout(events: &[CartEvent]) -> Option<(Instant, u64)> {
    events.iter().find_map(|event| match event.what {
        InCart::Checkout(user) => Some((event.at, user)),
        InCart::Add(..) => None,
    })
}

fn line<I: Id>(id: &I, event: &CartEvent, (sold_at, user_id): (Instant, u64)) -> Option<Line> {
    match &event.what {
        InCart::Add(movie_id, _) if event.at <= sold_at => Some(Line {
            movie_id: movie_id.clone(),
            sold_at,
            added_at: event.at,
            cart: id.cart(),
            user_id,
            own_cents: None,
        }),
        InCart::Add(..) | InCart::Checkout(_) => None,
    }
}

/// When a cart stood abandoned: from `after` past each add that was the last one until then, unless
/// a checkout came before, to the next add, or until it counts no more. Of adds at the same time that
/// of the greatest user is the last.
fn abandoned(
    cart: &[CartEvent],
    sold_at: Option<Instant>,
    (after_ms, counts_ms): (i64, i64),
) -> impl Iterator<Item = CartFact> {
    let mut adds: Vec<_> = cart
        .iter()
        .filter_map(|event| match event.what {
            InCart::Add(_, user) => Some((event.at, user)),
            InCart::Checkout(_) => None,
        })
        .collect();
    adds.sort_unstable();
    let next: Vec<_> = adds.iter().skip(1).map(|(at, _)| *at).chain([Instant::MAX]).collect();
    adds.into_iter().zip(next).filter_map(move |((at, user), next)| {
        let from = at + after_ms;
        let unsold = sold_at.is_none_or(|sold_at| sold_at > from);
        (next > from && unsold).then(|| CartFact::Abandoned(user, from, next.min(from + counts_ms)))
    })
}

/// Carts by id, and when which of them may leave: each cart once, by its place.
struct Carts<I: Id> {
    carts: Dense<I::Held, Written>,
    due: BTreeMap<Instant, Vec<u32>>,
    live: usize,
    /// The cart that is looked at.
    cart: Events,
    buffer: Vec<u8>,
}

impl<I: Id> Default for Carts<I> {
    fn default() -> Self {
        let (due, live, cart, buffer) = Default::default();
        Carts { carts: Dense::default(), due, live, cart, buffer }
    }
}

/// Carts are looked through this often.
const SWEEP_MS: i64 = 60 * 60_000;

impl<I: Id> Carts<I> {
    fn schedule(&mut self, place: u32, end: Instant) {
        self.due.entry(end - end.rem_euclid(SWEEP_MS) + SWEEP_MS).or_default().push(place);
    }

    /// Takes in what an epoch has of a cart, sorted.
    fn take_in(&mut self, fresh: &[(I, CartEvent)], law: Law, said: &mut EpochChanges) {
        let id = &fresh[0].0;
        let place = self.carts.place(id.held());
        let kept = &self.carts.at(place).1;
        let is_new = kept.is_empty();
        self.cart.events.clear();
        kept.read(&mut self.cart.events);
        let gained = self.cart.take_in(id, fresh, law, said);
        if gained > 0 {
            self.carts.at_mut(place).write(&self.cart.events, &mut self.buffer);
        }
        self.live += gained;
        if is_new {
            self.schedule(place, self.cart.last_at().saturating_add(law.cart_ttl_ms));
        }
    }

    fn forget(&mut self, cut: Instant, law: Law) {
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() <= cut) {
            for place in first.remove() {
                let kept = &self.carts.at(place).1;
                self.cart.events.clear();
                kept.read(&mut self.cart.events);
                let before = self.cart.events.len();
                self.cart.forget(cut, law);
                let gone = before - self.cart.events.len();
                self.live -= gone;
                if self.cart.events.is_empty() {
                    self.carts.vacate(place);
                    continue;
                }
                if gone > 0 {
                    self.carts.at_mut(place).write(&self.cart.events, &mut self.buffer);
                }
                self.schedule(place, self.cart.last_at().saturating_add(law.cart_ttl_ms));
            }
        }
    }
}

/// Sale lines and what else carts say, from the events of each cart.
///
/// **Law.** Both outputs accumulate to a function of the set of cart events alone (METRICS.md): a
/// cart id is split where it is silent for `cart_ttl`, each cart is sold by its earliest checkout,
/// each add up to then is a line. A cart leaves, whole and without a word, once the cut has passed
/// its last event by `cart_ttl`: nothing can join it any more.
pub fn carts<'s, I: Id>(
    events: Stream<'s, (I, CartEvent)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    (ledger, kept): (&Ledger, &'static Kept<(I, CartEvent)>),
    asked: Rc<Asked>,
) -> (Collection<'s, Line>, Collection<'s, CartFact>) {
    let held = Rc::new(RefCell::new(Carts::<I>::default()));
    ledger.count(kept.name, &held, |held| held.live);
    ledger.keep(kept, &held, |held| {
        let mut events = Vec::new();
        held.carts.frozen(move |id, kept, out| {
            kept.read(&mut events);
            out.extend(events.drain(..).map(|event| (I::of(id), event)));
        })
    });
    let thresholds = &settings.segments;
    let abandoned_ms = (thresholds.abandoned_after_ms, thresholds.abandoned_within_ms);
    let settings = settings.clone();
    let by_cart = Exchange::new(|(id, _): &(I, CartEvent)| id.hashed());
    let mut of_epoch = Vec::new();
    let step = move |epoch: Epoch<(I, CartEvent)>, out: &mut Vec<_>, told: &mut Vec<_>| {
        let Epoch { time, input, watermark } = epoch;
        let mut held = held.borrow_mut();
        of_epoch.clear();
        of_epoch.extend(Epoch::records(input));
        of_epoch.sort_unstable();
        let law =
            Law { cart_ttl_ms: settings.cart_ttl_ms, abandoned_ms: asked.abandoned.get().then_some(abandoned_ms) };
        let mut said = EpochChanges::default();
        for of_cart in of_epoch.chunk_by(|(id, _), (other, _)| id == other) {
            held.take_in(of_cart, law, &mut said);
        }
        if !is_silent(time) {
            consolidate(&mut said.lines);
            out.extend(said.lines.into_iter().map(|(line, diff)| (line, time, diff)));
            if asked.facts.get() {
                consolidate(&mut said.facts);
                told.extend(said.facts.into_iter().map(|(fact, diff)| (fact, time, diff)));
            }
        }
        if settings.lane.forget && settings.lane.lateness_ms.is_some() {
            held.forget(settings.lane.forget_cut(watermark), law);
        }
    };
    let (lines, facts) = per_epoch(events, watermarks, by_cart, kept.name, step);
    (lines.as_collection(), facts.as_collection())
}
