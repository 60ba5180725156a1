//! What an expression is, of an event or of a group.
//!
//! **No expression fails.** What has no value, for whatever reason, is null. What the typer never makes (a text that is
//! added to a number) has none either.

use crate::broken::{Law, is_broken};
use crate::declared::plan::{Arithmetic, Compare, Expr, Literal, Node, Type, Window};
use crate::declared::row::{Bare, Datum, Row};
use crate::declared::walk::parts;
use crate::time::DAY_MS;
use chrono::DateTime;
use std::borrow::Cow;
use std::cmp::Ordering;

/// What expressions are asked of: an event, or a group. What there is none of is null.
pub trait Facts {
    /// A column of an event.
    fn column(&self, _place: usize) -> Datum<'_> {
        Datum::Null
    }

    /// A key of a group.
    fn key(&self, _place: usize) -> Datum<'_> {
        Datum::Null
    }

    /// What was aggregated of a group.
    fn slot(&self, _place: usize) -> Datum<'_> {
        Datum::Null
    }

    /// Whether nothing can change the group.
    fn is_final(&self) -> Datum<'_> {
        Datum::Null
    }
}

/// What has columns: an event, or a row of a metric as those see it who are computed of it.
pub trait Columns: Facts {
    /// A column, as it lies there.
    fn bare(&self, place: usize) -> Bare<'_>;
}

impl Columns for Row {
    fn bare(&self, place: usize) -> Bare<'_> {
        Row::bare(self, place)
    }
}

impl Facts for Row {
    fn column(&self, place: usize) -> Datum<'_> {
        Row::column(self, place)
    }
}

/// Whether an expression is true: neither false nor null.
pub fn is_true(expr: &Expr, of: &impl Facts) -> bool {
    eval(expr, of) == Datum::Boolean(true)
}

/// What an expression is.
pub fn eval<'a>(expr: &'a Expr, of: &'a impl Facts) -> Datum<'a> {
    match &expr.node {
        Node::Literal(literal) => datum(literal),
        Node::Column(place) => of.column(*place),
        Node::Key(place) => of.key(*place),
        Node::Slot(place) => of.slot(*place),
        Node::IsFinal => of.is_final(),
        Node::Scaled(of_what, power) => number(eval(of_what, of), |number| scaled(number, (*power).into())),
        Node::Minus(of_what) => number(eval(of_what, of), |number| Some(-number)),
        Node::Abs(of_what) => number(eval(of_what, of), |number| Some(number.abs())),
        Node::Arithmetic(what, a, b) => arithmetic(*what, eval(a, of), eval(b, of)),
        Node::Concat(a, b) => match (eval(a, of), eval(b, of)) {
            (Datum::Text(a), Datum::Text(b)) => Datum::Text(a + b),
            _ => Datum::Null,
        },
        Node::Compare(what, a, b) => compare(*what, &eval(a, of), &eval(b, of)),
        Node::IsDistinct(a, b) => {
            let (a, b) = (eval(a, of), eval(b, of));
            Datum::Boolean(a != b || (a.is_null() && is_broken(Law::NullIsNotDistinct)))
        }
        Node::And(all) => logic(all, of, false),
        Node::Or(any) => logic(any, of, true),
        Node::Not(of_what) => {
            let Datum::Boolean(value) = eval(of_what, of) else { return Datum::Null };
            Datum::Boolean(!value)
        }
        Node::IsNull(of_what) => Datum::Boolean(eval(of_what, of).is_null()),
        Node::In(of_what, literals) => {
            let value = eval(of_what, of);
            let is_one = || Datum::Boolean(literals.iter().any(|literal| datum(literal) == value));
            if value.is_null() && !is_broken(Law::NullInListIsNull) { Datum::Null } else { is_one() }
        }
        Node::Like(of_what, pattern) => text(eval(of_what, of), |text| Datum::Boolean(is_like(&text, pattern))),
        Node::Case(cases, otherwise) => {
            let takes =
                |condition| is_true(condition, of) || (is_broken(Law::CaseWantsTrue) && eval(condition, of).is_null());
            let case = cases.iter().find(|(condition, _)| takes(condition));
            eval(case.map_or(otherwise, |(_, value)| value), of)
        }
        Node::Coalesce(values) => {
            let is_it = |value: &Datum<'_>| !value.is_null() || is_broken(Law::CoalesceLeavesNullOut);
            values.iter().map(|value| eval(value, of)).find(is_it).unwrap_or(Datum::Null)
        }
        Node::NullIf(value, is) => {
            let (value, is) = (eval(value, of), eval(is, of));
            // Null is no less null for being equal to it.
            if value == is && !is_broken(Law::NullIfCompares) { Datum::Null } else { value }
        }
        Node::Substr(of_what, from, letters) => {
            text(eval(of_what, of), |text| Datum::Text(substr(text, *from, *letters)))
        }
        Node::Length(of_what) if is_broken(Law::LettersAreCounted) => {
            text(eval(of_what, of), |text| Datum::Number(text.len() as i64))
        }
        Node::Length(of_what) => text(eval(of_what, of), |text| narrow(i128::try_from(text.chars().count()).ok())),
        Node::RoundedQuotient(a, b, scale) => match (eval(a, of), eval(b, of)) {
            (Datum::Number(above), Datum::Number(below)) => {
                let power = i32::from(*scale) + scale_of(b) - scale_of(a);
                narrow(rounded_quotient(above.into(), below.into(), power))
            }
            _ => Datum::Null,
        },
        Node::Floor(window, of_what) => instant(eval(of_what, of), |at| floor(*window, at)),
        Node::Session(_, of_what) => eval(of_what, of),
        Node::Later(of_what, by) => instant(eval(of_what, of), |at| at.checked_add(*by)),
        Node::Boundaries(unit, from, to) => match (eval(from, of), eval(to, of)) {
            (Datum::Instant(from), Datum::Instant(to)) if *unit > 0 => {
                narrow(Some(i128::from(to.div_euclid(*unit)) - i128::from(from.div_euclid(*unit))))
            }
            _ => Datum::Null,
        },
    }
}

/// A literal as a value.
pub fn datum(literal: &Literal) -> Datum<'_> {
    match literal {
        Literal::Null => Datum::Null,
        Literal::Boolean(value) => Datum::Boolean(*value),
        Literal::Number(number) => Datum::Number(*number),
        Literal::Instant(at) => Datum::Instant(*at),
        Literal::Text(text) => Datum::Text(Cow::Borrowed(text)),
    }
}

fn scale_of(expr: &Expr) -> i32 {
    match expr.ty {
        Type::Number(scale) => scale.into(),
        Type::Boolean | Type::Instant | Type::Text => 0,
    }
}

fn narrow<'a>(number: Option<i128>) -> Datum<'a> {
    let number = if is_broken(Law::OverflowIsNull) { number.map(|number| i128::from(number as i64)) } else { number };
    number.and_then(|number| i64::try_from(number).ok()).map_or(Datum::Null, Datum::Number)
}

fn number<'a>(of: Datum<'a>, make: impl FnOnce(i128) -> Option<i128>) -> Datum<'a> {
    if let Datum::Number(number) = of { narrow(make(number.into())) } else { Datum::Null }
}

fn text<'a>(of: Datum<'a>, make: impl FnOnce(Cow<'a, str>) -> Datum<'a>) -> Datum<'a> {
    if let Datum::Text(text) = of { make(text) } else { Datum::Null }
}

fn instant<'a>(of: Datum<'a>, make: impl FnOnce(i64) -> Option<i64>) -> Datum<'a> {
    if let Datum::Instant(at) = of { make(at).map_or(Datum::Null, Datum::Instant) } else { Datum::Null }
}

/// Times 10 to a power. Nothing if that is beyond all numbers.
fn scaled(number: i128, power: u32) -> Option<i128> {
    if number == 0 { Some(0) } else { 10i128.checked_pow(power)?.checked_mul(number) }
}

fn arithmetic<'a>(what: Arithmetic, a: Datum<'a>, b: Datum<'a>) -> Datum<'a> {
    let (Datum::Number(a), Datum::Number(b)) = (a, b) else { return Datum::Null };
    let (a, b) = (i128::from(a), i128::from(b));
    narrow(match what {
        Arithmetic::Plus => Some(a + b),
        Arithmetic::Minus => Some(a - b),
        Arithmetic::Times => a.checked_mul(b),
        Arithmetic::Remainder if is_broken(Law::RemainderHasTheSign) => a.checked_rem_euclid(b),
        Arithmetic::Remainder => a.checked_rem(b),
    })
}

fn compare<'a>(what: Compare, a: &Datum<'_>, b: &Datum<'_>) -> Datum<'a> {
    if a.is_null() || b.is_null() {
        return if is_broken(Law::ComparedWithNullIsNull) { Datum::Boolean(false) } else { Datum::Null };
    }
    Datum::Boolean(what.is_true_of(a.cmp(b)))
}

impl Compare {
    /// Whether it is true of two values that have this order.
    pub(super) fn is_true_of(self, order: Ordering) -> bool {
        match self {
            Compare::Equal => order == Ordering::Equal,
            Compare::NotEqual => order != Ordering::Equal,
            Compare::Less => order == Ordering::Less,
            Compare::LessOrEqual => order != Ordering::Greater,
            Compare::Greater => order == Ordering::Greater,
            Compare::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

/// `decides` if any of them is that, null if any is null, else the opposite: OR of true, AND of false.
fn logic<'a>(parts: &'a [Expr], of: &'a impl Facts, decides: bool) -> Datum<'a> {
    let mut is = Datum::Boolean(!decides);
    for part in parts {
        match eval(part, of) {
            Datum::Boolean(value) if value == decides => return Datum::Boolean(decides),
            Datum::Boolean(_) => {}
            Datum::Null if is_broken(Law::LogicHasThreeValues) => {}
            Datum::Null | Datum::Number(_) | Datum::Instant(_) | Datum::Text(_) => is = Datum::Null,
        }
    }
    is
}

/// `above * 10^power / below`, rounded half away from zero. Nothing if it is beyond all numbers, or `below` is zero.
fn rounded_quotient(above: i128, below: i128, power: i32) -> Option<i128> {
    let (above, below) = if power < 0 {
        // What is divided by more than 128 bits hold is less than a half.
        let Some(below) = scaled(below, power.unsigned_abs()) else { return Some(0) };
        (above, below)
    } else {
        (scaled(above, power.unsigned_abs())?, below)
    };
    let (quotient, rest) = (above.checked_div(below)?, above.checked_rem(below)?);
    let (rest, below_abs) = (rest.unsigned_abs(), below.unsigned_abs());
    let away =
        i128::from(if is_broken(Law::HalvesGoAway) { rest > below_abs - rest } else { rest >= below_abs - rest });
    Some(if (above < 0) == (below < 0) || is_broken(Law::RoundingMindsTheSign) {
        quotient + away
    } else {
        quotient - away
    })
}

/// The start of a window that begins within what can be said; of months, within what a calendar knows.
fn floor(window: Window, at: i64) -> Option<i64> {
    match window {
        Window::Width(width) if width > 0 && is_broken(Law::WindowsBefore1970) => at.checked_sub(at % width),
        Window::Width(width) if width > 0 => at.checked_sub(at.rem_euclid(width)),
        Window::Width(_) => None,
        Window::Week => {
            let thursday = if is_broken(Law::WeeksBeginOnMonday) { 0 } else { 3 };
            let since_monday = (i128::from(at) + thursday * i128::from(DAY_MS)).rem_euclid(7 * i128::from(DAY_MS));
            i64::try_from(i128::from(at) - since_monday).ok()
        }
        Window::Month => DateTime::from_timestamp_millis(at).map(|_| window.floor(at)),
    }
}

fn substr(text: Cow<'_, str>, from: u32, letters: Option<u32>) -> Cow<'_, str> {
    let place =
        |text: &str, letters: u32| text.char_indices().nth(letters as usize).map_or(text.len(), |(place, _)| place);
    let cut = |text: &str| {
        let start = place(text, from.saturating_sub(1));
        let end = letters.map_or(text.len(), |letters| start + place(&text[start..], letters));
        start..end
    };
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[cut(text)]),
        Cow::Owned(text) => Cow::Owned(text[cut(&text)].to_owned()),
    }
}

/// Whether a text is like a pattern. When it is not from here on, the last `%` takes one letter more, and only that: what
/// those before it took was the least, so that taking more of them gains nothing.
fn is_like(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    let mut again = None;
    loop {
        match (pattern.clone().next(), text.clone().next()) {
            (Some('%'), _) => {
                pattern.next();
                again = Some((text.clone(), pattern.clone()));
            }
            (None, None) => return true,
            (Some(is), Some(letter))
                if is == '_' || is == letter || (is_broken(Law::LikeMindsCase) && is.eq_ignore_ascii_case(&letter)) =>
            {
                pattern.next();
                text.next();
            }
            (_, _) => {
                let Some((from, behind)) = &mut again else { return false };
                if from.next().is_none() {
                    return false;
                }
                (text, pattern) = (from.clone(), behind.clone());
            }
        }
    }
}

/// Whether an expression asks if a row is final.
pub fn asks_is_final(expr: &Expr) -> bool {
    matches!(expr.node, Node::IsFinal) || parts(expr).into_iter().any(asks_is_final)
}

#[cfg(test)]
mod tests;
