//! The models that come with the program, from any folder.

/// The events of a store that there are in the world.
pub mod real;
/// Events that are made.
mod simulated;
/// Views for analysts.
mod views;

use crate::cli::{deltamart, said};
use crate::model::{has, put, says};
use deltamart::model::shipped::SHIPPED;

#[test]
fn every_shipped_model_passes_its_cases_from_any_folder() {
    for shipped in SHIPPED {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let count = |ending: &str| shipped.files.iter().filter(|(file, _)| file.ends_with(ending)).count();
        let metrics = shipped.files.iter().filter(|(file, _)| file.ends_with(".sql") && !file.contains('/'));
        let metrics: Vec<_> = metrics.filter_map(|(file, _)| file.strip_suffix(".sql")).collect();
        let checked = says(at, 0, &["check", "--model", shipped.name]);
        has(&checked, &[&format!("# model `{}`: 1 family of events, {} metrics", shipped.name, metrics.len())]);
        let cases = count(".case");
        has(&says(at, 0, &["test", "--model", shipped.name]), &[&format!("{cases} cases: each gave what it says")]);
        for metric in &metrics {
            assert!(shipped.files.iter().any(|(file, _)| *file == format!("{metric}.case")), "`{metric}` has no case");
            has(&says(at, 0, &["explain", metric, "--model", shipped.name]), &["reads ", "key "]);
            // DuckDB runs a text as it stands, and has no sessions.
            let of_sessions = ["visits", "category_visits", "daily_funnel", "funnel_metrics"].contains(metric);
            let (code, what) = if of_sessions { (2, "take `--sql sqlite`") } else { (0, "SELECT") };
            has(&says(at, code, &["explain", metric, "--sql", "duckdb", "--model", shipped.name]), &[what]);
            has(&says(at, 0, &["explain", metric, "--sql", "snowflake", "--model", shipped.name]), &["SELECT"]);
        }
        has(&says(at, 2, &["test", "--model", shipped.name, "--update"]), &["init --model"]);
        // The setting is the same as the flag.
        put(at, "deltamart.toml", &format!("model = \"{}\"\n", shipped.name));
        has(&says(at, 0, &["test"]), &[&format!("{cases} cases")]);
    }
}

#[test]
fn a_copy_of_a_shipped_model_is_a_model() {
    for shipped in SHIPPED {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        says(at, 0, &["init", "--model", shipped.name]);
        for (file, text) in shipped.files {
            assert_eq!(std::fs::read_to_string(at.join("model").join(file)).expect(file), *text);
        }
        assert!(at.join("model/duckdb.sql").exists());
        has(&says(at, 0, &["test"]), &["each gave what it says"]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = says(folder.path(), 2, &["init", "--model", "shop"]);
    has(&text, &["no model of this name comes with deltamart; there are `media` and `store`"]);
    assert!(!folder.path().join("deltamart.toml").exists(), "nothing is written");
}

#[test]
fn a_folder_that_is_called_like_a_shipped_model_is_refused_if_it_has_one_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::create_dir(at.join("store")).expect("makes it");
    put(at, "store/store_events.jsonl", "");
    says(at, 0, &["check", "--model", "store"]);
    let plays = "doc = \"One row per play.\"\ntime = \"at_time\"\nperson = \"none\"\n[columns]\n\
                 at_time = { type = \"instant\", doc = \"When.\" }\n";
    put(at, "store/plays.toml", plays);
    let text = says(at, 2, &["check", "--model", "store"]);
    has(&text, &["For the folder write `./store`; for the one that comes with deltamart, rename the folder"]);
    has(&says(at, 0, &["check", "--model", "./store"]), &["#   plays: topics plays"]);
    let text = says(at, 2, &["check", "--model", "stores"]);
    has(&text, &["there is no folder `stores`; the models that come with deltamart are `media` and `store`"]);
}

#[test]
fn a_metric_is_tried_over_the_events_of_a_shipped_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    put(
        at,
        "views.sql",
        "-- One row per day: views.\nSELECT date_trunc('day', event_time) AS day, count(*) AS views\n\
                          FROM store_events WHERE event_type = 'view' GROUP BY day\n",
    );
    put(at, "events.jsonl", &crate::model::event(601, "view", 7, "19.99", 1));
    let (code, text) = said(&deltamart(at, &["try", "views.sql", "events.jsonl", "--model", "store"]));
    assert_eq!(code, Some(0), "{text}");
    has(&text, &["views: 1 rows, 0 differ", "have a copy of the model", "init --model store"]);
}

/// In Snowflake a declared family lies in the schemas of the others, ordered by the time that a key begins with.
#[test]
fn snowflake_has_declared_tables_in_its_schemas_with_clustering_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = says(folder.path(), 0, &["schema", "--for", "snowflake", "--model", "store"]);
    let statement = |table: &str| {
        let at = setup.find(&format!("\"{table}\" (")).unwrap_or_else(|| panic!("`{table}` is missing"));
        let begins = setup[..at].rfind("CREATE TABLE").expect("a statement");
        setup[begins..].split(';').next().expect("a statement")
    };
    for (table, schema, key) in [
        ("STORE_EVENTS", "RAW", None),
        ("DAILY_REVENUE", "MARTS", Some("DAY")),
        ("HOURLY_ACTIVITY", "MARTS", Some("HOUR")),
        ("REVENUE_BY_BRAND", "MARTS", Some("DAY")),
        ("PRODUCT_SALES", "MARTS", None),
        ("CUSTOMER_LIFETIME_VALUE", "MARTS", None),
    ] {
        let statement = statement(table);
        has(statement, &[&format!("\"{schema}\".\"{table}\"")]);
        let cluster = key.map(|key| format!("CLUSTER BY (TO_DATE(\"{key}\"))"));
        assert_eq!(statement.contains("CLUSTER BY"), key.is_some(), "{statement}");
        cluster.iter().for_each(|cluster| has(statement, &[cluster]));
    }
}
