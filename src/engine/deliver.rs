//! The last operator: what an epoch changed, handed over when the epoch is closed.

use super::said::Outbox;
use crate::archived::Archived;
use crate::commit::{ByTheWorld, Part};
use crate::instant;
use crate::kept::Counts;
use crate::source::Batch;
use dataflows::events::{Logs, Origin};
use dataflows::flow::Outputs;
use dataflows::operators::{LateEvent, TopTwo};
use dataflows::quality;
use dataflows::raw::{Append, append_late};
use dataflows::{Instant, Time};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// What a worker knows of an epoch in addition to what the dataflow says.
#[derive(Default)]
pub(super) struct Aside {
    /// The batches it read: late events are found in them.
    pub(super) batches: Vec<Batch>,
    /// Rows for `rejected_events`.
    pub(super) rejected: Vec<Append>,
    /// Accepted records for the archive.
    pub(super) archived: Vec<Archived>,
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
    /// What became of its records, by partition; what is late is not known yet.
    pub(super) counts: BTreeMap<u32, quality::Counts>,
    /// The clocks when it opened and closed, at worker 0.
    pub(super) clocks: Option<(Instant, Instant)>,
    /// A snapshot is taken after it; said by worker 0.
    pub(super) snapshot: bool,
    /// When the first record was read.
    pub(super) oldest: Option<std::time::Instant>,
}

/// Epochs that are not delivered yet.
pub(super) type Asides = Rc<RefCell<BTreeMap<Time, Aside>>>;

/// Delivers every epoch to the committer once it is closed: what changed of the keys that live at this worker, everything
/// else from the worker that read it.
/// Late records are kept as `as_kept` makes them, by the partition they are from.
/// Tells, in the cell, which epoch is not delivered yet; without one, all are.
pub(super) fn deliver(
    lanes: Vec<Outputs<'_>>,
    logs: Logs,
    as_kept: impl Fn(u32, &Batch, &[u8]) -> Vec<u8> + 'static,
    asides: Asides,
    outbox: Outbox,
) -> Rc<Cell<Option<Time>>> {
    let delivered = Rc::new(Cell::new(Some(0)));
    let reached = Rc::clone(&delivered);
    let scope = lanes[0].closed.scope();
    let worker = scope.index();
    let mut builder = OperatorBuilder::new("deliver".to_owned(), scope);
    let (mut changes, mut inputs) = (Vec::new(), Vec::new());
    for Outputs { changes: of_lane, closed, raw, clean, late, watermarks, targets, pace: _ } in lanes {
        changes.push(of_lane);
        inputs.push((
            builder.new_input(closed, Pipeline),
            builder.new_input(raw, Pipeline),
            clean.map(|clean| builder.new_input(clean, Pipeline)),
            builder.new_input(late, Pipeline),
            builder.new_input(watermarks, Pipeline),
            builder.new_input(targets, Pipeline),
        ));
    }
    builder.build(move |_caps| {
        let mut open = BTreeMap::<Time, Part>::new();
        move |frontiers| {
            for (lane, (closed, raw, clean, late, watermarks, targets)) in inputs.iter_mut().enumerate() {
                closed.for_each(|_, _| {});
                raw.for_each(|cap, appends| open.entry(*cap.time()).or_default().appends.append(appends));
                if let Some(clean) = clean {
                    clean.for_each(|cap, events| open.entry(*cap.time()).or_default().clean.append(events));
                }
                late.for_each(|cap, events| {
                    let asides = asides.borrow();
                    let part = open.entry(*cap.time()).or_default();
                    for event in events.drain(..) {
                        begins_late(&event, &asides[cap.time()], &logs);
                        part.counts.entry(event.origin.partition).or_default().late += 1;
                        let (batch, record) = event.origin.slot;
                        let batch = &asides[cap.time()].batches[batch as usize];
                        let payload = &batch.bytes[batch.records[record as usize].payload.clone()];
                        let kept = as_kept(event.origin.partition, batch, payload);
                        part.appends.push(append_late(&event, kept, &logs));
                    }
                });
                watermarks.for_each(|cap, values| {
                    if let Some(last) = values.last().filter(|_| worker == 0) {
                        note(&mut open.entry(*cap.time()).or_default().watermarks, lane, *last);
                    }
                });
                targets.for_each(|cap, values| {
                    if let Some(last) = values.last().filter(|_| worker == 0) {
                        note(&mut open.entry(*cap.time()).or_default().targets, lane, *last);
                    }
                });
            }
            let frontier = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if frontier == reached.get() {
                return;
            }
            let closed = |time: &Time| frontier.is_none_or(|frontier| *time < frontier);
            for (time, aside) in split_closed(&mut asides.borrow_mut(), closed) {
                let part = open.entry(time).or_default();
                aside.batches.into_iter().for_each(Batch::leave);
                part.appends.extend(aside.rejected);
                part.archived.extend(aside.archived);
                part.read.extend(aside.read);
                part.sums.extend(aside.sums);
                part.largest.extend(aside.largest);
                part.by_the_world.extend(aside.by_the_world);
                for (partition, counts) in aside.counts {
                    part.counts.entry(partition).or_default().add(counts);
                }
                part.clocks = aside.clocks;
                part.snapshot = aside.snapshot;
                part.oldest = aside.oldest;
            }
            let changed = changes.iter().flat_map(|changes| split_closed(&mut changes.borrow_mut(), closed));
            for (time, changed) in changed {
                let part = open.entry(time).or_default();
                for changed in changed {
                    match changed {
                        Ok(changed) => part.deltas.push(changed),
                        Err(bug) => outbox.bug(bug),
                    }
                }
            }
            for (time, part) in split_closed(&mut open, closed) {
                outbox.part(time, part);
            }
            outbox.reached(worker, frontier);
            reached.set(frontier);
        }
    });
    delivered
}

/// Says so if a file begins with what is late: most likely it was given in the wrong place.
fn begins_late(event: &LateEvent, aside: &Aside, logs: &Logs) {
    let Origin { partition, offset, slot: (batch, _) } = event.origin;
    if aside.begun.contains(&(partition, offset)) {
        let dropped = &aside.batches[batch as usize].file;
        let file = dropped.as_ref().map_or(&logs.partitions[partition as usize].0, |file| &file.name);
        let way = match dropped {
            Some(_) => "To take them, raise `lateness`, and compute everything again: `run --watch FOLDER --rebuild`",
            None => {
                "Give the files in the order of time, raise `lateness`, or compute all of them at once with `batch`"
            }
        };
        let (at, read_to) = (instant::show(event.timestamp), instant::show(event.watermark));
        tracing::warn!(
            "file `{file}` begins with an event of {at}, which is too late: what was read before it goes to {read_to}. \
             Late events are in `late_events` and change no metric. {way}"
        );
    }
}

/// What a lane said last counts.
fn note(times: &mut Vec<(usize, Instant)>, lane: usize, at: Instant) {
    match times.iter_mut().find(|(of, _)| *of == lane) {
        Some((_, known)) => *known = at,
        None => times.push((lane, at)),
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
