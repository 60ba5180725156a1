//! One value per key, merged from all that was ever said of the key.

use crate::dense::Dense;
use crate::hash::Map;
use crate::state::{Kept, Ledger};
use crate::time::Time;
use crate::{Collection, Stream};
use differential_dataflow::{AsCollection, ExchangeData, Hashable};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

/// Keeps per key the merge of its values, and emits `-old, +new` for the keys that an epoch changed.
///
/// **Law.** `merge` is commutative, associative and idempotent; then the value of a key is a
/// function of the set of its values, in whatever order, chopping or repetition they came.
/// One record per key forever: use it for entities (users), not for what passes by.
pub fn merge<'s, K, V>(
    values: Stream<'s, (K, V)>,
    kept: &'static Kept<(K, V)>,
    ledger: &Ledger,
    merge: fn(&mut V, V),
) -> Collection<'s, (K, V)>
where
    K: ExchangeData + Hash,
    V: ExchangeData,
{
    let held = Rc::new(RefCell::new(Dense::<K, V>::default()));
    ledger.count(kept.name, &held, Dense::len);
    ledger.keep(kept, &held, |held| held.frozen(|key, value, out| out.push((key.clone(), value.clone()))));
    let by_key = Exchange::new(|(key, _): &(K, V)| key.hashed());
    values
        .unary_frontier(by_key, kept.name, move |_cap, _info| {
            let mut open = BTreeMap::<Time, (_, Vec<(K, V)>)>::new();
            move |(input, frontier), output| {
                input.for_each_time(|cap, data| {
                    let (_, stash) =
                        open.entry(*cap.time()).or_insert_with(|| (cap.retain(output.output_index()), Vec::new()));
                    stash.extend(data.flat_map(|batch| batch.drain(..)));
                });
                let mut held = held.borrow_mut();
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(first.key()) {
                        break;
                    }
                    let (time, (cap, pairs)) = first.remove_entry();
                    let mut before = Map::<K, Option<V>>::default();
                    for (key, value) in pairs {
                        let now = held.get_mut(&key);
                        before.entry(key.clone()).or_insert_with(|| now.as_ref().map(|now| V::clone(now)));
                        match now {
                            Some(now) => merge(now, value),
                            None => held.insert(key, value),
                        }
                    }
                    let mut session = output.session(&cap);
                    for (key, before) in before {
                        let Some(now) = held.get(&key) else { continue };
                        if before.as_ref() != Some(now) {
                            if let Some(before) = before {
                                session.give(((key.clone(), before), time, -1));
                            }
                            session.give(((key, now.clone()), time, 1));
                        }
                    }
                }
            }
        })
        .as_collection()
}
