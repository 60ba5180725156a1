//! Rows as a SQLite warehouse has them, without the columns that say when a row was written.

use crate::{Others, Tables, sales, sessions, statistics, users, windows};
use rusqlite::types::Value;

type Row = Vec<Value>;

/// The rows of a table are made when they are asked for.
pub struct Table<'a> {
    pub name: &'static str,
    pub rows: usize,
    pub each: Box<dyn Iterator<Item = Row> + 'a>,
}

pub fn of(tables: Tables<'_>) -> Vec<Table<'_>> {
    let Tables { registrations, checkouts, minutes, open, lines, totals, others } = tables;
    let mut all = vec![
        table("user_registration_metrics", registrations, window),
        table("checkout_metrics", checkouts, window),
        table("session_metrics", minutes, minute),
        table("active_sessions", open, |open| vec![number(open.user), instant(open.since)]),
        table("movie_sale_lines", lines, line),
        table("movie_sales_metrics", totals, total),
    ];
    if let Some(Others { movies, active, segments, registered }) = others {
        all.push(table("movie_statistics", movies, movie));
        all.push(table("user_activity", active, activity));
        all.push(table("user_segments", segments, |(user, segment, since)| {
            vec![number(user), text(segment), instant(since)]
        }));
        all.push(table("users", registered, registration));
    }
    all
}

fn table<'a, T: 'a>(name: &'static str, rows: Vec<T>, row: fn(T) -> Row) -> Table<'a> {
    Table { name, rows: rows.len(), each: Box::new(rows.into_iter().map(row)) }
}

fn number(value: impl Into<i64>) -> Value {
    Value::Integer(value.into())
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn instant(ms: i64) -> Value {
    let at = chrono::DateTime::from_timestamp_millis(ms).expect("an instant of this age");
    text(at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// A decimal, stored as the shortest number.
fn decimal(value: i64, of: f64) -> Value {
    Value::Real(value as f64 / of)
}

fn dollars(cents: i64) -> Value {
    decimal(cents, 100.0)
}

fn window(row: windows::Row) -> Row {
    vec![text(row.window_type), instant(row.start), instant(row.end), number(row.users), number(row.is_final)]
}

fn minute(row: sessions::Minute) -> Row {
    let mean = |value: Option<i64>| value.map_or(Value::Null, |value| decimal(value, 1000.0));
    vec![
        instant(row.at),
        number(row.active),
        number(row.completed),
        number(row.completed_ms),
        mean(row.average_completed_ms),
        mean(row.average_age_ms),
    ]
}

fn line(row: sales::Line) -> Row {
    vec![
        text(uuid::Uuid::from_u128(row.cart)),
        text(row.item.to_string()),
        instant(row.added_at),
        number(row.user),
        instant(row.sold_at),
        row.cents.map_or(Value::Null, dollars),
    ]
}

fn total(row: sales::Total) -> Row {
    vec![
        text(row.item.to_string()),
        text(row.window_type),
        instant(row.start),
        dollars(row.cents),
        number(row.units),
        number(row.unpriced),
    ]
}

fn movie((item, row): (u32, statistics::Movie)) -> Row {
    let item = text(item.to_string());
    vec![item, number(row.views), number(row.adds), number(row.units), dollars(row.cents), number(0), Value::Null]
}

fn activity((user, row): (u32, users::Activity)) -> Row {
    let (first, last) = row.seen.ends().expect("an event of each user");
    let counts = [row.views, row.adds, row.checkouts, row.units].map(number);
    let rest = [dollars(row.cents), number(row.sessions), instant(first), instant(last)];
    [number(user)].into_iter().chain(counts).chain(rest).collect()
}

fn registration((user, row): (u32, users::Registered<'_>)) -> Row {
    let (_, person) = row.latest;
    let email = format!("****{}", String::from_utf8_lossy(person.domain));
    let language = String::from_utf8_lossy(person.language);
    vec![number(user), instant(row.first_at), number(person.age), text(email), text(language)]
}
