//! Which version of a catalog item is in force, corrections included.

use super::prices::PricePoint;
use crate::dense::Dense;
use crate::events::CatalogContent;
use crate::hash::Map;
use crate::item::ItemId;
use crate::operators::{Epoch, per_epoch};
use crate::shop::settings::Settings;
use crate::state::{Forgets, Kept, Ledger};
use crate::time::{Instant, is_silent};
use crate::{Collection, Stream};
use differential_dataflow::{AsCollection, Hashable};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;

/// A version of an item. Versions are ordered by their fields: when they take effect, when they
/// were made, and, to break ties, their whole content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The later of its own timestamp and the catalog's cut when it arrived.
    pub effective_at: Instant,
    /// Its own timestamp.
    pub timestamp: Instant,
    /// What it says.
    pub content: Box<CatalogContent>,
}

/// A version of an item that can still matter.
pub static VERSIONS: Kept<(ItemId, Version)> =
    Kept { name: "shop/versions", version: 1, forgets: Forgets::NamesNobody };

/// All versions of all items of one worker that can still matter.
#[derive(Default)]
struct Items {
    versions: Dense<ItemId, BTreeSet<Version>>,
    /// When which item may be collapsed; each version enters once.
    due: BTreeSet<(Instant, ItemId)>,
    live: usize,
}

impl Items {
    fn insert(&mut self, item: &ItemId, version: Version, forget: bool) {
        if forget {
            self.due.insert((version.effective_at, item.clone()));
        }
        let versions = self.versions.get_or_default(item.clone());
        self.live += usize::from(versions.insert(version));
    }

    /// The version in force: the first of the last run of equal content, because a version that
    /// differs from its predecessor only in its timestamp is not a version.
    fn in_force(&self, item: &ItemId) -> Option<Version> {
        first_of_last_run(self.versions.get(item)?.iter().rev()).cloned()
    }

    /// The price from an instant on, if a version takes effect there: of several the last one counts.
    fn price_from(&self, item: &ItemId, at: Instant) -> Option<PricePoint> {
        let mut latest_first = self.versions.get(item)?.iter().rev();
        let version = latest_first.find(|version| version.effective_at <= at)?;
        (version.effective_at == at).then_some((at, version.content.price_cents))
    }

    /// Forgets, of what took effect before `cut`, all but what is in force there. Nothing can
    /// arrive there any more.
    fn forget(&mut self, cut: Instant) {
        while self.due.first().is_some_and(|(effective_at, _)| *effective_at < cut) {
            let Some((_, item)) = self.due.pop_first() else { break };
            let Some(versions) = self.versions.get_mut(&item) else { continue };
            let settled = || versions.iter().rev().skip_while(|version| version.effective_at >= cut);
            if let Some(keep) = first_of_last_run(settled()).cloned() {
                let before = versions.len();
                versions.retain(|version| version.effective_at >= cut || *version == keep);
                self.live -= before - versions.len();
            }
        }
    }
}

/// From versions in reverse order: the earliest one of those that agree with the latest.
fn first_of_last_run<'a>(mut latest_first: impl Iterator<Item = &'a Version>) -> Option<&'a Version> {
    let latest = latest_first.next()?;
    Some(latest_first.take_while(|version| version.content == latest.content).last().unwrap_or(latest))
}

/// What items cost from when on, as it comes and goes.
pub type Prices<'s> = Stream<'s, (ItemId, PricePoint, isize)>;

/// Per item the version in force at the end of time, and per item the prices from when on.
///
/// **Law.** Both outputs are functions of the set of versions, as `-old, +new` when an epoch changed
/// them. Memory holds one version per item and those that took effect after the catalog's cut.
pub fn in_force<'s>(
    versions: Stream<'s, (ItemId, Version)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    ledger: &Ledger,
) -> (Collection<'s, (ItemId, Version)>, Prices<'s>) {
    let held = Rc::new(RefCell::new(Items::default()));
    ledger.count(VERSIONS.name, &held, |held| held.live);
    ledger.keep(&VERSIONS, &held, |held| {
        held.versions.frozen(|item, versions, out| {
            out.extend(versions.iter().map(|version| (item.clone(), version.clone())));
        })
    });
    let settings = settings.clone();
    let forget = settings.lane.forget && settings.catalog_lateness_ms.is_some();
    let by_item = Exchange::new(|(item, _): &(ItemId, Version)| item.hashed());
    let step =
        move |Epoch { time, input, watermark }: Epoch<(ItemId, Version)>, out: &mut Vec<_>, prices: &mut Vec<_>| {
            let mut held = held.borrow_mut();
            let mut before = Map::default();
            let mut prices_before = Map::<(ItemId, Instant), Option<PricePoint>>::default();
            for (item, version) in Epoch::records(input) {
                before.entry(item.clone()).or_insert_with(|| held.in_force(&item));
                let at = version.effective_at;
                prices_before.entry((item.clone(), at)).or_insert_with(|| held.price_from(&item, at));
                held.insert(&item, version, forget);
            }
            for (item, before) in before {
                let now = held.in_force(&item);
                if before != now {
                    before.into_iter().for_each(|old| out.push(((item.clone(), old), time, -1)));
                    now.into_iter().for_each(|new| out.push(((item.clone(), new), time, 1)));
                }
            }
            for ((item, at), before) in prices_before.into_iter().filter(|_| !is_silent(time)) {
                let now = held.price_from(&item, at);
                if before != now {
                    before.into_iter().for_each(|old| prices.push((item.clone(), old, -1)));
                    now.into_iter().for_each(|new| prices.push((item.clone(), new, 1)));
                }
            }
            if forget {
                held.forget(settings.catalog_cut(watermark));
            }
        };
    let (items, prices) = per_epoch(versions, watermarks, by_item, "versions", step);
    (items.as_collection(), prices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(effective_at: Instant, title: &str) -> Version {
        let content = Box::new(CatalogContent { title: title.into(), ..CatalogContent::default() });
        Version { effective_at, timestamp: effective_at, content }
    }

    fn items(versions: &[(Instant, &str)]) -> Items {
        let mut items = Items::default();
        versions.iter().for_each(|(at, title)| items.insert(&"1".into(), version(*at, title), true));
        items
    }

    #[test]
    fn a_version_that_repeats_its_predecessor_is_none() {
        assert_eq!(items(&[(1, "a"), (2, "a")]).in_force(&"1".into()), Some(version(1, "a")));
        assert_eq!(items(&[(1, "a"), (3, "a"), (2, "b")]).in_force(&"1".into()), Some(version(3, "a")));
        assert_eq!(items(&[(1, "a"), (2, "b"), (2, "b")]).in_force(&"1".into()), Some(version(2, "b")));
    }

    #[test]
    fn forgetting_keeps_what_is_in_force_at_the_cut_and_changes_no_answer() {
        let mut items = items(&[(1, "b"), (2, "a"), (3, "a"), (7, "a"), (9, "c")]);
        items.forget(5);
        assert_eq!(items.live, 3);
        assert_eq!(items.in_force(&"1".into()), Some(version(9, "c")));
        items.insert(&"1".into(), version(8, "a"), true);
        items.insert(&"1".into(), version(10, "a"), true);
        assert_eq!(items.in_force(&"1".into()), Some(version(10, "a")));
        items.forget(100);
        assert_eq!((items.live, items.in_force(&"1".into())), (1, Some(version(10, "a"))));
    }
}
