//! No e-mail address is stored: of each the local part becomes `*`, its length kept.
//!
//! Texts of events are masked before the dataflow sees them ([`text`], [`field`]); a record that is kept, where the
//! bytes of its texts lie ([`record`]). Its other bytes stand, so what could be decoded before can be decoded after.

pub use dataflows::wire::mask::{field, in_place, text};

use super::Format;
use super::avro::HEADER_BYTES;
use super::avro::leaves::{self, Leaf};
use super::members::{Member, values_of};
use crate::families;
use dataflows::wire::mask::signs::{Bytes, Wide};
use dataflows::wire::mask::{fill, is_domain, local_parts};
use dataflows::wire::scalar::Scalar;
use dataflows::wire::sounds_like;
use std::ops::Range;

/// Whether a field is to hold an address and nothing else, by its name.
fn is_email(name: &str) -> bool {
    families::names().any(|names| names.addresses().any(|address| sounds_like(name, address)))
}

/// A record as it may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// As many bytes as it had.
    pub bytes: Vec<u8>,
    /// Whether they differ from what came.
    pub differs: bool,
}

/// A record as it may be stored. Where its layout is known only its texts are looked at, else all of it.
pub fn record(format: &Format, payload: &[u8]) -> Masked {
    let mut bytes = payload.to_vec();
    let from = match format {
        // The id of a schema is not text.
        Format::Avro(..) | Format::JsonSchema(_) => payload.len().min(HEADER_BYTES),
        Format::Json(_) | Format::Csv(_) | Format::MoviesTxt(_) => 0,
    };
    let datum = &mut bytes[from..];
    match format {
        Format::Avro(_, schemas) => match leaves::of(payload, schemas) {
            Some(leaves) => {
                for Leaf { field, value } in leaves {
                    let whole = field.as_deref().is_some_and(is_email);
                    if let Some(span) = span_in(payload, &value) {
                        mask(&mut bytes[span], whole);
                    }
                }
            }
            None => mask(datum, false),
        },
        Format::Json(_) | Format::JsonSchema(_) => {
            for member in values_of(datum, is_email) {
                if let Member::Text(span) = member {
                    mask(&mut datum[span], true);
                }
            }
            mask(datum, false);
        }
        Format::Csv(_) | Format::MoviesTxt(_) => mask(datum, false),
    }
    Masked { differs: bytes != payload, bytes }
}

/// Where in a payload a text lies, or bytes, that were borrowed from it.
fn span_in(payload: &[u8], value: &Scalar<'_>) -> Option<Range<usize>> {
    let bytes = value.bytes_of_text()?;
    let start = (bytes.as_ptr() as usize).checked_sub(payload.as_ptr() as usize)?;
    let end = start.checked_add(bytes.len())?;
    (end <= payload.len()).then_some(start..end)
}

/// Bytes that may be anything, as they may be stored.
pub fn bytes(bytes: &[u8]) -> Masked {
    let mut masked = bytes.to_vec();
    mask(&mut masked, false);
    Masked { differs: masked != bytes, bytes: masked }
}

/// Masks the addresses in what may be text; if the whole is to be one, what is none as well.
fn mask(bytes: &mut [u8], whole: bool) {
    if whole {
        let end = bytes.iter().rposition(|byte| *byte == b'@');
        let end = end.filter(|at| std::str::from_utf8(&bytes[at + 1..]).is_ok_and(is_domain));
        let end = end.unwrap_or(bytes.len());
        bytes[..end].fill(b'*');
        return;
    }
    let locals = local_parts(&Bytes(bytes));
    // Two bytes to a character: one of the two of an ASCII `@` is 0.
    if memchr::memchr(0, bytes).is_some() || memchr::memchr(0xFF, bytes).is_some() {
        mask_wide(bytes);
    }
    fill(bytes, locals);
}

fn mask_wide(bytes: &mut [u8]) {
    for from in 0..bytes.len().min(2) {
        for big_endian in [false, true] {
            let found = local_parts(&Wide { bytes, from, big_endian });
            for at in found.into_iter().flatten() {
                let star = u16::from(b'*');
                let star = if big_endian { star.to_be_bytes() } else { star.to_le_bytes() };
                bytes[from + 2 * at..][..2].copy_from_slice(&star);
            }
        }
    }
}
