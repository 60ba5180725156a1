//! Nothing of the data is acted on by a terminal: hostile text in every place that data comes from, and every command.

use deltamart::families::all;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Output};

/// Characters that a terminal, or a program that reads from it, acts on.
fn hostile() -> Vec<char> {
    let ranges = ['\u{1}'..='\u{1f}', '\u{7f}'..='\u{9f}', '\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}'];
    let more = ['\u{2066}'..='\u{2069}', '\u{61c}'..='\u{61c}', '\u{feff}'..='\u{feff}'];
    ranges.into_iter().chain(more).flatten().collect()
}

/// A text with a few of them in it.
fn text(dice: &mut ChaCha8Rng) -> String {
    let hostile = hostile();
    let mut text = "x".to_owned();
    for _ in 0..dice.random_range(2..6) {
        text.push(*hostile.choose(dice).expect("some"));
        text.push_str(["[2J", "]0;PWNED", "a", "é", "[31m"].choose(dice).expect("some"));
    }
    text + "\u{1b}[2J\u{202e}"
}

/// Text without what ends a line, for where that ends a record.
fn line(dice: &mut ChaCha8Rng) -> String {
    text(dice).replace(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'], "")
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("JSON")
}

/// Events whose every text is hostile, and lines that are none.
fn events(dice: &mut ChaCha8Rng, items: &[String]) -> Vec<u8> {
    let mut lines = Vec::<Vec<u8>>::new();
    let mut add = |event: String| lines.push(event.into_bytes());
    for (n, item) in items.iter().enumerate() {
        let (item, cart, user) = (json(item), json(&text(dice)), n % 5 + 1);
        let at = format!("\"timestamp\":\"2026-01-05T10:{:02}:00Z\",\"user_id\":{user}", n % 60);
        add(format!(r#"{{"event_name":"item_view",{at},"item_id":{item}}}"#));
        add(format!(r#"{{"event_name":"item_rating",{at},"item_id":{item},"rating":5}}"#));
        add(format!(r#"{{"event_name":"added_to_cart",{at},"item_id":{item},"cart_id":{cart}}}"#));
        add(format!(r#"{{"event_name":"checkout_to_cart",{at},"cart_id":{cart},"payment_method":"Card"}}"#));
        add(format!(r#"{{"event_name":"checkout_to_cart",{at},"cart_id":{cart},"payment_method":{item}}}"#));
        add(format!(r#"{{"event_name":{item},{at}}}"#));
        add(format!(r#"{{"event_name":"item_view",{at},"item_id":"1",{}:1,{0}:2}}"#, json(&text(dice))));
        add(format!(r#"{{"event_name":"item_view","timestamp":{item},"user_id":{user},"item_id":"1"}}"#));
        add(format!("nonsense {}", line(dice)));
    }
    lines.push(b"\x9b2J \xff\x1b[2J".to_vec());
    let mut bytes = lines.join(&b'\n');
    bytes.push(b'\n');
    bytes
}

fn catalog(dice: &mut ChaCha8Rng, items: &[String]) -> String {
    let item = |n: usize, dice: &mut ChaCha8Rng| {
        let (title, studio) = (line(dice), line(dice));
        format!("ITEM {n}\nListPrice=50969USD$509.69\nProductGroup=DVD\nStudio={studio}\nTitle={title}\n{title}=1\n\n")
    };
    (1..=items.len()).map(|n| item(n, dice)).collect()
}

fn run(folder: &Path, arguments: &[&OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deltamart"))
        .current_dir(folder)
        .args(arguments)
        .env("RUST_LOG", "info,deltamart=debug")
        .output()
        .expect("starts")
}

/// What a command printed, if nothing in it is acted on.
fn clean(folder: &Path, arguments: &[&OsStr]) -> String {
    let output = run(folder, arguments);
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    let hostile = hostile();
    let bad = printed.chars().find(|c| hostile.contains(c) && !matches!(c, '\n' | '\t'));
    assert!(bad.is_none(), "{bad:?} after {arguments:?}:\n{}", printed.escape_debug());
    assert!(!printed.contains("panicked"), "{printed}");
    printed
}

fn name(text: &str, end: &[u8]) -> OsString {
    OsString::from_vec([text.replace('/', "").as_bytes(), end].concat())
}

#[test]
fn nothing_that_is_read_reaches_a_terminal_as_it_is() {
    for seed in 0..2 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let items: Vec<_> = (0..20).map(|_| text(&mut dice)).collect();
        let (log, shop) = (name(&text(&mut dice), b"\xff.jsonl"), name(&text(&mut dice), b".txt"));
        std::fs::write(folder.join(&log), events(&mut dice, &items)).expect("writes");
        std::fs::write(folder.join(&shop), catalog(&mut dice, &items)).expect("writes");
        let db = name(&text(&mut dice), b".db");
        let setting = format!("kafka.group_id={}", text(&mut dice));
        let words = |words: &[&'static str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let on = |words: Vec<OsString>| [words, vec!["--warehouse".into(), db.clone()]].concat();
        let cleaned = |words: Vec<OsString>| clean(folder, &words.iter().map(OsString::as_os_str).collect::<Vec<_>>());
        let reads = |command: &'static str, warehouse: &OsString| {
            let [log, shop, warehouse] = [&log, &shop, warehouse].map(Clone::clone);
            vec![command.into(), log, "--catalog".into(), shop, "--warehouse".into(), warehouse]
        };
        let said = cleaned(reads("run", &db));
        assert!(said.contains("records in"), "{said}");
        cleaned(reads("batch", &name("batch", b".db")));
        let mut shown = String::new();
        for id in all().tables() {
            for format in ["table", "csv", "json", "markdown"] {
                shown += &cleaned(on(words(&["show", id.table().name, "--format", format])));
            }
        }
        assert!(shown.contains("\\u001b"), "{shown}");
        for command in [&["show"][..], &["verify"], &["status"], &["status", "--json"], &["check"], &["forget", "3"]] {
            cleaned(on(words(command)));
        }
        // Each difference is a row, with what the data says.
        cleaned(reads("run", &"second.db".into()));
        change(&folder.join("second.db"));
        let differs = cleaned(words(&["verify", "--warehouse", "second.db"]));
        assert!(differs.contains("should be") && differs.contains("\\u001b"), "{differs}");
        cleaned(on(words(&["replay-rejected", "--out", "again.jsonl"])));
        cleaned([on(words(&["check", "--set"])), vec![setting.clone().into()]].concat());
        // What is refused names what was given: names, flags, lines that are other now.
        let mended = std::fs::read(folder.join(&log)).expect("readable");
        std::fs::write(folder.join(&log), mended.split_at(mended.len() / 2).0).expect("writes");
        let said = cleaned(reads("run", &db));
        assert!(said.contains("\\u001b"), "{said}");
        for first in ["--", "", "--set=", "--config=", "--wait-for="] {
            let hostile: OsString = format!("{first}{}", text(&mut dice)).into();
            for command in ["run", "batch", "show", "sql", "status", "catalog", "forget", "check", "verify"] {
                cleaned(vec![command.into(), hostile.clone()]);
            }
        }
    }
}

/// Makes rows of a warehouse such as they should not be, with all that the data says in them.
fn change(warehouse: &Path) {
    let changes = "DELETE FROM movie_statistics; DELETE FROM movie_sale_lines; DELETE FROM movies_catalog";
    rusqlite::Connection::open(warehouse).and_then(|db| db.execute_batch(changes)).expect("changes");
}

/// What was seen first.
#[test]
fn what_verify_says_should_be_is_not_acted_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = |id: &str| {
        format!(r#"{{"event_name":"item_view","timestamp":"2026-01-05T10:05:10Z","user_id":1,"item_id":{}}}"#, json(id))
    };
    let lines = [line("a\u{1b}]0;PWNED\u{7}"), line("b\u{9b}31m"), line("c\u{202e}")].join("\n");
    std::fs::write(folder.path().join("events.jsonl"), lines + "\n").expect("writes");
    let words = |words: &'static [&'static str]| words.iter().map(OsStr::new).collect::<Vec<_>>();
    clean(folder.path(), &words(&["run", "events.jsonl"]));
    change(&folder.path().join("deltamart.db"));
    let said = clean(folder.path(), &words(&["verify"]));
    for expected in ["a\\u001b]0;PWNED\\u0007", "b\\u009b31m", "c\\u202e"] {
        assert!(said.contains(expected), "`{expected}` is missing:\n{said}");
    }
}

/// Everything is printed through one place.
#[test]
fn nobody_else_writes_to_standard_output_or_error() {
    fn look(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            // A folder of tests is no part of the program.
            if path.is_dir() {
                if !path.ends_with("tests") {
                    look(&path, found);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            // What nothing but `src/shown.rs` may call: it is looked for, not used.
            let prints = ["println!(", "print!(", "io::stdout()", "io::stderr()", "dbg!("];
            if prints.iter().any(|print| text.contains(print)) {
                found.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    // The line that moves is one of ours.
    assert_eq!(found, ["progress.rs", "shown.rs"]);
}

/// Two names that are one text when it is said what is not a text in them.
#[test]
fn files_whose_names_are_no_utf_8_are_two_sources() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let line = |user: u32| {
        format!("{{\"event_name\":\"sign_in\",\"timestamp\":\"2026-01-05T10:05:10Z\",\"user_id\":{user}}}\n")
    };
    let [one, other] = [b"a\xff.jsonl", b"a\xfe.jsonl"].map(|name| OsString::from_vec(name.to_vec()));
    std::fs::write(folder.join(&one), line(1)).expect("writes");
    std::fs::write(folder.join(&other), line(2) + &line(3)).expect("writes");
    clean(folder, &[OsStr::new("run"), &one]);
    let said = clean(folder, &[OsStr::new("run"), &one, &other]);
    assert!(said.contains("2 records in"), "{said}");
    let warehouse = rusqlite::Connection::open(folder.join("deltamart.db")).expect("opens");
    let sql = "SELECT COUNT(DISTINCT _topic), COUNT(*), MAX(_partition) FROM consumer_events";
    let counts = warehouse.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    assert_eq!(counts.expect("counted"), (2_i64, 3_i64, 0_i64));
}
