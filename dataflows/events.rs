//! The events, as the core sees them: decoded, validated, in integers where they are ids, times or money.
//! Field names are those of the topics.

use crate::item::ItemId;
use crate::time::{Instant, Timed};
use serde::{Deserialize, Serialize};

/// Somebody registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
    /// In years.
    pub age: u32,
    /// `****@domain`: never the address itself.
    pub masked_email: String,
    /// A language code, or empty.
    pub preferred_language: String,
}

/// A sign-in or a sign-out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sign {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
}

/// Somebody looked at an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemView {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
    /// What.
    pub item_id: ItemId,
}

/// An item went into a cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddedToCart {
    /// Event time.
    pub timestamp: Instant,
    /// Which cart (a UUID).
    pub cart_id: u128,
    /// Whose.
    pub user_id: u64,
    /// What.
    pub item_id: ItemId,
}

/// A cart was checked out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Checkout {
    /// Event time.
    pub timestamp: Instant,
    /// Which cart (a UUID).
    pub cart_id: u128,
    /// Whose.
    pub user_id: u64,
    /// How it was paid.
    pub payment_method: String,
}

/// A finished purchase, from shops that send those.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Purchase {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
    /// What.
    pub movie_id: ItemId,
    /// For how much, in cents.
    pub purchase_amount_cents: i64,
}

/// A user rated an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemRating {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
    /// What.
    pub item_id: ItemId,
    /// 1 to 5.
    pub rating: u32,
}

/// A version of a catalog item. Lists and the map are canonical JSON text, so that "whole record
/// content" orders alike here and in SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CatalogItem {
    /// When this version was made.
    pub timestamp: Instant,
    /// Which item.
    pub item_id: ItemId,
    /// Everything else: two versions with equal content are one version.
    pub content: CatalogContent,
}

/// What a catalog version says of its item. The order of the fields is the order of ties.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CatalogContent {
    /// The title; empty where the source has none.
    pub title: String,
    /// In cents; never 0 for want of a price.
    pub price_cents: Option<i64>,
    /// Why there is no price.
    pub price_reason: Option<String>,
    /// The price as it was written.
    pub list_price_raw: Option<String>,
    /// Product group.
    pub product_group: Option<String>,
    /// Binding.
    pub binding: Option<String>,
    /// Genre.
    pub genre: Option<String>,
    /// Studio.
    pub studio: Option<String>,
    /// Brand.
    pub brand: Option<String>,
    /// As written: `yyyy`, `yyyy-mm` or `yyyy-mm-dd`.
    pub release_date: Option<String>,
    /// A certificate, not a score.
    pub audience_rating: Option<String>,
    /// As written; units are mixed in the source.
    pub running_time: Option<String>,
    /// JSON list.
    pub directors: String,
    /// JSON list.
    pub actors: String,
    /// JSON list.
    pub languages: String,
    /// JSON object of all other keys to lists.
    pub attributes: String,
}

impl CatalogContent {
    /// Its texts, each as it came.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [
            &mut self.list_price_raw,
            &mut self.product_group,
            &mut self.binding,
            &mut self.genre,
            &mut self.studio,
            &mut self.brand,
            &mut self.release_date,
            &mut self.audience_rating,
            &mut self.running_time,
        ];
        let lists = [&mut self.directors, &mut self.actors, &mut self.languages, &mut self.attributes];
        [&mut self.title].into_iter().chain(optional.into_iter().flatten()).chain(lists)
    }
}

/// Declares the events once: the variant, what it holds, and its name on the wire.
macro_rules! events {
    ($($variant:ident($holds:ty) = $name:literal;)*) => {
        /// Any event.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Event { $(#[doc = concat!("`", $name, "`")] $variant($holds)),* }

        /// Which event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName { $(#[doc = concat!("`", $name, "`")] $variant),* }

        impl EventName {
            /// Every event there is.
            pub const ALL: &'static [EventName] = &[$(EventName::$variant),*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventName::$variant => $name),* }
            }

            /// The event of that name.
            pub fn by_name(name: &str) -> Option<EventName> {
                match name { $($name => Some(EventName::$variant),)* _ => None }
            }
        }

        impl Event {
            /// The event's own time.
            pub fn timestamp(&self) -> Instant {
                match self { $(Event::$variant(event) => event.timestamp),* }
            }

            /// Which it is.
            pub fn which(&self) -> EventName {
                match self { $(Event::$variant(_) => EventName::$variant),* }
            }

            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                self.which().as_str()
            }
        }
    };
}

events! {
    Registration(Registration) = "consumer_registration";
    SignIn(Sign) = "sign_in";
    SignOut(Sign) = "sign_out";
    ItemView(ItemView) = "item_view";
    AddedToCart(AddedToCart) = "added_to_cart";
    Checkout(Checkout) = "checkout_to_cart";
    Purchase(Purchase) = "purchase";
    ItemRating(ItemRating) = "item_rating";
    Catalog(Box<CatalogItem>) = "movies_catalog_enriched";
}

impl Timed for Event {
    fn timestamp(&self) -> Instant {
        Event::timestamp(self)
    }

    fn carries_time(&self) -> bool {
        Event::carries_time(self)
    }
}

impl Event {
    /// Whether the event moves the watermark. The catalog does not: it speaks of items, not of time.
    pub fn carries_time(&self) -> bool {
        !matches!(self, Event::Catalog(_))
    }
}

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The number of the partition in [`Settings::partitions`](crate::Settings::partitions).
    pub partition: u32,
    /// Its offset there; for files the line.
    pub offset: i64,
    /// Where the worker that read it keeps the bytes until the epoch is closed: batch, record.
    pub slot: (u32, u32),
}

/// An accepted event and where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arrival<E> {
    /// Where from.
    pub origin: Origin,
    /// What.
    pub event: E,
}
