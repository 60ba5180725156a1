//! Which version of a catalog item is in force, corrections included.

use crate::events::CatalogContent;
use crate::operators::AsOf;
use crate::state::{Ledger, State};
use crate::time::{Instant, Settings, Time};
use crate::{Collection, Stream};
use differential_dataflow::{AsCollection, Hashable};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;

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

/// All versions of all items of one worker that can still matter.
#[derive(Default)]
struct Items {
    versions: HashMap<String, BTreeSet<Version>>,
    /// When which item may be collapsed; each version enters once.
    due: BTreeSet<(Instant, String)>,
    live: usize,
}

impl Items {
    fn insert(&mut self, item: &str, version: Version, forget: bool) {
        if forget {
            self.due.insert((version.effective_at, item.to_owned()));
        }
        let versions = self.versions.entry(item.to_owned()).or_default();
        self.live += usize::from(versions.insert(version));
    }

    /// The version in force: the first of the last run of equal content, because a version that
    /// differs from its predecessor only in its timestamp is no version.
    fn in_force(&self, item: &str) -> Option<Version> {
        first_of_last_run(self.versions.get(item)?.iter().rev()).cloned()
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

/// Per item the version in force at the end of time, as `-old, +new` when an epoch changed it.
///
/// **Law.** The output is a function of the set of versions. Memory holds one version per item and
/// those that took effect after the catalog's cut.
pub fn in_force<'s>(
    versions: Stream<'s, ((String, Version), Time, isize)>,
    watermarks: Stream<'s, Instant>,
    settings: &Settings,
    name: &'static str,
    ledger: &Ledger,
) -> Collection<'s, (String, Version)> {
    let held = Rc::new(RefCell::new(Items::default()));
    ledger.enter(
        name,
        &held,
        |held| held.live,
        |held, out| {
            out.extend(held.versions.iter().flat_map(|(item, versions)| {
                versions.iter().map(|version| {
                    let Version { effective_at, timestamp, content } = version.clone();
                    State::CatalogVersion(item.clone(), effective_at, timestamp, content)
                })
            }));
        },
    );
    let settings = settings.clone();
    let by_item = Exchange::new(|((item, _), _, _): &((String, Version), Time, isize)| item.hashed());
    versions
        .binary_frontier(watermarks, by_item, Pipeline, name, move |_cap, _info| {
            let forget = settings.forget && settings.catalog_lateness_ms.is_some();
            let mut open = BTreeMap::<Time, (_, Vec<(String, Version)>)>::new();
            let mut watermark = AsOf::default();
            move |(input, frontier), (watermarks, watermark_frontier), output| {
                input.for_each_time(|cap, data| {
                    let (_, stash) =
                        open.entry(*cap.time()).or_insert_with(|| (cap.retain(output.output_index()), Vec::new()));
                    stash.extend(data.flat_map(|batch| batch.drain(..)).map(|(pair, _, _)| pair));
                });
                watermarks.for_each_time(|cap, values| {
                    for value in values.flat_map(|values| values.drain(..)) {
                        watermark.note(*cap.time(), value);
                        open.entry(*cap.time()).or_insert_with(|| (cap.retain(output.output_index()), Vec::new()));
                    }
                });
                let mut held = held.borrow_mut();
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(first.key()) || watermark_frontier.less_equal(first.key()) {
                        break;
                    }
                    let (time, (cap, pairs)) = first.remove_entry();
                    let mut before = HashMap::new();
                    for (item, version) in pairs {
                        before.entry(item.clone()).or_insert_with(|| held.in_force(&item));
                        held.insert(&item, version, forget);
                    }
                    let mut session = output.session(&cap);
                    for (item, before) in before {
                        let now = held.in_force(&item);
                        if before != now {
                            before.into_iter().for_each(|old| session.give(((item.clone(), old), time, -1)));
                            now.into_iter().for_each(|new| session.give(((item.clone(), new), time, 1)));
                        }
                    }
                    if forget {
                        held.forget(settings.catalog_cut(watermark.at(time)));
                    }
                }
            }
        })
        .as_collection()
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
        versions.iter().for_each(|(at, title)| items.insert("1", version(*at, title), true));
        items
    }

    #[test]
    fn a_version_that_repeats_its_predecessor_is_none() {
        assert_eq!(items(&[(1, "a"), (2, "a")]).in_force("1"), Some(version(1, "a")));
        assert_eq!(items(&[(1, "a"), (3, "a"), (2, "b")]).in_force("1"), Some(version(3, "a")));
        assert_eq!(items(&[(1, "a"), (2, "b"), (2, "b")]).in_force("1"), Some(version(2, "b")));
    }

    #[test]
    fn forgetting_keeps_what_is_in_force_at_the_cut_and_changes_no_answer() {
        let mut items = items(&[(1, "b"), (2, "a"), (3, "a"), (7, "a"), (9, "c")]);
        items.forget(5);
        assert_eq!(items.live, 3);
        assert_eq!(items.in_force("1"), Some(version(9, "c")));
        items.insert("1", version(8, "a"), true);
        items.insert("1", version(10, "a"), true);
        assert_eq!(items.in_force("1"), Some(version(10, "a")));
        items.forget(100);
        assert_eq!((items.live, items.in_force("1")), (1, Some(version(10, "a"))));
    }
}
