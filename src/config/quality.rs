//! How much of what comes must be valid.

use super::wrong::Wrongs;
use crate::declared::declared;
use dataflows::quality::Counts;
use serde::{Deserialize, Serialize};

declared! {
    /// How much of what comes must be valid. The table `quality` counts it, per topic and hour.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Quality {
        /// The least share of a topic's records in an hour that must be accepted, such as 0.99. If it is less, the log has
        /// a warning, and `status` ends with exit code 4. 0 asks for nothing.
        pub min_valid: f64,
    }
}

/// A share is as exact as this, so that 0.07 of 100 records are 7.
const MILLION: f64 = 1e6;

impl Quality {
    /// Whether fewer are valid than must be.
    pub fn is_crossed_by(&self, Counts { accepted, rejected, .. }: Counts) -> bool {
        let least = (self.min_valid * MILLION).round() as u128;
        u128::from(accepted) * (MILLION as u128) < least * u128::from(accepted + rejected)
    }

    /// That it is so of the records of a topic in an hour, for people.
    pub fn complaint(&self, topic: &str, hour: &str, Counts { accepted, rejected, .. }: Counts) -> String {
        let (all, least) = (accepted + rejected, self.min_valid);
        format!(
            "`{topic}`: {rejected} of {all} records of the hour from {hour} were rejected, and `quality.min_valid` is {least}"
        )
    }

    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        if !(0.0..=1.0).contains(&self.min_valid) {
            wrongs.say("quality.min_valid", format!("is {}; expected a share, 0 to 1", self.min_valid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_crossed_by_one_record_too_many() {
        for (min_valid, accepted, rejected, is_crossed) in [
            (0.0, 0, 5, false),
            (0.07, 7, 93, false),
            (0.07, 6, 94, true),
            (0.999, 999, 1, false),
            (0.999, 998, 1, true),
            (1.0, u64::MAX / 2, 0, false),
            (1.0, u64::MAX / 2, 1, true),
        ] {
            let counts = Counts { accepted, rejected, late: 0 };
            assert_eq!(Quality { min_valid }.is_crossed_by(counts), is_crossed, "{min_valid}: {counts:?}");
        }
    }
}
