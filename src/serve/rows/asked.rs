//! What a request wants of a table: its parameters, read and judged.

use super::place::Place;
use crate::instant;
use crate::serve::answer::Refusal;
use crate::serve::shape::{Column, Shape};
use crate::sink::sqlite::quoted;
use dataflows::table::Type;
use rusqlite::types::Value;
use std::collections::BTreeSet;

/// So many rows are a page, if nobody says how many, and at the most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// At the most, of rows that are not whole: of some columns, or one for each value of a column.
const LIMIT_OF_PARTS: usize = 10_000;
/// Which parameters there are besides the columns.
const NAMES: &str = "from, to, order, by, limit, after, columns, group, sum";

/// What a request wants of a table.
#[derive(Default)]
pub(super) struct Asked {
    /// What stands in `WHERE`, each with its values.
    pub(super) conditions: Vec<(String, Vec<Value>)>,
    pub(super) descending: bool,
    /// The rows are in the order of this, and then of the key.
    pub(super) by: Option<String>,
    pub(super) limit: usize,
    pub(super) after: Option<Place>,
    /// Only these columns.
    pub(super) columns: Option<Vec<Column>>,
    /// One row for each value of a column.
    pub(super) group: Option<Group>,
}

/// One row for each value of a column, with how many rows have it and sums over them.
pub(super) struct Group {
    pub(super) column: Column,
    pub(super) sums: Vec<Column>,
}

/// The column of a group that says how many rows it has.
pub(super) const ROWS: &str = "rows";

impl Asked {
    /// What the parameters ask for.
    pub(super) fn read(shape: &Shape, parameters: &[(String, String)]) -> Result<Asked, Refusal> {
        let mut asked = Asked { limit: LIMIT, ..Asked::default() };
        let (mut equal, mut group, mut sums) = (Vec::<(&str, Vec<Value>)>::new(), None, Vec::new());
        for (name, text) in parameters {
            let wrong = |why: &str| Refusal::wrong(format!("parameter `{name}`: {why}"));
            let column =
                |name: &str| shape.column(name).cloned().ok_or_else(|| wrong("expected a column of the table"));
            match (name.as_str(), shape.column(name)) {
                (_, Some(column)) => {
                    let value = value(column, text).map_err(|why| wrong(&why))?;
                    // The same column again: any of the values.
                    match equal.iter_mut().find(|(known, _)| *known == column.name) {
                        Some((_, values)) => values.push(value),
                        None => equal.push((&column.name, vec![value])),
                    }
                }
                ("from" | "to", None) => {
                    let time = shape.time.and_then(|place| shape.columns.get(place));
                    let time = time.ok_or_else(|| wrong("no column of this table says when a row is of"))?;
                    let than = if name == "from" { ">=" } else { "<" };
                    let value = value(time, text).map_err(|why| wrong(&why))?;
                    asked.conditions.push((format!("{} {than} ?", quoted(&time.name)), vec![value]));
                }
                ("order", None) => {
                    asked.descending = match text.as_str() {
                        "asc" => false,
                        "desc" => true,
                        _ => return Err(wrong("expected `asc` or `desc`")),
                    };
                }
                ("by", None) => asked.by = Some(text.clone()),
                ("limit", None) => {
                    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_OF_PARTS).contains(limit));
                    asked.limit = limit.ok_or_else(|| wrong(&format!("expected 1 to {LIMIT_MAX}")))?;
                }
                ("after", None) => {
                    let place =
                        Place::read(text).ok_or_else(|| wrong("expected what `next` said of the page before"))?;
                    asked.after = Some(place);
                }
                ("columns", None) => asked.columns = Some(text.split(',').map(column).collect::<Result<_, _>>()?),
                ("group", None) => group = Some(column(text)?),
                ("sum", None) => {
                    let column = column(text)?;
                    if !matches!(column.ty, Some(Type::Integer | Type::Money | Type::Milli) | None) {
                        return Err(wrong("expected a column of numbers that can be added up"));
                    }
                    sums.push(column);
                }
                (_, None) => {
                    let columns: Vec<_> = shape.columns.iter().map(|column| column.name.as_str()).collect();
                    let why = format!("there is none of this name: there are {NAMES}, {}", columns.join(", "));
                    return Err(wrong(&why));
                }
            }
        }
        for (name, values) in equal {
            let places = vec!["?"; values.len()].join(", ");
            asked.conditions.push((format!("{} IN ({places})", quoted(name)), values));
        }
        once("columns", asked.columns.as_deref().unwrap_or_default())?;
        once("sum", &sums)?;
        asked.group = group.map(|column| Group { column, sums: std::mem::take(&mut sums) });
        asked.judged(shape, !sums.is_empty())
    }

    /// Refuses what does not go together.
    fn judged(self, shape: &Shape, sums_nothing: bool) -> Result<Asked, Refusal> {
        let wrong = |name: &str, why: &str| Err(Refusal::wrong(format!("parameter `{name}`: {why}")));
        if self.limit > LIMIT_MAX && self.columns.is_none() && self.group.is_none() {
            return wrong(
                "limit",
                &format!("expected 1 to {LIMIT_MAX}; with `columns` or `group`, to {LIMIT_OF_PARTS}"),
            );
        }
        match (&self.group, &self.by) {
            (None, _) if sums_nothing => wrong("sum", "expected `group` too, the column whose values have a row each"),
            (Some(_), _) if self.after.is_some() => wrong("after", "groups are one page"),
            (Some(_), _) if self.columns.is_some() => wrong("columns", "a group has its own columns"),
            (Some(group), Some(by)) if !group.names().any(|name| name == by) => {
                wrong("by", &format!("expected one of {}", group.names().collect::<Vec<_>>().join(", ")))
            }
            (None, Some(by)) if shape.column(by).is_none() => wrong("by", "expected a column of the table"),
            (Some(_) | None, Some(_) | None) => Ok(self),
        }
    }
}

/// Refuses a column that is asked for twice: an answer would be as long as somebody likes.
fn once(parameter: &str, columns: &[Column]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    match columns.iter().find(|column| !names.insert(&column.name)) {
        Some(twice) => Err(Refusal::wrong(format!("parameter `{parameter}`: `{}` is named twice", twice.name))),
        None => Ok(()),
    }
}

impl Group {
    /// What the columns of its answer are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        [self.column.name.as_str(), ROWS].into_iter().chain(self.sums.iter().map(|sum| sum.name.as_str()))
    }
}

/// A value as the file holds it.
fn value(column: &Column, text: &str) -> Result<Value, String> {
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Real);
    match column.ty {
        Some(Type::Integer) => text.parse().map(Value::Integer).map_err(|_| "expected a whole number".to_owned()),
        Some(Type::Boolean) => match text {
            "true" => Ok(Value::Integer(1)),
            "false" => Ok(Value::Integer(0)),
            _ => Err("expected `true` or `false`".to_owned()),
        },
        Some(Type::Instant) => {
            let at = instant::parse(text).ok_or("expected an instant such as 2026-01-05T10:00:00Z")?;
            Ok(Value::Text(instant::show(at)))
        }
        Some(Type::Money | Type::Milli | Type::Share) => number().ok_or_else(|| "expected a number".to_owned()),
        Some(Type::Text | Type::Json) => Ok(Value::Text(text.to_owned())),
        Some(Type::Bytes) => Ok(Value::Blob(text.as_bytes().to_vec())),
        // What a view computes may be anything.
        None => {
            Ok(text.parse().map(Value::Integer).ok().or_else(number).unwrap_or_else(|| Value::Text(text.to_owned())))
        }
    }
}
