//! The file that rows go to: damaged, held by somebody, without room, open to others.

use crate::cli::{data, deltamart, said};
use crate::support;
use dataflows::delta::Delta;
use dataflows::table::Value;
use deltamart::config::feed::Feed;
use deltamart::families::all;
use deltamart::instant;
use deltamart::lanes::Watermarks;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Commit, MadeBy, Sink, SinkError, Stored};
use deltamart::state_dir::StateDir;
use rusqlite::Connection;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What each field of `_progress` never holds, as JSON.
const NEVER: [(&str, &str); 14] = [
    ("pipeline_id", r#""""#),
    ("generation", "-1"),
    ("generation", r#""x""#),
    ("made_by", r#""anything""#),
    ("made_by", r#""""#),
    ("epoch", "-1"),
    ("epoch", r#""x""#),
    ("epoch", "1.5"),
    ("positions", r#""{""#),
    ("positions", "7"),
    ("watermark", r#""yesterday""#),
    ("watermark", r#""""#),
    ("committed_at", r#""x""#),
    ("committed_at", r#""2026-13-01T00:00:00Z""#),
];

const DAY_MS: i64 = 24 * 3_600_000;

fn line(user: u32, minute: u32) -> String {
    format!("{{\"event_name\":\"sign_in\",\"timestamp\":\"2026-01-05T10:{minute:02}:00Z\",\"user_id\":{user}}}\n")
}

/// Makes a warehouse, or goes on with one, after a line was added to the events.
fn go_on(folder: &Path, minute: u32) -> (Option<i32>, String) {
    let path = folder.join("events.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap_or_default() + &line(minute + 1, minute);
    std::fs::write(path, lines).expect("writes");
    said(&deltamart(folder, &["run", "events.jsonl"]))
}

/// Damages a table that no run reads or writes, so that only a look at the whole file finds it.
fn damage(folder: &Path) {
    let path = folder.join("deltamart.db");
    let file = Connection::open(&path).expect("opens");
    let sql = "CREATE TABLE extra (x); INSERT INTO extra VALUES (zeroblob(100)); PRAGMA wal_checkpoint(TRUNCATE)";
    file.execute_batch(sql).expect("makes it");
    let page: u64 = file
        .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'extra'", [], |row| row.get::<_, i64>(0))
        .expect("found") as u64;
    let size: u64 = file.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0)).expect("known") as u64;
    drop(file);
    let mut bytes = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
    bytes.seek(SeekFrom::Start((page - 1) * size)).expect("seeks");
    bytes.write_all(&[0x55; 200]).expect("writes");
}

fn state(folder: &Path) -> StateDir {
    let store = deltamart::store::open(&folder.join("deltamart.db.state").display().to_string()).expect("a folder");
    StateDir::open_to_read(store).expect("readable").expect("there is one")
}

#[test]
fn damage_ends_a_run_once_a_day_and_is_no_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert_eq!(go_on(folder, 1).0, Some(0));
    let checked = state(folder).checked_ms().expect("readable").expect("it was looked at after the first commit");
    assert!((instant::now() - checked).abs() < DAY_MS);
    damage(folder);
    let (code, text) = go_on(folder, 2);
    assert_eq!(code, Some(0), "not again on the same day: {text}");
    assert_eq!(state(folder).checked_ms().expect("readable"), Some(checked));
    state(folder).note_checked(checked - DAY_MS).expect("written");
    let (code, text) = go_on(folder, 3);
    for expected in ["`deltamart.db` is damaged", "quick_check", "--rebuild", "from a copy"] {
        assert!(code == Some(1) && text.contains(expected), "`{expected}` is missing, {code:?}: {text}");
    }
    let (code, text) = said(&deltamart(folder, &["verify"]));
    assert!(code == Some(1) && text.contains("is damaged") && !text.contains("differ"), "{text}");
    // What it says to do works.
    for name in ["deltamart.db", "deltamart.db-wal", "deltamart.db-shm"] {
        std::fs::rename(folder.join(name), folder.join(format!("{name}.damaged"))).ok();
    }
    let (code, text) = said(&deltamart(folder, &["run", "events.jsonl", "--rebuild"]));
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = said(&deltamart(folder, &["verify"]));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(go_on(folder, 4).0, Some(0));
}

/// Bytes of a warehouse are damaged anywhere: it is called damage, or it is verified as before; it is never a difference.
#[test]
fn whatever_is_damaged_is_never_called_a_difference() {
    use rand::{RngExt, SeedableRng};
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let events = data("events/first_day.jsonl");
    let batch = ["batch", &events, "--catalog", &data("Movies.txt")];
    assert_eq!(said(&deltamart(folder, &batch)).0, Some(0));
    let path = folder.join("deltamart.db");
    Connection::open(&path).and_then(|file| file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")).expect("checkpoint");
    let whole = std::fs::read(&path).expect("readable");
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut found = 0;
    for round in 0..24 {
        let mut bytes = whole.clone();
        match round % 4 {
            // The beginning of a page, where SQLite says what the page is.
            0 | 1 => {
                let page = dice.random_range(0..bytes.len() / 4096) * 4096;
                bytes[page..page + 12].fill(dice.random_range(1..=255));
            }
            2 => bytes.truncate(dice.random_range(1..bytes.len() / 4096) * 4096),
            _ => bytes[..100].fill(0x41),
        }
        std::fs::write(&path, &bytes).expect("writes");
        let (code, text) = said(&deltamart(folder, &["verify"]));
        let named = text.contains("is damaged") || text.contains("not a database");
        assert!(!text.contains("should be") && !text.contains("should not be"), "round {round}: {text}");
        assert!(code == Some(0) || (code == Some(1) && named), "round {round}, {code:?}: {text}");
        found += usize::from(named);
    }
    assert!(found > 18, "{found}");
}

/// Others on the machine see nothing of it; what is there already stays as it is, and is said.
#[test]
fn a_warehouse_is_made_for_its_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let arguments = ["--events", "2000", "--rate", "0", "--set", "feed.path=feed", "--set", "snapshot_interval=1ms"];
    let (code, text) = said(&deltamart(folder, &arguments));
    assert_eq!(code, Some(0), "{text}");
    // A reader's connection keeps the log and its index.
    let reader = Connection::open(folder.join("deltamart.db")).expect("opens");
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM users").ok();
    let arguments = [&arguments[..], &["--set", "simulate.events=2000"]].concat();
    assert_eq!(said(&deltamart(folder, &arguments)).0, Some(0));
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).expect("readable") {
            let entry = entry.expect("readable");
            if entry.file_type().expect("known").is_dir() {
                folders.push(entry.path())
            } else {
                files.push(entry.path())
            }
        }
    }
    for made in ["deltamart.db", "deltamart.db-wal", "deltamart.db-shm", ".parquet", "manifest", "heartbeat"] {
        let is_there = files.iter().any(|path| path.display().to_string().ends_with(made));
        assert!(is_there, "`{made}` is missing: {files:?}");
    }
    for path in &files {
        let mode = std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{} has {mode:o}", path.display());
    }
    drop(reader);
    let (_, text) = said(&deltamart(folder, &["check"]));
    assert!(!text.contains("others on this machine"), "{text}");
    let warehouse = folder.join("deltamart.db");
    std::fs::set_permissions(&warehouse, std::fs::Permissions::from_mode(0o644)).expect("ours");
    assert_eq!(said(&deltamart(folder, &arguments)).0, Some(0));
    let mode = std::fs::metadata(&warehouse).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    let (code, text) = said(&deltamart(folder, &["check"]));
    assert!(code == Some(0) && text.contains("(mode 0644)") && text.contains("chmod 600 deltamart.db"), "{text}");
}

/// The line of what a program says that has this in it; nothing if it ends before.
fn hear(program: &mut std::process::Child, expected: &str) -> Option<String> {
    let lines = BufReader::new(program.stderr.take().expect("piped")).lines().map_while(Result::ok);
    lines.into_iter().find(|line| line.contains(expected))
}

#[test]
fn a_warehouse_that_somebody_holds_is_waited_for_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert_eq!(go_on(folder, 1).0, Some(0));
    std::fs::write(folder.join("events.jsonl"), line(2, 1) + &line(3, 3)).expect("writes");
    let holder = Connection::open(folder.join("deltamart.db")).expect("opens");
    holder.execute_batch("BEGIN IMMEDIATE").expect("holds it");
    let mut run = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    run.current_dir(folder).args(["run", "events.jsonl"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = run.spawn().expect("starts");
    let heard = hear(&mut run, "trying again").expect("it waits, and says so");
    assert!(heard.contains("`deltamart.db`") && heard.contains("locked"), "{heard}");
    holder.execute_batch("ROLLBACK").expect("lets go");
    assert_eq!(run.wait().expect("ends").code(), Some(0));
}

/// A limit of the size of files is a full disk: waited out, and nothing is lost.
#[test]
fn a_limit_of_the_size_of_files_is_waited_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let simulated = ["simulate", "--out", "shop", "--events", "20000", "--items", "50"];
    assert_eq!(said(&deltamart(folder, &simulated)).0, Some(0));
    let run = ["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt"];
    assert_eq!(said(&deltamart(folder, &[&run[..], &["--warehouse", "whole.db"]].concat())).0, Some(0));
    let mut limited = Command::new("sh");
    // In blocks of 512 bytes: the log of the warehouse grows beyond it.
    limited.args(["-c", "ulimit -f 4000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_deltamart")]).args(run);
    let mut limited = limited.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let heard = hear(&mut limited, "ulimit -f");
    limited.kill().expect("it is there");
    let ended = limited.wait().expect("ends");
    assert!(heard.is_some(), "{ended:?}");
    let (code, text) = said(&deltamart(folder, &run));
    assert_eq!(code, Some(0), "{text}");
    support::assert_same(&folder.join("deltamart.db"), &folder.join("whole.db"));
}

fn first_commit() -> Commit {
    Commit {
        follows: 0,
        epoch: 2,
        clock_ms: 1_767_607_200_000,
        watermarks: Watermarks::of_shop(1_767_607_000_000),
        positions: [("shop/0".to_owned(), 5)].into(),
        deltas: Default::default(),
        appends: Default::default(),
        clean: Default::default(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

fn assert_refused(field: &str, place: &str, error: SinkError) {
    let SinkError::Failed(why) = error else { panic!("{field}: {error:?}") };
    assert!(why.contains(place) && why.contains(&format!("`{field}` is ")) && why.contains("copy"), "{why}");
}

#[test]
fn each_field_of_the_progress_of_a_warehouse_is_read_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.db");
    let mut sink = Sqlite::open(all(), &path).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claimed");
    sink.apply(&claim, &first_commit()).expect("applied");
    let before = sink.position().expect("readable");
    let next = Commit { follows: 2, epoch: 4, ..first_commit() };
    let file = Connection::open(&path).expect("opens");
    for (field, value) in NEVER {
        let select = format!("SELECT \"{field}\" FROM _progress");
        let was: rusqlite::types::Value = file.query_row(&select, [], |row| row.get(0)).expect("there");
        let set = format!("UPDATE _progress SET \"{field}\" = ?1");
        file.execute(&format!("UPDATE _progress SET \"{field}\" = ?1 ->> '$'"), [value]).expect("damaged");
        assert_refused(field, "w.db", Sqlite::open(all(), &path).err().expect("an unreadable progress"));
        // A reader that has it open already.
        assert_refused(field, "w.db", sink.position().expect_err("an unreadable progress"));
        assert_refused(field, "w.db", sink.apply(&claim, &next).expect_err("an unreadable progress"));
        assert_refused(field, "w.db", sink.claim(MadeBy::Run, None).expect_err("an unreadable progress"));
        file.execute(&set, [was]).expect("put back");
    }
    assert_eq!(sink.position().expect("readable"), before);
    sink.apply(&claim, &next).expect("as if nothing had been");
}

/// Parameters of a statement stay from row to row.
#[test]
fn a_row_that_is_too_short_does_not_get_the_values_of_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sqlite::open(all(), &folder.path().join("w.db")).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claimed");
    let counts = support::table("checkout_metrics");
    let (key, columns) = (counts.table().key_columns, counts.table().columns.len());
    let row = |at: i64, columns| {
        let kind = Value::Text("tumbling".to_owned());
        let values = [kind, Value::Instant(at), Value::Instant(at + 1), Value::Integer(1), Value::Boolean(true)];
        values.into_iter().chain([Value::Null]).take(columns).collect::<Vec<_>>()
    };
    for short in
        [Delta::Upsert(row(7, columns - 1)), Delta::Delete(row(7, key - 1)), Delta::Upsert(row(7, columns + 1))]
    {
        let deltas = [(counts, vec![Delta::Upsert(row(0, columns)), short.clone()].into())].into();
        sink.apply(&claim, &Commit { deltas, ..first_commit() }).expect_err("a row that is none");
        assert_eq!(sink.page(counts, None, 10).expect("readable"), Vec::<Vec<Value>>::new(), "{short:?}");
    }
    let deltas = [(counts, vec![Delta::Upsert(row(0, columns)), Delta::Upsert(row(7, columns))].into())].into();
    sink.apply(&claim, &Commit { deltas, ..first_commit() }).expect("whole rows");
    assert_eq!(sink.page(counts, None, 10).expect("readable"), [row(0, columns), row(7, columns)]);
}

#[test]
fn each_field_of_the_progress_of_a_feed_is_read_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Feed { path: folder.path().display().to_string(), ..Feed::default() };
    let mut sink = Parquet::open(all(), &settings).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claimed");
    sink.apply(&claim, &first_commit()).expect("applied");
    let before = sink.position().expect("readable");
    let names = std::fs::read_dir(folder.path().join("_progress")).expect("a folder");
    let newest = names.map(|name| name.expect("a name").path()).max().expect("an object");
    let written = std::fs::read(&newest).expect("readable");
    let read = || Parquet::open(all(), &settings).and_then(|mut sink| sink.position());
    for (field, value) in NEVER {
        let mut manifest: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
        manifest[field] = serde_json::from_str(value).expect("JSON");
        std::fs::write(&newest, manifest.to_string()).expect("damaged");
        assert_refused(field, "feed", read().expect_err("an unreadable progress"));
        let claimed = Parquet::open(all(), &settings).and_then(|mut sink| sink.claim(MadeBy::Run, None));
        assert_refused(field, "feed", claimed.expect_err("an unreadable progress"));
    }
    std::fs::write(&newest, &written).expect("put back");
    assert_eq!(read().expect("readable"), before);
}
