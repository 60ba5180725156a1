//! The events of the shop, one page each: decoded, validated, in integers where they are ids, times or money. Field
//! names are those of the topics.
//!
//! A page holds the event's struct, which fields it reads and by which rules, its topic, and a sample with its flaws.
//! What follows from the list of pages below: the type [`Event`], its names, [`TOPICS`], and [`FAMILY`], by which
//! records become events.

pub mod added_to_cart;
pub mod catalog;
pub mod checkout;
pub mod item_rating;
pub mod item_view;
pub mod naming;
pub mod purchase;
pub mod registration;
pub mod rules;
pub mod shared;
pub mod sign;

pub use added_to_cart::AddedToCart;
pub use catalog::{CatalogContent, CatalogItem};
pub use checkout::Checkout;
pub use item_rating::ItemRating;
pub use item_view::ItemView;
pub use naming::{ByNames, Naming};
pub use purchase::Purchase;
pub use registration::Registration;
pub use rules::Rules;
pub use sign::Sign;

use crate::time::Instant;
use crate::wire::{Alias, Page, Reason, Topic, TwoWays, Vocabulary, Write, Written};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Declares the events once: the variant, what it holds, and its page.
macro_rules! events {
    ($($variant:ident($holds:ty) = $page:path;)*) => {
        /// Any event.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each holds its page's struct")]
        pub enum Event { $($variant($holds)),* }

        /// Which event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "named as the events are")]
        pub enum EventName { $($variant),* }

        impl EventName {
            /// Every event there is.
            pub const ALL: &'static [EventName] = &[$(EventName::$variant),*];

            const PAGES: &'static [Page<Event, Rules>] = &[$($page),*];

            /// The vocabulary of these pages, of records that call events and fields as `alias` says.
            fn vocabulary(
                mut alias: impl FnMut(&'static str) -> Alias,
            ) -> Result<Vocabulary<Event, Rules>, (&'static str, TwoWays)> {
                let mut vocabulary = Vocabulary::default();
                $({
                    let name = $page.topic.event;
                    vocabulary.add_as($page, alias(name)).map_err(|twice| (name, twice))?;
                })*
                Ok(vocabulary)
            }

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                EventName::PAGES[self as usize].topic.event
            }
        }

        impl Event {
            /// The event's own time.
            pub fn timestamp(&self) -> Instant {
                match self { $(Event::$variant(event) => event.timestamp),* }
            }

            /// Gives it another time.
            pub fn set_timestamp(&mut self, at: Instant) {
                match self { $(Event::$variant(event) => event.timestamp = at),* }
            }

            /// Which it is.
            pub fn which(&self) -> EventName {
                match self { $(Event::$variant(_) => EventName::$variant),* }
            }

            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                self.which().as_str()
            }

            /// What it has in addition to its name and its time, as a producer writes it.
            pub fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
                match self { $(Event::$variant(event) => event.fields()),* }
            }

            /// The key of its record, as a producer writes it.
            pub fn key(&self) -> String {
                let key = EventName::PAGES[self.which() as usize].key;
                self.fields().iter().find(|(name, _)| *name == key).map(|(_, id)| id.to_string()).unwrap_or_default()
            }

            /// Breaks one of its rules, if it has any.
            pub fn spoil(&mut self) {
                match self { $(Event::$variant(event) => event.spoil()),* }
            }

            /// Whether the event moves the watermark.
            pub fn carries_time(&self) -> bool {
                match self { $(Event::$variant(_) => const { $page.carries_time }),* }
            }
        }

        /// By which records become events that call them and their fields as we do.
        pub static FAMILY: LazyLock<Vocabulary<Event, Rules>> = LazyLock::new(|| {
            EventName::vocabulary(|_| Alias::default()).expect("the pages read each field in one way")
        });
    };
}

events! {
    Registration(Registration) = registration::PAGE;
    SignIn(Sign) = sign::IN;
    SignOut(Sign) = sign::OUT;
    ItemView(ItemView) = item_view::PAGE;
    AddedToCart(AddedToCart) = added_to_cart::PAGE;
    Checkout(Checkout) = checkout::PAGE;
    Purchase(Purchase) = purchase::PAGE;
    ItemRating(ItemRating) = item_rating::PAGE;
    Catalog(Box<CatalogItem>) = catalog::PAGE;
}

const COUNT: usize = EventName::ALL.len();

/// The places of the events' topics in [`TOPICS`]: those that are read first come first.
const PLACES: [usize; COUNT] = {
    let (mut places, mut place, mut first) = ([0; COUNT], 0, true);
    loop {
        let mut event = 0;
        while event < COUNT {
            if EventName::PAGES[event].topic.is_read_first == first {
                places[event] = place;
                place += 1;
            }
            event += 1;
        }
        if !first {
            break places;
        }
        first = false;
    }
};

/// The topics of the shop, one an event. In the embedded registry a schema's id is its place here, from 1.
pub static TOPICS: [Topic; COUNT] = {
    let (mut topics, mut event) = ([EventName::PAGES[0].topic; COUNT], 0);
    while event < COUNT {
        topics[PLACES[event]] = EventName::PAGES[event].topic;
        event += 1;
    }
    topics
};

impl EventName {
    /// The place of its topic in [`TOPICS`].
    pub const fn topic(self) -> usize {
        PLACES[self as usize]
    }
}

/// The reasons for which events of the shop, and no others, are rejected.
pub fn reasons() -> impl Iterator<Item = Reason> {
    shared::REASONS.iter().chain(EventName::PAGES.iter().flat_map(|page| page.reasons)).copied()
}
