//! `/api/v1/tables/NAME`: rows by key and range, a page at a time, all of one commit.

/// Its parameters.
mod asked;
/// One row for each value of a column.
mod grouped;
mod place;

use super::answer::{Refusal, json};
use super::kept::answer;
use super::query::{decoded, parameters};
use super::reading::{Read, read, refused};
use super::shape::{Shape, shapes};
use super::{Served, cells};
use crate::families::all;
use crate::sink::sqlite::quoted;
use asked::Asked;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use place::Place;
use rusqlite::types::{Value, ValueRef};
use std::sync::Arc;

/// A page that has so many bytes ends before its time.
const PAGE_BYTES: usize = 4 << 20;

pub(super) async fn rows(State(served): State<Arc<Served>>, uri: Uri) -> Result<impl IntoResponse, Refusal> {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let name = decoded(last).ok_or_else(|| Refusal::wrong("the name of the table is no text"))?;
    let parameters = parameters(uri.query())?;
    let tap = served.tap.clone();
    let made = read(&served, move |read| {
        let shapes = shapes(&read.guarded).map_err(|error| refused(&error))?;
        let shape = shapes.into_iter().find(|shape| shape.name == name);
        let shape =
            shape.ok_or_else(|| Refusal::unknown(format!("there is no table `{name}`; see `/api/v1/tables`")))?;
        let is_same = |name: &str, before, now| {
            tap.as_ref().zip(all().by_name(name)).is_some_and(|(tap, table)| tap.is_same(table, before, now))
        };
        let asked = Asked::read(&shape, &parameters)?;
        let page = match &asked.group {
            Some(group) => grouped::rows(read, &shape, &asked, group),
            None => page(read, &shape, &asked, is_same),
        };
        Ok((read.progress.epoch, page?))
    });
    let url = uri.path_and_query().map_or("", |url| url.as_str());
    Ok(json(answer(&served, url, made).await?))
}

/// A page. `is_same` tells of a table whether it is at an epoch what it was at an earlier one.
fn page(
    read: &Read,
    shape: &Shape,
    asked: &Asked,
    is_same: impl Fn(&str, u64, u64) -> bool,
) -> Result<String, Refusal> {
    let now = read.progress.epoch;
    // The commit of the first page, which the others are of too if nothing has changed.
    let epoch = asked.after.as_ref().map_or(now, |place| place.epoch);
    if epoch != now && !is_same(&shape.name, epoch, now) {
        let why = "the table may have changed since the page before: begin again, and the pages are of one commit";
        return Err(Refusal::new(StatusCode::CONFLICT, why));
    }
    let by = asked.by.iter().map(String::as_str);
    // Each once: what a column says twice orders nothing more.
    let keys = shape.key().iter().map(|column| column.name.as_str()).filter(|key| asked.by.as_deref() != Some(*key));
    let order: Vec<_> = by.chain(keys).collect();
    let has_key = shape.key_columns > 0;
    let mut conditions: Vec<_> = asked.conditions.iter().map(|(sql, _)| sql.clone()).collect();
    let mut values: Vec<_> = asked.conditions.iter().flat_map(|(_, values)| values.iter().cloned()).collect();
    if let Some(by) = &asked.by {
        conditions.push(format!("{} IS NOT NULL", quoted(by)));
    }
    let mut offset = 0;
    match &asked.after {
        Some(Place { key, .. }) if has_key => {
            if key.len() != order.len() {
                return Err(Refusal::wrong("parameter `after`: is of other rows, or of another order"));
            }
            let names: Vec<_> = order.iter().map(|name| quoted(name)).collect();
            let than = if asked.descending { "<" } else { ">" };
            let places = vec!["?"; key.len()].join(", ");
            conditions.push(format!("({}) {than} ({places})", names.join(", ")));
            values.extend(key.iter().cloned());
        }
        Some(place) => offset = place.offset,
        None => {}
    }
    let limit = asked.limit;
    let way = if asked.descending { "DESC" } else { "ASC" };
    let ordered: Vec<_> = order.iter().map(|name| format!("{} {way}", quoted(name))).collect();
    let columns = asked.columns.as_deref().unwrap_or(&shape.columns);
    // Behind what is answered stands the place of a row, for the page after it.
    let names: Vec<_> =
        columns.iter().map(|column| column.name.as_str()).chain(order.iter().copied()).map(quoted).collect();
    let sql = format!(
        "SELECT {} FROM {}{}{} LIMIT {} OFFSET {offset}",
        names.join(", "),
        quoted(&shape.name),
        clause("WHERE", &conditions, " AND "),
        clause("ORDER BY", &ordered, ", "),
        limit + 1,
    );
    let mut answer = read.guarded.ask_for(&sql, &values).map_err(|error| refused(&error))?;
    let mut reading = answer.rows();
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    let (mut out, mut count, mut last, mut next) = (head(shape, epoch, &names), 0, Vec::new(), None);
    while let Some(row) = reading.next_row().map_err(|error| refused(&error))? {
        if count == limit || out.len() > PAGE_BYTES {
            next = Some(Place { epoch, key: if has_key { last } else { Vec::new() }, offset: offset + count });
            break;
        }
        let cell = |place: usize| row.get_ref(place).unwrap_or(ValueRef::Null);
        out.push_str(if count == 0 { "[" } else { ",[" });
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            cells::write_stored(&mut out, column.ty, cell(place));
        }
        out.push(']');
        last = (0..order.len()).map(|place| own(cell(columns.len() + place))).collect();
        count += 1;
    }
    out.push_str("],\"next\":");
    match next {
        Some(place) => cells::text(&mut out, &place.written()),
        None => out.push_str("null"),
    }
    out.push('}');
    Ok(out)
}

/// ` WHERE a AND b`, or nothing if there are no parts.
fn clause(word: &str, parts: &[String], between: &str) -> String {
    match parts {
        [] => String::new(),
        parts => format!(" {word} {}", parts.join(between)),
    }
}

fn own(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// What stands before the rows.
fn head(shape: &Shape, epoch: u64, names: &[&str]) -> String {
    let head = serde_json::json!({ "table": shape.name, "epoch": epoch, "columns": names }).to_string();
    format!("{},\"rows\":[", head.trim_end_matches('}'))
}
