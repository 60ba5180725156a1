//! What is aggregated, without FILTER, which Snowflake does not have: an event that does not count is null.

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

    /// The columns that number the events of a group by time, the wanted one first. `MIN_BY` would take any of those that
    /// have the same time.
    pub(super) fn ranks(&self, events: &Printer<'_>, keys: &[String]) -> Vec<String> {
        let ranks = self.aggregates.iter().filter_map(|(first, Aggregate { what, filter })| {
            let What::At(edge, at, values) = what else { return None };
            let takes_part = taking_part(events, at, values, filter.as_ref());
            let of: Vec<_> = keys.iter().cloned().chain([format!("IFF({takes_part}, 1, 0)")]).collect();
            let direction = match edge {
                Edge::First => "",
                Edge::Last => " DESC",
            };
            let by: Vec<_> =
                std::iter::once(at).chain(values).map(|value| format!("{}{direction}", events.value(value))).collect();
            Some(format!(
                "ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}) AS _rank{first}",
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
            let filter = filter.as_ref().map(|filter| events.value(filter));
            let if_counted = |value: String| match &filter {
                Some(filter) => format!("IFF({filter}, {value}, NULL)"),
                None => value,
            };
            let of = |of: &Expr| if_counted(events.value(of));
            let aggregated = match what {
                What::Count(None) => match &filter {
                    Some(filter) => format!("COUNT_IF({filter})"),
                    None => "COUNT(*)".to_owned(),
                },
                What::Count(Some(expr)) => format!("COUNT({})", of(expr)),
                What::CountDistinct(expr) => format!("COUNT(DISTINCT {})", of(expr)),
                What::Sum(expr) => format!("SUM({})", of(expr)),
                What::Min(expr) => format!("MIN({})", of(expr)),
                What::Max(expr) => format!("MAX({})", of(expr)),
                What::Funnel(_, conditions) => reached(*slot, conditions.len()),
                What::At(_, at, values) => {
                    // A filter of its own: nothing of the others counts.
                    let takes_part = taking_part(events, at, values, None);
                    let such = match &filter {
                        Some(filter) => format!("{filter} AND {takes_part}"),
                        None => takes_part,
                    };
                    for (n, value) in values.iter().enumerate() {
                        let value = events.value(value);
                        columns
                            .push(format!("MAX(IFF({such} AND _rank{slot} = 1, {value}, NULL)) AS _slot{}", slot + n));
                    }
                    continue;
                }
            };
            columns.push(format!("{aggregated} AS _slot{slot}"));
        }
        columns
    }
}

/// Which events are looked at: those of the filter that have the instant and all values.
fn taking_part(events: &Printer<'_>, at: &Expr, values: &[Expr], filter: Option<&Expr>) -> String {
    let has = |expr: &Expr| expr.nullable.then(|| format!("{} IS NOT NULL", events.value(expr)));
    let filter = filter.map(|filter| events.value(filter));
    let all: Vec<_> = filter.into_iter().chain(std::iter::once(at).chain(values).filter_map(has)).collect();
    if all.is_empty() { "TRUE".to_owned() } else { all.join(" AND ") }
}
