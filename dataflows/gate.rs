//! Where the records of a family become events, on one worker: bytes outside, typed events inside.

use crate::Stream;
use crate::events::{Arrival, Origin};
use crate::time::{Instant, Time, Timed};
use crate::wire::{Broken, Cells, Clock, Names, Rejection, Set, TimeRules, Vocabulary, Wire};
use std::any::Any;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Input;
use timely::dataflow::{InputHandle, Scope};

/// What was accepted: all that is seen of an event outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its event time, if it moves the watermark and may be late.
    pub at: Option<Instant>,
    /// An e-mail address came in clear, in any text, and was masked.
    pub masked: bool,
}

/// By what a record is judged.
#[derive(Clone, Copy)]
pub struct Bounds<'r> {
    /// What the family's events may say: of the type that its events ask for.
    pub rules: &'r dyn Any,
    /// When events may have happened.
    pub time: &'r TimeRules,
    /// By which the future begins.
    pub clock: Clock,
}

/// Reads the fields that an event has in addition to those that all have.
pub type Rest<'b, 'n, 'a> = &'b mut dyn FnMut(&mut Wire<'n, 'a>, Set) -> Result<(), Rejection>;

/// Judges records, and lets the events that they are in. One event is between the two at most: the last that was
/// accepted.
pub trait Gate {
    /// The names of the fields that are read by a family's rules.
    fn names(&self, rules: &dyn Any) -> &'static Names;

    /// Judges what was read of a record. `carries` is the event of its topic, for records that do not name theirs.
    ///
    /// # Errors
    /// The first rule that is broken.
    fn judge<'n, 'a>(
        &mut self,
        wire: &mut Wire<'n, 'a>,
        carries: Option<&str>,
        bounds: Bounds<'_>,
        rest: Rest<'_, 'n, 'a>,
    ) -> Result<Accepted, Broken>;

    /// Takes a record of texts if it is as nearly all records are. What is anything else is left to [`Gate::judge`], which
    /// would take such a record for the same event.
    fn judge_usual(&mut self, cells: &Cells<'_>, bounds: Bounds<'_>) -> Option<Accepted>;

    /// Takes an event that was read in another way than by its fields.
    ///
    /// # Panics
    /// If it is none of this family.
    fn take(&mut self, event: Box<dyn Any>, masked: bool) -> Accepted;

    /// Lets the event in that was accepted last.
    fn enter(&mut self, origin: Origin);

    /// Nothing of an earlier epoch comes any more.
    fn advance_to(&mut self, epoch: Time);
}

type Handle<E> = InputHandle<Time, CapacityContainerBuilder<Vec<Arrival<E>>>>;

/// Makes an event of what was read of a record, or says what it breaks.
pub trait Judge<E>: Sync {
    /// The names of the fields that are read by a family's rules.
    fn names(&'static self, rules: &dyn Any) -> &'static Names;

    /// The event, and whether an e-mail address came in clear in it, and was masked.
    ///
    /// # Errors
    /// The first rule that is broken.
    fn judge<'n, 'a>(
        &self,
        wire: &mut Wire<'n, 'a>,
        carries: Option<&str>,
        bounds: Bounds<'_>,
        rest: Rest<'_, 'n, 'a>,
    ) -> Result<(E, bool), Broken>;

    /// The event of a record of texts that is as nearly all are: nothing in it is masked. Not every family knows what is
    /// usual.
    fn judge_usual(&self, cells: &Cells<'_>, bounds: Bounds<'_>) -> Option<E> {
        let _ = (cells, bounds);
        None
    }
}

impl<E: 'static, R: 'static> Judge<E> for Vocabulary<E, R> {
    fn names(&'static self, _rules: &dyn Any) -> &'static Names {
        self.names()
    }

    fn judge<'n, 'a>(
        &self,
        wire: &mut Wire<'n, 'a>,
        carries: Option<&str>,
        Bounds { rules, time, clock }: Bounds<'_>,
        rest: Rest<'_, 'n, 'a>,
    ) -> Result<(E, bool), Broken> {
        let rules = rules.downcast_ref::<R>().expect("a family is handed its own rules");
        self.judge(wire, carries, (rules, time, clock), rest)
    }
}

/// The gate of events of a type.
pub struct Events<E: Timed, J: 'static> {
    judge: &'static J,
    arrivals: Option<Handle<E>>,
    accepted: Option<E>,
}

impl<E: Timed, J: Judge<E>> Events<E, J> {
    /// A gate that leads nowhere: what was accepted is taken out.
    pub fn alone(judge: &'static J) -> Events<E, J> {
        Events { judge, arrivals: None, accepted: None }
    }

    /// A gate into a dataflow, and the events behind it.
    pub fn into<'s>(judge: &'static J, scope: Scope<'s, Time>) -> (Self, Stream<'s, Arrival<E>>) {
        let (arrivals, behind) = scope.new_input::<Vec<Arrival<E>>>();
        (Events { judge, arrivals: Some(arrivals), accepted: None }, behind)
    }

    /// The event that was accepted last.
    pub fn accepted(&mut self) -> Option<E> {
        self.accepted.take()
    }

    fn accept(&mut self, event: E, masked: bool) -> Accepted {
        let at = event.carries_time().then(|| event.timestamp());
        self.accepted = Some(event);
        Accepted { at, masked }
    }
}

impl<E: Timed, J: Judge<E>> Gate for Events<E, J> {
    fn names(&self, rules: &dyn Any) -> &'static Names {
        self.judge.names(rules)
    }

    fn judge<'n, 'a>(
        &mut self,
        wire: &mut Wire<'n, 'a>,
        carries: Option<&str>,
        bounds: Bounds<'_>,
        rest: Rest<'_, 'n, 'a>,
    ) -> Result<Accepted, Broken> {
        let (event, masked) = self.judge.judge(wire, carries, bounds, rest)?;
        Ok(self.accept(event, masked))
    }

    fn judge_usual(&mut self, cells: &Cells<'_>, bounds: Bounds<'_>) -> Option<Accepted> {
        let event = self.judge.judge_usual(cells, bounds)?;
        Some(self.accept(event, false))
    }

    fn take(&mut self, event: Box<dyn Any>, masked: bool) -> Accepted {
        let event = event.downcast::<E>().expect("a family is handed its own events");
        self.accept(*event, masked)
    }

    fn enter(&mut self, origin: Origin) {
        if let (Some(arrivals), Some(event)) = (&mut self.arrivals, self.accepted.take()) {
            arrivals.send(Arrival { origin, event });
        }
    }

    fn advance_to(&mut self, epoch: Time) {
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.advance_to(epoch);
            arrivals.flush();
        }
    }
}
