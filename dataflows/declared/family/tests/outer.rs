//! What random metrics are computed of the rows of others: as a plan, and by the places of columns.

use super::pool::{INTEGER, Spec, bx, e, num};
use crate::declared::plan::*;
use crate::time::DAY_MS;

/// What is computed of rows.
#[derive(Clone, Debug)]
pub struct Outer {
    /// Days of the first column that says when; otherwise kept for ever.
    pub by_day: bool,
    /// Of which columns of the rows.
    pub items: Vec<usize>,
    /// Which have a row in the first place, of those that say how often.
    pub few_only: bool,
}

impl Spec {
    /// What is computed of its rows: the plan, and what it does, by names and columns.
    pub fn outer(&self, name: &str, inner: &Metric) -> Option<(Metric, OuterSaid)> {
        let Outer { by_day, items, few_only } = self.outer.as_ref()?;
        let column = |place: usize| {
            let Expr { ty, nullable, .. } = inner.outputs[place].value;
            Expr { node: Node::Column(place), ty, nullable }
        };
        let count = inner.outputs.iter().position(|output| output.name == "count").expect("it counts its events");
        let day = inner.times().first().copied().filter(|_| *by_day);
        let mut keys: Vec<Expr> = day
            .into_iter()
            .map(|day| Expr {
                nullable: false,
                ..e(Node::Floor(Window::Width(DAY_MS), bx(column(day))), Type::Instant)
            })
            .collect();
        // It moves with each event.
        keys.push(Expr { nullable: false, ..column(count) });
        let others: Vec<usize> = (0..inner.outputs.len()).collect();
        let any = |n: usize, such: &dyn Fn(Type) -> bool| {
            let such: Vec<usize> =
                others.iter().copied().filter(|place| such(inner.outputs[*place].value.ty)).collect();
            such[items[n] % such.len()]
        };
        let (with, added) = (any(0, &|_| true), any(1, &|ty| matches!(ty, Type::Number(_))));
        let (least, greatest, kinds) = (any(2, &|_| true), any(3, &|_| true), any(4, &|_| true));
        let first = day.map(|day| (day, any(5, &|_| true)));
        let mut whats = vec![
            What::Count(None),
            What::Count(Some(column(with))),
            What::Sum(column(added)),
            What::Min(column(least)),
            What::Max(column(greatest)),
            What::CountDistinct(column(kinds)),
        ];
        whats.extend(first.map(|(at, value)| What::At(Edge::First, column(at), vec![column(value)])));
        let types: Vec<Type> = whats
            .iter()
            .map(|what| match what {
                What::Sum(of) | What::Min(of) | What::Max(of) => of.ty,
                What::At(_, _, values) => values[0].ty,
                What::Count(_) | What::CountDistinct(_) | What::Funnel(..) => INTEGER,
            })
            .collect();
        let of_keys = keys
            .iter()
            .enumerate()
            .map(|(n, key)| (format!("key_{n}"), Expr { nullable: false, ..e(Node::Key(n), key.ty) }));
        let of_slots = types.into_iter().enumerate().map(|(n, ty)| (format!("slot_{n}"), e(Node::Slot(n), ty)));
        let outputs = of_keys.chain(of_slots).map(|(name, value)| Output { name, doc: "It.".to_owned(), value });
        let few = Node::Compare(Compare::LessOrEqual, bx(column(count)), bx(num(2, 0)));
        let metric = Metric {
            name: name.to_owned(),
            doc: "One row per group of rows.".to_owned(),
            filter: few_only.then(|| e(few, Type::Boolean)),
            leaves: day.map(|_| (0, Window::Width(DAY_MS))).into_iter().collect(),
            keys: keys.clone(),
            aggregates: whats.into_iter().map(|what| Aggregate { what, filter: None }).collect(),
            having: None,
            outputs: outputs.collect(),
            of: Source::Rows(Box::new(inner.clone())),
            asks: Vec::new(),
        };
        let few_only = *few_only;
        Some((metric, OuterSaid { day, count, few_only, with, added, least, greatest, kinds, first }))
    }
}

/// What is computed of rows, by the places of their columns.
pub struct OuterSaid {
    pub day: Option<usize>,
    pub count: usize,
    pub few_only: bool,
    pub with: usize,
    pub added: usize,
    pub least: usize,
    pub greatest: usize,
    pub kinds: usize,
    pub first: Option<(usize, usize)>,
}
