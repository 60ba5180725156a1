//! Which sessions lie where: of each group of events, in the order of time.

use crate::broken::{Law, is_broken};
use crate::declared::encode;
use crate::declared::row::Datum;
use crate::declared::said::{GroupKey, number};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::Included;

/// What an instant takes at the end of a key.
const INSTANT: usize = 1 + size_of::<i64>();

/// What all sessions of a group of events have in common: their key without when they began.
pub fn shared(key: &[u8]) -> &[u8] {
    &key[..key.len().saturating_sub(INSTANT)]
}

/// The sessions of all metrics, by their places.
///
/// **Invariant.** Two of one group of events are at least a gap apart, from the last event of one to the first of the other.
#[derive(Default)]
pub struct Sessions {
    /// By their keys, the first instant last: those of a group of events lie side by side.
    by_key: BTreeMap<GroupKey, u32>,
    /// By when they end.
    ends: BTreeSet<(Instant, u32)>,
    /// Of each metric whose rows others read: when its sessions began, and how many then.
    starts: BTreeMap<usize, BTreeMap<Instant, usize>>,
}

impl Sessions {
    /// A session begins; `read` says when, if others read it.
    pub fn add(&mut self, key: &GroupKey, place: u32, read: Option<Instant>) {
        self.by_key.insert(key.clone(), place);
        if let Some(start) = read {
            *self.starts.entry(number(key)).or_default().entry(start).or_default() += 1;
        }
    }

    /// When the first session of a metric began that others read.
    pub fn first(&self, metric: usize) -> Option<Instant> {
        self.starts.get(&metric)?.first_key_value().map(|(start, _)| *start)
    }

    /// A session is none any more.
    pub fn remove(&mut self, key: &GroupKey, read: Option<Instant>) {
        self.by_key.remove(key);
        let starts = self.starts.get_mut(&number(key));
        if let Some((start, starts)) = read.zip(starts)
            && let Some(count) = starts.get_mut(&start)
        {
            *count -= 1;
            if *count == 0 {
                starts.remove(&start);
            }
        }
    }

    /// Those that events from the key's instant to `last` belong to, in their order.
    pub fn beside(
        &self,
        key: &[u8],
        start: Instant,
        last: Instant,
        gap_ms: i64,
        last_of: impl Fn(u32) -> Instant,
    ) -> Vec<u32> {
        let gap_ms = if is_broken(Law::GapsEndSessions) { gap_ms + 1 } else { gap_ms };
        let from = shared(key);
        let mut to = from.to_vec();
        encode::push(&Datum::Instant(last.saturating_add(gap_ms - 1)), false, &mut to);
        let before = self.by_key.range::<[u8], _>((Included(from), Included(&to[..]))).rev();
        // Earlier ones ended earlier.
        let near = before.take_while(|(_, place)| start.saturating_sub(last_of(**place)) < gap_ms);
        let mut beside: Vec<u32> = near.map(|(_, place)| *place).collect();
        beside.reverse();
        if is_broken(Law::SessionsJoin) {
            beside.truncate(1);
        }
        beside
    }

    /// A session ends then, and not when it was to end before.
    pub fn ends(&mut self, place: u32, before: Option<Instant>, end: Option<Instant>) {
        before.into_iter().for_each(|before| _ = self.ends.remove(&(before, place)));
        end.into_iter().for_each(|end| _ = self.ends.insert((end, place)));
    }

    /// The next that has ended, and when; it is given once.
    pub fn ended(&mut self, to: Instant) -> Option<(Instant, u32)> {
        let first = *self.ends.first()?;
        (first.0 <= to).then(|| {
            self.ends.remove(&first);
            first
        })
    }
}
