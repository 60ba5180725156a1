//! Bytes to a typed event, or a rejection that says why. Never panics, never guesses.

pub mod avro;
pub mod mask;
pub mod movies_txt;
pub mod price;
pub mod wire;

use crate::source::Format;
use crate::validate::{Rules, validate};
use dataflows::events::Event;
use std::ops::Range;
use wire::{CatalogWire, Wire};

/// Why a record was rejected: stable codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the codes speak for themselves and are listed in the README")]
pub enum Reason {
    BadMagicByte,
    UnknownSchema,
    Undecodable,
    WrongType,
    BadItemBlock,
    UnknownEvent,
    MissingField,
    BadTimestamp,
    TimestampTooOld,
    TimestampInFuture,
    UserIdOutOfRange,
    AgeOutOfRange,
    UnknownLanguage,
    UnknownPaymentMethod,
    BadCartId,
    BadItemId,
    BadAmount,
    RatingOutOfRange,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 18] = [
        Reason::BadMagicByte,
        Reason::UnknownSchema,
        Reason::Undecodable,
        Reason::WrongType,
        Reason::BadItemBlock,
        Reason::UnknownEvent,
        Reason::MissingField,
        Reason::BadTimestamp,
        Reason::TimestampTooOld,
        Reason::TimestampInFuture,
        Reason::UserIdOutOfRange,
        Reason::AgeOutOfRange,
        Reason::UnknownLanguage,
        Reason::UnknownPaymentMethod,
        Reason::BadCartId,
        Reason::BadItemId,
        Reason::BadAmount,
        Reason::RatingOutOfRange,
    ];

    /// Whether the same bytes might be accepted another day: then the journal remembers the rejection.
    pub fn is_of_the_world(self) -> bool {
        matches!(self, Reason::UnknownSchema)
    }

    /// The code as it stands in `rejected_events.reason`.
    pub fn code(self) -> &'static str {
        match self {
            Reason::BadMagicByte => "bad_magic_byte",
            Reason::UnknownSchema => "unknown_schema",
            Reason::Undecodable => "undecodable",
            Reason::WrongType => "wrong_type",
            Reason::BadItemBlock => "bad_item_block",
            Reason::UnknownEvent => "unknown_event",
            Reason::MissingField => "missing_field",
            Reason::BadTimestamp => "bad_timestamp",
            Reason::TimestampTooOld => "timestamp_too_old",
            Reason::TimestampInFuture => "timestamp_in_future",
            Reason::UserIdOutOfRange => "user_id_out_of_range",
            Reason::AgeOutOfRange => "age_out_of_range",
            Reason::UnknownLanguage => "unknown_language",
            Reason::UnknownPaymentMethod => "unknown_payment_method",
            Reason::BadCartId => "bad_cart_id",
            Reason::BadItemId => "bad_item_id",
            Reason::BadAmount => "bad_amount",
            Reason::RatingOutOfRange => "rating_out_of_range",
        }
    }
}

/// Why a record could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code.
    pub reason: Reason,
    /// What exactly was wrong, for people.
    pub detail: String,
    /// The schema the record names.
    pub schema_id: Option<u32>,
    /// Where in the payload its e-mail address lies, if it could be read.
    pub email: Option<Range<usize>>,
}

impl Rejection {
    /// A rejection of a record that names no schema.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into(), schema_id: None, email: None }
    }
}

/// An accepted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event.
    pub event: Event,
    /// An e-mail address came in clear and was masked.
    pub masked: bool,
    /// Where in the payload the address lies, if it lies there as it is.
    pub email: Option<Range<usize>>,
}

/// Decodes and judges one payload. `clock_ms` is the clock by which the future begins.
///
/// # Errors
/// The reason, if the payload is no event or breaks a rule.
pub fn decode(format: &Format, payload: &[u8], rules: &Rules, clock_ms: i64) -> Result<Accepted, Rejection> {
    match format {
        Format::Json(carries) => decode_json(payload, payload, *carries, rules, clock_ms),
        Format::JsonSchema(carries) => {
            let (schema_id, datum) = avro::split(payload)?;
            decode_json(payload, datum, Some(carries), rules, clock_ms).map_err(of_schema(schema_id))
        }
        Format::Avro(carries, schemas) => {
            let (schema_id, wire) = avro::decode(payload, schemas)?;
            let besides = || avro::decode(payload, schemas).map(|(_, wire)| wire);
            judge(payload, wire, Some(carries), rules, clock_ms, besides).map_err(of_schema(schema_id))
        }
        Format::MoviesTxt(as_of) => {
            let item = movies_txt::parse(payload, *as_of)?;
            Ok(Accepted { event: Event::Catalog(Box::new(item)), masked: false, email: None })
        }
    }
}

fn of_schema(id: u32) -> impl FnOnce(Rejection) -> Rejection {
    move |rejection| Rejection { schema_id: Some(id), ..rejection }
}

/// Decodes the datum of a payload; what it is an event of, if it does not say.
fn decode_json(
    payload: &[u8],
    datum: &[u8],
    carries: Option<&str>,
    rules: &Rules,
    clock_ms: i64,
) -> Result<Accepted, Rejection> {
    if datum.trim_ascii_start().first() != Some(&b'{') {
        return Err(Rejection::new(Reason::Undecodable, "no event as JSON: expected an object, `{...}`"));
    }
    judge(payload, json(datum)?, carries, rules, clock_ms, || json(datum))
}

fn json<'a, T: serde::Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Rejection> {
    // Once for the whole payload is cheaper than for each text in it.
    let parsed = match std::str::from_utf8(payload) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(payload),
    };
    parsed.map_err(|error| {
        let reason = if error.is_data() { Reason::WrongType } else { Reason::Undecodable };
        Rejection::new(reason, format!("no event as JSON: {error}"))
    })
}

/// Judges what was read, and notes where in the payload the e-mail address lies.
fn judge(
    payload: &[u8],
    mut wire: Wire<'_>,
    carries: Option<&str>,
    rules: &Rules,
    clock_ms: i64,
    besides: impl FnOnce() -> Result<CatalogWire, Rejection>,
) -> Result<Accepted, Rejection> {
    let email = wire.masked_email.as_ref().and_then(|email| mask::span_in(payload, &email.0));
    match validate(&mut wire, carries, rules, clock_ms, besides) {
        Ok((event, masked)) => Ok(Accepted { event, masked, email }),
        Err(rejection) => Err(Rejection { email, ..rejection }),
    }
}
