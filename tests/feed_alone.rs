//! Without a SQLite file: the Parquet feed is what a run goes on from. It has what SQLite has, wherever the program is killed.

use crate::cli::{deltamart, said};
use crate::several::{Process, hosts};
use crate::support::assert_same;
use deltamart::config::feed::Feed;
use deltamart::families::all;
use deltamart::reconcile::{Differ, reconcile};
use deltamart::sink::parquet::Parquet;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{Claim, Sink};
use deltamart::state_dir::StateDir;
use deltamart::store::open_to_read;
use rand::{RngExt, SeedableRng};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// How often the program is killed.
const KILLS: usize = 12;

/// Makes a file of SQLite of what readers of a feed read.
pub fn copy(feed: &Path, to: &Path) {
    let settings = Feed { path: feed.display().to_string(), ..Feed::default() };
    let mut feed = Parquet::open_to_read(all(), &settings).expect("opens");
    let found = feed.position().expect("readable").expect("claimed");
    let mut copy = Sqlite::open(all(), to).expect("opens");
    let claim = Claim { pipeline_id: found.pipeline_id, generation: found.generation };
    let claim = copy.claim(found.made_by, Some(&claim)).expect("claims");
    reconcile(&mut feed, &mut copy, &claim, Differ::InAnything, |_| found.epoch).expect("copies");
}

/// The settings of a feed that is alone.
pub fn alone(feed: &str) -> [String; 4] {
    ["--warehouse", "none", "--set", &format!("feed.path={feed}")].map(str::to_owned)
}

fn simulate(folder: &Path, events: u32) {
    let simulated = ["simulate", "--out", "shop", "--events", &events.to_string(), "--items", "50"];
    assert_eq!(said(&deltamart(folder, &simulated)).0, Some(0));
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

const FILES: [&str; 4] = ["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt"];

#[test]
fn a_feed_that_is_alone_has_what_sqlite_has() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, 3000);
    let sqlite = [&FILES[..], &["--warehouse", "whole.db", "--serve", "off"]].concat();
    assert_eq!(said(&deltamart(folder, &sqlite)).0, Some(0));
    let feed = alone("feed");
    let feed = texts(&feed);
    let run = [&FILES[..], &feed[..], &["--serve", "off"]].concat();
    let (code, text) = said(&deltamart(folder, &run));
    assert!(code == Some(0) && text.contains("feed:      feed (Parquet"), "{text}");
    assert!(
        !folder.join("none").exists() && folder.join("feed.state").exists(),
        "no SQLite, and the state beside the feed"
    );
    copy(&folder.join("feed"), &folder.join("copied.db"));
    assert_same(&folder.join("whole.db"), &folder.join("copied.db"));
    // A second run goes on where the first one stopped.
    let (code, text) = said(&deltamart(folder, &run));
    assert!(code == Some(0) && text.contains("nothing new"), "{text}");
    let user = Sqlite::open_to_read(all(), &folder.join("whole.db")).expect("opens");
    let user = user.connection().query_row("SELECT user_id FROM users", [], |row| row.get::<_, i64>(0));
    let user = user.expect("a user").to_string();
    for (command, expected) in [
        (&["verify"][..], "users: "),
        (&["late", "users"], "late"),
        (&["status"], "Parquet feed `feed`"),
        (&["check"], "warehouse: none"),
        (&["explain", "users"], "users"),
        (&["forget", &user], "is forgotten"),
    ] {
        let (code, text) = said(&deltamart(folder, &[command, &feed[..]].concat()));
        assert!(code == Some(0) && text.contains(expected), "{command:?}: {code:?} {text}");
    }
    let (code, text) = said(&deltamart(folder, &run));
    assert_eq!(code, Some(0), "after somebody was forgotten: {text}");
}

#[test]
fn what_asks_sqlite_says_what_to_do_without_it() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    std::fs::write(folder.join("e.jsonl"), "").expect("written");
    let feed = alone("feed");
    let feed = texts(&feed);
    for (command, expected) in [
        (&["show", "users"][..], "duckdb -init feed/views.sql"),
        (&["sql", "SELECT 1"], "duckdb -init feed/views.sql"),
        (&["serve"], "duckdb -init feed/views.sql"),
        (&["batch", "e.jsonl"], "--warehouse FILE"),
        (&["catalog", "e.jsonl"], "run FILES --catalog FILE"),
        (&["replay", "e.jsonl"], "--warehouse FILE"),
        (&["replay-rejected", "--dry-run"], "`rejected_events` of feed feed"),
        (&["drop"], "remove the folder of the table from feed feed"),
        (&["run", "e.jsonl", "--rebuild"], "--set feed.path=NEXT"),
    ] {
        let (code, text) = said(&deltamart(folder, &[command, &feed[..]].concat()));
        assert!(code == Some(2) && text.contains(expected), "{command:?}: {code:?} {text}");
        assert!(text.contains("`warehouse` is `none`"), "{text}");
    }
    for (settings, expected) in [
        (&["--warehouse", "none"][..], "there is no feed for the rows"),
        (&["--warehouse", "none", "--set", "feed.path=s3://bucket/feed"], "say where the state goes"),
    ] {
        let (code, text) = said(&deltamart(folder, &[&["run", "e.jsonl"], settings].concat()));
        assert!(code == Some(2) && text.contains(expected), "{settings:?}: {code:?} {text}");
    }
}

#[test]
fn a_feed_without_its_state_is_not_gone_on_with() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, 200);
    let feed = alone("feed");
    let run = [&FILES[..], &texts(&feed)[..], &["--serve", "off"]].concat();
    assert_eq!(said(&deltamart(folder, &run)).0, Some(0));
    std::fs::remove_dir_all(folder.join("feed.state")).expect("removed");
    let (code, text) = said(&deltamart(folder, &run));
    assert!(code == Some(2) && text.contains("there is no state in `feed.state` to go on from"), "{code:?} {text}");
}

/// Starts a run into a feed that is alone, which commits all the time.
fn start(folder: &Path, feed: &str, workers: usize) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).args(FILES).args(alone(feed)).args(["--serve", "off", "-w", &workers.to_string()]);
    for set in ["epoch_events=300", "epoch_interval=2ms", "feed.commit_interval=3ms", "snapshot_interval=20ms"] {
        command.args(["--set", set]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
}

/// The last epoch that is journaled.
fn journaled(folder: &Path) -> u64 {
    let Ok(store) = open_to_read(&folder.join("killed.state").display().to_string()) else { return 0 };
    let Ok(Some(dir)) = StateDir::open_to_read(store) else { return 0 };
    dir.chain().map_or(0, |chain| chain.end())
}

#[test]
fn a_feed_that_is_alone_loses_nothing_however_often_the_program_is_killed() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, 20_000);
    let ended = start(folder, "whole", 2).wait_with_output().expect("starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut kills = 0;
    'lives: loop {
        let until = if kills < KILLS { journaled(folder) + dice.random_range(1..=8) } else { u64::MAX };
        let mut child = start(folder, "killed", dice.random_range(1..=3));
        while journaled(folder) < until {
            if child.try_wait().expect("asked").is_some() {
                let ended = child.wait_with_output().expect("ended");
                assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
                break 'lives;
            }
        }
        child.kill().expect("kills");
        child.wait().expect("is gone");
        kills += 1;
    }
    println!("a feed alone: {kills} kills, then the end");
    assert!(kills > 3, "it came to its end after {kills} kills");
    for feed in ["whole", "killed"] {
        copy(&folder.join(feed), &folder.join(format!("{feed}.db")));
    }
    assert_same(&folder.join("whole.db"), &folder.join("killed.db"));
}

/// Starts all processes of a run into a feed that is alone, which commits all the time.
fn together(folder: &Path, processes: usize, feed: &str, workers: usize) -> Vec<Process> {
    hosts(folder, processes);
    let (settings, workers) = (alone(feed), workers.to_string());
    let fast = ["epoch_events=300", "epoch_interval=2ms", "feed.commit_interval=3ms", "snapshot_interval=20ms"];
    let fast = fast.iter().flat_map(|set| ["--set", set]);
    let all: Vec<_> = texts(&settings).into_iter().chain(fast).chain(["-w", &workers]).collect();
    let start = |process| match process {
        0 => Process::start(folder, [processes, 0], &[&FILES[1..], &all[..]].concat()),
        _ => Process::start(folder, [processes, process], &all[..]),
    };
    (0..processes).map(start).collect()
}

/// The files that the newest commit names, or any before it that is still there.
fn names_files_of(folder: &Path, process: &str) -> bool {
    let objects = std::fs::read_dir(folder.join("_progress")).expect("a folder").flatten();
    objects.into_iter().any(|object| std::fs::read_to_string(object.path()).expect("readable").contains(process))
}

#[test]
fn a_feed_that_several_processes_write_is_that_of_one_and_has_what_sqlite_has() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, 3000);
    let sqlite = [&FILES[..], &["--warehouse", "whole.db", "--serve", "off"]].concat();
    assert_eq!(said(&deltamart(folder, &sqlite)).0, Some(0));
    for (processes, workers) in [(2, 1), (3, 2)] {
        let feed = format!("{processes}x{workers}");
        for (process, ended) in together(folder, processes, &feed, workers).into_iter().enumerate() {
            let (code, text) = ended.ended();
            assert_eq!(code, Some(0), "process {process} of {processes}: {text}");
        }
        for process in 0..processes {
            assert!(names_files_of(&folder.join(&feed), &format!("-p{process:03}-")), "process {process} wrote");
        }
        let copied = folder.join(format!("{feed}.db"));
        copy(&folder.join(&feed), &copied);
        assert_same(&folder.join("whole.db"), &copied);
        let (code, text) = said(&deltamart(folder, &[&["verify"], &texts(&alone(&feed))[..]].concat()));
        assert_eq!(code, Some(0), "{text}");
        // One process goes on with it.
        let (code, text) = said(&deltamart(folder, &[&FILES[..], &texts(&alone(&feed))[..]].concat()));
        assert!(code == Some(0) && text.contains("nothing new"), "{text}");
    }
}

#[test]
fn a_process_that_would_write_another_feed_ends_the_start() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, 100);
    std::fs::create_dir(folder.join("other")).expect("made");
    for (own, expected) in [
        (&["--set", "feed.path=other"][..], "is not the feed that process 0 claimed"),
        (&[], "`feed.path` is not set at this one"),
    ] {
        hosts(folder, 2);
        let other = Process::start(folder, [2, 1], own);
        let leader = Process::start(folder, [2, 0], &[&FILES[1..], &texts(&alone("feed"))[..]].concat());
        for process in [other, leader] {
            let (code, text) = process.ended();
            assert!(code == Some(1) && text.contains(expected), "{own:?}: {code:?} {text}");
        }
    }
}

#[test]
fn a_feed_that_several_processes_write_loses_nothing_whoever_is_killed() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, 20_000);
    let ended = start(folder, "whole", 2).wait_with_output().expect("starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(13);
    let mut kills = 0;
    'lives: loop {
        let until = if kills < KILLS { journaled(folder) + dice.random_range(1..=8) } else { u64::MAX };
        let processes = dice.random_range(2..=3);
        let mut all = together(folder, processes, "killed", dice.random_range(1..=2));
        while journaled(folder) < until {
            if all[0].has_ended() {
                for process in all {
                    let (code, text) = process.ended();
                    assert_eq!(code, Some(0), "{text}");
                }
                break 'lives;
            }
        }
        // Dropped, it is killed; the others end by themselves, or are when the next ones come.
        drop(all.remove(dice.random_range(0..processes)));
        for process in all {
            let (code, text) = process.ended();
            assert!(matches!(code, Some(0 | 1)), "{code:?} {text}");
        }
        kills += 1;
    }
    println!("a feed of several processes: {kills} kills, then the end");
    assert!(kills > 3, "it came to its end after {kills} kills");
    for feed in ["whole", "killed"] {
        copy(&folder.join(feed), &folder.join(format!("{feed}.db")));
    }
    assert_same(&folder.join("whole.db"), &folder.join("killed.db"));
}
