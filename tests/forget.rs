//! A user who is forgotten is nowhere any more, and nobody else's rows are any different for it.

use crate::support::{self, Call, Hooked};
use dataflows::Time;
use dataflows::persons::{Id, Renaming};
use dataflows::quality::QUALITY;
use dataflows::raw::LATE_EVENTS;
use dataflows::state::Section;
use dataflows::table::Value;
use deltamart::config::feed::Feed;
use deltamart::families::all;
use deltamart::forget::{Forgotten, Named, Payloads, Sought, forget, sought};
use deltamart::recovery::StartError;
use deltamart::sink::parquet::Parquet;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{SinkError, Stored, Warehouse};
use deltamart::state_dir::journal::{Entry, Group};
use deltamart::state_dir::obstacle::{Obstacle, Unrest};
use deltamart::state_dir::{StateDir, StateError};
use deltamart::store;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Has no rows: says what columns there are.
const SCHEMA_FILE: &str = "_schema.parquet";

fn deltamart(folder: &Path, warehouse: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).args(arguments);
    if arguments.first() != Some(&"simulate") {
        command.args(["--warehouse", warehouse]);
    }
    if arguments.first().is_some_and(|first| ["run", "batch", "forget"].contains(first)) {
        command.args(["-w", "2"]);
    }
    // What the shop sends too late is an hour too late. Epochs are shorter: which they are is not by chance then.
    for set in ["feed.commit_interval=1ms", "feed.merge_runs=3", "epoch_events=50", "commit_interval=1ms"] {
        command.args(["--set", set]);
    }
    command.output().expect("starts")
}

fn succeed(folder: &Path, warehouse: &str, arguments: &[&str]) -> String {
    let output = deltamart(folder, warehouse, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A simulated shop of which only the first part is there yet; tells the rest.
fn shop(folder: &Path, (events, days): (&str, &str), part: usize) -> Vec<String> {
    succeed(folder, "none.db", &["simulate", "--out", "shop", "--events", events, "--days", days]);
    let whole = folder.join("shop/events.jsonl");
    let lines: Vec<String> = BufReader::new(File::open(&whole).expect("there")).lines().map_while(Result::ok).collect();
    let mut first = File::create(&whole).expect("written");
    lines[..part].iter().for_each(|line| writeln!(first, "{line}").expect("written"));
    lines[part..].to_vec()
}

/// Whom the shop calls so.
fn whom(users: &BTreeSet<u64>) -> Vec<Vec<Sought>> {
    users.iter().map(|user| sought(all(), &user.to_string(), None)).collect()
}

/// Whether a record of the state names a user.
fn is_named_in(section: &Section, user: u64) -> bool {
    let kept = all().kept(&section.name).expect("ours");
    let renaming = Renaming::new(Id::Number(user), Id::Number(user).nobody(0));
    kept.forget(&mut section.clone(), &renaming).expect("readable") > 0
}

fn user_of(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?["user_id"].as_u64()
}

fn append(folder: &Path, lines: &[String]) {
    let mut events = File::options().append(true).open(folder.join("shop/events.jsonl")).expect("there");
    lines.iter().for_each(|line| writeln!(events, "{line}").expect("written"));
}

/// A warehouse, its state and its feed, if there is one, once more under another name.
fn copy(folder: &Path, from: &str, to: &str) {
    for part in ["", ".state", ".feed"] {
        let (from, to) = (format!("{from}{part}"), format!("{to}{part}"));
        if !folder.join(&from).exists() {
            continue;
        }
        let copied = Command::new("cp").current_dir(folder).args(["-r", &from, &to]).status();
        assert!(copied.expect("starts").success());
    }
}

const RUN: [&str; 4] = ["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt"];

/// The users with the most to forget: who bought, who are in the shop, whose carts are open.
fn interesting(folder: &Path, warehouse: &str) -> Vec<u64> {
    let sink = Sqlite::open_to_read(all(), &folder.join(warehouse)).expect("opens");
    let of = |sql: &str| -> Vec<u64> {
        let mut statement = sink.connection().prepare(sql).expect("is SQL");
        let rows = statement.query_map([], |row| row.get::<_, i64>(0)).expect("runs");
        rows.map(|id| id.expect("an id") as u64).collect()
    };
    let mut users = of("SELECT user_id FROM active_sessions ORDER BY signed_in_at DESC LIMIT 2");
    users.extend(of("SELECT user_id FROM movie_sale_lines WHERE cart_id LIKE 'user:%' ORDER BY sold_at DESC LIMIT 1"));
    users.extend(of(
        "SELECT user_id FROM movie_sale_lines WHERE cart_id NOT LIKE 'user:%' ORDER BY sold_at DESC LIMIT 1",
    ));
    users.extend(of(
        "SELECT user_id FROM cart_events WHERE event_name = 'added_to_cart' ORDER BY timestamp DESC LIMIT 1",
    ));
    users.extend(of(
        "SELECT c.user_id FROM late_events l JOIN cart_events c USING (_topic, _partition, _offset) LIMIT 1",
    ));
    users.sort_unstable();
    users.dedup();
    users
}

/// Rows that name a user, and rows that do not: by table, as text.
fn split(path: &Path, users: &BTreeSet<u64>) -> (Vec<String>, Vec<String>) {
    let (payloads, whom) = (Payloads::new(None), whom(users));
    let named: Vec<_> = whom.iter().map(|sought| Named::new(all(), sought, &payloads)).collect();
    let mut sink = Sqlite::open_to_read(all(), path).expect("opens");
    let (mut theirs, mut others) = (Vec::new(), Vec::new());
    for id in all().tables().iter().filter(|id| **id != QUALITY) {
        for mut row in sink.page(*id, None, usize::MAX >> 1).expect("readable") {
            // What became nobody's is none of the others'. Late records are kept of everybody else.
            let is_emptied = *id == LATE_EVENTS && row.contains(&Value::Bytes(Box::default()));
            if is_emptied || id.table().is_nobodys(&row) {
                continue;
            }
            let named = named.iter().any(|named| named.names(*id, &row));
            // By which clock or watermark it was judged depends on where epochs ended.
            let columns = id.table().columns.iter().map(|column| matches!(column.name, "rejected_at" | "watermark"));
            row.iter_mut().zip(columns).filter(|(_, depends)| *depends).for_each(|(value, _)| *value = Value::Null);
            if named { &mut theirs } else { &mut others }.push(format!("{} {row:?}", id.table().name));
        }
    }
    others.extend(support::quality(&sink));
    (theirs, others)
}

fn state_of(folder: &Path, warehouse: &str) -> (Time, Vec<Section>) {
    let place = folder.join(format!("{warehouse}.state")).display().to_string();
    let dir = StateDir::open_to_read(store::open_to_read(&place).expect("a folder")).expect("readable").expect("state");
    let snapshot = dir.newest_snapshot(&dir.chain().expect("readable"), Time::MAX).expect("readable").expect("one");
    let state = dir.read_snapshot(all(), &snapshot, 1).expect("readable");
    (snapshot.epoch, state)
}

/// Every file of a feed, and the users that are named in it by a column.
fn users_in_files(folder: &Path, found: &mut Vec<(PathBuf, BTreeSet<u64>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map_while(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            users_in_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") && !path.ends_with(SCHEMA_FILE) {
            let reader = SerializedFileReader::new(File::open(&path).expect("there")).expect("Parquet");
            let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row").into_columns());
            let users = |columns: Vec<(String, Field)>| {
                columns.into_iter().filter_map(|(name, field)| match field {
                    Field::Long(user) if name == "user_id" => Some(user as u64),
                    Field::Str(cart) => cart.strip_prefix("user:")?.parse().ok(),
                    _ => None,
                })
            };
            found.push((path, rows.flat_map(users).collect()));
        }
    }
}

#[test]
fn a_user_is_forgotten_and_nobody_else_is_any_different() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let rest = shop(folder, ("30000", "6"), 15_000);
    let feed = ["--set", "feed.path=feed"];
    let go_on = [&RUN[..], &feed].concat();
    succeed(folder, "forgot.db", &go_on);
    copy(folder, "forgot.db", "whole.db");
    let users: BTreeSet<u64> = interesting(folder, "forgot.db").into_iter().collect();
    assert!(users.len() >= 4, "{users:?}");
    let mut files = Vec::new();
    users_in_files(&folder.join("feed"), &mut files);
    assert!(users.iter().all(|user| files.iter().any(|(_, named)| named.contains(user))));

    let (before, state) = state_of(folder, "forgot.db");
    let is_theirs = |section: &Section| users.iter().any(|user| is_named_in(section, *user));
    assert!(state.iter().any(is_theirs));
    for user in &users {
        let said = succeed(folder, "forgot.db", &[&["forget", &user.to_string()], &feed[..]].concat());
        assert!(said.starts_with(&format!("user {user} is forgotten")), "{said}");
        assert!(!said.contains("no row named the user") && !said.contains("state: 0 records"), "{said}");
    }
    let once_more = users.first().expect("one").to_string();
    // What is computed of many users is what its SQL says of raw rows that are nobody's.
    let verified = succeed(folder, "forgot.db", &["verify"]);
    assert!(!verified.contains(", 1 differ"), "{verified}");
    let again = succeed(folder, "forgot.db", &[&["forget", &once_more], &feed[..]].concat());
    assert!(again.contains(&format!("no row names user {once_more}; nothing was removed")), "{again}");

    // Neither in the state...
    let (after, state) = state_of(folder, "forgot.db");
    assert!(after > before && !state.iter().any(is_theirs));
    // ...nor in the warehouse, where no page that is free holds what was deleted...
    assert_eq!(split(&folder.join("forgot.db"), &users).0, Vec::<String>::new());
    let sink = Sqlite::open_to_read(all(), &folder.join("forgot.db")).expect("opens");
    let free: i64 = sink.connection().query_row("PRAGMA freelist_count", [], |row| row.get(0)).expect("asks");
    assert_eq!(free, 0);
    drop(sink);
    // ...nor in any file of the feed, but for those that say that they are gone.
    let mut files = Vec::new();
    users_in_files(&folder.join("feed"), &mut files);
    assert!(files.iter().any(|(_, named)| !named.is_empty()));
    for (path, named) in files {
        let epoch = path.file_name().and_then(|name| name.to_str()?.split('-').next()?.parse::<Time>().ok());
        let is_told = path.components().any(|part| part.as_os_str() == "deltas") && epoch > Some(before);
        assert!(is_told || named.is_disjoint(&users), "{} names some of {users:?}", path.display());
    }

    // They do nothing from now on; everybody else goes on.
    let rest: Vec<_> =
        rest.into_iter().filter(|line| user_of(line).is_none_or(|user| !users.contains(&user))).collect();
    append(folder, &rest);
    succeed(folder, "whole.db", &RUN);
    succeed(folder, "forgot.db", &go_on);
    succeed(folder, "forgot.db", &["verify"]);
    let (theirs, others) = split(&folder.join("forgot.db"), &users);
    assert_eq!(theirs, Vec::<String>::new());
    let in_text = |row: &String| users.iter().any(|user| row.contains(&format!("user:{user}\"")));
    assert!(!others.iter().any(in_text), "a purchase is named by its user");
    let (gone, expected) = split(&folder.join("whole.db"), &users);
    assert!(gone.len() > 50, "{} rows", gone.len());
    let differing: Vec<_> = others.iter().zip(&expected).filter(|(a, b)| a != b).take(5).collect();
    assert!(others == expected, "{} and {} rows: {differing:#?}", others.len(), expected.len());

    // The feed holds what the warehouse holds.
    let settings = Feed { path: folder.join("feed").display().to_string(), ..Feed::default() };
    let mut feed = Parquet::open_to_read(all(), &settings).expect("opens");
    let mut warehouse = Sqlite::open_to_read(all(), &folder.join("forgot.db")).expect("opens");
    for id in all().tables() {
        let rows = |sink: &mut dyn Stored| sink.page(*id, None, 1_000_000).expect("readable");
        assert_eq!(rows(&mut feed), rows(&mut warehouse), "{}", id.table().name);
    }
}

/// A warehouse that breaks off at one of the calls that change something, counted from 1: before or after it is done.
fn failing(sink: Sqlite, at: usize, before: bool) -> Hooked {
    fn changes(call: Call<'_>) -> bool {
        matches!(call, Call::Claim | Call::Apply(..) | Call::Scrub)
    }
    let broken_off = |is_now| if is_now { Err(SinkError::Failed("broken off".to_owned())) } else { Ok(()) };
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hooked = Hooked::before(Box::new(sink), move |call| {
        let number = if changes(call) { counted.fetch_add(1, Relaxed) + 1 } else { 0 };
        broken_off(before && number == at)
    });
    hooked.after(move |call| broken_off(changes(call) && !before && calls.load(Relaxed) == at))
}

/// Forgets a user in a warehouse that fails, and in its feed.
fn forget_with(folder: &Path, name: &str, failing: Hooked, user: u64) -> Result<Forgotten, StartError> {
    let settings = Feed { path: folder.join(format!("{name}.feed")).display().to_string(), ..Feed::default() };
    let mut sinks: [Box<dyn Warehouse>; 2] =
        [Box::new(failing), Box::new(Parquet::open(all(), &settings).expect("opens"))];
    let (payloads, sought) = (Payloads::new(None), sought(all(), &user.to_string(), None));
    let named = Named::new(all(), &sought, &payloads);
    forget(all(), &state_dir(folder, name), &mut sinks, &named, support::MONDAY_MS, 1)
}

fn state_dir(folder: &Path, name: &str) -> StateDir {
    let place = folder.join(format!("{name}.state")).display().to_string();
    StateDir::open(store::open(&place).expect("opens"), None).expect("opens")
}

#[test]
fn broken_off_anywhere_a_run_goes_on_and_asked_again_it_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let rest = shop(folder, ("4000", "1"), 3_000);
    let with_feed = |name: &str, arguments: &[&str]| {
        succeed(folder, name, &[arguments, &["--set", &format!("feed.path={name}.feed")]].concat())
    };
    with_feed("base.db", &RUN);
    let user = interesting(folder, "base.db")[0];
    let users = BTreeSet::from([user]);
    append(folder, &rest.into_iter().filter(|line| user_of(line) != Some(user)).collect::<Vec<_>>());
    copy(folder, "base.db", "whole.db");
    with_feed("whole.db", &RUN);
    let (_, expected) = split(&folder.join("whole.db"), &users);
    for before in [true, false] {
        for at in 1.. {
            let name = format!("{before}-{at}.db");
            copy(folder, "base.db", &name);
            let inner = Sqlite::open(all(), &folder.join(&name)).expect("opens");
            let result = forget_with(folder, &name, failing(inner, at, before), user);
            match &result {
                Ok(forgotten) => assert!(forgotten.records > 0),
                Err(error) => assert!(matches!(error, StartError::Sink(SinkError::Failed(_))), "{error}"),
            }
            if at == 3 {
                // Every sink has the deletions: that what is left of them could not be removed needs no run in between.
                with_feed(&name, &["forget", &user.to_string()]);
            }
            // Nothing of it hinders a run.
            with_feed(&name, &RUN);
            if result.is_err() {
                with_feed(&name, &["forget", &user.to_string()]);
            }
            let (theirs, others) = split(&folder.join(&name), &users);
            assert_eq!(theirs, Vec::<String>::new(), "{name}");
            let differing: Vec<_> = others.iter().zip(&expected).filter(|(a, b)| a != b).take(5).collect();
            assert!(others == expected, "{name}: {differing:#?}");
            assert!(!state_of(folder, &name).1.iter().any(|section| is_named_in(section, user)), "{name}");
            // Raw rows that were nobody's before it was broken off, and those that became so later, are one nobody's.
            succeed(folder, &name, &["verify"]);
            if result.is_ok() {
                assert!(at == 4, "claim, apply and scrub are broken off: {at}");
                break;
            }
        }
    }
}

/// A run that was not seen may have come further before it was superseded: what it did counts.
#[test]
fn whoever_ran_meanwhile_has_not_run_in_vain() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    shop(folder, ("2000", "1"), 2_000);
    succeed(folder, "some.db", &[&RUN[..], &["--set", "feed.path=some.db.feed"]].concat());
    let user = interesting(folder, "some.db")[0];
    let dir = state_dir(folder, "some.db");
    let (chain, generation) = (dir.chain().expect("readable"), dir.last_generation().expect("readable"));
    let end = chain.end();
    let entry = Entry { epoch: end + 2, ..chain.entries[&end].1.clone() };
    let group = Group { follows: end, follows_generation: None, entries: vec![entry] };
    let inner = Box::new(Sqlite::open(all(), &folder.join("some.db")).expect("opens"));
    let contested = Hooked::before(inner, move |call| {
        if let Call::Claim = call {
            dir.journal(generation, &group).expect("written");
        }
        Ok(())
    });
    let refused = forget_with(folder, "some.db", contested, user).expect_err("refused");
    let under_way = Obstacle::NotAtRest(Unrest::UnderWay);
    assert!(matches!(&refused, StartError::State(StateError::Refused { why, .. }) if *why == under_way), "{refused}");
    let chain = state_dir(folder, "some.db").chain().expect("readable");
    assert_eq!((chain.end(), chain.entries[&(end + 2)].0), (end + 2, generation));
    assert!(!split(&folder.join("some.db"), &BTreeSet::from([user])).0.is_empty());
}

#[test]
fn what_is_under_way_or_was_not_ended_in_order_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    shop(folder, ("4000", "1"), 3_000);
    let refused = |arguments: &[&str]| {
        let output = deltamart(folder, "some.db", arguments);
        assert!(!output.status.success());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, why) = refused(&["forget", "1"]);
    assert!(code == Some(1) && why.contains("does not exist"), "{why}");
    succeed(folder, "some.db", &RUN);
    // What a start said that was refused does not matter.
    let (code, why) = refused(&[&RUN[..], &["--set", "lateness=24h"]].concat());
    assert!(code == Some(2) && why.contains("lateness"), "{why}");
    succeed(folder, "some.db", &["forget", "999999"]);
    let dir = state_dir(folder, "some.db");
    let heartbeat: serde_json::Value = dir.heartbeat().expect("readable").expect("said");
    let mut beating = heartbeat.clone();
    (beating["ended"], beating["who"]["boot"]) = (false.into(), "of another machine".into());
    let (code, why) = crate::second::while_it_beats(&dir, beating, || refused(&["forget", "1"]));
    assert!(code == Some(2) && why.contains("a run is active"), "{why}");
    dir.beat(&heartbeat).expect("written");
    // Killed: more was journaled than the last snapshot has.
    let (chain, generation) = (dir.chain().expect("readable"), dir.last_generation().expect("readable"));
    let entry = Entry { epoch: chain.end() + 2, ..chain.entries[&chain.end()].1.clone() };
    dir.journal(generation, &Group { follows: chain.end(), follows_generation: None, entries: vec![entry] })
        .expect("written");
    let (code, why) = refused(&["forget", "1"]);
    assert!(code == Some(2) && why.contains("did not end in order") && why.contains("SIGTERM"), "{why}");
    assert_eq!(dir.last_generation().expect("readable"), generation, "nothing was claimed");
    succeed(folder, "some.db", &["verify"]);
}

#[test]
fn what_a_batch_made_is_forgotten_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    shop(folder, ("3000", "1"), 3_000);
    let batch = ["batch", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--set", "feed.path=feed"];
    succeed(folder, "batch.db", &batch);
    let user = interesting(folder, "batch.db")[0];
    let forget = ["forget", &user.to_string(), "--set", "feed.path=feed"];
    let said = succeed(folder, "batch.db", &forget);
    assert!(said.contains("users 1"), "{said}");
    assert_eq!(split(&folder.join("batch.db"), &BTreeSet::from([user])).0, Vec::<String>::new());
    succeed(folder, "batch.db", &["verify"]);
    succeed(folder, "batch.db", &batch);
    succeed(folder, "batch.db", &["verify"]);
    // Without raw rows there is nothing to verify by.
    let said = succeed(folder, "batch.db", &[&forget[..], &["--delete-raw"]].concat());
    assert!(said.contains("were deleted") && !said.contains("of nobody"), "{said}");
    let unverified = deltamart(folder, "batch.db", &["verify"]);
    let why = String::from_utf8_lossy(&unverified.stderr).into_owned();
    assert!(unverified.status.code() == Some(2) && why.contains("users were forgotten"), "{why}");
    succeed(folder, "batch.db", &batch);
    succeed(folder, "batch.db", &["verify"]);
}
