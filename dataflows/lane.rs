//! What the metrics of a family are built on, on one worker: its watermark, its settings, what it kept, and where rows go.

use crate::delta::{KeyBug, deltas};
use crate::deltas::{Deltas, Page};
use crate::packed;
use crate::state::{Kept, Ledger};
use crate::table::{Column, Field, Person, TableId, Value};
use crate::time::{Instant, Settings, Time, is_silent};
use crate::{Collection, Stream};
use differential_dataflow::Data;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::generic::{Operator, OutputBuilderSession};

/// What closed epochs changed, table by table, on one worker; or what is wrong with our own metrics.
pub type Changes = Rc<RefCell<BTreeMap<Time, Vec<Result<(TableId, Deltas), KeyBug>>>>>;

/// An output that nothing is sent to.
type Nothing<'a> = OutputBuilderSession<'a, Time, CapacityContainerBuilder<Vec<()>>>;

/// The columns that say whose a row is: their places, and how.
type Persons = Vec<(usize, Person)>;

fn persons<'c>(columns: impl Iterator<Item = &'c Column>) -> Persons {
    (0..).zip(columns).filter_map(|(place, column)| Some((place, column.person?))).collect()
}

/// Whether a row is nobody's.
fn is_nobodys(values: &[Value], persons: &Persons) -> bool {
    persons.iter().any(|(place, person)| values.get(*place).is_some_and(|value| person.is_nobody(value)))
}

/// What metrics are built on.
pub struct Lane<'s> {
    /// Where operators stand.
    pub scope: Scope<'s, Time>,
    /// The watermark at each epoch in which it changed.
    pub watermarks: Stream<'s, Instant>,
    /// How long things are remembered.
    pub settings: Settings,
    /// What operators keep.
    pub ledger: Ledger,
    changes: Changes,
    closed: Vec<Stream<'s, ()>>,
}

impl<'s> Lane<'s> {
    /// A lane without metrics.
    pub fn new(scope: Scope<'s, Time>, watermarks: Stream<'s, Instant>, settings: &Settings, ledger: &Ledger) -> Self {
        let (settings, ledger) = (settings.clone(), ledger.clone());
        Lane { scope, watermarks, settings, ledger, changes: Changes::default(), closed: Vec::new() }
    }

    /// The watermark at each epoch in which it changed.
    pub fn watermarks(&self) -> Stream<'s, Instant> {
        self.watermarks.clone()
    }

    /// What an operator kept, at the odd epoch before the first even one.
    pub fn restored<T: DeserializeOwned + Clone + 'static>(&self, kept: &'static Kept<T>) -> Stream<'s, T> {
        self.ledger.restored(self.scope, kept)
    }

    /// The rows of a table, which stay where they were made: all of a key are made on one worker, as they are if the last
    /// operator that sends records from worker to worker sends them by the key or a part of it. At most one of a key at the
    /// end of each epoch; the order of rows puts the key first. Rows of nobody are not shown. Nothing changes at odd epochs:
    /// what was restored says nothing new.
    pub fn rows<R: Data>(&mut self, id: TableId, fields: Vec<Field<R>>, rows: Collection<'s, R>) {
        let persons = persons(fields.iter().map(|field| &field.column));
        let values = move |row: &R| {
            let values: Vec<Value> = fields.iter().map(|field| (field.value)(row)).collect();
            (!is_nobodys(&values, &persons)).then_some(values)
        };
        let changes = Rc::clone(&self.changes);
        // Nothing is sent on: that an epoch is closed downstream says that its changes are there.
        let closed: Stream<'s, ()> = rows.inner.unary_frontier(Pipeline, id.name(), move |_cap, _info| {
            let mut open = BTreeMap::<Time, (_, Vec<(R, isize)>)>::new();
            move |(input, frontier), output: &mut Nothing<'_>| {
                input.for_each_time(|cap, batches| {
                    let (_, stash) =
                        open.entry(*cap.time()).or_insert_with(|| (cap.retain(output.output_index()), Vec::new()));
                    stash.extend(batches.flat_map(|batch| batch.drain(..)).map(|(row, _, diff)| (row, diff)));
                });
                while let Some(first) = open.first_entry().filter(|first| !frontier.less_equal(first.key())) {
                    let (time, (_cap, updates)) = first.remove_entry();
                    assert!(!is_silent(time), "`{}` changed at an odd epoch: `freeze` is missing", id.name());
                    let changed = deltas(updates, id.table(), &values).map(|deltas| (id, Deltas::from(deltas)));
                    if !matches!(&changed, Ok((_, deltas)) if deltas.is_empty()) {
                        changes.borrow_mut().entry(time).or_default().push(changed);
                    }
                }
            }
        });
        self.closed.push(closed);
    }

    /// What changes of the rows of many tables: of which, by its place among them, and which rows. One change of a key at
    /// most in an epoch, on one worker. Rows of nobody are not shown.
    pub fn changes_of_many(&mut self, name: &str, tables: Vec<TableId>, changed: Stream<'s, (u16, Page)>) {
        // A person is a key or nowhere: what is left of a row that is gone says whose it was.
        let persons: Vec<Persons> = tables.iter().map(|id| persons(id.table().columns.iter())).collect();
        let changes = Rc::clone(&self.changes);
        let closed: Stream<'s, ()> = changed.unary_frontier(Pipeline, name, move |_cap, _info| {
            let mut open = BTreeMap::<Time, (_, BTreeMap<u16, Deltas>)>::new();
            move |(input, frontier), output: &mut Nothing<'_>| {
                input.for_each_time(|cap, batches| {
                    let (_, stash) =
                        open.entry(*cap.time()).or_insert_with(|| (cap.retain(output.output_index()), BTreeMap::new()));
                    for (place, page) in batches.flat_map(|batch| batch.drain(..)) {
                        let persons = &persons[usize::from(place)];
                        let page = page.only(|row| {
                            let is_nobody =
                                |(place, by): &(usize, Person)| by.is_nobody(&packed::at(row.key(), *place));
                            !persons.iter().any(is_nobody)
                        });
                        stash.entry(place).or_default().append(Deltas::of(page));
                    }
                });
                while let Some(first) = open.first_entry().filter(|first| !frontier.less_equal(first.key())) {
                    let (time, (_cap, changed)) = first.remove_entry();
                    assert!(!is_silent(time), "a table changed at an odd epoch: `freeze` is missing");
                    let changed = changed.into_iter().filter(|(_, deltas)| !deltas.is_empty());
                    let changed: Vec<_> =
                        changed.map(|(place, deltas)| Ok((tables[usize::from(place)], deltas))).collect();
                    if !changed.is_empty() {
                        changes.borrow_mut().entry(time).or_default().extend(changed);
                    }
                }
            }
        });
        self.closed.push(closed);
    }

    /// What closed epochs changed, and a stream of nothing, in which an epoch is closed once all its changes are there.
    pub fn changes(self) -> (Changes, Stream<'s, ()>) {
        (self.changes, self.scope.concatenate(self.closed))
    }
}
