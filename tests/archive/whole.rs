//! The program with an archive: run, gone on with, rebuilt; and somebody is forgotten.

use crate::model::{event, has, put, says, store};
use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use std::path::Path;

const RUN: [&str; 6] = ["run", "events.jsonl", "--set", "archive.path=archive", "--set", "archive.rows=2"];

/// Every archived record with its offset, sorted; and how many files there are.
fn archived(folder: &Path) -> (Vec<(i64, String)>, usize) {
    let files: Vec<_> =
        std::fs::read_dir(folder.join("archive/events.jsonl")).expect("a folder of the topic").collect();
    let mut all = Vec::new();
    for file in &files {
        let bytes = std::fs::read(file.as_ref().expect("a file").path()).expect("readable");
        let reader = SerializedFileReader::new(Bytes::from(bytes)).expect("Parquet");
        let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
        all.extend(rows.map(|row| (row.get_long(1).expect("an offset"), row.get_string(2).expect("JSON").clone())));
    }
    all.sort();
    (all, files.len())
}

/// Lines with their numbers, from 1.
fn numbered(lines: &[String]) -> Vec<(i64, String)> {
    (1..).zip(lines.iter().map(|line| line.trim_end().to_owned())).collect()
}

#[test]
fn what_was_accepted_is_archived_once_and_who_is_forgotten_leaves() {
    let folder = store();
    let at = folder.path();
    let mut lines: Vec<_> =
        std::fs::read_to_string(at.join("events.jsonl")).expect("text").lines().map(str::to_owned).collect();
    says(at, 0, &RUN);
    let accepted = |lines: &[String]| -> Vec<_> {
        numbered(lines).into_iter().filter(|(_, line)| !line.contains("dance")).collect()
    };
    assert_eq!(archived(at), (accepted(&lines), 3));
    has(&says(at, 0, &["status", "sinks", "--set", "archive.path=archive"]), &["archive `archive`"]);
    // It goes on with what is added, and does not take again what a rebuild reads again.
    lines.push(event(740, "purchase", 9, "1", 3));
    put(at, "events.jsonl", &lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>());
    says(at, 0, &RUN);
    assert_eq!(archived(at), (accepted(&lines), 4));
    lines.push(event(741, "purchase", 9, "1", 4));
    put(at, "events.jsonl", &lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>());
    says(at, 0, &[&RUN[..], &["--rebuild"]].concat());
    assert_eq!(archived(at), (accepted(&lines), 5));
    says(at, 0, &RUN);
    says(at, 0, &["forget", "2", "--set", "archive.path=archive"]);
    let others: Vec<_> = accepted(&lines).into_iter().filter(|(_, line)| !line.contains("\"user_id\":2,")).collect();
    assert_eq!(others.len(), 4);
    assert_eq!(archived(at).0, others);
    says(at, 0, &[&RUN[..], &["--rebuild"]].concat());
    assert_eq!(archived(at).0, others, "a rebuild brings nobody back");
    has(&says(at, 0, &["verify"]), &[" 0 differ"]);
}

#[test]
fn only_the_topics_that_are_named_are_archived() {
    let folder = store();
    let at = folder.path();
    says(at, 0, &[&RUN[..], &["--set", "archive.topics=[\"others\"]"]].concat());
    assert!(!at.join("archive/events.jsonl").exists());
}
