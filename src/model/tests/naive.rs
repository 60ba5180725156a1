//! Random metrics over random events: what SQLite says of the printed text, and what a plain reading of the plan says.

use super::super::sqlite::select;
use super::dice::Dice;
use super::{plan, things};
use dataflows::declared::plan::{
    Aggregate, Arithmetic, Compare, Edge, Expr, Literal, Metric, Node, Type, What, Window,
};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, BTreeSet};

const CUT: i64 = 90_000_000;

/// The whole number, if there is one.
fn whole(value: &Literal) -> Option<i128> {
    match value {
        Literal::Number(number) | Literal::Instant(number) => Some((*number).into()),
        Literal::Boolean(_) | Literal::Text(_) | Literal::Null => None,
    }
}

fn number(value: Option<i128>) -> Literal {
    value.and_then(|value| i64::try_from(value).ok()).map_or(Literal::Null, Literal::Number)
}

fn boolean(value: Option<bool>) -> Literal {
    value.map_or(Literal::Null, Literal::Boolean)
}

fn truth(value: &Literal) -> Option<bool> {
    if let Literal::Boolean(truth) = value { Some(*truth) } else { None }
}

/// Half away from zero.
fn rounded(a: i128, b: i128) -> Option<i128> {
    let sign = if (a < 0) == (b < 0) { 1 } else { -1 };
    let (a, b) = (a.abs(), b.abs());
    (b != 0).then(|| sign * (a / b + i128::from(2 * (a % b) >= b)))
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|from| like(&text[from..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        [letter, rest @ ..] => text.first() == Some(letter) && like(&text[1..], rest),
    }
}

/// What an expression says of an event, or of a group: its keys, its slots, and its leaves.
struct Of<'o> {
    event: &'o [Literal],
    keys: &'o [Literal],
    slots: &'o [Literal],
    leaves: &'o [(usize, Window)],
}

fn scale(expr: &Expr) -> u32 {
    if let Type::Number(scale) = expr.ty { scale.into() } else { 0 }
}

impl Of<'_> {
    fn value(&self, expr: &Expr) -> Literal {
        let value = |expr: &Expr| self.value(expr);
        let number_of = |expr: &Expr| whole(&self.value(expr));
        match &expr.node {
            Node::Literal(literal) => literal.clone(),
            Node::Column(column) => self.event[*column].clone(),
            Node::Key(key) => self.keys[*key].clone(),
            Node::Slot(slot) => self.slots[*slot].clone(),
            Node::IsFinal => {
                let end =
                    |(key, window): &(usize, Window)| whole(&self.keys[*key]).map(|start| window.end(start as i64));
                boolean(self.leaves.iter().filter_map(end).min().map(|end| end <= CUT))
            }
            // What overflows on the way is null, as 64 bits are all there is.
            Node::Scaled(of, power) => number(number_of(of).map(|of| of * 10_i128.pow((*power).into()))),
            Node::Minus(of) => number(number_of(of).map(|of| -of)),
            Node::Abs(of) => number(number_of(of).map(i128::abs)),
            Node::Arithmetic(op, a, b) => number(number_of(a).zip(number_of(b)).and_then(|(a, b)| match op {
                Arithmetic::Plus => Some(a + b),
                Arithmetic::Minus => Some(a - b),
                Arithmetic::Times => Some(a * b),
                Arithmetic::Remainder => a.checked_rem(b),
            })),
            Node::Concat(a, b) => match (value(a), value(b)) {
                (Literal::Text(a), Literal::Text(b)) => Literal::Text(a + &b),
                _ => Literal::Null,
            },
            Node::Compare(compare, a, b) => {
                let (a, b) = (value(a), value(b));
                let known = a != Literal::Null && b != Literal::Null;
                boolean(known.then(|| match compare {
                    Compare::Equal => a == b,
                    Compare::NotEqual => a != b,
                    Compare::Less => a < b,
                    Compare::LessOrEqual => a <= b,
                    Compare::Greater => a > b,
                    Compare::GreaterOrEqual => a >= b,
                }))
            }
            Node::IsDistinct(a, b) => Literal::Boolean(value(a) != value(b)),
            Node::And(all) => {
                let all: Vec<_> = all.iter().map(|one| truth(&value(one))).collect();
                boolean(if all.contains(&Some(false)) { Some(false) } else { (!all.contains(&None)).then_some(true) })
            }
            Node::Or(all) => {
                let all: Vec<_> = all.iter().map(|one| truth(&value(one))).collect();
                boolean(if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) })
            }
            Node::Not(of) => boolean(truth(&value(of)).map(|truth| !truth)),
            Node::IsNull(of) => Literal::Boolean(value(of) == Literal::Null),
            Node::In(of, all) => {
                let of = value(of);
                boolean((of != Literal::Null).then(|| all.contains(&of)))
            }
            Node::Like(of, pattern) => {
                let Literal::Text(text) = value(of) else { return Literal::Null };
                let letters = |text: &str| text.chars().collect::<Vec<_>>();
                Literal::Boolean(like(&letters(&text), &letters(pattern)))
            }
            Node::Case(whens, last) => {
                let then = whens.iter().find(|(when, _)| truth(&value(when)) == Some(true)).map(|(_, then)| then);
                value(then.unwrap_or(last))
            }
            Node::Coalesce(all) => all.iter().map(value).find(|value| *value != Literal::Null).unwrap_or(Literal::Null),
            Node::NullIf(a, b) => {
                let a = value(a);
                if a == value(b) { Literal::Null } else { a }
            }
            Node::Substr(of, from, letters) => {
                let Literal::Text(text) = value(of) else { return Literal::Null };
                let letters = letters.map_or(usize::MAX, |letters| letters as usize);
                Literal::Text(text.chars().skip(*from as usize - 1).take(letters).collect())
            }
            Node::Length(of) => {
                let Literal::Text(text) = value(of) else { return Literal::Null };
                Literal::Number(text.chars().count() as i64)
            }
            Node::RoundedQuotient(a, b, decimals) => {
                let (power, less) = (u32::from(*decimals) + scale(b), scale(a));
                number(number_of(a).zip(number_of(b)).and_then(|(a, b)| {
                    if power >= less {
                        rounded(a.checked_mul(10_i128.pow(power - less))?, b)
                    } else {
                        rounded(a, b.checked_mul(10_i128.pow(less - power))?)
                    }
                }))
            }
            Node::Floor(window, at) => {
                let Literal::Instant(at) = value(at) else { return Literal::Null };
                Literal::Instant(window.floor(at))
            }
            Node::Later(at, ms) => {
                let Literal::Instant(at) = value(at) else { return Literal::Null };
                Literal::Instant(at + ms)
            }
            Node::Boundaries(unit, from, to) => {
                let unit = i128::from(*unit);
                number(number_of(from).zip(number_of(to)).map(|(from, to)| to.div_euclid(unit) - from.div_euclid(unit)))
            }
        }
    }
}

fn of_event(event: &[Literal]) -> Of<'_> {
    Of { event, keys: &[], slots: &[], leaves: &[] }
}

fn holds(filter: Option<&Expr>, event: &[Literal]) -> bool {
    filter.is_none_or(|filter| truth(&of_event(event).value(filter)) == Some(true))
}

fn slots(aggregate: &Aggregate, events: &[&Vec<Literal>]) -> Vec<Literal> {
    let Aggregate { what, filter } = aggregate;
    let events: Vec<_> = events.iter().filter(|event| holds(filter.as_ref(), event)).collect();
    let values = |of: &Expr| {
        let values = events.iter().map(|event| of_event(event).value(of));
        values.filter(|value| *value != Literal::Null).collect::<Vec<_>>()
    };
    let or_null = |value: Option<Literal>| vec![value.unwrap_or(Literal::Null)];
    match what {
        What::Count(None) => vec![Literal::Number(events.len() as i64)],
        What::Count(Some(of)) => vec![Literal::Number(values(of).len() as i64)],
        What::CountDistinct(of) => {
            vec![Literal::Number(values(of).into_iter().collect::<BTreeSet<_>>().len() as i64)]
        }
        What::Sum(of) => {
            let values = values(of);
            vec![number((!values.is_empty()).then(|| values.iter().filter_map(whole).sum()))]
        }
        What::Min(of) => or_null(values(of).into_iter().min()),
        What::Max(of) => or_null(values(of).into_iter().max()),
        What::At(edge, at, of) => {
            let all = events
                .iter()
                .map(|event| std::iter::once(at).chain(of).map(|expr| of_event(event).value(expr)).collect::<Vec<_>>());
            let all = all.filter(|all| !all.contains(&Literal::Null));
            let found = match edge {
                Edge::First => all.min(),
                Edge::Last => all.max(),
            };
            found.map_or_else(|| vec![Literal::Null; of.len()], |found| found[1..].to_vec())
        }
    }
}

fn rows(metric: &Metric, events: &[Vec<Literal>]) -> BTreeSet<Vec<Literal>> {
    let mut groups: BTreeMap<Vec<Literal>, Vec<&Vec<Literal>>> = BTreeMap::new();
    for event in events.iter().filter(|event| holds(metric.filter.as_ref(), event)) {
        let key = metric.keys.iter().map(|key| of_event(event).value(key)).collect();
        groups.entry(key).or_default().push(event);
    }
    let rows = groups.iter().filter_map(|(keys, events)| {
        let slots: Vec<_> = metric.aggregates.iter().flat_map(|aggregate| slots(aggregate, events)).collect();
        let group = Of { event: &[], keys, slots: &slots, leaves: &metric.leaves };
        let is_there = metric.having.as_ref().is_none_or(|having| truth(&group.value(having)) == Some(true));
        is_there.then(|| metric.outputs.iter().map(|output| group.value(&output.value)).collect())
    });
    rows.collect()
}

fn in_sqlite(metric: &Metric, events: &[Vec<Literal>]) -> BTreeSet<Vec<Literal>> {
    let family = things();
    let connection = Connection::open_in_memory().expect("SQLite");
    connection.execute_batch("CREATE TABLE things (t, u, a, b, m, d, s, w, x, late)").expect("a table");
    for event in events {
        let values = event.iter().map(|value| match value {
            Literal::Null => rusqlite::types::Value::Null,
            Literal::Boolean(truth) => i64::from(*truth).into(),
            Literal::Number(number) | Literal::Instant(number) => (*number).into(),
            Literal::Text(text) => text.clone().into(),
        });
        let sql = "INSERT INTO things VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)";
        connection.execute(sql, rusqlite::params_from_iter(values)).expect("a row");
    }
    let sql = select(&family, metric);
    let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    for (parameter, value) in [(":watermark", CUT + 5), (":lateness_ms", 5)] {
        if let Some(place) = statement.parameter_index(parameter).expect("a parameter") {
            statement.raw_bind_parameter(place, value).expect("bound");
        }
    }
    let mut found = BTreeSet::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{error}\n{sql}")) {
        let value = |(n, output): (usize, &dataflows::declared::plan::Output)| match (row.get_ref(n), output.value.ty) {
            (Ok(ValueRef::Null), _) => Literal::Null,
            (Ok(ValueRef::Integer(number)), Type::Boolean) => Literal::Boolean(number != 0),
            (Ok(ValueRef::Integer(number)), Type::Number(_)) => Literal::Number(number),
            (Ok(ValueRef::Integer(number)), Type::Instant) => Literal::Instant(number),
            (Ok(ValueRef::Text(text)), Type::Text) => Literal::Text(String::from_utf8_lossy(text).into_owned()),
            (other, ty) => panic!("{other:?} of {ty:?}\n{sql}"),
        };
        found.insert(metric.outputs.iter().enumerate().map(value).collect());
    }
    found
}

#[test]
fn sqlite_says_of_random_metrics_what_their_plans_say() {
    let (mut compiled, metrics) = (0, std::env::var("METRICS").ok().and_then(|n| n.parse().ok()).unwrap_or(400));
    for seed in 1..=metrics {
        let mut dice = Dice::of_seed(seed);
        let text = dice.metric();
        let events: Vec<Vec<_>> = (0..dice.of(12))
            .map(|_| things().columns.iter().map(|column| dice.value(column.ty, column.nullable)).collect())
            .collect();
        // Some have too many decimals, or divide by what may be 0.
        let Ok((_, metric)) = plan("random", &text) else { continue };
        compiled += 1;
        let (said, expected) = (in_sqlite(&metric, &events), rows(&metric, &events));
        assert_eq!(said, expected, "seed {seed}\n{text}\n{events:?}\n{}", select(&things(), &metric));
        for row in &said {
            for (value, output) in row.iter().zip(&metric.outputs) {
                assert!(
                    output.value.nullable || *value != Literal::Null,
                    "`{}` is null: seed {seed}\n{text}",
                    output.name
                );
            }
        }
    }
    assert!(compiled > metrics / 4, "{compiled} of {metrics}");
}
