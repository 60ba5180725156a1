//! What each event is to the metrics.

use super::operators::carts::{Cart, CartEvent, InCart, Line};
use super::operators::sessions::SignAt;
use super::operators::versions::Version;
use super::over::Readers;
use super::raw::append;
use crate::declared::row::Declared;
use crate::events::{CatalogItem, Event, Logs, Origin, Registration};
use crate::item::ItemId;
use crate::operators::Judged;
use crate::raw::Append;
use crate::shop::settings::Settings;
use crate::time::{Instant, Timed};
use serde::{Deserialize, Serialize};

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

crate::taps! {
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
    /// What metrics read that are declared in SQL: which of them, by its place, and the event.
    declared: (usize, Declared);
    /// Rows of the raw tables, of late events too.
    raw: Append;
}

impl Timed for Event {
    fn timestamp(&self) -> Instant {
        Event::timestamp(self)
    }

    fn carries_time(&self) -> bool {
        Event::carries_time(self)
    }
}

/// Puts what is made of each event where metrics read it. A catalog version is never late: it takes effect no earlier
/// than the catalog's cut.
pub(super) fn route(
    routes: Routes,
    settings: &Settings,
    readers: Readers,
    logs: Logs,
) -> impl FnMut(Event, &Origin, Judged) + 'static {
    let settings = settings.clone();
    move |event, origin, Judged { is_late, watermark }| {
        let effective_at = event.timestamp().max(settings.catalog_cut(watermark));
        let is_read = !is_late && !readers.is_empty();
        if settings.lane.raw || is_read {
            let row = append(&event, origin, effective_at, &logs);
            let read = if is_read { readers.event(row.table, event.timestamp(), &row.values) } else { None };
            read.into_iter().for_each(|read| routes.declared.put(|| read));
            if settings.lane.raw {
                routes.raw.put(|| row);
            }
        }
        if !is_late {
            in_time(&event, &routes);
        }
        match event {
            Event::Registration(event) => routes.registrations.put(|| event),
            Event::Catalog(event) => routes.catalog.put(|| {
                let CatalogItem { item_id, content, timestamp } = *event;
                (item_id, Version { effective_at, timestamp, content: Box::new(content) })
            }),
            Event::SignIn(_)
            | Event::SignOut(_)
            | Event::ItemView(_)
            | Event::AddedToCart(_)
            | Event::Checkout(_)
            | Event::Purchase(_)
            | Event::ItemRating(_) => {}
        }
    }
}

fn in_time(event: &Event, routes: &Routes) {
    let at = event.timestamp();
    let (user_id, what) = match event {
        Event::Registration(event) => {
            routes.registered.put(|| (at, event.user_id));
            (event.user_id, Did::Register)
        }
        Event::SignIn(sign) | Event::SignOut(sign) => {
            let is_in = matches!(event, Event::SignIn(_));
            routes.signs.put(|| (sign.user_id, SignAt { at, is_in }));
            (sign.user_id, Did::Other)
        }
        Event::ItemView(event) => {
            routes.views.put(|| event.item_id.clone());
            (event.user_id, Did::View)
        }
        Event::AddedToCart(event) => {
            let what = || InCart::Add(event.item_id.clone(), event.user_id);
            routes.carts.put(|| (event.cart_id, CartEvent { at, what: what() }));
            (event.user_id, Did::Other)
        }
        Event::Checkout(event) => {
            routes.checked_out.put(|| (at, event.user_id));
            routes.carts.put(|| (event.cart_id, CartEvent { at, what: InCart::Checkout(event.user_id) }));
            (event.user_id, Did::Other)
        }
        Event::Purchase(event) => {
            routes.checked_out.put(|| (at, event.user_id));
            routes.purchases.put(|| Line {
                movie_id: event.movie_id.clone(),
                sold_at: at,
                added_at: at,
                cart: Cart::Purchase(event.user_id),
                user_id: event.user_id,
                own_cents: Some(event.purchase_amount_cents),
            });
            (event.user_id, Did::Other)
        }
        Event::ItemRating(event) => {
            routes.ratings.put(|| ((event.user_id, event.item_id.clone()), (at, event.rating)));
            (event.user_id, Did::Other)
        }
        Event::Catalog(_) => return,
    };
    routes.deeds.put(|| Deed { user_id, at, what });
}
