//! What DuckDB reads is what was committed, of one commit at a time, while we write. DELTAMART_PYTHON
//! names a Python that has it (`scripts/venv` prints one).

use super::{HOUR_MS, Interrupted, commits, rejected, rejecting, user};
use crate::support::table;
use crate::support::{every_minute, needed};
use dataflows::delta::Delta;
use dataflows::deltas::Deltas;
use dataflows::table::{Column, Kind, TableId, Type, Value};
use deltamart::config::feed::Feed;
use deltamart::config::retention::Retention;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::purge::Purge;
use deltamart::sink::{Commit, MadeBy, Sink, SinkError, Stored};
use deltamart::store::Store;
use deltamart::store::local::Local;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// A script of `tests/python`, to be run by a Python with DuckDB.
fn python(script: &str) -> Command {
    let mut command = Command::new(needed("DELTAMART_PYTHON"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script));
    command
}

fn settings(folder: &Path) -> Feed {
    Feed { path: folder.display().to_string(), rows_per_file: 50, merge_runs: 3, ..Feed::default() }
}

fn commit(number: u64, deltas: BTreeMap<TableId, Deltas>, appends: BTreeMap<TableId, Vec<Vec<Value>>>) -> Commit {
    Commit {
        follows: 2 * number - 2,
        epoch: 2 * number,
        clock_ms: 1_767_571_200_000 + number as i64,
        watermarks: Watermarks::of_shop(number as i64),
        positions: BTreeMap::from([("topic/0".to_owned(), number as i64)]),
        deltas,
        appends,
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

fn movie(id: i64, title: &str) -> Vec<Value> {
    let columns = table("movies_catalog").table().columns.iter();
    let row = columns.map(|column| match (column.name, column.ty) {
        ("item_id", _) => Value::Text(id.to_string()),
        ("title", _) => Value::Text(title.to_owned()),
        (_, Type::Instant) => Value::Instant(5),
        _ if column.nullable => Value::Null,
        _ => Value::Text("[]".to_owned()),
    });
    row.collect()
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn every_session_is_of_one_commit_while_we_commit_and_merge() {
    let mut reader = python("feed_loop.py");
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Parquet::open(all(), &settings(folder.path())).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let mut apply = |number: u64| {
        let epoch = 2 * number as i64;
        let users = (0..100).map(|id| Delta::Upsert(user(id, epoch))).collect();
        let mut movies: Vec<_> = (0..60).map(|id| Delta::Upsert(movie(id, &epoch.to_string()))).collect();
        movies.sort();
        let deltas = BTreeMap::from([(table("users"), users), (table("movies_catalog"), movies.into())]);
        let appends = BTreeMap::from([(table("rejected_events"), vec![rejected(0, epoch, number)])]);
        sink.apply(&claim, &commit(number, deltas, appends)).expect("applies");
    };
    apply(1);
    let mut reader = reader
        .arg(folder.path())
        .arg("12")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut number = 1;
    while reader.try_wait().expect("a child").is_none() {
        number += 1;
        apply(number);
    }
    let (mut said, mut errors) = (String::new(), String::new());
    reader.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    reader.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
    assert_eq!(errors, "", "after {number} commits");
    let epochs: u64 = said.trim().parse().expect("a number");
    assert!(epochs > 6, "{epochs} of {number} commits were seen");
}

/// As `feed_rows.py` prints a value.
fn plain(value: &Value) -> Json {
    let decimal = |number: i64, places: usize| {
        let (sign, digits) = (if number < 0 { "-" } else { "" }, format!("{:0>1$}", number.unsigned_abs(), places + 1));
        let (whole, rest) = digits.split_at(digits.len() - places);
        json!(format!("{sign}{whole}.{rest}"))
    };
    match value {
        Value::Null => Json::Null,
        Value::Boolean(truth) => json!(truth),
        Value::Integer(number) | Value::Instant(number) => json!(number),
        Value::Cents(cents) => decimal(*cents, 2),
        Value::Milli(milli) => decimal(*milli, 3),
        Value::Share(share) => decimal(*share, 4),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// What DuckDB reads of views, as `(view, row)`.
fn read(mut script: Command, folder: &Path, views: &[String]) -> Vec<(String, BTreeMap<String, Json>)> {
    let output = script.arg(folder).args(views).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_reads_the_rows_that_we_read() {
    let script = python("feed_rows.py");
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Parquet::open(all(), &settings(folder.path())).expect("opens");
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    let texts = ["", "it's \"quoted\"", "snow ☃ 🦀", "nul\0inside", "tab\t\\line\n", &"x".repeat(1 << 20)];
    let value = |column: &Column, n: i64| match column.ty {
        _ if column.nullable && n % 5 == 2 => Value::Null,
        Type::Integer => Value::Integer(n * 1_000_000_007),
        Type::Boolean => Value::Boolean(n % 2 == 0),
        Type::Instant => Value::Instant(1_767_571_200_000 + n * 1_001),
        Type::Money => Value::Cents(n * 333 - 500),
        Type::Milli => Value::Milli(n * 1_001 - 3_000),
        Type::Share => Value::Share(n * 101),
        Type::Text => Value::Text(format!("{n} {}", texts[n as usize % 4])),
        Type::Json => Value::Text(format!("[\"{n}\"]")),
        Type::Bytes => Value::Bytes(n.to_le_bytes().into()),
    };
    for number in 1..=12 {
        let (mut deltas, mut appends) = (BTreeMap::new(), BTreeMap::new());
        for id in all().tables() {
            let table = id.table();
            let row = |n: i64| -> Vec<Value> { table.columns.iter().map(|column| value(column, n)).collect() };
            let first = number as i64 * 4;
            let keys: BTreeMap<_, _> =
                (first - 6..first + 4).map(|n| (row(n)[..table.key_columns].to_vec(), row(n))).collect();
            match table.kind() {
                Kind::Append => drop(appends.insert(*id, keys.into_values().collect())),
                Kind::Upsert => {
                    let delta = |(at, (key, row))| match number % 3 == 0 && at % 2 == 0 {
                        true => Delta::Delete(key),
                        false => Delta::Upsert(row),
                    };
                    drop(deltas.insert(*id, keys.into_iter().enumerate().map(delta).collect()));
                }
            }
        }
        if number == 7 {
            let users = texts.iter().zip(-6..).map(|(text, id)| {
                let mut row = user(id, 1);
                row[3] = Value::Text((*text).to_owned());
                Delta::Upsert(row)
            });
            deltas.insert(table("users"), users.collect());
            let gone = rejected(0, 0, 0)[..3].to_vec();
            deltas.insert(table("rejected_events"), vec![Delta::Delete(gone)].into());
        }
        sink.apply(&claim, &commit(number, deltas, appends)).expect("applies");
    }
    let views: Vec<_> = all().tables().iter().map(|id| id.table().name.to_owned()).collect();
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (view, mut row) in read(script, folder.path(), &views) {
        assert!(row.remove("_epoch").is_some() && row.remove("_updated_at").is_some());
        found.entry(view).or_default().push(json!(row).to_string());
    }
    for id in all().tables() {
        let table = id.table();
        let page = sink.page(*id, None, 10_000).expect("readable");
        assert!(page.len() > 3, "{}", table.name);
        let shown = |row: &Vec<Value>| {
            let columns = table.columns.iter().zip(row).map(|(column, value)| (column.name, plain(value)));
            json!(columns.collect::<BTreeMap<_, _>>()).to_string()
        };
        let (mut ours, mut theirs) =
            (page.iter().map(shown).collect::<Vec<_>>(), found.remove(table.name).unwrap_or_default());
        ours.sort();
        theirs.sort();
        assert!(ours == theirs, "`{}`: {} rows here, {} there", table.name, ours.len(), theirs.len());
    }
}

/// DuckDB carries minutes forward as SQLite does; a batch ends with its last row.
#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_has_every_minute() {
    for made_by in [MadeBy::Run, MadeBy::Batch] {
        let script = python("feed_rows.py");
        let folder = tempfile::tempdir().expect("a folder");
        let mut sink = Parquet::open(all(), &settings(folder.path())).expect("opens");
        let claim = sink.claim(made_by, None).expect("claims");
        sink.apply(&claim, &every_minute::commit(0)).expect("applies");
        let columns = &table("session_metrics").table().columns;
        let shown = |row: &Vec<Value>| {
            let values = columns.iter().zip(row).map(|(column, value)| (column.name.to_owned(), plain(value)));
            values.collect::<BTreeMap<_, _>>()
        };
        let mut wanted: Vec<_> = every_minute::wanted().iter().map(shown).collect();
        if made_by == MadeBy::Batch {
            wanted.truncate(6);
        }
        let found = read(script, folder.path(), &["session_metrics_by_minute".to_owned()]);
        assert_eq!(found.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), wanted, "{made_by:?}");
    }
}

/// What is old is not there any more, in views as in ours, and what is young is: also of deltas.
#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn duckdb_reads_what_is_left_once_old_rows_are_gone() {
    let script = python("feed_rows.py");
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Feed { grace: 0, ..settings(folder.path()) };
    let kept = Retention { rejected: Some(16 * HOUR_MS), ..Retention::default() };
    let mut sink = Parquet::open(all(), &settings).expect("opens").keeping(&kept);
    let claim = sink.claim(MadeBy::Run, None).expect("claims");
    for number in 1..=100 {
        sink.apply(&claim, &rejecting(number)).expect("applies");
        sink.purge(&claim, &Purge::after(&rejecting(number), all(), &kept)).expect("removes");
    }
    // Its file is removed with the next commit.
    sink.apply(&claim, &rejecting(101)).expect("applies");
    let views = ["rejected_events", "rejected_events_deltas", "users"].map(str::to_owned);
    let mut found = BTreeMap::<String, Vec<Json>>::new();
    for (view, row) in read(script, folder.path(), &views) {
        found.entry(view).or_default().push(row["_epoch"].clone());
    }
    found.values_mut().for_each(|epochs| epochs.sort_by_key(Json::as_u64));
    let ours = sink.page(table("rejected_events"), None, 1_000).expect("readable");
    let epochs: Vec<_> =
        ours.iter().filter_map(|row| plain(&row[2]).as_u64()).map(|number| json!(2 * number)).collect();
    assert!((64..=70).contains(&epochs.len()), "{epochs:?}");
    assert_eq!((&found["rejected_events"], &found["rejected_events_deltas"]), (&epochs, &epochs));
    assert_eq!(found["users"].len(), 101);
}

#[test]
#[ignore = "needs a Python with DuckDB (scripts/venv)"]
fn deltas_are_those_that_were_committed_and_no_others() {
    let script = python("feed_rows.py");
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let history = commits(&mut ChaCha8Rng::seed_from_u64(5), 12);
    // The first run is superseded when its files are there, and its commit is not.
    let meanwhile = {
        let (settings, history) = (settings.clone(), history.clone());
        move || {
            let mut other = Parquet::open(all(), &settings).expect("opens");
            let by = other.claim(MadeBy::Run, None).expect("claims");
            for commit in &history[3..] {
                other.apply(&by, commit).expect("applies");
            }
        }
    };
    let store = Arc::new(Interrupted {
        store: Arc::new(Local::open(folder.path()).expect("opens")),
        left: Mutex::new(None),
        meanwhile: Box::new(meanwhile),
    });
    let mut zombie = Parquet::on(all(), Arc::clone(&store) as Arc<dyn Store>, &settings);
    let by = zombie.claim(MadeBy::Run, None).expect("claims");
    for commit in &history[..3] {
        zombie.apply(&by, commit).expect("applies");
    }
    let mut own = history[3].clone();
    own.deltas = BTreeMap::from([(table("users"), vec![Delta::Upsert(user(99, -1))].into())]);
    own.appends.clear();
    // It asks where it is, writes one file, and then `_progress/`.
    *store.left.lock().expect("not poisoned") = Some(1);
    assert!(matches!(zombie.apply(&by, &own), Err(SinkError::Fenced { .. })));
    let stray = Local::open(folder.path()).expect("opens").list("users/deltas/").expect("listed");
    assert!(stray.iter().any(|path| path.contains("000000000008-000001-")), "it is there, and counts for nothing");

    let mut expected: Vec<_> = history
        .iter()
        .flat_map(|commit| commit.deltas.get(&table("users")).into_iter().flatten().map(move |delta| (commit, delta)))
        .map(|(commit, delta)| match &*delta {
            Delta::Upsert(row) => json!([commit.epoch, "upsert", plain(&row[0]), plain(&row[2])]).to_string(),
            Delta::Delete(key) => json!([commit.epoch, "delete", plain(&key[0]), Json::Null]).to_string(),
        })
        .collect();
    let found = read(script, folder.path(), &["users_deltas".to_owned()]).into_iter();
    let mut found: Vec<_> =
        found.map(|(_, row)| json!([row["_epoch"], row["_op"], row["user_id"], row["age"]]).to_string()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}
