//! A declared family, as everything outside knows a family; and the dataflow of its lane.

use crate::Stream;
pub use crate::declared::metrics::Known;
use crate::declared::metrics::{Metrics, column, leaked};
use crate::declared::once::{FORGETS, print};
use crate::declared::plan::{Family as Plan, Once, Type};
use crate::declared::reading::{Empty, REASONS, Reader, Takes, datum};
use crate::declared::row::{Datum, Declared, Row};
use crate::declared::rows::value;
use crate::events::{Logs, Origin};
use crate::family::{Configured, Ending, Family, FamilyId};
use crate::flow::{Inputs, Outputs};
use crate::gate::{Events, Gate};
use crate::lane::Lane;
use crate::operators::{Judged, LateSplit, Met, Watermarks, once, once_at_once, watermark};
use crate::persons::{Id, NOBODY};
use crate::raw::{Append, clean, origin_values, raw_table};
use crate::sip;
use crate::state::{Kept, KeptBy, Ledger, Section};
use crate::table::{Column, Role, Table, TableId, Value};
use crate::time::{Instant, Settings, Time};
use crate::wire::{Names, Reason};
use std::any::Any;
use std::sync::Arc;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

crate::taps! {
    /// Events of a family in which those that are repeated count once.
    met: Met<Row>;
    /// Events of any other.
    events: Declared;
    /// Rows of the raw table, of late events too.
    raw: Append;
    /// Clean events that are late.
    late: Append;
}

/// A declared family. It stays for as long as the process.
pub struct Made {
    metrics: &'static Metrics,
    reader: &'static Reader,
    declaration: i64,
    raw: TableId,
    met: &'static Kept<(Instant, u128)>,
}

/// The raw table of a family: where an event came from, and its columns as they are declared.
fn raw(plan: &Plan, reader: &Reader) -> Table {
    let readings = reader.readings();
    let own = plan.columns.iter().enumerate().map(|(place, is)| {
        let of_table = column(&is.name, &is.doc, (is.ty, is.nullable), plan.person == Some(place));
        let emptied = match readings.get(place).map(|reading| &reading.empty) {
            Some(Empty::Is(literal)) if is.is_personal => Some(value(datum(literal), is.ty)),
            Some(Empty::Is(_) | Empty::Rejected) | None => None,
        };
        Column { emptied, ..of_table }
    });
    let at = plan.columns.get(plan.time).map(|time| leaked(&time.name));
    raw_table(leaked(&plan.name), leaked(&plan.doc), Role::Raw { at }, own)
}

/// What a column of the raw table holds, as the event had it.
pub fn of_value(value: &Value) -> Datum<'_> {
    match value {
        // No event has bytes.
        Value::Null | Value::Bytes(_) => Datum::Null,
        Value::Boolean(value) => Datum::Boolean(*value),
        Value::Integer(number) | Value::Cents(number) | Value::Milli(number) | Value::Share(number) => {
            Datum::Number(*number)
        }
        Value::Instant(at) => Datum::Instant(*at),
        Value::Text(text) => Datum::Text(text.as_str().into()),
    }
}

/// What stands for what an event of a family is: it is another where a record would give another row.
fn declaration(plan: &Plan, reader: &Reader) -> i64 {
    let Plan { name: _, doc: _, columns, time, person, once, metrics: _ } = plan;
    let columns: Vec<_> = columns.iter().map(|column| (&column.name, column.ty, column.nullable)).collect();
    let mut said = format!("{columns:?} {time} {person:?} {once:?} {:?}", reader.readings());
    if person.is_some_and(|person| plan.columns[person].ty == Type::Text) {
        // What an earlier version kept of them `forget` would not find, and it would not be added to.
        said.push_str(" persons are kept as such");
    }
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
        let name = leaked(&format!("{}/declared/once", plan.name));
        let met = Box::leak(Box::new(Kept { name, version: 1, forgets: FORGETS }));
        let declaration = declaration(&plan, reader);
        let raw = TableId::leaked(raw(&plan, reader));
        let groups = format!("{}/declared", plan.name);
        let metrics = Metrics::leaked(plan, known, &groups);
        Box::leak(Box::new(Made { metrics, reader, declaration, raw, met }))
    }

    /// What it is.
    pub fn plan(&self) -> &Plan {
        self.metrics.plan()
    }

    /// What is computed of its events.
    pub fn metrics_made(&self) -> &'static Metrics {
        self.metrics
    }

    /// Its raw table.
    pub fn raw_table(&self) -> TableId {
        self.raw
    }

    /// The tables of its metrics, in the plan's order.
    pub fn tables(&self) -> &[TableId] {
        self.metrics.tables()
    }
}

impl Family for Made {
    fn name(&self) -> &'static str {
        self.raw.name()
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        self.metrics.with_sql().collect()
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

    fn person(&self, said: &str) -> Option<Id> {
        let readings = self.reader.readings();
        match &readings.get(self.plan().person?)?.takes {
            Takes::Text { case, .. } => Some(Id::Text(case.of(said.into()).into_owned())),
            Takes::Number(..) => said.parse().ok().filter(|id| *id < NOBODY).map(Id::Number),
            Takes::Boolean | Takes::Instant => None,
        }
    }

    fn prints_of(&self, _: TableId, row: &[Value]) -> Vec<u128> {
        let (Some(Once { of }), Some(own)) = (&self.plan().once, row.get(self.raw.table().key_columns..)) else {
            return Vec::new();
        };
        let row: Row = own.iter().map(of_value).collect();
        vec![print(&row, of, &mut Vec::new())]
    }

    fn needs(&self, id: TableId) -> Option<Vec<usize>> {
        let once = self.plan().once.iter().flat_map(|Once { of }| of.iter().copied());
        Some(once.chain([self.plan().time]).map(|place| id.table().key_columns + place).collect())
    }

    fn event_of(&self, _: TableId, row: &[Value]) -> Option<Box<dyn Any>> {
        let own = row.get(self.raw.table().key_columns..)?;
        let Value::Instant(at) = own.get(self.plan().time)? else { return None };
        Some(Box::new(Declared { at: *at, row: own.iter().map(of_value).collect() }))
    }

    fn windows(&self, id: TableId) -> Vec<(usize, i64)> {
        self.metrics.windows(id)
    }

    fn ending(&self, id: TableId) -> Option<Ending> {
        self.metrics.ending(id)
    }

    fn without_those_of(&self, section: &Section, others: &dyn Fn(TableId) -> bool) -> Result<Section, String> {
        self.metrics.without_those_of(section, others)
    }

    fn kept_side_by_side(&self) -> Vec<&'static str> {
        self.metrics.kept().map(|kept| kept.name()).to_vec()
    }

    fn kept(&self) -> Vec<&'static dyn KeptBy> {
        let met: Option<&'static dyn KeptBy> = self.plan().once.is_some().then_some(self.met);
        met.into_iter().chain(self.metrics.kept()).collect()
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

    fn with(&self, lane: Settings) -> Arc<dyn Configured> {
        Arc::new(WithSettings { family: self.family, lane })
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
        let clean = self.family.metrics_of(&split, &mut lane);
        let raw = split.raw.stream();
        let lines = self.judges_lines().then(|| logs.sequence.clone());
        let late = judging.build(targets.clone(), marks, &self.lane, lines, self.route(routes, logs));
        let (changes, closed) = lane.changes();
        (Box::new(gate), Outputs { changes, closed, raw, clean, late, watermarks, targets, pace })
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
                return routes.late.put(|| made.clean(&event, true));
            }
            match &made.plan().once {
                Some(Once { of }) => routes.met.put(|| {
                    let print = print(&event.row, of, &mut spare);
                    Met { print, at: event.at, what: Some(event.row) }
                }),
                None => routes.events.put(|| event),
            }
        }
    }
}

impl Made {
    /// What an event says, column by column.
    fn values(&self, event: &Declared) -> impl Iterator<Item = Value> {
        let columns = self.plan().columns.iter().enumerate();
        columns.map(|(place, column)| value(event.row.column(place), column.ty))
    }

    /// The row of an event in the raw table.
    fn append(&self, event: &Declared, origin: &Origin, logs: &Logs) -> Append {
        Append { table: self.raw, values: origin_values(origin, logs).into_iter().chain(self.values(event)).collect() }
    }

    /// An event as it is told of.
    fn clean(&self, event: &Declared, is_late: bool) -> Append {
        clean(self.raw, self.values(event), is_late)
    }

    /// Builds the tables that are kept; tells of what events, and which were late, if that is asked for.
    fn metrics_of<'s>(&'static self, split: &Split<'s>, lane: &mut Lane<'s>) -> Option<Stream<'s, Append>> {
        let (is_kept, says) = (self.metrics.is_kept(lane), lane.settings.clean);
        if !is_kept && !says {
            return None;
        }
        let events = match &self.plan().once {
            Some(Once { of }) => {
                // Events that are equal in all columns are one, whichever of them goes on.
                let is_whole = (0..self.plan().columns.len()).all(|column| of.contains(&column));
                let known = lane.restored(self.met).map(|(at, print)| Met { print, at, what: None });
                let met = split.met.stream().concat(known);
                let each_once = if is_whole { once_at_once } else { once };
                let first = each_once(met, lane.watermarks(), &lane.settings, &lane.ledger, self.met);
                first.map(|(at, row)| Declared { at, row })
            }
            None => split.events.stream(),
        };
        let clean = says.then(|| {
            let in_time = events.clone().map(|event| self.clean(&event, false));
            in_time.concat(split.late.stream())
        });
        if is_kept {
            self.metrics.build(events, lane);
        }
        clean
    }
}

#[cfg(test)]
mod tests;
