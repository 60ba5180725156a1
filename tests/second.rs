//! A second run on one state, one that was killed, two at once; and a rebuild that was left.

use crate::cli::{deltamart, said};
use crate::support;
use deltamart::state_dir::StateDir;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often it is killed, unless more is asked for.
const KILLS: usize = 20;

/// A program that is not left behind when a test fails.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Asks until there is an answer; a test that waits for what does not come fails.
fn waited<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(120) {
        if let Some(answer) = ask() {
            return answer;
        }
        // Between two looks at another process: what is asserted is the fact, not the time.
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{what} did not come to be");
}

/// Does something while another run says that it goes on.
pub fn while_it_beats<T>(dir: &StateDir, mut beat: serde_json::Value, act: impl FnOnce() -> T) -> T {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    // The first one is there before anybody looks, however busy the machine is.
    beat["counter"] = 0.into();
    dir.beat(&beat).expect("written");
    std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            for counter in 1_u64.. {
                if over.load(Relaxed) {
                    return;
                }
                beat["counter"] = counter.into();
                dir.beat(&beat).expect("written");
                // So that it does not write without a pause; how often it beats decides nothing.
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        act()
    })
}

fn spawn(folder: &Path, more: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder).args(["--events", "100000000", "--rate", "2000"]).args(more);
    Run(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts"))
}

fn state(folder: &Path, warehouse: &str) -> Option<StateDir> {
    let place = folder.join(format!("{warehouse}.state")).display().to_string();
    StateDir::open_to_read(deltamart::store::open_to_read(&place).ok()?).ok().flatten()
}

/// What was last said of the run.
fn heard(folder: &Path) -> Option<serde_json::Value> {
    state(folder, "deltamart.db")?.heartbeat().ok().flatten()
}

fn complaint(run: &mut Run) -> String {
    let mut why = String::new();
    run.0.stderr.as_mut().expect("piped").read_to_string(&mut why).expect("text");
    why
}

/// Waits until this process is the one that runs.
fn runs(folder: &Path, run: &mut Run) {
    waited("a heartbeat", || {
        if let Some(status) = run.0.try_wait().expect("asks") {
            panic!("{status}: {}", complaint(run));
        }
        let beat = heard(folder)?;
        let is_it = beat["process"] == run.0.id() && beat["ended"] == false;
        (is_it && beat["generation"].as_u64() > Some(0)).then_some(())
    });
}

/// Waits until it has ended; tells how.
fn ended(run: &mut Run) -> Option<i32> {
    waited("its end", || run.0.try_wait().expect("asks")).code()
}

fn terminate(run: &mut Run) -> Option<i32> {
    Command::new("kill").arg(run.0.id().to_string()).status().expect("kills");
    ended(run)
}

#[test]
fn whoever_is_killed_is_waited_for_by_nobody() {
    let kills = std::env::var("DELTAMART_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().expect("a folder");
    let mut before = spawn(folder.path(), &[]);
    for _ in 0..kills {
        runs(folder.path(), &mut before);
        before.0.kill().expect("kills");
        // Before anybody has asked for what became of it.
        before = spawn(folder.path(), &[]);
    }
    runs(folder.path(), &mut before);
    let process = before.0.id();
    before.0.kill().expect("kills");
    before.0.wait().expect("is gone");
    let (code, text) = said(&deltamart(folder.path(), &["status"]));
    let gone = format!("run        process {process} is gone; it did not end normally; last report ");
    assert!(code == Some(0) && text.contains(&gone), "{code:?}: {text}");
    let (code, text) = said(&deltamart(folder.path(), &["status", "--max-unheard", "1h"]));
    assert!(code == Some(4) && text.contains("is gone, and `--max-unheard` expects an active one"), "{code:?}: {text}");
    before = spawn(folder.path(), &[]);
    runs(folder.path(), &mut before);
    assert_eq!(terminate(&mut before), Some(0));
}

/// A start that waits for brokers ends in order with the first signal.
#[test]
fn a_start_that_waits_is_stopped_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let brokers = "127.0.0.1:1";
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(folder.path()).args(["run", "--brokers", brokers, "--set", "kafka.format=json"]);
    let mut run = Run(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"));
    // By then it listens for signals; and nothing that it reads from will ever answer.
    waited("a heartbeat", || heard(folder.path()));
    assert_eq!(terminate(&mut run), Some(0), "{}", complaint(&mut run));
    let mut said = String::new();
    run.0.stdout.as_mut().expect("piped").read_to_string(&mut said).expect("text");
    assert!(said.contains("stopped while waiting for Kafka at 127.0.0.1:1; nothing was read"), "{said}");
}

#[test]
fn of_two_that_start_at_once_one_runs_and_the_other_says_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for round in 0..4 {
        let mut two = [spawn(folder, &[]), spawn(folder, &[])];
        let out = waited("an end", || two.iter_mut().position(|run| run.0.try_wait().expect("asks").is_some()));
        let code = ended(&mut two[out]);
        let (why, stays) = (complaint(&mut two[out]), two[1 - out].0.id());
        let named = format!("process {stays}");
        assert!(code == Some(2) && why.contains(&named), "round {round}, {code:?}, {stays}: {why}");
        runs(folder, &mut two[1 - out]);
        // After an end in order, and after none.
        if round % 2 == 0 {
            assert_eq!(terminate(&mut two[1 - out]), Some(0));
        } else {
            two[1 - out].0.kill().expect("kills");
        }
    }
}

#[test]
fn a_run_that_is_under_way_is_left_alone_unless_it_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut first = spawn(folder, &[]);
    runs(folder, &mut first);
    for command in [&["--events", "10"][..], &["forget", "1"], &["--events", "10", "--set", "take_over=false"]] {
        let (code, why) = said(&deltamart(folder, command));
        let named = [format!("process {}", first.0.id()), "on host `".to_owned(), "--take-over".to_owned()];
        assert!(code == Some(2) && named.iter().all(|named| why.contains(named)), "{command:?}, {code:?}: {why}");
        assert!(first.0.try_wait().expect("asks").is_none(), "it was disturbed");
    }
    let mut second = spawn(folder, &["run", "--take-over"]);
    let code = ended(&mut first);
    let why = complaint(&mut first);
    assert!(code == Some(1) && why.contains(&format!("process {}", second.0.id())), "{code:?}: {why}");
    runs(folder, &mut second);
    // The last word of the first one was not its own any more.
    assert_eq!(heard(folder).expect("said")["process"], second.0.id());
    let mut third = spawn(folder, &["--set", "take_over=true"]);
    assert_eq!(ended(&mut second), Some(1));
    runs(folder, &mut third);
    assert_eq!(terminate(&mut third), Some(0));
}

/// A heartbeat from elsewhere, whatever its clock says.
#[test]
fn a_run_on_another_machine_is_heard_by_its_counter() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let shop = ["--events", "500", "--rate", "0"];
    assert_eq!(said(&deltamart(folder, &shop)).0, Some(0));
    let store = deltamart::store::open(&folder.join("deltamart.db.state").display().to_string()).expect("a folder");
    let dir = StateDir::open_to_read(store).expect("readable").expect("there is one");
    let ended: serde_json::Value = dir.heartbeat().expect("readable").expect("said");
    assert_eq!(ended["ended"], true);
    for at in ["1999-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"] {
        let mut beat = ended.clone();
        (beat["ended"], beat["at"], beat["process"]) = (false.into(), at.into(), 4711.into());
        beat["who"] =
            serde_json::json!({"host": "elsewhere", "boot": "another", "namespace": "", "process": 4711, "started": 1});
        let (code, why) = while_it_beats(&dir, beat, || said(&deltamart(folder, &shop)));
        assert!(code == Some(2) && why.contains("process 4711 on host `elsewhere`"), "{code:?}: {why}");
    }
    // Silent from now on.
    let (code, why) = said(&deltamart(folder, &shop));
    assert_eq!(code, Some(0), "five beats later: {why}");
}

/// A rebuild is killed, and left: what was there before goes on as if it had never begun.
#[test]
fn an_interrupted_rebuild_can_be_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let simulated = ["simulate", "--out", "shop", "--events", "40000", "--items", "50"];
    assert_eq!(said(&deltamart(folder, &simulated)).0, Some(0));
    let all = std::fs::read_to_string(folder.join("shop/events.jsonl")).expect("readable");
    let (part, _) = all.split_at(all[..all.len() / 2].rfind('\n').expect("lines") + 1);
    std::fs::write(folder.join("events.jsonl"), part).expect("writes");
    let mut run = vec!["run", "events.jsonl", "--catalog", "shop/Movies.txt"];
    for set in ["epoch_events=300", "epoch_interval=2ms", "commit_interval=3ms", "snapshot_interval=20ms"] {
        run.extend(["--set", set]);
    }
    let with = |more: &[&'static str]| [&run[..], more].concat();
    assert_eq!(said(&deltamart(folder, &with(&[]))).0, Some(0));
    for round in 0..3 {
        let dir = state(folder, "deltamart.db").expect("there is one");
        let (before, generation) = (dir.chain().expect("readable").end(), dir.last_generation().expect("readable"));
        let mut rebuild = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        rebuild.current_dir(folder).args(with(&["--rebuild"])).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut rebuild = Run(rebuild.spawn().expect("starts"));
        // Twice in a row without anything between them, too.
        waited("some of it", || {
            let ended = rebuild.0.try_wait().expect("asks");
            assert!(ended.is_none(), "it ended before it was killed: {}", complaint(&mut rebuild));
            (dir.chain().expect("readable").end() >= before + 8).then_some(())
        });
        drop(rebuild);
        assert_eq!(dir.last_generation().expect("readable"), generation + 1);
        if round == 1 {
            // With another meaning it is said why not.
            let (code, why) = said(&deltamart(folder, &with(&["--set", "lateness=12h"])));
            assert!(code == Some(2) && why.contains("lateness"), "{code:?}: {why}");
        }
        if round != 0 {
            let (code, why) = said(&deltamart(folder, &with(&[])));
            assert!(code == Some(0) && why.starts_with("nothing new"), "round {round}, {code:?}: {why}");
        }
    }
    std::fs::write(folder.join("events.jsonl"), &all).expect("writes");
    let (code, why) = said(&deltamart(folder, &with(&[])));
    assert!(code == Some(0) && !why.starts_with("nothing new"), "{code:?}: {why}");
    let whole = ["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--warehouse", "whole.db"];
    assert_eq!(said(&deltamart(folder, &whole)).0, Some(0));
    let of = |name: &str| {
        let rows = support::stored(&folder.join(name));
        rows.into_iter().filter(|row| !row.contains("catalog")).collect::<Vec<_>>()
    };
    assert_eq!(of("deltamart.db").len(), of("whole.db").len());
    assert_eq!(said(&deltamart(folder, &["verify"])).0, Some(0));
    // And one that comes to its end is gone on with.
    let (code, why) = said(&deltamart(folder, &with(&["--rebuild"])));
    assert_eq!(code, Some(0), "{why}");
    let (code, why) = said(&deltamart(folder, &with(&[])));
    assert!(code == Some(0) && why.starts_with("nothing new"), "{code:?}: {why}");
}
