//! Texts that are written millions of times.

use chrono::DateTime;
use dataflows::time::DAY_MS;

/// Writes instants; the date of the last one is remembered.
#[derive(Default)]
pub(super) struct Times {
    day: i64,
    date: String,
}

impl Times {
    fn date(&mut self, at: i64) -> &str {
        let day = at.div_euclid(DAY_MS);
        if self.date.is_empty() || self.day != day {
            self.day = day;
            let date = DateTime::from_timestamp_millis(at).map(|at| at.format("%Y-%m-%d").to_string());
            self.date = date.unwrap_or_default();
        }
        &self.date
    }

    /// `2019-10-01T00:00:00.000Z`
    pub(super) fn iso(&mut self, at: i64, line: &mut Vec<u8>) {
        line.extend_from_slice(self.date(at).as_bytes());
        line.push(b'T');
        clock(at, line);
        line.push(b'.');
        digits(at.rem_euclid(1_000) as u64, 3, line);
        line.push(b'Z');
    }

    /// `2019-10-01 00:00:00 UTC`
    pub(super) fn utc(&mut self, at: i64, line: &mut Vec<u8>) {
        line.extend_from_slice(self.date(at).as_bytes());
        line.push(b' ');
        clock(at, line);
        line.extend_from_slice(b" UTC");
    }
}

/// The time of a day, `00:00:00`.
fn clock(at: i64, line: &mut Vec<u8>) {
    let seconds = at.rem_euclid(DAY_MS) as u64 / 1_000;
    digits(seconds / 3_600, 2, line);
    line.push(b':');
    digits(seconds / 60 % 60, 2, line);
    line.push(b':');
    digits(seconds % 60, 2, line);
}

/// The last digits of a number, with zeros before it.
fn digits(mut number: u64, places: usize, line: &mut Vec<u8>) {
    let mut all = [b'0'; 20];
    for digit in all.iter_mut().take(places).rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    line.extend(all.iter().take(places));
}

/// A whole number.
pub(super) fn number(number: i64, line: &mut Vec<u8>) {
    if number < 0 {
        line.push(b'-');
    }
    let unsigned = number.unsigned_abs();
    digits(unsigned, unsigned.checked_ilog10().map_or(1, |last| last as usize + 1), line);
}

/// A number of so many decimals, in units of the last one.
pub(super) fn decimal(in_units: i64, decimals: u32, line: &mut Vec<u8>) {
    let unit = 10_i64.pow(decimals);
    if in_units < 0 && in_units > -unit {
        line.push(b'-');
    }
    number(in_units / unit, line);
    if decimals > 0 {
        line.push(b'.');
        digits((in_units % unit).unsigned_abs(), decimals as usize, line);
    }
}

/// What comes next behind it, scattered over all numbers.
pub(super) fn scattered(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether the n-th of many is one of so many in a thousand; those who are, are spread evenly.
pub(super) fn is_one_of(n: u64, permille: f64) -> bool {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (n as f64 * GOLDEN).fract() * 1000.0 < permille
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        write(&mut line);
        String::from_utf8(line).expect("text")
    }

    #[test]
    fn numbers_and_instants_are_written_as_everybody_writes_them() {
        for value in [0, 7, -7, 10, 99, 100, -100, 1_234_567, i64::MAX, i64::MIN] {
            assert_eq!(written(|line| number(value, line)), value.to_string());
        }
        for (in_units, decimals, text) in
            [(5, 2, "0.05"), (-5, 2, "-0.05"), (-105, 2, "-1.05"), (12_345, 3, "12.345"), (7, 0, "7"), (0, 2, "0.00")]
        {
            assert_eq!(written(|line| decimal(in_units, decimals, line)), text);
        }
        let mut times = Times::default();
        for at in [0, 1_569_888_000_000, 1_569_888_000_001, 1_767_571_199_999, 1_767_571_200_000] {
            assert_eq!(written(|line| times.iso(at, line)), crate::instant::show(at));
        }
        assert_eq!(written(|line| times.utc(1_569_888_061_999, line)), "2019-10-01 00:01:01 UTC");
    }

    #[test]
    fn so_many_in_a_thousand_are_chosen() {
        for permille in [0.0, 1.0, 144.0, 500.0, 1000.0] {
            let chosen = (0..100_000).filter(|n| is_one_of(*n, permille)).count() as f64;
            assert!((chosen - permille * 100.0).abs() < 20.0, "{permille}: {chosen}");
        }
    }
}
