//! What printed SQL gives.

use super::super::sqlite::select;
use super::{STORE, plan};
use rusqlite::Connection;
use rusqlite::types::Value;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2019-10-01.
const OCTOBER: i64 = 1_569_888_000_000;

/// The rows of a text's metric over tables that are there.
fn rows(connection: &Connection, name: &str, text: &str) -> Vec<Vec<Value>> {
    let (family, metric) = plan(name, text).unwrap_or_else(|said| panic!("{said}"));
    let sql = select(&family, &metric);
    let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    for (parameter, value) in [(":watermark", OCTOBER + 2 * DAY), (":lateness_ms", HOUR)] {
        if let Some(place) = statement.parameter_index(parameter).expect("a parameter") {
            statement.raw_bind_parameter(place, value).expect("bound");
        }
    }
    let width = statement.column_count();
    assert!(statement.column_names().eq(metric.outputs.iter().map(|output| output.name.as_str())));
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{error}\n{sql}")) {
        let row: Vec<Value> = (0..width).map(|n| row.get(n).expect("a value")).collect();
        assert!(!row.iter().any(|value| matches!(value, Value::Real(_))), "{row:?}\n{sql}");
        found.push(row);
    }
    found.sort_by_key(|row| format!("{row:?}"));
    found
}

fn said(rows: &[Vec<Value>]) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Real(_) | Value::Blob(_) => panic!("no value of a table"),
    };
    let mut said: Vec<_> = rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>().join(" ")).collect();
    said.sort();
    said
}

fn store() -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite");
    connection
        .execute_batch(
            "CREATE TABLE store_events (event_type TEXT, event_time INTEGER, product_id INTEGER, category_id INTEGER,
             category_code TEXT, brand TEXT, price INTEGER, user_id INTEGER, user_session TEXT, late INTEGER)",
        )
        .expect("a table");
    for (what, at, product, category, price, user, session, late) in [
        ("view", OCTOBER + 10 * HOUR, 7, "shoes", 1999, 1, "a", 0),
        ("purchase", OCTOBER + 10 * HOUR + MINUTE, 7, "shoes", 1999, 1, "a", 0),
        // Said twice.
        ("purchase", OCTOBER + 10 * HOUR + MINUTE, 7, "shoes", 1999, 1, "a", 0),
        ("purchase", OCTOBER + 10 * HOUR + 5 * MINUTE - 1, 7, "shoes", -1999, 1, "a", 0),
        ("purchase", OCTOBER + 10 * HOUR + 5 * MINUTE, 7, "shoes", 1000, 2, "b", 0),
        ("purchase", OCTOBER + DAY + 23 * HOUR, 8, "hats", 501, 1, "c", 0),
        ("purchase", OCTOBER + 31 * DAY, 8, "hats", 500, 1, "d", 0),
        ("purchase", OCTOBER + 11 * HOUR, 7, "shoes", 99_999, 3, "e", 1),
        ("cart", OCTOBER + 11 * HOUR, 7, "shoes", 1999, 2, "b", 0),
    ] {
        let brand = if product == 7 { "acme" } else { "hatter" };
        connection
            .execute(
                "INSERT INTO store_events VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, ?7, ?8, ?9)",
                rusqlite::params![what, at, product, category, brand, price, user, session, late],
            )
            .expect("a row");
    }
    connection
}

#[test]
fn the_metrics_of_a_store_are_what_was_counted_by_hand() {
    let connection = store();
    let of = |name: &str| {
        let (_, text) = STORE.into_iter().find(|(other, _)| *other == name).expect("a metric");
        said(&rows(&connection, name, text))
    };
    let (first, second, last) = (OCTOBER, OCTOBER + DAY, OCTOBER + 31 * DAY);
    assert_eq!(
        of("product_sales"),
        [
            format!("7 {} 1 0 1 1", OCTOBER + 10 * HOUR),
            format!("7 {} 1 1000 0 1", OCTOBER + 10 * HOUR + 5 * MINUTE),
            format!("8 {} 1 501 0 0", OCTOBER + DAY + 23 * HOUR),
            format!("8 {} 1 500 0 0", OCTOBER + 31 * DAY),
        ]
    );
    assert_eq!(
        of("daily_revenue"),
        [format!("{first} 1000 2 2 1 1999"), format!("{second} 501 1 1 0 0"), format!("{last} 500 1 1 0 0"),]
    );
    assert_eq!(
        of("revenue_by_category"),
        [format!("{first} shoes 1000 2 2"), format!("{second} hats 501 1 1"), format!("{last} hats 500 1 1"),]
    );
    assert_eq!(of("revenue_by_brand").len(), 3);
    assert_eq!(
        of("customer_daily_metrics"),
        [
            format!("1 {first} 1 0 1 0"),
            format!("1 {second} 0 0 1 501"),
            format!("1 {last} 0 0 1 500"),
            format!("2 {first} 0 1 1 1000"),
        ]
    );
    // 10.01 over three sessions, and over two months.
    assert_eq!(
        of("customer_lifetime_value"),
        [
            format!("1 3 1001 1 {} {last} 334 501", OCTOBER + 10 * HOUR + MINUTE),
            format!("2 1 1000 0 {0} {0} 1000 1000", OCTOBER + 10 * HOUR + 5 * MINUTE),
        ]
    );
}

fn things(of: &[[&str; 9]]) -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite");
    connection
        .execute_batch(
            "CREATE TABLE things (t INTEGER, u INTEGER, a INTEGER, b INTEGER, m INTEGER, d INTEGER, s TEXT, w TEXT,
             x INTEGER, late INTEGER)",
        )
        .expect("a table");
    for row in of {
        connection.execute_batch(&format!("INSERT INTO things VALUES ({}, 0)", row.join(", "))).expect("a row");
    }
    connection
}

/// One column of one thing, or of all.
fn one(of: &[[&str; 9]], expr: &str) -> String {
    let text = format!("-- One row per day.\nSELECT date_trunc('day', t) AS day, {expr} AS y FROM things GROUP BY day");
    said(&rows(&things(of), "one", &text))
        .iter()
        .map(|row| row.split_once(' ').expect("two").1.to_owned())
        .collect::<Vec<_>>()
        .join(", ")
}

const THING: [&str; 9] = ["0", "NULL", "5", "-7", "250", "1500", "'Größe [x]*?'", "'it''s'", "TRUE"];

#[test]
fn traps_of_sqlite_are_closed() {
    let max = i64::MAX.to_string();
    let min = i64::MIN.to_string();
    let mut great = THING;
    great[2] = &max;
    let mut least = THING;
    least[2] = &min;
    for (thing, expr, expected) in [
        (THING, "max(b % 3)", "-1"),
        (THING, "max(b % nullif(a - 5, 0))", "-"),
        (great, "max(a + 1)", "-"),
        (great, "coalesce(max(a + 1), 0)", "0"),
        (great, "max(coalesce(a + 1, 0) + coalesce(a * 2, 1) + coalesce(a - b, 2))", "3"),
        (great, "max(a * 2 - a)", "-"),
        (great, "sum(a)", max.as_str()),
        (least, "sum(a)", min.as_str()),
        (least, "max(abs(a))", "-"),
        (least, "max(-a)", "-"),
        (least, "round(sum(a) / -1, 0)", "-"),
        (least, "round(sum(a) / 1, 0)", min.as_str()),
        (least, "round(sum(a) / nullif(min(a), 0), 2)", "100"),
        (great, "round(sum(a) / nullif(min(a), 0), 3)", "1000"),
        (great, "round(sum(a) / 1000, 2)", "922337203685477581"),
        (great, "round(sum(b) / nullif(min(a), 0), 3)", "0"),
        (THING, "round(sum(b) / 2, 0)", "-4"),
        (THING, "round(sum(b) / 2, 3)", "-3500"),
        (THING, "round(sum(m) / 100, 0)", "0"),
        (THING, "round(sum(m) / 4, 2)", "63"),
        (THING, "round(sum(-m) / 4, 2)", "-63"),
        (THING, "round(sum(m) / nullif(sum(d), 0), 3)", "1667"),
        (THING, "round(sum(d) / 1000000, 0)", "0"),
        (THING, "round(sum(d), 0)", "2"),
        (THING, "round(min(-d), 0)", "-2"),
        (THING, "round(avg(m), 2)", "250"),
        (THING, "round(max(m * d), 2)", "375"),
        // Money and literals.
        (
            THING,
            "count(*) FILTER (WHERE m > 2 AND m < 3 AND m = 2.5 AND m IN (1, 2.500) AND m BETWEEN 2.49 AND 2.51)",
            "1",
        ),
        (THING, "sum(CASE WHEN m > 1 THEN m ELSE 1 END)", "250"),
        (THING, "sum(m + 1)", "350"),
        (THING, "sum(m + d)", "4000"),
        // Texts.
        (THING, "count(*) FILTER (WHERE s LIKE 'Gr__e [%]*?')", "1"),
        (THING, "count(*) FILTER (WHERE s LIKE 'gr%' OR s LIKE 'Gr_e%')", "0"),
        (THING, "max(length(s))", "11"),
        (THING, "max(substr(s, 3, 3))", "öße"),
        (THING, "max(w || '''' || substr(s, 11))", "it's'?"),
        (THING, "count(*) FILTER (WHERE w NOT IN ('it', 'is'))", "1"),
        (THING, "count(*) FILTER (WHERE NOT (u > t))", "0"),
        (THING, "count(*) FILTER (WHERE u IS DISTINCT FROM t AND u IS NULL AND x)", "1"),
        (THING, "count(u)", "0"),
        // Time.
        (THING, "min(date_trunc('week', t))", "-259200000"),
        (THING, "min(date_trunc('month', t - interval '1 millisecond'))", "-2678400000"),
        (THING, "min(date_trunc('day', t - interval '4 hours'))", "-86400000"),
        (THING, "min(time_bucket(interval '5 minutes', t - interval 1 second))", "-300000"),
        (THING, "max(date_diff('hour', t - interval '1 millisecond', t + interval '1 hour'))", "2"),
        (THING, "max(TIMESTAMP '2019-10-01 00:00:00')", "1569888000000"),
        (THING, "count(*) FILTER (WHERE t < TIMESTAMP '1970-01-02')", "1"),
    ] {
        assert_eq!(one(&[thing], expr), expected, "{expr}");
    }
}

#[test]
fn a_sum_beyond_the_edges_is_null_and_comes_back() {
    let (max, min) = (i64::MAX.to_string(), i64::MIN.to_string());
    let of = |a: &'static str| {
        let mut thing = THING;
        thing[2] = a;
        thing
    };
    let (max, min): (&'static str, &'static str) = (max.leak(), min.leak());
    assert_eq!(one(&[of(max), of("1")], "sum(a)"), "-");
    assert_eq!(one(&[of(max), of("1"), of("-2")], "sum(a)"), (i64::MAX - 1).to_string());
    assert_eq!(one(&[of(min), of("-1")], "sum(a)"), "-");
    assert_eq!(one(&[of(max), of(min), of("NULL")], "sum(a)"), "-1");
    assert_eq!(one(&[of("NULL")], "sum(a)"), "-");
}

#[test]
fn the_first_and_the_last_are_of_one_event() {
    let of = [
        ["5", "1", "1", "1", "1", "1", "'late'", "'b'", "TRUE"],
        ["5", "1", "2", "9", "1", "1", "NULL", "'a'", "TRUE"],
        ["9", "NULL", "3", "4", "1", "1", "NULL", "'c'", "TRUE"],
        ["9", "NULL", "3", "5", "1", "1", "'x'", "'b'", "TRUE"],
    ];
    for (expr, expected) in [
        // Of equal instants the least in all that is asked for, in its order.
        ("min_by(w, t) || '-' || min_by(s, t)", "a-late"),
        ("min_by(w, t) AS first_w, min_by(b, t)", "a 9"),
        ("min_by(b, t) AS first_b, min_by(w, t)", "1 b"),
        ("max_by(w, t) AS last_w, max_by(b, t)", "c 4"),
        ("max_by(w, u)", "b"),
        ("max_by(w, t) FILTER (WHERE t < TIMESTAMP '1970-01-01 00:00:00.006')", "b"),
        ("max_by(w, t) FILTER (WHERE b > 100)", "-"),
    ] {
        assert_eq!(one(&of, expr), expected, "{expr}");
    }
}

#[test]
fn having_chooses_rows_by_their_columns() {
    let of = [["0"; 9].map(|_| "1"), ["86400000", "1", "1", "1", "1", "1", "'a'", "'a'", "TRUE"]];
    let connection = things(&of);
    let text = |having: &str| {
        format!("-- Days.\nSELECT date_trunc('day', t) AS day, sum(d) AS total FROM things GROUP BY 1 HAVING {having}")
    };
    let count = |having: &str| rows(&connection, "days", &text(having)).len();
    assert_eq!(
        (count("total >= 0.001"), count("total > 1 OR count(*) > 1"), count("day > TIMESTAMP '1970-01-01'")),
        (2, 0, 1)
    );
    assert_eq!(count("is_final()"), 2);
}

#[test]
fn a_row_is_final_when_its_earliest_window_is_over() {
    let month = OCTOBER.to_string();
    let of = [[month.as_str(), "1", "1", "1", "1", "1", "'a'", "'a'", "TRUE"]];
    let connection = things(&of);
    let text = |keys: &str| format!("-- Rows.\nSELECT {keys}, is_final() FROM things GROUP BY 1, 2");
    let is_final = |keys: &str| said(&rows(&connection, "ended", &text(keys))).join("").ends_with('1');
    assert!(is_final("date_trunc('month', t) AS month, date_trunc('day', t) AS day"));
    assert!(!is_final("date_trunc('month', t) AS month, date_trunc('week', t) AS week"));
    assert!(!is_final("date_trunc('month', t) AS month, w"));
}
