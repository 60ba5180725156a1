//! From what changes at minute boundaries to one row per boundary.

use crate::operators::sessions::{Contribution, MINUTE_MS, OfMinutes, minute_from};
use crate::operators::{Epoch, per_epoch};
use crate::state::{Ledger, State};
use crate::time::{Instant, Settings, is_silent};
use crate::{Collection, Stream};
use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// The state of all sessions at a minute boundary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Minute {
    /// The boundary.
    pub at: Instant,
    /// Sessions that have opened and not ended.
    pub active: i64,
    /// The sum of their ages.
    pub active_age_ms: i64,
    /// Sessions closed by a sign-out so far.
    pub completed: i64,
    /// The sum of their durations.
    pub completed_duration_ms: i64,
}

/// Which boundaries have rows, and what was folded away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// The first and last sign event.
    pub signs: Option<(Instant, Instant)>,
    /// The last boundary that has a row.
    pub last_row: Option<Instant>,
    /// The sum of all contributions that are not held any more.
    pub folded: Contribution,
}

/// What comes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Said {
    /// By the sessions.
    Of(OfMinutes),
    /// By a snapshot: a contribution.
    Held(Instant, Contribution),
    /// By a snapshot.
    Extent(Extent),
}

#[derive(Default)]
struct Minutes {
    held: BTreeMap<Instant, Contribution>,
    extent: Extent,
}

impl Minutes {
    /// The last boundary that has a row. Live, that is the last one the watermark has reached; a
    /// whole input ends with the first boundary at or after its last sign event.
    fn last_row(&self, watermark: Instant, whole_input: bool) -> Option<Instant> {
        let (first, last) = self.extent.signs?;
        let until = if whole_input {
            minute_from(watermark).min(minute_from(last))
        } else {
            watermark - watermark.rem_euclid(MINUTE_MS)
        };
        (until >= minute_from(first)).then_some(until).max(self.extent.last_row)
    }

    /// Applies an epoch's changes and says which rows they make and unmake.
    fn apply(
        &mut self,
        changes: &BTreeMap<Instant, Contribution>,
        signs: Option<(Instant, Instant)>,
        watermark: Instant,
        whole_input: bool,
        mut said: impl FnMut(Minute, isize),
    ) {
        let had = self.extent.signs.map(|(first, _)| minute_from(first)).zip(self.extent.last_row);
        let known = self.extent.signs;
        self.extent.signs = match (known, signs) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        self.extent.last_row = self.last_row(watermark, whole_input);
        let has = self.extent.signs.map(|(first, _)| minute_from(first)).zip(self.extent.last_row);
        if let Some((first, last)) = has {
            // Rows before `changed` stand.
            let grown = match had {
                Some((had_first, _)) if first < had_first => Some(first),
                Some((_, had_last)) if had_last < last => Some(had_last + MINUTE_MS),
                Some(_) => None,
                None => Some(first),
            };
            let changed = changes.first_key_value().map(|(minute, _)| *minute);
            let from = [grown, changed].into_iter().flatten().min().map(|from| from.max(first));
            if let Some(from) = from.filter(|from| *from <= last) {
                self.walk(from, last, had, changes, &mut said);
            }
        }
        for (minute, change) in changes {
            let held = self.held.entry(*minute).or_default();
            held.add(change);
            if held.is_nothing() {
                self.held.remove(minute);
            }
        }
    }

    fn walk(
        &self,
        from: Instant,
        last: Instant,
        had: Option<(Instant, Instant)>,
        changes: &BTreeMap<Instant, Contribution>,
        said: &mut impl FnMut(Minute, isize),
    ) {
        let mut old = self.extent.folded;
        self.held.range(..from).for_each(|(_, held)| old.add(held));
        let mut more = Contribution::default();
        changes.range(..from).for_each(|(_, change)| more.add(change));
        let mut held = self.held.range(from..).peekable();
        let mut changes = changes.range(from..).peekable();
        let mut at = from;
        while at <= last {
            while let Some((_, held)) = held.next_if(|(minute, _)| **minute <= at) {
                old.add(held);
            }
            while let Some((_, change)) = changes.next_if(|(minute, _)| **minute <= at) {
                more.add(change);
            }
            let stood = had.is_some_and(|(first, last)| first <= at && at <= last);
            if stood && more.is_nothing() {
                // Nothing differs until the next change, or where the rows that stood end.
                let (_, stood_to) = had.unwrap_or_default();
                let next_change = changes.peek().map_or(Instant::MAX, |(minute, _)| **minute);
                at = next_change.min(stood_to + MINUTE_MS);
                continue;
            }
            let mut new = old;
            new.add(&more);
            if stood {
                said(minute(at, &old), -1);
            }
            said(minute(at, &new), 1);
            at += MINUTE_MS;
        }
    }

    /// Folds what no accepted event can change any more. What has no row yet is held: a whole input
    /// may end long before the cut, and go on behind it.
    fn fold(&mut self, cut: Instant) {
        let Some(last_row) = self.extent.last_row else { return };
        let settled = cut.min(last_row + 1);
        while let Some(first) = self.held.first_entry().filter(|first| *first.key() < settled) {
            let contribution = first.remove();
            self.extent.folded.add(&contribution);
        }
    }
}

fn minute(at: Instant, sum: &Contribution) -> Minute {
    Minute {
        at,
        active: sum.active,
        active_age_ms: (i128::from(sum.active) * i128::from(at) - sum.opened_at_sum) as i64,
        completed: sum.completed,
        completed_duration_ms: sum.completed_duration_ms,
    }
}

/// One row per minute boundary, from the first at or after the first sign event to the watermark;
/// over a whole input to the first at or after the last sign event.
///
/// **Law.** At every even epoch the output accumulates to the sums of all contributions up to and
/// including each of those boundaries. That the watermark reached a boundary is news of the epoch
/// that made it so. Contributions before the cut are folded into one and leave without a word.
pub fn minutes<'s>(
    said: Stream<'s, Said>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, Minute> {
    let held = Rc::new(RefCell::new(Minutes::default()));
    ledger.enter(
        "sessions/minutes",
        &held,
        |held| held.held.len(),
        |held| {
            // Copied at once: a few thousand, those of the days in which something can still change.
            let extent = held.extent.signs.map(|_| State::SessionExtent(held.extent));
            let minutes = held.held.iter().filter(|_| extent.is_some());
            let minutes = minutes.map(|(minute, held)| State::SessionMinute(*minute, *held));
            Box::new(std::iter::once(extent.iter().cloned().chain(minutes).collect()))
        },
    );
    let settings = settings.clone();
    // Every row is a sum over all users: one worker keeps them, of changes summed up before.
    let to_one = Exchange::new(|_: &Said| 0);
    let step = move |Epoch { time, input, watermark }: Epoch<Said>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let mut held = held.borrow_mut();
        let (mut changes, mut signs) = (BTreeMap::<Instant, Contribution>::new(), None::<(Instant, Instant)>);
        for said in Epoch::records(input) {
            match said {
                Said::Of(OfMinutes::Change(minute, change)) => changes.entry(minute).or_default().add(&change),
                Said::Of(OfMinutes::Signs(first, last)) => {
                    signs = Some(signs.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
                }
                Said::Held(minute, contribution) => drop(held.held.insert(minute, contribution)),
                Said::Extent(extent) => held.extent = extent,
            }
        }
        changes.retain(|_, change| !change.is_nothing());
        if !is_silent(time) {
            held.apply(&changes, signs, watermark, settings.whole_input, |row, diff| out.push((row, time, diff)));
        }
        held.fold(settings.forget_cut(watermark));
    };
    per_epoch(said, watermarks, to_one, "minutes", step).0.as_collection()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_row_yet_is_not_folded() {
        let session = |active| Contribution { active, ..Contribution::default() };
        let (mut minutes, mut rows) = (Minutes::default(), Vec::new());
        let changes = BTreeMap::from([(0, session(1)), (5 * MINUTE_MS, session(-1))]);
        minutes.apply(&changes, Some((0, 0)), 60 * MINUTE_MS, true, |row, diff| rows.push((row, diff)));
        minutes.fold(30 * MINUTE_MS);
        let next = Some((30 * MINUTE_MS, 30 * MINUTE_MS));
        minutes.apply(&BTreeMap::new(), next, 60 * MINUTE_MS, true, |row, diff| rows.push((row, diff)));
        assert_eq!(rows.len(), 31);
        for (row, diff) in rows {
            assert_eq!((row.active, diff), (i64::from(row.at < 5 * MINUTE_MS), 1), "{row:?}");
        }
    }
}
