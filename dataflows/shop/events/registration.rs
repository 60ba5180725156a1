//! `consumer_registration`: somebody registered.

use super::shared::{self, USER_ID_OUT_OF_RANGE};
use super::{Event, Rules};
use crate::time::Instant;
use crate::wire::{Accept, Fields, Flaw, Kind, Page, Reason, Topic, Write, Written};
use serde::{Deserialize, Serialize};

/// Somebody registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// Event time.
    pub timestamp: Instant,
    /// Who.
    pub user_id: u64,
    /// In years.
    pub age: u32,
    /// `****@domain`: never the address itself.
    pub masked_email: String,
    /// A language code, or empty.
    pub preferred_language: String,
}

/// Why an age is none.
pub const AGE_OUT_OF_RANGE: Reason =
    Reason::of_rules("age_out_of_range", "The `age` of a registration is outside the limits (setting `rules.age`).");
/// Why a language is none.
pub const UNKNOWN_LANGUAGE: Reason = Reason::of_rules(
    "unknown_language",
    "The `preferred_language` of a registration is none of `rules.preferred_language`.",
);

/// The page.
pub const PAGE: Page<Event, Rules> = Page {
    topic: Topic {
        name: "consumer_registration_topic",
        event: "consumer_registration",
        schema: include_str!("../../../schemas/events/consumer_registration_topic.avsc"),
        is_read_first: false,
    },
    key: "user_id",
    carries_time: true,
    reasons: &[AGE_OUT_OF_RANGE, UNKNOWN_LANGUAGE],
    sample: r#"{"timestamp": "2026-01-05T10:00:00Z", "event_name": "consumer_registration", "user_id": 1001, "age": 30,
        "masked_email": "****@mail.ge", "preferred_language": "geo"}"#,
    flaws: &[
        Flaw::new("user_id", "", Reason::MISSING_FIELD),
        Flaw::new("user_id", "0", USER_ID_OUT_OF_RANGE),
        Flaw::new("user_id", r#""nobody""#, Reason::WRONG_TYPE),
        Flaw::new("user_id", r#"1001, "user_id": 1001"#, Reason::DUPLICATE_FIELD),
        Flaw::new("age", "", Reason::MISSING_FIELD),
        Flaw::new("age", "17", AGE_OUT_OF_RANGE),
        Flaw::new("age", "30.5", Reason::WRONG_TYPE),
        Flaw::new("masked_email", "", Reason::MISSING_FIELD),
        Flaw::new("masked_email", "true", Reason::WRONG_TYPE),
        Flaw::new("preferred_language", "", Reason::MISSING_FIELD),
        Flaw::new("preferred_language", r#""xx""#, UNKNOWN_LANGUAGE),
    ],
    accept,
};

fn accept(fields: &mut Fields<'_>) -> Accept<Event, Rules> {
    let user_id = shared::user_id(fields);
    let age = fields.field("age", Kind::Plain);
    let masked_email = fields.field("masked_email", Kind::Address);
    let preferred_language = fields.field("preferred_language", Kind::Text);
    Box::new(move |record, rules| {
        let wire = &mut *record.wire;
        let (least, most) = rules.age;
        let age = wire.number(age, (least.into(), most.into()), AGE_OUT_OF_RANGE)? as u32;
        let user_id = user_id(wire, rules)?;
        let expected = |known: &[String]| format!("{} or empty", known.join(", "));
        let (language, masked) =
            shared::word(wire, (preferred_language, UNKNOWN_LANGUAGE), (&rules.preferred_language, true), expected)?;
        let (masked_email, was_clear) = wire.address(masked_email)?;
        record.masked = was_clear | masked;
        let timestamp = record.timestamp;
        Ok(Event::Registration(Registration { timestamp, user_id, age, masked_email, preferred_language: language }))
    })
}

impl Write for Registration {
    fn fields(&self) -> Vec<(&'static str, Written<'_>)> {
        vec![
            ("user_id", Written::Long(self.user_id as i64)),
            ("age", Written::Int(self.age as i32)),
            ("masked_email", Written::Text((&self.masked_email).into())),
            ("preferred_language", Written::Text((&self.preferred_language).into())),
        ]
    }

    fn spoil(&mut self) {
        if self.user_id.is_multiple_of(2) {
            self.age = 7;
        } else {
            self.preferred_language = "klingon".to_owned();
        }
    }
}
