//! A file that is followed: as it is written, renamed and written anew, each line counts once.

use crate::cli::{deltamart, said};
use crate::model::{event, has, says, store};
use crate::shipped::real::selected;
use deltamart::source::content::Tail;
use deltamart::source::files::Files;
use deltamart::source::follow::{Follow, with_those_before};
use deltamart::source::marks::Marks;
use deltamart::source::recognise::{Before, KnownSource, recognise};
use deltamart::source::{Poll, Source, SourceError};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    file.write_all(text.as_bytes()).expect("writes");
}

/// A file that is followed, and whether it was said that another one has its name.
fn followed(path: &Path) -> (Files, Arc<AtomicBool>) {
    let told = Arc::new(AtomicBool::new(false));
    let tells = Arc::clone(&told);
    let found = recognise(&[path.to_owned()], &[], &[], Before::Counts, Tail::Wait).expect("recognised");
    let follow = Follow::new(path.to_owned(), move || tells.store(true, Relaxed));
    (Files::found(found, Tail::Wait).following(follow), told)
}

/// What there is to read until there is nothing.
fn read(source: &mut Files) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match source.poll(3).expect("readable") {
            Poll::Records(batch) => texts.extend(batch.records.iter().map(|record| {
                let text = String::from_utf8_lossy(&batch.bytes[record.payload.clone()]);
                format!("{}:{text}", record.offset)
            })),
            Poll::Skipped | Poll::Status(..) => {}
            Poll::Idle => return texts,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn lines_are_read_as_they_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["log.jsonl", "log.csv"] {
        let path = folder.path().join(name);
        append(&path, "{\"a\":1}\n{\"a\":2}\n{\"a\":");
        let (mut source, told) = followed(&path);
        assert_eq!(read(&mut source), ["1:{\"a\":1}", "2:{\"a\":2}"]);
        assert_eq!(read(&mut source), [""; 0], "a line without its end is none");
        append(&path, "3}");
        assert_eq!(read(&mut source), [""; 0]);
        append(&path, "\n\n{\"a\":5}\n");
        assert_eq!(read(&mut source), ["3:{\"a\":3}", "5:{\"a\":5}"]);
        // Longer than what is held at once.
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 19));
        append(&path, &long[..1 << 18]);
        assert_eq!(read(&mut source), [""; 0]);
        append(&path, &format!("{}\n", &long[1 << 18..]));
        assert_eq!(read(&mut source), [format!("6:{long}")]);
        // For a moment none has the name, and whoever wrote the old one writes its last line.
        let renamed = path.with_extension("1");
        fs::rename(&path, &renamed).expect("renames");
        assert_eq!(read(&mut source), [""; 0]);
        append(&renamed, "{\"a\":7}\n");
        append(&path, "{\"a\":8}\n");
        assert_eq!(read(&mut source), ["7:{\"a\":7}"]);
        assert!(told.load(Relaxed), "another one has the name");
        fs::remove_file(&renamed).expect("removes");
    }
}

#[test]
fn a_file_that_is_cut_is_not_read_on_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.jsonl");
    append(&path, "{\"a\":1}\n{\"a\":2}\n");
    let (mut source, told) = followed(&path);
    assert_eq!(read(&mut source).len(), 2);
    fs::write(&path, "{\"a\":3}\n").expect("writes");
    let why = match source.poll(3) {
        Err(SourceError::Failed(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why.contains("was cut while it was followed") && !told.load(Relaxed), "{why}");
}

#[test]
fn what_is_not_there_yet_is_waited_for_and_what_is_packed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.jsonl");
    append(&path, "");
    let (mut source, told) = followed(&path);
    assert_eq!(read(&mut source), [""; 0]);
    append(&path, "{\"a\":1}");
    assert_eq!(read(&mut source), [""; 0]);
    assert!(!told.load(Relaxed), "it has no whole line");
    append(&path, "\n");
    assert_eq!(read(&mut source), [""; 0]);
    assert!(told.load(Relaxed), "it can be opened now");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"a\":1}\n").expect("packs");
    fs::write(&path, packed.finish().expect("packs")).expect("writes");
    let (mut source, _) = followed(&path);
    let refused = std::iter::from_fn(|| Some(source.poll(3))).find_map(Result::err).expect("refused");
    assert!(matches!(&refused, SourceError::Refused(why) if why.contains("is packed")), "{refused}");
}

/// What was renamed while nobody looked is found beside it, from the one on that was read last.
#[test]
fn those_that_were_renamed_are_found_from_the_last_one_on_that_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let path = file("log");
    let mut at = std::time::SystemTime::UNIX_EPOCH;
    for (name, text) in [("log.3", "c\n"), ("log.2", "b\nbb\n"), ("log.1", "a\n"), ("other.1", "b\nbb\n")] {
        append(&file(name), text);
        at += std::time::Duration::from_secs(9);
        OpenOptions::new().append(true).open(file(name)).expect("opens").set_modified(at).expect("dated");
    }
    let names = |known: &[KnownSource]| -> Vec<PathBuf> { with_those_before(&path, known).expect("readable") };
    let sum = |text: &str| crc32fast::hash(text.as_bytes());
    let known = |number: i32, first: &str| {
        let mut marks = Marks::default();
        marks.add(2, sum(first));
        KnownSource { topic: "log".to_owned(), number, first: sum(first), marks }
    };
    append(&path, "now\n");
    let alone = vec![path.clone()];
    assert_eq!(names(&[]), alone, "nothing was read of that name");
    let all = [known(0, "c\n"), known(1, "b\n")];
    assert_eq!(names(&all), [file("log.2"), file("log.1"), path.clone()]);
    assert_eq!(names(&all[..1]), [file("log.3"), file("log.2"), file("log.1"), path.clone()]);
    assert_eq!(names(&[known(2, "now\n")]), alone, "it goes on");
    assert_eq!(names(&[known(2, "gone\n")]), alone, "it is refused as what is not what was read");
}

/// A program that is not left behind when a test fails.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run(at: &Path) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
    command.current_dir(at).args(["run", "log.jsonl", "--follow", "--set", "epoch_interval=5ms"]);
    Run(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts"))
}

/// Waits until a line is committed; while there is no warehouse yet, that is asked again.
fn awaits(at: &Path, position: &str) {
    for _ in 0..10_000 {
        let (code, text) = said(&deltamart(at, &["status", "--wait-for", position, "--timeout", "120"]));
        match code {
            Some(0) => return,
            Some(2) => {}
            Some(1) if text.contains("does not exist") => {}
            _ => panic!("{text}"),
        }
    }
    panic!("{position} did not come to be");
}

#[test]
fn a_file_is_followed_renamed_killed_and_each_line_counts_once() {
    let folder = store();
    let at = folder.path();
    let log = at.join("log.jsonl");
    append(&log, "");
    let running = run(at);
    append(&log, &event(600, "purchase", 1, "1", 1));
    awaits(at, "log.jsonl/0=2");
    append(&log, &event(601, "purchase", 2, "2", 1));
    awaits(at, "log.jsonl/0=3");
    // Rotated: the last line comes into the old one.
    fs::rename(&log, at.join("log.jsonl.1")).expect("renames");
    append(&at.join("log.jsonl.1"), &event(602, "purchase", 3, "4", 1));
    append(&log, &event(603, "purchase", 4, "8", 1));
    awaits(at, "log.jsonl/1=2");
    awaits(at, "log.jsonl/0=4");
    // Killed, and rotated twice while nobody looks.
    drop(running);
    append(&log, &event(604, "purchase", 5, "16", 1));
    fs::rename(at.join("log.jsonl.1"), at.join("log.jsonl.3")).expect("renames");
    fs::rename(&log, at.join("log.jsonl.2")).expect("renames");
    append(&at.join("log.jsonl.1"), &event(605, "purchase", 6, "32", 1));
    append(&log, &event(606, "purchase", 7, "64", 1));
    let mut running = run(at);
    awaits(at, "log.jsonl.1/0=2");
    awaits(at, "log.jsonl/2=2");
    assert_eq!(selected(at, "deltamart.db", "SELECT sum(price) || '' FROM store_events"), "127");
    // Told to stop, it ends in order.
    let id = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("tells it").success());
    assert!(running.0.wait().expect("ends").success());
    says(at, 0, &["verify"]);
    let text = says(at, 2, &["run", "log.jsonl", "events.jsonl", "--follow"]);
    has(&text, &["reads one file on and on"]);
    has(&says(at, 2, &["run", "--follow"]), &["required"]);
}
