//! The metrics of events: their tables, and the dataflow of them.

use crate::Stream;
use crate::declared::aggregate::{Layout, is_person};
use crate::declared::fold::{Reading, fold, spread};
use crate::declared::plan::{Family as Plan, Metric, Node, Type};
use crate::declared::rollup::{FORGETS, Record, rollup};
use crate::declared::row::Declared;
use crate::declared::rows::Rows;
use crate::declared::said::{Said, begin};
use crate::lane::Lane;
use crate::state::{Kept, KeptBy};
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
}

/// The metrics of a plan. They stay for as long as the process.
pub struct Metrics {
    plan: Plan,
    known: Vec<Known>,
    tables: Vec<TableId>,
    groups: &'static Kept<Record>,
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
        let key = if let Node::Key(place) = output.value.node { metric.keys.get(place) } else { None };
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
        let tables = plan.metrics.iter().map(|metric| TableId::leaked(metric_table(&plan, metric))).collect();
        let counted = plan.metrics.iter().map(|metric| leaked(&format!("{name}/{}", metric.name))).collect();
        Box::leak(Box::new(Metrics { plan, known, tables, groups, counted }))
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
        metric.leaves.iter().map(|(place, _)| (*place, 0)).chain(session).collect()
    }

    /// What is kept of them.
    pub fn kept(&self) -> &'static dyn KeptBy {
        self.groups
    }

    /// Whether any of them is computed.
    pub fn is_kept(&self, lane: &Lane<'_>) -> bool {
        self.tables.iter().any(|id| lane.settings.tables.contains(*id))
    }

    /// Builds the tables that are kept: so many operators, however many they are. Events come in time, each once.
    pub fn build<'s>(&self, events: Stream<'s, Declared>, lane: &mut Lane<'s>) {
        let kept: Vec<bool> = self.tables.iter().map(|id| lane.settings.tables.contains(*id)).collect();
        let layout = |metric: &Metric| Rc::new(Layout::of(&metric.kept(), self.plan.person));
        let layouts: Vec<_> = self.plan.metrics.iter().map(layout).collect();
        let prints: Vec<u64> = self.known.iter().map(|known| known.print).collect();
        let rows = Rows::of(&self.plan, (&prints, &self.counted), &layouts, |number| {
            lane.settings.since.get(&self.tables[number]).copied()
        });
        let fold_name = leaked(&self.groups.name.replace("groups", "fold"));
        let said = fold(events, Reading::of(&self.plan, &layouts, |number| kept[number]), fold_name);
        // What was kept of a metric that there is no more is let go of.
        let are_sessions: Vec<bool> = self.plan.metrics.iter().map(|metric| metric.session().is_some()).collect();
        let said_before = lane.restored(self.groups).flat_map(move |Record { print, keys, of }| {
            let number = (0..prints.len()).find(|number| prints[*number] == print && kept[*number])?;
            let mut key = Vec::with_capacity(keys.len() + 2);
            begin(number, &mut key);
            key.extend_from_slice(&keys);
            let to = spread(&key, are_sessions[number]);
            layouts[number].is_of(&of).then(|| Said::of(to, &key, of))
        });
        let said = said.concat(said_before);
        let changed = rollup(said, lane.watermarks(), &lane.settings, &lane.ledger, self.groups, rows);
        let name = leaked(&self.groups.name.replace("groups", "rows"));
        lane.changes_of_many(name, self.tables.clone(), changed);
    }
}
