//! `purchase`: a finished purchase, from shops that send those.

use super::shared::{self, ADDRESS_IN_KEY, BAD_ITEM_ID, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::item::ItemId;
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Kind, Page, Reason, Topic, Write, Written, money};
use serde::{Deserialize, Serialize};

/// A finished purchase, from shops that send those.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Purchase {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
    /// What.
    pub movie_id: ItemId,
    /// For how much, in cents.
    pub purchase_amount_cents: i64,
}

/// Why an amount is none.
pub const BAD_AMOUNT: Reason =
    Reason::of_family("bad_amount", "A `purchase_amount` is not money in US dollars and whole cents.");

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "checkout_topic",
        event: "purchase",
        schema: include_str!("../../../schemas/events/checkout_topic.avsc"),
        is_read_first: false,
    },
    key: "user_id",
    carries_time: true,
    reasons: &[BAD_AMOUNT],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "purchase", "user_id": 1001, "movie_id": "7",
        "purchase_amount": 9.99}"#,
    flaws: &[
        Flaw::new("user_id", "", Reason::MISSING_FIELD),
        Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
        Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
        Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
        Flaw::new("movie_id", "", Reason::MISSING_FIELD),
        Flaw::new("movie_id", r#"" ""#, BAD_ITEM_ID),
        Flaw::new("movie_id", r#""jane@mail.ge""#, ADDRESS_IN_KEY),
        Flaw::new("movie_id", "[7]", Reason::WRONG_TYPE),
        Flaw::new("purchase_amount", "", Reason::MISSING_FIELD),
        Flaw::new("purchase_amount", "-1", BAD_AMOUNT),
        Flaw::new("purchase_amount", "9.999", BAD_AMOUNT),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let (user_id, movie_id) = (shared::user_id(fields), shared::item_id(fields, "movie_id"));
    let purchase_amount = fields.field("purchase_amount", Kind::Plain);
    Box::new(move |record, rules| {
        let wire = &*record.wire;
        let (user_id, movie_id) = (user_id(wire, rules)?, movie_id(wire)?);
        let amount = wire.required(purchase_amount)?;
        let purchase_amount_cents = money::cents(amount)
            .and_then(|cents| if cents >= 0 { Ok(cents) } else { Err(money::EXPECTED.to_owned()) })
            .map_err(|why| wire.broken(purchase_amount, BAD_AMOUNT, amount, &why))?;
        Ok(Event::Purchase(Purchase { timestamp: record.timestamp, user_id, movie_id, purchase_amount_cents }))
    })
}

impl Write for Purchase {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![
            ("user_id", Written::Long(self.user_id as i64)),
            ("movie_id", Written::Text(self.movie_id.to_string().into())),
            ("purchase_amount", Written::Dollars(self.purchase_amount_cents)),
        ]
    }

    fn spoil(&mut self) {
        self.purchase_amount_cents = -100;
    }
}
