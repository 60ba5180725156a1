//! The commands in README and `docs/` run, as they stand there, each page in a folder of its own.
//!
//! A block of commands begins with ` ```sh `, or with ` ```sh kafka ` if it needs a broker and a registry. A page finds
//! what README's own commands make: the folder `shop`, and `deltamart.db` read from it.

use super::{pages, root};
use crate::cli::deltamart;
use clap::error::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const PLAIN: &str = "sh";
pub const KAFKA: &str = "sh kafka";

/// What stands in the pages, and what is called here.
const CALLED: &[(&str, &str)] = &[("cargo run --release --", "deltamart"), ("target/release/deltamart", "deltamart")];
/// Lines that are not for a folder of their own: the clone's own scripts, and a name for the program.
const NOT_HERE: &[&str] = &["alias ", "scripts/"];
/// Programs of others, which a machine may not have. Any other word that begins a line is a mistake of the page.
const OTHERS: &[&str] = &["duckdb", "sqlite3", "python3", "docker", "kill", "curl"];

/// What follows such a line, up to a line `E`, is written into a file.
const HERE: &str = "<<'E'";

/// A block of a page.
pub struct Block {
    page: String,
    pub info: String,
    text: String,
}

pub fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for path in pages() {
        let page = path.strip_prefix(root()).expect("ours").display().to_string();
        let text = std::fs::read_to_string(&path).expect("readable");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(info) = line.trim_start().strip_prefix("```") {
                let text: Vec<_> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
                blocks.push(Block { page: page.clone(), info: info.to_owned(), text: text.join("\n") });
            }
        }
    }
    blocks.sort_by(|one, other| one.page.cmp(&other.page));
    blocks
}

/// What is run of a block: a line for a program that this machine does not have is left out, and said.
pub fn script(block: &Block) -> String {
    let mut script = String::new();
    let mut lines = block.text.lines();
    while let Some(line) = lines.next() {
        let line = CALLED.iter().fold(line.trim_start().to_owned(), |line, (there, here)| line.replace(there, here));
        let word = line.split_whitespace().next().unwrap_or_default();
        if NOT_HERE.iter().any(|start| line.starts_with(start)) {
            let is_alone = !line.starts_with("alias ") || line.split_whitespace().count() == 2;
            assert!(is_alone, "{}: more than a name for the program: {line}", block.page);
            if line.starts_with("scripts/") {
                let mode = std::fs::metadata(root().join(word)).expect(word).permissions().mode();
                assert!(mode & 0o111 != 0, "{}: `{word}` cannot be called", block.page);
            }
            continue;
        }
        let is_there = Command::new("bash").args(["-c", "command -v \"$0\"", word]).output().expect("bash");
        if word != "deltamart" && !word.is_empty() && !word.starts_with('#') && !is_there.status.success() {
            assert!(OTHERS.contains(&word), "{}: what is `{word}`? {line}", block.page);
            println!("{}: not run, since `{word}` is not installed: {line}", block.page);
            continue;
        }
        script.push_str(&line);
        script.push('\n');
        // What is written into a file is no command.
        if line.ends_with(HERE) {
            for line in lines.by_ref() {
                script.push_str(line);
                script.push('\n');
                if line == "E" {
                    break;
                }
            }
        }
    }
    script
}

/// A folder whose file `deltamart` is the program.
pub fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_deltamart"), folder.path().join("deltamart")).expect("links");
    folder
}

pub fn run(block: &Block, script: &str, folder: &Path, programs: &Path) {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.display()))
        // As fast as it goes: what it makes is the same.
        .env("DELTAMART__SIMULATE__RATE", "0")
        .output()
        .expect("bash");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}:\n{script}\n{}", block.page, String::from_utf8_lossy(&said));
}

/// What README's commands make of a shop, and a feed.
fn fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["simulate", "--out", "shop", "--items", "500", "--events", "100000"][..],
        &["run", "shop/events.jsonl", "--catalog", "shop/Movies.txt", "--set", "feed.path=feed", "-w", "2"],
    ] {
        let output = deltamart(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::write(folder.path().join("report.sql"), "SELECT COUNT(*) FROM users").expect("writes");
    folder
}

#[test]
fn the_commands_of_every_page_run() {
    let (programs, fixture) = (programs(), fixture());
    let all = blocks();
    let mut of_page: Option<(String, tempfile::TempDir)> = None;
    let mut ran = 0;
    for block in all.iter().filter(|block| block.info == PLAIN) {
        if of_page.as_ref().is_none_or(|(page, _)| *page != block.page) {
            let folder = tempfile::tempdir().expect("a folder");
            if block.page != "README.md" {
                let from = format!("{}/.", fixture.path().display());
                let copied = Command::new("cp").args(["-a", &from]).arg(folder.path()).status().expect("cp");
                assert!(copied.success());
            }
            of_page = Some((block.page.clone(), folder));
        }
        let (_, folder) = of_page.as_ref().expect("it was made");
        let script = script(block);
        ran += script.lines().count();
        run(block, &script, folder.path(), programs.path());
    }
    assert!(ran > 20, "only {ran} lines were found");
    let known = |block: &&Block| block.info.starts_with("sh") && ![PLAIN, KAFKA].contains(&block.info.as_str());
    assert!(all.iter().find(known).is_none_or(|block| panic!("{}: what is `{}`?", block.page, block.info)));
}

/// The calls that pages name, in their prose and in their blocks.
fn calls() -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for path in pages() {
        let (text, page) = (std::fs::read_to_string(&path).expect("readable"), path.display().to_string());
        for (n, part) in text.split("```").enumerate() {
            let found: Vec<_> = match n % 2 {
                0 => part.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
                _ => part.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).collect(),
            };
            let of_ours = found.into_iter().filter(|call| call.starts_with("deltamart "));
            calls.extend(of_ours.map(|call| (page.clone(), call)));
        }
    }
    calls
}

/// Wherever a page names a call, it is one that is understood.
#[test]
fn every_call_that_a_page_names_is_understood() {
    let mut found = 0;
    for (page, call) in calls() {
        // Something is left out, or stands for something.
        if call.contains("...") || call.contains('\n') || call.contains(['|', '>', '<', '$']) {
            continue;
        }
        let Some(words) = shlex::split(&call) else { continue };
        let stands_for_something = |word: &String| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        if words.iter().any(stands_for_something) {
            continue;
        }
        found += 1;
        let parsed = deltamart::cli::parse(words.into_iter().map(Into::into));
        if let Err(error) = parsed {
            // Prose names a command without what it needs.
            let is_named = error.kind() == ErrorKind::MissingRequiredArgument;
            assert!(is_named || !error.use_stderr(), "{page}: `{call}`: {error}");
        }
    }
    assert!(found > 30, "only {found} were found");
}

/// The examples in the help of each command are understood too.
#[test]
fn every_example_of_the_help_is_understood() {
    let mut whole = deltamart::cli::command();
    whole.build();
    let helps = std::iter::once(whole.clone()).chain(whole.get_subcommands().cloned());
    let mut found = 0;
    for mut one in helps.collect::<Vec<_>>() {
        let help = one.render_long_help().to_string();
        let Some((_, examples)) = help.split_once("Example") else { continue };
        for line in examples.lines().filter(|line| line.trim_start().starts_with("deltamart ")) {
            // Behind it stands what it does, or where its output goes.
            let call = line.trim().split("  ").next().unwrap_or_default();
            let call = call.split(" > ").next().and_then(|call| call.split(" < ").next()).unwrap_or_default();
            let words = shlex::split(call).unwrap_or_else(|| panic!("{call}"));
            found += 1;
            if let Err(error) = deltamart::cli::parse(words.into_iter().map(Into::into)) {
                assert!(!error.use_stderr(), "`{call}`: {error}");
            }
        }
    }
    assert!(found > 20, "only {found} were found");
}
