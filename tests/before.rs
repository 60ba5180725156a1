//! What an earlier version left: taken over, or refused with `--rebuild`, and never misread.
//!
//! `tests/formats/before/` holds a warehouse and its state as the last version wrote them that knew files by their
//! names, and the file that they were made from.

/// What the version left that later ones take over.
mod start;

use crate::cli::{deltamart, said};
use crate::support;
use std::path::{Path, PathBuf};

/// What is kept of an earlier version.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
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
    let kept = kept("before");
    copy(&kept.join("state"), &folder.path().join("before.db.state"));
    if killed {
        std::fs::remove_dir_all(folder.path().join("before.db.state/snapshots")).expect("removed");
    }
    std::fs::copy(kept.join("events.jsonl"), folder.path().join("events.jsonl")).expect("copied");
    unpack(&kept.join("warehouse.gz"), &folder.path().join("before.db"));
    folder
}

fn unpack(from: &Path, to: &Path) {
    let packed = std::fs::File::open(from).expect("opens");
    let mut file = std::fs::File::create(to).expect("made");
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut file).expect("unpacked");
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
        assert!(code == Some(0) && text.contains("nothing new"), "killed {killed}: {text}");
        let (code, text) = said(&deltamart(folder.path(), &["run", "events.jsonl", "--warehouse", "new.db"]));
        assert_eq!(code, Some(0), "{text}");
        support::assert_same(&folder.path().join("before.db"), &folder.path().join("new.db"));
    }
}
