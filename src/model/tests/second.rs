//! SQLite as a second reader of the user's own text: what binds how is decided by both, each for itself.
//!
//! The text has no money and no windows, which SQLite does not know, and its numbers do not overflow. What is printed of
//! its plan and the text itself must give the same rows.

use super::super::sqlite::select;
use super::dice::Dice;
use super::random::{said, sql_value};
use super::{plan, things};
use rusqlite::Connection;

const TEXTS: u64 = 3_000;

#[test]
fn sqlite_reads_the_text_itself_as_we_do() {
    let (mut read, mut rows, mut refused) = (0, 0, 0);
    for seed in 1..=TEXTS {
        let mut dice = Dice::of_seed(seed);
        let text = dice.bare_metric();
        // Two comparisons in a row, and conditions that are compared, are refused.
        let Ok((family, metric)) = plan("bare", &text) else {
            refused += 1;
            continue;
        };
        let connection = Connection::open_in_memory().expect("SQLite");
        connection.execute_batch("CREATE TABLE things (t, u, a, b, m, d, s, w, x, late)").expect("a table");
        connection.pragma_update(None, "case_sensitive_like", true).expect("a setting");
        for _ in 0..dice.of(12) {
            let columns = things().columns;
            let values: Vec<_> =
                columns.iter().map(|column| sql_value(&dice.small(column.ty, column.nullable))).collect();
            let sql = "INSERT INTO things VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)";
            connection.execute(sql, rusqlite::params_from_iter(values)).expect("a row");
        }
        let own = said(&connection, &text, &metric).unwrap_or_else(|why| panic!("seed {seed}\n{why}"));
        let printed = said(&connection, &select(&family, &metric), &metric);
        assert_eq!(Ok(&own), printed.as_ref(), "seed {seed}\n{text}\n{}", select(&family, &metric));
        (read, rows) = (read + 1, rows + own.len());
    }
    println!("{read} texts gave {rows} rows; {refused} were refused");
    assert!(read > TEXTS / 3 && rows > TEXTS as usize, "{read} texts, {rows} rows");
}
