//! State that nothing can change any more leaves memory.

use crate::state::{Ledger, State};
use crate::time::{Instant, Settings, housekeeping};
use crate::{Collection, Stream};
use differential_dataflow::AsCollection;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// How records of one kind leave.
pub struct Expire<D> {
    /// The operator's name, `metric/step`.
    pub name: &'static str,
    /// From when on no accepted event can change what the record is part of.
    pub end: fn(&D) -> Instant,
    /// The record as it stands in a snapshot, with its multiplicity.
    pub state: fn(&D, isize) -> State,
}

/// Passes the input through, and retracts what it passed of a record once the record has ended.
///
/// **Law.** A record leaves whole, in the odd epoch after the even epoch whose watermark passed
/// its end: the output at that epoch holds exactly the negation of all updates of the record. No
/// update of a record may arrive after its end has passed; the late split sees to that.
pub fn expire<'s, D>(
    input: Collection<'s, D>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    Expire { name, end, state }: Expire<D>,
) -> Collection<'s, D>
where
    D: Ord + Clone + Debug + 'static,
{
    let held = Rc::new(RefCell::new(BTreeMap::<(Instant, D), isize>::new()));
    ledger.enter(name, &held, BTreeMap::len, move |held, out| {
        out.extend(held.iter().map(|((_, record), count)| state(record, *count)));
    });
    let settings = settings.clone();
    input
        .inner
        .binary_frontier(watermarks, Pipeline, Pipeline, name, move |_cap, _info| {
            let mut closing = BTreeMap::new();
            move |(data, data_frontier), (watermarks, watermark_frontier), output| {
                let mut held = held.borrow_mut();
                data.for_each_time(|cap, updates| {
                    let mut session = output.session(&cap);
                    for batch in updates {
                        for (record, _, diff) in batch.iter() {
                            *held.entry((end(record), record.clone())).or_default() += diff;
                        }
                        session.give_container(batch);
                    }
                });
                watermarks.for_each_time(|cap, values| {
                    for watermark in values.flat_map(|values| values.drain(..)) {
                        closing.insert(*cap.time(), (cap.retain(output.output_index()), watermark));
                    }
                });
                while let Some(first) = closing.first_entry() {
                    if watermark_frontier.less_equal(first.key()) || data_frontier.less_equal(first.key()) {
                        break;
                    }
                    let (time, (cap, watermark)) = first.remove_entry();
                    let cut = settings.forget_cut(watermark);
                    let silent = housekeeping(time);
                    let cap = cap.delayed(&silent);
                    let mut session = output.session(&cap);
                    while let Some(oldest) = held.first_entry() {
                        if oldest.key().0 > cut {
                            break;
                        }
                        let ((_, record), count) = oldest.remove_entry();
                        session.give((record, silent, -count));
                    }
                }
            }
        })
        .as_collection()
}
