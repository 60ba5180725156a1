//! A file's lines with their numbers, whatever it is packed in and however its text is written.
//!
//! In layers: bytes, unpacked if they are gzip; UTF-8, if they were UTF-16; lines, by `\n`, `\r\n` or, where
//! only that is used, `\r`; for events objects, if several stand on one line; and of separated values records, if one
//! stands on several lines, which is a line here, numbered as the first of them. A line is never more in
//! memory than [`LINE_BYTES_MAX`]: a longer one is gone over part by part, and counted. A call never does more
//! work than such a line makes.

mod objects;
mod packed;
mod quotes;
mod text;

use super::SourceError;
use super::sniff::{self, Kind};
use crate::bounds::{BEGINNING_BYTES, RECORD_BYTES_MAX};
use crate::families;
use objects::{Found, Scan};
use packed::{Damage, Got, Packed};
use quotes::Quotes;
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use text::{Encoding, Utf16};

/// A line longer than this many bytes is counted, and not held in memory.
pub const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX;

/// How much of a file is looked at before it is read.
const HEAD_BYTES: usize = 1 << 16;
/// What is held of a file, unless a line is longer.
const BUFFER_BYTES: usize = 1 << 18;
/// A call reads so often at the most: members of gzip may hold nothing.
const FILLS: usize = 1 << 10;
/// And so many times that for nothing, before the first line.
const HEAD_FILLS: usize = 16;
/// What some editors put first, and joined files have in their middle.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: i64,
    /// Its end was there. The last line of a file that is being written has none yet.
    pub ended: bool,
    /// How much of it was handed out.
    pub extent: Extent,
}

/// How much of a line was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its beginning: it is longer than [`LINE_BYTES_MAX`], and has so many bytes.
    Beginning(u64),
    /// Nothing: so many bytes were gone over, and the line has not come to its end.
    Nothing(usize),
}

impl Line {
    /// How many bytes it has, given what was handed out of it.
    pub fn bytes(&self, handed_out: usize) -> u64 {
        match self.extent {
            Extent::Beginning(bytes) => bytes,
            Extent::Whole | Extent::Nothing(_) => handed_out as u64,
        }
    }
}

/// A line that is too long: its beginning, and how many bytes of it were gone over.
struct Long {
    beginning: Vec<u8>,
    bytes: u64,
}

/// What reading more brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// Bytes.
    More,
    /// None, though much was read; there may be more.
    Nothing,
    /// None: there are no more.
    End,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// `\n`; a `\r` before it belongs to it.
    Lf,
    /// `\r`, and also `\n` and both together.
    Cr,
}

/// The lines of a file.
pub struct Lines {
    path: PathBuf,
    kind: Kind,
    /// What stands between the values of a record, where records are such.
    separator: Option<u8>,
    packed: Packed,
    utf16: Option<Utf16>,
    line_break: Break,
    buffer: Vec<u8>,
    /// What is held: from here in `buffer`, where a line begins,
    at: usize,
    /// to here.
    end: usize,
    /// So many of the bytes held hold no end of a line.
    clear: usize,
    scan: Scan,
    quotes: Quotes,
    /// Line ends in the texts of the record.
    within: i64,
    /// A `\r` was the end of a line; a `\n` right behind it belongs to it.
    behind_cr: bool,
    /// The line is too long, and its end not found yet.
    long: Option<Long>,
    /// What the last call went over of it, in `buffer`.
    passed: Range<usize>,
    /// Nothing more can be read.
    is_done: bool,
    /// What is written behind its end is read when it is there; a last line is none before its end is.
    follows: bool,
    next: i64,
    /// How many bytes there were before those in `buffer`.
    before: u64,
    /// Up to where all bytes are known to be sound, of those that are not handed out.
    sound: VecDeque<u64>,
    /// Up to which line.
    sound_line: i64,
}

impl Lines {
    /// How many bytes of the file were read, some of them in advance.
    pub fn file_bytes(&self) -> u64 {
        self.packed.file_bytes()
    }

    /// Opens a file at its first line, after a look at what it is. Separated values are events of declared families alone:
    /// where there are none, they are refused.
    ///
    /// # Errors
    /// If it cannot be opened; [`SourceError::Refused`] if it is of a format that is not read, with what to
    /// do.
    pub fn open(path: &Path, kind: Kind) -> Result<Lines, SourceError> {
        Lines::opened(path, kind, !families::declared().is_empty())
    }

    /// Opens a file of events of which nobody said yet what they are.
    ///
    /// # Errors
    /// As [`Lines::open`].
    pub fn sample(path: &Path) -> Result<Lines, SourceError> {
        Lines::opened(path, Kind::Events, true)
    }

    /// From now on its end is where it is read on from, once there is more; tells whether that can be, of what is neither
    /// packed nor written in two bytes a letter.
    pub fn follow(&mut self) -> bool {
        self.follows = !self.packed.is_gzip() && self.utf16.is_none();
        self.is_done &= !self.follows;
        self.follows
    }

    /// The file that is read, wherever it lies by now.
    pub fn file(&self) -> &File {
        self.packed.file()
    }

    /// What stands between the values of a record, if that is how records are written: the first one is the header.
    pub fn separator(&self) -> Option<u8> {
        self.separator
    }

    fn opened(path: &Path, kind: Kind, takes_tables: bool) -> Result<Lines, SourceError> {
        let packed = Packed::new(open(path)?).map_err(|damage| damaged(path, &damage, 0, 0))?;
        let mut lines = Lines {
            path: path.to_owned(),
            kind,
            separator: None,
            packed,
            utf16: None,
            line_break: Break::Lf,
            buffer: vec![0; BUFFER_BYTES],
            at: 0,
            end: 0,
            clear: 0,
            scan: Scan::default(),
            quotes: Quotes::default(),
            within: 0,
            behind_cr: false,
            long: None,
            passed: 0..0,
            is_done: false,
            follows: false,
            next: 1,
            before: 0,
            sound: VecDeque::new(),
            sound_line: 0,
        };
        let refuse = |what: sniff::Foreign, packed: &Packed| {
            Err(SourceError::Refused(what.explained(path, kind, packed.is_gzip())))
        };
        lines.fill_head();
        let head = &lines.buffer[..lines.end];
        let encoding = Encoding::of(head);
        if let Some(foreign) = sniff::bytes(head, encoding != Encoding::AsIs) {
            return refuse(foreign, &lines.packed);
        }
        if encoding != Encoding::AsIs {
            let raw = std::mem::replace(&mut lines.buffer, vec![0; BUFFER_BYTES]);
            let sound = std::mem::take(&mut lines.sound).into_iter().map(|end| end as usize).collect();
            lines.utf16 = Some(Utf16::new(encoding, raw, std::mem::take(&mut lines.end), sound));
            lines.is_done = false;
            lines.fill_head();
        }
        let head = &lines.buffer[..lines.end];
        lines.separator = sniff::separator(head, path).filter(|_| kind == Kind::Events && takes_tables);
        if let Some(foreign) = sniff::text(head, kind).filter(|_| lines.separator.is_none()) {
            return refuse(foreign, &lines.packed);
        }
        if lines.separator.is_some() {
            lines.kind = Kind::Table;
        }
        lines.line_break = line_break(head, lines.kind);
        Ok(lines)
    }

    /// Appends the next line without its end to `bytes`, or what [`Extent`] says of it; nothing at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or is damaged: always again, once all whole lines before it were read.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Line>, SourceError> {
        self.passed = 0..0;
        if self.long.is_some() {
            return self.go_over(bytes);
        }
        loop {
            self.drop_marks();
            let held = &self.buffer[self.at..self.end];
            // Nearly all lines: the first brace that closes is the last byte.
            if (self.kind, self.line_break, self.clear) == (Kind::Events, Break::Lf, 0)
                && let Some(brace) = memchr::memchr2(b'}', b'\n', held)
                && held[brace..].starts_with(b"}\n")
                && brace < LINE_BYTES_MAX
            {
                bytes.extend_from_slice(&held[..=brace]);
                self.at += brace + 2;
                return Ok(Some(self.begin(0, true)));
            }
            // And of nearly all records of values: no quote in it, and no line end but its own.
            if (self.kind, self.line_break, self.clear) == (Kind::Table, Break::Lf, 0)
                && let Some(end) = memchr::memchr(b'\n', held)
                && end < LINE_BYTES_MAX
                && !held[..end].ends_with(b"\r")
                && memchr::memchr(b'"', &held[..end]).is_none()
            {
                bytes.extend_from_slice(&held[..end]);
                self.at += end + 1;
                return Ok(Some(self.begin(0, true)));
            }
            let found = match self.separator {
                Some(separator) => self.quotes.find(separator, self.line_break, held),
                None => find(self.line_break, held, self.clear),
            };
            let length = found.unwrap_or(held.len());
            if length - may_end(&held[..length]) > LINE_BYTES_MAX {
                return Ok(Some(self.begin_long(bytes)));
            }
            if found.is_some() {
                return Ok(Some(self.take(length, true, bytes)));
            }
            if self.kind == Kind::Events
                && let Found::Next(end, next) = self.scan.look(held)
            {
                return Ok(Some(self.take_object(end, next, length, bytes)));
            }
            self.clear = length;
            match self.fill()? {
                Filled::More => {}
                Filled::Nothing => return Ok(Some(self.nothing(HEAD_BYTES))),
                Filled::End if self.follows => return Ok(None),
                Filled::End => {
                    let length = self.end - self.at;
                    return Ok((length > 0).then(|| self.take(length, false, bytes)));
                }
            }
        }
    }

    /// Takes the rest of a line of the file, or its first object if it has several.
    fn take(&mut self, length: usize, ended: bool, bytes: &mut Vec<u8>) -> Line {
        let held = &self.buffer[self.at..self.end];
        let mut line = &held[..length];
        if let (Break::Lf, [without @ .., b'\r']) = (self.line_break, line) {
            line = without;
        }
        if self.kind == Kind::Events && objects::may_be_parted(line) {
            match self.scan.look(line) {
                Found::Next(end, next) => return self.take_object(end, next, length, bytes),
                Found::Rest(end) => line = &line[..end.min(line.len())],
            }
        }
        bytes.extend_from_slice(line);
        self.within += self.line_ends(line);
        self.behind_cr = ended && held[length] == b'\r';
        self.at += length + usize::from(ended);
        self.begin(0, ended)
    }

    /// How many line ends there are in the texts of a record.
    fn line_ends(&self, line: &[u8]) -> i64 {
        if self.kind == Kind::Table { memchr::memchr_iter(b'\n', line).count() as i64 } else { 0 }
    }

    /// Takes one object; another one begins at `next`, and the line of the file ends at `length`, or later.
    fn take_object(&mut self, end: usize, next: usize, length: usize, bytes: &mut Vec<u8>) -> Line {
        bytes.extend_from_slice(&self.buffer[self.at..self.at + end]);
        self.at += next;
        self.begin(length - next, true)
    }

    /// Nothing was handed out, though so much was gone over.
    fn nothing(&self, bytes: usize) -> Line {
        Line { number: self.next, ended: false, extent: Extent::Nothing(bytes) }
    }

    /// What the last call went over of a line that is too long. Of all calls together this is the line, whatever it
    /// is packed in and however its bytes came.
    pub fn passed(&self) -> &[u8] {
        &self.buffer[self.passed.clone()]
    }

    /// Goes over as much of a line as may be held, unless an object ends within it.
    fn begin_long(&mut self, bytes: &mut Vec<u8>) -> Line {
        // One more: an object may be as long as may be, and the next one begin right behind it.
        let first = &self.buffer[self.at..self.at + LINE_BYTES_MAX + 1];
        if self.kind == Kind::Events
            && let Found::Next(end, next) = self.scan.look(first)
        {
            return self.take_object(end, next, first.len(), bytes);
        }
        self.long = Some(Long { beginning: first[..BEGINNING_BYTES].to_vec(), bytes: 0 });
        self.pass(LINE_BYTES_MAX + 1 - may_end(first))
    }

    /// Goes over so much of what is held of a line that is too long, and has not come to its end.
    fn pass(&mut self, length: usize) -> Line {
        self.passed = self.at..self.at + length;
        self.within += self.line_ends(&self.buffer[self.passed.clone()]);
        self.at += length;
        self.scan.drop_first(length);
        self.clear = 0;
        if let Some(long) = &mut self.long {
            long.bytes += length as u64;
        }
        self.nothing(length)
    }

    /// Goes on over a line that is too long.
    fn go_over(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Line>, SourceError> {
        loop {
            let held = &self.buffer[self.at..self.end];
            let found = find(self.line_break, held, 0);
            let length = found.unwrap_or(held.len());
            if self.kind == Kind::Events
                && let Found::Next(_, next) = self.scan.look(&held[..length])
            {
                return Ok(Some(self.end_long(next, next, true, bytes)));
            }
            let end = if self.line_break == Break::Lf { may_end(&held[..length]) } else { 0 };
            if let Some(found) = found {
                self.behind_cr = held[found] == b'\r';
                return Ok(Some(self.end_long(length - end, found + 1, true, bytes)));
            }
            if length > end {
                return Ok(Some(self.pass(length - end)));
            }
            match self.fill()? {
                Filled::More => {}
                Filled::Nothing => return Ok(Some(self.nothing(HEAD_BYTES))),
                Filled::End if self.follows => return Ok(None),
                Filled::End => return Ok(Some(self.end_long(length, length, false, bytes))),
            }
        }
    }

    /// The line has come to its end after so many bytes more; what comes next is behind it.
    fn end_long(&mut self, length: usize, behind: usize, ended: bool, bytes: &mut Vec<u8>) -> Line {
        self.passed = self.at..self.at + length;
        self.at += behind;
        let long = self.long.take().unwrap_or(Long { beginning: Vec::new(), bytes: 0 });
        bytes.extend_from_slice(&long.beginning);
        let extent = Extent::Beginning(long.bytes + length as u64);
        Line { extent, ..self.begin(0, ended) }
    }

    /// A line was taken; of the next one so many bytes hold no end of a line.
    fn begin(&mut self, clear: usize, ended: bool) -> Line {
        let number = self.next;
        self.next += 1 + std::mem::take(&mut self.within);
        (self.clear, self.scan, self.quotes) = (clear, Scan::default(), Quotes::default());
        let taken = self.before + self.at as u64;
        while let Some(end) = self.sound.front().copied() {
            if taken <= end {
                self.sound_line = number;
            }
            if taken < end {
                break;
            }
            self.sound.pop_front();
        }
        Line { number, ended, extent: Extent::Whole }
    }

    /// Goes behind what is no part of a line, where one begins.
    fn drop_marks(&mut self) {
        if self.behind_cr && self.at < self.end {
            self.at += usize::from(self.buffer[self.at] == b'\n');
            self.behind_cr = false;
        }
        while self.buffer[self.at..self.end].starts_with(BYTE_ORDER_MARK) {
            self.at += BYTE_ORDER_MARK.len();
            (self.clear, self.scan, self.quotes) = (0, Scan::default(), Quotes::default());
        }
    }

    /// Reads what is looked at before anything else. What is damaged is said when it is come to.
    fn fill_head(&mut self) {
        let mut nothing = 0;
        while self.end < HEAD_BYTES && nothing < HEAD_FILLS {
            match self.fill() {
                Ok(Filled::More) => {}
                Ok(Filled::Nothing) => nothing += 1,
                Ok(Filled::End) | Err(_) => break,
            }
        }
    }

    /// Reads more behind what is held.
    fn fill(&mut self) -> Result<Filled, SourceError> {
        if self.is_done {
            return Ok(Filled::End);
        }
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.end, 0);
            self.before += self.at as u64;
            (self.at, self.end) = (0, self.end - self.at);
        }
        if self.buffer.len() - self.end < HEAD_BYTES {
            // No more than the longest line is held when there is no end in it.
            self.buffer.resize((2 * self.buffer.len()).min(LINE_BYTES_MAX + BUFFER_BYTES), 0);
        }
        for _ in 0..FILLS {
            let room = &mut self.buffer[self.end..];
            let got = match &mut self.utf16 {
                None => self.packed.read(room),
                Some(utf16) => utf16.read(&mut self.packed, room),
            };
            match got {
                Ok(Got::Bytes(bytes)) => {
                    self.end += bytes;
                    return Ok(Filled::More);
                }
                Ok(Got::Nothing) => return Ok(Filled::Nothing),
                Ok(Got::Sound) => {
                    let end = self.before + self.end as u64;
                    // Members that hold nothing say nothing new.
                    if self.sound.back() != Some(&end) {
                        self.sound.push_back(end);
                    }
                    self.sound_line = self.next - 1;
                }
                Ok(Got::End) => {
                    self.is_done = !self.follows;
                    return Ok(Filled::End);
                }
                Err(damage) => return Err(damaged(&self.path, &damage, self.next - 1, self.sound_line)),
            }
        }
        Ok(Filled::Nothing)
    }
}

/// How many of the last bytes may belong to the end of the line, as far as these tell.
fn may_end(held: &[u8]) -> usize {
    usize::from(held.ends_with(b"\r"))
}

/// Where a line ends, if not within its first `clear` bytes.
fn find(line_break: Break, held: &[u8], clear: usize) -> Option<usize> {
    let rest = &held[clear..];
    let found = match line_break {
        Break::Lf => memchr::memchr(b'\n', rest),
        Break::Cr => memchr::memchr2(b'\r', b'\n', rest),
    };
    found.map(|found| found + clear)
}

/// What ends the lines of a file that begins so.
fn line_break(head: &[u8], kind: Kind) -> Break {
    match (memchr::memchr(b'\r', head), memchr::memchr(b'\n', head)) {
        (None, _) => return Break::Lf,
        (Some(_), None) => return Break::Cr,
        _ => {}
    }
    // Both: something was joined to it, or a `\r` stands in a line. The first line that says something decides.
    let begin = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
    let rest = &head[begin..];
    let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
    let is_alone = rest[end..].starts_with(b"\r") && !rest[end..].starts_with(b"\r\n");
    let is_whole = kind == Kind::Catalog || rest[..end].trim_ascii_end().ends_with(b"}");
    if is_alone && is_whole { Break::Cr } else { Break::Lf }
}

/// What is wrong, up to which line all was well, and what to do.
fn damaged(path: &Path, damage: &Damage, read: i64, sound: i64) -> SourceError {
    let file = path.display();
    let what = match damage {
        Damage::Unreadable(why) if read == 0 => {
            return SourceError::Failed(format!("could not read file `{file}`: {why}"));
        }
        Damage::Unreadable(why) => {
            return SourceError::Failed(format!("could not read file `{file}` behind line {read}: {why}"));
        }
        Damage::Cut => "its gzip data stop in their middle: it was cut, or is still being written",
        Damage::Broken => "its gzip data cannot be unpacked",
        Damage::Checksum => "what its gzip data hold is not what was packed: the checksum is another one",
        Damage::Behind => "behind its gzip data there is something else, which no gzip made",
    };
    let place = if read == 0 { "in its first line".to_owned() } else { format!("behind line {read}") };
    let well = match (damage, read) {
        // Bytes may have been other ones for a while before it is noticed.
        (Damage::Broken | Damage::Checksum, read) if sound < read => {
            let before = if sound == 0 { String::new() } else { format!("; all was well up to line {sound}") };
            format!("Of what was read, lines {} to {read} may be wrong{before}", sound + 1)
        }
        (_, 0) => "Nothing of it was read".to_owned(),
        (Damage::Cut, read) if sound < read => {
            format!("Up to line {read} all was well, as far as can be told without the checksum at its end")
        }
        _ => format!("All was well up to line {read}"),
    };
    SourceError::Failed(format!(
        "file `{file}` is damaged {place}: {what}. {well}. Get it again, whole (`gzip -t` checks it), and start again"
    ))
}

fn open(path: &Path) -> Result<File, SourceError> {
    let failed =
        |error: std::io::Error| SourceError::Failed(format!("could not open file `{}`: {error}", path.display()));
    let wrong = |what: &str| Err(SourceError::Failed(format!("could not read `{}`: it is {what}", path.display())));
    // Asked before it is opened: opening a pipe waits for its writer, and a poll never blocks.
    let kind = path.metadata().map_err(failed)?;
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => File::open(path).map_err(failed),
        (_, true) => wrong("a folder; name its files"),
        _ => wrong("no regular file; write what it yields to one first"),
    }
}
