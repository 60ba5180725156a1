//! Expressions as SQLite writes them.

use super::broken::{Rule, is_broken};
use super::numbers::{absolute, is_plain, quotient, whole};
use super::{asked, quoted};
use crate::model::stages::SESSION;
use dataflows::declared::plan::{Arithmetic, Compare, Expr, Family, Literal, Metric, Node, Type, Window};
use dataflows::time::DAY_MS;

/// Prints expressions of events, or of groups.
pub(super) struct Printer<'p> {
    columns: Vec<String>,
    leaves: &'p [(usize, Window)],
    is_session: bool,
    /// The family's time, which is never before 1970.
    time: Option<usize>,
    /// Of groups of rows, the metric of the rows.
    inner: Option<&'p Metric>,
    /// How long after an event what is asked of it may change.
    ahead_ms: i64,
}

impl<'p> Printer<'p> {
    pub(super) fn of_events(family: &Family) -> Printer<'static> {
        let columns = family.columns.iter().map(|column| quoted(&column.name)).collect();
        Printer { columns, leaves: &[], is_session: false, time: Some(family.time), inner: None, ahead_ms: 0 }
    }

    /// Of rows of a metric.
    pub(super) fn of_rows(inner: &Metric) -> Printer<'static> {
        let columns = inner.outputs.iter().map(|output| quoted(&output.name)).collect();
        Printer { columns, leaves: &[], is_session: false, time: None, inner: None, ahead_ms: 0 }
    }

    pub(super) fn of_groups(metric: &'p Metric) -> Printer<'p> {
        Printer {
            columns: Vec::new(),
            leaves: &metric.leaves,
            is_session: metric.session().is_some(),
            time: None,
            inner: metric.inner(),
            ahead_ms: metric.ahead_ms(),
        }
    }

    /// A value: of a number that overflows, null.
    pub(super) fn value(&self, expr: &Expr) -> String {
        match &expr.node {
            Node::Scaled(_, _) | Node::Minus(_) | Node::Arithmetic(_, _, _) | Node::Abs(_) => whole(&self.number(expr)),
            Node::Literal(literal) => self.literal(literal),
            Node::Column(column) => match self.columns.get(*column) {
                Some(name) => name.clone(),
                None => asked(column - self.columns.len()),
            },
            Node::Key(key) => format!("_key{key}"),
            Node::Slot(slot) => format!("_slot{slot}"),
            Node::IsFinal => self.is_final(),
            Node::Concat(a, b) => format!("({} || {})", self.value(a), self.value(b)),
            Node::Compare(compare, a, b) => {
                let sign = match compare {
                    Compare::Equal => "=",
                    Compare::NotEqual => "<>",
                    Compare::Less => "<",
                    Compare::LessOrEqual => "<=",
                    Compare::Greater => ">",
                    Compare::GreaterOrEqual => ">=",
                };
                format!("({} {sign} {})", self.value(a), self.value(b))
            }
            Node::IsDistinct(a, b) => {
                let sign = if is_broken(Rule::DistinctKnowsNull) { "<>" } else { "IS NOT" };
                format!("({} {sign} {})", self.value(a), self.value(b))
            }
            Node::And(all) => self.joined(all, "AND"),
            Node::Or(all) => self.joined(all, "OR"),
            Node::Not(of) => format!("(NOT {})", self.value(of)),
            Node::IsNull(of) => format!("({} IS NULL)", self.value(of)),
            Node::In(of, literals) => {
                let literals: Vec<_> = literals.iter().map(|literal| self.literal(literal)).collect();
                format!("({} IN ({}))", self.value(of), literals.join(", "))
            }
            Node::Like(of, pattern) if is_broken(Rule::LikeMindsCase) => {
                format!("({} LIKE {})", self.value(of), text(pattern))
            }
            Node::Like(of, pattern) => format!("({} GLOB {})", self.value(of), text(&glob(pattern))),
            Node::Case(whens, last) => {
                let whens: Vec<_> = whens
                    .iter()
                    .map(|(when, then)| format!("WHEN {} THEN {}", self.value(when), self.value(then)))
                    .collect();
                format!("CASE {} ELSE {} END", whens.join(" "), self.value(last))
            }
            Node::Coalesce(all) => match all.as_slice() {
                // SQLite takes two or more.
                [one] => self.value(one),
                all => {
                    let all: Vec<_> = all.iter().map(|one| self.value(one)).collect();
                    format!("coalesce({})", all.join(", "))
                }
            },
            Node::NullIf(a, b) => format!("nullif({}, {})", self.value(a), self.value(b)),
            Node::Substr(of, from, letters) => match letters {
                Some(letters) => format!("substr({}, {from}, {letters})", self.value(of)),
                None => format!("substr({}, {from})", self.value(of)),
            },
            Node::Length(of) => format!("length({})", self.value(of)),
            Node::RoundedQuotient(a, b, scale) => {
                let power = i32::from(*scale) + i32::from(scale_of(b)) - i32::from(scale_of(a));
                quotient(&self.value(a), &self.value(b), power)
            }
            Node::Floor(window, at) => self.floor(*window, at),
            Node::Session(_, _) => SESSION.to_owned(),
            Node::Later(at, ms) => {
                let sign = if *ms < 0 { '-' } else { '+' };
                format!("({} {sign} {})", self.value(at), ms.unsigned_abs())
            }
            Node::Boundaries(unit, from, to) => {
                let floor = |at: &Expr| self.floor(Window::Width(*unit), at);
                match unit {
                    1 => format!("({} - {})", self.value(to), self.value(from)),
                    unit if is_broken(Rule::BoundariesAreCounted) => {
                        format!("(({} - {}) / {unit})", self.value(to), self.value(from))
                    }
                    unit => format!("(({} - {}) / {unit})", floor(to), floor(from)),
                }
            }
        }
    }

    /// A number that is a float if it overflowed on the way: what is computed of a float is one, or null.
    fn number(&self, expr: &Expr) -> String {
        match &expr.node {
            Node::Scaled(of, _) if is_broken(Rule::ScalesAreEqual) => self.number(of),
            Node::Scaled(of, power) => {
                format!("({} * {})", self.number(of), 10_i64.checked_pow((*power).into()).unwrap_or(i64::MAX))
            }
            Node::Minus(of) => format!("(-{})", self.number(of)),
            Node::Abs(of) => absolute(&self.number(of)),
            Node::Arithmetic(Arithmetic::Remainder, a, b) => format!("({} % {})", self.value(a), self.value(b)),
            Node::Arithmetic(op, a, b) => {
                let sign = match op {
                    Arithmetic::Plus => '+',
                    Arithmetic::Minus => '-',
                    Arithmetic::Times => '*',
                    Arithmetic::Remainder => '%',
                };
                format!("({} {sign} {})", self.number(a), self.number(b))
            }
            Node::Literal(_)
            | Node::Column(_)
            | Node::Key(_)
            | Node::Slot(_)
            | Node::IsFinal
            | Node::Concat(_, _)
            | Node::Compare(_, _, _)
            | Node::IsDistinct(_, _)
            | Node::And(_)
            | Node::Or(_)
            | Node::Not(_)
            | Node::IsNull(_)
            | Node::In(_, _)
            | Node::Like(_, _)
            | Node::Case(_, _)
            | Node::Coalesce(_)
            | Node::NullIf(_, _)
            | Node::Substr(_, _, _)
            | Node::Length(_)
            | Node::RoundedQuotient(_, _, _)
            | Node::Floor(_, _)
            | Node::Later(_, _)
            | Node::Boundaries(_, _, _)
            | Node::Session(_, _) => self.value(expr),
        }
    }

    fn literal(&self, literal: &Literal) -> String {
        match literal {
            Literal::Null => "NULL".to_owned(),
            Literal::Boolean(truth) => if *truth { "TRUE" } else { "FALSE" }.to_owned(),
            Literal::Number(number) | Literal::Instant(number) if *number < 0 => format!("({number})"),
            Literal::Number(number) | Literal::Instant(number) => number.to_string(),
            Literal::Text(words) => text(words),
        }
    }

    /// A chain as a tree: SQLite takes a thousand, one within the other.
    fn joined(&self, all: &[Expr], word: &str) -> String {
        match all {
            [] => "TRUE".to_owned(),
            [one] => self.value(one),
            all if all.len() <= 8 => {
                let all: Vec<_> = all.iter().map(|one| self.value(one)).collect();
                format!("({})", all.join(&format!(" {word} ")))
            }
            all => {
                let (left, right) = all.split_at(all.len() / 2);
                format!("({} {word} {})", self.joined(left, word), self.joined(right, word))
            }
        }
    }

    /// The start of the window that an instant is in. `%` of what is before 1970 is below zero.
    fn floor(&self, window: Window, at: &Expr) -> String {
        let is_since_1970 = matches!(at.node, Node::Column(column) if Some(column) == self.time);
        let value = self.value(at);
        if !is_plain(&value) {
            return format!("(SELECT {} FROM (SELECT {value} AS _t))", floor("_t", window, false));
        }
        floor(&value, window, is_since_1970)
    }

    /// The earliest of its windows has ended for good.
    fn is_final(&self) -> String {
        let ends: Vec<_> = self
            .leaves
            .iter()
            .map(|(key, window)| match window {
                Window::Width(width) => format!("_key{key} + {width}"),
                Window::Week => format!("_key{key} + {}", 7 * DAY_MS),
                // No month is longer, and none is shorter than 28 days.
                Window::Month => {
                    let days = if is_broken(Rule::MonthsHave31Days) { 30 } else { 31 };
                    floor(&format!("(_key{key} + {})", days * DAY_MS), Window::Month, false)
                }
            })
            .chain(self.is_session.then(|| "_end".to_owned()))
            .collect();
        let end = match ends.as_slice() {
            [one] => one.clone(),
            many if is_broken(Rule::EarliestWindowCounts) => format!("max({})", many.join(", ")),
            many => format!("min({})", many.join(", ")),
        };
        if is_broken(Rule::FinalWaitsForLateness) {
            return format!("({end} <= :watermark)");
        }
        let sign = if is_broken(Rule::FinalAtTheCut) { "<" } else { "<=" };
        let cut = "(:watermark - :lateness_ms)";
        let cuts = self.inner.iter().flat_map(|inner| &inner.leaves).map(|(_, window)| floor(cut, *window, false));
        let cut = match cuts.collect::<Vec<_>>().as_slice() {
            [] if self.ahead_ms > 0 && !is_broken(Rule::AnswersMayChange) => {
                format!(":watermark - :lateness_ms - {}", self.ahead_ms)
            }
            [] => ":watermark - :lateness_ms".to_owned(),
            [one] => one.clone(),
            many => format!("min({})", many.join(", ")),
        };
        format!("({end} {sign} {cut})")
    }
}

fn floor(at: &str, window: Window, is_since_1970: bool) -> String {
    let within = |at: &str, width: i64| {
        let is_since_1970 = is_since_1970 || is_broken(Rule::WindowsBefore1970);
        if is_since_1970 { format!("{at} % {width}") } else { format!("({at} % {width} + {width}) % {width}") }
    };
    match window {
        Window::Width(1) => at.to_owned(),
        Window::Width(width) => format!("({at} - {})", within(at, width)),
        Window::Week if is_broken(Rule::WeeksBeginOnMonday) => format!("({at} - {})", within(at, 7 * DAY_MS)),
        // 1970 began on a Thursday.
        Window::Week => format!("({at} - {})", within(&format!("({at} + {})", 3 * DAY_MS), 7 * DAY_MS)),
        Window::Month if is_since_1970 || is_broken(Rule::MonthsBefore1970) => month(at),
        // Months are the same every 400 years, and SQLite knows them from year 0 to 9999.
        Window::Month => {
            let years = 146_097 * DAY_MS;
            let within = within(at, years);
            format!("({at} - ({within}) + {})", month(&format!("({within})")))
        }
    }
}

fn month(at: &str) -> String {
    format!("(unixepoch({at} / 1000, 'unixepoch', 'start of month') * 1000)")
}

fn scale_of(expr: &Expr) -> u8 {
    match expr.ty {
        Type::Number(scale) => scale,
        Type::Boolean | Type::Instant | Type::Text => 0,
    }
}

fn text(words: &str) -> String {
    format!("'{}'", words.replace('\'', "''"))
}

/// A pattern of LIKE as one of GLOB, which minds case.
fn glob(pattern: &str) -> String {
    let letter = |letter: char| match letter {
        '%' => "*".to_owned(),
        '_' => "?".to_owned(),
        '[' | '*' | '?' if !is_broken(Rule::GlobIsEscaped) => format!("[{letter}]"),
        other => other.to_string(),
    };
    pattern.chars().map(letter).collect()
}
