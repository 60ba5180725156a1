//! The bounds of what is accepted, as they stand in the settings and in the journal.

use crate::declared::{Declared, Field, declared};
use crate::{families, instant};
use dataflows::Instant;
use dataflows::family::FamilyId;
use dataflows::gate::Bounds;
use dataflows::shop::events;
use dataflows::shop::events::rules::{CartIds, Profile, Words};
use dataflows::wire::{Clock, TimeRules};
use serde::{Deserialize, Serialize};
use std::any::Any;

/// The bounds of what is accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Said", into = "Written")]
pub struct Rules {
    /// When events may have happened.
    pub time: TimeRules,
    /// What the movie shop's events may say. By what names they say it stands beside the rules, in settings and journal.
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

    /// The keys of the settings that the profile decides, unless something else is said of them.
    pub const OF_PROFILE: [&str; 5] =
        ["rules.user_id", "rules.age", "rules.preferred_language", "rules.payment_method", "rules.cart_id"];
}

declared! {
    /// Of all families together, by their names.
    #[derive(Serialize)]
    #[serde(rename = "Rules")]
    struct Written {
        /// All limits on ids and words at once. `strict`: those of the simulated shop, as they stand here as defaults.
        /// `open`: ids of users to 9223372036854775807, any age, any language, any method of payment, any text as the id of
        /// a cart. A limit that is set too is as it is set.
        profile: Profile,
        /// The smallest and the largest `user_id` that is accepted.
        user_id: (u64, u64),
        /// The smallest and the largest `age` that is accepted, in years.
        age: (u32, u32),
        /// The languages that are accepted, or `any` for every text of at most 64 bytes. An empty text is accepted too;
        /// the field itself must be there.
        preferred_language: Words,
        /// The methods of payment that are accepted, or `any` for every text of at most 64 bytes.
        payment_method: Words,
        /// What the id of a cart may be: `uuid`, or `text` for every text of at most 256 bytes. A text that is a UUID is
        /// that UUID, however it is written.
        cart_id: CartIds,
        /// The time of the oldest event that is accepted, as ISO 8601.
        #[serde(with = "instant::iso")]
        min_event_time: Instant,
        /// How far in the future an event may be, compared with the time that its log gives the record, and with the
        /// clock. It must be less than `lateness`: a fast clock would make the events of others late.
        #[serde(with = "instant::span")]
        max_future: i64,
    }
}

/// What was said of them.
#[derive(Deserialize)]
#[serde(rename = "Rules", deny_unknown_fields, default)]
struct Said {
    profile: Profile,
    user_id: Option<(u64, u64)>,
    age: Option<(u32, u32)>,
    preferred_language: Option<Words>,
    payment_method: Option<Words>,
    cart_id: Option<CartIds>,
    #[serde(with = "instant::iso")]
    min_event_time: Instant,
    #[serde(with = "instant::span")]
    max_future: i64,
}

impl Default for Said {
    fn default() -> Said {
        let TimeRules { min_event_time, max_future } = TimeRules::default();
        let (profile, user_id, age, preferred_language, payment_method, cart_id) = Default::default();
        Said { profile, user_id, age, preferred_language, payment_method, cart_id, min_event_time, max_future }
    }
}

impl From<Said> for Rules {
    fn from(said: Said) -> Rules {
        let Said { profile, user_id, age, preferred_language, payment_method, cart_id, min_event_time, max_future } =
            said;
        let of = events::Rules::of(profile);
        Rules {
            time: TimeRules { min_event_time, max_future },
            shop: events::Rules {
                user_id: user_id.unwrap_or(of.user_id),
                age: age.unwrap_or(of.age),
                preferred_language: preferred_language.unwrap_or(of.preferred_language),
                payment_method: payment_method.unwrap_or(of.payment_method),
                cart_id: cart_id.unwrap_or(of.cart_id),
                ..of
            },
        }
    }
}

impl From<Rules> for Written {
    fn from(Rules { time, shop }: Rules) -> Written {
        let events::Rules { profile, user_id, age, preferred_language, payment_method, cart_id, naming: _ } = shop;
        let TimeRules { min_event_time, max_future } = time;
        Written { profile, user_id, age, preferred_language, payment_method, cart_id, min_event_time, max_future }
    }
}

/// Rules as they stand in the journal: with the names by which records were read, and without what was not there before
/// there were profiles, where it is as it was then.
pub mod journaled {
    use super::{CartIds, Instant, Profile, Rules, TimeRules, Words, Written, instant};
    use dataflows::shop::events::Naming;
    use dataflows::shop::events::naming::Mapping;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::{Map, Value, from_value};
    use std::collections::BTreeMap;

    const EVENTS: &str = "events";

    #[derive(Serialize)]
    struct Journaled {
        #[serde(skip_serializing_if = "Option::is_none")]
        profile: Option<Profile>,
        user_id: (u64, u64),
        age: (u32, u32),
        preferred_language: Words,
        payment_method: Words,
        #[serde(skip_serializing_if = "Option::is_none")]
        cart_id: Option<CartIds>,
        #[serde(with = "instant::iso")]
        min_event_time: Instant,
        #[serde(with = "instant::span")]
        max_future: i64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        events: Mapping,
    }

    /// Writes them down.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn serialize<S: Serializer>(rules: &Rules, serializer: S) -> Result<S::Ok, S::Error> {
        let (events, TimeRules { min_event_time, max_future }) = (rules.shop.naming.mapping(), rules.time);
        let Written { profile, user_id, age, preferred_language, payment_method, cart_id, .. } = rules.clone().into();
        let profile = (profile != Profile::Strict).then_some(profile);
        // Of the profile it follows, unless it was set.
        let cart_id = (profile.is_some() || cart_id != CartIds::Uuid).then_some(cart_id);
        let journaled = Journaled {
            profile,
            user_id,
            age,
            preferred_language,
            payment_method,
            cart_id,
            min_event_time,
            max_future,
            events,
        };
        journaled.serialize(serializer)
    }

    /// Reads them again.
    ///
    /// # Errors
    /// If they are not what this version reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
        let mut written = Map::<String, Value>::deserialize(deserializer)?;
        let events = written.remove(EVENTS).unwrap_or_else(|| Map::new().into());
        let mut rules: Rules = from_value(written.into()).map_err(D::Error::custom)?;
        let mapping = from_value(events).map_err(D::Error::custom)?;
        rules.shop.naming = Naming::of(mapping).map_err(|wrong| {
            let first = wrong.into_iter().next().map(|wrong| format!("event `{}`: {}", wrong.event, wrong.why));
            D::Error::custom(first.unwrap_or_default())
        })?;
        Ok(rules)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::config::Config;

        fn written(rules: &Rules) -> Value {
            serialize(rules, serde_json::value::Serializer).expect("JSON")
        }

        #[test]
        fn what_was_not_there_before_is_not_written_where_it_is_as_it_was() {
            let strict = written(&Rules::default());
            let keys: Vec<_> = strict.as_object().expect("an object").keys().map(String::as_str).collect();
            let before = ["age", "max_future", "min_event_time", "payment_method", "preferred_language", "user_id"];
            assert_eq!(keys.len(), before.len());
            assert!(before.iter().all(|key| keys.contains(key)), "{keys:?}");
            assert_eq!(deserialize(strict).expect("as before"), Rules::default());
        }

        #[test]
        fn what_is_written_is_read_again_with_the_names_of_then() {
            let sets = ["rules.profile=open", "rules.age=[3, 9]", "events.sign_in.fields.user_id=user.id"];
            let sets: Vec<_> =
                [&sets[..], &["events.sign_in.name=login"]].concat().iter().map(|s| (*s).to_owned()).collect();
            let rules = Config::load(None, &sets, &[]).expect("good").config.rules;
            let again = deserialize(written(&rules)).expect("as written");
            assert_eq!(again, rules);
            assert_eq!(again.shop.naming.mapping()["sign_in"].fields["user_id"], "user.id");
            assert_ne!(again.shop.naming, Rules::default().shop.naming);
        }
    }
}
