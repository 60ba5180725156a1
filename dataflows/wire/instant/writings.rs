//! Every writing of ISO 8601 that is taken, and its usual neighbours; `docs/writings.md` lists them.

use chrono::{NaiveDate, Weekday};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An instant in milliseconds since 1970: a date, alone or with a time, and that alone or with an offset.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, rest) = date(text)?;
    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
    if rest.is_empty() {
        return Some(midnight);
    }
    let (time, rest) = time(rest.strip_prefix(['T', 't', ' '])?)?;
    let at = midnight + time.ms - offset(rest)?;
    // A leap second ends a day of UTC. Milliseconds since 1970 do not count it: it is the second after it.
    if time.leap && at.rem_euclid(DAY_MS) >= 1_000 {
        return None;
    }
    Some(at)
}

/// So many digits, and what follows them.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let number =
        digits.bytes().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')));
    Some((number?, rest))
}

/// How many digits a text begins with.
fn run(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// `2026-01-05`, `2026-W02-1` and `2026-005`, with or without hyphens.
fn date(text: &str) -> Option<(NaiveDate, &str)> {
    let (year, rest) = digits(text, 4)?;
    let year = year as i32;
    let (rest, hyphen) = rest.strip_prefix('-').map_or((rest, ""), |rest| (rest, "-"));
    if let Some(rest) = rest.strip_prefix('W') {
        let (week, rest) = digits(rest, 2)?;
        let (day, rest) = digits(rest.strip_prefix(hyphen)?, 1)?;
        let day = Weekday::try_from(u8::try_from(day.checked_sub(1)?).ok()?).ok()?;
        return Some((NaiveDate::from_isoywd_opt(year, week, day)?, rest));
    }
    if run(rest) == 3 {
        let (day, rest) = digits(rest, 3)?;
        return Some((NaiveDate::from_yo_opt(year, day)?, rest));
    }
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest.strip_prefix(hyphen)?, 2)?;
    Some((NaiveDate::from_ymd_opt(year, month, day)?, rest))
}

struct Time {
    ms: i64,
    leap: bool,
}

/// `10:00`, `10:00:00`, `10:00:00.250`, `10:00:00,25`, with or without colons; 24:00 ends the day.
fn time(text: &str) -> Option<(Time, &str)> {
    let (hour, rest) = digits(text, 2)?;
    let (rest, colon) = rest.strip_prefix(':').map_or((rest, ""), |rest| (rest, ":"));
    let (minute, mut rest) = digits(rest, 2)?;
    let (mut second, mut millis, mut exact) = (0, 0, true);
    if let Some((number, behind)) = rest.strip_prefix(colon).and_then(|rest| digits(rest, 2)) {
        (second, rest) = (number, behind);
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            let (decimals, behind) = fraction.split_at(run(fraction));
            if decimals.is_empty() {
                return None;
            }
            // What is finer is cut off.
            let digit = |place: usize| decimals.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0'));
            millis = digit(0) * 100 + digit(1) * 10 + digit(2);
            exact = decimals.bytes().all(|digit| digit == b'0');
            rest = behind;
        }
    }
    let ends_the_day = hour == 24 && minute == 0 && second == 0 && exact;
    if (hour > 23 && !ends_the_day) || minute > 59 || second > 60 {
        return None;
    }
    let ms = i64::from(hour) * HOUR_MS + i64::from(minute) * MINUTE_MS + i64::from(second) * 1_000 + millis;
    Some((Time { ms, leap: second == 60 }, rest))
}

/// `Z`, ` UTC`, `+04`, `+0400`, `+04:00`, and behind it `[Asia/Tbilisi]`, which changes nothing: the offset counts.
/// None is UTC. In milliseconds, east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (offset, mut rest) = match text.strip_prefix(['Z', 'z']).or_else(|| text.strip_prefix("UTC")) {
        Some(rest) => (0, rest),
        None => {
            let (sign, rest) = match text.strip_prefix('+') {
                Some(rest) => (1, rest),
                // In addition to the hyphen of keyboards, the minus sign that ISO 8601 means.
                None => (-1, text.strip_prefix(['-', '\u{2212}'])?),
            };
            let (hours, rest) = digits(rest, 2)?;
            let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2).or_else(|| {
                let nothing = rest.is_empty() || rest.starts_with('[');
                nothing.then_some((0, rest))
            })?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (sign * (i64::from(hours) * HOUR_MS + i64::from(minutes) * MINUTE_MS), rest)
        }
    };
    while let Some(zone) = rest.strip_prefix('[') {
        let (zone, behind) = zone.split_once(']')?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-+:=!.~".contains(&byte);
        if zone.is_empty() || !zone.bytes().all(known) {
            return None;
        }
        rest = behind;
    }
    rest.is_empty().then_some(offset)
}
