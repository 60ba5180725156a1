//! What is aggregated: gathered by `GROUP BY`, and some of it put together afterwards.

use super::broken::{Rule, is_broken};
use super::expressions::Printer;
use crate::model::stages::reached;
use dataflows::declared::plan::{Aggregate, Edge, Expr, What};

/// The slots of a metric.
pub(super) struct Slots<'a> {
    /// Each aggregate with its first slot.
    aggregates: Vec<(usize, &'a Aggregate)>,
}

impl<'a> Slots<'a> {
    pub(super) fn of(aggregates: &'a [Aggregate]) -> Slots<'a> {
        let mut next = 0;
        let numbered = |aggregate: &'a Aggregate| {
            let first = next;
            next += aggregate.what.slots();
            (first, aggregate)
        };
        Slots { aggregates: aggregates.iter().map(numbered).collect() }
    }

    /// Whether nothing is left to be put together.
    pub(super) fn are_all_gathered(&self) -> bool {
        !self.aggregates.iter().any(|(_, aggregate)| matches!(aggregate.what, What::Sum(_)))
    }

    /// The columns that number the events of a group by time, the wanted one first.
    pub(super) fn ranks(&self, events: &Printer<'_>, keys: &[String]) -> Vec<String> {
        let ranks = self.aggregates.iter().filter_map(|(first, Aggregate { what, filter })| {
            let What::At(edge, at, values) = what else { return None };
            let takes_part = taking_part(events, at, values, filter.as_ref());
            let takes_part = (!is_broken(Rule::OthersDoNotRank)).then(|| format!("({takes_part}) IS TRUE"));
            let of: Vec<_> = keys.iter().cloned().chain(takes_part).collect();
            let direction = match edge {
                Edge::Last if is_broken(Rule::LastIsLast) => "",
                Edge::First => "",
                Edge::Last => " DESC",
            };
            let values = if is_broken(Rule::TiesAreByValue) { &[] } else { values.as_slice() };
            let by: Vec<_> =
                std::iter::once(at).chain(values).map(|value| format!("{}{direction}", events.value(value))).collect();
            Some(format!(
                "row_number() OVER (PARTITION BY {} ORDER BY {}) AS _rank{first}",
                of.join(", "),
                by.join(", ")
            ))
        });
        ranks.collect()
    }

    /// The columns of `GROUP BY`.
    pub(super) fn gathered(&self, events: &Printer<'_>) -> Vec<String> {
        let mut columns = Vec::new();
        for (slot, Aggregate { what, filter }) in &self.aggregates {
            let filtered = filter.as_ref().map(|filter| format!(" FILTER (WHERE {})", events.value(filter)));
            let filtered = filtered.filter(|_| !is_broken(Rule::FilterIsAsked)).unwrap_or_default();
            let mut aggregated = |text: String| columns.push(format!("{text}{filtered} AS _slot{slot}"));
            match what {
                What::Count(None) => aggregated("count(*)".to_owned()),
                What::Count(Some(_)) if is_broken(Rule::CountLeavesNullOut) => aggregated("count(*)".to_owned()),
                What::CountDistinct(of) if is_broken(Rule::DistinctIsCounted) => {
                    aggregated(format!("count({})", events.value(of)));
                }
                What::Count(Some(of)) => aggregated(format!("count({})", events.value(of))),
                What::CountDistinct(of) => aggregated(format!("count(DISTINCT {})", events.value(of))),
                What::Min(of) => aggregated(format!("min({})", events.value(of))),
                What::Max(of) => aggregated(format!("max({})", events.value(of))),
                // In halves, whose sums do not overflow: 2^31 events would have to be in one group.
                What::Sum(of) if is_broken(Rule::SumsAreInHalves) => {
                    columns.push(format!("sum({}){filtered} AS _slot{slot}", events.value(of)));
                }
                What::Sum(of) => {
                    let of = events.value(of);
                    columns.push(format!("sum({of} >> 32){filtered} AS _high{slot}"));
                    columns.push(format!("sum({of} & 4294967295){filtered} AS _low{slot}"));
                }
                What::Funnel(_, conditions) => {
                    columns.push(format!("{} AS _slot{slot}", reached(*slot, conditions.len())));
                }
                What::At(_, at, values) => {
                    let takes_part = taking_part(events, at, values, filter.as_ref());
                    for (n, value) in values.iter().enumerate() {
                        columns.push(format!(
                            "max({}) FILTER (WHERE {takes_part} AND _rank{slot} = 1) AS _slot{}",
                            events.value(value),
                            slot + n
                        ));
                    }
                }
            }
        }
        columns
    }

    /// The slots themselves.
    pub(super) fn finished(&self) -> Vec<String> {
        let mut columns = Vec::new();
        for (slot, Aggregate { what, filter: _ }) in &self.aggregates {
            if is_broken(Rule::SumsAreInHalves) {
                columns.extend((0..what.slots()).map(|n| format!("_slot{}", slot + n)));
            } else if let What::Sum(_) = what {
                // Null of no values, and beyond 64 bits.
                let high = format!("(_high{slot} + (_low{slot} >> 32))");
                let fits = if is_broken(Rule::SumBeyondIsNull) { "TRUE OR " } else { "" };
                columns.push(format!(
                    "CASE WHEN {fits}{high} BETWEEN -2147483648 AND 2147483647 \
                     THEN ({high} << 32) | (_low{slot} & 4294967295) END AS _slot{slot}"
                ));
            } else {
                columns.extend((0..what.slots()).map(|n| format!("_slot{}", slot + n)));
            }
        }
        columns
    }
}

/// Which events are looked at: those of the filter that have the instant and all values.
fn taking_part(events: &Printer<'_>, at: &Expr, values: &[Expr], filter: Option<&Expr>) -> String {
    let has = |expr: &Expr| {
        (expr.nullable && !is_broken(Rule::FirstHasAllValues)).then(|| format!("{} IS NOT NULL", events.value(expr)))
    };
    let filter = filter.map(|filter| events.value(filter));
    let all: Vec<_> = filter.into_iter().chain(std::iter::once(at).chain(values).filter_map(has)).collect();
    if all.is_empty() { "TRUE".to_owned() } else { all.join(" AND ") }
}
