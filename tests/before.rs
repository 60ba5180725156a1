//! What an earlier version left: taken over, or refused with `--rebuild`, and never misread.
//!
//! `tests/formats/before/` holds a warehouse and its state as the last version wrote them that knew files by their
//! names, and the file that they were made from.

use crate::support;
use std::path::Path;
use std::process::{Command, Output};

fn deltamart(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deltamart")).current_dir(folder).args(arguments).output().expect("runs")
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        match entry.file_type().expect("known").is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied")),
        }
    }
}

/// A folder with what was left: after a run that ended in order, or, without its snapshot, after one that was killed.
fn left(killed: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/before");
    copy(&kept.join("state"), &folder.path().join("before.db.state"));
    if killed {
        std::fs::remove_dir_all(folder.path().join("before.db.state/snapshots")).expect("removed");
    }
    std::fs::copy(kept.join("events.jsonl"), folder.path().join("events.jsonl")).expect("copied");
    let packed = std::fs::File::open(kept.join("warehouse.gz")).expect("opens");
    let mut warehouse = std::fs::File::create(folder.path().join("before.db")).expect("made");
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut warehouse).expect("unpacked");
    folder
}

#[test]
fn what_an_earlier_version_left_is_refused_and_computed_again() {
    for killed in [false, true] {
        let folder = left(killed);
        let run = |more: &[&str]| {
            said(&deltamart(folder.path(), &[&["run", "events.jsonl", "--warehouse", "before.db"], more].concat()))
        };
        let (code, text) = run(&[]);
        assert!(code == Some(2) && text.contains("--rebuild"), "killed {killed}: {text}");
        assert!(text.contains("how records are read"), "killed {killed}: {text}");
        let (code, text) = run(&["--rebuild"]);
        assert_eq!(code, Some(0), "killed {killed}: {text}");
        let (code, text) = run(&[]);
        assert!(code == Some(0) && text.contains("0 records"), "killed {killed}: {text}");
        let (code, text) = said(&deltamart(folder.path(), &["run", "events.jsonl", "--warehouse", "new.db"]));
        assert_eq!(code, Some(0), "{text}");
        support::assert_same(&folder.path().join("before.db"), &folder.path().join("new.db"));
    }
}
