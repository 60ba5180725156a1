//! What the plan of a metric says of events, by plain loops and numbers of 128 bits.
#![allow(dead_code, reason = "each test needs a part of it")]

use dataflows::declared::plan::{
    Aggregate, Arithmetic, Ask, Compare, Edge, Exists, Expr, Literal, Metric, Node, Source, Type, What, Window,
};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

thread_local! {
    /// How often a half was rounded, or events of one time had different values: where others may say something else.
    static TIES: Cell<usize> = const { Cell::new(0) };
}

fn tied(is_tied: bool) {
    TIES.set(TIES.get() + usize::from(is_tied));
}

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
    tied(b != 0 && 2 * (a % b) == b);
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
    /// When its session ends.
    end: Option<i64>,
    cut: i64,
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
                boolean(self.leaves.iter().filter_map(end).chain(self.end).min().map(|end| end <= self.cut))
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
            Node::Session(_, at) => value(at),
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
    Of { event, keys: &[], slots: &[], leaves: &[], end: None, cut: 0 }
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
        What::Funnel(at, steps) => {
            let mut after = i64::MIN;
            let walk = steps.iter().map_while(|step| {
                let taken = events.iter().filter(|event| holds(Some(step), event));
                let instants = taken.filter_map(|event| instant(&of_event(event).value(at)));
                after = instants.filter(|at| *at >= after).min()?;
                Some(after)
            });
            vec![Literal::Number(walk.count() as i64)]
        }
        What::At(edge, at, of) => {
            let all = events
                .iter()
                .map(|event| std::iter::once(at).chain(of).map(|expr| of_event(event).value(expr)).collect::<Vec<_>>());
            let all: Vec<_> = all.filter(|all| !all.contains(&Literal::Null)).collect();
            let found = match edge {
                Edge::First => all.iter().min(),
                Edge::Last => all.iter().max(),
            };
            tied(found.is_some_and(|found| all.iter().any(|other| other[0] == found[0] && other != found)));
            found.map_or_else(|| vec![Literal::Null; of.len()], |found| found[1..].to_vec())
        }
    }
}

/// A row, and whether something was tied on the way to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its values.
    pub values: Vec<Literal>,
    /// Whether somebody else may say something else.
    pub is_tied: bool,
    /// Whether HAVING lets it through.
    pub is_shown: bool,
}

/// The events with the answers of what a metric asks behind their columns, where the watermark is. `time` is the place of
/// their time.
pub fn answered(metric: &Metric, time: usize, events: &[Vec<Literal>], watermark: i64) -> Vec<Vec<Literal>> {
    let at = |event: &[Literal]| instant(&event[time]).expect("each event has a time");
    let answer = |event: &Vec<Literal>, ask: &Ask| match ask {
        Ask::HasPassed(ms) => at(event) + ms <= watermark,
        Ask::Exists(Exists { equal, filter, from_ms, until_ms }) => events.iter().any(|other| {
            let is_equal = |(asking, answering): &(Expr, Expr)| {
                let (a, b) = (of_event(event).value(asking), of_event(other).value(answering));
                a != Literal::Null && a == b
            };
            let distance_ms = at(other) - at(event);
            (*from_ms..*until_ms).contains(&distance_ms) && equal.iter().all(is_equal) && holds(filter.as_ref(), other)
        }),
    };
    let with_answers = |event: &Vec<Literal>| {
        let answers = metric.asks.iter().map(|ask| Literal::Boolean(answer(event, ask)));
        event.iter().cloned().chain(answers).collect()
    };
    events.iter().map(with_answers).collect()
}

/// The groups of a metric over these events; what ended up to `cut` is final.
pub fn rows(metric: &Metric, events: &[Vec<Literal>], cut: i64) -> Vec<Row> {
    if let Some(inner) = metric.inner() {
        let of_inner = rows(inner, events, cut).into_iter().filter(|row| row.is_shown).map(|row| row.values);
        let of_events = Metric { of: Source::Events, ..metric.clone() };
        let cuts = inner.leaves.iter().map(|(_, window)| window.floor(cut));
        return rows(&of_events, &of_inner.collect::<Vec<_>>(), cuts.min().unwrap_or(cut));
    }
    let cut = cut - metric.ahead_ms();
    let mut groups: BTreeMap<Vec<Literal>, Vec<&Vec<Literal>>> = BTreeMap::new();
    TIES.set(0);
    for event in events.iter().filter(|event| holds(metric.filter.as_ref(), event)) {
        let keys = metric.keys.iter().filter(|key| !matches!(key.node, Node::Session(_, _)));
        let key = keys.map(|key| of_event(event).value(key)).collect();
        groups.entry(key).or_default().push(event);
    }
    let groups = match metric.session().zip(metric.keys.last()) {
        Some((gap_ms, at)) => groups.into_iter().flat_map(|(key, events)| sessions(&key, events, gap_ms, at)).collect(),
        None => groups,
    };
    // Which events are counted, and in which group, may be tied too.
    let before = TIES.get();
    let rows = groups.iter().map(|(keys, events)| {
        TIES.set(before);
        let slots: Vec<_> = metric.aggregates.iter().flat_map(|aggregate| slots(aggregate, events)).collect();
        let at = metric.keys.last().filter(|_| metric.session().is_some());
        let last = at.and_then(|at| events.iter().filter_map(|event| instant(&of_event(event).value(at))).max());
        let end = metric.session().zip(last).map(|(gap_ms, last)| last + gap_ms);
        let group = Of { event: &[], keys, slots: &slots, leaves: &metric.leaves, end, cut };
        let is_shown = metric.having.as_ref().is_none_or(|having| truth(&group.value(having)) == Some(true));
        let values = metric.outputs.iter().map(|output| group.value(&output.value)).collect();
        Row { values, is_tied: TIES.get() > 0, is_shown }
    });
    rows.collect()
}

/// The events in their order, cut where the next is a gap away. The first instant is the last key.
fn sessions<'e>(
    key: &[Literal],
    mut events: Vec<&'e Vec<Literal>>,
    gap_ms: i64,
    at: &Expr,
) -> Vec<(Vec<Literal>, Vec<&'e Vec<Literal>>)> {
    let at = |event: &[Literal]| instant(&of_event(event).value(at)).expect("each event has a time");
    events.sort_by_key(|event| at(event));
    let mut sessions = BTreeMap::<i64, Vec<_>>::new();
    let (mut started, mut last) = (i64::MIN, i64::MIN);
    for event in events {
        if last == i64::MIN || at(event) - last >= gap_ms {
            started = at(event);
        }
        last = at(event);
        sessions.entry(started).or_default().push(event);
    }
    let keyed = sessions
        .into_iter()
        .map(|(started, events)| (key.iter().cloned().chain([Literal::Instant(started)]).collect(), events));
    keyed.collect()
}

fn instant(value: &Literal) -> Option<i64> {
    if let Literal::Instant(at) = value { Some(*at) } else { None }
}
