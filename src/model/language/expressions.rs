//! Expressions. Values stand in `literals`, calls of functions in `calls`.

use super::super::messages::Span;
use super::refusals as refused;
use super::tokens::span;
use super::{Binary, Call, DEEPEST, Expr, Name, Node, Reader};
use sqlparser::ast;
use sqlparser::ast::BinaryOperator as Operator;

impl Reader<'_> {
    /// An expression that stands so deep within another one.
    pub(super) fn expr(&mut self, expr: &ast::Expr, depth: usize) -> Option<Expr> {
        if depth > DEEPEST {
            let place = self.place(expr);
            self.mistakes.push(self.tokens.nested(place));
            return None;
        }
        let inner = depth + 1;
        match expr {
            ast::Expr::Identifier(name) if name.quote_style.is_none() && is_clock(&name.value) => {
                self.refuse_named(&refused::NOW, span(name.span), &name.value)
            }
            ast::Expr::Identifier(name) => {
                let Name { text, span } = self.name(name);
                Some(Expr { node: Node::Name(text), span })
            }
            ast::Expr::CompoundIdentifier(names) => self.of_called(names),
            ast::Expr::Nested(within) => self.expr(within, inner),
            ast::Expr::Value(value) => self.value(value),
            ast::Expr::TypedString(ast::TypedString { data_type, value, uses_odbc_syntax }) => {
                self.typed_string(data_type, value, *uses_odbc_syntax)
            }
            ast::Expr::Interval(interval) => self.interval(interval),
            ast::Expr::UnaryOp { op, expr: within } => self.unary(*op, within, inner),
            ast::Expr::BinaryOp { left, op, right } => self.binary(left, op, right, inner),
            ast::Expr::IsNull(within) => self.is_null(within, inner),
            ast::Expr::IsNotNull(within) => self.is_null(within, inner).map(not),
            ast::Expr::IsDistinctFrom(left, right) => self.is_distinct(left, right, inner),
            ast::Expr::IsNotDistinctFrom(left, right) => self.is_distinct(left, right, inner).map(not),
            ast::Expr::In { expr: within, target, negated, global } => {
                let place = self.place(within);
                let values = match target {
                    ast::InTarget::List(values) if !global => values,
                    ast::InTarget::List(_)
                    | ast::InTarget::Subquery(_)
                    | ast::InTarget::Unnest(_)
                    | ast::InTarget::Table { .. } => {
                        let place = self.tokens.find(place, "IN");
                        return self.refuse(&refused::IN_LIST, place);
                    }
                };
                let of = self.operand(within, inner);
                let values: Option<Vec<_>> = values.iter().map(|value| self.expr(value, inner)).collect();
                let (of, values) = (of?, values?);
                let place = values.iter().fold(of.span, |all, value| all.to(value.span));
                Some(negation(*negated, Expr { node: Node::In(Box::new(of), values), span: place }))
            }
            ast::Expr::Between { expr: within, negated, low, high } => {
                let (of, low, high) =
                    (self.operand(within, inner), self.operand(low, inner), self.operand(high, inner));
                let (of, low, high) = (of?, low?, high?);
                let place = of.span.to(high.span);
                let node = Node::Between(Box::new(of), Box::new(low), Box::new(high));
                Some(negation(*negated, Expr { node, span: place }))
            }
            ast::Expr::Like { negated, any, expr: within, pattern, escape_char } => {
                let of = self.operand(within, inner);
                let place = self.place(pattern);
                if *any {
                    return self.refuse(&refused::ANY, place);
                }
                if let Some(escape) = escape_char {
                    let place = self.place(escape);
                    return self.refuse(&refused::LIKE_ESCAPE, place);
                }
                let pattern = self.expr(pattern, inner)?;
                let Node::Text(text) = pattern.node else { return self.refuse(&refused::LIKE_PATTERN, pattern.span) };
                let of = of?;
                let place = of.span.to(pattern.span);
                Some(negation(*negated, Expr { node: Node::Like(Box::new(of), text), span: place }))
            }
            ast::Expr::Case { case_token, end_token, operand, conditions, else_result } => {
                let place = span(case_token.0.span).to(span(end_token.0.span));
                let operand = operand.as_ref().map(|operand| self.operand(operand, inner));
                let mut whens = Vec::new();
                for ast::CaseWhen { condition, result } in conditions {
                    whens.push((self.expr(condition, inner), self.expr(result, inner)));
                }
                let otherwise = else_result.as_ref().map(|otherwise| self.expr(otherwise, inner));
                let whens: Option<Vec<_>> = whens.into_iter().map(|(when, then)| Some((when?, then?))).collect();
                let boxed = |expr: Option<Option<Expr>>| match expr {
                    Some(read) => read.map(|read| Some(Box::new(read))),
                    None => Some(None),
                };
                Some(Expr { node: Node::Case(boxed(operand)?, whens?, boxed(otherwise)?), span: place })
            }
            ast::Expr::Function(function) => self.function(function, inner),
            ast::Expr::Substring { expr: of, substring_from, substring_for, special, shorthand } => {
                let place = self.place(of);
                if !special || !shorthand {
                    return self.refuse(&refused::SUBSTRING, place);
                }
                let arguments = [Some(of), substring_from.as_ref(), substring_for.as_ref()];
                let read: Vec<_> = arguments.into_iter().flatten().map(|expr| self.expr(expr, inner)).collect();
                let arguments = read.into_iter().collect::<Option<Vec<_>>>()?;
                let place = arguments.iter().fold(place, |all, argument| all.to(argument.span));
                let name = Name { text: "substr".to_owned(), span: place };
                let call = Call { name, star: false, distinct: false, arguments, filter: None };
                Some(Expr { node: Node::Call(call), span: place })
            }
            // What follows is not in the language.
            ast::Expr::CompoundFieldAccess { .. } | ast::Expr::JsonAccess { .. } => {
                self.refuse_expr(&refused::JSON, expr)
            }
            ast::Expr::IsFalse(_)
            | ast::Expr::IsNotFalse(_)
            | ast::Expr::IsTrue(_)
            | ast::Expr::IsNotTrue(_)
            | ast::Expr::IsUnknown(_)
            | ast::Expr::IsNotUnknown(_) => self.refuse_expr(&refused::IS_TRUE, expr),
            ast::Expr::IsJson { .. } => self.refuse_expr(&refused::JSON, expr),
            ast::Expr::IsNormalized { .. } | ast::Expr::Trim { .. } | ast::Expr::Overlay { .. } => {
                self.refuse_expr(&refused::TEXTS, expr)
            }
            ast::Expr::Position { .. } => self.refuse_expr(&refused::TEXTS, expr),
            ast::Expr::ILike { .. } => self.refuse_expr(&refused::ILIKE, expr),
            ast::Expr::SimilarTo { .. } | ast::Expr::RLike { .. } => self.refuse_expr(&refused::REGEX, expr),
            ast::Expr::AnyOp { .. } | ast::Expr::AllOp { .. } => self.refuse_expr(&refused::ANY, expr),
            ast::Expr::Convert { .. } | ast::Expr::Cast { .. } => self.refuse_expr(&refused::CAST, expr),
            ast::Expr::AtTimeZone { .. } => self.refuse_expr(&refused::TIME_ZONE, expr),
            ast::Expr::Extract { .. } => {
                let place = self.place(expr);
                self.refuse_named(&refused::DATE_PART, place, "extract()")
            }
            ast::Expr::Ceil { .. } | ast::Expr::Floor { .. } => self.refuse_expr(&refused::ROUNDING, expr),
            ast::Expr::Collate { .. } => self.refuse_expr(&refused::COLLATE, expr),
            ast::Expr::Prefixed { .. } => self.refuse_expr(&refused::STRING, expr),
            ast::Expr::Exists { subquery, negated } => {
                self.exists(subquery, inner).map(|exists| negation(*negated, exists))
            }
            ast::Expr::Subquery(_) => self.refuse_expr(&refused::SUBQUERY, expr),
            ast::Expr::GroupingSets(_) | ast::Expr::Cube(_) | ast::Expr::Rollup(_) => {
                self.refuse_expr(&refused::GROUPING_SETS, expr)
            }
            ast::Expr::Tuple(_)
            | ast::Expr::Struct { .. }
            | ast::Expr::Named { .. }
            | ast::Expr::Array(_)
            | ast::Expr::MemberOf(_) => self.refuse_expr(&refused::LIST, expr),
            ast::Expr::Dictionary(_) | ast::Expr::Map(_) => {
                let place = self.tokens.find(self.tokens.start(), "{");
                self.refuse(&refused::LIST, place)
            }
            // An arrow, which elsewhere is a path.
            ast::Expr::Lambda(_) => {
                let place = self.tokens.find(self.tokens.start(), "->");
                self.refuse(&refused::JSON, place)
            }
            ast::Expr::Wildcard(_) | ast::Expr::QualifiedWildcard(_, _) => self.refuse_expr(&refused::STAR, expr),
            ast::Expr::MatchAgainst { .. } | ast::Expr::OuterJoin(_) | ast::Expr::Prior(_) => {
                self.refuse_expr(&refused::OPERATOR, expr)
            }
        }
    }

    fn refuse_expr(&mut self, refusal: &refused::Refusal, expr: &ast::Expr) -> Option<Expr> {
        let place = self.place(expr);
        self.refuse(refusal, place)
    }

    /// What of an expression has a place. The tree is not walked to its leaves by whoever refuses it: it may be deep.
    fn place(&self, expr: &ast::Expr) -> Span {
        let mut expr = expr;
        for _ in 0..=DEEPEST {
            expr = match expr {
                ast::Expr::Identifier(name) => return span(name.span),
                ast::Expr::CompoundIdentifier(names) => {
                    return names.first().map(|name| span(name.span)).unwrap_or_default();
                }
                ast::Expr::Value(value) => return span(value.span),
                ast::Expr::TypedString(typed) => return span(typed.value.span),
                ast::Expr::Case { case_token, .. } => return span(case_token.0.span),
                ast::Expr::Wildcard(token) => return span(token.0.span),
                ast::Expr::Function(function) => match function.name.0.first() {
                    Some(ast::ObjectNamePart::Identifier(name)) => return self.tokens.call(span(name.span)),
                    Some(ast::ObjectNamePart::Function(_)) | None => return self.tokens.start(),
                },
                ast::Expr::Interval(interval) => &interval.value,
                ast::Expr::Subquery(query) | ast::Expr::Exists { subquery: query, negated: _ } => {
                    let ast::SetExpr::Select(select) = &*query.body else { return self.tokens.start() };
                    return span(select.select_token.0.span);
                }
                ast::Expr::Nested(of)
                | ast::Expr::IsFalse(of)
                | ast::Expr::IsNotFalse(of)
                | ast::Expr::IsTrue(of)
                | ast::Expr::IsNotTrue(of)
                | ast::Expr::IsNull(of)
                | ast::Expr::IsNotNull(of)
                | ast::Expr::IsUnknown(of)
                | ast::Expr::IsNotUnknown(of)
                | ast::Expr::IsDistinctFrom(of, _)
                | ast::Expr::IsNotDistinctFrom(of, _)
                | ast::Expr::OuterJoin(of)
                | ast::Expr::Prior(of)
                | ast::Expr::CompoundFieldAccess { root: of, .. }
                | ast::Expr::JsonAccess { value: of, .. }
                | ast::Expr::IsJson { expr: of, .. }
                | ast::Expr::IsNormalized { expr: of, .. }
                | ast::Expr::In { expr: of, .. }
                | ast::Expr::Between { expr: of, .. }
                | ast::Expr::BinaryOp { left: of, .. }
                | ast::Expr::Like { expr: of, .. }
                | ast::Expr::ILike { expr: of, .. }
                | ast::Expr::SimilarTo { expr: of, .. }
                | ast::Expr::RLike { expr: of, .. }
                | ast::Expr::AnyOp { left: of, .. }
                | ast::Expr::AllOp { left: of, .. }
                | ast::Expr::UnaryOp { expr: of, .. }
                | ast::Expr::Convert { expr: of, .. }
                | ast::Expr::Cast { expr: of, .. }
                | ast::Expr::AtTimeZone { timestamp: of, .. }
                | ast::Expr::Extract { expr: of, .. }
                | ast::Expr::Ceil { expr: of, .. }
                | ast::Expr::Floor { expr: of, .. }
                | ast::Expr::Position { expr: of, .. }
                | ast::Expr::Substring { expr: of, .. }
                | ast::Expr::Trim { expr: of, .. }
                | ast::Expr::Overlay { expr: of, .. }
                | ast::Expr::Collate { expr: of, .. }
                | ast::Expr::Prefixed { value: of, .. }
                | ast::Expr::Named { expr: of, .. } => of,
                ast::Expr::Tuple(of) | ast::Expr::Struct { values: of, .. } => match of.first() {
                    Some(of) => of,
                    None => return self.tokens.start(),
                },
                ast::Expr::Array(ast::Array { elem, named: _ }) => match elem.first() {
                    Some(of) => of,
                    None => return self.tokens.start(),
                },
                ast::Expr::QualifiedWildcard(_, token) => return span(token.0.span),
                ast::Expr::GroupingSets(_)
                | ast::Expr::Cube(_)
                | ast::Expr::Rollup(_)
                | ast::Expr::Dictionary(_)
                | ast::Expr::Map(_)
                | ast::Expr::MatchAgainst { .. }
                | ast::Expr::Lambda(_)
                | ast::Expr::MemberOf(_) => return self.tokens.start(),
            };
        }
        self.tokens.start()
    }

    /// Part of a comparison, which is no comparison itself.
    fn operand(&mut self, expr: &ast::Expr, depth: usize) -> Option<Expr> {
        let is_comparison = if let ast::Expr::BinaryOp { left: _, op, right: _ } = expr {
            comparison(op).is_some()
        } else {
            matches!(
                expr,
                ast::Expr::IsNull(_)
                    | ast::Expr::IsNotNull(_)
                    | ast::Expr::IsDistinctFrom(_, _)
                    | ast::Expr::IsNotDistinctFrom(_, _)
                    | ast::Expr::In { .. }
                    | ast::Expr::Between { .. }
                    | ast::Expr::Like { .. }
            )
        };
        if is_comparison { self.refuse_expr(&refused::CHAINED, expr) } else { self.expr(expr, depth) }
    }

    fn is_null(&mut self, of: &ast::Expr, depth: usize) -> Option<Expr> {
        let of = self.operand(of, depth)?;
        let span = of.span;
        Some(Expr { node: Node::IsNull(Box::new(of)), span })
    }

    fn is_distinct(&mut self, left: &ast::Expr, right: &ast::Expr, depth: usize) -> Option<Expr> {
        let (left, right) = (self.operand(left, depth), self.operand(right, depth));
        let (left, right) = (left?, right?);
        let span = left.span.to(right.span);
        Some(Expr { node: Node::IsDistinct(Box::new(left), Box::new(right)), span })
    }

    fn unary(&mut self, op: ast::UnaryOperator, of: &ast::Expr, depth: usize) -> Option<Expr> {
        match op {
            ast::UnaryOperator::Minus => {
                let of = self.expr(of, depth)?;
                let Span { column, .. } = of.span;
                let span = Span { column: column.saturating_sub(1).max(1), ..of.span };
                Some(Expr { node: Node::Minus(Box::new(of)), span })
            }
            ast::UnaryOperator::Plus => self.expr(of, depth),
            ast::UnaryOperator::Not => self.expr(of, depth).map(not),
            ast::UnaryOperator::BitwiseNot => self.refuse_expr(&refused::BITS, of),
            ast::UnaryOperator::AtDashAt
            | ast::UnaryOperator::BangNot
            | ast::UnaryOperator::DoubleAt
            | ast::UnaryOperator::Hash
            | ast::UnaryOperator::PGAbs
            | ast::UnaryOperator::PGCubeRoot
            | ast::UnaryOperator::PGPostfixFactorial
            | ast::UnaryOperator::PGPrefixFactorial
            | ast::UnaryOperator::PGSquareRoot
            | ast::UnaryOperator::QuestionDash
            | ast::UnaryOperator::QuestionPipe => self.refuse_expr(&refused::OPERATOR, of),
        }
    }

    /// Two expressions. A chain of AND or of OR may be thousands long, and leans to the left.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what is not named here is refused")]
    fn binary(&mut self, left: &ast::Expr, op: &Operator, right: &ast::Expr, depth: usize) -> Option<Expr> {
        if matches!(op, Operator::And | Operator::Or) {
            let (mut parts, mut rest) = (vec![right], left);
            while let ast::Expr::BinaryOp { left, op: other, right } = rest
                && other == op
            {
                parts.push(right);
                rest = left;
            }
            parts.push(rest);
            let read: Vec<_> = parts.into_iter().rev().map(|part| self.expr(part, depth)).collect();
            let parts = read.into_iter().collect::<Option<Vec<_>>>()?;
            let span = parts.iter().fold(Span::default(), |all, part| all.to(part.span));
            let node = if *op == Operator::And { Node::And(parts) } else { Node::Or(parts) };
            return Some(Expr { node, span });
        }
        let Some((binary, is_comparison)) =
            comparison(op).map(|op| (op, true)).or_else(|| Some((arithmetic(op)?, false)))
        else {
            let place = self.tokens.find(self.place(left), &op.to_string());
            return match op {
                Operator::DuckIntegerDivide | Operator::MyIntegerDivide => {
                    self.refuse(&refused::INTEGER_DIVISION, place)
                }
                Operator::BitwiseOr
                | Operator::BitwiseAnd
                | Operator::BitwiseXor
                | Operator::PGBitwiseXor
                | Operator::PGBitwiseShiftLeft
                | Operator::PGBitwiseShiftRight => self.refuse(&refused::BITS, place),
                Operator::Regexp
                | Operator::Match
                | Operator::Glob
                | Operator::PGRegexMatch
                | Operator::PGRegexIMatch
                | Operator::PGRegexNotMatch
                | Operator::PGRegexNotIMatch
                | Operator::PGLikeMatch
                | Operator::PGILikeMatch
                | Operator::PGNotLikeMatch
                | Operator::PGNotILikeMatch => self.refuse(&refused::REGEX, place),
                Operator::Arrow | Operator::LongArrow | Operator::HashArrow | Operator::HashLongArrow => {
                    self.refuse(&refused::JSON, place)
                }
                _ => self.refuse(&refused::OPERATOR, place),
            };
        };
        let (left, right) = if is_comparison {
            (self.operand(left, depth), self.operand(right, depth))
        } else {
            (self.expr(left, depth), self.expr(right, depth))
        };
        let (left, right) = (left?, right?);
        let span = left.span.to(right.span);
        Some(Expr { node: Node::Binary(binary, Box::new(left), Box::new(right)), span })
    }
}

fn is_clock(name: &str) -> bool {
    let words = ["current_timestamp", "current_date", "current_time", "localtimestamp", "localtime"];
    words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn not(expr: Expr) -> Expr {
    let span = expr.span;
    Expr { node: Node::Not(Box::new(expr)), span }
}

fn negation(is_negated: bool, expr: Expr) -> Expr {
    if is_negated { not(expr) } else { expr }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what is not named here is refused")]
fn comparison(op: &Operator) -> Option<Binary> {
    Some(match op {
        Operator::Eq => Binary::Equal,
        Operator::NotEq => Binary::NotEqual,
        Operator::Lt => Binary::Less,
        Operator::LtEq => Binary::LessOrEqual,
        Operator::Gt => Binary::Greater,
        Operator::GtEq => Binary::GreaterOrEqual,
        _ => return None,
    })
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what is not named here is refused")]
fn arithmetic(op: &Operator) -> Option<Binary> {
    Some(match op {
        Operator::Plus => Binary::Plus,
        Operator::Minus => Binary::Minus,
        Operator::Multiply => Binary::Times,
        Operator::Divide => Binary::Divide,
        Operator::Modulo => Binary::Remainder,
        Operator::StringConcat => Binary::Concat,
        _ => return None,
    })
}
