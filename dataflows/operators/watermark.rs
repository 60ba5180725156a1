//! From what partitions report to one watermark, equal on all workers.

use crate::Stream;
use crate::operators::TopTwo;
use crate::time::{Instant, START, Settings, Time, is_silent};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Map};

/// The life of a partition, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Follows another partition (the second file of a list): no part in the watermark yet.
    Waiting,
    /// Read or to be read: holds the watermark, even while nothing has come from it.
    Live,
    /// Read to its end, forever.
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
        /// Smallest and largest event times read in the epoch.
        seen: Option<(Instant, TopTwo)>,
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
    top: TopTwo,
    status: Status,
    idle: bool,
}

#[derive(Default)]
struct Partitions {
    known: BTreeMap<u32, Partition>,
    /// Which of them are one sequence.
    sequence: Range<u32>,
    /// What was read of that, in this run and before.
    lines: TopTwo,
    earliest: Option<Instant>,
    watermark: Instant,
    target: Instant,
    /// The target was decided before, for the epoch whose reports were taken in last.
    is_known: bool,
}

impl Partitions {
    /// Takes in the reports of one epoch. Commutative: data beats idleness, a life only goes on.
    fn take_in(&mut self, reports: Vec<Report>) {
        let mut heard_of: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
        self.is_known = false;
        for report in reports {
            match report {
                Report::Known { watermark, target } => {
                    (self.watermark, self.is_known) = (self.watermark.max(watermark), true);
                    self.target = self.target.max(target);
                }
                Report::Closed => {}
                Report::Partition { partition, seen, status, idle } => {
                    let top = seen.map_or(TopTwo::default(), |(_, top)| top);
                    self.earliest = [self.earliest, seen.map(|(earliest, _)| earliest)].into_iter().flatten().min();
                    let nothing = Partition { top: TopTwo::default(), status, idle: false };
                    let known = self.known.entry(partition).or_insert(nothing);
                    let lane = if self.sequence.contains(&partition) { &mut self.lines } else { &mut known.top };
                    lane.merge(top);
                    known.status = known.status.max(status);
                    let (data, idleness) = heard_of.entry(partition).or_default();
                    *data |= !top.is_empty();
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

    /// Decides where the watermark is going, which never goes back: to the minimum over the sequence and
    /// the partitions that race, as far as they take part. When all have ended, to where all of them
    /// together have come; when the rest is idle it stays.
    fn decide(&mut self, settings: &Settings) -> Instant {
        if self.is_known {
            return self.target;
        }
        let in_sequence = |number: &u32| self.sequence.contains(number);
        let racing = self.known.iter().filter(|(number, _)| !in_sequence(number)).map(|(_, partition)| partition);
        let taking_part = racing.clone().filter(|p| p.status == Status::Live && !p.idle);
        let behind = |p: &Partition| p.top.witnessed().map_or(START, |at| at - settings.out_of_orderness_ms);
        let mut lines = self.known.iter().filter(|(number, _)| in_sequence(number));
        let is_read = lines.any(|(_, partition)| partition.status != Status::Ended);
        let read_to = is_read.then(|| self.lines.witnessed().unwrap_or(START));
        let going = taking_part.map(behind).chain(read_to).min();
        let all_ended = !self.known.is_empty() && self.known.values().all(|p| p.status == Status::Ended);
        let at_the_end = all_ended.then(|| {
            let mut all = self.lines;
            racing.clone().for_each(|partition| all.merge(partition.top));
            // Files grow: their next line is judged as if it had been there already.
            let may_grow = racing.clone().next().is_none() && !settings.whole_input;
            if may_grow { all.witnessed() } else { all.at_the_end() }
        });
        let at_the_end = at_the_end.flatten().unwrap_or(START);
        self.target = self.target.max(self.watermark).max(going.unwrap_or(START)).max(at_the_end);
        self.target
    }

    /// Moves the watermark towards its target by one step. The first step starts at the first event.
    fn advance(&mut self, target: Instant, step_ms: i64) {
        let from = if self.watermark > START { self.watermark } else { self.earliest.unwrap_or(target) };
        self.watermark = target.min(from.saturating_add(step_ms)).max(self.watermark);
    }
}

/// How far the watermark of a worker has come: for the worker that closes epochs.
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
/// gap in time makes true at once (minutes, timeouts) is said in bounded slices. Of largest event times
/// counts what two records witness. A sequence is one such partition, and without `out_of_orderness`:
/// nothing in it races.
pub fn watermark<'s>(reports: Stream<'s, Report>, settings: &Settings, sequence: Range<u32>) -> Watermarks<'s> {
    let settings = settings.clone();
    let pace = Rc::new(Cell::new(Pace::default()));
    let known = Rc::clone(&pace);
    let both = reports
        .broadcast()
        .unary_frontier(Pipeline, "watermark", move |_cap, _info| {
            let mut open = BTreeMap::new();
            let mut partitions = Partitions { sequence: sequence.clone(), ..Partitions::default() };
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
                    let target = partitions.decide(&settings);
                    // What a step makes true is news, and odd epochs have none.
                    if !is_silent(epoch) && !partitions.is_known {
                        partitions.advance(target, settings.watermark_step_ms);
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

    /// Two records say so.
    fn says(partition: u32, largest: Option<Instant>, status: Status, idle: bool) -> Report {
        let twice = |at| (at, TopTwo { largest: Some(at), second: Some(at) });
        Report::Partition { partition, seen: largest.map(twice), status, idle }
    }

    /// One record does.
    fn once(partition: u32, at: Instant, status: Status) -> Report {
        Report::Partition { partition, seen: Some((at, TopTwo::of(at))), status, idle: false }
    }

    fn settings() -> Settings {
        Settings { out_of_orderness_ms: 10, watermark_step_ms: 1000, ..Settings::default() }
    }

    fn run(epochs: Vec<Vec<Report>>) -> Vec<Instant> {
        run_with(&settings(), epochs).into_iter().map(|(watermark, _)| watermark).collect()
    }

    /// Where the watermark is after each epoch, and where it is going.
    fn run_with(settings: &Settings, epochs: Vec<Vec<Report>>) -> Vec<(Instant, Instant)> {
        run_of(0..0, settings, epochs)
    }

    fn run_of(sequence: Range<u32>, settings: &Settings, epochs: Vec<Vec<Report>>) -> Vec<(Instant, Instant)> {
        let mut partitions = Partitions { sequence, ..Partitions::default() };
        epochs
            .into_iter()
            .map(|reports| {
                partitions.take_in(reports);
                let target = partitions.decide(settings);
                partitions.advance(target, settings.watermark_step_ms);
                (partitions.watermark, target)
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
            seen: Some((earliest, TopTwo { largest: Some(largest), second: Some(largest) })),
            status: Status::Live,
            idle: false,
        };
        let mut partitions = Partitions::default();
        let mut after = |reports| {
            partitions.take_in(reports);
            let target = partitions.decide(&settings());
            partitions.advance(target, 1000);
            (partitions.watermark < target, partitions.watermark)
        };
        assert_eq!(after(vec![live(500_000, 502_510)]), (true, 501_000));
        assert_eq!(after(vec![Report::Closed]), (true, 502_000));
        assert_eq!(after(vec![live(502_000, 502_400)]), (false, 502_500));
        assert_eq!(after(vec![Report::Closed]), (false, 502_500));
    }

    #[test]
    fn a_partition_is_where_two_records_say_and_alone_it_counts_at_the_end() {
        const DAY: Instant = 86_400_000;
        let settings = Settings { watermark_step_ms: Instant::MAX, ..settings() };
        let going = |epochs| run_with(&settings, epochs).into_iter().map(|(_, target)| target).collect::<Vec<_>>();
        let live = |at| once(0, at, Status::Live);
        assert_eq!(
            going(vec![
                vec![live(9 * DAY)],
                vec![live(2 * DAY)],
                vec![live(4 * DAY)],
                vec![live(99 * DAY)],
                vec![says(0, None, Status::Ended, false)],
            ]),
            [0, 2 * DAY - 10, 4 * DAY - 10, 9 * DAY - 10, 9 * DAY]
        );
        assert_eq!(going(vec![vec![live(9 * DAY)], vec![says(0, None, Status::Ended, false)]]), [0, 9 * DAY]);
        // Each alone in its partition, together they are two.
        let ended = |partition, at| once(partition, at, Status::Ended);
        assert_eq!(going(vec![vec![ended(0, 9 * DAY), ended(1, 2 * DAY)]]), [2 * DAY]);
    }

    #[test]
    fn a_sequence_is_one_partition_without_disorder_and_never_goes_back() {
        let settings = settings();
        let live = |partition, at| once(partition, at, Status::Live);
        let waits = says(1, None, Status::Waiting, false);
        let ended = |partition| says(partition, None, Status::Ended, false);
        let files = vec![
            vec![live(0, 100), waits],
            vec![live(0, 300)],
            vec![ended(0), live(1, 40)],
            vec![live(1, 500), live(1, 400)],
            vec![ended(1)],
        ];
        let now = |at| (at, at);
        assert_eq!(run_of(0..2, &settings, files.clone()), [0, 300, 300, 500, 500].map(now));
        // Partitions that race hold it, also while it is alone at its end; and they go on without it.
        let mut both = files;
        both[0].push(says(2, None, Status::Live, false));
        both.push(vec![says(2, Some(700), Status::Live, false)]);
        assert_eq!(run_of(0..2, &settings, both), [0, 0, 0, 0, 0, 690].map(now));
        // What grows is not at its end with its only line; a whole input is.
        let alone = || vec![vec![once(0, 100, Status::Ended), ended(1)]];
        assert_eq!(run_of(0..2, &settings, alone()), [(0, 0)]);
        assert_eq!(run_of(0..2, &Settings { whole_input: true, ..settings }, alone()), [(100, 100)]);
    }

    #[test]
    fn where_it_is_going_was_decided_before_and_does_not_go_back() {
        let settings = Settings { watermark_step_ms: 100, ..settings() };
        let known = Report::Known { watermark: 200, target: 900 };
        assert_eq!(
            run_with(&settings, vec![vec![known], vec![once(0, 300, Status::Live)], vec![once(1, 5, Status::Live)]]),
            [(300, 900), (400, 900), (500, 900)]
        );
    }
}
