//! What no single value can show to be wrong, and what none should be.

use crate::instant::span;
use std::ops::RangeInclusive;

/// A setting that is wrong, and why.
pub(super) struct Wrong {
    pub(super) key: String,
    /// What else it depends on whether it is.
    pub(super) beside: &'static [&'static str],
    pub(super) why: String,
}

/// All that is wrong.
#[derive(Default)]
pub(super) struct Wrongs(pub(super) Vec<Wrong>);

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const DAY_MS: i64 = 24 * 3_600 * SECOND_MS;

impl Wrongs {
    pub(super) fn say(&mut self, key: &str, why: impl Into<String>) {
        self.beside(key, &[], why);
    }

    /// Of settings that do not fit together: the first one is said to be wrong.
    pub(super) fn beside(&mut self, key: &str, beside: &'static [&'static str], why: impl Into<String>) {
        self.0.push(Wrong { key: key.to_owned(), beside, why: why.into() });
    }

    /// A number that must be 1 or more.
    pub(super) fn at_least_one(&mut self, key: &str, number: impl TryInto<u64>) {
        if number.try_into().unwrap_or(0) == 0 {
            self.say(key, "must be at least 1");
        }
    }

    /// A duration that must be within bounds.
    pub(super) fn bounded(&mut self, key: &str, ms: i64, bounds: RangeInclusive<i64>, because: &str) {
        if !bounds.contains(&ms) {
            let [is, least, most] = [ms, *bounds.start(), *bounds.end()].map(span::show);
            self.say(key, format!("is {is}; expected {least} to {most}: {because}"));
        }
    }
}
