//! The metrics of events: their tables, and the dataflow of them.

use crate::Stream;
use crate::declared::aggregate::{Layout, is_person};
use crate::declared::answers::{self, Change, Questions, answers};
use crate::declared::endings::ending;
use crate::declared::fold::{Folding, Reading, fold, spread};
use crate::declared::plan::{Family as Plan, Metric, Node as Expression, Type};
use crate::declared::rollup::{FORGETS, Record, rollup};
use crate::declared::row::Declared;
use crate::declared::rows::{Place, Rows};
use crate::declared::said::{Said, Spare, begin};
use crate::declared::walk::read_columns;
use crate::family::Ending;
use crate::lane::Lane;
use crate::state::{Kept, KeptBy, Section};
use crate::table::{self, Column, Person, Role, Table, TableId};
use std::collections::BTreeSet;
use std::rc::Rc;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

/// What is known of a metric beside its plan.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What must be in its table, in SQL.
    pub sql: &'static str,
    /// What stands for all that is computed: what was kept is of the metric that has it, whatever that is called.
    pub print: u64,
    /// The same of the metric whose rows it is computed of, if it is.
    pub inner: Option<u64>,
}

/// The metrics of a plan. They stay for as long as the process.
pub struct Metrics {
    plan: Plan,
    known: Vec<Known>,
    tables: Vec<TableId>,
    groups: &'static Kept<Record>,
    /// The groups of metrics that are computed of what comes and goes.
    groups_of_rows: &'static Kept<Record>,
    /// The events that metrics ask something of, and those that answer.
    asked: &'static Kept<answers::Record>,
    /// Under which names the groups of each are counted.
    counted: Vec<&'static str>,
}

pub(super) fn leaked(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

/// The type that a table has for a type; none for numbers of other scales, which are in no table.
pub fn table_type(ty: Type) -> Option<table::Type> {
    match ty {
        Type::Boolean => Some(table::Type::Boolean),
        Type::Number(0) => Some(table::Type::Integer),
        Type::Number(2) => Some(table::Type::Money),
        Type::Number(3) => Some(table::Type::Milli),
        Type::Number(_) => None,
        Type::Instant => Some(table::Type::Instant),
        Type::Text => Some(table::Type::Text),
    }
}

/// A column of a table.
pub(super) fn column(name: &str, doc: &str, (ty, nullable): (Type, bool), is_person: bool) -> Column {
    let of_table = table_type(ty).unwrap_or_else(|| panic!("`{name}`: no table has {ty:?}"));
    let by = if of_table == table::Type::Integer { Person::Number } else { Person::Text };
    let person = is_person.then_some(by);
    Column { name: leaked(name), ty: of_table, nullable, incidental: false, person, emptied: None, doc: leaked(doc) }
}

/// The table of a metric: its outputs, of which the keys are the key.
fn metric_table(plan: &Plan, metric: &Metric) -> Table {
    let columns = metric.outputs.iter().map(|output| {
        let key = if let Expression::Key(place) = output.value.node { metric.keys.get(place) } else { None };
        let is_person = key.is_some_and(|key| is_person(key, plan.person));
        column(&output.name, &output.doc, (output.value.ty, output.value.nullable), is_person)
    });
    Table {
        name: leaked(&metric.name),
        doc: leaked(&metric.doc),
        role: Role::Metric,
        cluster_by_day: None,
        by_minute: None,
        key_columns: metric.keys.len(),
        columns: columns.collect(),
    }
}

impl Metrics {
    /// Those of a plan. `known` is what is known of them, in their order; what is kept of them is called by what is in
    /// front of it.
    ///
    /// # Panics
    /// If a column of a table is a number of a scale that no table has, or `known` is of other metrics, or says of two that
    /// they are one.
    pub fn leaked(plan: Plan, known: Vec<Known>, called: &str) -> &'static Metrics {
        assert_eq!(plan.metrics.len(), known.len(), "each metric of `{}` is known", plan.name);
        let prints: BTreeSet<u64> = known.iter().map(|known| known.print).collect();
        assert_eq!(prints.len(), known.len(), "no two metrics of `{}` have one print", plan.name);
        let name = leaked(&format!("{called}/groups"));
        let groups = Box::leak(Box::new(Kept { name, version: 1, forgets: FORGETS }));
        let groups_of_rows = Box::leak(Box::new(Kept {
            name: leaked(&format!("{called}/groups_of_rows")),
            version: 1,
            forgets: FORGETS,
        }));
        let asked = Box::leak(Box::new(Kept {
            name: leaked(&format!("{called}/asked")),
            version: 1,
            forgets: answers::FORGETS,
        }));
        let tables = plan.metrics.iter().map(|metric| TableId::leaked(metric_table(&plan, metric))).collect();
        let counted = plan.metrics.iter().map(|metric| leaked(&format!("{name}/{}", metric.name))).collect();
        Box::leak(Box::new(Metrics { plan, known, tables, groups, groups_of_rows, asked, counted }))
    }

    /// What they are of, and what they are.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Their tables, in the plan's order.
    pub fn tables(&self) -> &[TableId] {
        &self.tables
    }

    /// Their tables, and the SQL of each.
    pub fn with_sql(&self) -> impl Iterator<Item = (TableId, &'static str)> {
        self.tables.iter().zip(&self.known).map(|(id, known)| (*id, known.sql))
    }

    /// Under which name the groups of one are counted that are in memory.
    pub fn counted(&self, table: TableId) -> Option<&'static str> {
        let place = self.tables.iter().position(|id| *id == table)?;
        self.counted.get(place).copied()
    }

    /// Which columns of a table's key are windows of the event's time, or sessions, and how long before one an event would
    /// belong to it; none if it is none of these.
    pub fn windows(&self, table: TableId) -> Vec<(usize, i64)> {
        let place = self.tables.iter().position(|id| *id == table);
        let Some(metric) = place.and_then(|place| self.plan.metrics.get(place)) else { return Vec::new() };
        let session = metric.session().map(|gap_ms| (metric.keys.len() - 1, gap_ms));
        let before_ms = metric.inner().and_then(Metric::session).unwrap_or_else(|| metric.before_ms());
        metric.leaves.iter().map(|(place, _)| (*place, before_ms)).chain(session).collect()
    }

    /// When rows of a table have ended.
    pub fn ending(&self, table: TableId) -> Option<Ending> {
        let place = self.tables.iter().position(|id| *id == table)?;
        ending(self.plan.metrics.get(place)?)
    }

    /// What is kept of them.
    pub fn kept(&self) -> [&'static dyn KeptBy; 3] {
        [self.groups, self.groups_of_rows, self.asked]
    }

    /// Of the groups of some tables, those that are not kept for others too: rows of a metric may be read by several.
    ///
    /// # Errors
    /// If the section is not what this version writes.
    pub fn without_those_of(&self, section: &Section, others: &dyn Fn(TableId) -> bool) -> Result<Section, String> {
        let known = self.tables.iter().zip(&self.known).filter(|(id, _)| others(**id));
        let of_others: BTreeSet<u64> =
            known.flat_map(|(_, known)| known.inner.into_iter().chain([known.print])).collect();
        if section.name == self.asked.name {
            return self.asked.only(section, |record| !of_others.contains(&record.print));
        }
        match [self.groups, self.groups_of_rows].into_iter().find(|kept| kept.name == section.name) {
            Some(kept) => kept.only(section, |record| !of_others.contains(&record.print)),
            None => Ok(section.clone()),
        }
    }

    /// Whether any of them is computed.
    pub fn is_kept(&self, lane: &Lane<'_>) -> bool {
        self.tables.iter().any(|id| lane.settings.tables.contains(*id))
    }

    /// The metrics that are computed, by their numbers: those of tables, and behind them those that only others read.
    fn nodes(&self, is_kept: &dyn Fn(TableId) -> bool) -> Vec<Node<'_>> {
        let tables = self.plan.metrics.iter().zip(&self.known).zip(&self.tables).zip(&self.counted).enumerate();
        let mut nodes: Vec<Node<'_>> = tables
            .map(|(number, (((metric, known), id), counted))| Node {
                metric,
                print: known.print,
                counted: Some(*counted),
                table: u16::try_from(number).ok().filter(|_| is_kept(*id)),
                inner: None,
                read_by: None,
            })
            .collect();
        for number in 0..nodes.len() {
            let (metric, known) = (nodes[number].metric, &self.known[number]);
            let Some((inner, print)) = metric.inner().zip(known.inner) else { continue };
            let place = nodes.iter().position(|node| node.print == print).unwrap_or_else(|| {
                nodes.push(Node { metric: inner, print, counted: None, table: None, inner: None, read_by: None });
                nodes.len() - 1
            });
            nodes[number].inner = Some(place);
            if nodes[number].table.is_some() {
                nodes[place].read_by.get_or_insert_default().extend(read_columns(metric));
            }
        }
        nodes
    }

    /// Builds the tables that are kept: so many operators, however many they are; and as many again if any is computed of
    /// rows. Events come in time, each once.
    pub fn build<'s>(&self, events: Stream<'s, Declared>, lane: &mut Lane<'s>) {
        let nodes = self.nodes(&|id| lane.settings.tables.contains(id));
        let layout = |node: &Node<'_>| {
            let inner = node.metric.inner();
            let person = inner.map_or(self.plan.person, |inner| inner.person_of_rows(self.plan.person));
            Rc::new(Layout::of(&node.metric.kept(), person, node.metric.takes_changes()))
        };
        let layouts: Vec<_> = nodes.iter().map(layout).collect();
        let since = |table: Option<u16>| lane.settings.since.get(&self.tables[usize::from(table?)]).copied();
        let rows = nodes.iter().zip(&layouts).map(|(node, layout)| {
            Rows::of(Place {
                metric: node.metric,
                print: node.print,
                counted: node.counted.filter(|_| node.is_computed()),
                layout: Rc::clone(layout),
                table: node.table,
                read_by: node.read_by.clone(),
                inner: node.inner,
                since: since(node.table),
            })
        });
        let rows: Rc<[Rows]> = rows.collect();
        let of_events = nodes.iter().enumerate().filter(|(_, node)| node.is_computed() && !node.metric.takes_changes());
        let (events, answers) = self.answers(events, &nodes, lane);
        let reading = Reading::of(of_events.map(|(number, node)| (number, node.metric)), self.plan.person, &layouts);
        let name = leaked(&self.groups.name.replace("groups", "fold"));
        let spare = Spare::default();
        let said = fold(events, name, spare.clone(), move |folding: &mut Folding, event| {
            folding.take(&reading, &event.row, None)
        });
        let said = said.concat(self.said_before(self.groups, &nodes, &layouts, lane));
        let (readings, to_readers) = (self.readings(&nodes, &layouts), Spare::default());
        let (changed, of_rows) = rollup(
            said,
            lane.watermarks(),
            &lane.settings,
            &lane.ledger,
            (self.groups, false),
            (Rc::clone(&rows), spare),
            (Rc::clone(&readings), to_readers.clone()),
        );
        let name = leaked(&self.groups.name.replace("groups", "rows"));
        lane.changes_of_many(name, self.tables.clone(), changed);
        if nodes.iter().all(|node| node.read_by.is_none() && !node.asks()) {
            return;
        }
        let name = |what: &str| leaked(&self.groups_of_rows.name.replace("groups", what));
        let said = of_rows.concat(self.said_before(self.groups_of_rows, &nodes, &layouts, lane));
        let said = match answers {
            Some(answers) => {
                let take = move |folding: &mut Folding, change: &Change| {
                    folding.take(&readings[change.of], &change.row, Some(change.times));
                };
                said.concat(fold(answers, name("fold"), to_readers.clone(), take))
            }
            None => said,
        };
        let (changed, _) = rollup(
            said,
            lane.watermarks(),
            &lane.settings,
            &lane.ledger,
            (self.groups_of_rows, true),
            (rows, to_readers),
            // Nobody is computed of those again.
            (Rc::default(), Spare::default()),
        );
        lane.changes_of_many(name("rows"), self.tables.clone(), changed);
    }

    /// What is read of the rows of each metric, by those that are computed of them; of one that asks, of its events.
    fn readings(&self, nodes: &[Node<'_>], layouts: &[Rc<Layout>]) -> Rc<[Reading]> {
        let readings = nodes.iter().enumerate().map(|(of, inner)| {
            if inner.asks() {
                return Reading::of(std::iter::once((of, inner.metric)), self.plan.person, layouts);
            }
            let readers =
                nodes.iter().enumerate().filter(move |(_, node)| node.inner == Some(of) && node.table.is_some());
            let person = inner.metric.person_of_rows(self.plan.person);
            Reading::of(readers.map(|(number, node)| (number, node.metric)), person, layouts)
        });
        readings.collect()
    }

    /// The events, and those that metrics ask something of, with the answers; of these nothing if none of them asks.
    fn answers<'s>(
        &self,
        events: Stream<'s, Declared>,
        nodes: &[Node<'_>],
        lane: &Lane<'s>,
    ) -> (Stream<'s, Declared>, Option<Stream<'s, Change>>) {
        let asking = nodes.iter().enumerate().filter(|(_, node)| node.asks());
        let asking: Vec<_> = asking.map(|(number, node)| (number, node.print, node.metric)).collect();
        if asking.is_empty() {
            return (events, None);
        }
        let questions = Questions::of(&asking, self.plan.columns.len(), self.plan.person);
        let known = lane.restored(self.asked);
        let of_lane = (&lane.settings, &lane.ledger);
        let (events, answers) = answers(events, known, lane.watermarks(), of_lane, self.asked, questions);
        (events, Some(answers))
    }

    /// What was kept of those metrics that are computed. Of what there is no more is let go.
    fn said_before<'s>(
        &self,
        kept: &'static Kept<Record>,
        nodes: &[Node<'_>],
        layouts: &[Rc<Layout>],
        lane: &Lane<'s>,
    ) -> Stream<'s, Said> {
        let known = nodes.iter().zip(layouts).map(|(node, layout)| {
            let print = node.is_computed().then_some(node.print);
            (print, node.metric.session().is_some(), Rc::clone(layout))
        });
        let known: Vec<_> = known.collect();
        lane.restored(kept).flat_map(move |Record { print, keys, of }| {
            let number = known.iter().position(|(known, _, _)| *known == Some(print))?;
            let (_, is_session, layout) = &known[number];
            let mut key = Vec::with_capacity(keys.len() + 2);
            begin(number, &mut key);
            key.extend_from_slice(&keys);
            layout.is_of(&of).then(|| {
                let (to, hash) = spread(&key, *is_session);
                Said::of(to, hash, &key, of)
            })
        })
    }
}

/// A metric that is computed.
struct Node<'m> {
    metric: &'m Metric,
    print: u64,
    counted: Option<&'static str>,
    /// Its table, if that is kept.
    table: Option<u16>,
    /// The number of the metric whose rows it is computed of.
    inner: Option<usize>,
    /// Which columns of its rows others read that are kept; nothing if none is computed of them.
    read_by: Option<BTreeSet<usize>>,
}

impl Node<'_> {
    fn is_computed(&self) -> bool {
        self.table.is_some() || self.read_by.is_some()
    }

    /// Whether it is computed, and asks something of events.
    fn asks(&self) -> bool {
        self.is_computed() && !self.metric.asks.is_empty()
    }
}
