//! Each event is judged once, before anything is made of it.

use crate::events::{Arrival, CatalogItem, Checkout, Event, Origin, Purchase, Registration};
use crate::operators::{AsOf, Version};
use crate::raw::{Append, append};
use crate::time::{Instant, Settings, Time};
use crate::{Collection, Stream};
use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// An event and whether it came too late to change a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Judged<E> {
    /// The event.
    pub event: E,
    /// Older than the cut of the epoch before.
    pub late: bool,
}

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

/// The judged events, by what the metrics read.
pub struct Split<'s> {
    /// Registrations.
    pub registrations: Collection<'s, Judged<Registration>>,
    /// Checkouts of carts.
    pub checkouts: Collection<'s, Judged<Checkout>>,
    /// Finished purchases.
    pub purchases: Collection<'s, Judged<Purchase>>,
    /// Catalog versions by item.
    pub catalog: Stream<'s, ((String, Version), Time, isize)>,
    /// Rows of the raw tables.
    pub raw: Stream<'s, Append>,
    /// What came too late.
    pub late: Stream<'s, LateEvent>,
}

/// Judges the events of an epoch against the watermark of the epoch before.
///
/// **Law.** An event is late if it is older than the cut at that watermark; the answer does not
/// depend on the worker. A catalog version is never late: it takes effect no earlier than the
/// catalog's cut. An epoch's events wait here until the epoch before is closed everywhere.
pub fn late_split<'s>(
    arrivals: Stream<'s, Arrival>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
) -> Split<'s> {
    let mut builder = OperatorBuilder::new("late_split".to_owned(), arrivals.scope());
    let mut arrivals = builder.new_input(arrivals, Pipeline);
    let mut watermarks = builder.new_input(watermarks, Pipeline);
    let (registrations, registrations_out) = builder.new_output::<Vec<_>>();
    let (checkouts, checkouts_out) = builder.new_output::<Vec<_>>();
    let (purchases, purchases_out) = builder.new_output::<Vec<_>>();
    let (catalog, catalog_out) = builder.new_output::<Vec<_>>();
    let (raw, raw_out) = builder.new_output::<Vec<_>>();
    let (late, late_out) = builder.new_output::<Vec<_>>();
    let settings = settings.clone();
    builder.build(move |_caps| {
        let (mut registrations, mut checkouts) = (OutputBuilder::from(registrations), OutputBuilder::from(checkouts));
        let (mut purchases, mut catalog) = (OutputBuilder::from(purchases), OutputBuilder::from(catalog));
        let (mut raw, mut late) = (OutputBuilder::from(raw), OutputBuilder::from(late));
        let mut open = BTreeMap::<Time, (Vec<Capability<Time>>, Vec<Vec<Arrival>>)>::new();
        let mut as_of = AsOf::default();
        move |frontiers| {
            watermarks.for_each_time(|cap, values| {
                values.flat_map(|values| values.drain(..)).for_each(|watermark| as_of.note(*cap.time(), watermark));
            });
            arrivals.for_each_time(|cap, batches| {
                let (_, stash) = open
                    .entry(*cap.time())
                    .or_insert_with(|| ((0..6).map(|port| cap.retain(port)).collect(), Vec::new()));
                stash.extend(batches.map(std::mem::take));
            });
            let (mut registrations, mut checkouts) = (registrations.activate(), checkouts.activate());
            let (mut purchases, mut catalog) = (purchases.activate(), catalog.activate());
            let (mut raw, mut late) = (raw.activate(), late.activate());
            while let Some(first) = open.first_entry() {
                let time = *first.key();
                let before = time.saturating_sub(1);
                if frontiers[1].less_equal(&before) {
                    break;
                }
                let (caps, batches) = if frontiers[0].less_equal(&time) {
                    let (caps, batches) = first.into_mut();
                    (caps.clone(), std::mem::take(batches))
                } else {
                    first.remove()
                };
                let watermark = as_of.at(before);
                let (cut, catalog_cut) = (settings.cut(watermark), settings.catalog_cut(watermark));
                let mut registrations = registrations.session(&caps[0]);
                let mut checkouts = checkouts.session(&caps[1]);
                let mut purchases = purchases.session(&caps[2]);
                let mut catalog = catalog.session(&caps[3]);
                let mut raw = raw.session(&caps[4]);
                let mut late = late.session(&caps[5]);
                for Arrival { origin, event } in batches.into_iter().flatten() {
                    let timestamp = event.timestamp();
                    let is_late = event.carries_time() && timestamp < cut;
                    let effective_at = timestamp.max(catalog_cut);
                    if settings.raw {
                        raw.give(append(&event, &origin, effective_at, &settings));
                    }
                    if is_late {
                        late.give(LateEvent { origin, timestamp, watermark });
                    }
                    match event {
                        Event::Registration(event) => registrations.give((Judged { event, late: is_late }, time, 1)),
                        Event::Checkout(event) => checkouts.give((Judged { event, late: is_late }, time, 1)),
                        Event::Purchase(event) => purchases.give((Judged { event, late: is_late }, time, 1)),
                        Event::Catalog(event) => {
                            let CatalogItem { item_id, content, timestamp } = *event;
                            let version = Version { effective_at, timestamp, content: Box::new(content) };
                            catalog.give(((item_id, version), time, 1));
                        }
                        Event::SignIn(_) | Event::SignOut(_) => {}
                        Event::ItemView(_) | Event::AddedToCart(_) | Event::ItemRating(_) => {}
                    }
                }
                if frontiers[0].less_equal(&time) {
                    break;
                }
            }
            // A worker that reads nothing must not remember every watermark either.
            let closed = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if let (Some(closed), true) = (closed, open.is_empty()) {
                as_of.at(closed.saturating_sub(1));
            }
        }
    });
    Split {
        registrations: registrations_out.as_collection(),
        checkouts: checkouts_out.as_collection(),
        purchases: purchases_out.as_collection(),
        catalog: catalog_out,
        raw: raw_out,
        late: late_out,
    }
}
