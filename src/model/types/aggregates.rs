//! What is aggregated of a group's events.

use super::super::language::{Call, Expr as Written};
use super::super::messages::Span;
use super::expressions::is_number;
use super::functions::usage;
use super::{Of, Typer};
use dataflows::declared::plan::{Aggregate, Edge, Expr, Node, Type, What};
use dataflows::declared::walk::parts_mut;

/// How many steps a funnel may have: what is kept of each are instants of its group.
const MOST_STEPS: usize = 16;

impl Typer<'_> {
    /// An aggregate: a slot of the group.
    pub(super) fn aggregate(&mut self, call: &Call, span: Span, of: &mut Of<'_>) -> Option<Expr> {
        let Call { name, star, distinct, arguments, filter } = call;
        let name = name.text.as_str();
        let group = match of {
            Of::Group(group) => group,
            Of::Events(place) => {
                let what = format!("`{name}` is of a group, and {place} of one event.");
                return self.wrong(span, what, "Aggregates stand in SELECT and in HAVING.");
            }
        };
        let filter = filter.as_ref().map(|filter| self.condition(filter, &mut Of::Events("FILTER is")));
        let mut within = Of::Events("what is aggregated is");
        let what = match (name, arguments.as_slice(), star, distinct) {
            ("count", [], true, false) => Some(What::Count(None)),
            ("count", [of], false, true) => self.value(of, &mut within).map(What::CountDistinct),
            // Of something that every event has, they are all.
            ("count", [of], false, false) => {
                self.value(of, &mut within).map(|of| What::Count(Some(of).filter(|of| of.nullable)))
            }
            ("sum", [of], false, false) => {
                self.typed(of, &mut within, "`sum` takes a number", is_number).map(What::Sum)
            }
            ("min", [of], false, false) => self.ordered(name, of, &mut within).map(What::Min),
            ("max", [of], false, false) => self.ordered(name, of, &mut within).map(What::Max),
            ("min_by" | "max_by", [of, at], false, false) => {
                let edge = if name == "min_by" { Edge::First } else { Edge::Last };
                let value = self.value(of, &mut within);
                let says = if name == "min_by" { "`min_by` is by an instant" } else { "`max_by` is by an instant" };
                let at = self.typed(at, &mut within, says, |ty| ty == Type::Instant);
                value.zip(at).map(|(value, at)| What::At(edge, at, vec![value]))
            }
            ("funnel", [_, ..], false, false) if self.inner.is_some() => {
                let what = "a funnel is of events, and this reads rows.";
                return self.wrong(span, what, "Count it where events are read, and group by it here.");
            }
            ("funnel", [_, ..], false, false) if arguments.len() <= MOST_STEPS => {
                let steps: Vec<_> = arguments.iter().map(|step| self.condition(step, &mut within)).collect();
                steps.into_iter().collect::<Option<_>>().map(|steps| What::Funnel(self.column(self.family.time), steps))
            }
            ("funnel", [_, ..], false, false) => {
                let what = format!("a funnel has {MOST_STEPS} steps at most.");
                return self.wrong(span, what, "Leave out what decides nothing.");
            }
            _ => {
                let what = format!("`{name}` takes other arguments.");
                return self.wrong(span, what, format!("Write `{}`.", usage(name)));
            }
        };
        let filter = match filter {
            Some(filter) => Some(filter?),
            None => None,
        };
        let what = what?;
        let may_be_none = |of: &Expr| filter.is_some() || of.nullable;
        let (ty, nullable) = match &what {
            What::Count(_) | What::CountDistinct(_) | What::Funnel(_, _) => (Type::Number(0), false),
            What::Sum(of) => (of.ty, true),
            What::Min(of) | What::Max(of) => (of.ty, may_be_none(of)),
            What::At(_, at, values) => {
                let value = values.first()?;
                (value.ty, may_be_none(value) || at.nullable)
            }
        };
        let aggregate = Aggregate { what, filter };
        let known = group.aggregates.iter().position(|other| *other == aggregate);
        let slot = known.unwrap_or_else(|| {
            group.aggregates.push(aggregate);
            group.aggregates.len() - 1
        });
        Some(Expr { node: Node::Slot(slot), ty, nullable })
    }

    fn ordered(&mut self, name: &str, written: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let value = self.value(written, of)?;
        if value.ty == Type::Boolean {
            let what = format!("`{name}` takes a number, an instant or a text, and this is a condition.");
            return self.wrong(written.span, what, "Write `count(*) FILTER (WHERE ...)`.");
        }
        Some(value)
    }
}

/// The aggregates of a metric, where those that look at the same events by the same time are one, so that what they say
/// is of one event. Each of those that were collected gives one value; where its value is now is said too. One that may
/// have no value stays alone: the others do not depend on whether it has.
pub(super) fn joined(aggregates: Vec<Aggregate>) -> (Vec<Aggregate>, Vec<usize>) {
    let mut joined: Vec<Aggregate> = Vec::new();
    let mut places = Vec::new();
    for aggregate in aggregates {
        let mate = joined.iter().position(|other| is_mate(other, &aggregate));
        match (mate, aggregate) {
            (Some(mate), Aggregate { what: What::At(_, _, values), filter: _ }) => {
                let Aggregate { what: What::At(_, _, others), filter: _ } = &mut joined[mate] else { continue };
                places.push((mate, others.len()));
                others.extend(values);
            }
            (_, aggregate) => {
                places.push((joined.len(), 0));
                joined.push(aggregate);
            }
        }
    }
    let starts: Vec<_> = joined
        .iter()
        .scan(0, |next, aggregate| {
            let start = *next;
            *next += aggregate.what.slots();
            Some(start)
        })
        .collect();
    let slots = places.into_iter().map(|(aggregate, within)| starts[aggregate] + within).collect();
    (joined, slots)
}

fn is_mate(a: &Aggregate, b: &Aggregate) -> bool {
    let (What::At(edge, at, values), What::At(other_edge, other_at, others)) = (&a.what, &b.what) else { return false };
    let never_null = |values: &[Expr]| values.iter().all(|value| !value.nullable);
    a.filter == b.filter && edge == other_edge && at == other_at && never_null(values) && never_null(others)
}

/// Moves the slots of an expression.
pub(super) fn moved(expr: &mut Expr, slots: &[usize]) {
    if let Node::Slot(slot) = &mut expr.node {
        *slot = slots.get(*slot).copied().unwrap_or(*slot);
    }
    parts_mut(expr).into_iter().for_each(|part| moved(part, slots));
}
