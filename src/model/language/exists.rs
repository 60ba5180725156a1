//! `EXISTS`: another event of the same family is looked for.

use super::super::messages::Span;
use super::clauses::called;
use super::refusals as refused;
use super::tokens::span;
use super::{Expr, Name, Node, Reader};
use sqlparser::ast;

impl Reader<'_> {
    /// `EXISTS (SELECT 1 FROM family b WHERE ...)`.
    pub(super) fn exists(&mut self, query: &ast::Query, depth: usize) -> Option<Expr> {
        let ast::SetExpr::Select(select) = &*query.body else {
            return self.refuse(&refused::EXISTS, self.tokens.start());
        };
        let place = span(select.select_token.0.span);
        let (Some(table), true) = (plain(query, select), self.called.len() == 1) else {
            return self.refuse(&refused::EXISTS, place);
        };
        let from = self.tokens.find(place, "FROM");
        let name = self.table(table, from)?;
        let Some(called) = called(table).filter(|called| !self.called.contains(called)) else {
            return self.refuse(&refused::EXISTS_NAME, name.span);
        };
        self.called.push(called);
        let filter = select.selection.as_ref().map(|filter| self.expr(filter, depth));
        self.called.pop();
        let filter = match filter {
            Some(read) => Some(Box::new(read?)),
            None => None,
        };
        let span = filter.iter().fold(place.to(name.span), |all, filter| all.to(filter.span));
        Some(Expr { node: Node::Exists(name, filter), span })
    }

    /// A column with what its events are called before it.
    pub(super) fn of_called(&mut self, names: &[ast::Ident]) -> Option<Expr> {
        let place = names.iter().fold(Span::default(), |all, name| all.to(span(name.span)));
        let [before, column] = names else { return self.refuse(&refused::QUALIFIED, place) };
        let (Name { text: before, .. }, Name { text: column, span: of_column }) =
            (self.name(before), self.name(column));
        let Some(reach) = self.called.iter().position(|called| *called == before) else {
            return self.refuse(&refused::QUALIFIED, place);
        };
        // Where the column stands says what is wrong with it.
        let is_asking = reach + 1 < self.called.len();
        Some(Expr { node: if is_asking { Node::Asking(column) } else { Node::Name(column) }, span: of_column })
    }
}

/// The one table of a query that has nothing but `SELECT 1 FROM a table WHERE ...`.
fn plain<'q>(query: &'q ast::Query, select: &'q ast::Select) -> Option<&'q ast::TableWithJoins> {
    let ast::Query {
        with: None,
        body: _,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks,
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators,
    } = query
    else {
        return None;
    };
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: _,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views,
        prewhere: None,
        selection: _,
        connect_by,
        group_by: ast::GroupByExpr::Expressions(keys, modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having: None,
        named_window,
        qualify: None,
        window_before_qualify: _,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    } = select
    else {
        return None;
    };
    let is_plain = locks.is_empty()
        && pipe_operators.is_empty()
        && optimizer_hints.is_empty()
        && lateral_views.is_empty()
        && connect_by.is_empty()
        && keys.is_empty()
        && modifiers.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty()
        && named_window.is_empty();
    // What is selected does not matter, and a value is what everybody writes.
    let is_value = matches!(
        projection.as_slice(),
        [ast::SelectItem::UnnamedExpr(ast::Expr::Value(_)) | ast::SelectItem::Wildcard(_)]
    );
    let [table] = from.as_slice() else { return None };
    (is_plain && is_value).then_some(table)
}
