//! The toy library, as a program has a family.

use super::events::{BAD_TOY, CHILD_OUT_OF_RANGE, Handed, VOCABULARY};
use super::metrics::{KEPT, METRICS, TOY_EVENTS, append, build, taps};
use dataflows::family::{Configured, Family, FamilyId};
use dataflows::flow::{Inputs, Outputs};
use dataflows::gate::{Events, Gate};
use dataflows::lane::Lane;
use dataflows::operators::{Judged, LateSplit, Watermarks, watermark};
use dataflows::state::{KeptBy, Ledger};
use dataflows::table::{TableId, Value};
use dataflows::wire::{Names, Reason};
use dataflows::{Settings, Time};
use std::any::Any;
use std::sync::Arc;
use timely::dataflow::Scope;

pub struct Toys;

pub const TOYS: FamilyId = FamilyId(&Toys);

impl Family for Toys {
    fn name(&self) -> &'static str {
        "toys"
    }

    fn metrics(&self) -> Vec<(TableId, &'static str)> {
        METRICS.to_vec()
    }

    fn pieces(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn raw(&self) -> Vec<TableId> {
        vec![TOY_EVENTS]
    }

    fn names(&self) -> &'static Names {
        VOCABULARY.names()
    }

    fn alone(&self) -> Box<dyn Gate> {
        Box::new(Events::alone(&*VOCABULARY))
    }

    fn reasons(&self) -> Vec<Reason> {
        vec![BAD_TOY, CHILD_OUT_OF_RANGE]
    }

    fn event_of(&self, id: TableId, row: &[Value]) -> Option<Box<dyn Any>> {
        let [Value::Text(name), Value::Instant(timestamp), Value::Integer(child), Value::Text(toy)] =
            row.get(id.table().key_columns..)?
        else {
            return None;
        };
        let (timestamp, child, toy) = (*timestamp, *child as u64, toy.clone());
        Some(Box::new(Handed { timestamp, child, toy, is_lent: name == "toy_lent" }))
    }

    fn kept(&self) -> Vec<&'static dyn KeptBy> {
        KEPT.to_vec()
    }
}

/// The toy library with its settings: it has none but those of every lane.
pub struct Library(pub Settings);

impl Configured for Library {
    fn family(&self) -> FamilyId {
        TOYS
    }

    fn lane(&self) -> &Settings {
        &self.0
    }

    fn with(&self, lane: Settings) -> Arc<dyn Configured> {
        Arc::new(Library(lane))
    }

    fn build<'s>(&self, scope: Scope<'s, Time>, inputs: Inputs<'s>, ledger: &Ledger) -> (Box<dyn Gate>, Outputs<'s>) {
        let Inputs { logs, reports, marks } = inputs;
        let (gate, arrivals) = Events::into(&*VOCABULARY, scope);
        let Watermarks { watermarks, targets, pace } = watermark(reports, &self.0, logs.sequence.clone());
        let mut lane = Lane::new(scope, watermarks.clone(), &self.0, ledger);
        let mut judging = LateSplit::new(arrivals);
        let (routes, split) = taps(&mut judging);
        build(&mut lane, &split);
        let raw = split.raw.stream();
        let lines = self.judges_lines().then(|| logs.sequence.clone());
        let route = move |event: super::events::Handed, origin: &_, Judged { is_late, .. }| {
            routes.raw.put(|| append(&event, origin, &logs));
            if !is_late {
                routes.children.put(|| (event.timestamp, event.child));
                routes.handed.put(|| (event.toy, if event.is_lent { 1 } else { -1 }));
            }
        };
        let late = judging.build(targets.clone(), marks, &self.0, lines, route);
        let (changes, closed) = lane.changes();
        (Box::new(gate), Outputs { changes, closed, raw, clean: None, late, watermarks, targets, pace })
    }
}
