//! A plan as a statement of Snowflake over the raw table that is written there: the rows that the metric's table must
//! have. `explain NAME --sql snowflake` prints it.
//!
//! Numbers are decimals there, of the scale that they have, so that no literal is scaled. Two things are not as in the
//! table: a number beyond 64 bits is null in the table, and a larger number in Snowflake; and a quotient is computed to
//! 12 decimals before it is rounded, which is exact for a divisor below 10^9 of its last decimal.

mod aggregates;
mod answers;
mod expressions;

use super::stages::{self, Words};
use crate::config::snowflake::Snowflake as Config;
use crate::sink::snowflake::ddl::{Names, name};
use aggregates::Slots;
use dataflows::declared::eval::asks_is_final;
use dataflows::declared::family::Made;
use dataflows::declared::plan::{Ask, Expr, Family, Metric, Output, Type};
use dataflows::declared::walk;
use dataflows::raw::LATE_EVENTS;
use expressions::Printer;
use std::collections::BTreeSet;

/// What is to be selected, and where from: the names of tables are as they are configured.
pub fn select(made: &Made, metric: &Metric, config: &Config, lateness_ms: Option<i64>) -> String {
    let names = Names::new(config);
    let family = made.plan();
    let slots = Slots::of(&metric.aggregates);
    let events = metric.inner().map_or_else(|| Printer::of_events(family), Printer::of_rows);
    let groups = Printer::of_groups(metric);
    let keys: Vec<_> = metric.keys.iter().map(|key| events.value(key)).collect();
    let tables = (names.table(made.raw_table()), names.table(LATE_EVENTS));
    let mut parts = Vec::new();
    let mut from = "_groups".to_owned();
    let outputs = metric.outputs.iter().map(|output| &output.value);
    if outputs.chain(&metric.having).any(asks_is_final) {
        parts.push(("_cut".to_owned(), cut(&names, family, lateness_ms.unwrap_or(0) + metric.ahead_ms())));
        from += ", _cut";
    }
    if metric.asks.iter().any(|ask| matches!(ask, Ask::HasPassed(_))) {
        parts.push(("_watermark".to_owned(), cut(&names, family, 0)));
    }
    let read = match metric.inner() {
        Some(inner) => select(made, inner, config, lateness_ms),
        None => in_time(family, metric, &tables),
    };
    parts.push(("_events".to_owned(), read));
    let mut read = "_events".to_owned();
    for (name, text) in answers::parts(family, metric, &events) {
        read.clone_from(&name);
        parts.push((name, text));
    }
    let mut filter = metric.filter.as_ref().map(|filter| events.value(filter));
    let is_apart =
        |later: &str, before: &str, gap_ms: i64| format!("DATEDIFF('MILLISECOND', {before}, {later}) >= {gap_ms}");
    let mut stages = stages::of(metric, &keys, &Words { value: &|expr| events.value(expr), is_apart: &is_apart });
    let ranks = slots.ranks(&events, &keys);
    stages.extend((!ranks.is_empty()).then(|| ("_ranked".to_owned(), ranks)));
    for (name, columns) in stages {
        let where_ = clause("WHERE", filter.take().as_ref());
        let text = format!("SELECT *,\n    {}\nFROM {read}{where_}", columns.join(",\n    "));
        read.clone_from(&name);
        parts.push((name, text));
    }
    let named = keys.iter().enumerate().map(|(n, key)| format!("{key} AS _key{n}"));
    let ends = metric.session().map(|gap_ms| session_end(metric, gap_ms, &events));
    let columns: Vec<_> = named.chain(slots.gathered(&events)).chain(ends).collect();
    let places: Vec<_> = (1..=keys.len()).map(|place| place.to_string()).collect();
    let grouped = format!(
        "SELECT {}\nFROM {read}{}\nGROUP BY {}",
        columns.join(",\n    "),
        clause("WHERE", filter.as_ref()),
        places.join(", ")
    );
    parts.push(("_groups".to_owned(), grouped));
    let outputs: Vec<_> = metric.outputs.iter().map(|output| column(&groups, output)).collect();
    let having = metric.having.as_ref().map(|having| groups.value(having));
    let parts: Vec<_> =
        parts.iter().map(|(name, text)| format!("{name} AS (\n    {}\n)", text.replace('\n', "\n    "))).collect();
    format!(
        "WITH {}\nSELECT {}\nFROM {from}{}",
        parts.join(",\n"),
        outputs.join(",\n    "),
        clause("WHERE", having.as_ref())
    )
}

/// A column of the table, in the type that it has there.
fn column(groups: &Printer<'_>, Output { name: of, doc: _, value }: &Output) -> String {
    let is = groups.value(value);
    let is = match value.ty {
        Type::Number(scale) => format!("CAST({is} AS NUMBER(38,{scale}))"),
        Type::Boolean | Type::Instant | Type::Text => is,
    };
    format!("{is} AS {}", name(of))
}

/// Up to where no event is accepted any more.
fn cut(names: &Names, family: &Family, lateness_ms: i64) -> String {
    format!(
        "SELECT DATEADD('MILLISECOND', -{lateness_ms}, CAST(REPLACE(TRIM(GET(PARSE_JSON({}), '{}')::VARCHAR, '\"'), 'Z', '') AS \
         TIMESTAMP_NTZ(3))) AS _passed\nFROM {}",
        name("watermarks"),
        family.name,
        names.progress()
    )
}

/// When a session ends: a gap after its last event.
fn session_end(metric: &Metric, gap_ms: i64, events: &Printer<'_>) -> String {
    let at = metric.keys.last().and_then(|key| walk::parts(key).first().map(|at| events.value(at))).unwrap_or_default();
    format!("DATEADD('MILLISECOND', {gap_ms}, MAX({at})) AS _end")
}

/// The events in time; of those that are repeated one.
fn in_time(family: &Family, metric: &Metric, (raw, late): &(String, String)) -> String {
    let of = |place: &usize| family.columns.get(*place).map(|column| name(&column.name));
    let (distinct, columns): (_, Vec<_>) = match &family.once {
        Some(once) => ("DISTINCT ", once.of.iter().filter_map(of).collect()),
        None => {
            let mut used = BTreeSet::new();
            walk::of_events(metric).into_iter().for_each(|expr: &Expr| walk::columns(expr, &mut used));
            used.extend((!metric.asks.is_empty()).then_some(family.time));
            ("", used.iter().filter_map(of).collect())
        }
    };
    let columns = if columns.is_empty() { "1 AS _one".to_owned() } else { columns.join(", ") };
    let table = LATE_EVENTS.table();
    let key = table.columns.iter().take(table.key_columns).map(|column| format!("_l.{0} = _e.{0}", name(column.name)));
    format!(
        "SELECT {distinct}{columns}\nFROM {raw} AS _e\nWHERE NOT EXISTS (SELECT 1 FROM {late} AS _l WHERE {})",
        key.collect::<Vec<_>>().join(" AND ")
    )
}

fn clause(word: &str, condition: Option<&String>) -> String {
    condition.map(|condition| format!("\n{word} {condition}")).unwrap_or_default()
}

/// The name of an answer.
fn asked(ask: usize) -> String {
    format!("_ask{ask}")
}
