//! The bounds of what is accepted, as they stand in the settings and in the journal.

use crate::declared::{Declared, Field, declared};
use crate::{families, instant};
use dataflows::Instant;
use dataflows::family::FamilyId;
use dataflows::gate::Bounds;
use dataflows::shop::events;
use dataflows::wire::{Clock, TimeRules};
use serde::{Deserialize, Serialize};
use std::any::Any;

/// The bounds of what is accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Rules {
    /// When events may have happened.
    pub time: TimeRules,
    /// What the movie shop's events may say.
    pub shop: events::Rules,
}

impl Rules {
    /// The settings that they are written as.
    pub fn declared() -> &'static [Field] {
        Written::FIELDS
    }

    /// By what records of a family are judged. One that has no rules of its own is handed none.
    pub fn bounds(&self, family: FamilyId, clock: impl Into<Clock>) -> Bounds<'_> {
        let rules: &dyn Any = if family == families::SHOP { &self.shop } else { &() };
        Bounds { rules, time: &self.time, clock: clock.into() }
    }
}

declared! {
    /// Of all families together, by their names.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Rules", deny_unknown_fields, default)]
    struct Written {
        /// The smallest and the largest `user_id` that is accepted.
        user_id: (u64, u64),
        /// The smallest and the largest `age` that is accepted, in years.
        age: (u32, u32),
        /// The languages that are accepted. An empty text is accepted too; the field itself must be there.
        preferred_language: Vec<String>,
        /// The methods of payment that are accepted.
        payment_method: Vec<String>,
        /// The time of the oldest event that is accepted, as ISO 8601.
        #[serde(with = "instant::iso")]
        min_event_time: Instant,
        /// How far in the future an event may be, compared with the time that its log gives the record, and with the
        /// clock. It must be less than `lateness`: a fast clock would make the events of others late.
        #[serde(with = "instant::span")]
        max_future: i64,
    }
}

impl Default for Written {
    fn default() -> Written {
        Rules::default().into()
    }
}

impl From<Written> for Rules {
    fn from(written: Written) -> Rules {
        let Written { user_id, age, preferred_language, payment_method, min_event_time, max_future } = written;
        Rules {
            time: TimeRules { min_event_time, max_future },
            shop: events::Rules { user_id, age, preferred_language, payment_method },
        }
    }
}

impl From<Rules> for Written {
    fn from(Rules { time, shop }: Rules) -> Written {
        let events::Rules { user_id, age, preferred_language, payment_method } = shop;
        let TimeRules { min_event_time, max_future } = time;
        Written { user_id, age, preferred_language, payment_method, min_event_time, max_future }
    }
}
