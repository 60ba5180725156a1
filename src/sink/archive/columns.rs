//! Records within records as the columns of Parquet, and back: each value that holds no others goes to its own column,
//! with how deep it lies and where a list goes on. Everything may be absent.
//!
//! ```text
//! record   group of its fields              map     MAP of `key`, `value`
//! array    LIST of `element`                union   of null and one: that one; of several: group of `member0`, `member1`, ...
//! ```
//!
//! What cannot lie in columns, because it lies within itself or has no fields, is JSON in a text.

use super::levels::{Leaf, Level, Values};
use crate::decode::avro::value::{Data, Meaning, Plain, Shape, Value};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::{Type, TypePtr};
use std::ops::Range;
use std::sync::Arc;

/// A place for values, and the columns that it has.
pub(super) struct Node {
    columns: Range<usize>,
    kind: Kind,
}

enum Kind {
    /// A column of its own.
    Plain,
    /// A column of texts of JSON.
    Json(Shape),
    Record(Vec<Node>),
    /// What it is a list of, and how many lists that lies in.
    List(Box<Node>, i16),
    /// The same, behind the column of its keys.
    Map(Box<Node>, i16),
    /// Of null and one other, at this place.
    Maybe(Box<Node>, usize),
    /// By the place in the union.
    Union(Vec<Option<Node>>),
}

/// Makes places for values, and their columns.
#[derive(Default)]
pub(super) struct Maker {
    pub(super) leaves: Vec<Leaf>,
}

impl Maker {
    /// A place of this name.
    ///
    /// # Errors
    /// If Parquet cannot have it.
    pub(super) fn node(&mut self, name: &str, shape: &Shape, lists: i16) -> Result<(Node, TypePtr)> {
        let from = self.leaves.len();
        let (kind, ty) = match shape {
            Shape::Plain(plain, meaning) => (Kind::Plain, self.leaf(name, *plain, *meaning)?),
            Shape::Symbol(_) => (Kind::Plain, self.leaf(name, Plain::Text, Meaning::Itself)?),
            Shape::Record(fields) if !fields.is_empty() => {
                let made = fields.iter().map(|(name, shape)| self.node(name, shape, lists));
                let (nodes, types) = made.collect::<Result<Vec<_>>>()?.into_iter().unzip();
                (Kind::Record(nodes), group(name, Repetition::OPTIONAL, None, types)?)
            }
            Shape::Record(_) | Shape::Folded(_) => {
                (Kind::Json(shape.clone()), self.text(name, Repetition::OPTIONAL, LogicalType::Json)?)
            }
            Shape::List(of) => {
                let (node, ty) = self.node("element", of, lists + 1)?;
                let entries = group("list", Repetition::REPEATED, None, vec![ty])?;
                let ty = group(name, Repetition::OPTIONAL, Some(LogicalType::List), vec![entries])?;
                (Kind::List(Box::new(node), lists + 1), ty)
            }
            Shape::Map(of) => {
                let key = self.text("key", Repetition::REQUIRED, LogicalType::String)?;
                let (node, ty) = self.node("value", of, lists + 1)?;
                let entries = group("key_value", Repetition::REPEATED, None, vec![key, ty])?;
                let ty = group(name, Repetition::OPTIONAL, Some(LogicalType::Map), vec![entries])?;
                (Kind::Map(Box::new(node), lists + 1), ty)
            }
            Shape::Union(shapes) => self.union(name, shapes, lists)?,
        };
        Ok((Node { columns: from..self.leaves.len(), kind }, ty))
    }

    fn union(&mut self, name: &str, shapes: &[Shape], lists: i16) -> Result<(Kind, TypePtr)> {
        let is_null = |shape: &Shape| matches!(shape, Shape::Plain(Plain::Null, _));
        let others: Vec<_> = shapes.iter().enumerate().filter(|(_, shape)| !is_null(shape)).collect();
        if let [(place, shape)] = others[..] {
            let (node, ty) = self.node(name, shape, lists)?;
            return Ok((Kind::Maybe(Box::new(node), place), ty));
        }
        if others.is_empty() {
            return Ok((Kind::Plain, self.leaf(name, Plain::Null, Meaning::Itself)?));
        }
        let (mut nodes, mut types) = (Vec::new(), Vec::new());
        for shape in shapes {
            if is_null(shape) {
                nodes.push(None);
                continue;
            }
            let (node, ty) = self.node(&format!("member{}", types.len()), shape, lists)?;
            nodes.push(Some(node));
            types.push(ty);
        }
        Ok((Kind::Union(nodes), group(name, Repetition::OPTIONAL, None, types)?))
    }

    /// A column of texts.
    fn text(&mut self, name: &str, repetition: Repetition, logical: LogicalType) -> Result<TypePtr> {
        self.leaves.push(Leaf::new(Values::Bytes(Vec::new())));
        let ty = Type::primitive_type_builder(name, Physical::BYTE_ARRAY);
        ty.with_repetition(repetition).with_logical_type(Some(logical)).build().map(Arc::new)
    }

    /// A column.
    fn leaf(&mut self, name: &str, plain: Plain, meaning: Meaning) -> Result<TypePtr> {
        let (values, physical, mut length) = match plain {
            // Parquet has no type of which there is nothing.
            Plain::Null | Plain::Boolean => (Values::Booleans(Vec::new()), Physical::BOOLEAN, 0),
            Plain::Int => (Values::Ints(Vec::new()), Physical::INT32, 0),
            Plain::Long => (Values::Longs(Vec::new()), Physical::INT64, 0),
            Plain::Float => (Values::Floats(Vec::new()), Physical::FLOAT, 0),
            Plain::Double => (Values::Doubles(Vec::new()), Physical::DOUBLE, 0),
            Plain::Bytes | Plain::Text => (Values::Bytes(Vec::new()), Physical::BYTE_ARRAY, 0),
            Plain::Fixed(size) => (Values::Fixed(Vec::new()), Physical::FIXED_LEN_BYTE_ARRAY, size),
        };
        let mut physical = physical;
        let mut values = values;
        if plain == Plain::Fixed(0) {
            // Nor one of no bytes.
            (values, physical, length) = (Values::Bytes(Vec::new()), Physical::BYTE_ARRAY, 0);
        }
        self.leaves.push(Leaf::new(values));
        let logical = match (plain, meaning) {
            (Plain::Text, _) => Some(LogicalType::String),
            (_, Meaning::Itself) => None,
            (_, Meaning::Date) => Some(LogicalType::Date),
            (_, Meaning::TimeMillis) => Some(LogicalType::time(false, TimeUnit::MILLIS)),
            (_, Meaning::TimeMicros) => Some(LogicalType::time(false, TimeUnit::MICROS)),
            (_, Meaning::Millis(utc)) => Some(LogicalType::timestamp(utc, TimeUnit::MILLIS)),
            (_, Meaning::Micros(utc)) => Some(LogicalType::timestamp(utc, TimeUnit::MICROS)),
            (_, Meaning::Nanos(utc)) => Some(LogicalType::timestamp(utc, TimeUnit::NANOS)),
            (_, Meaning::Decimal { precision, scale }) => Some(LogicalType::decimal(scale, precision)),
            (_, Meaning::Uuid) => Some(LogicalType::Uuid),
        };
        let length = i32::try_from(length).map_err(|_| broken("a fixed type is too long"))?;
        let mut ty = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        if physical == Physical::FIXED_LEN_BYTE_ARRAY {
            ty = ty.with_length(length);
        }
        if let Meaning::Decimal { precision, scale } = meaning {
            ty = ty.with_precision(precision).with_scale(scale);
        }
        ty.with_logical_type(logical).build().map(Arc::new)
    }
}

fn group(name: &str, repetition: Repetition, logical: Option<LogicalType>, fields: Vec<TypePtr>) -> Result<TypePtr> {
    let ty = Type::group_type_builder(name).with_repetition(repetition).with_logical_type(logical);
    ty.with_fields(fields).build().map(Arc::new)
}

fn broken(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

impl Node {
    /// Puts a value into the columns.
    ///
    /// # Errors
    /// If it is of another shape.
    pub(super) fn put(&self, data: &Data, value: &Value, at: Level, leaves: &mut [Leaf]) -> Result<()> {
        match (&self.kind, value) {
            (_, Value::Null) => self.put_nothing(at, leaves),
            // Of null alone.
            (Kind::Plain, Value::Branch(..)) => self.put_nothing(at, leaves),
            (Kind::Plain, value) => leaves[self.columns.start].put(value, at.deeper(1))?,
            (Kind::Json(_), Value::Text(text)) => {
                leaves[self.columns.start].put_bytes(text.as_bytes(), at.deeper(1))?
            }
            (Kind::Json(shape), value) => {
                let json = data.json(shape, value).to_string();
                leaves[self.columns.start].put_bytes(json.as_bytes(), at.deeper(1))?;
            }
            (Kind::Record(nodes), Value::Record(values)) => {
                for (node, value) in nodes.iter().zip(values) {
                    node.put(data, value, at.deeper(1), leaves)?;
                }
            }
            (Kind::List(_, _), Value::List(values)) if values.is_empty() => self.put_nothing(at.deeper(1), leaves),
            (Kind::List(node, lists), Value::List(values)) => {
                let mut at = at.deeper(2);
                for value in values {
                    node.put(data, value, at, leaves)?;
                    at.list = *lists;
                }
            }
            (Kind::Map(_, _), Value::Map(entries)) if entries.is_empty() => self.put_nothing(at.deeper(1), leaves),
            (Kind::Map(node, lists), Value::Map(entries)) => {
                let mut at = at.deeper(2);
                for (key, value) in entries {
                    leaves[self.columns.start].put_bytes(key.as_bytes(), at)?;
                    node.put(data, value, at, leaves)?;
                    at.list = *lists;
                }
            }
            (Kind::Maybe(node, place), Value::Branch(of, value)) if of == place => node.put(data, value, at, leaves)?,
            (Kind::Maybe(..), Value::Branch(..)) => self.put_nothing(at, leaves),
            (Kind::Union(nodes), Value::Branch(of, value)) => match nodes.get(*of) {
                Some(Some(_)) => {
                    for (place, node) in nodes.iter().enumerate() {
                        match node {
                            Some(node) if place == *of => node.put(data, value, at.deeper(1), leaves)?,
                            Some(node) => node.put_nothing(at.deeper(1), leaves),
                            None => {}
                        }
                    }
                }
                Some(None) | None => self.put_nothing(at, leaves),
            },
            _ => return Err(broken("a value is not of its column's shape")),
        }
        Ok(())
    }

    fn put_nothing(&self, at: Level, leaves: &mut [Leaf]) {
        leaves[self.columns.clone()].iter_mut().for_each(|leaf| leaf.put_nothing(at));
    }

    /// Takes the next value out of the columns.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn take(&self, depth: i16, leaves: &mut [Leaf]) -> Result<Value> {
        let first = &mut leaves[self.columns.start];
        let there = first.next().ok_or_else(|| broken("a column is shorter than others"))?.depth;
        if there <= depth && !matches!(self.kind, Kind::Maybe(..)) {
            self.pass(leaves);
            return Ok(Value::Null);
        }
        Ok(match &self.kind {
            Kind::Plain => first.take()?,
            Kind::Json(_) => first.take_text()?,
            Kind::Record(nodes) => {
                Value::Record(nodes.iter().map(|node| node.take(depth + 1, leaves)).collect::<Result<_>>()?)
            }
            Kind::List(..) if there == depth + 1 => {
                self.pass(leaves);
                Value::List(Vec::new())
            }
            Kind::List(node, lists) => {
                let mut values = vec![node.take(depth + 2, leaves)?];
                while leaves[self.columns.start].goes_on(*lists) {
                    values.push(node.take(depth + 2, leaves)?);
                }
                Value::List(values)
            }
            Kind::Map(..) if there == depth + 1 => {
                self.pass(leaves);
                Value::Map(Vec::new())
            }
            Kind::Map(node, lists) => {
                let mut entries = Vec::new();
                while entries.is_empty() || leaves[self.columns.start].goes_on(*lists) {
                    let Value::Text(key) = leaves[self.columns.start].take_text()? else {
                        return Err(broken("a map has an entry without a key"));
                    };
                    entries.push((key, node.take(depth + 2, leaves)?));
                }
                Value::Map(entries)
            }
            Kind::Maybe(node, place) => {
                let value = node.take(depth, leaves)?;
                if value == Value::Null { value } else { Value::Branch(*place, Box::new(value)) }
            }
            Kind::Union(nodes) => {
                let mut found = Value::Null;
                for (place, node) in nodes.iter().enumerate() {
                    let value = node.as_ref().map(|node| node.take(depth + 1, leaves)).transpose()?;
                    if let Some(value) = value.filter(|value| *value != Value::Null) {
                        found = Value::Branch(place, Box::new(value));
                    }
                }
                found
            }
        })
    }

    fn pass(&self, leaves: &mut [Leaf]) {
        leaves[self.columns.clone()].iter_mut().for_each(Leaf::pass);
    }
}
