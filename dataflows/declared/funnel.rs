//! How far a funnel was gone, of events that come in any order.

use crate::broken::{Law, is_broken};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// When the steps of a funnel were taken: of each those instants that may still decide how far it was gone, in their order,
/// each once.
///
/// **Law.** How far it was gone is what a walk over all events says that takes of each step the first that is not before
/// the one of the step before it. It never falls: events are not taken back. Merged, it is that of all events, whatever
/// came where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps(Vec<Vec<Instant>>);

impl Steps {
    /// Of so many steps, none of them taken.
    pub fn of(steps: usize) -> Steps {
        Steps(vec![Vec::new(); steps])
    }

    /// A step was taken.
    pub fn take(&mut self, step: usize, at: Instant) {
        self.add(step, at);
        self.trim();
    }

    /// Steps that were taken elsewhere.
    pub fn merge(&mut self, Steps(more): Steps) {
        for (step, instants) in more.into_iter().enumerate() {
            instants.into_iter().for_each(|at| self.add(step, at));
        }
        self.trim();
    }

    fn add(&mut self, step: usize, at: Instant) {
        let Some(instants) = self.0.get_mut(step) else { return };
        if let Err(place) = instants.binary_search(&at) {
            instants.insert(place, at);
        }
    }

    /// The instants of the steps that were taken one after the other, as early as can be.
    fn walk(&self) -> impl Iterator<Item = Instant> {
        self.0.iter().scan(Instant::MIN, |after, instants| {
            let before = if is_broken(Law::StepsFollowEachOther) { Instant::MIN } else { *after };
            let at = instants.get(instants.partition_point(|at| *at < before))?;
            *after = *at;
            Some(*at)
        })
    }

    /// Lets go of what cannot decide anything any more. Of the first step that is all but the first instant. Of the last it is
    /// all but the last: whatever the steps before it become, they only come earlier. Of the others it is what is behind the
    /// one in use, for the same reason; those before it may come to use.
    fn trim(&mut self) {
        let in_use: Vec<Instant> = self.walk().collect();
        let last = self.0.len().saturating_sub(1);
        for (step, instants) in self.0.iter_mut().enumerate() {
            match in_use.get(step) {
                _ if step == last && step > 0 => drop(instants.drain(..instants.len().saturating_sub(1))),
                Some(_) if step == 0 => instants.truncate(1),
                Some(at) => instants.truncate(instants.partition_point(|other| other <= at)),
                None => {}
            }
        }
    }

    /// How many steps were taken one after the other.
    pub fn reached(&self) -> i64 {
        self.walk().count() as i64
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
            let [mut one, other] = parts;
            one.merge(other);
            assert_eq!(one.reached(), plain(&events, steps), "{events:?}");
            kept += whole.0.iter().map(Vec::len).sum::<usize>();
            taken += events.len();
        }
        assert!(kept * 2 < taken, "{kept} instants are kept of {taken}");
    }
}
