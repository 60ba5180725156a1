//! `checkout_to_cart`: a cart was checked out.

use super::shared::{self, BAD_CART_ID, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::shop::cart::CartId;
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Kind, Page, Reason, Topic, Write, Written};
use serde::{Deserialize, Serialize};

/// A cart was checked out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Checkout {
    /// Event time.
    pub timestamp: Instant,
    /// Which cart.
    pub cart_id: CartId,
    /// Whose.
    pub user_id: u64,
    /// How it was paid.
    pub payment_method: String,
}

/// Why a method of payment is none.
pub const UNKNOWN_PAYMENT_METHOD: Reason =
    Reason::of_rules("unknown_payment_method", "The `payment_method` of a checkout is none of `rules.payment_method`.");

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "checkout_to_cart",
        event: "checkout_to_cart",
        schema: include_str!("../../../schemas/events/checkout_to_cart.avsc"),
        is_read_first: false,
    },
    key: "cart_id",
    carries_time: true,
    reasons: &[UNKNOWN_PAYMENT_METHOD],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "checkout_to_cart", "user_id": 1001,
        "cart_id": "00000000-0000-0000-0000-000000000001", "payment_method": "Card"}"#,
    flaws: &[
        Flaw::new("user_id", "", Reason::MISSING_FIELD),
        Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
        Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
        Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
        Flaw::new("cart_id", "", Reason::MISSING_FIELD),
        Flaw::new("cart_id", r#""a cart""#, BAD_CART_ID),
        Flaw::new("payment_method", "", Reason::MISSING_FIELD),
        Flaw::new("payment_method", r#""Shells""#, UNKNOWN_PAYMENT_METHOD),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let (user_id, cart_id) = (shared::user_id(fields), shared::cart_id(fields));
    let payment_method = fields.field("payment_method", Kind::Text);
    Box::new(move |record, rules| {
        let wire = &mut *record.wire;
        let (user_id, cart_id) = (user_id(wire, rules)?, cart_id(wire, rules)?);
        let expected = |known: &[String]| known.join(" or ");
        let (payment_method, masked) =
            shared::word(wire, (payment_method, UNKNOWN_PAYMENT_METHOD), (&rules.payment_method, false), expected)?;
        record.masked = masked;
        Ok(Event::Checkout(Checkout { timestamp: record.timestamp, cart_id, user_id, payment_method }))
    })
}

impl Write for Checkout {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![
            ("user_id", Written::Long(self.user_id as i64)),
            ("cart_id", Written::Text(self.cart_id.to_string().into())),
            ("payment_method", Written::Text((&self.payment_method).into())),
        ]
    }

    fn spoil(&mut self) {
        self.payment_method = "Coins".to_owned();
    }
}
