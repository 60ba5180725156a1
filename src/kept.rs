//! What is kept of a rejected record: a row always, and of its bytes so many that one can see what it is. Where the
//! whole is, the row says.

use crate::bounds::{
    BEGINNING_BYTES, DETAIL_BYTES_MAX, DETAIL_BYTES_OF_MANY, KEPT_BYTES_MAX, KEPT_RECORDS_MAX, shortened,
};
use crate::decode::mask::{self, Masked};
use crate::decode::{Format, Rejection};
use crate::source::{Batch, Record};
use dataflows::Instant;
use dataflows::raw::{Append, REJECTED_EVENTS};
use dataflows::table::Value;
use std::collections::BTreeMap;

/// The places of columns in `rejected_events`.
const KEY: usize = 3;
const DETAIL: usize = 6;
const RAW: usize = 7;

/// What is said between the size of a record and where it is.
const WHOLE: &str = " bytes; the whole is in ";
/// Stands at the end of a row's detail if all bytes are kept, and some of them are others.
const MASKED: &str = "; kept with its e-mail addresses masked";

/// Of how many rejected records of each partition bytes were kept in an epoch.
pub type Counts = BTreeMap<u32, usize>;

/// The row of a rejected record, with as much of its bytes as may be kept.
pub fn row(
    (topic, partition): (&str, i32),
    format: &Format,
    (batch, record): (&Batch, &Record),
    rejection: Rejection,
    clock_ms: Instant,
    counts: &mut Counts,
) -> Append {
    let Rejection { reason, detail, schema_id } = rejection;
    let (key, payload) = (&batch.bytes[record.key.clone()], &batch.bytes[record.payload.clone()]);
    let count = counts.entry(record.partition).or_default();
    *count += 1;
    let keeps = *count <= KEPT_RECORDS_MAX;
    let is_whole = keeps && record.bytes <= KEPT_BYTES_MAX as u64 && key.len() <= KEPT_BYTES_MAX;
    let raw = if keeps { kept(format, payload) } else { nothing() };
    let key = if keeps && key.len() <= KEPT_BYTES_MAX { mask::bytes(key) } else { nothing() };
    let detail_bytes = if keeps { DETAIL_BYTES_MAX } else { DETAIL_BYTES_OF_MANY };
    let mut detail = shortened(detail, detail_bytes);
    if is_whole && (raw.differs || key.differs) {
        detail.push_str(MASKED);
    }
    let key = if key.bytes.is_empty() { Value::Null } else { Value::Bytes(key.bytes.into()) };
    let mut values = vec![
        Value::Text(topic.to_owned()),
        Value::Integer(partition.into()),
        Value::Integer(record.offset),
        key,
        schema_id.map_or(Value::Null, |id| Value::Integer(id.into())),
        Value::Text(reason.code().to_owned()),
        Value::Text(detail),
        Value::Bytes(raw.bytes.into()),
        Value::Instant(clock_ms),
    ];
    if !is_whole {
        say_where(&mut values, record.bytes);
    }
    Append { table: REJECTED_EVENTS, values }
}

fn nothing() -> Masked {
    Masked { bytes: Vec::new(), differs: false }
}

/// The bytes of a late event, as they are kept: all of them. Of separated values, whose header stands elsewhere, the record
/// with its names.
pub fn late(format: &Format, payload: &[u8]) -> Vec<u8> {
    let json = if let Format::Csv(csv) = format { csv.json(payload) } else { None };
    match json {
        Some(json) => mask::record(&Format::Json(None), &json).bytes,
        None => mask::record(format, payload).bytes,
    }
}

/// As many bytes of a record as are kept, masked. Of separated values an object of JSON: nobody could read them without the
/// header of their file.
fn kept(format: &Format, payload: &[u8]) -> Masked {
    if let Format::Csv(csv) = format
        && let Some(json) = csv.json(payload).filter(|json| json.len() <= KEPT_BYTES_MAX)
    {
        return mask::record(&Format::Json(None), &json);
    }
    // More than is kept: an address may go on behind it.
    let mut kept = mask::record(format, &payload[..payload.len().min(BEGINNING_BYTES)]);
    kept.bytes.truncate(KEPT_BYTES_MAX);
    kept
}

/// Says in the detail of a row that not all of the record is in it, and where it is.
fn say_where(values: &mut [Value], bytes: u64) {
    let place = match &values[..3] {
        [Value::Text(topic), Value::Integer(partition), Value::Integer(offset)] => {
            format!("{topic}/{partition} at {offset}")
        }
        _ => return,
    };
    if let Value::Text(detail) = &mut values[DETAIL] {
        detail.push_str(&format!("; {bytes}{WHOLE}{place}"));
    }
}

/// Whether all of a record's bytes are in its row, by the row's detail, be some of them masked. What a record says
/// about itself can only make it seem less whole.
pub fn has_all(detail: &str) -> bool {
    !detail.contains(WHOLE)
}

/// Whether a row holds the record as it came, by the row's detail.
pub fn is_whole(detail: &str) -> bool {
    has_all(detail) && !detail.ends_with(MASKED)
}

/// Takes bytes out of the rows of an epoch where workers together kept those of too many records of a partition. Which
/// are kept depends on the epoch alone, and not on who read what.
pub fn limit<'a>(parts: impl Iterator<Item = &'a mut Vec<Append>>) {
    let mut rows = BTreeMap::<(String, i64), Vec<&mut Append>>::new();
    let mut counts = BTreeMap::<(String, i64), usize>::new();
    let mut parts: Vec<_> = parts.collect();
    let with_bytes = |row: &Append| {
        let keeps = row.table == REJECTED_EVENTS && has_bytes(&row.values);
        match &row.values[..2] {
            [Value::Text(topic), Value::Integer(partition)] if keeps => Some((topic.clone(), *partition)),
            _ => None,
        }
    };
    for row in parts.iter().flat_map(|part| part.iter()) {
        if let Some(partition) = with_bytes(row) {
            *counts.entry(partition).or_default() += 1;
        }
    }
    counts.retain(|_, count| *count > KEPT_RECORDS_MAX);
    if counts.is_empty() {
        return;
    }
    for row in parts.iter_mut().flat_map(|part| part.iter_mut()) {
        if let Some(partition) = with_bytes(row).filter(|partition| counts.contains_key(partition)) {
            rows.entry(partition).or_default().push(row);
        }
    }
    for mut rows in rows.into_values() {
        rows.sort_by(|one, other| one.values[..3].cmp(&other.values[..3]));
        for row in rows.into_iter().skip(KEPT_RECORDS_MAX) {
            drop_bytes(&mut row.values);
        }
    }
}

fn has_bytes(values: &[Value]) -> bool {
    matches!(&values[RAW], Value::Bytes(raw) if !raw.is_empty()) || values[KEY] != Value::Null
}

fn drop_bytes(values: &mut [Value]) {
    let raw = std::mem::replace(&mut values[RAW], Value::Bytes(Vec::new().into()));
    values[KEY] = Value::Null;
    let (Value::Text(detail), Value::Bytes(raw)) = (&mut values[DETAIL], raw) else { return };
    detail.truncate(detail.len() - if detail.ends_with(MASKED) { MASKED.len() } else { 0 });
    let (said, bytes) = match detail.rfind("; ").filter(|_| !has_all(detail)) {
        // It was said before, with how many bytes there are.
        Some(end) => (end, None),
        None => (detail.len(), Some(raw.len() as u64)),
    };
    let place = detail.split_off(said);
    *detail = shortened(std::mem::take(detail), DETAIL_BYTES_OF_MANY);
    match bytes {
        Some(bytes) => say_where(values, bytes),
        None => detail.push_str(&place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Reason;

    fn rows(from: i64, count: i64) -> Vec<Append> {
        let (mut batch, mut counts) = (Batch::default(), Counts::new());
        (from..from + count).for_each(|offset| batch.push(0, offset, b"k", b"nonsense"));
        let of = |record| {
            row(
                ("t", 3),
                &Format::Json(None),
                (&batch, record),
                Rejection::new(Reason::UNDECODABLE, "no"),
                7,
                &mut counts,
            )
        };
        batch.records.iter().map(of).collect()
    }

    fn detail(row: &Append) -> &str {
        let detail = &row.values[DETAIL];
        let Value::Text(detail) = detail else { panic!("{detail:?}") };
        detail
    }

    #[test]
    fn which_bytes_are_kept_depends_on_the_epoch_and_not_on_who_read_what() {
        let most = KEPT_RECORDS_MAX as i64;
        let one = rows(0, 2 * most);
        assert!(one[..KEPT_RECORDS_MAX].iter().all(|row| has_bytes(&row.values) && detail(row) == "no"));
        assert!(one[KEPT_RECORDS_MAX..].iter().all(|row| !has_bytes(&row.values)));
        assert_eq!(detail(&one[KEPT_RECORDS_MAX]), "no; 8 bytes; the whole is in t/3 at 1000");
        // Two workers: each kept as many as one may.
        let mut workers = [rows(most / 2, 3 * most / 2), rows(0, most / 2)];
        limit(workers.iter_mut());
        let mut all = workers.concat();
        all.sort();
        assert_eq!(all, one);
    }

    #[test]
    fn of_a_long_record_the_beginning_is_kept_and_no_address() {
        // The address goes on behind what is kept.
        let mut text = "x".repeat(KEPT_BYTES_MAX - 8);
        text.push_str(" jane.doe@mail.example and more");
        for bytes in [text.len() as u64, 1 << 40] {
            let mut batch = Batch::default();
            batch.push_beginning(0, 5, text.as_bytes(), bytes);
            let rejection = Rejection::new(Reason::UNDECODABLE, "no");
            let row = row(("t", 0), &Format::Json(None), (&batch, &batch.records[0]), rejection, 7, &mut Counts::new());
            let Value::Bytes(raw) = &row.values[RAW] else { panic!("no bytes") };
            assert_eq!(raw.len(), KEPT_BYTES_MAX);
            assert!(raw.ends_with(b"x *******"), "{:?}", String::from_utf8_lossy(&raw[raw.len() - 20..]));
            assert_eq!(detail(&row), format!("no; {bytes} bytes; the whole is in t/0 at 5"));
            assert!(!is_whole(detail(&row)));
        }
    }
}
