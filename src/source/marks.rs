//! Sums of what was read of a log, at some of its lines: they prove that a file is that log.

use serde::{Deserialize, Serialize};

/// So many are kept of one log.
const KEPT: usize = 64;

/// The next line, and the sum of all lines before it, at up to 64 places that are spread evenly; the last is where
/// reading goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(Vec<(i64, u32)>);

impl Marks {
    /// Adds the sum of all lines before `next`, if that is further than what is known.
    pub fn add(&mut self, next: i64, sum: u32) {
        if next <= self.next() {
            return;
        }
        self.0.push((next, sum));
        if self.0.len() > KEPT {
            // The one whose neighbours are nearest to each other is missed least. First and last always stay.
            let gap = |at: &usize| self.0[at + 1].0 - self.0[at - 1].0;
            if let Some(least) = (1..self.0.len() - 1).min_by_key(gap) {
                self.0.remove(least);
            }
        }
    }

    /// The line after the last one that was read; 1 before the first.
    pub fn next(&self) -> i64 {
        self.0.last().map_or(1, |(next, _)| *next)
    }

    /// In the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = (i64, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_few_and_spread_evenly_and_the_last_is_where_reading_goes_on() {
        let mut marks = Marks::default();
        for next in (10..100_000).step_by(10) {
            marks.add(next, next as u32);
            marks.add(next - 5, 0);
            assert_eq!(marks.next(), next);
            assert!(marks.0.len() <= KEPT);
        }
        let ends: Vec<i64> = std::iter::once(1).chain(marks.iter().map(|(next, _)| next)).collect();
        assert!(marks.iter().all(|(next, sum)| next as u32 == sum), "what is not further is not added");
        let widest = ends.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest.is_some_and(|widest| widest <= 4 * 100_000 / KEPT as i64), "{widest:?}");
    }
}
