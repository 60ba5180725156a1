//! The one reader of whole numbers: ids, ages, ratings, milliseconds.

use super::scalar::Scalar;

/// Above this a double does not tell a whole number from its neighbours: 2^53.
const DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;
/// The same of a 32-bit float: 2^24.
const FLOAT_MAX: f32 = 16_777_216.0;

/// Why a value was not read as a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It is none.
    NotWhole,
    /// It is one, but beyond 64 bits.
    Beyond,
    /// A float that is as good as any of its neighbours.
    Imprecise,
}

/// A whole number: an integer, an integral float that holds it exactly, or its digits as text.
///
/// # Errors
/// Why it is none.
pub fn whole(value: &Scalar<'_>) -> Result<i64, NotRead> {
    match value {
        Scalar::Long(number) => Ok(*number),
        Scalar::Int(number) => Ok((*number).into()),
        Scalar::Huge(_) => Err(NotRead::Beyond),
        Scalar::Double(number) => integral(*number, DOUBLE_MAX),
        Scalar::Float(number) => integral((*number).into(), FLOAT_MAX.into()),
        Scalar::Text(text) => digits(text),
        Scalar::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| NotRead::NotWhole).and_then(digits),
        Scalar::Bool(_) | Scalar::Instant(_) | Scalar::Amount(_) | Scalar::Other(_) => Err(NotRead::NotWhole),
    }
}

fn integral(number: f64, exact_max: f64) -> Result<i64, NotRead> {
    if !number.is_finite() || number.fract() != 0.0 {
        return Err(NotRead::NotWhole);
    }
    // The bound itself is also what its upper neighbour is rounded to.
    if number.abs() >= exact_max { Err(NotRead::Imprecise) } else { Ok(number as i64) }
}

/// Digits and nothing else, so few that any of them have room in 64 bits without a sign: nearly all that is ever read.
#[inline]
pub fn plain(text: &[u8]) -> Option<i64> {
    if !(1..=19).contains(&text.len()) {
        return None;
    }
    let (words, rest) = text.as_chunks();
    let mut number = 0;
    for word in words {
        number = number * 100_000_000 + eight_digits(*word)?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    i64::try_from(number).ok()
}

/// The number of eight digits, if these are such: of pairs of digits, then of pairs of these, each at once.
#[inline(always)]
pub fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    /// In each byte of a word a one, and the highest bit of each.
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let digits = u64::from_le_bytes(bytes) ^ (ONES * b'0' as u64);
    // What is above nine comes into the highest bit with this.
    if (digits | digits.wrapping_add(ONES * 0x76)) & HIGH != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Trimmed digits, perhaps with a sign.
fn digits(text: &str) -> Result<i64, NotRead> {
    plain(text.as_bytes()).map_or_else(|| written(text), Ok)
}

fn written(text: &str) -> Result<i64, NotRead> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotRead::NotWhole);
    }
    text.parse().map_err(|_| NotRead::Beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_is_whole_however_it_is_written() {
        let text = |text: &'static str| Scalar::Text(text.into());
        for whole_one in [
            Scalar::Long(1001),
            Scalar::Int(1001),
            Scalar::Double(1001.0),
            Scalar::Float(1001.0),
            text("1001"),
            text(" +1001\n"),
            text("0001001"),
            Scalar::Bytes(b"1001"[..].into()),
        ] {
            assert_eq!(whole(&whole_one), Ok(1001), "{whole_one}");
        }
        assert_eq!(whole(&Scalar::Double(1.767_607_2e12)), Ok(1_767_607_200_000));
        assert_eq!(whole(&Scalar::Double(9_007_199_254_740_991.0)), Ok(9_007_199_254_740_991));
        assert_eq!(whole(&Scalar::Double(-0.0)), Ok(0));
        assert_eq!(whole(&text("-9223372036854775808")), Ok(i64::MIN));
    }

    #[test]
    fn plain_digits_are_read_as_any_other_writing_is() {
        let mut read = 0;
        for text in
            ["0", "7", "0076", "12345678901234567", "999999999999999999", "9223372036854775807", "9223372036854775808"]
        {
            for text in
                [text.to_owned(), format!("-{text}"), format!("{text} "), format!("{text}0"), format!("{text}:")]
            {
                read += usize::from(plain(text.as_bytes()).is_some());
                assert_eq!(digits(&text), written(&text), "{text}");
            }
        }
        assert_eq!(read, 10);
    }

    #[test]
    fn what_is_not_whole_is_not_rounded() {
        let text = |text: &'static str| Scalar::Text(text.into());
        for (other, why) in [
            (Scalar::Double(1007.5), NotRead::NotWhole),
            (Scalar::Double(f64::NAN), NotRead::NotWhole),
            (Scalar::Double(f64::INFINITY), NotRead::NotWhole),
            (Scalar::Double(9_007_199_254_740_993.0), NotRead::Imprecise),
            (Scalar::Double(1e300), NotRead::Imprecise),
            (Scalar::Float(16_777_217.0), NotRead::Imprecise),
            (Scalar::Huge(u64::MAX), NotRead::Beyond),
            (text("99999999999999999999"), NotRead::Beyond),
            (text("abc"), NotRead::NotWhole),
            (text(""), NotRead::NotWhole),
            (text("-"), NotRead::NotWhole),
            (text("1001.0"), NotRead::NotWhole),
            (text("1e3"), NotRead::NotWhole),
            (text("0x10"), NotRead::NotWhole),
            (text("1_000"), NotRead::NotWhole),
            (text("\u{ff11}"), NotRead::NotWhole),
            (Scalar::Bool(true), NotRead::NotWhole),
            (Scalar::Bytes(b"\xff"[..].into()), NotRead::NotWhole),
            (Scalar::Other("a list"), NotRead::NotWhole),
        ] {
            assert_eq!(whole(&other), Err(why), "{other}");
        }
    }
}
