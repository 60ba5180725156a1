//! `sql` reads one commit, with one statement, in time. Everything else is refused in words, and changes nothing.

use super::warehouse;
use crate::cli::{deltamart, said};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The files of a folder, and what is in them; of SQLite's log only what is in it: an empty one comes and goes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let bytes = path.is_file().then(|| std::fs::read(&path).expect("readable"))?;
        (!name.ends_with("-shm") && !bytes.is_empty()).then_some((name, bytes))
    };
    std::fs::read_dir(folder).expect("a folder").filter_map(file).collect()
}

#[test]
fn nothing_but_reading_is_done() {
    let folder = warehouse();
    let before = files(folder.path());
    assert!(before.contains_key("deltamart.db"));
    for (sql, expected) in [
        ("INSERT INTO users (user_id) VALUES (1)", "INSERT is refused: the warehouse is only read"),
        ("INSERT INTO users SELECT * FROM users RETURNING user_id", "INSERT is refused"),
        ("UPDATE users SET age = 1", "UPDATE is refused"),
        ("DELETE FROM users", "DELETE is refused"),
        ("WITH x AS (SELECT 1) DELETE FROM users", "the warehouse is only read"),
        ("EXPLAIN DELETE FROM users", "the warehouse is only read"),
        ("REPLACE INTO users (user_id) VALUES (1)", "REPLACE is refused"),
        ("CREATE TABLE x (y)", "CREATE is refused"),
        ("CREATE TEMP TABLE x AS SELECT 1", "CREATE is refused"),
        ("CREATE VIRTUAL TABLE x USING fts5(y)", "CREATE is refused"),
        ("DROP VIEW session_metrics_by_minute", "DROP is refused"),
        ("ALTER TABLE users ADD COLUMN x", "ALTER is refused"),
        ("ATTACH 'other.db' AS other", "ATTACH is refused"),
        ("ATTACH ':memory:' AS other", "ATTACH is refused"),
        ("DETACH main", "DETACH is refused"),
        ("VACUUM", "VACUUM is refused"),
        ("VACUUM INTO 'copy.db'", "VACUUM is refused"),
        ("ANALYZE", "ANALYZE is refused"),
        ("REINDEX", "REINDEX is refused"),
        ("BEGIN", "BEGIN is refused"),
        ("COMMIT", "COMMIT is refused"),
        ("ROLLBACK", "ROLLBACK is refused"),
        ("SAVEPOINT x", "SAVEPOINT is refused"),
        ("PRAGMA query_only=0", "`PRAGMA query_only` is none of those that may be asked"),
        ("PRAGMA writable_schema=1", "`PRAGMA writable_schema`"),
        ("PRAGMA writable_schema", "`PRAGMA writable_schema`"),
        ("PRAGMA user_version=7", "`PRAGMA user_version`"),
        ("PRAGMA journal_mode=DELETE", "`PRAGMA journal_mode`"),
        ("PRAGMA wal_checkpoint(TRUNCATE)", "`PRAGMA wal_checkpoint`"),
        ("SELECT * FROM pragma_wal_checkpoint", ""),
        ("SELECT load_extension('x.so')", "no extension is loaded"),
        ("SELECT writefile('x', 'y')", "no such function: writefile"),
        ("SELECT 1; DELETE FROM users", "more than one statement"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1; nonsense", "more than one statement"),
        ("DELETE FROM users; SELECT 1", "DELETE is refused"),
        ("SELECT ?1", "write the value itself"),
        ("", "there is no statement in it"),
        (" ;; /* nothing */", "there is no statement in it"),
        ("SELECT 'a", "unrecognized token"),
        ("\u{1b}[2J\u{202e}", "unrecognized token"),
    ] {
        let (code, text) = said(&deltamart(folder.path(), &["sql", sql]));
        assert!(code == Some(2) && text.contains(expected), "{sql}: exit {code:?}\n{text}");
        assert!(!text.contains("panicked") && !text.contains('\u{1b}'), "{text}");
    }
    assert!(files(folder.path()) == before, "something was changed");
    let (code, text) = said(&deltamart(folder.path(), &["verify"]));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn what_has_no_end_is_ended() {
    let folder = warehouse();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let (code, text) = said(&deltamart(folder.path(), &["sql", endless, "--timeout", "20ms"]));
    let expected = ["read for 20ms (`--timeout`)", "ask for less (WHERE, LIMIT)", "`--timeout 10m`"];
    assert!(code == Some(1) && expected.iter().all(|expected| text.contains(expected)), "exit {code:?}: {text}");
    // Rows that are there already do not help.
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let (code, text) = said(&deltamart(folder.path(), &["sql", rows, "--timeout", "20ms", "--format", "table"]));
    assert!(code == Some(1) && text.contains("no answer yet"), "exit {code:?}: {text}");
    let condition = format!("({endless}) > 0");
    let show = ["show", "users", "--where", &condition, "--timeout", "20ms"];
    let (code, text) = said(&deltamart(folder.path(), &show));
    assert!(code == Some(1) && text.contains("`--where`, `--limit`"), "exit {code:?}: {text}");
}

#[test]
fn a_statement_comes_from_standard_input() {
    let folder = warehouse();
    let ask = |sql: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_deltamart"))
            .current_dir(folder.path())
            .args(["sql", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        // It may have seen enough before the end.
        child.stdin.take().expect("a pipe").write_all(sql).ok();
        said(&child.wait_with_output().expect("ends"))
    };
    assert_eq!(ask(b"-- a line\nSELECT 1 AS one;\n"), (Some(0), "{\"one\":1}\n".to_owned()));
    for (sql, expected) in [
        (&b""[..], "there is no statement in it"),
        (b"SELECT '\xff'", "is not UTF-8"),
        (&vec![b' '; (1 << 20) + 1], "is longer than 1048576 bytes"),
    ] {
        let (code, text) = ask(sql);
        assert!(code == Some(2) && text.contains(expected), "exit {code:?}: {text}");
    }
}

#[test]
fn there_is_no_answer_without_a_warehouse() {
    let folder = tempfile::tempdir().expect("a folder");
    rusqlite::Connection::open(folder.path().join("foreign.db"))
        .and_then(|foreign| foreign.execute_batch("CREATE TABLE users (a)"))
        .expect("makes it");
    for (arguments, code, expected) in [
        (&["sql", "SELECT 1"][..], 1, "`deltamart.db` does not exist"),
        (&["sql", "SELECT 1", "--warehouse", ":memory:"], 2, "gone when its run ends"),
        (&["sql", "SELECT 1", "--warehouse", "foreign.db"], 2, "is not a warehouse of ours"),
        (&["show", "users", "--warehouse", "foreign.db"], 2, "is not a warehouse of ours"),
    ] {
        let (found, text) = said(&deltamart(folder.path(), arguments));
        assert!(found == Some(code) && text.contains(expected), "{arguments:?}: exit {found:?}\n{text}");
    }
}
