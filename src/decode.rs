//! Bytes to a typed event, or a rejection that says why. Never panics, never guesses.

pub mod avro;
pub mod csv;
mod flat;
pub mod hints;
pub mod mask;
pub mod members;
pub mod movies_txt;
mod several;
mod syntax;

pub use dataflows::wire::{Clock, Reason, Rejection};

use crate::bounds::RECORD_BYTES_MAX;
use avro::Schemas;
use dataflows::gate::{Accepted, Bounds, Gate, Rest};
use dataflows::wire::bounds::{together, too_long};
use dataflows::wire::{Broken, Cells, Set, Wire};
use serde::de::DeserializeSeed;

/// How the payloads of a partition are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Avro in the Confluent wire format; the event that the topic carries, if the record does not say, and
    /// the schemas of its writers.
    Avro(&'static str, Schemas),
    /// One JSON object; the event that the topic carries, if any one does.
    Json(Option<&'static str>),
    /// One JSON object behind the header of the Confluent wire format.
    JsonSchema(&'static str),
    /// The values of one record, behind a header that names its fields.
    Csv(csv::Csv),
    /// One block of `Movies.txt`; the version's timestamp in milliseconds.
    MoviesTxt(i64),
}

impl Format {
    /// Avro by the shipped schemas.
    pub fn shipped(carries: &'static str) -> Format {
        Format::Avro(carries, Schemas::shipped())
    }
}

/// Decodes and judges a record of so many bytes, of which these are the beginning, or all. Its event is at the gate.
///
/// # Errors
/// The reason, if it is too long, no event, or breaks a rule.
pub fn decode_record(
    format: &Format,
    (payload, bytes): (&[u8], u64),
    gate: &mut dyn Gate,
    bounds: Bounds<'_>,
) -> Result<Accepted, Rejection> {
    if bytes > payload.len() as u64 {
        // Only the beginning is there, which may look like something whole.
        is_short_enough(format, bytes)?;
    }
    decode(format, payload, gate, bounds)
}

/// Decodes and judges one payload. Its event is at the gate.
///
/// # Errors
/// The reason, if the payload is not an event or breaks a rule.
pub fn decode<'a>(
    format: &Format,
    payload: &'a [u8],
    gate: &mut dyn Gate,
    bounds: Bounds<'_>,
) -> Result<Accepted, Rejection> {
    is_short_enough(format, payload.len() as u64).map_err(|rejection| match format {
        Format::Avro(..) | Format::JsonSchema(_) => Rejection { schema_id: avro::schema_id(payload), ..rejection },
        Format::Json(_) | Format::Csv(_) | Format::MoviesTxt(_) => rejection,
    })?;
    let decoded = match format {
        Format::Json(carries) => decode_json(payload, *carries, gate, bounds),
        Format::JsonSchema(carries) => avro::split(payload).and_then(|(schema_id, datum)| {
            decode_json(datum, Some(carries), gate, bounds).map_err(of_schema(schema_id))
        }),
        Format::Avro(carries, schemas) => {
            let mut wire = Wire::new(gate.names(bounds.rules));
            avro::decode(payload, schemas, &mut wire, Set::ALL).and_then(|schema_id| {
                let mut rest = |wire: &mut Wire<'static, 'a>, set| avro::decode(payload, schemas, wire, set).map(drop);
                let seen = Seen::Avro(payload, schemas);
                let judged = judge(gate, &mut wire, Some(carries), bounds, &mut rest, seen);
                wire.done();
                judged.map_err(of_schema(schema_id))
            })
        }
        Format::Csv(csv) => {
            let names = gate.names(bounds.rules);
            let mut cells = Cells::default();
            if csv.put(payload, names, &mut cells).is_some()
                && let Some(accepted) = gate.judge_usual(&cells, bounds)
            {
                return Ok(accepted);
            }
            let mut wire = Wire::new(names);
            csv.read(payload, &mut wire)?;
            // All fields were read.
            let judged = judge(gate, &mut wire, None, bounds, &mut |_, _| Ok(()), Seen::Csv(csv));
            wire.done();
            judged
        }
        Format::MoviesTxt(as_of) => {
            movies_txt::decode(payload, *as_of).map(|(event, masked)| gate.take(Box::new(event), masked))
        }
    };
    decoded.map_err(|mut rejection| {
        mask::in_place(&mut rejection.detail);
        rejection
    })
}

/// Whether a record of so many bytes is short enough.
///
/// # Errors
/// [`Reason::TOO_LONG`], with its size.
fn is_short_enough(format: &Format, bytes: u64) -> Result<(), Rejection> {
    match format {
        Format::MoviesTxt(_) => together("the block of the item", bytes),
        Format::Avro(..) | Format::Json(_) | Format::JsonSchema(_) | Format::Csv(_)
            if bytes > RECORD_BYTES_MAX as u64 =>
        {
            Err(too_long("the record", bytes, RECORD_BYTES_MAX))
        }
        Format::Avro(..) | Format::Json(_) | Format::JsonSchema(_) | Format::Csv(_) => Ok(()),
    }
}

fn of_schema(id: u32) -> impl FnOnce(Rejection) -> Rejection {
    move |rejection| Rejection { schema_id: Some(id), ..rejection }
}

/// Decodes the datum of a payload; what it is an event of, if it does not say.
fn decode_json<'a>(
    datum: &'a [u8],
    carries: Option<&str>,
    gate: &mut dyn Gate,
    bounds: Bounds<'_>,
) -> Result<Accepted, Rejection> {
    if datum.trim_ascii_start().first() != Some(&b'{') {
        return Err(Rejection::new(Reason::UNDECODABLE, hints::no_object(datum)));
    }
    let mut wire = Wire::new(gate.names(bounds.rules));
    if !flat::read(datum, &mut wire) {
        // What was read of it until then is not known to be all.
        wire = Wire::new(wire.names());
        json(datum, wire.by_name(Set::ALL))?;
    }
    let mut rest = |wire: &mut Wire<'_, 'a>, set| json(datum, wire.by_name(set));
    let judged = judge(gate, &mut wire, carries, bounds, &mut rest, Seen::Json(datum));
    wire.done();
    judged
}

fn json<'a, S: DeserializeSeed<'a>>(payload: &'a [u8], seed: S) -> Result<S::Value, Rejection> {
    // Once for the whole payload is cheaper than for each text in it.
    let parsed = match std::str::from_utf8(payload) {
        Ok(text) => whole(serde_json::Deserializer::from_str(text), seed),
        Err(_) => whole(serde_json::Deserializer::from_slice(payload), seed),
    };
    // Of fields any type is read: all that can be wrong here is that it is no JSON.
    parsed.map_err(|error| Rejection::new(Reason::UNDECODABLE, syntax::explained(payload, &error)))
}

/// What is read if nothing follows it.
fn whole<'a, R: serde_json::de::Read<'a>, S: DeserializeSeed<'a>>(
    mut json: serde_json::Deserializer<R>,
    seed: S,
) -> serde_json::Result<S::Value> {
    let read = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(read)
}

/// Judges what was read.
fn judge<'n, 'a>(
    gate: &mut dyn Gate,
    wire: &mut Wire<'n, 'a>,
    carries: Option<&str>,
    bounds: Bounds<'_>,
    rest: Rest<'_, 'n, 'a>,
    seen: Seen<'_>,
) -> Result<Accepted, Rejection> {
    gate.judge(wire, carries, bounds, rest).map_err(|broken| match broken {
        Broken::Rule(rejection) => rejection,
        Broken::Missing(field) => {
            let detail = format!("`{field}` is missing{}", seen.why_missing(field));
            Rejection::new(Reason::MISSING_FIELD, detail)
        }
        Broken::Several(reason, several) => {
            let shown = seen.value(several.field);
            Rejection::new(reason, several.explained(shown.as_deref()))
        }
    })
}

/// A record, to be looked at once more where it is rejected.
enum Seen<'r> {
    /// An object of JSON.
    Json(&'r [u8]),
    /// A payload of Avro.
    Avro(&'r [u8], &'r Schemas),
    /// Values of a header.
    Csv(&'r csv::Csv),
}

impl Seen<'_> {
    /// Why a field may be missing: to be put behind that it is.
    fn why_missing(&self, field: &str) -> String {
        match self {
            Seen::Json(datum) => hints::Outline::of_json(datum).why_missing(field),
            Seen::Avro(payload, schemas) => avro::outline(payload, schemas).why_missing(field),
            Seen::Csv(csv) if csv.has(field) => ": its value is empty".to_owned(),
            Seen::Csv(_) => ": the header does not name it".to_owned(),
        }
    }

    /// What stands in a field, if it can be shown.
    fn value(&self, field: &str) -> Option<String> {
        match self {
            Seen::Json(datum) => several::shown(datum, field),
            // A value is a text there.
            Seen::Avro(..) | Seen::Csv(_) => None,
        }
    }
}
