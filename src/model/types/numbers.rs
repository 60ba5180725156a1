//! Numbers and their scales.

use super::super::messages::{Mistake, Span};
use super::{Kind, Typer};
use dataflows::declared::plan::{Expr, Literal, Node, Type};

/// The largest scale of a number that is computed with.
pub(super) const LARGEST_SCALE: u8 = 9;

impl Typer<'_> {
    /// A number as it is written, with the decimals that it is written with.
    pub(super) fn number(&mut self, digits: &str, is_negative: bool, span: Span) -> Option<Expr> {
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let number = format!("{}{whole}{decimals}", if is_negative { "-" } else { "" });
        let scale = u8::try_from(decimals.len()).ok().filter(|scale| *scale <= LARGEST_SCALE);
        match (number.parse::<i64>(), scale) {
            (Ok(number), Some(scale)) => Some(literal(Literal::Number(number), Type::Number(scale))),
            _ => self.wrong(span, format!("`{digits}` has more digits than a number has here."), "Write fewer digits."),
        }
    }

    /// The same number in another scale, which is not smaller.
    pub(super) fn scaled(&mut self, expr: Expr, scale: u8, span: Span) -> Option<Expr> {
        let Type::Number(own) = expr.ty else { return Some(expr) };
        let power = scale.checked_sub(own).filter(|power| *power > 0);
        let Some(power) = power else { return Some(expr) };
        let Node::Literal(Literal::Number(number)) = expr.node else {
            let node = Node::Scaled(Box::new(expr), power);
            return Some(Expr { node, ty: Type::Number(scale), nullable: true });
        };
        match 10_i64.checked_pow(power.into()).and_then(|factor| number.checked_mul(factor)) {
            Some(number) => Some(literal(Literal::Number(number), Type::Number(scale))),
            None => self.wrong(span, "this number is too large beside one with more decimals.", "Write a smaller one."),
        }
    }

    /// Expressions of one type: numbers in the largest of their scales, and nulls of the type of the others.
    pub(super) fn alike(&mut self, exprs: Vec<(Expr, Span)>) -> Option<Vec<Expr>> {
        let first = exprs.iter().find(|(expr, _)| !is_null(expr));
        let Some((Expr { ty: first, .. }, _)) = first else {
            let span = exprs.first().map(|(_, span)| *span).unwrap_or_default();
            return self.wrong(span, "nothing here says of what type this null is.", "Write a value.");
        };
        let mut common = *first;
        for (expr, span) in exprs.iter().filter(|(expr, _)| !is_null(expr)) {
            common = match (common, expr.ty) {
                (Type::Number(a), Type::Number(b)) => Type::Number(a.max(b)),
                (a, b) if a == b => a,
                (a, b) => {
                    let what = format!("{} stands beside {}.", Kind(b), Kind(a));
                    return self.wrong(*span, what, way_out(a, b));
                }
            };
        }
        let alike = exprs.into_iter().map(|(expr, span)| match common {
            _ if is_null(&expr) => Some(Expr { ty: common, ..expr }),
            Type::Number(scale) => self.scaled(expr, scale, span),
            Type::Boolean | Type::Instant | Type::Text => Some(expr),
        });
        alike.collect()
    }
}

fn way_out(a: Type, b: Type) -> &'static str {
    match (a, b) {
        (Type::Instant, Type::Text) | (Type::Text, Type::Instant) => "Write `TIMESTAMP '2019-10-01 00:00:00'`.",
        (Type::Number(_), Type::Text) | (Type::Text, Type::Number(_)) => {
            "Write the number without quotes, or declare the column as a number in the family's file."
        }
        (Type::Boolean, _) | (_, Type::Boolean) => "Write a condition as it is, or NOT before it.",
        _ => "Compare what is of one type.",
    }
}

/// A value.
pub(super) fn literal(literal: Literal, ty: Type) -> Expr {
    Expr { nullable: literal == Literal::Null, node: Node::Literal(literal), ty }
}

/// Whether it is the word NULL, whose type is that of what it stands beside.
pub(super) fn is_null(expr: &Expr) -> bool {
    expr.node == Node::Literal(Literal::Null)
}

impl Typer<'_> {
    /// Says what is wrong.
    pub(super) fn wrong<T>(&mut self, span: Span, what: impl Into<String>, instead: impl Into<String>) -> Option<T> {
        self.mistakes.push(Mistake::new(span, what, instead));
        None
    }
}
