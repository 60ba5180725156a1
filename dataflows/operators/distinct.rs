//! Distinct users per window, by the panes they were seen in.

use crate::Stream;
use crate::dense::SLICE;
use crate::hash::{Map, Set};
use crate::operators::{Epoch, per_epoch};
use crate::state::{Kept, Ledger};
use crate::time::{Instant, Settings};
use crate::window::{self, SLIDE_MS, WIDTH_MS, Window};
use differential_dataflow::Hashable;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// How many panes on either side of a pane share a window with it.
const REACH: i64 = WIDTH_MS / SLIDE_MS - 1;

#[derive(Default)]
struct Panes {
    /// Each in an `Rc`: the first user of a pane that is frozen copies it, which is one stretch of memory.
    users: BTreeMap<Instant, Rc<Set<u64>>>,
}

impl Panes {
    /// Users seen in a pane: counts each in the windows that had not seen it.
    fn see(&mut self, pane: Instant, seen: Vec<u64>, counts: &mut Map<Window, isize>) {
        let mut of_pane = self.users.remove(&pane).unwrap_or_default();
        let users = Rc::make_mut(&mut of_pane);
        let neighbours: Vec<_> = self.users.range(pane - REACH * SLIDE_MS..=pane + REACH * SLIDE_MS).collect();
        let windows: Vec<_> = window::containing(pane).collect();
        let mut gained = vec![0; windows.len()];
        for user in seen {
            if !users.insert(user) {
                continue;
            }
            let mut counted = vec![false; windows.len()];
            for (other, _) in neighbours.iter().filter(|(_, users)| users.contains(&user)) {
                for (counted, window) in counted.iter_mut().zip(&windows) {
                    *counted |= window.start <= **other && **other < window.end();
                }
            }
            for (gained, counted) in gained.iter_mut().zip(counted) {
                *gained += isize::from(!counted);
            }
        }
        for (window, gained) in windows.into_iter().zip(gained).filter(|(_, gained)| *gained > 0) {
            *counts.entry(window).or_default() += gained;
        }
        self.users.insert(pane, of_pane);
    }
}

/// Who was seen when, to how many distinct users each window gained.
///
/// **Law.** The output accumulates to the number of distinct users per window. A pane is held, one
/// entry per user, until the last window that contains it can no longer change, and leaves without
/// a word. Restored panes count again at their odd epoch: they fill what sums up downstream.
pub fn distinct<'s>(
    seen: Stream<'s, (Instant, u64)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    kept: &'static Kept<(Instant, u64)>,
) -> Stream<'s, (Window, isize)> {
    let held = Rc::new(RefCell::new(Panes::default()));
    ledger.count(kept.name, &held, |held| held.users.values().map(|users| users.len()).sum());
    ledger.keep(kept, &held, |held| {
        held.users.clone().into_iter().flat_map(|(pane, users)| {
            // A pane that is listed need not be copied any more; its records are many times as large.
            let users: Vec<_> = users.iter().copied().collect();
            let slices = users.len().div_ceil(SLICE);
            (0..slices).map(move |at| {
                let slice = &users[at * SLICE..users.len().min((at + 1) * SLICE)];
                slice.iter().map(|user| (pane, *user)).collect()
            })
        })
    });
    let settings = settings.clone();
    let by_user = Exchange::new(|(_, user): &(Instant, u64)| user.hashed());
    let step = move |Epoch { input, watermark, .. }: Epoch<(Instant, u64)>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let mut held = held.borrow_mut();
        let mut panes = BTreeMap::<Instant, Vec<u64>>::new();
        for (at, user) in Epoch::records(input) {
            panes.entry(window::pane(at)).or_default().push(user);
        }
        let mut counts = Map::default();
        for (pane, users) in panes {
            held.see(pane, users, &mut counts);
        }
        out.extend(counts);
        let cut = settings.forget_cut(watermark);
        while held.users.first_key_value().is_some_and(|(pane, _)| window::last_end(*pane) <= cut) {
            held.users.pop_first();
        }
    };
    per_epoch(seen, watermarks, by_user, kept.name, step).0
}
