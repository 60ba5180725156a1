//! What expressions are made of.

use crate::declared::plan::{Aggregate, Ask, Exists, Expr, Metric, Node, What};
use std::collections::BTreeSet;

/// The expressions that a node is made of, by shared or by exclusive references.
macro_rules! parts_of {
    ($node:expr, $iter:ident, $($by:tt)+) => {
        match $node {
            Node::Literal(_) | Node::Column(_) | Node::Key(_) | Node::Slot(_) | Node::IsFinal => Vec::new(),
            Node::Scaled(of, _)
            | Node::Minus(of)
            | Node::Not(of)
            | Node::IsNull(of)
            | Node::In(of, _)
            | Node::Like(of, _)
            | Node::Abs(of)
            | Node::Substr(of, _, _)
            | Node::Length(of)
            | Node::Floor(_, of)
            | Node::Later(of, _)
            | Node::Session(_, of) => vec![of],
            Node::Arithmetic(_, a, b)
            | Node::Concat(a, b)
            | Node::Compare(_, a, b)
            | Node::IsDistinct(a, b)
            | Node::NullIf(a, b)
            | Node::RoundedQuotient(a, b, _)
            | Node::Boundaries(_, a, b) => vec![a, b],
            Node::And(all) | Node::Or(all) | Node::Coalesce(all) => all.$iter().collect(),
            Node::Case(whens, last) => {
                let whens = whens.$iter().flat_map(|(when, then)| [when, then]);
                whens.chain(std::iter::once($($by)+ **last)).collect()
            }
        }
    };
}

/// The expressions that an expression is made of.
pub fn parts(expr: &Expr) -> Vec<&Expr> {
    parts_of!(&expr.node, iter, &)
}

/// The same, to be changed.
pub fn parts_mut(expr: &mut Expr) -> Vec<&mut Expr> {
    parts_of!(&mut expr.node, iter_mut, &mut)
}

/// What is computed of an aggregate's events, without its filter.
pub fn arguments(what: &What) -> Vec<&Expr> {
    match what {
        What::Count(of) => of.iter().collect(),
        What::Sum(of) | What::Min(of) | What::Max(of) | What::CountDistinct(of) => vec![of],
        What::At(_, at, of) | What::Funnel(at, of) => std::iter::once(at).chain(of).collect(),
    }
}

/// Everything that is computed of an event, for a metric or for the rows that it is computed of.
pub fn of_events(metric: &Metric) -> Vec<&Expr> {
    metric.inner().map_or_else(|| own(metric), own)
}

/// Everything that a metric computes of an event or of a row.
fn own(metric: &Metric) -> Vec<&Expr> {
    let aggregates =
        metric.aggregates.iter().flat_map(|Aggregate { what, filter }| arguments(what).into_iter().chain(filter));
    metric.filter.iter().chain(&metric.keys).chain(aggregates).chain(metric.asks.iter().flat_map(asked)).collect()
}

/// The columns that a metric reads, of the events or the rows that it is computed of.
pub fn read_columns(metric: &Metric) -> BTreeSet<usize> {
    let mut read = BTreeSet::new();
    own(metric).into_iter().for_each(|expr| columns(expr, &mut read));
    read
}

/// What is computed of events to answer.
fn asked(ask: &Ask) -> Vec<&Expr> {
    match ask {
        Ask::Exists(Exists { equal, filter, .. }) => equal.iter().flat_map(|(a, b)| [a, b]).chain(filter).collect(),
        Ask::HasPassed(_) => Vec::new(),
    }
}

/// What must be true for a condition to be: each of these. (That one of them is null makes it as little true.)
pub fn conditions(expr: &Expr) -> Box<dyn Iterator<Item = &Expr> + '_> {
    if let Node::And(all) = &expr.node {
        Box::new(all.iter().flat_map(conditions))
    } else {
        Box::new(std::iter::once(expr))
    }
}

/// The columns that an expression reads.
pub fn columns(expr: &Expr, into: &mut BTreeSet<usize>) {
    if let Node::Column(column) = expr.node {
        into.insert(column);
    }
    parts(expr).into_iter().for_each(|part| columns(part, into));
}
