//! The simulated shop is beside nothing else, and what it says to do next works.

use crate::cli::{data, deltamart, said};
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use deltamart::sink::{MadeBy, Sink};
use std::path::Path;
use std::process::Command;

const SHOP: [&str; 4] = ["--events", "3000", "--rate", "0"];

fn made_by(warehouse: &Path) -> MadeBy {
    Sqlite::open_to_read(all(), warehouse).expect("opens").position().expect("reads").expect("claimed").made_by
}

/// The commands that were printed, with what they are for cut off: the program's path begins them.
fn printed(text: &str) -> Vec<String> {
    let program = env!("CARGO_BIN_EXE_deltamart");
    text.lines().filter_map(|line| line.find(program).map(|at| line[at..].to_owned())).collect()
}

/// A shell does, in one folder and in order, what was printed.
fn type_lines(folder: &Path, lines: &[String]) {
    for line in lines {
        let output = Command::new("sh").current_dir(folder).args(["-c", line]).output().expect("a shell");
        let (code, text) = said(&output);
        assert_eq!(code, Some(0), "{line}\n{text}");
    }
}

/// Written again, elsewhere, and where files are not read by themselves: it works each time, word for word.
#[test]
fn what_simulate_says_to_do_next_works_word_for_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulate = |out: &str, seed: &str| {
        let arguments = ["simulate", "--out", out, "--items", "40", "--seed", seed, SHOP[0], SHOP[1]];
        let (code, text) = said(&deltamart(folder.path(), &arguments));
        assert_eq!(code, Some(0), "{text}");
        printed(&text)
    };
    for (out, seed) in [("shop", "1"), ("shop", "2"), ("it's a shop", "3")] {
        let lines = simulate(out, seed);
        for (line, command) in lines.iter().zip([" run ", " show ", " batch ", " verify "]) {
            assert!(line.contains(command), "{line}");
        }
        assert_eq!(lines.len(), 4, "{lines:?}");
        type_lines(folder.path(), &lines);
    }
    std::fs::write(folder.path().join("deltamart.toml"), "[kafka]\nbrokers = \"127.0.0.1:1\"\n").expect("written");
    type_lines(folder.path(), &simulate("shop", "4"));
}

#[test]
fn the_summary_of_a_simulated_run_says_what_to_do_next_and_it_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = said(&deltamart(folder.path(), &SHOP));
    assert_eq!(code, Some(0), "{text}");
    let lines = printed(&text);
    assert!(!lines.is_empty(), "{text}");
    type_lines(folder.path(), &lines);
}

#[test]
fn nothing_is_simulated_into_a_warehouse_that_holds_anything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = data("events/first_day.jsonl");
    let run = |arguments: &[&str]| said(&deltamart(folder.path(), arguments));
    assert_eq!(run(&["run", &events]).0, Some(0));
    assert_eq!(run(&["batch", &events, "--warehouse", "batch.db"]).0, Some(0));
    assert_eq!(made_by(&folder.path().join("deltamart.db")), MadeBy::Run);
    let before = std::fs::read(folder.path().join("deltamart.db")).expect("readable");
    for more in [&[][..], &["run"], &["run", "--rebuild"], &["run", "--rebuild", "--accept-loss"]] {
        let (code, text) = run(&[more, &SHOP].concat());
        for expected in ["`first_day.jsonl/0`", "nothing is simulated into it", "run FILES", "--brokers", "--warehouse"]
        {
            assert!(code == Some(2) && text.contains(expected), "{more:?}: `{expected}` is missing:\n{text}");
        }
    }
    assert_eq!(std::fs::read(folder.path().join("deltamart.db")).expect("readable"), before, "something was written");
    let (code, text) = run(&["--warehouse", "batch.db"]);
    assert!(code == Some(2) && text.contains("made by `batch`"), "{text}");
    let (code, text) = run(&["run", &events]);
    assert!(code == Some(0) && text.starts_with("nothing new"), "it goes on with its files: {text}");
}

#[test]
fn nothing_else_goes_into_a_warehouse_that_the_simulator_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let warehouse = folder.path().join("deltamart.db");
    let run = |arguments: &[&str]| said(&deltamart(folder.path(), arguments));
    let goes_on = || {
        let (code, text) = run(&SHOP);
        assert!(code == Some(0) && text.starts_with("nothing new"), "it goes on where it ended: {text}");
    };
    assert_eq!(run(&SHOP).0, Some(0));
    goes_on();
    assert_eq!(made_by(&warehouse), MadeBy::Simulator);
    let (code, text) = run(&["check"]);
    assert!(code == Some(0) && text.contains("made by `simulate`"), "{text}");
    let events = data("events/first_day.jsonl");
    let refused = || {
        for others in [
            &["run", &events][..],
            &["run", &events, "--rebuild", "--accept-loss"],
            // Nobody is asked there.
            &["run", "--brokers", "127.0.0.1:1"],
        ] {
            let (code, text) = run(others);
            assert!(code == Some(2) && text.contains("made by the simulated shop"), "{others:?}: {text}");
        }
        let (code, text) = run(&["batch", &events]);
        assert!(code == Some(2) && text.contains("name another file"), "{text}");
    };
    refused();
    // As an earlier version wrote it down: the state tells.
    let change = "UPDATE _progress SET made_by = 'run'";
    rusqlite::Connection::open(&warehouse).and_then(|db| db.execute_batch(change)).expect("changes");
    refused();
    goes_on();
    assert_eq!(run(&["verify"]).0, Some(0));
}
