//! Expressions as Snowflake writes them.

use super::asked;
use crate::instant;
use crate::model::stages::SESSION;
use crate::sink::snowflake::ddl::name;
use dataflows::declared::plan::{Arithmetic, Compare, Expr, Family, Literal, Metric, Node, Type, Window};
use dataflows::declared::reading::shown;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What Snowflake calls a span.
const UNITS: [(i64, &str); 5] =
    [(DAY_MS, "DAY"), (HOUR_MS, "HOUR"), (MINUTE_MS, "MINUTE"), (SECOND_MS, "SECOND"), (1, "MILLISECOND")];

/// Prints expressions of events, or of groups.
pub(super) struct Printer<'p> {
    columns: Vec<String>,
    leaves: &'p [(usize, Window)],
    is_session: bool,
    /// Of groups of rows, the metric of the rows.
    inner: Option<&'p Metric>,
}

impl<'p> Printer<'p> {
    pub(super) fn of_events(family: &Family) -> Printer<'static> {
        Printer {
            columns: family.columns.iter().map(|column| name(&column.name)).collect(),
            leaves: &[],
            is_session: false,
            inner: None,
        }
    }

    /// Of rows of a metric.
    pub(super) fn of_rows(inner: &Metric) -> Printer<'static> {
        let columns = inner.outputs.iter().map(|output| name(&output.name)).collect();
        Printer { columns, leaves: &[], is_session: false, inner: None }
    }

    pub(super) fn of_groups(metric: &'p Metric) -> Printer<'p> {
        Printer {
            columns: Vec::new(),
            leaves: &metric.leaves,
            is_session: metric.session().is_some(),
            inner: metric.inner(),
        }
    }

    /// A value.
    pub(super) fn value(&self, expr: &Expr) -> String {
        let value = |expr: &Expr| self.value(expr);
        match &expr.node {
            Node::Literal(is) => literal(is, expr.ty),
            Node::Column(column) => match self.columns.get(*column) {
                Some(name) => name.clone(),
                None => asked(column - self.columns.len()),
            },
            Node::Key(key) => format!("_key{key}"),
            Node::Slot(slot) => format!("_slot{slot}"),
            Node::IsFinal => self.is_final(),
            // The same number, of more decimals.
            Node::Scaled(of, _) => value(of),
            Node::Minus(of) => format!("(-{})", value(of)),
            Node::Abs(of) => format!("ABS({})", value(of)),
            Node::Arithmetic(Arithmetic::Remainder, a, b) => format!("MOD({}, {})", value(a), value(b)),
            Node::Arithmetic(op, a, b) => {
                let sign = match op {
                    Arithmetic::Plus => '+',
                    Arithmetic::Minus => '-',
                    Arithmetic::Times => '*',
                    Arithmetic::Remainder => '%',
                };
                format!("({} {sign} {})", value(a), value(b))
            }
            Node::Concat(a, b) => format!("({} || {})", value(a), value(b)),
            Node::Compare(compare, a, b) => {
                let sign = match compare {
                    Compare::Equal => "=",
                    Compare::NotEqual => "<>",
                    Compare::Less => "<",
                    Compare::LessOrEqual => "<=",
                    Compare::Greater => ">",
                    Compare::GreaterOrEqual => ">=",
                };
                format!("({} {sign} {})", value(a), value(b))
            }
            Node::IsDistinct(a, b) => format!("({} IS DISTINCT FROM {})", value(a), value(b)),
            Node::And(all) => self.joined(all, " AND "),
            Node::Or(all) => self.joined(all, " OR "),
            Node::Not(of) => format!("(NOT {})", value(of)),
            Node::IsNull(of) => format!("({} IS NULL)", value(of)),
            Node::In(of, literals) => {
                let literals: Vec<_> = literals.iter().map(|is| literal(is, of.ty)).collect();
                format!("({} IN ({}))", value(of), literals.join(", "))
            }
            Node::Like(of, pattern) => format!("({} LIKE {})", value(of), text(pattern)),
            Node::Case(whens, last) => {
                let whens: Vec<_> =
                    whens.iter().map(|(when, then)| format!("WHEN {} THEN {}", value(when), value(then))).collect();
                format!("CASE {} ELSE {} END", whens.join(" "), value(last))
            }
            Node::Coalesce(all) => match all.as_slice() {
                // Snowflake takes two or more.
                [one] => value(one),
                all => format!("COALESCE({})", all.iter().map(value).collect::<Vec<_>>().join(", ")),
            },
            Node::NullIf(a, b) => format!("NULLIF({}, {})", value(a), value(b)),
            Node::Substr(of, from, letters) => match letters {
                Some(letters) => format!("SUBSTR({}, {from}, {letters})", value(of)),
                None => format!("SUBSTR({}, {from})", value(of)),
            },
            Node::Length(of) => format!("LENGTH({})", value(of)),
            Node::RoundedQuotient(a, b, scale) => {
                let is_one = b.node == Node::Literal(Literal::Number(1)) && b.ty == Type::Number(0);
                match is_one {
                    true => format!("ROUND({}, {scale})", value(a)),
                    // Of fewer decimals Snowflake would round a first time.
                    false => format!("ROUND(CAST({} AS NUMBER(38,12)) / {}, {scale})", value(a), value(b)),
                }
            }
            Node::Floor(window, at) => floor(*window, &value(at)),
            Node::Session(_, _) => SESSION.to_owned(),
            Node::Later(at, ms) => format!("DATEADD('MILLISECOND', {ms}, {})", value(at)),
            Node::Boundaries(unit, from, to) => match UNITS.iter().find(|(ms, _)| ms == unit) {
                Some((_, unit)) => format!("DATEDIFF('{unit}', {}, {})", value(from), value(to)),
                None => {
                    let floor = |at: &Expr| format!("FLOOR(DATE_PART('EPOCH_MILLISECOND', {}) / {unit})", value(at));
                    format!("({} - {})", floor(to), floor(from))
                }
            },
        }
    }

    fn joined(&self, all: &[Expr], word: &str) -> String {
        match all {
            [] => "TRUE".to_owned(),
            [one] => self.value(one),
            all => format!("({})", all.iter().map(|one| self.value(one)).collect::<Vec<_>>().join(word)),
        }
    }

    /// The earliest of its windows has ended for good.
    fn is_final(&self) -> String {
        let ends: Vec<_> = self
            .leaves
            .iter()
            .map(|(key, window)| match window {
                Window::Width(width) => format!("DATEADD('MILLISECOND', {width}, _key{key})"),
                Window::Week => format!("DATEADD('DAY', 7, _key{key})"),
                Window::Month => format!("DATEADD('MONTH', 1, _key{key})"),
            })
            .chain(self.is_session.then(|| "_end".to_owned()))
            .collect();
        let end = match ends.as_slice() {
            [one] => one.clone(),
            many => format!("LEAST({})", many.join(", ")),
        };
        let cuts = self.inner.iter().flat_map(|inner| &inner.leaves).map(|(_, window)| floor(*window, "_passed"));
        let cut = match cuts.collect::<Vec<_>>().as_slice() {
            [] => "_passed".to_owned(),
            [one] => one.clone(),
            many => format!("LEAST({})", many.join(", ")),
        };
        format!("({end} <= {cut})")
    }
}

/// The start of the window that an instant is in.
fn floor(window: Window, at: &str) -> String {
    match window {
        Window::Month => format!("DATE_TRUNC('MONTH', {at})"),
        // Where a week begins is a setting of the session otherwise.
        Window::Week => format!("DATEADD('DAY', 1 - DAYOFWEEKISO({at}), DATE_TRUNC('DAY', {at}))"),
        Window::Width(width) => match UNITS.iter().find(|(ms, _)| width % ms == 0) {
            Some((ms, unit)) if *ms == width => format!("DATE_TRUNC('{unit}', {at})"),
            Some((ms, unit)) if *ms >= SECOND_MS => format!("TIME_SLICE({at}, {}, '{unit}')", width / ms),
            Some(_) | None => {
                format!("TO_TIMESTAMP_NTZ(FLOOR(DATE_PART('EPOCH_MILLISECOND', {at}) / {width}) * {width}, 3)")
            }
        },
    }
}

fn literal(literal: &Literal, ty: Type) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(truth) => if *truth { "TRUE" } else { "FALSE" }.to_owned(),
        Literal::Number(number) => {
            let scale = if let Type::Number(scale) = ty { scale } else { 0 };
            let number = shown(*number, scale);
            if number.starts_with('-') { format!("({number})") } else { number }
        }
        Literal::Instant(ms) => {
            format!("CAST('{}' AS TIMESTAMP_NTZ(3))", instant::show(*ms).replace('T', " ").replace('Z', ""))
        }
        Literal::Text(words) => text(words),
    }
}

fn text(words: &str) -> String {
    format!("'{}'", words.replace('\\', "\\\\").replace('\'', "''"))
}
