//! The program itself, as it is used.

use crate::support;
use crate::support::table;
use dataflows::table::TableId;
use deltamart::families::all;
use deltamart::sink::Sink;
use deltamart::sink::sqlite::Sqlite;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the program in a folder.
pub fn deltamart(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deltamart")).current_dir(folder).args(arguments).output().expect("runs")
}

/// Its exit code, and what it said.
pub fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// What is shipped.
pub fn data(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(path).to_string_lossy().into_owned()
}

#[test]
fn the_first_command_makes_tables_and_the_second_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = said(&deltamart(folder.path(), &["-w", "8", "--events", "5000", "--rate", "0"]));
    assert_eq!(code, Some(0), "{text}");
    for expected in ["by 8 workers", "user_registration_metrics", "show user_registration_metrics", "deltamart.db"] {
        assert!(text.contains(expected), "`{expected}` is missing:\n{text}");
    }
    let (code, text) =
        said(&deltamart(folder.path(), &["show", "user_registration_metrics", "--limit", "3", "--format", "table"]));
    assert!(code == Some(0) && text.contains("3 of ") && text.contains("sliding"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["show"]));
    assert!(code == Some(0) && text.contains("movies_catalog"), "{text}");
    let last = ["show", "session_metrics_by_minute", "--limit", "3", "--last", "--format", "table"];
    let (code, text) = said(&deltamart(folder.path(), &last));
    assert!(code == Some(0) && text.contains("3 of ") && text.contains("completed_sessions_count"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["show", "session_metrics_by_hour"]));
    assert!(code == Some(2) && text.contains("did you mean `session_metrics_by_minute`?"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["-w", "3", "--events", "5000", "--rate", "0"]));
    assert!(code == Some(0) && text.starts_with("nothing new: the simulated shop has ended"), "it goes on: {text}");
    assert!(!text.contains("what it says") && !text.contains("5,000 events"), "{text}");
    what_is_well_is_a_line_and_what_is_asked_for_is_open(folder.path());
    verify_agrees_until_a_row_is_changed(folder.path());
    let (code, text) = said(&deltamart(folder.path(), &["-w", "8"]));
    assert!(code == Some(2) && text.contains("another simulated shop was read before"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["batch", "--catalog", &data("Movies.txt")]));
    assert!(code == Some(2) && text.contains("made by `run`"), "{text}");
}

/// What was rejected goes through again, once, after whatever was wrong is corrected.
#[test]
fn rejected_lines_are_replayed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let register = |user_id: u32, language: &str| {
        format!(
            r#"{{"event_name":"consumer_registration","timestamp":"2026-01-05T09:58:12Z","user_id":{user_id},"age":34,"masked_email":"****@mail.example","preferred_language":"{language}"}}"#
        )
    };
    let lines = [
        register(1, "eng"),
        register(2, "fra"),
        "nonsense".to_owned(),
        register(3, "fra"),
        "jane@mail.example".to_owned(),
    ];
    std::fs::write(folder.path().join("events.jsonl"), lines.join("\n") + "\n").expect("written");
    let replay = |out: &str| {
        let arguments = ["replay-rejected", "--reason", "unknown_language", "--out", out];
        said(&deltamart(folder.path(), &arguments))
    };
    assert_eq!(said(&deltamart(folder.path(), &["run", "events.jsonl"])).0, Some(0));
    let wider = r#"rules.preferred_language=["eng", "geo", "fra"]"#;
    let (code, text) = said(&deltamart(folder.path(), &["run", "events.jsonl", "--set", wider]));
    assert!(code == Some(0) && text.contains("2 of the rejected records would pass now"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["replay-rejected", "--dry-run", "--set", wider]));
    let row = |text: &str| text.lines().any(|line| line.split_whitespace().eq(["unknown_language", "2", "2"]));
    assert!(code == Some(0) && row(&text) && text.contains("nothing was sent"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["replay-rejected"]));
    assert!(code == Some(2) && text.contains("no destination"), "{text}");
    let (code, text) = replay("again.jsonl");
    assert!(
        code == Some(0)
            && text.contains("2 lines were written to `again.jsonl`")
            && text.contains("is rejected again")
            && !text.contains("topics"),
        "{text}"
    );
    let again = std::fs::read_to_string(folder.path().join("again.jsonl")).expect("written");
    assert_eq!(again, [&lines[1], "\n", &lines[3], "\n"].concat());
    let (code, text) =
        said(&deltamart(folder.path(), &["replay-rejected", "--reason", "unknown_langauge", "--dry-run"]));
    assert!(
        code == Some(2) && text.contains("there is no reason `unknown_langauge`; did you mean `unknown_language`?")
    );
    let (code, text) = replay("again.jsonl");
    assert!(code == Some(1) && text.contains("must not exist yet"), "{text}");
    let (code, text) = replay("third.jsonl");
    assert!(
        code == Some(0) && text.contains("0 lines were written to `third.jsonl`\n") && !text.contains("late by now"),
        "each goes through once: {text}"
    );
    let left = ["replay-rejected", "--out", "fourth.jsonl"];
    let (code, text) = said(&deltamart(folder.path(), &left));
    let expected =
        ["1 line was written to `fourth.jsonl`", "1 record is left: not kept as it came", "events.jsonl/0 at 5"];
    assert!(code == Some(0) && expected.iter().all(|expected| text.contains(expected)), "{text}");
    assert_eq!(std::fs::read_to_string(folder.path().join("fourth.jsonl")).expect("written"), "nonsense\n");
    let mended = ["run", "events.jsonl", "again.jsonl", "--set", wider];
    let (code, text) = said(&deltamart(folder.path(), &mended));
    assert!(code == Some(0) && text.starts_with("2 records"), "{text}");
    let users = Sqlite::open_to_read(all(), &folder.path().join("deltamart.db")).expect("opens");
    assert_eq!(users.count(crate::support::table("users").table()).expect("counted"), Some(3));
    assert_eq!(said(&deltamart(folder.path(), &["verify"])).0, Some(0));
}

/// What was changed in the meaning of tables is computed again, beside the warehouse, and published whole.
#[test]
fn a_changed_setting_has_its_tables_computed_again_and_a_rebuild_finds_nothing_to_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = data("events/first_day.jsonl");
    let run = |warehouse: &str, more: &[&str]| {
        let arguments = ["run", &events, "--catalog", &data("Movies.txt"), "--warehouse", warehouse];
        said(&deltamart(folder.path(), &[&arguments, more].concat()))
    };
    let changed = ["--set", "session_timeout=1h", "--set", "segments.new_within=1h"];
    assert_eq!(run("a.db", &[]).0, Some(0));
    let (code, text) = run("a.db", &changed);
    for expected in ["\nsession_metrics: ", "\nuser_segments: ", " computed of ", "nothing new"] {
        assert!(code == Some(0) && text.contains(expected), "`{expected}` is missing:\n{text}");
    }
    for other in ["\nusers: ", "\nmovie_statistics: "] {
        assert!(!text.contains(other), "it has nothing to do with them: {text}");
    }
    let (code, text) = run("a.db", &changed);
    assert!(code == Some(0) && text.starts_with("nothing new"), "it goes on from there: {text}");
    assert_eq!(run("b.db", &changed).0, Some(0));
    support::assert_same(&folder.path().join("a.db"), &folder.path().join("b.db"));
    let (code, text) = run("a.db", &[&changed[..], &["--rebuild"]].concat());
    assert!(code == Some(0) && text.contains("\n0 rows upserted"), "{text}");
    // How late something may be decides for all of them what was counted: nothing is computed again of that.
    let (code, text) = run("a.db", &["--set", "lateness=12h"]);
    for expected in ["`lateness` (was 2days, is 12h)", "--rebuild"] {
        assert!(code == Some(2) && text.contains(expected), "`{expected}` is missing:\n{text}");
    }
    support::assert_same(&folder.path().join("a.db"), &folder.path().join("b.db"));
    // A warehouse that has lost its state, and one whose state has lost its warehouse.
    std::fs::rename(folder.path().join("a.db.state"), folder.path().join("elsewhere")).expect("moves");
    let (code, text) = run("a.db", &changed);
    assert!(code == Some(2) && text.contains("there is no state in `a.db.state`"), "{text}");
    let (code, text) = run("a.db", &[&changed[..], &["--rebuild"]].concat());
    assert!(code == Some(0) && text.contains("0 rows upserted, 0 deleted"), "{text}");
    std::fs::remove_file(folder.path().join("b.db")).expect("removes");
    let (code, text) = run("b.db", &changed);
    // As long as the journal reaches back to the beginning, it is read again from there.
    assert!(code == Some(0) || code == Some(2) && text.contains("not kept any more"), "{text}");
    assert_eq!(run("b.db", &[&changed[..], &["--rebuild"]].concat()).0, Some(0));
    support::assert_same(&folder.path().join("a.db"), &folder.path().join("b.db"));
}

/// What was removed is not taken for what never was; with everything computed again, nothing is missing.
#[test]
fn what_retention_removed_is_said_and_verified_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = ["simulate", "--out", "shop", "--items", "50", "--events", "4000", "--days", "9"];
    assert_eq!(said(&deltamart(folder.path(), &shop)).0, Some(0));
    let events = std::fs::read_to_string(folder.path().join("shop/events.jsonl")).expect("readable");
    let lines: Vec<_> = events.lines().collect();
    let (first, second) = lines.split_at(lines.len() * 9 / 10);
    std::fs::write(folder.path().join("first.jsonl"), first.join("\n") + "\n").expect("written");
    std::fs::write(folder.path().join("second.jsonl"), second.join("\n") + "\n").expect("written");
    let run = |files: &[&str], more: &[&str]| {
        let (code, text) =
            said(&deltamart(folder.path(), &[&["run"], files, &["--catalog", "shop/Movies.txt"], more].concat()));
        assert_eq!(code, Some(0), "{text}");
        text
    };
    let count = |table: TableId| {
        let sink = Sqlite::open_to_read(all(), &folder.path().join("deltamart.db")).expect("opens");
        sink.count(table.table()).expect("counted").expect("there")
    };
    // Nothing is as old as that.
    run(&["first.jsonl"], &["--set", "retention.raw=30d"]);
    let (code, text) = said(&deltamart(folder.path(), &["verify"]));
    assert_eq!(code, Some(0), "{text}");
    let (views, rejected) = (count(table("item_view_events")), count(table("rejected_events")));
    let both = ["first.jsonl", "second.jsonl"];
    run(&both, &["--set", "retention.raw=2d"]);
    assert!(count(table("item_view_events")) < views / 2 && count(table("rejected_events")) >= rejected);
    let (code, text) = said(&deltamart(folder.path(), &["verify"]));
    for expected in ["cannot be verified", "`item_view_events` before 20", "--set retention.raw=keep", "--rebuild"] {
        assert!(code == Some(2) && text.contains(expected), "`{expected}` is missing:\n{text}");
    }
    assert!(!text.contains("rejected_events") && !text.contains("catalog_events"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["replay-rejected", "--out", "again.jsonl"]));
    assert!(code == Some(0) && text.contains(" written to `again.jsonl`"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["check", "--all", "--set", "retention.late=1h"]));
    let retention = text.split("[retention]\n").nth(1).expect("its section");
    assert!(code == Some(0) && retention.contains("raw = \"keep\"  # default"), "{text}");
    assert!(retention.contains("late = \"1h\"  # --set"), "{text}");
    // While it is computed again nothing goes; the next run begins to remove again.
    run(&both, &["--set", "retention.raw=2d", "--rebuild"]);
    assert!(count(table("item_view_events")) > views);
    let (code, text) = said(&deltamart(folder.path(), &["verify"]));
    assert_eq!(code, Some(0), "{text}");
}

fn what_is_well_is_a_line_and_what_is_asked_for_is_open(folder: &Path) {
    let lines = |more: &[&str]| {
        let (code, text) = said(&deltamart(folder, &[&["status"], more].concat()));
        assert_eq!(code, Some(0), "{text}");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let folded = lines(&[]);
    assert!(folded.iter().all(|line| line.chars().count() <= 80), "{folded:#?}");
    let subjects: Vec<_> = folded.iter().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    let expected =
        ["status", "pipeline", "run", "sources", "watermark", "sinks", "quality", "state", "memory", "workers"];
    assert_eq!(subjects, [&expected[..], &["one", "everything:"]].concat(), "{folded:#?}");
    let (sinks, state) = (lines(&["sinks"]), lines(&["state"]));
    let has = |lines: &[String], expected: &str| {
        assert!(lines.iter().any(|line| line.contains(expected)), "`{expected}` is missing: {lines:#?}");
    };
    for expected in ["all is well", "start 2", "ended normally", "a restart reads nothing again"] {
        has(&folded, expected);
    }
    has(&sinks, "           `deltamart.db`: epoch ");
    has(&state, "           snapshot of epoch ");
    assert_eq!((sinks.len(), state.len()), (folded.len() + 1, folded.len() + 3), "{sinks:#?} {state:#?}");
    let all = lines(&["--all"]);
    for expected in [": next offset ", "snapshot of epoch ", "/users/profiles: "] {
        has(&all, expected);
    }
}

/// What was made equals its SQL over the stored raw events, and `verify` would notice if it did not.
fn verify_agrees_until_a_row_is_changed(folder: &Path) {
    let (code, text) = said(&deltamart(folder, &["verify"]));
    assert!(
        code == Some(0)
            && text.matches(", 0 differ").count() == all().metrics().len()
            && !text.contains("users: 0 rows"),
        "{text}"
    );
    let change = "UPDATE users SET age = age + 1 WHERE user_id = (SELECT MIN(user_id) FROM users);
        DELETE FROM movies_catalog WHERE item_id = '7';
        INSERT INTO checkout_metrics VALUES ('tumbling', '2020-01-01T00:00:00.000Z', '2020-01-01T01:00:00.000Z', 1, 1, 2, '');";
    rusqlite::Connection::open(folder.join("deltamart.db")).and_then(|db| db.execute_batch(change)).expect("changes");
    let (code, text) = said(&deltamart(folder, &["verify"]));
    assert_eq!(code, Some(1), "{text}");
    for expected in ["rows, 1 differ", "should be: 7 |", "should not be: tumbling | 2020", "3 rows of"] {
        assert!(text.contains(expected), "`{expected}` is missing:\n{text}");
    }
}

#[test]
fn the_same_events_give_the_same_tables_live_and_in_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop =
        ["simulate", "--out", "shop", "--items", "50", "--events", "8000", "--set", "simulate.too_late_permille=0.0"];
    let (code, text) = said(&deltamart(folder.path(), &shop));
    assert_eq!(code, Some(0), "{text}");
    let given = ["shop/events.jsonl", "--catalog", "shop/Movies.txt"];
    let run = |first: &[&str], warehouse: &str| {
        let arguments = [first, &given, &["--warehouse", warehouse]].concat();
        let (code, text) = said(&deltamart(folder.path(), &arguments));
        assert_eq!(code, Some(0), "{text}");
        text
    };
    let once = |warehouse: &str, sql: &str| -> String {
        let sink = Sqlite::open_to_read(all(), &folder.path().join(warehouse)).expect("opens");
        sink.connection().query_row(sql, [], |row| row.get(0)).expect("one value")
    };
    run(&["batch", "-w", "3"], "batch.db");
    run(&["run", "-w", "2", "--set", "epoch_events=500"], "run.db");
    let windows = "SELECT group_concat(window_type || timestamp || registration_count) FROM (SELECT * FROM user_registration_metrics ORDER BY 1, 2)";
    let users =
        "SELECT group_concat(user_id || registered_at || age || masked_email) FROM (SELECT * FROM users ORDER BY 1)";
    for sql in [windows, users] {
        assert_eq!(once("batch.db", sql), once("run.db", sql));
    }
    // Again: nothing differs. Without one event: its rows do.
    assert!(run(&["batch"], "batch.db").contains("0 rows upserted, 0 deleted, 0 added"));
    let epoch = once("batch.db", "SELECT CAST(MAX(_epoch) AS TEXT) FROM consumer_events");
    let events = std::fs::read_to_string(folder.path().join("shop/events.jsonl")).expect("readable");
    let fewer: String =
        events.lines().filter(|line| !line.contains("\"user_id\":271829,")).map(|line| format!("{line}\n")).collect();
    assert!(fewer.len() < events.len());
    std::fs::write(folder.path().join("shop/events.jsonl"), fewer).expect("writable");
    run(&["batch"], "batch.db");
    assert_eq!(once("batch.db", "SELECT CAST(COUNT(*) AS TEXT) FROM users WHERE user_id = 271829"), "0");
    assert_ne!(once("batch.db", "SELECT CAST(MAX(_epoch) AS TEXT) FROM consumer_events"), epoch);
    let left = std::fs::read_dir(folder.path()).expect("readable").map(|entry| entry.expect("entry").file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("rebuild")), "something was left beside");
    // Lateness is not for batches; `catalog` alone would remove the events.
    assert_eq!(once("batch.db", "SELECT CAST(COUNT(*) AS TEXT) FROM late_events"), "0");
    let (code, text) = said(&deltamart(folder.path(), &["catalog", "shop/Movies.txt", "--warehouse", "batch.db"]));
    assert!(code == Some(2) && text.contains("would remove them"), "{text}");
}

#[test]
fn the_shipped_events_make_the_shipped_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) =
        said(&deltamart(folder.path(), &["run", &data("events/first_day.jsonl"), "--warehouse", "d.db"]));
    assert_eq!(code, Some(0), "{text}");
    let sink = Sqlite::open_to_read(all(), &folder.path().join("d.db")).expect("opens");
    for (table, columns) in [
        ("user_registration_metrics", "window_type, timestamp, window_end, registration_count, is_final"),
        ("checkout_metrics", "window_type, timestamp, window_end, checkout_user_count, is_final"),
        ("active_sessions", "user_id, signed_in_at"),
        ("movie_sale_lines", "cart_id, movie_id, added_at, user_id, sold_at, coalesce(purchase_amount, 'unpriced')"),
        ("movie_sales_metrics", "movie_id, window_type, timestamp, total_sales, units_sold, unpriced_units"),
        ("movie_statistics", "movie_id, views, adds, units_sold, ratings, coalesce(average_rating, 'none')"),
        ("user_activity", "user_id, views, adds, checkouts, units, spend, sessions, first_seen, last_seen"),
        ("user_segments", "user_id, segment, since"),
        ("users", "user_id, registered_at, age, masked_email, preferred_language"),
        ("rejected_events", "_topic, _offset, reason"),
        ("late_events", "_topic, _offset, timestamp"),
    ] {
        let mut found = format!(
            "{}\n",
            columns.replace(", ", ",").replace("coalesce(", "").replace(",'unpriced')", "").replace(",'none')", "")
        );
        let line = format!(
            "SELECT {} FROM {table} ORDER BY {columns}",
            columns.replace(", '", ",'").replace(", ", " || ',' || ")
        );
        let mut statement = sink.connection().prepare(&line).expect("prepares");
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("reads");
        rows.for_each(|row| found.push_str(&format!("{}\n", row.expect("a row"))));
        let path = data(&format!("expected/{table}.csv"));
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&path, &found).expect("writable");
        }
        assert_eq!(found, std::fs::read_to_string(&path).expect("expected"), "{table}");
    }
}

#[test]
fn of_two_batches_at_once_one_wins_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) =
        said(&deltamart(folder.path(), &["simulate", "--out", "shop", "--items", "50", "--events", "20000"]));
    assert_eq!(code, Some(0), "{text}");
    let batch = ["batch", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", "b.db"];
    let (code, text) = said(&deltamart(folder.path(), &batch));
    assert_eq!(code, Some(0), "{text}");
    let all = || -> Vec<i64> {
        let sink = Sqlite::open_to_read(all(), &folder.path().join("b.db")).expect("opens");
        all().tables().iter().map(|id| sink.count(id.table()).expect("counts").unwrap_or(0) as i64).collect()
    };
    let before = all();
    let spawn = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        let quiet = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        quiet.current_dir(folder.path()).args(batch).spawn().expect("starts")
    };
    let mut both = [spawn(), spawn()];
    let codes = both.each_mut().map(|child| child.wait().expect("ends").code());
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert_eq!(all(), before);
    // And into a warehouse that nobody has made yet: a run that ends well has made all of it.
    std::fs::remove_file(folder.path().join("b.db")).expect("removes");
    let mut both = [spawn(), spawn()];
    let codes = both.each_mut().map(|child| child.wait().expect("ends").code());
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert_eq!(all(), before);
    let (code, text) = said(&deltamart(folder.path(), &["verify", "--warehouse", "b.db"]));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn files_of_one_name_in_two_folders_are_two_files() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, item) in [("a", 1), ("b", 2)] {
        std::fs::create_dir(folder.path().join(place)).expect("makes it");
        let block = format!("ITEM {item}\nListPrice=899USD$8.99\nTitle=T\n");
        std::fs::write(folder.path().join(place).join("M.txt"), block).expect("writes");
    }
    let batch = ["batch", "--catalog", "a/M.txt", "--catalog", "b/M.txt", "--warehouse", "m.db"];
    let (code, text) = said(&deltamart(folder.path(), &batch));
    assert_eq!(code, Some(0), "{text}");
    let mut sink = Sqlite::open_to_read(all(), &folder.path().join("m.db")).expect("opens");
    assert_eq!(sink.count(crate::support::table("catalog_events").table()).expect("counts"), Some(2));
    let positions = sink.position().expect("reads").expect("claimed").positions;
    assert_eq!(positions.keys().collect::<Vec<_>>(), ["a/M.txt/0", "b/M.txt/0"]);
    let (code, text) = said(&deltamart(folder.path(), &["batch", "--catalog", "a/M.txt", "--catalog", "./a/M.txt"]));
    assert!(code == Some(1) && text.contains("given twice"), "{text}");
}

#[test]
fn catalog_loads_a_catalog() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = || said(&deltamart(folder.path(), &["catalog", &data("Movies.txt"), "--as-of", "2026-01-01"]));
    let (code, text) = load();
    assert!(code == Some(0) && text.contains("296 rows upserted"), "{text}");
    assert!(load().1.contains("0 rows upserted, 0 deleted"));
}

/// A catalog takes the place of the one before: a file that somebody has only begun to write would empty it.
#[test]
fn a_catalog_without_an_item_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let load = |arguments: &[&str]| said(&deltamart(folder, &[&["catalog"], arguments].concat()));
    std::fs::write(folder.join("items.txt"), "ITEM 1\nTitle=One\nListPrice=$1.00\n").expect("writes");
    std::fs::write(folder.join("empty.txt"), "").expect("writes");
    std::fs::write(folder.join("blank.txt"), "\n \n\n").expect("writes");
    let (code, text) = load(&["items.txt", "--as-of", "2026-01-01"]);
    assert!(code == Some(0) && text.contains("1 row upserted, 0 deleted"), "{code:?} {text}");
    for empty in ["empty.txt", "blank.txt"] {
        // To Kafka too, before anything is sent.
        let commands: [&[&str]; 4] = [
            &["catalog", empty],
            &["batch", "--catalog", empty],
            &["run", &data("events/first_day.jsonl"), "--catalog", empty, "--warehouse", "run.db"],
            &["catalog", empty, "--brokers", "127.0.0.1:1"],
        ];
        for command in commands {
            let (code, text) = said(&deltamart(folder, command));
            let told = format!("there is no item in `{empty}`, and so it is not read");
            assert!(code == Some(3) && text.contains(&told) && text.contains("--accept-rejects"), "{code:?} {text}");
        }
    }
    let (code, text) = load(&["items.txt", "--as-of", "2026-01-01"]);
    assert!(code == Some(0) && text.contains("0 rows upserted, 0 deleted"), "{code:?} {text}");
    let (code, text) = load(&["empty.txt", "--accept-rejects"]);
    assert!(code == Some(0) && text.contains("2 deleted"), "{code:?} {text}");
}

#[test]
fn what_is_wrong_is_said_and_costs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("bad.toml"), "latenes = \"1h\"\n").expect("writes");
    rusqlite::Connection::open(folder.path().join("foreign.db"))
        .and_then(|foreign| foreign.execute_batch("CREATE TABLE users (a)"))
        .expect("makes it");
    let foreign = std::fs::read(folder.path().join("foreign.db")).expect("readable");
    std::fs::write(folder.path().join("no.db"), "this is no database, it is text and more text").expect("writes");
    for (arguments, code, expected) in [
        (
            &["--config", "bad.toml", "check"][..],
            2,
            "bad.toml, line 1: unknown setting `latenes`; did you mean `lateness`?",
        ),
        (&["--config", "none.toml", "check"], 2, "`none.toml` does not exist"),
        (&["--set", "lateness=soon", "check"], 2, "`lateness`: is not a duration"),
        (&["-w", "0"], 2, "expected 1 to 1024"),
        (&["show", "nothing"], 2, "there is no table `nothing`"),
        (&["show"], 1, "`deltamart.db` does not exist"),
        (&["batch"], 2, "nothing to compute from"),
        (&["batch", "none.jsonl"], 1, "could not open file `none.jsonl`"),
        (&["batch", "."], 2, "folder `.` has no file whose name ends with"),
        (&["batch", "/dev/null", "--catalog", "x"], 1, "no regular file"),
        (&["run", "x", "--rate", "5"], 2, "belong to the simulated shop"),
        (&["--warehouse", "no.db", "--events", "10"], 1, "`no.db`"),
        (&["--warehouse", "foreign.db", "--events", "10"], 1, "tables of something else"),
        (&["--warehouse", "none/x.db", "--events", "10"], 2, "folder `none` does not exist"),
        (&["--start", "someday"], 2, "expected an instant"),
        (&["dance"], 2, "there is no command `dance`"),
    ] {
        let (found, text) = said(&deltamart(folder.path(), arguments));
        assert!(found == Some(code) && text.contains(expected), "{arguments:?}: exit {found:?}\n{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    assert_eq!(std::fs::read(folder.path().join("foreign.db")).expect("readable"), foreign, "it was changed");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("readable").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(left.len(), 3, "something was made: {left:?}");
}

#[test]
fn check_and_schema_show_what_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = said(&deltamart(folder.path(), &["check", "--set", "lateness=24h"]));
    assert!(code == Some(0) && text.contains("lateness = \"1day\"") && text.contains("good"), "{text}");
    let (code, text) = said(&deltamart(folder.path(), &["schema"]));
    assert_eq!(code, Some(0));
    let memory = rusqlite::Connection::open_in_memory().expect("SQLite");
    memory.execute_batch(&text).expect("the schema is SQL");
    let tables: i64 = memory.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0)).expect("counts");
    assert_eq!(tables as usize, all().tables().len() + 2, "`_progress`, and the view");
    let (code, text) = said(&deltamart(folder.path(), &["schema", "--for", "snowflake"]));
    assert_eq!(code, Some(0));
    for expected in [
        r#"CREATE TABLE IF NOT EXISTS "DELTAMART"."MARTS"."SESSION_METRICS" ("#,
        r#""PURCHASE_AMOUNT" NUMBER(18,2) COMMENT 'Amount of the line, in dollars"#,
        r#"GRANT SELECT ON FUTURE TABLES IN SCHEMA "DELTAMART"."MARTS" TO ROLE "DELTAMART_READER";"#,
        r#"PRIMARY KEY ("_TOPIC", "_PARTITION", "_OFFSET")"#,
        r#"CREATE VIEW IF NOT EXISTS "DELTAMART"."MARTS"."SESSION_METRICS_BY_MINUTE" COMMENT = 'One row per minute"#,
        r#"GRANT SELECT ON FUTURE VIEWS IN SCHEMA "DELTAMART"."MARTS" TO ROLE "DELTAMART_READER";"#,
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// SIGTERM ends the epoch, commits, and exits well; a reader sees whole commits all the while.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_deltamart"))
        .current_dir(folder.path())
        .args(["-w", "2", "--events", "100000000", "--rate", "3000", "--set", "commit_interval=20ms"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let warehouse = folder.path().join("deltamart.db");
    let (mut last, mut commits) = (0, 0);
    while commits < 10 {
        assert!(child.try_wait().expect("asks").is_none(), "the run ended by itself");
        let Ok(sink) = Sqlite::open_to_read(all(), &warehouse) else { continue };
        // One read transaction sees one commit: no row is newer than the progress.
        let sql = "SELECT (SELECT epoch FROM _progress), (SELECT COALESCE(MAX(_epoch), 0) FROM item_view_events)";
        let Ok((progress, newest)) =
            sink.connection().query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        else {
            continue;
        };
        assert!(progress >= last && newest <= progress);
        commits += i32::from(progress > last);
        last = progress;
    }
    let killed = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().expect("sh");
    assert!(killed.success());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("rows upserted"));
    let progress = Sqlite::open_to_read(all(), &warehouse).expect("opens").position().expect("reads").expect("claimed");
    assert!(progress.epoch as i64 >= last && progress.epoch.is_multiple_of(2));
}

#[test]
fn a_batch_does_not_remove_what_it_does_not_compute() {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = ["batch", &data("events/first_day.jsonl"), "--warehouse", "b.db"];
    let run = |more: &[&str]| said(&deltamart(folder.path(), &[&batch, more].concat()));
    assert_eq!(run(&[]).0, Some(0));
    for (more, setting) in [(["--set", "tables=users"], "tables"), (["--raw", "off"], "raw")] {
        let (code, text) = run(&more);
        assert!(code == Some(2) && text.contains(&format!("setting `{setting}`")), "{text}");
    }
    assert!(run(&[]).1.contains("0 rows upserted, 0 deleted"));
}

#[test]
fn tables_in_memory_are_for_a_run_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_memory =
        |command: &[&str]| said(&deltamart(folder.path(), &[command, &["--warehouse", ":memory:"]].concat()));
    let (code, text) = in_memory(&["run", &data("events/first_day.jsonl")]);
    assert!(code == Some(0) && text.contains("nothing was kept") && text.contains("movie_sale_lines"), "{text}");
    for command in [&["show"][..], &["verify"], &["batch", &data("events/first_day.jsonl")]] {
        let (code, text) = in_memory(command);
        assert!(code == Some(2) && text.contains("gone when its run ends"), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
