//! Events and metrics that users declare in files, by the program as it is used.

use crate::cli::{deltamart, said};
use std::path::Path;
use tempfile::TempDir;

const STORE_EVENTS: &str = include_str!("../model/store/store_events.toml");
const STORE: [(&str, &str); 3] = [
    ("product_sales.sql", include_str!("../model/store/product_sales.sql")),
    ("daily_revenue.sql", include_str!("../model/store/daily_revenue.sql")),
    ("customer_lifetime_value.sql", include_str!("../model/store/customer_lifetime_value.sql")),
];

/// One line of the store: of which minute of 2019-10-01, what, which product, for how much, and who.
pub fn event(minute: u32, kind: &str, product: u32, price: &str, user: u32) -> String {
    let (hour, minute) = (minute / 60, minute % 60);
    format!(
        "{{\"event_name\":\"store_events\",\"event_type\":\"{kind}\",\"event_time\":\"2019-10-01T{hour:02}:{minute:02}:00Z\",\
         \"product_id\":{product},\"price\":{price},\"user_id\":{user},\"user_session\":\"s{user}\"}}\n"
    )
}

/// A folder with files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("model")).expect("makes it");
    for (name, text) in files {
        put(folder.path(), name, text);
    }
    folder
}

pub fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect(name);
}

/// A folder with the store's model, and some of its events.
pub fn store() -> TempDir {
    let folder = folder(&[("model/store_events.toml", STORE_EVENTS)]);
    for (name, text) in STORE {
        put(folder.path(), &format!("model/{name}"), text);
    }
    let lines = [
        event(601, "view", 7, "19.99", 1),
        event(602, "purchase", 7, "19.99", 1),
        event(603, "purchase", 7, "19.99", 2),
        // Twice the same.
        event(603, "purchase", 7, "19.99", 2),
        event(720, "purchase", 8, "5", 2),
        event(721, "dance", 8, "5", 2),
    ];
    put(folder.path(), "events.jsonl", &lines.concat());
    folder
}

/// What a command says that ends with this code.
pub fn says(folder: &Path, expected: i32, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(expected), "{arguments:?}:\n{text}");
    text
}

/// That a text has all these parts.
pub fn has(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
}

#[test]
fn a_store_is_run_shown_and_verified() {
    let folder = store();
    let at = folder.path();
    has(&says(at, 0, &["run", "events.jsonl"]), &["6 records", "1 rejected (not_one_of 1)", "product_sales"]);
    has(
        &says(at, 0, &["show", "product_sales", "--order", "product_id"]),
        &[
            "{\"product_id\":7,\"window_start\":\"2019-10-01T10:00:00.000Z\",\"units\":2,\"revenue\":39.98,\"refunds\":0,\"is_final\":false,",
            "{\"product_id\":8,\"window_start\":\"2019-10-01T12:00:00.000Z\",\"units\":1,\"revenue\":5.00,",
        ],
    );
    has(
        &says(at, 0, &["verify"]),
        &["product_sales: 2 rows, 0 differ", "daily_revenue: 1 rows, 0 differ", "users: 0 rows"],
    );
    has(&says(at, 0, &["explain", "product_sales"]), &["now      2 groups in memory, when the run was last heard of"]);
    let one = says(at, 0, &["verify", "daily_revenue"]);
    assert!(one.starts_with("daily_revenue: 1 rows, 0 differ from its SQL\nas of epoch"), "{one}");
    has(&says(at, 2, &["verify", "daily_revenu"]), &["no table `daily_revenu`; did you mean `daily_revenue`?"]);
    has(&says(at, 2, &["verify", "store_events"]), &["`store_events` is no metric"]);
    // What is set otherwise than for the run is named.
    has(&says(at, 1, &["verify", "--set", "lateness=75m"]), &["setting `lateness` (was 2days, is "]);
    // A row that was changed is found, where it is looked for.
    let warehouse = rusqlite::Connection::open(at.join("deltamart.db")).expect("opens");
    warehouse.execute("UPDATE daily_revenue SET units = 9", []).expect("changes it");
    drop(warehouse);
    has(&says(at, 1, &["verify", "daily_revenue"]), &["daily_revenue: 1 rows, 1 differ"]);
    says(at, 0, &["verify", "product_sales"]);
}

/// What comes late changes the row of its day and no other; what is too late changes nothing.
#[test]
fn late_events_correct_what_is_in_memory() {
    let folder = store();
    let at = folder.path();
    let run = ["run", "events.jsonl", "--set", "lateness=2h"];
    says(at, 0, &run);
    let more = [
        event(610, "purchase", 7, "-19.99", 2),
        event(690, "purchase", 8, "7.50", 3),
        event(480, "purchase", 8, "100", 3),
    ];
    let before = std::fs::read_to_string(at.join("events.jsonl")).expect("text");
    put(at, "events.jsonl", &(before + &more.concat()));
    has(&says(at, 0, &run), &["3 records", "1 late"]);
    has(&says(at, 0, &["show", "daily_revenue"]), &["\"revenue\":32.49,\"units\":4,"]);
    has(&says(at, 0, &["show", "late_events"]), &["\"_offset\":9"]);
    has(&says(at, 0, &["verify", "--set", "lateness=2h"]), &["daily_revenue: 1 rows, 0 differ"]);
}

#[test]
fn mistakes_of_several_files_are_said_together() {
    let folder = folder(&[
        ("model/store_events.toml", STORE_EVENTS),
        (
            "model/broken.toml",
            "doc = \"Broken.\"\ntime = \"t\"\nperson = \"none\"\nlatenes = \"1h\"\n[columns]\nt = { type = \"date\", doc = \"T.\" }\n",
        ),
        (
            "model/top.sql",
            "-- One row per brand. Kept for ever.\nSELECT brand, count(*) AS n FROM store_events GROUP BY brand ORDER BY n",
        ),
        (
            "model/no_brand.sql",
            "-- One row per day.\nSELECT date_trunc('day', event_time) AS day, sum(pric) AS revenue FROM store_events GROUP BY day",
        ),
        (
            "model/users.sql",
            "-- One row per day.\nSELECT date_trunc('day', event_time) AS day FROM store_events GROUP BY day",
        ),
    ]);
    for command in [&["check"][..], &["run"], &["show"], &["verify"]] {
        let text = says(folder.path(), 2, command);
        has(&text, &["model/broken.toml:4:1: events have no `latenes`.", "Did you mean `lateness`?"]);
        has(&text, &["model/broken.toml:6:", "type that there is not", "model/top.sql:2:", "`ORDER BY`"]);
        has(&text, &["model/no_brand.sql:2:", "`pric`", "Did you mean `price`?", "there is a table `users` already"]);
    }
    assert!(!folder.path().join("deltamart.db").exists());
}

#[test]
fn a_table_is_explained() {
    let folder = store();
    let at = folder.path();
    let text = says(at, 0, &["explain", "product_sales", "--set", "lateness=2h"]);
    has(
        &text,
        &[
            "product_sales: One row per product and five minutes with a purchase: what was sold.",
            "reads    store_events where event_type = 'purchase'\n",
            "columns  event_type, event_time, product_id, price\n",
            "key      product_id, window_start\n",
            "a group leaves when its window of 5m (`window_start`) has ended and the watermark is 2h further",
            "window_start (key)",
            "money",
            "How many were sold.",
        ],
    );
    assert!(!text.contains("warehouse `"), "there is none: {text}");
    has(&says(at, 0, &["explain", "customer_lifetime_value"]), &["kept for ever: one record per customer_id"]);
    has(
        &says(at, 0, &["explain", "daily_revenue", "--set", "lateness=unlimited"]),
        &["because `lateness` is unlimited"],
    );
    says(at, 0, &["run", "events.jsonl"]);
    has(&says(at, 0, &["explain", "PRODUCT_SALES"]), &["warehouse `deltamart.db` has 2 rows"]);
    has(
        &says(at, 0, &["explain", "store_events"]),
        &[
            "topics   store_events, raw_events\n",
            "person   user_id\n",
            "metrics  customer_lifetime_value, daily_revenue, product_sales\n",
            "One of view, cart, remove_from_cart, purchase.",
            "From -1000000.00 to 1000000.00.",
            "has 5 rows",
        ],
    );
    // The user's own text is in what DuckDB gets, whether there is a feed or not.
    let [_, (_, daily), _] = STORE;
    let lines = says(at, 0, &["explain", "daily_revenue", "--sql", "duckdb"]);
    has(&lines, &[daily.trim_end(), "getvariable('store_events'), 'store_events.jsonl'", "WITH \"store_events\" AS ("]);
    let feed = says(at, 0, &["explain", "daily_revenue", "--sql", "duckdb", "--set", "feed.path=feed"]);
    has(&feed, &[daily.trim_end(), "FROM temp.\"store_events\" AS _e", "late_events"]);
    let [(_, sales), ..] = STORE;
    let twice = says(at, 0, &["explain", "product_sales", "--sql", "duckdb", "--set", "feed.path=feed"]);
    assert_eq!(twice.matches(sales.trim_end()).count(), 2, "for final rows, and for the others:\n{twice}");
    let statement = says(at, 0, &["explain", "product_sales", "--sql", "snowflake"]);
    has(&statement, &["\"RAW\".\"STORE_EVENTS\"", "COUNT_IF(", "TIME_SLICE(\"EVENT_TIME\", 5, 'MINUTE')", "_passed"]);
    let views = says(at, 0, &["explain", "--duckdb"]);
    has(
        &views,
        &[
            "CREATE OR REPLACE MACRO is_final() AS",
            "CREATE OR REPLACE VIEW \"store_events\" AS",
            "\"event_type\" IN ('view', 'cart', 'remove_from_cart', 'purchase')",
            "WHEN 'page_view' THEN 'view'",
        ],
    );
    has(&says(at, 2, &["explain", "users", "--sql", "snowflake"]), &["reads events of the movie shop"]);
    // The SQL is all that is printed, and SQLite runs it.
    let sql = says(at, 0, &["explain", "daily_revenue", "--sql", "sqlite"]);
    assert!(sql.starts_with("WITH _events AS ("), "{sql}");
    has(
        &says(at, 0, &["explain", "checkout_metrics"]),
        &["checkout_metrics: ", "Its SQL, which `verify` runs:", "SELECT"],
    );
    has(&says(at, 0, &["explain", "rejected_events"]), &["reason", "detail"]);
    has(&says(at, 2, &["explain", "rejected_events", "--sql", "sqlite"]), &["is no metric"]);
    has(&says(at, 2, &["explain", "product_sale"]), &["did you mean `product_sales`?"]);
    has(&says(at, 0, &["explain", "--language"]), &["A metric is a file NAME.sql", "is_final()"]);
    has(
        &says(at, 0, &["explain"]),
        &["\nstore_events\n", "\n  product_sales", "shop\n  user_registration_metrics", "rows go to sqlite"],
    );
    has(
        &says(at, 0, &["explain", "--dot"]),
        &["digraph deltamart {", "\"family store_events\" -> \"product_sales\" -> commit;"],
    );
    says(at, 2, &["explain", "--dot", "product_sales"]);
    says(at, 2, &["explain", "--language", "product_sales"]);
    // Whatever is wrong with the model.
    put(at, "model/store_events.toml", "doc");
    says(at, 0, &["explain", "--language"]);
}

#[test]
fn a_metric_is_tried_before_it_is_installed() {
    let folder = store();
    let at = folder.path();
    // Neither another metric's mistake nor its name is in the way.
    put(at, "model/daily_revenue.sql", "SELEC");
    let metric = "-- One row per day with a purchase.\nSELECT date_trunc('day', event_time) AS day, count(*) AS n, sum(price) AS revenue\nFROM store_events\nWHERE event_type = 'purchase' -- and no other\nGROUP BY day HAVING n > 0";
    put(at, "daily_revenue.sql", metric);
    let text = says(at, 0, &["try", "daily_revenue.sql", "events.jsonl"]);
    has(
        &text,
        &[
            "reads    store_events where event_type = 'purchase'\n",
            "key      day\n",
            "rows     those of which n > 0\n",
            "memory   a group leaves when its day (`day`) has ended and the watermark is 2days further",
            "6 records in ",
            "0 late, 1 rejected (not_one_of 1)",
            "2019-10-01",
            "44.98",
            "1 of 1 rows\n",
            "deltas: 1 row upserted, 0 deleted\n",
            "daily_revenue: 1 rows, 0 differ from its SQL\n",
            "to keep the table:  cp daily_revenue.sql model/daily_revenue.sql",
        ],
    );
    let left: Vec<_> =
        std::fs::read_dir(at).expect("a folder").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(left.len(), 3, "nothing is made: {left:?}");
    // What each event changes, in the order in which they are read.
    let text = says(at, 0, &["try", "daily_revenue.sql", "events.jsonl", "--deltas"]);
    let changes: Vec<_> = text.lines().filter(|line| line.contains(": upsert ")).collect();
    let is = [(2, "1 | 19.99"), (3, "2 | 39.98"), (5, "3 | 44.98")]
        .map(|(line, rest)| format!("events.jsonl:{line}: upsert 2019-10-01T00:00:00.000Z | {rest}"));
    assert_eq!(changes, is);
    let json = says(at, 0, &["try", "daily_revenue.sql", "events.jsonl", "--json"]);
    has(json.lines().next().unwrap_or_default(), &["\"command\":\"try\"", "\"records\":6", "\"upserted\":1"]);
    // The family may stand elsewhere, and a setting may name tables.
    std::fs::rename(at.join("model"), at.join("shared")).expect("moves");
    put(at, "deltamart.toml", "tables = [\"users\"]\n");
    let elsewhere = ["try", "daily_revenue.sql", "events.jsonl", "--model", "shared"];
    has(&says(at, 0, &elsewhere), &["0 differ from its SQL", "cp daily_revenue.sql shared/daily_revenue.sql"]);
    has(&says(at, 2, &["try", "daily_revenue.sql", "events.jsonl"]), &["there is no folder `model`"]);
    // What is wrong is said with its place.
    put(at, "daily_revenue.sql", &metric.replace("sum(price)", "sum(prise)"));
    has(&says(at, 2, &elsewhere), &["daily_revenue.sql:2:", "`prise`", "Did you mean `price`?"]);
    has(&says(at, 2, &["try", "gone.sql", "events.jsonl", "--model", "shared"]), &["could not read `gone.sql`"]);
    put(at, "users.sql", metric);
    has(
        &says(at, 2, &["try", "users.sql", "events.jsonl", "--model", "shared"]),
        &["there is a table `users` already"],
    );
    has(&says(at, 2, &["try", "daily_revenue.sql"]), &["EVENTS"]);
    put(at, "daily_revenue.sql", metric);
    let text = says(at, 1, &["try", "daily_revenue.sql", "gone.jsonl", "--model", "shared"]);
    assert!(text.starts_with("deltamart: could not open file `gone.jsonl`"), "{text}");
}

/// What `declare` prints is a model that reads the same events.
#[test]
fn events_are_declared_by_a_sample() {
    let folder = store();
    let at = folder.path();
    let text = says(at, 0, &["declare", "events.jsonl"]);
    has(
        &text,
        &["doc = \"One row per accepted event of store_events.\"", "time = \"event_time\"", "person = \"user_id\""],
    );
    has(&text, &["price = { type = \"money\"", "# 5.00 to 19.99", "one_of = [\"dance\", \"purchase\", \"view\"]"]);
    put(at, "model/store_events.toml", &text);
    // The store's metrics read columns that the sample has not, or have them.
    std::fs::remove_file(at.join("model/customer_lifetime_value.sql")).expect("removes");
    has(&says(at, 0, &["run", "events.jsonl"]), &["6 records", "0 rejected"]);
    has(&says(at, 0, &["verify"]), &["daily_revenue: 1 rows, 0 differ"]);
    // Objects, another name, several files; standard input has no name.
    put(at, "nested.jsonl", "{\"ts\":1767607200000,\"who\":{\"userId\":\"u1\"},\"cost\":\"1.5\"}\n[1]\n");
    let text = says(at, 0, &["declare", "nested.jsonl", "--name", "clicks"]);
    has(
        &text,
        &[
            "who_user_id = { type = \"text\", from = \"who.userId\"",
            "person = \"who_user_id\"",
            "topics = [\"clicks\"]",
        ],
    );
    has(&text, &["cost = { type = \"money\"", "1 line is no record"]);
    has(&says(at, 0, &["declare", "nested.jsonl"]), &["topics = [\"nested\"]"]);
    has(&says(at, 2, &["declare", "nested.jsonl", "--name", "Select"]), &["`--name Select`: the name is no name"]);
    put(at, "empty.jsonl", "\n");
    has(&says(at, 2, &["declare", "empty.jsonl"]), &["no record that is an object of JSON"]);
    says(at, 1, &["declare", "gone.jsonl"]);
}

#[test]
fn init_makes_a_model_that_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    has(
        &says(at, 0, &["init"]),
        &[
            "folder `model` has events, metrics and cases of them",
            "`orders.toml`, `orders_by_day.sql`, `orders_by_day.case`, `duckdb.sql`",
        ],
    );
    // Which is what `explain` prints.
    let views = std::fs::read_to_string(at.join("model/duckdb.sql")).expect("text");
    assert_eq!(views.trim_end(), says(at, 0, &["explain", "--duckdb"]).trim_end());
    let order = |id: u32, amount: &str| {
        format!(
            "{{\"ordered_at\":\"2026-01-05T10:00:00Z\",\"order_id\":\"o{id}\",\"customer_id\":{id},\"amount\":{amount}}}\n"
        )
    };
    put(at, "orders.jsonl", &[order(1, "5"), order(2, "7.25"), order(3, "-1")].concat());
    has(
        &says(at, 0, &["try", "model/orders_by_day.sql", "orders.jsonl"]),
        &["12.25", "out_of_range 1", "is in the model"],
    );
    has(
        &says(at, 0, &["check"]),
        &[
            "# model `model`: 1 family of events, 1 metric\n",
            "#   orders: topics orders; time ordered_at; person customer_id; events that are equal in every column count once; lateness 2days\n",
            "#     orders_by_day: key day, country; a group leaves when its day (`day`) has ended",
        ],
    );
    says(at, 0, &["run", "orders.jsonl"]);
    has(&says(at, 0, &["verify", "orders_by_day"]), &["orders_by_day: 1 rows, 0 differ"]);
    // A folder that is there is left as it is.
    std::fs::remove_file(at.join("model/orders.toml")).expect("removes");
    has(&says(at, 2, &["explain", "--duckdb", "--set", "model=none"]), &["there is no folder `none`"]);
    has(&says(at, 0, &["init", "other.toml"]), &["folder `model` is there already"]);
    assert!(!at.join("model/orders.toml").exists());
}

/// A metric of SQL over the movie shop's events beside the hand-written one that has the same rows: over what is late,
/// repeated and corrected, on several workers, and when it goes on after an end.
#[test]
fn metrics_may_be_of_the_movie_shops_own_events() {
    let registrations = "-- One row per hour with a registration: how many users registered.\n\
        SELECT date_trunc('hour', timestamp) AS window_start, -- The hour.\n\
        count(DISTINCT user_id) AS registration_count, -- How many users registered.\n\
        is_final() AS is_final -- No accepted event can change the row.\n\
        FROM consumer_events WHERE event_name = 'consumer_registration' GROUP BY window_start";
    let earned = "-- One row per day with a purchase: what was paid. \n\
        SELECT date_trunc('day', timestamp) AS day, sum(purchase_amount) AS earned, count(*) AS purchases\n\
        FROM cart_events WHERE event_name = 'purchase' AND purchase_amount > 3 GROUP BY day";
    let folder = folder(&[("model/registrations.sql", registrations), ("model/earned_by_day.sql", earned)]);
    let at = folder.path();
    says(at, 0, &["simulate", "--out", "shop", "--events", "12000", "--days", "9"]);
    let all = std::fs::read_to_string(at.join("shop/events.jsonl")).expect("it is written");
    let lines: Vec<_> = all.split_inclusive('\n').collect();
    for (workers, read) in [("1", 4000), ("3", 9000), ("2", lines.len())] {
        put(at, "events.jsonl", &lines[..read].concat());
        says(at, 0, &["run", "events.jsonl", "-w", workers, "--set", "lateness=5h"]);
        let verified = says(at, 0, &["verify", "--set", "lateness=5h"]);
        has(&verified, &["registrations: ", "earned_by_day: "]);
        let warehouse = rusqlite::Connection::open(at.join("deltamart.db")).expect("opens");
        let rows = |sql: &str| -> Vec<(String, i64, bool)> {
            let mut statement = warehouse.prepare(sql).expect(sql);
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect(sql);
            rows.collect::<Result<_, _>>().expect(sql)
        };
        let declared =
            rows("SELECT window_start, registration_count, is_final FROM registrations ORDER BY window_start");
        let written = rows(
            "SELECT timestamp, registration_count, is_final FROM user_registration_metrics \
             WHERE window_type = 'tumbling' ORDER BY timestamp",
        );
        assert_eq!(declared, written);
        let finals = declared.iter().filter(|(_, _, is_final)| *is_final).count();
        assert!(declared.len() > 20 && finals > 5 && finals < declared.len(), "{finals} of {}", declared.len());
    }
    has(&says(at, 0, &["explain", "registrations"]), &["consumer_events where event_name = 'consumer_registration'"]);
    has(
        &says(at, 0, &["check"]),
        &["#   consumer_events: events of the movie shop", "#     registrations: key window_start"],
    );
    put(
        at,
        "carts.sql",
        "-- One row per cart. Kept for ever.\nSELECT cart_id, count(*) AS n FROM cart_events GROUP BY cart_id",
    );
    has(&says(at, 2, &["try", "carts.sql", "none.jsonl"]), &["carts.sql:2:8: ", "`cart_id`"]);
}

/// What is tried over the movie shop's events needs no model.
#[test]
fn a_metric_of_the_movie_shops_events_is_tried_without_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    put(
        at,
        "views.sql",
        "-- One row per item that was viewed. Kept for ever.\nSELECT item_id, count(*) AS views FROM item_view_events GROUP BY item_id",
    );
    let view = |user: u32, item: u32| {
        format!(
            "{{\"event_name\":\"item_view\",\"timestamp\":\"2026-01-05T10:00:00Z\",\"user_id\":{user},\"item_id\":\"{item}\"}}\n"
        )
    };
    put(at, "events.jsonl", &[view(1, 7), view(2, 7), view(1, 8)].concat());
    let said = says(at, 0, &["try", "views.sql", "events.jsonl"]);
    has(&said, &["3 records", "deltas: 2 rows upserted, 0 deleted", "2 rows, 0 differ"]);
    has(&says(at, 2, &["try", "view.sql", "events.jsonl"]), &["view.sql"]);
}

const WEB_EVENTS: &str = "doc = \"One row per event.\"
topics = [\"web\"]
time = \"at_time\"
person = \"none\"
[columns]
at_time = { type = \"instant\", from = \"timestamp\", doc = \"When, UTC.\" }
kind = { type = \"text\", from = \"event_name\", case = \"lower\", one_of = [\"search\", \"order\"], doc = \"What.\" }
query = { type = \"text\", empty = \"\", doc = \"Of a search: what was looked for.\" }
";

/// Events that come together are of one family, which a column tells apart; what it does not take is rejected once.
#[test]
fn several_events_of_one_file_are_of_one_family() {
    let folder = folder(&[("model/web_events.toml", WEB_EVENTS)]);
    let at = folder.path();
    put(
        at,
        "model/searches.sql",
        "-- One row per query. Kept for ever.\nSELECT query AS looked_for, -- What was looked for.\n       count(*) AS n -- How \
         often.\nFROM web_events WHERE kind = 'search' GROUP BY looked_for",
    );
    let line = |name: &str, rest: &str| {
        format!("{{\"event_name\":\"{name}\",\"timestamp\":\"2026-01-05T10:00:00Z\"{rest}}}\n")
    };
    let lines = [line("Search", ",\"query\":\"lamp\""), line("order", ""), line("click", ""), line("search", "")];
    put(at, "web.jsonl", &lines.concat());
    has(&says(at, 0, &["run", "web.jsonl"]), &["4 records", "1 rejected (not_one_of 1)"]);
    has(&says(at, 0, &["verify"]), &["searches: 2 rows, 0 differ"]);
    // A topic has one family, and one family has it once.
    put(at, "model/others.toml", WEB_EVENTS);
    has(
        &says(at, 2, &["check"]),
        &[
            "web_events.toml: `model/others.toml` reads the topic `web` too",
            "with a column that reads the name of the event",
        ],
    );
    put(at, "model/others.toml", &WEB_EVENTS.replace("[\"web\"]", "[\"x\", \"x\"]"));
    has(&says(at, 2, &["check"]), &["others.toml: `topics` names `x` twice"]);
}
