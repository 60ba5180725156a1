//! Which rows can no longer change.

use crate::operators::AsOf;
use crate::state::Ledger;
use crate::time::{Instant, Settings, Time};
use crate::{Collection, Stream};
use differential_dataflow::AsCollection;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// Marks each record with whether it has ended.
///
/// **Law.** At every epoch the output is `{ (d, end(d) <= cut(watermark)) }` of the input.
/// It stands upstream of `freeze`: that a window became final is news of the even epoch whose
/// watermark made it so. It remembers the records that are not final yet; restored input at an odd
/// epoch fills it again.
pub fn finality<'s, D>(
    input: Collection<'s, D>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    name: &'static str,
    cut: fn(&Settings, Instant) -> Instant,
    end: impl Fn(&D) -> Instant + 'static,
) -> Collection<'s, (D, bool)>
where
    D: Ord + Clone + Debug + 'static,
{
    let settings = settings.clone();
    let held = Rc::new(RefCell::new(BTreeMap::<(Instant, D), isize>::new()));
    ledger.count(name, &held, BTreeMap::len);
    input
        .inner
        .binary_frontier(watermarks, Pipeline, Pipeline, name, move |_cap, _info| {
            let mut open = BTreeMap::<Time, (_, Vec<(D, isize)>)>::new();
            let mut watermark = AsOf::default();
            let mut passed = Instant::MIN;
            move |(data, data_frontier), (watermarks, watermark_frontier), output| {
                data.for_each_time(|cap, updates| {
                    for (record, time, diff) in updates.flat_map(|batch| batch.drain(..)) {
                        let (_, stash) =
                            open.entry(time).or_insert_with(|| (cap.delayed(&time, output.output_index()), Vec::new()));
                        stash.push((record, diff));
                    }
                });
                watermarks.for_each_time(|cap, values| {
                    for value in values.flat_map(|values| values.drain(..)) {
                        watermark.note(*cap.time(), value);
                        open.entry(*cap.time()).or_insert_with(|| (cap.retain(output.output_index()), Vec::new()));
                    }
                });
                let mut provisional = held.borrow_mut();
                while let Some(first) = open.first_entry() {
                    let time = *first.key();
                    if data_frontier.less_equal(&time) || watermark_frontier.less_equal(&time) {
                        break;
                    }
                    let (cap, updates) = first.remove();
                    let mut session = output.session(&cap);
                    for (record, diff) in updates {
                        let end = end(&record);
                        let is_final = end <= passed;
                        if !is_final {
                            let held = provisional.entry((end, record.clone())).or_default();
                            *held += diff;
                            if *held == 0 {
                                provisional.remove(&(end, record.clone()));
                            }
                        }
                        session.give(((record, is_final), time, diff));
                    }
                    passed = cut(&settings, watermark.at(time));
                    while let Some(oldest) = provisional.first_entry() {
                        if oldest.key().0 > passed {
                            break;
                        }
                        let ((_, record), diff) = oldest.remove_entry();
                        session.give(((record.clone(), false), time, -diff));
                        session.give(((record, true), time, diff));
                    }
                }
            }
        })
        .as_collection()
}
