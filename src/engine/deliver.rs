//! The last operator: what an epoch changed, handed over when the epoch is closed.

use crate::commit::{ByTheWorld, Message, Part};
use crate::delta::deltas;
use crate::instant;
use crate::kept::Counts;
use crate::source::Batch;
use dataflows::events::Origin;
use dataflows::flow::{Outputs, Row};
use dataflows::operators::{LateEvent, TopTwo};
use dataflows::raw::{Append, append_late};
use dataflows::time::is_silent;
use dataflows::{Instant, Settings, Time};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::mpsc::Sender;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// What a worker knows of an epoch besides what the dataflow says.
#[derive(Default)]
pub(super) struct Aside {
    /// The batches it read: late events are found in them.
    pub(super) batches: Vec<Batch>,
    /// Rows for `rejected_events`.
    pub(super) rejected: Vec<Append>,
    /// Of how many of them bytes were kept.
    pub(super) kept: Counts,
    /// First and next offsets.
    pub(super) read: BTreeMap<u32, (i64, i64)>,
    /// Next offsets in logs that are known by their content, and the sums of all before.
    pub(super) sums: BTreeSet<(u32, i64, u32)>,
    /// Largest event times.
    pub(super) largest: BTreeMap<u32, TopTwo>,
    /// The first accepted event of each file that was begun: partition and offset.
    pub(super) begun: Vec<(u32, i64)>,
    /// Records that were rejected for a reason that is not in the bytes: see [`Part`].
    pub(super) by_the_world: Vec<ByTheWorld>,
    /// The clocks when it opened and closed, at worker 0.
    pub(super) clocks: Option<(Instant, Instant)>,
    /// A snapshot is taken after it; said by worker 0.
    pub(super) snapshot: bool,
    /// When the first record was read.
    pub(super) oldest: Option<std::time::Instant>,
}

/// Epochs that are not delivered yet.
pub(super) type Asides = Rc<RefCell<BTreeMap<Time, Aside>>>;

#[derive(Default)]
struct Stash {
    updates: Vec<(Row, isize)>,
    part: Part,
}

/// Delivers every epoch to the committer once it is closed: rows by key, so that old and new of a
/// key meet, everything else from the worker that read it.
/// Late records are kept as `as_kept` makes them, by the partition they are from.
/// Tells, in the cell, which epoch is not delivered yet; without one, all are.
pub(super) fn deliver(
    outputs: Outputs<'_>,
    settings: &Settings,
    as_kept: impl Fn(u32, &[u8]) -> Vec<u8> + 'static,
    asides: Asides,
    outbox: Sender<Message>,
) -> Rc<Cell<Option<Time>>> {
    let delivered = Rc::new(Cell::new(Some(0)));
    let reached = Rc::clone(&delivered);
    let worker = outputs.rows.inner.scope().index();
    let mut builder = OperatorBuilder::new("deliver".to_owned(), outputs.rows.inner.scope());
    let by_key = Exchange::new(|(row, _, _): &(Row, Time, isize)| row.key_hash());
    let mut rows = builder.new_input(outputs.rows.inner, by_key);
    let mut raw = builder.new_input(outputs.raw, Pipeline);
    let mut late = builder.new_input(outputs.late, Pipeline);
    let mut watermarks = builder.new_input(outputs.watermarks, Pipeline);
    let mut targets = builder.new_input(outputs.targets, Pipeline);
    let settings = settings.clone();
    builder.build(move |_caps| {
        let mut open = BTreeMap::<Time, Stash>::new();
        move |frontiers| {
            rows.for_each_time(|cap, batches| {
                let stash = open.entry(*cap.time()).or_default();
                for batch in batches {
                    stash.updates.extend(batch.drain(..).map(|(row, _, diff)| (row, diff)));
                }
            });
            raw.for_each(|cap, appends| open.entry(*cap.time()).or_default().part.appends.append(appends));
            late.for_each(|cap, events| {
                let asides = asides.borrow();
                let stash = open.entry(*cap.time()).or_default();
                for event in events.drain(..) {
                    begins_late(&event, &asides[cap.time()], &settings);
                    let (batch, record) = event.origin.slot;
                    let batch = &asides[cap.time()].batches[batch as usize];
                    let payload = &batch.bytes[batch.records[record as usize].payload.clone()];
                    stash.part.appends.push(append_late(&event, as_kept(event.origin.partition, payload), &settings));
                }
            });
            watermarks.for_each(|cap, values| {
                if worker == 0 {
                    open.entry(*cap.time()).or_default().part.watermark = values.last().copied();
                }
            });
            targets.for_each(|cap, values| {
                if worker == 0 {
                    open.entry(*cap.time()).or_default().part.target = values.last().copied();
                }
            });
            let frontier = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if frontier == reached.get() {
                return;
            }
            let closed = |time: &Time| frontier.is_none_or(|frontier| *time < frontier);
            for (time, aside) in split_closed(&mut asides.borrow_mut(), closed) {
                let part = &mut open.entry(time).or_default().part;
                part.appends.extend(aside.rejected);
                part.read.extend(aside.read);
                part.sums.extend(aside.sums);
                part.largest.extend(aside.largest);
                part.by_the_world.extend(aside.by_the_world);
                part.clocks = aside.clocks;
                part.snapshot = aside.snapshot;
                part.oldest = aside.oldest;
            }
            for (time, Stash { updates, mut part }) in split_closed(&mut open, closed) {
                assert!(
                    !is_silent(time) || updates.is_empty(),
                    "nothing downstream of `freeze` changes at an odd epoch"
                );
                let message = match deltas(updates) {
                    Ok(deltas) => {
                        part.deltas = deltas;
                        Message::Part(time, part)
                    }
                    Err(bug) => Message::Bug(bug),
                };
                // If nobody listens the run is ending with an error that somebody else reports.
                outbox.send(message).ok();
            }
            outbox.send(Message::Reached(worker, frontier)).ok();
            reached.set(frontier);
        }
    });
    delivered
}

/// Says so if a file begins with what is late: most likely it was given in the wrong place.
fn begins_late(event: &LateEvent, aside: &Aside, settings: &Settings) {
    let Origin { partition, offset, .. } = event.origin;
    if aside.begun.contains(&(partition, offset)) {
        let (file, _) = &settings.partitions[partition as usize];
        let (at, read_to) = (instant::show(event.timestamp), instant::show(event.watermark));
        tracing::warn!(
            "file `{file}` begins with an event of {at}, which is too late: what was read before it goes to {read_to}. \
             Late events are in `late_events` and count nowhere. Give the files in the order of time, raise `lateness`, \
             or compute all of them at once with `batch`"
        );
    }
}

fn split_closed<V>(open: &mut BTreeMap<Time, V>, closed: impl Fn(&Time) -> bool) -> BTreeMap<Time, V> {
    let mut out = BTreeMap::new();
    while let Some(first) = open.first_entry().filter(|first| closed(first.key())) {
        let (time, value) = first.remove_entry();
        out.insert(time, value);
    }
    out
}
