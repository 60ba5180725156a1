//! Each event is judged once, before anything is made of it.

use crate::Stream;
use crate::events::{Arrival, Origin};
use crate::operators::{AsOf, Mark, Sequence};
use crate::time::{Instant, Settings, Time, Timed};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

/// An event that came too late.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LateEvent {
    /// Where from.
    pub origin: Origin,
    /// Its event time.
    pub timestamp: Instant,
    /// The watermark it was judged by.
    pub watermark: Instant,
}

/// What was found of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// It is too late to change a metric.
    pub is_late: bool,
    /// The watermark it was judged by.
    pub watermark: Instant,
}

/// How many batches are routed before what was routed is passed on.
const BATCHES: usize = 64;

#[derive(Debug)]
struct Shared<T> {
    is_asked_for: Cell<bool>,
    routed: RefCell<Vec<T>>,
}

/// Where records of a kind are put, to go the way that a [`Tap`] of it shows.
#[derive(Debug)]
pub struct Route<T>(Rc<Shared<T>>);

impl<T> Route<T> {
    /// Puts a record there, if anybody asked for those of its kind.
    pub fn put(&self, record: impl FnOnce() -> T) {
        if self.0.is_asked_for.get() {
            self.0.routed.borrow_mut().push(record());
        }
    }
}

/// Records of a kind, as the split makes them. Nothing is made of what nobody asks for.
pub struct Tap<'s, T> {
    shared: Rc<Shared<T>>,
    stream: Stream<'s, T>,
}

impl<'s, T: Clone + 'static> Tap<'s, T> {
    /// Asks for them.
    pub fn stream(&self) -> Stream<'s, T> {
        self.shared.is_asked_for.set(true);
        self.stream.clone()
    }
}

/// Passes on what was routed to an output.
trait Port {
    fn pass_on(&mut self, cap: &Capability<Time>);
}

struct Output<T: 'static> {
    shared: Rc<Shared<T>>,
    output: OutputBuilder<Time, CapacityContainerBuilder<Vec<T>>>,
}

impl<T: Clone + 'static> Port for Output<T> {
    fn pass_on(&mut self, cap: &Capability<Time>) {
        let mut routed = self.shared.routed.borrow_mut();
        if !routed.is_empty() {
            // Drained, not given away: the buffer keeps its memory.
            self.output.activate().session(cap).give_iterator(routed.drain(..));
        }
    }
}

/// The split of a family that is being built: what the family's metrics read is declared one by one.
///
/// **Law.** An event is late if it is older than the cut at where the watermark of the epoch before is going, even if
/// the watermark has not crossed a leap of time yet; an event of a sequence is judged also by all that came before it
/// there. The answer does not depend on the worker, and in a sequence on nothing but the sequence. An epoch's events
/// wait here until the epoch before is closed everywhere, and those of a sequence until all before them are decoded.
pub struct LateSplit<'s, E: Timed> {
    builder: OperatorBuilder<'s, Time>,
    arrivals: Stream<'s, Arrival<E>>,
    ports: Vec<Box<dyn Port>>,
    late: (Route<LateEvent>, Stream<'s, LateEvent>),
}

impl<'s, E: Timed> LateSplit<'s, E> {
    /// Of events, each in the epoch it was read in.
    pub fn new(arrivals: Stream<'s, Arrival<E>>) -> Self {
        let mut builder = OperatorBuilder::new("late_split".to_owned(), arrivals.scope());
        let mut ports = Vec::new();
        let (route, tap) = port(&mut builder, &mut ports);
        let late = (route, tap.stream());
        LateSplit { builder, arrivals, ports, late }
    }

    /// Declares records of a kind: where they are put, and where they are had.
    pub fn port<T: Clone + 'static>(&mut self) -> (Route<T>, Tap<'s, T>) {
        port(&mut self.builder, &mut self.ports)
    }

    /// Judges events by where the watermark goes and, in a sequence if there is one and it matters what came before a
    /// line of it, by what each worker decoded of it. `route` puts
    /// what is made of an event where it goes. Tells which came too late.
    pub fn build(
        self,
        targets: Stream<'s, Instant>,
        marks: Stream<'s, Mark>,
        settings: &Settings,
        sequence: Option<Range<u32>>,
        mut route: impl FnMut(E, &Origin, Judged) + 'static,
    ) -> Stream<'s, LateEvent> {
        let LateSplit { mut builder, arrivals, mut ports, late: (late, late_events) } = self;
        let worker = arrivals.scope().index();
        let mut arrivals = builder.new_input(arrivals, Pipeline);
        let mut targets = builder.new_input(targets, Pipeline);
        let mut marks = builder.new_input(marks.broadcast(), Pipeline);
        let (settings, lines) = (settings.clone(), sequence.unwrap_or_default());
        builder.build(move |_caps| {
            let mut open = BTreeMap::<Time, (Vec<Capability<Time>>, VecDeque<Vec<Arrival<E>>>)>::new();
            let mut as_of = AsOf::default();
            let mut sequence = Sequence::new(worker);
            let lines = lines.clone();
            // What of a batch must wait for what comes before it is given back.
            let mut judge = move |batch: Vec<Arrival<E>>, time: Time, before: Instant, sequence: &mut Sequence| {
                let mut arrivals = batch.into_iter();
                while let Some(Arrival { origin, event }) = arrivals.next() {
                    let timestamp = event.timestamp();
                    let mut watermark = before;
                    if lines.contains(&origin.partition) {
                        let Some(top) = sequence.before(time, &origin) else {
                            return Some(std::iter::once(Arrival { origin, event }).chain(arrivals).collect());
                        };
                        watermark = top.witnessed().map_or(before, |at| at.max(before));
                        if event.carries_time() {
                            top.add(timestamp);
                        }
                    }
                    let is_late = event.carries_time() && timestamp < settings.cut(watermark);
                    if is_late {
                        late.put(|| LateEvent { origin, timestamp, watermark });
                    }
                    route(event, &origin, Judged { is_late, watermark });
                }
                None
            };
            move |frontiers| {
                targets.for_each_time(|cap, values| {
                    let values = values.flat_map(|values| values.drain(..));
                    values.for_each(|watermark| as_of.note(*cap.time(), watermark));
                });
                marks.for_each_time(|cap, marks| {
                    let marks = marks.flat_map(|marks| marks.drain(..));
                    marks.for_each(|mark| sequence.hear(*cap.time(), mark));
                });
                arrivals.for_each_time(|cap, batches| {
                    let (_, stash) = open
                        .entry(*cap.time())
                        .or_insert_with(|| ((0..ports.len()).map(|port| cap.retain(port)).collect(), VecDeque::new()));
                    stash.extend(batches.map(std::mem::take));
                });
                while let Some(first) = open.first_entry() {
                    let time = *first.key();
                    let before = time.saturating_sub(1);
                    if frontiers[1].less_equal(&before) {
                        break;
                    }
                    let is_open = frontiers[0].less_equal(&time);
                    let (caps, batches) = first.into_mut();
                    let watermark = as_of.at(before);
                    let mut waits = false;
                    while !waits && !batches.is_empty() {
                        for _ in 0..BATCHES {
                            let Some(batch) = batches.pop_front() else { break };
                            if let Some(rest) = judge(batch, time, watermark, &mut sequence) {
                                batches.push_front(rest);
                                waits = true;
                                break;
                            }
                        }
                        ports.iter_mut().zip(&*caps).for_each(|(port, cap)| port.pass_on(cap));
                    }
                    if is_open || waits {
                        // The worker that decoded a batch before ours says so in the same epoch.
                        assert!(!waits || frontiers[2].less_equal(&time), "a batch of epoch {time} is not marked");
                        break;
                    }
                    open.remove(&time);
                    sequence.close(time);
                }
                // A worker that reads nothing must not remember every watermark either.
                let closed = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
                if let (Some(closed), true) = (closed, open.is_empty()) {
                    as_of.at(closed.saturating_sub(1));
                }
            }
        });
        late_events
    }
}

fn port<'s, T: Clone + 'static>(
    builder: &mut OperatorBuilder<'s, Time>,
    ports: &mut Vec<Box<dyn Port>>,
) -> (Route<T>, Tap<'s, T>) {
    let (output, stream) = builder.new_output::<Vec<T>>();
    let shared = Rc::new(Shared { is_asked_for: Cell::new(false), routed: RefCell::default() });
    ports.push(Box::new(Output { shared: Rc::clone(&shared), output: OutputBuilder::from(output) }));
    (Route(Rc::clone(&shared)), Tap { shared, stream })
}

/// Declares the kinds of records that a family's events are split into, once: `Split` shows them to metrics, `Routes`
/// is where events put them.
#[macro_export]
macro_rules! taps {
    ($($(#[$doc:meta])* $name:ident: $record:ty;)*) => {
        /// The judged events, by what the metrics read. In time, where nothing else is said.
        pub struct Split<'s> { $($(#[$doc])* pub $name: $crate::operators::Tap<'s, $record>,)* }

        /// Where events put what is made of them.
        pub struct Routes { $($(#[$doc])* pub $name: $crate::operators::Route<$record>,)* }

        /// Declares them all.
        pub fn taps<'s, E: $crate::time::Timed>(split: &mut $crate::operators::LateSplit<'s, E>) -> (Routes, Split<'s>) {
            $(let $name = split.port();)*
            (Routes { $($name: $name.0),* }, Split { $($name: $name.1),* })
        }
    };
}
