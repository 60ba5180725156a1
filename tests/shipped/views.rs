//! Views for analysts: in the warehouse, in DuckDB over the feed, and gone with their files.

use super::real::{rows, selected};
use crate::cli::deltamart;
use crate::model::{has, put, says};
use crate::support::needed;
use std::path::Path;
use std::process::Command;

const VIEWS: [&str; 5] =
    ["daily_customer_revenue", "hourly_trends", "real_time_customer_metrics", "top_customers", "trending_products"];

/// Three days of a store, in a warehouse and a feed.
fn store(at: &Path) {
    says(at, 0, &["simulate", "--model", "store", "--out", "sim", "--events", "30000"]);
    says(
        at,
        0,
        &["run", "sim/store_events.jsonl", "--model", "store", "--set", "feed.path=feed", "--warehouse", "s.db"],
    );
}

#[test]
fn views_of_the_store_say_what_their_tables_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    store(at);
    let watermark = selected(at, "s.db", "SELECT json_extract(watermarks, '$.store_events') FROM _progress");
    let (day, hour) = (format!("{}T00:00:00.000Z", &watermark[..10]), &watermark[..13]);
    // The same, by texts and hours alone.
    for (view, sql) in [
        ("SELECT count(*) || '' FROM daily_customer_revenue", "SELECT count(*) || '' FROM customer_daily_metrics WHERE total_revenue <> 0".to_owned()),
        (
            "SELECT concat_ws(' ', count(*), sum(page_views), min(event_date)) FROM real_time_customer_metrics",
            format!("SELECT concat_ws(' ', count(*), sum(page_views), min(event_date)) FROM customer_daily_metrics WHERE event_date = '{day}'"),
        ),
        (
            "SELECT group_concat(customer_id) FROM top_customers",
            "SELECT group_concat(customer_id) FROM (SELECT customer_id FROM customer_lifetime_value ORDER BY revenue DESC, customer_id LIMIT 100)".to_owned(),
        ),
        (
            "SELECT concat_ws(' ', count(*), sum(page_views), max(substr(hour, 1, 13))) FROM hourly_trends",
            format!("SELECT concat_ws(' ', count(*), sum(page_views), '{hour}') FROM (SELECT page_views FROM hourly_activity WHERE hour <= '{watermark}' ORDER BY hour DESC LIMIT 48)"),
        ),
        (
            "SELECT sum(page_views_change) || ' ' || sum(customers_change) FROM hourly_trends WHERE substr(hour, 12, 2) = '07'",
            "SELECT concat_ws(' ', a.page_views - c.page_views, a.customers - c.customers) \
             FROM (SELECT * FROM hourly_activity WHERE substr(hour, 12, 2) = '07' ORDER BY hour DESC LIMIT 1) AS a, \
             (SELECT * FROM hourly_activity WHERE substr(hour, 12, 2) = '07' ORDER BY hour DESC LIMIT 1 OFFSET 1) AS b, \
             (SELECT * FROM hourly_activity WHERE substr(hour, 12, 2) = '07' ORDER BY hour DESC LIMIT 1 OFFSET 2) AS c".to_owned(),
        ),
        (
            "SELECT (count(*) > 0) || ' ' || (sum(units) = (SELECT sum(units) FROM trending_products)) FROM trending_products WHERE units_change = units - units_before",
            "SELECT '1 1'".to_owned(),
        ),
    ] {
        assert_eq!(selected(at, "s.db", view), selected(at, "s.db", &sql), "{view}");
    }
    let shown = says(at, 0, &["show", "top_customers", "--model", "store", "--warehouse", "s.db", "--format", "table"]);
    has(&shown, &["The hundred customers with the largest revenue", "20 of 100 rows"]);
    has(
        &says(at, 0, &["sql", "SELECT count(*) AS n FROM hourly_trends", "--model", "store", "--warehouse", "s.db"]),
        &["48"],
    );
    has(
        &says(at, 0, &["show", "--model", "store", "--warehouse", "s.db", "--format", "table"]),
        &["views: daily_customer_revenue, "],
    );
    has(&says(at, 0, &["check", "--model", "store", "--warehouse", "s.db"]), &["#   views: daily_customer_revenue, "]);
    for (of, part) in
        [("sqlite", "strftime("), ("duckdb", "INTERVAL '86400 seconds'"), ("snowflake", "COPY GRANTS COMMENT = ")]
    {
        has(&says(at, 0, &["explain", "hourly_trends", "--sql", of, "--model", "store"]), &[part]);
    }
    has(
        &says(at, 0, &["explain", "hourly_trends", "--model", "store"]),
        &["reads    hourly_activity, hourly_activity"],
    );
    has(&says(at, 0, &["schema", "--model", "store"]), &["CREATE VIEW \"top_customers\" AS -- Of the model: "]);
    let snowflake = says(at, 0, &["schema", "--for", "snowflake", "--model", "store"]);
    has(
        &snowflake,
        &[
            "CREATE OR REPLACE VIEW \"DELTAMART\".\"MARTS\".\"TOP_CUSTOMERS\"",
            "FROM \"DELTAMART\".\"MARTS\".\"CUSTOMER_LIFETIME_VALUE\"",
        ],
    );
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_says_the_same_of_every_view_of_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    store(at);
    let selects: Vec<_> = VIEWS.iter().map(|view| format!("SELECT * FROM {view}")).collect();
    let text = asked(at, "c.execute(open('feed/views.sql').read())", &selects);
    for (view, line) in VIEWS.iter().zip(text.lines()) {
        let (mut ours, mut theirs) = (ours_of(at, "s.db", &format!("SELECT * FROM {view}")), theirs_of(line));
        assert!(ours.len() > 5, "{view}: {} rows", ours.len());
        // In an order that the view does not give both come as they like.
        if !["top_customers", "trending_products"].contains(view) {
            ours.sort();
            theirs.sort();
        }
        let differs = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        assert!(ours.len() == theirs.len() && differs.is_none(), "{view}: {differs:?}");
    }
}

/// The text of a metric that asks of events what is near, over the feed: by the watermark of its commit.
#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_says_the_same_of_abandoned_carts() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    store(at);
    let model = ["--model", "store", "--set", "feed.path=feed"];
    let sql = says(at, 0, &[&["explain", "abandoned_carts", "--sql", "duckdb"][..], &model].concat());
    let text = asked(at, "c.execute(open('feed/views.sql').read())", &[sql]);
    let ours = "SELECT day, customer_id, session_id, product_id, added_at, cart_price FROM abandoned_carts";
    let (mut ours, mut theirs) = (ours_of(at, "s.db", ours), theirs_of(text.trim()));
    ours.sort();
    theirs.sort();
    assert!(ours.len() > 100, "{} rows", ours.len());
    let differs = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
    assert!(ours.len() == theirs.len() && differs.is_none(), "{} and {}: {differs:?}", ours.len(), theirs.len());
}

/// What DuckDB prints of statements, a line of JSON each, after a preparation. How far it is, it would draw in between.
fn asked(at: &Path, prepare: &str, statements: &[String]) -> String {
    let script = format!(
        "import duckdb, json, sys\nc = duckdb.connect()\nc.execute('SET enable_progress_bar = false')\n{prepare}\nfor sql in sys.argv[1:]:\n    rows = \
         c.execute(sql).fetchall()\n    print(json.dumps([[str(v) if v is not None else None for v in row] for row in rows]))\n"
    );
    let python = needed("DELTAMART_PYTHON");
    let output = Command::new(python).current_dir(at).args(["-c", &script]).args(statements).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The rows of a line of that.
fn theirs_of(line: &str) -> Vec<Vec<String>> {
    let theirs: Vec<Vec<Option<String>>> = serde_json::from_str(line).expect("rows");
    theirs.into_iter().map(|row| row.into_iter().map(read).collect()).collect()
}

/// The rows that a warehouse has.
fn ours_of(at: &Path, warehouse: &str, sql: &str) -> Vec<Vec<String>> {
    let warehouse = rusqlite::Connection::open(at.join(warehouse)).expect("opens");
    let mut select = warehouse.prepare(sql).expect("a statement");
    let columns = select.column_count();
    let ours = select.query_map([], |row| (0..columns).map(|n| row.get::<_, rusqlite::types::Value>(n)).collect());
    let ours: Vec<Vec<_>> = ours.expect("reads").collect::<Result<_, _>>().expect("rows");
    ours.into_iter().map(|row| row.into_iter().map(plain).collect()).collect()
}

/// The text of each metric as it stands, over the lines themselves.
#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_says_the_same_of_every_metric_of_the_media_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let clean = ["--set", "simulate.malformed_permille=0", "--set", "simulate.too_late_permille=0"];
    let simulate = ["simulate", "--model", "media", "--out", ".", "--events", "20000"];
    says(at, 0, &[&simulate[..], &clean].concat());
    says(at, 0, &["run", "customer_events.jsonl", "--model", "media", "--warehouse", "m.db"]);
    for (metric, columns) in [
        ("content_metrics", "day, media_id, content_title, plays, viewers, watched_seconds, completion_rate"),
        ("platform_metrics", "device_type, country, hour, events, users"),
        ("search_metrics", "day, searches, searchers, followed_by_a_play, success_rate"),
    ] {
        let sql = says(at, 0, &["explain", metric, "--sql", "duckdb", "--model", "media"]);
        let text = asked(at, "", &[sql]);
        let (mut ours, mut theirs) =
            (ours_of(at, "m.db", &format!("SELECT {columns} FROM {metric}")), theirs_of(text.trim()));
        ours.sort();
        theirs.sort();
        assert!(ours.len() > if metric == "search_metrics" { 1 } else { 500 }, "{metric}: {} rows", ours.len());
        let differs = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        assert!(ours.len() == theirs.len() && differs.is_none(), "{metric}: {differs:?}");
    }
}

/// A value as both have it: of a number its value, of an instant its text.
fn plain(value: rusqlite::types::Value) -> String {
    use rusqlite::types::Value;
    match value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => format!("{number}.00"),
        Value::Real(number) => format!("{number:.2}"),
        Value::Text(text) if text.len() == 24 && text.ends_with('Z') => {
            text.trim_end_matches('Z').trim_end_matches(".000").replace('T', " ")
        }
        Value::Text(text) => text,
        Value::Blob(_) => "bytes".to_owned(),
    }
}

fn read(value: Option<String>) -> String {
    let Some(text) = value else { return "-".to_owned() };
    match text.parse::<f64>() {
        Ok(number) => format!("{number:.2}"),
        Err(_) => text,
    }
}

const STALE: &str = "-- One row per day with many views.\nSELECT day, views FROM views_by_day WHERE views > 1\n";

#[test]
fn a_users_own_view_is_made_changed_and_removed_with_its_file() {
    let folder = crate::model::store();
    let at = folder.path();
    put(
        at,
        "model/views_by_day.sql",
        "-- One row per day: views.\nSELECT date_trunc('day', event_time) AS day, count(*) AS views\n\
                                       FROM store_events WHERE event_type = 'view' GROUP BY day\n",
    );
    std::fs::create_dir(at.join("model/views")).expect("makes it");
    put(at, "model/views/busy_days.sql", STALE);
    put(at, "model/views/rich_days.sql", "-- One row per day.\nSELECT day, revenue FROM daily_revenue\n");
    says(at, 0, &["run", "events.jsonl"]);
    // What somebody else made stays.
    rusqlite::Connection::open(at.join("deltamart.db"))
        .and_then(|file| file.execute_batch("CREATE VIEW theirs AS -- Of the model\nSELECT 1 AS x"))
        .expect("makes it");
    let views = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_master WHERE type = 'view' AND name NOT LIKE \
                 '%by_minute' ORDER BY name)";
    assert_eq!(selected(at, "deltamart.db", views), "busy_days rich_days theirs");
    assert_eq!(rows(at, "deltamart.db", "rich_days"), "2019-10-01T00:00:00.000Z|44.98");
    put(at, "model/views/busy_days.sql", &STALE.replace("> 1", "= 1"));
    std::fs::remove_file(at.join("model/views/rich_days.sql")).expect("removes");
    says(at, 0, &["run", "events.jsonl"]);
    assert_eq!(selected(at, "deltamart.db", views), "busy_days theirs");
    assert_eq!(rows(at, "deltamart.db", "busy_days"), "2019-10-01T00:00:00.000Z|1");
    // A name that is taken, in the model and in the file.
    put(at, "model/views/theirs.sql", STALE);
    has(&says(at, 1, &["run", "events.jsonl"]), &["has a view `theirs` that is not of the model", "rename the file"]);
    std::fs::remove_file(at.join("model/views/theirs.sql")).expect("removes");
    put(at, "model/views/daily_revenue.sql", STALE);
    has(&says(at, 2, &["run", "events.jsonl"]), &["makes a table of this name too"]);
    std::fs::remove_file(at.join("model/views/daily_revenue.sql")).expect("removes");
    // A broken one is said by all that read the model; nothing is run.
    put(at, "model/views/busy_days.sql", "-- One row per day.\nSELECT day, view AS views\nFROM views_by_day\n");
    for command in [&["check"][..], &["run", "events.jsonl"]] {
        has(
            &says(at, 2, command),
            &["model/views/busy_days.sql:2:13: no such column: view.", "`deltamart show` lists the tables"],
        );
    }
    let output = deltamart(at, &["check", "--set", "model="]);
    assert_eq!(output.status.code(), Some(0), "without the model there is nothing to say");
}
