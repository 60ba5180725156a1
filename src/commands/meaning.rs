//! What a model declares, in words: what a metric reads, what its key is, and when a group leaves memory.

use super::rows::{Grid, Head, prose};
use crate::config::Config;
use crate::families;
use crate::instant::span;
use crate::model::language;
use crate::model::messages::Span;
use crate::shown;
use dataflows::declared::plan::{Family, Metric, Window};
use dataflows::declared::walk;
use dataflows::family::Family as _;
use dataflows::table::{Table, Type};
use std::collections::BTreeSet;

/// What a column says is wrapped, and put on a line of its own where there is less room.
const DOC_CELLS: usize = 24;

/// How late an event of a name may be and still correct a metric.
pub(super) fn lateness(config: &Config, events: &str) -> Option<i64> {
    let declared = families::declared().iter().find(|loaded| loaded.family.name() == events);
    declared.and_then(|loaded| loaded.events.lateness_ms).unwrap_or(config.lateness)
}

/// A span of event time in words.
pub(super) fn late_by(lateness: Option<i64>) -> String {
    lateness.map_or("unlimited".to_owned(), span::show)
}

/// The names of the columns that are the key.
pub(super) fn key(metric: &Metric) -> String {
    let names: Vec<_> = metric.outputs.iter().take(metric.keys.len()).map(|output| output.name.as_str()).collect();
    names.join(", ")
}

/// When a group leaves memory.
pub(super) fn kept(metric: &Metric, lateness: Option<i64>) -> String {
    let one = format!("one record per {}", key(metric));
    let name = |key: usize| metric.outputs.get(key).map(|output| output.name.as_str()).unwrap_or_default();
    let names: Vec<_> =
        metric.leaves.iter().map(|(key, window)| format!("{} (`{}`)", called(*window), name(*key))).collect();
    if let (Some(gap_ms), Some(ms)) = (metric.session(), lateness) {
        let session = name(metric.keys.len() - 1);
        let windows = names.iter().map(|window| format!(", or its {window} has ended,")).collect::<String>();
        return format!(
            "a session (`{session}`) leaves when its last event was {} ago{windows} and the watermark is {} further",
            span::show(gap_ms),
            span::show(ms)
        );
    }
    // What is asked of an event may be answered later.
    let answered = metric.ahead_ms();
    let lateness = lateness.map(|ms| ms + answered);
    match (&names[..], lateness) {
        ([], _) => format!("kept for ever: {one}"),
        (_, None) => format!("kept for ever, because `lateness` is unlimited: {one}"),
        (windows, Some(ms)) if metric.inner().is_some() => format!(
            "a group leaves when its {} has ended, the watermark is {} further, and no row of `{}` that began before can change",
            windows.join(" or its "),
            span::show(ms),
            metric.inner().map_or("", |inner| &inner.name)
        ),
        ([window], Some(ms)) => {
            format!("a group leaves when its {window} has ended and the watermark is {} further", span::show(ms))
        }
        (windows, Some(ms)) => format!(
            "a group leaves when the first of its windows, {}, has ended and the watermark is {} further",
            windows.join(" and "),
            span::show(ms)
        ),
    }
}

fn called(window: Window) -> String {
    match window {
        Window::Width(86_400_000) => "day".to_owned(),
        Window::Width(3_600_000) => "hour".to_owned(),
        Window::Width(ms) => format!("window of {}", span::show(ms)),
        Window::Week => "week".to_owned(),
        Window::Month => "month".to_owned(),
    }
}

/// The columns of its family that a metric reads.
pub(super) fn reads(events: &Family, metric: &Metric) -> String {
    let mut used = BTreeSet::new();
    walk::of_events(metric).into_iter().for_each(|expr| walk::columns(expr, &mut used));
    let names: Vec<_> =
        used.into_iter().filter_map(|place| events.columns.get(place)).map(|is| is.name.as_str()).collect();
    if names.is_empty() { "no column: it counts events".to_owned() } else { names.join(", ") }
}

/// The conditions of a metric's text, as they stand there: of events, and of rows.
pub(super) fn conditions(text: &str) -> (Option<String>, Option<String>) {
    let (query, _) = language::read(text);
    let said = |condition: &Option<language::Expr>| condition.as_ref().map(|is| on_one_line(&cut(text, is.span)));
    query.map(|query| (said(&query.filter), said(&query.having))).unwrap_or_default()
}

/// The part of a text that a span is of.
fn cut(text: &str, span: Span) -> String {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    let within = lines.filter(|(n, _)| (span.line..=span.end_line).contains(n));
    let part = |(n, line): (usize, &str)| -> String {
        let from = if n == span.line { span.column.saturating_sub(1) } else { 0 };
        let to = if n == span.end_line { span.end_column.saturating_sub(1) } else { usize::MAX };
        line.chars().take(to).skip(from).collect()
    };
    within.map(part).collect::<Vec<_>>().join("\n")
}

/// Without comments and line ends; what is in quotes stays.
fn on_one_line(text: &str) -> String {
    let line = |line: &str| {
        let (mut kept, mut is_quoted, mut letters) = (String::new(), false, line.chars().peekable());
        while let Some(letter) = letters.next() {
            if !is_quoted && letter == '-' && letters.peek() == Some(&'-') {
                break;
            }
            is_quoted ^= letter == '\'';
            kept.push(letter);
        }
        kept.trim().to_owned()
    };
    text.lines().map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A type as it is declared.
fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Integer => "integer",
        Type::Boolean => "boolean",
        Type::Instant => "instant",
        Type::Money => "money",
        Type::Milli => "decimal",
        Type::Share => "share",
        Type::Text => "text",
        Type::Json => "JSON",
        Type::Bytes => "bytes",
    }
}

/// The columns of a table, for people.
pub(super) fn columns(table: &Table) -> String {
    let width = shown::width();
    let head = |name: &str, whole| Head { name: name.to_owned(), right: false, whole };
    let heads = [("column", true), ("type", true), ("null", true), ("what it says", false)];
    let key = table.key_columns;
    let rows = |room: Option<usize>| -> Vec<Vec<String>> {
        let row = |(n, column): (usize, &dataflows::table::Column)| {
            let mark = if n < key { " (key)" } else { "" };
            vec![
                format!("{}{mark}", column.name),
                type_name(column.ty).to_owned(),
                if column.nullable { "yes" } else { "no" }.to_owned(),
                prose(column.doc, room),
            ]
        };
        table.columns.iter().enumerate().map(row).collect()
    };
    let grid = |columns: usize, room| Grid {
        columns: heads.iter().take(columns).map(|(name, whole)| head(name, *whole)).collect(),
        rows: rows(room).into_iter().map(|row| row.into_iter().take(columns).collect()).collect(),
    };
    // What is beside the last column: two more spaces, and a rule.
    let beside = grid(3, None).whole().iter().map(|cells| cells + 3).sum::<usize>() + 1;
    let room = width.map(|width| width.saturating_sub(beside + 3).max(DOC_CELLS));
    grid(4, room).fit(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_shown_on_one_line_without_comments() {
        let text = "-- Rows.\nSELECT date_trunc('day', t) AS day, count(*) AS n FROM e\nWHERE kind = 'a -- b' -- those\n  AND price > 0\nGROUP BY day HAVING n > 1";
        let (filter, having) = conditions(text);
        assert_eq!(filter.as_deref(), Some("kind = 'a -- b' AND price > 0"));
        assert_eq!(having.as_deref(), Some("n > 1"));
        assert_eq!(conditions("SELECT"), (None, None));
    }
}
