//! State as the versions before wrote it: one enum for the records of all operators.

use super::metrics::movie_sales_metrics::{self, Sales, SalesWindow};
use super::metrics::movie_statistics::{self, Statistics};
use super::metrics::user_activity::{self, Activity};
use super::metrics::users::{self, User};
use super::metrics::{checkouts, registrations};
use super::operators::carts::{CartEvent, EVENTS, Line};
use super::operators::minutes::{CONTRIBUTIONS, EXTENT, Extent};
use super::operators::prices::{LINES, POINTS, PricePoint};
use super::operators::segments::{Course, FACTS, Fact, KNOWN};
use super::operators::sessions::{Contribution, SIGNS, SignAt};
use super::operators::versions::{VERSIONS, Version};
use crate::events::CatalogContent;
use crate::item::ItemId;
use crate::state::Section;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A record of version 1: what it is stands in the number of its variant. Nothing may be added, and nothing moved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is what an operator keeps today, and is described there")]
pub enum State {
    RegistrationPane(Instant, u64),
    CheckoutPane(Instant, u64),
    User(u64, User),
    CatalogVersion(ItemId, Instant, Instant, Box<CatalogContent>),
    Sign(u64, SignAt),
    SessionMinute(Instant, Contribution),
    SessionExtent(Extent),
    Cart(u128, CartEvent),
    SaleLine(Line, Option<i64>),
    Price(ItemId, PricePoint),
    Sales(ItemId, SalesWindow, Sales),
    Rating(u64, ItemId, Instant, u32),
    Statistics(ItemId, Statistics),
    Activity(u64, Activity),
    Segment(u64, Course),
    SegmentFact(u64, Fact, i64),
}

impl State {
    /// The record as its operator keeps it today.
    fn section(self) -> Section {
        match self {
            State::RegistrationPane(pane, user) => registrations::PANES.section(&[(pane, user)]),
            State::CheckoutPane(pane, user) => checkouts::PANES.section(&[(pane, user)]),
            State::User(id, user) => users::PROFILES.section(&[(id, user)]),
            State::CatalogVersion(item, effective_at, timestamp, content) => {
                VERSIONS.section(&[(item, Version { effective_at, timestamp, content })])
            }
            State::Sign(user, sign) => SIGNS.section(&[(user, sign)]),
            State::SessionMinute(minute, contribution) => CONTRIBUTIONS.section(&[(minute, contribution)]),
            State::SessionExtent(extent) => EXTENT.section(&[extent]),
            State::Cart(id, event) => EVENTS.section(&[(id, event)]),
            State::SaleLine(line, cents) => LINES.section(&[(line, cents)]),
            State::Price(item, point) => POINTS.section(&[(item, point)]),
            State::Sales(item, window, sales) => movie_sales_metrics::SUMS.section(&[((item, window), sales)]),
            State::Rating(user, item, at, rating) => movie_statistics::RATINGS.section(&[((user, item), (at, rating))]),
            State::Statistics(item, statistics) => movie_statistics::SUMS.section(&[(item, statistics)]),
            State::Activity(user, activity) => user_activity::SUMS.section(&[(user, activity)]),
            State::Segment(user, known) => KNOWN.section(&[(user, known)]),
            State::SegmentFact(user, fact, count) => FACTS.section(&[(user, fact, count)]),
        }
    }
}

/// The records of a part of version 1, by what keeps them.
///
/// # Errors
/// If the bytes are not what version 1 wrote.
pub fn sections(mut bytes: &[u8]) -> Result<Vec<Section>, String> {
    let mut sections = BTreeMap::<String, Section>::new();
    while !bytes.is_empty() {
        let (record, rest) = postcard::take_from_bytes::<State>(bytes).map_err(|error| error.to_string())?;
        let one = record.section();
        match sections.get_mut(&one.name) {
            Some(section) => {
                section.records += 1;
                section.bytes.extend_from_slice(&one.bytes);
            }
            None => drop(sections.insert(one.name.clone(), one)),
        }
        bytes = rest;
    }
    Ok(sections.into_values().collect())
}
