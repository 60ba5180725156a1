//! `added_to_cart`: an item went into a cart.

use super::shared::{self, ADDRESS_IN_KEY, BAD_CART_ID, BAD_ITEM_ID, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::item::ItemId;
use crate::shop::cart::CartId;
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Page, Reason, Topic, Write, Written};
use serde::{Deserialize, Serialize};

/// An item went into a cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddedToCart {
    /// Event time.
    pub timestamp: Instant,
    /// Which cart.
    pub cart_id: CartId,
    /// Whose.
    pub user_id: u64,
    /// What.
    pub item_id: ItemId,
}

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "added_to_cart",
        event: "added_to_cart",
        schema: include_str!("../../../schemas/events/added_to_cart.avsc"),
        is_read_first: false,
    },
    key: "cart_id",
    carries_time: true,
    reasons: &[],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "added_to_cart", "user_id": 1001,
        "cart_id": "00000000-0000-0000-0000-000000000001", "item_id": "7"}"#,
    flaws: &[
        Flaw::new("user_id", "", Reason::MISSING_FIELD),
        Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
        Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
        Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
        Flaw::new("cart_id", "", Reason::MISSING_FIELD),
        Flaw::new("cart_id", r#""a cart""#, BAD_CART_ID),
        Flaw::new("item_id", "", Reason::MISSING_FIELD),
        Flaw::new("item_id", r#"" ""#, BAD_ITEM_ID),
        Flaw::new("item_id", r#""jane@mail.ge""#, ADDRESS_IN_KEY),
        Flaw::new("item_id", "[7]", Reason::WRONG_TYPE),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let (user_id, cart_id) = (shared::user_id(fields), shared::cart_id(fields));
    let item_id = shared::item_id(fields, "item_id");
    Box::new(move |record, rules| {
        let wire = &*record.wire;
        let (user_id, cart_id, item_id) = (user_id(wire, rules)?, cart_id(wire, rules)?, item_id(wire)?);
        Ok(Event::AddedToCart(AddedToCart { timestamp: record.timestamp, cart_id, user_id, item_id }))
    })
}

impl Write for AddedToCart {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![
            ("item_id", Written::Text(self.item_id.to_string().into())),
            ("user_id", Written::Long(self.user_id as i64)),
            ("cart_id", Written::Text(self.cart_id.to_string().into())),
        ]
    }

    fn spoil(&mut self) {
        self.user_id = 0;
    }
}
