//! One record alone does not say what time it is.

use crate::time::{Instant, WITNESSED_WITHIN_MS};
use serde::{Deserialize, Serialize};

/// The two largest event times of some records.
///
/// **Law.** Taking in records, and merging, is commutative and associative: it does not matter in which
/// batches, by which workers or in which runs they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopTwo {
    /// The largest.
    pub largest: Option<Instant>,
    /// The second largest; equal to the largest if two records say so.
    pub second: Option<Instant>,
}

impl TopTwo {
    /// Of one record.
    pub fn of(at: Instant) -> TopTwo {
        TopTwo { largest: Some(at), second: None }
    }

    /// Whether there was no record.
    pub fn is_empty(&self) -> bool {
        self.largest.is_none()
    }

    /// Takes in one more record.
    pub fn add(&mut self, at: Instant) {
        let at = Some(at);
        if at > self.largest {
            (self.largest, self.second) = (at, self.largest);
        } else if at > self.second {
            self.second = at;
        }
    }

    /// Takes in the records of another.
    pub fn merge(&mut self, other: TopTwo) {
        [other.largest, other.second].into_iter().flatten().for_each(|at| self.add(at));
    }

    /// How far the records have come: to the largest event time; if that is further than
    /// [`WITNESSED_WITHIN_MS`] ahead of all others, to the second largest. So a stray record makes nothing
    /// but itself wrong, and a gap is crossed by the second record behind it. A record that is alone says
    /// nothing yet. It never goes back when more records come.
    pub fn witnessed(&self) -> Option<Instant> {
        let (largest, second) = (self.largest?, self.second?);
        Some(if largest.saturating_sub(second) <= WITNESSED_WITHIN_MS { largest } else { second })
    }

    /// The same once nothing will follow: then a record that is alone counts.
    pub fn at_the_end(&self) -> Option<Instant> {
        self.witnessed().or(self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[Instant]) -> TopTwo {
        let mut top = TopTwo::default();
        times.iter().for_each(|at| top.add(*at));
        top
    }

    #[test]
    fn a_record_alone_says_little() {
        assert_eq!((of(&[]).witnessed(), of(&[]).at_the_end()), (None, None));
        assert_eq!((of(&[7]).witnessed(), of(&[7]).at_the_end()), (None, Some(7)));
        assert_eq!(of(&[7, 9]).witnessed(), Some(9));
        assert_eq!(of(&[7, 7 + WITNESSED_WITHIN_MS]).witnessed(), Some(7 + WITNESSED_WITHIN_MS));
        assert_eq!(of(&[7, 8 + WITNESSED_WITHIN_MS]).witnessed(), Some(7));
        let far = 50 * 365 * WITNESSED_WITHIN_MS;
        assert_eq!(of(&[7, far, 9]).at_the_end(), Some(9));
        assert_eq!(of(&[7, far, far]).witnessed(), Some(far));
    }
}
