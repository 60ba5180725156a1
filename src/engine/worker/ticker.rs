//! Worker 0's side of the clock: when the epoch closes for everybody.

use super::{Handle, Tick, Worker};
use crate::engine::intake::Reads;
use crate::engine::said::{Asks, Said};
use crate::engine::{Lane, Replayed, Resume};
use dataflows::Time;
use dataflows::operators::Pace;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

pub(super) struct Ticker {
    pub(super) input: Handle<Tick>,
    /// The epoch that the next tick closes.
    next: Time,
    /// The one that the last tick closed; what lies between the two never was.
    closed: Time,
    /// How far the watermark of each lane has come.
    paces: Vec<Rc<Cell<Pace>>>,
    /// An epoch was closed after the sources had ended.
    ended: bool,
    ticked: std::time::Instant,
    /// Since when no snapshot was begun.
    snapshot: std::time::Instant,
    /// Epochs that close as they closed before.
    replay: VecDeque<Tick>,
}

impl Ticker {
    pub(super) fn new(
        input: Handle<Tick>,
        next: Time,
        paces: Vec<Rc<Cell<Pace>>>,
        lanes: &[Lane],
        resume: &Resume,
    ) -> Ticker {
        let (replay, mut known) = (&resume.replay, resume.lanes.clone());
        let ticks = replay.iter().enumerate().map(|(n, Replayed { entry, .. })| {
            let following = replay.get(n + 1).map(|following| (following.entry.epoch, following.entry.opened_ms));
            let (next, opens_ms) = following.unwrap_or((entry.epoch + 2, entry.clock_ms));
            known.learn(&entry.lanes);
            let known = lanes.iter().map(|lane| known.of(lane.family.family().name()));
            Tick {
                epoch: entry.epoch,
                next,
                clock_ms: entry.clock_ms,
                opens_ms,
                // As it is when it closes.
                reads: Reads::default(),
                known: Some(known.map(|times| (times.watermark, times.target)).collect()),
                snapshot: false,
                last: false,
            }
        });
        let replay = ticks.collect();
        let now = std::time::Instant::now();
        Ticker { input, next, closed: resume.epoch, paces, ended: false, ticked: now, snapshot: now, replay }
    }
}

impl Worker {
    /// Closes the epoch for everybody when it is time; tells whether it did.
    pub(super) fn tick(&mut self) -> bool {
        let Some(ticker) = &mut self.ticker else { return false };
        let (shared, options) = (&self.shared, &self.shared.options);
        // The tick of the epoch before is still on its way to ourselves.
        if self.epoch != ticker.next {
            return false;
        }
        let closed_before = ticker.closed;
        let unacknowledged = closed_before - shared.signals.acknowledged.load(Acquire).min(closed_before);
        // An odd epoch that was acknowledged does not acknowledge the even one after it.
        let in_flight = unacknowledged.div_ceil(2);
        let has_failed = shared.has_failed();
        if in_flight >= options.epochs_in_flight && !has_failed {
            return false;
        }
        let (mut cut, mut ended) = (false, true);
        for slot in shared.intake.slots() {
            cut |= slot.wants_close();
            ended &= slot.ended;
        }
        for asked in &shared.asked {
            cut |= asked.closes(ticker.next);
            ended &= asked.has_ended();
        }
        let tick = if let Some(tick) = ticker.replay.pop_front_if(|_| !has_failed) {
            Tick { reads: shared.intake.reads_next(), ..tick }
        } else {
            // After the end, and wherever time makes a leap, the watermark has further to go than one
            // epoch takes it: epochs close until it has arrived.
            let known = ticker.paces.iter().all(|pace| pace.get().epoch >= closed_before);
            let behind = ticker.paces.iter().any(|pace| pace.get().behind);
            let arrived = ended && ticker.ended && known && !behind;
            let last = shared.signals.stop.load(Acquire) || arrived;
            let catch_up = known && behind;
            if ended && ticker.ended && !(last || catch_up) {
                return false;
            }
            let due = ticker.ticked.elapsed() >= options.epoch_interval;
            let full = shared.full.swap(false, AcqRel);
            // A source came to its end when its epoch was already closing: those after it wait for the next tick.
            let passed = self.reads.iter().any(Option::is_some) && shared.intake.reads() != *self.reads;
            if !(last || ended || catch_up || due || cut || full || passed) {
                return false;
            }
            let clock_ms = (options.clock)();
            let wants_snapshot = last || ticker.snapshot.elapsed() >= options.snapshot_interval;
            let busy = shared.signals.snapshotting.load(Acquire);
            // The last one waits for the one that is being taken.
            if shared.keeps_state && last && busy && !has_failed {
                return false;
            }
            let snapshot = shared.keeps_state && wants_snapshot && !busy && !has_failed;
            if snapshot {
                shared.signals.snapshotting.store(true, Release);
                ticker.snapshot = std::time::Instant::now();
            }
            ticker.ended |= ended;
            let (epoch, next) = (ticker.next, ticker.next + 2);
            let reads = shared.intake.reads_next();
            Tick { epoch, next, clock_ms, opens_ms: clock_ms, reads, known: None, snapshot, last }
        };
        (ticker.closed, ticker.next) = (tick.epoch, tick.next);
        ticker.input.send(tick);
        ticker.input.advance_to(ticker.next);
        ticker.ticked = std::time::Instant::now();
        true
    }

    /// Says what this process wants of the clock, where that is another one's: once for all its workers, when it changes.
    pub(super) fn ask(&mut self) {
        let shared = &self.shared;
        let Some(link) = shared.outbox.link().filter(|_| self.index == shared.first) else { return };
        let (mut closes, mut ended) = (shared.full.swap(false, AcqRel), true);
        for slot in shared.intake.slots() {
            closes |= slot.wants_close();
            ended &= slot.ended;
        }
        let asks = Asks { closes: closes.then_some(self.epoch), ended };
        if asks.ended != self.asked.ended || asks.closes.is_some() && asks.closes != self.asked.closes {
            self.asked = asks;
            link.say(Said::Asks(asks));
        }
    }
}
