//! A plan as SQL that any SQLite runs: what the metric's table must be, by the raw table of its family.
//!
//! The raw table is there as `crate::specification` says: instants are milliseconds, numbers with decimals are whole
//! numbers of their scale, and a column `late` says what was not in time. What SQLite would do silently otherwise is
//! written out: an integer that overflows turns into a float there, `/` cuts, a sum that overflows ends the query, LIKE
//! ignores case. Names of ours begin with `_`, as no column of a family does.

mod aggregates;
mod answers;
pub(super) mod broken;
mod expressions;
mod numbers;

use super::stages::{self, Words};
use aggregates::Slots;
use broken::{Rule, is_broken};
use dataflows::declared::plan::{Expr, Family, Metric, Output};
use dataflows::declared::walk;
use expressions::Printer;
use std::collections::BTreeSet;

/// What the metric's table must be, as a SELECT. Its parameters `:watermark` and `:lateness_ms` (0 where lateness is
/// unlimited) are there if something asks whether a row is final.
pub fn select(family: &Family, metric: &Metric) -> String {
    let slots = Slots::of(&metric.aggregates);
    let events = metric.inner().map_or_else(|| Printer::of_events(family), Printer::of_rows);
    let groups = Printer::of_groups(metric);
    let keys: Vec<_> = metric.keys.iter().map(|key| events.value(key)).collect();
    let mut parts = vec![("_events".to_owned(), in_time(family, metric))];
    let mut from = "_events".to_owned();
    for (name, text) in answers::parts(family, metric, &events) {
        from.clone_from(&name);
        parts.push((name, text));
    }
    let mut filter =
        metric.filter.as_ref().filter(|_| !is_broken(Rule::WhereIsAsked)).map(|filter| events.value(filter));
    let is_apart = |later: &str, before: &str, gap_ms: i64| format!("{later} - {before} >= {gap_ms}");
    let mut stages = stages::of(metric, &keys, &Words { value: &|expr| events.value(expr), is_apart: &is_apart });
    // Which of the events in time is the first or the last of its group is numbered before they are grouped.
    let ranks = slots.ranks(&events, &keys);
    stages.extend((!ranks.is_empty()).then(|| ("_ranked".to_owned(), ranks)));
    for (name, columns) in stages {
        let text = format!(
            "SELECT *,\n    {}\nFROM {from}{}",
            columns.join(",\n    "),
            clause("WHERE", filter.take().as_ref())
        );
        from.clone_from(&name);
        parts.push((name, text));
    }
    let named = keys.iter().enumerate().map(|(n, key)| format!("{key} AS _key{n}"));
    let ends = metric.session().map(|gap_ms| session_end(metric, gap_ms, &events));
    let columns: Vec<_> = named.chain(slots.gathered(&events)).chain(ends).collect();
    let places: Vec<_> = (1..=keys.len()).map(|place| place.to_string()).collect();
    let grouped = format!(
        "SELECT {}\nFROM {from}{}\nGROUP BY {}",
        columns.join(",\n    "),
        clause("WHERE", filter.as_ref()),
        places.join(", ")
    );
    parts.push(("_groups".to_owned(), grouped));
    let from = if slots.are_all_gathered() {
        "_groups"
    } else {
        let names = (0..keys.len()).map(|n| format!("_key{n}"));
        let end = metric.session().map(|_| "_end".to_owned());
        let columns: Vec<_> = names.chain(slots.finished()).chain(end).collect();
        parts.push(("_values".to_owned(), format!("SELECT {}\nFROM _groups", columns.join(",\n    "))));
        "_values"
    };
    let outputs: Vec<_> = metric
        .outputs
        .iter()
        .map(|Output { name, doc: _, value }| format!("{} AS {}", groups.value(value), quoted(name)))
        .collect();
    let having = metric.having.as_ref().filter(|_| !is_broken(Rule::HavingIsAsked)).map(|having| groups.value(having));
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, text)| {
            // What is looked up for each event is written down once, and SQLite makes an index of it.
            let how = if answers::is_looked_up(name) { "MATERIALIZED " } else { "" };
            format!("{name} AS {how}(\n    {}\n)", text.replace('\n', "\n    "))
        })
        .collect();
    format!(
        "WITH {}\nSELECT {}\nFROM {from}{}",
        parts.join(",\n"),
        outputs.join(",\n    "),
        clause("WHERE", having.as_ref())
    )
}

/// When a session ends: a gap after its last event.
fn session_end(metric: &Metric, gap_ms: i64, events: &Printer<'_>) -> String {
    let at = metric.keys.last().and_then(|key| walk::parts(key).first().map(|at| events.value(at))).unwrap_or_default();
    format!("max({at}) + {gap_ms} AS _end")
}

/// The events in time, of those that are repeated one; or the rows of another metric.
fn in_time(family: &Family, metric: &Metric) -> String {
    if let Some(inner) = metric.inner() {
        return select(family, inner);
    }
    let name = |column: &usize| family.columns.get(*column).map(|column| quoted(&column.name));
    let (distinct, columns): (_, Vec<_>) = match &family.once {
        Some(once) => {
            let distinct = if is_broken(Rule::OnceIsDistinct) { "" } else { "DISTINCT " };
            (distinct, once.of.iter().filter_map(name).collect())
        }
        None => {
            let mut used = BTreeSet::new();
            walk::of_events(metric).into_iter().for_each(|expr: &Expr| walk::columns(expr, &mut used));
            used.extend((!metric.asks.is_empty()).then_some(family.time));
            ("", used.iter().filter_map(name).collect())
        }
    };
    // A metric may count events and look at nothing of them.
    let columns = if columns.is_empty() { "1 AS _one".to_owned() } else { columns.join(", ") };
    let in_time = if is_broken(Rule::InTimeOnly) { "" } else { " WHERE NOT late" };
    format!("SELECT {distinct}{columns}\nFROM {}{in_time}", quoted(&family.name))
}

fn clause(word: &str, condition: Option<&String>) -> String {
    condition.map(|condition| format!("\n{word} {condition}")).unwrap_or_default()
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of an answer.
fn asked(ask: usize) -> String {
    format!("_ask{ask}")
}
