//! Calls of functions.

use super::super::messages::Span;
use super::refusals as refused;
use super::{Call, Expr, Node, Reader};
use sqlparser::ast;

impl Reader<'_> {
    pub(super) fn function(&mut self, function: &ast::Function, depth: usize) -> Option<Expr> {
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
