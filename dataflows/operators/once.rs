//! Events that are repeated count once.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::dense::SLICE;
use crate::hash::{Map, Set};
use crate::operators::{AsOf, Epoch, per_epoch};
use crate::state::{Kept, Ledger};
use crate::time::{Instant, Settings, Time};
use differential_dataflow::ExchangeData;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// Hashes are let go of by the hour of their events.
const PANE_MS: i64 = 60 * 60 * 1000;

/// An event, or that there was one in an earlier run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Met<T> {
    /// What stands for it.
    pub print: u128,
    /// When it happened.
    pub at: Instant,
    /// What it was.
    pub what: Option<T>,
}

/// What was met, by the hour of its time.
#[derive(Default)]
struct Panes {
    panes: BTreeMap<Instant, Rc<Set<u128>>>,
    /// How many there were in the hour that was let go of last: another one is likely to have as many.
    usual: usize,
}

fn pane(at: Instant) -> Instant {
    at.div_euclid(PANE_MS)
}

impl Panes {
    /// Those of an operator, which its ledger counts and keeps.
    fn kept_in(ledger: &Ledger, kept: &'static Kept<(Instant, u128)>) -> Rc<RefCell<Panes>> {
        let held = Rc::new(RefCell::new(Panes::default()));
        ledger.count(kept.name, &held, |Panes { panes, .. }| panes.values().map(|prints| prints.len()).sum());
        ledger.keep(kept, &held, |Panes { panes, .. }| {
            panes.clone().into_iter().flat_map(|(pane, prints)| {
                let prints: Vec<_> = prints.iter().map(|print| (pane.saturating_mul(PANE_MS), *print)).collect();
                // A pane that is listed need not be copied any more.
                let slices: Vec<Vec<_>> = prints.chunks(SLICE).map(<[_]>::to_vec).collect();
                slices
            })
        });
        held
    }

    /// Whether it was not met before.
    fn meet(&mut self, print: u128, at: Instant) -> bool {
        let prints = Rc::make_mut(self.panes.entry(pane(at)).or_default());
        // One that has come so far grows at once to what is usual: to grow by halves moves all of it each time.
        if prints.len() == prints.capacity() && prints.len() >= self.usual / 8 {
            prints.reserve(self.usual.saturating_sub(prints.len()).max(1));
        }
        prints.insert(print)
    }

    /// Lets go of the hours before a cut.
    fn forget(&mut self, cut: Instant) {
        let whole = i64::from(!is_broken(Law::PanesStayWhole));
        while self.panes.first_key_value().is_some_and(|(pane, _)| (pane + whole).saturating_mul(PANE_MS) <= cut) {
            self.usual = self.panes.pop_first().map_or(0, |(_, prints)| prints.len());
        }
    }
}

/// Lets each event through once.
///
/// **Law.** Of events that are equal in the columns that count, one comes out, in the first epoch that has any. If
/// those are all columns, they are one event, and what comes out does not depend on how events came. If they are not,
/// the least of that epoch does: then the other columns depend on which events an epoch has, and SQL
/// over all events is exact for the columns that count alone. The time of an event is one of them: those that are
/// equal are in one pane, and when that has passed, whatever is still to come is late. Two different events of one hash
/// of 128 bits would count as one.
pub fn once<'s, T: ExchangeData>(
    met: Stream<'s, Met<T>>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    kept: &'static Kept<(Instant, u128)>,
) -> Stream<'s, (Instant, T)> {
    let held = Panes::kept_in(ledger, kept);
    let settings = settings.clone();
    let by_print = Exchange::new(|Met { print, .. }: &Met<T>| *print as u64);
    // Of what comes out of an epoch, in its order.
    let mut came_out = Vec::<u128>::new();
    let step = move |Epoch { input, watermark, .. }: Epoch<Met<T>>, out: &mut Vec<(Instant, T)>, _: &mut Vec<()>| {
        let panes = &mut *held.borrow_mut();
        came_out.clear();
        // Where the event of each print is. Nobody asks as long as no event is repeated.
        let mut places = None::<Map<u128, usize>>;
        // In the order in which they came: what is read one after the other lies so in memory too.
        for Met { print, at, what } in Epoch::records(input) {
            let is_new = panes.meet(print, at);
            // What was there in an earlier run is known, and nothing more.
            let Some(what) = what else { continue };
            let known = match is_new {
                true => None,
                false => {
                    let places = places.get_or_insert_with(|| came_out.iter().copied().zip(0..).collect());
                    places.get(&print).copied()
                }
            };
            if let Some(place) = known {
                let (_, least) = &mut out[place];
                if what < *least {
                    *least = what;
                }
            } else if is_new || is_broken(Law::RepeatedCountOnce) {
                places.iter_mut().for_each(|places| places.extend([(print, came_out.len())]));
                came_out.push(print);
                out.push((at, what));
            }
        }
        panes.forget(settings.forget_cut(watermark));
    };
    per_epoch(met, watermarks, by_print, kept.name, step).0
}

/// The same for events of which all columns count: those that are repeated are one event, so that the first to come goes on
/// at once, while what was made of it lies where it is quickly had.
///
/// **Law.** What comes out of an epoch is what [`once`] says.
pub fn once_at_once<'s, T: ExchangeData>(
    met: Stream<'s, Met<T>>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    kept: &'static Kept<(Instant, u128)>,
) -> Stream<'s, (Instant, T)> {
    let held = Panes::kept_in(ledger, kept);
    let settings = settings.clone();
    let mut builder = OperatorBuilder::new(kept.name.to_owned(), met.scope());
    let mut met = builder.new_input(met, Exchange::new(|Met { print, .. }: &Met<T>| *print as u64));
    let mut watermarks = builder.new_input(watermarks, Pipeline);
    let (first, first_out) = builder.new_output::<Vec<(Instant, T)>>();
    builder.build(move |_caps| {
        let mut first = OutputBuilder::<_, CapacityContainerBuilder<Vec<(Instant, T)>>>::from(first);
        let mut open = BTreeMap::<Time, (Capability<Time>, Vec<Vec<Met<T>>>)>::new();
        let (mut as_of, mut are_new) = (AsOf::default(), Vec::new());
        move |frontiers| {
            met.for_each_time(|cap, batches| {
                let (_, stash) = open.entry(*cap.time()).or_insert_with(|| (cap.retain(0), Vec::new()));
                stash.extend(batches.map(std::mem::take));
            });
            watermarks.for_each_time(|cap, values| {
                values.flat_map(|values| values.drain(..)).for_each(|watermark| as_of.note(*cap.time(), watermark));
                open.entry(*cap.time()).or_insert_with(|| (cap.retain(0), Vec::new()));
            });
            let mut first = first.activate();
            let panes = &mut *held.borrow_mut();
            while let Some(mut oldest) = open.first_entry() {
                let time = *oldest.key();
                // What is still to come of an epoch before was there before.
                if frontiers.iter().any(|frontier| frontier.less_than(&time)) {
                    break;
                }
                let (cap, stash) = oldest.get_mut();
                let mut session = first.session(cap);
                for batch in stash.drain(..) {
                    // What is looked up lies far apart: one after the other, with nothing else between, is waited for together.
                    are_new.clear();
                    are_new.extend(batch.iter().map(|Met { print, at, .. }| panes.meet(*print, *at)));
                    let counted = batch.into_iter().zip(&are_new);
                    // What was there in an earlier run is known, and nothing more.
                    session.give_iterator(counted.filter_map(|(Met { at, what, .. }, is_new)| {
                        let counts = *is_new || is_broken(Law::RepeatedCountOnce);
                        what.filter(|_| counts).map(|what| (at, what))
                    }));
                }
                drop(session);
                if frontiers.iter().any(|frontier| frontier.less_equal(&time)) {
                    break;
                }
                oldest.remove();
                panes.forget(settings.forget_cut(as_of.at(time)));
            }
        }
    });
    first_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Forgets;
    use proptest::prelude::*;
    use timely::dataflow::operators::{Input as _, Inspect as _};

    static BY_EPOCH: Kept<(Instant, u128)> = Kept { name: "by epoch", version: 1, forgets: Forgets::NamesNobody };
    static AT_ONCE: Kept<(Instant, u128)> = Kept { name: "at once", version: 1, forgets: Forgets::NamesNobody };

    /// An epoch: its events by their hours and numbers, how many of them come before the workers have a turn, and by how
    /// many hours the watermark moves.
    type Moment = (Vec<(i64, u128)>, usize, i64);

    /// What came out: in which epoch, of when, and what.
    type CameOut = Vec<(Time, Instant, u128)>;

    /// What came out by either, sorted, and how many are held after each epoch.
    fn played(moments: Vec<Moment>, ahead: bool) -> [(CameOut, Vec<usize>); 2] {
        timely::execute_directly(move |worker| {
            let settings = Settings { lateness_ms: Some(2 * PANE_MS), ..Settings::default() };
            let ledger = Ledger::default();
            let came_out: [Rc<RefCell<CameOut>>; 2] = Default::default();
            let (mut met, mut watermarks) = worker.dataflow(|scope| {
                let (met, of_met) = scope.new_input::<Vec<Met<u128>>>();
                let (watermarks, of_watermarks) = scope.new_input::<Vec<Instant>>();
                let by_epoch = once(of_met.clone(), of_watermarks.clone(), &settings, &ledger, &BY_EPOCH);
                let at_once = once_at_once(of_met, of_watermarks, &settings, &ledger, &AT_ONCE);
                for (stream, came_out) in [by_epoch, at_once].into_iter().zip(&came_out) {
                    let came_out = Rc::clone(came_out);
                    stream.inspect_time(move |time, (at, what)| came_out.borrow_mut().push((*time, *at, *what)));
                }
                (met, watermarks)
            });
            let (mut watermark, mut held) = (0, [Vec::new(), Vec::new()]);
            for (time, (events, turns, hours)) in (1..).zip(moments) {
                for (place, (hour, number)) in events.into_iter().enumerate() {
                    // Nothing is older than the cut: that would be late.
                    let at = watermark - 2 * PANE_MS + hour * PANE_MS / 2;
                    let print = number << 64 | u128::from(at as u64);
                    // What was there in an earlier run comes first of all.
                    met.send(Met { print, at, what: (time > 1).then_some(print) });
                    if place % turns == 0 {
                        met.flush();
                        worker.step();
                    }
                }
                watermark += hours * PANE_MS;
                watermarks.send(watermark);
                met.advance_to(time);
                // The watermark of an epoch may be known long after what comes in the next ones.
                if !ahead || time % 3 == 0 {
                    watermarks.advance_to(time);
                    for _ in 0..4 {
                        worker.step();
                    }
                    let live = ledger.live();
                    held.iter_mut().zip(live).for_each(|(held, (_, live))| held.push(live));
                }
            }
            drop((met, watermarks));
            while worker.has_dataflows() {
                worker.step();
            }
            let [by_epoch, at_once] = came_out.map(|came_out| {
                let mut came_out = came_out.take();
                came_out.sort_unstable();
                came_out
            });
            let [held, also_held] = held;
            [(by_epoch, held), (at_once, also_held)]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_goes_on_at_once_is_what_goes_on_at_the_end_of_an_epoch(
            moments in proptest::collection::vec(
                (proptest::collection::vec((0..8i64, 0..4u128), 0..40), 1..9usize, 0..3i64), 1..12),
            ahead in any::<bool>(),
        ) {
            let events: usize = moments.iter().map(|(events, ..)| events.len()).sum();
            let [by_epoch, at_once] = played(moments, ahead);
            prop_assert_eq!(&by_epoch.0, &at_once.0);
            prop_assert!(by_epoch.0.len() <= events);
            if !ahead {
                prop_assert_eq!(by_epoch.1, at_once.1);
            }
        }
    }
}
