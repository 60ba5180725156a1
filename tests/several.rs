//! One run of several processes, which are real and on this machine: what one makes alone, and how all end together.

/// A folder that is watched, with events and metrics that a model declares.
mod declared;

use crate::cli::{deltamart, said};
use crate::support::assert_same;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process that is not left behind when a test fails.
pub struct Process(Option<Child>);

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Process {
    pub fn start(folder: &Path, [processes, process]: [usize; 2], arguments: &[&str]) -> Process {
        let (processes, process) = (processes.to_string(), process.to_string());
        let together = ["run", "-n", &processes, "-p", &process, "--hostfile", "hosts", "--serve", "off"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        command.current_dir(folder).args(together).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Process(Some(command.spawn().expect("starts")))
    }

    /// Its exit code, and what it said.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let child = self.0.take().expect("it has not ended");
        said(&child.wait_with_output().expect("read"))
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| child.try_wait().expect("asked").is_some())
    }
}

/// Reads what a process says, until it says this.
fn until_it_says(from: &mut impl Read, what: &str) {
    let mut said = String::new();
    for line in BufReader::new(from).lines() {
        said += &line.expect("text");
        if said.contains(what) {
            return;
        }
    }
    panic!("it ended without a word of `{what}`: {said}")
}

/// Names places on this machine at which nobody listens.
pub fn hosts(folder: &Path, processes: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let hosts: Vec<_> = listeners.iter().map(|listener| listener.local_addr().expect("bound").to_string()).collect();
    std::fs::write(folder.join("hosts"), hosts.join("\n")).expect("written");
    hosts
}

fn simulate(folder: &Path, events: &str) {
    let simulated = ["simulate", "--out", "shop", "--events", events, "--items", "50"];
    assert_eq!(said(&deltamart(folder, &simulated)).0, Some(0));
}

const FILES: [&str; 3] = ["shop/events.jsonl", "--catalog", "shop/Movies.txt"];

#[test]
fn several_processes_make_what_one_makes() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, "3000");
    let alone = [&["run"], &FILES[..], &["--warehouse", "alone.db", "--serve", "off"]].concat();
    let (code, text) = said(&deltamart(folder, &alone));
    assert_eq!(code, Some(0), "{text}");
    for (processes, workers) in [(2, "1"), (3, "2")] {
        let warehouse = format!("{processes}x{workers}.db");
        hosts(folder, processes);
        let arguments = [&FILES[..], &["--warehouse", &warehouse, "-w", workers]].concat();
        let mut all: Vec<_> = (1..processes)
            .map(|process| {
                let ignored = ["-w", workers, "ignored.jsonl", "--warehouse", "no/such/folder.db"];
                Process::start(folder, [processes, process], &ignored)
            })
            .collect();
        all.push(Process::start(folder, [processes, 0], &arguments));
        let leader = all.pop().expect("process 0");
        for process in all {
            let (code, text) = process.ended();
            assert_eq!(code, Some(0), "{processes} processes: {text}");
            assert!(text.contains("what is given here is left alone, files, `--warehouse`"), "{text}");
        }
        let (code, text) = leader.ended();
        assert_eq!(code, Some(0), "{processes} processes: {text}");
        assert_same(&folder.join("alone.db"), &folder.join(&warehouse));
    }
}

/// All processes of a run that reads on and on, once it has committed something.
fn begun(folder: &Path, processes: usize, warehouse: &str) -> Vec<Option<Process>> {
    hosts(folder, processes);
    let follows = [&FILES[..], &["--follow", "--warehouse", warehouse]].concat();
    let start = |process| Process::start(folder, [processes, process], if process == 0 { &follows } else { &[] });
    let mut all: Vec<_> = (0..processes).map(start).map(Some).collect();
    let asks = ["status", "--warehouse", warehouse, "--wait-for", "events.jsonl/0=10"];
    // As long as there is no warehouse, nobody can wait for what is in it.
    while said(&deltamart(folder, &asks)).0 != Some(0) {
        assert!(!all.iter_mut().flatten().any(Process::has_ended), "nothing was committed");
    }
    all
}

#[test]
fn who_is_killed_ends_all_with_a_line_that_names_it_and_all_go_on_from_there() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, "2000");
    let alone = [&["run"], &FILES[..], &["--warehouse", "alone.db", "--serve", "off"]].concat();
    assert_eq!(said(&deltamart(folder, &alone)).0, Some(0));
    for killed in [1, 0] {
        let warehouse = format!("without{killed}.db");
        let mut all = begun(folder, 3, &warehouse);
        drop(all[killed].take());
        for (process, other) in all.into_iter().enumerate() {
            let Some(other) = other else { continue };
            let (code, text) = other.ended();
            assert_eq!(code, Some(1), "process {process}, when {killed} was killed: {text}");
            assert!(text.contains(&format!("process {killed} ")), "process {process}: {text}");
        }
        // As many others as there are, from where they were.
        let arguments = [&FILES[..], &["--warehouse", &warehouse]].concat();
        let start = |process| Process::start(folder, [2, process], if process == 0 { &arguments } else { &[] });
        for process in [0, 1].map(start) {
            let (code, text) = process.ended();
            assert_eq!(code, Some(0), "{text}");
        }
        assert_same(&folder.join("alone.db"), &folder.join(&warehouse));
    }
}

fn signal(all: &[Option<Process>], to: usize, signal: &str) {
    let id = all[to].as_ref().and_then(|process| process.0.as_ref()).map(|child| child.id().to_string());
    let id = id.expect("it has not ended");
    assert!(Command::new("kill").args([signal, &id]).status().expect("runs").success());
}

#[test]
fn a_run_that_goes_on_with_what_is_new_goes_on_with_all_processes() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, "1000");
    let mut all = begun(folder, 3, "rotated.db");
    let events = folder.join("shop/events.jsonl");
    let lines = std::fs::read_to_string(&events).expect("events");
    std::fs::rename(&events, folder.join("shop/events.jsonl.1")).expect("renamed");
    // What was renamed is read to its end, and then the file that has its name: another run, of the same processes.
    std::fs::write(&events, lines.lines().take(400).map(|line| format!("{line} \n")).collect::<String>())
        .expect("written");
    let asks = ["status", "--warehouse", "rotated.db", "--wait-for", "events.jsonl/1=401", "--timeout", "5"];
    while said(&deltamart(folder, &asks)).0 != Some(0) {
        assert!(!all.iter_mut().flatten().any(Process::has_ended), "a process has ended");
    }
    signal(&all, 2, "-TERM");
    for process in all.into_iter().flatten() {
        let (code, text) = process.ended();
        assert_eq!(code, Some(0), "{text}");
    }
}

/// Asks for the status until the others wait for process 1, or do not; what the status says of it then.
fn until_it_is_slow(folder: &Path, all: &mut [Option<Process>], is_slow: bool) -> serde_json::Value {
    loop {
        let (_, text) = said(&deltamart(folder, &["status", "--json", "--warehouse", "slow.db"]));
        assert!(!all.iter_mut().flatten().any(Process::has_ended), "{text}");
        let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let other = &status["run"]["processes"][1];
        if other.is_object() && other["slow"].is_string() == is_slow {
            return other.clone();
        }
    }
}

#[test]
fn one_that_is_waited_for_is_named_until_it_goes_on() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, "500");
    let mut all = begun(folder, 2, "slow.db");
    let hosts = std::fs::read_to_string(folder.join("hosts")).expect("written");
    let host = hosts.lines().nth(1).expect("two");
    let fine = until_it_is_slow(folder, &mut all, false);
    assert!(fine["host"] == host, "{fine}");
    signal(&all, 1, "-STOP");
    until_it_is_slow(folder, &mut all, true);
    let (_, told) = said(&deltamart(folder, &["status", "--warehouse", "slow.db"]));
    assert!(told.contains(&format!("process 1 ({host}): it says nothing; waited for since ")), "{told}");
    signal(&all, 1, "-CONT");
    until_it_is_slow(folder, &mut all, false);
    signal(&all, 0, "-TERM");
    for process in all.into_iter().flatten() {
        let (code, text) = process.ended();
        assert_eq!(code, Some(0), "{text}");
    }
}

#[test]
fn who_is_asked_to_stop_stops_all_in_order() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    simulate(folder, "500");
    for asked in [0, 1] {
        let all = begun(folder, 2, &format!("stopped{asked}.db"));
        // While they compute, strangers come to each of them.
        let hosts = std::fs::read_to_string(folder.join("hosts")).expect("written");
        let strangers = hosts.lines().map(stranger).collect::<Vec<_>>();
        signal(&all, asked, "-TERM");
        for process in all.into_iter().flatten() {
            let (code, text) = process.ended();
            assert_eq!(code, Some(0), "{text}");
        }
        drop(strangers);
    }
}

/// Connects as those who are none of us: one asks for a page, one goes away at once, and one says nothing.
fn stranger(at: &str) -> TcpStream {
    let knock = || TcpStream::connect(at).expect("it listens");
    knock().write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    drop(knock());
    knock()
}

#[test]
fn strangers_are_turned_away_and_who_is_different_is_named() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    let hosts = hosts(folder, 2);
    std::fs::write(folder.join("secret"), "what all of them know\n").expect("written");
    let knows = ["--set", "cluster.secret=file:secret"];
    let arguments = [&knows[..], &["--events", "2000", "--rate", "0", "-w", "2"]].concat();
    let mut leader = Process::start(folder, [2, 0], &arguments);
    let says = leader.0.as_mut().and_then(|child| child.stdout.as_mut()).expect("piped");
    until_it_says(says, "waiting for the other processes");
    let _silent = stranger(&hosts[0]);
    // One does not know the secret. Another one has other workers, and is waited for until it comes with as many.
    for (arguments, why) in [
        (&["-w", "2"][..], "it has another secret than this process"),
        (&["-w", "1", knows[0], knows[1]], "has 1 workers, and ours has 2"),
        (&["-w", "2", knows[0], knows[1], "--set", "rules.age=[1, 50]"], "was given other settings or another model"),
    ] {
        let mut different = Process::start(folder, [2, 1], arguments);
        let says = different.0.as_mut().and_then(|child| child.stderr.as_mut()).expect("piped");
        until_it_says(says, why);
    }
    let other = Process::start(folder, [2, 1], &["-w", "2", knows[0], knows[1]]);
    let (code, text) = leader.ended();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("has 1 workers, and ours has 2"), "{text}");
    assert!(text.contains("a process at 127.0.0.1 has another secret than this process (`cluster.secret`)"), "{text}");
    assert_eq!(other.ended().0, Some(0));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path();
    std::fs::write(folder.join("hosts"), "a:1\n").expect("written");
    std::fs::write(folder.join("two"), "10.0.0.1:1\n10.0.0.2:1").expect("written");
    std::fs::write(folder.join("short"), "1234").expect("written");
    let wrong: [(&[&str], &str); 8] = [
        (&["-n", "2", "-p", "2"], "-p: setting `cluster.process`: is 2; processes are numbered from 0 on, here to 1"),
        (&["-p", "1"], "is 1; processes are numbered from 0 on, here to 0"),
        (&["-n", "2", "--hostfile", "two"], "where others reach them too: that needs `cluster.secret`"),
        (&["-n", "2", "--set", "cluster.secret=file:short"], "has 4 bytes, and can be guessed"),
        (&["-n", "2", "--set", "cluster.secret=file:none"], "could not read secret file `none`"),
        (&["-n", "2", "--set", "cluster.hosts=a:1"], "setting `cluster.hosts`: it names 1 hosts"),
        (&["-n", "2", "--hostfile", "hosts"], "names 1 hosts, and there are 2 processes"),
        (&["-n", "2", "--warehouse", ":memory:"], "belongs to one process"),
    ];
    for (arguments, expected) in wrong {
        let (code, text) = said(&deltamart(folder, &[&["run"], arguments].concat()));
        assert!(code == Some(2) && text.contains(expected), "{arguments:?}: {code:?} {text}");
    }
}
