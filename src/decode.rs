//! Bytes to a typed event, or a rejection that says why. Never panics, never guesses.

pub mod avro;
pub mod hints;
pub mod mask;
pub mod members;
pub mod money;
pub mod movies_txt;
pub mod number;
pub mod price;
pub mod scalar;
mod syntax;
pub mod when;
pub mod wire;

use crate::bounds;
use crate::source::{Batch, Format, Record};
use crate::validate::{Broken, Rules, validate};
use dataflows::events::Event;
use wire::{CatalogWire, Wire};

/// Why a record was rejected: stable codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the codes speak for themselves and are listed in the README")]
pub enum Reason {
    BadMagicByte,
    UnknownSchema,
    SchemaUnavailable,
    Unreadable,
    Deleted,
    Undecodable,
    WrongType,
    BadItemBlock,
    UnknownEvent,
    MissingField,
    DuplicateField,
    BadTimestamp,
    TimestampTooOld,
    TimestampInFuture,
    UserIdOutOfRange,
    AgeOutOfRange,
    UnknownLanguage,
    UnknownPaymentMethod,
    BadCartId,
    BadItemId,
    AddressInKey,
    BadAmount,
    RatingOutOfRange,
    TooLong,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 24] = [
        Reason::BadMagicByte,
        Reason::UnknownSchema,
        Reason::SchemaUnavailable,
        Reason::Unreadable,
        Reason::Deleted,
        Reason::Undecodable,
        Reason::WrongType,
        Reason::BadItemBlock,
        Reason::UnknownEvent,
        Reason::MissingField,
        Reason::DuplicateField,
        Reason::BadTimestamp,
        Reason::TimestampTooOld,
        Reason::TimestampInFuture,
        Reason::UserIdOutOfRange,
        Reason::AgeOutOfRange,
        Reason::UnknownLanguage,
        Reason::UnknownPaymentMethod,
        Reason::BadCartId,
        Reason::BadItemId,
        Reason::AddressInKey,
        Reason::BadAmount,
        Reason::RatingOutOfRange,
        Reason::TooLong,
    ];

    /// Whether the same bytes might be accepted another day: then the journal remembers the rejection.
    pub fn is_of_the_world(self) -> bool {
        use Reason::{Deleted, SchemaUnavailable, UnknownSchema, Unreadable};
        matches!(self, UnknownSchema | SchemaUnavailable | Unreadable | Deleted)
    }

    /// The reason of a code.
    pub fn by_code(code: &str) -> Option<Reason> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The code as it stands in `rejected_events.reason`.
    pub fn code(self) -> &'static str {
        match self {
            Reason::BadMagicByte => "bad_magic_byte",
            Reason::UnknownSchema => "unknown_schema",
            Reason::SchemaUnavailable => "schema_unavailable",
            Reason::Unreadable => "unreadable",
            Reason::Deleted => "deleted",
            Reason::Undecodable => "undecodable",
            Reason::WrongType => "wrong_type",
            Reason::BadItemBlock => "bad_item_block",
            Reason::UnknownEvent => "unknown_event",
            Reason::MissingField => "missing_field",
            Reason::DuplicateField => "duplicate_field",
            Reason::BadTimestamp => "bad_timestamp",
            Reason::TimestampTooOld => "timestamp_too_old",
            Reason::TimestampInFuture => "timestamp_in_future",
            Reason::UserIdOutOfRange => "user_id_out_of_range",
            Reason::AgeOutOfRange => "age_out_of_range",
            Reason::UnknownLanguage => "unknown_language",
            Reason::UnknownPaymentMethod => "unknown_payment_method",
            Reason::BadCartId => "bad_cart_id",
            Reason::BadItemId => "bad_item_id",
            Reason::AddressInKey => "address_in_key",
            Reason::BadAmount => "bad_amount",
            Reason::RatingOutOfRange => "rating_out_of_range",
            Reason::TooLong => "too_long",
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
}

impl Rejection {
    /// A rejection of a record that names no schema.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into(), schema_id: None }
    }
}

/// An accepted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event.
    pub event: Event,
    /// An e-mail address came in clear, in any text, and was masked.
    pub masked: bool,
}

/// By which the future begins: the earlier of two times, each in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// That of who reads: the epoch's.
    pub reader_ms: i64,
    /// The time that the record has in its log, if it has a believable one: when it was sent, or appended.
    pub log_ms: Option<i64>,
}

impl From<i64> for Clock {
    fn from(reader_ms: i64) -> Clock {
        Clock { reader_ms, log_ms: None }
    }
}

/// Decodes and judges a record of a batch.
///
/// # Errors
/// The reason, if it is too long, no event, or breaks a rule.
pub fn decode_record(
    format: &Format,
    (batch, record): (&Batch, &Record),
    rules: &Rules,
    clock: impl Into<Clock>,
) -> Result<Accepted, Rejection> {
    let payload = &batch.bytes[record.payload.clone()];
    if record.bytes > payload.len() as u64 {
        // Only the beginning is there, which may look like something whole.
        bounds::of_record(format, record.bytes)?;
    }
    decode(format, payload, rules, clock)
}

/// Decodes and judges one payload.
///
/// # Errors
/// The reason, if the payload is no event or breaks a rule.
pub fn decode(format: &Format, payload: &[u8], rules: &Rules, clock: impl Into<Clock>) -> Result<Accepted, Rejection> {
    let clock = clock.into();
    bounds::of_record(format, payload.len() as u64).map_err(|rejection| match format {
        Format::Avro(..) | Format::JsonSchema(_) => Rejection { schema_id: avro::schema_id(payload), ..rejection },
        Format::Json(_) | Format::MoviesTxt(_) => rejection,
    })?;
    let decoded = match format {
        Format::Json(carries) => decode_json(payload, *carries, rules, clock),
        Format::JsonSchema(carries) => avro::split(payload).and_then(|(schema_id, datum)| {
            decode_json(datum, Some(carries), rules, clock).map_err(of_schema(schema_id))
        }),
        Format::Avro(carries, schemas) => avro::decode(payload, schemas).and_then(|(schema_id, wire)| {
            let besides = || avro::decode(payload, schemas).map(|(_, wire)| wire);
            let outline = || avro::outline(payload, schemas);
            judge(wire, Some(carries), rules, clock, besides, outline).map_err(of_schema(schema_id))
        }),
        Format::MoviesTxt(as_of) => movies_txt::parse(payload, *as_of).and_then(|mut item| {
            bounds::of_content(&item.content)?;
            let masked = item.content.texts_mut().fold(false, |masked, text| mask::in_place(text) | masked);
            Ok(Accepted { event: Event::Catalog(Box::new(item)), masked })
        }),
    };
    decoded.map_err(|mut rejection| {
        mask::in_place(&mut rejection.detail);
        rejection
    })
}

fn of_schema(id: u32) -> impl FnOnce(Rejection) -> Rejection {
    move |rejection| Rejection { schema_id: Some(id), ..rejection }
}

/// Decodes the datum of a payload; what it is an event of, if it does not say.
fn decode_json(datum: &[u8], carries: Option<&str>, rules: &Rules, clock: Clock) -> Result<Accepted, Rejection> {
    if datum.trim_ascii_start().first() != Some(&b'{') {
        return Err(Rejection::new(Reason::Undecodable, hints::no_object(datum)));
    }
    judge(json(datum)?, carries, rules, clock, || json(datum), || hints::Outline::of_json(datum))
}

fn json<'a, T: serde::Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Rejection> {
    // Once for the whole payload is cheaper than for each text in it.
    let parsed = match std::str::from_utf8(payload) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(payload),
    };
    // Of fields any type is read: all that can be wrong here is that it is no JSON.
    parsed.map_err(|error| Rejection::new(Reason::Undecodable, syntax::explained(payload, &error)))
}

/// Judges what was read.
fn judge<'a>(
    mut wire: Wire<'_>,
    carries: Option<&str>,
    rules: &Rules,
    clock: Clock,
    besides: impl FnOnce() -> Result<CatalogWire<'a>, Rejection>,
    outline: impl FnOnce() -> hints::Outline,
) -> Result<Accepted, Rejection> {
    match validate(&mut wire, carries, rules, clock, besides) {
        Ok((event, masked)) => Ok(Accepted { event, masked }),
        Err(Broken::Rule(rejection)) => Err(rejection),
        Err(Broken::Missing(field)) => {
            let detail = format!("`{field}` is missing{}", outline().why_missing(field));
            Err(Rejection::new(Reason::MissingField, detail))
        }
    }
}
