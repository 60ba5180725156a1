//! Texts that nobody would write.

use super::{STORE, plan};
use proptest::prelude::*;
use std::fmt::Write;

fn with(expr: &str) -> String {
    format!("-- Rows.\nSELECT date_trunc('day', t) AS day, {expr} AS y FROM things GROUP BY day")
}

fn repeated(part: &str, by: &str, times: usize) -> String {
    vec![part; times].join(by)
}

#[test]
fn a_thousand_conditions_are_read_and_printed() {
    for word in [" OR ", " AND "] {
        let text = with(&format!("count(*) FILTER (WHERE {})", repeated("a = 1", word, 1000)));
        let (family, metric) = plan("many", &text).expect("a plan");
        let sql = super::super::sqlite::select(&family, &metric);
        let connection = rusqlite::Connection::open_in_memory().expect("SQLite");
        connection.execute_batch("CREATE TABLE things (t, u, a, b, m, d, s, w, x, late)").expect("a table");
        connection.prepare(&sql).expect("SQL");
    }
}

#[test]
fn what_is_nested_without_end_is_refused() {
    for expr in [
        format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("{}1{}", "(".repeat(201), ")".repeat(201)),
        format!("sum({})", repeated("a", "+", 20_000)),
        format!("sum({})", repeated("a", "+", 300)),
        format!("count(*) FILTER (WHERE {} x)", "NOT ".repeat(15_000)),
        format!("sum({} a)", "- ".repeat(20_000)),
        format!("sum({} a {})", "CASE WHEN x THEN ".repeat(3_000), " END".repeat(3_000)),
        format!("min({})", repeated("w", "||", 20_000)),
        "(".repeat(30_000),
        "[".repeat(30_000),
        "CASE ".repeat(10_000),
    ] {
        let said = plan("deep", &with(&expr)).expect_err("too deep");
        assert!(said.len() < 2_000, "{said}");
    }
    let said = plan("long", &with(&format!("sum({})", repeated("a", "+", 40_000)))).expect_err("too long");
    assert!(said.contains("65536"), "{said}");
}

#[test]
fn what_is_just_not_too_deep_runs() {
    let nested = |open: &str, within: &str, close: &str, times: usize| {
        format!("{}{within}{}", open.repeat(times), close.repeat(times))
    };
    let connection = rusqlite::Connection::open_in_memory().expect("SQLite");
    connection.execute_batch("CREATE TABLE things (t, u, a, b, m, d, s, w, x, late)").expect("a table");
    connection.execute_batch("INSERT INTO things VALUES (1, 1, 2, 1, 1, 1, '', '', 1, 0)").expect("a row");
    for expr in [
        format!("sum({})", repeated("a", "+", 180)),
        format!("max({})", repeated("w", "||", 180)),
        format!("sum({})", nested("coalesce(a - ", "1", ", 0)", 60)),
        format!("sum({})", nested("CASE WHEN x THEN a + ", "1", " ELSE 0 END", 60)),
        format!("count(*) FILTER (WHERE {})", nested("NOT (x AND ", "x", ")", 60)),
        format!("sum({})", nested("round(", "a", " / nullif(b, 0), 2)", 12)),
        format!("max({})", nested("date_trunc('month', ", "t", ")", 60)),
        format!("max({})", nested("abs(", "a", ")", 60)),
    ] {
        let (family, metric) = plan("deep", &with(&expr)).unwrap_or_else(|said| panic!("{said}"));
        let sql = super::super::sqlite::select(&family, &metric);
        assert!(sql.len() < 200_000, "{} letters: {expr}", sql.len());
        let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{error}: {expr}"));
        let mut rows = statement.raw_query();
        assert!(rows.next().unwrap_or_else(|error| panic!("{error}: {expr}")).is_some());
    }
}

#[test]
fn what_is_nested_deep_is_printed_in_its_length() {
    let mut expr = "a".to_owned();
    for _ in 0..40 {
        expr = format!("coalesce({expr} + 1, 0)");
    }
    let text = with(&format!("sum({expr})"));
    let (family, metric) = plan("deep", &text).expect("a plan");
    let sql = super::super::sqlite::select(&family, &metric);
    assert!(sql.len() < 30_000, "{}", sql.len());
    let connection = rusqlite::Connection::open_in_memory().expect("SQLite");
    connection.execute_batch("CREATE TABLE things (t, u, a, b, m, d, s, w, x, late)").expect("a table");
    connection.execute_batch("INSERT INTO things VALUES (1, 1, 2, 1, 1, 1, '', '', 1, 0)").expect("a row");
    let sum: i64 = connection.query_row(&sql, [], |row| row.get(1)).expect("a row");
    assert_eq!(sum, 42);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(
        which in 0..STORE.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..8),
    ) {
        let (name, text) = STORE[which];
        let mut bytes = text.as_bytes().to_vec();
        for (place, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte & 0x7f),
                2 => bytes.truncate(place),
                _ => { bytes.remove(place); }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok((family, metric)) = plan(name, &text) {
            let mut sql = String::new();
            let _ = write!(sql, "{}", super::super::sqlite::select(&family, &metric));
            prop_assert!(!sql.is_empty());
        }
    }
}
