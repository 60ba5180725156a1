//! Small pieces of text that several commands show.

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How we were called.
pub(super) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "deltamart".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 12, 123, 1234, 123_456, 1_234_567].map(super::grouped),
            ["0", "12", "123", "1,234", "123,456", "1,234,567"]
        );
    }
}
