//! The raw tables: every accepted event as it came, plus what was rejected and what was late.
//! Keyed by where the record came from, append-only.

use crate::events::{Logs, Origin};
use crate::operators::LateEvent;
use crate::table::{Column, Declared, Role, Table, TableId, Type, Value, column, incidental, nullable};

/// A row that is added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Append {
    /// To which table.
    pub table: TableId,
    /// Its values, in the order of the table's columns.
    pub values: Vec<Value>,
}

/// A table of rows that say where a record came from, and what of it.
pub fn raw_table(
    name: &'static str,
    doc: &'static str,
    role: Role,
    columns: impl IntoIterator<Item = Column>,
) -> Table {
    let origin = [
        column("_topic", Type::Text, "The topic, or the file."),
        column("_partition", Type::Integer, "The partition; 0 for files."),
        column("_offset", Type::Integer, "The offset; the line for files."),
    ];
    let key_columns = origin.len();
    let columns = origin.into_iter().chain(columns).collect();
    Table { name, doc, role, cluster_by_day: None, by_minute: None, key_columns, columns }
}

/// The values of the columns that every raw table begins with.
pub fn origin_values(origin: &Origin, logs: &Logs) -> [Value; 3] {
    let (topic, partition) = &logs.partitions[origin.partition as usize];
    [Value::Text(topic.clone()), Value::Integer((*partition).into()), Value::Integer(origin.offset)]
}

static REJECTED: Declared = Declared::new("rejected_events", || {
    let own = [
        nullable("event_key", Type::Bytes, "The record's key."),
        nullable("schema_id", Type::Integer, "The id of its schema, where it carries one."),
        column("reason", Type::Text, "A stable code."),
        column("detail", Type::Text, "What exactly was wrong."),
        column("raw", Type::Bytes, "The record as it came, e-mail addresses masked."),
        incidental("rejected_at", Type::Instant, "The clock of the epoch before, by which it was judged."),
    ];
    let doc = "One row per record that could not be accepted.";
    raw_table("rejected_events", doc, Role::Rejected { at: "rejected_at" }, own)
});

/// `rejected_events`
pub const REJECTED_EVENTS: TableId = TableId::of(&REJECTED);

static LATE: Declared = Declared::new("late_events", || {
    let own = [
        column("timestamp", Type::Instant, "Event time."),
        column("watermark", Type::Instant, "The watermark it was judged by."),
        column("raw", Type::Bytes, "The record as it came, e-mail addresses masked."),
    ];
    let doc = "One row per event that came too late to change a metric.";
    raw_table("late_events", doc, Role::Late { at: "watermark" }, own)
});

/// `late_events`
pub const LATE_EVENTS: TableId = TableId::of(&LATE);

/// The row of a late event; `raw` is the record as it came.
pub fn append_late(late: &LateEvent, raw: Vec<u8>, logs: &Logs) -> Append {
    let mut values = Vec::with_capacity(6);
    values.extend(origin_values(&late.origin, logs));
    values.extend([Value::Instant(late.timestamp), Value::Instant(late.watermark), Value::Bytes(raw.into())]);
    Append { table: LATE_EVENTS, values }
}

/// A UUID in its usual writing.
pub fn uuid_text(id: u128) -> String {
    let mut text = uuid::Uuid::encode_buffer();
    uuid::Uuid::from_u128(id).hyphenated().encode_lower(&mut text).to_owned()
}
