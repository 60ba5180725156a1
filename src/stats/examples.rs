//! The last record of each reason for which one was rejected, and of each topic that had a late event.

use crate::sink::Commit;
use dataflows::Instant;
use dataflows::raw::{LATE_EVENTS, REJECTED_EVENTS};
use dataflows::table::{TableId, Value};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Of a commit with more of them the last so many are looked at.
const LOOKED_AT: usize = 1_000;
/// So many bytes of a record are shown.
const SHOWN: usize = 1_024;

/// A record that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The clock by which it was judged.
    pub at: Instant,
    /// Where it came from.
    pub topic: String,
    /// What was wrong.
    pub detail: String,
    /// Its beginning, e-mail addresses masked.
    pub payload: String,
}

/// A late event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// Its time.
    pub timestamp: Instant,
    /// How far behind the watermark it was.
    pub late_ms: i64,
    /// Its beginning, e-mail addresses masked.
    pub payload: String,
}

/// The last of each.
#[derive(Debug, Default)]
pub struct Examples {
    rejected: Mutex<BTreeMap<String, Rejected>>,
    late: Mutex<BTreeMap<String, Late>>,
}

impl Examples {
    /// Looks at the rows of a commit.
    pub(super) fn see(&self, commit: &Commit) {
        for row in last(commit, REJECTED_EVENTS) {
            let reason = text(row, REJECTED_EVENTS, "reason");
            let example = Rejected {
                at: instant(row, REJECTED_EVENTS, "rejected_at"),
                topic: text(row, REJECTED_EVENTS, "_topic"),
                detail: text(row, REJECTED_EVENTS, "detail"),
                payload: text(row, REJECTED_EVENTS, "raw"),
            };
            let mut all = self.rejected.lock();
            if all.get(&reason).is_none_or(|known| known.at <= example.at) {
                all.insert(reason, example);
            }
        }
        for row in last(commit, LATE_EVENTS) {
            let timestamp = instant(row, LATE_EVENTS, "timestamp");
            let late_ms = instant(row, LATE_EVENTS, "watermark").saturating_sub(timestamp);
            let example = Late { timestamp, late_ms, payload: text(row, LATE_EVENTS, "raw") };
            self.late.lock().insert(text(row, LATE_EVENTS, "_topic"), example);
        }
    }

    /// By reason.
    pub fn rejected(&self) -> BTreeMap<String, Rejected> {
        self.rejected.lock().clone()
    }

    /// By topic.
    pub fn late(&self) -> BTreeMap<String, Late> {
        self.late.lock().clone()
    }
}

fn last(commit: &Commit, table: TableId) -> impl Iterator<Item = &[Value]> {
    let rows = commit.appends.get(&table).map_or(&[][..], Vec::as_slice);
    rows[rows.len().saturating_sub(LOOKED_AT)..].iter().map(Vec::as_slice)
}

fn value<'r>(row: &'r [Value], table: TableId, column: &str) -> Option<&'r Value> {
    let place = table.table().columns.iter().position(|known| known.name == column)?;
    row.get(place)
}

fn instant(row: &[Value], table: TableId, column: &str) -> Instant {
    if let Some(Value::Instant(at)) = value(row, table, column) { *at } else { 0 }
}

fn text(row: &[Value], table: TableId, column: &str) -> String {
    let bytes = match value(row, table, column) {
        Some(Value::Text(text)) => text.as_bytes(),
        Some(Value::Bytes(bytes)) => bytes,
        Some(_) | None => &[],
    };
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned()
}
