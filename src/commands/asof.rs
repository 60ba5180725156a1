//! As of when a catalog is that nobody dated. Never the file's own time: that changes with every copy, and
//! with it prices would.

use crate::config::Config;
use crate::decode::decode;
use crate::instant;
use crate::source::Format;
use crate::source::lines::{Kind, Lines};
use crate::validate::Rules;
use anyhow::Result;
use dataflows::Instant;
use memchr::{memchr, memchr2, memmem};
use std::path::PathBuf;

/// As given; else just before the first event of the files; else now.
pub(super) fn as_of(config: &Config, given: Option<Instant>, files: &[PathBuf]) -> Result<Instant> {
    match given {
        Some(as_of) => Ok(as_of),
        None => Ok(first_event(&config.rules, files)?.map_or_else(instant::now, |first| first - 1)),
    }
}

/// The time of the earliest event of these files that will be accepted.
pub(super) fn first_event(rules: &Rules, files: &[PathBuf]) -> Result<Option<Instant>> {
    let (key, clock_ms, format) = (memmem::Finder::new(KEY), instant::now(), Format::Json(None));
    let (mut first, mut line) = (None, Vec::new());
    for file in files {
        let mut lines = Lines::open(file, Kind::Events)?;
        // What is damaged is said by whoever reads it.
        while let Ok(Some(_)) = lines.read(&mut line) {
            // Only a line that may be the earliest so far is worth a whole reading.
            if may_be_before(first, &line, &key, rules) {
                first = first.into_iter().chain(accepted_at(&line, &format, rules, clock_ms)).min();
            }
            line.clear();
        }
    }
    Ok(first)
}

/// The time of the event that a line holds, if it will be accepted.
fn accepted_at(line: &[u8], format: &Format, rules: &Rules, clock_ms: Instant) -> Option<Instant> {
    decode(format, line, rules, clock_ms).ok().map(|accepted| accepted.event.timestamp())
}

/// What an event's time stands behind.
const KEY: &[u8] = br#""timestamp""#;

/// Whether a line, read as a whole, might be an event before `first`.
fn may_be_before(first: Option<Instant>, line: &[u8], key: &memmem::Finder<'_>, rules: &Rules) -> bool {
    quick(line, key).is_none_or(|at| at >= rules.min_event_time && first.is_none_or(|first| at < first))
}

/// The time that an object on one line says it is of, read without the rest of it: where the key stands once, in its
/// plain spelling, and nothing in the line could mean that it is another one's.
fn quick(line: &[u8], key: &memmem::Finder<'_>) -> Option<Instant> {
    // Within nested objects the key is not ours, and behind a backslash it may be anything.
    let inside = line.strip_prefix(b"{").filter(|inside| memchr2(b'{', b'\\', inside).is_none())?;
    let after = key.find(inside)? + KEY.len();
    let rest = &inside[after..];
    if key.find(rest).is_some() {
        return None;
    }
    let text = rest.strip_prefix(b":\"")?;
    let text = std::str::from_utf8(&text[..memchr(b'"', text)?]).ok()?;
    instant::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const MINUTE_MS: i64 = 60_000;
    const START: i64 = 1_767_571_200_000;

    /// A line with an event at a minute, written in one of many ways, some of which are none.
    fn line(kind: u32, minute: i64) -> String {
        let at = instant::show(START + minute * MINUTE_MS);
        let (other, offset) = (instant::show(START - minute * MINUTE_MS), at.replace('Z', "+01:00"));
        let millis = START + minute * MINUTE_MS;
        match kind {
            0..=5 => format!(r#"{{"event_name":"sign_in","timestamp":"{at}","user_id":7}}"#),
            6 => format!(r#"{{"timestamp":"{at}","event_name":"sign_in","user_id":7}}"#),
            7 => format!(r#"{{"event_name":"sign_in","timestamp" : "{at}","user_id":7}}"#),
            8 => format!(r#"{{"event_name":"sign_in","timestamp":{millis},"user_id":7}}"#),
            9 => format!(r#"{{"event_name":"sign_in","timestamp":"{offset}","user_id":7}}"#),
            10 => {
                format!(r#"{{"event_name":"sign_in","meta":{{"timestamp":"{other}"}},"timestamp":"{at}","user_id":7}}"#)
            }
            11 => format!(r#"{{"event_name":"sign_in","meta":{{"timestamp":"{other}"}},"user_id":7}}"#),
            12 => format!(r#"{{"event_name":"sign_in","timest\u0061mp":"{at}","user_id":7}}"#),
            13 => format!(r#"{{"event_name":"sign_in","x\"timestamp":"{other}","timestamp":"{at}","user_id":7}}"#),
            14 => format!(r#"{{"event_name":"sign_in","timestamp":"{other}","timestamp":"{at}","user_id":7}}"#),
            15 => format!(r#"{{"event_name":"sign_in","note":"timestamp","timestamp":"{at}","user_id":7}}"#),
            16 => format!(
                r#"{{"event_name":"sign_in","note":"\"timestamp\":\"{other}\"","timestamp":"{at}","user_id":7}}"#
            ),
            17 => format!(r#"{{"event_name":"sign_in","timestamp":"{other}","us"#),
            18 => format!(r#"{{"event_name":"sign_in","timestamp":"{other}","user_id":0}}"#),
            19 => format!(r#"{{"event_name":"dance","timestamp":"{other}","user_id":7}}"#),
            20 => r#"{"event_name":"sign_in","timestamp":"1999-01-01T00:00:00Z","user_id":7}"#.to_owned(),
            21 => r#"{"event_name":"sign_in","timestamp":"2999-01-01T00:00:00Z","user_id":7}"#.to_owned(),
            22 => r#"{"event_name":"sign_in","timestamp":"yesterday","user_id":7}"#.to_owned(),
            23 => format!(r#"  {{"event_name":"sign_in","timestamp":" {at} ","user_id":7}}"#),
            24 => format!(r#"["timestamp":"{other}"]"#),
            _ => "nonsense".to_owned(),
        }
    }

    proptest! {
        /// What is passed over quickly is what a whole reading of every line would not have found.
        #[test]
        fn the_first_event_is_that_of_a_whole_reading(
            lines in prop::collection::vec((0_u32..26, 0_i64..5_000), 0..40),
            ascending in any::<bool>(),
        ) {
            let mut lines = lines;
            if ascending {
                lines.sort_by_key(|(_, minute)| *minute);
            }
            let lines: Vec<String> = lines.into_iter().map(|(kind, minute)| line(kind, minute)).collect();
            let (rules, clock_ms) = (Rules::default(), instant::now());
            let json = Format::Json(None);
            let slow = lines.iter().filter_map(|line| accepted_at(line.as_bytes(), &json, &rules, clock_ms)).min();
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            lines.iter().for_each(|line| writeln!(file, "{line}").expect("written"));
            let found = first_event(&rules, &[file.path().to_owned()]).expect("readable");
            prop_assert_eq!(found, slow, "{:#?}", lines);
        }
    }

    /// The quick reading is what is used: of a usual line it tells the time, of others nothing.
    #[test]
    fn usual_lines_are_read_quickly_and_doubtful_ones_whole() {
        let key = memmem::Finder::new(KEY);
        for kind in [0, 6, 9, 17, 18, 19] {
            assert!(quick(line(kind, 3).as_bytes(), &key).is_some(), "{}", line(kind, 3));
        }
        for kind in [7, 8, 10, 11, 12, 13, 14, 15, 16, 22, 24, 25] {
            assert_eq!(quick(line(kind, 3).as_bytes(), &key), None, "{}", line(kind, 3));
        }
    }
}
