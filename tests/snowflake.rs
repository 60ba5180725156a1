//! Snowflake, as far as a stand-in shows it: fakesnow, which `DELTAMART_SNOWFLAKE` names (scripts/with-fakesnow).

/// Broken off between any two statements.
mod broken;
/// The views of clean events.
mod clean;
/// What a commit sends, and what stands afterwards.
mod commits;
/// What a trial of an account tells.
mod deep;
/// What is explained.
mod explained;
/// The printed statements, held against documented forms.
mod forms;
/// The login, checked by somebody else.
mod login;
/// What Snowflake promises and no more: readers that lag, tokens that die, answers that come later.
mod promises;
/// A wire that breaks, and what comes of it.
mod proxy;
/// What Snowflake refuses, and what is said of it.
mod refused;

use crate::support::needed;
use crate::support::table;
use dataflows::delta::Delta;
use dataflows::table::{TableId, Value};
use deltamart::config::snowflake::Snowflake as Config;
use deltamart::families::all;
use deltamart::lanes::Watermarks;
use deltamart::sink::snowflake::{Snowflake, key};
use deltamart::sink::{Commit, Stored};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// A key for every test: making one takes a while.
static KEY: LazyLock<(TempDir, String)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let public = key::generate(&folder.path().join("key.p8")).expect("makes a key");
    (folder, public)
});

fn key_path() -> &'static Path {
    KEY.0.path()
}

/// A database of its own at the stand-in.
pub(crate) fn configured() -> Config {
    configured_at(&needed("DELTAMART_SNOWFLAKE"))
}

/// The same for the program.
pub(crate) fn flags(config: &Config) -> Vec<String> {
    let settings = [
        ("account", &config.account),
        ("user", &config.user),
        ("private_key", &config.private_key),
        ("database", &config.database),
        ("url", &config.url),
    ];
    settings.into_iter().flat_map(|(name, value)| ["--set".to_owned(), format!("snowflake.{name}={value}")]).collect()
}

fn configured_at(at: &str) -> Config {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Config {
        account: "myorg-prod".to_owned(),
        user: "loader".to_owned(),
        private_key: format!("file:{}", key_path().join("key.p8").display()),
        database: format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
        url: format!("http://{at}"),
        timeout: 60_000,
        ..Config::default()
    }
}

pub(crate) fn open(config: &Config) -> Snowflake {
    Snowflake::open(all(), config).expect("configured well")
}

/// What a script prints, run by the Python that has Snowflake's own client and PyJWT.
fn python(script: &str, input: &str) -> String {
    let python = std::env::var("DELTAMART_SNOWFLAKE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child =
        Command::new(python).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("reads");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "the script failed");
    String::from_utf8(output.stdout).expect("text")
}

fn user(id: i64, email: &str) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.into());
    vec![Value::Integer(id), Value::Instant(1_767_571_200_123), Value::Integer(30), text(email), text("")]
}

fn late(offset: i64) -> Vec<Value> {
    let columns = &table("late_events").table().columns;
    let mut row = vec![Value::Text("topic".into()), Value::Integer(0), Value::Integer(offset)];
    row.extend(columns[3..].iter().map(|column| match column.ty {
        _ if column.nullable => Value::Null,
        dataflows::table::Type::Instant => Value::Instant(offset),
        dataflows::table::Type::Bytes => Value::Bytes([0, 255].into()),
        _ => Value::Text("x".into()),
    }));
    row
}

/// Users that are there afterwards, and as many late events.
fn commit(follows: u64, users: std::ops::Range<i64>) -> Commit {
    let epoch = follows + 2;
    let text = format!("as of {epoch}");
    Commit {
        follows,
        epoch,
        clock_ms: 1_767_571_200_000 + epoch as i64,
        watermarks: Watermarks::of_shop(1_767_571_200_000),
        positions: BTreeMap::from([("topic/0".to_owned(), epoch as i64)]),
        deltas: BTreeMap::from([(table("users"), users.clone().map(|id| Delta::Upsert(user(id, &text))).collect())]),
        appends: BTreeMap::from([(
            table("late_events"),
            users.map(|id| late(epoch as i64 * 1_000_000 + id)).collect(),
        )]),
        clean: BTreeMap::new(),
        archived: Vec::new(),
        pieces: Vec::new(),
    }
}

fn rows(sink: &mut Snowflake, table: TableId) -> Vec<Vec<Value>> {
    sink.page(table, None, 1_000_000).expect("readable")
}
