//! A setting may change where no table that is kept has to do with it, and nowhere else: for every setting and every
//! table, either the start is refused, or what was computed before and after the change is what the SQL says.

use crate::cli::{deltamart, said};
use std::path::Path;
use std::process::Command;

/// Short times, so that state of every kind leaves within a day.
const SETTINGS: &str = include_str!("formats/start/files/deltamart.toml");

const TABLES: [&str; 7] = [
    r#"tables=["users"]"#,
    r#"tables=["active_sessions", "session_metrics"]"#,
    r#"tables=["user_registration_metrics", "checkout_metrics", "movies_catalog"]"#,
    r#"tables=["movie_sale_lines"]"#,
    r#"tables=["movie_statistics", "movie_sales_metrics"]"#,
    r#"tables=["user_activity"]"#,
    r#"tables=["user_segments"]"#,
];

/// Each setting that rows or state depend on, as something else than it was.
const CHANGED: [&str; 13] = [
    "lateness=3h",
    "catalog_lateness=2h",
    "session_timeout=5h",
    "cart_ttl=2h",
    "price_backfill=3h",
    "segments.high_value_cents=500",
    "segments.high_value_within=4h",
    "segments.abandoned_carts=1",
    "segments.abandoned_after=2h",
    "segments.frequent_views=4",
    "segments.frequent_within=3h",
    "segments.new_within=2h",
    "segments.inactive_after=4h",
];

fn copy(folder: &Path, from: &str, to: &str) {
    for part in ["", ".state"] {
        let (from, to) = (format!("{from}{part}"), format!("{to}{part}"));
        assert!(Command::new("cp").current_dir(folder).args(["-r", &from, &to]).status().expect("starts").success());
    }
}

#[test]
fn a_changed_setting_is_refused_or_changes_nothing_that_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("deltamart.toml"), SETTINGS).expect("written");
    let simulate = ["simulate", "--out", "shop", "--items", "12", "--events", "900", "--start", "2026-01-05T00:00:00Z"];
    let disorder = ["--days", "1", "--set", "simulate.too_late_permille=20"];
    assert!(deltamart(folder, &[&simulate[..], &disorder[..]].concat()).status.success());
    let text = std::fs::read_to_string(folder.join("shop/events.jsonl")).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let read = |lines: &[&str]| std::fs::write(folder.join("events.jsonl"), lines.join("\n") + "\n").expect("written");
    let (mut refused, mut gone_on) = (0, 0);
    for (number, tables) in TABLES.iter().enumerate() {
        let base = format!("{number}.db");
        read(&lines[..lines.len() / 2]);
        let run = |warehouse: &str, set: &str| {
            let arguments = ["--warehouse", warehouse, "--set", tables, "--set", set];
            said(&deltamart(
                folder,
                &[&["run", "events.jsonl", "--catalog", "shop/Movies.txt"], &arguments[..]].concat(),
            ))
        };
        let (code, text) = run(&base, "commit_interval=20ms");
        assert_eq!(code, Some(0), "{tables}: {text}");
        read(&lines);
        for (of, set) in CHANGED.iter().enumerate() {
            let warehouse = format!("{number}-{of}.db");
            copy(folder, &base, &warehouse);
            let (code, text) = run(&warehouse, set);
            if code == Some(2) {
                assert!(text.contains("what the tables mean has changed"), "{tables}, {set}: {text}");
                refused += 1;
                continue;
            }
            assert_eq!(code, Some(0), "{tables}, {set}: {text}");
            let verify = ["verify", "--warehouse", &warehouse, "--set", tables, "--set", set];
            let (code, text) = said(&deltamart(folder, &verify));
            assert_eq!(code, Some(0), "{tables}, {set}: went on, and is not what the SQL says: {text}");
            gone_on += 1;
        }
    }
    // Lateness decides for all of them what was counted.
    assert!(refused >= 2 * TABLES.len() && gone_on > CHANGED.len(), "{refused} refused, {gone_on} gone on with");
}
