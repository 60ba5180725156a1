//! Damaged gzip: read as far as it is whole, and said up to which line.

use super::{file, gzip, read, read_bytes, signed_in};
use crate::cli::{deltamart, said};
use deltamart::source::sniff::Kind;

fn lines(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("{{\"event_name\":\"sign_in\",\"user_id\":{n}}}\n")).collect()
}

/// The number behind some words.
fn number_behind(text: &str, words: &str) -> Option<usize> {
    let behind = text.split(words).nth(1)?;
    behind.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What is damaged in the fixtures, how many lines come before it, and what is said.
#[test]
fn damaged_files_are_read_up_to_the_damage() {
    for (name, whole, expected) in [
        ("cut.jsonl.gz", 4, "stop in their middle: it was cut, or is still being written. Up to line 4 all was well"),
        ("wrong-crc.jsonl.gz", 5, "the checksum is another one. Of what was read, lines 1 to 5 may be wrong"),
        (
            "garbage-behind.jsonl.gz",
            5,
            "behind its gzip data there is something else, which no gzip made. All was well up to line 5",
        ),
        ("two-bytes.jsonl.gz", 0, "damaged in its first line: its gzip data stop in their middle"),
    ] {
        let (lines, error) = read(&file(name), Kind::Events);
        let users: Vec<_> = lines.iter().map(|(number, ended, _)| (*number, *ended)).collect();
        assert_eq!(users, (1..=whole).map(|number| (number, true)).collect::<Vec<_>>(), "{name}");
        let error = error.expect(name).to_string();
        for part in [expected, name, "`gzip -t` checks it"] {
            assert!(error.contains(part), "`{part}` is missing: {error}");
        }
    }
}

/// Cut anywhere: what comes is the beginning of what was packed, in whole lines, and the last of them is named.
#[test]
fn a_file_cut_anywhere_is_read_to_the_cut() {
    let members = [lines(1, 30), lines(31, 1), lines(32, 40)];
    let packed: Vec<Vec<u8>> = members.iter().map(|member| gzip(member.as_bytes())).collect();
    let whole = members.concat();
    let expected: Vec<_> = whole.lines().collect();
    let ends: Vec<_> = packed
        .iter()
        .scan(0, |end, member| {
            *end += member.len();
            Some(*end)
        })
        .collect();
    let packed = packed.concat();
    let mut most = 0;
    for cut in 2..packed.len() {
        let (lines, error) = read_bytes(&packed[..cut], Kind::Events);
        assert!(lines.iter().zip(&expected).all(|((_, ended, text), line)| *ended && text == line.as_bytes()), "{cut}");
        assert!(lines.len() <= expected.len());
        match error {
            None => assert!(ends.contains(&cut), "{cut}: a cut file is whole"),
            Some(error) => {
                assert!(!ends.contains(&cut), "{cut}: a whole file is damaged");
                let said = number_behind(&error.to_string(), "damaged behind line ").unwrap_or(0);
                assert_eq!(said, lines.len(), "{cut}: {error}");
                assert!(error.to_string().contains("it was cut"), "{error}");
            }
        }
        // Nothing is held back that was there before.
        assert!(lines.len() >= most, "{cut}");
        most = lines.len();
    }
    assert!(most >= 70);
}

/// Any byte changed to any other: an error, unless what is packed is the same; and up to the line that is
/// said to be well, all is.
#[test]
fn a_byte_changed_anywhere_is_found() {
    let members = [lines(1, 20), lines(21, 1), lines(22, 30)];
    let packed = members.iter().flat_map(|member| gzip(member.as_bytes())).collect::<Vec<u8>>();
    let whole = members.concat();
    let expected: Vec<_> = whole.lines().map(str::as_bytes).collect();
    let (mut found, mut latest) = (0, 0);
    // Without its first two bytes it would be no gzip.
    for at in 2..packed.len() {
        for change in [0x01, 0x80, 0xFF] {
            let mut changed = packed.clone();
            changed[at] ^= change;
            let (lines, error) = read_bytes(&changed, Kind::Events);
            let texts: Vec<_> = lines.iter().map(|(_, _, text)| &text[..]).collect();
            let Some(error) = error.map(|error| error.to_string()) else {
                assert_eq!(texts, expected, "{at}: read wrongly, and not said");
                continue;
            };
            found += 1;
            assert!(lines.iter().all(|(_, ended, _)| *ended), "{at}: a piece of a line is no line");
            let well = number_behind(&error, "ll was well up to line ").unwrap_or(0);
            assert!(well <= lines.len() && texts[..well] == expected[..well], "{at}: {error}");
            latest = latest.max(well);
        }
    }
    assert!(found > packed.len() && latest == 21, "{found} {latest}");
}

/// What was read before the damage is committed; mended, the file is gone on with.
#[test]
fn a_run_keeps_what_came_before_the_damage_and_goes_on_once_it_is_mended() {
    for workers in ["1", "3"] {
        let folder = tempfile::tempdir().expect("a folder");
        let events = folder.path().join("events.jsonl.gz");
        let run = || said(&deltamart(folder.path(), &["run", "events.jsonl.gz", "--warehouse", "w.db", "-w", workers]));
        let users = || signed_in(&folder.path().join("w.db"));
        std::fs::copy(file("cut.jsonl.gz"), &events).expect("copies");
        for _ in 0..2 {
            let (code, text) = run();
            assert!(code == Some(1) && text.contains("`events.jsonl.gz` is damaged behind line 4"), "{text}");
            assert_eq!(users(), "10,11,12,13", "{text}");
        }
        // As it was meant, and its next member.
        let mut whole = std::fs::read(file("zeros-behind.jsonl.gz")).expect("readable");
        whole.extend(gzip(b"{\"event_name\":\"sign_in\",\"timestamp\":\"2026-01-05T10:09:00Z\",\"user_id\":19}\n"));
        std::fs::write(&events, whole).expect("writes");
        let (code, text) = run();
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(users(), "10,11,12,13,14,19");
    }
}

/// The same for catalogs: the last item might be half of one, and is not taken.
#[test]
fn of_a_damaged_catalog_whole_items_are_read() {
    use deltamart::source::movies::Movies;
    use deltamart::source::{Poll, Source};
    let text = "ITEM 1\nTitle=A\nITEM 2\nTitle=B\nITEM 3\nTitle=C\nListPrice=999USD$9.99\n";
    let mut packed = gzip(text.as_bytes());
    packed.truncate(packed.len() - 1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("Movies.txt.gz");
    std::fs::write(&path, packed).expect("writes");
    let mut catalog = Movies::file("Movies.txt", &path, 0).expect("opens");
    let Ok(Poll::Records(batch)) = catalog.poll(10) else { panic!("no items") };
    assert_eq!(batch.records.iter().map(|record| record.offset).collect::<Vec<_>>(), [1, 3]);
    for _ in 0..2 {
        let error = catalog.poll(10).expect_err("it is damaged").to_string();
        assert!(error.contains("damaged behind line 7"), "{error}");
    }
}
