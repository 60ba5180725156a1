//! `/api/v1/tables/NAME`: rows by key and range, a page at a time, all of one commit.

mod place;

use super::answer::{Refusal, json};
use super::query::{decoded, parameters};
use super::reading::{Read, read, refused};
use super::shape::{Column, Shape, shapes};
use super::{Served, cells};
use crate::families::all;
use crate::instant;
use crate::sink::sqlite::quoted;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use dataflows::table::Type;
use place::Place;
use rusqlite::types::{Value, ValueRef};
use std::sync::Arc;

/// So many rows are a page, if nobody says how many, and at the most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// A page that has so many bytes ends before its time.
const PAGE_BYTES: usize = 4 << 20;

/// What a request wants of a table.
#[derive(Default)]
struct Asked {
    /// What stands in `WHERE`, each with its value.
    conditions: Vec<(String, Value)>,
    descending: bool,
    /// The rows are in the order of this column, and then of the key.
    by: Option<String>,
    limit: Option<usize>,
    after: Option<Place>,
}

pub(super) async fn rows(State(served): State<Arc<Served>>, uri: Uri) -> Result<impl IntoResponse, Refusal> {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let name = decoded(last).ok_or_else(|| Refusal::wrong("the name of the table is no text"))?;
    let parameters = parameters(uri.query())?;
    let tap = served.tap.clone();
    let page = read(&served, move |read| {
        let shapes = shapes(&read.guarded).map_err(|error| refused(&error))?;
        let shape = shapes.into_iter().find(|shape| shape.name == name);
        let shape =
            shape.ok_or_else(|| Refusal::unknown(format!("there is no table `{name}`; see `/api/v1/tables`")))?;
        let is_same = |name: &str, before, now| {
            tap.as_ref().zip(all().by_name(name)).is_some_and(|(tap, table)| tap.is_same(table, before, now))
        };
        page(read, &shape, &asked(&shape, &parameters)?, is_same)
    });
    Ok(json(page.await?))
}

/// What the parameters ask for.
fn asked(shape: &Shape, parameters: &[(String, String)]) -> Result<Asked, Refusal> {
    let mut asked = Asked::default();
    for (name, text) in parameters {
        let wrong = |why: &str| Refusal::wrong(format!("parameter `{name}`: {why}"));
        match (name.as_str(), shape.column(name)) {
            (_, Some(column)) => {
                let value = value(column, text).map_err(|why| wrong(&why))?;
                asked.conditions.push((format!("{} = ?", quoted(&column.name)), value));
            }
            ("from" | "to", None) => {
                let time = shape.time.and_then(|place| shape.columns.get(place));
                let time = time.ok_or_else(|| wrong("no column of this table says when a row is of"))?;
                let than = if name == "from" { ">=" } else { "<" };
                let value = value(time, text).map_err(|why| wrong(&why))?;
                asked.conditions.push((format!("{} {than} ?", quoted(&time.name)), value));
            }
            ("order", None) => {
                asked.descending = match text.as_str() {
                    "asc" => false,
                    "desc" => true,
                    _ => return Err(wrong("expected `asc` or `desc`")),
                };
            }
            ("by", None) => {
                let column = shape.column(text).ok_or_else(|| wrong("expected a column of the table"))?;
                asked.by = Some(column.name.clone());
            }
            ("limit", None) => {
                let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                asked.limit = Some(limit.ok_or_else(|| wrong(&format!("expected 1 to {LIMIT_MAX}")))?);
            }
            ("after", None) => {
                let place = Place::read(text).ok_or_else(|| wrong("expected what `next` said of the page before"))?;
                asked.after = Some(place);
            }
            (_, None) => {
                let columns: Vec<_> = shape.columns.iter().map(|column| column.name.as_str()).collect();
                let why = format!(
                    "there is none of this name: there are from, to, order, by, limit, after, {}",
                    columns.join(", ")
                );
                return Err(wrong(&why));
            }
        }
    }
    Ok(asked)
}

/// A value as the file holds it.
fn value(column: &Column, text: &str) -> Result<Value, String> {
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Real);
    match column.ty {
        Some(Type::Integer) => text.parse().map(Value::Integer).map_err(|_| "expected a whole number".to_owned()),
        Some(Type::Boolean) => match text {
            "true" => Ok(Value::Integer(1)),
            "false" => Ok(Value::Integer(0)),
            _ => Err("expected `true` or `false`".to_owned()),
        },
        Some(Type::Instant) => {
            let at = instant::parse(text).ok_or("expected an instant such as 2026-01-05T10:00:00Z")?;
            Ok(Value::Text(instant::show(at)))
        }
        Some(Type::Money | Type::Milli | Type::Share) => number().ok_or_else(|| "expected a number".to_owned()),
        Some(Type::Text | Type::Json) => Ok(Value::Text(text.to_owned())),
        Some(Type::Bytes) => Ok(Value::Blob(text.as_bytes().to_vec())),
        // What a view computes may be anything.
        None => {
            Ok(text.parse().map(Value::Integer).ok().or_else(number).unwrap_or_else(|| Value::Text(text.to_owned())))
        }
    }
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
    let mut values: Vec<_> = asked.conditions.iter().map(|(_, value)| value.clone()).collect();
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
    let limit = asked.limit.unwrap_or(LIMIT);
    let way = if asked.descending { "DESC" } else { "ASC" };
    let ordered: Vec<_> = order.iter().map(|name| format!("{} {way}", quoted(name))).collect();
    let names: Vec<_> = shape.columns.iter().map(|column| quoted(&column.name)).collect();
    let clause = |word: &str, parts: &[String], between: &str| match parts {
        [] => String::new(),
        parts => format!(" {word} {}", parts.join(between)),
    };
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
    let places: Vec<_> =
        order.iter().filter_map(|name| shape.columns.iter().position(|column| column.name == *name)).collect();
    let (mut out, mut count, mut last, mut next) = (head(shape, epoch), 0, Vec::new(), None);
    while let Some(row) = reading.next_row().map_err(|error| refused(&error))? {
        if count == limit || out.len() > PAGE_BYTES {
            next = Some(Place { epoch, key: if has_key { last } else { Vec::new() }, offset: offset + count });
            break;
        }
        let cell = |place: usize| row.get_ref(place).unwrap_or(ValueRef::Null);
        out.push_str(if count == 0 { "[" } else { ",[" });
        for (place, column) in shape.columns.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            cells::write_stored(&mut out, column.ty, cell(place));
        }
        out.push(']');
        last = places.iter().map(|place| own(cell(*place))).collect();
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
fn head(shape: &Shape, epoch: u64) -> String {
    let names: Vec<_> = shape.columns.iter().map(|column| column.name.as_str()).collect();
    let head = serde_json::json!({ "table": shape.name, "epoch": epoch, "columns": names }).to_string();
    format!("{},\"rows\":[", head.trim_end_matches('}'))
}
