//! A datum as a whole: what its writer's schema says it is, and what it holds, every field of it.

use super::SEQUENCE_MAX;
use super::schema::{Named, collect, decimal, full_name, resolved, scale, type_name, unwrapped};
use dataflows::wire::scalar::Scalar;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A schema that has more places for values than this is not unfolded any further.
const PLACES_MAX: usize = 2_000;
/// Nothing lies deeper than this.
const DEPTH_MAX: usize = 64;

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A value that holds no others, and what it means.
    Plain(Plain, Meaning),
    /// One of these words.
    Symbol(Vec<String>),
    /// Fields, each with its name.
    Record(Vec<(String, Shape)>),
    /// Any number of these.
    List(Box<Shape>),
    /// Any number of these, each under a name.
    Map(Box<Shape>),
    /// One of these.
    Union(Vec<Shape>),
    /// A record that lies within itself, or one too many, by its full name.
    Folded(String),
}

/// How a value is written that holds no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// `null`: nothing.
    Null,
    /// `boolean`: a byte.
    Boolean,
    /// `int`: of 32 bits.
    Int,
    /// `long`: of 64 bits.
    Long,
    /// `float`: four bytes.
    Float,
    /// `double`: eight bytes.
    Double,
    /// `bytes`, as many as it says.
    Bytes,
    /// `string`: in UTF-8.
    Text,
    /// `fixed`: so many bytes.
    Fixed(usize),
}

/// What a logical type makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing else than it seems to be.
    Itself,
    /// Days since 1970.
    Date,
    /// Milliseconds since midnight.
    TimeMillis,
    /// Microseconds since midnight.
    TimeMicros,
    /// Milliseconds since 1970, and whether in UTC.
    Millis(bool),
    /// Microseconds since 1970, and whether in UTC.
    Micros(bool),
    /// Nanoseconds since 1970, and whether in UTC.
    Nanos(bool),
    /// A number in two's complement.
    Decimal {
        /// How many digits it has at the most, 1 to 38.
        precision: i32,
        /// How many of them are decimals.
        scale: i32,
    },
    /// The 16 bytes of a UUID.
    Uuid,
}

/// What a datum holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Of `boolean`.
    Boolean(bool),
    /// Of `int`.
    Int(i32),
    /// Of `long`.
    Long(i64),
    /// Of `float`.
    Float(f32),
    /// Of `double`.
    Double(f64),
    /// Of `bytes` and `fixed`.
    Bytes(Vec<u8>),
    /// Of `string`, or the word of a symbol.
    Text(String),
    /// The fields' values.
    Record(Vec<Value>),
    /// The entries of an array.
    List(Vec<Value>),
    /// The entries of a map, each under its name.
    Map(Vec<(String, Value)>),
    /// Which of a union's shapes, and what is of it.
    Branch(usize, Box<Value>),
}

/// What the data of a schema are.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    shape: Shape,
    folded: BTreeMap<String, Shape>,
}

impl Data {
    /// By a schema as it stands in the registry, with what it refers to.
    pub fn of(schema: &Json) -> Data {
        let mut names = HashMap::new();
        collect(schema, "", &mut names);
        let mut reader = Reader { names: &names, places: PLACES_MAX, within: Vec::new(), folded: BTreeSet::new() };
        let shape = reader.shape(schema, "");
        let (mut folded, mut known) = (BTreeMap::new(), reader.folded);
        while let Some(name) = known.iter().find(|name| !folded.contains_key(*name)).cloned() {
            let mut reader = Reader { names: &names, places: PLACES_MAX, within: Vec::new(), folded: BTreeSet::new() };
            let shape = reader.shape(&Json::String(name.clone()), "");
            known.append(&mut reader.folded);
            folded.insert(name, shape);
        }
        Data { shape, folded }
    }

    /// What a datum is.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What a record is that is not unfolded where it lies.
    pub(super) fn folded(&self, name: &str) -> Option<&Shape> {
        self.folded.get(name)
    }

    /// What stands in a datum; nothing if it does not follow the schema to its end.
    pub fn read(&self, datum: &[u8]) -> Option<Value> {
        let mut bytes = Bytes { rest: datum, folded: &self.folded };
        let value = bytes.value(&self.shape, 0)?;
        bytes.rest.is_empty().then_some(value)
    }

    /// A value as JSON: a union is what is of it, and bytes are a letter each.
    pub fn json(&self, shape: &Shape, value: &Value) -> Json {
        match (shape, value) {
            // As it lies in a column.
            (Shape::Folded(_) | Shape::Record(_), Value::Text(json)) => {
                serde_json::from_str(json).unwrap_or_else(|_| json.as_str().into())
            }
            (Shape::Folded(name), value) if let Some(shape) = self.folded.get(name) => self.json(shape, value),
            (Shape::Record(fields), Value::Record(values)) => {
                let fields = fields.iter().zip(values);
                Json::Object(fields.map(|((name, shape), value)| (name.clone(), self.json(shape, value))).collect())
            }
            (Shape::List(of), Value::List(values)) => values.iter().map(|value| self.json(of, value)).collect(),
            (Shape::Map(of), Value::Map(entries)) => {
                let entries = entries.iter().map(|(name, value)| (name.clone(), self.json(of, value)));
                Json::Object(entries.collect::<Map<_, _>>())
            }
            (Shape::Union(shapes), Value::Branch(place, value)) => match shapes.get(*place) {
                Some(shape) => self.json(shape, value),
                None => Json::Null,
            },
            (Shape::Plain(_, Meaning::Uuid), Value::Bytes(bytes)) if let Ok(id) = uuid::Uuid::from_slice(bytes) => {
                id.to_string().into()
            }
            (Shape::Plain(_, Meaning::Decimal { scale, .. }), Value::Bytes(bytes)) => {
                let number = decimal(bytes, usize::try_from(*scale).unwrap_or_default());
                if let Scalar::Text(text) = number { text.into() } else { letters(bytes) }
            }
            (_, value) => plain(value),
        }
    }
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Boolean(truth) => json!(truth),
        Value::Int(number) => json!(number),
        Value::Long(number) => json!(number),
        // What JSON has no number for is a text.
        Value::Float(number) if !number.is_finite() => number.to_string().into(),
        Value::Double(number) if !number.is_finite() => number.to_string().into(),
        Value::Float(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::Bytes(bytes) => letters(bytes),
        Value::Text(text) => json!(text),
        Value::Null | Value::Record(_) | Value::List(_) | Value::Map(_) | Value::Branch(..) => Json::Null,
    }
}

fn letters(bytes: &[u8]) -> Json {
    bytes.iter().copied().map(char::from).collect::<String>().into()
}

/// Unfolds a schema.
struct Reader<'a> {
    names: &'a Named<'a>,
    /// So many more places for values there may be.
    places: usize,
    /// The records that this lies within.
    within: Vec<String>,
    folded: BTreeSet<String>,
}

impl Reader<'_> {
    fn shape(&mut self, schema: &Json, namespace: &str) -> Shape {
        if let Json::Array(branches) = unwrapped(schema) {
            return Shape::Union(branches.iter().map(|branch| self.shape(branch, namespace)).collect());
        }
        let (schema, namespace) = resolved(schema, namespace, self.names);
        let plain = |plain| Shape::Plain(plain, meaning(schema, plain));
        self.places = self.places.saturating_sub(1);
        match type_name(schema) {
            "boolean" => plain(Plain::Boolean),
            "int" => plain(Plain::Int),
            "long" => plain(Plain::Long),
            "float" => plain(Plain::Float),
            "double" => plain(Plain::Double),
            "bytes" => plain(Plain::Bytes),
            "string" => plain(Plain::Text),
            "fixed" => {
                let size = schema["size"].as_u64().and_then(|size| usize::try_from(size).ok());
                plain(Plain::Fixed(size.unwrap_or_default()))
            }
            "enum" => {
                let symbols = schema["symbols"].as_array().into_iter().flatten();
                Shape::Symbol(symbols.map(|symbol| symbol.as_str().unwrap_or_default().to_owned()).collect())
            }
            "array" => Shape::List(Box::new(self.shape(&schema["items"], &namespace))),
            "map" => Shape::Map(Box::new(self.shape(&schema["values"], &namespace))),
            "record" | "error" => {
                let name = full_name(schema["name"].as_str().unwrap_or_default(), &namespace);
                if self.within.contains(&name) || self.places == 0 || self.within.len() >= DEPTH_MAX {
                    self.folded.insert(name.clone());
                    return Shape::Folded(name);
                }
                self.within.push(name);
                let fields = schema["fields"].as_array().into_iter().flatten();
                let mut field = |field: &Json| {
                    let name = field["name"].as_str().unwrap_or_default().to_owned();
                    (name, self.shape(&field["type"], &namespace))
                };
                let fields = fields.map(&mut field).collect();
                self.within.pop();
                Shape::Record(fields)
            }
            _ => plain(Plain::Null),
        }
    }
}

fn meaning(schema: &Json, plain: Plain) -> Meaning {
    match (plain, schema["logicalType"].as_str().unwrap_or_default()) {
        (Plain::Int, "date") => Meaning::Date,
        (Plain::Int, "time-millis") => Meaning::TimeMillis,
        (Plain::Long, "time-micros") => Meaning::TimeMicros,
        (Plain::Long, "timestamp-millis") => Meaning::Millis(true),
        (Plain::Long, "timestamp-micros") => Meaning::Micros(true),
        (Plain::Long, "timestamp-nanos") => Meaning::Nanos(true),
        (Plain::Long, "local-timestamp-millis") => Meaning::Millis(false),
        (Plain::Long, "local-timestamp-micros") => Meaning::Micros(false),
        (Plain::Long, "local-timestamp-nanos") => Meaning::Nanos(false),
        (Plain::Fixed(16), "uuid") => Meaning::Uuid,
        (Plain::Bytes | Plain::Fixed(_), "decimal") => {
            let precision = schema["precision"].as_i64().and_then(|digits| i32::try_from(digits).ok());
            let scale = scale(schema).and_then(|scale| i32::try_from(scale).ok());
            match (precision, scale) {
                // Of more digits nobody makes a number.
                (Some(precision @ 1..=38), Some(scale)) => Meaning::Decimal { precision, scale },
                _ => Meaning::Itself,
            }
        }
        _ => Meaning::Itself,
    }
}

/// What is left of a datum.
struct Bytes<'a> {
    rest: &'a [u8],
    folded: &'a BTreeMap<String, Shape>,
}

impl Bytes<'_> {
    fn value(&mut self, shape: &Shape, depth: usize) -> Option<Value> {
        if depth > 2 * DEPTH_MAX {
            return None;
        }
        Some(match shape {
            Shape::Plain(plain, _) => self.plain(*plain)?,
            Shape::Symbol(symbols) => Value::Text(symbols.get(usize::try_from(self.long()?).ok()?)?.clone()),
            Shape::Record(fields) => {
                Value::Record(fields.iter().map(|(_, shape)| self.value(shape, depth + 1)).collect::<Option<_>>()?)
            }
            Shape::List(of) => {
                let mut values = Vec::new();
                while let Some(count) = self.block(values.len())? {
                    for _ in 0..count {
                        values.push(self.value(of, depth + 1)?);
                    }
                }
                Value::List(values)
            }
            Shape::Map(of) => {
                let mut entries = Vec::new();
                while let Some(count) = self.block(entries.len())? {
                    for _ in 0..count {
                        let Value::Text(name) = self.plain(Plain::Text)? else { return None };
                        entries.push((name, self.value(of, depth + 1)?));
                    }
                }
                Value::Map(entries)
            }
            Shape::Union(shapes) => {
                let place = usize::try_from(self.long()?).ok()?;
                Value::Branch(place, Box::new(self.value(shapes.get(place)?, depth + 1)?))
            }
            Shape::Folded(name) => {
                let folded = self.folded;
                self.value(folded.get(name)?, depth + 1)?
            }
        })
    }

    fn plain(&mut self, plain: Plain) -> Option<Value> {
        Some(match plain {
            Plain::Null => Value::Null,
            Plain::Boolean => Value::Boolean(self.take(1)?[0] != 0),
            Plain::Int => Value::Int(i32::try_from(self.long()?).ok()?),
            Plain::Long => Value::Long(self.long()?),
            Plain::Float => Value::Float(f32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            Plain::Double => Value::Double(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            Plain::Fixed(size) => Value::Bytes(self.take(size)?.to_vec()),
            Plain::Bytes => Value::Bytes(self.sized()?.to_vec()),
            Plain::Text => Value::Text(String::from_utf8_lossy(self.sized()?).into_owned()),
        })
    }

    fn take(&mut self, size: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(taken)
    }

    fn sized(&mut self) -> Option<&[u8]> {
        let size = usize::try_from(self.long()?).ok()?;
        self.take(size)
    }

    /// How many there are in the next block, after so many; nothing after the last one.
    fn block(&mut self, before: usize) -> Option<Option<usize>> {
        let count = self.long()?;
        if count < 0 {
            // How many bytes it has.
            self.long()?;
        }
        let count = usize::try_from(count.unsigned_abs()).ok()?;
        (before + count <= SEQUENCE_MAX).then_some((count > 0).then_some(count))
    }

    fn long(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        None
    }
}
