//! A look at a file before it is read: what is not lines of what is expected is refused by name, with what
//! to do.
//!
//! Only what is certain is refused here. What is merely wrong is seen when it is decoded: a file none of
//! whose first records is valid, by [`has_valid_record`](super::valid::has_valid_record).

use crate::decode::movies_txt::starts_item;
use std::path::Path;

/// So many of the first lines are looked at.
const LINES: usize = 20;

/// What the lines of a file are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Objects of JSON. Each counts as a line, where several stand on one.
    Events,
    /// Records of separated values, behind a header.
    Table,
    /// Lines of `Movies.txt`.
    Catalog,
}

/// A format that is not read, and how its files become such as are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// What it is called, with its article.
    pub(super) name: &'static str,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// This command unpacks the file that is named behind it.
    Unpack(&'static str),
    /// This command turns what it reads into lines.
    Filter(&'static str),
    /// So.
    Advice(&'static str),
}

const fn foreign(name: &'static str, way: Way) -> Option<Foreign> {
    Some(Foreign { name, way })
}

/// What the first bytes of a file say about it, if they are not text.
pub(super) fn bytes(head: &[u8], is_utf16: bool) -> Option<Foreign> {
    const EXPORT: &str = "export its rows as lines of JSON, one object a line";
    let found = match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => {
            foreign("a zip archive", Way::Unpack("unzip -p"))
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => foreign("packed with bzip2", Way::Unpack("bzcat")),
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => foreign("packed with xz", Way::Unpack("xzcat")),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => foreign("packed with zstd", Way::Unpack("zstdcat")),
        [0x04, 0x22, 0x4D, 0x18, ..] => foreign("packed with lz4", Way::Unpack("lz4cat")),
        [b'L', b'Z', b'I', b'P', ..] => foreign("packed with lzip", Way::Unpack("lzip -dc")),
        [0x89, b'L', b'Z', b'O', 0, ..] => foreign("packed with lzop", Way::Unpack("lzop -dc")),
        [0xFF, 6, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y', ..] => {
            foreign("packed with snappy", Way::Advice("unpack it, or pack it with gzip"))
        }
        [0x1F, 0x9D, ..] => foreign("packed with compress", Way::Unpack("gzip -dc")),
        [0x1F, 0x8B, ..] => foreign("packed with gzip twice", Way::Filter("gzip -dc")),
        [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => foreign("a 7z archive", Way::Unpack("7z x -so")),
        [b'R', b'a', b'r', b'!', 0x1A, 7, ..] => foreign("a RAR archive", Way::Unpack("unrar p -inul")),
        [b'P', b'A', b'R', b'1', ..] => foreign("a Parquet file", Way::Advice(EXPORT)),
        [b'O', b'R', b'C', 0..0x20, ..] => foreign("an ORC file", Way::Advice(EXPORT)),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => foreign("an Arrow file", Way::Advice(EXPORT)),
        [b'O', b'b', b'j', 1, ..] => foreign("an Avro file", Way::Unpack("avro-tools tojson")),
        [b'%', b'P', b'D', b'F', b'-', ..] => foreign("a PDF document", Way::Advice("find the data that it shows")),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            foreign("text in UTF-32", Way::Filter("iconv -f UTF-32 -t UTF-8"))
        }
        _ if head.starts_with(b"SQLite format 3\0") => foreign("a SQLite database", Way::Advice(EXPORT)),
        _ if head.get(257..262) == Some(b"ustar") => foreign("a tar archive", Way::Filter("tar xOf -")),
        _ => None,
    };
    let first = lines(head).next().unwrap_or_default();
    // A line of zeros between good ones is what a crash leaves: it is rejected, and the others are not.
    let is_binary = || !is_utf16 && first.contains(&0);
    found.or_else(|| {
        let way = Way::Advice("find out what wrote it (`file` may tell), and export its data as text");
        if is_binary() { foreign("no text: there are bytes of value 0 in its first line", way) } else { None }
    })
}

/// What a text is that begins so, if it is not what is expected.
pub(super) fn text(head: &[u8], kind: Kind) -> Option<Foreign> {
    let trimmed = trimmed(head);
    let first = lines(head).next()?;
    if trimmed.starts_with(b"<") {
        let start = trimmed[..trimmed.len().min(512)].to_ascii_lowercase();
        let has = |what: &[u8]| memchr::memmem::find(&start, what).is_some();
        return if has(b"<!doctype html") || has(b"<html") {
            let advice = "a download may have answered with a page to sign in, or with an error: look at it, and get the file again";
            foreign("an HTML page", Way::Advice(advice))
        } else {
            foreign("XML", Way::Advice("export its data as text, one record a line"))
        };
    }
    if first.starts_with(b"product/productId:") {
        let advice = "reviews name no prices: the catalog that is read has blocks of `ITEM <number>` and lines such as \
                      `ListPrice=999USD$9.99`";
        return foreign(
            "a list of reviews (`movies.txt` of SNAP), which has only its name in common with a catalog",
            Way::Advice(advice),
        );
    }
    match kind {
        Kind::Events if trimmed.starts_with(b"{") => is_spread(head)
            .then(|| foreign("pretty-printed JSON, an object over several lines", Way::Filter("jq -c .")))
            .flatten(),
        Kind::Catalog if trimmed.starts_with(b"{") => foreign(
            "lines of JSON: events, and no catalog",
            Way::Advice("give it as a file of events, without `--catalog`"),
        ),
        _ if is_array(trimmed) => foreign("a JSON array", Way::Filter("jq -c '.[]'")),
        _ if trimmed.starts_with(b"\x1E") => {
            foreign("a JSON text sequence, with a byte 0x1E before each record", Way::Filter("tr -d '\\036'"))
        }
        Kind::Events if starts_item(first) => {
            foreign("a catalog, and no events", Way::Advice("give it as the catalog, with `--catalog`"))
        }
        Kind::Events
            if all(head, |line| memchr::memchr(b'{', line).is_some_and(|at| at > 0) && line.ends_with(b"}")) =>
        {
            foreign("a log with JSON behind other text on each line", Way::Filter("sed 's/^[^{]*//'"))
        }
        Kind::Events if is_separated(head, |line| line.contains(&b'{')) => separated(),
        Kind::Catalog if is_separated(head, |line| line.contains(&b'=') || starts_item(line)) => separated(),
        Kind::Events | Kind::Table | Kind::Catalog => None,
    }
}

const fn separated() -> Option<Foreign> {
    let advice = "turn it into lines of JSON (`mlr --icsv --ojsonl cat`, with `--itsv` for tabs), its columns named as \
                  the fields of the events";
    foreign("a table with separated columns (CSV)", Way::Advice(advice))
}

/// Without what may stand before anything.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    text.strip_prefix(b"\xEF\xBB\xBF").map_or(text, <[u8]>::trim_ascii_start)
}

/// The first lines that are not blank; the last one may be cut.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).map(|line| trimmed(line).trim_ascii_end());
    lines.filter(|line| !line.is_empty()).take(LINES)
}

/// Whether there are two lines at least, and all are so.
fn all(head: &[u8], is_so: impl Fn(&[u8]) -> bool) -> bool {
    let lines: Vec<_> = lines(head).collect();
    // The last one may be cut where the head ends.
    lines.len() > 1 && lines[..lines.len() - 1].iter().all(|line| is_so(line))
}

/// `[` and then what an array of records has, and no log has behind its `[`.
fn is_array(text: &[u8]) -> bool {
    let Some(inner) = text.strip_prefix(b"[").map(<[u8]>::trim_ascii_start) else { return false };
    matches!(inner, [] | [b'{' | b'[' | b'"' | b']', ..])
}

/// Whether the first object goes on behind the end of its line, with a field or its end.
fn is_spread(head: &[u8]) -> bool {
    let mut lines = lines(head);
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return false };
    match (first.last(), second[0]) {
        (Some(b'['), b'{') => true,
        (Some(b'{' | b'[' | b','), b'"' | b'}' | b']') => !first.ends_with(b"},"),
        _ => false,
    }
}

/// What stands between the values of a table that begins so: its name says that it is one, or all of its lines do.
pub(super) fn separator(head: &[u8], path: &Path) -> Option<u8> {
    let trimmed = trimmed(head);
    let first = lines(head).next()?;
    let is_other = matches!(trimmed, [b'{' | b'[' | b'<' | 0x1E, ..])
        || first.starts_with(b"product/productId:")
        || starts_item(first);
    let is_named = named_separator(path);
    let is_table = is_named.is_some() || is_separated(head, |line| line.contains(&b'{'));
    if is_other || !is_table {
        return None;
    }
    most(first).or(is_named)
}

/// What the name of a file says: `.csv` and `.tsv`, packed or not.
fn named_separator(path: &Path) -> Option<u8> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" => Some(b','),
        "tsv" | "tab" => Some(b'\t'),
        _ => None,
    }
}

/// The separator that stands most often in a line, if any does.
fn most(line: &[u8]) -> Option<u8> {
    let count = |separator: u8| memchr::memchr_iter(separator, line).count();
    // Of as many the first: the last of the greatest is found.
    b"|;\t,".iter().copied().max_by_key(|separator| count(*separator)).filter(|separator| count(*separator) > 0)
}

/// Whether the first lines are parted into equally many columns, and none `says` otherwise.
fn is_separated(head: &[u8], says: impl Fn(&[u8]) -> bool) -> bool {
    let lines: Vec<_> = lines(head).collect();
    let Some(first) = lines.first() else { return false };
    let separator = most(first);
    let count = |line: &[u8]| separator.map_or(0, |separator| memchr::memchr_iter(separator, line).count());
    // Values may hold more separators, in quotes.
    let enough = |line: &&[u8]| count(line) >= count(first);
    count(first) > 0 && !lines.iter().any(|line| says(line)) && lines[..lines.len().max(2) - 1].iter().all(enough)
}

impl Foreign {
    /// What the file is, and what to do.
    pub(super) fn explained(&self, path: &Path, kind: Kind, is_gzip: bool) -> String {
        let (file, expected) = (
            path.display(),
            match kind {
                Kind::Events | Kind::Table => "events as lines of JSON",
                Kind::Catalog => "a catalog such as `Movies.txt`",
            },
        );
        let inside = if is_gzip { ", packed with gzip" } else { "" };
        let what = format!("file `{file}` is {}{inside}; expected {expected}, plain or packed with gzip", self.name);
        let (from, to) = (quoted(&path.to_string_lossy()), quoted(&target(path, kind)));
        match self.way {
            Way::Advice(advice) => format!("{what}.\nWhat to do: {advice}"),
            Way::Filter(filter) if is_gzip => format!("{what}.\nWhat to do: gzip -dc {from} | {filter} > {to}"),
            Way::Filter(filter) => format!("{what}.\nWhat to do: {filter} < {from} > {to}"),
            Way::Unpack(unpack) if is_gzip => {
                format!("{what}.\nWhat to do: unpack it (`gzip -dc {from}`), and what is in it (`{unpack}`)")
            }
            Way::Unpack(unpack) => format!("{what}.\nWhat to do: {unpack} {from} > {to}"),
        }
    }
}

/// A name for the lines made of a file.
fn target(path: &Path, kind: Kind) -> String {
    let ending = match kind {
        Kind::Events | Kind::Table => "jsonl",
        Kind::Catalog => "txt",
    };
    let mut stem = path.to_owned();
    while let Some(extension) = stem.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()) {
        const KNOWN: [&str; 22] = [
            "gz", "zip", "bz2", "xz", "zst", "lz4", "lz", "lzo", "z", "7z", "rar", "tar", "tgz", "avro", "json",
            "jsonl", "ndjson", "log", "txt", "seq", "html", "csv",
        ];
        if !KNOWN.contains(&extension.as_str()) {
            break;
        }
        stem.set_extension("");
    }
    let named = |middle: &str| format!("{}{middle}.{ending}", stem.display());
    let plain = named("");
    if Path::new(&plain) == path { named(".lines") } else { plain }
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-+=:@%,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8], kind: Kind) -> Option<&'static str> {
        bytes(head, false).or_else(|| text(head, kind)).map(|foreign| foreign.name)
    }

    #[test]
    fn what_is_meant_is_never_refused() {
        let events = [
            "",
            "\n \r\n",
            "{}",
            "{\"a\":1}\n{\"b\":2}",
            "\u{FEFF}{\"a\":1}\r{\"b\":2}\r",
            "  {\"a\":[1,2,\n",
            "{\"a\":1},{\"b\":2},\n{\"c\":3}",
            "{\"a\":1},\n{\"b\":2},\n",
            // Wrong lines among others are rejected one by one.
            "nonsense\n{\"a\":1}\n",
            "1,2,3\n{\"a\":1}\n",
            "x {\"a\":1}\n{\"a\":1}\n{\"a\":1}\n",
            "{\"a\":\n{\"a\":1}\n",
            "{\"a\":1}\n\0\0\0\0\n{\"a\":1}\n",
            "one\n\n  \ntwo\r\nthree",
        ];
        for head in events {
            assert_eq!(name(head.as_bytes(), Kind::Events), None, "{head:?}");
        }
        for head in [
            "ITEM 1\nTitle=[a]\n",
            "",
            "Title=<b>, or not\n",
            "item 1\nTitle=a,b\nActor=c,d\n",
            "\n\u{FEFF}ITEM 1\r\rITEM 2\r",
            "# Movies, of 2001\nITEM 1\n",
        ] {
            assert_eq!(name(head.as_bytes(), Kind::Catalog), None, "{head:?}");
        }
    }

    #[test]
    fn commands_name_another_file_than_the_one_they_read() {
        let events = |path: &str| target(Path::new(path), Kind::Events);
        assert_eq!(events("d/events.jsonl.bz2"), "d/events.jsonl");
        assert_eq!(events("events.2026.zip"), "events.2026.jsonl");
        assert_eq!(events("events.jsonl"), "events.lines.jsonl");
        assert_eq!(events("x"), "x.jsonl");
        assert_eq!(target(Path::new("Movies.txt"), Kind::Catalog), "Movies.lines.txt");
        let foreign = bytes(b"PK\x03\x04", false).expect("zip");
        let said = foreign.explained(Path::new("my events.zip"), Kind::Events, false);
        assert!(said.ends_with("What to do: unzip -p 'my events.zip' > 'my events.jsonl'"), "{said}");
    }
}
