//! One column: its values, how deep each place of it lies, and where lists go on.

use crate::decode::avro::value::Value;
use parquet::column::reader::ColumnReader;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::SerializedRowGroupWriter;

/// How deep a value lies, and at which list's next entry it stands.
#[derive(Clone, Copy)]
pub(super) struct Level {
    /// So many of what it lies in are there.
    pub(super) depth: i16,
    /// So many lists go on with it.
    pub(super) list: i16,
}

impl Level {
    /// Within nothing.
    pub(super) const TOP: Level = Level { depth: 0, list: 0 };

    /// The same within so many more.
    pub(super) fn deeper(self, by: i16) -> Level {
        Level { depth: self.depth + by, ..self }
    }
}

/// The values that are there.
pub(super) enum Values {
    Booleans(Vec<bool>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    /// Texts too.
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// A column.
pub(super) struct Leaf {
    values: Values,
    /// Whether bytes of it are text.
    pub(super) is_text: bool,
    /// How deep a value lies that is there.
    pub(super) deepest: i16,
    depths: Vec<i16>,
    lists: Vec<i16>,
    /// The next place, and the next value, that is taken.
    next: (usize, usize),
}

impl Leaf {
    pub(super) fn new(values: Values) -> Leaf {
        Leaf { values, is_text: false, deepest: 0, depths: Vec::new(), lists: Vec::new(), next: (0, 0) }
    }

    /// Adds a value.
    pub(super) fn put(&mut self, value: &Value, at: Level) -> Result<()> {
        match (&mut self.values, value) {
            (Values::Booleans(all), Value::Boolean(truth)) => all.push(*truth),
            (Values::Ints(all), Value::Int(number)) => all.push(*number),
            (Values::Longs(all), Value::Long(number)) => all.push(*number),
            (Values::Floats(all), Value::Float(number)) => all.push(*number),
            (Values::Doubles(all), Value::Double(number)) => all.push(*number),
            (Values::Bytes(all), Value::Text(text)) => all.push(text.as_bytes().to_vec().into()),
            (Values::Bytes(all), Value::Bytes(bytes)) => all.push(bytes.clone().into()),
            (Values::Fixed(all), Value::Bytes(bytes)) => all.push(ByteArray::from(bytes.clone()).into()),
            _ => return Err(ParquetError::General("a value is not of its column's type".to_owned())),
        }
        self.note(at);
        Ok(())
    }

    /// Adds bytes, or a text.
    pub(super) fn put_bytes(&mut self, bytes: &[u8], at: Level) -> Result<()> {
        let Values::Bytes(all) = &mut self.values else {
            return Err(ParquetError::General("a text is not of its column's type".to_owned()));
        };
        all.push(bytes.to_vec().into());
        self.note(at);
        Ok(())
    }

    /// Adds that there is no value: what it lies in is there as deep as that.
    pub(super) fn put_nothing(&mut self, at: Level) {
        self.note(at);
    }

    fn note(&mut self, at: Level) {
        self.depths.push(at.depth);
        self.lists.push(at.list);
    }

    /// Writes it as the next column of a group.
    pub(super) fn write(&self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<()> {
        let missing = || ParquetError::General("the schema has fewer columns than there are".to_owned());
        let mut writer = group.next_column()?.ok_or_else(missing)?;
        let (depths, lists) = (Some(&*self.depths), Some(&*self.lists));
        match &self.values {
            Values::Booleans(all) => writer.typed::<BoolType>().write_batch(all, depths, lists)?,
            Values::Ints(all) => writer.typed::<Int32Type>().write_batch(all, depths, lists)?,
            Values::Longs(all) => writer.typed::<Int64Type>().write_batch(all, depths, lists)?,
            Values::Floats(all) => writer.typed::<FloatType>().write_batch(all, depths, lists)?,
            Values::Doubles(all) => writer.typed::<DoubleType>().write_batch(all, depths, lists)?,
            Values::Bytes(all) => writer.typed::<ByteArrayType>().write_batch(all, depths, lists)?,
            Values::Fixed(all) => writer.typed::<FixedLenByteArrayType>().write_batch(all, depths, lists)?,
        };
        writer.close()
    }

    /// Reads what a file has of it, of so many rows.
    pub(super) fn read(&mut self, reader: ColumnReader, rows: usize) -> Result<()> {
        let (depths, lists) = (Some(&mut self.depths), Some(&mut self.lists));
        match (&mut self.values, reader) {
            (Values::Booleans(all), ColumnReader::BoolColumnReader(mut of)) => {
                of.read_records(rows, depths, lists, all)
            }
            (Values::Ints(all), ColumnReader::Int32ColumnReader(mut of)) => of.read_records(rows, depths, lists, all),
            (Values::Longs(all), ColumnReader::Int64ColumnReader(mut of)) => of.read_records(rows, depths, lists, all),
            (Values::Floats(all), ColumnReader::FloatColumnReader(mut of)) => of.read_records(rows, depths, lists, all),
            (Values::Doubles(all), ColumnReader::DoubleColumnReader(mut of)) => {
                of.read_records(rows, depths, lists, all)
            }
            (Values::Bytes(all), ColumnReader::ByteArrayColumnReader(mut of)) => {
                of.read_records(rows, depths, lists, all)
            }
            (Values::Fixed(all), ColumnReader::FixedLenByteArrayColumnReader(mut of)) => {
                of.read_records(rows, depths, lists, all)
            }
            _ => return Err(ParquetError::General("a column is of another type than its schema".to_owned())),
        }?;
        // Where nothing is in a list, the file does not say so of every place.
        self.lists.resize(self.depths.len(), 0);
        Ok(())
    }

    /// The next place, if there is one.
    pub(super) fn next(&self) -> Option<Level> {
        let (place, _) = self.next;
        Some(Level { depth: *self.depths.get(place)?, list: *self.lists.get(place)? })
    }

    /// Whether the next place is of the same list as the one before, which lies in so many.
    pub(super) fn goes_on(&self, lists: i16) -> bool {
        self.next().is_some_and(|next| next.list >= lists)
    }

    /// Takes the next value.
    pub(super) fn take(&mut self) -> Result<Value> {
        let (_, at) = self.next;
        let value = match &self.values {
            Values::Booleans(all) => all.get(at).map(|truth| Value::Boolean(*truth)),
            Values::Ints(all) => all.get(at).map(|number| Value::Int(*number)),
            Values::Longs(all) => all.get(at).map(|number| Value::Long(*number)),
            Values::Floats(all) => all.get(at).map(|number| Value::Float(*number)),
            Values::Doubles(all) => all.get(at).map(|number| Value::Double(*number)),
            Values::Bytes(_) if self.is_text => return self.take_text(),
            Values::Bytes(all) => all.get(at).map(|bytes| Value::Bytes(bytes.data().to_vec())),
            Values::Fixed(all) => all.get(at).map(|bytes| Value::Bytes(bytes.data().to_vec())),
        };
        self.pass();
        value.ok_or_else(|| ParquetError::General("a column has fewer values than it says".to_owned()))
    }

    /// Takes the next value, which is a text.
    pub(super) fn take_text(&mut self) -> Result<Value> {
        let value = if let Values::Bytes(all) = &self.values { all.get(self.next.1) } else { None };
        let text = value.map(|bytes| String::from_utf8_lossy(bytes.data()).into_owned());
        self.pass();
        text.map(Value::Text).ok_or_else(|| ParquetError::General("a column has fewer texts than it says".to_owned()))
    }

    /// Leaves the next place.
    pub(super) fn pass(&mut self) {
        let is_there = self.next().is_some_and(|next| next.depth == self.deepest);
        self.next = (self.next.0 + 1, self.next.1 + usize::from(is_there));
    }
}
