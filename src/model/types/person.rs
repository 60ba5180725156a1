//! Whom an event is of: who is forgotten gets another id, so nothing may depend on which id it is.

use super::super::language::{Expr as Written, Node as Said, Query};
use super::super::messages::{Mistake, Span};
use super::Typer;
use dataflows::declared::plan::{Aggregate, Ask, Exists, Expr, Metric, Node, What};
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
        for ask in &metric.asks {
            let Ask::Exists(Exists { equal, filter, .. }) = ask else { continue };
            is_bare &= filter.iter().all(|filter| is_bare_within(filter, person));
            // That two events are of one person is true however the person is called.
            let are_both = |(a, b): &(Expr, Expr)| is_person(a) && is_person(b);
            let are_bare = |(a, b): &(Expr, Expr)| is_bare_within(a, person) && is_bare_within(b, person);
            is_bare &= equal.iter().all(|pair| are_both(pair) || are_bare(pair));
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
    if let Said::Name(other) = &written.node {
        return (other == name && !is_bare).then_some(written.span);
    }
    let is_counted = matches!(&written.node, Said::Call(call) if call.name.text == "count");
    let may_be_bare = is_counted || matches!(written.node, Said::IsNull(_));
    let filter = if let Said::Call(call) = &written.node { call.filter.as_deref() } else { None };
    let is_filter = |part: &Written| filter.is_some_and(|filter| std::ptr::eq(filter, part));
    let mut all = written.parts().into_iter().map(|part| (part, may_be_bare && !is_filter(part)));
    all.find_map(|(of, is_bare)| within(of, name, is_bare))
}
