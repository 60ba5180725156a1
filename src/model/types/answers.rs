//! What is asked of an event beyond its columns: whether another one is near, whether the watermark has passed.

use super::super::language::{Binary, Expr as Written, Name, Node as Said};
use super::super::messages::{Mistake, Span};
use super::expressions::two;
use super::{Of, Typer};
use dataflows::declared::plan::{Ask, Exists, Expr, Metric, Node, Type, What};
use dataflows::time::DAY_MS;

/// So many questions a metric may ask.
const MOST_ASKS: usize = 16;

/// How far an event that is looked for may be: until then an event that asks is kept.
const FARTHEST_MS: i64 = 366 * DAY_MS;

/// Whose columns a part of EXISTS reads.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reads {
    asking: bool,
    answering: bool,
}

/// What is known of how far the event may be that is looked for, in milliseconds after the one that asks.
#[derive(Default)]
struct Limits {
    from_ms: Option<i64>,
    until_ms: Option<i64>,
}

impl Limits {
    /// It is so far away, by a comparison with its time on the left side.
    fn add(&mut self, op: Binary, ms: i64) {
        let (from, until) = match op {
            Binary::GreaterOrEqual => (Some(ms), None),
            Binary::Greater => (Some(ms + 1), None),
            Binary::Less => (None, Some(ms)),
            Binary::LessOrEqual => (None, Some(ms + 1)),
            Binary::Equal
            | Binary::NotEqual
            | Binary::Plus
            | Binary::Minus
            | Binary::Times
            | Binary::Divide
            | Binary::Remainder
            | Binary::Concat => (Some(ms), Some(ms + 1)),
        };
        self.from_ms = self.from_ms.max(from);
        self.until_ms = self.until_ms.into_iter().chain(until).min();
    }
}

impl Typer<'_> {
    /// An answer, which is true or false.
    fn answer(&mut self, ask: Ask, span: Span) -> Option<Expr> {
        let known = self.asks.iter().position(|known| *known == ask);
        let place = known.unwrap_or_else(|| {
            self.asks.push(ask);
            self.asks.len() - 1
        });
        if place >= MOST_ASKS {
            let what = format!("a metric asks {MOST_ASKS} things of an event at most.");
            return self.wrong(span, what, "Make two metrics of it.");
        }
        let node = Node::Column(self.family.columns.len() + place);
        Some(Expr { node, ty: Type::Boolean, nullable: false })
    }

    /// Whether something is asked where it can be.
    fn is_of_events(&mut self, what: &str, span: Span, of: &Of<'_>) -> bool {
        let wrong = match of {
            Of::Events(_) if self.is_within => {
                Some((format!("{what} is asked of the event itself."), "Write it outside of EXISTS."))
            }
            Of::Group(_) => Some((format!("{what} is asked of an event."), "Write it in WHERE, or in a FILTER.")),
            Of::Events(_) if self.inner.is_some() => {
                Some((format!("{what} is asked of an event, and this reads rows."), "Read the events themselves."))
            }
            Of::Events(_) => None,
        };
        let is_right = wrong.is_none();
        self.mistakes.extend(wrong.map(|(what, instead)| Mistake::new(span, what, instead)));
        is_right
    }

    /// Whether an event of the family is near.
    pub(super) fn exists(&mut self, from: &Name, filter: Option<&Written>, span: Span, of: &Of<'_>) -> Option<Expr> {
        if !self.is_of_events("EXISTS", span, of) {
            return None;
        }
        if from.text != self.family.name {
            let what = format!("EXISTS looks for an event of `{}`, and this is another table.", self.family.name);
            return self.wrong(from.span, what, format!("Write `FROM {} b`.", self.family.name));
        }
        let all: Vec<&Written> = match filter.map(|filter| (&filter.node, filter)) {
            None => Vec::new(),
            Some((Said::And(all), _)) => all.iter().collect(),
            Some((_, one)) => vec![one],
        };
        let (mut limits, mut equal, mut filters, mut is_wrong) = (Limits::default(), Vec::new(), Vec::new(), false);
        self.is_within = true;
        for part in all {
            let reads = reads(part);
            let near = self.near(part);
            if !near.is_empty() {
                near.into_iter().for_each(|(op, ms)| limits.add(op, ms));
            } else if !reads.asking {
                let condition = self.condition(part, &mut Of::Events("EXISTS is"));
                is_wrong |= condition.is_none();
                filters.extend(condition);
            } else {
                let pair = self.equal(part);
                is_wrong |= pair.is_none();
                equal.extend(pair);
            }
        }
        self.is_within = false;
        if is_wrong {
            return None;
        }
        let time = &self.family.columns[self.family.time].name;
        let (Some(from_ms), Some(until_ms)) = (limits.from_ms, limits.until_ms) else {
            let what = "EXISTS does not say from when until when: an event would be kept for ever.";
            return self.wrong(
                span,
                what,
                format!("Write `b.{time} >= a.{time} AND b.{time} < a.{time} + interval '30 minutes'`."),
            );
        };
        if from_ms >= until_ms {
            return self.wrong(span, "no event is within these limits.", "Write the earlier one first.");
        }
        if from_ms < -FARTHEST_MS || until_ms > FARTHEST_MS {
            return self.wrong(span, "EXISTS looks a year far at most.", "Write shorter intervals.");
        }
        if equal.is_empty() {
            let what = "EXISTS does not say what both events have in common: all events would be kept in one place.";
            return self.wrong(span, what, "Write what is equal in both, such as `b.user_id = a.user_id`.");
        }
        let filter = match filters.len() {
            0 | 1 => filters.pop(),
            _ => {
                let nullable = filters.iter().any(|filter| filter.nullable);
                Some(Expr { node: Node::And(filters), ty: Type::Boolean, nullable })
            }
        };
        self.answer(Ask::Exists(Exists { equal, filter, from_ms, until_ms }), span)
    }

    /// How far the event may be that is looked for, if a part says it: with its time on the left side.
    fn near(&self, part: &Written) -> Vec<(Binary, i64)> {
        let pairs = if let Said::Between(of, low, high) = &part.node {
            vec![(Binary::GreaterOrEqual, of, low), (Binary::LessOrEqual, of, high)]
        } else if let Said::Binary(op, left, right) = &part.node {
            vec![(*op, left, right)]
        } else {
            Vec::new()
        };
        let pairs = pairs.into_iter().filter(|(op, _, _)| compares(*op));
        let near: Option<Vec<_>> = pairs.map(|(op, left, right)| self.distance(op, left, right)).collect();
        near.unwrap_or_default()
    }

    /// The distance of two times, one of each event.
    fn distance(&self, op: Binary, left: &Written, right: &Written) -> Option<(Binary, i64)> {
        let ((left, left_ms), (right, right_ms)) = (moved(left), moved(right));
        let time = self.family.columns[self.family.time].name.as_str();
        let is_answering = |side: &Written| matches!(&side.node, Said::Name(name) if name == time);
        let is_asking = |side: &Written| matches!(&side.node, Said::Asking(name) if name == time);
        if is_answering(left) && is_asking(right) {
            return Some((op, right_ms - left_ms));
        }
        (is_asking(left) && is_answering(right)).then(|| (turned(op), left_ms - right_ms))
    }

    /// What is equal in both: of the one that asks, and of the one that is looked for.
    fn equal(&mut self, part: &Written) -> Option<(Expr, Expr)> {
        let says =
            "an event that asks is compared with one that is looked for by `=`, each on its side, or by their time.";
        let instead = "Write `b.x = a.x`; `b.t >= a.t AND b.t < a.t + interval '30 minutes'`; and what is true of the event that asks \
                       outside of EXISTS.";
        let Said::Binary(Binary::Equal, left, right) = &part.node else { return self.wrong(part.span, says, instead) };
        let (only_asking, only_answering) =
            (Reads { asking: true, answering: false }, Reads { asking: false, answering: true });
        let (asking, answering) = match (reads(left), reads(right)) {
            (of_left, of_right) if of_left == only_asking && of_right == only_answering => (left, right),
            (of_left, of_right) if of_left == only_answering && of_right == only_asking => (right, left),
            _ => return self.wrong(part.span, says, instead),
        };
        let mut plain = (**asking).clone();
        as_names(&mut plain);
        let of = &mut Of::Events("EXISTS is");
        let (a, b) = (self.value(&plain, of), self.value(answering, of));
        two(self.alike(vec![(a?, asking.span), (b?, answering.span)])?)
    }

    /// Whether the watermark has passed an event, if that is what is compared.
    pub(super) fn passed(&mut self, op: Binary, left: &Written, right: &Written, of: &Of<'_>) -> Option<Option<Expr>> {
        let is_watermark = |side: &Written| matches!(&side.node, Said::Call(call) if call.name.text == "watermark" && call.arguments.is_empty() && !call.star);
        let ((left, left_ms), (right, right_ms)) = (moved(left), moved(right));
        let (op, at, ms) = match (is_watermark(left), is_watermark(right)) {
            (false, true) => (op, left, left_ms - right_ms),
            (true, false) => (turned(op), right, right_ms - left_ms),
            (false, false) | (true, true) => return None,
        };
        let span = left.span.to(right.span);
        let time = &self.family.columns[self.family.time].name;
        let is_time = matches!(&at.node, Said::Name(name) if name == time);
        // Anything else is said where the call is.
        if !is_time || !matches!(op, Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual) {
            return None;
        }
        if !self.is_of_events("the watermark", span, of) {
            return Some(None);
        }
        if ms.abs() > FARTHEST_MS {
            return Some(self.wrong(
                span,
                "the watermark is asked for a year far at most.",
                "Write a shorter interval.",
            ));
        }
        let is_not = matches!(op, Binary::Greater | Binary::GreaterOrEqual);
        let is_strict = matches!(op, Binary::Less | Binary::GreaterOrEqual);
        let answer = self.answer(Ask::HasPassed(ms + i64::from(is_strict)), span);
        Some(answer.map(|answer| match is_not {
            true => Expr { node: Node::Not(Box::new(answer)), ty: Type::Boolean, nullable: false },
            false => answer,
        }))
    }

    /// Says what a metric cannot be that asks something of events.
    pub(super) fn may_ask(&mut self, metric: &Metric, span: Span) {
        if metric.asks.is_empty() {
            return;
        }
        let has_funnel = metric.aggregates.iter().any(|aggregate| matches!(aggregate.what, What::Funnel(_, _)));
        if metric.session().is_some() || has_funnel {
            let what = "sessions and funnels only grow, and what EXISTS and `watermark()` say of an event changes.";
            self.mistakes.push(Mistake::new(span, what, "Ask in one metric, and group by sessions in another."));
        }
        let equal = metric.asks.iter().filter_map(|ask| match ask {
            Ask::Exists(Exists { equal, .. }) => Some(equal),
            Ask::HasPassed(_) => None,
        });
        let mut common = equal.clone().next().into_iter().flatten();
        if equal.clone().next().is_some() && !common.any(|pair| equal.clone().all(|equal| equal.contains(pair))) {
            let what = "what several EXISTS of a metric look for has nothing in common: each event would be kept in several places.";
            let instead = "Let one column be equal in all of them, or make two metrics of it.";
            self.mistakes.push(Mistake::new(span, what, instead));
        }
    }
}

fn compares(op: Binary) -> bool {
    matches!(op, Binary::Equal | Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual)
}

/// The same with the sides exchanged.
fn turned(op: Binary) -> Binary {
    match op {
        Binary::Less => Binary::Greater,
        Binary::LessOrEqual => Binary::GreaterOrEqual,
        Binary::Greater => Binary::Less,
        Binary::GreaterOrEqual => Binary::LessOrEqual,
        Binary::Plus
        | Binary::Minus
        | Binary::Times
        | Binary::Divide
        | Binary::Remainder
        | Binary::Concat
        | Binary::Equal
        | Binary::NotEqual => op,
    }
}

/// Something without the intervals that are added to it, and how long these are.
fn moved(written: &Written) -> (&Written, i64) {
    let (mut rest, mut ms) = (written, 0_i64);
    while let Said::Binary(op @ (Binary::Plus | Binary::Minus), left, right) = &rest.node {
        let (within, by) = if let Said::Interval(by) = right.node {
            (left, if *op == Binary::Plus { by } else { -by })
        } else if let (Said::Interval(by), Binary::Plus) = (&left.node, op) {
            (right, *by)
        } else {
            break;
        };
        (rest, ms) = (within, ms.saturating_add(by));
    }
    (rest, ms)
}

fn reads(written: &Written) -> Reads {
    let mut reads = Reads { asking: false, answering: false };
    let mut left = vec![written];
    while let Some(written) = left.pop() {
        reads.asking |= matches!(written.node, Said::Asking(_));
        reads.answering |= matches!(written.node, Said::Name(_));
        left.extend(written.parts());
    }
    reads
}

/// The columns of the event that asks, as its own.
fn as_names(written: &mut Written) {
    if let Said::Asking(name) = &mut written.node {
        written.node = Said::Name(std::mem::take(name));
    }
    written.parts_mut().into_iter().for_each(as_names);
}
