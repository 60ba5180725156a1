//! Each event is judged once, before anything is made of it.

use crate::Stream;
use crate::events::{Arrival, CatalogItem, Event, Origin, Registration};
use crate::item::ItemId;
use crate::operators::{AsOf, Cart, CartEvent, InCart, Line, Mark, Sequence, SignAt, Version};
use crate::raw::{Append, append};
use crate::table::TableId;
use crate::time::{Instant, Settings, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

/// An event that came too late.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LateEvent {
    /// Where from.
    pub origin: Origin,
    /// Its event time.
    pub timestamp: Instant,
    /// The watermark it was judged by.
    pub watermark: Instant,
}

/// That a user did something, in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Deed {
    /// Who.
    pub user_id: u64,
    /// When.
    pub at: Instant,
    /// What, as far as it is not counted elsewhere.
    pub what: Did,
}

/// What a user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Did {
    /// Registered.
    Register,
    /// Looked at an item.
    View,
    /// Anything else.
    Other,
}

/// What an event is judged by, besides its own time.
struct Judge<'a> {
    /// The epoch it was read in.
    time: Time,
    /// Where the watermark of the epoch before was going.
    watermark: Instant,
    /// What came before it, in a sequence.
    sequence: &'a mut Sequence,
}

/// How many batches are routed before what was routed is passed on.
const BATCHES: usize = 64;

/// Declares the outputs once: the streams, what an epoch routes to each, and the operator.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident: $item:ty;)*) => {
        /// The judged events, by what the metrics read. In time, where nothing else is said.
        pub struct Split<'s> { $($(#[$doc])* pub $name: Stream<'s, $item>,)* }

        #[derive(Default)]
        struct Routed { $($name: Vec<$item>,)* }

        /// The operator around `judge`, which is given what arrived in the order in which it did, with where
        /// the watermark of the epoch before was going. What it gives back waits for more marks.
        fn split_by<'s>(
            arrivals: Stream<'s, Arrival>,
            watermarks: Stream<'s, Instant>,
            marks: Stream<'s, Mark>,
            mut judge: impl FnMut(Vec<Arrival>, Judge<'_>, &mut Routed) -> Option<Vec<Arrival>> + 'static,
        ) -> Split<'s> {
            let mut builder = OperatorBuilder::new("late_split".to_owned(), arrivals.scope());
            let worker = arrivals.scope().index();
            let mut arrivals = builder.new_input(arrivals, Pipeline);
            let mut watermarks = builder.new_input(watermarks, Pipeline);
            let mut marks = builder.new_input(marks, Pipeline);
            $(let $name = builder.new_output::<Vec<$item>>();)*
            let split = Split { $($name: $name.1),* };
            let ports = [$(stringify!($name)),*].len();
            builder.build(move |_caps| {
                $(let mut $name = OutputBuilder::<_, CapacityContainerBuilder<Vec<$item>>>::from($name.0);)*
                let mut open = BTreeMap::<Time, (Vec<Capability<Time>>, VecDeque<Vec<Arrival>>)>::new();
                let mut as_of = AsOf::default();
                let mut sequence = Sequence::new(worker);
                let mut routed = Routed::default();
                move |frontiers| {
                    watermarks.for_each_time(|cap, values| {
                        let values = values.flat_map(|values| values.drain(..));
                        values.for_each(|watermark| as_of.note(*cap.time(), watermark));
                    });
                    marks.for_each_time(|cap, marks| {
                        let marks = marks.flat_map(|marks| marks.drain(..));
                        marks.for_each(|mark| sequence.hear(*cap.time(), mark));
                    });
                    arrivals.for_each_time(|cap, batches| {
                        let (_, stash) = open
                            .entry(*cap.time())
                            .or_insert_with(|| ((0..ports).map(|port| cap.retain(port)).collect(), VecDeque::new()));
                        stash.extend(batches.map(std::mem::take));
                    });
                    $(let mut $name = $name.activate();)*
                    while let Some(first) = open.first_entry() {
                        let time = *first.key();
                        let before = time.saturating_sub(1);
                        if frontiers[1].less_equal(&before) {
                            break;
                        }
                        let is_open = frontiers[0].less_equal(&time);
                        let (caps, batches) = first.into_mut();
                        let watermark = as_of.at(before);
                        let mut waits = false;
                        while !waits && !batches.is_empty() {
                            for _ in 0..BATCHES {
                                let Some(batch) = batches.pop_front() else { break };
                                let judged = Judge { time, watermark, sequence: &mut sequence };
                                if let Some(rest) = judge(batch, judged, &mut routed) {
                                    batches.push_front(rest);
                                    waits = true;
                                    break;
                                }
                            }
                            let mut caps = caps.iter();
                            // Drained, not given away: the buffers keep their memory.
                            $(if let Some(cap) = caps.next() && !routed.$name.is_empty() {
                                $name.session(cap).give_iterator(routed.$name.drain(..));
                            })*
                        }
                        if is_open || waits {
                            // Whoever decoded a batch that comes before ours says so in the same epoch.
                            assert!(!waits || frontiers[2].less_equal(&time), "a batch of epoch {time} is not marked");
                            break;
                        }
                        open.remove(&time);
                        sequence.close(time);
                    }
                    // A worker that reads nothing must not remember every watermark either.
                    let closed = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
                    if let (Some(closed), true) = (closed, open.is_empty()) {
                        as_of.at(closed.saturating_sub(1));
                    }
                }
            });
            split
        }
    };
}

outputs! {
    /// Registrations, late ones too.
    registrations: Registration;
    /// When who registered.
    registered: (Instant, u64);
    /// When who checked out or purchased.
    checked_out: (Instant, u64);
    /// When who signed in or out.
    signs: (u64, SignAt);
    /// What happened to carts.
    carts: (u128, CartEvent);
    /// Finished purchases.
    purchases: Line;
    /// Who did something, and when.
    deeds: Deed;
    /// Views of items.
    views: ItemId;
    /// Ratings: who rated what, when, and how.
    ratings: ((u64, ItemId), (Instant, u32));
    /// Catalog versions; never late.
    catalog: (ItemId, Version);
    /// Rows of the raw tables, of late events too.
    raw: Append;
    /// What came too late.
    late: LateEvent;
}

/// Judges each event: by where the watermark of the epoch before is going, even if it has not crossed a
/// leap of time yet; an event of a sequence also by all that came before it there.
///
/// **Law.** An event is late if it is older than the cut at that watermark; the answer does not depend on
/// the worker, and in a sequence on nothing but the sequence. A catalog version is never late: it takes
/// effect no earlier than the catalog's cut. An epoch's events wait here until the epoch before is closed
/// everywhere, and those of a sequence until all before them are decoded.
pub fn late_split<'s>(
    arrivals: Stream<'s, Arrival>,
    targets: Stream<'s, Instant>,
    marks: Stream<'s, Mark>,
    settings: &Settings,
) -> Split<'s> {
    let settings = settings.clone();
    let wants = Wants::of(&settings);
    let judges_lines = settings.judges_lines();
    split_by(arrivals, targets, marks.broadcast(), move |batch, judge, routed| {
        let Judge { time, watermark: before, sequence } = judge;
        let mut arrivals = batch.into_iter();
        while let Some(Arrival { origin, event }) = arrivals.next() {
            let timestamp = event.timestamp();
            let mut watermark = before;
            if judges_lines && settings.sequence.contains(&origin.partition) {
                let Some(top) = sequence.before(time, &origin) else {
                    return Some(std::iter::once(Arrival { origin, event }).chain(arrivals).collect());
                };
                watermark = top.witnessed().map_or(before, |at| at.max(before));
                if event.carries_time() {
                    top.add(timestamp);
                }
            }
            let is_late = event.carries_time() && timestamp < settings.cut(watermark);
            let effective_at = timestamp.max(settings.catalog_cut(watermark));
            if settings.raw {
                routed.raw.push(append(&event, &origin, effective_at, &settings));
            }
            if is_late {
                routed.late.push(LateEvent { origin, timestamp, watermark });
            } else {
                in_time(&event, timestamp, wants, routed);
            }
            match event {
                Event::Registration(event) => {
                    if wants.users {
                        routed.registrations.push(event);
                    }
                }
                Event::Catalog(event) => {
                    if wants.catalog {
                        let CatalogItem { item_id, content, timestamp } = *event;
                        routed.catalog.push((item_id, Version { effective_at, timestamp, content: Box::new(content) }));
                    }
                }
                Event::SignIn(_)
                | Event::SignOut(_)
                | Event::ItemView(_)
                | Event::AddedToCart(_)
                | Event::Checkout(_)
                | Event::Purchase(_)
                | Event::ItemRating(_) => {}
            }
        }
        None
    })
}

/// What the tables that are kept ask for.
#[derive(Clone, Copy)]
struct Wants {
    users: bool,
    registered: bool,
    checked_out: bool,
    signs: bool,
    carts: bool,
    deeds: bool,
    statistics: bool,
    catalog: bool,
}

impl Wants {
    fn of(settings: &Settings) -> Wants {
        let any = |ids: &[TableId]| ids.iter().any(|id| settings.tables.contains(*id));
        use TableId::*;
        let carts = any(&[MovieSaleLines, MovieSalesMetrics, MovieStatistics, UserActivity, UserSegments]);
        Wants {
            users: any(&[Users]),
            registered: any(&[UserRegistrationMetrics]),
            checked_out: any(&[CheckoutMetrics]),
            signs: any(&[SessionMetrics, ActiveSessions, UserActivity]),
            carts,
            deeds: any(&[UserActivity, UserSegments]),
            statistics: any(&[MovieStatistics]),
            catalog: carts || any(&[MoviesCatalog]),
        }
    }
}

fn in_time(event: &Event, at: Instant, wants: Wants, routed: &mut Routed) {
    let (user_id, did) = match event {
        Event::Registration(event) => {
            if wants.registered {
                routed.registered.push((at, event.user_id));
            }
            (event.user_id, Did::Register)
        }
        Event::SignIn(sign) | Event::SignOut(sign) => {
            if wants.signs {
                let is_in = matches!(event, Event::SignIn(_));
                routed.signs.push((sign.user_id, SignAt { at, is_in }));
            }
            (sign.user_id, Did::Other)
        }
        Event::ItemView(event) => {
            if wants.statistics {
                routed.views.push(event.item_id.clone());
            }
            (event.user_id, Did::View)
        }
        Event::AddedToCart(event) => {
            if wants.carts {
                let what = InCart::Add(event.item_id.clone(), event.user_id);
                routed.carts.push((event.cart_id, CartEvent { at, what }));
            }
            (event.user_id, Did::Other)
        }
        Event::Checkout(event) => {
            if wants.checked_out {
                routed.checked_out.push((at, event.user_id));
            }
            if wants.carts {
                routed.carts.push((event.cart_id, CartEvent { at, what: InCart::Checkout(event.user_id) }));
            }
            (event.user_id, Did::Other)
        }
        Event::Purchase(event) => {
            if wants.checked_out {
                routed.checked_out.push((at, event.user_id));
            }
            if wants.carts {
                routed.purchases.push(Line {
                    movie_id: event.movie_id.clone(),
                    sold_at: at,
                    added_at: at,
                    cart: Cart::Purchase(event.user_id),
                    user_id: event.user_id,
                    own_cents: Some(event.purchase_amount_cents),
                });
            }
            (event.user_id, Did::Other)
        }
        Event::ItemRating(event) => {
            if wants.statistics {
                routed.ratings.push(((event.user_id, event.item_id.clone()), (at, event.rating)));
            }
            (event.user_id, Did::Other)
        }
        Event::Catalog(_) => return,
    };
    if wants.deeds {
        routed.deeds.push(Deed { user_id, at, what: did });
    }
}
