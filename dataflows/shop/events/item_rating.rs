//! `item_rating`: a user rated an item.

use super::shared::{self, ADDRESS_IN_KEY, BAD_ITEM_ID, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::item::ItemId;
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Kind, Page, Reason, Topic, Write, Written};
use serde::{Deserialize, Serialize};

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

/// Why a rating is none.
pub const RATING_OUT_OF_RANGE: Reason =
    Reason::of_family("rating_out_of_range", "A `rating` is not a whole number from 1 to 5.");

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "item_rating_topic",
        event: "item_rating",
        schema: include_str!("../../../schemas/events/item_rating_topic.avsc"),
        is_read_first: false,
    },
    key: "user_id",
    carries_time: true,
    reasons: &[RATING_OUT_OF_RANGE],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "item_rating", "user_id": 1001, "item_id": "7",
        "rating": 5}"#,
    flaws: &[
        Flaw::new("user_id", "", Reason::MISSING_FIELD),
        Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
        Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
        Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
        Flaw::new("user_id", r#"1001, "user_id": null"#, Reason::DUPLICATE_FIELD),
        Flaw::new("item_id", "", Reason::MISSING_FIELD),
        Flaw::new("item_id", r#"" ""#, BAD_ITEM_ID),
        Flaw::new("item_id", r#""jane@mail.ge""#, ADDRESS_IN_KEY),
        Flaw::new("item_id", "[7]", Reason::WRONG_TYPE),
        Flaw::new("rating", "", Reason::MISSING_FIELD),
        Flaw::new("rating", "6", RATING_OUT_OF_RANGE),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let (user_id, item_id) = (shared::user_id(fields), shared::item_id(fields, "item_id"));
    let rating = fields.field("rating", Kind::Plain);
    Box::new(move |record, rules| {
        let wire = &*record.wire;
        let user_id = user_id(wire, rules)?;
        let rating = wire.number(rating, (1, 5), RATING_OUT_OF_RANGE)? as u32;
        Ok(Event::ItemRating(ItemRating { timestamp: record.timestamp, user_id, item_id: item_id(wire)?, rating }))
    })
}

impl Write for ItemRating {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![
            ("item_id", Written::Text(self.item_id.to_string().into())),
            ("user_id", Written::Long(self.user_id as i64)),
            ("rating", Written::Int(self.rating as i32)),
        ]
    }

    fn spoil(&mut self) {
        self.rating = 6;
    }
}
