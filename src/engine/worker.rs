//! One worker: takes records, makes events of them, feeds the dataflow, closes epochs on the tick.

use super::deliver::{Aside, Asides, deliver};
use super::{EngineError, Resume, Shared, partition_name};
use crate::decode::mask::{masked_bytes, masked_record};
use crate::decode::{Rejection, decode};
use crate::source::{Batch, Poll, Record};
use dataflows::events::{Arrival, Origin};
use dataflows::flow::{Inputs, build};
use dataflows::operators::{Pace, Report, Status};
use dataflows::raw::Append;
use dataflows::state::{Ledger, State};
use dataflows::table::{TableId, Value};
use dataflows::{Instant, Time};
use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;
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
    clock_ms: Instant,
    last: bool,
}

/// Worker 0's side of the clock.
struct Ticker {
    input: Handle<Tick>,
    /// The epoch that the next tick closes.
    next: Time,
    /// How far the watermark has come.
    pace: Rc<Cell<Pace>>,
    /// An epoch was closed after the sources had ended.
    ended: bool,
    ticked: std::time::Instant,
}

struct Worker {
    shared: Arc<Shared>,
    index: usize,
    /// The open epoch.
    epoch: Time,
    clock_ms: Instant,
    arrivals: Handle<Arrival>,
    reports: Handle<Report>,
    asides: Asides,
    ledger: Ledger,
    ticks: Rc<RefCell<VecDeque<Tick>>>,
    ticker: Option<Ticker>,
    /// What was read for epochs that are not open yet.
    ahead: VecDeque<(Time, Poll)>,
    /// How many records this worker may take in an epoch.
    quota: usize,
    taken: usize,
    /// How many bytes it may take, and took: many small records or few large ones, memory is bounded.
    quota_bytes: usize,
    taken_bytes: usize,
    /// Smallest and largest event time per partition in the open epoch.
    seen: BTreeMap<u32, (Instant, Instant)>,
}

/// Runs a worker until the last tick; what it fed is computed to the end after it returns.
pub(super) fn run(timely: &mut Timely, shared: &Arc<Shared>) {
    let resume = shared.resume.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut worker = Worker::start(timely, shared, resume);
    while !worker.turn(timely) {}
    let Worker { shared, index, epoch, arrivals, reports, ledger, ticker, .. } = worker;
    drop((arrivals, reports, ticker));
    while timely.has_dataflows() {
        timely.step_or_park(Some(PARK));
    }
    let mut ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
    ended.epoch = epoch;
    if shared.options.take_state {
        ended.state.extend(ledger.dump());
    }
    shared.signals.stats.set_live(index, ledger.live());
}

impl Worker {
    fn start(timely: &mut Timely, shared: &Arc<Shared>, resume: Resume) -> Worker {
        let index = timely.index();
        let settings = &shared.options.settings;
        let (ledger, asides) = (Ledger::default(), Asides::default());
        let outbox = shared.outbox.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut restore, mut arrivals, mut reports, pace) = timely.dataflow(|scope| {
            let (arrivals_in, arrivals) = scope.new_input::<Vec<Arrival>>();
            let (reports_in, reports) = scope.new_input::<Vec<Report>>();
            let (restore_in, restore) = scope.new_input::<Vec<(State, Time, isize)>>();
            let inputs = Inputs { arrivals, reports, restore: restore.as_collection() };
            let outputs = build(inputs, settings, &ledger);
            let pace = Rc::clone(&outputs.pace);
            deliver(outputs, settings, Rc::clone(&asides), outbox);
            (restore_in, arrivals_in, reports_in, pace)
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
        // What is known from before enters at the odd epoch before the first even one: silently.
        let silent = resume.epoch + 1;
        restore.advance_to(silent);
        reports.advance_to(silent);
        let peers = timely.peers();
        for state in resume.state.into_iter().skip(index).step_by(peers) {
            restore.send((state, silent, 1));
        }
        drop(restore);
        if index == 0 {
            if resume.watermark > dataflows::time::START {
                reports.send(Report::Resumed(resume.watermark));
            }
            for (number, partition) in shared.intake.partitions.iter().enumerate() {
                let largest = resume.largest.get(&partition_name(partition)).copied();
                reports.send(Report::Partition {
                    partition: number as u32,
                    seen: largest.map(|at| (at, at)),
                    status: partition.status,
                    idle: false,
                });
            }
        }
        let epoch = resume.epoch + 2;
        arrivals.advance_to(epoch);
        reports.advance_to(epoch);
        tick_input.advance_to(epoch);
        let ticked = std::time::Instant::now();
        let ticker = (index == 0).then(|| Ticker { input: tick_input, next: epoch, pace, ended: false, ticked });
        Worker {
            shared: Arc::clone(shared),
            index,
            epoch,
            clock_ms: shared.started_ms,
            arrivals,
            reports,
            asides,
            ledger,
            ticks,
            ticker,
            ahead: VecDeque::new(),
            quota: (shared.options.epoch_events / peers).max(1),
            taken: 0,
            quota_bytes: (shared.options.epoch_bytes / peers).max(1),
            taken_bytes: 0,
            seen: BTreeMap::new(),
        }
    }

    /// One turn of the loop; tells whether it was the last.
    fn turn(&mut self, timely: &mut Timely) -> bool {
        let mut busy = false;
        loop {
            let tick = self.ticks.borrow_mut().pop_front();
            let Some(tick) = tick else { break };
            busy = true;
            self.close(&tick);
            if tick.last {
                return true;
            }
        }
        busy |= self.take();
        busy |= self.tick();
        timely.step_or_park(Some(if busy { Duration::ZERO } else { PARK }));
        false
    }

    /// Worker 0: closes the epoch for everybody when it is time.
    fn tick(&mut self) -> bool {
        let Some(ticker) = &mut self.ticker else { return false };
        let (shared, options) = (&self.shared, &self.shared.options);
        let closed_before = ticker.next - 2;
        // The tick of the epoch before is still on its way to ourselves.
        if self.epoch != ticker.next {
            return false;
        }
        let stop = shared.signals.stop.load(Acquire);
        let unacknowledged = closed_before - shared.signals.acknowledged.load(Acquire).min(closed_before);
        // An odd epoch that was acknowledged does not acknowledge the even one after it.
        let in_flight = unacknowledged.div_ceil(2);
        if in_flight >= options.epochs_in_flight && !shared.has_failed() {
            return false;
        }
        let (mut cut, mut ended) = (false, true);
        for slot in shared.intake.slots() {
            cut |= slot.wants_close();
            ended &= slot.ended;
        }
        // After the end, and wherever time makes a leap, the watermark has further to go than one
        // epoch takes it: epochs close until it has arrived.
        let pace = ticker.pace.get();
        let known = pace.epoch >= closed_before;
        let arrived = ended && ticker.ended && known && !pace.behind;
        let last = stop || arrived;
        let catch_up = known && pace.behind;
        if ended && ticker.ended && !(last || catch_up) {
            return false;
        }
        let due = ticker.ticked.elapsed() >= options.epoch_interval;
        let full = shared.full.swap(false, AcqRel);
        if !(last || ended || catch_up || due || cut || full) {
            return false;
        }
        let tick = Tick { epoch: ticker.next, clock_ms: (options.clock)(), last };
        ticker.input.send(tick);
        ticker.next += 2;
        ticker.ended |= ended;
        ticker.input.advance_to(ticker.next);
        ticker.ticked = std::time::Instant::now();
        true
    }

    /// Closes the open epoch and opens the next.
    fn close(&mut self, tick: &Tick) {
        assert_eq!(tick.epoch, self.epoch, "ticks come in order");
        let idle_timeout_ms = self.shared.options.idle_timeout_ms;
        let mut idle = Vec::new();
        for mut slot in self.shared.intake.slots() {
            slot.move_on(tick.epoch + 2);
            if self.index == 0 && !slot.ended && slot.idle_for_ms(tick.clock_ms).is_some_and(|ms| ms >= idle_timeout_ms)
            {
                idle.extend(slot.first..slot.first + slot.count);
            }
        }
        for partition in idle {
            self.reports.send(Report::Partition { partition, seen: None, status: Status::Waiting, idle: true });
        }
        for (partition, seen) in std::mem::take(&mut self.seen) {
            self.note_largest(partition, seen.1);
            let seen = Some(seen);
            self.reports.send(Report::Partition { partition, seen, status: Status::Waiting, idle: false });
        }
        if self.index == 0 {
            self.reports.send(Report::Closed);
            self.asides.borrow_mut().entry(tick.epoch).or_default().clock_ms = Some(tick.clock_ms);
        }
        self.epoch = tick.epoch + 2;
        self.clock_ms = tick.clock_ms;
        (self.taken, self.taken_bytes) = (0, 0);
        self.arrivals.advance_to(self.epoch);
        self.reports.advance_to(self.epoch);
        self.arrivals.flush();
        self.reports.flush();
        self.shared.signals.stats.set_live(self.index, self.ledger.live());
        if tick.last {
            // Read for an epoch that nobody will close: not noted, so whoever goes on reads it again.
            self.ahead.clear();
        }
        while let Some((_, polled)) = self.ahead.pop_front_if(|(epoch, _)| *epoch <= self.epoch) {
            self.accept(polled);
        }
    }

    /// For whoever resumes this run.
    fn note_largest(&self, partition: u32, largest: Instant) {
        let name = partition_name(&self.shared.intake.partitions[partition as usize]);
        let mut ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ended.largest.entry(name).or_insert(largest);
        *known = largest.max(*known);
    }

    /// Takes what a source has, if the epoch has room; tells whether there was anything.
    fn take(&mut self) -> bool {
        if !self.ahead.is_empty() {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let mut any = false;
        for mut slot in shared.intake.free_slots() {
            if self.taken >= self.quota || self.taken_bytes >= self.quota_bytes {
                shared.full.store(true, Release);
                return any;
            }
            let polled = slot.poll((self.quota - self.taken).min(POLL_RECORDS), self.clock_ms);
            let own = slot.first..slot.first + slot.count;
            drop(slot);
            match polled {
                Ok((_, Poll::Idle)) => {}
                Ok((epoch, Poll::End)) => {
                    any = true;
                    own.for_each(|partition| self.hold_or_accept(epoch, Poll::Status(partition, Status::Ended)));
                }
                Ok((epoch, polled)) => {
                    any = true;
                    self.hold_or_accept(epoch, numbered(polled, own.start));
                }
                Err(error) => shared.fail(EngineError::Source(error)),
            }
        }
        any
    }

    fn hold_or_accept(&mut self, epoch: Time, polled: Poll) {
        if epoch > self.epoch { self.ahead.push_back((epoch, polled)) } else { self.accept(polled) }
    }

    fn accept(&mut self, polled: Poll) {
        match polled {
            Poll::Records(batch) => self.accept_batch(batch),
            Poll::Status(partition, status) => {
                self.reports.send(Report::Partition { partition, seen: None, status, idle: false });
            }
            Poll::End | Poll::Cut | Poll::Idle => {}
        }
    }

    fn accept_batch(&mut self, mut batch: Batch) {
        let asides = Rc::clone(&self.asides);
        let mut asides = asides.borrow_mut();
        let aside = asides.entry(self.epoch).or_default();
        aside.oldest.get_or_insert_with(std::time::Instant::now);
        self.taken += batch.records.len();
        self.taken_bytes += batch.bytes.len();
        self.shared.signals.stats.records.fetch_add(batch.records.len() as u64, Relaxed);
        let slot = aside.batches.len() as u32;
        let mut in_clear = Vec::new();
        for (number, record) in batch.records.iter().enumerate() {
            let origin = Origin { partition: record.partition, offset: record.offset, slot: (slot, number as u32) };
            if let Some(masked) = self.accept_record(&batch, record, origin, aside) {
                in_clear.push((record.payload.clone(), masked));
            }
        }
        for (payload, masked) in in_clear {
            batch.bytes[payload].copy_from_slice(&masked);
        }
        aside.batches.push(batch);
    }

    /// Takes one record. If an address lies in it in clear, returns it without: late events are kept
    /// as they came, but for that.
    fn accept_record(&mut self, batch: &Batch, record: &Record, origin: Origin, aside: &mut Aside) -> Option<Vec<u8>> {
        let next = aside.positions.entry(record.partition).or_insert(record.offset + 1);
        *next = (record.offset + 1).max(*next);
        let Shared { intake, options, signals, .. } = &*self.shared;
        let partition = &intake.partitions[record.partition as usize];
        match decode(&partition.format, &batch.bytes[record.payload.clone()], &options.rules, self.clock_ms) {
            Ok(accepted) => {
                if accepted.masked {
                    signals.stats.masked.fetch_add(1, Relaxed);
                }
                if accepted.event.carries_time() {
                    let at = accepted.event.timestamp();
                    let (earliest, largest) = self.seen.entry(record.partition).or_insert((at, at));
                    (*earliest, *largest) = (at.min(*earliest), at.max(*largest));
                }
                self.arrivals.send(Arrival { origin, event: accepted.event });
                accepted.masked.then(|| masked_record(&batch.bytes[record.payload.clone()], accepted.email))
            }
            Err(rejection) => {
                signals.stats.reject(rejection.reason);
                let name = (&partition.topic, partition.partition);
                aside.rejected.push(rejected_row(name, record, batch, rejection, self.clock_ms));
                None
            }
        }
    }
}

fn numbered(polled: Poll, first: u32) -> Poll {
    match polled {
        Poll::Records(mut batch) => {
            batch.records.iter_mut().for_each(|record| record.partition += first);
            Poll::Records(batch)
        }
        Poll::Status(partition, status) => Poll::Status(partition + first, status),
        other => other,
    }
}

fn rejected_row(
    name: (&String, i32),
    record: &Record,
    batch: &Batch,
    rejection: Rejection,
    clock_ms: Instant,
) -> Append {
    let key = &batch.bytes[record.key.clone()];
    let values = vec![
        Value::Text(name.0.clone()),
        Value::Integer(name.1.into()),
        Value::Integer(record.offset),
        if key.is_empty() { Value::Null } else { Value::Bytes(masked_bytes(key).into()) },
        rejection.schema_id.map_or(Value::Null, |id| Value::Integer(id.into())),
        Value::Text(rejection.reason.code().to_owned()),
        Value::Text(String::from_utf8_lossy(&masked_bytes(rejection.detail.as_bytes())).into_owned()),
        Value::Bytes(masked_record(&batch.bytes[record.payload.clone()], rejection.email).into()),
        Value::Instant(clock_ms),
    ];
    Append { table: TableId::RejectedEvents, values }
}
