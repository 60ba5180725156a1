//! What can be read: every table and view, with its columns.

use crate::families::{self, all};
use crate::sink::by_minute;
use crate::sink::sqlite::guarded::{Guarded, Unanswered};
use dataflows::table::{Role, Table, Type};

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// What it holds, where that is known: views may compute anything.
    pub(super) ty: Option<Type>,
    pub(super) nullable: bool,
    pub(super) doc: String,
}

/// A table or a view.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) family: Option<&'static str>,
    /// `upsert`, `raw`, `view` or `other`.
    pub(super) kind: &'static str,
    pub(super) doc: String,
    /// The columns, those of the key first.
    pub(super) columns: Vec<Column>,
    pub(super) key_columns: usize,
    /// Which column says of when a row is.
    pub(super) time: Option<usize>,
    /// Whether corrections of it are told: it is known when its rows have ended.
    pub(super) has_corrections: bool,
}

impl Shape {
    fn of(table: &Table, family: Option<&'static str>, kind: &'static str) -> Shape {
        let is_instant = |column: &dataflows::table::Column| column.ty == Type::Instant;
        let in_key = table.columns[..table.key_columns].iter().position(is_instant);
        let column = |column: &dataflows::table::Column| Column {
            name: column.name.to_owned(),
            ty: Some(column.ty),
            nullable: column.nullable,
            doc: column.doc.to_owned(),
        };
        Shape {
            name: table.name.to_owned(),
            family,
            kind,
            doc: table.doc.to_owned(),
            columns: table.columns.iter().map(column).collect(),
            key_columns: table.key_columns,
            time: in_key.or_else(|| table.age().map(|(place, _)| place)),
            has_corrections: false,
        }
    }

    /// A column by its name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns of the key.
    pub(super) fn key(&self) -> &[Column] {
        &self.columns[..self.key_columns]
    }
}

/// What a type is called.
pub(super) fn name_of(ty: Type) -> &'static str {
    match ty {
        Type::Integer => "integer",
        Type::Boolean => "boolean",
        Type::Instant => "instant",
        Type::Money => "money",
        Type::Milli => "milli",
        Type::Share => "share",
        Type::Text => "text",
        Type::Json => "json",
        Type::Bytes => "bytes",
    }
}

/// All that the warehouse has, as it is declared.
///
/// # Errors
/// If the warehouse cannot be read.
pub(super) fn shapes(guarded: &Guarded) -> Result<Vec<Shape>, Unanswered> {
    let there = guarded.names()?;
    let tables = all().tables().iter().map(|id| {
        let kind = match id.table().role {
            Role::Metric | Role::Entity => "upsert",
            Role::Raw { .. } => "raw",
            Role::Rejected { .. } | Role::Late { .. } | Role::Tally => "other",
        };
        let family = all().family_of(*id);
        let has_corrections = family.is_some_and(|family| family.ending(*id).is_some());
        Shape { has_corrections, ..Shape::of(id.table(), family.map(|family| family.0.name()), kind) }
    });
    let minutes = by_minute::all(all()).map(|(of, view, family)| {
        Shape::of(&by_minute::table(of, view), Some(family).filter(|family| !family.is_empty()), "view")
    });
    let mut shapes: Vec<_> = tables.chain(minutes).filter(|shape| there.contains(&shape.name)).collect();
    for view in families::views().iter().filter(|view| there.contains(&view.name)) {
        let column = |column: crate::sink::sqlite::guarded::Column| Column {
            name: column.name,
            ty: column.ty,
            nullable: true,
            doc: String::new(),
        };
        shapes.push(Shape {
            name: view.name.clone(),
            family: None,
            kind: "view",
            doc: view.doc.clone(),
            columns: guarded.columns(&view.name)?.into_iter().map(column).collect(),
            key_columns: 0,
            time: None,
            has_corrections: false,
        });
    }
    Ok(shapes)
}
