//! What records call the events of the movie shop and their fields.

use super::wrong::Wrongs;
use crate::declared::{Declared, Field, declared};
use crate::families;
use dataflows::family::Family;
use dataflows::shop::events::Naming;
use dataflows::shop::events::naming::{self, Unmappable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often events count that are equal in every column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "said at `Events::once`")]
pub enum Once {
    #[default]
    Nothing,
    Everything,
}

declared! {
    /// What your records call an event, and its fields.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Mapped {
        /// What stands in `event_name` of your records. Empty is the name of this section.
        pub name: String,
        /// The fields of the event, each with the name that it has in your records: `user_id = "uid"`. A path such as
        /// `user.id` is the field `id` of the object `user`. A field that is not here has its own name.
        pub fields: BTreeMap<String, String>,
    }
}

/// Declares a section for each event.
macro_rules! sections {
    ($($event:ident = $doc:literal;)*) => {
        declared! {
            /// The movie shop's events under the names of your records. `deltamart schema --events` prints an example of
            /// each event as it is read then.
            #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            pub struct Events {
                /// `everything`: events of the movie shop that are equal in every column count once, in all metrics. It
                /// takes memory for each view of an item, until it is older than `lateness`. `nothing`: each view counts.
                pub once: Once,
                $(#[doc = $doc] pub $event: Mapped,)*
            }
        }

        impl Events {
            /// The sections of events, and the settings in each.
            pub const SECTIONS: &'static [(&'static str, &'static [Field])] =
                &[$((concat!("events.", stringify!($event)), Mapped::FIELDS)),*];

            /// What is said of events, by our names for them.
            fn mapping(&self) -> naming::Mapping {
                let all = [$((stringify!($event), &self.$event)),*];
                let said = all.into_iter().filter(|(_, mapped)| **mapped != Mapped::default());
                let mapped = |Mapped { name, fields }: &Mapped| {
                    naming::Mapped { name: name.clone(), fields: fields.clone() }
                };
                said.map(|(event, of)| (event.to_owned(), mapped(of))).collect()
            }
        }
    };
}

sections! {
    consumer_registration = "What your records call the event that somebody registered.";
    sign_in = "What your records call the event that a user signed in.";
    sign_out = "What your records call the event that a user signed out.";
    item_view = "What your records call the event that a user looked at an item.";
    added_to_cart = "What your records call the event that an item went into a cart.";
    checkout_to_cart = "What your records call the event that a cart was checked out.";
    purchase = "What your records call the event of a finished purchase.";
    item_rating = "What your records call the event that a user rated an item.";
    movies_catalog_enriched = "What your records call a version of a catalog item.";
}

impl Events {
    /// The names that records are read by.
    ///
    /// # Errors
    /// Everything for which nothing could be read by them.
    pub fn naming(&self) -> Result<Naming, Vec<Unmappable>> {
        Naming::of(self.mapping())
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        let naming = self.naming();
        for event in naming.as_ref().map(|naming| naming.vocabulary().spoken().collect()).unwrap_or_else(|_| Vec::new())
        {
            let mut declared = families::declared().iter().map(|loaded| loaded.family.name());
            let ours = event.page.topic.event;
            if event.name != ours && declared.any(|name| name == event.name) {
                let why = format!(
                    "is `{0}`, and so are the events of `{0}.toml`: which of the two a record is cannot be told",
                    event.name
                );
                wrongs.say(&format!("events.{ours}.name"), why);
            }
        }
        for Unmappable { event, field, why } in naming.err().unwrap_or_default() {
            let key = match field {
                Some(field) => format!("events.{event}.fields.{field}"),
                None => format!("events.{event}.name"),
            };
            wrongs.say(&key, why);
        }
    }
}
