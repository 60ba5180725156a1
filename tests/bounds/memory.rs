//! However much is packed into a file, the program needs little more memory for it than for any other.

use super::{registration, rejected, sign_in};
use crate::cli::{deltamart, said};
use crate::lines::{gzip, signed_in};
use deltamart::source::content::Tail;
use deltamart::source::files::Files;
use deltamart::source::{Poll, Source};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const MIB: usize = 1 << 20;
/// So much more may be needed than for an ordinary file.
const MORE_MB_MAX: u64 = 300;

/// How many bytes a file has when it is unpacked, where a gigabyte is meant: more if asked for.
fn huge_bytes() -> usize {
    let asked = std::env::var("DELTAMART_HUGE_MIB").ok().and_then(|mib| mib.parse::<usize>().ok());
    asked.unwrap_or(1024) * MIB
}

/// A packed file of `before`, so many bytes of `filler`, and `behind`. Packed once, what is the same again and again is
/// written as members of gzip.
fn filled(path: &Path, before: &str, filler: &[u8], bytes: usize, behind: &str) {
    let member = filler.repeat((8 * MIB).div_ceil(filler.len()));
    let (packed, mut file) = (gzip(&member), BufWriter::new(File::create(path).expect("creates")));
    file.write_all(&gzip(before.as_bytes())).expect("writes");
    for _ in 0..bytes.div_ceil(member.len()) {
        file.write_all(&packed).expect("writes");
    }
    file.write_all(&gzip(behind.as_bytes())).and_then(|()| file.flush()).expect("writes");
}

/// Runs a file, and tells how many megabytes the process needed at the most, by its own count.
fn megabytes(folder: &Path, name: &str) -> u64 {
    let arguments = ["run", name, "--warehouse", &format!("{name}.db"), "-w", "2"];
    let (code, text) = said(&deltamart(folder, &arguments));
    assert_eq!(code, Some(0), "{name}: {text}");
    let line = text.lines().find_map(|line| line.strip_suffix(" MB of memory at the most"));
    line.unwrap_or_else(|| panic!("{text}")).replace(',', "").parse().expect("a number")
}

/// Lines of some megabytes each, of which hundreds follow each other, and what becomes of them.
type Many = (&'static str, fn(u64) -> String, Option<&'static str>);

const MANY: [Many; 6] = [
    ("domains", |n| registration(n + 2, &"a".repeat(3_900_000)), Some("too_long")),
    ("brackets", |_| format!(r#"{{"a":{}"#, "[".repeat(3_900_000)), Some("undecodable")),
    (
        "keys",
        |_| format!("{{{}}}", (0..300_000).map(|n| format!(r#""k{n}":{{}}"#)).collect::<Vec<_>>().join(",")),
        Some("missing_field"),
    ),
    (
        "lists",
        |_| {
            format!(
                r#"{{"event_name":"movies_catalog_enriched","timestamp":"2026-01-05T10:00:00Z","item_id":"7","actors":[{}]}}"#,
                vec!["\"\""; 1_300_000].join(",")
            )
        },
        Some("too_long"),
    ),
    ("escapes", |_| format!(r#"{{"event_name":"{}"}}"#, r"\n".repeat(1_900_000)), Some("too_long")),
    (
        "blobs",
        |n| {
            format!(
                r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","user_id":{},"blob":"{}"}}"#,
                n + 2,
                "x".repeat(3_900_000)
            )
        },
        None,
    ),
];

#[test]
fn no_input_takes_more_memory_than_its_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let ordinary: String = (1..=20_000).map(|user| sign_in(user) + "\n").collect();
    std::fs::write(path("ordinary.jsonl"), ordinary).expect("writes");
    let base = megabytes(folder.path(), "ordinary.jsonl");
    let (first, last) = (sign_in(1) + "\n", format!("\n{}\n", sign_in(500)));
    let check = |name: &str, expected: Option<(usize, &str)>, good: &str| {
        let needed = megabytes(folder.path(), name);
        assert!(needed < base + MORE_MB_MAX, "{name}: {needed} MB, {base} MB for an ordinary file");
        let warehouse = path(&format!("{name}.db"));
        let rejected = rejected(&warehouse);
        assert!(rejected.iter().all(|(_, reason, ..)| Some(reason.as_str()) == expected.map(|(_, reason)| reason)));
        assert_eq!(rejected.len(), expected.map_or(0, |(count, _)| count), "{name}");
        assert!(signed_in(&warehouse).starts_with("1,") && signed_in(&warehouse).ends_with(good), "{name}");
    };
    let fillers = [("zeros.gz", &b"\0"[..], 1), ("braces.gz", b"{", 8), ("texts.gz", b"{\"a\":\"xxxxxxxxxx\",", 8)];
    for (name, filler, part) in fillers {
        filled(&path(name), &first, filler, huge_bytes() / part, &last);
        check(name, Some((1, "too_long")), ",500");
    }
    filled(&path("empty.gz"), &first, b"\n", huge_bytes() / 8, &last);
    check("empty.gz", None, ",500");
    // A line without its end is waited for.
    filled(&path("endless.gz"), &(first.clone() + &sign_in(2) + "\n"), b"a", huge_bytes() / 4, "");
    check("endless.gz", None, "1,2");
    // Members that hold nothing, and zeros behind them.
    let nothing = gzip(b"").repeat(500_000);
    std::fs::write(path("members.gz"), [gzip(first.as_bytes()), nothing, gzip(last.as_bytes()), vec![0; MIB]].concat())
        .expect("writes");
    check("members.gz", None, ",500");
    for (name, line, reason) in MANY {
        let mut file = GzEncoder::new(BufWriter::new(File::create(path(name)).expect("creates")), Compression::fast());
        file.write_all(first.as_bytes()).expect("writes");
        for n in 0..60 {
            file.write_all(line(n).as_bytes()).and_then(|()| file.write_all(b"\n")).expect("writes");
        }
        file.write_all(last.trim_start().as_bytes()).and_then(|()| file.finish()).expect("writes");
        check(name, reason.map(|reason| (60, reason)), ",500");
    }
}

/// A poll returns soon: of a line without end, of empty lines, of members that hold nothing, and of lines that are
/// skipped because they were read before.
#[test]
fn a_poll_goes_over_so_many_bytes_at_the_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.gz");
    let polls = |skips: bool| {
        let found = deltamart::source::recognise::recognise(
            std::slice::from_ref(&path),
            &[],
            &[],
            deltamart::source::recognise::Before::Counts,
            Tail::Take,
        );
        let mut files = Files::found(found.expect("opens"), Tail::Take);
        if skips {
            files.seek(&[(0, 3)]).expect("seeks");
        }
        let (mut polls, mut records) = (0, 0);
        loop {
            polls += 1;
            match files.poll(4096).expect("readable") {
                Poll::Records(batch) => records += batch.records.len(),
                Poll::End => return (polls, records),
                _ => {}
            }
        }
    };
    let (first, last) = (sign_in(1) + "\n", format!("\n{}\n", sign_in(2)));
    filled(&path, &first, b"x", 64 * MIB, &last);
    let (went, records) = polls(false);
    assert!(went >= 64 / 5 && records == 3, "{went} polls, {records} records");
    let (went, records) = polls(true);
    assert!(went >= 64 / 9 && records == 1, "{went} polls, {records} records");
    std::fs::write(&path, [gzip(first.as_bytes()), gzip(b"").repeat(1_000_000), gzip(last.as_bytes())].concat())
        .expect("writes");
    let (went, records) = polls(false);
    assert!(went >= 40 && records == 2, "{went} polls, {records} records");
}
