//! Files, whatever they are packed in and however they are written: the same records come out, in the same
//! order. What is damaged is read as far as it is whole.

mod damage;
mod foreign;

use crate::cli::{deltamart, said};
use deltamart::decode::movies_txt;
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use deltamart::source::SourceError;
use deltamart::source::files::Files;
use deltamart::source::lines::{Extent, LINE_BYTES_MAX, Line, Lines};
use deltamart::source::movies::Movies;
use deltamart::source::sniff::Kind;
use deltamart::source::{Poll, Source};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of those that were found not to be read right.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lines/files").join(name)
}

/// A member of gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

/// Lines with their numbers, and whether their end was there; and why it ended, if there is more.
pub type Read = (Vec<(i64, bool, Vec<u8>)>, Option<SourceError>);

/// Reads a file to its end, without its blank lines.
pub fn read(path: &Path, kind: Kind) -> Read {
    let mut lines = match Lines::open(path, kind) {
        Ok(lines) => lines,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut read = Vec::new();
    loop {
        let mut text = Vec::new();
        match lines.read(&mut text) {
            Ok(Some(Line { number, ended, .. })) => {
                if !text.trim_ascii().is_empty() {
                    read.push((number, ended, text));
                }
            }
            Ok(None) => return (read, None),
            Err(error) => {
                let again = lines.read(&mut text).expect_err("it stays damaged");
                assert_eq!(again.to_string(), error.to_string());
                return (read, Some(error));
            }
        }
    }
}

pub fn read_bytes(bytes: &[u8], kind: Kind) -> Read {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    std::fs::write(&path, bytes).expect("writes");
    read(&path, kind)
}

/// The users who sign in, line by line, and whether the last line has its end.
fn sign_ins(name: &str) -> (Vec<(i64, u64)>, bool) {
    let (lines, error) = read(&file(name), Kind::Events);
    assert!(error.is_none(), "{name}: {error:?}");
    let ended = lines.last().is_none_or(|(_, ended, _)| *ended);
    let user = |text: &[u8]| {
        let event: serde_json::Value = serde_json::from_slice(text).expect("one object");
        event["user_id"].as_u64().expect("a user")
    };
    (lines.iter().map(|(number, _, text)| (*number, user(text))).collect(), ended)
}

#[test]
fn what_was_not_read_right_is() {
    let five: Vec<(i64, u64)> = (1..=5).map(|n| (n, n as u64 + 9)).collect();
    for (name, ended) in [
        ("firehose.jsonl", false),
        ("spaced.jsonl", true),
        ("utf-16.jsonl", true),
        ("utf-16-be.jsonl", true),
        ("cr.jsonl", true),
        ("zeros-behind.jsonl.gz", true),
        ("member-cut-in-line.jsonl.gz", true),
    ] {
        assert_eq!(sign_ins(name), (five.clone(), ended), "{name}");
    }
    let odd: Vec<_> = (0..5).map(|n| (2 * n + 1, n as u64 + 10)).collect();
    assert_eq!(sign_ins("crlf-blank.jsonl").0, odd);
    assert_eq!(sign_ins("marks.jsonl"), (five[..4].to_vec(), true));
    assert_eq!(sign_ins("marks.jsonl.gz").0, five[..4]);
    assert_eq!(sign_ins("members.jsonl.gz").0, five[..2]);
    for nothing in ["empty.jsonl", "empty.jsonl.gz", "gzip-of-nothing.jsonl.gz"] {
        assert_eq!(sign_ins(nothing), (Vec::new(), true), "{nothing}");
    }
    // A crash leaves a block of zeros: a line as wrong as any, between good ones.
    let (lines, _) = read(&file("nul.jsonl"), Kind::Events);
    assert_eq!(
        lines.iter().map(|(number, _, text)| (*number, text[0])).collect::<Vec<_>>(),
        [(1, b'{'), (2, 0), (3, b'{')]
    );
}

#[test]
fn catalogs_are_read_the_same() {
    for (name, titles) in
        [("utf-16-Movies.txt", ["Café", "B"]), ("marks-Movies.txt", ["A", "B"]), ("cr-Movies.txt", ["A", "B"])]
    {
        let mut catalog = Movies::file("Movies.txt", &file(name), 7).expect("opens");
        let Poll::Records(batch) = catalog.poll(100).expect("readable") else { panic!("{name}: no records") };
        let items: Vec<_> = batch
            .records
            .iter()
            .map(|record| movies_txt::parse(&batch.bytes[record.payload.clone()], 7).expect("an item").content)
            .collect();
        assert_eq!(items.iter().map(|item| item.title.as_str()).collect::<Vec<_>>(), titles, "{name}");
        assert!(items.iter().all(|item| item.price_cents.is_some()), "{name}");
    }
}

/// What a line end, or its want, says: a half line is not a record yet.
#[test]
fn a_last_line_without_its_end_is_told_apart() {
    let half = "{\"a\":1}\n{\"b\":";
    for bytes in [half.as_bytes().to_vec(), gzip(half.as_bytes()), utf16(half, false, false)] {
        let lines = read_bytes(&bytes, Kind::Events).0;
        assert_eq!(lines, [(1, true, b"{\"a\":1}".to_vec()), (2, false, b"{\"b\":".to_vec())]);
    }
    // Half a unit of UTF-16 is not a text, and no panic.
    let mut odd = utf16(half, true, true);
    odd.pop();
    let lines = read_bytes(&odd, Kind::Events).0;
    assert_eq!(lines[1], (2, false, "{\"b\"\u{FFFD}".as_bytes().to_vec()));
    // Neither is half a pair of units.
    let mut lone = utf16("{\"a\":\"x\"}\n{\"b\":2}\n", false, true);
    let x = lone.iter().position(|byte| *byte == b'x').expect("there");
    lone[x..x + 2].copy_from_slice(&0xD83D_u16.to_le_bytes());
    let lines = read_bytes(&lone, Kind::Events).0;
    assert_eq!(lines[0].2, "{\"a\":\"\u{FFFD}\"}".as_bytes());
    assert_eq!(lines[1].2, b"{\"b\":2}");
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    let mark = if mark { "\u{FEFF}" } else { "" };
    mark.encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// A record: an object with everything that might be taken for the end of one.
fn record() -> impl Strategy<Value = String> {
    let text =
        prop_oneof![Just("}{"), Just(r#"\"},{\\"#), Just("日本 😀"), Just("\u{FEFF}"), Just(""), Just(r"\u000a")];
    let inner = prop_oneof![Just(r#"{"b":{}}"#), Just("[{},{}, {}]"), Just("[]"), Just("1.5e3")];
    (any::<u16>(), text, inner).prop_map(|(number, text, inner)| {
        format!(r#"{{"event_name":"sign_in","timestamp":"2026-01-05T10:00:00Z","n":{number},"text":"{text}","inner":{inner}}}"#)
    })
}

/// How records are put into one file.
#[derive(Clone, Debug)]
struct Writing {
    /// Behind each record: what separates it from the next, or nothing for a line end.
    separators: Vec<Option<&'static str>>,
    line_end: &'static str,
    /// After which records blank lines follow, and a byte order mark.
    blank: Vec<bool>,
    marked: Vec<bool>,
    /// The last line has its end.
    ended: bool,
    /// UTF-16: big-endian or little, with a mark or without.
    utf16: Option<(bool, bool)>,
    /// Where gzip members end.
    members: Option<Vec<prop::sample::Index>>,
    padding: usize,
}

fn writing() -> impl Strategy<Value = Writing> {
    let separator = prop::option::weighted(
        0.4,
        prop_oneof![Just(""), Just(" "), Just(","), Just(", "), Just(",\t"), Just("\u{FEFF}")],
    );
    let members = prop::option::of(vec(any::<prop::sample::Index>(), 0..6));
    (
        vec(separator, 24),
        prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        vec(prop::bool::weighted(0.2), 24),
        vec(prop::bool::weighted(0.2), 24),
        any::<bool>(),
        prop::option::of(any::<(bool, bool)>()),
        members,
        prop_oneof![Just(0usize), 1usize..2000],
    )
        .prop_map(|(separators, line_end, blank, marked, ended, utf16, members, padding)| Writing {
            separators,
            line_end,
            blank,
            marked,
            ended,
            utf16,
            members,
            padding,
        })
}

/// A line's number, whether it has its end, and what it says.
type Numbered = (i64, bool, Vec<u8>);

impl Writing {
    /// The file, and the lines it has.
    fn write(&self, records: &[String]) -> (Vec<u8>, Vec<Numbered>) {
        let (mut text, mut lines, mut number) = (String::new(), Vec::new(), 1);
        for (n, record) in records.iter().enumerate() {
            text.push_str(record);
            let is_last = n + 1 == records.len();
            let separator = self.separators[n].filter(|_| !is_last);
            lines.push((number, !is_last || self.ended, record.clone().into_bytes()));
            number += 1;
            if let Some(separator) = separator {
                text.push_str(separator);
            } else if !is_last || self.ended {
                text.push_str(self.line_end);
                if self.blank[n] {
                    text.push_str(&["  ", self.line_end].concat());
                    number += 1;
                }
                if self.marked[n] {
                    text.push('\u{FEFF}');
                }
            }
        }
        let mut bytes = match self.utf16 {
            None => text.into_bytes(),
            Some((big, mark)) => utf16(&text, big, mark),
        };
        if let Some(members) = &self.members {
            let mut ends: Vec<_> = members.iter().map(|end| end.index(bytes.len() + 1)).collect();
            ends.extend([0, bytes.len()]);
            ends.sort();
            let mut packed: Vec<u8> = ends.windows(2).flat_map(|pair| gzip(&bytes[pair[0]..pair[1]])).collect();
            packed.resize(packed.len() + self.padding, 0);
            bytes = packed;
        }
        (bytes, lines)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Packing, encoding, line ends, marks, blank lines, several objects on a line: none of it changes what is
    /// read.
    #[test]
    fn records_are_the_same_however_they_are_written(records in vec(record(), 1..24), writing in writing(), polls in 1usize..30) {
        let (bytes, expected) = writing.write(&records);
        let (lines, error) = read_bytes(&bytes, Kind::Events);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(&lines, &expected);
        // And by polls of any size.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.jsonl");
        std::fs::write(&path, &bytes).expect("writes");
        let mut files = Files::new(&[path]).expect("opens");
        let mut polled = Vec::new();
        loop {
            match files.poll(polls).expect("readable") {
                Poll::Records(batch) => polled.extend(batch.records.iter().map(|r| (r.offset, batch.bytes[r.payload.clone()].to_vec()))),
                Poll::End => break,
                _ => {}
            }
        }
        // Whether a line without its end is taken is not the lines' to say.
        let whole = expected.iter().filter(|(_, ended, _)| *ended).count();
        let expected: Vec<_> = expected.into_iter().map(|(number, _, text)| (number, text)).collect();
        prop_assert!(polled.len() >= whole && polled[..] == expected[..polled.len()], "{:?}", polled);
    }

    /// Lines do not depend on how many bytes come at a time, whatever those are.
    #[test]
    fn lines_do_not_depend_on_how_their_bytes_come(
        pieces in vec(prop_oneof![
            4 => Just(&b"{}"[..]), 2 => Just(&b"{"[..]), 2 => Just(&b"}"[..]), 2 => Just(&b"\""[..]), 1 => Just(&b"\\"[..]),
            2 => Just(&b","[..]), 2 => Just(&b" "[..]), 2 => Just(&b"\n"[..]), 2 => Just(&b"\r\n"[..]), 2 => Just(&b"\r"[..]),
            2 => Just("\u{FEFF}".as_bytes()), 1 => Just(&b"\xEF"[..]), 1 => Just(&b"x"[..]),
        ], 0..300),
        sizes in vec(1usize..12, 1..20),
        is_cr in any::<bool>(),
        kind in prop_oneof![Just(Kind::Events), Just(Kind::Catalog)],
    ) {
        // More than is looked at before the first line is read.
        let filler = if kind == Kind::Events { "{\"a\":1}" } else { "ITEM 1" };
        let mut text = [filler, if is_cr { "\r" } else { "\n" }].concat().repeat(10_000).into_bytes();
        let mut packed = gzip(&text);
        let tail = pieces.concat();
        let mut rest = &tail[..];
        for size in sizes.iter().cycle() {
            let (first, behind) = rest.split_at(rest.len().min(*size));
            packed.extend(gzip(first));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        text.extend_from_slice(&tail);
        let (plain, _) = read_bytes(&text, kind);
        let (in_parts, error) = read_bytes(&packed, kind);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(&plain[10_000 - 1..], &in_parts[10_000 - 1..]);
    }
}

/// A line that is too long is counted, and takes with it nothing but itself. What is summed of it is all of it, however
/// it comes.
#[test]
fn a_line_that_is_too_long_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    for bytes in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 2 * LINE_BYTES_MAX, 13 << 20] {
        for between in ["\n", "\r\n", ""] {
            let text = ["{\"first\":1}", &long(bytes), "{\"last\":{\"b\":3}}", "{\"end\":1}\n"].join(between);
            let mut sums = Vec::new();
            for packed in [text.clone().into_bytes(), gzip(text.as_bytes())] {
                std::fs::write(&path, packed).expect("writes");
                let mut lines = Lines::open(&path, Kind::Events).expect("opens");
                let (mut read, mut parts, mut sum) = (Vec::new(), 0, crc32fast::Hasher::new());
                let mut text = Vec::new();
                while let Some(line) = lines.read(&mut text).expect("readable") {
                    sum.update(lines.passed());
                    assert!(lines.passed().len() <= LINE_BYTES_MAX + (1 << 18), "a call does more than it may");
                    match line.extent {
                        Extent::Nothing(_) => parts += 1,
                        _ => read.push((line.number, line.bytes(text.len()), std::mem::take(&mut text))),
                    }
                }
                let sizes: Vec<_> = read.iter().map(|(number, bytes, _)| (*number, *bytes)).collect();
                assert_eq!(sizes, [(1, 11), (2, bytes as u64), (3, 16), (4, 9)], "{bytes} {between:?}");
                assert_eq!(read[2].2, b"{\"last\":{\"b\":3}}");
                assert_eq!(parts > 0, bytes > LINE_BYTES_MAX, "{bytes} {between:?}");
                assert_eq!(read[1].2.len() == bytes, bytes <= LINE_BYTES_MAX, "{bytes} {between:?}");
                sums.push(sum.finalize());
            }
            let expected = if bytes > LINE_BYTES_MAX { crc32fast::hash(long(bytes).as_bytes()) } else { 0 };
            assert_eq!(sums, [expected; 2], "{bytes} {between:?}");
        }
    }
}

/// However many lines are empty, a poll returns soon.
#[test]
fn a_poll_reads_so_many_lines_at_the_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = vec![b'\n'; 3 << 20];
    text.extend(b"ITEM 1\n\n\n\nTitle=A");
    text.extend(vec![b'\n'; 100_000]);
    text.extend(vec![b' '; 3 << 20]);
    let path = folder.path().join("x.gz");
    std::fs::write(&path, gzip(&text)).expect("writes");
    let catalog = Box::new(Movies::file("x", &path, 0).expect("opens"));
    let sources: [Box<dyn Source>; 2] = [Box::new(Files::new(std::slice::from_ref(&path)).expect("opens")), catalog];
    let empty = |path: &Path| std::fs::write(path, gzip(&vec![b'\n'; 3 << 20])).expect("writes");
    let polls = sources.map(|mut source| {
        let (mut polls, mut records) = (0, 0);
        loop {
            polls += 1;
            match source.poll(4096).expect("readable") {
                Poll::Records(batch) => records += batch.records.len(),
                Poll::End => return (polls, records),
                _ => {}
            }
        }
    });
    let least = (3 << 20) / 4096;
    assert!(polls.iter().all(|(polls, _)| *polls > least), "{polls:?}");
    assert!(polls[0].1 >= 2 && polls[1].1 == 1, "{polls:?}");
    empty(&path);
    let mut nothing = Files::new(&[path]).expect("opens");
    assert!(matches!(nothing.poll(10), Ok(Poll::Status(..))));
    assert!(matches!(nothing.poll(10), Ok(Poll::Skipped)));
}

/// Through the whole program: the users who signed in, by file.
#[test]
fn what_is_packed_and_written_otherwise_makes_the_same_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, users) in [
        ("spaced.jsonl", "10,11,12,13,14"),
        ("firehose.jsonl", "10,11,12,13,14"),
        ("utf-16.jsonl", "10,11,12,13,14"),
        ("utf-16-be.jsonl", "10,11,12,13,14"),
        ("cr.jsonl", "10,11,12,13,14"),
        ("crlf-blank.jsonl", "10,11,12,13,14"),
        ("marks.jsonl", "10,11,12,13"),
        ("marks.jsonl.gz", "10,11,12,13"),
        ("zeros-behind.jsonl.gz", "10,11,12,13,14"),
        ("member-cut-in-line.jsonl.gz", "10,11,12,13,14"),
        ("nul.jsonl", "10,11"),
        ("empty.jsonl", ""),
        ("gzip-of-nothing.jsonl.gz", ""),
    ] {
        let warehouse = format!("{name}.db");
        let given = file(name).to_string_lossy().into_owned();
        let (code, text) = said(&deltamart(folder.path(), &["batch", &given, "--warehouse", &warehouse]));
        assert_eq!(code, Some(0), "{name}: {text}");
        assert_eq!(signed_in(&folder.path().join(&warehouse)), users, "{name}");
    }
}

/// Who signed in, in order.
pub fn signed_in(warehouse: &Path) -> String {
    let sink = Sqlite::open_to_read(all(), warehouse).expect("opens");
    let sql = "SELECT coalesce(group_concat(user_id), '') FROM (SELECT user_id FROM consumer_events ORDER BY _offset)";
    sink.connection().query_row(sql, [], |row| row.get(0)).expect("one value")
}
