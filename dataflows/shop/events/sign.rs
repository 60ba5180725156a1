//! `sign_in` and `sign_out`.

use super::shared::{self, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Page, Reason, Topic, Write, Written};
use serde::{Deserialize, Serialize};

/// A sign-in or a sign-out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sign {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
}

/// The page of a sign-in.
pub const IN: Page<Event, Rules> = Page {
    topic: Topic {
        name: "sign_in_topic",
        event: "sign_in",
        schema: include_str!("../../../schemas/events/sign_in_topic.avsc"),
        is_read_first: false,
    },
    key: "user_id",
    carries_time: true,
    reasons: &[],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "sign_in", "user_id": 1001}"#,
    flaws: FLAWS,
    accept: |fields| accept(fields, Event::SignIn),
};

/// The page of a sign-out.
pub const OUT: Page<Event, Rules> = Page {
    topic: Topic {
        name: "sign_out_topic",
        event: "sign_out",
        schema: include_str!("../../../schemas/events/sign_out_topic.avsc"),
        is_read_first: false,
    },
    key: "user_id",
    carries_time: true,
    reasons: &[],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "sign_out", "user_id": 1001}"#,
    flaws: FLAWS,
    accept: |fields| accept(fields, Event::SignOut),
};

const FLAWS: &[Flaw] = &[
    Flaw::new("user_id", "", Reason::MISSING_FIELD),
    Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
    Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
    Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
    Flaw::new("timestamp", "", Reason::MISSING_FIELD),
    Flaw::new("timestamp", r#""yesterday""#, Reason::BAD_TIMESTAMP),
    Flaw::new("timestamp", r#""1999-12-31T23:59:59Z""#, Reason::TIMESTAMP_TOO_OLD),
    Flaw::new("timestamp", r#""2026-01-05T12:00:00Z""#, Reason::TIMESTAMP_IN_FUTURE),
    Flaw::new("event_name", "", Reason::MISSING_FIELD),
    Flaw::new("event_name", r#""sign""#, Reason::UNKNOWN_EVENT),
];

fn accept(fields: &mut Fields<'_>, which: fn(Sign) -> Event) -> Accept<Event, Rules> {
    let user_id = shared::user_id(fields);
    Box::new(move |record, rules| {
        Ok(which(Sign { timestamp: record.timestamp, user_id: user_id(record.wire, rules)? }))
    })
}

impl Write for Sign {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![("user_id", Written::Long(self.user_id as i64))]
    }

    fn spoil(&mut self) {
        self.user_id = 0;
    }
}
