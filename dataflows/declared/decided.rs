//! Which metrics take an event, and which of their aggregates: decided once for all events of which the same is known by the
//! values of their columns.
//!
//! Most conditions are that a column has one of some values, and few sets of them are true together: what only purchases are
//! asked, views are not.

use crate::broken::{Law, is_broken};
use crate::declared::conditions::{Asked, Conditions, Mask, Truths};
use crate::hash::Map;
use std::cell::RefCell;
use std::rc::Rc;

/// So many decisions are remembered: events may differ in more ways. Tests forget some.
const REMEMBERED: usize = if cfg!(test) { 64 } else { 4096 };

/// Which events a metric takes, and which of them take part in each of its aggregates.
pub struct Filters {
    /// Those that it takes.
    pub filter: Mask,
    /// Of each aggregate, which of them take part, and which of those take each step of a funnel.
    pub aggregates: Vec<(Mask, Vec<Mask>)>,
}

/// A metric that takes an event if what is asked is true.
pub struct Takes {
    /// Its place among the metrics.
    pub metric: usize,
    /// What is asked of the event.
    pub filter: Asked,
    /// The aggregates that it may take part in.
    pub parts: Vec<TakesPart>,
}

/// An aggregate that an event takes part in if what is asked is true.
pub struct TakesPart {
    /// Its place among the metric's.
    pub aggregate: usize,
    /// What is asked of the event.
    pub filter: Asked,
    /// What is asked of it for each step of a funnel; nothing where it takes none.
    pub steps: Vec<Option<Asked>>,
}

/// Which conditions are true by the values of columns, and what was decided of such events.
type Decided = Map<Mask, Rc<[Takes]>>;

/// What was decided so far.
#[derive(Default)]
pub struct Decisions(RefCell<Decided>);

impl Decisions {
    /// Which metrics take an event, as far as what is known by its values tells.
    ///
    /// **Law.** A metric takes it, and it takes part in an aggregate, and in a step, if all that is asked on the way is true: then
    /// all conditions of the filter are, and else not.
    pub fn of<'m>(
        &self,
        conditions: &Conditions,
        truths: &Truths,
        metrics: impl Iterator<Item = &'m Filters>,
    ) -> Rc<[Takes]> {
        let mut decided = self.0.borrow_mut();
        if let Some(takes) = decided.get(truths.by_value()) {
            return Rc::clone(takes);
        }
        let takes: Rc<[Takes]> = decide(conditions, truths, metrics);
        if decided.len() >= REMEMBERED {
            decided.clear();
        }
        decided.insert(truths.by_value().into(), Rc::clone(&takes));
        takes
    }
}

fn decide<'m>(conditions: &Conditions, truths: &Truths, metrics: impl Iterator<Item = &'m Filters>) -> Rc<[Takes]> {
    let left = |mask: &Mask, law| {
        let all = is_broken(law).then(Asked::default);
        all.or_else(|| conditions.left(mask, truths))
    };
    let part = |(aggregate, (filter, steps)): (usize, &(Mask, Vec<Mask>))| {
        let filter = left(filter, Law::FilterIsAsked)?;
        let steps = steps.iter().map(|step| conditions.left(step, truths)).collect();
        Some(TakesPart { aggregate, filter, steps })
    };
    let takes = metrics.enumerate().filter_map(|(metric, Filters { filter, aggregates })| {
        let filter = left(filter, Law::WhereIsAsked)?;
        Some(Takes { metric, filter, parts: aggregates.iter().enumerate().filter_map(part).collect() })
    });
    takes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::plan::{Compare, Expr, Literal, Node, Type};
    use crate::declared::row::{Datum, Row};

    fn expr(node: Node) -> Expr {
        Expr { node, ty: Type::Boolean, nullable: true }
    }

    fn is(column: usize, what: Compare, number: i64) -> Expr {
        let number_of = |node| Box::new(Expr { node, ty: Type::Number(0), nullable: true });
        let literal = number_of(Node::Literal(Literal::Number(number)));
        expr(Node::Compare(what, number_of(Node::Column(column)), literal))
    }

    #[test]
    fn what_is_decided_is_what_all_conditions_say() {
        let mut seed = 7_u64;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        let (mut took, mut asked) = ([0; 2], 0);
        for _ in 0..300 {
            // More conditions than a word has bits, now and then.
            let values = [2, 60][dice(2) as usize];
            let mut filter = || {
                let condition = |dice: &mut dyn FnMut(u64) -> u64| {
                    let what = if dice(2) == 0 { Compare::Equal } else { Compare::Less };
                    is(dice(3) as usize, what, dice(values) as i64)
                };
                match dice(4) {
                    0 => None,
                    1 => Some(condition(&mut dice)),
                    _ => Some(expr(Node::And(vec![condition(&mut dice), condition(&mut dice)]))),
                }
            };
            let filters: Vec<_> = (0..40).map(|_| filter()).collect();
            let (conditions, masks) = Conditions::of(&filters);
            // A metric has a filter, and of each aggregate another one and those of two steps.
            let metrics: Vec<Filters> = masks
                .chunks(10)
                .map(|masks| {
                    let of_aggregate = |masks: &[Mask]| (masks[0].clone(), masks[1..].to_vec());
                    Filters { filter: masks[0].clone(), aggregates: masks[1..].chunks(3).map(of_aggregate).collect() }
                })
                .collect();
            let (decisions, mut truths, mut plain) = (Decisions::default(), Truths::default(), Truths::default());
            for _ in 0..600 {
                let column = |value: u64| if value == 0 { Datum::Null } else { Datum::Number(value as i64 - 1) };
                let row: Row = (0..3).map(|_| column(dice(values + 1))).collect();
                conditions.look(&row, &mut truths);
                conditions.look(&row, &mut plain);
                let decided = decisions.of(&conditions, &truths, metrics.iter());
                let mut is_true = |asked: &Asked| conditions.is_true(asked, &row, &mut truths);
                for (metric, Filters { filter, aggregates }) in metrics.iter().enumerate() {
                    let takes = decided.iter().find(|takes| takes.metric == metric);
                    let takes = takes.filter(|takes| is_true(&takes.filter));
                    assert_eq!(takes.is_some(), conditions.fits(filter, &row, &mut plain));
                    took[usize::from(takes.is_some())] += 1;
                    for (aggregate, (filter, steps)) in aggregates.iter().enumerate() {
                        let Some(takes) = takes else { continue };
                        let part = takes.parts.iter().find(|part| part.aggregate == aggregate);
                        let part = part.filter(|part| is_true(&part.filter));
                        assert_eq!(part.is_some(), conditions.fits(filter, &row, &mut plain));
                        for (step, mask) in steps.iter().enumerate() {
                            let Some(part) = part else { continue };
                            let takes = part.steps[step].as_ref().is_some_and(&mut is_true);
                            assert_eq!(takes, conditions.fits(mask, &row, &mut plain));
                            asked += 1;
                        }
                    }
                }
                assert!(decisions.0.borrow().len() <= REMEMBERED);
            }
        }
        assert!(took.iter().all(|times| *times > 10_000) && asked > 10_000, "{took:?} {asked}");
    }
}
