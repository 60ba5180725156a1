//! Raw rows through the dataflow of some tables: what their operators hold, and the rows that they show.
//!
//! The rows were judged when they were read: what was not late then enters before any watermark, so that it is in time, and
//! what was late enters after the last one, by which it is late again. In between the watermark is where it was. So it is
//! what a run that always kept these tables would hold.

use crate::lanes::Times;
use dataflows::Time;
use dataflows::delta::Delta;
use dataflows::events::{Logs, Origin};
use dataflows::family::Configured;
use dataflows::flow::Inputs;
use dataflows::gate::Gate;
use dataflows::lane::Changes;
use dataflows::operators::{Mark, Report};
use dataflows::state::{Ledger, Section};
use dataflows::table::{TableId, Value};
use std::collections::BTreeMap;
use timely::communication::allocator::Allocator;
use timely::communication::allocator::thread::Thread;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::Input as _;
use timely::dataflow::operators::probe::{Handle as Reached, Probe};
use timely::worker::Worker;

/// An epoch closes behind so many rows: what is on its way takes memory.
const EPOCH_ROWS: usize = 100_000;

type Handle<D> = InputHandle<Time, CapacityContainerBuilder<Vec<D>>>;

/// What came out.
#[derive(Debug, Default)]
pub struct Folded {
    /// What the operators hold.
    pub state: Vec<Section>,
    /// Under which names they would hold something.
    pub names: Vec<&'static str>,
    /// The rows of each table, by their keys.
    pub rows: BTreeMap<TableId, BTreeMap<Vec<Value>, Vec<Value>>>,
}

/// The dataflow of a family's tables, on this thread.
pub struct Fold<'f> {
    family: &'f dyn Configured,
    worker: Worker,
    gate: Box<dyn Gate>,
    reports: Handle<Report>,
    marks: Handle<Mark>,
    ledger: Ledger,
    changes: Changes,
    reached: Reached<Time>,
    epoch: Time,
    fed: usize,
    folded: Folded,
}

impl<'f> Fold<'f> {
    /// The dataflow of the tables that are kept by these settings.
    pub fn new(family: &'f dyn Configured) -> Fold<'f> {
        let allocator = Allocator::Thread(Thread::default());
        let mut worker = Worker::new(timely::WorkerConfig::default(), allocator, None);
        let ledger = Ledger::restoring_at(1);
        let (gate, reports, marks, changes, reached) = worker.dataflow(|scope| {
            let (reports, reported) = scope.new_input::<Vec<Report>>();
            let (marks, marked) = scope.new_input::<Vec<Mark>>();
            let logs = Logs { partitions: vec![(String::new(), 0)], sequence: 0..0 };
            let inputs = Inputs { logs, reports: reported, marks: marked };
            let (gate, out) = family.build(scope, inputs, &ledger);
            (gate, reports, marks, out.changes, out.closed.probe().0)
        });
        let names = ledger.names();
        // Nothing was kept before.
        ledger.is_restored();
        let folded = Folded { names, ..Folded::default() };
        let mut fold =
            Fold { family, worker, gate, reports, marks, ledger, changes, reached, epoch: 0, fed: 0, folded };
        fold.advance_to(2);
        fold
    }

    fn advance_to(&mut self, epoch: Time) {
        self.gate.advance_to(epoch);
        self.reports.advance_to(epoch);
        self.marks.advance_to(epoch);
        self.reports.flush();
        self.marks.flush();
        self.epoch = epoch;
    }

    /// Takes a row of a raw table; false if no event makes such a row.
    pub fn take(&mut self, id: TableId, row: &[Value]) -> bool {
        let Some(event) = self.family.family().event_of(id, row) else { return false };
        self.gate.take(event, false);
        self.gate.enter(Origin { partition: 0, offset: 0, slot: (0, 0) });
        self.fed += 1;
        if self.fed >= EPOCH_ROWS {
            self.close();
        }
        true
    }

    /// Closes the epoch, and computes it.
    fn close(&mut self) {
        self.fed = 0;
        let closed = self.epoch;
        self.advance_to(closed + 2);
        // The watermark operator is asked for every epoch: nothing moves it.
        while self.reached.less_equal(&closed) {
            self.worker.step();
        }
        let of_epochs = std::mem::take(&mut *self.changes.borrow_mut());
        for changed in of_epochs.into_values().flatten() {
            let (id, deltas) = changed.unwrap_or_else(|bug| panic!("{bug}"));
            let rows = self.folded.rows.entry(id).or_default();
            for delta in deltas {
                match delta {
                    Delta::Upsert(row) => drop(rows.insert(row[..id.table().key_columns].to_vec(), row)),
                    Delta::Delete(key) => drop(rows.remove(&key)),
                }
            }
        }
    }

    /// Time is where it was: from now on rows are late.
    pub fn is_at(&mut self, times: Times) {
        self.close();
        self.reports.send(Report::Known { watermark: times.watermark, target: times.target });
        self.close();
    }

    /// What came out of it.
    pub fn end(mut self) -> Folded {
        self.close();
        self.folded.state = self.ledger.freeze().collect();
        self.folded
    }
}

/// Under which names the operators of a family's tables hold something.
pub fn names(family: &dyn Configured) -> Vec<&'static str> {
    Fold::new(family).folded.names
}
