//! `item_view`: somebody looked at an item.

use super::shared::{self, ADDRESS_IN_KEY, BAD_ITEM_ID, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::item::ItemId;
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Page, Reason, Topic, Write, Written};
use serde::{Deserialize, Serialize};

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

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "item_view_topic",
        event: "item_view",
        schema: include_str!("../../../schemas/events/item_view_topic.avsc"),
        is_read_first: false,
    },
    key: "user_id",
    carries_time: true,
    reasons: &[],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "item_view", "user_id": 1001, "item_id": "7"}"#,
    flaws: &[
        Flaw::new("user_id", "", Reason::MISSING_FIELD),
        Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
        Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
        Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
        Flaw::new("item_id", "", Reason::MISSING_FIELD),
        Flaw::new("item_id", r#"" ""#, BAD_ITEM_ID),
        Flaw::new("item_id", r#""jane@mail.ge""#, ADDRESS_IN_KEY),
        Flaw::new("item_id", "[7]", Reason::WRONG_TYPE),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let (user_id, item_id) = (shared::user_id(fields), shared::item_id(fields, "item_id"));
    Box::new(move |record, rules| {
        let user_id = user_id(record.wire, rules)?;
        Ok(Event::ItemView(ItemView { timestamp: record.timestamp, user_id, item_id: item_id(record.wire)? }))
    })
}

impl Write for ItemView {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![
            ("item_id", Written::Text(self.item_id.to_string().into())),
            ("user_id", Written::Long(self.user_id as i64)),
        ]
    }

    fn spoil(&mut self) {
        if self.user_id.is_multiple_of(2) {
            self.item_id = "".into();
        } else {
            self.user_id = 0;
        }
    }
}
