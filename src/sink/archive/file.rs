//! A file of the archive: records of one partition that were written by one schema.

use super::columns::{Maker, Node};
use super::levels::{Leaf, Level};
use super::open::Kept;
use crate::decode::avro::value::{Data, Meaning, Plain, Shape, Value};
use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) pipeline: String,
    /// Of clean events their raw table.
    pub(super) topic: String,
    /// Nothing of clean events: where they are from is no part of them.
    pub(super) partition: Option<i64>,
    pub(super) first_offset: i64,
    /// The writer's schema; nothing for JSON.
    pub(super) schema: Option<String>,
}

const PIPELINE: &str = "deltamart.pipeline";
const TOPIC: &str = "deltamart.topic";
const TABLE: &str = "deltamart.table";
const PARTITION: &str = "deltamart.partition";
const FIRST_OFFSET: &str = "deltamart.first_offset";
const SCHEMA: &str = "deltamart.schema";

impl About {
    fn written(&self) -> Vec<KeyValue> {
        let (partition, first) = (self.partition.map(|number| number.to_string()), self.first_offset.to_string());
        let topic = (if partition.is_some() { TOPIC } else { TABLE }, &self.topic);
        let partition = partition.iter().map(|partition| (PARTITION, partition));
        let all = [(PIPELINE, &self.pipeline), topic].into_iter().chain(partition).chain([(FIRST_OFFSET, &first)]);
        let schema = self.schema.iter().map(|schema| (SCHEMA, schema));
        all.chain(schema).map(|(key, value)| KeyValue::new(key.to_owned(), value.clone())).collect()
    }

    fn read(all: &[KeyValue]) -> Option<About> {
        let find = |key: &str| all.iter().find(|found| found.key == key).and_then(|found| found.value.clone());
        Some(About {
            pipeline: find(PIPELINE)?,
            topic: find(TOPIC).or_else(|| find(TABLE))?,
            partition: find(PARTITION).map(|number| number.parse()).transpose().ok()?,
            first_offset: find(FIRST_OFFSET)?.parse().ok()?,
            schema: find(SCHEMA),
        })
    }
}

/// Records in columns: first where each is from, if that is said, then what it says.
pub(super) struct File {
    about: About,
    data: Data,
    /// The fields of the datum are columns; it is no record, then, that is one column.
    is_record: bool,
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    ty: TypePtr,
    rows: usize,
}

/// A record of a file: its partition and its offset, if they are said, and its fields.
pub(super) type Row = Vec<Value>;

impl File {
    /// Without records.
    ///
    /// # Errors
    /// If Parquet cannot have what the schema says.
    pub(super) fn new(about: About) -> Result<File> {
        let broken = |why: String| ParquetError::General(why);
        let schema = about.schema.as_deref().map(serde_json::from_str::<Json>).transpose();
        let schema = schema.map_err(|error| broken(error.to_string()))?;
        // JSON is a text, as a record without fields is.
        let data = Data::of(&schema.unwrap_or_else(|| json!({"type": "record", "name": "json", "fields": []})));
        let alone = if about.schema.is_some() { "value" } else { "record" };
        let alone = [(alone.to_owned(), data.shape().clone())];
        let fields = if let Shape::Record(fields) = data.shape() { &fields[..] } else { &[] };
        let is_record = !fields.is_empty();
        let fields = if is_record { fields } else { &alone };
        let mut ours = ["_partition".to_owned(), "_offset".to_owned()];
        for name in &mut ours {
            while fields.iter().any(|(taken, _)| taken == name) {
                name.insert(0, '_');
            }
        }
        let [partition, offset] = &ours;
        let number = |plain| Shape::Plain(plain, Meaning::Itself);
        let (ints, longs) = (number(Plain::Int), number(Plain::Long));
        let ours: &[_] = if about.partition.is_some() { &[(partition, &ints), (offset, &longs)] } else { &[] };
        let (mut nodes, mut types, mut maker) = (Vec::new(), Vec::new(), Maker::default());
        for (name, shape) in ours.iter().copied().chain(fields.iter().map(|(name, shape)| (name, shape))) {
            let (node, ty) = maker.node(name, shape, 0)?;
            nodes.push(node);
            types.push(ty);
        }
        let mut leaves = maker.leaves;
        let ty = Arc::new(Type::group_type_builder("record").with_fields(types).build()?);
        let described = SchemaDescriptor::new(Arc::clone(&ty));
        for (leaf, column) in leaves.iter_mut().zip(described.columns()) {
            leaf.deepest = column.max_def_level();
            leaf.is_text = column.logical_type_ref().is_some_and(|ty| matches!(ty, LogicalType::String));
        }
        Ok(File { about, data, is_record, nodes, leaves, ty, rows: 0 })
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is none of ours, or damaged.
    pub(super) fn read(bytes: Vec<u8>) -> Result<(File, Vec<Row>)> {
        let reader = SerializedFileReader::new(Bytes::from(bytes))?;
        let about = reader.metadata().file_metadata().key_value_metadata().and_then(|all| About::read(all));
        let about = about.ok_or_else(|| ParquetError::General("it is no file of an archive".to_owned()))?;
        let mut file = File::new(about.clone())?;
        let mut rows = Vec::new();
        for place in 0..reader.num_row_groups() {
            let group = reader.get_row_group(place)?;
            let count = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
            for (column, leaf) in file.leaves.iter_mut().enumerate() {
                leaf.read(group.get_column_reader(column)?, count)?;
            }
            for _ in 0..count {
                let row = file.nodes.iter().map(|node| node.take(0, &mut file.leaves)).collect::<Result<Row>>()?;
                rows.push(row);
            }
        }
        Ok((File::new(about)?, rows))
    }

    /// Adds a record; tells whether it could be read by its schema. One that cannot, which no accepted record is, is
    /// there without its fields.
    ///
    /// # Errors
    /// If Parquet does not take it.
    pub(super) fn push(&mut self, record: &Kept) -> Result<bool> {
        let mut row = self.row(record);
        let is_read = row.len() == self.nodes.len();
        row.resize(self.nodes.len(), Value::Null);
        self.push_row(&row)?;
        Ok(is_read)
    }

    /// A record's fields, behind where it is from; without them, if it cannot be read.
    pub(super) fn row(&self, record: &Kept) -> Row {
        let at = |partition| [Value::Int(i32::try_from(partition).unwrap_or(i32::MAX)), Value::Long(record.offset)];
        let mut row: Row = self.about.partition.map(at).into_iter().flatten().collect();
        let read = match &self.about.schema {
            None => Some(Value::Text(String::from_utf8_lossy(&record.datum).into_owned())),
            Some(_) => self.data.read(&record.datum),
        };
        match read {
            Some(Value::Record(fields)) if self.is_record => row.extend(fields),
            Some(value) => row.push(value),
            None => {}
        }
        row
    }

    /// Adds a record of another file of the same schema.
    ///
    /// # Errors
    /// If Parquet does not take it.
    pub(super) fn push_row(&mut self, row: &[Value]) -> Result<()> {
        for (node, value) in self.nodes.iter().zip(row) {
            node.put(&self.data, value, Level::TOP, &mut self.leaves)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The record as JSON.
    pub(super) fn json(&self, row: &[Value]) -> String {
        let fields = self.fields(row);
        match (&self.about.schema, fields.first(), self.data.shape()) {
            (None, Some(Value::Text(json)), _) => json.clone(),
            (Some(_), _, Shape::Record(_)) if self.is_record => {
                let record = Value::Record(fields.to_vec());
                self.data.json(self.data.shape(), &record).to_string()
            }
            (Some(_), Some(value), shape) => self.data.json(shape, value).to_string(),
            (None | Some(_), _, _) => String::new(),
        }
    }

    /// A record's fields alone.
    fn fields<'r>(&self, row: &'r [Value]) -> &'r [Value] {
        let ours = if self.about.partition.is_some() { 2 } else { 0 };
        row.get(ours..).unwrap_or_default()
    }

    /// A field of a record; nothing if there is none of that name.
    pub(super) fn field<'r>(&self, row: &'r [Value], name: &str) -> Option<&'r Value> {
        let Shape::Record(fields) = self.data.shape() else { return None };
        let place = fields.iter().position(|(field, _)| field == name)?;
        let value = self.fields(row).get(place)?;
        if let Value::Branch(_, value) = value { Some(value) } else { Some(value) }
    }

    /// What it says of itself.
    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// Its bytes: the same for the same records.
    ///
    /// # Errors
    /// If Parquet cannot write them.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("deltamart ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_key_value_metadata(Some(self.about.written()));
        let mut writer = SerializedFileWriter::new(Vec::new(), self.ty, Arc::new(properties.build()))?;
        if self.rows > 0 {
            let mut group = writer.next_row_group()?;
            self.leaves.iter().try_for_each(|leaf| leaf.write(&mut group))?;
            group.close()?;
        }
        writer.into_inner()
    }
}
