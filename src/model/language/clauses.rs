//! The clauses of a query.

use super::super::messages::Span;
use super::refusals::{self as refused, Refusal};
use super::tokens::span;
use super::{Item, Key, Name, Query, Reader};
use sqlparser::ast;

impl Reader<'_> {
    /// A whole query. Everything in it that a metric cannot have is said.
    pub(super) fn query(&mut self, query: &ast::Query) -> Option<Query> {
        let ast::Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        self.none(with.is_none(), &refused::WITH, "WITH");
        self.none(order_by.is_none(), &refused::ORDER_BY, "ORDER");
        self.none(limit_clause.is_none(), &refused::LIMIT, "LIMIT");
        self.none(fetch.is_none(), &refused::LIMIT, "FETCH");
        self.none(locks.is_empty() && for_clause.is_none(), &refused::CLAUSE, "FOR");
        self.none(settings.is_none(), &refused::CLAUSE, "SETTINGS");
        self.none(format_clause.is_none(), &refused::CLAUSE, "FORMAT");
        self.none(pipe_operators.is_empty(), &refused::CLAUSE, "|>");
        let start = self.tokens.start();
        match &**body {
            ast::SetExpr::Select(select) if with.is_none() => self.select(select),
            ast::SetExpr::Select(_) => None,
            ast::SetExpr::SetOperation { op, .. } => {
                let word = match op {
                    ast::SetOperator::Union => "UNION",
                    ast::SetOperator::Except => "EXCEPT",
                    ast::SetOperator::Intersect => "INTERSECT",
                    ast::SetOperator::Minus => "MINUS",
                };
                let place = self.tokens.clause(word);
                self.refuse_named(&refused::UNION, place, word)
            }
            ast::SetExpr::Query(_) => self.refuse(&refused::BRACKETS, start),
            ast::SetExpr::Values(_) => self.refuse_named(&refused::STATEMENT, start, "VALUES"),
            ast::SetExpr::Table(_) => self.refuse_named(&refused::STATEMENT, start, "TABLE"),
            ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) | ast::SetExpr::Merge(_) => {
                self.refuse_named(&refused::STATEMENT, start, "WITH")
            }
        }
    }

    /// Says that a clause is refused, where its first word stands, unless it is not there.
    fn none(&mut self, is_absent: bool, refusal: &Refusal, word: &str) {
        if !is_absent {
            let place = self.tokens.clause(word);
            let is_one_of_many = *refusal == refused::CLAUSE || *refusal == refused::LIMIT;
            self.mistakes.push(refusal.at(place, is_one_of_many.then_some(word)));
        }
    }

    fn select(&mut self, select: &ast::Select) -> Option<Query> {
        let ast::Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        self.none(optimizer_hints.is_empty(), &refused::CLAUSE, "/*+");
        self.none(distinct.is_none(), &refused::DISTINCT, "DISTINCT");
        self.none(select_modifiers.is_none(), &refused::CLAUSE, "SELECT");
        self.none(top.is_none(), &refused::LIMIT, "TOP");
        self.none(exclude.is_none(), &refused::STAR, "EXCLUDE");
        self.none(into.is_none(), &refused::CLAUSE, "INTO");
        self.none(lateral_views.is_empty(), &refused::JOIN, "LATERAL");
        self.none(prewhere.is_none(), &refused::CLAUSE, "PREWHERE");
        self.none(connect_by.is_empty(), &refused::CLAUSE, "CONNECT");
        self.none(cluster_by.is_empty(), &refused::CLAUSE, "CLUSTER");
        self.none(distribute_by.is_empty(), &refused::CLAUSE, "DISTRIBUTE");
        self.none(sort_by.is_empty(), &refused::ORDER_BY, "SORT");
        self.none(named_window.is_empty(), &refused::WINDOW, "WINDOW");
        self.none(qualify.is_none(), &refused::QUALIFY, "QUALIFY");
        self.none(value_table_mode.is_none(), &refused::CLAUSE, "SELECT");
        match flavor {
            ast::SelectFlavor::Standard => {}
            ast::SelectFlavor::FromFirst | ast::SelectFlavor::FromFirstNoSelect => {
                let start = self.tokens.start();
                return self.refuse(&refused::FROM_FIRST, start);
            }
        }
        self.called = from.first().and_then(called).into_iter().collect();
        let places = self.tokens.items();
        let mut items = Vec::new();
        for (n, item) in projection.iter().enumerate() {
            let (place, doc) = places.get(n).cloned().unwrap_or((self.tokens.start(), String::new()));
            items.push(self.item(item, place, doc));
        }
        let from = self.from(from);
        let filter = selection.as_ref().map(|filter| self.expr(filter, 0));
        let keys = self.group_by(group_by);
        let having = having.as_ref().map(|having| self.expr(having, 0));
        Some(Query {
            doc: self.tokens.doc(),
            span: self.tokens.start(),
            items,
            from,
            filter: filter.flatten(),
            keys,
            having: having.flatten(),
            quoted: std::mem::take(&mut self.quoted),
        })
    }

    fn item(&mut self, item: &ast::SelectItem, place: Span, doc: String) -> Item {
        let (value, name) = match item {
            ast::SelectItem::UnnamedExpr(value) => (self.expr(value, 0), None),
            ast::SelectItem::ExprWithAlias { expr, alias } => (self.expr(expr, 0), Some(self.name(alias))),
            ast::SelectItem::ExprWithAliases { .. } => (self.refuse(&refused::ALIASES, place), None),
            ast::SelectItem::QualifiedWildcard(_, _) | ast::SelectItem::Wildcard(_) => {
                (self.refuse(&refused::STAR, place), None)
            }
        };
        Item { value, name, doc, span: place }
    }

    /// A name; one that is not quoted is meant in lower case.
    pub(super) fn name(&mut self, name: &ast::Ident) -> Name {
        let ast::Ident { value, quote_style, span: place } = name;
        let text = if quote_style.is_some() { value.clone() } else { value.to_lowercase() };
        if quote_style.is_some() {
            self.quoted.push(span(*place));
        }
        Name { text, span: span(*place) }
    }

    fn from(&mut self, from: &[ast::TableWithJoins]) -> Option<Name> {
        let place = self.tokens.clause("FROM");
        let [table] = from else {
            return match from {
                [] => self.refuse(&refused::NO_FROM, self.tokens.start()),
                [first, ..] => {
                    let _ = self.table(first, place);
                    let comma = self.tokens.find(place, ",");
                    self.refuse_named(&refused::JOIN, comma, ",")
                }
            };
        };
        self.table(table, place)
    }

    pub(super) fn table(&mut self, table: &ast::TableWithJoins, from: Span) -> Option<Name> {
        let ast::TableWithJoins { relation, joins } = table;
        if !joins.is_empty() {
            let join = self.tokens.find(from, "JOIN");
            return self.refuse(&refused::JOIN, join);
        }
        match relation {
            ast::TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                let ast::ObjectName(parts) = name;
                let [ast::ObjectNamePart::Identifier(name)] = parts.as_slice() else {
                    return self.refuse(&refused::QUALIFIED_TABLE, from);
                };
                let name = self.name(name);
                if let Some(ast::TableAlias { explicit: _, name: alias, columns, at }) = alias
                    && (!columns.is_empty() || at.is_some())
                {
                    return self.refuse(&refused::TABLE_ALIAS, span(alias.span));
                }
                if args.is_some() {
                    return self.refuse(&refused::TABLE_FUNCTION, self.tokens.call(name.span));
                }
                if sample.is_some() {
                    return self.refuse(&refused::SAMPLE, name.span);
                }
                let is_plain = with_hints.is_empty()
                    && version.is_none()
                    && !with_ordinality
                    && partitions.is_empty()
                    && json_path.is_none()
                    && index_directives.is_empty()
                    && inheritance.is_none();
                if is_plain { Some(name) } else { self.refuse(&refused::TABLE, name.span) }
            }
            ast::TableFactor::Derived { .. } => {
                let place = self.tokens.find(from, "(");
                self.refuse(&refused::FROM_SUBQUERY, place)
            }
            ast::TableFactor::Pivot { .. }
            | ast::TableFactor::Unpivot { .. }
            | ast::TableFactor::UnpivotExpr { .. } => {
                let place = self.tokens.find(from, "PIVOT");
                self.refuse(&refused::PIVOT, place)
            }
            ast::TableFactor::MatchRecognize { .. } => self.refuse(&refused::MATCH_RECOGNIZE, from),
            ast::TableFactor::NestedJoin { .. } => self.refuse(&refused::JOIN, from),
            ast::TableFactor::TableFunction { .. }
            | ast::TableFactor::Function { .. }
            | ast::TableFactor::UNNEST { .. }
            | ast::TableFactor::JsonTable { .. }
            | ast::TableFactor::OpenJsonTable { .. }
            | ast::TableFactor::XmlTable { .. }
            | ast::TableFactor::SemanticView { .. } => self.refuse(&refused::TABLE_FUNCTION, from),
        }
    }

    fn group_by(&mut self, group_by: &ast::GroupByExpr) -> Vec<Key> {
        let group = self.tokens.clause("GROUP");
        let (keys, modifiers) = match group_by {
            ast::GroupByExpr::All(_) => {
                let _: Option<()> = self.refuse(&refused::GROUP_BY_ALL, group);
                return Vec::new();
            }
            ast::GroupByExpr::Expressions(keys, modifiers) => (keys, modifiers),
        };
        if !modifiers.is_empty() {
            let _: Option<()> = self.refuse(&refused::GROUPING_SETS, group);
        }
        if keys.is_empty() {
            let _: Option<()> = self.refuse(&refused::NO_GROUP_BY, self.tokens.start());
        }
        keys.iter().filter_map(|key| self.key(key, group)).collect()
    }

    fn key(&mut self, key: &ast::Expr, group: Span) -> Option<Key> {
        if let ast::Expr::GroupingSets(_) | ast::Expr::Cube(_) | ast::Expr::Rollup(_) = key {
            return self.refuse(&refused::GROUPING_SETS, group);
        }
        if let ast::Expr::Identifier(name) = key {
            return Some(Key::Name(self.name(name)));
        }
        let said = self.mistakes.len();
        let read = self.expr(key, 0)?;
        if let super::Node::Number(digits) = &read.node
            && let Ok(place) = digits.parse::<usize>()
        {
            return Some(Key::Place(place, read.span));
        }
        if self.mistakes.len() == said { self.refuse(&refused::GROUP_EXPRESSION, read.span) } else { None }
    }
}

/// What the events of a table are called before their columns: by their other name, if they have one.
pub(super) fn called(table: &ast::TableWithJoins) -> Option<String> {
    let ast::TableFactor::Table { name: ast::ObjectName(parts), alias, .. } = &table.relation else { return None };
    let name = match (alias, parts.as_slice()) {
        (Some(alias), _) => &alias.name,
        (None, [ast::ObjectNamePart::Identifier(name)]) => name,
        (None, _) => return None,
    };
    Some(if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() })
}
