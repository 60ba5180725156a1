//! `show` and `sql`: which rows, in which form, and nothing but reading.

/// What `sql` refuses.
mod guards;
/// What a terminal shows.
mod pty;

use crate::cli::{data, deltamart, said};
use serde_json::Value as Json;
use std::path::Path;
use tempfile::TempDir;

/// A warehouse with the shipped day in it.
fn warehouse() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["run", &data("events/first_day.jsonl"), "--catalog", &data("Movies.txt")];
    let (code, text) = said(&deltamart(folder.path(), &arguments));
    assert!(code == Some(0) && text.contains("deltamart sql 'SELECT * FROM"), "{text}");
    folder
}

/// What a command that succeeds writes to standard output.
fn out(folder: &Path, arguments: &[&str]) -> String {
    let output = deltamart(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output).1);
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn objects(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn rows_are_chosen_ordered_and_written_in_each_form() {
    let folder = warehouse();
    let out = |arguments: &[&str]| out(folder.path(), arguments);
    let sales = ["show", "movie_sales_metrics"];
    // Piped, each row is an object, with types as in the warehouse, and money with two places.
    let text = out(&sales);
    let rows = objects(&text);
    assert!(rows.len() > 2 && rows.iter().all(|row| row["units_sold"].is_i64() && row["timestamp"].is_string()));
    assert!(text.lines().all(|line| {
        let money = line.split("\"total_sales\":").nth(1).and_then(|rest| rest.split(',').next()).expect("money");
        money.split_once('.').is_some_and(|(_, cents)| cents.len() == 2)
    }));
    let finals = objects(&out(&["show", "checkout_metrics"]));
    assert!(finals.iter().all(|row| row["is_final"].is_boolean()), "{finals:?}");
    let catalog = objects(&out(&["show", "movies_catalog", "--where", "price IS NULL", "--limit", "1"]));
    assert!(catalog[0]["price"].is_null() && catalog[0]["actors"].is_string(), "{catalog:?}");
    // In the order that is asked for.
    let ordered = objects(&out(&[&sales[..], &["--order", "total_sales DESC, movie_id", "--limit", "3"]].concat()));
    let dearest: Vec<_> = ordered.iter().map(|row| row["total_sales"].as_f64().expect("money")).collect();
    assert!(dearest.len() == 3 && dearest.is_sorted_by(|a, b| a >= b), "{dearest:?}");
    // The latest windows, in ascending order.
    let last = objects(&out(&[&sales[..], &["--last", "2"]].concat()));
    let at = |row: &Json| row["timestamp"].as_str().expect("an instant").to_owned();
    let latest = rows.iter().map(at).max().expect("some");
    assert!(last.len() == 2 && at(&last[1]) == latest && at(&last[0]) <= latest, "{last:?}");
    let events = objects(&out(&["show", "consumer_events", "--last", "3", "--where", "user_id > 0 -- all"]));
    assert!(events.len() == 3 && events.iter().map(at).is_sorted(), "{events:?}");
    // Other forms.
    let csv = out(&[&sales[..], &["--format", "csv"]].concat());
    assert!(
        csv.starts_with("movie_id,window_type,timestamp,total_sales,units_sold,unpriced_units,_epoch,_updated_at\n")
    );
    assert_eq!(csv.lines().count(), rows.len() + 1);
    let markdown = out(&[&sales[..], &["--format", "markdown"]].concat());
    assert!(markdown.starts_with("| movie_id | window_type |") && markdown.contains("\n|---|---|"), "{markdown}");
    let table = out(&[&sales[..], &["--format", "table", "--limit", "1"]].concat());
    assert!(table.contains("┌─") && table.contains("1 of ") && table.contains("(--limit N, --last)"), "{table}");
    let such = ["--format", "table", "--where", "units_sold > 1000000"];
    assert!(out(&[&sales[..], &such].concat()).contains("0 of 0 rows that match `--where`"));
    // What is no table of ours.
    assert_eq!(objects(&out(&["show", "_progress", "--last"]))[0]["made_by"], "run");
    assert_eq!(objects(&out(&["show", "session_metrics_by_minute", "--limit", "2"])).len(), 2);
    let tables = objects(&out(&["show"]));
    assert!(tables.iter().any(|table| table["table"] == "users" && table["rows"].as_i64() > Some(0)), "{tables:?}");
}

/// Whoever reads lines is told that some are missing, where nobody asked for so many.
#[test]
fn what_is_missing_is_said_on_standard_error() {
    let folder = warehouse();
    let warned = |arguments: &[&str]| {
        let output = deltamart(folder.path(), &[&["show", "movies_catalog"], arguments].concat());
        String::from_utf8(output.stderr).expect("UTF-8").contains("20 rows; there are more (--limit N)")
    };
    assert!(warned(&[]) && warned(&["--last"]) && warned(&["--format", "csv"]));
    assert!(!warned(&["--limit", "20"]) && !warned(&["--format", "table"]) && !warned(&["--where", "item_id = '1'"]));
}

#[test]
fn what_was_misspelt_is_answered_with_the_nearest_name() {
    let folder = warehouse();
    for (arguments, expected) in [
        (&["show", "user_segment"][..], "no table `user_segment`; did you mean `user_segments`?"),
        (&["show", "session_metrics_by_hour"], "did you mean `session_metrics_by_minute`?"),
        (&["show", "zebra"], "no table `zebra`; there are _progress, active_sessions"),
        (&["show", "users", "--order", "user_idd desc"], "no column `user_idd` in `users`; did you mean `user_id`?"),
        (&["show", "users", "--order", "age upwards"], "expected columns by commas"),
        (&["show", "users", "--where", "agee > 3"], "no such column: agee; did you mean `age`?"),
        (&["show", "users", "--where", "\"agee\" > 3"], "did you mean `age`?"),
        (&["show", "users", "--where", "age >"], "`--where \"age >\"`: the expression is incomplete\n"),
        (&["show", "users", "--where", "user_id=1001 and"], "`: the expression is incomplete\n"),
        (&["show", "users", "--where", "age > 1)"], "syntax error"),
        (&["show", "user_segments", "--where", "segmnt='x'"], "no such column: segmnt; did you mean `segment`?"),
        (&["sql", "SELECT nme FROM users"], "no such column: nme; `users` has the columns user_id, registered_at"),
        (&["show", "users", "--order", "nme"], "no column `nme` in `users`; there are user_id"),
        (&["show", "users", "--warehouse", "nope.db"], "`deltamart run FILES --warehouse nope.db`"),
        (&["show", "users", "--where", "1); DELETE FROM users WHERE (1"], "more than one statement"),
        (&["show", "users", "--where", "load_extension('x')"], "no extension is loaded"),
        (&["show", "users", "--last", "3", "--limit", "4"], "both say how many rows"),
        (&["show", "users", "--last", "--order", "age"], "cannot be used with"),
        (&["show", "--where", "1"], "required"),
        (&["show", "users", "--timeout", "soon"], "`--timeout soon`: is not a duration"),
        (&["show", "users", "--timeout", "0s"], "expected 1ms at the least"),
        (&["sql", "SELECT * FROM user_segment"], "no such table: user_segment; did you mean `user_segments`?"),
        (&["sql", "SELECT u.segmnt FROM user_segments u"], "no such column: u.segmnt; did you mean `segment`?"),
        (&["sql", "SELEC 1"], "near \"SELEC\": syntax error"),
        (&["sql", "SELECT abs(-9223372036854775808)"], "integer overflow"),
    ] {
        let (code, text) = said(&deltamart(folder.path(), arguments));
        let code = if arguments.contains(&"nope.db") && code == Some(1) { Some(2) } else { code };
        assert!(code == Some(2) && text.contains(expected), "{arguments:?}: exit {code:?}\n{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn sql_is_answered_with_types() {
    let folder = warehouse();
    let ask = |sql: &str, more: &[&str]| out(folder.path(), &[&["sql", sql], more].concat());
    let sql = "SELECT window_type, is_final, 1 AS n, NULL AS none, x'00ff' AS bytes, 1e999 AS much FROM checkout_metrics LIMIT 1";
    let row = &objects(&ask(sql, &[]))[0];
    assert!(row["is_final"].is_boolean() && row["n"] == 1 && row["none"].is_null(), "{row}");
    assert!(row["bytes"] == "x'00ff'" && row["much"] == "Infinity", "{row}");
    assert_eq!(ask("SELECT 1 AS a, 2 AS a;  -- and no more", &[]), "{\"a\":1,\"a_2\":2}\n");
    assert_eq!(ask("SELECT 'a|b' AS c", &["--format", "markdown"]), "| c |\n|---|\n| a\\|b |\n");
    assert_eq!(ask("SELECT 'a,b' AS c, 0.5", &["--format", "csv"]), "c,0.5\n\"a,b\",0.5\n");
    assert!(ask("VALUES (1), (2)", &["--format", "table"]).ends_with("\n2 rows\n"));
    assert_eq!(ask("SELECT 1 WHERE 0", &[]), "");
    for asked in [
        "SELECT name FROM pragma_table_info('users')",
        "PRAGMA table_info(users)",
        "SELECT value FROM json_each('[1,2]')",
        "EXPLAIN QUERY PLAN SELECT * FROM users",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
        "SELECT name FROM sqlite_master",
    ] {
        assert!(ask(asked, &[]).lines().count() > 1 || asked.starts_with("EXPLAIN"), "{asked}");
    }
}
