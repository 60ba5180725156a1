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
    if let Some(usual) = show_usual(at) {
        return usual;
    }
    match DateTime::from_timestamp_millis(at) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{at} ms"),
    }
}

/// The same of the usual years, as [`usual`] reads them: nearly all that are ever written.
fn show_usual(at: i64) -> Option<String> {
    /// The first millisecond of 2101.
    const END: i64 = 4_133_980_800_000;
    let at = u64::try_from(at).ok().filter(|at| *at < END as u64)?;
    let (days, in_day) = (at / 86_400_000, at % 86_400_000);
    // Years beginning in March, as above: four hundred of them have 146,097 days.
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year + u64::from(month > 9), if month > 9 { month - 9 } else { month + 3 });
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |end: usize, digits: usize, number: u64| {
        let places = text[end - digits..end].iter_mut().rev();
        places.fold(number, |rest, place| {
            *place = b'0' + (rest % 10) as u8;
            rest / 10
        });
    };
    put(4, 4, year);
    put(7, 2, month);
    put(10, 2, day);
    put(13, 2, in_day / 3_600_000);
    put(16, 2, in_day / 60_000 % 60);
    put(19, 2, in_day / 1000 % 60);
    put(23, 3, in_day % 1000);
    String::from_utf8(text.to_vec()).ok()
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
    fn the_usual_years_are_written_as_the_calendar_writes_them() {
        let by_calendar = |at| {
            let at = DateTime::from_timestamp_millis(at).expect("an instant");
            at.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let end = DateTime::parse_from_rfc3339("2101-01-01T00:00:00Z").expect("valid").timestamp_millis();
        assert!(show_usual(-1).is_none() && show_usual(end).is_none());
        // The first and the last millisecond of each day, and one in it.
        for midnight in (0..end).step_by(86_400_000) {
            for at in [midnight, midnight + midnight / 86_399_999 * 7_919 % 86_400_000, midnight + 86_399_999] {
                assert_eq!(show_usual(at), Some(by_calendar(at)), "{at}");
            }
        }
        for at in [-1, end, i64::MAX / 100_000] {
            assert_eq!(show(at), by_calendar(at));
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
