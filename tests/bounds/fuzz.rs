//! Lines that were damaged in all the ways that come to mind: each is a raw row or a rejected one, and no two rows are
//! of one line.

use crate::bounded;
use crate::cli::{deltamart, said};
use crate::support::table;
use dataflows::table::TableId;
use deltamart::families::all;
use deltamart::sink::sqlite::Sqlite;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Xorshift: the same numbers everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

const PIECES: [&[u8]; 24] = [
    b"null",
    b"NaN",
    b"-0",
    b"1e999",
    b"99999999999999999999",
    b"\"\"",
    b"[]",
    b"[[[[",
    b"]]",
    b"{\"a\":",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"\"",
    b"@",
    b"jane@mail.ge",
    b"\xFF\xFE",
    b"\xEF\xBB\xBF",
    b"\0\0\0\0",
    b" ",
    b",",
    b":",
    b"ITEM 5",
    "\u{1F600}".as_bytes(),
];

/// An event, damaged or not.
fn line(n: usize, random: &mut Random) -> Vec<u8> {
    let mut line = bounded::event(n as i64 / 480 % 400, n as i64 % 480).into_bytes();
    let edits = if random.below(2) == 0 { 0 } else { 1 + random.below(4) };
    for _ in 0..edits {
        let at = random.below(line.len());
        let end = at + random.below(line.len() - at).min(40);
        let piece = PIECES[random.below(PIECES.len())];
        match random.below(8) {
            0 => line[at] = random.below(256) as u8,
            1 => drop(line.drain(at..end)),
            2 => line.truncate(at),
            3 => drop(line.splice(at..at, piece.iter().copied())),
            4 => drop(line.splice(at..end, piece.iter().copied())),
            5 => line.extend_from_within(at..end),
            6 if random.below(200) == 0 => drop(line.splice(at..at, piece.repeat(30_000))),
            6 => drop(line.splice(at..at, piece.repeat(random.below(20)))),
            _ => line[at..end].rotate_left((end - at) / 2),
        }
        if line.is_empty() {
            line.push(b'x');
        }
    }
    // One record a line, and no blank one.
    let mut behind_brace = false;
    for byte in &mut line {
        match *byte {
            b'\n' | b'\r' => *byte = b'_',
            b'{' if behind_brace => *byte = b'(',
            _ => {}
        }
        behind_brace = *byte == b'}' || (behind_brace && matches!(*byte, b' ' | b'\t' | b',' | 0xEF | 0xBB | 0xBF));
    }
    if !line.iter().any(u8::is_ascii_graphic) {
        line.push(b'x');
    }
    line
}

#[test]
fn every_line_is_somewhere() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (lines, seed) = (asked("DELTAMART_FUZZ_LINES").unwrap_or(200_000), asked("DELTAMART_FUZZ_SEED").unwrap_or(1));
    let folder = tempfile::tempdir().expect("a folder");
    let file = File::create(folder.path().join("x.gz")).expect("creates");
    let mut file = BufWriter::with_capacity(1 << 20, GzEncoder::new(file, Compression::fast()));
    // What is not lines of events at all is refused as a whole.
    file.write_all((bounded::event(0, 1) + "\n").as_bytes()).expect("writes");
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed as u64);
    for n in 1..lines {
        file.write_all(&line(n, &mut random)).and_then(|()| file.write_all(b"\n")).expect("writes");
    }
    file.into_inner().map_err(|error| error.into_error()).and_then(GzEncoder::finish).expect("writes");
    let (code, text) = said(&deltamart(folder.path(), &["run", "x.gz", "--warehouse", "w.db", "-w", "2"]));
    assert_eq!(code, Some(0), "{text}");
    let sink = Sqlite::open_to_read(all(), &folder.path().join("w.db")).expect("opens");
    let count = |id: TableId| sink.count(id.table()).expect("counted").unwrap_or_default() as usize;
    let raw = [
        table("consumer_events"),
        table("item_view_events"),
        table("cart_events"),
        table("rating_events"),
        table("catalog_events"),
    ];
    let (raw, rejected, late) = (raw.map(&count), count(table("rejected_events")), count(table("late_events")));
    let all: usize = raw.iter().sum::<usize>() + rejected;
    println!("{lines} lines: {} accepted, of those {late} late, and {rejected} rejected", all - rejected);
    assert_eq!(all, lines, "{raw:?} accepted, {rejected} rejected");
    assert!(rejected > lines / 4 && all - rejected > lines / 4, "the damage is all or nothing");
    // Rows that share a line would hide ones that are missing.
    let union: Vec<_> =
        ["consumer_events", "item_view_events", "cart_events", "rating_events", "catalog_events", "rejected_events"]
            .map(|table| format!("SELECT _offset FROM {table}"))
            .into();
    let sql = format!("SELECT count(*), min(_offset), max(_offset) FROM ({})", union.join(" UNION "));
    let found = sink.connection().query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    assert_eq!(found.expect("one row"), (lines as i64, 1_i64, lines as i64));
}
