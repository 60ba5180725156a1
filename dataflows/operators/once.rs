//! Events that are repeated count once.

use crate::Stream;
use crate::broken::{Law, is_broken};
use crate::dense::SLICE;
use crate::hash::{Map, Set};
use crate::operators::{Epoch, per_epoch};
use crate::state::{Kept, Ledger};
use crate::time::{Instant, Settings};
use differential_dataflow::ExchangeData;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

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

#[derive(Default)]
struct Panes(BTreeMap<Instant, Rc<Set<u128>>>);

fn pane(at: Instant) -> Instant {
    at.div_euclid(PANE_MS)
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
    let held = Rc::new(RefCell::new(Panes::default()));
    ledger.count(kept.name, &held, |Panes(panes)| panes.values().map(|prints| prints.len()).sum());
    ledger.keep(kept, &held, |Panes(panes)| {
        panes.clone().into_iter().flat_map(|(pane, prints)| {
            let prints: Vec<_> = prints.iter().map(|print| (pane.saturating_mul(PANE_MS), *print)).collect();
            // A pane that is listed need not be copied any more.
            let slices: Vec<Vec<_>> = prints.chunks(SLICE).map(<[_]>::to_vec).collect();
            slices
        })
    });
    let settings = settings.clone();
    let by_print = Exchange::new(|Met { print, .. }: &Met<T>| *print as u64);
    // Of what comes out of an epoch, in its order.
    let mut came_out = Vec::<u128>::new();
    let step = move |Epoch { input, watermark, .. }: Epoch<Met<T>>, out: &mut Vec<(Instant, T)>, _: &mut Vec<()>| {
        let Panes(panes) = &mut *held.borrow_mut();
        came_out.clear();
        // Where the event of each print is. Nobody asks as long as no event is repeated.
        let mut places = None::<Map<u128, usize>>;
        // In the order in which they came: what is read one after the other lies so in memory too.
        for Met { print, at, what } in Epoch::records(input) {
            let is_new = Rc::make_mut(panes.entry(pane(at)).or_default()).insert(print);
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
        let cut = settings.forget_cut(watermark);
        let whole = i64::from(!is_broken(Law::PanesStayWhole));
        while panes.first_key_value().is_some_and(|(pane, _)| (pane + whole).saturating_mul(PANE_MS) <= cut) {
            panes.pop_first();
        }
    };
    per_epoch(met, watermarks, by_print, kept.name, step).0
}
