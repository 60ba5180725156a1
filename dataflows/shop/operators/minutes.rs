//! From what changes at minute boundaries to one row per boundary at which there is news.

use super::sessions::{Contribution, MINUTE_MS, OfMinutes, minute_from};
use crate::operators::{Epoch, per_epoch};
use crate::state::{Forgets, Kept, Ledger};
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

/// Which boundaries were judged, and what was folded away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// The first and last sign event.
    pub signs: Option<(Instant, Instant)>,
    /// The last boundary that may have a row.
    pub last_row: Option<Instant>,
    /// The sum of all contributions that are not held any more.
    pub folded: Contribution,
}

/// What comes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum MinutesInput {
    /// By the sessions.
    Of(OfMinutes),
    /// By a snapshot: a contribution.
    Held(Instant, Contribution),
    /// By a snapshot.
    Extent(Extent),
}

/// What changes at a minute boundary.
pub static CONTRIBUTIONS: Kept<(Instant, Contribution)> =
    Kept { name: "shop/minutes/contributions", version: 1, forgets: Forgets::NamesNobody };
/// Which boundaries were judged, and what was folded away.
pub static EXTENT: Kept<Extent> = Kept { name: "shop/minutes/extent", version: 1, forgets: Forgets::NamesNobody };

#[derive(Default)]
struct Minutes {
    held: BTreeMap<Instant, Contribution>,
    extent: Extent,
}

impl Minutes {
    /// The last boundary that may have a row. Live, that is the last one the watermark has reached; a
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
        said: impl FnMut(Minute, isize),
    ) {
        let had_last = self.extent.last_row;
        let known = self.extent.signs;
        self.extent.signs = match (known, signs) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        self.extent.last_row = self.last_row(watermark, whole_input);
        if let Some(last) = self.extent.last_row {
            self.walk(had_last, last, changes, said);
        }
        for (minute, change) in changes {
            let held = self.held.entry(*minute).or_default();
            held.add(change);
            if held.is_nothing() {
                self.held.remove(minute);
            }
        }
    }

    /// Visits the boundaries whose rows may differ: those at which something changes, those behind what was judged
    /// before, and from there each minute in which a session is active. Over all others it leaps.
    fn walk(
        &self,
        had_last: Option<Instant>,
        last: Instant,
        changes: &BTreeMap<Instant, Contribution>,
        mut said: impl FnMut(Minute, isize),
    ) {
        let first_held = || self.held.first_key_value().map(|(minute, _)| *minute);
        let first_change = changes.first_key_value().map(|(minute, _)| *minute);
        // Before the first change no row that was said differs; of what was not said yet all is looked at.
        let unsaid = had_last.map_or_else(first_held, |had_last| Some(had_last + MINUTE_MS));
        let from = first_change.into_iter().chain(unsaid).min();
        let Some(mut at) = from.filter(|from| *from <= last) else { return };
        let mut before = Sums { old: self.extent.folded, more: Contribution::default() };
        self.held.range(..at).for_each(|(_, held)| before.old.add(held));
        let (mut held, mut changes) = (self.held.range(at..).peekable(), changes.iter().peekable());
        while at <= last {
            let mut now = before;
            while let Some((_, held)) = held.next_if(|(minute, _)| **minute < at) {
                before.old.add(held);
                now.old.add(held);
            }
            if let Some((_, held)) = held.next_if(|(minute, _)| **minute == at) {
                now.old.add(held);
            }
            if let Some((_, change)) = changes.next_if(|(minute, _)| **minute == at) {
                now.more.add(change);
            }
            let was_judged = had_last.is_some_and(|had_last| at <= had_last);
            let was = row(at, &before.old, &now.old).filter(|_| was_judged);
            let is = row(at, &before.sum(), &now.sum());
            if was != is {
                was.into_iter().for_each(|was| said(was, -1));
                is.into_iter().for_each(|is| said(is, 1));
            }
            let next_held = held.peek().map(|(minute, _)| **minute);
            let next_change = changes.peek().map(|(minute, _)| **minute);
            let next = if was_judged && now.more.is_nothing() {
                // What was said stands until the next change, or to its end.
                next_change.into_iter().chain(had_last.map(|had_last| had_last + MINUTE_MS)).min()
            } else if now.sum().active > 0 || was_judged && now.old.active > 0 {
                Some(at + MINUTE_MS)
            } else {
                next_change.into_iter().chain(next_held).min()
            };
            let Some(next) = next else { return };
            (before, at) = (now, next);
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

/// All contributions up to a boundary: those of before, and what the epoch adds to them.
#[derive(Clone, Copy)]
struct Sums {
    old: Contribution,
    more: Contribution,
}

impl Sums {
    fn sum(&self) -> Contribution {
        let mut new = self.old;
        new.add(&self.more);
        new
    }
}

/// The row of a boundary, if there is news: a session is active, or something differs from the boundary before.
fn row(at: Instant, before: &Contribution, sum: &Contribution) -> Option<Minute> {
    let is_news = sum.active > 0 || (sum.active, sum.completed) != (before.active, before.completed);
    is_news.then(|| Minute {
        at,
        active: sum.active,
        active_age_ms: (i128::from(sum.active) * i128::from(at) - sum.opened_at_sum) as i64,
        completed: sum.completed,
        completed_duration_ms: sum.completed_duration_ms,
    })
}

/// One row per minute boundary at which there is news, up to the watermark; over a whole input up to the first
/// boundary at or after the last sign event.
///
/// **Law.** Let the sums at a boundary be those of all contributions up to and including it. At every even epoch the
/// output accumulates to the sums at those boundaries at which a session is active, or at which active or completed
/// sessions are not as many as at the boundary before. That the watermark reached a boundary is news of the epoch
/// that made it so. Contributions before the cut are folded into one and leave without a word: the first boundary
/// behind them compares with the folded sum.
///
/// **Work.** Of an epoch: the contributions held, its changes, and the minutes with a session, of before or now,
/// that are said or taken back. A minute in which nobody is active and nothing changes costs nothing, however many there are.
pub fn minutes<'s>(
    said: Stream<'s, MinutesInput>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> Collection<'s, Minute> {
    let held = Rc::new(RefCell::new(Minutes::default()));
    ledger.count(CONTRIBUTIONS.name, &held, |held| held.held.len());
    // Copied at once: a few thousand, those of the days in which something can still change.
    ledger.keep(&CONTRIBUTIONS, &held, |held| {
        let known = held.held.iter().filter(|_| held.extent.signs.is_some());
        std::iter::once(known.map(|(minute, held)| (*minute, *held)).collect())
    });
    ledger.keep(&EXTENT, &held, |held| std::iter::once(held.extent.signs.map(|_| held.extent).into_iter().collect()));
    let settings = settings.clone();
    // Every row is a sum over all users: one worker keeps them, of changes summed up before.
    let to_one = Exchange::new(|_: &MinutesInput| 0);
    let step = move |Epoch { time, input, watermark }: Epoch<MinutesInput>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let mut held = held.borrow_mut();
        let (mut changes, mut signs) = (BTreeMap::<Instant, Contribution>::new(), None::<(Instant, Instant)>);
        for said in Epoch::records(input) {
            match said {
                MinutesInput::Of(OfMinutes::Change(minute, change)) => changes.entry(minute).or_default().add(&change),
                MinutesInput::Of(OfMinutes::Signs(first, last)) => {
                    signs = Some(signs.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
                }
                MinutesInput::Held(minute, contribution) => drop(held.held.insert(minute, contribution)),
                MinutesInput::Extent(extent) => held.extent = extent,
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

    /// Were every minute visited, this would not end.
    #[test]
    fn a_gap_costs_nothing_by_the_minute() {
        let (mut minutes, mut rows) = (Minutes::default(), Vec::new());
        let end = i64::MAX / 4 / MINUTE_MS * MINUTE_MS;
        let contribution = |active, completed| Contribution { active, completed, ..Contribution::default() };
        let mut says = |changes: &[(Instant, Contribution)], sign: Option<Instant>, watermark| {
            rows.clear();
            let signs = sign.map(|at| (at, at));
            let changes = changes.iter().copied().collect();
            minutes.apply(&changes, signs, watermark, false, |row, diff| rows.push((row.at, row.completed, diff)));
            rows.clone()
        };
        let first = says(&[(0, contribution(1, 0)), (MINUTE_MS, contribution(-1, 0))], Some(0), end / 2);
        assert_eq!(first, [(0, 0, 1), (MINUTE_MS, 0, 1)]);
        assert_eq!(says(&[], None, end), [], "nothing in the other half");
        let late = [(2 * MINUTE_MS, contribution(0, 1))];
        assert_eq!(says(&late, Some(2 * MINUTE_MS), end), [(2 * MINUTE_MS, 1, 1)], "one row, whatever follows");
        let last = says(&[(end, contribution(0, 1))], Some(end), end);
        assert_eq!(last, [(end, 2, 1)]);
        assert_eq!(
            says(&[(3 * MINUTE_MS, contribution(0, 1))], None, end),
            [(3 * MINUTE_MS, 2, 1), (end, 2, -1), (end, 3, 1)]
        );
    }

    #[test]
    fn what_has_no_row_yet_is_not_folded() {
        let session = |active| Contribution { active, ..Contribution::default() };
        let (mut minutes, mut rows) = (Minutes::default(), Vec::new());
        let changes = BTreeMap::from([(0, session(1)), (5 * MINUTE_MS, session(-1))]);
        minutes.apply(&changes, Some((0, 0)), 60 * MINUTE_MS, true, |row, diff| rows.push((row, diff)));
        minutes.fold(30 * MINUTE_MS);
        let next = Some((30 * MINUTE_MS, 30 * MINUTE_MS));
        minutes.apply(&BTreeMap::new(), next, 60 * MINUTE_MS, true, |row, diff| rows.push((row, diff)));
        // The session's five minutes, and the one at which nobody is there any more.
        assert_eq!(rows.len(), 6);
        for (row, diff) in rows {
            assert_eq!((row.active, diff), (i64::from(row.at < 5 * MINUTE_MS), 1), "{row:?}");
        }
    }
}
