//! Instants as people write them: ISO 8601.

use chrono::{DateTime, SecondsFormat};

mod writings;

/// What is said where a text is not an instant.
pub const EXPECTED: &str = "expected ISO 8601 such as 2026-01-05T10:00:00Z, or milliseconds since 1970";

/// Reads an instant in milliseconds since 1970. No offset means UTC, a date alone its midnight;
/// what is finer than a millisecond is cut off. Other writings than these are none: `docs/writings.md`.
pub fn parse(text: &str) -> Option<i64> {
    usual(text.as_bytes()).or_else(|| {
        let text = text.trim();
        usual(text.as_bytes()).or_else(|| writings::parse(text))
    })
}

/// The usual writings, `2026-01-05T10:00:00Z` and `2026-01-05T10:00:00.000Z`, and those of tables, `2026-01-05 10:00:00 UTC`
/// and without its end, of the usual years: nearly all that is ever read. Anything else is nobody's loss here.
#[inline]
pub fn usual(text: &[u8]) -> Option<i64> {
    let (text, end): (&[u8; 19], _) = text.split_first_chunk()?;
    // Of all digits the largest is looked at, once: what is none is larger than nine.
    let mut largest = 0;
    let mut digit = |byte: u8| {
        let digit = byte.wrapping_sub(b'0');
        largest = largest.max(digit);
        i64::from(digit)
    };
    let millis = match end {
        b"" | b"Z" | b" UTC" => 0,
        [b'.', hundreds, tens, ones, b'Z'] => digit(*hundreds) * 100 + digit(*tens) * 10 + digit(*ones),
        _ => return None,
    };
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', _, _, b':', _, _, b':', _, _] = text else { return None };
    let mut two = |at: usize| digit(text[at]) * 10 + digit(text[at + 1]);
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    // Days that not every month has, and leap seconds, are left to the calendar.
    if largest > 9 || !(1970..=2100).contains(&year) || !(1..=12).contains(&month) || !(1..=28).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970-01-01, years beginning in March so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

/// Writes an instant: `2026-01-05T10:00:00.000Z`.
pub fn show(at: i64) -> String {
    match DateTime::from_timestamp_millis(at) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{at} ms"),
    }
}

/// Writes a duration in milliseconds: `48h`, in whole units.
pub fn span(ms: i64) -> String {
    humantime::format_duration(core::time::Duration::from_millis(ms.unsigned_abs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_writings_are_read_as_the_calendar_reads_them() {
        let mut read = 0;
        for hours in (0..135 * 366 * 24).step_by(17) {
            let at = hours * 3_600_000 + hours % 3_599_999;
            let text = show(at);
            assert_eq!(DateTime::parse_from_rfc3339(&text).expect("valid").timestamp_millis(), at);
            read += usize::from(usual(text.as_bytes()).inspect(|read| assert_eq!(*read, at, "{text}")).is_some());
            if at % 1000 == 0 {
                assert_eq!(parse(&text.replace(".000", "")), Some(at));
                for end in ["", "Z", " UTC", "UTC", ".5", "+00:00", ".000", " UTC ", "."] {
                    for between in ["T", " ", "t", "_"] {
                        let text = text.replace(".000Z", end).replace('T', between);
                        let usual = usual(text.as_bytes());
                        assert!(usual.is_none() || usual == writings::parse(&text), "{text}");
                        assert_eq!(parse(&text), writings::parse(text.trim()), "{text}");
                    }
                }
            }
        }
        assert!(read > 50_000, "{read}");
        for none in ["2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-05T24:00:01Z", "2026-01-05T10:60:00Z"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn instants_are_read_in_all_their_writings() {
        for (text, shown) in [
            ("2026-01-05T10:10:00Z", "2026-01-05T10:10:00.000Z"),
            ("2026-01-05T10:10:00.1239Z", "2026-01-05T10:10:00.123Z"),
            ("2026-01-05T10:10:00+04:00", "2026-01-05T06:10:00.000Z"),
            ("2026-01-05T10:10:00", "2026-01-05T10:10:00.000Z"),
            ("2026-01-05T10:10:00.5", "2026-01-05T10:10:00.500Z"),
            ("2026-01-05 10:10:00", "2026-01-05T10:10:00.000Z"),
            ("2026-01-05T10:10", "2026-01-05T10:10:00.000Z"),
            ("2026-01-05", "2026-01-05T00:00:00.000Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(parse(text).map(show).as_deref(), Some(shown), "{text}");
        }
        for text in ["", "yesterday", "2026-13-05T10:10:00Z", "10:10", "2026-01-05T25:00:00Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
