//! The one reader of instants: text in ISO 8601, or milliseconds since 1970.

use super::instant::{self, EXPECTED};
use super::number::{NotRead, whole};
use super::scalar::Scalar;

/// 12 digits, which begin in March 1973, to 14, which end in 5138: milliseconds, and nothing else in use.
const MILLIS: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

/// An instant in milliseconds since 1970.
///
/// # Errors
/// What it looks like, and what was expected.
pub fn instant(value: &Scalar<'_>) -> Result<i64, String> {
    match value {
        Scalar::Instant(at) => Ok(*at),
        Scalar::Text(text) => of_text(text),
        Scalar::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| EXPECTED.to_owned()).and_then(of_text),
        Scalar::Long(_)
        | Scalar::Int(_)
        | Scalar::Huge(_)
        | Scalar::Float(_)
        | Scalar::Double(_)
        | Scalar::Bool(_)
        | Scalar::Amount(_)
        | Scalar::Other(_) => match whole(value) {
            Ok(number) => millis(number),
            Err(NotRead::NotWhole) => {
                Err(if let Scalar::Double(number) = value { of_fraction(*number) } else { EXPECTED.to_owned() })
            }
            Err(NotRead::Beyond | NotRead::Imprecise) => Err(EXPECTED.to_owned()),
        },
    }
}

fn of_text(text: &str) -> Result<i64, String> {
    if let Some(at) = instant::parse(text) {
        return Ok(at);
    }
    match whole(&Scalar::Text(text.into())) {
        Ok(number) => millis(number),
        Err(_) => match text.trim().parse::<f64>() {
            Ok(number) if text.contains('.') => Err(of_fraction(number)),
            _ => Err(EXPECTED.to_owned()),
        },
    }
}

/// The number of another unit would be another time: by their digits they are told apart.
fn millis(number: i64) -> Result<i64, String> {
    if MILLIS.contains(&number) {
        return Ok(number);
    }
    let unit = match number.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1) {
        _ if number < 0 => None,
        9 | 10 => Some("seconds"),
        15 | 16 => Some("microseconds"),
        18 | 19 => Some("nanoseconds"),
        _ => None,
    };
    Err(match unit {
        Some(unit) => format!("it looks like {unit}; {EXPECTED} (12 to 14 digits)"),
        None => format!("{EXPECTED} (12 to 14 digits)"),
    })
}

/// Numbers with a fraction are seconds, if anything.
fn of_fraction(number: f64) -> String {
    match millis(number as i64) {
        Ok(_) => "it has a fraction of a millisecond; expected whole milliseconds since 1970".to_owned(),
        Err(why) => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart_by_their_digits() {
        let at = 1_767_607_200_000;
        let text = |text: &str| instant(&Scalar::Text(text.to_owned().into()));
        assert_eq!(instant(&Scalar::Long(at)), Ok(at));
        assert_eq!(instant(&Scalar::Double(at as f64)), Ok(at));
        assert_eq!(text(" 1767607200000 "), Ok(at));
        assert_eq!(text("20260105"), Ok(1_767_571_200_000), "a basic date");
        assert_eq!(instant(&Scalar::Instant(-1)), Ok(-1));
        for (value, looks_like) in [
            (Scalar::Long(1_767_607_200), "looks like seconds"),
            (Scalar::Long(946_684_799), "looks like seconds"),
            (Scalar::Double(1_767_607_200.123), "looks like seconds"),
            (Scalar::Text("1767607200.123".into()), "looks like seconds"),
            (Scalar::Text("1767607200".into()), "looks like seconds"),
            (Scalar::Long(1_767_607_200_000_000), "looks like microseconds"),
            (Scalar::Double(1_767_607_200_000_000.0), "looks like microseconds"),
            (Scalar::Long(1_767_607_200_000_000_000), "looks like nanoseconds"),
            (Scalar::Double(1_767_607_200_000.5), "fraction of a millisecond"),
            (Scalar::Long(0), "12 to 14 digits"),
            (Scalar::Long(20_260_105), "12 to 14 digits"),
            (Scalar::Long(-1_767_607_200_000), "12 to 14 digits"),
            (Scalar::Long(99_999_999_999), "12 to 14 digits"),
            (Scalar::Huge(u64::MAX), "ISO 8601"),
            (Scalar::Float(1.767_607_2e12), "ISO 8601"),
            (Scalar::Bool(true), "ISO 8601"),
            (Scalar::Text("soon".into()), "ISO 8601"),
        ] {
            let why = instant(&value).expect_err("no instant");
            assert!(why.contains(looks_like), "{value}: {why}");
        }
    }
}
