//! The head of October 2019 of REES46, where it is, by the model that comes with the program.

use crate::csv::real_events;
use crate::model::{has, says};
use std::path::Path;

/// What was counted in the file by hand, and by another database.
const FIGURES: &[(&str, &str)] = &[
    ("SELECT count(*) || '' FROM store_events", "17434"),
    (
        "SELECT count(*) || '' FROM (SELECT DISTINCT event_type, event_time, product_id, category_id, category_code, brand, \
         price, user_id, user_session FROM store_events)",
        "17429",
    ),
    ("SELECT group_concat(reason) FROM rejected_events", "undecodable"),
    ("SELECT concat_ws(' ', count(*), sum(units), sum(refunds)) FROM product_sales", "198 214 0"),
    ("SELECT count(*) || '' FROM revenue_by_category", "29"),
    ("SELECT count(*) || '' FROM revenue_by_brand", "66"),
    (
        "SELECT concat_ws(' ', count(*), sum(page_views), sum(add_to_cart_count), sum(purchase_count)) FROM \
         customer_daily_metrics",
        "4504 17051 164 214",
    ),
    ("SELECT concat_ws(' ', count(*), sum(orders), sum(refunds)) FROM customer_lifetime_value", "193 200 0"),
    ("SELECT concat_ws(' ', units, refunds, refunded) FROM daily_revenue", "214 0 0"),
    (
        "SELECT concat_ws(' ', count(*), sum(page_views), sum(add_to_carts), sum(purchases)) FROM hourly_activity",
        "3 17051 164 214",
    ),
    (
        "SELECT concat_ws(' ', sum(visits), sum(viewed), sum(carted), sum(purchased), sum(purchased_without_cart)) FROM event_funnel",
        "5067 5067 118 65 135",
    ),
    ("SELECT concat_ws(' ', count(*), sum(events), sum(reached >= 1)) FROM visits", "5067 17429 5067"),
    (
        "SELECT group_concat(concat_ws(' ', customer_id, product_id, added_at)) FROM abandoned_carts",
        "550121407 5100816 2019-10-01T00:05:14.000Z",
    ),
];

/// Of each of these tables the sum is the same.
const REVENUES: &[&str] = &[
    "revenue) FROM product_sales",
    "revenue) FROM revenue_by_category",
    "revenue) FROM revenue_by_brand",
    "revenue) FROM daily_revenue",
    "total_revenue) FROM customer_daily_metrics",
    "revenue) FROM customer_lifetime_value",
    "revenue) FROM hourly_activity",
];

const TABLES: &[&str] = &[
    "product_sales",
    "revenue_by_category",
    "revenue_by_brand",
    "daily_revenue",
    "customer_daily_metrics",
    "customer_lifetime_value",
    "hourly_activity",
    "abandoned_carts",
];

/// A value that is selected.
pub fn selected(folder: &Path, warehouse: &str, sql: &str) -> String {
    let connection = rusqlite::Connection::open(folder.join(warehouse)).expect("opens");
    connection.query_row(sql, [], |row| row.get(0)).expect(sql)
}

/// The rows of a table, without when they were written.
pub fn rows(folder: &Path, warehouse: &str, table: &str) -> String {
    let connection = rusqlite::Connection::open(folder.join(warehouse)).expect("opens");
    let columns = connection.prepare(&format!("SELECT * FROM {table}")).expect("a table");
    let names: Vec<_> = columns.column_names().filter(|name| !name.starts_with('_')).collect();
    let row = format!("concat_ws('|', {})", names.join(", "));
    let sql = format!("SELECT group_concat(row, char(10)) FROM (SELECT {row} AS row FROM {table} ORDER BY row)");
    selected(folder, warehouse, &sql)
}

/// A warehouse has what was counted by hand.
pub fn has_the_figures(at: &Path, warehouse: &str) {
    for (sql, figure) in FIGURES {
        assert_eq!(selected(at, warehouse, sql), *figure, "{warehouse}: {sql}");
    }
    for revenue in REVENUES {
        let sql = format!("SELECT printf('%.2f', sum({revenue}");
        let sql = sql.replacen(") FROM", ")) FROM", 1);
        assert_eq!(selected(at, warehouse, &sql), "59442.63", "{warehouse}: {sql}");
    }
}

#[test]
fn the_real_events_of_a_store_give_the_figures_that_were_counted_by_hand() {
    let Some(csv) = real_events() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("head.jsonl"), json(&csv)).expect("writes");
    let csv = csv.to_str().expect("a name");
    // A batch reads whole files: the last line, which is cut, is whole. It is told by its header alone whose events they are.
    for (file, warehouse) in [(csv, "csv.db"), ("store_events=head.jsonl", "json.db")] {
        let text = says(at, 0, &["batch", file, "--model", "store", "--warehouse", warehouse, "-w", "2"]);
        has(&text, &["17,435 records", "1 rejected"]);
        has_the_figures(at, warehouse);
        let verified = says(at, 0, &["verify", "--model", "store", "--warehouse", warehouse]);
        for table in TABLES {
            has(&verified, &[&format!("{table}: ")]);
            assert_eq!(rows(at, warehouse, table), rows(at, "csv.db", table), "{table}");
        }
    }
}

/// The records of a file of CSV as lines of JSON; what is cut is cut there too.
fn json(csv: &Path) -> Vec<u8> {
    let mut records = ::csv::ReaderBuilder::new().flexible(true).from_path(csv).expect("opens");
    let header = records.headers().expect("a header").clone();
    let mut lines = Vec::new();
    for record in records.records() {
        let record = record.expect("a record");
        let fields = header.iter().zip(record.iter()).map(|(name, value)| (name.to_owned(), value.into()));
        let object: serde_json::Map<String, serde_json::Value> = fields.collect();
        let mut line = serde_json::to_vec(&object).expect("an object");
        if record.len() < header.len() {
            line.truncate(line.len() / 2);
        }
        lines.extend(line);
        lines.push(b'\n');
    }
    lines
}
