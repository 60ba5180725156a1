//! `forget` of persons of declared families, by the program as it is used.

use crate::model::{has, says};
use std::path::Path;
use tempfile::TempDir;

const PLAYS: &str = r#"doc = "One row per play."
time = "played_at"
person = "listener"
once = "everything"
lateness = "1h"
[columns]
played_at = { type = "instant", doc = "When it began, UTC." }
listener = { type = "text", case = "lower", doc = "Who listened." }
title = { type = "text", doc = "What." }
city = { type = "text", empty = "unknown", personal = true, doc = "Where the listener was." }
"#;
const ORDERS: &str = r#"doc = "One row per order."
time = "ordered_at"
person = "customer_id"
[columns]
ordered_at = { type = "instant", doc = "When it was placed, UTC." }
customer_id = { type = "integer", min = 1, doc = "Who placed it." }
amount = { type = "money", min = 0, doc = "For how much." }
"#;
const METRICS: [(&str, &str); 4] = [
    (
        "listeners",
        "-- One row per listener. Kept for ever.\nSELECT listener, count(*) AS plays, max(played_at) AS last FROM plays GROUP BY listener",
    ),
    (
        "titles",
        "-- One row per title. Kept for ever.\nSELECT title, count(*) AS plays, count(DISTINCT listener) AS listeners FROM plays GROUP BY title",
    ),
    (
        "days",
        "-- One row per day.\nSELECT date_trunc('day', ordered_at) AS day, count(DISTINCT customer_id) AS customers, sum(amount) AS revenue FROM orders GROUP BY day",
    ),
    (
        "customers",
        "-- One row per customer. Kept for ever.\nSELECT customer_id, count(*) AS orders, sum(amount) AS revenue FROM orders GROUP BY customer_id",
    ),
];

fn play(minute: u32, listener: &str, title: &str, city: &str) -> String {
    let at = format!("2026-01-05T{:02}:{:02}:00Z", minute / 60, minute % 60);
    format!("{{\"played_at\":\"{at}\",\"listener\":\"{listener}\",\"title\":\"{title}\",\"city\":\"{city}\"}}\n")
}

fn order(minute: u32, customer: u32, amount: u32) -> String {
    let at = format!("2026-01-05T{:02}:{:02}:00Z", minute / 60, minute % 60);
    format!("{{\"ordered_at\":\"{at}\",\"customer_id\":{customer},\"amount\":{amount}}}\n")
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("model")).expect("makes it");
    put(folder.path(), "model/plays.toml", PLAYS);
    put(folder.path(), "model/orders.toml", ORDERS);
    for (name, text) in METRICS {
        put(folder.path(), &format!("model/{name}.sql"), text);
    }
    let plays = [
        play(600, "Alice", "Metropolis", "Kutaisi"),
        play(601, "bob", "Metropolis", "Batumi"),
        // The same, but for where.
        play(600, "alice", "Metropolis", "Poti"),
        play(900, "7", "Faust", "Gori"),
        // Too late, and not to be read.
        play(602, "ALICE", "Faust", "Zestafoni"),
        "{\"played_at\":\"never\",\"listener\":\"alice\"}\n".to_owned(),
        play(901, "nobody:1", "Faust", ""),
    ];
    put(folder.path(), "plays.jsonl", &plays.concat());
    put(folder.path(), "orders.jsonl", &[order(600, 7, 5), order(601, 8, 7), order(602, 7, 9)].concat());
    folder
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect(name);
}

fn add(folder: &Path, name: &str, text: &str) {
    let before = std::fs::read_to_string(folder.join(name)).expect(name);
    put(folder, name, &(before + text));
}

const RUN: [&str; 3] = ["run", "plays=plays.jsonl", "orders=orders.jsonl"];

#[test]
fn a_text_is_found_and_what_is_computed_of_many_stays() {
    let folder = folder();
    let at = folder.path();
    has(&says(at, 0, &RUN), &["10 records", "2 rejected (bad_timestamp 1, nobody_in_key 1)", "1 late"]);
    let titles =
        ["\"title\":\"Faust\",\"plays\":1,\"listeners\":1", "\"title\":\"Metropolis\",\"plays\":2,\"listeners\":2"];
    has(&says(at, 0, &["show", "titles"]), &titles);
    let text = says(at, 0, &["forget", "aLICE"]);
    has(
        &text,
        &[
            "user aLICE is forgotten",
            "plays: listeners 1 removed, plays 3 of nobody now",
            "records as they came: late_events 1 emptied, rejected_events 1 removed",
            "state: 2 records no longer name a user",
        ],
    );
    assert!(!text.contains("orders:"), "no order is of a text: {text}");
    has(&says(at, 0, &["verify"]), &["listeners: 2 rows, 0 differ", "titles: 2 rows, 0 differ"]);
    has(&says(at, 0, &["show", "titles"]), &titles);
    let raw = says(at, 0, &["show", "plays", "--limit", "100"]);
    has(&raw, &["\"listener\":\"nobody:", "\"city\":\"unknown\"", "\"listener\":\"bob\"", "\"city\":\"Batumi\""]);
    assert_eq!(raw.matches("\"listener\":\"nobody:").count(), 3, "{raw}");
    for gone in ["alice", "Alice", "ALICE", "Kutaisi", "Poti", "Zestafoni"] {
        assert_eq!(files_with(at, gone), ["plays.jsonl"], "{gone}");
    }
    has(&says(at, 0, &["forget", "alice"]), &["no row names user alice; nothing was removed"]);
    // Nobody is nobody's name.
    let nobody = raw.split("\"listener\":\"").find(|part| part.starts_with("nobody:")).expect("one");
    let nobody = nobody.split('"').next().expect("a text");
    has(&says(at, 2, &["forget", nobody]), &["is what somebody is called who was forgotten already"]);
    // Who comes again is somebody else: the same event too, which counts once more, and not twice more.
    add(at, "plays.jsonl", &[play(899, "alice", "Faust", "Poti"), play(900, "7", "Faust", "Tbilisi")].concat());
    says(at, 0, &RUN);
    has(&says(at, 0, &["verify"]), &["listeners: 3 rows, 0 differ", "titles: 2 rows, 0 differ"]);
    says(at, 0, &["forget", "7", "--family", "plays"]);
    has(&says(at, 0, &["verify"]), &["listeners: 2 rows, 0 differ", "titles: 2 rows, 0 differ"]);
    let again = [play(900, "7", "Faust", "Gori"), play(900, "7", "Faust", "Gori")];
    add(at, "plays.jsonl", &again.concat());
    says(at, 0, &RUN);
    has(&says(at, 0, &["verify"]), &["listeners: 3 rows, 0 differ", "titles: 2 rows, 0 differ"]);
    has(&says(at, 0, &["show", "titles", "--order", "title"]), &["\"title\":\"Faust\",\"plays\":3,\"listeners\":3"]);
}

#[test]
fn a_number_may_be_another_person_in_each_family() {
    let folder = folder();
    let at = folder.path();
    says(at, 0, &RUN);
    let text = says(at, 0, &["forget", "7", "--family", "orders"]);
    has(&text, &["orders: customers 1 removed, orders 2 of nobody now"]);
    assert!(!text.contains("plays:") && !text.contains("shop:"), "{text}");
    has(&says(at, 0, &["show", "days"]), &["\"customers\":2,\"revenue\":21.00"]);
    has(&says(at, 0, &["verify"]), &["customers: 1 rows, 0 differ", "days: 1 rows, 0 differ", "listeners: 3 rows"]);
    // In every family, if none is named.
    let text = says(at, 0, &["forget", "7"]);
    has(&text, &["plays: listeners 1 removed, plays 1 of nobody now", "orders: no row named the user", "shop: no row"]);
    has(&says(at, 0, &["verify"]), &["listeners: 2 rows, 0 differ", "titles: 2 rows, 0 differ"]);
    has(&says(at, 2, &["forget", "7", "--family", "order"]), &["there is no family `order`; did you mean `orders`?"]);
    has(&says(at, 2, &["forget", "bob", "--family", "orders"]), &["no event of family `orders` can be of user `bob`"]);
    // Deleted, they are nowhere, and nothing is verified by them.
    let text = says(at, 0, &["forget", "8", "--delete-raw"]);
    has(&text, &["orders: customers 1 removed, orders 1 removed", "rows of `orders` were deleted"]);
    has(&says(at, 2, &["verify"]), &["users were forgotten"]);
    says(at, 0, &[&RUN[..], &["--rebuild"]].concat());
    has(&says(at, 0, &["verify"]), &["customers: 2 rows, 0 differ"]);
}

/// What the rows of a person would be computed by must not depend on who it is.
#[test]
fn a_metric_that_would_change_by_it_is_refused() {
    let folder = folder();
    let at = folder.path();
    for (expression, why) in [
        ("min(listener)", "`listener` says whom an event is of"),
        ("count(*) FILTER (WHERE listener = 'bob')", "`listener` says whom an event is of"),
        ("count(*) FILTER (WHERE listener = title)", "`listener` says whom an event is of"),
        ("count(DISTINCT substr(listener, 1, 2))", "`listener` says whom an event is of"),
        ("count(DISTINCT city)", "`city` is personal"),
        ("count(*) FILTER (WHERE city IS NULL)", "`city` is personal"),
    ] {
        let text =
            format!("-- One row per title. Kept for ever.\nSELECT title, {expression} AS y FROM plays GROUP BY title");
        put(at, "model/titles.sql", &text);
        has(&says(at, 2, &["check"]), &["model/titles.sql:2:", why]);
    }
    for (key, good) in
        [("listener", "count(title)"), ("title", "count(listener)"), ("title", "count(DISTINCT listener)")]
    {
        let text = format!(
            "-- One row per {key}. Kept for ever.\nSELECT {key}, {good} AS y FROM plays WHERE listener IS NOT NULL GROUP BY {key} HAVING y > 1"
        );
        put(at, "model/titles.sql", &text);
        says(at, 0, &["check"]);
    }
    put(
        at,
        "model/titles.sql",
        "-- One row per listener. Kept for ever.\nSELECT listener, count(*) AS n FROM plays GROUP BY listener HAVING listener <> 'bob'",
    );
    has(&says(at, 2, &["check"]), &["model/titles.sql:2:", "`listener` says whom an event is of"]);
}

/// The names of the files in a folder, at any depth, that hold a text.
fn files_with(folder: &Path, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, what));
        } else if std::fs::read(&path).expect("a file").windows(what.len()).any(|part| part == what.as_bytes()) {
            found.push(path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned());
        }
    }
    found
}
