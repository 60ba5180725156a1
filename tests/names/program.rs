use crate::cli::{deltamart, said};
use crate::support::stored;
use std::path::Path;

const TOML: &str = r#"
[events.sign_in]
name = "login"
fields = { user_id = "uid", event_name = "type", timestamp = "ts" }

[events.item_view]
fields = { item_id = "product.sku" }

[events.consumer_registration.fields]
masked_email = "mail"
user_id = "account"
"#;

fn folder(toml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("deltamart.toml"), toml).expect("writes");
    folder
}

fn good(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = said(&deltamart(folder, arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

/// The simulated shop writes files in the names that are configured; what is read of them is what it would be in ours.
#[test]
fn files_in_other_names_make_the_same_warehouse() {
    let (ours, theirs) = (folder(""), folder(TOML));
    for folder in [&ours, &theirs] {
        good(folder.path(), &["simulate", "--out", ".", "--events", "3000", "--items", "40"]);
        // As of when the catalog is, is found in the events, wherever they have their time.
        good(folder.path(), &["run", "events.jsonl", "--catalog", "Movies.txt"]);
        good(folder.path(), &["verify"]);
        good(folder.path(), &["batch", "events.jsonl", "--catalog", "Movies.txt", "--warehouse", "batch.db"]);
    }
    let text = std::fs::read_to_string(theirs.path().join("events.jsonl")).expect("written");
    for said in [r#""type":"login""#, r#""product":{"sku":"#, r#""mail":"#] {
        assert!(text.contains(said) && !text.contains(r#""event_name":"sign_in""#), "{said}");
    }
    // What is kept as it came is in the names in which it came.
    let rows = |folder: &Path, name: &str| {
        let as_it_came = |row: &String| row.starts_with("rejected_events") || row.starts_with("late_events");
        let (kept, tables): (Vec<_>, Vec<_>) = stored(&folder.join(name)).into_iter().partition(as_it_came);
        (kept.len(), tables)
    };
    for name in ["deltamart.db", "batch.db"] {
        let (ours, theirs) = (rows(ours.path(), name), rows(theirs.path(), name));
        assert!(ours.1.len() > 5_000 && ours == theirs, "{name}: {} and {}", ours.1.len(), theirs.1.len());
    }
    // The simulated shop itself speaks as we do.
    let text = good(theirs.path(), &["-w", "2", "--events", "2000", "--rate", "0", "--warehouse", "simulated.db"]);
    assert!(!text.contains("unknown_event"), "{text}");
    let shown = good(theirs.path(), &["show", "session_metrics", "--warehouse", "simulated.db", "--limit", "1"]);
    assert!(!shown.trim().is_empty());
}

#[test]
fn check_and_schema_say_what_events_are_called() {
    let folder = folder(TOML);
    let text = good(folder.path(), &["check"]);
    for line in [
        "[events.sign_in]\n",
        "name = \"login\"  # deltamart.toml, line 3\n",
        "user_id = \"uid\"  # deltamart.toml, line 4\n",
        "item_id = \"product.sku\"  # deltamart.toml, line 7\n",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    let text = good(folder.path(), &["schema", "--events"]);
    for line in [
        "\nsign_in: topic `sign_in_topic`, key `user_id`, called `login`\n",
        "\n  uid (our `user_id`) ",
        "{\"ts\":\"2026-01-05T10:00:00Z\",\"type\":\"login\",\"uid\":1001}\n",
        "\nsign_out: topic `sign_out_topic`, key `user_id`\n",
        "\"product\":{\"sku\":\"7\"}",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('{')).collect();
    std::fs::write(folder.path().join("samples.jsonl"), lines.join("\n") + "\n").expect("writes");
    let text = good(folder.path(), &["run", "samples.jsonl"]);
    assert!(text.contains(&format!("{} records", lines.len())) && text.contains(" 0 rejected"), "{text}");
    // What a file needs is said in these names.
    std::fs::write(folder.path().join("ours.jsonl"), "{\"event_name\":\"sign_in\",\"user_id\":1}\n").expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["run", "ours.jsonl", "--warehouse", "other.db"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains(
            "An event needs `event_name` (one of `movies_catalog_enriched`, `consumer_registration`, `sign_out`,"
        ),
        "{text}"
    );
    assert!(text.contains("or `type` (one of `login`), `ts`, and the fields"), "{text}");
}

/// A record that is rejected is kept masked, and forgotten with its user, by what it calls its fields.
#[test]
fn what_is_rejected_is_masked_and_forgotten_by_its_own_names() {
    let folder = folder(TOML);
    let lines = [
        r#"{"event_name":"consumer_registration","timestamp":"2026-01-05T10:00:00Z","account":7,"age":3,"mail":"jane doe"}"#,
        r#"{"type":"login","ts":"never","uid":7}"#,
        r#"{"type":"login","ts":"never","uid":8}"#,
        r#"{"type":"login","ts":"2026-01-05T10:00:00Z","uid":7}"#,
    ];
    std::fs::write(folder.path().join("events.jsonl"), lines.join("\n") + "\n").expect("writes");
    good(folder.path(), &["run", "events.jsonl"]);
    let rejected = |text: &str| good(folder.path(), &["show", "rejected_events", "--format", "json"]).contains(text);
    assert!(rejected("`ts` is the text") && !rejected("jane doe"));
    let kept = || {
        let sql = "SELECT CAST(raw AS TEXT) FROM rejected_events ORDER BY _offset";
        good(folder.path(), &["sql", sql])
    };
    assert!(kept().contains("********") && kept().matches("login").count() == 2, "{}", kept());
    good(folder.path(), &["forget", "7"]);
    let left = kept();
    assert!(!left.contains("account") && left.matches("login").count() == 1 && left.contains('8'), "{left}");
}

/// A file is of the shop if its first record is, by the names that are configured, also where one family is declared.
#[test]
fn a_file_is_told_from_those_of_a_declared_family() {
    let folder = folder(TOML);
    std::fs::create_dir(folder.path().join("model")).expect("a folder");
    let family = |name: &str| {
        let text = "doc = \"A play.\"\ntime = \"begun\"\nperson = \"none\"\n[columns]\nbegun = { type = \"instant\", doc = \"When it was.\" }\n";
        std::fs::write(folder.path().join("model").join(name), text).expect("writes");
    };
    family("plays.toml");
    std::fs::write(
        folder.path().join("logins.jsonl"),
        "{\"type\":\"login\",\"ts\":\"2026-01-05T10:00:00Z\",\"uid\":1}\n",
    )
    .expect("writes");
    std::fs::write(folder.path().join("plays.jsonl"), "{\"begun\":\"2026-01-05T10:00:00Z\"}\n").expect("writes");
    good(folder.path(), &["run", "logins.jsonl", "plays.jsonl"]);
    for (table, name) in [("consumer_events", "sign_in"), ("plays", "plays.jsonl")] {
        let text = good(folder.path(), &["show", table, "--format", "json"]);
        assert!(text.contains(name), "{table}: {text}");
    }
    family("login.toml");
    let (code, text) = said(&deltamart(folder.path(), &["check"]));
    assert!(
        code == Some(2) && text.contains("`events.sign_in.name`: is `login`, and so are the events of `login.toml`"),
        "{text}"
    );
}

/// `once` is part of what tables mean: with another one the state of before is refused.
#[test]
fn what_counts_once_is_refused_where_it_did_not() {
    let folder = folder("");
    let view = r#"{"event_name":"item_view","timestamp":"2026-01-05T10:00:00Z","user_id":1,"item_id":"7"}"#;
    std::fs::write(folder.path().join("events.jsonl"), format!("{view}\n{view}\n")).expect("writes");
    let once = ["--set", "events.once=everything"];
    good(folder.path(), &["run", "events.jsonl"]);
    let (code, text) = said(&deltamart(folder.path(), &[&["run", "events.jsonl"][..], &once].concat()));
    assert!(code == Some(2) && text.contains("setting `events.once` (was none, is everything)"), "{text}");
    good(folder.path(), &[&["run", "events.jsonl", "--rebuild"][..], &once].concat());
    good(folder.path(), &[&["verify"][..], &once].concat());
    let (code, text) = said(&deltamart(folder.path(), &["verify"]));
    assert!(code == Some(1) && text.contains("movie_statistics: 1 rows, 1 differ from its SQL"), "{text}");
    let text = good(folder.path(), &["show", "movie_statistics", "--format", "json"]);
    assert!(text.contains(r#""views":1"#), "{text}");
}

/// Metrics that are declared in SQL over the shop's events count a repeated event once too: by all its columns, also those
/// that no SQL reads.
#[test]
fn what_counts_once_does_so_in_metrics_of_sql() {
    let folder = folder("[events]\nonce = \"everything\"\n");
    std::fs::create_dir(folder.path().join("model")).expect("a folder");
    let sql = |table: &str, name: &str| {
        let sql = format!(
            "-- One row per item. Kept for ever.\nSELECT coalesce(item_id, 'none') AS item, count(*) AS n FROM {table} WHERE item_id = '7' GROUP BY item\n"
        );
        std::fs::write(folder.path().join("model").join(name), sql).expect("writes");
    };
    sql("item_view_events", "looked_at.sql");
    sql("cart_events", "carried.sql");
    let event = |name: &str, minute: u64, rest: &str| {
        format!(
            r#"{{"event_name":"{name}","timestamp":"2026-01-05T10:{minute:02}:00Z","user_id":1,"item_id":"7"{rest}}}"#
        )
    };
    let cart = |n: u64| format!(r#","cart_id":"00000000-0000-0000-0000-00000000000{n}""#);
    let (view, add) = (event("item_view", 0, ""), event("added_to_cart", 1, &cart(1)));
    let first = [&view, &view, &add].map(String::as_str).join("\n") + "\n";
    let second = [view, add, event("item_view", 2, ""), event("added_to_cart", 1, &cart(2))].join("\n") + "\n";
    let run = |lines: &str| {
        std::fs::write(folder.path().join("events.jsonl"), lines).expect("writes");
        good(folder.path(), &["run", "events.jsonl"]);
        let text = good(folder.path(), &["verify"]);
        assert!(text.contains("looked_at: 1 rows, 0 differ") && text.contains("carried: 1 rows, 0 differ"), "{text}");
    };
    let counted = |times: usize| {
        for table in ["looked_at", "carried"] {
            let text = good(folder.path(), &["show", table, "--format", "json"]);
            assert!(text.contains(&format!(r#""n":{times},"#)), "{table}: {text}");
        }
    };
    run(&first);
    let all = first.clone() + &second;
    run(&all);
    counted(2);
    // The events of a user who was forgotten are nobody's: if they come again, they are another's.
    good(folder.path(), &["forget", "1"]);
    good(folder.path(), &["verify"]);
    run(&(all + &first));
    counted(3);
}
