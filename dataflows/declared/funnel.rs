//! How far a funnel was gone, of events that come in any order.

use crate::broken::{Law, is_broken};
use crate::declared::few::Few;
use crate::time::Instant;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Range;

/// When the steps of a funnel were taken: of each those instants that may still decide how far it was gone, in their order,
/// each once.
///
/// **Law.** How far it was gone is what a walk over all events says that takes of each step the first that is not before
/// the one of the step before it. It never falls: events are not taken back. Merged, it is that of all events, whatever
/// came where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// How many steps there are; where the instants of each end; the instants, step by step.
    packed: Few<Instant>,
}

impl Steps {
    /// Of so many steps, none of them taken.
    pub fn of(steps: usize) -> Steps {
        let mut packed = Few::from_elem(1 + steps as Instant, 1 + steps);
        packed[0] = steps as Instant;
        Steps { packed }
    }

    fn steps(&self) -> usize {
        self.packed.first().map_or(0, |steps| *steps as usize)
    }

    /// Where the instants of a step stand.
    fn range(&self, step: usize) -> Range<usize> {
        let begins = if step == 0 { 1 + self.steps() } else { self.packed[step] as usize };
        begins..self.packed[1 + step] as usize
    }

    /// The instants of all steps.
    fn all(&self) -> impl Iterator<Item = &[Instant]> {
        (0..self.steps()).map(|step| &self.packed[self.range(step)])
    }

    /// A step was taken.
    pub fn take(&mut self, step: usize, at: Instant) {
        self.add(step, at);
        self.trim();
    }

    /// Steps that were taken elsewhere.
    pub fn merge(&mut self, more: &Steps) {
        for (step, instants) in more.all().enumerate() {
            instants.iter().for_each(|at| self.add(step, *at));
        }
        self.trim();
    }

    fn add(&mut self, step: usize, at: Instant) {
        if step >= self.steps() {
            return;
        }
        let range = self.range(step);
        if let Err(place) = self.packed[range.clone()].binary_search(&at) {
            self.packed.insert(range.start + place, at);
            let steps = self.steps();
            self.packed[1 + step..=steps].iter_mut().for_each(|end| *end += 1);
        }
    }

    /// The instants of the steps that were taken one after the other, as early as can be.
    fn walk(&self) -> impl Iterator<Item = Instant> {
        self.all().scan(Instant::MIN, |after, instants| {
            let at = next(instants, *after)?;
            *after = at;
            Some(at)
        })
    }

    /// Lets go of what cannot decide anything any more. Of the first step that is all but the first instant. Of the last it is
    /// all but the last: whatever the steps before it become, they only come earlier. Of the others it is what is behind the
    /// one in use, for the same reason; those before it may come to use.
    fn trim(&mut self) {
        let steps = self.steps();
        // Nothing of a step decides what is in use of one before it.
        let (mut after, mut kept) = (Some(Instant::MIN), 1 + steps);
        let mut begins = kept;
        for step in 0..steps {
            let range = begins..self.packed[1 + step] as usize;
            begins = range.end;
            let instants = &self.packed[range.clone()];
            after = after.and_then(|after| next(instants, after));
            let keeps = match after {
                _ if step > 0 && step + 1 == steps => range.end.saturating_sub(1).max(range.start)..range.end,
                Some(_) if step == 0 => range.start..range.start + 1,
                Some(at) => range.start..range.start + instants.partition_point(|other| *other <= at),
                None => range,
            };
            let end = kept + keeps.len();
            self.packed.copy_within(keeps, kept);
            kept = end;
            self.packed[1 + step] = kept as Instant;
        }
        self.packed.truncate(kept);
    }

    /// How many steps were taken one after the other.
    pub fn reached(&self) -> i64 {
        self.walk().count() as i64
    }
}

/// The first instant of a step that is not before the one of the step before it.
fn next(instants: &[Instant], after: Instant) -> Option<Instant> {
    let after = if is_broken(Law::StepsFollowEachOther) { Instant::MIN } else { after };
    instants.get(instants.partition_point(|at| *at < after)).copied()
}

/// As a list of the instants of each step.
impl Serialize for Steps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all())
    }
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Steps, D::Error> {
        let all = Vec::<Vec<Instant>>::deserialize(deserializer)?;
        let mut steps = Steps::of(all.len());
        for (step, instants) in all.into_iter().enumerate() {
            instants.into_iter().for_each(|at| steps.add(step, at));
        }
        Ok(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk over all events.
    fn plain(events: &[(Instant, usize)], steps: usize) -> i64 {
        let mut after = Instant::MIN;
        let walk = (0..steps).map_while(|step| {
            let of = events.iter().filter(|(at, of)| *of == step && *at >= after);
            after = of.map(|(at, _)| *at).min()?;
            Some(after)
        });
        walk.count() as i64
    }

    #[test]
    fn a_funnel_is_what_a_walk_over_all_events_says() {
        let mut seed = 7_u64;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        let (mut kept, mut taken) = (0, 0);
        for _ in 0..20_000 {
            let steps = 1 + dice(4) as usize;
            let events: Vec<_> = (0..1 + dice(25)).map(|_| (dice(21) as i64, dice(steps as u64) as usize)).collect();
            // Two workers, and how it becomes more from event to event.
            let mut parts = [Steps::of(steps), Steps::of(steps)];
            let mut whole = Steps::of(steps);
            for (n, (at, step)) in events.iter().enumerate() {
                parts[dice(2) as usize].take(*step, *at);
                let before = whole.reached();
                whole.take(*step, *at);
                assert_eq!(whole.reached(), plain(&events[..=n], steps), "{events:?}");
                assert!(whole.reached() >= before, "{events:?}");
            }
            // As a snapshot has it.
            let lists: Vec<Vec<Instant>> = whole.all().map(<[_]>::to_vec).collect();
            let bytes = postcard::to_stdvec(&whole).expect("memory takes it");
            assert_eq!(bytes, postcard::to_stdvec(&lists).expect("memory takes it"));
            assert_eq!(postcard::from_bytes(&bytes), Ok(whole.clone()));
            let [mut one, other] = parts;
            one.merge(&other);
            assert_eq!(one.reached(), plain(&events, steps), "{events:?}");
            kept += whole.all().map(<[_]>::len).sum::<usize>();
            taken += events.len();
        }
        assert!(kept * 2 < taken, "{kept} instants are kept of {taken}");
    }
}
