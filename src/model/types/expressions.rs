//! Expressions, typed.

use super::super::language::{Binary, Expr as Written, Node as Said, refusals};
use super::super::messages::Span;
use super::numbers::{LARGEST_SCALE, is_null, literal};
use super::{Kind, Of, Typer, names};
use dataflows::declared::plan::{Arithmetic, Compare, Expr, Literal, Node, Type};

impl Typer<'_> {
    /// An expression with a value. A null has none; an interval is only added.
    pub(super) fn value(&mut self, written: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let typed = self.expr(written, of)?;
        if is_null(&typed) {
            return self.wrong(written.span, "nothing is equal to null, nor less or more.", "Write `x IS NULL`.");
        }
        Some(typed)
    }

    /// A condition.
    pub(super) fn condition(&mut self, written: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let typed = self.value(written, of)?;
        if typed.ty == Type::Boolean {
            return Some(typed);
        }
        self.wrong(written.span, format!("a condition is expected, and this is {}.", Kind(typed.ty)), "Compare it.")
    }

    /// Something of a type, which `what` takes.
    pub(super) fn typed(
        &mut self,
        written: &Written,
        of: &mut Of<'_>,
        what: &str,
        is_good: fn(Type) -> bool,
    ) -> Option<Expr> {
        let typed = self.value(written, of)?;
        if is_good(typed.ty) {
            return Some(typed);
        }
        self.wrong(written.span, format!("{what}, and this is {}.", Kind(typed.ty)), "")
    }

    /// Any expression; null, which has no type yet, too.
    pub(super) fn expr(&mut self, written: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let span = written.span;
        match &written.node {
            Said::Number(digits) => self.number(digits, false, span),
            Said::Text(text) => Some(literal(Literal::Text(text.clone()), Type::Text)),
            Said::Boolean(truth) => Some(literal(Literal::Boolean(*truth), Type::Boolean)),
            Said::Null => Some(literal(Literal::Null, Type::Boolean)),
            Said::Timestamp(at) => Some(literal(Literal::Instant(*at), Type::Instant)),
            Said::Interval(_) => self.wrong(
                span,
                "an interval is only added to an instant, or taken off.",
                "Write `t + interval '1 hour'`.",
            ),
            Said::Name(name) => self.named(name, span, of),
            Said::Asking(name) => {
                let what = format!("`{name}` is of the event that asks, and is compared with one that is looked for.");
                self.wrong(span, what, "Say what is true of the event that asks outside of EXISTS.")
            }
            Said::Exists(from, filter) => self.exists(from, filter.as_deref(), span, of),
            Said::Minus(within) => {
                if let Said::Number(digits) = &within.node {
                    return self.number(digits, true, span);
                }
                let within = self.typed(within, of, "a minus stands before a number", is_number)?;
                let ty = within.ty;
                Some(Expr { node: Node::Minus(Box::new(within)), ty, nullable: true })
            }
            Said::Not(within) => {
                let within = self.condition(within, of)?;
                let nullable = within.nullable;
                Some(Expr { node: Node::Not(Box::new(within)), ty: Type::Boolean, nullable })
            }
            Said::Binary(op, left, right) => self.binary(*op, left, right, of),
            Said::And(all) => self.all(all, of, Node::And),
            Said::Or(all) => self.all(all, of, Node::Or),
            Said::IsNull(within) => {
                let within = self.value(within, of)?;
                Some(Expr { node: Node::IsNull(Box::new(within)), ty: Type::Boolean, nullable: false })
            }
            Said::IsDistinct(left, right) => {
                let (left, right) = self.pair(left, right, of)?;
                let node = Node::IsDistinct(Box::new(left), Box::new(right));
                Some(Expr { node, ty: Type::Boolean, nullable: false })
            }
            Said::In(within, values) => self.is_in(within, values, of),
            Said::Between(within, low, high) => {
                let (value, low_value, high_value) =
                    (self.value(within, of), self.value(low, of), self.value(high, of));
                let (value, low_value, high_value) = (value?, low_value?, high_value?);
                let mut side = |compare, end: Expr, place: Span| {
                    let alike = self.alike(vec![(value.clone(), within.span), (end, place)])?;
                    two(alike).map(|(a, b)| compared(compare, a, b))
                };
                let low = side(Compare::GreaterOrEqual, low_value, low.span);
                let high = side(Compare::LessOrEqual, high_value, high.span);
                Some(all_of(vec![low?, high?], Node::And))
            }
            Said::Like(within, pattern) => {
                let within = self.typed(within, of, "LIKE compares a text", |ty| ty == Type::Text)?;
                let nullable = within.nullable;
                Some(Expr { node: Node::Like(Box::new(within), pattern.clone()), ty: Type::Boolean, nullable })
            }
            Said::Case(operand, whens, otherwise) => {
                self.case(operand.as_deref(), whens, otherwise.as_deref(), span, of)
            }
            Said::Call(call) => self.call(call, span, of),
        }
    }

    /// A column, or a key of the group.
    fn named(&mut self, name: &str, span: Span, of: &mut Of<'_>) -> Option<Expr> {
        let column = self.family.columns.iter().position(|column| column.name == name);
        let Of::Group(group) = of else {
            let Some(column) = column else {
                if self.quoted.contains(&span) {
                    self.mistakes.push(refusals::of_quotes(span));
                    return None;
                }
                let columns = self.family.columns.iter().map(|column| column.name.as_str());
                let instead = names::meant(name, columns).map(|meant| format!("Did you mean `{meant}`?"));
                let what = format!("`{}` has no column `{name}`.", self.family.name);
                return self.wrong(span, what, instead.unwrap_or_default());
            };
            if self.family.columns[column].is_personal {
                let what =
                    format!("`{name}` is personal: it is emptied when its person is forgotten, and this would change.");
                return self.wrong(span, what, "Leave it out, or leave `personal` out in the family's file.");
            }
            if self.family.once.as_ref().is_some_and(|once| !once.of.contains(&column)) {
                let what = format!(
                    "`{name}` is not one of the columns by which an event counts once: repeated, it may differ."
                );
                let instead =
                    format!("Add it to `once` of `{}`; events that differ in it count apart then.", self.family.name);
                return self.wrong(span, what, instead);
            }
            return Some(self.column(column));
        };
        let is_key = |key: &super::GroupKey| match column {
            Some(column) => key.expr.node == Node::Column(column),
            None => key.name == name,
        };
        if let Some(key) = group.keys.iter().position(is_key) {
            let Expr { ty, nullable, .. } = group.keys[key].expr;
            return Some(Expr { node: Node::Key(key), ty, nullable });
        }
        if let Some((_, value)) = group.named.iter().find(|(other, _)| other == name) {
            return Some(value.clone());
        }
        if column.is_some() {
            let what = format!("`{name}` is neither grouped by nor aggregated: a group has many of it.");
            return self.wrong(span, what, format!("Group by it, or write `min({name})` or `max({name})`."));
        }
        let columns = self.family.columns.iter().map(|column| column.name.as_str());
        let known = columns.chain(group.keys.iter().map(|key| key.name.as_str()));
        let instead = names::meant(name, known).map(|meant| format!("Did you mean `{meant}`?"));
        self.wrong(span, format!("there is no `{name}` here."), instead.unwrap_or_default())
    }

    /// A column of the family.
    pub(super) fn column(&self, place: usize) -> Expr {
        let column = &self.family.columns[place];
        Expr { node: Node::Column(place), ty: column.ty, nullable: column.nullable }
    }

    fn pair(&mut self, left: &Written, right: &Written, of: &mut Of<'_>) -> Option<(Expr, Expr)> {
        let (a, b) = (self.value(left, of), self.value(right, of));
        let alike = self.alike(vec![(a?, left.span), (b?, right.span)])?;
        two(alike)
    }

    fn binary(&mut self, op: Binary, left: &Written, right: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let span = left.span.to(right.span);
        if let Some(passed) = self.passed(op, left, right, of) {
            return passed;
        }
        match (op, &left.node, &right.node) {
            (Binary::Plus, Said::Interval(ms), _) => return self.later(right, *ms, of),
            (Binary::Plus, _, Said::Interval(ms)) => return self.later(left, *ms, of),
            (Binary::Minus, _, Said::Interval(ms)) => return self.later(left, -ms, of),
            _ => {}
        }
        let compare = match op {
            Binary::Equal => Compare::Equal,
            Binary::NotEqual => Compare::NotEqual,
            Binary::Less => Compare::Less,
            Binary::LessOrEqual => Compare::LessOrEqual,
            Binary::Greater => Compare::Greater,
            Binary::GreaterOrEqual => Compare::GreaterOrEqual,
            Binary::Plus => return self.arithmetic(Arithmetic::Plus, left, right, of),
            Binary::Minus => return self.arithmetic(Arithmetic::Minus, left, right, of),
            Binary::Times => return self.arithmetic(Arithmetic::Times, left, right, of),
            Binary::Remainder => return self.arithmetic(Arithmetic::Remainder, left, right, of),
            Binary::Divide => {
                let what = "a quotient is rounded once, and you say how.";
                return self.wrong(span, what, "Write `round(a / b, 2)`.");
            }
            Binary::Concat => {
                let text = |ty| ty == Type::Text;
                let a = self.typed(left, of, "`||` joins texts", text);
                let b = self.typed(right, of, "`||` joins texts", text);
                let (a, b) = (a?, b?);
                let nullable = a.nullable || b.nullable;
                return Some(Expr { node: Node::Concat(Box::new(a), Box::new(b)), ty: Type::Text, nullable });
            }
        };
        self.pair(left, right, of).map(|(a, b)| compared(compare, a, b))
    }

    fn arithmetic(&mut self, op: Arithmetic, left: &Written, right: &Written, of: &mut Of<'_>) -> Option<Expr> {
        let (a, b) = (self.value(left, of), self.value(right, of));
        let (a, b) = (a?, b?);
        if op == Arithmetic::Minus && a.ty == Type::Instant && b.ty == Type::Instant {
            let what = "how long it is between two instants is counted in a unit.";
            return self.wrong(left.span.to(right.span), what, "Write `date_diff('second', a, b)`.");
        }
        for (side, written) in [(&a, left), (&b, right)] {
            if !is_number(side.ty) {
                let what = format!("numbers are computed with, and this is {}.", Kind(side.ty));
                let is_time = side.ty == Type::Instant;
                return self.wrong(written.span, what, if is_time { "Write `t + interval '1 hour'`." } else { "" });
            }
        }
        if op == Arithmetic::Times {
            let (Type::Number(x), Type::Number(y)) = (a.ty, b.ty) else { return None };
            let scale = x + y;
            if scale > LARGEST_SCALE {
                let what = format!("this product has {scale} decimals, and a number at most {LARGEST_SCALE}.");
                return self.wrong(left.span.to(right.span), what, "Round one of them: `round(x, 2)`.");
            }
            let node = Node::Arithmetic(op, Box::new(a), Box::new(b));
            return Some(Expr { node, ty: Type::Number(scale), nullable: true });
        }
        if op == Arithmetic::Remainder && !matches!(b.node, Node::Literal(Literal::Number(1..))) && !is_nullif_zero(&b)
        {
            let what = "what is left is of a division by something that may be 0, or below.";
            return self.wrong(right.span, what, "Write a number above 0, or `nullif(x, 0)`.");
        }
        let nullable = op != Arithmetic::Remainder || a.nullable || b.nullable;
        let alike = self.alike(vec![(a, left.span), (b, right.span)])?;
        let (a, b) = two(alike)?;
        let nullable = nullable || a.nullable || b.nullable;
        let ty = a.ty;
        Some(Expr { node: Node::Arithmetic(op, Box::new(a), Box::new(b)), ty, nullable })
    }

    fn later(&mut self, written: &Written, ms: i64, of: &mut Of<'_>) -> Option<Expr> {
        let at = self.typed(written, of, "an interval is added to an instant", |ty| ty == Type::Instant)?;
        let nullable = at.nullable;
        Some(Expr { node: Node::Later(Box::new(at), ms), ty: Type::Instant, nullable })
    }

    fn all(&mut self, all: &[Written], of: &mut Of<'_>, node: fn(Vec<Expr>) -> Node) -> Option<Expr> {
        let all: Vec<_> = all.iter().map(|one| self.condition(one, of)).collect();
        all.into_iter().collect::<Option<Vec<_>>>().map(|all| all_of(all, node))
    }

    fn is_in(&mut self, within: &Written, values: &[Written], of: &mut Of<'_>) -> Option<Expr> {
        let value = self.value(within, of);
        let mut all = vec![(value?, within.span)];
        for written in values {
            let typed = self.expr(written, of)?;
            if is_null(&typed) {
                let what = "null is in no list: a value is never equal to it.";
                return self.wrong(written.span, what, "Write `x IS NULL OR x IN (...)`.");
            }
            let Node::Literal(_) = typed.node else {
                let what = "a list behind IN holds values, and this is computed.";
                return self.wrong(written.span, what, "Compare with `=` and OR.");
            };
            all.push((typed, written.span));
        }
        let mut alike = self.alike(all)?.into_iter();
        let value = alike.next()?;
        let nullable = value.nullable;
        let mut literals = Vec::new();
        for expr in alike {
            if let Node::Literal(literal) = expr.node {
                literals.push(literal);
            }
        }
        Some(Expr { node: Node::In(Box::new(value), literals), ty: Type::Boolean, nullable })
    }

    fn case(
        &mut self,
        operand: Option<&Written>,
        whens: &[(Written, Written)],
        otherwise: Option<&Written>,
        span: Span,
        of: &mut Of<'_>,
    ) -> Option<Expr> {
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        for (when, then) in whens {
            conditions.push(match operand {
                Some(operand) => self.pair(operand, when, of).map(|(a, b)| compared(Compare::Equal, a, b)),
                None => self.condition(when, of),
            });
            values.push((self.expr(then, of), then.span));
        }
        values.push(match otherwise {
            Some(written) => (self.expr(written, of), written.span),
            None => (Some(literal(Literal::Null, Type::Boolean)), span),
        });
        let conditions = conditions.into_iter().collect::<Option<Vec<_>>>()?;
        let values = values.into_iter().map(|(value, span)| Some((value?, span))).collect::<Option<Vec<_>>>()?;
        let mut values = self.alike(values)?;
        let last = values.pop()?;
        let nullable = last.nullable || values.iter().any(|value| value.nullable);
        let ty = last.ty;
        let whens = conditions.into_iter().zip(values).collect();
        Some(Expr { node: Node::Case(whens, Box::new(last)), ty, nullable })
    }
}

pub(super) fn is_number(ty: Type) -> bool {
    matches!(ty, Type::Number(_))
}

pub(super) fn two(alike: Vec<Expr>) -> Option<(Expr, Expr)> {
    let mut alike = alike.into_iter();
    Some((alike.next()?, alike.next()?))
}

fn compared(compare: Compare, a: Expr, b: Expr) -> Expr {
    let nullable = a.nullable || b.nullable;
    Expr { node: Node::Compare(compare, Box::new(a), Box::new(b)), ty: Type::Boolean, nullable }
}

fn all_of(all: Vec<Expr>, node: fn(Vec<Expr>) -> Node) -> Expr {
    let nullable = all.iter().any(|one| one.nullable);
    Expr { node: node(all), ty: Type::Boolean, nullable }
}

/// Whether it is null where it would be 0.
pub(super) fn is_nullif_zero(expr: &Expr) -> bool {
    if let Node::Scaled(of, _) = &expr.node {
        return is_nullif_zero(of);
    }
    matches!(&expr.node, Node::NullIf(_, with) if with.node == Node::Literal(Literal::Number(0)))
}
