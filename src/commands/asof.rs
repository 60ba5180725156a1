//! As of when a catalog is that nobody dated. Never the file's own time: that changes with every copy, and
//! with it prices would.

use crate::accept::accept;
use crate::config::Config;
use crate::decode::Format;
use crate::instant;
use crate::rules::Rules;
use crate::source::lines::{Extent, Lines};
use crate::source::sniff::Kind;
use anyhow::Result;
use dataflows::Instant;
use dataflows::wire::TIMESTAMP;
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
    let (mut glance, clock_ms, format) = (Glance::new(rules.time.min_event_time), instant::now(), Format::Json(None));
    let mut events = rules.shop.naming.vocabulary().spoken();
    // A line that has its time elsewhere may have another one here.
    let is_plain = events.all(|event| event.called(TIMESTAMP) == TIMESTAMP);
    let (mut first, mut line) = (None, Vec::new());
    for file in files {
        let mut lines = Lines::open(file, Kind::Events)?;
        if lines.separator().is_some() {
            // No event of the shop, whose the catalog is.
            continue;
        }
        // What is damaged is reported by the code that reads it.
        while let Ok(Some(read)) = lines.read(&mut line) {
            // Only a line that may be the earliest so far is worth a whole reading.
            if read.extent == Extent::Whole && (!is_plain || glance.may_be_before(first, &line)) {
                first = first.into_iter().chain(accepted_at(&line, &format, rules, clock_ms)).min();
            }
            line.clear();
        }
    }
    Ok(first)
}

/// The time of the event that a line holds, if it will be accepted.
fn accepted_at(line: &[u8], format: &Format, rules: &Rules, clock_ms: Instant) -> Option<Instant> {
    accept(format, line, rules, clock_ms).ok().map(|accepted| accepted.event.timestamp())
}

/// What an event's time stands behind.
const KEY: &[u8] = br#""timestamp""#;

const HOUR_MS: i64 = 3_600_000;

/// A look at lines that does not read them as a whole.
struct Glance {
    key: memmem::Finder<'static>,
    min_event_time: Instant,
    /// `2026-01-05T10:`, the last hour that was seen to be no earlier than the first event: most lines are of the
    /// hour of the line before.
    hour: Option<[u8; 14]>,
}

impl Glance {
    fn new(min_event_time: Instant) -> Glance {
        Glance { key: memmem::Finder::new(KEY), min_event_time, hour: None }
    }

    /// Whether a line, read as a whole, might be an event before `first`.
    fn may_be_before(&mut self, first: Option<Instant>, line: &[u8]) -> bool {
        let Some(text) = time_of(line, &self.key) else { return true };
        let is_usual = matches!(text.len(), 20 | 24) && text[10] == b'T' && text[13] == b':' && text.ends_with(b"Z");
        if is_usual && self.hour.as_ref().is_some_and(|hour| text.starts_with(hour)) {
            return false;
        }
        let Some(at) = std::str::from_utf8(text).ok().and_then(instant::parse) else { return true };
        match first {
            _ if at < self.min_event_time => false,
            Some(first) if at >= first => {
                if is_usual && at - at.rem_euclid(HOUR_MS) >= first {
                    self.hour = text.first_chunk().copied();
                }
                false
            }
            _ => true,
        }
    }
}

/// The text of the time that an object on one line says it is of, found without reading the rest: where the key stands
/// once, in its plain spelling, and nothing in the line could mean that it is another one's.
fn time_of<'a>(line: &'a [u8], key: &memmem::Finder<'_>) -> Option<&'a [u8]> {
    // Within nested objects the key is not ours, and behind a backslash it may be anything.
    let inside = line.strip_prefix(b"{").filter(|inside| memchr2(b'{', b'\\', inside).is_none())?;
    let after = key.find(inside)? + KEY.len();
    let rest = &inside[after..];
    if key.find(rest).is_some() {
        return None;
    }
    let text = rest.strip_prefix(b":\"")?;
    Some(&text[..memchr(b'"', text)?])
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
            within in prop::sample::select(vec![3_i64, 200, 5_000]),
            ascending in any::<bool>(),
        ) {
            let mut lines: Vec<_> = lines.into_iter().map(|(kind, minute)| (kind, minute % within)).collect();
            if ascending {
                lines.sort_by_key(|(_, minute)| *minute);
            }
            // The first line says what kind of file it is.
            let lines = lines.into_iter().map(|(kind, minute)| line(kind, minute));
            let lines: Vec<String> = std::iter::once("{}".to_owned()).chain(lines).collect();
            let (rules, clock_ms) = (Rules::default(), instant::now());
            let json = Format::Json(None);
            let slow = lines.iter().filter_map(|line| accepted_at(line.as_bytes(), &json, &rules, clock_ms)).min();
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            lines.iter().for_each(|line| writeln!(file, "{line}").expect("written"));
            let found = first_event(&rules, &[file.path().to_owned()]).expect("readable");
            prop_assert_eq!(found, slow, "{:#?}", lines);
        }
    }

    /// Of a usual line a glance is enough; a doubtful one is read as a whole.
    #[test]
    fn usual_lines_need_a_glance_and_doubtful_ones_a_reading() {
        let read = |kind: u32| Glance::new(0).may_be_before(Some(START - 10_000 * MINUTE_MS), line(kind, 3).as_bytes());
        for kind in [0, 6, 9, 17, 18, 19] {
            assert!(!read(kind), "{}", line(kind, 3));
        }
        for kind in [7, 8, 10, 11, 12, 13, 14, 15, 16, 22, 23, 24, 25] {
            assert!(read(kind), "{}", line(kind, 3));
        }
        let mut glance = Glance::new(0);
        for (minute, before) in [(60, false), (119, false), (30, false), (29, true), (61, false)] {
            let first = Some(START + 30 * MINUTE_MS);
            assert_eq!(glance.may_be_before(first, line(0, minute).as_bytes()), before, "{minute}");
        }
        assert_eq!(glance.hour.as_ref().map(|hour| &hour[..]), Some(&b"2026-01-05T01:"[..]));
    }
}
