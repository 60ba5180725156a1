//! The families of events that this program has: the movie shop, and those that a model declares.

pub use dataflows::shop::events::{Event, FAMILY, TOPICS};

pub use crate::model::load::Loaded;
use crate::model::load::Model;
use crate::model::views::View;
use dataflows::declared::metrics::Metrics;
use dataflows::declared::plan::Metric;
use dataflows::family::{Catalogue, Family, FamilyId};
use dataflows::shop::events::Naming;
use dataflows::shop::{MovieShop, over};
use dataflows::table::TableId;
use dataflows::wire::{Names, Reason};
use std::sync::{LazyLock, OnceLock};

/// Those that are in this program: one line each.
const OURS: &[&dyn Family] = &[&MovieShop];

static OURS_ALONE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(OURS));

/// A topic of Kafka that is read.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// Of which family its events are.
    pub family: FamilyId,
    /// The event that it carries, for records that do not name theirs.
    pub event: &'static str,
    /// Its name, if the settings give it no other.
    pub name: &'static str,
    /// Whether it is read to its then end before any other.
    pub is_read_first: bool,
}

struct Everything {
    catalogue: Catalogue,
    declared: Vec<Loaded>,
    topics: Vec<Carried>,
    views: Vec<View>,
}

impl Everything {
    fn of(catalogue: Catalogue, declared: Vec<Loaded>, views: Vec<View>) -> Everything {
        let ours = TOPICS.iter().map(|topic| Carried {
            family: SHOP,
            event: topic.event,
            name: topic.name,
            is_read_first: topic.is_read_first,
        });
        let theirs = declared.iter().flat_map(|Loaded { family, events, .. }| {
            let family = FamilyId(*family);
            let carried = move |name| Carried { family, event: family.name(), name, is_read_first: false };
            events.topics.iter().map(String::as_str).map(carried)
        });
        let topics = ours.chain(theirs).collect();
        Everything { catalogue, declared, topics, views }
    }
}

static ALL: OnceLock<Everything> = OnceLock::new();

fn everything() -> &'static Everything {
    ALL.get_or_init(|| Everything::of(*OURS_ALONE, Vec::new(), Vec::new()))
}

/// The topics of Kafka that are read: those of the movie shop first, in the order of [`TOPICS`].
pub fn topics() -> &'static [Carried] {
    &everything().topics
}

/// All of them.
pub fn all() -> Catalogue {
    everything().catalogue
}

/// Those that a model declares.
pub fn declared() -> &'static [Loaded] {
    &everything().declared
}

/// The views that a model declares, in the order of their names.
pub fn views() -> &'static [View] {
    &everything().views
}

/// The metrics that a model declares: of its own events, family by family, then over ours.
pub fn metrics() -> impl Iterator<Item = &'static Metrics> {
    declared().iter().map(|loaded| loaded.family.metrics_made()).chain(over::declared().iter().copied())
}

/// The metric that is declared in a file, if the table is of one; and what else is computed of its events.
pub fn metric(id: TableId) -> Option<(&'static Metrics, &'static Metric)> {
    metrics().find_map(|metrics| {
        let place = metrics.tables().iter().position(|table| *table == id)?;
        Some((metrics, metrics.plan().metrics.get(place)?))
    })
}

/// Whether a table, a view or a piece of SQL of this program has the name.
pub fn is_ours(name: &str) -> bool {
    let all = *OURS_ALONE;
    let views = all.tables().iter().filter_map(|id| id.table().by_minute.as_ref().map(|view| view.name));
    let pieces = all.pieces().iter().map(|(name, _)| *name);
    all.by_name(name).is_some() || views.chain(pieces).any(|taken| taken == name) || all.family(name).is_some()
}

/// From now on these families are there too. A process has one model, which is known before anything asks for tables.
///
/// # Panics
/// If the families were asked for before.
pub fn declare(model: Model) {
    let Model { families: loaded, over, views } = model;
    over::declare(over);
    let families: Vec<&dyn Family> = OURS.iter().copied().chain(loaded.iter().map(|it| it.family as _)).collect();
    let is_first = ALL.set(Everything::of(Catalogue::of(&families), loaded, views)).is_ok();
    assert!(is_first, "the model is read before anything asks for tables");
}

/// The movie shop. Before anything named its family, it was of this one.
pub const SHOP: FamilyId = FamilyId(&MovieShop);

/// The names of the fields of each family's events; of the movie shop's, all by which this process reads any.
pub fn names() -> impl Iterator<Item = &'static Names> {
    all().families().iter().map(|family| family.names()).chain(Naming::all())
}

/// The names of the fields of a family's events; of the movie shop's, all by which this process reads any.
pub fn names_of(family: FamilyId) -> impl Iterator<Item = &'static Names> {
    std::iter::once(family.names()).chain(Naming::all().into_iter().filter(move |_| family == SHOP))
}

/// Every reason for which a record may be rejected.
pub fn reasons() -> impl Iterator<Item = Reason> {
    Reason::KERNEL.iter().copied().chain(all().families().iter().flat_map(|family| family.reasons()))
}

/// A table of theirs.
///
/// # Panics
/// If there is none of that name.
#[cfg(test)]
pub(crate) fn table(name: &str) -> dataflows::table::TableId {
    all().by_name(name).unwrap_or_else(|| panic!("there is no table `{name}`"))
}
