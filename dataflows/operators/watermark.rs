//! From what partitions report to one watermark, equal on all workers.

use crate::Stream;
use crate::time::{Instant, START, Settings, Time, is_silent};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Map};

/// The life of a partition, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Follows another partition of the same sequence (the second file of a list): no part in the watermark yet.
    Waiting,
    /// Read or to be read: holds the watermark, even while nothing has come from it.
    Live,
    /// Read to its end, for ever.
    Ended,
}

/// What a worker says of a partition at the close of an epoch. Several reports of one epoch may
/// come in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Facts about one partition; a partition never reported is unknown and holds nothing. Of
    /// several statuses the furthest counts, so `Waiting` says nothing about it.
    Partition {
        /// Its number.
        partition: u32,
        /// Smallest and largest event time read in the epoch.
        seen: Option<(Instant, Instant)>,
        /// How its life goes.
        status: Status,
        /// For `idle_timeout` it was confirmed that there is nothing to read.
        idle: bool,
    },
    /// What an earlier run has decided: where the watermark is after this epoch, and where it is going.
    Known {
        /// Where it is.
        watermark: Instant,
        /// Where it is going.
        target: Instant,
    },
    /// Nothing in particular: the epoch is closed, and the watermark may have further to go.
    Closed,
}

#[derive(Clone, Copy)]
struct Partition {
    largest: Option<Instant>,
    status: Status,
    idle: bool,
}

#[derive(Default)]
struct Partitions {
    known: BTreeMap<u32, Partition>,
    earliest: Option<Instant>,
    watermark: Instant,
    /// What was decided before, of the epoch whose reports were taken in last.
    known_target: Option<Instant>,
}

impl Partitions {
    /// Takes in the reports of one epoch. Commutative: data beats idleness, a life only goes on.
    fn take_in(&mut self, reports: Vec<Report>) {
        let mut heard_of: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
        self.known_target = None;
        for report in reports {
            match report {
                Report::Known { watermark, target } => {
                    (self.watermark, self.known_target) = (self.watermark.max(watermark), Some(target));
                }
                Report::Closed => {}
                Report::Partition { partition, seen, status, idle } => {
                    let largest = seen.map(|(_, largest)| largest);
                    self.earliest = [self.earliest, seen.map(|(earliest, _)| earliest)].into_iter().flatten().min();
                    let known = self.known.entry(partition).or_insert(Partition { largest: None, status, idle: false });
                    known.largest = known.largest.max(largest);
                    known.status = known.status.max(status);
                    let (data, idleness) = heard_of.entry(partition).or_default();
                    *data |= largest.is_some();
                    *idleness |= idle;
                }
            }
        }
        for (partition, (data, idle)) in heard_of {
            if let Some(known) = self.known.get_mut(&partition) {
                known.idle = idle && !data;
            }
        }
    }

    /// Where the watermark belongs: the minimum over the partitions that take part. When all have
    /// ended it is the largest event time; when the rest is idle it stays.
    fn target(&self, out_of_orderness_ms: i64) -> Instant {
        if let Some(known) = self.known_target {
            return known;
        }
        let taking_part = self.known.values().filter(|p| p.status == Status::Live && !p.idle);
        let behind = taking_part.map(|p| p.largest.map_or(START, |at| at - out_of_orderness_ms)).min();
        let all_ended = !self.known.is_empty() && self.known.values().all(|p| p.status == Status::Ended);
        let at_the_end = self.known.values().filter_map(|p| p.largest).max().filter(|_| all_ended);
        self.watermark.max(behind.unwrap_or(START)).max(at_the_end.unwrap_or(START))
    }

    /// Moves the watermark towards its target by one step. The first step starts at the first event.
    fn advance(&mut self, target: Instant, step_ms: i64) {
        let from = if self.watermark > START { self.watermark } else { self.earliest.unwrap_or(target) };
        self.watermark = target.min(from.saturating_add(step_ms)).max(self.watermark);
    }
}

/// How far the watermark of a worker has come: for whoever closes epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The last epoch whose watermark is known.
    pub epoch: Time,
    /// It has further to go: an epoch without a single event would move it.
    pub behind: bool,
}

/// What is known of time, on every worker.
pub struct Watermarks<'s> {
    /// The watermark, at each epoch in which it changed.
    pub watermarks: Stream<'s, Instant>,
    /// Where it is going, at each epoch in which that changed: lateness is judged by it, so that no
    /// event is in time only because a leap has not been crossed yet.
    pub targets: Stream<'s, Instant>,
    /// How far it has come.
    pub pace: Rc<Cell<Pace>>,
}

/// The watermark, sent to every worker.
///
/// **Law.** It goes to the minimum over the partitions that take part of (largest event time so far,
/// less `out_of_orderness`), never back, and in one epoch by no more than `watermark_step`: what a
/// gap in time makes true at once (minutes, timeouts) is said in bounded slices.
pub fn watermark<'s>(reports: Stream<'s, Report>, settings: &Settings) -> Watermarks<'s> {
    let (out_of_orderness_ms, step_ms) = (settings.out_of_orderness_ms, settings.watermark_step_ms);
    let pace = Rc::new(Cell::new(Pace::default()));
    let known = Rc::clone(&pace);
    let both = reports
        .broadcast()
        .unary_frontier(Pipeline, "watermark", move |_cap, _info| {
            let mut open = BTreeMap::new();
            let mut partitions = Partitions::default();
            let mut sent = None;
            move |(input, frontier), output| {
                input.for_each_time(|cap, data| {
                    let (_, reports) = open
                        .entry(*cap.time())
                        .or_insert_with(|| (cap.retain(output.output_index()), Vec::<Report>::new()));
                    data.for_each(|reported| reports.append(reported));
                });
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(first.key()) {
                        break;
                    }
                    let (epoch, (cap, reports)) = first.remove_entry();
                    partitions.take_in(reports);
                    let target = partitions.target(out_of_orderness_ms);
                    // What a step makes true is news, and odd epochs have none.
                    if !is_silent(epoch) && partitions.known_target.is_none() {
                        partitions.advance(target, step_ms);
                    }
                    known.set(Pace { epoch, behind: !is_silent(epoch) && partitions.watermark < target });
                    let now = (partitions.watermark, target);
                    if sent.replace(now) != Some(now) {
                        output.session(&cap).give(now);
                    }
                }
            }
        })
        .container::<Vec<_>>();
    Watermarks {
        watermarks: both.clone().map(|(watermark, _)| watermark),
        targets: both.map(|(_, target)| target),
        pace,
    }
}

/// The reading side of a watermark stream: which watermark holds at an epoch.
#[derive(Default)]
pub struct AsOf {
    ahead: BTreeMap<Time, Instant>,
    watermark: Instant,
}

impl AsOf {
    /// Notes that the watermark is `watermark` from `time` on.
    pub fn note(&mut self, time: Time, watermark: Instant) {
        self.ahead.insert(time, watermark);
    }

    /// The watermark at `time`. Times must not go back, and the stream must have closed `time`.
    pub fn at(&mut self, time: Time) -> Instant {
        while let Some(first) = self.ahead.first_entry() {
            if *first.key() > time {
                break;
            }
            self.watermark = first.remove();
        }
        self.watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(partition: u32, largest: Option<Instant>, status: Status, idle: bool) -> Report {
        Report::Partition { partition, seen: largest.map(|at| (at, at)), status, idle }
    }

    fn run(epochs: Vec<Vec<Report>>) -> Vec<Instant> {
        let mut partitions = Partitions::default();
        epochs
            .into_iter()
            .map(|reports| {
                partitions.take_in(reports);
                partitions.advance(partitions.target(10), 1000);
                partitions.watermark
            })
            .collect()
    }

    #[test]
    fn the_slowest_partition_holds_the_watermark_and_an_unread_one_stops_it() {
        let live = |p, at| says(p, at, Status::Live, false);
        assert_eq!(
            run(vec![
                vec![live(0, Some(100)), live(1, None)],
                vec![live(1, Some(50))],
                vec![live(1, Some(300))],
                vec![live(0, Some(60))],
            ]),
            [0, 40, 90, 90]
        );
    }

    #[test]
    fn an_idle_partition_is_left_out_until_it_speaks_and_when_all_are_idle_it_stays() {
        let live = |p, at| says(p, Some(at), Status::Live, false);
        let idle = |p| says(p, None, Status::Live, true);
        assert_eq!(
            run(vec![
                vec![live(0, 100), live(1, 500)],
                vec![idle(0)],
                vec![idle(1), idle(0)],
                vec![live(0, 600), idle(0)],
                vec![live(1, 700)],
            ]),
            [90, 490, 490, 590, 590]
        );
    }

    #[test]
    fn a_waiting_partition_holds_nothing_and_the_end_of_all_is_the_largest_time() {
        assert_eq!(
            run(vec![
                vec![says(0, Some(100), Status::Live, false), says(1, None, Status::Waiting, false)],
                vec![says(0, None, Status::Ended, false)],
                vec![says(1, Some(70), Status::Live, false)],
                vec![says(1, Some(120), Status::Ended, false)],
            ]),
            [90, 90, 90, 120]
        );
    }

    #[test]
    fn a_gap_is_crossed_in_steps_and_the_first_starts_at_the_first_event() {
        let live = |earliest, largest| Report::Partition {
            partition: 0,
            seen: Some((earliest, largest)),
            status: Status::Live,
            idle: false,
        };
        let mut partitions = Partitions::default();
        let mut after = |reports| {
            partitions.take_in(reports);
            let target = partitions.target(10);
            partitions.advance(target, 1000);
            (partitions.watermark < target, partitions.watermark)
        };
        assert_eq!(after(vec![live(500_000, 502_510)]), (true, 501_000));
        assert_eq!(after(vec![Report::Closed]), (true, 502_000));
        assert_eq!(after(vec![live(502_000, 502_400)]), (false, 502_500));
        assert_eq!(after(vec![Report::Closed]), (false, 502_500));
    }
}
