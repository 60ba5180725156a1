//! One worker: takes records, makes events of them, feeds the dataflow, closes epochs on the tick.

mod away;
mod became;
mod cut;
mod ticker;

use super::deliver::{Aside, Asides, deliver};
use super::intake::{Dealt, Reads};
use super::said::Asks;
use super::shared::Shared;
use super::{EngineError, partition_name};
use crate::archived::Archived;
use crate::commit::ByTheWorld;
use crate::decode::avro::schema_id;
use crate::decode::{Clock, Format, Rejection, decode_record};
use crate::kept;
use crate::source::{Batch, Poll, Record, Refused};
use crate::turns::Turn;
use away::Away;
use became::Became;
use cut::Cut;
use dataflows::events::{Logs, Origin};
use dataflows::flow::Inputs;
use dataflows::gate::{Accepted, Gate};
use dataflows::operators::{Mark, Report, Status, TopTwo};
use dataflows::state::Ledger;
use dataflows::{Instant, Time};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;
use ticker::Ticker;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Input as _;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;
use timely::worker::Worker as Timely;

/// How long a worker with nothing to do sleeps before it looks again.
const PARK: Duration = Duration::from_millis(5);
/// How many records a worker takes at a time.
const POLL_RECORDS: usize = 4096;

type Handle<D> = InputHandle<Time, CapacityContainerBuilder<Vec<D>>>;

/// The end of an epoch, from worker 0 to all.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tick {
    epoch: Time,
    /// The epoch that opens.
    next: Time,
    clock_ms: Instant,
    /// The clock by which the records of the next epoch are judged.
    opens_ms: Instant,
    /// Which sources of each lane are read in the next epoch.
    reads: Reads,
    /// A replayed epoch: where the watermark of each lane is after it, and where it is going.
    known: Option<Vec<(Instant, Instant)>>,
    /// What is held after this epoch is written down.
    snapshot: bool,
    last: bool,
}

/// What goes into a lane.
struct Lane {
    gate: Box<dyn Gate>,
    reports: Handle<Report>,
    marks: Handle<Mark>,
    /// Whether it matters to others what we decoded of its sequence.
    judges_lines: bool,
}

impl Lane {
    fn advance_to(&mut self, epoch: Time) {
        self.gate.advance_to(epoch);
        self.reports.advance_to(epoch);
        self.marks.advance_to(epoch);
        self.marks.flush();
        self.reports.flush();
    }
}

struct Worker {
    shared: Arc<Shared>,
    /// Its number among those of all processes; the first one ticks.
    index: usize,
    /// The open epoch.
    epoch: Time,
    clock_ms: Instant,
    /// Which sources are read in it.
    reads: Rc<Reads>,
    lanes: Vec<Lane>,
    asides: Asides,
    ledger: Ledger,
    /// Which epoch is not delivered yet.
    delivered: Rc<Cell<Option<Time>>>,
    ticks: Rc<RefCell<VecDeque<Tick>>>,
    ticker: Option<Ticker>,
    /// Where a snapshot stands.
    cut: Option<Cut>,
    /// What was last asked of the clock, if another process has it.
    asked: Asks,
    /// The last epoch is closed.
    is_last: bool,
    /// What was read for epochs that are not open yet.
    ahead: VecDeque<Dealt>,
    /// How many records this worker may take in an epoch.
    quota: usize,
    taken: usize,
    /// How many bytes it may take, and took: many small records or few large ones, memory is bounded.
    quota_bytes: usize,
    taken_bytes: usize,
    /// Smallest and largest event times per partition in the open epoch.
    seen: BTreeMap<u32, (Instant, TopTwo)>,
    /// Files that the batch begins that is being taken, and of which no event was accepted yet.
    begins: Vec<u32>,
    /// Largest event times in it.
    in_batch: TopTwo,
}

/// Runs a worker until the last tick; what it fed is computed to the end after it returns.
pub(super) fn run(timely: &mut Timely, shared: &Arc<Shared>) {
    let turn = shared.options.turns.join(format!("worker {}", timely.index()));
    let mut worker = Worker::start(timely, shared);
    let turning = shared.signals.stats.turns.begin(worker.index);
    while !worker.turn(timely, &turn) {
        turning.next();
    }
    let Worker { shared, index, epoch, lanes, ledger, ticker, .. } = worker;
    drop((lanes, ticker));
    while timely.has_dataflows() {
        turning.next();
        step(timely, &turn, PARK);
    }
    drop(turning);
    let mut ended = shared.ended.lock();
    ended.epoch = epoch;
    if shared.options.take_state {
        ended.state.extend(ledger.freeze());
    }
    shared.signals.stats.set_live(index, ledger.live());
}

/// Lets the dataflow compute, and waits for so long if there is nothing to do.
fn step(timely: &mut Timely, turn: &Turn, patience: Duration) {
    if turn.pass(!patience.is_zero()) {
        timely.step();
    } else {
        timely.step_or_park(Some(patience));
    }
}

impl Worker {
    fn start(timely: &mut Timely, shared: &Arc<Shared>) -> Worker {
        let index = timely.index();
        let resume = &shared.resume;
        // What is known from before enters at the odd epoch before the first even one: silently.
        let silent = resume.epoch + 1;
        let (ledger, asides) = (Ledger::restoring_at(silent), Asides::default());
        let logs = |sequence: &Range<u32>| {
            let partitions = shared.intake.partitions.iter();
            let partitions = partitions.map(|partition| (partition.topic.clone(), partition.partition)).collect();
            Logs { partitions, sequence: sequence.clone() }
        };
        let (mut lanes, paces, delivered) = timely.dataflow(|scope| {
            let (mut lanes, mut paces, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
            for (lane, sequence) in shared.options.lanes.iter().zip(&shared.intake.sequences) {
                let (reports, reported) = scope.new_input::<Vec<Report>>();
                let (marks, marked) = scope.new_input::<Vec<Mark>>();
                let inputs = Inputs { logs: logs(sequence), reports: reported, marks: marked };
                let (gate, out) = lane.family.build(scope, inputs, &ledger);
                paces.push(Rc::clone(&out.pace));
                outputs.push(out);
                let judges_lines = !sequence.is_empty() && lane.family.judges_lines();
                lanes.push(Lane { gate, reports, marks, judges_lines });
            }
            let partitions = Arc::clone(shared);
            let as_kept = move |partition: u32, batch: &Batch, payload: &[u8]| {
                kept::late(batch.format(&partitions.intake.partitions[partition as usize].format), payload)
            };
            let delivered = deliver(outputs, logs(&(0..0)), as_kept, Rc::clone(&asides), shared.outbox.clone());
            (lanes, paces, delivered)
        });
        let ticks = Rc::new(RefCell::new(VecDeque::new()));
        let mut tick_input = timely.dataflow(|scope| {
            let (input, stream) = scope.new_input::<Vec<Tick>>();
            let heard = Rc::clone(&ticks);
            stream.broadcast().sink(Pipeline, "ticks", move |(input, _)| {
                input.for_each(|_, ticks| heard.borrow_mut().extend(ticks.drain(..)));
            });
            input
        });
        lanes.iter_mut().for_each(|lane| lane.advance_to(silent));
        while let Some(section) = shared.take_share() {
            // It was read once before the start. What was held of tables that are not kept any more is let go of.
            if let Err(why) = ledger.restore(&section) {
                panic!("what was read cannot be restored: {why}");
            }
            // Not all of them at once.
            timely.step();
        }
        ledger.is_restored();
        let (epoch, clock_ms) = shared.opens;
        if index == 0 {
            lanes.iter_mut().enumerate().for_each(|(number, lane)| say_known(shared, number, lane));
        }
        lanes.iter_mut().for_each(|lane| lane.advance_to(epoch));
        tick_input.advance_to(epoch);
        let ticker = (index == 0).then(|| Ticker::new(tick_input, epoch, paces, &shared.options.lanes, resume));
        Worker {
            shared: Arc::clone(shared),
            index,
            epoch,
            clock_ms,
            reads: Rc::new(shared.reads.clone()),
            lanes,
            asides,
            ledger,
            delivered,
            ticks,
            ticker,
            cut: None,
            asked: Asks::default(),
            is_last: false,
            ahead: VecDeque::new(),
            quota: (shared.options.epoch_events / shared.readers.max(1)).max(1),
            taken: 0,
            quota_bytes: (shared.options.epoch_bytes / shared.readers.max(1)).max(1),
            taken_bytes: 0,
            seen: BTreeMap::new(),
            begins: Vec::new(),
            in_batch: TopTwo::default(),
        }
    }

    /// One turn of the loop; tells whether it was the last.
    fn turn(&mut self, timely: &mut Timely, turn: &Turn) -> bool {
        let mut busy = false;
        // While the operators finish the epoch of a snapshot, the next one does not open.
        while !self.is_finishing() && !self.is_last {
            let tick = self.ticks.borrow_mut().pop_front_if(|tick| self.may_close(tick));
            let Some(tick) = tick else { break };
            busy = true;
            self.close(tick);
        }
        if self.write_snapshot(turn) {
            return true;
        }
        if !self.is_finishing() {
            busy |= self.take();
            busy |= self.tick();
            self.ask();
        }
        busy |= matches!(self.cut, Some(Cut::Writing { .. }));
        step(timely, turn, if busy { Duration::ZERO } else { PARK });
        false
    }

    /// Whether what belongs to the open epoch was read: one that is replayed closes only when our own sources have come to
    /// where it ended. Others wait for theirs.
    fn may_close(&self, tick: &Tick) -> bool {
        tick.known.is_none() || self.shared.has_failed() || self.shared.intake.has_read_again(tick.epoch)
    }

    /// Closes the open epoch and, unless a snapshot is taken after it, opens the next.
    fn close(&mut self, tick: Tick) {
        assert_eq!(tick.epoch, self.epoch, "ticks come in order");
        let (mut idle, mut open, mut away) = (BTreeMap::new(), Vec::new(), Away::default());
        let intake = &self.shared.intake;
        // One of each process speaks for its sources.
        let speaks = self.index == self.shared.first;
        let spared = if speaks { self.shared.signals.spared.lock().take() } else { None };
        for mut slot in intake.slots() {
            slot.move_on(tick.next);
            if let Some(positions) = &spared {
                slot.spares(&intake.partitions, positions);
            }
            if speaks {
                let idle_timeout_ms = self.shared.options.lanes[slot.lane].idle_timeout_ms;
                idle.extend(slot.idle(tick.clock_ms, idle_timeout_ms));
                open.extend((slot.first..slot.first + slot.count).filter(|_| !slot.ended));
                away.hear(&slot);
            }
        }
        for partition in idle.keys().copied() {
            self.report(Report::Partition { partition, seen: None, status: Status::Waiting, idle: true }, partition);
        }
        let asides = Rc::clone(&self.asides);
        let mut asides = asides.borrow_mut();
        let aside = asides.entry(tick.epoch).or_default();
        for (partition, seen) in std::mem::take(&mut self.seen) {
            aside.largest.insert(partition, seen.1);
            let seen = Some(seen);
            self.report(Report::Partition { partition, seen, status: Status::Waiting, idle: false }, partition);
        }
        if speaks {
            let stats = &self.shared.signals.stats;
            let silent = self.shared.intake.silent_since(&open, &idle);
            let lanes = self.shared.options.lanes.iter().map(|lane| lane.family.family().name());
            stats.set_silent_since(lanes.zip(silent).filter_map(|(family, since)| Some((family, since?))).collect());
            away.tell(stats);
        }
        if self.index == 0 {
            for (number, lane) in self.lanes.iter_mut().enumerate() {
                lane.reports.send(match &tick.known {
                    Some(known) => Report::Known { watermark: known[number].0, target: known[number].1 },
                    None => Report::Closed,
                });
            }
            aside.clocks = Some((self.clock_ms, tick.clock_ms));
            aside.snapshot = tick.snapshot;
        }
        drop(asides);
        self.shared.signals.stats.set_live(self.index, self.ledger.live());
        if tick.snapshot {
            // The odd epoch in between belongs to nobody: reaching it, everything before is done.
            self.advance(tick.epoch + 1);
            self.cut = Some(Cut::Finishing(tick));
        } else {
            self.open(&tick);
        }
    }

    /// Opens the epoch after a tick.
    fn open(&mut self, tick: &Tick) {
        self.epoch = tick.next;
        if self.index == self.shared.first {
            self.shared.signals.stats.open.store(self.epoch, Relaxed);
        }
        self.clock_ms = tick.opens_ms;
        self.reads = Rc::new(tick.reads.clone());
        self.is_last = tick.last;
        (self.taken, self.taken_bytes) = (0, 0);
        self.advance(self.epoch);
        if tick.last {
            // Read for an epoch that nobody will close: not noted, so the next run reads it again.
            self.ahead.clear();
        }
        while let Some(dealt) = self.ahead.pop_front_if(|dealt| dealt.epoch <= self.epoch) {
            self.accept(dealt);
        }
    }

    fn advance(&mut self, epoch: Time) {
        self.lanes.iter_mut().for_each(|lane| lane.advance_to(epoch));
    }

    /// Says something of a partition to its lane.
    fn report(&mut self, report: Report, partition: u32) {
        self.lanes[self.shared.intake.lanes[partition as usize]].reports.send(report);
    }

    /// Takes what a source has, if the epoch has room; tells whether there was anything.
    fn take(&mut self) -> bool {
        if !self.ahead.is_empty() {
            return false;
        }
        let (shared, reads) = (Arc::clone(&self.shared), Rc::clone(&self.reads));
        let mut any = false;
        for mut slot in shared.intake.free_slots(&reads) {
            // What is replayed has its epoch's size.
            let full = self.taken >= self.quota || self.taken_bytes >= self.quota_bytes;
            if full && !slot.is_replaying() {
                shared.full.store(true, Release);
                return any;
            }
            let room = self.quota.saturating_sub(self.taken).clamp(1, POLL_RECORDS);
            let polled = slot.poll(room);
            let own = slot.first..slot.first + slot.count;
            drop(slot);
            match polled {
                Ok(Dealt { polled: Poll::Idle, .. }) => {}
                Ok(Dealt { polled: Poll::Skipped, .. }) => any = true,
                Ok(Dealt { polled: Poll::End, epoch, .. }) => {
                    any = true;
                    own.for_each(|partition| {
                        let polled = Poll::Status(partition, Status::Ended);
                        self.hold_or_accept(Dealt { epoch, number: None, begins: Vec::new(), polled });
                    });
                }
                Ok(Dealt { epoch, number, begins, polled }) => {
                    any = true;
                    self.hold_or_accept(Dealt { epoch, number, begins, polled: numbered(polled, own.start) });
                }
                Err(error) => shared.fail(EngineError::Source(error)),
            }
        }
        any
    }

    fn hold_or_accept(&mut self, dealt: Dealt) {
        if dealt.epoch > self.epoch { self.ahead.push_back(dealt) } else { self.accept(dealt) }
    }

    fn accept(&mut self, Dealt { number, begins, polled, .. }: Dealt) {
        match polled {
            Poll::Records(batch) => self.accept_batch(batch, number, begins),
            Poll::Status(partition, status) => {
                self.report(Report::Partition { partition, seen: None, status, idle: false }, partition);
            }
            Poll::End | Poll::Cut | Poll::Skipped | Poll::Idle => {}
        }
    }

    fn accept_batch(&mut self, mut batch: Batch, number: Option<u64>, begins: Vec<u32>) {
        self.begins = begins;
        self.in_batch = TopTwo::default();
        let asides = Rc::clone(&self.asides);
        let mut asides = asides.borrow_mut();
        let aside = asides.entry(self.epoch).or_default();
        if aside.oldest.is_none() {
            let now = std::time::Instant::now();
            aside.oldest = Some(now);
            self.shared.signals.stats.read_first(self.epoch, now);
        }
        self.taken += batch.records.len();
        self.taken_bytes += batch.bytes.len();
        self.shared.signals.stats.read(self.epoch, batch.records.iter().map(|record| record.partition));
        aside.sums.extend(sums(&batch));
        let slot = aside.batches.len() as u32;
        let mut became = Vec::with_capacity(batch.records.len());
        let shared = Arc::clone(&self.shared);
        for (place, record) in batch.records.iter().enumerate() {
            let origin = Origin { partition: record.partition, offset: record.offset, slot: (slot, place as u32) };
            became.push(self.accept_record(&shared, (&batch, record), origin, aside));
        }
        let of = batch.records.first().map(|record| self.shared.intake.lanes[record.partition as usize]);
        became::count(&batch, &became, &mut aside.counts);
        batch.keep(&became.iter().map(|became| *became != Became::Rejected).collect::<Vec<_>>());
        aside.batches.push(batch);
        let lane = of.map(|of| &mut self.lanes[of]).filter(|lane| lane.judges_lines);
        if let (Some(number), Some(lane)) = (number, lane) {
            lane.marks.send(Mark { number, worker: self.index as u32, slot, top: self.in_batch });
            // Others wait for it.
            lane.marks.flush();
        }
    }

    /// Takes one record; tells what became of it.
    fn accept_record(
        &mut self,
        shared: &Shared,
        (batch, record): (&Batch, &Record),
        origin: Origin,
        aside: &mut Aside,
    ) -> Became {
        let (first, next) = aside.read.entry(record.partition).or_insert((record.offset, record.offset + 1));
        (*first, *next) = (record.offset.min(*first), (record.offset + 1).max(*next));
        let Shared { intake, options, signals, .. } = shared;
        let partition = &intake.partitions[record.partition as usize];
        let format = batch.format(&partition.format);
        let payload = &batch.bytes[record.payload.clone()];
        // Whether an event is to come from this partition, and from no other.
        let (from, until) = intake.takes[record.partition as usize];
        let gate = &mut *self.lanes[intake.lanes[record.partition as usize]].gate;
        let replayed = shared.resume.replayed(self.epoch);
        let rules = replayed.map_or(&options.rules, |replayed| &replayed.rules);
        let was_rejected = replayed.and_then(|replayed| replayed.rejected(&partition_name(partition), record.offset));
        let decoded = match was_rejected {
            Some(rejection) => Err(Rejection { schema_id: schema_id_of(format, payload), ..rejection }),
            None if let Some(Refused { reason, detail, .. }) = record.refused.as_deref() => {
                let schema_id = schema_id_of(format, payload);
                Err(Rejection { schema_id, ..Rejection::new(*reason, detail.clone()) })
            }
            None => {
                // A log's own clock says more about what was the future than that of a reader years
                // later, unless it is nonsense: some producers write 0.
                let log_ms = Some(record.appended_ms).filter(|&ms| ms >= rules.time.min_event_time);
                let clock = Clock { reader_ms: self.clock_ms, log_ms };
                let bounds = match replayed {
                    Some(replayed) => replayed.bounds(partition.family, clock),
                    None => options.rules.bounds(partition.family, clock),
                };
                decode_record(format, (payload, record.bytes), gate, bounds)
            }
        };
        match decoded {
            Ok(Accepted { at: Some(at), .. }) if !(from..until).contains(&at) => {
                signals.stats.elsewhere.fetch_add(1, Relaxed);
                Became::Elsewhere
            }
            Ok(Accepted { at, masked }) => {
                if masked {
                    signals.stats.masked.fetch_add(1, Relaxed);
                }
                if let Some(at) = at {
                    let (earliest, top) = self.seen.entry(record.partition).or_insert((at, TopTwo::default()));
                    *earliest = at.min(*earliest);
                    top.add(at);
                    self.in_batch.add(at);
                    // A topic is not a file, in whatever order it is simulated.
                    let is_file = !matches!(format, Format::Avro(..));
                    if let Some(place) = self.begins.iter().position(|begins| is_file && *begins == record.partition) {
                        self.begins.swap_remove(place);
                        aside.begun.push((record.partition, record.offset));
                    }
                }
                gate.enter(origin);
                if let Some(name) = &shared.archived[record.partition as usize] {
                    let (offset, clock_ms) = (record.offset, self.clock_ms);
                    aside.archived.extend(Archived::of(format, name, offset, clock_ms, payload));
                }
                Became::Event
            }
            Err(rejection) => {
                signals.stats.reject(rejection.reason);
                if rejection.reason.is_of_the_world() {
                    let reason = rejection.reason.code();
                    let from = record.refused.as_ref().and_then(|refused| refused.from);
                    let last = aside.by_the_world.last_mut().filter(|last| {
                        (last.partition, last.offset + 1) == (record.partition, record.offset)
                            && (last.from, from) == (None, None)
                            && (last.reason, &last.detail) == (reason, &rejection.detail)
                    });
                    match last {
                        // A flood is all alike.
                        Some(last) => last.offset = record.offset,
                        None => aside.by_the_world.push(ByTheWorld {
                            partition: record.partition,
                            offset: record.offset,
                            first: record.offset,
                            from,
                            reason,
                            detail: rejection.detail.clone(),
                        }),
                    }
                }
                let name = (&*partition.topic, partition.partition);
                let row = kept::row(name, format, (batch, record), rejection, self.clock_ms, &mut aside.kept);
                aside.rejected.push(row);
                Became::Rejected
            }
        }
    }
}

/// Tells a lane what was known before this run.
fn say_known(shared: &Shared, number: usize, lane: &mut Lane) {
    let (resume, intake) = (&shared.resume, &shared.intake);
    let known = resume.lanes.of(shared.options.lanes[number].family.family().name());
    if known.watermark > dataflows::time::START {
        lane.reports.send(Report::Known { watermark: known.watermark, target: known.target });
    }
    let sequence = &intake.sequences[number];
    for (partition, of) in (0..).zip(&intake.partitions) {
        if intake.lanes[partition as usize] != number {
            continue;
        }
        // What was read of a sequence is known of all of it together, files that are gone too.
        let top = match sequence.contains(&partition) {
            true if partition == sequence.start => known.lines,
            true => TopTwo::default(),
            false => resume.top(&partition_name(of)),
        };
        let seen = top.largest.map(|at| (at, top));
        lane.reports.send(Report::Partition { partition, seen, status: of.status, idle: false });
    }
    lane.marks.send(Mark { number: 0, worker: u32::MAX, slot: 0, top: known.lines });
}

/// What proves that a log is the one that was read: the sum up to the end of a batch, and at its very beginning the
/// sum of its first two lines, for one that only begins alike.
fn sums(batch: &Batch) -> impl Iterator<Item = (u32, i64, u32)> {
    let second = batch.records.iter().take(2).find(|record| record.offset == 2);
    let proof = |record: &Record| Some((record.partition, record.offset + 1, record.sum?));
    batch.records.last().into_iter().chain(second).filter_map(proof)
}

/// The schema that a payload names, where payloads do.
fn schema_id_of(format: &Format, payload: &[u8]) -> Option<u32> {
    matches!(format, Format::Avro(..)).then(|| schema_id(payload)).flatten()
}

fn numbered(polled: Poll, first: u32) -> Poll {
    match polled {
        Poll::Records(mut batch) => {
            batch.records.iter_mut().for_each(|record| record.partition += first);
            Poll::Records(batch)
        }
        Poll::Status(partition, status) => Poll::Status(partition + first, status),
        other @ (Poll::Skipped | Poll::Idle | Poll::Cut | Poll::End) => other,
    }
}
