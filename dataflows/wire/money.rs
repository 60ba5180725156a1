//! The one reader of money, in US dollars: what an event says was paid, and what a catalog says is asked.

use super::number::plain;
use super::scalar::Scalar;

/// Money goes no further than this many cents, a billion dollars: a double holds them exactly, and the
/// sums of very many of them.
pub const CENTS_MAX: i64 = 100_000_000_000;

/// What is said where a value is not money.
pub const EXPECTED: &str = "expected US dollars in whole cents, at least 0, such as 12.50";

/// From here on the neighbours of a 32-bit float lie more than a cent apart.
const FLOAT_MAX: f32 = 131_072.0;

/// An amount in cents, which may be less than nothing.
///
/// # Errors
/// What was expected, and why it may not be.
pub fn cents(value: &Scalar<'_>) -> Result<i64, String> {
    let read = match value {
        Scalar::Long(dollars) => dollars.checked_mul(100),
        Scalar::Int(dollars) => i64::from(*dollars).checked_mul(100),
        Scalar::Double(dollars) => of_double(*dollars),
        // The shortest decimal that is this float and no other: 129.99, not 129.99000549316406.
        Scalar::Float(dollars) => of_text(&dollars.to_string()),
        Scalar::Text(text) => of_text(text),
        Scalar::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then(of_text),
        Scalar::Amount(of) => {
            let is_dollars = of.currency.borrowed().is_some_and(|text| text.trim().eq_ignore_ascii_case("USD"));
            if !is_dollars {
                return Err(format!("{EXPECTED}, and no other currency"));
            }
            return cents(&of.amount);
        }
        Scalar::Huge(_) | Scalar::Bool(_) | Scalar::Instant(_) | Scalar::Other(_) => None,
    };
    read.filter(|cents| cents.abs() <= CENTS_MAX).ok_or_else(|| match value.borrowed() {
        Some(text) if is_base64(text) => {
            format!(
                "it looks like base64, as Kafka Connect writes decimals (`decimal.format=NUMERIC` does not); {EXPECTED}"
            )
        }
        _ => EXPECTED.to_owned(),
    })
}

fn of_double(dollars: f64) -> Option<i64> {
    let cents = (dollars * 100.0).round();
    if !dollars.is_finite() || cents.abs() > CENTS_MAX as f64 {
        return None;
    }
    // What doubles make of sums of cents, 0.30000000000000004, lies closer to them than this.
    if (dollars - cents / 100.0).abs() <= f64::max(1e-9, dollars.abs() * 1e-15) {
        return Some(cents as i64);
    }
    of_widened(dollars)
}

/// A double that was a 32-bit float, as it is or written down with some of its digits: the amount that the float
/// stands for. Of digits there have to be five decimals, for three or four may be somebody's own.
fn of_widened(dollars: f64) -> Option<i64> {
    let float = dollars as f32;
    let decimals = dollars.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // A little more than half of the last digit: a double of what lies just between is not quite there.
    let rounded_away = 0.501 * 10f64.powi(-i32::try_from(decimals).ok()?);
    let is_it = f64::from(float) == dollars || (decimals >= 5 && (f64::from(float) - dollars).abs() <= rounded_away);
    if float.abs() >= FLOAT_MAX || !is_it {
        return None;
    }
    let cents = in_cents(&float.abs().to_string())?;
    Some(if float < 0.0 { -cents } else { cents })
}

/// `12.50`, `12,50`, `1,299.99`, `1.299,99`; with `$` or `USD` before it or behind it.
fn of_text(text: &str) -> Option<i64> {
    usual(text.as_bytes()).or_else(|| written(text))
}

/// An amount as it is usually written, if it is, and not too large.
#[inline]
pub fn usual_cents(text: &[u8]) -> Option<i64> {
    usual(text).filter(|cents| cents.abs() <= CENTS_MAX)
}

/// `12.50`, `12.5` and `12`, perhaps with a minus: nearly all that is ever read.
#[inline]
fn usual(text: &[u8]) -> Option<i64> {
    let (sign, text) = text.strip_prefix(b"-").map_or((1, text), |rest| (-1, rest));
    let (dollars, cents) = match text {
        [dollars @ .., b'.', tens, ones] => (dollars, plain(&[*tens, *ones])?),
        [dollars @ .., b'.', tens] => (dollars, plain(&[*tens, b'0'])?),
        dollars => (dollars, 0),
    };
    Some(sign * plain(dollars)?.checked_mul(100)?.checked_add(cents)?)
}

fn written(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, text) = signed(text);
    let text = ["US$", "$", "USD"].into_iter().find_map(|unit| text.strip_prefix(unit)).unwrap_or(text).trim_start();
    let text = ["USD", "$"].into_iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(text).trim_end();
    let (dollars, decimals) = match (text.rfind(','), text.rfind('.')) {
        (None, _) => return unsigned(text).map(|cents| sign * cents),
        // One or two digits behind a comma are no group of three: it is the point of half the world.
        (Some(comma), point) if point < Some(comma) && (comma + 2..=comma + 3).contains(&text.len()) => {
            (grouped(&text[..comma], '.')?, &text[comma + 1..])
        }
        (Some(_), Some(point)) => (grouped(&text[..point], ',')?, &text[point + 1..]),
        (Some(_), None) => (grouped(text, ',')?, ""),
    };
    Some(sign * in_cents(&format!("{dollars}.{decimals}"))?)
}

fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Whole dollars in groups of three, or ungrouped, as digits alone.
fn grouped(text: &str, by: char) -> Option<String> {
    let (first, rest) = text.split_once(by).map_or((text, None), |(first, rest)| (first, Some(rest)));
    let is_group = |group: &str| group.len() == 3 && is_digits(group);
    let well = rest.is_none_or(|rest| first.len() <= 3 && rest.split(by).all(is_group));
    (well && !first.is_empty() && is_digits(first)).then(|| text.replace(by, ""))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits with a point at the most; with more decimals than two, or an exponent, as the double that they are.
fn unsigned(text: &str) -> Option<i64> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    in_cents(text).or_else(|| of_double(text.parse().ok()?))
}

/// Digits with a point and two decimals at the most, but for zeros.
fn in_cents(text: &str) -> Option<i64> {
    let (dollars, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !is_digits(dollars) || !is_digits(decimals) || (dollars.is_empty() && decimals.is_empty()) {
        return None;
    }
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > 2 {
        return None;
    }
    let dollars: i64 = if dollars.is_empty() { 0 } else { dollars.parse().ok()? };
    dollars.checked_mul(100)?.checked_add(format!("{decimals:0<2}").parse().ok()?)
}

fn is_base64(text: &str) -> bool {
    let (text, end) = (text.trim_end_matches('='), text.len());
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    (1..=2).contains(&(end - text.len())) && end.is_multiple_of(4) && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<i64> {
        cents(&Scalar::Text(text.to_owned().into())).ok()
    }

    #[test]
    fn text_is_read_as_people_write_money() {
        for (written, read) in [
            ("12.50", 1_250),
            ("12.5", 1_250),
            ("12", 1_200),
            ("12.", 1_200),
            (".50", 50),
            ("12.500", 1_250),
            ("12,50", 1_250),
            ("12,5", 1_250),
            ("1299,50", 129_950),
            ("1,299", 129_900),
            ("1,299.99", 129_999),
            ("1.299,99", 129_999),
            ("1,234,567.89", 123_456_789),
            ("12,500", 1_250_000),
            ("$12.50", 1_250),
            ("US$ 12.50", 1_250),
            ("USD 12.50", 1_250),
            (" 12.50 USD ", 1_250),
            ("12,50 $", 1_250),
            ("-5", -500),
            ("1E+1", 1_000),
            ("0.30000000000000004", 30),
            ("129.99000549316406", 12_999),
            ("1000000000", CENTS_MAX),
        ] {
            assert_eq!(text(written), Some(read), "{written}");
        }
        for written in [
            "",
            " ",
            "$",
            "NaN",
            "inf",
            "-inf",
            "free",
            "12.505",
            "9.995",
            "1.299",
            "12,5000",
            "1,29.99",
            ",50",
            "1,299,50",
            "1.299.99",
            "12.50 EUR",
            "€12.50",
            "12..5",
            ".",
            "1e400",
            "1000000000.01",
            "--5",
            "$-5",
            "\u{ff11}",
            "0x10",
            "-",
            "+-5",
            "99999999999999999999",
        ] {
            assert_eq!(text(written), None, "{written}");
        }
    }

    #[test]
    fn the_usual_writings_are_read_as_any_other_is() {
        let mut read = 0;
        for dollars in [
            "",
            "0",
            "007",
            "12",
            "92233720368547758",
            "92233720368547759",
            "123456789012345678",
            "9999999999999999999",
        ] {
            for cents in ["", ".", ".5", ".05", ".50", ".505", ".5 ", ".x", ",5", ",50"] {
                for sign in ["", "-", "+", "--", "$", "-$"] {
                    let text = format!("{sign}{dollars}{cents}");
                    if let Some(usual) = usual(text.as_bytes()) {
                        read += 1;
                        assert_eq!(written(&text), Some(usual), "{text}");
                    }
                }
            }
        }
        assert_eq!(read, 28);
    }

    #[test]
    fn a_double_is_money_if_it_was_made_of_it() {
        let double = |dollars: f64| cents(&Scalar::Double(dollars)).ok();
        for (dollars, read) in [
            (12.5, 1_250),
            (0.1 + 0.2, 30),
            (129.990_005_493_164_06, 12_999),
            (-129.990_005_493_164_06, -12_999),
            (129.990_005_493_2, 12_999),
            (129.990_005, 12_999),
            (999_999_999.99, 99_999_999_999),
            (-0.0, 0),
        ] {
            assert_eq!(double(dollars), Some(read), "{dollars}");
        }
        // Not of cents, however near, and none of them a float's digits.
        for dollars in
            [9.995, 0.001, 129.990_000_1, 123_456.789, 16_777.221, 1_234_567.875, f64::NAN, f64::INFINITY, 1e300]
        {
            assert_eq!(double(dollars), None, "{dollars}");
        }
    }

    #[test]
    fn other_values_say_what_was_expected() {
        let dollars = |currency: &'static str| {
            let (amount, currency) = (Scalar::Double(12.5), Scalar::Text(currency.into()));
            Scalar::Amount(Box::new(super::super::scalar::Amount { amount, currency }))
        };
        assert_eq!(cents(&dollars("USD")), Ok(1_250));
        assert!(cents(&dollars("EUR")).expect_err("euros").contains("no other currency"));
        assert!(cents(&Scalar::Text("ITQ=".into())).expect_err("base64").contains("decimal.format=NUMERIC"));
        assert_eq!(cents(&Scalar::Float(129.99)), Ok(12_999));
        assert_eq!(cents(&Scalar::Float(9.995)), Err(EXPECTED.to_owned()));
        assert_eq!(cents(&Scalar::Long(i64::MAX)), Err(EXPECTED.to_owned()));
        assert_eq!(cents(&Scalar::Bool(true)), Err(EXPECTED.to_owned()));
    }
}
