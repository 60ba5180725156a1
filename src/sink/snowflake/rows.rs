//! Rows as one JSON text, which goes as one bind, and the statements that take them out of it again.
//!
//! A VALUES list would be compiled again for every commit, hold 16,384 rows at most, and count each value as a bind.
//! One bind leaves the statement the same text every time; `PARSE_JSON` takes 16 MB. Every value is text or null, and
//! is cast from text: what JSON's numbers can hold does not matter.

use super::ddl::{Names, all_columns, name, type_of};
use crate::instant;
use crate::sink::SinkError;
use dataflows::delta::Delta;
use dataflows::table::{Column, Table, TableId, Type, Value};
use std::collections::HashSet;
use std::fmt::Write;

/// The rows of a table, on their way.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// Each a JSON array of rows; a row is `[op, columns...]`, of a deleted one only the key.
    pub parts: Vec<String>,
    /// Columns in which some text has a NUL, which Snowflake's JSON does not take: they go as hex.
    pub hex: Vec<bool>,
}

/// Deltas, in parts of about so many bytes.
///
/// # Errors
/// If a key is there twice: a bug of ours, which MERGE would refuse or, worse, take.
pub fn of_deltas(id: TableId, deltas: &[Delta], bytes: usize) -> Result<Parts, SinkError> {
    if let Some(pair) = deltas.windows(2).find(|pair| pair[0].key(id) >= pair[1].key(id)) {
        return Err(twice(id, pair[1].key(id)));
    }
    let rows = deltas.iter().map(|delta| match delta {
        Delta::Upsert(row) => ("u", &row[..]),
        Delta::Delete(key) => ("d", &key[..]),
    });
    Ok(parts(id.table(), rows, bytes))
}

/// Added rows, in parts of about so many bytes.
///
/// # Errors
/// As with [`of_deltas`].
pub fn of_appends(id: TableId, rows: &[Vec<Value>], bytes: usize) -> Result<Parts, SinkError> {
    let mut keys = HashSet::with_capacity(rows.len());
    if let Some(row) = rows.iter().find(|row| !keys.insert(&row[..id.table().key_columns])) {
        return Err(twice(id, &row[..id.table().key_columns]));
    }
    Ok(parts(id.table(), rows.iter().map(|row| ("u", &row[..])), bytes))
}

fn twice(id: TableId, key: &[Value]) -> SinkError {
    SinkError::Failed(format!(
        "a commit holds two rows of `{}` with the key {key:?}, or rows out of order: a bug; nothing of it was written",
        id.table().name
    ))
}

fn parts<'a>(table: &Table, rows: impl Iterator<Item = (&'static str, &'a [Value])> + Clone, bytes: usize) -> Parts {
    let mut hex = vec![false; table.columns.len()];
    for (_, row) in rows.clone() {
        for (hex, value) in hex.iter_mut().zip(row) {
            *hex |= matches!(value, Value::Text(text) if text.contains('\0'));
        }
    }
    let (mut parts, mut part) = (Vec::new(), String::new());
    for (op, row) in rows {
        let mut written = format!("[\"{op}\"");
        for (value, hex) in row.iter().zip(&hex) {
            written.push(',');
            write_value(&mut written, value, *hex);
        }
        written.push(']');
        if !part.is_empty() && part.len() + written.len() + 2 > bytes {
            part.push(']');
            parts.push(std::mem::take(&mut part));
        }
        part.push(if part.is_empty() { '[' } else { ',' });
        part.push_str(&written);
    }
    if !part.is_empty() {
        part.push(']');
        parts.push(part);
    }
    Parts { parts, hex }
}

fn write_value(json: &mut String, value: &Value, hex: bool) {
    let decimal = |json: &mut String, number: i64, scale: u32| {
        let unit = 10_u64.pow(scale);
        let (whole, rest) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
        let sign = if number < 0 { "-" } else { "" };
        write!(json, "\"{sign}{whole}.{rest:0width$}\"", width = scale as usize)
    };
    let written = match value {
        Value::Null => write!(json, "null"),
        Value::Boolean(truth) => write!(json, "\"{truth}\""),
        Value::Integer(number) => write!(json, "\"{number}\""),
        Value::Instant(at) => write!(json, "\"{}\"", written_instant(*at)),
        Value::Cents(cents) => decimal(json, *cents, 2),
        Value::Milli(milli) => decimal(json, *milli, 3),
        Value::Share(share) => decimal(json, *share, 4),
        Value::Text(text) if hex => write_hex(json, text.as_bytes()),
        Value::Text(text) => {
            json.push_str(&serde_json::to_string(text).expect("text is JSON"));
            Ok(())
        }
        Value::Bytes(bytes) => write_hex(json, bytes),
    };
    written.expect("text takes everything");
}

fn write_hex(json: &mut String, bytes: &[u8]) -> std::fmt::Result {
    json.push('"');
    bytes.iter().try_for_each(|byte| write!(json, "{byte:02X}"))?;
    json.push('"');
    Ok(())
}

/// An instant without a zone: UTC.
pub fn written_instant(at: i64) -> String {
    let mut text = instant::show(at);
    text.truncate(text.trim_end_matches('Z').len());
    text
}

/// What rows do to those that are there. Not the table's kind: reconciling changes what otherwise is only added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They take their place, or remove them.
    Replace,
    /// They leave them as they are.
    Add,
}

/// Where the rows of a statement are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// In its first bind.
    Bind,
    /// Staged: the first bind has the names of its parts, one after another.
    Staging,
}

/// The statement that brings rows into a table. Its binds: the rows or the names of their parts; then pipeline, generation and
/// epoch as `_progress` has them within the transaction.
///
/// The rows are joined with that row of `_progress`. Where the transaction has been taken from us, or a statement comes
/// after its transaction has ended, there is none, and nothing is written.
pub fn merge(names: &Names, id: TableId, change: Change, from: From, hex: &[bool]) -> String {
    let table = id.table();
    let columns: Vec<_> = all_columns(table).map(|column| name(column.name)).collect();
    let key = &columns[..table.key_columns];
    let cells: Vec<_> = table.columns.iter().zip(hex).enumerate().map(|(at, (c, hex))| cell(at + 1, c, *hex)).collect();
    let rows = match from {
        From::Bind => "TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS f".to_owned(),
        From::Staging => format!(
            r#"(SELECT "PART_ROWS" FROM {} WHERE CONTAINS(?, "BATCH_ID")) AS b, LATERAL FLATTEN(INPUT => PARSE_JSON(b."PART_ROWS")) AS f"#,
            names.staging()
        ),
    };
    let mut sql = format!(
        r#"MERGE INTO {target} AS t USING (SELECT f.VALUE[0]::VARCHAR AS "_OP", {cells}, p."EPOCH" AS "_EPOCH", p."COMMITTED_AT" AS "_UPDATED_AT" FROM {rows}, {progress} AS p WHERE p."PIPELINE_ID" = ? AND p."GENERATION" = ? AND p."EPOCH" = ?) AS s ON {on}"#,
        target = names.table(id),
        cells = cells.join(", "),
        progress = names.progress(),
        on = key.iter().map(|column| format!("t.{column} = s.{column}")).collect::<Vec<_>>().join(" AND "),
    );
    if change == Change::Replace {
        let rest = &columns[table.key_columns..];
        let sets: Vec<_> = rest.iter().map(|column| format!("{column} = s.{column}")).collect();
        sql.push_str(r#" WHEN MATCHED AND s."_OP" = 'd' THEN DELETE WHEN MATCHED THEN UPDATE SET "#);
        sql.push_str(&sets.join(", "));
    }
    let values: Vec<_> = columns.iter().map(|column| format!("s.{column}")).collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    sql.push_str(&format!(r#" WHEN NOT MATCHED AND s."_OP" = 'u' THEN INSERT ({columns}) VALUES ({values})"#));
    sql
}

/// A value out of a row. By way of VARCHAR, which makes JSON's null a null.
fn cell(at: usize, column: &Column, hex: bool) -> String {
    let text = format!("f.VALUE[{at}]::VARCHAR");
    let value = match column.ty {
        Type::Text | Type::Json if hex => format!("HEX_DECODE_STRING({text})"),
        Type::Text | Type::Json => text,
        Type::Bytes => format!("TO_BINARY({text}, 'HEX')"),
        ty @ (Type::Integer | Type::Boolean | Type::Instant | Type::Money | Type::Milli | Type::Share) => {
            format!("CAST({text} AS {})", type_of(ty))
        }
    };
    format!("{value} AS {}", name(column.name))
}

/// The statement that removes what is old by a column. Its binds: the instant before which it is; then pipeline and
/// generation, without whose row of `_progress` nothing is removed, as with [`merge`].
pub fn purge(names: &Names, id: TableId, age: &str) -> String {
    format!(
        r#"DELETE FROM {} WHERE {} < CAST(? AS TIMESTAMP_NTZ(3)) AND EXISTS (SELECT 1 FROM {} WHERE "PIPELINE_ID" = ? AND "GENERATION" = ?)"#,
        names.table(id),
        name(age),
        names.progress()
    )
}

/// The statement that reads a page. Its binds: the values after which it begins, a prefix of which is repeated.
pub fn page(names: &Names, id: TableId, after: Option<&[Value]>, limit: usize) -> (String, Vec<Value>) {
    let table = id.table();
    let columns: Vec<_> = table.columns.iter().map(|column| name(column.name)).collect();
    let key = columns[..table.key_columns].join(", ");
    let mut binds = Vec::new();
    // Snowflake compares rows for equality only.
    let later = after.map_or(String::new(), |after| {
        let place = |at: usize| format!("CAST(? AS {})", type_of(table.columns[at].ty));
        let alternatives = (0..after.len()).map(|last| {
            binds.extend(after[..=last].iter().cloned());
            let equal = (0..last).map(|at| format!("{} = {}", columns[at], place(at)));
            let terms: Vec<_> = equal.chain([format!("{} > {}", columns[last], place(last))]).collect();
            format!("({})", terms.join(" AND "))
        });
        format!("WHERE {} ", alternatives.collect::<Vec<_>>().join(" OR "))
    });
    let sql = format!("SELECT {} FROM {} {later}ORDER BY {key} LIMIT {limit}", columns.join(", "), names.table(id));
    (sql, binds)
}

/// A value as a bind: text, which the statement casts.
pub fn bind_text(value: &Value) -> String {
    if let Value::Text(text) = value {
        return text.clone();
    }
    let mut json = String::new();
    write_value(&mut json, value, false);
    json.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::table;

    #[test]
    fn values_are_written_exactly() {
        let written = |value: Value| {
            let mut json = String::new();
            write_value(&mut json, &value, false);
            json
        };
        assert_eq!(written(Value::Cents(-5)), r#""-0.05""#);
        assert_eq!(written(Value::Cents(999_999_999_999_999)), r#""9999999999999.99""#);
        assert_eq!(written(Value::Milli(1_500)), r#""1.500""#);
        assert_eq!(written(Value::Integer(i64::MIN)), r#""-9223372036854775808""#);
        assert_eq!(written(Value::Instant(5)), r#""1970-01-01T00:00:00.005""#);
        assert_eq!(written(Value::Bytes([0, 255].into())), r#""00FF""#);
        assert_eq!(written(Value::Text("a\"b\\\n☃".into())), r#""a\"b\\\n☃""#);
    }

    #[test]
    fn parts_are_bounded_and_hold_everything_once() {
        let user = |id: i64| Delta::Delete(vec![Value::Integer(id)]);
        let deltas: Vec<_> = (0..1_000).map(user).collect();
        let parts = of_deltas(table("users"), &deltas, 100).expect("sorted").parts;
        assert!(parts.len() > 100 && parts.iter().all(|part| part.len() <= 100));
        let rows: usize =
            parts.iter().map(|part| serde_json::from_str::<Vec<Vec<String>>>(part).expect("JSON").len()).sum();
        assert_eq!(rows, 1_000);
        assert_eq!(of_deltas(table("users"), &[], 100).expect("nothing").parts, Vec::<String>::new());
    }

    #[test]
    fn a_key_that_comes_twice_is_refused() {
        let gone = Delta::Delete(vec![Value::Integer(1)]);
        assert!(matches!(of_deltas(table("users"), &[gone.clone(), gone], 100), Err(SinkError::Failed(_))));
    }
}
