//! `--max-rejected`: how many of the records may be rejected.

use std::fmt::{Display, Formatter, Result as Written};
use std::str::FromStr;

/// How many records may be rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many.
    Records(u64),
    /// So many of a hundred.
    Percent(f64),
}

/// More records were rejected than may be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{rejected} of {records} records were rejected, and `--max-rejected` is {limit}")]
pub struct TooMany {
    rejected: u64,
    records: u64,
    limit: Limit,
}

impl Limit {
    /// Whether so many rejected records of all that were read are too many.
    pub fn crossed(self, rejected: u64, records: u64) -> Option<TooMany> {
        let is_crossed = match self {
            Limit::Records(most) => rejected > most,
            Limit::Percent(share) => rejected as f64 * 100.0 > share * records as f64,
        };
        is_crossed.then_some(TooMany { rejected, records, limit: self })
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        let expected = || "expected a number of records such as 100, or a share such as 1% or 0.5%".to_owned();
        match text.trim().strip_suffix('%') {
            Some(share) => match share.trim().parse::<f64>() {
                Ok(share) if (0.0..=100.0).contains(&share) => Ok(Limit::Percent(share)),
                Ok(_) | Err(_) => Err(expected()),
            },
            None => text.trim().parse().map(Limit::Records).map_err(|_| expected()),
        }
    }
}

impl Display for Limit {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        match self {
            Limit::Records(most) => write!(out, "{most}"),
            Limit::Percent(share) => write!(out, "{share}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_share() {
        assert_eq!("100".parse(), Ok(Limit::Records(100)));
        assert_eq!("0.5 %".parse(), Ok(Limit::Percent(0.5)));
        for wrong in ["", "%", "-1", "101%", "NaN%", "many"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_equal_to_a_limit_does_not_cross_it() {
        assert_eq!(Limit::Records(3).crossed(3, 10), None);
        assert!(Limit::Records(3).crossed(4, 10).is_some());
        assert_eq!(Limit::Percent(30.0).crossed(3, 10), None);
        assert!(Limit::Percent(0.0).crossed(1, 1_000_000).is_some());
        assert_eq!(Limit::Percent(0.0).crossed(0, 0), None);
    }
}
