//! Whom an event is of: who is forgotten gets another id, so nothing may depend on which id it is.

use super::super::language::{Expr as Written, Node as Said, Query};
use super::super::messages::{Mistake, Span};
use super::Typer;
use dataflows::declared::plan::{Aggregate, Expr, Metric, Node, What};
use dataflows::declared::walk::{arguments, parts};

impl Typer<'_> {
    /// Says where the person is not bare.
    pub(super) fn person(&mut self, metric: &Metric, query: &Query) {
        let Some(person) = self.family.person else { return };
        let is_person = |expr: &Expr| expr.node == Node::Column(person);
        let mut is_bare = metric.filter.iter().all(|filter| is_bare_within(filter, person));
        is_bare &= metric.keys.iter().all(|key| is_person(key) || is_bare_within(key, person));
        for Aggregate { what, filter } in &metric.aggregates {
            is_bare &= filter.iter().all(|filter| is_bare_within(filter, person));
            let is_counted = matches!(what, What::Count(Some(of)) | What::CountDistinct(of) if is_person(of));
            is_bare &= is_counted || arguments(what).into_iter().all(|of| is_bare_within(of, person));
        }
        let keys: Vec<bool> = metric.keys.iter().map(is_person).collect();
        let is_key = |expr: &Expr| matches!(expr.node, Node::Key(place) if keys.get(place) == Some(&true));
        let outputs = metric.outputs.iter().map(|output| &output.value).filter(|value| !is_key(value));
        is_bare &= outputs.chain(&metric.having).all(|value| !has(value, &is_key));
        if is_bare {
            return;
        }
        let name = &self.family.columns[person].name;
        let what =
            format!("`{name}` says whom an event is of: who is forgotten gets another one, and this would change.");
        let instead = format!("It is a key, `count({name})`, `count(DISTINCT {name})`, or `{name} IS NULL`.");
        let span = first(query, name).unwrap_or(query.span);
        self.mistakes.push(Mistake::new(span, what, instead));
    }
}

/// Whether nothing in it depends on which person it is: only on whether there is one. Another column may hold the id of
/// the same person, and keeps it, so that the two are not equal any more.
fn is_bare_within(expr: &Expr, person: usize) -> bool {
    let is_person = |expr: &Expr| expr.node == Node::Column(person);
    let is_asked_for = matches!(&expr.node, Node::IsNull(of) if is_person(of));
    is_asked_for || (!is_person(expr) && parts(expr).into_iter().all(|part| is_bare_within(part, person)))
}

fn has(expr: &Expr, wanted: &dyn Fn(&Expr) -> bool) -> bool {
    wanted(expr) || parts(expr).into_iter().any(|part| has(part, wanted))
}

/// Where the name stands within something.
fn first(query: &Query, name: &str) -> Option<Span> {
    // Alone it is a key, or was refused.
    let items = query.items.iter().filter_map(|item| item.value.as_ref());
    let items = items.filter(|item| item.node != Said::Name(name.to_owned()));
    items.chain(&query.filter).chain(&query.having).find_map(|written| within(written, name, false))
}

fn within(written: &Written, name: &str, is_bare: bool) -> Option<Span> {
    let all: Vec<(&Written, bool)> = match &written.node {
        Said::Name(other) => return (other == name && !is_bare).then_some(written.span),
        Said::Number(_) | Said::Text(_) | Said::Boolean(_) | Said::Null | Said::Timestamp(_) | Said::Interval(_) => {
            return None;
        }
        Said::Minus(of) | Said::Not(of) | Said::Like(of, _) => vec![(of, false)],
        Said::IsNull(of) => vec![(of, true)],
        Said::Binary(_, a, b) | Said::IsDistinct(a, b) => vec![(a, false), (b, false)],
        Said::And(all) | Said::Or(all) => all.iter().map(|one| (one, false)).collect(),
        Said::In(of, all) => std::iter::once((&**of, false)).chain(all.iter().map(|one| (one, false))).collect(),
        Said::Between(a, b, c) => vec![(a, false), (b, false), (c, false)],
        Said::Case(operand, whens, last) => {
            let whens = whens.iter().flat_map(|(when, then)| [(when, false), (then, false)]);
            operand.iter().chain(last).map(|of| (&**of, false)).chain(whens).collect()
        }
        Said::Call(call) => {
            let is_count = call.name.text == "count";
            let filter = call.filter.iter().map(|filter| (&**filter, false));
            call.arguments.iter().map(|of| (of, is_count)).chain(filter).collect()
        }
    };
    all.into_iter().find_map(|(of, is_bare)| within(of, name, is_bare))
}
