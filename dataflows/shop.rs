//! The movie shop: registrations, sign events, views, carts, purchases, ratings, and a catalog.
//!
//! A metric is its file, its SQL beside it, and its line in [`METRICS`]. It asks for what it reads: streams of the
//! [`split`], and what several metrics share, which is built for the first that asks.

pub mod before;
pub mod cart;
mod clean;
mod columns;
mod endings;
pub mod events;
pub mod metric;
pub mod metrics;
pub mod operators;
pub mod over;
pub mod price;
pub mod raw;
pub mod settings;
pub mod split;

pub use settings::Settings;

use crate::declared::once::FORGETS;
use crate::declared::row::Declared;
use crate::events::{Arrival, Event};
use crate::family::{Configured, Ending, Family, FamilyId};
use crate::flow::{Inputs, Outputs};
use crate::gate::{Events, Gate};
use crate::item::ItemId;
use crate::lane::Lane;
use crate::operators::{LateSplit, Met, Watermarks, once, watermark};
use crate::state::{Kept, KeptBy, Ledger, Section};
use crate::table::{TableId, Value};
use crate::time::{Instant, Time};
use crate::wire::{Names, Reason};
use crate::{Collection, Stream};
use metric::Metric;
use metrics::*;
use operators::carts::{Asked, CartFact, EVENTS, EVENTS_OF_TEXTS, carts};
use operators::minutes::{CONTRIBUTIONS, EXTENT};
use operators::prices::{LINES, OfItem, POINTS, PricedLine, prices};
use operators::segments::{FACTS, KNOWN};
use operators::sessions::{OfMinutes, SIGNS, Session, sessions};
use operators::versions::{Prices, VERSIONS, Version, in_force};
use over::Readers;
use split::{Deed, Did, Split, Viewed};
use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;
use timely::dataflow::Scope;
use timely::dataflow::operators::vec::{Filter, Map};
use timely::dataflow::operators::{Concat, Concatenate};

/// The metrics, in the order in which they are shown. A metric's SQL may read those before it.
pub const METRICS: &[Metric] = &[
    registrations::USER_REGISTRATION_METRICS,
    checkouts::CHECKOUT_METRICS,
    session_metrics::SESSION_METRICS,
    active_sessions::ACTIVE_SESSIONS,
    movie_sale_lines::MOVIE_SALE_LINES,
    movie_sales_metrics::MOVIE_SALES_METRICS,
    movie_statistics::MOVIE_STATISTICS,
    user_activity::USER_ACTIVITY,
    user_segments::USER_SEGMENTS,
    users::USERS,
    movies_catalog::MOVIES_CATALOG,
];

/// What several metrics have in common: names, and the SQL that says what they are.
pub const PIECES: &[(&str, &str)] = &[
    ("sessions", include_str!("shop/metrics/sessions.sql")),
    ("cart_parts", include_str!("shop/metrics/cart_parts.sql")),
    ("sold_carts", include_str!("shop/metrics/sold_carts.sql")),
    ("prices", include_str!("shop/metrics/prices.sql")),
];

/// The raw tables, in the order in which they are shown.
pub const RAW: &[TableId] =
    &[raw::CONSUMER_EVENTS, raw::ITEM_VIEW_EVENTS, raw::CART_EVENTS, raw::RATING_EVENTS, raw::CATALOG_EVENTS];

/// What operators keep that several metrics read.
static SHARED: &[&dyn KeptBy] = &[
    &VERSIONS,
    &SIGNS,
    &CONTRIBUTIONS,
    &EXTENT,
    &EVENTS,
    &EVENTS_OF_TEXTS,
    &LINES,
    &POINTS,
    &KNOWN,
    &FACTS,
    &VIEWED,
    &clean::SAID,
];

/// The family of the movie shop.
pub struct MovieShop;

impl Family for MovieShop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        let declared = over::declared().iter().flat_map(|metrics| metrics.with_sql());
        METRICS.iter().map(|metric| (metric.table, metric.sql)).chain(declared).collect()
    }

    fn pieces(&self) -> Vec<(&'static str, &'static str)> {
        PIECES.to_vec()
    }

    fn raw(&self) -> Vec<TableId> {
        RAW.to_vec()
    }

    fn names(&self) -> &'static Names {
        events::FAMILY.names()
    }

    fn alone(&self) -> Box<dyn Gate> {
        Box::new(Events::alone(&events::ByNames))
    }

    fn reasons(&self) -> Vec<Reason> {
        events::reasons().collect()
    }

    fn kept(&self) -> Vec<&'static dyn KeptBy> {
        let declared = over::declared().iter().flat_map(|metrics| metrics.kept());
        // Nothing is repeated that nobody reads.
        let met: Option<&'static dyn KeptBy> = (!over::declared().is_empty()).then_some(&DECLARED);
        METRICS.iter().flat_map(|metric| metric.kept).chain(SHARED).copied().chain(declared).chain(met).collect()
    }

    fn event_of(&self, id: TableId, row: &[Value]) -> Option<Box<dyn Any>> {
        Some(Box::new(raw::event(id, row)?))
    }

    fn windows(&self, id: TableId) -> Vec<(usize, i64)> {
        over::declared().iter().flat_map(|metrics| metrics.windows(id)).collect()
    }

    fn ending(&self, id: TableId) -> Option<Ending> {
        over::declared().iter().find_map(|metrics| metrics.ending(id)).or_else(|| endings::ending(id))
    }

    fn without_those_of(&self, section: &Section, others: &dyn Fn(TableId) -> bool) -> Result<Section, String> {
        over::declared().iter().try_fold(section.clone(), |section, metrics| metrics.without_those_of(&section, others))
    }

    fn kept_side_by_side(&self) -> Vec<&'static str> {
        over::declared()
            .iter()
            .flat_map(|metrics| metrics.kept().map(|kept| kept.name()))
            .chain([DECLARED.name])
            .collect()
    }

    fn prints_of(&self, id: TableId, row: &[Value]) -> Vec<u128> {
        split::prints(id, row)
    }

    fn sections_of_before(&self, bytes: &[u8]) -> Option<Result<Vec<Section>, String>> {
        Some(before::sections(bytes))
    }
}

/// What the shop's metrics are built on, on one worker.
pub struct Shop<'s> {
    /// What every metric has.
    pub lane: Lane<'s>,
    /// What they are computed by.
    pub settings: Settings,
    /// The judged events.
    pub split: Split<'s>,
    sessions: Option<(Collection<'s, Session>, Stream<'s, OfMinutes>)>,
    catalog: Option<(Collection<'s, (ItemId, Version)>, Prices<'s>)>,
    sales: Option<Sales<'s>>,
    viewed: Option<Stream<'s, (Instant, Viewed)>>,
}

/// Which views there were, where those that are repeated count once.
pub static VIEWED: Kept<(Instant, u128)> = Kept { name: "shop/views/once", version: 1, forgets: FORGETS };

/// Which events there were that metrics read which are declared in SQL, where those that are repeated count once.
pub static DECLARED: Kept<(Instant, u128)> = Kept { name: "shop/declared/once", version: 1, forgets: FORGETS };

#[derive(Clone)]
struct Sales<'s> {
    lines: Collection<'s, PricedLine>,
    facts: Collection<'s, CartFact>,
    asked: Rc<Asked>,
}

impl<'s> Shop<'s> {
    /// The sessions, as the accepted events leave them.
    pub fn sessions(&mut self) -> Collection<'s, Session> {
        self.of_signs().0
    }

    /// What sessions change at minute boundaries.
    pub fn of_minutes(&mut self) -> Stream<'s, OfMinutes> {
        self.of_signs().1
    }

    fn of_signs(&mut self) -> (Collection<'s, Session>, Stream<'s, OfMinutes>) {
        let Shop { lane, settings, split, sessions: built, .. } = self;
        let build = || {
            let signs = split.signs.stream().concat(lane.restored(&SIGNS));
            sessions(signs, lane.watermarks(), settings, &lane.ledger)
        };
        built.get_or_insert_with(build).clone()
    }

    /// Views of items.
    pub fn views(&mut self) -> Stream<'s, ItemId> {
        match self.viewed() {
            Some(viewed) => viewed.map(|(_, (_, item_id))| item_id),
            None => self.split.views.stream(),
        }
    }

    /// Who did something, and when.
    pub fn deeds(&mut self) -> Stream<'s, Deed> {
        let deeds = self.split.deeds.stream();
        match self.viewed() {
            Some(viewed) => deeds.concat(viewed.map(|(at, (user_id, _))| Deed { user_id, at, what: Did::View })),
            None => deeds,
        }
    }

    /// What metrics read that are declared in SQL: which of them, by its place, and the event.
    fn declared(&mut self) -> Stream<'s, (usize, Declared)> {
        let Shop { lane, settings, split, .. } = self;
        if !settings.once {
            return split.declared.stream();
        }
        let known = lane.restored(&DECLARED).map(|(at, print)| Met { print, at, what: None });
        let met = split.declared_met.stream().concat(known);
        let first = once(met, lane.watermarks(), &lane.settings, &lane.ledger, &DECLARED);
        first.map(|(at, (place, row))| (place, Declared { at, row }))
    }

    /// The views, each once, if those that are repeated are to count once.
    fn viewed(&mut self) -> Option<Stream<'s, (Instant, Viewed)>> {
        let Shop { lane, settings, split, viewed: built, .. } = self;
        let build = || {
            let known = lane.restored(&VIEWED).map(|(at, print)| Met { print, at, what: None });
            once(split.viewed.stream().concat(known), lane.watermarks(), &lane.settings, &lane.ledger, &VIEWED)
        };
        settings.once.then(|| built.get_or_insert_with(build).clone())
    }

    /// The version in force of each item of the catalog.
    pub fn versions_in_force(&mut self) -> Collection<'s, (ItemId, Version)> {
        self.of_catalog().0
    }

    fn of_catalog(&mut self) -> (Collection<'s, (ItemId, Version)>, Prices<'s>) {
        let Shop { lane, settings, split, catalog: built, .. } = self;
        let build = || {
            let versions = split.catalog.stream().concat(lane.restored(&VERSIONS));
            in_force(versions, lane.watermarks(), settings, &lane.ledger)
        };
        built.get_or_insert_with(build).clone()
    }

    /// What was sold, with what was paid for it.
    pub fn sale_lines(&mut self) -> Collection<'s, PricedLine> {
        self.of_sales().lines
    }

    /// What else carts say of users.
    pub fn cart_facts(&mut self) -> Collection<'s, CartFact> {
        let sales = self.of_sales();
        sales.asked.facts.set(true);
        sales.facts
    }

    /// The same, and which carts stood abandoned.
    pub fn abandoned_carts(&mut self) -> Collection<'s, CartFact> {
        self.of_sales().asked.abandoned.set(true);
        self.cart_facts()
    }

    /// The catalog to prices, carts and prices to what was sold.
    fn of_sales(&mut self) -> Sales<'s> {
        if let Some(sales) = &self.sales {
            return sales.clone();
        }
        let points = self.of_catalog().1.map(|(item, point, diff)| (item, OfItem::Price(point, diff)));
        let Shop { lane, settings, split, .. } = self;
        let asked = Rc::<Asked>::default();
        let events = split.carts.stream().concat(lane.restored(&EVENTS));
        let kept = (&lane.ledger, &EVENTS);
        let (lines, facts) = carts(events, lane.watermarks(), settings, kept, Rc::clone(&asked));
        let of_texts = split.carts_of_texts.stream().concat(lane.restored(&EVENTS_OF_TEXTS));
        let kept = (&lane.ledger, &EVENTS_OF_TEXTS);
        let of_texts = carts(of_texts, lane.watermarks(), settings, kept, Rc::clone(&asked));
        let (lines, facts) = (lines.concat(of_texts.0), facts.concat(of_texts.1));
        let lines = lines.inner.map(|(line, _, diff)| (line.movie_id.clone(), OfItem::Line(line, diff)));
        let purchases = split.purchases.stream().map(|line| (line.movie_id.clone(), OfItem::Line(line, 1)));
        let held = lane.restored(&LINES).map(|(line, cents)| (line.movie_id.clone(), OfItem::Held(line, cents)));
        let known = lane.restored(&POINTS).map(|(item, point)| (item, OfItem::Price(point, 1)));
        let of_items = lane.scope.concatenate([lines, purchases, points, held, known]);
        let lines = prices(of_items, lane.watermarks(), settings, &lane.ledger);
        self.sales.insert(Sales { lines, facts, asked }).clone()
    }
}

impl Configured for Settings {
    fn family(&self) -> FamilyId {
        FamilyId(&MovieShop)
    }

    fn lane(&self) -> &crate::Settings {
        &self.lane
    }

    fn with(&self, lane: crate::Settings) -> Arc<dyn Configured> {
        Arc::new(Settings { lane, ..self.clone() })
    }

    fn judges_lines(&self) -> bool {
        self.lane.lateness_ms.is_some() || self.catalog_lateness_ms.is_some()
    }

    fn parameters(&self, watermark: Instant) -> Vec<(&'static str, i64)> {
        Settings::parameters(self, watermark)
    }

    fn unnamed(&self) -> Vec<(&'static str, Option<i64>)> {
        vec![("catalog_lateness_ms", self.catalog_lateness_ms)]
    }

    fn worded(&self) -> Vec<(&'static str, &'static str)> {
        // State that does not know which events there were fits none that does.
        if self.once { vec![("events/once", "everything")] } else { Vec::new() }
    }

    fn build<'s>(&self, scope: Scope<'s, Time>, inputs: Inputs<'s>, ledger: &Ledger) -> (Box<dyn Gate>, Outputs<'s>) {
        let (gate, arrivals) = Events::into(&events::ByNames, scope);
        (Box::new(gate), build(arrivals, inputs, self, ledger))
    }
}

/// Builds the dataflow of the tables that are kept.
pub fn build<'s>(
    arrivals: Stream<'s, Arrival<Event>>,
    Inputs { logs, reports, marks }: Inputs<'s>,
    settings: &Settings,
    ledger: &Ledger,
) -> Outputs<'s> {
    let scope = arrivals.scope();
    let Watermarks { watermarks, targets, pace } = watermark(reports, &settings.lane, logs.sequence.clone());
    let lane = Lane::new(scope, watermarks.clone(), &settings.lane, ledger);
    let mut judging = LateSplit::new(arrivals);
    let (routes, split) = split::taps(&mut judging);
    let mut shop =
        Shop { lane, settings: settings.clone(), split, sessions: None, catalog: None, sales: None, viewed: None };
    for metric in METRICS.iter().filter(|metric| settings.lane.tables.contains(metric.table)) {
        (metric.build)(&mut shop);
    }
    let declared: Vec<_> = over::declared().iter().copied().filter(|metrics| metrics.is_kept(&shop.lane)).collect();
    let read = (!declared.is_empty()).then(|| shop.declared());
    for (place, metrics) in declared.iter().enumerate() {
        let Some(read) = read.clone() else { continue };
        let events = read.filter(move |(of, _)| *of == place).map(|(_, event)| event);
        metrics.build(events, &mut shop.lane);
    }
    let raw = shop.split.raw.stream();
    let clean = settings.lane.clean.then(|| clean::events(&mut shop));
    let lines = settings.judges_lines().then(|| logs.sequence.clone());
    let route = split::route(routes, settings, Readers::of(&declared, settings), logs);
    let late = judging.build(targets.clone(), marks, &settings.lane, lines, route);
    let (changes, closed) = shop.lane.changes();
    Outputs { changes, closed, raw, clean, late, watermarks, targets, pace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Catalogue;
    use crate::table::{Column, Person, Role, Type, stamp_columns};
    use std::collections::BTreeSet;

    #[test]
    fn every_key_is_a_prefix_without_nulls_and_every_column_says_what_it_is() {
        let all = Catalogue::of(&[&MovieShop]);
        for id in all.tables() {
            let table = id.table();
            assert_eq!((table.name, all.by_name(table.name)), (id.name(), Some(*id)));
            let columns: BTreeSet<_> = table.columns.iter().map(|c| c.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{} repeats a column", table.name);
            assert!(table.key_columns > 0 && table.key_columns <= table.columns.len());
            assert!(table.columns[..table.key_columns].iter().all(|c| !c.nullable && !c.incidental));
            for column in table.columns.iter().chain(&stamp_columns()) {
                // It is shown without its table: in `.schema`, in Snowflake's comments, in Avro schemas.
                let stands_alone = column.doc.ends_with('.') && column.doc.split_whitespace().count() > 3;
                assert!(stands_alone, "{}.{}: {}", table.name, column.name, column.doc);
                assert!(column.ty != Type::Instant || column.doc.contains("UTC"), "{}.{}", table.name, column.name);
            }
            let names = |c: &Column| (c.person == Some(Person::Number)) == (c.name == "user_id");
            assert!(table.columns.iter().all(names), "{}: whose row is it?", table.name);
            let says_its_age =
                matches!(table.role, Role::Raw { at: Some(_) } | Role::Rejected { .. } | Role::Late { .. });
            let is_instant = |(_, age): (usize, &Column)| age.ty == Type::Instant && !age.nullable;
            assert_eq!(table.age().is_some_and(is_instant), says_its_age, "{}: how old is a row?", table.name);
        }
    }
}
