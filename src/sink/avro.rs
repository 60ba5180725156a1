//! Rows as Avro: the schemas of a table's keys and values, and both ways between them and rows.

use dataflows::raw::clean_columns;
use dataflows::table::{Column, Table, TableId, Type, Value, stamp_columns};
use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeError, DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::SerializerConfig;
use serde_json::{Value as Json, json};
use std::fmt;

/// The name of records, and their namespace.
const NAMESPACE: &str = "deltamart";

/// The columns of a value: those of the row, and what every table is stamped with.
pub(super) fn columns(table: &Table) -> Vec<Column> {
    table.columns.iter().cloned().chain(stamp_columns()).collect()
}

/// The schema of a table's values.
pub(super) fn value_schema(table: &Table) -> String {
    schema(table.name, table.doc, &columns(table))
}

/// The schema of a table's keys.
pub(super) fn key_schema(table: &Table) -> String {
    schema(&format!("{}_key", table.name), "The primary key.", &table.columns[..table.key_columns])
}

/// The schema of a record of these columns.
pub(super) fn schema(name: &str, doc: &str, columns: &[Column]) -> String {
    let fields: Vec<Json> = columns.iter().map(field).collect();
    json!({"type": "record", "name": name, "namespace": NAMESPACE, "doc": doc, "fields": fields}).to_string()
}

/// The columns of the clean events of a raw table, and their schema.
pub(super) fn clean(id: TableId) -> (Vec<Column>, String) {
    let columns = clean_columns(id);
    let schema = schema(id.name(), id.table().doc, &columns);
    (columns, schema)
}

fn field(column: &Column) -> Json {
    let decimal = |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": scale});
    let ty = match column.ty {
        Type::Integer => json!("long"),
        Type::Boolean => json!("boolean"),
        Type::Instant => json!({"type": "long", "logicalType": "timestamp-millis"}),
        Type::Money => decimal(2),
        Type::Milli => decimal(3),
        Type::Share => decimal(4),
        Type::Text | Type::Json => json!("string"),
        Type::Bytes => json!("bytes"),
    };
    // A column that may be empty may also be one that older rows lack.
    match column.nullable {
        true => json!({"name": column.name, "type": ["null", ty], "default": null, "doc": column.doc}),
        false => json!({"name": column.name, "type": ty, "doc": column.doc}),
    }
}

/// Writes rows of some columns.
pub(super) struct Encoder {
    columns: Vec<Column>,
    schema: Schema,
    header: Vec<u8>,
}

impl Encoder {
    /// For columns whose schema a registry knows under a number.
    pub(super) fn new(columns: Vec<Column>, schema: &str, id: u32) -> Encoder {
        Encoder { header: crate::decode::avro::header(id).to_vec(), ..Encoder::of_data(columns, schema) }
    }

    /// For columns whose schema is kept beside what is written: nothing stands before a row.
    pub(super) fn of_data(columns: Vec<Column>, schema: &str) -> Encoder {
        let schema = schema.parse().expect("made of what Avro has; a test parses each");
        Encoder { columns, schema, header: Vec::new() }
    }

    /// The payload of a row, or of a key.
    pub(super) fn payload<'a>(&self, values: impl Iterator<Item = &'a Value> + Clone) -> Vec<u8> {
        let row = Row { columns: &self.columns, values };
        let mut config = SerializerConfig::new(&self.schema);
        serde_avro_fast::to_datum(&row, self.header.clone(), &mut config).expect("rows are as their table says")
    }
}

struct Row<'a, I> {
    columns: &'a [Column],
    values: I,
}

impl<'a, I: Iterator<Item = &'a Value> + Clone> Serialize for Row<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Row", self.columns.len())?;
        for (column, value) in self.columns.iter().zip(self.values.clone()) {
            row.serialize_field(column.name, &Field(value, column.nullable))?;
        }
        row.end()
    }
}

struct Field<'a>(&'a Value, bool);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Field(value, nullable) = self;
        match value {
            Value::Null => serializer.serialize_none(),
            _ if *nullable => serializer.serialize_some(&Field(value, false)),
            Value::Boolean(truth) => serializer.serialize_bool(*truth),
            Value::Integer(number) | Value::Instant(number) => serializer.serialize_i64(*number),
            Value::Cents(cents) => Serialize::serialize(&Decimal::new(*cents, 2), serializer),
            Value::Milli(milli) => Serialize::serialize(&Decimal::new(*milli, 3), serializer),
            Value::Share(share) => Serialize::serialize(&Decimal::new(*share, 4), serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

/// The row of a payload, as its own schema says. A column that it lacks is null.
///
/// # Errors
/// If the payload is no such row.
pub(super) fn decode(payload: &[u8], schema: &Schema, columns: &[Column]) -> Result<Vec<Value>, DeError> {
    let mut config = DeserializerConfig::new(schema);
    config.max_seq_size = payload.len();
    let mut state = DeserializerState::with_config(SliceRead::new(payload), config);
    Columns(columns).deserialize(state.deserializer())
}

struct Columns<'a>(&'a [Column]);

impl<'de> DeserializeSeed<'de> for Columns<'_> {
    type Value = Vec<Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Value>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Columns<'_> {
    type Value = Vec<Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Vec<Value>, A::Error> {
        let mut row = vec![Value::Null; self.0.len()];
        while let Some(name) = fields.next_key::<String>()? {
            let Some(place) = self.0.iter().position(|column| column.name == name) else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            let scaled = |number: Decimal, scale: u32| {
                let mut number = number;
                number.rescale(scale);
                number.mantissa() as i64
            };
            row[place] = match self.0[place].ty {
                Type::Integer => fields.next_value::<Option<i64>>()?.map(Value::Integer),
                Type::Boolean => fields.next_value::<Option<bool>>()?.map(Value::Boolean),
                Type::Instant => fields.next_value::<Option<i64>>()?.map(Value::Instant),
                Type::Money => fields.next_value::<Option<Decimal>>()?.map(|it| Value::Cents(scaled(it, 2))),
                Type::Milli => fields.next_value::<Option<Decimal>>()?.map(|it| Value::Milli(scaled(it, 3))),
                Type::Share => fields.next_value::<Option<Decimal>>()?.map(|it| Value::Share(scaled(it, 4))),
                Type::Text | Type::Json => fields.next_value::<Option<String>>()?.map(Value::Text),
                Type::Bytes => fields.next_value::<Option<Octets>>()?.map(|it| Value::Bytes(it.0)),
            }
            .unwrap_or(Value::Null);
        }
        Ok(row)
    }
}

struct Octets(Box<[u8]>);

impl<'de> serde::Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Octets, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Octets;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Octets, E> {
                Ok(Octets(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value as Avro;

    fn sample(column: &Column, n: usize) -> Value {
        if column.nullable && n.is_multiple_of(3) {
            return Value::Null;
        }
        let number = [0, 1, -1, 127, 128, -129, 1 << 40, -(1 << 50)][n % 8];
        match column.ty {
            Type::Integer => Value::Integer(number),
            Type::Boolean => Value::Boolean(n.is_multiple_of(2)),
            Type::Instant => Value::Instant(number),
            Type::Money => Value::Cents(number),
            Type::Milli => Value::Milli(number),
            Type::Share => Value::Share(number),
            Type::Text | Type::Json => Value::Text(["", "a \0 'quoted' 🦀", "x"][n % 3].repeat(n)),
            Type::Bytes => Value::Bytes(vec![n as u8; n].into()),
        }
    }

    /// What we write, another implementation reads; and so do we.
    #[test]
    fn every_table_is_written_and_read() {
        for id in crate::families::all().tables() {
            let (table, columns) = (id.table(), columns(id.table()));
            let text = value_schema(table);
            let other = apache_avro::Schema::parse_str(&text).expect("a schema to others");
            let ours: Schema = text.parse().expect("a schema");
            let encoder = Encoder::new(columns.clone(), &text, 7);
            for n in 0..24 {
                let row: Vec<_> = columns.iter().enumerate().map(|(at, column)| sample(column, n + at)).collect();
                let payload = encoder.payload(row.iter());
                assert_eq!(payload[..5], [0, 0, 0, 0, 7]);
                assert_eq!(decode(&payload[5..], &ours, &columns).expect("a row"), row, "{}", table.name);
                let read = GenericDatumReader::builder(&other)
                    .build()
                    .expect("a reader")
                    .read_value(&mut &payload[5..])
                    .expect("a datum to others");
                let Avro::Record(fields) = read else { panic!("a record") };
                for ((name, found), (column, value)) in fields.into_iter().zip(columns.iter().zip(&row)) {
                    assert_eq!(name, column.name);
                    let found = if let Avro::Union(_, inner) = found { *inner } else { found };
                    let same = match (&found, value) {
                        (Avro::Null, Value::Null) => true,
                        (Avro::Boolean(a), Value::Boolean(b)) => a == b,
                        (Avro::Long(a), Value::Integer(b)) | (Avro::TimestampMillis(a), Value::Instant(b)) => a == b,
                        (Avro::Decimal(a), Value::Cents(b) | Value::Milli(b) | Value::Share(b)) => {
                            let bytes = Vec::<u8>::try_from(a).expect("bytes");
                            let first = if bytes.first().is_some_and(|byte| byte & 0x80 > 0) { -1i128 } else { 0 };
                            bytes.iter().fold(first, |all, byte| all << 8 | i128::from(*byte)) == i128::from(*b)
                        }
                        (Avro::String(a), Value::Text(b)) => a == b,
                        (Avro::Bytes(a), Value::Bytes(b)) => a[..] == b[..],
                        _ => false,
                    };
                    assert!(same, "{}.{name}: {found:?} is not {value:?}", table.name);
                }
            }
            let keys = key_schema(table);
            apache_avro::Schema::parse_str(&keys).expect("a schema to others");
        }
    }
}
