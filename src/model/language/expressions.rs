//! Expressions.

use super::super::messages::{Mistake, Span};
use super::refusals as refused;
use super::tokens::span;
use super::{Binary, Call, DEEPEST, Expr, Name, Node, Reader};
use dataflows::wire::instant;
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
            ast::Expr::CompoundIdentifier(names) => {
                let place = names.iter().fold(Span::default(), |all, name| all.to(span(name.span)));
                self.refuse(&refused::QUALIFIED, place)
            }
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
            ast::Expr::Exists { .. } => self.refuse_expr(&refused::EXISTS, expr),
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

    fn value(&mut self, value: &ast::ValueWithSpan) -> Option<Expr> {
        let ast::ValueWithSpan { value, span: place } = value;
        let span = span(*place);
        let node = match value {
            ast::Value::Number(digits, is_long) => {
                if *is_long || digits.contains(['e', 'E']) {
                    return self.refuse(&refused::FLOAT, span);
                }
                Node::Number(digits.replace('_', ""))
            }
            ast::Value::SingleQuotedString(text) if !text.contains('\0') => Node::Text(text.clone()),
            ast::Value::Boolean(truth) => Node::Boolean(*truth),
            ast::Value::Null => Node::Null,
            ast::Value::Placeholder(_) => return self.refuse(&refused::PARAMETER, span),
            ast::Value::DoubleQuotedString(_) => return self.refuse(&refused::DOUBLE_QUOTED, span),
            ast::Value::SingleQuotedString(_)
            | ast::Value::DollarQuotedString(_)
            | ast::Value::TripleSingleQuotedString(_)
            | ast::Value::TripleDoubleQuotedString(_)
            | ast::Value::EscapedStringLiteral(_)
            | ast::Value::UnicodeStringLiteral(_)
            | ast::Value::SingleQuotedByteStringLiteral(_)
            | ast::Value::DoubleQuotedByteStringLiteral(_)
            | ast::Value::TripleSingleQuotedByteStringLiteral(_)
            | ast::Value::TripleDoubleQuotedByteStringLiteral(_)
            | ast::Value::SingleQuotedRawStringLiteral(_)
            | ast::Value::DoubleQuotedRawStringLiteral(_)
            | ast::Value::TripleSingleQuotedRawStringLiteral(_)
            | ast::Value::TripleDoubleQuotedRawStringLiteral(_)
            | ast::Value::NationalStringLiteral(_)
            | ast::Value::QuoteDelimitedStringLiteral(_)
            | ast::Value::NationalQuoteDelimitedStringLiteral(_)
            | ast::Value::HexStringLiteral(_) => return self.refuse(&refused::STRING, span),
        };
        Some(Expr { node, span })
    }

    fn typed_string(&mut self, ty: &ast::DataType, value: &ast::ValueWithSpan, is_odbc: bool) -> Option<Expr> {
        let ast::ValueWithSpan { value, span: place } = value;
        let span = span(*place);
        let is_timestamp = matches!(ty, ast::DataType::Timestamp(None, ast::TimezoneInfo::None));
        let ast::Value::SingleQuotedString(text) = value else { return self.refuse(&refused::STRING, span) };
        if !is_timestamp || is_odbc {
            return self.refuse(&refused::TYPED_STRING, span);
        }
        // The writings that all databases read: other ones, and offsets, mean something else in some of them.
        let is_known = match text.as_bytes().split_first_chunk::<10>() {
            Some((date, rest)) => {
                let is_shape = |bytes: &[u8], shape: &[u8]| {
                    bytes.len() == shape.len()
                        && bytes
                            .iter()
                            .zip(shape)
                            .all(|(byte, of)| if *of == b'0' { byte.is_ascii_digit() } else { byte == of })
                };
                is_shape(date, b"0000-00-00")
                    && [&b""[..], b" 00:00", b" 00:00:00", b" 00:00:00.000"].iter().any(|shape| is_shape(rest, shape))
            }
            None => false,
        };
        let at = instant::parse(&text.replacen(' ', "T", 1)).filter(|_| is_known);
        let Some(at) = at.filter(|at| (FIRST_INSTANT..LAST_INSTANT).contains(at)) else {
            let what = format!("`{text}` is not an instant.");
            self.mistakes.push(Mistake::new(span, what, "Write `TIMESTAMP '2019-10-01 00:00:00'`, which is UTC."));
            return None;
        };
        Some(Expr { node: Node::Timestamp(at), span })
    }

    fn interval(&mut self, interval: &ast::Interval) -> Option<Expr> {
        let ast::Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } =
            interval;
        let value = self.expr(value, 0)?;
        let span = value.span;
        let plain = leading_precision.is_none() && last_field.is_none() && fractional_seconds_precision.is_none();
        let text = match (&value.node, leading_field) {
            (Node::Text(text), None) => text.clone(),
            (Node::Text(text) | Node::Number(text), Some(field)) => format!("{text} {field}"),
            _ => String::new(),
        };
        match milliseconds(&text).filter(|_| plain) {
            Some(ms) => Some(Expr { node: Node::Interval(ms), span }),
            None => self.refuse(&refused::INTERVAL, span),
        }
    }

    fn function(&mut self, function: &ast::Function, depth: usize) -> Option<Expr> {
        let ast::Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
            function;
        let ast::ObjectName(parts) = name;
        let [ast::ObjectNamePart::Identifier(name)] = parts.as_slice() else {
            return self.refuse(&refused::QUALIFIED, self.tokens.start());
        };
        let name = self.name(name);
        let place = self.tokens.call(name.span);
        if over.is_some() {
            let end = self.tokens.find(Span { line: place.end_line, column: place.end_column, ..place }, "OVER");
            return self.refuse_named(&refused::OVER, name.span.to(end), &format!("{}() OVER", name.text));
        }
        if !within_group.is_empty() {
            return self.refuse(&refused::WITHIN_GROUP, place);
        }
        if null_treatment.is_some() {
            return self.refuse(&refused::NULLS, place);
        }
        let called = format!("{}()", name.text);
        // Its average is taken where it is rounded.
        if let Some(refusal) = refused::of_function(&name.text).filter(|_| name.text != "avg") {
            let mut mistake = refusal.at(place, Some(&called));
            if let "hour" | "week" | "month" = name.text.as_str() {
                mistake.instead = mistake.instead.replace("'day'", &format!("'{}'", name.text));
            }
            self.mistakes.push(mistake);
            return None;
        }
        let ast::FunctionArguments::None = parameters else { return self.refuse(&refused::ARGUMENT, place) };
        if *uses_odbc_syntax {
            return self.refuse(&refused::ARGUMENT, place);
        }
        let (mut star, mut distinct, mut arguments) = (false, false, Vec::new());
        match args {
            // Without brackets it is none of ours.
            ast::FunctionArguments::None => return self.refuse(&refused::ARGUMENT, place),
            ast::FunctionArguments::Subquery(_) => return self.refuse(&refused::SUBQUERY, place),
            ast::FunctionArguments::List(list) => {
                let ast::FunctionArgumentList { duplicate_treatment, args, clauses } = list;
                distinct = matches!(duplicate_treatment, Some(ast::DuplicateTreatment::Distinct)) || distinct;
                if let Some(clause) = clauses.first() {
                    return match clause {
                        ast::FunctionArgumentClause::OrderBy(_) => self.refuse(&refused::AGGREGATE_ORDER, place),
                        ast::FunctionArgumentClause::IgnoreOrRespectNulls(_) => self.refuse(&refused::NULLS, place),
                        ast::FunctionArgumentClause::Where(_)
                        | ast::FunctionArgumentClause::Limit(_)
                        | ast::FunctionArgumentClause::OnOverflow(_)
                        | ast::FunctionArgumentClause::Having(_)
                        | ast::FunctionArgumentClause::Separator(_)
                        | ast::FunctionArgumentClause::JsonNullClause(_)
                        | ast::FunctionArgumentClause::JsonReturningClause(_) => self.refuse(&refused::ARGUMENT, place),
                    };
                }
                for argument in args {
                    match argument {
                        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument)) => {
                            arguments.push(self.expr(argument, depth));
                        }
                        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard) => star = true,
                        ast::FunctionArg::Unnamed(
                            ast::FunctionArgExpr::QualifiedWildcard(_) | ast::FunctionArgExpr::WildcardWithOptions(_),
                        ) => return self.refuse(&refused::STAR, place),
                        ast::FunctionArg::Named { .. } | ast::FunctionArg::ExprNamed { .. } => {
                            return self.refuse(&refused::ARGUMENT, place);
                        }
                    }
                }
            }
        }
        let filter = filter.as_ref().map(|filter| self.expr(filter, depth));
        let arguments = arguments.into_iter().collect::<Option<Vec<_>>>()?;
        let filter = match filter {
            Some(read) => Some(Box::new(read?)),
            None => None,
        };
        Some(Expr { node: Node::Call(Call { name, star, distinct, arguments, filter }), span: place })
    }
}

/// 0001-01-01, and the end of 9999: what all databases can write.
const FIRST_INSTANT: i64 = -62_135_596_800_000;
const LAST_INSTANT: i64 = 253_402_300_800_000;

/// A hundred years: what is longer is a mistake.
const LONGEST_INTERVAL: i64 = 36_525 * 86_400_000;

/// How long an interval is: numbers, each with its unit.
fn milliseconds(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let mut total = 0_i64;
    while let Some(number) = words.next() {
        let unit = match words.next()?.to_ascii_lowercase().as_str() {
            "millisecond" | "milliseconds" => 1,
            "second" | "seconds" => 1000,
            "minute" | "minutes" => 60_000,
            "hour" | "hours" => 3_600_000,
            "day" | "days" => 86_400_000,
            "week" | "weeks" => 7 * 86_400_000,
            _ => return None,
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    (1..=LONGEST_INTERVAL).contains(&total).then_some(total)
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
