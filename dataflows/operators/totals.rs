//! Sums per key, of which only the changed ones are said again.

use crate::dense::Dense;
use crate::hash::Map;
use crate::operators::{Epoch, per_epoch};
use crate::state::{Kept, Ledger};
use crate::time::{Instant, Settings};
use crate::{Collection, Stream};
use differential_dataflow::difference::Semigroup;
use differential_dataflow::{AsCollection, ExchangeData, Hashable};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// From when on no accepted event can change a key's sum; never for entities.
pub type End<K> = Box<dyn Fn(&K) -> Option<Instant>>;

/// Which sums.
pub struct Totals<K: 'static, V: 'static> {
    /// The operator's name, `metric/step`.
    pub name: &'static str,
    /// When they leave.
    pub end: End<K>,
    /// How sums are kept; not at all if what others keep fills them again.
    pub kept: Option<&'static Kept<(K, V)>>,
}

struct Sums<K, V> {
    sums: Dense<K, V>,
    due: BTreeMap<Instant, Vec<K>>,
}

/// Adds up what is said of each key, and emits `-old, +new` for the sums that an epoch changed.
///
/// **Law.** The output accumulates to `{ (k, sum of all that was said of k) }` without the sums
/// that are zero. A key whose end has passed leaves and nothing is said of it: no accepted event
/// can change it any more, so its row stands.
pub fn totals<'s, K, V>(
    said: Stream<'s, (K, V)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
    Totals { name, end, kept }: Totals<K, V>,
) -> Collection<'s, (K, V)>
where
    K: ExchangeData + Hash,
    V: ExchangeData + Semigroup,
{
    let held = Rc::new(RefCell::new(Sums { sums: Dense::<K, V>::default(), due: BTreeMap::new() }));
    ledger.count(name, &held, |held| held.sums.len());
    if let Some(kept) = kept {
        ledger.keep(kept, &held, |held| held.sums.frozen(|key, sum, out| out.push((key.clone(), sum.clone()))));
    }
    let settings = settings.clone();
    let by_key = Exchange::new(|(key, _): &(K, V)| key.hashed());
    let step = move |Epoch { time, input, watermark }: Epoch<(K, V)>, out: &mut Vec<_>, _: &mut Vec<()>| {
        let mut fresh = Map::<K, V>::default();
        for (key, value) in Epoch::records(input) {
            match fresh.get_mut(&key) {
                Some(sum) => sum.plus_equals(&value),
                None => drop(fresh.insert(key, value)),
            }
        }
        let mut held = held.borrow_mut();
        for (key, change) in fresh {
            if change.is_zero() {
                continue;
            }
            match held.sums.get_mut(&key) {
                Some(sum) => {
                    out.push(((key.clone(), sum.clone()), time, -1));
                    sum.plus_equals(&change);
                    if sum.is_zero() {
                        held.sums.remove(&key);
                    } else {
                        out.push(((key, sum.clone()), time, 1));
                    }
                }
                None => {
                    if let Some(end) = end(&key) {
                        held.due.entry(end).or_default().push(key.clone());
                    }
                    out.push(((key.clone(), change.clone()), time, 1));
                    held.sums.insert(key, change);
                }
            }
        }
        let cut = settings.forget_cut(watermark);
        while let Some(first) = held.due.first_entry().filter(|first| *first.key() <= cut) {
            for key in first.remove() {
                held.sums.remove(&key);
            }
        }
    };
    per_epoch(said, watermarks, by_key, name, step).0.as_collection()
}
