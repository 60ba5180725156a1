//! A declared family, as everything outside knows a family; and the dataflow of its lane.

use crate::declared::aggregate::{Layout, is_person};
use crate::declared::fold::{Reading, Said, fold, group_key, number};
use crate::declared::once::{Met, once, print};
use crate::declared::plan::{Family as Plan, Metric, Node, Once, Type};
use crate::declared::reading::{REASONS, Reader};
use crate::declared::rollup::{FORGETS, Line, Record, Rows, rollup, value};
use crate::declared::row::Declared;
use crate::declared::sip;
use crate::events::{Logs, Origin};
use crate::family::{Configured, Family, FamilyId};
use crate::flow::{Inputs, Outputs};
use crate::gate::{Events, Gate};
use crate::lane::Lane;
use crate::operators::{Judged, LateSplit, Watermarks, watermark};
use crate::raw::{Append, origin_values, raw_table};
use crate::state::{Forgets, Kept, KeptBy, Ledger};
use crate::table::{self, Column, Person, Role, Table, TableId};
use crate::time::{Instant, Settings, Time};
use crate::wire::{Names, Reason};
use std::collections::BTreeSet;
use std::rc::Rc;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

crate::taps! {
    /// Events of a family in which those that are repeated count once.
    met: Met;
    /// Events of any other.
    events: Declared;
    /// Rows of the raw table, of late events too.
    raw: Append;
}

/// What is known of a metric beside its plan.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What must be in its table, in SQL.
    pub sql: &'static str,
    /// What stands for all that is computed: what was kept is of the metric that has it, whatever that is called.
    pub print: u64,
}

/// A declared family. It stays for as long as the process.
pub struct Made {
    plan: Plan,
    known: Vec<Known>,
    reader: &'static Reader,
    declaration: i64,
    raw: TableId,
    tables: Vec<TableId>,
    met: &'static Kept<(Instant, u128)>,
    groups: &'static Kept<Record>,
}

fn leaked(text: &str) -> &'static str {
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

fn column(name: &str, doc: &str, (ty, nullable): (Type, bool), is_person: bool) -> Column {
    let of_table = table_type(ty).unwrap_or_else(|| panic!("`{name}`: no table has {ty:?}"));
    // A person that is a text is not known to `forget`.
    let person = (is_person && of_table == table::Type::Integer).then_some(Person::Number);
    Column { name: leaked(name), ty: of_table, nullable, incidental: false, person, doc: leaked(doc) }
}

/// The raw table of a family: where an event came from, and its columns as they are declared.
fn raw(plan: &Plan) -> Table {
    let is_person = |place| plan.person == Some(place);
    let columns = plan.columns.iter().enumerate();
    let own = columns.map(|(n, is)| column(&is.name, &is.doc, (is.ty, is.nullable), is_person(n)));
    let at = plan.columns.get(plan.time).map(|time| leaked(&time.name));
    raw_table(leaked(&plan.name), leaked(&plan.doc), Role::Raw { at }, own)
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

/// What stands for what an event of a family is: it is another where a record would give another row.
fn declaration(plan: &Plan, reader: &Reader) -> i64 {
    let Plan { name: _, doc: _, columns, time, person, once, metrics: _ } = plan;
    let columns: Vec<_> = columns.iter().map(|column| (&column.name, column.ty, column.nullable)).collect();
    let said = format!("{columns:?} {time} {person:?} {once:?} {:?}", reader.readings());
    sip::hash([0, 0], said.as_bytes()) as i64
}

impl Made {
    /// The family of a plan. `known` is what is known of its metrics, in their order; `reader` reads its events. Its
    /// memory is never given back.
    ///
    /// # Panics
    /// If a column of a table is a number of a scale that no table has, or `known` is of other metrics, or says of two that
    /// they are one.
    pub fn leaked(plan: Plan, known: Vec<Known>, reader: &'static Reader) -> &'static Made {
        assert_eq!(plan.metrics.len(), known.len(), "each metric of `{}` is known", plan.name);
        let prints: BTreeSet<u64> = known.iter().map(|known| known.print).collect();
        assert_eq!(prints.len(), known.len(), "no two metrics of `{}` have one print", plan.name);
        let name = |what: &str| leaked(&format!("{}/declared/{what}", plan.name));
        // A hash of an event names nobody. That of one whose person is forgotten stays: the same event is not new again.
        let met = Box::leak(Box::new(Kept { name: name("once"), version: 1, forgets: Forgets::NamesNobody }));
        let groups = Box::leak(Box::new(Kept { name: name("groups"), version: 1, forgets: FORGETS }));
        let tables = plan.metrics.iter().map(|metric| TableId::leaked(metric_table(&plan, metric))).collect();
        let declaration = declaration(&plan, reader);
        let raw = TableId::leaked(raw(&plan));
        Box::leak(Box::new(Made { plan, known, reader, declaration, raw, tables, met, groups }))
    }

    /// What it is.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its raw table.
    pub fn raw_table(&self) -> TableId {
        self.raw
    }

    /// The tables of its metrics, in the plan's order.
    pub fn tables(&self) -> &[TableId] {
        &self.tables
    }
}

impl Family for Made {
    fn name(&self) -> &'static str {
        self.raw.name()
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        self.tables.iter().zip(&self.known).map(|(id, known)| (*id, known.sql)).collect()
    }

    fn pieces(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn raw(&self) -> Vec<TableId> {
        vec![self.raw]
    }

    fn names(&self) -> &'static Names {
        self.reader.names()
    }

    fn alone(&self) -> Box<dyn Gate> {
        Box::new(Events::<Declared, _>::alone(self.reader))
    }

    fn reasons(&self) -> Vec<Reason> {
        REASONS.to_vec()
    }

    fn kept(&self) -> Vec<&'static dyn KeptBy> {
        let met: Option<&'static dyn KeptBy> = self.plan.once.is_some().then_some(self.met);
        met.into_iter().chain([self.groups as &dyn KeptBy]).collect()
    }
}

/// A declared family with its settings: it has none but those of every lane.
#[derive(Clone)]
pub struct WithSettings {
    /// The family.
    pub family: &'static Made,
    /// What every lane has.
    pub lane: Settings,
}

impl Configured for WithSettings {
    fn family(&self) -> FamilyId {
        FamilyId(self.family)
    }

    fn lane(&self) -> &Settings {
        &self.lane
    }

    fn unnamed(&self) -> Vec<(&'static str, Option<i64>)> {
        // Which records are its events, and what each says. No SQL can tell.
        vec![("declaration", Some(self.family.declaration))]
    }

    fn build<'s>(&self, scope: Scope<'s, Time>, inputs: Inputs<'s>, ledger: &Ledger) -> (Box<dyn Gate>, Outputs<'s>) {
        let Inputs { logs, reports, marks } = inputs;
        let (gate, arrivals) = Events::into(self.family.reader, scope);
        let Watermarks { watermarks, targets, pace } = watermark(reports, &self.lane, logs.sequence.clone());
        let mut lane = Lane::new(scope, watermarks.clone(), &self.lane, ledger);
        let mut judging = LateSplit::new(arrivals);
        let (routes, split) = taps(&mut judging);
        self.family.metrics_of(&split, &mut lane);
        let raw = split.raw.stream();
        let lines = self.judges_lines().then(|| logs.sequence.clone());
        let late = judging.build(targets.clone(), marks, &self.lane, lines, self.route(routes, logs));
        let (changes, closed) = lane.changes();
        (Box::new(gate), Outputs { changes, closed, raw, late, watermarks, targets, pace })
    }
}

impl WithSettings {
    /// Puts an event where it is read.
    fn route(&self, routes: Routes, logs: Logs) -> impl FnMut(Declared, &Origin, Judged) + 'static {
        let (made, writes_raw, mut spare) = (self.family, self.lane.raw, Vec::new());
        move |event, origin, Judged { is_late, .. }| {
            if writes_raw {
                routes.raw.put(|| made.append(&event, origin, &logs));
            }
            if is_late {
                return;
            }
            match &made.plan.once {
                Some(Once { of }) => routes.met.put(|| {
                    let print = print(&event.row, of, &mut spare);
                    Met { print, at: event.at, row: Some(event.row) }
                }),
                None => routes.events.put(|| event),
            }
        }
    }
}

impl Made {
    /// The row of an event in the raw table.
    fn append(&self, event: &Declared, origin: &Origin, logs: &Logs) -> Append {
        let columns = self.plan.columns.iter().enumerate();
        let own = columns.map(|(place, column)| value(event.row.column(place), column.ty));
        Append { table: self.raw, values: origin_values(origin, logs).into_iter().chain(own).collect() }
    }

    /// Builds the tables that are kept: so many operators, however many they are.
    fn metrics_of<'s>(&self, split: &Split<'s>, lane: &mut Lane<'s>) {
        let kept: Vec<bool> = self.tables.iter().map(|id| lane.settings.tables.contains(*id)).collect();
        if !kept.contains(&true) {
            return;
        }
        let layout = |metric: &Metric| Rc::new(Layout::of(&metric.aggregates, self.plan.person));
        let layouts: Vec<_> = self.plan.metrics.iter().map(layout).collect();
        let prints: Vec<u64> = self.known.iter().map(|known| known.print).collect();
        let rows = Rows::of(&self.plan, &prints, &layouts);
        let events = match &self.plan.once {
            Some(_) => {
                let known = lane.restored(self.met).map(|(at, print)| Met { print, at, row: None });
                let met = split.met.stream().concat(known);
                once(met, lane.watermarks(), &lane.settings, &lane.ledger, self.met)
            }
            None => split.events.stream(),
        };
        let fold_name = leaked(&format!("{}/declared/fold", self.plan.name));
        let said = fold(events, Reading::of(&self.plan, &layouts, |number| kept[number]), fold_name);
        // What was kept of a metric that there is no more is let go of.
        let said_before = lane.restored(self.groups).flat_map(move |Record { print, keys, of }| {
            let number = (0..prints.len()).find(|number| prints[*number] == print && kept[*number])?;
            layouts[number].is_of(&of).then(|| Said { key: group_key(number, &keys), of })
        });
        let said = said.concat(said_before);
        let lines = rollup(said, lane.watermarks(), &lane.settings, &lane.ledger, self.groups, rows);
        let name = leaked(&format!("{}/declared/rows", self.plan.name));
        let (table, values) = (|line: &Line| number(&line.key), |line: &Line| line.values.to_vec());
        lane.rows_of_many(name, self.tables.clone(), table, values, lines);
    }
}

#[cfg(test)]
mod tests;
