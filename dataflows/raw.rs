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
        column("_topic", Type::Text, "Name of the topic that the record came from; the file's name for a file."),
        column(
            "_partition",
            Type::Integer,
            "Partition of the topic; for a file its number among the files of this name, from 0.",
        ),
        column("_offset", Type::Integer, "Offset in the partition; the line number for a file."),
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

/// The columns of a clean event: what a raw table says of it, without where it came from, and whether it was late.
pub fn clean_columns(id: TableId) -> Vec<Column> {
    let table = id.table();
    let late = column("_late", Type::Boolean, "Whether the event came too late: then no metric counts it.");
    table.columns.iter().skip(table.key_columns).cloned().chain([late]).collect()
}

/// A clean event, of the values of its own columns.
pub fn clean(table: TableId, own: impl IntoIterator<Item = Value>, is_late: bool) -> Append {
    Append { table, values: own.into_iter().chain([Value::Boolean(is_late)]).collect() }
}

static REJECTED: Declared = Declared::new("rejected_events", || {
    let own = [
        nullable("event_key", Type::Bytes, "Key of the record, as it came; null if it has none or a very long one."),
        nullable(
            "schema_id",
            Type::Integer,
            "Id of the record's schema in the registry; null if the record names none.",
        ),
        column(
            "reason",
            Type::Text,
            "Code of the reason, such as `missing_field`; codes do not change between versions.",
        ),
        column("detail", Type::Text, "What was wrong, for people: the field, its value and what was expected."),
        column(
            "raw",
            Type::Bytes,
            "Bytes of the record, e-mail addresses masked; of a flood or a long record only a part.",
        ),
        incidental(
            "rejected_at",
            Type::Instant,
            "Clock by which the record was judged, UTC: that of the epoch before.",
        ),
    ];
    let doc = "One row per record that was rejected, with the reason and its bytes.";
    raw_table("rejected_events", doc, Role::Rejected { at: "rejected_at" }, own)
});

/// `rejected_events`
pub const REJECTED_EVENTS: TableId = TableId::of(&REJECTED);

static LATE: Declared = Declared::new("late_events", || {
    let own = [
        column("timestamp", Type::Instant, "Time of the event, UTC."),
        column("watermark", Type::Instant, "Watermark at which the event was judged late, UTC."),
        column("raw", Type::Bytes, "Bytes of the record, e-mail addresses masked; none if its user was forgotten."),
    ];
    let doc = "One row per event that came too late to change a metric, with its bytes.";
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
