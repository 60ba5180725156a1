//! Files of other formats: refused by name, with what to do, before anything is written.

use super::{file, gzip, read_bytes, signed_in, utf16};
use crate::cli::{deltamart, said};
use deltamart::source::SourceError;
use deltamart::source::sniff::Kind;

/// The beginning of a file of each format, what it is called, and what is to be done.
fn formats() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let read = |name: &str| std::fs::read(file(name)).expect("readable");
    let bytes = |head: &[u8]| [head, &[7, 0, 3, 200, 9]].concat();
    let mut tar = vec![b'e'; 257];
    tar.extend(b"ustar\x0000");
    vec![
        (read("events.zip"), "a zip archive", "unzip -p"),
        (read("events.jsonl.bz2"), "packed with bzip2", "bzcat"),
        (read("events.jsonl.xz"), "packed with xz", "xzcat"),
        (bytes(&[0x28, 0xB5, 0x2F, 0xFD]), "packed with zstd", "zstdcat"),
        (bytes(&[0x04, 0x22, 0x4D, 0x18]), "packed with lz4", "lz4cat"),
        (bytes(b"7z\xBC\xAF\x27\x1C"), "a 7z archive", "7z x -so"),
        (bytes(b"Rar!\x1A\x07"), "a RAR archive", "unrar"),
        (bytes(&[0x1F, 0x9D]), "packed with compress", "gzip -dc"),
        (bytes(b"PAR1"), "a Parquet file", "export its rows"),
        (bytes(b"ORC\x03"), "an ORC file", "export its rows"),
        (bytes(b"ARROW1"), "an Arrow file", "export its rows"),
        (bytes(b"Obj\x01"), "an Avro file", "avro-tools tojson"),
        (bytes(b"SQLite format 3\0"), "a SQLite database", "export its rows"),
        (bytes(b"%PDF-1.7\n"), "a PDF document", "find the data"),
        (tar, "a tar archive", "tar xOf"),
        (bytes(b"\xFF\xFE\0\0{\0\0\0"), "text in UTF-32", "iconv"),
        (bytes(b"\x7FELF\x02"), "no text", "find out what wrote it"),
        (read("array.json"), "a JSON array", "jq -c '.[]'"),
        (b"\xEF\xBB\xBF\n [\n  {\n".to_vec(), "a JSON array", "jq -c '.[]'"),
        (read("pretty.json"), "pretty-printed JSON", "jq -c ."),
        (b"{\"a\": [\n  {\n".to_vec(), "pretty-printed JSON", "jq -c ."),
        (b"\x1E{\"a\":1}\n".to_vec(), "a JSON text sequence", "tr -d '\\036'"),
        (b"\n<!DOCTYPE html>\n<html>".to_vec(), "an HTML page", "get the file again"),
        (b"<?xml version=\"1.0\"?>\n<events/>".to_vec(), "XML", "export its data"),
        (read("events.csv"), "a table with separated columns (CSV)", "mlr"),
        (b"time\ttype\n1\tview\n".to_vec(), "a table with separated columns (CSV)", "--itsv"),
        (read("events.log"), "a log with JSON behind other text", "sed 's/^[^{]*//'"),
        (b"[2026-01-05] {\"a\":1}\r\n[2026-01-05] {\"a\":2}\r\n".to_vec(), "a log with JSON", "sed"),
        (read("reviews.txt"), "a list of reviews (`movies.txt` of SNAP)", "ITEM <number>"),
    ]
}

#[test]
fn every_foreign_format_is_refused_by_name() {
    let refused = |bytes: &[u8], kind| match read_bytes(bytes, kind) {
        (lines, Some(SourceError::Refused(why))) if lines.is_empty() => why,
        (lines, error) => panic!("{kind:?}: {lines:?} {error:?}"),
    };
    for (bytes, name, way) in formats() {
        for packed in [bytes.clone(), gzip(&bytes)] {
            let why = refused(&packed, Kind::Events);
            assert!(why.contains(&format!(" is {name}")) && why.contains("What to do: ") && why.contains(way), "{why}");
        }
        if let Ok(text) = std::str::from_utf8(&bytes).map(str::trim_start)
            && !text.contains('\0')
            && text.is_ascii()
        {
            let why = refused(&utf16(text, false, true), Kind::Events);
            assert!(why.contains(&format!(" is {name}")), "{why}");
        }
        // The log with JSON has no name among catalogs: none of its blocks is one.
        if !name.contains("log") && !name.contains("pretty") {
            let why = refused(&bytes, Kind::Catalog);
            assert!(why.contains(&format!(" is {name}")), "{why}");
        }
    }
    let why = refused(&gzip(&gzip(b"{}\n")), Kind::Events);
    assert!(why.contains("packed with gzip twice"), "{why}");
    // The two kinds of files, one for the other.
    let why = refused(b"ITEM 1\nTitle=A\n", Kind::Events);
    assert!(why.contains("a catalog, and no events") && why.contains("with `--catalog`"), "{why}");
    let why = refused(b"{\"event_name\":\"sign_in\"}\n", Kind::Catalog);
    assert!(why.contains("events, and no catalog") && why.contains("without `--catalog`"), "{why}");
}

/// Exit code 2, and nothing was made.
#[test]
fn a_foreign_file_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| file(name).to_string_lossy().into_owned();
    let good = path("spaced.jsonl");
    for (name, expected) in [
        ("events.zip", "unzip -p"),
        ("events.jsonl.bz2", "bzcat"),
        ("events.jsonl.xz", "xzcat"),
        ("array.json", "jq -c '.[]'"),
        ("pretty.json", "jq -c ."),
        ("events.csv", "CSV"),
        ("events.log", "sed"),
        ("reviews.txt", "of SNAP"),
        ("utf-16-Movies.txt", "with `--catalog`"),
    ] {
        for command in ["run", "batch"] {
            let (code, text) = said(&deltamart(folder.path(), &[command, &good, &path(name)]));
            assert!(code == Some(2) && text.contains(expected) && text.contains(name), "{command} {name}: {text}");
        }
    }
    for command in [&["run", "--catalog"][..], &["batch", "--catalog"], &["catalog"]] {
        for (name, expected) in [("reviews.txt", "of SNAP"), ("spaced.jsonl", "without `--catalog`")] {
            let (code, text) = said(&deltamart(folder.path(), &[command, &[&path(name)]].concat()));
            assert!(code == Some(2) && text.contains(expected), "{command:?} {name}: {text}");
        }
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("readable").map(|entry| entry.expect("entry").path()).collect();
    assert!(left.is_empty(), "something was made: {left:?}");
}

/// A file with nothing valid among its first records is something else, unless one says that it is not.
#[test]
fn a_file_with_no_valid_record_is_refused_unless_rejects_are_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = "{\"event_name\":\"sign_in\",\"timestamp\":\"1999-01-05T10:00:00Z\",\"user_id\":1}\n";
    let other = "{\"type\":\"sign_in\",\"mail\":\"jane@mail.ge\"}\n";
    let good = "{\"event_name\":\"sign_in\",\"timestamp\":\"2026-01-05T10:00:00Z\",\"user_id\":5}\n";
    let files = [
        ("other.jsonl", [other, old, other].concat(), "2 missing_field, 1 timestamp_too_old"),
        (
            "unknown.jsonl",
            "{\"event_name\":\"jane@mail.ge\",\"timestamp\":\"2026-01-05T10:00:00Z\"}\n".to_owned(),
            "in line 1: unknown_event: ",
        ),
        ("old.jsonl", ["\n", old].concat(), "in line 2: timestamp_too_old: `timestamp` is 1999-01-05"),
        ("many.jsonl", [&other.repeat(1_000), good].concat(), "none of the first 1000 records"),
    ];
    for (name, text, expected) in files {
        std::fs::write(folder.path().join(name), text).expect("writes");
        for command in ["run", "batch"] {
            let warehouse = format!("{command}-{name}.db");
            let again = |more: &[&str]| {
                said(&deltamart(folder.path(), &[&[command, name, "--warehouse", &warehouse], more].concat()))
            };
            let (code, text) = again(&[]);
            for part in [expected, name, "--accept-rejects"] {
                assert!(code == Some(3) && text.contains(part), "`{part}` is missing: {text}");
            }
            assert!(!text.contains("jane"), "{text}");
            let (code, text) = again(&["--accept-rejects"]);
            assert_eq!(code, Some(0), "{text}");
            if command == "run" {
                // What was accepted once is not asked again.
                let (code, text) = again(&[]);
                assert!(code == Some(0) && text.starts_with("nothing new"), "{text}");
            }
        }
    }
    // One good record among the first ones is enough; a catalog is asked too.
    std::fs::write(folder.path().join("late.jsonl"), [&other.repeat(999), good].concat()).expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["batch", "late.jsonl", "--warehouse", "late.db"]));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(signed_in(&folder.path().join("late.db")), "5");
    std::fs::write(folder.path().join("Movies.txt"), "Title=A\nListPrice=999USD$9.99\n").expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["catalog", "Movies.txt", "--warehouse", "c.db"]));
    assert!(code == Some(3) && text.contains("bad_item_block") && text.contains("--accept-rejects"), "{text}");
}
