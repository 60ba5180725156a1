//! `ListPrice`: the price of an item, or the reason why there is none.

use crate::wire::money::CENTS_MAX;

/// Why an item has no usable price: stable codes, in `movies_catalog.price_reason`.
pub mod reason {
    /// There is no `ListPrice`.
    pub const ABSENT: &str = "absent";
    /// The shop does not show it.
    pub const TOO_LOW_TO_DISPLAY: &str = "too_low_to_display";
    /// Not in US dollars.
    pub const OTHER_CURRENCY: &str = "other_currency";
    /// The cents say something else than the dollars.
    pub const CONTRADICTION: &str = "contradiction";
    /// Nothing, or less.
    pub const NOT_POSITIVE: &str = "not_positive";
    /// Two different ones.
    pub const SEVERAL: &str = "several";
    /// Anything else.
    pub const UNPARSABLE: &str = "unparsable";
}

/// The dollar value of a `ListPrice` such as `4999USD$49.99` in cents, or the reason why it has none.
///
/// The form is cents, currency, formatted price, run together. Every part is checked against the others.
///
/// # Errors
/// One of the codes of [`reason`].
pub fn list_price(text: &str) -> Result<i64, &'static str> {
    let text = text.trim();
    if text.to_ascii_lowercase().contains("too low to display") {
        return Err(reason::TOO_LOW_TO_DISPLAY);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (amount, formatted) = text.split_at(digits);
    let dollars = match formatted.strip_prefix("USD").or((amount.is_empty()).then_some(formatted)) {
        Some(formatted) => formatted.trim_start(),
        None if formatted.len() >= 3 && formatted.bytes().take(3).all(|byte| byte.is_ascii_uppercase()) => {
            return Err(reason::OTHER_CURRENCY);
        }
        None => return Err(reason::UNPARSABLE),
    };
    let dollars = match dollars.strip_prefix('$') {
        Some(dollars) => dollars,
        None if dollars.starts_with(['€', '£', '¥']) => return Err(reason::OTHER_CURRENCY),
        None => return Err(reason::UNPARSABLE),
    };
    let cents = cents(dollars.trim()).ok_or(reason::UNPARSABLE)?;
    if !amount.is_empty() && amount.parse() != Ok(cents) {
        return Err(reason::CONTRADICTION);
    }
    if cents > CENTS_MAX {
        return Err(reason::UNPARSABLE);
    }
    if cents > 0 { Ok(cents) } else { Err(reason::NOT_POSITIVE) }
}

/// `1,299.99` in cents: whole dollars in groups of three or ungrouped, and two decimals if any.
fn cents(dollars: &str) -> Option<i64> {
    let (whole, decimals) = dollars.split_once('.').unwrap_or((dollars, "00"));
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let grouped = groups.clone().next().is_some();
    let well_grouped = (!grouped || first.len() <= 3) && groups.all(|group| group.len() == 3 && numeric(group));
    if !numeric(first) || !well_grouped || decimals.len() != 2 || !numeric(decimals) {
        return None;
    }
    let dollars: i64 = whole.replace(',', "").parse().ok()?;
    dollars.checked_mul(100)?.checked_add(decimals.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_or_the_reason_told() {
        for (text, expected) in [
            ("4999USD$49.99", Ok(4999)),
            ("129999USD$1,299.99", Ok(129_999)),
            ("123456789USD$1,234,567.89", Ok(123_456_789)),
            (" 99USD$0.99 ", Ok(99)),
            ("USD$12.00", Ok(1200)),
            ("$12", Ok(1200)),
            ("129999USD$1299.99", Ok(129_999)),
            ("Too low to display", Err(reason::TOO_LOW_TO_DISPLAY)),
            ("1234USDToo low to display", Err(reason::TOO_LOW_TO_DISPLAY)),
            ("4999EUR€49.99", Err(reason::OTHER_CURRENCY)),
            ("4999CADCDN$ 49.99", Err(reason::OTHER_CURRENCY)),
            ("£5.00", Err(reason::OTHER_CURRENCY)),
            ("4999USD$48.99", Err(reason::CONTRADICTION)),
            ("0USD$0.00", Err(reason::NOT_POSITIVE)),
            ("4999USD$12,99.99", Err(reason::UNPARSABLE)),
            ("4999USD$49.9", Err(reason::UNPARSABLE)),
            ("4999", Err(reason::UNPARSABLE)),
            ("", Err(reason::UNPARSABLE)),
            ("call us", Err(reason::UNPARSABLE)),
            ("99999999999999999999USD$999999999999999999.99", Err(reason::UNPARSABLE)),
        ] {
            assert_eq!(list_price(text), expected, "{text:?}");
        }
    }
}
