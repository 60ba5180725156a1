//! The shop's events as they are told of to those who compute their own of them.

use super::{RAW, Shop};
use crate::Stream;
use crate::declared::once::FORGETS;
use crate::operators::{Met, once};
use crate::raw::{Append, clean};
use crate::state::Kept;
use crate::time::Instant;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// Which events were told of, where those that are repeated count once.
pub static SAID: Kept<(Instant, u128)> = Kept { name: "shop/clean/once", version: 1, forgets: FORGETS };

/// The accepted events: of those that are repeated in time one, where they count once, and each that is late.
pub(super) fn events<'s>(Shop { lane, settings, split, .. }: &mut Shop<'s>) -> Stream<'s, Append> {
    let each = split.clean.stream();
    if !settings.once {
        return each;
    }
    let known = lane.restored(&SAID).map(|(at, print)| Met { print, at, what: None });
    let met = split.clean_met.stream().concat(known);
    let first = once(met, lane.watermarks(), &lane.settings, &lane.ledger, &SAID);
    each.concat(first.map(|(_, (place, own))| clean(RAW[place], own, false)))
}
