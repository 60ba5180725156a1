//! The statement that `explain NAME --sql snowflake` prints gives the rows of the table.

use super::commits::asked;
use super::{configured, flags};
use crate::model::says;

/// Of each kind one: aggregates of events, by the watermark too; sessions and funnels; rows of another metric; what is near
/// an event.
const METRICS: [(&str, &str); 6] = [
    ("product_sales", "product_id, window_start, revenue, units, refunds, is_final"),
    ("customer_daily_metrics", "customer_id, event_date, page_views, add_to_cart_count, purchase_count, total_revenue"),
    ("visits", "customer_id, session_id, started, ended, events, reached, carts, purchases"),
    ("daily_funnel", "day, visits, viewed, carted, purchased, purchased_without_cart"),
    ("customer_lifetime_value", "customer_id, orders, revenue, refunds, first_purchase, last_purchase"),
    ("abandoned_carts", "day, customer_id, session_id, product_id, added_at, cart_price"),
];

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn what_is_explained_for_snowflake_gives_the_rows_of_the_table() {
    let config = configured();
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    says(at, 0, &["simulate", "--model", "store", "--out", ".", "--events", "5000"]);
    let settings = flags(&config);
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(["--model", "store"]).collect();
    says(at, 0, &[&["run", "store_events.jsonl", "--warehouse", "s.db"][..], &settings].concat());
    for (metric, columns) in METRICS {
        let statement = says(at, 0, &[&["explain", metric, "--sql", "snowflake"][..], &settings].concat());
        let table = format!("SELECT {columns} FROM MARTS.{metric}");
        let explained = format!("SELECT {columns} FROM ({statement}) AS e");
        let rows = asked(&config, &format!("SELECT COUNT(*) FROM ({table}) AS t"));
        assert!(!["[[0]]", "[[1]]"].contains(&rows.as_str()), "{metric}: {rows} rows");
        for (these, those) in [(&table, &explained), (&explained, &table)] {
            let differ = asked(&config, &format!("SELECT COUNT(*) FROM ({these} EXCEPT {those}) AS d"));
            assert_eq!(differ, "[[0]]", "{metric}: rows that only one has\n{these}\n{those}");
        }
    }
}
