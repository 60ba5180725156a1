//! An accepted record as an archive keeps it.

use crate::decode::Format;
use crate::decode::avro::{HEADER_BYTES, Writer, schema_id};
use crate::kept;
use dataflows::Instant;
use std::sync::Arc;

/// A record that was accepted.
#[derive(Clone, Debug)]
pub struct Archived {
    /// Its partition, as `topic/partition`.
    pub partition: Arc<str>,
    /// Its offset.
    pub offset: i64,
    /// The clock by which it was judged, in milliseconds.
    pub clock_ms: Instant,
    /// What it was written by; nothing if it is JSON.
    pub writer: Option<Arc<Writer>>,
    /// The datum by that schema, or the JSON; e-mail addresses masked.
    pub datum: Vec<u8>,
}

impl Archived {
    /// A record that was accepted, unless it is of a kind that no archive keeps.
    pub fn of(
        format: &Format,
        partition: &Arc<str>,
        offset: i64,
        clock_ms: Instant,
        payload: &[u8],
    ) -> Option<Archived> {
        let mut datum = kept::late(format, payload);
        let writer = match format {
            Format::Avro(_, schemas) => Some(schemas.writer(schema_id(payload)?)?),
            Format::Json(_) | Format::JsonSchema(_) | Format::Csv(_) => None,
            Format::MoviesTxt(_) => return None,
        };
        if matches!(format, Format::Avro(..) | Format::JsonSchema(_)) {
            datum.drain(..HEADER_BYTES.min(datum.len()));
        }
        Some(Archived { partition: Arc::clone(partition), offset, clock_ms, writer, datum })
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Archived>() + self.datum.len()
    }
}

impl PartialEq for Archived {
    fn eq(&self, other: &Archived) -> bool {
        let of = |archived: &Archived| (archived.partition.clone(), archived.offset, archived.clock_ms);
        of(self) == of(other) && self.datum == other.datum
    }
}

impl Eq for Archived {}
